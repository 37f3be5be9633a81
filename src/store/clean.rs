//! Making room: compaction, eviction and the sweep of expired entries.
//!
//! Entries are appended to segments, so what is overwritten or deleted leaves holes. A sealed segment
//! with nothing left is freed at once. Cleaning picks one with something left, walks its entries, keeps
//! some by appending them elsewhere, and frees the segment. Both after a grace period.
//!
//! * While less than [`LIVE_BYTES_PERCENT_MAX`] of the memory is alive, holes are the problem:
//!   the emptiest segment is **compacted**, everything alive in it moves (its age with it).
//! * Above that, entries must go: a segment is **evicted**. Which one, and what of it has earned to
//!   stay, `eviction` decides; the rest is dropped.
//!
//! It runs in small steps, paid by the writes that need the room: each write cleans a multiple
//! of its own size, a larger multiple the fewer spare segments are left, so a write never waits
//! for a whole segment. Nor does what is moved ever take the room that the write needs: it goes
//! elsewhere, or waits for what will soon be free. Only if nothing will be, as can be with few
//! segments or large entries, a segment is cleaned to its end before the next write, and what
//! finds no room is dropped.

use std::sync::Arc;

use super::{
    arena::Offset,
    deadline::UnixMs,
    entry::{ENTRY_OVERHEAD_BYTES_MAX, EntryRef},
    eviction::Place,
    index::{Found, IndexWriter},
    notes::Author,
    partition::Partition,
    segments::{Segments, Stream},
    writer::{Named, PartitionWriter},
};

/// Above this share of the memory alive, eviction starts. Compacting fuller segments would move
/// more than ten bytes for each byte it frees.
const LIVE_BYTES_PERCENT_MAX: u64 = 90;

/// Bytes cleaned per byte written with one segment short, with two, with all.
const CLEAN_FACTORS: [usize; 4] = [0, 6, 24, 96];

/// Least bytes cleaned in a step, so that tiny writes get somewhere.
const CLEAN_BYTES_MIN: usize = 256;

/// Time between two sweeps for expired entries.
pub(super) const SWEEP_INTERVAL_MS: u64 = 1_000;

/// Entries looked at in one sweep: about a quarter of a millisecond.
const SWEEP_ENTRIES_MAX: usize = 4_096;

/// Bytes by which a counter may outgrow the number that it replaces. All other changes know the size
/// of what they store beforehand.
const COUNTER_BYTES_MAX: usize = 1_024 + 20;

/// A segment being cleaned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cleaning {
    segment: u32,
    position: u32,
    evicts: bool,
    second_chance_bytes: u32,
}

/// Where the sweep goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SweepCursor {
    segment: u32,
    /// The use of the segment that it is a place in: in the next, other entries begin elsewhere.
    opening: Option<u64>,
    position: u32,
}

impl PartitionWriter {
    /// Cleans enough that writes of `bytes` keep finding free segments. A write that would have found
    /// one before finds one afterwards.
    pub(super) fn make_room(&mut self, bytes: usize, now: UnixMs) {
        if self.segments.may_reclaim() {
            self.segments.reclaim(&self.epochs);
        }
        let deficit = self.segments.deficit();
        if deficit > 0 || self.cleaning.is_some() {
            self.clean(bytes, deficit, now);
        }
    }

    /// Cleans for a write of `bytes`, with so many segments short. Apart from the write that needs none.
    #[inline(never)]
    fn clean(&mut self, bytes: usize, deficit: usize, now: UnixMs) {
        let write_bytes = bytes + ENTRY_OVERHEAD_BYTES_MAX + COUNTER_BYTES_MAX;
        let write_bytes = Some(write_bytes.min(self.item_bytes_max));
        let mut budget = CLEAN_FACTORS[deficit.max(1)] * bytes.max(CLEAN_BYTES_MIN / 6);
        while budget > 0 {
            let Some(cleaning) = self.cleaning.take().or_else(|| self.choose_victim()) else {
                return;
            };
            budget = budget.saturating_sub(self.clean_entry(cleaning, write_bytes, now));
            if self.cleaning.is_none() && self.segments.deficit() == 0 {
                return;
            }
        }
    }

