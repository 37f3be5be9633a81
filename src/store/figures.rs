//! What a partition's owner tells of it: plain stores of one writer, read by anybody.

use core::sync::atomic::{AtomicU64, Ordering};

/// What the owner publishes about its partition; plain stores of one writer.
#[derive(Debug, Default)]
pub(super) struct Figures {
    entry_count: AtomicU64,
    deadline_count: AtomicU64,
    live_bytes: AtomicU64,
    evicted_count: AtomicU64,
    expired_count: AtomicU64,
}

/// A partition in numbers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStats {
    /// Entries, those that have expired unnoticed included.
    pub entry_count: u64,
    /// Of these, the ones with a deadline.
    pub deadline_count: u64,
    /// Bytes that these entries take, headers included.
    pub live_bytes: u64,
    /// Entries that left because memory was needed.
    pub evicted_count: u64,
    /// Entries that were found expired.
    pub expired_count: u64,
}

impl Figures {
    pub(super) fn set_content(&self, entry_count: u64, deadline_count: u64, live_bytes: u64) {
        self.entry_count.store(entry_count, Ordering::Relaxed);
        self.deadline_count.store(deadline_count, Ordering::Relaxed);
        self.live_bytes.store(live_bytes, Ordering::Relaxed);
    }

    pub(super) fn count_evicted(&self) {
        bump(&self.evicted_count);
    }

    pub(super) fn count_expired(&self) {
        bump(&self.expired_count);
    }

    /// Counts evictions and expiries from nothing again.
    pub(super) fn reset_counts(&self) {
        self.evicted_count.store(0, Ordering::Relaxed);
        self.expired_count.store(0, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> PartitionStats {
        PartitionStats {
            entry_count: self.entry_count.load(Ordering::Relaxed),
            deadline_count: self.deadline_count.load(Ordering::Relaxed),
            live_bytes: self.live_bytes.load(Ordering::Relaxed),
            evicted_count: self.evicted_count.load(Ordering::Relaxed),
            expired_count: self.expired_count.load(Ordering::Relaxed),
        }
    }
}

/// Adds one to a counter that only this thread writes.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
