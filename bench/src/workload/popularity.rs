//! Which key is asked for.

use std::fmt;

use crate::workload::rng::Rng;
use crate::workload::zipf::Zipf;

/// Steepest Zipf exponent: beyond, nearly every request asks for the first key.
const EXPONENT_MAX: f64 = 10.0;

/// How requests are spread over the keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Popularity {
    /// Every key alike.
    Uniform,
    /// The lower its number, the more often a key is asked for: a Zipf law.
    Zipf { exponent: f64 },
    /// One key after the other, and from the first again.
    Sequential,
    /// A share of the keys gets a share of the requests; within both, every key alike (YCSB's `hotspot`).
    HotSpot { keys: f64, requests: f64 },
    /// Writes go to one key after the other, reads to what was written last, by a Zipf law of the distance (YCSB's
    /// `latest`).
    Latest { exponent: f64 },
}

impl Popularity {
    /// Reads `uniform`, `sequential`, `zipf:S`, `hotspot:KEYS:REQUESTS` or `latest:S`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, numbers) = text.split_once(':').unwrap_or((text, ""));
        match (name, numbers) {
            ("uniform", "") => Ok(Self::Uniform),
            ("sequential", "") => Ok(Self::Sequential),
            ("zipf", exponent) => parse_exponent(exponent).map(Self::zipf),
            ("latest", exponent) => Ok(Self::Latest {
                exponent: parse_exponent(exponent)?,
            }),
            ("hotspot", shares) => {
                let shares = shares.split_once(':').and_then(|(keys, requests)| {
                    let share = |text: &str| {
                        text.parse()
                            .ok()
                            .filter(|share| (0.0..=1.0).contains(share))
                    };
                    Some((share(keys)?, share(requests)?))
                });
                let (keys, requests) = shares.ok_or("hotspot wants two shares from 0 to 1")?;
                Ok(Self::HotSpot { keys, requests })
            }
            _ => Err("uniform, sequential, zipf:S, hotspot:KEYS:REQUESTS or latest:S".to_owned()),
        }
    }

    /// An exponent of 0 is no law.
    pub(crate) fn zipf(exponent: f64) -> Self {
        if exponent == 0.0 {
            Self::Uniform
        } else {
            Self::Zipf { exponent }
        }
    }
}

/// A number from 0 to [`EXPONENT_MAX`].
pub(crate) fn parse_exponent(text: &str) -> Result<f64, String> {
    let exponent = text
        .parse()
        .ok()
        .filter(|exponent| (0.0..=EXPONENT_MAX).contains(exponent));
    exponent.ok_or_else(|| format!("not a number from 0 to {EXPONENT_MAX}"))
}

impl fmt::Display for Popularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => write!(f, "uniform"),
            Self::Zipf { exponent } => write!(f, "zipf:{exponent}"),
            Self::Sequential => write!(f, "sequential"),
            Self::HotSpot { keys, requests } => write!(f, "hotspot:{keys}:{requests}"),
            Self::Latest { exponent } => write!(f, "latest:{exponent}"),
        }
    }
}

/// Draws keys from `0..keys`.
pub(crate) struct KeyChoice {
    keys: u32,
    popularity: Popularity,
    zipf: Option<Zipf>,
    /// The key that a sequence comes to next, or that was written last.
    cursor: u32,
}

impl KeyChoice {
    /// `keys` is at least 1.
    pub(crate) fn new(keys: u32, popularity: Popularity) -> Self {
        let zipf = match popularity {
            Popularity::Zipf { exponent } | Popularity::Latest { exponent }
                if exponent > 0.0 && keys > 1 =>
            {
                Some(Zipf::new(keys, exponent))
            }
            _ => None,
        };
        let cursor = match popularity {
            Popularity::Latest { .. } => keys - 1,
            _ => 0,
        };
        Self {
            keys,
            popularity,
            zipf,
            cursor,
        }
    }

