//! The highest rate that keeps a goal: doubling until it breaks, bisection, then confirmation.
//!
//! A run that kept the goal may have been lucky, so the rate that bisection ends at must keep it several times in a row;
//! if it does not, the search goes on below it. A rate counts as kept only if the server also did it: latencies of a
//! schedule that was not kept are those of a shorter one.

use std::process::ExitCode;

use crate::cli::SearchArgs;
use crate::error::BenchError;
use crate::modes::point::{Bench, Point};
use crate::modes::sweep::SUSTAINED_MIN;
use crate::output;
use crate::output::files::Files;
use crate::output::record::{Document, Ladder};

/// Runs of one search at most, so that a goal on the edge does not keep it busy for ever.
const RUNS_MAX: u32 = 200;

/// Fails if a run could not be finished, a reply was wrong, or no rate keeps the goal.
pub(crate) fn run(args: &SearchArgs) -> Result<ExitCode, BenchError> {
    let bench = Bench::prepare(&args.common)?;
    let mut ladder = Ladder::new(&bench.label, Some(args.goal.to_string()));
    println!("{}", Ladder::HEADER);
    let mut wrong = 0;
    let search = Search {
        rate_min: args.rate_min,
        rate_max: args.rate_max,
        tolerance: args.tolerance,
        confirm: args.confirm,
    };
    let best = search.run(&mut |rate| {
        let point = Point {
            pacing: Some(args.spaced.pacing(rate)),
            warmup: args.window.warmup,
            duration: args.window.duration,
        };
        let report = bench.measure(point, &mut |_, _| Ok(()))?;
        wrong += report.measured.tally.wrong;
        let latency_ns = report
            .measured
            .latencies
            .value_at_quantile(args.goal.quantile);
        let is_kept = latency_ns < args.goal.limit_ns
            && report
                .done_share()
                .is_some_and(|share| share >= SUSTAINED_MIN);
        let record = report.to_record();
        let told = if is_kept { "kept" } else { "not kept" };
        println!("{}  {told}", Ladder::row(&record));
        output::warn_of_wrong(&report);
        ladder.points.push(record);
        Ok(is_kept)
    })?;
    match best {
        Some(rate) => println!("{} holds up to {rate:.0}/s", args.goal),
        None => println!("{} does not hold at {:.0}/s", args.goal, args.rate_min),
    }
    ladder.found_rate = best;
    ladder
        .points
        .sort_by(|a, b| a.asked_rate().total_cmp(&b.asked_rate()));
    Files(&args.common.output).json(&Document::Search(ladder))?;
    let is_good = wrong == 0 && best.is_some();
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Search {
    rate_min: f64,
    rate_max: f64,
    tolerance: f64,
    confirm: u32,
}

impl Search {
    /// `is_kept` runs at a rate and tells whether the goal held. Returns the highest rate that held whenever it was
    /// asked for, `confirm` times in a row; `None` if not even the lowest did.
    fn run(
        &self,
        is_kept: &mut dyn FnMut(f64) -> Result<bool, BenchError>,
    ) -> Result<Option<f64>, BenchError> {
        let mut runs = 0;
        let mut try_at = |rate| {
            runs += 1;
            Ok::<_, BenchError>((is_kept(rate)?, runs >= RUNS_MAX))
        };
        // Invariant: `good` was kept at least once, or is `rate_min`; `bad` was not, or is beyond `rate_max`.
        let mut good = self.rate_min;
        if !try_at(good)?.0 {
            return Ok(None);
        }
        let mut bad = self.rate_max * (1.0 + self.tolerance);
        while good * 2.0 < bad {
            let (kept, _) = try_at(good * 2.0)?;
            if !kept {
                bad = good * 2.0;
                break;
            }
            good *= 2.0;
        }
        loop {
            while bad / good > 1.0 + self.tolerance {
                let middle = ((good + bad) / 2.0).min(self.rate_max);
                let (kept, is_enough) = try_at(middle)?;
                if kept {
                    good = middle;
                } else {
                    bad = middle;
                }
                if is_enough || (kept && middle >= self.rate_max) {
                    break;
                }
            }
            let mut confirmed = 0;
            let mut is_enough = false;
            while confirmed < self.confirm {
                let (kept, enough) = try_at(good)?;
                is_enough = enough;
                if !kept {
                    break;
                }
                confirmed += 1;
            }
            if confirmed == self.confirm {
                return Ok(Some(good));
            }
            bad = good;
            // What was kept before may have been luck as well: begin again well below.
            good = (good / (1.0 + 2.0 * self.tolerance)).max(self.rate_min);
            if is_enough || bad <= self.rate_min {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Search {
        Search {
            rate_min: 100.0,
            rate_max: 1e6,
            tolerance: 0.03,
            confirm: 3,
        }
    }

    #[test]
    fn finds_the_edge_within_the_tolerance() {
        for edge in [150.0, 1000.0, 77_777.0, 999_000.0] {
            let mut runs = 0;
            let found = search().run(&mut |rate| {
                runs += 1;
                Ok(rate <= edge)
            });
            let found = found.unwrap().unwrap();
            assert!(found <= edge && found >= edge / 1.031, "{edge}: {found}");
            assert!(runs <= 25, "{edge}: {runs} runs");
        }
    }

    #[test]
    fn no_rate_and_every_rate_are_told() {
        assert_eq!(search().run(&mut |_| Ok(false)).unwrap(), None);
        let found = search().run(&mut |_| Ok(true)).unwrap().unwrap();
        assert!((0.97e6..=1e6).contains(&found), "{found}");
    }

    #[test]
    fn luck_is_found_out_by_confirmation() {
        // Above 500 a run is kept the first time that its rate is tried, and never again.
        let mut seen = Vec::new();
        let found = search().run(&mut |rate| {
            let is_new = !seen.contains(&rate.to_bits());
            seen.push(rate.to_bits());
            Ok(rate <= 500.0 || is_new && rate < 900.0)
        });
        let found = found.unwrap().unwrap();
        assert!((440.0..=500.0).contains(&found), "{found}");
    }

    #[test]
    fn a_goal_on_the_edge_ends_the_search_all_the_same() {
        let mut runs = 0;
        let found = search().run(&mut |_| {
            runs += 1;
            Ok(runs % 3 != 0)
        });
        assert!(found.is_ok());
        assert!(runs <= RUNS_MAX + 3, "{runs}");
    }

    #[test]
    fn an_error_ends_it() {
        assert!(search().run(&mut |_| Err(BenchError::Stopped)).is_err());
    }
}
