//! Every doubt the generator has about its own numbers.

use std::fmt;

use crate::report::Report;

/// A generator busier than this is what limits the rate, not the server.
const GENERATOR_UTILISATION_MAX: f64 = 0.95;

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
    ScheduleMissed {
        late: u64,
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
    match report.kept {
        Some(kept) if kept.late + kept.unsent + kept.unanswered > 0 => {
            doubts.push(Doubt::ScheduleMissed {
                late: kept.late,
                unsent: kept.unsent,
                unanswered: kept.unanswered,
            });
        }
        Some(_) => {}
        None => {
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
        }
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

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GeneratorBusy { utilisation } => write!(
                f,
                "the generator used {:.0} % of its core: it limits the rate, not the server",
                utilisation * 100.0
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
            Self::ScheduleMissed {
                late,
                unsent,
                unanswered,
            } => write!(
                f,
                "the schedule was not kept: {late} requests sent late, {unsent} never, \
                 {unanswered} unanswered"
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
    use crate::open_loop::Kept;
    use crate::report::tests::report;
    use crate::server_cpu::CpuTime;

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
        report.measured.generator = busy(1_960_000_000);
        assert_eq!(
            doubts(&report),
            [Doubt::GeneratorBusy { utilisation: 0.98 }]
        );

        let mut report = sound();
        report.measured.server = Some(busy(1_000_000_000));
        assert_eq!(doubts(&report), [Doubt::ServerIdle { utilisation: 0.5 }]);

        let mut report = sound();
        report.measured.generator = CpuTime {
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
        report.measured.generator = busy(2_000_000_000);
        report.kept = Some(Kept::default());
        assert_eq!(doubts(&report), []);
        report.kept = Some(Kept {
            late: 2,
            unsent: 1,
            unanswered: 0,
        });
        let missed = Doubt::ScheduleMissed {
            late: 2,
            unsent: 1,
            unanswered: 0,
        };
        assert_eq!(doubts(&report), [missed]);
    }
}