    /// The key of the next request.
    pub(crate) fn draw(&mut self, rng: &mut Rng, is_write: bool) -> u32 {
        match self.popularity {
            Popularity::Uniform => rng.below(self.keys),
            Popularity::Zipf { .. } => self.rank(rng),
            Popularity::Sequential => {
                let key_index = self.cursor;
                self.cursor = self.after(key_index);
                key_index
            }
            Popularity::HotSpot { keys, requests } => {
                let hot = ((f64::from(self.keys) * keys) as u32).clamp(1, self.keys);
                match self.keys - hot {
                    0 => rng.below(self.keys),
                    _ if rng.unit() < requests => rng.below(hot),
                    cold => hot + rng.below(cold),
                }
            }
            Popularity::Latest { .. } if is_write => {
                self.cursor = self.after(self.cursor);
                self.cursor
            }
            Popularity::Latest { .. } => {
                let distance = self.rank(rng);
                self.cursor
                    .checked_sub(distance)
                    .unwrap_or_else(|| self.keys - (distance - self.cursor))
            }
        }
    }

    fn rank(&self, rng: &mut Rng) -> u32 {
        match &self.zipf {
            Some(zipf) => zipf.draw(rng),
            None => rng.below(self.keys),
        }
    }

    fn after(&self, key_index: u32) -> u32 {
        if key_index + 1 == self.keys {
            0
        } else {
            key_index + 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(keys: u32, text: &str) -> KeyChoice {
        KeyChoice::new(keys, Popularity::parse(text).unwrap())
    }

    fn reads(choice: &mut KeyChoice, count: usize) -> Vec<u32> {
        let mut rng = Rng::new(42);
        (0..count).map(|_| choice.draw(&mut rng, false)).collect()
    }

    #[test]
    fn a_sequence_comes_round() {
        assert_eq!(
            reads(&mut choice(3, "sequential"), 7),
            [0, 1, 2, 0, 1, 2, 0]
        );
        assert_eq!(reads(&mut choice(1, "sequential"), 2), [0, 0]);
    }

    #[test]
    fn a_hot_spot_gets_its_share() {
        let drawn = reads(&mut choice(1000, "hotspot:0.2:0.8"), 100_000);
        let hot = drawn.iter().filter(|&&key_index| key_index < 200).count() as f64 / 100_000.0;
        assert!((hot - 0.8).abs() < 0.01, "{hot}");
        assert!(drawn.contains(&999));
        for all in ["hotspot:0:0.5", "hotspot:1:0", "hotspot:0.001:1"] {
            assert!(
                reads(&mut choice(10, all), 1000)
                    .iter()
                    .all(|&key_index| key_index < 10),
                "{all}"
            );
        }
    }

    #[test]
    fn the_latest_are_read_most() {
        let mut choice = choice(100, "latest:0.99");
        let mut rng = Rng::new(1);
        assert_eq!(choice.draw(&mut rng, true), 0);
        assert_eq!(choice.draw(&mut rng, true), 1);
        let drawn = reads(&mut choice, 10_000);
        let count = |key_index| drawn.iter().filter(|&&drawn| drawn == key_index).count();
        // Written last, before that, and, over the beginning, long ago.
        assert!(
            count(1) > count(0) && count(0) > count(99) && count(99) > count(2),
            "{drawn:?}"
        );
        assert!(drawn.iter().all(|&key_index| key_index < 100));
    }

    #[test]
    fn each_is_shown_as_it_is_asked_for() {
        for text in [
            "uniform",
            "zipf:0.99",
            "sequential",
            "hotspot:0.2:0.8",
            "latest:1.2",
        ] {
            assert_eq!(Popularity::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Popularity::parse("zipf:0"), Ok(Popularity::Uniform));
        for wrong in [
            "",
            "zipf",
            "zipf:11",
            "zipf:nan",
            "hotspot:1",
            "hotspot:2:0",
            "uniform:1",
            "normal",
        ] {
            assert!(Popularity::parse(wrong).is_err(), "{wrong}");
        }
    }
}
