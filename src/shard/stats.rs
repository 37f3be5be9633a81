//! What a shard counts, and the sum over shards that any of them can give.
//!
//! Each shard writes its own counters with plain stores; whoever asks reads them all. A sum is
//! of one moment only as far as nothing changed while it was taken.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::sync::CachePadded;

/// One number of one shard; only that shard changes it.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(count),
            Ordering::Relaxed,
        );
    }

    pub(super) fn sub(&self, count: u64) {
        self.add(count.wrapping_neg());
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one shard.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $($(#[$doc])* pub(super) $name: Counter,)*
        }

        /// The sum of all shards' counters.
        #[derive(Debug, Default, Clone, Copy)]
        pub(super) struct Totals {
            $($(#[$doc])* pub(super) $name: u64,)*
        }

        impl Totals {
            fn add(&mut self, counters: &Counters) {
                $(self.$name = self.$name.wrapping_add(counters.$name.value());)*
            }
        }
    };
}

counters! {
    /// Connections open now.
    connections,
    /// Connections accepted since the start.
    connections_total,
    /// Connections refused because there were too many.
    connections_refused,
    /// Requests of the RESP front end.
    resp_requests,
    /// Keys looked up.
    gets,
    /// Of these, found.
    get_hits,
    /// Storage commands.
    sets,
    /// Deadlines changed or asked to.
    touches,
    /// Deletes.
    deletes,
    /// Increments and decrements.
    counts,
    /// Flushes.
    flushes,
    /// Bytes received from downstreams.
    bytes_read,
    /// Bytes sent to downstreams.
    bytes_written,
    /// Requests sent to other shards.
    hops,
    /// Requests sent to backends.
    backend_requests,
    /// Requests that a backend failed to answer.
    backend_failures,
    /// Fills that were joined rather than started.
    fills_joined,
    /// Invalidations promised.
    invalidations,
}

/// All shards' counters.
#[derive(Debug, Clone)]
pub struct StatsBoard(Arc<[CachePadded<Counters>]>);

impl StatsBoard {
    /// A board for so many shards.
    pub fn new(shard_count: usize) -> Self {
        Self((0..shard_count).map(|_| CachePadded::default()).collect())
    }

    pub(super) fn of(&self, shard: usize) -> &Counters {
        &self.0[shard].0
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.0.iter().for_each(|counters| totals.add(&counters.0));
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_over_shards() {
        let board = StatsBoard::new(2);
        board.of(0).gets.add(3);
        board.of(1).gets.add(4);
        board.of(1).connections.add(1);
        board.of(1).connections.sub(1);
        assert_eq!(board.totals().gets, 7);
        assert_eq!(board.totals().connections, 0);
    }
}