    /// Cleans a segment to its end if none is free or about to be, and the next write may need one. What
    /// has expired by now is not told from the rest.
    #[cold]
    pub(super) fn clean_if_out(&mut self) {
        if self.segments.fits(Stream::Fresh, self.item_bytes_max) {
            return;
        }
        while !self.segments.has_free() && !self.segments.has_retired() {
            let Some(cleaning) = self.cleaning.take().or_else(|| self.choose_victim()) else {
                return;
            };
            self.clean_entry(cleaning, None, UnixMs(0));
        }
    }

    fn choose_victim(&mut self) -> Option<Cleaning> {
        let evicts = self.segments.live_bytes() * 100
            > self.segments.capacity_bytes() * LIVE_BYTES_PERCENT_MAX;
        let (segment, live_bytes) = self.segments.emptiest()?;
        let is_full = u64::from(live_bytes) * 100
            > self.partition.arena.segment_bytes() as u64 * LIVE_BYTES_PERCENT_MAX;
        if evicts || is_full {
            return self.choose_evicted();
        }
        Some(self.start_cleaning(segment, false))
    }

    fn choose_evicted(&mut self) -> Option<Cleaning> {
        let segment = self.evictor.victim(&self.segments, self.entry_count)?;
        Some(self.start_cleaning(segment, true))
    }

    fn start_cleaning(&mut self, segment: u32, evicts: bool) -> Cleaning {
        self.segments.start_cleaning(segment);
        Cleaning {
            segment,
            position: 0,
            evicts,
            second_chance_bytes: 0,
        }
    }

    /// Cleans one entry, or ends the segment. Returns the bytes that were passed, more than any budget
    /// if it has to wait. `write_bytes` is what the write that pays for this takes at most; without one,
    /// the segment has to end.
    fn clean_entry(
        &mut self,
        mut cleaning: Cleaning,
        write_bytes: Option<usize>,
        now: UnixMs,
    ) -> usize {
        let is_over = cleaning.position >= self.segments.used_bytes(cleaning.segment);
        if is_over || self.segments.is_blank(cleaning.segment) {
            let epoch = self.epochs.retire();
            self.segments.retire(cleaning.segment, epoch);
            self.segments.reclaim(&self.epochs);
            return 1;
        }
        let partition = Arc::clone(&self.partition);
        let place = (cleaning.segment, cleaning.position);
        let offset = Segments::offset(&partition.arena, place);
        let may_wait = write_bytes.is_some() && self.segments.has_retired();
        let write_bytes = write_bytes.unwrap_or(0);
        let bytes = self.clean_at(
            &partition,
            offset,
            &mut cleaning,
            (write_bytes, may_wait),
            now,
        );
        if bytes.is_none() && !may_wait {
            // What is alive would have to go, and it may be new: rather what is to be evicted first.
            self.segments.stop_cleaning(cleaning.segment);
            self.cleaning = self.choose_evicted();
            return 1;
        }
        cleaning.position += bytes.unwrap_or(0) as u32;
        self.cleaning = Some(cleaning);
        bytes.unwrap_or(usize::MAX)
    }

