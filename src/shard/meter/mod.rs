//! What a shard measures of the requests it serves.
//!
//! Counting a call is one addition. Measuring how long it took is two readings of the clock, as
//! much as a small request costs by itself. So requests that clients make by the million are
//! sampled, one in [`SAMPLE_PERIOD`], and those that nobody makes often (anything about the server,
//! or about many keys) are all timed, since they are what a slow log is for. Who sets the slow
//! log's threshold under [`SAMPLED_SLOW_US_MIN`] wants to see small requests, too, and pays for it:
//! then every request is timed.
//!
//! What is timed is the work of the connection's shard: not the time a request waits for its turn,
//! nor what another shard or a backend needs for it.
//!
//! * `commands`, `histogram`: calls and durations by command, read by every shard
//! * `slow_log`, `events`: the requests that took long, kept by the shard that served them
//! * `rates`: how much happens at the moment

mod commands;
mod events;
mod histogram;
mod rates;
mod slow_log;

use self::rates::Sampler;
pub(super) use self::{
    commands::{CommandFigures, CommandMeters},
    events::{EVENT_NAMES, History, Sample},
    rates::{RATE_COUNT, Rates},
    slow_log::{SlowLog, SlowRequest, keep_args},
};
use super::core::Core;

/// One request in so many is timed. A prime, so that no pipeline of a usual depth keeps in step
/// with it and always has the same one timed. At 50 ns for two readings it costs a request less
/// than a nanosecond.
const SAMPLE_PERIOD: u32 = 61;

/// A slow log for requests faster than this, in microseconds, needs every request to be timed: no
/// request that is sampled takes so long by its own work.
pub(super) const SAMPLED_SLOW_US_MIN: u64 = 1_000;

/// One shard's instruments.
#[derive(Debug)]
pub(super) struct Meter {
    /// Requests until the next one that is attended to.
    left: u32,
    period: u32,
    sampler: Sampler,
    pub(super) slow_log: SlowLog,
    /// By [`EVENT_NAMES`].
    pub(super) events: [History; EVENT_NAMES.len()],
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            left: SAMPLE_PERIOD,
            period: SAMPLE_PERIOD,
            sampler: Sampler::default(),
            slow_log: SlowLog::default(),
            events: Default::default(),
        }
    }

    /// Whether the next request is one to attend to rather than just to execute.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        self.left -= 1;
        if self.left == 0 {
            self.left = self.period;
            return true;
        }
        false
    }

    /// How many requests in a row are none of those.
    #[inline]
    pub(super) fn free(&self) -> usize {
        self.left as usize - 1
    }

    /// So many of those were executed.
    #[inline]
    pub(super) fn pass(&mut self, count: usize) {
        debug_assert!(count <= self.free(), "one was to be attended to");
        self.left -= count as u32;
    }

    /// Attends to every request from now on, or to samples.
    pub(super) fn attend_all(&mut self, all: bool) {
        let period = if all { 1 } else { SAMPLE_PERIOD };
        if self.period != period {
            (self.period, self.left) = (period, period);
        }
    }
}

impl Core {
    /// What has to be known before the turn's requests are served.
    pub(super) fn begin_turn(&mut self) {
        self.pause.end_if_over(self.now);
        self.attend();
        if self.meter.sampler.is_due(self.now) {
            self.sample_rates();
        }
    }

    /// Attends to every request if there is a reason.
    pub(super) fn attend(&mut self) {
        let all = self.pause.is_on() || self.settings.tunables.times_all();
        self.meter.attend_all(all);
    }

    fn sample_rates(&mut self) {
        let shard = self.shard();
        let counters = self.board.of(shard);
        let totals = [
            self.board.commands(shard).calls(),
            counters.bytes_read.value(),
            counters.bytes_written.value(),
        ];
        let live_bytes = self.store.stats().live_bytes;
        if live_bytes > counters.live_bytes_peak.value() {
            counters.live_bytes_peak.set(live_bytes);
        }
        let rates = self.board.rates(shard);
        self.meter.sampler.sample(self.now, totals, rates);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_period_is_attended_to_or_all() {
        let mut meter = Meter::new();
        let attended = |meter: &mut Meter| (0..610).filter(|_| meter.is_due()).count();
        assert_eq!(attended(&mut meter), 10);
        assert_eq!(meter.free(), 60);
        meter.pass(7);
        assert_eq!(meter.free(), 53);
        meter.pass(53);
        assert!(meter.is_due());
        meter.attend_all(true);
        assert_eq!(meter.free(), 0);
        assert_eq!(attended(&mut meter), 610);
        meter.attend_all(false);
        assert_eq!(attended(&mut meter), 10);
    }
}
