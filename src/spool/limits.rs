//! How much a spool may take, how much it does, and what it says when that is enough.

use super::record;

/// How much a spool may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all segments together. About half of them may be live; the rest is for what is dead
    /// and not yet removed.
    pub bytes_max: u64,
    /// Bytes after which a segment takes no more records.
    pub segment_bytes: u64,
    /// The longest record.
    pub record_bytes_max: u64,
}

impl Limits {
    /// The limits of a spool that takes `bytes_max` on disk, of deletes and of values up to
    /// `value_bytes_max`; 0 if there are none.
    ///
    /// A 64th of it is a segment, so that the last one, which is not removed, is not much of the
    /// whole; at least 256 KiB, as each costs a file, and at most 16 MiB, as each is read whole at
    /// start.
    pub fn new(bytes_max: u64, value_bytes_max: usize) -> Self {
        let record_bytes_max = match value_bytes_max {
            0 => record::DELETE_BYTES_MAX,
            bytes => record::set_bytes_max(bytes),
        };
        Self {
            bytes_max,
            segment_bytes: (bytes_max / 64).clamp(256 << 10, 16 << 20),
            record_bytes_max: record_bytes_max as u64,
        }
    }

    /// The longest that a segment can be.
    pub(super) fn segment_bytes_max(&self) -> u64 {
        self.segment_bytes + self.record_bytes_max
    }

    /// The limits of a spool of deletes.
    pub fn of_deletes(bytes_max: u64) -> Self {
        Self::new(bytes_max, 0)
    }

    /// Bytes of live records that can be kept so that moving always gains room.
    pub(super) fn live_bytes_max(&self) -> u64 {
        self.bytes_max.saturating_sub(4 * self.segment_bytes_max()) / 2
    }
}

/// Why a write is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The servers have too much to be told.
    Live,
    /// Too much that is dead has not been removed yet.
    Disk,
    /// The write is longer than a record may be.
    Record,
}

/// What a spool holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Live writes.
    pub record_count: u64,
    /// Bytes of their records.
    pub live_bytes: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Files.
    pub segment_count: u64,
}
