//! What a group's executor counts, and shards where they refuse a load themselves, in groupcache's
//! names; everybody may read it.
//!
//! What groupcache calls Gets, CacheHits and Loads the shards count.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// The counters, shared.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Gauges>);

#[derive(Debug, Default)]
struct Gauges {
    loads_deduped: AtomicU64,
    local_loads: AtomicU64,
    local_load_errs: AtomicU64,
    loads_refused: AtomicU64,
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
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// All numbers, with the names that statistics have.
    pub fn list(&self) -> [(&'static str, u64); 4] {
        let gauges = &self.0;
        [
            ("LoadsDeduped", &gauges.loads_deduped),
            ("LocalLoads", &gauges.local_loads),
            ("LocalLoadErrs", &gauges.local_load_errs),
            ("LoadsRefused", &gauges.loads_refused),
        ]
        .map(|(name, gauge)| (name, gauge.load(Ordering::Relaxed)))
    }
}
