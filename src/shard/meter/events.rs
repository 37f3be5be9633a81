//! The latency monitor: when requests took at least `latency-monitor-threshold`.

use std::collections::VecDeque;

/// Samples that are kept of an event, each of another second. Redis'.
const SAMPLES_MAX: usize = 160;

/// The events there are: `fast-command` for commands that ought to take no time, `command` for the
/// others.
pub(in crate::shard) const EVENT_NAMES: [&str; 2] = ["command", "fast-command"];

/// A second in which an event happened, and the longest it took then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::shard) struct Sample {
    pub(in crate::shard) unix_seconds: u64,
    pub(in crate::shard) ms: u64,
}

/// One event's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::shard) struct History {
    /// Oldest first.
    samples: VecDeque<Sample>,
    /// The longest ever.
    pub(in crate::shard) ms_max: u64,
}

impl History {
    /// Adds a sample that is not older than the last one.
    pub(in crate::shard) fn add(&mut self, sample: Sample) {
        self.ms_max = self.ms_max.max(sample.ms);
        match self.samples.back_mut() {
            Some(last) if last.unix_seconds == sample.unix_seconds => {
                last.ms = last.ms.max(sample.ms);
            }
            _ => {
                if self.samples.len() == SAMPLES_MAX {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
        }
    }

    /// The history of several shards.
    pub(in crate::shard) fn merged(histories: &[Self]) -> Self {
        let mut samples: Vec<_> = histories.iter().flat_map(|one| &one.samples).collect();
        samples.sort();
        let mut merged = Self::default();
        samples.into_iter().for_each(|sample| merged.add(*sample));
        let all_ms_max = histories.iter().map(|one| one.ms_max).max();
        merged.ms_max = all_ms_max.unwrap_or_default();
        merged
    }

    pub(in crate::shard) fn samples(&self) -> impl ExactSizeIterator<Item = Sample> {
        self.samples.iter().copied()
    }

    pub(in crate::shard) fn latest(&self) -> Option<Sample> {
        self.samples.back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(samples: &[(u64, u64)]) -> History {
        let mut history = History::default();
        for &(unix_seconds, ms) in samples {
            history.add(Sample { unix_seconds, ms });
        }
        history
    }

    #[test]
    fn a_second_has_one_sample_its_longest() {
        let history = history(&[(1, 10), (1, 30), (1, 20), (3, 5)]);
        let samples: Vec<_> = history
            .samples()
            .map(|one| (one.unix_seconds, one.ms))
            .collect();
        assert_eq!(samples, [(1, 30), (3, 5)]);
        assert_eq!((history.ms_max, history.latest().unwrap().ms), (30, 5));
    }

    #[test]
    fn histories_of_shards_are_one_in_order() {
        let merged = History::merged(&[history(&[(1, 10), (4, 7)]), history(&[(1, 12), (2, 3)])]);
        let samples: Vec<_> = merged
            .samples()
            .map(|one| (one.unix_seconds, one.ms))
            .collect();
        assert_eq!(samples, [(1, 12), (2, 3), (4, 7)]);
        assert_eq!(merged.ms_max, 12);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let samples: Vec<_> = (0..1_000).map(|second| (second, 1_000 - second)).collect();
        let history = history(&samples);
        assert_eq!(history.samples().len(), SAMPLES_MAX);
        assert_eq!(history.ms_max, 1_000, "also of what is forgotten");
    }
}
