//! What a shard counts, and the sum over shards that any of them can give.
//!
//! Each shard writes its own counters with plain stores; whoever asks reads them all. A sum is
//! of one moment only as far as nothing changed while it was taken.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::{
    core::Core,
    meter::{CommandFigures, CommandMeters, RATE_COUNT, Rates},
};
use crate::{protocol::resp::table::Command, store::UnixMs, sync::CachePadded};

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

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
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
    /// Receives from downstreams that brought something.
    reads,
    /// Sends to downstreams.
    writes,
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
    /// The most bytes that were alive in the whole store, as this shard saw it.
    live_bytes_peak,
}

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
    commands: CommandMeters,
    errors: [Counter; ERROR_CODES.len()],
    rates: Rates,
}

/// All shards' counters.
#[derive(Debug, Clone)]
pub struct StatsBoard {
    shards: Arc<[CachePadded<ShardBoard>]>,
    /// The number of the next slow request of any shard.
    slow_requests: Arc<AtomicU64>,
}

impl StatsBoard {
    /// A board for so many shards.
    pub fn new(shard_count: usize) -> Self {
        let shard = || ShardBoard {
            counters: Counters::default(),
            commands: CommandMeters::new(),
            errors: Default::default(),
            rates: Rates::default(),
        };
        Self {
            shards: (0..shard_count).map(|_| CachePadded(shard())).collect(),
            slow_requests: Arc::default(),
        }
    }

    pub(super) fn of(&self, shard: usize) -> &Counters {
        &self.shards[shard].0.counters
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

    /// Sets to nothing what `CONFIG RESETSTAT` does, of one shard; only that shard does.
    pub(super) fn reset(&self, shard: usize) {
        let ShardBoard {
            counters,
            commands,
            errors,
            ..
        } = &self.shards[shard].0;
        commands.reset();
        errors.iter().for_each(|count| count.set(0));
        for counter in [
            &counters.connections_total,
            &counters.connections_refused,
            &counters.gets,
            &counters.get_hits,
            &counters.reads,
            &counters.writes,
            &counters.bytes_read,
            &counters.bytes_written,
            &counters.live_bytes_peak,
        ] {
            counter.set(0);
        }
    }
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.shards
            .iter()
            .for_each(|shard| totals.add(&shard.0.counters));
        totals
    }
}

/// Everything counted, in memcached's names where it has one. A name with a dot is `INFO`'s only.
pub(super) fn figures(core: &Core) -> [(&'static str, u64); 29] {
    let totals = core.board.totals();
    let store = core.store.stats();
    let uptime = core.now.seconds() - core.settings.started.seconds();
    [
        ("pid", u64::from(std::process::id())),
        ("uptime", uptime),
        ("time", core.now.seconds()),
        ("pointer_size", u64::from(usize::BITS)),
        ("curr_connections", totals.connections),
        ("total_connections", totals.connections_total),
        ("rejected_connections", totals.connections_refused),
        ("max_connections", core.settings.connections_max as u64),
        ("cmd_get", totals.gets),
        ("cmd_set", totals.sets),
        ("cmd_flush", totals.flushes),
        ("cmd_touch", totals.touches),
        ("get_hits", totals.get_hits),
        ("get_misses", totals.gets.saturating_sub(totals.get_hits)),
        ("deletes", totals.deletes),
        ("counts", totals.counts),
        ("bytes_read", totals.bytes_read),
        ("bytes_written", totals.bytes_written),
        ("limit_maxbytes", core.settings.memory_bytes as u64),
        ("threads", core.mesh.shard_count() as u64),
        ("bytes", store.live_bytes),
        ("curr_items", store.entry_count),
        ("evictions", store.evicted_count),
        ("reclaimed", store.expired_count),
        ("shard_hops", totals.hops),
        ("backend_requests", totals.backend_requests),
        ("backend_failures", totals.backend_failures),
        ("fills_joined", totals.fills_joined),
        ("invalidations", totals.invalidations),
    ]
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
