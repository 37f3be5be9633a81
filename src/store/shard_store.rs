//! What a shard has of the store.

use std::{io, sync::Arc};

use super::{
    Key, KeyHash, KeyHasher,
    deadline::UnixMs,
    entry::EntryRef,
    epoch::Epochs,
    figures::PartitionStats,
    interest::Concern,
    loan::{Lender, Owned},
    notes::{Author, Notes},
    operation::{Applied, Operation},
    partition::{Absence, Guess, Partition},
    pins::PinnedValue,
    writer::PartitionWriter,
};

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

/// What came of a change that was made in the stead of a shard that sleeps.
#[derive(Debug)]
pub struct InStead {
    /// As if that shard had made it.
    pub applied: Applied,
    /// The partition is to be looked after sooner than that shard knew when it went to sleep: wake it.
    pub is_due_sooner: bool,
}

/// A shard's view of the store: it reads every partition and writes its own, and those of shards that sleep.
///
/// A shard starts offline and must be [online](Self::online) to read and write. References it reads borrow
/// the store, and every call that could let their memory be reused takes it mutably.
#[derive(Debug)]
pub struct ShardStore {
    pub(super) shard: usize,
    pub(super) partitions: Arc<[Arc<Partition>]>,
    pub(super) epochs: Arc<Epochs>,
    pub(super) hasher: KeyHasher,
    pub(super) writer: Owned<PartitionWriter>,
    /// Where the writers of all partitions are borrowed.
    pub(super) lenders: Arc<[Lender<PartitionWriter>]>,
    /// Whether [`Self::get`] marks what it finds as used.
    pub(super) marks_use: bool,
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
    pub(super) fn visit_bucket<'turn>(
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
    pub fn listen(&mut self, listener: usize, wanted: Option<Concern>) {
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

    /// The [number](super::Note::number) of the last change noted by the owner of a key. What is read
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

    /// Changes a key of another shard that sleeps, in its stead. None if that one is awake, a third one is at it, or
    /// there is more to be done than to change the partition.
    pub fn apply_for_sleeper(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        operation: Operation,
        value: &[u8],
        old: &mut Vec<u8>,
    ) -> Option<InStead> {
        let lender = &self.lenders[self.owner(key.hash)];
        let applied = lender.borrow(|writer| {
            if !writer.concerns_nobody_else(now) {
                return None;
            }
            let due = writer.next_tick();
            let applied = writer.apply(now, key, operation, value, old);
            let is_sooner = |at| due.is_none_or(|due| at < due);
            Some(InStead {
                applied,
                is_due_sooner: writer.next_tick().is_some_and(is_sooner),
            })
        });
        applied.flatten()
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
        // Whether a cleaned segment is pinned is known only after its grace period. If it is, more has to
        // be cleaned. This ends, as only a share of the segments can be pinned (`Pins`).
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

    /// The shard starts to read and to write: what it has lent it takes back.
    pub fn online(&mut self) {
        self.writer.take_back();
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

    /// The shard, offline, is about to sleep: until [`Self::online`] others change its partition, and it does not.
    pub fn lend(&mut self) {
        self.writer.lend();
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
