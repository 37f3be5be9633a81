//! The window of a run that counts: begins after the warm-up, ends after the duration, and is told of second by second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use hdrhistogram::Histogram;

use crate::error::BenchError;
use crate::worker::cpu::{CpuClocks, CpuTime};
use crate::worker::tally::Tally;

/// Longest latency told apart, ns; longer ones count as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Decimal digits a latency keeps.
const LATENCY_DIGITS: u8 = 3;

/// Length of an interval, ns.
pub(crate) const INTERVAL_NS: u64 = 1_000_000_000;

/// Where in the run we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Warmup,
    Measuring,
    Over,
}

/// What one worker saw in one second of the window.
pub(crate) struct Interval {
    /// Seconds from the window's start to the interval's.
    pub(crate) index: u32,
    /// Of the replies that came in it, ns.
    pub(crate) latencies: Histogram<u64>,
}

/// What a recorder is told at its start.
pub(crate) struct Window {
    /// Since the run began, ns.
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// Set when another worker failed.
    pub(crate) is_stopped: Arc<AtomicBool>,
}

/// Takes latencies and, at the window's two ends, the time and the CPU clocks.
pub(crate) struct Recorder {
    window: Window,
    cpu: Box<dyn CpuClocks>,
    intervals: Sender<Interval>,
    latencies: Histogram<u64>,
    /// Invariant: what is in here is not in `latencies` yet.
    current: Interval,
    phase: Phase,
    opened: Snapshot,
    closed: Snapshot,
    tally: Tally,
}

/// What came out of a window.
#[derive(Clone)]
pub(crate) struct Measured {
    pub(crate) wall_ns: u64,
    /// `None` when no server process is known.
    pub(crate) server: Option<CpuTime>,
    /// Of each worker.
    pub(crate) workers: Vec<CpuTime>,
    /// Of each reply to a request of the window, ns.
    pub(crate) latencies: Histogram<u64>,
    /// Replies that came within the window.
    pub(crate) tally: Tally,
}

#[derive(Clone, Copy, Default)]
struct Snapshot {
    wall_ns: u64,
    server: Option<CpuTime>,
    worker: CpuTime,
}

impl Recorder {
    /// `intervals` gets each second's latencies; nobody has to listen.
    pub(crate) fn new(
        window: Window,
        cpu: Box<dyn CpuClocks>,
        intervals: Sender<Interval>,
    ) -> Self {
        Self {
            window,
            cpu,
            intervals,
            latencies: latencies(),
            current: Interval {
                index: 0,
                latencies: latencies(),
            },
            phase: Phase::Warmup,
            opened: Snapshot::default(),
            closed: Snapshot::default(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn window_end_ns(&self) -> u64 {
        self.window.end_ns
    }

    pub(crate) fn is_measuring(&self) -> bool {
        self.phase == Phase::Measuring
    }

    /// Moves on to the phase that `now_ns` is in; opening the window restarts `tally`, closing it
    /// keeps a copy.
    pub(crate) fn turn(&mut self, now_ns: u64, tally: &mut Tally) -> Result<Phase, BenchError> {
        match self.phase {
            Phase::Warmup if now_ns >= self.window.start_ns => {
                self.phase = Phase::Measuring;
                self.opened = self.snapshot(now_ns)?;
                self.current.latencies.reset();
                tally.restart();
            }
            Phase::Measuring if now_ns >= self.window.end_ns => {
                self.phase = Phase::Over;
                self.closed = self.snapshot(now_ns)?;
                self.tally = tally.clone();
            }
            Phase::Measuring => {
                let interval_end_ns =
                    self.window.start_ns + u64::from(self.current.index + 1) * INTERVAL_NS;
                if now_ns >= interval_end_ns {
                    self.end_interval(now_ns);
                }
            }
            Phase::Warmup | Phase::Over => {}
        }
        if self.window.is_stopped.load(Ordering::Relaxed) {
            return Err(BenchError::Stopped);
        }
        Ok(self.phase)
    }

    /// Ends the window now, as there is nothing more to ask.
    pub(crate) fn close(&mut self, now_ns: u64, tally: &mut Tally) -> Result<(), BenchError> {
        self.window.end_ns = self.window.end_ns.min(now_ns);
        // Both ends may fall into one turn, if the window was that short.
        self.turn(now_ns, tally)?;
        self.turn(now_ns, tally)?;
        Ok(())
    }

    fn end_interval(&mut self, now_ns: u64) {
        self.give_interval();
        // A worker that was kept off its core for seconds has nothing to say of them.
        let passed = now_ns.saturating_sub(self.window.start_ns) / INTERVAL_NS;
        self.current.index = u32::try_from(passed).unwrap_or(u32::MAX - 1);
    }

    fn give_interval(&mut self) {
        let Interval { index, latencies } = &mut self.current;
        self.latencies += &*latencies;
        // Who does not listen does not want to know.
        let _ = self.intervals.send(Interval {
            index: *index,
            latencies: latencies.clone(),
        });
        latencies.reset();
    }

    /// `count` replies, each this late.
    pub(crate) fn record(&mut self, latency_ns: u64, count: usize) {
        self.current
            .latencies
            .saturating_record_n(latency_ns.min(LATENCY_NS_MAX), count as u64);
    }

    /// Whether a request that was to start then belongs to the window.
    pub(crate) fn covers(&self, intended_start_ns: u64) -> bool {
        (self.window.start_ns..self.window.end_ns).contains(&intended_start_ns)
    }

    /// The window's result; `last` is the tally after the window, whose wrong replies count too.
    pub(crate) fn finish(mut self, last: Tally) -> Measured {
        self.give_interval();
        let server = match (self.opened.server, self.closed.server) {
            (Some(opened), Some(closed)) => Some(closed.since(opened)),
            _ => None,
        };
        Measured {
            wall_ns: self.closed.wall_ns - self.opened.wall_ns,
            server,
            workers: vec![self.closed.worker.since(self.opened.worker)],
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
            worker: self.cpu.worker()?,
        })
    }
}

impl Measured {
    /// Adds what another worker measured at the same time.
    pub(crate) fn add(&mut self, other: Self) {
        self.wall_ns = self.wall_ns.max(other.wall_ns);
        self.server = self.server.or(other.server);
        self.workers.extend(other.workers);
        self.latencies += &other.latencies;
        self.tally.add(other.tally);
    }
}

/// Of the scale that all latencies have, so that they can be added.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_NS_MAX, LATENCY_DIGITS).expect("constant bounds are valid")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::wire::{Asked, Op, Outcome};

    const ASKED: Asked<'_> = Asked {
        op: Op::Read,
        keys: &[0],
    };

