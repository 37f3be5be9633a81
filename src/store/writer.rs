//! Changing a partition: the index, the segments and what is counted go along with each other.

#![expect(
    unsafe_code,
    reason = "writes entries into the arena, and joins the index's offsets with them"
)]

use core::sync::atomic::{AtomicU64, Ordering};
use std::{io, sync::Arc};

use super::{
    Key, KeyHash, KeyHasher,
    arena::{Arena, Offset},
    deadline::{Deadline, UnixMs},
    entry::{EntryRef, NewEntry},
    epoch::Epochs,
    eviction::{Eviction, Evictor},
    figures::Figures,
    index::{Found, Index, IndexWriter, bucket_of},
    listeners::Listeners,
    notes::Author,
    partition::Partition,
    segments::{Segments, Stream},
};

/// The right to change a partition. There is one; a shard that is online has it: the owner, or one that
/// [borrowed](super::loan) it.
#[derive(Debug)]
pub(super) struct PartitionWriter {
    pub(super) partition: Arc<Partition>,
    pub(super) epochs: Arc<Epochs>,
    pub(super) hasher: KeyHasher,
    pub(super) index: IndexWriter,
    pub(super) segments: Segments,
    pub(super) evictor: Evictor,
    pub(super) cleaning: Option<super::clean::Cleaning>,
    pub(super) sweep: super::clean::SweepCursor,
    pub(super) entry_count: u64,
    /// Entries that have a deadline.
    pub(super) deadline_count: u64,
    /// When expired entries are swept next; never, as long as no entry had a deadline.
    sweep_at: Option<UnixMs>,
    pub(super) next_version: u64,
    pub(super) version_step: u64,
    flush_at: Option<UnixMs>,
    /// How long what has expired keeps its memory, in milliseconds.
    pub(super) grace_ms: u64,
    pub(super) listeners: Listeners,
    pub(super) item_bytes_max: usize,
}

/// An entry that lies in a segment.
pub(super) struct Named<'a> {
    pub(super) hash: KeyHash,
    pub(super) entry: EntryRef<'a>,
    /// Where the index names it, if it still does.
    pub(super) slot: Option<Found<'a>>,
}

/// What a new partition needs to know.
#[derive(Debug, Clone)]
pub(super) struct PartitionParams {
    pub(super) segment_bytes: usize,
    pub(super) segment_count: usize,
    pub(super) eviction: Eviction,
    /// Bytes that eviction has beside the segments.
    pub(super) eviction_bytes: usize,
    pub(super) item_bytes_max: usize,
    pub(super) shard: usize,
    pub(super) shard_count: usize,
}

impl PartitionWriter {
    pub(super) fn new(
        params: &PartitionParams,
        epochs: Arc<Epochs>,
        hasher: KeyHasher,
    ) -> io::Result<Self> {
        let arena = Arena::map(params.segment_bytes, params.segment_count)?;
        let mut segments = Segments::new(&arena);
        let first = segments
            .take_for_index()
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let (index, index_writer) = Index::new(&arena, first);
        let listeners = Listeners::default();
        let partition = Partition {
            arena,
            index,
            flushed_version: AtomicU64::new(0),
            figures: Figures::default(),
            pins: segments.pins(),
            noted: listeners.noted(),
        };
        Ok(Self {
            partition: Arc::new(partition),
            epochs,
            hasher,
            index: index_writer,
            segments,
            evictor: Evictor::new(params.eviction, params.eviction_bytes)?,
            cleaning: None,
            sweep: super::clean::SweepCursor::default(),
            entry_count: 0,
            deadline_count: 0,
            sweep_at: None,
            next_version: 1 + params.shard as u64,
            version_step: params.shard_count as u64,
            flush_at: None,
            grace_ms: 0,
            listeners,
            item_bytes_max: params.item_bytes_max,
        })
    }

