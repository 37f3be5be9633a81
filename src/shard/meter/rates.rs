//! How much happens at the moment: averages over the last second and a half, as Redis has them.

use super::super::stats::Counter;
use crate::store::UnixMs;

/// Least time between two samples; Redis'.
const SAMPLE_MS: u64 = 100;

/// Samples that an average is made of; Redis'.
const SAMPLE_COUNT: usize = 16;

/// What is averaged.
pub(in crate::shard) const RATE_COUNT: usize = 3;

/// The averages of one shard, which only that shard changes.
#[derive(Debug, Default)]
pub(in crate::shard) struct Rates {
    /// Requests, bytes received and bytes sent, each per second.
    per_second: [Counter; RATE_COUNT],
    /// When they were taken.
    at_ms: Counter,
}

impl Rates {
    /// The averages, unless they are of a time long gone.
    pub(in crate::shard) fn now(&self, now: UnixMs) -> [u64; RATE_COUNT] {
        let is_old = now.0.saturating_sub(self.at_ms.value()) > SAMPLE_MS * SAMPLE_COUNT as u64;
        self.per_second
            .each_ref()
            .map(|rate| if is_old { 0 } else { rate.value() })
    }
}

/// The samples of one shard.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    /// Totals and when they were taken, as a ring.
    samples: [(UnixMs, [u64; RATE_COUNT]); SAMPLE_COUNT],
    next: usize,
    is_warm: bool,
    due_at: UnixMs,
}

impl Sampler {
    pub(super) fn is_due(&self, now: UnixMs) -> bool {
        now >= self.due_at
    }

    /// Takes a sample and publishes the averages.
    pub(super) fn sample(&mut self, now: UnixMs, totals: [u64; RATE_COUNT], rates: &Rates) {
        if !self.is_warm {
            self.is_warm = true;
            self.samples = [(now, totals); SAMPLE_COUNT];
        }
        self.due_at = UnixMs(now.0 + SAMPLE_MS);
        // What happened before a long silence is no part of the moment.
        let newest = self.samples[(self.next + SAMPLE_COUNT - 1) % SAMPLE_COUNT];
        let is_after_silence = now.0.saturating_sub(newest.0.0) > SAMPLE_MS * SAMPLE_COUNT as u64;
        if is_after_silence {
            let began = UnixMs(now.0 - SAMPLE_MS);
            self.samples = [(began, newest.1); SAMPLE_COUNT];
        }
        let (since, before) = std::mem::replace(&mut self.samples[self.next], (now, totals));
        self.next = (self.next + 1) % SAMPLE_COUNT;
        let ms = now.0.saturating_sub(since.0).max(1);
        for ((rate, total), before) in rates.per_second.iter().zip(totals).zip(before) {
            rate.set(total.saturating_sub(before) * 1_000 / ms);
        }
        rates.at_ms.set(now.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate_and_silence_has_none() {
        let (mut sampler, rates) = (Sampler::default(), Rates::default());
        let mut now = UnixMs(1_000_000);
        let mut total = 0;
        for _ in 0..50 {
            assert!(sampler.is_due(now));
            sampler.sample(now, [total, 2 * total, 0], &rates);
            assert!(!sampler.is_due(now));
            now.0 += 100;
            total += 500;
        }
        assert_eq!(rates.now(now), [5_000, 10_000, 0]);
        now.0 += 10_000;
        assert_eq!(rates.now(now), [0, 0, 0]);
        // One request after it is not many, nor is it spread over the silence.
        sampler.sample(now, [total + 1, 2 * total, 0], &rates);
        assert_eq!(rates.now(now)[0], (501) * 1_000 / 100);
    }

    #[test]
    fn counters_that_were_reset_count_nothing() {
        let (mut sampler, rates) = (Sampler::default(), Rates::default());
        sampler.sample(UnixMs(100), [50, 0, 0], &rates);
        sampler.sample(UnixMs(200), [0, 0, 0], &rates);
        assert_eq!(rates.now(UnixMs(200)), [0, 0, 0]);
    }
}
