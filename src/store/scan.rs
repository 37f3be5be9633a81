//! Going through all keys, some at a time, while they change: SCAN, KEYS and RANDOMKEY.
//!
//! Any shard goes through all partitions, bucket by bucket, without asking anybody. Two ways:
//!
//! * A [`ScanCursor`] is a number that a client keeps. Buckets come in ascending order. The index
//!   only grows, and only by splitting an entry's bucket into itself and one behind all others
//!   (linear hashing); so an entry moves only forward, and one that is there from the first call to
//!   the last is met. It may be met twice, as Redis has it, too.
//! * A [`ListCursor`] lives in a connection while one request is answered in several turns. It
//!   remembers how many buckets there were when it began with a partition, and with a bucket visits
//!   those that were split off it since. So every key is met once.
//!
//! An owner may split a bucket while it is being read. Its entries are copied, then the new bucket
//! is counted, then they are cleared in the old one. So who misses an entry in the old bucket sees
//! the new count afterwards, and both ways look at the count after they have read.

use super::{EntryRef, ShardStore, UnixMs, index::bucket_of};

/// Where a scan that a client goes on with stands.
///
/// As a number it is the bucket, shifted, and the partition: 0 is the start, and no place where a
/// scan can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanCursor {
    partition: usize,
    bucket: u64,
}

/// Most empty buckets that are passed over in one step.
const PASSED_OVER_MAX: u64 = 16 * 1024;

/// Bits of a cursor that name the partition; as many as there can be shards.
const PARTITION_BITS: u32 = 8;

impl ScanCursor {
    /// The start.
    pub const START: Self = Self {
        partition: 0,
        bucket: 0,
    };

    /// What a client was told. A number that it was not told names some place, or the end.
    pub fn from_number(number: u64) -> Self {
        Self {
            partition: (number & ((1 << PARTITION_BITS) - 1)) as usize,
            bucket: number >> PARTITION_BITS,
        }
    }

    /// How many buckets lie between, in a scan that came here from `before`.
    pub fn buckets_since(self, before: Self) -> u64 {
        if self.partition == before.partition {
            self.bucket.saturating_sub(before.bucket)
        } else {
            1
        }
    }

    /// What a client is told.
    pub fn number(self) -> u64 {
        (self.bucket << PARTITION_BITS) | self.partition as u64
    }
}

/// How far a listing of all keys is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListCursor {
    partition: usize,
    bucket: u64,
    /// How many buckets the partition had when it was begun; 0 before.
    bucket_count: u64,
}

impl ShardStore {
    /// Visits the entries of one bucket that are alive at `now`; where to go on, or `None` at the
    /// end.
    pub fn scan<'turn>(
        &'turn self,
        cursor: ScanCursor,
        now: UnixMs,
        visit: impl FnMut(EntryRef<'turn>),
    ) -> Option<ScanCursor> {
        let ScanCursor { partition, bucket } = cursor;
        if bucket < self.bucket_count(partition)? {
            self.visit_bucket(partition, bucket, now, visit);
        }
        let bucket = self.next_used(partition, bucket.saturating_add(1));
        // Looked at again: the bucket may have been split meanwhile.
        if bucket < self.bucket_count(partition)? && !self.is_empty(partition) {
            return Some(ScanCursor { partition, bucket });
        }
        let partition = partition + 1;
        self.bucket_count(partition)?;
        let bucket = 0;
        Some(ScanCursor { partition, bucket })
    }

    /// A place to start from, chosen by any number, and how many steps from there it takes to come
    /// round to all that was there, going on at the start after the end.
    pub fn random_cursor(&self, number: u64) -> (ScanCursor, u64) {
        let partition = (number >> 32) as usize % self.partitions.len();
        let counts =
            (0..self.partitions.len()).filter_map(|partition| self.bucket_count(partition));
        let bucket = (number & u64::from(u32::MAX)) % self.bucket_count(partition).unwrap_or(1);
        (ScanCursor { partition, bucket }, counts.sum())
    }

