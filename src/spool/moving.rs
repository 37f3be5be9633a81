//! Moving the live records of the oldest segment to the new end, so that the rest can go.

use super::{
    index::Place,
    limits::Limits,
    log::{Change, Log},
    record::{self, Lsn, Record, Refusal, Write},
    segment,
};

/// Bytes that are moved at a time, unless a record is longer: a group that moves is that much
/// larger, and some clients wait for it.
const SLICE_BYTES: u64 = 256 << 10;

/// A part of the oldest segment whose live records are to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The segment's number.
    pub segment: u64,
    /// Where the part begins.
    pub at: u64,
    /// How many bytes to read, or to the end of the file.
    pub bytes: u64,
}

impl Log {
    /// What to read so that live records can be moved; none if there is no need.
    pub fn next_slice(&mut self) -> Option<Slice> {
        let Limits {
            segment_bytes,
            record_bytes_max,
            ..
        } = self.limits;
        let slice_bytes = SLICE_BYTES.max(record_bytes_max);
        let is_dead = self.bytes > 2 * self.live_bytes + 2 * segment_bytes;
        // So that moving keeps up with whatever a group writes.
        let is_enough = self.group.moved_bytes > 2 * self.group.written_bytes;
        let front = self.segments.front()?;
        // What the group adds to a segment is not there to be read.
        let group_begins = self.group.steps.first().map(|step| step.segment);
        let is_written = group_begins.is_none_or(|begins| front.number < begins);
        let is_last = self.segments.len() < 2;
        if !is_dead || is_enough || is_last || !is_written || front.live_count == 0 {
            return None;
        }
        self.move_at = self.move_at.max(segment::HEADER_BYTES as u64);
        Some(Slice {
            segment: front.number,
            at: self.move_at,
            bytes: slice_bytes,
        })
    }

    /// Moves the live records of a slice. How many were not there: they are lost, and are not live
    /// any more.
    pub fn move_records(&mut self, slice: Slice, bytes: &[u8]) -> usize {
        let mut at = 0;
        let is_over = loop {
            let rest = &bytes[at..];
            match record::parse(rest) {
                Ok((record, length)) => {
                    let stands = slice.at + at as u64;
                    if let Record::Write { lsn, write } = record {
                        self.move_record(lsn, slice.segment, stands, &write);
                    }
                    at += length;
                }
                Err(Refusal::Body { bytes }) => at += bytes,
                Err(Refusal::Short) => break at == 0 || (bytes.len() as u64) < slice.bytes,
                Err(Refusal::Header) => break true,
            }
        };
        self.move_at = slice.at + at as u64;
        self.group.moved_bytes += at as u64;
        let has_rest = is_over
            && self
                .segment_mut(slice.segment)
                .is_some_and(|segment| segment.live_count > 0);
        if has_rest {
            self.drop_rest_of(slice.segment)
        } else {
            0
        }
    }

    fn move_record(&mut self, lsn: Lsn, segment: u64, at: u64, write: &Write<'_>) {
        let stands = |place: &Place| place.segment == segment && u64::from(place.at) == at;
        let Some(from) = self.index.get(lsn).filter(stands) else {
            return;
        };
        // What says that it is to be told otherwise may be removed before it.
        let write = self.told(lsn, *write);
        let place = self.write_out(lsn, |out| record::encode_write(out, lsn, &write));
        self.relocate(from, place);
        self.group.changes.push(Change::Moved { from });
    }

    /// A segment has been read to its end: what is live in it has not been found.
    fn drop_rest_of(&mut self, segment: u64) -> usize {
        let lost: Vec<_> = self
            .index
            .places()
            .filter(|place| place.segment == segment)
            .collect();
        for place in &lost {
            self.index.remove(place.lsn);
            self.discount(*place);
        }
        lost.len()
    }
}
