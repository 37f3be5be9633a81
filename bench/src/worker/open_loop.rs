//! An open loop: requests start when the schedule says, whether or not the server keeps up.
//!
//! A latency is a response time: from the *intended* start until the reply was read. So a pause
//! of the server is charged to every request that should have started meanwhile, also to those
//! that the generator could not send, and not just to the one that happened to be in flight
//! ("coordinated omission" is the name of the mistake). A backlog is worked off after the window, and what is
//! not answered then counts with the time that it has waited: leaving it out would leave out the slowest.
//!
//! Requests that start together go out on one connection, which has to have room for all of them: what a client sends
//! that pipelines.
//!
//! The generator spins between arrivals, as the kernel's timeouts are a thousand times too
//! coarse; with nothing to do it yields its core to whoever else is on it.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::error::BenchError;
use crate::worker::fleet::Fleet;
use crate::worker::recorder::{self, Measured, Phase, Recorder};
use crate::workload::arrivals::{Schedule, Start};

/// A request handed over this long after its intended start was missed, ns: the schedule is then
/// no longer the one asked for. A tenth of it would be the scheduler's noise.
const LATE_NS: u64 = 1_000_000;

/// How long replies are waited for after the window, ns.
const DRAIN_NS_MAX: u64 = 10_000_000_000;

/// Requests started between two looks at the sockets, so that replies are read in time.
const STARTS_PER_TURN_MAX: usize = 256;

/// What became of the schedule.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Requests of the window handed over too late (their latency counts from the intended start).
    pub(crate) late: u64,
    /// Of these, those that waited for a connection with room: the server was slow, not the generator.
    pub(crate) held: u64,
    /// Requests of the window never handed over: every connection was full until the end.
    pub(crate) unsent: u64,
    /// Requests of the window sent and not answered until the end.
    pub(crate) unanswered: u64,
    /// From the intended start until the request was handed over, where there was room for it, ns.
    pub(crate) lags: Histogram<u64>,
    /// Share of the window in which the busiest worker did not just wait.
    pub(crate) busy: f64,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Self {
            late: 0,
            held: 0,
            unsent: 0,
            unanswered: 0,
            lags: recorder::latencies(),
            busy: 0.0,
        }
    }

    /// Adds what became of another worker's schedule.
    pub(crate) fn add(&mut self, other: &Self) {
        self.late += other.late;
        self.held += other.held;
        self.unsent += other.unsent;
        self.unanswered += other.unanswered;
        self.lags += &other.lags;
        self.busy = self.busy.max(other.busy);
    }
}

/// Runs until the window is over and its replies are in; at most `depth` requests are in flight
/// on one connection, which is no less than start together.
pub(crate) fn run(
    fleet: &mut Fleet,
    depth: usize,
    schedule: Schedule,
    recorder: Recorder,
) -> Result<(Measured, Kept), BenchError> {
    let mut open_loop = OpenLoop {
        starts: vec![VecDeque::with_capacity(depth); fleet.connections()],
        fleet,
        depth,
        schedule,
        recorder,
        next_connection: 0,
        full_at_ns: None,
        dirty: Vec::new(),
        busy_ns: 0,
        kept: Kept::new(),
    };
    open_loop.run()?;
    open_loop.drain()?;
    let OpenLoop {
        fleet,
        recorder,
        mut kept,
        busy_ns,
        ..
    } = open_loop;
    let measured = recorder.finish(fleet.shared.tally.clone());
    kept.busy = busy_ns as f64 / measured.wall_ns.max(1) as f64;
    Ok((measured, kept))
}

struct OpenLoop<'f> {
    fleet: &'f mut Fleet,
    depth: usize,
    schedule: Schedule,
    recorder: Recorder,
    /// Intended starts of what is in flight, by connection, in order.
    starts: Vec<VecDeque<u64>>,
    next_connection: usize,
    /// When something was due last and there was no room for it.
    full_at_ns: Option<u64>,
    /// Connections with requests queued in this turn.
    dirty: Vec<usize>,
    /// Time of the window in turns that found something to do.
    busy_ns: u64,
    kept: Kept,
}

