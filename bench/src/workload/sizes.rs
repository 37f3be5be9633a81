//! Lengths of keys and values: each follows from the number of its key, so a reply can be checked without a table.

use std::fmt;
use std::sync::Arc;

/// Largest value that may be asked for, bytes: a batch of one still fits the script.
pub(crate) const VALUE_BYTES_MAX: u32 = 128 * 1024 * 1024;

/// Where a distribution without an end is cut off, bytes: memcached takes no larger item by default.
const TAIL_BYTES_MAX: u32 = 1024 * 1000;

/// Weights that one distribution may have.
const WEIGHTS_MAX: usize = 64;

/// Shares of the values of 0 to 14 bytes in Facebook's ETC pool (Atikoglu, Xu, Frachtenberg, Jiang, Paleczny: "Workload
/// analysis of a large-scale key-value store", SIGMETRICS 2012, table 5); the others follow [`ETC_TAIL`].
const ETC_HEAD: [f64; 15] = [
    0.00536, 0.00047, 0.17820, 0.09239, 0.00018, 0.02740, 0.00065, 0.00606, 0.00023, 0.00837,
    0.00837, 0.08989, 0.00092, 0.00326, 0.01980,
];

/// The same paper's generalised Pareto law of ETC's values, moved to where the table ends.
const ETC_TAIL: Curve = Curve {
    shape: Shape::Pareto,
    numbers: [15.0, 214.476, 0.348238],
};

/// How lengths are spread over the keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sizes {
    /// All lengths between two, alike; one length if they are equal.
    Span { bytes_min: u32, bytes_max: u32 },
    /// A few lengths, with the share of the keys up to each, the last 1.
    Weighted(Arc<[Weight]>),
    /// A law with a long tail.
    Curve(Curve),
    /// Facebook's ETC pool.
    Etc,
}

/// A length and the share of keys whose length is this or an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weight {
    bytes: u32,
    weight: f64,
    share_up_to: f64,
}

/// A law with three numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Curve {
    shape: Shape,
    /// Log-normal: median, sigma, unused. The others: location, scale, shape.
    numbers: [f64; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    LogNormal,
    Pareto,
    /// Generalised extreme value.
    Gev,
}

impl Sizes {
    pub(crate) fn fixed(bytes: u32) -> Self {
        Self::Span {
            bytes_min: bytes,
            bytes_max: bytes,
        }
    }

    pub(crate) const fn gev(location: f64, scale: f64, shape: f64) -> Self {
        Self::Curve(Curve {
            shape: Shape::Gev,
            numbers: [location, scale, shape],
        })
    }

    /// Reads `N`, `MIN-MAX`, `N:WEIGHT,…`, `lognormal:MEDIAN:SIGMA`, `pareto:LOCATION:SCALE:SHAPE`,
    /// `gev:LOCATION:SCALE:SHAPE` or `etc`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "etc" => Ok(Self::Etc),
            None => parse_span(text),
            Some(("lognormal", numbers)) => Curve::parse(Shape::LogNormal, numbers, 2),
            Some(("pareto", numbers)) => Curve::parse(Shape::Pareto, numbers, 3),
            Some(("gev", numbers)) => Curve::parse(Shape::Gev, numbers, 3),
            Some(_) => parse_weights(text),
        }
    }

    /// Longest length that can come.
    pub(crate) fn bytes_max(&self) -> usize {
        let bytes_max = match self {
            Self::Span { bytes_max, .. } => *bytes_max,
            Self::Weighted(weights) => weights.iter().map(|weight| weight.bytes).max().unwrap_or(0),
            Self::Curve(_) | Self::Etc => TAIL_BYTES_MAX,
        };
        bytes_max as usize
    }

    /// The length that belongs to 64 random bits.
    pub(crate) fn bytes_of(&self, bits: u64) -> usize {
        match self {
            Self::Span {
                bytes_min,
                bytes_max,
            } if bytes_min == bytes_max => *bytes_min as usize,
            Self::Span {
                bytes_min,
                bytes_max,
            } => {
                let span = u64::from(bytes_max - bytes_min) + 1;
                (u64::from(*bytes_min) + bits % span) as usize
            }
            Self::Weighted(weights) => {
                let unit = unit(bits);
                let found = weights.iter().find(|weight| unit < weight.share_up_to);
                found
                    .or_else(|| weights.last())
                    .map_or(0, |weight| weight.bytes as usize)
            }
            Self::Curve(curve) => curve.bytes_at(unit(bits)),
            Self::Etc => etc_bytes_at(unit(bits)),
        }
    }
}

