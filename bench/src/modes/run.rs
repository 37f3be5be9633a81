//! One measurement, told in every form that was asked for.

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{LatencyArgs, RunArgs};
use crate::error::BenchError;
use crate::modes::point::{Bench, ENDLESS, Point};
use crate::output::files::Files;
use crate::output::record::Document;
use crate::output::report::Report;
use crate::output::{self, hlog};

/// Fails if the run could not be finished or a reply was wrong. Refusals are only reported.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, BenchError> {
    args.latencies.check()?;
    let bench = Bench::prepare(&args.common)?.with_requests(args.requests);
    let point = Point {
        pacing: args.open.pacing(),
        warmup: match args.requests {
            Some(_) => Duration::ZERO,
            None => args.window.warmup,
        },
        duration: match args.requests {
            Some(_) => ENDLESS,
            None => args.window.duration,
        },
    };
    let report = hlog::with(args.latencies.hlog.as_deref(), |log| {
        bench.measure(point, &mut |second, latencies| log.write(second, latencies))
    })?;
    tell(&report, &args.latencies)?;
    Files(&args.common.output).json(&Document::Run(report.to_record()))?;
    Ok(exit_code(&report))
}

/// The summary, every doubt, and the distribution.
pub(crate) fn tell(report: &Report, files: &LatencyArgs) -> Result<(), BenchError> {
    println!("{report}");
    output::warn(report);
    files.write_hgrm(&report.measured.latencies)
}

/// A wrong reply fails the run, as nothing else that it found means anything then.
pub(crate) fn exit_code(report: &Report) -> ExitCode {
    if report.measured.tally.wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
