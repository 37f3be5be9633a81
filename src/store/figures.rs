//! What a partition's owner tells of it: plain stores of one writer, read by anybody.

use core::{
    ops::Add,
    sync::atomic::{AtomicU64, Ordering},
};

/// What the owner publishes about its partition; plain stores of one writer.
#[derive(Debug, Default)]
pub(super) struct Figures {
    entry_count: AtomicU64,
    deadline_count: AtomicU64,
    live_bytes: AtomicU64,
    index_bytes: AtomicU64,
    evicted_count: AtomicU64,
    evicted_unfetched_count: AtomicU64,
    expired_count: AtomicU64,
    expired_unfetched_count: AtomicU64,
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
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Entries that left because memory was needed.
    pub evicted_count: u64,
    /// Of these, never read.
    pub evicted_unfetched_count: u64,
    /// Entries that were found expired.
    pub expired_count: u64,
    /// Of these, never read.
    pub expired_unfetched_count: u64,
}

impl Add for PartitionStats {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            entry_count: self.entry_count + other.entry_count,
            deadline_count: self.deadline_count + other.deadline_count,
            live_bytes: self.live_bytes + other.live_bytes,
            index_bytes: self.index_bytes + other.index_bytes,
            evicted_count: self.evicted_count + other.evicted_count,
            evicted_unfetched_count: self.evicted_unfetched_count + other.evicted_unfetched_count,
            expired_count: self.expired_count + other.expired_count,
            expired_unfetched_count: self.expired_unfetched_count + other.expired_unfetched_count,
        }
    }
}

impl Figures {
    pub(super) fn set_index_bytes(&self, bytes: u64) {
        self.index_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn set_content(&self, entry_count: u64, deadline_count: u64, live_bytes: u64) {
        self.entry_count.store(entry_count, Ordering::Relaxed);
        self.deadline_count.store(deadline_count, Ordering::Relaxed);
        self.live_bytes.store(live_bytes, Ordering::Relaxed);
    }

    pub(super) fn count_evicted(&self, is_fetched: bool) {
        bump(&self.evicted_count);
        if !is_fetched {
            bump(&self.evicted_unfetched_count);
        }
    }

    pub(super) fn count_expired(&self, is_fetched: bool) {
        bump(&self.expired_count);
        if !is_fetched {
            bump(&self.expired_unfetched_count);
        }
    }

    pub(super) fn stats(&self) -> PartitionStats {
        PartitionStats {
            entry_count: self.entry_count.load(Ordering::Relaxed),
            deadline_count: self.deadline_count.load(Ordering::Relaxed),
            live_bytes: self.live_bytes.load(Ordering::Relaxed),
            index_bytes: self.index_bytes.load(Ordering::Relaxed),
            evicted_count: self.evicted_count.load(Ordering::Relaxed),
            evicted_unfetched_count: self.evicted_unfetched_count.load(Ordering::Relaxed),
            expired_count: self.expired_count.load(Ordering::Relaxed),
            expired_unfetched_count: self.expired_unfetched_count.load(Ordering::Relaxed),
        }
    }
}

/// Adds one to a counter that only this thread writes.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