impl Curve {
    fn parse(shape: Shape, text: &str, count: usize) -> Result<Sizes, String> {
        let numbers: Option<Vec<f64>> = text
            .split(':')
            .map(|number| {
                number
                    .parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite())
            })
            .collect();
        let numbers = numbers.filter(|numbers| numbers.len() == count);
        let numbers =
            numbers.ok_or_else(|| format!("wants {count} numbers, with colons between them"))?;
        let (first, second) = (numbers[0], numbers[1]);
        if first < 0.0 || second <= 0.0 {
            return Err("the first number is at least 0 and the second above 0".to_owned());
        }
        let third = numbers.get(2).copied().unwrap_or(0.0);
        Ok(Sizes::Curve(Self {
            shape,
            numbers: [first, second, third],
        }))
    }

    /// The law's quantile, cut to what servers store.
    fn bytes_at(&self, share: f64) -> usize {
        let [first, scale, shape] = self.numbers;
        let bytes = match self.shape {
            Shape::LogNormal => first * (scale * normal_quantile(share)).exp(),
            // Near a shape of 0 both laws become exponentials.
            Shape::Pareto if shape.abs() < 1e-9 => first - scale * (1.0 - share).ln(),
            Shape::Pareto => first + scale * ((1.0 - share).powf(-shape) - 1.0) / shape,
            Shape::Gev if shape.abs() < 1e-9 => first - scale * (-share.ln()).ln(),
            Shape::Gev => first + scale * ((-share.ln()).powf(-shape) - 1.0) / shape,
        };
        // A cast of a float saturates, and what is no number becomes 0.
        (bytes.round() as u32).min(TAIL_BYTES_MAX) as usize
    }
}

fn etc_bytes_at(share: f64) -> usize {
    let mut share_below = 0.0;
    for (bytes, head) in ETC_HEAD.iter().enumerate() {
        share_below += head;
        if share < share_below {
            return bytes;
        }
    }
    ETC_TAIL.bytes_at((share - share_below) / (1.0 - share_below))
}

/// In the open interval from 0 to 1, so that every quantile of it is finite.
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Acklam's rational approximation of the normal distribution's quantile (2003), relative error below 1.15e-9.
fn normal_quantile(share: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
    ];
    /// Beyond this share the tail's approximation holds.
    const TAIL: f64 = 0.02425;
    let polynomial =
        |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, factor| sum * x + factor);
    let tail = |share: f64| {
        let q = (-2.0 * share.ln()).sqrt();
        polynomial(&C, q) / (polynomial(&D, q) * q + 1.0)
    };
    if share < TAIL {
        tail(share)
    } else if share > 1.0 - TAIL {
        -tail(1.0 - share)
    } else {
        let q = share - 0.5;
        polynomial(&A, q * q) * q / (polynomial(&B, q * q) * q * q + 1.0)
    }
}

fn parse_bytes(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&bytes| bytes <= VALUE_BYTES_MAX)
}

fn parse_span(text: &str) -> Result<Sizes, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    match (parse_bytes(min), parse_bytes(max)) {
        (Some(bytes_min), Some(bytes_max)) if bytes_min <= bytes_max => Ok(Sizes::Span {
            bytes_min,
            bytes_max,
        }),
        _ => Err(format!(
            "not a length or MIN-MAX with MIN <= MAX <= {VALUE_BYTES_MAX}"
        )),
    }
}

