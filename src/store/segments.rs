//! The bookkeeping of a partition's segments: which are free, which are written to, which are
//! sealed, and how much of each is still alive. It touches no memory of the arena.
//!
//! ```text
//! free -> open -> sealed -> cleaning -> retired -> (grace period) -> free
//!                        -> (nothing alive) -^                  -> pinned -> free
//! free -> index (for good)
//! ```
//!
//! What is free is used again in the order last in, first out: where few keys are written to over and over, a few
//! segments go round, which stay in the core's cache.
//!
//! Entries are appended to one of the open segments, one for each [`Stream`]. What compaction only
//! moves goes to [`Stream::Aged`], whose segments inherit the age of where the entries came from, so
//! that moving is not mistaken for use.
//!
//! Of entries whose values are still to come (`vacancy`) the bytes are dead, but a sealed segment that holds one stays
//! as it is until it has come: there is no memory in it to be had before.

use std::{collections::VecDeque, sync::Arc};

use super::{
    arena::{Arena, Offset},
    epoch::{Epoch, Epochs},
    pins::Pins,
};

/// Segments that are kept free (or on their way to it): one to write to, one to move survivors
/// to, one that may still wait for its grace period.
pub(super) const SPARE_SEGMENTS_MIN: usize = 3;

/// Fewest segments a partition works with under LRU: the spare ones, two open, two for the index,
/// one to clean.
pub(crate) const SEGMENT_COUNT_MIN: usize = SPARE_SEGMENTS_MIN + 5;

/// Where an entry is appended, and what its segment then holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// What clients write; with LRU also what was used since.
    Fresh,
    /// What has proved itself, with S3-FIFO.
    Kept,
    /// What compaction has moved; with S3-FIFO of what is kept.
    Aged,
}

const STREAM_COUNT: usize = 3;

/// A value that has taken so long to come that one in so many segments was opened since is copied to where it is new:
/// it would leave with what is as old as its place.
const RECENT_SHARE: u64 = 4;

impl Stream {
    /// Those that take what clients write.
    pub(super) const WRITTEN: [Self; 2] = [Self::Fresh, Self::Kept];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Free,
    Open,
    Sealed,
    Cleaning,
    Retired,
    Pinned,
    Index,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    role: Role,
    /// What it was opened for; means nothing while it is free or the index's.
    stream: Stream,
    used_bytes: u32,
    /// Bytes of entries that the index still names.
    live_bytes: u32,
    /// Age: smaller is older.
    sequence: u64,
    /// Tells one use of its memory from the next.
    opening: u64,
    /// The index may name entries in it that a flush has made disappear.
    holds_flushed: bool,
}

impl Segment {
    /// Whether the index names nothing in it.
    fn is_blank(&self) -> bool {
        self.live_bytes == 0 && !self.holds_flushed
    }
}

/// Invariant: every segment is in exactly one role; `live_bytes <= used_bytes <= segment_bytes`;
/// `free`, `retired` and `pinned` hold the segments of those roles; `live_bytes` are the sums of the
/// segments', by stream.
#[derive(Debug)]
pub(super) struct Segments {
    table: Box<[Segment]>,
    free: Vec<u32>,
    retired: VecDeque<(u32, Epoch)>,
    /// Past their grace period, but still read from.
    pinned: Vec<u32>,
    pins: Arc<Pins>,
    open: [Option<u32>; STREAM_COUNT],
    segment_bytes: u32,
    next_sequence: u64,
    live_bytes: [u64; STREAM_COUNT],
    index_count: usize,
}

impl Segments {
    pub(super) fn new(arena: &Arena) -> Self {
        let count = arena.segment_count();
        let blank = Segment {
            role: Role::Free,
            stream: Stream::Fresh,
            used_bytes: 0,
            live_bytes: 0,
            sequence: 0,
            opening: 0,
            holds_flushed: false,
        };
        Self {
            table: vec![blank; count].into_boxed_slice(),
            free: (0..count as u32).rev().collect(),
            retired: VecDeque::with_capacity(count),
            pinned: Vec::with_capacity(count),
            pins: Arc::new(Pins::new(count)),
            open: [None; STREAM_COUNT],
            segment_bytes: arena.segment_bytes() as u32,
            next_sequence: 0,
            live_bytes: [0; STREAM_COUNT],
            index_count: 0,
        }
    }

