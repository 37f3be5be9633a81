//! What the spool counts; whoever has the files writes it, everybody may read it.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::limits::Figures;

/// The spool's counters, shared.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Gauges>);

#[derive(Debug, Default)]
struct Gauges {
    records: AtomicU64,
    bytes: AtomicU64,
    live_bytes: AtomicU64,
    segments: AtomicU64,
    written: AtomicU64,
    groups: AtomicU64,
    syncs: AtomicU64,
    replayed: AtomicU64,
    refused: AtomicU64,
    errors: AtomicU64,
    corrupt: AtomicU64,
}

/// What has happened once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A write is on disk.
    Written,
    /// A group of writes has been written.
    Group,
    /// The disk has been waited for.
    Sync,
    /// A write that was on disk has been given to a shard, to be sent.
    Replayed,
    /// A write was refused because the spool is full.
    Refused,
    /// The disk has reported an error.
    Error,
    /// Something on disk was not as it was written.
    Corrupt,
}

impl Board {
    /// Counts.
    pub fn add(&self, what: Count, count: u64) {
        let gauges = &self.0;
        let counter = match what {
            Count::Written => &gauges.written,
            Count::Group => &gauges.groups,
            Count::Sync => &gauges.syncs,
            Count::Replayed => &gauges.replayed,
            Count::Refused => &gauges.refused,
            Count::Error => &gauges.errors,
            Count::Corrupt => &gauges.corrupt,
        };
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Shows what the log holds.
    pub fn show(&self, figures: Figures) {
        let gauges = &self.0;
        for (gauge, figure) in [
            (&gauges.records, figures.record_count),
            (&gauges.bytes, figures.bytes),
            (&gauges.live_bytes, figures.live_bytes),
            (&gauges.segments, figures.segment_count),
        ] {
            gauge.store(figure, Ordering::Relaxed);
        }
    }

    /// All numbers, with the names that statistics have.
    pub fn list(&self) -> [(&'static str, u64); 11] {
        let gauges = &self.0;
        [
            ("spool_records", &gauges.records),
            ("spool_bytes", &gauges.bytes),
            ("spool_live_bytes", &gauges.live_bytes),
            ("spool_segments", &gauges.segments),
            ("spool_written", &gauges.written),
            ("spool_groups", &gauges.groups),
            ("spool_syncs", &gauges.syncs),
            ("spool_replayed", &gauges.replayed),
            ("spool_full", &gauges.refused),
            ("spool_errors", &gauges.errors),
            ("spool_corruptions", &gauges.corrupt),
        ]
        .map(|(name, gauge)| (name, gauge.load(Ordering::Relaxed)))
    }
}
