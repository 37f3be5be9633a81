//! A shard's part of the store: readers on every shard, one writer on the owner.

#![expect(
    unsafe_code,
    reason = "joins the index's offsets with the entries behind them"
)]

use core::sync::atomic::{AtomicU64, Ordering};
use std::{io, sync::Arc};

use super::{
    Key, KeyHash, KeyHasher,
    arena::{Arena, Offset},
    count,
    deadline::{Deadline, UnixMs},
    entry::{ENTRY_OVERHEAD_BYTES_MAX, EntryRef, NewEntry},
    epoch::Epochs,
    figures::{Figures, PartitionStats},
    index::{Found, Index, IndexWriter},
    operation::{Applied, ExpireCondition, Expiry, Operation, Outcome, Side},
    segments::{Segments, Stream},
};

/// What the item limit counts beside key and value, in bytes: memcached's own header with CAS,
/// so that both servers draw the line at the same value.
const ITEM_OVERHEAD_BYTES: usize = 56;

// So an entry within the limit takes no more than the limit, which is what a segment has room for.
const _: () = assert!(ENTRY_OVERHEAD_BYTES_MAX <= ITEM_OVERHEAD_BYTES);

/// The part that every shard reads.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) arena: Arena,
    pub(super) index: Index,
    /// Entries up to this version were flushed and do not exist.
    flushed_cas: AtomicU64,
    figures: Figures,
}

impl Partition {
    /// The entry of a key, if there is one and it is alive at `now`.
    ///
    /// # Safety
    /// The calling thread is online in the epochs and passes no quiescent point during `'turn`.
    pub(super) unsafe fn get<'turn>(
        &'turn self,
        key: Key<'_>,
        now: UnixMs,
    ) -> Option<EntryRef<'turn>> {
        // SAFETY: passed on from the caller.
        let (_, entry) = unsafe { self.find(key)? };
        (self.is_alive(&entry) && !entry.deadline().is_past(now)).then_some(entry)
    }

    /// The slot and entry of a key, alive or not.
    ///
    /// # Safety
    /// As [`Self::get`].
    unsafe fn find<'turn>(&'turn self, key: Key<'_>) -> Option<(Found<'turn>, EntryRef<'turn>)> {
        let found = self.index.find(&self.arena, key.hash, |offset| {
            // SAFETY: the index gives offsets of published entries, see `entry`.
            unsafe { self.entry(offset) }.key() == key.bytes
        })?;
        // SAFETY: as above.
        let entry = unsafe { self.entry(found.offset) };
        Some((found, entry))
    }

    /// The entry at an offset that the index gave.
    ///
    /// # Safety
    /// As [`Self::get`]; the offset came out of the index since the last quiescent point.
    unsafe fn entry(&self, offset: Offset) -> EntryRef<'_> {
        // SAFETY: the index's Acquire load saw the owner's Release store, which came after the
        // entry was written; its segment is not reused before this thread's quiescent point.
        unsafe { EntryRef::new(self.arena.at(offset)) }
    }

    fn is_alive(&self, entry: &EntryRef<'_>) -> bool {
        entry.cas() > self.flushed_cas.load(Ordering::Acquire)
    }

    pub(super) fn stats(&self) -> PartitionStats {
        self.figures.stats()
    }
}

/// The right to change a partition; there is one, and it lives on the owner's thread.
#[derive(Debug)]
pub(super) struct PartitionWriter {
    pub(super) partition: Arc<Partition>,
    pub(super) epochs: Arc<Epochs>,
    pub(super) hasher: KeyHasher,
    pub(super) index: IndexWriter,
    pub(super) segments: Segments,
    pub(super) cleaning: Option<super::clean::Cleaning>,
    pub(super) sweep: super::clean::SweepCursor,
    entry_count: u64,
    /// When expired entries are swept next; never, as long as no entry had a deadline.
    sweep_at: Option<UnixMs>,
    next_cas: u64,
    cas_step: u64,
    flush_at: Option<UnixMs>,
    item_bytes_max: usize,
}

