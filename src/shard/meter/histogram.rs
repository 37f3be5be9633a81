//! How long requests took, by powers of two and eight steps in each: any figure is at most an
//! eighth too high.

use core::sync::atomic::{AtomicU32, Ordering};

/// Durations below 2^10 ns share a bucket.
const FLOOR_LOG2: u32 = 10;

/// Durations from 2^30 ns, about a second, share the last bucket, as in Redis.
const CEILING_LOG2: u32 = 30;

/// Steps in each power of two, as a power of two.
const STEPS_LOG2: u32 = 3;

const BUCKET_COUNT: usize = 1 + ((CEILING_LOG2 - FLOOR_LOG2) << STEPS_LOG2) as usize;

/// The counts of one shard; only that shard changes them.
#[derive(Debug)]
pub(in crate::shard) struct Histogram([AtomicU32; BUCKET_COUNT]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; BUCKET_COUNT])
    }
}

impl Histogram {
    /// Counts a duration.
    pub(in crate::shard) fn record(&self, ns: u64) {
        if let Some(count) = self.0.get(bucket(ns)) {
            let seen = count.load(Ordering::Relaxed);
            count.store(seen.saturating_add(1), Ordering::Relaxed);
        }
    }

    /// Forgets everything.
    pub(in crate::shard) fn reset(&self) {
        self.0
            .iter()
            .for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

/// The sum of several shards' histograms.
#[derive(Debug, Clone)]
pub(in crate::shard) struct Durations([u64; BUCKET_COUNT]);

impl Default for Durations {
    fn default() -> Self {
        Self([0; BUCKET_COUNT])
    }
}

impl Durations {
    pub(in crate::shard) fn add(&mut self, histogram: &Histogram) {
        for (sum, count) in self.0.iter_mut().zip(&histogram.0) {
            *sum += u64::from(count.load(Ordering::Relaxed));
        }
    }

    /// How many durations were counted.
    pub(in crate::shard) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The duration in nanoseconds that so many percent do not exceed; 0 if there are none.
    pub(in crate::shard) fn percentile_ns(&self, percent: f64) -> u64 {
        let wanted = (self.count() as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        place.map_or(0, |bucket| end_ns(bucket) - 1)
    }

    /// How many took at most so many microseconds, for each power of two in which there are some:
    /// the bounds are those that Redis writes.
    pub(in crate::shard) fn cumulative_us(&self) -> Vec<(u64, u64)> {
        let (mut rows, mut seen) = (Vec::new(), 0);
        for (index, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            seen += count;
            let bound_us = redis_bound_us(end_ns(index));
            match rows.last_mut() {
                Some((last_us, sum)) if *last_us == bound_us => *sum = seen,
                _ => rows.push((bound_us, seen)),
            }
        }
        rows
    }
}

fn bucket(ns: u64) -> usize {
    if ns < 1 << FLOOR_LOG2 {
        return 0;
    }
    let ns = ns.min((1 << CEILING_LOG2) - 1);
    let step = (ns >> (ns.ilog2() - STEPS_LOG2)) as usize & ((1 << STEPS_LOG2) - 1);
    1 + (((ns.ilog2() - FLOOR_LOG2) as usize) << STEPS_LOG2) + step
}

/// Where a bucket ends, in nanoseconds.
fn end_ns(bucket: usize) -> u64 {
    let Some(above) = bucket.checked_sub(1) else {
        return 1 << FLOOR_LOG2;
    };
    let power = FLOOR_LOG2 + (above >> STEPS_LOG2) as u32;
    let step = (above & ((1 << STEPS_LOG2) - 1)) as u64;
    (1 << power) + ((step + 1) << (power - STEPS_LOG2))
}

/// The bound of the power of two that a bucket belongs to, as Redis' HDR histogram of two digits
/// rounds it: 1, 2, 4, 8, 16, 33, 66, …
fn redis_bound_us(end_ns: u64) -> u64 {
    let power = end_ns.next_power_of_two();
    (power + (power >> 7) - 1) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durations(all_ns: &[u64]) -> Durations {
        let histogram = Histogram::default();
        all_ns.iter().for_each(|ns| histogram.record(*ns));
        let mut sum = Durations::default();
        sum.add(&histogram);
        sum
    }

    #[test]
    fn every_duration_is_in_the_bucket_that_ends_behind_it() {
        let mut last = 0;
        for ns in (0..40).flat_map(|shift| {
            [
                1_u64 << shift,
                (1 << shift) + 1,
                3 << shift,
                (7 << shift) - 1,
            ]
        }) {
            let index = bucket(ns);
            let clamped = ns.min((1 << CEILING_LOG2) - 1);
            assert!(end_ns(index) > clamped, "{ns}");
            assert!(index == 0 || end_ns(index - 1) <= clamped, "{ns}");
            last = last.max(index);
        }
        assert_eq!(last, BUCKET_COUNT - 1);
    }

    #[test]
    fn percentiles_are_at_most_an_eighth_too_high() {
        let all: Vec<u64> = (1..=1_000).map(|us| us * 1_000).collect();
        let durations = durations(&all);
        for (percent, us) in [(50.0, 500_u64), (99.0, 990), (99.9, 999), (100.0, 1_000)] {
            let ns = durations.percentile_ns(percent);
            let exact = us * 1_000;
            assert!(
                ns >= exact && ns <= exact + exact / 8,
                "{percent} % are {ns}"
            );
        }
        assert_eq!(Durations::default().percentile_ns(50.0), 0);
    }

    #[test]
    fn powers_of_two_add_up_and_bear_redis_bounds() {
        let durations = durations(&[500, 1_000, 3_000, 20_000, 20_000, 5_000_000_000]);
        assert_eq!(
            durations.cumulative_us(),
            [(1, 2), (4, 3), (33, 5), (1_082_130, 6)]
        );
        assert_eq!(durations.count(), 6);
    }
}
