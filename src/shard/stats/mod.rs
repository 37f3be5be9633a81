//! What a shard counts, and the sum over shards that any of them can give.
//!
//! Each shard writes its own counters with plain stores; whoever asks reads them all. A sum is
//! of one moment only as far as nothing changed while it was taken.

mod counters;

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

pub(super) use self::counters::{Counter, Counters, Totals};
use super::meter::{CommandFigures, CommandMeters, RATE_COUNT, Rates};
use crate::{
    protocol::resp::table::Command,
    store::{PartitionStats, UnixMs},
    sync::CachePadded,
};

/// The codes that errors of the RESP front end are counted by; others count as the last.
pub(super) const ERROR_CODES: [&str; 9] = [
    "ERR",
    "WRONGTYPE",
    "OOM",
    "NOAUTH",
    "WRONGPASS",
    "NOPROTO",
    "EXECABORT",
    "MOVED",
    "OTHER",
];

/// What a shard counts.
#[derive(Debug)]
struct ShardBoard {
    counters: Counters,
    at_reset: Counters,
    commands: CommandMeters,
    errors: [Counter; ERROR_CODES.len()],
    rates: Rates,
    tracking: TrackingGauges,
}

/// How much one shard remembers for clients that track.
#[derive(Debug, Default)]
pub(super) struct TrackingGauges {
    pub(super) clients: Counter,
    pub(super) keys: Counter,
    /// Keys, each counted for each client that read it.
    pub(super) items: Counter,
    pub(super) prefixes: Counter,
}

/// All shards' counters.
///
/// They only go up; a reset remembers where they were. Two that reset at the same time agree.
#[derive(Debug, Clone)]
pub struct StatsBoard {
    shards: Arc<[CachePadded<ShardBoard>]>,
    /// The number of the next slow request of any shard.
    slow_requests: Arc<AtomicU64>,
    store_at_reset: Arc<StoreCounts>,
}

/// What a partition counts and a reset forgets.
#[derive(Debug, Default)]
struct StoreCounts {
    evicted: Counter,
    evicted_unfetched: Counter,
    expired: Counter,
    expired_unfetched: Counter,
}

impl StatsBoard {
    /// A board for so many shards.
    pub fn new(shard_count: usize) -> Self {
        let shard = || ShardBoard {
            counters: Counters::default(),
            at_reset: Counters::default(),
            commands: CommandMeters::new(),
            errors: Default::default(),
            rates: Rates::default(),
            tracking: TrackingGauges::default(),
        };
        Self {
            shards: (0..shard_count).map(|_| CachePadded(shard())).collect(),
            slow_requests: Arc::default(),
            store_at_reset: Arc::default(),
        }
    }

    pub(super) fn of(&self, shard: usize) -> &Counters {
        &self.shards[shard].0.counters
    }

    /// What a shard remembers for clients that track.
    pub(super) fn tracking(&self, shard: usize) -> &TrackingGauges {
        &self.shards[shard].0.tracking
    }

    /// The sum of one of those gauges.
    pub(super) fn tracked(&self, gauge: impl Fn(&TrackingGauges) -> &Counter) -> u64 {
        let shards = self.shards.iter();
        shards.map(|shard| gauge(&shard.0.tracking).value()).sum()
    }

    /// One shard's counts by command.
    #[inline]
    pub(super) fn commands(&self, shard: usize) -> &CommandMeters {
        &self.shards[shard].0.commands
    }

    /// One shard's averages of the moment.
    pub(super) fn rates(&self, shard: usize) -> &Rates {
        &self.shards[shard].0.rates
    }

    /// The number of a slow request.
    pub(super) fn next_slow_request(&self) -> u64 {
        self.slow_requests.fetch_add(1, Ordering::Relaxed)
    }

    /// The number that the next slow request will have.
    pub(super) fn slow_requests(&self) -> u64 {
        self.slow_requests.load(Ordering::Relaxed)
    }

    /// The sum of all shards' counts of one command.
    pub(super) fn command(&self, command: Command) -> CommandFigures {
        let mut figures = CommandFigures::default();
        self.shards
            .iter()
            .for_each(|shard| figures.add(shard.0.commands.of(command)));
        figures
    }

