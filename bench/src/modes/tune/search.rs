//! One knob after the other: its values against what stands, in rounds, until each is decided; the best one stays.
//!
//! In a round what stands and every value that is still open have a trial each, in random order. So a machine that drifts
//! drifts for all alike, and one that has a rhythm hits none of them always.

use crate::error::BenchError;
use crate::modes::tune::knob::{Knob, Setting};
use crate::modes::tune::worth::{Pairs, Verdict, Worth};
use crate::workload::rng::Rng;

/// Where trials are made; a fake one in the tests.
pub(super) trait Trials {
    /// Starts a server with these settings and puts the load on it.
    fn measure(&mut self, settings: &[Setting]) -> Result<Trial, BenchError>;

    /// Whether the time is up: rounds that have begun are finished.
    fn is_over(&self) -> bool;

    /// Told of each value that is decided.
    fn told(&mut self, row: &Row);
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trial {
    /// The number that the goal is about; more is better.
    Good(f64),
    /// The server did not start, or did not do its work.
    Failed(String),
}

/// What was found out about a value of a knob, or about all that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Empty for the sum of all.
    pub(super) settings: Vec<Setting>,
    /// Against what stood when it was tried.
    pub(super) worth: Option<Worth>,
    pub(super) pairs: usize,
    pub(super) end: End,
    /// It stays.
    pub(super) is_chosen: bool,
}

/// How the trials of a value ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    Decided(Verdict),
    /// Rounds or time were used up first.
    Undecided,
    /// Why there were no more.
    Failed(String),
}

/// How long a search goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The smallest difference that one cares for, as a share.
    pub(super) difference: f64,
    /// Of each value.
    pub(super) rounds_max: usize,
}

/// What a search found.
pub(super) struct Outcome {
    /// What is to be given to the server.
    pub(super) chosen: Vec<Setting>,
    pub(super) rows: Vec<Row>,
    /// All that was chosen against nothing of it, if it is more than one setting.
    pub(super) together: Option<Row>,
}

/// Tries all knobs once.
pub(super) fn search(
    knobs: &[Knob],
    patience: Patience,
    trials: &mut dyn Trials,
    rng: &mut Rng,
) -> Result<Outcome, BenchError> {
    let mut search = Search {
        patience,
        trials,
        rng,
    };
    let mut chosen: Vec<Setting> = Vec::new();
    let mut rows = Vec::new();
    for knob in knobs {
        let candidates = knob.values.iter().map(|value| {
            let more = [knob.setting(value)];
            chosen.iter().cloned().chain(more).collect()
        });
        let mut decided = search.contest(&chosen, candidates.collect())?;
        if let Some(best) = best(&decided) {
            decided[best].is_chosen = true;
            chosen.clone_from(&decided[best].settings);
        }
        rows.extend(decided);
    }
    let together = match chosen.len() {
        0 | 1 => None,
        _ => search.contest(&[], vec![chosen.clone()])?.pop(),
    };
    Ok(Outcome {
        chosen,
        rows,
        together,
    })
}

/// The best of those that are surely better.
fn best(rows: &[Row]) -> Option<usize> {
    let ratio = |row: &Row| row.worth.map_or(0.0, |worth| worth.ratio);
    (0..rows.len())
        .filter(|&index| rows[index].end == End::Decided(Verdict::Better))
        .max_by(|&a, &b| ratio(&rows[a]).total_cmp(&ratio(&rows[b])))
}

struct Search<'s> {
    patience: Patience,
    trials: &'s mut dyn Trials,
    rng: &'s mut Rng,
}

