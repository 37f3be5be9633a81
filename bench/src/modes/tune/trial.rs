//! One trial: a server of its own, filled, warmed up, measured and ended.

use std::time::{Duration, Instant};

use crate::error::BenchError;
use crate::modes::load;
use crate::modes::point::{Drawn, Point};
use crate::modes::sweep::SUSTAINED_MIN;
use crate::modes::tune::goal::Goal;
use crate::modes::tune::knob::Setting;
use crate::modes::tune::search::{Row, Trial, Trials};
use crate::modes::tune::server::{Launcher, Server, Unready};
use crate::modes::tune::table;
use crate::output::report::Report;
use crate::output::warnings::{self, Doubt};
use crate::worker::target::Target;
use crate::workload::arrivals::{Pacing, Spacing};

/// A share of the time ready to run but off the core above which something else ran there: the trial is made again.
const DISTURBED: f64 = 0.10;

/// Trials before a disturbed one is taken as it is.
const TRIES: u32 = 3;

/// Trials of one search.
pub(super) struct Bed<'b> {
    pub(super) launcher: &'b Launcher,
    pub(super) drawn: &'b Drawn,
    pub(super) goal: Goal,
    /// Requests per second; `None` for a closed loop.
    pub(super) rate: Option<f64>,
    pub(super) warmup: Duration,
    pub(super) duration: Duration,
    pub(super) deadline: Instant,
    /// Trials so far.
    pub(super) trials: u64,
    /// Wrong replies so far, of all trials.
    pub(super) wrong: u64,
    /// Trials in which the generator had too little time to spare to measure anybody but itself.
    pub(super) crowded: u64,
    /// Whether the server and the generator wait for each other's cores: then waiting is no disturbance.
    pub(super) is_shared: bool,
}

impl Bed<'_> {
    /// A run against a server with these settings, or why there is none.
    pub(super) fn report(
        &mut self,
        settings: &[Setting],
    ) -> Result<Result<Report, String>, BenchError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let words: Vec<_> = settings.iter().flat_map(Setting::words).collect();
            let server = match self.launcher.start(&words) {
                Ok(server) => server,
                Err(Unready::Refused(why) | Unready::Failed(why)) => return Ok(Err(why)),
                Err(Unready::Absent(error)) => return Err(error),
            };
            self.trials += 1;
            let report = match self.run(&server) {
                Ok(report) => report,
                // The generator's own trouble is nobody's setting.
                Err(error @ (BenchError::Pin { .. } | BenchError::Io { .. })) => return Err(error),
                Err(error) => {
                    let end = server.ended().map(|status| format!(" ({status})"));
                    return Ok(Err(format!("{error}{}", end.unwrap_or_default())));
                }
            };
            let waiting = report.server_waiting().unwrap_or(0.0);
            let waiting = waiting.max(report.generator_waiting());
            if waiting <= DISTURBED || self.is_shared || tries == TRIES {
                return Ok(Ok(report));
            }
        }
    }

    fn run(&self, server: &Server) -> Result<Report, BenchError> {
        let Drawn {
            workload, cores, ..
        } = self.drawn;
        let target = Target::resolve(&server.address)?;
        load::write_keys(&target, workload, cores, &|_| {})?;
        let point = Point {
            pacing: self.rate.map(|rate| Pacing {
                rate,
                spacing: Spacing::Poisson,
                // As many at a time as where the rate is looked for.
                burst: self.drawn.depth,
            }),
            warmup: self.warmup,
            duration: self.duration,
        };
        self.drawn
            .against(target, server.pid)
            .measure(point, &mut |_, _| Ok(()))
    }
}

impl Trials for Bed<'_> {
    fn measure(&mut self, settings: &[Setting]) -> Result<Trial, BenchError> {
        let report = match self.report(settings)? {
            Ok(report) => report,
            Err(why) => return Ok(Trial::Failed(why)),
        };
        self.crowded += u64::from(warnings::doubts(&report).iter().any(Doubt::is_generator));
        let tally = &report.measured.tally;
        self.wrong += tally.wrong;
        if let Some(first) = tally.first_wrong.as_ref().or(tally.first_error.as_ref()) {
            let count = tally.wrong + tally.errors;
            return Ok(Trial::Failed(format!(
                "{count} wrong replies or refusals; the first: {first}"
            )));
        }
        if report
            .done_share()
            .is_some_and(|share| share < SUSTAINED_MIN)
        {
            let rate = self.rate.unwrap_or(0.0);
            return Ok(Trial::Failed(format!("it does not bear {rate:.0}/s")));
        }
        Ok(match self.goal.goodness(&report) {
            Some(goodness) => Trial::Good(goodness),
            None => Trial::Failed("no request was answered".to_owned()),
        })
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn told(&mut self, row: &Row) {
        eprintln!("ringfort-bench: {}", table::told(row));
    }
}
