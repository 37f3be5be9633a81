//! The store: one writer at a time and any number of readers per partition, no locks.
//!
//! Keys are hashed once. Some bits pick the **owner**, the one shard whose [`ShardStore`] may
//! change the key; while it sleeps, others do so in its stead. Every shard may read it directly. Memory is fixed at
//! start.
//!
//! * `epoch`: when freed memory may be reused (QSBR)
//! * `arena`, `entry`: the memory, and an entry in it (unsafe lives here and in `index`)
//! * `index`: hash to entry, growing a bucket at a time
//! * `pins`: values that are read for longer than a turn
//! * `vacancy`: room for values that are still to come
//! * `segments`, `clean`: appending, compaction, expiry
//! * `eviction`, `ghosts`: what goes when memory is needed, and who went lately
//! * `partition`, `writer`: what readers and the writer hold
//! * `loan`: who has the writer while the owner sleeps
//! * `shard_store`: what a shard has of all partitions
//! * `scan`: going through all keys, some at a time
//! * `operation`, `change`, `count`: what can be done to a key
//! * `interest`, `listeners`, `notes`: telling other shards of changes they asked for

mod arena;
mod change;
mod clean;
mod count;
mod deadline;
mod entry;
mod epoch;
mod eviction;
mod figures;
mod ghosts;
mod index;
mod interest;
mod listeners;
mod loan;
mod notes;
mod operation;
mod partition;
mod pins;
mod scan;
mod segments;
mod shard_store;
#[cfg(test)]
mod tests;
mod used;
mod vacancy;
mod writer;

use std::{io, sync::Arc};

pub(crate) use self::segments::SEGMENT_COUNT_MIN;
pub use self::{
    arena::give_back_freed_buffers,
    deadline::{Deadline, UnixMs},
    entry::EntryRef,
    epoch::{Epoch, Epochs},
    eviction::Eviction,
    figures::PartitionStats,
    interest::{Concern, Interest, InterestWriter, Prefixes},
    notes::{Author, Note, Notes},
    operation::{Applied, Condition, ExpireCondition, Expiry, Operation, Outcome, Side, Stamp},
    partition::{Absence, Guess},
    pins::PinnedValue,
    scan::{ListCursor, ScanCursor},
    shard_store::{InStead, ShardStore, StoreGauges},
    vacancy::Vacancy,
};
use self::{
    index::ARENA_BYTES_MAX,
    loan::Owned,
    writer::{PartitionParams, PartitionWriter},
};

/// The 64-bit hash of a key, the same on every shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// The shard that may change the key: the hash's upper half, scaled (Lemire's reduction).
    /// The index uses the lower bits.
    pub fn owner(self, shard_count: usize) -> usize {
        (((self.0 >> 32) * shard_count as u64) >> 32) as usize
    }
}

/// XXH3 with a seed of this process, so that nobody outside can aim keys at one bucket.
#[derive(Debug, Clone, Copy)]
pub struct KeyHasher {
    seed: u64,
}

impl KeyHasher {
    /// A hasher; a fixed seed makes runs repeatable.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Hashes a key's bytes.
    #[inline]
    pub fn hash(self, key: &[u8]) -> KeyHash {
        KeyHash(xxhash_rust::xxh3::xxh3_64_with_seed(key, self.seed))
    }

    /// A key with its hash.
    #[inline]
    pub fn key(self, bytes: &[u8]) -> Key<'_> {
        Key {
            bytes,
            hash: self.hash(bytes),
        }
    }
}

/// A key and its hash.
#[derive(Debug, Clone, Copy)]
pub struct Key<'k> {
    /// The key's bytes, shorter than 64 KiB.
    pub bytes: &'k [u8],
    /// Their hash.
    pub hash: KeyHash,
}

/// How much memory the store takes and how it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreParams {
    /// Partitions, one a shard.
    pub shard_count: usize,
    /// Bytes of each partition, index, headers and what eviction remembers included; rounded down to
    /// whole segments.
    pub partition_bytes: usize,
    /// Largest key, value and memcached's item header together, in bytes.
    pub item_bytes_max: usize,
    /// What goes when memory is needed.
    pub eviction: Eviction,
}

impl StoreParams {
    /// Bytes of a segment: a 128th of the partition, so that the spare ones cost little, but
    /// room for the largest entry and at most 64 MiB, so that one is cleaned in reasonable time.
    pub fn segment_bytes(&self) -> usize {
        let wanted = (self.partition_bytes / 128).clamp(1 << 16, 64 << 20);
        (1 << wanted.ilog2()).max(self.item_bytes_max.next_power_of_two())
    }

    /// Fewest bytes a partition works with under this item limit.
    pub fn partition_bytes_min(&self) -> usize {
        let more = self.eviction.segment_count_more();
        // Another one pays for what the policy has beside the segments.
        (SEGMENT_COUNT_MIN + 2 * more)
            * Self {
                partition_bytes: 0,
                ..*self
            }
            .segment_bytes()
    }
}

/// Makes the store: one [`ShardStore`] for each shard, to be moved to its thread.
///
/// # Errors
/// The address space is not to be had, or a partition is smaller than
/// [`StoreParams::partition_bytes_min`] or larger than 1 TiB.
pub fn build(params: &StoreParams, hasher: KeyHasher) -> io::Result<Vec<ShardStore>> {
    let segment_bytes = params.segment_bytes();
    let eviction = params.eviction;
    let eviction_bytes = eviction.own_bytes(params.partition_bytes);
    let segment_count = (params.partition_bytes - eviction_bytes) / segment_bytes;
    let segment_count_min = SEGMENT_COUNT_MIN + eviction.segment_count_more();
    if segment_count < segment_count_min || (segment_count * segment_bytes) as u64 > ARENA_BYTES_MAX
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let epochs = Arc::new(Epochs::new(params.shard_count));
    let writers = (0..params.shard_count)
        .map(|shard| {
            let params = PartitionParams {
                segment_bytes,
                segment_count,
                eviction,
                eviction_bytes,
                item_bytes_max: params.item_bytes_max,
                shard,
                shard_count: params.shard_count,
            };
            PartitionWriter::new(&params, Arc::clone(&epochs), hasher)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let partitions: Arc<[_]> = writers.iter().map(|w| Arc::clone(&w.partition)).collect();
    let writers: Vec<_> = writers.into_iter().map(Owned::new).collect();
    let lenders: Arc<[_]> = writers.iter().map(Owned::lender).collect();
    Ok(writers
        .into_iter()
        .enumerate()
        .map(|(shard, writer)| ShardStore {
            shard,
            partitions: Arc::clone(&partitions),
            epochs: Arc::clone(&epochs),
            hasher,
            writer,
            lenders: Arc::clone(&lenders),
            marks_use: true,
        })
        .collect())
}
