//! When requests are to start in an open loop, whatever the server does.

use crate::workload::rng::{Rng, mix};

/// The same schedule in every run.
const SEED: u64 = 0xa331;

/// How intended starts are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Spacing {
    /// Independent of each other, as from many users: exponential gaps
    Poisson,
    /// Equal gaps
    Constant,
}

/// Intended starts, in order, without end.
pub(crate) struct Arrivals {
    spacing: Spacing,
    gap_mean_ns: f64,
    next_ns: f64,
    rng: Rng,
}

impl Arrivals {
    /// One of `lanes` schedules, number `lane`, that together have `rate` requests per second, above 0: Poisson
    /// processes add up to one, and equal gaps are dealt out in turn.
    pub(crate) fn new(rate: f64, spacing: Spacing, lane: usize, lanes: usize) -> Self {
        let gap_of_all_ns = 1e9 / rate;
        let mut arrivals = Self {
            spacing,
            gap_mean_ns: gap_of_all_ns * lanes as f64,
            next_ns: 0.0,
            rng: Rng::new(SEED ^ mix(lane as u64)),
        };
        match spacing {
            Spacing::Poisson => arrivals.advance(),
            Spacing::Constant => arrivals.next_ns = gap_of_all_ns * (lane + 1) as f64,
        }
        arrivals
    }

    /// The next intended start, ns since the run began.
    pub(crate) fn next_ns(&self) -> u64 {
        self.next_ns as u64
    }

    /// Goes on to the one after.
    pub(crate) fn advance(&mut self) {
        self.next_ns += match self.spacing {
            Spacing::Constant => self.gap_mean_ns,
            // The inverse of the exponential distribution; 1 - unit is never 0.
            Spacing::Poisson => -(1.0 - self.rng.unit()).ln() * self.gap_mean_ns,
        };
    }
}

/// When requests start, and on which connection.
pub(crate) enum Schedule {
    /// Drawn, without end; any connection will do.
    Drawn(Arrivals),
    /// As somebody else's requests did.
    Listed { starts: Vec<Start>, next: usize },
}

/// One request of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Since the run began, ns.
    pub(crate) at_ns: u64,
    /// `None` if any will do.
    pub(crate) connection: Option<usize>,
}

impl Schedule {
    pub(crate) fn next(&self) -> Option<Start> {
        match self {
            Self::Drawn(arrivals) => Some(Start {
                at_ns: arrivals.next_ns(),
                connection: None,
            }),
            Self::Listed { starts, next } => starts.get(*next).copied(),
        }
    }

    pub(crate) fn advance(&mut self) {
        match self {
            Self::Drawn(arrivals) => arrivals.advance(),
            Self::Listed { next, .. } => *next += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps_ns(spacing: Spacing, count: usize) -> Vec<f64> {
        let mut arrivals = Arrivals::new(1000.0, spacing, 0, 1);
        let mut before_ns = 0;
        let mut gaps = Vec::new();
        for _ in 0..count {
            gaps.push((arrivals.next_ns() - before_ns) as f64);
            before_ns = arrivals.next_ns();
            arrivals.advance();
        }
        gaps
    }

    #[test]
    fn constant_gaps_are_equal() {
        assert!(
            gaps_ns(Spacing::Constant, 1000)
                .iter()
                .all(|&gap_ns| gap_ns == 1e6)
        );
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let gaps = gaps_ns(Spacing::Poisson, 100_000);
        let count = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        assert!((mean / 1e6 - 1.0).abs() < 0.02, "mean {mean}");
        // An exponential's standard deviation is its mean.
        assert!(
            (variance.sqrt() / mean - 1.0).abs() < 0.02,
            "deviation {}",
            variance.sqrt()
        );
        let short = gaps.iter().filter(|&&gap| gap < mean).count() as f64 / count;
        assert!(
            (short - (1.0 - (-1.0f64).exp())).abs() < 0.01,
            "share below the mean {short}"
        );
    }

    #[test]
    fn lanes_share_the_rate() {
        let mut together = Vec::new();
        for lane in 0..3 {
            let mut arrivals = Arrivals::new(1000.0, Spacing::Constant, lane, 3);
            for _ in 0..4 {
                together.push(arrivals.next_ns());
                arrivals.advance();
            }
        }
        together.sort_unstable();
        assert_eq!(
            together,
            (1..=12).map(|n| n * 1_000_000).collect::<Vec<_>>()
        );

        let mut lanes = [0, 1].map(|lane| Arrivals::new(1000.0, Spacing::Poisson, lane, 2));
        assert_ne!(lanes[0].next_ns(), lanes[1].next_ns());
        lanes
            .iter_mut()
            .for_each(|lane| (0..10_000).for_each(|_| lane.advance()));
        for lane in lanes {
            assert!(
                (lane.next_ns() as f64 / 20e9 - 1.0).abs() < 0.05,
                "{}",
                lane.next_ns()
            );
        }
    }
}