    /// The slot and entry of a key that is alive; one that is not is unlinked.
    pub(super) fn find_alive<'turn>(
        &mut self,
        partition: &'turn Partition,
        key: Key<'_>,
        now: UnixMs,
    ) -> Option<(Found<'turn>, EntryRef<'turn>)> {
        // SAFETY: the shard that has the writer is online, and what is found is not used after
        // the change that asked for it, which contains no quiescent point.
        let found = unsafe { partition.find(key) };
        self.drop_if_dead(found, now)
    }

    /// Makes everything that is there now disappear, at once or at `at`.
    pub(super) fn flush(&mut self, now: UnixMs, at: UnixMs) {
        if at > now {
            self.flush_at = Some(at);
            return;
        }
        self.flush_at = None;
        self.drop_all();
    }

    /// The same at once, whatever is to be flushed later.
    pub(super) fn drop_all(&mut self) {
        let last_version = self.next_version - self.version_step.min(self.next_version);
        self.partition
            .flushed_version
            .store(last_version, Ordering::Release);
        self.segments.release_all();
        self.partition.figures.forget_copies();
        self.entry_count = 0;
        self.deadline_count = 0;
        self.publish_figures();
    }

    /// Whether a change now is all that there is to do: no flush is due before it, no cleaning waits for other shards,
    /// nobody has to be told.
    pub(super) fn concerns_nobody_else(&self, now: UnixMs) -> bool {
        self.listeners.is_empty() && !self.has_to_flush(now) && self.segments.has_free()
    }

    /// When [`Self::tick`] has something to do, if ever.
    pub(super) fn next_tick(&self) -> Option<UnixMs> {
        let sweep = self.sweep_at.filter(|_| self.index.entry_count() > 0);
        match (self.flush_at, sweep) {
            (Some(flush), Some(sweep)) => Some(flush.min(sweep)),
            (one, other) => one.or(other),
        }
    }

    /// Whether the delay of a flush is over.
    pub(super) fn has_to_flush(&self, now: UnixMs) -> bool {
        self.flush_at.is_some_and(|at| at <= now)
    }

    /// Runs a delayed flush that is due, and sweeps some of the expired entries.
    pub(super) fn tick(&mut self, now: UnixMs) {
        if self.has_to_flush(now) {
            self.flush(now, now);
            self.listeners.note_end_of_flush();
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
            self.sweep_at = Some(UnixMs(now.0 + super::clean::SWEEP_INTERVAL_MS));
        }
        self.publish_figures();
    }

    /// From the first deadline on there is something to sweep.
    pub(super) fn note_deadline(&mut self, now: UnixMs, deadline: Deadline) {
        if deadline != Deadline::NEVER && self.sweep_at.is_none() {
            self.sweep_at = Some(UnixMs(now.0 + super::clean::SWEEP_INTERVAL_MS));
        }
    }

    /// Writes an entry into fresh memory; nobody sees it before the index names it.
    #[inline]
    pub(super) fn write(&mut self, stream: Stream, entry: &NewEntry<'_>) -> Option<Offset> {
        let place = self.segments.append(stream, entry.footprint_bytes())?;
        let offset = Segments::offset(&self.partition.arena, place);
        // SAFETY: `append` handed out these bytes of an open segment once; an open segment was
        // free before, so by the epochs no reader holds a reference into it.
        unsafe { entry.write(self.partition.arena.at(offset)) };
        self.count_copy(entry);
        Some(offset)
    }

    /// Counts a new entry if it is a copy.
    #[inline]
    pub(super) fn count_copy(&self, entry: &NewEntry<'_>) {
        if entry.is_copy {
            let bytes = entry.footprint_bytes();
            self.partition.figures.count_copy(bytes);
        }
    }

    /// Names a new entry in the index, which may grow. False if it has no room.
    pub(super) fn link(&mut self, now: UnixMs, hash: KeyHash, offset: Offset) -> bool {
        let partition = Arc::clone(&self.partition);
        let Partition { arena, index, .. } = &*partition;
        if self.index.insert(index, arena, hash, offset).is_err() {
            match self.segments.take_for_index() {
                Some(segment) => self.index.add_overflow(index, segment),
                None => self.drop_neighbour(&partition, hash, now),
            }
            if self.index.insert(index, arena, hash, offset).is_err() {
                return false;
            }
        }
        self.grow_index(&partition);
        true
    }

    /// Drops what was not used for longest of a bucket, which is full where memory is, too.
    #[cold]
    fn drop_neighbour(&mut self, partition: &Partition, hash: KeyHash, now: UnixMs) {
        let Partition { arena, index, .. } = partition;
        let mut oldest = None::<(UnixMs, Offset)>;
        index.visit_bucket(arena, bucket_of(hash, index.bucket_count()), |offset| {
            // SAFETY: the shard that has the writer is online, and slots name published entries.
            let used_at = unsafe { partition.entry(offset) }.used_at();
            if oldest.is_none_or(|(before, _)| used_at < before) {
                oldest = Some((used_at, offset));
            }
        });
        let Some((_, offset)) = oldest else { return };
        let Named { entry, slot, .. } = Self::named(partition, self.hasher, offset);
        let Some(slot) = slot else { return };
        if self.is_dead(&entry, now) {
            self.drop_dead(&slot, &entry);
            return;
        }
        self.count_evicted(&entry);
        self.unlink(&slot, &entry, Author::NOBODY);
    }

    fn grow_index(&mut self, partition: &Partition) {
        let Partition { arena, index, .. } = partition;
        if !self.index.wants_to_grow(index) {
            return;
        }
        if !self.index.has_room_to_grow(index) {
            let Some(segment) = self.segments.take_for_index() else {
                return;
            };
            self.index.add_primary(index, segment);
        }
        let hasher = self.hasher;
        let grown = self.index.grow(index, arena, |offset| {
            // SAFETY: the shard that has the writer is online, and slots name published entries.
            hasher.hash(unsafe { partition.entry(offset) }.key())
        });
        if grown.is_err()
            && let Some(segment) = self.segments.take_for_index()
        {
            self.index.add_overflow(index, segment);
        }
    }

    /// Removes an entry from the index, on behalf of `author`.
    pub(super) fn unlink(&mut self, slot: &Found<'_>, entry: &EntryRef<'_>, author: Author) {
        self.index.remove(slot);
        if self.partition.is_alive(entry) {
            self.entry_count -= 1;
            self.listeners.note(author, entry.key(), self.hasher);
            self.deadline_count -= entry.deadline().count();
        }
        self.release(slot.offset, entry);
    }

    /// Counts an entry's bytes as dead. A flushed entry's were counted when it was flushed.
    pub(super) fn release(&mut self, offset: Offset, entry: &EntryRef<'_>) {
        if self.partition.is_alive(entry) {
            self.release_bytes(offset, entry.footprint_bytes(), entry.is_copy());
        }
    }

    /// Counts an entry's bytes as dead that found no room in the index.
    #[cold]
    pub(super) fn forget(&mut self, offset: Offset) {
        let partition = Arc::clone(&self.partition);
        let Named { entry, .. } = Self::named(&partition, self.hasher, offset);
        self.release(offset, &entry);
    }

    /// The bytes at `offset`, which no flush has counted, are dead.
    fn release_bytes(&mut self, offset: Offset, bytes: usize, is_copy: bool) {
        let segment = self.partition.arena.segment_of(offset);
        if self.segments.release(segment, bytes) {
            self.retire_blank(segment);
        }
        if is_copy {
            self.partition.figures.uncount_copy(bytes);
        }
    }

    /// A segment that the index names nothing in needs no cleaning.
    #[cold]
    fn retire_blank(&mut self, segment: u32) {
        let epoch = self.epochs.retire();
        self.segments.retire(segment, epoch);
    }

    /// Unlinks what was found if it has been flushed or has expired.
    fn drop_if_dead<'turn>(
        &mut self,
        found: Option<(Found<'turn>, EntryRef<'turn>)>,
        now: UnixMs,
    ) -> Option<(Found<'turn>, EntryRef<'turn>)> {
        let (slot, entry) = found?;
        if !self.partition.is_alive(&entry) || entry.deadline().is_past(now) {
            self.drop_dead(&slot, &entry);
            return None;
        }
        Some((slot, entry))
    }

    /// Unlinks an entry that has been flushed or has expired. Only what was not flushed counts as
    /// expired.
    pub(super) fn drop_dead(&mut self, slot: &Found<'_>, entry: &EntryRef<'_>) {
        if self.partition.is_alive(entry) {
            self.partition.figures.count_expired(entry.is_fetched());
        }
        self.unlink(slot, entry, Author::NOBODY);
    }

    /// The entry at `offset`, for cleaning.
    pub(super) fn named(partition: &Partition, hasher: KeyHasher, offset: Offset) -> Named<'_> {
        // SAFETY: the cleaner walks whole entries of segments that are not free; the shard that has
        // the writer is online and alone in reusing segments.
        let entry = unsafe { EntryRef::new(partition.arena.at(offset)) };
        let hash = hasher.hash(entry.key());
        let Partition { arena, index, .. } = partition;
        let slot = index.find(arena, hash, |at| at == offset);
        Named { hash, entry, slot }
    }

    /// Whether nobody will ask for the entry any more.
    pub(super) fn is_dead(&self, entry: &EntryRef<'_>, now: UnixMs) -> bool {
        let kept_since = UnixMs(now.0.saturating_sub(self.grace_ms));
        !self.partition.is_alive(entry) || entry.deadline().is_past(kept_since)
    }

    pub(super) fn count_evicted(&self, entry: &EntryRef<'_>) {
        let figures = &self.partition.figures;
        figures.count_evicted(entry.is_fetched(), entry.is_copy());
    }

    pub(super) fn publish_figures(&self) {
        let figures = &self.partition.figures;
        let live_bytes = self.segments.live_bytes();
        figures.set_content(self.entry_count, self.deadline_count, live_bytes);
        figures.set_index_bytes(self.segments.index_bytes());
    }
}
