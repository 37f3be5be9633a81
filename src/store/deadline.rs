//! Instants and deadlines: milliseconds of unix time, passed in, never read here.

/// A point in time, in milliseconds since the unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// This instant in whole seconds.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The earlier of two instants that may never come.
    #[inline]
    pub fn soonest(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

/// Bits that a deadline takes: milliseconds up to the year 4199.
pub(super) const DEADLINE_BITS: u32 = 46;

/// When an entry stops existing. What is later than the year 4199 is kept as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(u64);

impl Deadline {
    /// No expiry.
    pub const NEVER: Self = Self((1 << DEADLINE_BITS) - 1);
    /// Expired from the start.
    pub const PAST: Self = Self(0);

    /// Expires at `instant`: from that millisecond on the entry is gone.
    pub fn at(instant: UnixMs) -> Self {
        Self(instant.0.min(Self::NEVER.0 - 1))
    }

    /// Expires `ms` milliseconds after `now`.
    pub fn after(now: UnixMs, ms: u64) -> Self {
        Self::at(UnixMs(now.0.saturating_add(ms)))
    }

    /// Whether the entry is gone at `now`.
    pub fn is_past(self, now: UnixMs) -> bool {
        self.0 <= now.0
    }

    /// When it expires, unless never.
    pub fn instant(self) -> Option<UnixMs> {
        (self != Self::NEVER).then_some(UnixMs(self.0))
    }

    /// What an entry adds to the count of those with a deadline.
    pub(super) fn count(self) -> u64 {
        u64::from(self != Self::NEVER)
    }

    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_end_on_their_millisecond() {
        let now = UnixMs(1_000);
        let deadline = Deadline::after(now, 5);
        assert!(!deadline.is_past(UnixMs(1_004)));
        assert!(deadline.is_past(UnixMs(1_005)));
        assert!(!Deadline::NEVER.is_past(UnixMs((1 << DEADLINE_BITS) - 2)));
        assert!(Deadline::PAST.is_past(UnixMs(0)));
        assert_eq!(Deadline::NEVER.instant(), None);
        assert_eq!(
            Deadline::after(now, u64::MAX).instant(),
            Some(UnixMs((1 << DEADLINE_BITS) - 2))
        );
    }
}
