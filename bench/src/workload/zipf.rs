//! A Zipf law over the numbers of the keys.
//!
//! Key `k` (from 0) is drawn with a probability proportional to `1 / (k + 1)^s`. The method is
//! rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from
//! monotone discrete distributions", 1996): it needs no table, so ten million keys cost no more
//! than ten, and holds for every `s > 0`, including 1. The names `h` and `h_integral` are the
//! paper's: the density without its constant, and its antiderivative.

use crate::workload::rng::Rng;

/// The sampler, with what does not depend on the draw worked out once.
pub(crate) struct Zipf {
    keys: f64,
    exponent: f64,
    integral_first: f64,
    integral_last: f64,
    /// Candidates this close above the drawn point need no second look.
    squeeze: f64,
}

impl Zipf {
    /// `keys` is at least 1, `exponent` above 0.
    pub(crate) fn new(keys: u32, exponent: f64) -> Self {
        let mut zipf = Self {
            keys: f64::from(keys),
            exponent,
            integral_first: 0.0,
            integral_last: 0.0,
            squeeze: 0.0,
        };
        zipf.integral_first = zipf.h_integral(1.5) - 1.0;
        zipf.integral_last = zipf.h_integral(zipf.keys + 0.5);
        zipf.squeeze = 2.0 - zipf.h_integral_inverse(zipf.h_integral(2.5) - zipf.h(2.0));
        zipf
    }

    /// A number in `0..keys`.
    pub(crate) fn draw(&self, rng: &mut Rng) -> u32 {
        loop {
            let area = self.integral_last + rng.unit() * (self.integral_first - self.integral_last);
            let point = self.h_integral_inverse(area);
            let rank = point.round().clamp(1.0, self.keys);
            if rank - point <= self.squeeze || area >= self.h_integral(rank + 0.5) - self.h(rank) {
                return rank as u32 - 1;
            }
        }
    }

    fn h(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// `(x^(1-s) - 1) / (1-s)`, written so that it is exact near `s = 1`, where it becomes `ln x`.
    fn h_integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let scaled = (1.0 - self.exponent) * log;
        if scaled == 0.0 {
            log
        } else {
            scaled.exp_m1() / scaled * log
        }
    }

    fn h_integral_inverse(&self, y: f64) -> f64 {
        // Rounding may push the argument a hair below -1, the end of the logarithm's domain.
        let scaled = (y * (1.0 - self.exponent)).max(-1.0);
        if scaled == 0.0 {
            y.exp()
        } else {
            (scaled.ln_1p() / scaled * y).exp()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u32 = 400_000;

    fn frequencies(keys: u32, exponent: f64) -> Vec<f64> {
        let choice = Zipf::new(keys, exponent);
        let mut rng = Rng::new(42);
        let mut counts = vec![0u32; keys as usize];
        for _ in 0..DRAWS {
            counts[choice.draw(&mut rng) as usize] += 1;
        }
        counts
            .iter()
            .map(|&count| f64::from(count) / f64::from(DRAWS))
            .collect()
    }

    /// The law itself, summed term by term.
    fn law(keys: u32, exponent: f64) -> Vec<f64> {
        let weights: Vec<f64> = (1..=keys)
            .map(|rank| f64::from(rank).powf(-exponent))
            .collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }

    #[test]
    fn frequencies_follow_the_law() {
        for (keys, exponent) in [
            (2, 1.0),
            (1000, 0.01),
            (1000, 0.5),
            (1000, 0.99),
            (1000, 1.0),
            (300, 2.5),
        ] {
            let drawn = frequencies(keys, exponent);
            for (key_index, expected) in law(keys, exponent).into_iter().enumerate() {
                // Five standard deviations of a binomial count.
                let deviation = (expected * (1.0 - expected) / f64::from(DRAWS)).sqrt();
                let distance = (drawn[key_index] - expected).abs();
                assert!(
                    distance <= 5.0 * deviation + 1e-9,
                    "s {exponent}, {keys} keys: key {key_index} drawn {}, law {expected}",
                    drawn[key_index]
                );
            }
        }
    }

    #[test]
    fn many_keys_stay_in_range() {
        let choice = Zipf::new(u32::MAX, 0.99);
        let mut rng = Rng::new(3);
        let below_million = (0..10_000)
            .filter(|_| choice.draw(&mut rng) < 1_000_000)
            .count();
        assert!((4_000..9_000).contains(&below_million), "{below_million}");
    }
}
