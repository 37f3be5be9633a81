//! What a group's executor counts, and shards where they refuse a load themselves, in groupcache's
//! names; everybody may read it.
//!
//! What groupcache calls Gets, CacheHits and Loads the shards count.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{sync::Arc, time::Duration};

/// The counters, shared.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Gauges>);

#[derive(Debug, Default)]
struct Gauges {
    loads_deduped: AtomicU64,
    local_loads: AtomicU64,
    local_load_errs: AtomicU64,
    loads_refused: AtomicU64,
    refreshes: AtomicU64,
    stale_hits: AtomicU64,
    /// How long the source takes, in microseconds: each answer counts an eighth.
    load_us: AtomicU64,
    peer_loads: AtomicU64,
    peer_errors: AtomicU64,
    server_requests: AtomicU64,
    hot_evictions: AtomicU64,
    /// Lists of peers so far, and those without this process among them.
    lists: AtomicU64,
    lists_without: AtomicU64,
}

/// How often the list of peers has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lists {
    /// In all.
    pub seen: u64,
    /// To one without this process.
    pub without: u64,
}

/// What has happened once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A key was to be loaded, for one or more who asked for it.
    LoadsDeduped,
    /// The source has answered, with a value or that there is none.
    LocalLoads,
    /// The source has failed or was late, or the time was over before it was asked.
    LocalLoadErrs,
    /// As many loads as may be were under way and waiting.
    LoadsRefused,
    /// A key was to be loaded for nobody who waits: its value ends soon, or has ended and is shown.
    Refreshes,
    /// A value was shown that had ended.
    StaleHits,
    /// The peer that owns a key has answered for it, whatever its source said.
    PeerLoads,
    /// The peer that owns a key was at fault, or silent.
    PeerErrors,
    /// A peer has asked for a key.
    ServerRequests,
    /// A copy of another peer's value had to go, as copies take more than their part of the memory.
    HotEvictions,
}

impl Board {
    /// Counts one.
    pub fn add(&self, what: Count) {
        let gauges = &self.0;
        let counter = match what {
            Count::LoadsDeduped => &gauges.loads_deduped,
            Count::LocalLoads => &gauges.local_loads,
            Count::LocalLoadErrs => &gauges.local_load_errs,
            Count::LoadsRefused => &gauges.loads_refused,
            Count::Refreshes => &gauges.refreshes,
            Count::StaleHits => &gauges.stale_hits,
            Count::PeerLoads => &gauges.peer_loads,
            Count::PeerErrors => &gauges.peer_errors,
            Count::ServerRequests => &gauges.server_requests,
            Count::HotEvictions => &gauges.hot_evictions,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The source has answered after so long. Only the executor calls it.
    pub fn note_load(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let before = match self.load_us() {
            0 => us,
            before => before,
        };
        let now = before - before / 8 + us / 8;
        self.0.load_us.store(now.max(1), Ordering::Relaxed);
    }

    /// The peers are others; this process is among them or not. Only the executor calls it.
    pub fn note_peers(&self, is_listed: bool) {
        let without = u64::from(!is_listed);
        self.0.lists_without.fetch_add(without, Ordering::Relaxed);
        // Who sees this sees the other, and what the executor has answered before.
        self.0.lists.fetch_add(1, Ordering::Release);
    }

    /// How often that was so.
    pub fn lists(&self) -> Lists {
        let seen = self.0.lists.load(Ordering::Acquire);
        let without = self.0.lists_without.load(Ordering::Relaxed);
        Lists { seen, without }
    }

    /// How long the source usually takes, in microseconds; 0 as long as it has not answered.
    pub fn load_us(&self) -> u64 {
        self.0.load_us.load(Ordering::Relaxed)
    }

    /// How many copies had to go for others.
    pub fn hot_evictions(&self) -> u64 {
        self.0.hot_evictions.load(Ordering::Relaxed)
    }

    /// All numbers, with the names that statistics have.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        let gauges = &self.0;
        [
            ("LoadsDeduped", &gauges.loads_deduped),
            ("LocalLoads", &gauges.local_loads),
            ("LocalLoadErrs", &gauges.local_load_errs),
            ("LoadsRefused", &gauges.loads_refused),
            ("Refreshes", &gauges.refreshes),
            ("StaleHits", &gauges.stale_hits),
            ("PeerLoads", &gauges.peer_loads),
            ("PeerErrors", &gauges.peer_errors),
            ("ServerRequests", &gauges.server_requests),
        ]
        .map(|(name, gauge)| (name, gauge.load(Ordering::Relaxed)))
        .to_vec()
    }
}
