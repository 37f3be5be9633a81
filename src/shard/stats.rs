//! What a shard counts, and the sum over shards that any of them can give.
//!
//! Each shard writes its own counters with plain stores; whoever asks reads them all. A sum is
//! of one moment only as far as nothing changed while it was taken.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::meter::{CommandFigures, CommandMeters, RATE_COUNT, Rates};
use crate::{
    protocol::resp::table::Command,
    store::{Absence, Condition, Operation, Outcome, PartitionStats, UnixMs},
    sync::CachePadded,
};

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

        impl Counters {
            fn copy_from(&self, other: &Self) {
                $(self.$name.set(other.$name.value());)*
            }
        }

        /// What was counted, by one shard or by all.
        #[derive(Debug, Default, Clone, Copy)]
        pub(super) struct Totals {
            $($(#[$doc])* pub(super) $name: u64,)*
        }

        impl Totals {
            fn add(&mut self, counters: &Counters, at_reset: &Counters) {
                $(
                    let count = counters.$name.value().wrapping_sub(at_reset.$name.value());
                    self.$name = self.$name.wrapping_add(count);
                )*
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
    /// Of the keys looked up, expired.
    get_expired,
    /// Of the keys looked up, flushed.
    get_flushed,
    /// Values stored, whatever for.
    stored,
    /// Values refused because of their size.
    store_too_large,
    /// Values refused because no memory could be freed.
    store_no_memory,
    /// Conditional stores whose CAS id was the right one.
    cas_hits,
    /// The same, of keys that were not there.
    cas_misses,
    /// The same, of values that somebody else had changed.
    cas_badval,
    /// Deadlines changed.
    touch_hits,
    /// Deadlines that were to be changed of keys that were not there.
    touch_misses,
    /// Deletes.
    deletes,
    /// Of these, of keys that were there.
    delete_hits,
    /// Of these, of keys that were not there, or were not as they should.
    delete_misses,
    /// Increments and decrements.
    counts,
    /// Of these, up.
    incr_hits,
    /// Increments of keys that were not there.
    incr_misses,
    /// Of these, down.
    decr_hits,
    /// Decrements of keys that were not there.
    decr_misses,
    /// memcache's `me`.
    metas,
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
    at_reset: Counters,
    commands: CommandMeters,
    errors: [Counter; ERROR_CODES.len()],
    rates: Rates,
    tracking: TrackingGauges,
}

impl Counters {
    /// Counts a look-up that found nothing.
    pub(super) fn note_absence(&self, absence: Absence) {
        match absence {
            Absence::Unknown => {}
            Absence::Expired => self.get_expired.add(1),
            Absence::Flushed => self.get_flushed.add(1),
        }
    }

    /// Counts a store that compared CAS ids.
    pub(super) fn note_compared(&self, outcome: Outcome) {
        match outcome {
            Outcome::Stored { .. } => self.cas_hits.add(1),
            Outcome::NotFound => self.cas_misses.add(1),
            Outcome::Exists => self.cas_badval.add(1),
            _ => {}
        }
    }

    /// Counts what came of an operation that a client asked for.
    pub(super) fn note_applied(&self, operation: &Operation, outcome: Outcome) {
        match (operation, outcome) {
            (_, Outcome::TooLarge) => self.store_too_large.add(1),
            (_, Outcome::OutOfMemory) => self.store_no_memory.add(1),
            (Operation::Set { .. } | Operation::Concat { .. }, outcome) => {
                let is_stored = matches!(outcome, Outcome::Stored { .. });
                self.stored.add(u64::from(is_stored));
                if let Operation::Set {
                    condition: Condition::Version(_),
                    ..
                } = operation
                {
                    self.note_compared(outcome);
                }
            }
            (Operation::Delete { .. }, Outcome::Deleted) => self.delete_hits.add(1),
            (Operation::Delete { .. }, _) => self.delete_misses.add(1),
            (Operation::Expire { .. }, Outcome::NotFound) => self.touch_misses.add(1),
            (Operation::Expire { .. }, _) => self.touch_hits.add(1),
            (Operation::CountUnsigned { down, .. }, Outcome::Unsigned(_)) => {
                self.note_counted(*down);
            }
            (Operation::CountSigned { delta }, Outcome::Signed(_)) => self.note_counted(*delta < 0),
            (Operation::CountUnsigned { down: false, .. }, Outcome::NotFound) => {
                self.incr_misses.add(1);
            }
            (Operation::CountUnsigned { down: true, .. }, Outcome::NotFound) => {
                self.decr_misses.add(1);
            }
            _ => {}
        }
    }

    fn note_counted(&self, down: bool) {
        if down {
            self.decr_hits.add(1);
        } else {
            self.incr_hits.add(1);
        }
    }
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