impl Search<'_> {
    /// Each candidate against what stands.
    fn contest(
        &mut self,
        standing: &[Setting],
        candidates: Vec<Vec<Setting>>,
    ) -> Result<Vec<Row>, BenchError> {
        let mut pairs = vec![Pairs::default(); candidates.len()];
        let mut ends: Vec<Option<End>> = vec![None; candidates.len()];
        let row = |index: usize, pairs: &[Pairs], end: End| Row {
            settings: candidates[index].clone(),
            worth: pairs[index].worth(),
            pairs: pairs[index].count(),
            end,
            is_chosen: false,
        };
        for _ in 0..self.patience.rounds_max {
            let open: Vec<_> = (0..ends.len())
                .filter(|&index| ends[index].is_none())
                .collect();
            if open.is_empty() || self.trials.is_over() {
                break;
            }
            let (base, found) = self.round(standing, &candidates, &open)?;
            for (index, trial) in found {
                let end = match trial {
                    Trial::Failed(why) => Some(End::Failed(why)),
                    Trial::Good(number) => {
                        pairs[index].add(number / base);
                        let verdict = pairs[index].verdict(self.patience.difference);
                        (verdict != Verdict::Open).then_some(End::Decided(verdict))
                    }
                };
                if let Some(end) = end {
                    self.trials.told(&row(index, &pairs, end.clone()));
                    ends[index] = Some(end);
                }
            }
        }
        let mut rows = Vec::new();
        for (index, end) in ends.into_iter().enumerate() {
            let is_open = end.is_none();
            let row = row(index, &pairs, end.unwrap_or(End::Undecided));
            if is_open {
                self.trials.told(&row);
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// A trial of what stands and of each that is open: its number, and theirs.
    fn round(
        &mut self,
        standing: &[Setting],
        candidates: &[Vec<Setting>],
        open: &[usize],
    ) -> Result<(f64, Vec<(usize, Trial)>), BenchError> {
        let mut order: Vec<_> = open.iter().copied().map(Some).chain([None]).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.rng.below(last as u32 + 1) as usize);
        }
        let (mut base, mut found) = (None, Vec::new());
        for place in order {
            match place {
                Some(index) => found.push((index, self.trials.measure(&candidates[index])?)),
                None => base = Some(self.trials.measure(standing)?),
            }
        }
        match base {
            Some(Trial::Good(base)) => Ok((base, found)),
            Some(Trial::Failed(why)) => Err(BenchError::Untunable {
                settings: said(standing),
                why,
            }),
            None => Err(BenchError::Stopped),
        }
    }
}

