//! What a shard counts of each RESP command.

use super::histogram::{Durations, Histogram};
use crate::{
    protocol::resp::table::{self, Command},
    shard::stats::Counter,
};

/// The counts of one command on one shard.
#[derive(Debug, Default)]
pub(in crate::shard) struct CommandMeter {
    /// Requests executed.
    pub(in crate::shard) calls: Counter,
    /// Requests refused before they were looked into.
    pub(in crate::shard) rejected: Counter,
    /// Requests answered with an error.
    pub(in crate::shard) failed: Counter,
    /// Of the calls, those that were timed.
    timed: Counter,
    /// How long these took, in nanoseconds.
    timed_ns: Counter,
    durations: Histogram,
}

impl CommandMeter {
    /// Counts a call that was timed.
    pub(in crate::shard) fn record(&self, ns: u64, keeps_histogram: bool) {
        self.timed.add(1);
        self.timed_ns.add(ns);
        if keeps_histogram {
            self.durations.record(ns);
        }
    }

    fn reset(&self) {
        for counter in [
            &self.calls,
            &self.rejected,
            &self.failed,
            &self.timed,
            &self.timed_ns,
        ] {
            counter.set(0);
        }
        self.durations.reset();
    }
}

/// One shard's counts, by command.
#[derive(Debug)]
pub(in crate::shard) struct CommandMeters(Box<[CommandMeter]>);

impl CommandMeters {
    pub(in crate::shard) fn new() -> Self {
        Self(
            (0..table::ROW_COUNT)
                .map(|_| CommandMeter::default())
                .collect(),
        )
    }

    /// The counts of a command.
    #[inline]
    pub(in crate::shard) fn of(&self, command: Command) -> &CommandMeter {
        // Rows are numbered by their commands, which a test of the table holds.
        &self.0[command as usize]
    }

    /// Requests executed, of all commands.
    pub(in crate::shard) fn calls(&self) -> u64 {
        self.0.iter().map(|meter| meter.calls.value()).sum()
    }

    /// Forgets everything; only the shard itself does.
    pub(in crate::shard) fn reset(&self) {
        self.0.iter().for_each(CommandMeter::reset);
    }
}

/// The sum of one command's counts over shards.
#[derive(Debug, Clone, Default)]
pub(in crate::shard) struct CommandFigures {
    pub(in crate::shard) calls: u64,
    pub(in crate::shard) rejected: u64,
    pub(in crate::shard) failed: u64,
    timed: u64,
    timed_ns: u64,
    pub(in crate::shard) durations: Durations,
}

impl CommandFigures {
    pub(in crate::shard) fn add(&mut self, meter: &CommandMeter) {
        self.calls += meter.calls.value();
        self.rejected += meter.rejected.value();
        self.failed += meter.failed.value();
        self.timed += meter.timed.value();
        self.timed_ns += meter.timed_ns.value();
        self.durations.add(&meter.durations);
    }

    /// Whether the command was ever asked for.
    pub(in crate::shard) fn is_used(&self) -> bool {
        self.calls + self.rejected + self.failed > 0
    }

    /// What a call takes in microseconds, after those that were timed.
    pub(in crate::shard) fn us_per_call(&self) -> f64 {
        if self.timed == 0 {
            return 0.0;
        }
        self.timed_ns as f64 / self.timed as f64 / 1_000.0
    }

    /// What all calls took in microseconds, after those that were timed.
    pub(in crate::shard) fn us(&self) -> u64 {
        (self.us_per_call() * self.calls as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_timed_stands_for_all() {
        let meters = CommandMeters::new();
        let meter = meters.of(Command::Get);
        meter.calls.add(10);
        meter.record(2_000, true);
        meter.record(4_000, true);
        let mut figures = CommandFigures::default();
        figures.add(meter);
        assert_eq!((figures.calls, figures.us()), (10, 30));
        assert_eq!(figures.durations.count(), 2);
        assert_eq!(meters.calls(), 10);
        meters.reset();
        let mut figures = CommandFigures::default();
        figures.add(meters.of(Command::Get));
        assert!(!figures.is_used() && figures.us() == 0);
    }
}
