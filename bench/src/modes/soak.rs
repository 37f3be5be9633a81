//! A long run, second by second: does the server stay as it was?

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::SoakArgs;
use crate::error::BenchError;
use crate::modes::point::{Bench, Point};
use crate::modes::run::{exit_code, tell};
use crate::output::files::Files;
use crate::output::hlog;
use crate::output::record::Document;
use crate::output::report::Second;

const WARMUP: Duration = Duration::from_secs(1);

/// Fails if the run could not be finished or a reply was wrong.
pub(crate) fn run(args: &SoakArgs) -> Result<ExitCode, BenchError> {
    args.latencies.check()?;
    let bench = Bench::prepare(&args.common)?;
    let point = Point {
        pacing: args.open.pacing(),
        warmup: WARMUP,
        duration: Duration::from_secs(u64::from(args.seconds)),
    };
    let report = hlog::with(args.latencies.hlog.as_deref(), |log| {
        bench.measure(point, &mut |second, latencies| log.write(second, latencies))
    })?;
    tell(&report, &args.latencies)?;
    if let Some((first, last)) = quarters(&report.series) {
        println!("  first quarter  {first}\n  last quarter   {last}");
    }
    Files(&args.common.output).json(&Document::Soak(report.to_record()))?;
    Ok(exit_code(&report))
}

/// The medians of a quarter's seconds.
#[derive(Debug, PartialEq)]
struct Quarter {
    requests_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
}

/// The first and the last quarter of a run, whose difference is drift.
fn quarters(series: &[Second]) -> Option<(Quarter, Quarter)> {
    let length = series.len() / 4;
    let last = series.len() - length;
    (length > 0).then(|| (Quarter::of(&series[..length]), Quarter::of(&series[last..])))
}

impl Quarter {
    fn of(seconds: &[Second]) -> Self {
        let median = |number: &dyn Fn(&Second) -> f64| {
            let mut numbers: Vec<_> = seconds.iter().map(number).collect();
            numbers.sort_by(f64::total_cmp);
            numbers[numbers.len() / 2]
        };
        Self {
            requests_per_s: median(&|second| second.requests as f64),
            p50_us: median(&|second| second.p50_us),
            p99_us: median(&|second| second.p99_us),
            p999_us: median(&|second| second.p999_us),
        }
    }
}

impl std::fmt::Display for Quarter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0}/s  p50 {:.1}  p99 {:.1}  p99.9 {:.1} us (medians of its seconds)",
            self.requests_per_s, self.p50_us, self.p99_us, self.p999_us
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u32, p99_us: f64) -> Second {
        Second {
            second,
            requests: 100,
            p50_us: 1.0,
            p99_us,
            p999_us: 3.0,
            max_us: 4.0,
        }
    }

    #[test]
    fn drift_is_the_difference_of_the_quarters() {
        let series: Vec<_> = (0..12).map(|n| second(n, f64::from(n))).collect();
        let (first, last) = quarters(&series).unwrap();
        assert_eq!((first.p99_us, last.p99_us), (1.0, 10.0));
        assert_eq!(quarters(&series[..3]), None);
    }
}