    /// Passes an entry, of so many bytes; none if there is no memory to move it to, and it may wait or
    /// is not to be evicted.
    #[inline]
    fn clean_at(
        &mut self,
        partition: &Partition,
        offset: Offset,
        cleaning: &mut Cleaning,
        (write_bytes, may_wait): (usize, bool),
        now: UnixMs,
    ) -> Option<usize> {
        let Named { hash, entry, slot } = Self::named(partition, self.hasher, offset);
        let bytes = entry.footprint_bytes();
        let Some(slot) = slot else {
            return Some(bytes);
        };
        if self.is_dead(&entry, now) {
            self.drop_dead(&slot, &entry);
            return Some(bytes);
        }
        let old = (self.segments.stream(cleaning.segment), entry.uses());
        let stayed_bytes = cleaning.second_chance_bytes;
        let next = if cleaning.evicts {
            let has_room = |percent_max| self.has_second_chance(percent_max, cleaning, bytes);
            self.evictor.place_of_old(old, has_room)
        } else {
            Some(self.evictor.place_of_compacted(old))
        };
        let moved = match next {
            None => false,
            Some(next) => {
                let to = self.stream_with_room(next, old.1, bytes, write_bytes);
                if to.is_none() && (may_wait || !cleaning.evicts) {
                    cleaning.second_chance_bytes = stayed_bytes;
                    return None;
                }
                to.is_some_and(|to| self.relocate((&slot, &entry), to, cleaning.segment))
            }
        };
        if !moved {
            self.unlink(&slot, &entry, Author::NOBODY);
            self.count_evicted(&entry);
            self.evictor.note_left(hash, old.0);
        }
        Some(bytes)
    }

    /// Moves an entry out of a segment, if there is memory.
    fn relocate(
        &mut self,
        (slot, entry): (&Found<'_>, &EntryRef<'_>),
        (stream, uses): Place,
        segment: u32,
    ) -> bool {
        let Some(moved) = self.write(stream, &entry.to_new(uses)) else {
            return false;
        };
        IndexWriter::replace(slot, moved);
        self.release(slot.offset, entry);
        if stream == Stream::Aged {
            self.segments.age_like(segment);
        }
        true
    }

    /// Where `bytes` which are moved find room, and leave some for a write: where they belong, or
    /// somewhere else, where they have still to earn their place with the uses they have.
    fn stream_with_room(
        &self,
        wanted: Place,
        uses: u32,
        bytes: usize,
        write_bytes: usize,
    ) -> Option<Place> {
        let has_room = |stream| self.segments.leaves_room(stream, bytes, write_bytes);
        if has_room(wanted.0) {
            return Some(wanted);
        }
        let mut others = self.evictor.streams().iter().copied();
        let other = others.find(|stream| has_room(*stream))?;
        Some((other, uses))
    }

    /// Whether `bytes` more of an evicted segment may stay, of which at most so many per cent do.
    fn has_second_chance(&self, percent_max: u32, cleaning: &mut Cleaning, bytes: usize) -> bool {
        let used_bytes = u64::from(self.segments.used_bytes(cleaning.segment));
        let budget = used_bytes * u64::from(percent_max) / 100;
        cleaning.second_chance_bytes += bytes as u32;
        u64::from(cleaning.second_chance_bytes) <= budget
    }

    /// Unlinks expired entries, a bounded number of entries further each time.
    pub(super) fn sweep(&mut self, now: UnixMs) {
        let partition = Arc::clone(&self.partition);
        let mut segments_left = self.segments.count();
        for _ in 0..SWEEP_ENTRIES_MAX {
            let SweepCursor {
                segment,
                opening,
                position,
            } = self.sweep;
            let is_over = opening.is_none()
                || opening != self.segments.opening(segment)
                || position >= self.segments.used_bytes(segment);
            if is_over {
                if segments_left == 0 {
                    return;
                }
                segments_left -= 1;
                let next = (segment + 1) % self.segments.count();
                self.sweep = SweepCursor {
                    segment: next,
                    opening: self.segments.opening(next),
                    position: 0,
                };
                continue;
            }
            let offset = Segments::offset(&partition.arena, (segment, position));
            let Named { entry, slot, .. } = Self::named(&partition, self.hasher, offset);
            if let Some(slot) = slot
                && self.is_dead(&entry, now)
            {
                self.drop_dead(&slot, &entry);
            }
            self.sweep.position += entry.footprint_bytes() as u32;
            debug_assert!(self.sweep.position <= self.segments.used_bytes(segment));
        }
    }
}
