//! What all have in common: a key is asked for, and it is there or is put there.

use std::fmt;

/// Who asks for a key, and stores it if it is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) key: u32,
    /// What is stored has so many bytes,
    pub(crate) value_bytes: usize,
    /// and ends after so many requests, if ever.
    pub(crate) life: Option<u32>,
}

/// A cache of keys.
pub(crate) trait Policy {
    /// Whether the key was there; if not, it is stored, and others make room.
    fn request(&mut self, request: Request) -> bool;
}

/// A cache that knows nothing of sizes and of ends. What has ended takes its place until it is asked for or has to leave.
pub(crate) trait CountingPolicy {
    /// Whether the key was there; if not, it is stored, and others make room.
    fn request(&mut self, key: u32) -> bool;
}

/// Such a cache, with somebody who looks whether what it has is over.
pub(crate) struct Counting<P> {
    policy: P,
    number: u32,
    /// The number of the request that stored a key last.
    stored_at: Vec<u32>,
}

impl<P: CountingPolicy> Counting<P> {
    pub(crate) fn new(policy: P, keys: u32) -> Self {
        Self {
            policy,
            number: 0,
            stored_at: vec![0; keys as usize],
        }
    }
}

impl<P: CountingPolicy> Policy for Counting<P> {
    fn request(&mut self, request: Request) -> bool {
        self.number += 1;
        let stored_at = &mut self.stored_at[request.key as usize];
        let is_over = request
            .life
            .is_some_and(|life| self.number - *stored_at >= life);
        let is_hit = self.policy.request(request.key) && !is_over;
        if !is_hit {
            *stored_at = self.number;
        }
        is_hit
    }
}

/// Hits of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ratio {
    hits: u64,
    requests: u64,
}

impl Ratio {
    pub(crate) fn count(&mut self, is_hit: bool) {
        self.hits += u64::from(is_hit);
        self.requests += 1;
    }
}

/// In per cent, with one place.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.hits as f64 / self.requests.max(1) as f64;
        write!(f, "{percent:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lru::Lru;

    #[test]
    fn what_has_ended_is_a_miss_and_is_stored_anew() {
        let mut cache = Counting::new(Lru::new(2, 5), 5);
        let hits = [1, 1, 1, 1, 1].map(|key| {
            cache.request(Request {
                key,
                value_bytes: 1,
                life: Some(3),
            })
        });
        assert_eq!(hits, [false, true, true, false, true]);
    }
}
