//! The store: one writer and any number of readers per partition, no locks.
//!
//! Keys are hashed once. Some bits pick the **owner**, the one shard whose [`ShardStore`] may
//! change the key; every shard may read it directly. Memory is fixed at start.
//!
//! * `epoch`: when freed memory may be reused (QSBR)
//! * `arena`, `entry`: the memory, and an entry in it (unsafe lives here and in `index`)
//! * `index`: hash to entry, growing a bucket at a time
//! * `pins`: values that are read for longer than a turn
//! * `vacancy`: room for values that are still to come
//! * `segments`, `clean`: appending, compaction, expiry
//! * `eviction`, `ghosts`: what goes when memory is needed, and who went lately
//! * `partition`: what readers and the writer hold
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
mod notes;
mod operation;
mod partition;
mod pins;
mod scan;
mod segments;
#[cfg(test)]
mod tests;
mod vacancy;

use std::{io, sync::Arc};

pub(crate) use self::segments::SEGMENT_COUNT_MIN;
pub use self::{
    arena::give_back_freed_buffers,
    deadline::{Deadline, UnixMs},
    entry::EntryRef,
    epoch::{Epoch, Epochs},
    eviction::Eviction,
    figures::PartitionStats,
    interest::{Interest, InterestWriter, Prefixes, Wanted},
    notes::{Author, Note, Notes},
    operation::{Applied, Condition, ExpireCondition, Expiry, Operation, Outcome, Side, Stamp},
    partition::{Absence, Guess},
    pins::PinnedValue,
    scan::{ListCursor, ScanCursor},
    vacancy::Vacancy,
};
use self::{
    index::ARENA_BYTES_MAX,
    partition::{Partition, PartitionParams, PartitionWriter},
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
    Ok(writers
        .into_iter()
        .enumerate()
        .map(|(shard, writer)| ShardStore {
            shard,
            partitions: Arc::clone(&partitions),
            epochs: Arc::clone(&epochs),
            hasher,
            writer,
            marks_use: true,
        })
        .collect())
}

/// Reads what all partitions count, on any thread.
#[derive(Debug, Clone)]
pub struct StoreGauges(Arc<[Arc<Partition>]>);

impl StoreGauges {
    /// The sum over all partitions.
    pub fn stats(&self) -> PartitionStats {
        let all = self.0.iter().map(|partition| partition.stats());
        all.fold(PartitionStats::default(), |sum, one| sum + one)
    }
}

/// A shard's view of the store: it reads every partition and writes its own.
///
/// A shard starts offline and must be [online](Self::online) to read. References it reads borrow
/// the store, and every call that could let their memory be reused takes it mutably.
#[derive(Debug)]
pub struct ShardStore {
    shard: usize,
    partitions: Arc<[Arc<Partition>]>,
    epochs: Arc<Epochs>,
    hasher: KeyHasher,
    writer: PartitionWriter,
    /// Whether [`Self::get`] marks what it finds as used.
    marks_use: bool,
}

impl ShardStore {
    /// Faults the memory of this shard's partition in; call it on the shard's own thread.
    ///
    /// # Errors
    /// What the kernel says, usually that there is not enough memory.
    pub fn populate(&mut self) -> io::Result<()> {
        self.writer.evictor.populate()?;
        self.writer.partition.arena.populate()
    }

    /// The hasher that all keys go through.
    pub fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    /// The shard that may change a key.
    #[inline]
    pub fn owner(&self, hash: KeyHash) -> usize {
        hash.owner(self.partitions.len())
    }

    /// Whether this shard may change a key.
    #[inline]
    pub fn owns(&self, hash: KeyHash) -> bool {
        self.owner(hash) == self.shard
    }

