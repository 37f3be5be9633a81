//! What can be done to one key, and what came of it: the words that both protocols share.

use super::deadline::Deadline;

/// One change of one key. Plain data, so that it can travel to the owner shard; key and value
/// travel beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Stores the value.
    Set {
        /// The client's opaque bits.
        flags: u32,
        /// When the value expires.
        expiry: Expiry,
        /// What must hold for it to be stored.
        condition: Condition,
        /// What the meta commands may choose.
        stamp: Stamp,
        /// Copies the value that was there before, stored or not.
        wants_old: bool,
    },
    /// Joins the value to the one that is there; flags and deadline stay.
    Concat {
        /// Where the new bytes go.
        side: Side,
        /// Stores the value alone where none is (RESP does, memcache does not).
        creates: bool,
    },
    /// Removes the key.
    Delete {
        /// What must hold for it to be removed.
        condition: Condition,
        /// Copies the value that was there.
        wants_old: bool,
    },
    /// The same where no client asked for it: nobody counts it.
    Unlink {
        /// What must hold for it to be removed. [`Condition::Absent`] removes only what has expired
        /// or was flushed.
        condition: Condition,
    },
    /// memcache's `incr` (wraps at 2^64) and `decr` (stops at 0) on an existing decimal.
    CountUnsigned {
        /// How far.
        delta: u64,
        /// Down instead of up.
        down: bool,
        /// The deadline the number gets.
        expiry: Expiry,
        /// The CAS id it gets; none for the next version.
        cas: Option<u64>,
    },
    /// RESP's `INCRBY` on a signed decimal; a missing key counts as 0.
    CountSigned {
        /// How far; negative goes down.
        delta: i64,
    },
    /// Changes the deadline; one in the past removes the key.
    Expire {
        /// The new deadline.
        deadline: Deadline,
        /// What must hold for it to be changed.
        condition: ExpireCondition,
    },
    /// Gives the value another CAS id and marks it as outdated: who reads it next is told to renew
    /// it (meta `md` with `I`).
    Outdate {
        /// Until when it stays.
        expiry: Expiry,
        /// The CAS id; none for the next version.
        cas: Option<u64>,
    },
    /// Changes in place, and at once, what meta `mg` may change of what it shows.
    Term {
        /// The deadline, if it changes; one in the past removes the key.
        deadline: Option<Deadline>,
        /// A client is told to renew the value.
        wins: bool,
    },
}

/// What memcache's meta commands may choose of an entry beside its value, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// The CAS id (flag `E`); none for the next version.
    pub cas: Option<u64>,
    /// The value is outdated already (flag `I`).
    pub is_stale: bool,
    /// Some client was told to renew it (flag `N`).
    pub is_won: bool,
    /// It is a copy of what another process owns: counted apart, nothing else.
    pub is_copy: bool,
}

impl Operation {
    /// Whether the value that was there is to be copied.
    pub(super) fn wants_old(self) -> bool {
        match self {
            Self::Set { wants_old, .. } | Self::Delete { wants_old, .. } => wants_old,
            _ => false,
        }
    }

    /// memcache's `incr`, or `decr` if it goes down.
    pub const fn count_unsigned(delta: u64, down: bool) -> Self {
        Self::CountUnsigned {
            delta,
            down,
            expiry: Expiry::Keep,
            cas: None,
        }
    }

    /// Stores a value whatever is there, for good.
    pub const SET: Self = Self::Set {
        flags: 0,
        expiry: Expiry::Until(Deadline::NEVER),
        condition: Condition::Always,
        stamp: Stamp {
            cas: None,
            is_stale: false,
            is_won: false,
            is_copy: false,
        },
        wants_old: false,
    };

    /// Removes a key and gives the value that was there.
    pub const TAKE: Self = Self::Delete {
        condition: Condition::Always,
        wants_old: true,
    };

    /// Removes a key whatever is there.
    pub const DELETE: Self = Self::Delete {
        condition: Condition::Always,
        wants_old: false,
    };

    /// The same where no client asked for it.
    pub const UNLINK: Self = Self::Unlink {
        condition: Condition::Always,
    };
}

/// The deadline that a `Set` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The one the key has; never, if it has none.
    Keep,
    /// This one.
    Until(Deadline),
}

/// What must hold for a `Set` to store, or a `Delete` to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// No value is there (`add`, NX).
    Absent,
    /// A value is there (`replace`, XX).
    Present,
    /// The value there has this version (`cas`).
    Version(u64),
}

impl Condition {
    /// Why nothing is stored where the value there has version `cas`, or there is none.
    pub(super) fn refusal(self, cas: Option<u64>) -> Option<Outcome> {
        match (self, cas) {
            (Self::Always, _) | (Self::Absent, None) | (Self::Present, Some(_)) => None,
            (Self::Absent, Some(_)) | (Self::Present, None) => Some(Outcome::NotStored),
            (Self::Version(_), None) => Some(Outcome::NotFound),
            (Self::Version(wanted), Some(cas)) => (cas != wanted).then_some(Outcome::Exists),
        }
    }
}

/// What must hold for an `Expire` to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireCondition {
    /// Nothing.
    Always,
    /// The key has no deadline (NX).
    Absent,
    /// The key has a deadline (XX).
    Present,
    /// The new deadline is later (GT).
    Later,
    /// The new deadline is sooner, or the key has none (LT).
    Sooner,
    /// The key has a deadline, and the new one is sooner (XX LT).
    PresentAndSooner,
}

impl ExpireCondition {
    /// Whether a deadline may take the place of `current`.
    pub(super) fn holds(self, current: Deadline, new: Deadline) -> bool {
        let is_sooner = new.to_bits() < current.to_bits();
        match self {
            Self::Always => true,
            Self::Absent => current == Deadline::NEVER,
            Self::Present => current != Deadline::NEVER,
            Self::Later => new.to_bits() > current.to_bits(),
            Self::Sooner => is_sooner,
            Self::PresentAndSooner => current != Deadline::NEVER && is_sooner,
        }
    }
}

/// Which end of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `append`.
    Back,
    /// `prepend`.
    Front,
}

/// What came of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The value is stored; so many bytes long now.
    Stored {
        /// The value's length in bytes.
        value_bytes: u64,
    },
    /// The condition did not hold.
    NotStored,
    /// The version is another one.
    Exists,
    /// No such key.
    NotFound,
    /// The key is gone.
    Deleted,
    /// The deadline is changed.
    Touched,
    /// The deadline is as it was: the condition did not hold, or there was none to remove.
    Untouched,
    /// The new number.
    Unsigned(u64),
    /// The new number.
    Signed(i64),
    /// The value there is not a number.
    NotANumber,
    /// The number would not fit 64 bits with sign.
    Overflow,
    /// Key and value exceed the item limit. What a `Set` was to replace is gone, as memcached has
    /// it; what was to be joined or counted is as it was.
    TooLarge,
    /// No memory could be freed in this turn.
    OutOfMemory,
}

/// An outcome, and whether the old value was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// What came of it.
    pub outcome: Outcome,
    /// A value was there and its bytes were appended to the caller's buffer.
    pub has_old: bool,
}

impl From<Outcome> for Applied {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            has_old: false,
        }
    }
}
