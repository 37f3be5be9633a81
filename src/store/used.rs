//! What an entry remembers of its use, in one word.
//!
//! ```text
//! 31     30        29        28                      0
//! | uses | was read | seconds since 2025-01-01 |
//! ```

use super::deadline::UnixMs;

/// 2025-01-01: seconds since then fit 29 bits until 2042.
const EPOCH_SECONDS: u64 = 1_735_689_600;
const SECONDS_MASK: u32 = (1 << 29) - 1;
/// A client read it.
const FETCHED: u32 = 1 << 29;
/// The uses take the bits from here on.
const USES_SHIFT: u32 = 30;

/// Uses that are counted; more are as good as these.
pub(super) const USES_MAX: u32 = u32::MAX >> USES_SHIFT;

/// When an entry was last used, whether it was ever read, and how often eviction takes it for used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used(u32);

impl Used {
    /// Written at `now` and not read yet.
    pub(super) fn written(now: UnixMs) -> Self {
        Self(seconds(now))
    }

    /// Written again at `now` in the place of what may have been read.
    pub(super) fn rewritten(self, now: UnixMs) -> Self {
        Self(seconds(now) | self.0 & FETCHED)
    }

    /// The same with so many uses, up to [`USES_MAX`].
    pub(super) fn with_uses(self, uses: u32) -> Self {
        debug_assert!(uses <= USES_MAX);
        Self(self.0 & !(USES_MAX << USES_SHIFT) | uses << USES_SHIFT)
    }

    /// Read once more at `now`; none if that changes nothing.
    #[inline]
    pub(super) fn read_again(self, now: UnixMs) -> Option<Self> {
        let read = seconds(now) | FETCHED;
        if self.0 == read | USES_MAX << USES_SHIFT {
            return None;
        }
        let uses = self.uses().min(USES_MAX - 1) + 1;
        Some(Self(read | uses << USES_SHIFT))
    }

    /// When it was read or written last, in steps of a second.
    pub(super) fn at(self) -> UnixMs {
        UnixMs((EPOCH_SECONDS + u64::from(self.0 & SECONDS_MASK)) * 1000)
    }

    /// Whether a client has read it.
    pub(super) fn is_fetched(self) -> bool {
        self.0 & FETCHED != 0
    }

    /// How often it was used, up to [`USES_MAX`].
    #[inline]
    pub(super) fn uses(self) -> u32 {
        self.0 >> USES_SHIFT
    }

    pub(super) fn to_bits(self) -> u32 {
        self.0
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

#[inline]
fn seconds(now: UnixMs) -> u32 {
    let seconds = now.seconds().saturating_sub(EPOCH_SECONDS);
    seconds.min(u64::from(SECONDS_MASK)) as u32
}
