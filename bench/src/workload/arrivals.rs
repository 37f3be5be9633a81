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

/// How requests arrive in an open loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pacing {
    /// Requests per second, above 0.
    pub(crate) rate: f64,
    pub(crate) spacing: Spacing,
    /// Requests that start at a time, on one connection; above 0.
    pub(crate) burst: usize,
}

/// Intended starts, in order, without end.
pub(crate) struct Arrivals {
    spacing: Spacing,
    burst: usize,
    gap_mean_ns: f64,
    next_ns: f64,
    rng: Rng,
}

impl Arrivals {
    /// One of `lanes` schedules, number `lane`, that together are as `pacing` says: Poisson processes add up to one, and
    /// equal gaps are dealt out in turn.
    pub(crate) fn new(pacing: Pacing, lane: usize, lanes: usize) -> Self {
        let Pacing {
            rate,
            spacing,
            burst,
        } = pacing;
        let gap_of_all_ns = 1e9 * burst as f64 / rate;
        let mut arrivals = Self {
            spacing,
            burst,
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

/// Requests of a schedule that start together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Since the run began, ns.
    pub(crate) at_ns: u64,
    /// How many there are.
    pub(crate) count: usize,
    /// `None` if any will do.
    pub(crate) connection: Option<usize>,
}

impl Schedule {
    pub(crate) fn next(&self) -> Option<Start> {
        match self {
            Self::Drawn(arrivals) => Some(Start {
                at_ns: arrivals.next_ns(),
                count: arrivals.burst,
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

    fn pacing(spacing: Spacing, burst: usize) -> Pacing {
        Pacing {
            rate: 1000.0,
            spacing,
            burst,
        }
    }

    fn gaps_ns(spacing: Spacing, count: usize) -> Vec<f64> {
        let mut arrivals = Arrivals::new(pacing(spacing, 1), 0, 1);
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
    fn bursts_keep_the_rate() {
        let mut schedule = Schedule::Drawn(Arrivals::new(pacing(Spacing::Constant, 16), 0, 1));
        let starts = [(); 3].map(|()| {
            let start = schedule.next().unwrap();
            schedule.advance();
            (start.at_ns, start.count)
        });
        assert_eq!(
            starts,
            [(16_000_000, 16), (32_000_000, 16), (48_000_000, 16)]
        );
    }

    #[test]
    fn lanes_share_the_rate() {
        let mut together = Vec::new();
        for lane in 0..3 {
            let mut arrivals = Arrivals::new(pacing(Spacing::Constant, 1), lane, 3);
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

        let mut lanes = [0, 1].map(|lane| Arrivals::new(pacing(Spacing::Poisson, 1), lane, 2));
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