impl OpenLoop<'_> {
    fn run(&mut self) -> Result<(), BenchError> {
        loop {
            let now_ns = self.fleet.now_ns();
            if self.recorder.turn(now_ns, &mut self.fleet.shared.tally)? == Phase::Over {
                return Ok(());
            }
            if self.schedule.next().is_none() && self.fleet.in_flight_total() == 0 {
                return self.recorder.close(now_ns, &mut self.fleet.shared.tally);
            }
            let started = self.start_due(now_ns, now_ns)?;
            let (replies, end_ns) = self.take_replies()?;
            if started + replies > 0 && self.recorder.is_measuring() {
                self.busy_ns += end_ns - now_ns;
            }
        }
    }

    /// Hands over what was to start by `due_ns`, in turn to each connection that has room; returns how many.
    fn start_due(&mut self, now_ns: u64, due_ns: u64) -> Result<usize, BenchError> {
        let mut started = 0;
        while started < STARTS_PER_TURN_MAX {
            let Some(start) = self.schedule.next().filter(|start| start.at_ns <= due_ns) else {
                break;
            };
            let Some(connection_index) = self.connection_with_room(&start) else {
                self.full_at_ns = Some(now_ns);
                break;
            };
            self.schedule.advance();
            self.note_lag(now_ns, &start);
            self.fleet.queue(connection_index, start.count);
            let starts = std::iter::repeat_n(start.at_ns, start.count);
            self.starts[connection_index].extend(starts);
            self.dirty.push(connection_index);
            started += start.count;
        }
        // A connection chosen twice is flushed twice; the second finds nothing to write.
        while let Some(connection_index) = self.dirty.pop() {
            self.fleet.flush(connection_index)?;
        }
        Ok(started)
    }

    fn note_lag(&mut self, now_ns: u64, start: &Start) {
        let intended_start_ns = start.at_ns;
        if !self.recorder.covers(intended_start_ns) {
            return;
        }
        let (lag_ns, count) = (now_ns - intended_start_ns, start.count as u64);
        let is_held = self
            .full_at_ns
            .is_some_and(|full_at_ns| intended_start_ns <= full_at_ns);
        if lag_ns > LATE_NS {
            self.kept.late += count;
            self.kept.held += if is_held { count } else { 0 };
        }
        if !is_held {
            self.kept.lags.saturating_record_n(lag_ns, count);
        }
    }

    fn connection_with_room(&mut self, start: &Start) -> Option<usize> {
        let in_flight_max = self.depth - start.count;
        let has_room =
            |connection_index: &usize| self.fleet.in_flight(*connection_index) <= in_flight_max;
        if start.connection.is_some() {
            return start.connection.filter(has_room);
        }
        let connections = self.fleet.connections();
        let found = (0..connections)
            .map(|step| (self.next_connection + step) % connections)
            .find(has_room)?;
        self.next_connection = (found + 1) % connections;
        Some(found)
    }

    /// Returns how many came, and the time.
    fn take_replies(&mut self) -> Result<(usize, u64), BenchError> {
        let ready = self.fleet.wait(Duration::ZERO)?;
        if ready == 0 {
            thread::yield_now();
        }
        let mut replies_total = 0;
        for ready_index in 0..ready {
            let (connection_index, replies) = self.fleet.serve(ready_index)?;
            replies_total += replies;
            let now_ns = self.fleet.now_ns();
            for intended_start_ns in self.starts[connection_index].drain(..replies) {
                if self.recorder.covers(intended_start_ns) {
                    self.recorder.record(now_ns - intended_start_ns, 1);
                }
            }
        }
        let now_ns = self.fleet.now_ns();
        self.fleet.watch(now_ns, replies_total)?;
        Ok((replies_total, now_ns))
    }

    /// Hands over what the window held beyond, and waits for what is in flight.
    fn drain(&mut self) -> Result<(), BenchError> {
        let window_end_ns = self.recorder.window_end_ns();
        let give_up_ns = self.fleet.now_ns() + DRAIN_NS_MAX;
        loop {
            let now_ns = self.fleet.now_ns();
            let has_backlog = self
                .schedule
                .next()
                .is_some_and(|start| start.at_ns < window_end_ns);
            if now_ns >= give_up_ns || (!has_backlog && self.fleet.in_flight_total() == 0) {
                self.give_up(now_ns, window_end_ns);
                return Ok(());
            }
            self.start_due(now_ns, now_ns.min(window_end_ns.saturating_sub(1)))?;
            self.take_replies()?;
        }
    }

    /// Counts what has no reply, each with the time that it has waited.
    fn give_up(&mut self, now_ns: u64, window_end_ns: u64) {
        while let Some(start) = self
            .schedule
            .next()
            .filter(|start| start.at_ns < window_end_ns)
        {
            self.schedule.advance();
            if self.recorder.covers(start.at_ns) {
                self.kept.unsent += start.count as u64;
                self.recorder
                    .record(now_ns.saturating_sub(start.at_ns), start.count);
            }
        }
        for &start_ns in self.starts.iter().flatten() {
            if self.recorder.covers(start_ns) {
                self.kept.unanswered += 1;
                self.recorder.record(now_ns.saturating_sub(start_ns), 1);
            }
        }
    }
}
