//! INFO's sections about commands: how often, how long, and what was refused.

use super::{Facts, Lines};
use crate::{
    protocol::resp::table,
    shard::{meter::CommandFigures, stats::ERROR_CODES},
};

/// Of which percentiles `Latencystats` tells, and their names.
const PERCENTILES: [(f64, &str); 3] = [(50.0, "p50"), (99.0, "p99"), (99.9, "p99.9")];

/// The commands that were asked for, and their figures.
fn used<'f>(
    facts: &'f Facts<'_>,
) -> impl Iterator<Item = (&'static str, CommandFigures)> + use<'f> {
    let figures =
        |spec: &'static table::CommandSpec| (spec.name, facts.core.board.command(spec.command));
    table::all()
        .map(figures)
        .filter(|(_, figures)| figures.is_used())
}

/// `usec` is what the calls that were timed took, scaled to all.
pub(super) fn calls(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    for (name, figures) in used(facts) {
        lines.add(
            &format!("cmdstat_{name}"),
            format_args!(
                "calls={},usec={},usec_per_call={:.2},rejected_calls={},failed_calls={}",
                figures.calls,
                figures.us(),
                figures.us_per_call(),
                figures.rejected,
                figures.failed,
            ),
        );
    }
}

pub(super) fn errors(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let errors = facts.core.board.errors();
    for (code, count) in ERROR_CODES
        .iter()
        .zip(errors)
        .filter(|(_, count)| *count > 0)
    {
        lines.add(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub(super) fn latencies(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    for (name, figures) in used(facts).filter(|(_, figures)| figures.durations.count() > 0) {
        let percentiles = PERCENTILES.map(|(percent, label)| {
            let ns = figures.durations.percentile_ns(percent);
            format!("{label}={}.{:03}", ns / 1_000, ns % 1_000)
        });
        lines.add(
            &format!("latency_percentiles_usec_{name}"),
            percentiles.join(","),
        );
    }
}
