//! When requests are to start in an open loop, whatever the server does.

use crate::rng::Rng;

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
    /// `rate` is in requests per second, above 0.
    pub(crate) fn new(rate: f64, spacing: Spacing) -> Self {
        let gap_mean_ns = 1e9 / rate;
        let mut arrivals = Self {
            spacing,
            gap_mean_ns,
            next_ns: 0.0,
            rng: Rng::new(SEED),
        };
        arrivals.advance();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps_ns(spacing: Spacing, count: usize) -> Vec<f64> {
        let mut arrivals = Arrivals::new(1000.0, spacing);
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
}
