//! Workloads that others have published, each number with its source.
//!
//! A preset only stands in for flags that were not given. How many keys there are follows from the server's memory, so
//! none but YCSB's own default says it.

use crate::workload::item::KEY_BYTES;
use crate::workload::popularity::Popularity;
use crate::workload::script::Mix;
use crate::workload::sizes::Sizes;

/// A known workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Preset {
    /// Facebook's ETC pool: 30 reads to a write, small values with a long tail
    Etc,
    /// Half reads, half updates, 1000-byte values
    YcsbA,
    /// 95 % reads, 5 % updates
    YcsbB,
    /// Reads alone
    YcsbC,
    /// 95 % reads of what 5 % of writes wrote last
    YcsbD,
    /// A cluster of Twitter's: 86 % reads, skewed, values of 799 bytes that live for an hour
    Twitter,
}

/// What a workload is made of; where it comes from no preset, what a run does by default.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) keys: u32,
    pub(crate) popularity: Popularity,
    pub(crate) key_sizes: Sizes,
    pub(crate) sizes: Sizes,
    pub(crate) mix: Mix,
    pub(crate) ttl_s: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            keys: 1000,
            popularity: Popularity::Uniform,
            key_sizes: Sizes::fixed(KEY_BYTES),
            sizes: Sizes::fixed(64),
            mix: Mix {
                reads: 1.0,
                deletes: 0.0,
            },
            ttl_s: 0,
        }
    }
}

impl Preset {
    pub(crate) fn shape(self) -> Shape {
        let zipf = Popularity::zipf(0.99);
        match self {
            Self::Etc => etc(),
            Self::YcsbA => ycsb(0.5, zipf),
            Self::YcsbB => ycsb(0.95, zipf),
            Self::YcsbC => ycsb(1.0, zipf),
            Self::YcsbD => ycsb(0.95, Popularity::Latest { exponent: 0.99 }),
            Self::Twitter => twitter(),
        }
    }
}

/// Atikoglu and others, "Workload analysis of a large-scale key-value store", SIGMETRICS 2012: 30 GETs to a SET, lengths
/// of keys (a generalised extreme value law) and values (a table, then a generalised Pareto law). The paper has no law of
/// popularity for it; Zipf with 0.99 is YCSB's and stands in.
fn etc() -> Shape {
    Shape {
        popularity: Popularity::zipf(0.99),
        key_sizes: Sizes::gev(30.7984, 8.20449, 0.078688),
        sizes: Sizes::Etc,
        mix: Mix {
            reads: 30.0 / 31.0,
            deletes: 0.0,
        },
        ..Shape::default()
    }
}

/// YCSB's core workloads (`workloads/workloada` to `workloadd`): 1000 records of ten fields of 100 bytes, a Zipf law with
/// 0.99 (`ZipfianGenerator`). Keys are `user` and up to 19 digits. An insert of D's is a write of the key written longest ago, so
/// that the number of keys stays: what a cache that is full sees of it.
fn ycsb(reads: f64, popularity: Popularity) -> Shape {
    Shape {
        popularity,
        key_sizes: Sizes::fixed(23),
        sizes: Sizes::fixed(1000),
        mix: Mix {
            reads,
            deletes: 0.0,
        },
        ..Shape::default()
    }
}

/// Cluster 29 of Yang, Yue and Rashmi, "A large scale analysis of hundreds of in-memory cache clusters at Twitter", OSDI
/// 2020, as `stat/2020Mar.md` of github.com/twitter/cache-trace has it: means of 36 and 799 bytes, 86 % get, 13 % set, Zipf
/// 1.2323, two thirds with a TTL of an hour.
fn twitter() -> Shape {
    Shape {
        popularity: Popularity::zipf(1.2323),
        key_sizes: Sizes::fixed(36),
        sizes: Sizes::fixed(799),
        mix: Mix {
            reads: 0.86 / 0.99,
            deletes: 0.0,
        },
        ttl_s: 3600,
        ..Shape::default()
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_preset_can_be_drawn() {
        for preset in Preset::value_variants() {
            let Shape {
                mix, sizes, keys, ..
            } = preset.shape();
            assert!(mix.reads + mix.deletes <= 1.0 && keys > 0);
            assert!(sizes.bytes_max() > 0);
        }
    }
}
