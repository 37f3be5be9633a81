//! How long copies of what servers answered are kept.

use std::time::Duration;

use super::Protocol;

/// The shortest life of an L1 copy: below, it dies before another request can use it.
pub const L1_TTL_MIN: Duration = Duration::from_millis(1);

/// The longest life of an L1 copy. It is how stale an answer may be; a day is surely a slip.
pub const L1_TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What becomes of values that servers answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum L1Config {
    /// They are passed on, and none is kept.
    #[default]
    Off,
    /// Copies are kept for so long.
    For(Duration),
    /// Copies are kept until the server tells of a change, or the key expires there. Redis servers
    /// of 6.0 or later can.
    Tracked,
}

impl L1Config {
    /// Why the servers of a pool cannot do their part, if so.
    pub(super) fn obstacle(self, protocol: Protocol) -> Option<&'static str> {
        let is_deaf = self == Self::Tracked && protocol == Protocol::Memcache;
        is_deaf.then_some(NO_TRACKED_MEMCACHE)
    }
}

const NO_TRACKED_MEMCACHE: &str = "--l1 tracked: memcache servers do not tell of \
     changes, Redis servers do; give a duration instead";