    /// Visits some entries that are alive at `now`, each key once in a whole listing; how many
    /// buckets it has passed, or `None` at the end. `found` is empty before and after.
    pub fn list<'turn>(
        &'turn self,
        cursor: &mut ListCursor,
        now: UnixMs,
        found: &mut Vec<EntryRef<'turn>>,
        visit: impl FnMut(EntryRef<'turn>),
    ) -> Option<u64> {
        let ListCursor {
            partition, bucket, ..
        } = *cursor;
        let count_now = self.bucket_count(partition)?;
        if cursor.bucket_count == 0 {
            cursor.bucket_count = count_now;
        }
        self.collect_family(*cursor, now, found);
        found.drain(..).for_each(visit);
        cursor.bucket += 1;
        let next = self.next_used(partition, cursor.bucket);
        // Buckets that were split have more of a family than themselves.
        if self.bucket_count(partition) == Some(cursor.bucket_count) {
            cursor.bucket = next;
        }
        if cursor.bucket >= cursor.bucket_count || self.is_empty(partition) {
            *cursor = ListCursor {
                partition: partition + 1,
                ..ListCursor::default()
            };
        }
        let passed = if cursor.partition == partition {
            cursor.bucket - bucket
        } else {
            1
        };
        (cursor.partition < self.partitions.len()).then_some(passed)
    }

    /// The entries of a bucket and of all that were split off it since the listing began.
    fn collect_family<'turn>(
        &'turn self,
        cursor: ListCursor,
        now: UnixMs,
        found: &mut Vec<EntryRef<'turn>>,
    ) {
        let ListCursor {
            partition,
            bucket,
            bucket_count,
        } = cursor;
        // The last bucket that was split off when the listing began may still have had its entries
        // where they had been, too.
        let last = bucket_count - 1;
        let is_suspect = last > 0 && bucket == last - (1 << last.ilog2());
        let is_own = |entry: &EntryRef<'_>| {
            !is_suspect || bucket_of(self.hasher.hash(entry.key()), bucket_count) == bucket
        };
        let mut read = |bucket| {
            let before = found.len();
            self.visit_bucket(partition, bucket, now, |entry| {
                if !is_own(&entry) {
                    return;
                }
                // It may have been met where it was before.
                if !found[..before].iter().any(|seen| seen.key() == entry.key()) {
                    found.push(entry);
                }
            });
        };
        read(bucket);
        // What was split off while it was read is in buckets that are counted by now.
        let mut seen_count = bucket_count;
        while let Some(count) = self.bucket_count(partition)
            && count > seen_count
        {
            let new = seen_count..count;
            for_each_split_off(bucket, bucket_count, &new, &mut read);
            seen_count = count;
        }
    }

    /// The first bucket from one on in which something may be; not so far off that it takes long.
    fn next_used(&self, partition: usize, bucket: u64) -> u64 {
        let Some(partition) = self.partitions.get(partition) else {
            return bucket;
        };
        let end = partition.index.bucket_count();
        let end = end.min(bucket.saturating_add(PASSED_OVER_MAX));
        partition
            .index
            .next_used(&partition.arena, bucket, end.max(bucket))
    }

    /// Whether there is nothing to be met in a partition. A key that is there throughout is counted
    /// throughout.
    fn is_empty(&self, partition: usize) -> bool {
        let partition = self.partitions.get(partition);
        partition.is_none_or(|partition| partition.stats().entry_count == 0)
    }

    fn bucket_count(&self, partition: usize) -> Option<u64> {
        let partition = self.partitions.get(partition)?;
        Some(partition.index.bucket_count())
    }
}