    /// The entry of a key, wherever it lives, marked as used unless
    /// [told otherwise](Self::set_marks_use).
    #[inline]
    pub fn get(&self, key: Key<'_>, now: UnixMs) -> Option<EntryRef<'_>> {
        let entry = self.peek(key, now)?;
        if self.marks_use {
            entry.mark_used(now);
        }
        Some(entry)
    }

    /// Leaves what has expired in memory for so many milliseconds, unless that is needed or its key is
    /// written: who looks at an earlier time finds it.
    pub fn keep_expired(&mut self, ms: u64) {
        self.writer.grace_ms = ms;
    }

    /// Whether what is read from now on is marked as used.
    pub fn set_marks_use(&mut self, marks_use: bool) {
        self.marks_use = marks_use;
    }

    /// The entry of a key, wherever it lives, without a mark that it was used.
    #[inline]
    pub fn peek(&self, key: Key<'_>, now: UnixMs) -> Option<EntryRef<'_>> {
        self.look(key, now).ok()
    }

    /// The entry of a key, wherever it lives, without a mark that it was used; else why there is
    /// none.
    #[inline]
    pub fn look(&self, key: Key<'_>, now: UnixMs) -> Result<EntryRef<'_>, Absence> {
        let partition = &self.partitions[self.owner(key.hash)];
        #[expect(unsafe_code, reason = "the borrow of self is the proof")]
        // SAFETY: the shard is online while it runs a turn, and `online`, `quiescent` and
        // `offline` take `&mut self`, so none of them runs while the result is borrowed.
        unsafe {
            partition.get(key, now)
        }
    }

    /// The same with a guess of this turn, which saves most of the search.
    #[inline]
    pub fn look_guessed<'turn>(
        &'turn self,
        key: Key<'_>,
        guess: Guess<'turn>,
        now: UnixMs,
    ) -> Result<EntryRef<'turn>, Absence> {
        let partition = &self.partitions[self.owner(key.hash)];
        #[expect(unsafe_code, reason = "the borrow of self is the proof")]
        // SAFETY: as in `look`.
        unsafe {
            partition.get_guessed(key, guess, now)
        }
    }

    /// Calls `visit` with the entries of one bucket of a partition.
    fn visit_bucket<'turn>(
        &'turn self,
        partition: usize,
        bucket: u64,
        now: UnixMs,
        visit: impl FnMut(EntryRef<'turn>),
    ) {
        #[expect(unsafe_code, reason = "the borrow of self is the proof")]
        // SAFETY: as in `peek`.
        unsafe {
            self.partitions[partition].visit_bucket(bucket, now, visit);
        }
    }

    /// Keeps the value of an entry of this key that was found in this turn where it is, beyond the turn,
    /// until what is given back is dropped. `None` if too much is pinned already.
    pub fn pin(&self, hash: KeyHash, entry: EntryRef<'_>) -> Option<PinnedValue> {
        PinnedValue::new(&self.partitions[self.owner(hash)], entry.value())
    }

    /// Asks for the cache line that [`Self::get`] will read first.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash) {
        let partition = &self.partitions[self.owner(hash)];
        partition.index.prefetch(&partition.arena, hash);
    }

