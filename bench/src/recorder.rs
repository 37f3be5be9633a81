//! The window of a run that counts: begins after the warm-up, ends after the duration.

use hdrhistogram::Histogram;

use crate::error::BenchError;
use crate::server_cpu::{CpuClocks, CpuTime};
use crate::tally::Tally;

/// Longest latency told apart, ns; longer ones count as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Decimal digits a latency keeps.
const LATENCY_DIGITS: u8 = 3;

/// Where in the run we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Warmup,
    Measuring,
    Over,
}

/// Takes latencies and, at the window's two ends, the time and the CPU clocks.
pub(crate) struct Recorder {
    window_start_ns: u64,
    window_end_ns: u64,
    cpu: Box<dyn CpuClocks>,
    latencies: Histogram<u64>,
    phase: Phase,
    opened: Snapshot,
    closed: Snapshot,
    tally: Tally,
}

/// What came out of a window.
pub(crate) struct Measured {
    pub(crate) wall_ns: u64,
    /// `None` when no server process is known.
    pub(crate) server: Option<CpuTime>,
    pub(crate) generator: CpuTime,
    /// Of each reply to a request of the window, ns.
    pub(crate) latencies: Histogram<u64>,
    /// Replies that came within the window.
    pub(crate) tally: Tally,
}

#[derive(Clone, Copy, Default)]
struct Snapshot {
    wall_ns: u64,
    server: Option<CpuTime>,
    generator: CpuTime,
}

impl Recorder {
    /// All times are ns since the run began.
    pub(crate) fn new(warmup_ns: u64, duration_ns: u64, cpu: Box<dyn CpuClocks>) -> Self {
        let latencies = Histogram::new_with_max(LATENCY_NS_MAX, LATENCY_DIGITS)
            .expect("constant bounds are valid");
        Self {
            window_start_ns: warmup_ns,
            window_end_ns: warmup_ns + duration_ns,
            cpu,
            latencies,
            phase: Phase::Warmup,
            opened: Snapshot::default(),
            closed: Snapshot::default(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn window_end_ns(&self) -> u64 {
        self.window_end_ns
    }

    /// Moves on to the phase that `now_ns` is in; opening the window restarts `tally`, closing it
    /// keeps a copy.
    pub(crate) fn turn(&mut self, now_ns: u64, tally: &mut Tally) -> Result<Phase, BenchError> {
        if self.phase == Phase::Warmup && now_ns >= self.window_start_ns {
            self.phase = Phase::Measuring;
            self.opened = self.snapshot(now_ns)?;
            self.latencies.reset();
            tally.restart();
        } else if self.phase == Phase::Measuring && now_ns >= self.window_end_ns {
            self.phase = Phase::Over;
            self.closed = self.snapshot(now_ns)?;
            self.tally = tally.clone();
        }
        Ok(self.phase)
    }

    /// `count` replies, each this late.
    pub(crate) fn record(&mut self, latency_ns: u64, count: usize) {
        self.latencies
            .saturating_record_n(latency_ns.min(LATENCY_NS_MAX), count as u64);
    }

    /// Whether a request that was to start then belongs to the window.
    pub(crate) fn covers(&self, intended_start_ns: u64) -> bool {
        (self.window_start_ns..self.window_end_ns).contains(&intended_start_ns)
    }

    /// The window's result; `last` is the tally after the window, whose wrong replies count too.
    pub(crate) fn finish(self, last: Tally) -> Measured {
        let server = match (self.opened.server, self.closed.server) {
            (Some(opened), Some(closed)) => Some(closed.since(opened)),
            _ => None,
        };
        Measured {
            wall_ns: self.closed.wall_ns - self.opened.wall_ns,
            server,
            generator: self.closed.generator.since(self.opened.generator),
            latencies: self.latencies,
            tally: Tally {
                wrong: last.wrong,
                first_wrong: last.first_wrong,
                ..self.tally
            },
        }
    }

    fn snapshot(&mut self, wall_ns: u64) -> Result<Snapshot, BenchError> {
        let server = self.cpu.server()?;
        Ok(Snapshot {
            wall_ns,
            server,
            generator: self.cpu.generator()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Asked, Op, Outcome};

    const ASKED: Asked = Asked {
        op: Op::Read,
        key_index: 0,
    };

    /// Each look at a clock moves it: the server's by 400 ns, the generator's by 100 ns.
    struct MockClocks {
        looks: u64,
    }

    impl CpuClocks for MockClocks {
        fn server(&mut self) -> Result<Option<CpuTime>, BenchError> {
            self.looks += 1;
            Ok(Some(CpuTime {
                run_ns: self.looks * 400,
                wait_ns: self.looks * 4,
            }))
        }

        fn generator(&mut self) -> Result<CpuTime, BenchError> {
            Ok(CpuTime {
                run_ns: self.looks * 100,
                wait_ns: self.looks,
            })
        }
    }

    #[test]
    fn only_the_window_counts() {
        let mut recorder = Recorder::new(1000, 2000, Box::new(MockClocks { looks: 0 }));
        let mut tally = Tally::default();
        assert_eq!(recorder.turn(0, &mut tally).unwrap(), Phase::Warmup);
        recorder.record(5, 1);
        tally.count(Outcome::Hit, ASKED, b"");
        tally.count(Outcome::Wrong, ASKED, b"");
        assert_eq!(recorder.turn(1010, &mut tally).unwrap(), Phase::Measuring);
        recorder.record(700, 3);
        tally.count(Outcome::Hit, ASKED, b"");
        assert_eq!(recorder.turn(2999, &mut tally).unwrap(), Phase::Measuring);
        assert_eq!(recorder.turn(3030, &mut tally).unwrap(), Phase::Over);
        tally.count(Outcome::Hit, ASKED, b"");
        tally.count(Outcome::Wrong, ASKED, b"");
        assert_eq!(recorder.turn(9999, &mut tally).unwrap(), Phase::Over);

        let measured = recorder.finish(tally);
        assert_eq!(measured.wall_ns, 2020);
        assert_eq!(
            measured.server,
            Some(CpuTime {
                run_ns: 400,
                wait_ns: 4
            })
        );
        assert_eq!(
            measured.generator,
            CpuTime {
                run_ns: 100,
                wait_ns: 1
            }
        );
        assert_eq!(measured.latencies.len(), 3);
        assert_eq!(measured.latencies.max(), 700);
        assert_eq!((measured.tally.hits, measured.tally.wrong), (1, 2));
    }

    #[test]
    fn the_window_is_half_open() {
        let recorder = Recorder::new(1000, 2000, Box::new(MockClocks { looks: 0 }));
        let covered = [999, 1000, 2999, 3000].map(|start_ns| recorder.covers(start_ns));
        assert_eq!(covered, [false, true, true, false]);
    }

    #[test]
    fn latencies_beyond_the_scale_count_as_its_end() {
        let mut recorder = Recorder::new(0, 1, Box::new(MockClocks { looks: 0 }));
        recorder.record(u64::MAX, 1);
        assert_eq!(recorder.latencies.len(), 1);
        assert!(recorder.latencies.max() >= LATENCY_NS_MAX);
    }
}
