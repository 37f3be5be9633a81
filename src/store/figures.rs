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
    copy_count: AtomicU64,
    copy_bytes: AtomicU64,
    copy_evicted_count: AtomicU64,
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
    /// Of all entries, copies of what other processes own. It changes with each of them, all entries are
    /// counted when a change is over: until then there may seem to be one more.
    pub copy_count: u64,
    /// Bytes that these take, headers included.
    pub copy_bytes: u64,
    /// Of those that left because memory was needed, copies.
    pub copy_evicted_count: u64,
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
            copy_count: self.copy_count + other.copy_count,
            copy_bytes: self.copy_bytes + other.copy_bytes,
            copy_evicted_count: self.copy_evicted_count + other.copy_evicted_count,
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

    pub(super) fn count_evicted(&self, is_fetched: bool, is_copy: bool) {
        bump(&self.evicted_count);
        if !is_fetched {
            bump(&self.evicted_unfetched_count);
        }
        if is_copy {
            bump(&self.copy_evicted_count);
        }
    }

    /// A copy of so many bytes is written. Apart, as most stores have none.
    #[cold]
    pub(super) fn count_copy(&self, bytes: usize) {
        bump(&self.copy_count);
        add(&self.copy_bytes, bytes as u64);
    }

    /// A copy of so many bytes is dead.
    #[cold]
    pub(super) fn uncount_copy(&self, bytes: usize) {
        add(&self.copy_count, 1_u64.wrapping_neg());
        add(&self.copy_bytes, (bytes as u64).wrapping_neg());
    }

    /// No copy is there any more.
    pub(super) fn forget_copies(&self) {
        self.copy_count.store(0, Ordering::Relaxed);
        self.copy_bytes.store(0, Ordering::Relaxed);
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
            copy_count: self.copy_count.load(Ordering::Relaxed),
            copy_bytes: self.copy_bytes.load(Ordering::Relaxed),
            copy_evicted_count: self.copy_evicted_count.load(Ordering::Relaxed),
        }
    }
}

/// Adds one to a counter that only the shard that has the partition's writer changes.
fn bump(counter: &AtomicU64) {
    add(counter, 1);
}

/// Adds to such a counter; what goes down adds a negative number, wrapped.
fn add(counter: &AtomicU64, number: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(number);
    counter.store(sum, Ordering::Relaxed);
}