    /// Asks for the cache lines of the entry; best some time after [`Self::prefetch`]. Which one that is
    /// is a guess.
    #[inline]
    pub fn prefetch_entry(&self, hash: KeyHash) -> Guess<'_> {
        let partition = &self.partitions[self.owner(hash)];
        #[expect(unsafe_code, reason = "the borrow of self is the proof")]
        // SAFETY: as in `look`.
        unsafe {
            partition.guess(hash)
        }
    }

    /// From here on notes what `listener` wants to hear of the changes of this shard's partition;
    /// nothing, if it does not listen any more.
    pub fn listen(&mut self, listener: usize, wanted: Option<Wanted>) {
        self.writer.listeners.set(listener, wanted);
    }

    /// Whether any shard listens.
    #[inline]
    pub fn has_listeners(&self) -> bool {
        !self.writer.listeners.is_empty()
    }

    /// In whose name changes are made from here on.
    #[inline]
    pub fn set_author(&mut self, author: Author) {
        self.writer.listeners.author = author;
    }

    /// The [number](Note::number) of the last change noted by the owner of a key. What is read
    /// after this shows that change; one that is noted with a higher number was not answered
    /// before.
    pub fn last_noted(&self, hash: KeyHash) -> u64 {
        self.partitions[self.owner(hash)].noted()
    }

    /// Whether there may be notes for anybody.
    #[inline]
    pub fn has_notes(&self) -> bool {
        self.writer.listeners.has_notes()
    }

    /// Looks whether all notes have been taken.
    pub fn renew_has_notes(&mut self) {
        self.writer.listeners.renew_has_notes();
    }

    /// The notes for `listener`, to be taken by exchanging them for empty ones.
    pub fn notes_mut(&mut self, listener: usize) -> Option<&mut Notes> {
        self.writer.listeners.notes_mut(listener)
    }

    /// Tells all listeners that a flush of all partitions has ended.
    pub fn note_end_of_flush(&mut self) {
        self.writer.listeners.note_end_of_flush();
    }

    /// Changes a key that this shard owns. The old value, if the operation wants it, is appended
    /// to `old`.
    pub fn apply(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        operation: Operation,
        value: &[u8],
        old: &mut Vec<u8>,
    ) -> Applied {
        debug_assert!(self.owns(key.hash));
        self.writer.apply(now, key, operation, value, old)
    }

    /// Whether a key and a value of so many bytes each are within the item limit.
    pub fn fits(&self, key_bytes: usize, value_bytes: usize) -> bool {
        self.writer.fits(key_bytes, value_bytes)
    }

    /// A CAS id for what was over as soon as it was stored: no entry of this shard's partition has
    /// it, nor will one ever.
    pub fn spare_cas(&mut self) -> u64 {
        self.writer.take_version()
    }

    /// Whether changes should wait: there is memory, but another shard has to end its turn before
    /// it can be used again.
    pub fn must_wait(&mut self) -> bool {
        // What was cleaned may turn out to be pinned, which is known after its grace period only; then
        // more has to be. So many are not pinned that this would not end.
        while !self.writer.segments.has_free() {
            self.writer.clean_if_out();
            if !self.writer.segments.is_out_for_now() {
                return false;
            }
            self.epochs.quiescent(self.shard);
            self.writer.segments.reclaim(&self.epochs);
            if self.writer.segments.is_out_for_now() {
                return true;
            }
        }
        false
    }

    /// Makes everything in this shard's partition disappear, at once or at `at`.
    pub fn flush(&mut self, now: UnixMs, at: UnixMs) {
        self.writer.flush(now, at);
    }

    /// Makes everything in this shard's partition disappear at once. A delayed flush still comes, unlike
    /// with [`Self::flush`], as this is nothing that a client asked for.
    pub fn drop_all(&mut self) {
        self.writer.drop_all();
    }

    /// When [`Self::tick`] wants to be called next, if at all.
    pub fn next_tick(&self) -> Option<UnixMs> {
        self.writer.next_tick()
    }

    /// Whether the delay of a flush is over, which [`Self::tick`] then does.
    pub fn has_to_flush(&self, now: UnixMs) -> bool {
        self.writer.has_to_flush(now)
    }

    /// Does what is due: delayed flushes, a bounded sweep of expired entries.
    pub fn tick(&mut self, now: UnixMs) {
        self.writer.tick(now);
    }

    /// The shard starts to read.
    pub fn online(&mut self) {
        self.epochs.online(self.shard);
    }

    /// The shard holds no reference at this point.
    pub fn quiescent(&mut self) {
        self.epochs.quiescent(self.shard);
    }

    /// The shard reads nothing until [`Self::online`].
    pub fn offline(&mut self) {
        self.epochs.offline(self.shard);
    }

    /// The sum over all partitions.
    pub fn stats(&self) -> PartitionStats {
        self.gauges().stats()
    }

    /// What reads the same from any thread.
    pub fn gauges(&self) -> StoreGauges {
        StoreGauges(Arc::clone(&self.partitions))
    }

    /// The partition of one shard.
    pub fn stats_of(&self, shard: usize) -> PartitionStats {
        self.partitions[shard].stats()
    }
}