fn parse_weights(text: &str) -> Result<Sizes, String> {
    let pair = |part: &str| {
        let (bytes, weight) = part.split_once(':')?;
        let weight = weight
            .parse()
            .ok()
            .filter(|weight: &f64| weight.is_finite() && *weight > 0.0)?;
        Some((parse_bytes(bytes)?, weight))
    };
    let pairs: Option<Vec<(u32, f64)>> = text.split(',').map(pair).collect();
    let pairs = pairs
        .filter(|pairs| pairs.len() <= WEIGHTS_MAX)
        .ok_or_else(|| format!("not LENGTH:WEIGHT,… with at most {WEIGHTS_MAX} of them"))?;
    let total: f64 = pairs.iter().map(|pair| pair.1).sum();
    let mut share_up_to = 0.0;
    let weights = pairs.into_iter().map(|(bytes, weight)| {
        share_up_to += weight / total;
        Weight {
            bytes,
            weight,
            share_up_to,
        }
    });
    Ok(Sizes::Weighted(weights.collect()))
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span {
                bytes_min,
                bytes_max,
            } if bytes_min == bytes_max => write!(f, "{bytes_min}"),
            Self::Span {
                bytes_min,
                bytes_max,
            } => write!(f, "{bytes_min}-{bytes_max}"),
            Self::Weighted(weights) => {
                for (index, Weight { bytes, weight, .. }) in weights.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{bytes}:{weight}")?;
                }
                Ok(())
            }
            Self::Curve(Curve {
                shape,
                numbers: [a, b, c],
            }) => match shape {
                Shape::LogNormal => write!(f, "lognormal:{a}:{b}"),
                Shape::Pareto => write!(f, "pareto:{a}:{b}:{c}"),
                Shape::Gev => write!(f, "gev:{a}:{b}:{c}"),
            },
            Self::Etc => write!(f, "etc"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::rng::mix;

    const DRAWS: u64 = 200_000;

    fn drawn(text: &str) -> Vec<usize> {
        let sizes = Sizes::parse(text).unwrap();
        let mut drawn: Vec<_> = (0..DRAWS)
            .map(|number| sizes.bytes_of(mix(number)))
            .collect();
        drawn.sort_unstable();
        drawn
    }

    fn share_of(drawn: &[usize], bytes: usize) -> f64 {
        drawn.iter().filter(|&&drawn| drawn == bytes).count() as f64 / DRAWS as f64
    }

    fn at(drawn: &[usize], share: f64) -> f64 {
        drawn[(share * DRAWS as f64) as usize] as f64
    }

    #[test]
    fn spans_are_filled_and_kept() {
        let drawn = drawn("10-13");
        assert_eq!((drawn[0], drawn[drawn.len() - 1]), (10, 13));
        for bytes in 10..=13 {
            assert!((share_of(&drawn, bytes) - 0.25).abs() < 0.01, "{bytes}");
        }
    }

    #[test]
    fn weights_are_kept_whatever_they_add_up_to() {
        let drawn = drawn("16:40,512:50,4096:110");
        for (bytes, share) in [(16, 0.2), (512, 0.25), (4096, 0.55)] {
            assert!((share_of(&drawn, bytes) - share).abs() < 0.01, "{bytes}");
        }
    }

    #[test]
    fn long_tails_have_the_quantiles_of_their_laws() {
        // exp(1.5 z) at the normal quantiles z of 0.5, 0.9 and 0.99, times the median.
        let log_normal = drawn("lognormal:1000:1.5");
        for (share, expected) in [(0.5, 1000.0), (0.9, 6836.7), (0.99, 32_753.0)] {
            let found = at(&log_normal, share);
            assert!((found / expected - 1.0).abs() < 0.03, "{share}: {found}");
        }
        // 214.476 / 0.348238 * ((1 - share)^-0.348238 - 1).
        let pareto = drawn("pareto:0:214.476:0.348238");
        for (share, expected) in [(0.5, 168.1), (0.9, 757.3), (0.99, 2446.0)] {
            let found = at(&pareto, share);
            assert!((found / expected - 1.0).abs() < 0.03, "{share}: {found}");
        }
        // 30.7984 + 8.20449 / 0.078688 * ((-ln share)^-0.078688 - 1).
        let gev = drawn("gev:30.7984:8.20449:0.078688");
        for (share, expected) in [(0.5, 33.8), (0.9, 51.0)] {
            let found = at(&gev, share);
            assert!((found - expected).abs() < 1.0, "{share}: {found}");
        }
    }

    #[test]
    fn etc_has_its_table_and_a_tail_beyond() {
        let drawn = drawn("etc");
        for (bytes, share) in ETC_HEAD.iter().enumerate() {
            assert!((share_of(&drawn, bytes) - share).abs() < 0.005, "{bytes}");
        }
        let beyond = drawn.iter().filter(|&&bytes| bytes >= 15).count() as f64 / DRAWS as f64;
        assert!((beyond - 0.55845).abs() < 0.005, "{beyond}");
        assert!(drawn[drawn.len() - 1] > 10_000);
    }

    #[test]
    fn the_normal_quantile_is_that_of_tables() {
        for (share, expected) in [
            (0.5, 0.0),
            (0.975, 1.959_964),
            (0.01, -2.326_348),
            (0.999, 3.090_232),
        ] {
            assert!((normal_quantile(share) - expected).abs() < 1e-6, "{share}");
        }
    }

    #[test]
    fn every_length_is_shown_as_it_is_asked_for() {
        for text in [
            "64",
            "10-20",
            "16:40,512:50,4096:10",
            "lognormal:300:1.5",
            "pareto:15:214:0.3",
            "gev:30:8:0.07",
            "etc",
        ] {
            assert_eq!(Sizes::parse(text).unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "x",
            "20-10",
            "999999999",
            "16:0",
            "16:1,",
            "lognormal:1",
            "pareto:0:0:1",
            "gev:1:2:nan",
            "etc:1",
        ] {
            assert!(Sizes::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_bits_lead_beyond_the_end() {
        for text in [
            "lognormal:1000:9",
            "pareto:0:1000:5",
            "gev:30:8:3",
            "1:1,2:2",
            "etc",
            "0-134217728",
        ] {
            let sizes = Sizes::parse(text).unwrap();
            for bits in [0, 1, u64::MAX, u64::MAX / 2] {
                assert!(sizes.bytes_of(bits) <= sizes.bytes_max(), "{text}");
            }
        }
    }
}
