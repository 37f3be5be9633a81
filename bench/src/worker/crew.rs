//! Several workers, each a thread with connections of its own, and what they found together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use hdrhistogram::Histogram;

use crate::error::BenchError;
use crate::wire::Check;
use crate::worker::conn::Shared;
use crate::worker::cpu::SchedulerClocks;
use crate::worker::fleet::Fleet;
use crate::worker::open_loop::Kept;
use crate::worker::recorder::{Interval, Measured, Recorder, Window};
use crate::worker::target::Target;
use crate::worker::{closed_loop, open_loop};
use crate::workload::arrivals::Schedule;
use crate::workload::script::Script;

/// What all workers are told.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) check: Check,
    /// Closed loop: requests in a batch; open loop: most requests in flight on a connection.
    pub(crate) depth: usize,
    pub(crate) warmup_ns: u64,
    pub(crate) duration_ns: u64,
    pub(crate) server_pid: Option<u32>,
}

/// What one worker does.
pub(crate) struct Task {
    /// Core that it is pinned to; `None` leaves that to the scheduler.
    pub(crate) core: Option<usize>,
    pub(crate) script: Arc<Script>,
    /// For each connection, the step of the script that it begins at.
    pub(crate) firsts: Vec<usize>,
    pub(crate) pace: Pace,
}

/// When requests start.
pub(crate) enum Pace {
    /// When the ones before are answered. `requests`: how many each connection sends, without end if that is not said.
    Closed { requests: Option<Vec<usize>> },
    /// When the schedule says.
    Open(Schedule),
}

/// What was found, and what became of the schedule of an open loop.
pub(crate) struct Found {
    pub(crate) measured: Measured,
    pub(crate) kept: Option<Kept>,
}

/// Takes each second's latencies of all workers together, in order.
pub(crate) type Watch<'w> = &'w mut dyn FnMut(u32, &Histogram<u64>) -> Result<(), BenchError>;

/// What a worker says to the thread that waits for it.
enum Word {
    Connected,
    Done(Box<Result<Found, BenchError>>),
}

/// Runs all tasks at the same time and adds up what they found. The first error ends them all.
pub(crate) fn run(plan: &Plan, tasks: Vec<Task>, watch: Watch<'_>) -> Result<Found, BenchError> {
    let is_stopped = Arc::new(AtomicBool::new(false));
    let (intervals_sender, intervals) = channel();
    let (words_sender, words) = channel();
    let count = tasks.len();
    thread::scope(|scope| {
        let mut gos = Vec::new();
        for (index, task) in tasks.into_iter().enumerate() {
            let (go, may_go) = channel();
            gos.push(go);
            let (words, intervals) = (words_sender.clone(), intervals_sender.clone());
            let is_stopped = Arc::clone(&is_stopped);
            scope.spawn(move || {
                let worker = Worker {
                    plan,
                    is_first: index == 0,
                    is_stopped,
                };
                let done = worker.run(task, &words, &may_go, intervals);
                // Whoever does not listen any more has had an error before.
                let _ = words.send(Word::Done(Box::new(done)));
            });
        }
        drop((words_sender, intervals_sender));
        let found = conduct(&words, gos, &intervals, count, watch);
        is_stopped.store(true, Ordering::Relaxed);
        found
    })
}