/// Settings as one would type them.
pub(super) fn said(settings: &[Setting]) -> String {
    let words: Vec<_> = settings.iter().map(ToString::to_string).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server whose speed follows from its flags, with a noise of some per cent.
    struct Fake {
        speed: fn(&[Setting]) -> Trial,
        noise: Rng,
        trials: Vec<String>,
        trials_max: usize,
        told: usize,
    }

    impl Fake {
        fn of(speed: fn(&[Setting]) -> Trial) -> Self {
            Self {
                speed,
                noise: Rng::new(5),
                trials: Vec::new(),
                trials_max: usize::MAX,
                told: 0,
            }
        }
    }

    impl Trials for Fake {
        fn measure(&mut self, settings: &[Setting]) -> Result<Trial, BenchError> {
            self.trials.push(said(settings));
            Ok(match (self.speed)(settings) {
                Trial::Good(number) => Trial::Good(number * (1.0 + 0.02 * self.noise.unit())),
                failed @ Trial::Failed(_) => failed,
            })
        }

        fn is_over(&self) -> bool {
            self.trials.len() >= self.trials_max
        }

        fn told(&mut self, _: &Row) {
            self.told += 1;
        }
    }

    const PATIENCE: Patience = Patience {
        difference: 0.03,
        rounds_max: 30,
    };

    fn knobs() -> Vec<Knob> {
        ["--idle=1,2", "--speed=5,9,7", "--bad=1", "--more=1"]
            .map(|text| Knob::parse(text).unwrap())
            .to_vec()
    }

    fn is_set(settings: &[Setting], flag: &str) -> bool {
        settings.iter().any(|setting| setting.flag == flag)
    }

    /// `--speed` is best at 9, `--bad` does not start, `--more` helps only where `--speed` is 9.
    fn speed(settings: &[Setting]) -> Trial {
        let speed = settings.iter().find(|setting| setting.flag == "--speed");
        let number = match speed.map(|setting| setting.value.as_str()) {
            Some("5") => 60.0,
            Some("9") => 150.0,
            Some(_) => 120.0,
            None => 100.0,
        };
        if is_set(settings, "--bad") {
            return Trial::Failed("unexpected argument '--bad'".to_owned());
        }
        let is_fast = number > 140.0 && is_set(settings, "--more");
        Trial::Good(if is_fast { number * 1.3 } else { number })
    }

    #[test]
    fn the_good_value_stays_and_what_is_worth_nothing_is_told() {
        let mut fake = Fake::of(speed);
        let found = search(&knobs(), PATIENCE, &mut fake, &mut Rng::new(1)).unwrap();
        assert_eq!(said(&found.chosen), "--speed 9 --more 1");
        let ends: Vec<_> = found
            .rows
            .iter()
            .map(|row| (said(&row.settings), row.end.clone(), row.is_chosen))
            .collect();
        let decided =
            |text: &str, verdict, is_chosen| (text.to_owned(), End::Decided(verdict), is_chosen);
        let why = "unexpected argument '--bad'".to_owned();
        let expected = [
            decided("--idle 1", Verdict::Same, false),
            decided("--idle 2", Verdict::Same, false),
            decided("--speed 5", Verdict::Worse, false),
            decided("--speed 9", Verdict::Better, true),
            decided("--speed 7", Verdict::Better, false),
            ("--speed 9 --bad 1".to_owned(), End::Failed(why), false),
            decided("--speed 9 --more 1", Verdict::Better, true),
        ];
        assert_eq!(ends, expected);
        let worth = found.rows[3].worth.unwrap();
        assert!((1.45..1.55).contains(&worth.ratio), "{worth:?}");
        let together = found.together.unwrap();
        assert!((1.9..2.0).contains(&together.worth.unwrap().ratio));
        assert_eq!(fake.told, 8, "each value, and the sum");
    }

    #[test]
    fn rounds_are_interleaved_and_their_order_changes() {
        let mut fake = Fake::of(|_| Trial::Good(1.0));
        let knobs = [Knob::parse("--idle=1,2").unwrap()];
        search(&knobs, PATIENCE, &mut fake, &mut Rng::new(3)).unwrap();
        let rounds: Vec<_> = fake.trials.chunks_exact(3).map(<[_]>::to_vec).collect();
        assert!(rounds.len() >= 8);
        for round in &rounds {
            let mut sorted = round.clone();
            sorted.sort();
            assert_eq!(sorted, ["", "--idle 1", "--idle 2"]);
        }
        assert!(rounds.iter().any(|round| round != &rounds[0]));
    }

    #[test]
    fn a_value_that_fails_has_one_trial() {
        let mut fake = Fake::of(speed);
        let knobs = [Knob::parse("--bad=1").unwrap()];
        let found = search(&knobs, PATIENCE, &mut fake, &mut Rng::new(1)).unwrap();
        assert_eq!((found.chosen.len(), fake.trials.len()), (0, 2));
    }

    #[test]
    fn time_that_is_up_leaves_values_open() {
        let mut fake = Fake::of(speed);
        fake.trials_max = 12;
        let found = search(&knobs(), PATIENCE, &mut fake, &mut Rng::new(1)).unwrap();
        assert!(found.chosen.is_empty() && found.together.is_none());
        assert!(found.rows.iter().all(|row| row.end == End::Undecided));
        assert_eq!(found.rows.len(), 7, "also those that had no trial");
        assert!(fake.trials.len() <= 14);
    }

    #[test]
    fn what_does_not_even_run_as_it_is_cannot_be_tuned() {
        let mut fake = Fake::of(|_| Trial::Failed("port taken".to_owned()));
        let failed = search(&knobs(), PATIENCE, &mut fake, &mut Rng::new(1));
        let error = failed.err().unwrap().to_string();
        assert!(error.contains("port taken"), "{error}");
    }
}
