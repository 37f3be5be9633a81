//! CLIENT PAUSE: requests of all clients, or those that write, wait for a time.

use super::core::Core;
use crate::store::UnixMs;

/// Whether and how long this shard lets requests wait. All shards have the same pause once the
/// client that asked for it is told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pause {
    /// Requests wait before this time; 0 if there is no pause.
    until: UnixMs,
    /// Only those that write do.
    writes_only: bool,
}

impl Pause {
    /// A pause until `until`.
    pub(super) fn new(until: UnixMs, writes_only: bool) -> Self {
        Self { until, writes_only }
    }

    pub(super) fn is_on(&self) -> bool {
        self.until > UnixMs(0)
    }

    /// Whether a request waits.
    pub(super) fn holds(&self, is_write: bool) -> bool {
        self.is_on() && (is_write || !self.writes_only)
    }

    /// When it ends, if it is on.
    pub(super) fn end(&self) -> Option<UnixMs> {
        self.is_on().then_some(self.until)
    }

    pub(super) fn end_if_over(&mut self, now: UnixMs) {
        if self.until <= now {
            *self = Self::default();
        }
    }

    /// Two pauses at once are the longer and the stricter of both, as in Redis.
    fn joined(self, other: Self) -> Self {
        if !self.is_on() {
            return other;
        }
        Self {
            until: self.until.max(other.until),
            writes_only: self.writes_only && other.writes_only,
        }
    }
}

impl Core {
    /// Pauses this shard's clients, beside a pause that is on.
    pub(super) fn pause(&mut self, pause: Pause) {
        self.pause = self.pause.joined(pause);
        self.pause.end_if_over(self.now);
        self.attend();
    }

    /// Ends a pause.
    pub(super) fn unpause(&mut self) {
        self.pause = Pause::default();
        self.attend();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_pause_makes_the_first_longer_and_stricter() {
        let writes = Pause::new(UnixMs(500), true);
        assert!(writes.holds(true) && !writes.holds(false));
        let joined = writes.joined(Pause::new(UnixMs(100), false));
        assert_eq!(joined, Pause::new(UnixMs(500), false));
        let joined = Pause::new(UnixMs(100), false).joined(writes);
        assert_eq!(joined, Pause::new(UnixMs(500), false));
        assert_eq!(Pause::default().joined(writes), writes);
    }

    #[test]
    fn a_pause_ends_at_its_time() {
        let mut pause = Pause::new(UnixMs(500), false);
        pause.end_if_over(UnixMs(499));
        assert_eq!(pause.end(), Some(UnixMs(500)));
        pause.end_if_over(UnixMs(500));
        assert!(!pause.is_on() && !pause.holds(true));
    }
}