    /// Who reads from segments for longer than a turn.
    pub(super) fn pins(&self) -> Arc<Pins> {
        Arc::clone(&self.pins)
    }

    /// Appends `bytes` to a stream. `None` if that needs a segment and none is free.
    pub(super) fn append(&mut self, stream: Stream, bytes: usize) -> Option<(u32, u32)> {
        debug_assert!(bytes <= self.segment_bytes as usize);
        let bytes = bytes as u32;
        let fits = |segments: &Self, open: u32| {
            segments.table[open as usize].used_bytes + bytes <= segments.segment_bytes
        };
        let segment = match self.open[stream as usize] {
            Some(open) if fits(self, open) => open,
            _ => self.open_next(stream)?,
        };
        let entry = &mut self.table[segment as usize];
        let start = entry.used_bytes;
        entry.used_bytes += bytes;
        entry.live_bytes += bytes;
        self.live_bytes[stream as usize] += u64::from(bytes);
        self.check();
        Some((segment, start))
    }

    /// Appends `bytes` that count as dead.
    pub(super) fn append_dead(&mut self, stream: Stream, bytes: usize) -> Option<(u32, u32)> {
        let (segment, start) = self.append(stream, bytes)?;
        let is_over = self.release(segment, bytes);
        debug_assert!(!is_over, "it is open");
        Some((segment, start))
    }

    /// Counts `bytes` of a segment that were [appended as dead](Self::append_dead), and are pinned since, as alive.
    /// False if that is no place for what is new in a stream.
    pub(super) fn revive(&mut self, stream: Stream, segment: u32, bytes: usize) -> bool {
        let recent = self.table.len() as u64 / RECENT_SHARE;
        let entry = &mut self.table[segment as usize];
        let is_taking = match entry.role {
            Role::Open => true,
            Role::Sealed => self.next_sequence - entry.opening <= recent,
            _ => false,
        };
        let is_place = is_taking && entry.stream == stream;
        if is_place {
            entry.live_bytes += bytes as u32;
            self.live_bytes[stream as usize] += bytes as u64;
            self.check();
        }
        is_place
    }

    /// Whether an entry of `bytes` can be appended to a stream without another segment.
    pub(super) fn fits(&self, stream: Stream, bytes: usize) -> bool {
        bytes <= self.room_bytes(stream)
    }

    /// Whether an entry of `bytes` can be moved to a stream so that a write of `write_bytes` has room
    /// afterwards, in a free segment or in one that clients write to.
    pub(super) fn leaves_room(&self, stream: Stream, bytes: usize, write_bytes: usize) -> bool {
        let fits = self.fits(stream, bytes);
        match self.free.len() {
            0 if !fits => return false,
            0 => {}
            1 if !fits => {}
            _ => return true,
        }
        Stream::WRITTEN.into_iter().any(|written| {
            let room_bytes = match (written == stream, fits) {
                (false, _) => self.room_bytes(written),
                (true, true) => self.room_bytes(written) - bytes,
                (true, false) => self.segment_bytes as usize - bytes,
            };
            write_bytes <= room_bytes
        })
    }

    /// Bytes that can be appended to a stream without another segment.
    fn room_bytes(&self, stream: Stream) -> usize {
        self.open[stream as usize].map_or(0, |open| {
            (self.segment_bytes - self.table[open as usize].used_bytes) as usize
        })
    }

    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    #[cold]
    fn open_next(&mut self, stream: Stream) -> Option<u32> {
        let next = self.free.pop()?;
        if let Some(full) = self.open[stream as usize].replace(next) {
            self.table[full as usize].role = Role::Sealed;
        }
        self.next_sequence += 1;
        let sequence = self.next_sequence;
        self.table[next as usize] = Segment {
            role: Role::Open,
            stream,
            used_bytes: 0,
            live_bytes: 0,
            sequence,
            opening: sequence,
            holds_flushed: false,
        };
        Some(next)
    }

