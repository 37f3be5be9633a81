//! Where the next record goes, what may be removed, what is to be moved, and when it is full.
//!
//! Writes come in groups: some are [appended](Log::append), then whoever has the files takes the
//! [steps](Log::take_steps), writes and syncs, and says that the group is [kept](Log::keep), or that
//! it [is not](Log::undo), which takes back all that it changed. A client is answered in between.
//!
//! ```text
//!   oldest                                          newest
//!   [ segment ] [ segment ] [ segment ] ... [ active segment ... <- append
//!       ^ removed when nothing in it is live
//! ```
//!
//! A record is dead when a newer write of its key is there, or when its server has taken it. What
//! says so stands behind it, so segments are removed from the old end only: else a write that is
//! dead because of a segment that is gone would rise again. Where one live record holds up many
//! dead ones, the oldest segment's live records are moved to the new end. That happens when more
//! than half of the disk is dead, so at most as many bytes are moved as were written.

use std::collections::{HashSet, VecDeque};

use super::{
    index::{Fingerprint, Index, Place},
    limits::{Figures, Full, Limits},
    record::{self, Lsn, Record, Write},
    segment,
};

/// Bytes for a file. What a group needs is done in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The segment's number.
    pub segment: u64,
    /// Where the bytes go, which is the end of its file. At 0 the file is to be made; it must not be
    /// there.
    pub at: u64,
    /// What to write.
    pub bytes: Vec<u8>,
}

/// What a group that is not kept leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// This segment's file is not needed; it may not even be there.
    File {
        /// Its number.
        segment: u64,
    },
    /// This segment's file is not needed from here on.
    Tail {
        /// Its number.
        segment: u64,
        /// Its length.
        bytes: u64,
    },
}

/// Invariant: each live write is counted in the segment that its place names; `bytes` and
/// `live_bytes` are the sums over all segments.
#[derive(Debug)]
pub struct Log {
    pub(super) limits: Limits,
    seed: u64,
    pub(super) index: Index,
    /// By number.
    pub(super) segments: VecDeque<Segment>,
    /// Whether the last segment takes records.
    is_open: bool,
    pub(super) next_lsn: u64,
    pub(super) bytes: u64,
    pub(super) live_bytes: u64,
    /// Where in the oldest segment moving goes on.
    pub(super) move_at: u64,
    /// Sets before this number are to be told as deletes.
    pub(super) barrier: Lsn,
    /// The last segment with a write that its server has taken, which is written nowhere.
    unmarked: Option<u64>,
    pub(super) group: Group,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) live_count: u64,
}

/// What is not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) steps: Vec<Step>,
    pub(super) changes: Vec<Change>,
    /// Segments that it began.
    created_count: usize,
    /// Bytes of the last segment that was there before.
    tail_bytes: Option<(u64, u64)>,
    /// Bytes of new writes in it.
    pub(super) written_bytes: u64,
    /// Bytes that were looked at to be moved.
    pub(super) moved_bytes: u64,
    /// The last segment with a write that is marked as taken in it.
    marked: Option<u64>,
    /// Writes that were taken by their servers when they were not live any more.
    done: Vec<Lsn>,
}

/// Something that a group changed in the index.
#[derive(Debug)]
pub(super) enum Change {
    Put {
        name: Fingerprint,
        lsn: Lsn,
        old: Option<Place>,
    },
    Moved {
        from: Place,
    },
    Barrier {
        old: Lsn,
    },
}

