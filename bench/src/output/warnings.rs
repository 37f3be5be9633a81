//! Every doubt the generator has about its own numbers.

use std::fmt;

use crate::output::report::Report;
use crate::worker::open_loop::Kept;

/// A generator busier than this may be what limits the rate, and not the server.
const GENERATOR_UTILISATION_MAX: f64 = 0.95;

/// An open loop whose worker has less time than this to spare adds its own queue to the latencies.
const GENERATOR_BUSY_MAX: f64 = 0.8;

/// A generator that hands over more of its requests late than this measures itself.
const LATE_SHARE_MAX: f64 = 0.001;

/// A closed loop whose server is idler than this measured wake-ups and waiting too.
const SERVER_UTILISATION_MIN: f64 = 0.9;

/// A process kept off its core for a larger share of the time than this was disturbed. Less than
/// that a server's own helper threads do to each other on one core: memcached's, 6 %.
const WAITING_MAX: f64 = 0.10;

/// Latencies that a quantile of 99.9 % needs, so that ten lie beyond it.
const LATENCY_COUNT_MIN: u64 = 10_000;

/// One reason not to take a number at its word.
#[derive(Debug, PartialEq)]
pub(crate) enum Doubt {
    GeneratorBusy {
        utilisation: f64,
    },
    ServerIdle {
        utilisation: f64,
    },
    Disturbed {
        who: &'static str,
        waiting: f64,
    },
    /// It had room to send and did not in time.
    GeneratorLate {
        late: u64,
        lag_us: f64,
    },
    /// The server was too slow for the schedule.
    ScheduleMissed {
        held: u64,
        unsent: u64,
        unanswered: u64,
    },
    FewLatencies {
        count: u64,
    },
    Errors {
        count: u64,
        first: String,
    },
    Misses {
        count: u64,
    },
    Wrong {
        count: u64,
        first: String,
    },
}

/// All doubts about a report.
pub(crate) fn doubts(report: &Report) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let tally = &report.measured.tally;
    if tally.wrong > 0 {
        let first = tally.first_wrong.clone().unwrap_or_default();
        doubts.push(Doubt::Wrong {
            count: tally.wrong,
            first,
        });
    }
    if tally.errors > 0 {
        let first = tally.first_error.clone().unwrap_or_default();
        doubts.push(Doubt::Errors {
            count: tally.errors,
            first,
        });
    }
    if tally.misses > 0 {
        doubts.push(Doubt::Misses {
            count: tally.misses,
        });
    }
    match &report.kept {
        Some(kept) => doubts.extend(of_schedule(kept, report.measured.latencies.len())),
        None => doubts.extend(of_closed_loop(report)),
    }
    let waiting = [
        ("server", report.server_waiting().unwrap_or(0.0)),
        ("generator", report.generator_waiting()),
    ];
    doubts.extend(
        waiting
            .into_iter()
            .filter(|&(_, waiting)| waiting > WAITING_MAX)
            .map(|(who, waiting)| Doubt::Disturbed { who, waiting }),
    );
    let count = report.measured.latencies.len();
    if count < LATENCY_COUNT_MIN {
        doubts.push(Doubt::FewLatencies { count });
    }
    doubts
}

fn of_schedule(kept: &Kept, count: u64) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let late = kept.late - kept.held;
    if late as f64 > LATE_SHARE_MAX * count as f64 {
        doubts.push(Doubt::GeneratorLate {
            late,
            lag_us: kept.lags.max() as f64 / 1e3,
        });
    }
    if kept.busy > GENERATOR_BUSY_MAX {
        doubts.push(Doubt::GeneratorBusy {
            utilisation: kept.busy,
        });
    }
    if kept.held + kept.unsent + kept.unanswered > 0 {
        doubts.push(Doubt::ScheduleMissed {
            held: kept.held,
            unsent: kept.unsent,
            unanswered: kept.unanswered,
        });
    }
    doubts
}

fn of_closed_loop(report: &Report) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let utilisation = report.generator_utilisation();
    if utilisation > GENERATOR_UTILISATION_MAX {
        doubts.push(Doubt::GeneratorBusy { utilisation });
    }
    let kept_off = report.server_waiting().unwrap_or(0.0);
    if let Some(utilisation) = report
        .server_utilisation()
        .filter(|&busy| busy + kept_off < SERVER_UTILISATION_MIN)
    {
        doubts.push(Doubt::ServerIdle { utilisation });
    }
    doubts
}

