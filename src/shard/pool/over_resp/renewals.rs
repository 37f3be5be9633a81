//! Who renews a value that ends soon: the client that was told so first, by meta's `R`.
//!
//! A Redis string has no place for the mark that somebody was told, so it is kept here, for all shards of this process:
//! a table of words in which they claim the renewal of a value without waiting for each other. A word
//! names a key's value, and tells until when it is claimed. Whatever takes the value's place has another
//! CAS id, and so is not claimed. Where many values are claimed at a time the one that ends first is
//! forgotten: one more client is told to renew it.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::store::{KeyHasher, UnixMs};

/// Words of the table, a power of two: half a megabyte.
const WORD_COUNT: usize = 1 << 16;

/// Words in which a value's claim may be: a cache line.
const BUCKET_WORDS: usize = 8;

/// The claims of a process.
pub struct Renewals {
    hasher: KeyHasher,
    /// The upper half of each names a value, the lower one is the second at which the claim is over.
    words: Box<[AtomicU64]>,
}

impl Renewals {
    /// None. The seed makes the names of values.
    pub fn new(seed: u64) -> Self {
        Self {
            hasher: KeyHasher::new(seed),
            words: (0..WORD_COUNT).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Claims the renewal of a key's value, which ends then; false if it is claimed.
    pub(super) fn claim(&self, key: &[u8], cas: u64, now: UnixMs, end: UnixMs) -> bool {
        let bucket_hash = self.hasher.hash(key).0;
        let start = bucket_hash as usize % (WORD_COUNT / BUCKET_WORDS) * BUCKET_WORDS;
        let bucket = &self.words[start..start + BUCKET_WORDS];
        let name = (bucket_hash ^ self.hasher.hash(&cas.to_le_bytes()).0) >> 32;
        let over_at = end.seconds().saturating_add(1).min(u64::from(u32::MAX));
        let claim = name << 32 | over_at;
        loop {
            // The one that is over, or will be first.
            let mut first: Option<(&AtomicU64, u64)> = None;
            for place in bucket {
                let word = place.load(Ordering::Relaxed);
                if word >> 32 == name && !is_over(word, now) {
                    return false;
                }
                if first.is_none_or(|(_, least)| over_at_of(word) < over_at_of(least)) {
                    first = Some((place, word));
                }
            }
            let Some((place, word)) = first else {
                return true;
            };
            // Nothing else is read or written because of it.
            let taken = place.compare_exchange(word, claim, Ordering::Relaxed, Ordering::Relaxed);
            if taken.is_ok() {
                return true;
            }
        }
    }
}

impl fmt::Debug for Renewals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewals").finish_non_exhaustive()
    }
}

/// When a claim is over, in seconds of unix time.
fn over_at_of(word: u64) -> u64 {
    word & u64::from(u32::MAX)
}

fn is_over(word: u64, now: UnixMs) -> bool {
    over_at_of(word) <= now.seconds()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn after(seconds: u64) -> UnixMs {
        UnixMs(NOW.0 + seconds * 1_000)
    }

    #[test]
    fn a_value_is_renewed_by_one_until_it_is_another_or_over() {
        let renewals = Renewals::new(3);
        assert!(renewals.claim(b"a", 1, NOW, after(10)));
        assert!(!renewals.claim(b"a", 1, NOW, after(10)));
        assert!(!renewals.claim(b"a", 1, after(10), after(20)));
        assert!(
            renewals.claim(b"a", 2, after(1), after(10)),
            "another value"
        );
        assert!(renewals.claim(b"b", 1, NOW, after(10)), "another key");
        assert!(renewals.claim(b"a", 1, after(11), after(20)), "it was over");
    }

    #[test]
    fn the_first_to_be_over_makes_room() {
        let renewals = Renewals::new(3);
        let start = |key: &[u8]| renewals.hasher.hash(key).0 as usize % (WORD_COUNT / BUCKET_WORDS);
        let numbers = (0_u32..).map(u32::to_le_bytes);
        let shared = numbers.filter(|key| start(key) == 5);
        let keys: Vec<_> = shared.take(BUCKET_WORDS + 1).collect();
        for (seconds, key) in (10..).zip(&keys) {
            assert!(renewals.claim(key, 1, NOW, after(seconds)));
        }
        for key in &keys[1..] {
            assert!(!renewals.claim(key, 1, NOW, after(60)));
        }
        assert!(
            renewals.claim(&keys[0], 1, NOW, after(60)),
            "it was forgotten"
        );
    }

    #[test]
    fn of_many_threads_one_is_told() {
        let renewals = Renewals::new(3);
        for round in 0..200_u64 {
            let winners = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        if renewals.claim(b"key", round, NOW, after(10)) {
                            winners.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
            assert_eq!(winners.into_inner(), 1, "round {round}");
        }
    }
}
