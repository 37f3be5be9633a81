//! One rate after the other: the latency-throughput curve, and where it bends.

use std::process::ExitCode;

use crate::cli::SweepArgs;
use crate::error::BenchError;
use crate::modes::point::{Bench, Point};
use crate::output;
use crate::output::files::Files;
use crate::output::record::{Document, Ladder};

/// A run of which less than this was answered as fast as it was asked for was beyond what the server bears.
pub(crate) const SUSTAINED_MIN: f64 = 0.99;

/// Fails if a run could not be finished or a reply was wrong.
pub(crate) fn run(args: &SweepArgs) -> Result<ExitCode, BenchError> {
    let bench = Bench::prepare(&args.common)?;
    let mut ladder = Ladder::new(&bench.label, None);
    println!("{}", Ladder::HEADER);
    let mut wrong = 0;
    for rate in rates(args) {
        let point = Point {
            pacing: Some(args.spaced.pacing(rate)),
            warmup: args.window.warmup,
            duration: args.window.duration,
        };
        let report = bench.measure(point, &mut |_, _| Ok(()))?;
        wrong += report.measured.tally.wrong;
        let record = report.to_record();
        println!("{}", Ladder::row(&record));
        output::warn(&report);
        ladder.points.push(record);
    }
    ladder.knee = knee(&ladder.curve());
    match ladder.knee.map(|index| &ladder.points[index]) {
        Some(record) => println!(
            "knee at {:.0}/s: beyond it p99 rises faster than the rate",
            record.requests_per_s
        ),
        None => println!("no knee: the curve does not bend within these rates"),
    }
    Files(&args.common.output).json(&Document::Sweep(ladder))?;
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn rates(args: &SweepArgs) -> Vec<f64> {
    if let (Some(from), Some(to)) = (args.from, args.to) {
        let steps = args.steps;
        let factor = (to / from).powf(1.0 / f64::from(steps - 1));
        return (0..steps)
            .map(|step| from * factor.powf(f64::from(step)))
            .collect();
    }
    args.rates
        .as_ref()
        .map_or_else(Vec::new, |rates| rates.0.clone())
}

/// A point of the curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Requests per second that were asked for.
    pub(crate) asked: f64,
    /// Share of them that was answered as fast.
    pub(crate) done_share: f64,
    pub(crate) p99_us: f64,
}

/// The point where the curve of p99 over the rate bends, by index: with both axes scaled to 0..1, the one that lies
/// farthest below the straight line from the first to the last (Satopää and others, "Finding a 'kneedle' in a haystack",
/// 2011, for a curve that rises and bends up). Latency counts by its logarithm: a queue's tail would otherwise hide all
/// that comes before. `None` if fewer than three points or no clear bend.
///
/// Of the points whose rate was not kept only the first counts: beyond it a latency says how long the run lasted.
pub(crate) fn knee(curve: &[Load]) -> Option<usize> {
    /// A curve that stays this close to the line does not bend.
    const BEND_MIN: f64 = 0.1;
    let is_kept = |load: &Load| load.done_share >= SUSTAINED_MIN;
    let kept = curve.iter().take_while(|load| is_kept(load)).count();
    let curve = &curve[..curve.len().min(kept + 1)];
    let (first, last) = (curve.first()?, curve.last()?);
    if curve.len() < 3 {
        return None;
    }
    let height = |load: &Load| load.p99_us.max(0.1).ln();
    let (x0, x1) = (first.asked, last.asked);
    let lows = curve.iter().map(height).fold(f64::INFINITY, f64::min);
    let highs = curve.iter().map(height).fold(f64::NEG_INFINITY, f64::max);
    if x1 <= x0 || highs - lows < std::f64::consts::LN_2 {
        return None; // A p99 that not even doubles has no knee.
    }
    let below =
        |load: &Load| (load.asked - x0) / (x1 - x0) - (height(load) - lows) / (highs - lows);
    let (index, bend) = curve
        .iter()
        .map(below)
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    (bend >= BEND_MIN).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean response of a queue with one server of this capacity, times five for a p99.
    fn queue(asked: f64, capacity: f64) -> Load {
        let p99_us = if asked < capacity {
            5e6 / (capacity - asked)
        } else {
            2e6
        };
        Load {
            asked,
            done_share: (capacity / asked).min(1.0),
            p99_us,
        }
    }

    #[test]
    fn a_queue_bends_before_it_is_full() {
        let curve: Vec<_> = (1..=12)
            .map(|step| queue(f64::from(step) * 1e4, 1e5 + 1.0))
            .collect();
        let knee = knee(&curve).unwrap();
        assert!((6e4..=9e4).contains(&curve[knee].asked), "{knee}");
    }

    #[test]
    fn points_beyond_the_first_that_was_not_kept_do_not_move_the_knee() {
        let steps = |last| {
            (1..=last)
                .map(|step| queue(f64::from(step) * 1e4, 1e5 + 1.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(knee(&steps(11)), knee(&steps(40)));
    }

    #[test]
    fn a_flat_or_short_curve_has_none() {
        let flat: Vec<_> = (1..=9).map(|step| queue(f64::from(step), 1e6)).collect();
        assert_eq!(knee(&flat), None);
        assert_eq!(knee(&flat[..2]), None);
        assert_eq!(knee(&[]), None);
        // One that rises by the same factor with each step never bends.
        let straight = |step: i32| Load {
            asked: f64::from(step),
            done_share: 1.0,
            p99_us: 10.0 * 2f64.powi(step),
        };
        assert_eq!(knee(&(1..=9).map(straight).collect::<Vec<_>>()), None);
    }
}
