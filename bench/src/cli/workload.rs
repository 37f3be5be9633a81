//! Flags that say what is asked for.

use clap::Args;

use super::parsers::{parse_prefix, parse_share};
use crate::wire::Protocol;
use crate::workload::item::{Items, KEY_BYTES_MAX, KEY_BYTES_MIN, PREFIX_BYTES};
use crate::workload::popularity::{self, Popularity};
use crate::workload::preset::{Preset, Shape};
use crate::workload::script::{MULTI_GET_MAX, Mix, SEED, Workload};
use crate::workload::sizes::Sizes;

/// Bytes of one connection's batch at most, so that the script's offsets hold it.
const BATCH_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How the server is spoken to, and how long keys and values are.
#[derive(Clone, Debug, Args)]
pub(crate) struct ShapeArgs {
    /// How the server is spoken to
    #[arg(long, value_enum)]
    pub(crate) protocol: Protocol,

    #[command(flatten)]
    pub(crate) sizes: SizeArgs,
}

/// Which keys and values there are.
#[derive(Clone, Debug, Args)]
pub(crate) struct ItemArgs {
    /// What keys begin with, four characters: "{aa}" keeps them on one server of a pool
    #[arg(long, value_name = "TEXT", default_value = "key:", value_parser = parse_prefix)]
    pub(crate) key_prefix: [u8; PREFIX_BYTES],

    #[command(flatten)]
    pub(crate) sizes: SizeArgs,
}

/// How long keys and values are.
#[derive(Clone, Debug, Args)]
pub(crate) struct SizeArgs {
    /// Lengths of keys, 14 to 250, in the same words as --value-bytes [default: 16]
    #[arg(long, value_name = "SIZES", value_parser = Sizes::parse)]
    pub(crate) key_bytes: Option<Sizes>,

    /// Lengths of values, each key's its own: N, MIN-MAX, N:WEIGHT,…, lognormal:MEDIAN:SIGMA,
    /// pareto:LOCATION:SCALE:SHAPE, gev:LOCATION:SCALE:SHAPE or etc [default: 64]
    #[arg(long, value_name = "SIZES", value_parser = Sizes::parse)]
    pub(crate) value_bytes: Option<Sizes>,
}

/// What is stored: enough to fill a server.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoredArgs {
    /// How the server is spoken to
    #[arg(long, value_enum)]
    pub(crate) protocol: Protocol,

    #[command(flatten)]
    pub(crate) items: ItemArgs,

    /// A known workload: what stands for the flags of this kind that are not given
    #[arg(long, value_enum)]
    pub(crate) preset: Option<Preset>,

    /// Number of keys [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keys: Option<u32>,

    /// Seconds that what is written lives; 0 = without end [default: 0]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=2_592_000))]
    pub(crate) ttl: Option<u32>,
}

/// Everything about what is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkloadArgs {
    #[command(flatten)]
    pub(crate) stored: StoredArgs,

    /// How requests are spread over the keys: uniform, sequential, zipf:S, hotspot:KEYS:REQUESTS or
    /// latest:S [default: uniform]
    #[arg(long, value_name = "LAW", value_parser = Popularity::parse)]
    pub(crate) popularity: Option<Popularity>,

    /// Short for --popularity zipf:S; 0 = uniform
    #[arg(long, value_name = "S", conflicts_with = "popularity", value_parser = popularity::parse_exponent)]
    pub(crate) zipf: Option<f64>,

    /// Share of reads, 0 to 1; the rest deletes and writes [default: 1]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) read_ratio: Option<f64>,

    /// Share of deletes, 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) delete_ratio: Option<f64>,

    /// Keys that each read asks for
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MULTI_GET_MAX)))]
    pub(crate) multi_get: u32,

    /// What the requests are drawn by: the same number draws the same ones
    #[arg(long, value_name = "N", default_value_t = SEED)]
    pub(crate) seed: u64,
}

impl ShapeArgs {
    /// With some prefix, as each is as long as the others.
    pub(crate) fn items(&self) -> Items {
        self.sizes.items([b'k'; PREFIX_BYTES], Shape::default())
    }
}

impl ItemArgs {
    /// What is not given is as in `otherwise`.
    pub(crate) fn items(&self, otherwise: Shape) -> Items {
        self.sizes.items(self.key_prefix, otherwise)
    }
}

impl SizeArgs {
    fn items(&self, prefix: [u8; PREFIX_BYTES], otherwise: Shape) -> Items {
        Items {
            prefix,
            key_sizes: self.key_bytes.clone().unwrap_or(otherwise.key_sizes),
            sizes: self.value_bytes.clone().unwrap_or(otherwise.sizes),
            listed: None,
        }
    }

    /// What no single flag's value tells.
    pub(super) fn check(&self) -> Result<(), String> {
        self.key_bytes.as_ref().map_or(Ok(()), check_keys)
    }
}

fn check_keys(sizes: &Sizes) -> Result<(), String> {
    match sizes {
        Sizes::Span {
            bytes_min,
            bytes_max,
        } if (*bytes_min as usize) < KEY_BYTES_MIN || *bytes_max as usize > KEY_BYTES_MAX => Err(
            format!("--key-bytes is from {KEY_BYTES_MIN} to {KEY_BYTES_MAX}"),
        ),
        _ => Ok(()),
    }
}

impl StoredArgs {
    /// Asked for as the preset has it, or else as a run asks by default.
    pub(crate) fn workload(&self) -> Workload {
        let otherwise = self.preset.map_or_else(Shape::default, Preset::shape);
        Workload {
            protocol: self.protocol,
            keys: self.keys.unwrap_or(otherwise.keys),
            popularity: otherwise.popularity,
            mix: otherwise.mix,
            multi_get: 1,
            ttl_s: self.ttl.unwrap_or(otherwise.ttl_s),
            items: self.items.items(otherwise),
            seed: SEED,
        }
    }

    /// What no single flag's value tells.
    pub(super) fn check(&self) -> Result<(), String> {
        self.items.sizes.check()
    }
}

impl WorkloadArgs {
    pub(crate) fn workload(&self) -> Workload {
        let stored = self.stored.workload();
        let popularity = self.popularity.or_else(|| self.zipf.map(Popularity::zipf));
        Workload {
            popularity: popularity.unwrap_or(stored.popularity),
            mix: Mix {
                reads: self.read_ratio.unwrap_or(stored.mix.reads),
                deletes: self.delete_ratio.unwrap_or(stored.mix.deletes),
            },
            multi_get: self.multi_get,
            seed: self.seed,
            ..stored
        }
    }

    /// What no single flag's value tells.
    pub(super) fn check(&self, depth: u32) -> Result<(), String> {
        self.stored.check()?;
        let workload = self.workload();
        let batch_bytes = u64::from(depth) * workload.items.sizes.bytes_max() as u64;
        if batch_bytes > BATCH_BYTES_MAX {
            return Err(format!(
                "--depth times --value-bytes is {batch_bytes} bytes, above {BATCH_BYTES_MAX}"
            ));
        }
        if workload.multi_get > workload.keys {
            return Err(format!(
                "--multi-get asks for more than the {} of --keys",
                workload.keys
            ));
        }
        if workload.mix.reads + workload.mix.deletes > 1.0 + 1e-9 {
            return Err("--read-ratio and --delete-ratio are more than 1 together".to_owned());
        }
        Ok(())
    }
}
