//! How long something is to live on a Redis server.

use crate::{
    protocol::memcache::{Deadline, Exptime},
    shard::core::Core,
};

/// How long something is to live from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    ForGood,
    Ms(u64),
    Over,
}

/// An `exptime` from now: so it does not matter what time it is on the server.
pub(super) fn lifetime(exptime: Exptime, core: &Core) -> Lifetime {
    match exptime.deadline_ms(core.now.0) {
        Deadline::Never => Lifetime::ForGood,
        Deadline::Past => Lifetime::Over,
        Deadline::At(at) => Lifetime::Ms(at.saturating_sub(core.now.0).clamp(1, PX_MAX)),
    }
}

/// Redis refuses an end beyond 2^63 ms; this is far beyond anybody's life, and below.
pub(in crate::shard::pool) const PX_MAX: u64 = 1 << 60;
