//! Making room: compaction, eviction and the sweep of expired entries.
//!
//! Entries are appended to segments, so what is overwritten or deleted leaves holes. Cleaning
//! picks a sealed segment, walks its entries, keeps some by appending them elsewhere, and frees
//! the segment after a grace period.
//!
//! * While less than [`LIVE_BYTES_PERCENT_MAX`] of the memory is alive, holes are the problem:
//!   the emptiest segment is **compacted**, everything alive in it moves (its age with it).
//! * Above that, entries must go: the oldest segment is **evicted**. An entry that was read since
//!   it was written gets a second chance (it moves to the front, unreferenced); the others are
//!   dropped. That is CLOCK over segments, an approximation of LRU that needs no lists and no
//!   write on a read of an entry already marked; `store::tests` measure how far from exact LRU.
//!
//! It runs in small steps, paid by the writes that need the room: each write cleans a multiple
//! of its own size, a larger multiple the fewer spare segments are left, so a write never waits
//! for a whole segment.

use std::sync::Arc;

use super::{
    arena::Offset,
    deadline::UnixMs,
    index::IndexWriter,
    notes::Author,
    partition::{Partition, PartitionWriter},
    segments::{Segments, Stream},
};

/// Above this share of the memory alive, eviction starts. Compacting fuller segments would move
/// more than ten bytes for each byte it frees.
const LIVE_BYTES_PERCENT_MAX: u64 = 90;

/// Bytes cleaned per byte written with one segment short, with two, with all.
const CLEAN_FACTORS: [usize; 4] = [0, 6, 24, 96];

/// Least bytes cleaned in a step, so that tiny writes get somewhere.
const CLEAN_BYTES_MIN: usize = 256;

/// At most this share of an evicted segment gets a second chance: when everything was read, the
/// referenced bits say nothing, and memory must come free all the same.
const SECOND_CHANCE_PERCENT_MAX: u32 = 75;

/// Time between two sweeps for expired entries.
pub(super) const SWEEP_INTERVAL_MS: u64 = 1_000;

/// Entries looked at in one sweep: about a quarter of a millisecond.
const SWEEP_ENTRIES_MAX: usize = 4_096;

/// A segment being cleaned.
#[derive(Debug)]
pub(super) struct Cleaning {
    segment: u32,
    position: u32,
    evicts: bool,
    second_chance_bytes: u32,
}

/// Where the sweep goes on.
#[derive(Debug, Default)]
pub(super) struct SweepCursor {
    segment: u32,
    position: u32,
}

impl PartitionWriter {
    /// Cleans enough that writes of `bytes` keep finding free segments.
    pub(super) fn make_room(&mut self, bytes: usize, now: UnixMs) {
        if self.segments.has_retired() {
            self.segments.reclaim(&self.epochs);
        }
        let deficit = self.segments.deficit();
        if deficit == 0 && self.cleaning.is_none() {
            return;
        }
        let mut budget = CLEAN_FACTORS[deficit.max(1)] * bytes.max(CLEAN_BYTES_MIN / 6);
        while budget > 0 {
            let Some(cleaning) = self.cleaning.take().or_else(|| self.choose_victim()) else {
                return;
            };
            budget = budget.saturating_sub(self.clean_entry(cleaning, now));
            if self.cleaning.is_none() && self.segments.deficit() == 0 {
                return;
            }
        }
    }

    fn choose_victim(&mut self) -> Option<Cleaning> {
        let evicts = self.segments.live_bytes() * 100
            > self.segments.capacity_bytes() * LIVE_BYTES_PERCENT_MAX;
        let (segment, live_bytes) = self.segments.emptiest()?;
        let is_full = u64::from(live_bytes) * 100
            > self.partition.arena.segment_bytes() as u64 * LIVE_BYTES_PERCENT_MAX;
        let evicts = evicts || is_full;
        let segment = if evicts {
            self.segments.oldest()?
        } else {
            segment
        };
        self.segments.start_cleaning(segment);
        Some(Cleaning {
            segment,
            position: 0,
            evicts,
            second_chance_bytes: 0,
        })
    }

    /// Cleans one entry, or ends the segment. Returns the bytes that were passed.
    fn clean_entry(&mut self, mut cleaning: Cleaning, now: UnixMs) -> usize {
        if cleaning.position >= self.segments.used_bytes(cleaning.segment) {
            let epoch = self.epochs.retire();
            self.segments.retire(cleaning.segment, epoch);
            self.segments.reclaim(&self.epochs);
            return 1;
        }
        let partition = Arc::clone(&self.partition);
        let place = (cleaning.segment, cleaning.position);
        let offset = Segments::offset(&partition.arena, place);
        let bytes = self.clean_at(&partition, offset, &mut cleaning, now);
        cleaning.position += bytes as u32;
        self.cleaning = Some(cleaning);
        bytes
    }

    fn clean_at(
        &mut self,
        partition: &Partition,
        offset: Offset,
        cleaning: &mut Cleaning,
        now: UnixMs,
    ) -> usize {
        let (entry, slot) = Self::named(partition, self.hasher, offset);
        let bytes = entry.footprint_bytes();
        let Some(slot) = slot else { return bytes };
        if self.is_dead(&entry, now) {
            self.unlink(&slot, &entry, Author::NOBODY);
            return bytes;
        }
        let stream = if !cleaning.evicts {
            Some(Stream::Aged)
        } else if entry.is_referenced() && self.has_second_chance(cleaning, bytes) {
            Some(Stream::Fresh)
        } else {
            None
        };
        match stream.and_then(|stream| self.write(stream, &entry.to_new())) {
            Some(moved) => {
                IndexWriter::replace(&slot, moved);
                self.release(offset, &entry);
                if stream == Some(Stream::Aged) {
                    self.segments.age_like(cleaning.segment);
                }
            }
            None => {
                self.unlink(&slot, &entry, Author::NOBODY);
                self.count_evicted(&entry);
            }
        }
        bytes
    }

    fn has_second_chance(&self, cleaning: &mut Cleaning, bytes: usize) -> bool {
        let used_bytes = u64::from(self.segments.used_bytes(cleaning.segment));
        let budget = used_bytes * u64::from(SECOND_CHANCE_PERCENT_MAX) / 100;
        cleaning.second_chance_bytes += bytes as u32;
        u64::from(cleaning.second_chance_bytes) <= budget
    }

    /// Unlinks expired entries, a bounded number of entries further each time.
    pub(super) fn sweep(&mut self, now: UnixMs) {
        let partition = Arc::clone(&self.partition);
        let mut segments_left = self.segments.count();
        for _ in 0..SWEEP_ENTRIES_MAX {
            let SweepCursor { segment, position } = self.sweep;
            let is_over = !self.segments.holds_entries(segment)
                || position >= self.segments.used_bytes(segment);
            if is_over {
                if segments_left == 0 {
                    return;
                }
                segments_left -= 1;
                let next = (segment + 1) % self.segments.count();
                self.sweep = SweepCursor {
                    segment: next,
                    position: 0,
                };
                continue;
            }
            let offset = Segments::offset(&partition.arena, (segment, position));
            let (entry, slot) = Self::named(&partition, self.hasher, offset);
            if let Some(slot) = slot
                && self.is_dead(&entry, now)
            {
                self.unlink(&slot, &entry, Author::NOBODY);
                self.count_expired(&entry);
            }
            self.sweep.position += entry.footprint_bytes() as u32;
        }
    }
}