    /// What is appended to the aged stream is at least as old as this.
    pub(super) fn age_like(&mut self, victim: u32) {
        let sequence = self.table[victim as usize].sequence;
        if let Some(open) = self.open[Stream::Aged as usize] {
            let aged = &mut self.table[open as usize];
            aged.sequence = aged.sequence.min(sequence);
        }
    }

    /// An entry of `bytes` in `segment` is no longer named by the index. Whether the segment, which takes no more,
    /// can be [retired](Self::retire), as nothing in it is.
    #[inline]
    #[must_use]
    pub(super) fn release(&mut self, segment: u32, bytes: usize) -> bool {
        let entry = &mut self.table[segment as usize];
        entry.live_bytes -= bytes as u32;
        let is_over =
            entry.role == Role::Sealed && entry.is_blank() && !self.pins.has_vacancy(segment);
        self.live_bytes[entry.stream as usize] -= bytes as u64;
        self.check();
        is_over
    }

    /// Nothing written so far counts as alive any more.
    pub(super) fn release_all(&mut self) {
        for segment in &mut self.table {
            segment.live_bytes = 0;
            segment.holds_flushed = true;
        }
        self.live_bytes = [0; STREAM_COUNT];
    }

    /// Takes a free segment for the index, for good. Leaves one to write to.
    pub(super) fn take_for_index(&mut self) -> Option<u32> {
        if self.free.len() < 2 {
            return None;
        }
        let segment = self.free.pop()?;
        self.table[segment as usize].role = Role::Index;
        self.index_count += 1;
        Some(segment)
    }