/// Calls `visit` with those of the `wanted` buckets that were split off a bucket, or off one that
/// was, since there were `base`.
fn for_each_split_off(
    bucket: u64,
    base: u64,
    wanted: &core::ops::Range<u64>,
    visit: &mut impl FnMut(u64),
) {
    // Bucket n was split off n - 2^l, where 2^l is the largest power of two that is not above n.
    let first = u64::BITS - bucket.leading_zeros();
    for bit in first..u64::BITS {
        let child = bucket + (1 << bit);
        if child >= wanted.end {
            return;
        }
        if child < base {
            continue;
        }
        if wanted.contains(&child) {
            visit(child);
        }
        for_each_split_off(child, base, wanted, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    use crate::store::{
        Condition, Deadline, Eviction, Expiry, KeyHasher, Operation, Stamp, StoreParams, build,
    };

    const NOW: UnixMs = UnixMs(1_000);

    fn stores() -> Vec<ShardStore> {
        let params = StoreParams {
            shard_count: 2,
            partition_bytes: 8 << 20,
            item_bytes_max: 4096,
            eviction: Eviction::Lru,
        };
        let mut stores = build(&params, KeyHasher::new(7)).expect("memory");
        stores.iter_mut().for_each(ShardStore::online);
        stores
    }

    fn set(stores: &mut [ShardStore], number: u32, deadline: Deadline) {
        let name = number.to_string();
        let key = stores[0].hasher().key(name.as_bytes());
        let operation = Operation::Set {
            flags: 0,
            expiry: Expiry::Until(deadline),
            condition: Condition::Always,
            stamp: Stamp::default(),
            wants_old: false,
        };
        let owner = stores[0].owner(key.hash);
        stores[owner].apply(NOW, key, operation, b"v", &mut Vec::new());
    }

    fn number(entry: EntryRef<'_>) -> u32 {
        let text = std::str::from_utf8(entry.key()).expect("digits");
        text.parse().expect("a number")
    }

    /// All keys a scan meets, while `change` happens to the store after each step.
    fn scan(
        stores: &mut [ShardStore],
        mut change: impl FnMut(&mut [ShardStore], usize),
    ) -> HashMap<u32, usize> {
        let mut met = HashMap::new();
        let mut cursor = Some(ScanCursor::START);
        let mut step = 0;
        while let Some(at) = cursor {
            assert_eq!(ScanCursor::from_number(at.number()), at);
            assert!(step == 0 || at.number() > 0, "0 is the end");
            cursor = stores[0].scan(at, NOW, |entry| *met.entry(number(entry)).or_default() += 1);
            change(stores, step);
            step += 1;
        }
        met
    }

    fn list(
        stores: &mut [ShardStore],
        mut change: impl FnMut(&mut [ShardStore], usize),
    ) -> HashMap<u32, usize> {
        let mut met = HashMap::new();
        let mut cursor = ListCursor::default();
        for step in 0.. {
            let mut found = Vec::new();
            let goes_on = stores[1].list(&mut cursor, NOW, &mut found, |entry| {
                *met.entry(number(entry)).or_default() += 1;
            });
            if goes_on.is_none() {
                break;
            }
            change(stores, step);
        }
        met
    }

    #[test]
    fn all_that_is_alive_is_met_once() {
        let mut stores = stores();
        (0..20_000).for_each(|number| set(&mut stores, number, Deadline::NEVER));
        (0..5_000).for_each(|number| set(&mut stores, number, Deadline::at(NOW)));
        for met in [scan(&mut stores, |_, _| {}), list(&mut stores, |_, _| {})] {
            assert_eq!(met.len(), 15_000);
            assert!((5_000..20_000).all(|number| met.get(&number) == Some(&1)));
        }
        stores[0].flush(NOW, NOW);
        stores[1].flush(NOW, NOW);
        assert!(scan(&mut stores, |_, _| {}).is_empty());
        assert!(list(&mut stores, |_, _| {}).is_empty());
    }

    #[test]
    fn what_is_there_throughout_is_met_while_the_index_grows() {
        const THERE: u32 = 3_000;
        let grow = |stores: &mut [ShardStore], step: usize| {
            let step = step as u32;
            let new = THERE + 40 * step..THERE + 40 * (step + 1);
            new.for_each(|number| set(stores, number, Deadline::NEVER));
        };
        let there: HashSet<u32> = (0..THERE).collect();

        let mut stores = stores();
        there
            .iter()
            .for_each(|number| set(&mut stores, *number, Deadline::NEVER));
        let count = stores[0].bucket_count(0);
        let limited = |stores: &mut [ShardStore], step| {
            if step < 1_000 {
                grow(stores, step);
            }
        };
        let met = scan(&mut stores, limited);
        assert!(there.iter().all(|number| met.contains_key(number)));
        assert!(stores[0].bucket_count(0) > count, "it grew");

        let mut stores = self::stores();
        there
            .iter()
            .for_each(|number| set(&mut stores, *number, Deadline::NEVER));
        let met = list(&mut stores, limited);
        assert!(there.iter().all(|number| met.contains_key(number)));
        assert!(met.values().all(|times| *times == 1), "each key once");
        assert!(stores[0].bucket_count(0) > count, "it grew");
    }

    #[test]
    fn a_reader_misses_nothing_while_the_owner_splits() {
        let mut stores = stores();
        let hasher = stores[0].hasher();
        let mut owned = (0..).filter(|number: &u32| {
            let name = number.to_string();
            hasher.hash(name.as_bytes()).owner(2) == 0
        });
        let there: Vec<_> = owned.by_ref().take(3_000).collect();
        there
            .iter()
            .for_each(|number| set(&mut stores, *number, Deadline::NEVER));
        let new: Vec<_> = owned.take(60_000).collect();
        let mut reader = stores.pop().expect("two");
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                for number in new {
                    set(&mut stores, number, Deadline::NEVER);
                    stores[0].quiescent();
                }
                stores[0].offline();
            });
            while !writer.is_finished() {
                let mut met = HashMap::new();
                let mut cursor = ListCursor::default();
                while reader
                    .list(&mut cursor, NOW, &mut Vec::new(), |entry| {
                        *met.entry(number(entry)).or_insert(0) += 1;
                    })
                    .is_some()
                {}
                let twice: Vec<_> = met.iter().filter(|(_, times)| **times != 1).collect();
                assert!(twice.is_empty(), "{} twice: {:?}", twice.len(), &twice[..1]);
                assert!(there.iter().all(|number| met.contains_key(number)));
                reader.quiescent();
                let mut met = HashSet::new();
                let mut cursor = Some(ScanCursor::START);
                while let Some(at) = cursor {
                    cursor = reader.scan(at, NOW, |entry| {
                        met.insert(number(entry));
                    });
                }
                assert!(there.iter().all(|number| met.contains(number)));
                reader.quiescent();
            }
        });
    }

    #[test]
    fn any_number_is_a_cursor() {
        let stores = stores();
        for number in [1, 2, 255, 256, u64::MAX, u64::MAX - 255, 1 << 63] {
            let mut cursor = Some(ScanCursor::from_number(number));
            while let Some(at) = cursor {
                cursor = stores[0].scan(at, NOW, |_| panic!("an empty store"));
            }
        }
    }

    #[test]
    fn families_are_what_linear_hashing_splits_off() {
        // Every bucket beyond the base is in one family, that of where its entries were.
        for base in 1..40_u64 {
            for count in base..200 {
                let mut families = HashMap::new();
                for bucket in 0..base {
                    let wanted = base..count;
                    for_each_split_off(bucket, base, &wanted, &mut |member| {
                        assert_eq!(families.insert(member, bucket), None);
                    });
                }
                assert_eq!(families.len() as u64, count - base);
                for (member, bucket) in families {
                    let mut ancestor = member;
                    while ancestor >= base {
                        ancestor -= 1 << ancestor.ilog2();
                    }
                    assert_eq!(ancestor, bucket, "{member} of {base}");
                }
            }
        }
    }
}