impl Log {
    /// An empty log. The seed is for hashing keys: nobody outside should know it.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            seed,
            index: Index::default(),
            segments: VecDeque::new(),
            is_open: false,
            next_lsn: 1,
            bytes: 0,
            live_bytes: 0,
            move_at: 0,
            barrier: Lsn(0),
            unmarked: None,
            group: Group::default(),
        }
    }

    /// What it holds.
    pub fn figures(&self) -> Figures {
        Figures {
            record_count: self.index.len() as u64,
            live_bytes: self.live_bytes,
            bytes: self.bytes,
            segment_count: self.segments.len() as u64,
        }
    }

    /// Where the live writes stand, in the order in which they were asked for.
    pub fn live(&self) -> Vec<Place> {
        let mut places: Vec<_> = self.index.places().collect();
        places.sort_unstable_by_key(|place| place.lsn);
        places
    }

    /// Where a write stands, if it is live.
    pub fn place(&self, lsn: Lsn) -> Option<Place> {
        self.index.get(lsn)
    }

    /// At start: the next segment that is there, by number, and the bytes of it that can be read.
    pub fn found_segment(&mut self, number: u64, bytes: u64) {
        self.next_lsn = self.next_lsn.max(number.saturating_add(1));
        self.bytes += bytes;
        self.segments.push_back(Segment {
            number,
            bytes,
            live_count: 0,
        });
    }

    /// At start: the next record of the segment found last.
    pub fn found_record(&mut self, at: usize, bytes: usize, record: &Record<'_>) {
        let Some(segment) = self.segments.back().map(|segment| segment.number) else {
            return;
        };
        let (Record::Write { lsn, .. } | Record::Done { lsn } | Record::Barrier { below: lsn }) =
            *record;
        self.next_lsn = self.next_lsn.max(lsn.0.saturating_add(1));
        match record {
            Record::Barrier { below } => self.barrier = self.barrier.max(*below),
            Record::Done { lsn } => {
                if let Some((_, place)) = self.index.remove(*lsn) {
                    self.discount(place);
                }
            }
            Record::Write { lsn, write } => {
                let name = Fingerprint::of(self.seed, write.server, write.key);
                // A record that was moved stands behind newer ones.
                let is_newest = self.index.find(name).is_none_or(|old| old.lsn <= *lsn);
                if is_newest {
                    self.put(
                        name,
                        Place {
                            lsn: *lsn,
                            segment,
                            at: at as u32,
                            bytes: bytes as u32,
                        },
                    );
                }
            }
        }
    }

    /// Takes a write; it is on disk once its group is kept.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn append(&mut self, write: &Write<'_>) -> Result<Lsn, Full> {
        let bytes = write.record_bytes() as u64;
        if write.check().is_err() || bytes > self.limits.record_bytes_max {
            return Err(Full::Record);
        }
        let name = Fingerprint::of(self.seed, write.server, write.key);
        let old_bytes = self.index.find(name).map_or(0, |old| u64::from(old.bytes));
        if self.live_bytes - old_bytes + bytes > self.limits.live_bytes_max() {
            return Err(Full::Live);
        }
        if !self.has_room(bytes) {
            return Err(Full::Disk);
        }
        self.open_segment();
        let lsn = Lsn(self.next_lsn);
        self.next_lsn += 1;
        let place = self.write_out(lsn, |out| record::encode_write(out, lsn, write));
        let old = self.put(name, place);
        self.group.changes.push(Change::Put { name, lsn, old });
        self.group.written_bytes += bytes;
        Ok(lsn)
    }

    /// The server has taken a write. Nobody waits for that to be on disk: if it never is, the
    /// server is told again.
    pub fn done(&mut self, lsn: Lsn) {
        let Some((_, place)) = self.index.remove(lsn) else {
            // A newer write stands in its place. Should that be taken back, this one is over still.
            if !self.group.changes.is_empty() {
                self.group.done.push(lsn);
            }
            return;
        };
        self.discount(place);
        if self.has_room(record::HEADER_BYTES as u64) {
            self.write_out(lsn, |out| record::encode_done(out, lsn));
            self.group.marked = self.group.marked.max(Some(place.segment));
        } else {
            self.unmarked = self.unmarked.max(Some(place.segment));
        }
    }

    /// Whether everything that is done is written as such, once the group is.
    ///
    /// # Errors
    /// For something there was no room: it is told again at the next start.
    pub fn settle(&self) -> Result<(), Full> {
        let oldest = self.segments.front().map(|segment| segment.number);
        match (self.unmarked, oldest) {
            (Some(unmarked), Some(oldest)) if unmarked >= oldest => Err(Full::Disk),
            _ => Ok(()),
        }
    }

    /// What is to be done with the files for the group.
    pub fn take_steps(&mut self) -> Vec<Step> {
        core::mem::take(&mut self.group.steps)
    }

    /// The group is on disk, as far as it has to be.
    pub fn keep(&mut self) {
        self.group = Group::default();
    }

    /// The group is not on disk, or nobody knows. What to clean up; nothing else of the group is.
    pub fn undo(&mut self) -> Vec<Leftover> {
        let group = core::mem::take(&mut self.group);
        let done: HashSet<Lsn> = group.done.into_iter().collect();
        for change in group.changes.into_iter().rev() {
            self.undo_change(change, &done);
        }
        self.unmarked = self.unmarked.max(group.marked);
        let mut leftovers = Vec::new();
        for _ in 0..group.created_count {
            let Some(segment) = self.segments.pop_back() else {
                break;
            };
            self.bytes -= segment.bytes;
            leftovers.push(Leftover::File {
                segment: segment.number,
            });
        }
        if let (Some((number, bytes)), Some(last)) = (group.tail_bytes, self.segments.back_mut())
            && last.number == number
        {
            self.bytes -= last.bytes - bytes;
            last.bytes = bytes;
            leftovers.push(Leftover::Tail {
                segment: number,
                bytes,
            });
        }
        self.move_at = 0;
        // What comes next goes into a file that has had no error.
        self.is_open = false;
        leftovers
    }

    /// Whether segments are waiting for a sync to be removed.
    pub fn has_removable(&self) -> bool {
        self.removable().is_some()
    }

    /// Forgets the segments that nothing is live in; their files are to be removed, in this order.
    /// All that has been written must be synced: what makes their records dead stands in it.
    pub fn take_removable(&mut self) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(number) = self.removable() {
            if let Some(segment) = self.segments.pop_front() {
                self.bytes -= segment.bytes;
            }
            self.move_at = 0;
            numbers.push(number);
        }
        numbers
    }

    fn removable(&self) -> Option<u64> {
        let is_last = self.segments.len() == 1;
        let front = self.segments.front()?;
        (front.live_count == 0 && !(is_last && self.is_open)).then_some(front.number)
    }

    /// Whether the disk has room for so many bytes and then for moving a segment.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.bytes + bytes + self.limits.segment_bytes_max() <= self.limits.bytes_max
    }

    /// Adds a record to the group, in a new segment if the last one is full.
    pub(super) fn write_out(&mut self, lsn: Lsn, encode: impl FnOnce(&mut Vec<u8>)) -> Place {
        self.open_segment();
        let last = self.segments.len() - 1;
        let Segment { number, bytes, .. } = self.segments[last];
        let out = self.out(number, bytes);
        let before = out.len();
        encode(out);
        let record_bytes = (out.len() - before) as u64;
        self.segments[last].bytes += record_bytes;
        self.bytes += record_bytes;
        Place {
            lsn,
            segment: number,
            at: bytes as u32,
            bytes: record_bytes as u32,
        }
    }

    /// Sees to it that the last segment takes records.
    fn open_segment(&mut self) {
        let is_full = |segment: &Segment| segment.bytes >= self.limits.segment_bytes;
        if !self.is_open || self.segments.back().is_none_or(is_full) {
            self.begin_segment();
        }
    }

    fn begin_segment(&mut self) {
        let last = self.segments.back().map_or(0, |last| last.number);
        // A segment may have got only records that are older than it.
        let number = self.next_lsn.max(last.saturating_add(1));
        self.next_lsn = number.saturating_add(1);
        self.is_open = true;
        self.group.created_count += 1;
        let out = self.out(number, 0);
        segment::encode_header(out, number);
        self.segments.push_back(Segment {
            number,
            bytes: segment::HEADER_BYTES as u64,
            live_count: 0,
        });
        self.bytes += segment::HEADER_BYTES as u64;
    }

    /// Where the bytes for the end of a segment are gathered.
    fn out(&mut self, segment: u64, at: u64) -> &mut Vec<u8> {
        let group = &mut self.group;
        if group.created_count == 0 && group.tail_bytes.is_none() {
            group.tail_bytes = Some((segment, at));
        }
        if group
            .steps
            .last()
            .is_none_or(|step| step.segment != segment)
        {
            let bytes = Vec::new();
            group.steps.push(Step { segment, at, bytes });
        }
        let last = group.steps.len() - 1;
        &mut group.steps[last].bytes
    }

    fn put(&mut self, name: Fingerprint, place: Place) -> Option<Place> {
        let old = self.index.insert(name, place);
        if let Some(old) = old {
            self.discount(old);
        }
        self.count(place);
        old
    }

    pub(super) fn relocate(&mut self, from: Place, to: Place) {
        self.index.relocate(to);
        self.discount(from);
        self.count(to);
    }

    fn undo_change(&mut self, change: Change, done: &HashSet<Lsn>) {
        match change {
            Change::Put { name, lsn, old } => {
                if let Some((_, place)) = self.index.remove(lsn) {
                    self.discount(place);
                }
                match old {
                    // Nothing on disk says so.
                    Some(old) if done.contains(&old.lsn) => {
                        self.unmarked = self.unmarked.max(Some(old.segment));
                    }
                    Some(old) => {
                        self.put(name, old);
                    }
                    None => {}
                }
            }
            Change::Barrier { old } => self.barrier = old,
            Change::Moved { from } => {
                if let Some(to) = self.index.get(from.lsn) {
                    self.relocate(to, from);
                }
            }
        }
    }

    fn count(&mut self, place: Place) {
        self.live_bytes += u64::from(place.bytes);
        if let Some(segment) = self.segment_mut(place.segment) {
            segment.live_count += 1;
        }
    }

    pub(super) fn discount(&mut self, place: Place) {
        self.live_bytes -= u64::from(place.bytes);
        if let Some(segment) = self.segment_mut(place.segment) {
            segment.live_count -= 1;
        }
    }

    pub(super) fn segment_mut(&mut self, number: u64) -> Option<&mut Segment> {
        let at = self
            .segments
            .binary_search_by_key(&number, |segment| segment.number)
            .ok()?;
        self.segments.get_mut(at)
    }
}