    /// The sealed segment that was written first.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.oldest_of(|_| true)
    }

    /// The sealed segment that was written first, of those with such a stream.
    pub(super) fn oldest_of(&self, is_wanted: impl Fn(Stream) -> bool) -> Option<u32> {
        self.sealed()
            .filter(|(_, segment)| is_wanted(segment.stream))
            .min_by_key(|(_, segment)| segment.sequence)
            .map(|(number, _)| number)
    }

    /// The sealed segment with the least alive in it, and how many bytes that is.
    pub(super) fn emptiest(&self) -> Option<(u32, u32)> {
        self.sealed()
            .min_by_key(|(_, segment)| segment.live_bytes)
            .map(|(number, segment)| (number, segment.live_bytes))
    }

    /// Those that can be cleaned.
    fn sealed(&self) -> impl Iterator<Item = (u32, &Segment)> {
        (0..).zip(&self.table).filter(|(number, segment)| {
            segment.role == Role::Sealed && !self.pins.has_vacancy(*number)
        })
    }

    pub(super) fn start_cleaning(&mut self, segment: u32) {
        debug_assert_eq!(self.table[segment as usize].role, Role::Sealed);
        self.table[segment as usize].role = Role::Cleaning;
    }

    /// A segment that is cleaned in part is as it was before, but for what has left it.
    pub(super) fn stop_cleaning(&mut self, segment: u32) {
        debug_assert_eq!(self.table[segment as usize].role, Role::Cleaning);
        self.table[segment as usize].role = Role::Sealed;
    }

    /// Whether cleaning a segment can end, as the index names nothing in it.
    pub(super) fn is_blank(&self, segment: u32) -> bool {
        self.table[segment as usize].is_blank()
    }

    /// A segment that was cleaned, or that the index names nothing in, is free once the grace period that starts
    /// now is over.
    pub(super) fn retire(&mut self, segment: u32, epoch: Epoch) {
        let entry = &self.table[segment as usize];
        debug_assert!(
            entry.role == Role::Cleaning || entry.role == Role::Sealed && entry.is_blank()
        );
        self.table[segment as usize].role = Role::Retired;
        self.retired.push_back((segment, epoch));
    }

    /// Frees the retired segments whose grace period is over and that nobody reads from any more.
    pub(super) fn reclaim(&mut self, epochs: &Epochs) {
        for place in (0..self.pinned.len()).rev() {
            let segment = self.pinned[place];
            if !self.pins.is_pinned(segment) {
                self.pinned.swap_remove(place);
                self.set_free(segment);
            }
        }
        while let Some(&(segment, epoch)) = self.retired.front() {
            if !epochs.is_past(epoch) {
                return;
            }
            self.retired.pop_front();
            if self.pins.is_pinned(segment) {
                self.table[segment as usize].role = Role::Pinned;
                self.pinned.push(segment);
            } else {
                self.set_free(segment);
            }
        }
    }

    fn set_free(&mut self, segment: u32) {
        self.table[segment as usize].role = Role::Free;
        self.free.push(segment);
    }

    /// Segments short of [`SPARE_SEGMENTS_MIN`].
    pub(super) fn deficit(&self) -> usize {
        SPARE_SEGMENTS_MIN.saturating_sub(self.free.len() + self.retired.len())
    }

    pub(super) fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Whether some are past their grace period, but still pinned.
    #[cfg(test)]
    pub(super) fn has_pinned(&self) -> bool {
        !self.pinned.is_empty()
    }

    /// Whether [`Self::reclaim`] may free something.
    pub(super) fn may_reclaim(&self) -> bool {
        self.has_retired() || !self.pinned.is_empty()
    }

    /// Whether no segment is free, but some will be once their grace period is over.
    pub(super) fn is_out_for_now(&self) -> bool {
        self.free.is_empty() && self.has_retired()
    }

    /// What the entries of a segment were appended to.
    pub(super) fn stream(&self, segment: u32) -> Stream {
        self.table[segment as usize].stream
    }

    pub(super) fn used_bytes(&self, segment: u32) -> u32 {
        self.table[segment as usize].used_bytes
    }

    /// Bytes in segments that entries can fill.
    pub(super) fn capacity_bytes(&self) -> u64 {
        let others_count = self.index_count + SPARE_SEGMENTS_MIN + self.pinned.len();
        let count = self.table.len().saturating_sub(others_count);
        count as u64 * u64::from(self.segment_bytes)
    }

    /// Bytes of the segments that the index has.
    pub(super) fn index_bytes(&self) -> u64 {
        self.index_count as u64 * u64::from(self.segment_bytes)
    }

    /// Bytes of entries that the index names.
    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes.iter().sum()
    }

    /// The same in the segments of one stream.
    pub(super) fn live_bytes_of(&self, stream: Stream) -> u64 {
        self.live_bytes[stream as usize]
    }

    /// What tells the entries that lie in this segment from those that lay there before; none if none do.
    pub(super) fn opening(&self, segment: u32) -> Option<u64> {
        let Segment { role, opening, .. } = self.table[segment as usize];
        matches!(role, Role::Open | Role::Sealed).then_some(opening)
    }

    pub(super) fn count(&self) -> u32 {
        self.table.len() as u32
    }

    pub(super) fn offset(arena: &Arena, (segment, start): (u32, u32)) -> Offset {
        Offset(arena.segment_start(segment).0 + u64::from(start))
    }

    fn check(&self) {
        debug_assert!(self.table.iter().all(|segment| {
            segment.live_bytes <= segment.used_bytes && segment.used_bytes <= self.segment_bytes
        }));
        debug_assert_eq!(self.live_bytes, self.summed());
    }

    /// What `live_bytes` has to be.
    fn summed(&self) -> [u64; STREAM_COUNT] {
        let mut sums = [0; STREAM_COUNT];
        for segment in &self.table {
            sums[segment.stream as usize] += u64::from(segment.live_bytes);
        }
        sums
    }
}

#[cfg(test)]
mod tests;