/// What a new partition needs to know.
#[derive(Debug, Clone)]
pub(super) struct PartitionParams {
    pub(super) segment_bytes: usize,
    pub(super) segment_count: usize,
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
        let partition = Partition {
            arena,
            index,
            flushed_cas: AtomicU64::new(0),
            figures: Figures::default(),
        };
        Ok(Self {
            partition: Arc::new(partition),
            epochs,
            hasher,
            index: index_writer,
            segments,
            cleaning: None,
            sweep: super::clean::SweepCursor::default(),
            entry_count: 0,
            sweep_at: None,
            next_cas: 1 + params.shard as u64,
            cas_step: params.shard_count as u64,
            flush_at: None,
            item_bytes_max: params.item_bytes_max,
        })
    }

    /// Applies `operation` with `value` to a key. The value that was there, if wanted, is
    /// appended to `old`.
    pub(super) fn apply(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        operation: Operation,
        value: &[u8],
        old: &mut Vec<u8>,
    ) -> Applied {
        self.make_room(key.bytes.len() + value.len(), now);
        let partition = Arc::clone(&self.partition);
        // SAFETY: the owner is online while it runs a turn, and what is found is not used after
        // this function, which contains no quiescent point.
        let found = unsafe { partition.find(key) };
        let found = self.drop_if_dead(found, now);
        let applied = match operation {
            Operation::Set {
                flags,
                expiry,
                condition,
                wants_old,
            } => {
                let mut has_old = false;
                if let (true, Some((_, entry))) = (wants_old, &found) {
                    old.extend_from_slice(entry.value());
                    has_old = true;
                }
                let outcome = match condition.refusal(found.as_ref().map(|(_, entry)| entry.cas()))
                {
                    Some(outcome) => outcome,
                    None => {
                        let deadline = match (expiry, &found) {
                            (Expiry::Until(deadline), _) => deadline,
                            (Expiry::Keep, Some((_, entry))) => entry.deadline(),
                            (Expiry::Keep, None) => Deadline::NEVER,
                        };
                        self.store(now, key, [value, &[]], flags, deadline, found)
                    }
                };
                Applied { outcome, has_old }
            }
            Operation::Concat { side, creates } => {
                self.concat(now, key, value, side, creates, found).into()
            }
            Operation::Delete { wants_old } => match found {
                None => Outcome::NotFound.into(),
                Some((slot, entry)) => {
                    if wants_old {
                        old.extend_from_slice(entry.value());
                    }
                    self.unlink(&slot, &entry);
                    Applied {
                        outcome: Outcome::Deleted,
                        has_old: wants_old,
                    }
                }
            },
            Operation::CountUnsigned { delta, down } => {
                self.count_unsigned(now, key, delta, down, found).into()
            }
            Operation::CountSigned { delta } => self.count_signed(now, key, delta, found).into(),
            Operation::Expire {
                deadline,
                condition,
            } => self.expire(now, deadline, condition, found).into(),
        };
        self.publish_figures();
        applied
    }

    /// Makes everything that is there now disappear, at once or at `at`.
    pub(super) fn flush(&mut self, now: UnixMs, at: UnixMs) {
        if at > now {
            self.flush_at = Some(at);
            return;
        }
        self.flush_at = None;
        let last_cas = self.next_cas - self.cas_step.min(self.next_cas);
        self.partition
            .flushed_cas
            .store(last_cas, Ordering::Release);
        self.segments.release_all();
        self.entry_count = 0;
        self.publish_figures();
    }

    /// When [`Self::tick`] has something to do, if ever.
    pub(super) fn next_tick(&self) -> Option<UnixMs> {
        let sweep = self.sweep_at.filter(|_| self.index.entry_count() > 0);
        match (self.flush_at, sweep) {
            (Some(flush), Some(sweep)) => Some(flush.min(sweep)),
            (one, other) => one.or(other),
        }
    }

    /// Runs a delayed flush that is due, and sweeps some of the expired entries.
    pub(super) fn tick(&mut self, now: UnixMs) {
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush(now, now);
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
            self.sweep_at = Some(UnixMs(now.0 + super::clean::SWEEP_INTERVAL_MS));
        }
        self.publish_figures();
    }

    /// From the first deadline on there is something to sweep.
    fn note_deadline(&mut self, now: UnixMs, deadline: Deadline) {
        if deadline != Deadline::NEVER && self.sweep_at.is_none() {
            self.sweep_at = Some(UnixMs(now.0 + super::clean::SWEEP_INTERVAL_MS));
        }
    }

    fn concat(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        value: &[u8],
        side: Side,
        creates: bool,
        found: Option<(Found<'_>, EntryRef<'_>)>,
    ) -> Outcome {
        match found {
            None if creates => self.store(now, key, [value, &[]], 0, Deadline::NEVER, None),
            None => Outcome::NotStored,
            Some((slot, entry)) => {
                let parts = match side {
                    Side::Back => [entry.value(), value],
                    Side::Front => [value, entry.value()],
                };
                if self.is_too_large(key, parts) {
                    return Outcome::TooLarge;
                }
                let (flags, deadline) = (entry.flags(), entry.deadline());
                self.store(now, key, parts, flags, deadline, Some((slot, entry)))
            }
        }
    }

    fn count_unsigned(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        delta: u64,
        down: bool,
        found: Option<(Found<'_>, EntryRef<'_>)>,
    ) -> Outcome {
        let Some((slot, entry)) = found else {
            return Outcome::NotFound;
        };
        match count::unsigned(entry.value(), delta, down) {
            Err(outcome) => outcome,
            Ok((number, text)) => {
                let (flags, deadline) = (entry.flags(), entry.deadline());
                let value = [text.as_bytes(), &[]];
                let stored = self.store(now, key, value, flags, deadline, Some((slot, entry)));
                if stored == Outcome::OutOfMemory {
                    stored
                } else {
                    Outcome::Unsigned(number)
                }
            }
        }
    }

    fn count_signed(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        delta: i64,
        found: Option<(Found<'_>, EntryRef<'_>)>,
    ) -> Outcome {
        let entry = found.as_ref().map(|(_, entry)| *entry);
        match count::signed(entry.map(|entry| entry.value()), delta) {
            Err(outcome) => outcome,
            Ok((number, text)) => {
                let (flags, deadline) = entry.map_or((0, Deadline::NEVER), |entry| {
                    (entry.flags(), entry.deadline())
                });
                let value = [text.as_bytes(), &[]];
                let stored = self.store(now, key, value, flags, deadline, found);
                if stored == Outcome::OutOfMemory {
                    stored
                } else {
                    Outcome::Signed(number)
                }
            }
        }
    }

    fn expire(
        &mut self,
        now: UnixMs,
        deadline: Deadline,
        condition: ExpireCondition,
        found: Option<(Found<'_>, EntryRef<'_>)>,
    ) -> Outcome {
        let Some((slot, entry)) = found else {
            return Outcome::NotFound;
        };
        let current = entry.deadline();
        let holds = match condition {
            ExpireCondition::Always => true,
            ExpireCondition::IfNone => current == Deadline::NEVER,
            ExpireCondition::IfSome => current != Deadline::NEVER,
            ExpireCondition::IfLater => deadline.to_bits() > current.to_bits(),
            ExpireCondition::IfEarlier => deadline.to_bits() < current.to_bits(),
            ExpireCondition::IfSomeEarlier => {
                current != Deadline::NEVER && deadline.to_bits() < current.to_bits()
            }
        };
        if !holds {
            return Outcome::Untouched;
        }
        if deadline.is_past(now) {
            self.unlink(&slot, &entry);
        } else {
            self.note_deadline(now, deadline);
            entry.set_deadline(deadline);
        }
        Outcome::Touched
    }

    fn store(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        value: [&[u8]; 2],
        flags: u32,
        deadline: Deadline,
        found: Option<(Found<'_>, EntryRef<'_>)>,
    ) -> Outcome {
        let stored = Outcome::Stored {
            value_bytes: (value[0].len() + value[1].len()) as u64,
        };
        if self.is_too_large(key, value) || deadline.is_past(now) {
            if let Some((slot, entry)) = &found {
                self.unlink(slot, entry);
            }
            return if deadline.is_past(now) {
                stored
            } else {
                Outcome::TooLarge
            };
        }
        let entry = NewEntry {
            key: key.bytes,
            value,
            flags,
            cas: self.next_cas,
            deadline,
        };
        let Some(offset) = self.write(Stream::Fresh, &entry) else {
            return Outcome::OutOfMemory;
        };
        self.note_deadline(now, deadline);
        match found {
            Some((slot, old)) => {
                IndexWriter::replace(&slot, offset);
                self.release(slot.offset, &old);
            }
            None => {
                if !self.link(key.hash, offset) {
                    let segment = self.partition.arena.segment_of(offset);
                    self.segments.release(segment, entry.footprint_bytes());
                    return Outcome::OutOfMemory;
                }
                self.entry_count += 1;
            }
        }
        self.next_cas += self.cas_step;
        stored
    }

    fn is_too_large(&self, key: Key<'_>, value: [&[u8]; 2]) -> bool {
        let bytes = key.bytes.len() + value[0].len() + value[1].len();
        bytes + ITEM_OVERHEAD_BYTES > self.item_bytes_max || key.bytes.len() > usize::from(u16::MAX)
    }

    /// Writes an entry into fresh memory; nobody sees it before the index names it.
    pub(super) fn write(&mut self, stream: Stream, entry: &NewEntry<'_>) -> Option<Offset> {
        let place = self.segments.append(stream, entry.footprint_bytes())?;
        let offset = Segments::offset(&self.partition.arena, place);
        // SAFETY: `append` handed out these bytes of an open segment once; an open segment was
        // free before, so by the epochs no reader holds a reference into it.
        unsafe { entry.write(self.partition.arena.at(offset)) };
        Some(offset)
    }

    /// Names a new entry in the index, which may grow. False if it has no room.
    fn link(&mut self, hash: KeyHash, offset: Offset) -> bool {
        let partition = Arc::clone(&self.partition);
        let Partition { arena, index, .. } = &*partition;
        if self.index.insert(index, arena, hash, offset).is_err() {
            let Some(segment) = self.segments.take_for_index() else {
                return false;
            };
            self.index.add_overflow(index, segment);
            if self.index.insert(index, arena, hash, offset).is_err() {
                return false;
            }
        }
        self.grow_index(&partition);
        true
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
            // SAFETY: the owner is online, and slots name published entries.
            hasher.hash(unsafe { partition.entry(offset) }.key())
        });
        if grown.is_err()
            && let Some(segment) = self.segments.take_for_index()
        {
            self.index.add_overflow(index, segment);
        }
    }

    /// Removes an entry from the index.
    pub(super) fn unlink(&mut self, slot: &Found<'_>, entry: &EntryRef<'_>) {
        self.index.remove(slot);
        if self.partition.is_alive(entry) {
            self.entry_count -= 1;
        }
        self.release(slot.offset, entry);
    }

    /// Counts an entry's bytes as dead. A flushed entry's were counted when it was flushed.
    pub(super) fn release(&mut self, offset: Offset, entry: &EntryRef<'_>) {
        if self.partition.is_alive(entry) {
            let segment = self.partition.arena.segment_of(offset);
            self.segments.release(segment, entry.footprint_bytes());
        }
    }

    /// Unlinks what was found if it has been flushed or has expired.
    fn drop_if_dead<'turn>(
        &mut self,
        found: Option<(Found<'turn>, EntryRef<'turn>)>,
        now: UnixMs,
    ) -> Option<(Found<'turn>, EntryRef<'turn>)> {
        let (slot, entry) = found?;
        if !self.partition.is_alive(&entry) {
            self.unlink(&slot, &entry);
            return None;
        }
        if entry.deadline().is_past(now) {
            self.unlink(&slot, &entry);
            self.count_expired();
            return None;
        }
        Some((slot, entry))
    }

    /// The slot and entry that the index names at `offset`, if it still does; for cleaning.
    pub(super) fn named<'a>(
        partition: &'a Partition,
        hasher: KeyHasher,
        offset: Offset,
    ) -> (EntryRef<'a>, Option<Found<'a>>) {
        // SAFETY: the cleaner walks whole entries of segments that are not free; the owner is
        // online and alone in reusing segments.
        let entry = unsafe { EntryRef::new(partition.arena.at(offset)) };
        let hash = hasher.hash(entry.key());
        (
            entry,
            partition
                .index
                .find(&partition.arena, hash, |at| at == offset),
        )
    }

    pub(super) fn is_dead(&self, entry: &EntryRef<'_>, now: UnixMs) -> bool {
        !self.partition.is_alive(entry) || entry.deadline().is_past(now)
    }

    pub(super) fn count_evicted(&self) {
        self.partition.figures.count_evicted();
    }

    pub(super) fn count_expired(&self) {
        self.partition.figures.count_expired();
    }

    fn publish_figures(&self) {
        let figures = &self.partition.figures;
        figures.set_content(self.entry_count, self.segments.live_bytes());
    }
}