/// Starts the clock once all are connected, and listens until all are done.
fn conduct(
    words: &Receiver<Word>,
    gos: Vec<Sender<Instant>>,
    intervals: &Receiver<Interval>,
    count: usize,
    watch: Watch<'_>,
) -> Result<Found, BenchError> {
    for _ in 0..count {
        match words.recv() {
            Ok(Word::Connected) => {}
            // Nobody is done before it may begin.
            Ok(Word::Done(done)) => return done.and(Err(BenchError::Stopped)),
            Err(_) => return Err(BenchError::Stopped),
        }
    }
    let began = Instant::now();
    for go in gos {
        // A worker that has gone meanwhile says why.
        let _ = go.send(began);
    }
    let mut series = Series::of(count);
    // Ends when the last worker has let go of its sender. A worker that fails does so, too, and the others with it.
    let mut found: Option<Found> = None;
    loop {
        for word in words.try_iter() {
            if let Word::Done(done) = word {
                found = Some(Found::sum(found, (*done)?));
            }
        }
        match intervals.recv_timeout(WORDS_LOOKED_FOR) {
            Ok(interval) => series.add(interval, watch)?,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    for word in words.iter() {
        if let Word::Done(done) = word {
            found = Some(Found::sum(found, (*done)?));
        }
    }
    series.give_rest(watch)?;
    found.ok_or(BenchError::Stopped)
}

/// How long an error of one worker may go unnoticed.
const WORDS_LOOKED_FOR: std::time::Duration = std::time::Duration::from_millis(200);

struct Worker<'p> {
    plan: &'p Plan,
    /// One of them looks at the server's clock.
    is_first: bool,
    is_stopped: Arc<AtomicBool>,
}

impl Worker<'_> {
    fn run(
        &self,
        task: Task,
        words: &Sender<Word>,
        may_go: &Receiver<Instant>,
        intervals: Sender<Interval>,
    ) -> Result<Found, BenchError> {
        if let Some(core) = task.core
            && !core_affinity::set_for_current(core_affinity::CoreId { id: core })
        {
            return Err(BenchError::Pin { core });
        }
        let plan = self.plan;
        let shared = Shared::new(task.script, plan.check.clone());
        let mut fleet = Fleet::connect(&plan.target, &task.firsts, shared)?;
        let _ = words.send(Word::Connected);
        // The others could not be connected, if nobody says go.
        let began = may_go.recv().map_err(|_| BenchError::Stopped)?;
        fleet.start(began);
        let window = Window {
            start_ns: plan.warmup_ns,
            end_ns: plan.warmup_ns.saturating_add(plan.duration_ns),
            is_stopped: Arc::clone(&self.is_stopped),
        };
        let clocks = SchedulerClocks {
            server_pid: plan.server_pid.filter(|_| self.is_first),
        };
        let recorder = Recorder::new(window, Box::new(clocks), intervals);
        match task.pace {
            Pace::Closed { requests } => Ok(Found {
                measured: closed_loop::run(&mut fleet, plan.depth, requests.as_deref(), recorder)?,
                kept: None,
            }),
            Pace::Open(schedule) => {
                let (measured, kept) = open_loop::run(&mut fleet, plan.depth, schedule, recorder)?;
                Ok(Found {
                    measured,
                    kept: Some(kept),
                })
            }
        }
    }
}

impl Found {
    fn sum(before: Option<Self>, more: Self) -> Self {
        let Some(mut sum) = before else {
            return more;
        };
        sum.measured.add(more.measured);
        match (&mut sum.kept, more.kept) {
            (Some(kept), Some(more)) => kept.add(&more),
            (kept, more) => *kept = kept.take().or(more),
        }
        sum
    }
}

/// Puts the workers' intervals together.
struct Series {
    workers: usize,
    /// Seconds that not all workers have told of, with how many have.
    open: BTreeMap<u32, (Histogram<u64>, usize)>,
}

impl Series {
    fn of(workers: usize) -> Self {
        Self {
            workers,
            open: BTreeMap::new(),
        }
    }

    /// A worker that skips a second does not hold up the ones after it for ever: they are given once all have told of
    /// a later one.
    fn add(&mut self, interval: Interval, watch: Watch<'_>) -> Result<(), BenchError> {
        let Interval { index, latencies } = interval;
        match self.open.get_mut(&index) {
            Some((sum, told)) => {
                *sum += &latencies;
                *told += 1;
            }
            None => {
                self.open.insert(index, (latencies, 1));
            }
        }
        let complete = self
            .open
            .iter()
            .rev()
            .find(|(_, (_, told))| *told == self.workers);
        if let Some((&last, _)) = complete {
            let later = self.open.split_off(&(last + 1));
            self.give_rest(watch)?;
            self.open = later;
        }
        Ok(())
    }

    fn give_rest(&mut self, watch: Watch<'_>) -> Result<(), BenchError> {
        for (index, (latencies, _)) in std::mem::take(&mut self.open) {
            watch(index, &latencies)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::recorder::latencies;

    fn interval(index: u32, latency_ns: u64) -> Interval {
        let mut told = latencies();
        told.record(latency_ns).unwrap();
        Interval {
            index,
            latencies: told,
        }
    }

    #[test]
    fn seconds_are_told_once_all_workers_have_and_in_order() {
        let mut told = Vec::new();
        let mut watch = |index, latencies: &Histogram<u64>| {
            told.push((index, latencies.len()));
            Ok(())
        };
        let mut series = Series::of(2);
        // One worker is a second ahead; the other skips the second with number 1.
        for index in [0, 1, 0, 2, 2, 3] {
            series.add(interval(index, 5), &mut watch).unwrap();
        }
        series.give_rest(&mut watch).unwrap();
        assert_eq!(told, [(0, 2), (1, 1), (2, 2), (3, 1)]);
    }
}