impl Doubt {
    /// Whether it says that the generator had too little time to spare.
    pub(crate) fn is_generator(&self) -> bool {
        matches!(
            self,
            Self::GeneratorBusy { .. } | Self::GeneratorLate { .. }
        )
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GeneratorBusy { utilisation } => write!(
                f,
                "the generator used {:.0} % of its core: the numbers may be its own and not the server's; give it more --cores",
                utilisation.min(1.0) * 100.0
            ),
            Self::ServerIdle { utilisation } => write!(
                f,
                "the server used {:.0} % of a core: its cost per request includes going to sleep",
                utilisation * 100.0
            ),
            Self::Disturbed { who, waiting } => write!(
                f,
                "the {who} waited {:.0} % of the time for its core: something else ran there",
                waiting * 100.0
            ),
            Self::GeneratorLate { late, lag_us } => write!(
                f,
                "the generator sent {late} requests late, up to {lag_us:.0} us after their intended start: \
                 part of the latency is its own"
            ),
            Self::ScheduleMissed {
                held,
                unsent,
                unanswered,
            } => write!(
                f,
                "the server did not keep up: {held} requests waited for a connection with room, {unsent} were never \
                 sent, {unanswered} never answered"
            ),
            Self::FewLatencies { count } => {
                write!(f, "only {count} latencies: too few for p99.9")
            }
            Self::Errors { count, first } => {
                write!(f, "the server refused {count} requests; the first: {first}")
            }
            Self::Misses { count } => {
                write!(f, "{count} reads missed, which costs less than a hit")
            }
            Self::Wrong { count, first } => write!(f, "{count} wrong replies; the first: {first}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::report::tests::report;
    use crate::worker::cpu::CpuTime;

    fn busy(run_ns: u64) -> CpuTime {
        CpuTime { run_ns, wait_ns: 0 }
    }

    fn sound() -> Report {
        let mut report = report();
        report.measured.server = Some(busy(1_990_000_000));
        report
            .measured
            .latencies
            .record_n(1000, LATENCY_COUNT_MIN)
            .unwrap();
        report
    }

    #[test]
    fn a_sound_run_raises_no_doubt() {
        assert_eq!(doubts(&sound()), []);
    }

    #[test]
    fn each_weakness_is_told() {
        let mut report = sound();
        report.measured.workers[1] = busy(1_960_000_000);
        assert_eq!(
            doubts(&report),
            [Doubt::GeneratorBusy { utilisation: 0.98 }]
        );

        let mut report = sound();
        report.measured.server = Some(busy(1_000_000_000));
        assert_eq!(doubts(&report), [Doubt::ServerIdle { utilisation: 0.5 }]);

        let mut report = sound();
        report.measured.workers[0] = CpuTime {
            run_ns: 0,
            wait_ns: 400_000_000,
        };
        let disturbed = Doubt::Disturbed {
            who: "generator",
            waiting: 0.2,
        };
        assert_eq!(doubts(&report), [disturbed]);

        let mut report = sound();
        report.measured.tally.misses = 3;
        assert_eq!(doubts(&report), [Doubt::Misses { count: 3 }]);

        let mut report = sound();
        report.measured.latencies.reset();
        assert_eq!(doubts(&report), [Doubt::FewLatencies { count: 0 }]);
    }

    #[test]
    fn an_open_loop_is_judged_by_its_schedule_and_not_by_its_spinning() {
        let mut report = sound();
        report.measured.workers[0] = busy(2_000_000_000);
        report.kept = Some(Kept::new());
        assert_eq!(doubts(&report), []);
        report.kept = Some(Kept {
            late: 2,
            held: 2,
            unsent: 1,
            ..Kept::new()
        });
        let missed = Doubt::ScheduleMissed {
            held: 2,
            unsent: 1,
            unanswered: 0,
        };
        assert_eq!(doubts(&report), [missed]);
    }

    #[test]
    fn a_generator_that_is_late_or_busy_says_so() {
        let mut report = sound();
        let mut kept = Kept {
            late: 500,
            held: 100,
            busy: 0.9,
            ..Kept::new()
        };
        kept.lags.record(2_000_000).unwrap();
        report.kept = Some(kept);
        let told: Vec<_> = doubts(&report).iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].contains("sent 400 requests late, up to 2001 us"),
            "{told:?}"
        );
        assert!(told[1].contains("used 90 % of its core"), "{told:?}");
    }
}