    /// Requests that the RESP front end executed.
    pub(super) fn calls(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.0.commands.calls())
            .sum()
    }

    /// Counts an error line of the RESP front end.
    pub(super) fn count_error(&self, shard: usize, line: &[u8]) {
        let code = line.strip_prefix(b"-").unwrap_or(line);
        let end = code.iter().position(|byte| matches!(byte, b' ' | b'\r'));
        let code = &code[..end.unwrap_or(code.len())];
        let index = ERROR_CODES.iter().position(|name| name.as_bytes() == code);
        self.shards[shard].0.errors[index.unwrap_or(ERROR_CODES.len() - 1)].add(1);
    }

    /// All shards' errors, by [`ERROR_CODES`].
    pub(super) fn errors(&self) -> [u64; ERROR_CODES.len()] {
        let mut sums = [0; ERROR_CODES.len()];
        for shard in self.shards.iter() {
            for (sum, count) in sums.iter_mut().zip(&shard.0.errors) {
                *sum += count.value();
            }
        }
        sums
    }

    /// All shards' requests, bytes received and bytes sent per second.
    pub(super) fn per_second(&self, now: UnixMs) -> [u64; RATE_COUNT] {
        let mut sums = [0; RATE_COUNT];
        for shard in self.shards.iter() {
            for (sum, rate) in sums.iter_mut().zip(shard.0.rates.now(now)) {
                *sum += rate;
            }
        }
        sums
    }

    /// Bytes that were alive in the store at most, as sampled.
    pub(super) fn live_bytes_peak(&self) -> u64 {
        let peaks = self.shards.iter();
        let peaks = peaks.map(|shard| shard.0.counters.live_bytes_peak.value());
        peaks.max().unwrap_or_default()
    }

    /// Nodes of the pool's cluster, as the shard sees it that knows of most.
    pub(super) fn cluster_nodes(&self) -> u64 {
        let counts = self.shards.iter();
        let counts = counts.map(|shard| shard.0.counters.cluster_nodes.value());
        counts.max().unwrap_or_default()
    }

    /// What all shards have counted since the last reset.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in self.shards.iter() {
            totals.add(&shard.0.counters, &shard.0.at_reset);
        }
        totals
    }

    /// The same for one shard.
    pub(super) fn totals_of(&self, shard: usize) -> Totals {
        let mut totals = Totals::default();
        let ShardBoard {
            counters, at_reset, ..
        } = &self.shards[shard].0;
        totals.add(counters, at_reset);
        totals
    }

    /// Sets to nothing what one shard counted by command; only that shard does.
    pub(super) fn reset_commands(&self, shard: usize) {
        let ShardBoard {
            counters,
            commands,
            errors,
            ..
        } = &self.shards[shard].0;
        commands.reset();
        errors.iter().for_each(|count| count.set(0));
        counters.live_bytes_peak.set(0);
    }

    /// The store's figures with what it counted since the last reset.
    pub(super) fn since_reset(&self, store: PartitionStats) -> PartitionStats {
        let base = &self.store_at_reset;
        let since = |count: u64, base: &Counter| count.saturating_sub(base.value());
        PartitionStats {
            evicted_count: since(store.evicted_count, &base.evicted),
            evicted_unfetched_count: since(store.evicted_unfetched_count, &base.evicted_unfetched),
            expired_count: since(store.expired_count, &base.expired),
            expired_unfetched_count: since(store.expired_unfetched_count, &base.expired_unfetched),
            ..store
        }
    }

    /// Counts from here on, but for what tells how things are.
    pub(super) fn reset(&self, store: PartitionStats) {
        for CachePadded(shard) in self.shards.iter() {
            shard.at_reset.copy_from(&shard.counters);
            shard.at_reset.connections.set(0);
            shard.at_reset.live_bytes_peak.set(0);
            shard.at_reset.cluster_nodes.set(0);
        }
        let base = &self.store_at_reset;
        base.evicted.set(store.evicted_count);
        base.evicted_unfetched.set(store.evicted_unfetched_count);
        base.expired.set(store.expired_count);
        base.expired_unfetched.set(store.expired_unfetched_count);
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
        assert_eq!(board.totals_of(1).gets, 4);
    }

    #[test]
    fn a_reset_forgets_what_was_and_keeps_what_is() {
        let board = StatsBoard::new(2);
        let store = PartitionStats {
            entry_count: 5,
            evicted_count: 7,
            ..PartitionStats::default()
        };
        board.of(0).gets.add(3);
        board.of(1).connections.add(1);
        board.reset(store);
        board.of(0).gets.add(1);
        let totals = board.totals();
        assert_eq!((totals.gets, totals.connections), (1, 1));
        let evicted_count = store.evicted_count + 2;
        let since = board.since_reset(PartitionStats {
            evicted_count,
            ..store
        });
        assert_eq!((since.entry_count, since.evicted_count), (5, 2));
    }
}
