//! Keys that were written lately: who reads them from a replica might get what was there before.
//!
//! All shards share one table, as a key may be written by way of one and read by way of another. A
//! key has a place in it by its hash, which it shares with others: then those are read from their
//! masters, too, which is never wrong. So no key has to be kept, and nothing is ever full.
//!
//! ```text
//!   write sent      answered                 answered + lag
//!   -----|--------------|--------------------------|--------->
//!        [ in flight    ][ the master alone is read ]  replicas, too
//! ```

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::store::{KeyHash, UnixMs};

/// Places in the table, 16 bytes each. With 1,000 different keys written a second and a lag of a
/// second, 6 of 100 other keys are read from their masters in vain.
const PLACE_COUNT: usize = 1 << 14;

/// Keys that were written lately, and those that are being written.
#[derive(Debug)]
pub struct RecentWrites {
    lag_ms: u64,
    places: Box<[Place]>,
    /// Until when all keys count as written lately.
    all_until: AtomicU64,
}

#[derive(Debug, Default)]
struct Place {
    /// Writes that are not answered.
    in_flight: AtomicU32,
    until: AtomicU64,
}

impl RecentWrites {
    /// Nothing was written yet. A write is recent for so many milliseconds from its answer on.
    pub fn new(lag_ms: u64) -> Self {
        Self {
            lag_ms,
            places: (0..PLACE_COUNT).map(|_| Place::default()).collect(),
            all_until: AtomicU64::new(0),
        }
    }

    /// A write is sent. It [ends](Self::end) in any case.
    pub fn begin(&self, hash: KeyHash) {
        let place = self.place(hash);
        place.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// A write that [began](Self::begin) is answered, or will not be.
    pub fn end(&self, hash: KeyHash, now: UnixMs) {
        self.note(hash, now);
        let place = self.place(hash);
        place.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    /// A write is answered that nobody said had begun.
    pub fn note(&self, hash: KeyHash, now: UnixMs) {
        let until = now.0.saturating_add(self.lag_ms);
        let place = self.place(hash);
        place.until.fetch_max(until, Ordering::AcqRel);
    }

    /// The same of any number of keys.
    pub fn note_all(&self, now: UnixMs) {
        let until = now.0.saturating_add(self.lag_ms);
        self.all_until.fetch_max(until, Ordering::AcqRel);
    }

    /// Whether a key was written lately, or is being written.
    pub fn has(&self, hash: KeyHash, now: UnixMs) -> bool {
        let place = self.place(hash);
        // In this order: who ends a write notes it before.
        place.in_flight.load(Ordering::Acquire) > 0
            || place.until.load(Ordering::Acquire) > now.0
            || self.all_until.load(Ordering::Acquire) > now.0
    }

    fn place(&self, hash: KeyHash) -> &Place {
        // Not the bits that shards, connections and replicas are chosen by.
        &self.places[hash.0 as usize % PLACE_COUNT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyHash = KeyHash(17);
    const OTHER: KeyHash = KeyHash(18);
    const SAME_PLACE: KeyHash = KeyHash(17 + PLACE_COUNT as u64);

    #[test]
    fn a_write_is_recent_from_its_start_until_a_lag_after_its_end() {
        let recent = RecentWrites::new(100);
        assert!(!recent.has(KEY, UnixMs(0)));
        recent.begin(KEY);
        recent.begin(KEY);
        assert!(recent.has(KEY, UnixMs(u64::MAX)), "for as long as it takes");
        recent.end(KEY, UnixMs(1_000));
        assert!(recent.has(KEY, UnixMs(5_000)), "one is still under way");
        recent.end(KEY, UnixMs(6_000));
        assert!(recent.has(KEY, UnixMs(6_099)));
        assert!(recent.has(SAME_PLACE, UnixMs(6_099)));
        assert!(!recent.has(OTHER, UnixMs(6_000)));
        assert!(!recent.has(KEY, UnixMs(6_100)));
    }

    #[test]
    fn a_clock_that_is_behind_takes_nothing_back() {
        let recent = RecentWrites::new(100);
        recent.note(KEY, UnixMs(1_000));
        recent.note(KEY, UnixMs(900));
        assert!(recent.has(KEY, UnixMs(1_099)));
        recent.note_all(UnixMs(2_000));
        assert!(recent.has(OTHER, UnixMs(2_099)));
        assert!(!recent.has(OTHER, UnixMs(2_100)));
    }

    #[test]
    fn without_a_lag_only_what_is_under_way_is_recent() {
        let recent = RecentWrites::new(0);
        recent.begin(KEY);
        assert!(recent.has(KEY, UnixMs(1_000)));
        recent.end(KEY, UnixMs(1_000));
        assert!(!recent.has(KEY, UnixMs(1_000)));
    }
}
