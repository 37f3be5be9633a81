//! What a setting is worth against another one, from trials of both in turn, and when that is known well enough.
//!
//! Trials of one round are a pair, whose ratio a machine that drifts leaves alone. Of the pairs' ratios the estimate is the
//! Hodges-Lehmann one, the median of the means of every two of them, and its interval is the one that belongs to Wilcoxon's
//! signed-rank test (Hollander and Wolfe, "Nonparametric Statistical Methods", section 3.3): exact for few pairs, and a trial
//! in which something else had the core moves neither. All in logarithms, as twice as good and half as good are alike far.
//!
//! The interval is looked at after each round, and each look is a chance to be wrong. So one look is held to
//! [`LOOK_ERROR`], which keeps all looks of a contest together below one wrong verdict in twenty: a test counts.

/// Chance that the interval of one look does not hold the truth; 99 % intervals are told.
const LOOK_ERROR: f64 = 0.01;

/// Pairs from which on an interval of that kind exists: the most extreme of 2^8 orders of signs, on both sides.
pub(crate) const PAIRS_MIN: usize = 8;

/// Pairs of a contest at most: with more looks the chance of a wrong verdict would be more than one in twenty.
pub(crate) const PAIRS_MAX: usize = 30;

/// How many times as good as the other setting it is: 1 is as good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Worth {
    pub(crate) ratio: f64,
    /// The 99 % interval; from nothing to infinity while there are too few pairs for one.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// What is known of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Better by more than the difference that one cares for.
    Better,
    /// Worse by more than that.
    Worse,
    /// Not better or worse by that much.
    Same,
    /// The interval still holds more than one of these.
    Open,
}

/// Ratios of pairs so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    log_ratios: Vec<f64>,
}

impl Pairs {
    /// Adds a pair: how many times as good the setting was in this round.
    pub(crate) fn add(&mut self, ratio: f64) {
        self.log_ratios.push(ratio.ln());
    }

    pub(crate) fn count(&self) -> usize {
        self.log_ratios.len()
    }

    /// `None` without a pair.
    pub(crate) fn worth(&self) -> Option<Worth> {
        let means = self.means();
        let middle = means.len() / 2;
        let (&upper, &lower) = (means.get(middle)?, means.get((means.len() - 1) / 2)?);
        let skipped = skipped(self.count());
        let (low, high) = match skipped {
            None => (f64::NEG_INFINITY, f64::INFINITY),
            Some(skipped) => (means[skipped], means[means.len() - 1 - skipped]),
        };
        Some(Worth {
            ratio: ((lower + upper) / 2.0).exp(),
            low: low.exp(),
            high: high.exp(),
        })
    }

    /// `difference`: the smallest that one cares for, as a share.
    pub(crate) fn verdict(&self, difference: f64) -> Verdict {
        self.worth()
            .map_or(Verdict::Open, |worth| worth.verdict(difference))
    }

    /// Of every two of them, each with itself too, in order.
    fn means(&self) -> Vec<f64> {
        let ratios = &self.log_ratios;
        let mut means = Vec::with_capacity(ratios.len() * (ratios.len() + 1) / 2);
        for (index, first) in ratios.iter().enumerate() {
            means.extend(ratios[index..].iter().map(|second| (first + second) / 2.0));
        }
        means.sort_by(f64::total_cmp);
        means
    }
}

impl Worth {
    /// Both bounds are as far from 1 in logarithms, so that whatever is better by some is as surely worse the other way round.
    fn verdict(&self, difference: f64) -> Verdict {
        let (least, most) = (1.0 / (1.0 + difference), 1.0 + difference);
        if self.low > most {
            Verdict::Better
        } else if self.high < least {
            Verdict::Worse
        } else if self.low >= least && self.high <= most {
            Verdict::Same
        } else {
            Verdict::Open
        }
    }
}

