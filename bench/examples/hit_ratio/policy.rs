//! What all have in common: a key is asked for, and it is there or is put there.

use std::fmt;

/// A cache of keys.
pub(crate) trait Policy {
    /// Whether the key was there; if not, it is stored, and others make room.
    fn request(&mut self, key: u32) -> bool;
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