    const HIT: Outcome = Outcome::Read { hits: 1, misses: 0 };

    /// Each look at a clock moves it: the server's by 400 ns, the worker's by 100 ns.
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

        fn worker(&mut self) -> Result<CpuTime, BenchError> {
            Ok(CpuTime {
                run_ns: self.looks * 100,
                wait_ns: self.looks,
            })
        }
    }

    fn recorder(start_ns: u64, end_ns: u64) -> (Recorder, Receiver<Interval>) {
        let (sender, intervals) = channel();
        let window = Window {
            start_ns,
            end_ns,
            is_stopped: Arc::default(),
        };
        (
            Recorder::new(window, Box::new(MockClocks { looks: 0 }), sender),
            intervals,
        )
    }

    #[test]
    fn only_the_window_counts() {
        let (mut recorder, _) = recorder(1000, 3000);
        let mut tally = Tally::default();
        assert_eq!(recorder.turn(0, &mut tally).unwrap(), Phase::Warmup);
        recorder.record(5, 1);
        tally.count(HIT, ASKED, b"");
        tally.count(Outcome::Wrong, ASKED, b"");
        assert_eq!(recorder.turn(1010, &mut tally).unwrap(), Phase::Measuring);
        recorder.record(700, 3);
        tally.count(HIT, ASKED, b"");
        assert_eq!(recorder.turn(2999, &mut tally).unwrap(), Phase::Measuring);
        assert_eq!(recorder.turn(3030, &mut tally).unwrap(), Phase::Over);
        tally.count(HIT, ASKED, b"");
        tally.count(Outcome::Wrong, ASKED, b"");
        assert_eq!(recorder.turn(9999, &mut tally).unwrap(), Phase::Over);

        let measured = recorder.finish(tally);
        assert_eq!(measured.wall_ns, 2020);
        let (server, worker) = (measured.server.unwrap(), measured.workers[0]);
        assert_eq!((server.run_ns, server.wait_ns), (400, 4));
        assert_eq!((worker.run_ns, worker.wait_ns), (100, 1));
        assert_eq!(measured.latencies.len(), 3);
        assert_eq!(measured.latencies.max(), 700);
        assert_eq!((measured.tally.hits, measured.tally.wrong), (1, 2));
    }

    #[test]
    fn the_window_is_half_open() {
        let (recorder, _) = recorder(1000, 3000);
        let covered = [999, 1000, 2999, 3000].map(|start_ns| recorder.covers(start_ns));
        assert_eq!(covered, [false, true, true, false]);
    }

    #[test]
    fn latencies_beyond_the_scale_count_as_its_end() {
        let (mut recorder, _) = recorder(0, 1);
        recorder.record(u64::MAX, 1);
        let latencies = recorder.finish(Tally::default()).latencies;
        assert_eq!(latencies.len(), 1);
        assert!(latencies.max() >= LATENCY_NS_MAX);
    }

    #[test]
    fn intervals_add_up_to_the_window() {
        let (mut recorder, intervals) = recorder(500, 5 * INTERVAL_NS);
        let mut tally = Tally::default();
        recorder.turn(500, &mut tally).unwrap();
        for (now_ns, latency_ns) in [
            (600, 10),
            (INTERVAL_NS + 499, 20),
            (INTERVAL_NS + 500, 30),
            (4 * INTERVAL_NS, 40),
        ] {
            recorder.record(latency_ns, 1);
            recorder.turn(now_ns, &mut tally).unwrap();
        }
        recorder.record(50, 1);
        recorder.turn(5 * INTERVAL_NS, &mut tally).unwrap();
        let measured = recorder.finish(tally);
        let told: Vec<_> = intervals
            .iter()
            .map(|told| (told.index, told.latencies.len(), told.latencies.max()))
            .collect();
        assert_eq!(told, [(0, 3, 30), (1, 1, 40), (3, 1, 50)]);
        assert_eq!(
            (measured.latencies.len(), measured.latencies.max()),
            (5, 50)
        );
    }

    #[test]
    fn a_window_can_be_closed_early_and_a_run_be_stopped() {
        let (mut early, _) = recorder(0, u64::MAX);
        let mut tally = Tally::default();
        early.close(700, &mut tally).unwrap();
        assert_eq!(early.phase, Phase::Over);

        let (mut stopped, _) = recorder(0, 10);
        stopped.window.is_stopped.store(true, Ordering::Relaxed);
        assert!(matches!(
            stopped.turn(1, &mut tally),
            Err(BenchError::Stopped)
        ));
    }
}