/// How many of the means lie outside the interval on each side; `None` if there are too few pairs for one.
///
/// The sum of the ranks with a plus has as many orders of signs that come to it as there are sets of ranks with that sum. The
/// interval leaves out as many means as the largest sum that all smaller ones together have at most half of the error.
fn skipped(pairs: usize) -> Option<usize> {
    let mut ways = vec![0.0; pairs * (pairs + 1) / 2 + 1];
    ways[0] = 1.0;
    for rank in 1..=pairs {
        for sum in (rank..ways.len()).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let allowed = LOOK_ERROR / 2.0 * 2f64.powi(pairs as i32);
    let mut so_far = 0.0;
    let within = ways.iter().take_while(|&&ways| {
        so_far += ways;
        so_far <= allowed
    });
    within.count().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::rng::Rng;

    fn pairs(ratios: &[f64]) -> Pairs {
        let mut pairs = Pairs::default();
        ratios.iter().for_each(|&ratio| pairs.add(ratio));
        pairs
    }

    /// Of a table of the signed-rank statistic: the means left out on each side of a 99 % interval.
    #[test]
    fn intervals_are_those_of_the_published_table() {
        // Two-sided 0.01: critical values 0, 1, 3, 5, 7, 9, 12, 15, 19 for 8 to 16 pairs; 37 for 20; 109 for 30.
        let table = [
            (8, 0),
            (9, 1),
            (10, 3),
            (11, 5),
            (12, 7),
            (13, 9),
            (14, 12),
            (15, 15),
            (16, 19),
            (20, 37),
            (30, 109),
        ];
        for (pairs, critical) in table {
            assert_eq!(skipped(pairs), Some(critical), "{pairs} pairs");
        }
        assert_eq!(skipped(PAIRS_MIN - 1), None);
        assert_eq!(skipped(0), None);
    }

    #[test]
    fn few_pairs_decide_nothing() {
        let few = pairs(&[3.0; PAIRS_MIN - 1]);
        assert_eq!(few.verdict(0.02), Verdict::Open);
        let worth = few.worth().unwrap();
        assert!((worth.ratio - 3.0).abs() < 1e-9);
        assert_eq!((worth.low, worth.high), (0.0, f64::INFINITY));
        assert_eq!(pairs(&[]).worth(), None);
        assert_eq!(pairs(&[3.0; PAIRS_MIN]).verdict(0.02), Verdict::Better);
    }

    #[test]
    fn verdicts_are_what_the_interval_says() {
        assert_eq!(pairs(&[1.2; 10]).verdict(0.02), Verdict::Better);
        assert_eq!(pairs(&[0.8; 10]).verdict(0.02), Verdict::Worse);
        assert_eq!(pairs(&[1.01; 10]).verdict(0.02), Verdict::Same);
        let spread: Vec<_> = (0..10).map(|index| 0.9 + 0.02 * f64::from(index)).collect();
        assert_eq!(pairs(&spread).verdict(0.02), Verdict::Open);
    }

    #[test]
    fn a_wild_trial_moves_little() {
        let mut ratios = vec![1.1; 11];
        ratios.push(40.0);
        let worth = pairs(&ratios).worth().unwrap();
        assert!((worth.ratio - 1.1).abs() < 1e-9, "{worth:?}");
        assert!(worth.low > 1.09, "{worth:?}");
    }

    #[test]
    fn better_one_way_is_as_much_worse_the_other() {
        let ratios = [1.07, 1.11, 1.02, 1.3, 0.99, 1.2, 1.1, 1.15, 1.08];
        let there = pairs(&ratios).worth().unwrap();
        let back = pairs(&ratios.map(|ratio| 1.0 / ratio)).worth().unwrap();
        assert!((there.ratio * back.ratio - 1.0).abs() < 1e-9);
        assert!((there.low * back.high - 1.0).abs() < 1e-9);
    }

    /// What a trial on a shared machine is like: most within some per cent, now and then one at half of the speed.
    fn noise(rng: &mut Rng, width: f64) -> f64 {
        let spread = (rng.unit() + rng.unit() + rng.unit() - 1.5) * width;
        let disturbed = if rng.below(12) == 0 {
            rng.unit() * 0.7
        } else {
            0.0
        };
        (spread + disturbed).exp()
    }

    /// Adds pairs until there is a verdict.
    fn contest(rng: &mut Rng, truth: f64, difference: f64, width: f64) -> Verdict {
        let mut pairs = Pairs::default();
        let mut verdict = Verdict::Open;
        while verdict == Verdict::Open && pairs.count() < PAIRS_MAX {
            pairs.add(truth * noise(rng, width) / noise(rng, width));
            verdict = pairs.verdict(difference);
        }
        verdict
    }

    #[test]
    fn looking_after_each_round_is_wrong_in_one_of_twenty_at_most() {
        let mut rng = Rng::new(7);
        let runs = 1000;
        // Nothing is too small to care for: every verdict is wrong, and the looks have every chance.
        let wrong = (0..runs)
            .filter(|_| contest(&mut rng, 1.0, 0.0, 0.1) != Verdict::Open)
            .count();
        assert!(wrong <= runs / 20, "{wrong} of {runs}");
        let wrong = (0..runs)
            .filter(|_| contest(&mut rng, 1.0, 0.02, 0.1) == Verdict::Better)
            .count();
        assert!(wrong <= runs / 100, "{wrong} of {runs}");
    }

    #[test]
    fn what_is_worth_something_is_found_and_what_is_not_is_told() {
        let mut rng = Rng::new(11);
        for (truth, expected) in [
            (1.15, Verdict::Better),
            (1.0 / 1.15, Verdict::Worse),
            (1.0, Verdict::Same),
        ] {
            let runs = 200;
            let found = (0..runs)
                .filter(|_| contest(&mut rng, truth, 0.05, 0.05) == expected)
                .count();
            assert!(found * 4 >= runs * 3, "{truth}: {found} of {runs}");
        }
    }
}
