//! What must hold where writes are answered first and done later.

use std::{fmt, str::FromStr};

use super::{MIB, OnEject, PoolConfig, WritePolicy, error::size};
use crate::route::Distribution;

/// How many values of the largest size a spool must have room for at least: four segments with one
/// too many are kept free for moving, and half of the rest may be live.
pub const SPOOL_VALUES_MIN: usize = 16;

/// Something does not go with `--write behind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BehindError {
    /// Writes wait for the servers that own their keys, so these cannot go elsewhere.
    KeysMove {
        /// What was to become of the keys of an ejected server.
        policy: OnEject,
    },
    /// Writes are to wait for the servers that own their keys, and nobody owns any.
    NoHome,
    /// The spool could hardly take a value of the largest size.
    SpoolTooSmall {
        /// What it may take.
        bytes: usize,
        /// What is needed.
        bytes_min: usize,
        /// For values up to this.
        item_bytes_max: usize,
    },
}

/// Checks it.
pub(super) fn check(pool: &PoolConfig, item_bytes_max: usize) -> Result<(), BehindError> {
    let policy = pool.backend.eject.policy;
    if policy.moves_keys() {
        return Err(BehindError::KeysMove { policy });
    }
    if pool.placement.distribution == Distribution::Random {
        return Err(BehindError::NoHome);
    }
    let bytes_min = SPOOL_VALUES_MIN * item_bytes_max;
    match &pool.spool {
        Some(spool) if spool.bytes_max < bytes_min => Err(BehindError::SpoolTooSmall {
            bytes: spool.bytes_max,
            bytes_min,
            item_bytes_max,
        }),
        _ => Ok(()),
    }
}

impl fmt::Display for BehindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysMove { policy } => write!(
                f,
                "--on-eject {policy}: with --write behind keys cannot go to other servers, as their \
                 writes wait for their own; leave one of them out"
            ),
            Self::NoHome => f.write_str(
                "--write behind: keys of --distribution random have no server of their own; leave \
                 one of them out",
            ),
            Self::SpoolTooSmall {
                bytes,
                bytes_min,
                item_bytes_max,
            } => write!(
                f,
                "--spool-size-max {}: too small for values of --item-size-max {}; raise it to \
                 {}MiB or lower the other",
                size(*bytes),
                size(*item_bytes_max),
                bytes_min.div_ceil(MIB)
            ),
        }
    }
}

impl std::error::Error for BehindError {}

impl FromStr for WritePolicy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "through" => Ok(Self::Through),
            "behind" => Ok(Self::Behind),
            "invalidate" => Ok(Self::Invalidate),
            _ => Err(()),
        }
    }
}
