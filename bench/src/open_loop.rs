//! An open loop: requests start when the schedule says, whether or not the server keeps up.
//!
//! A latency is a response time: from the *intended* start until the reply was read. So a pause
//! of the server is charged to every request that should have started meanwhile, also to those
//! that the generator could not send, and not just to the one that happened to be in flight
//! ("coordinated omission" is the name of the mistake).
//!
//! The generator spins between arrivals, as the kernel's timeouts are a thousand times too
//! coarse; with nothing to do it yields its core to whoever else is on it.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use crate::arrivals::Arrivals;
use crate::error::BenchError;
use crate::fleet::Fleet;
use crate::recorder::{Measured, Phase, Recorder};

/// A request handed over this long after its intended start was missed, ns: the schedule is then
/// no longer the one asked for. A tenth of it would be the scheduler's noise.
const LATE_NS: u64 = 1_000_000;

/// How long replies are waited for after the window, ns.
const DRAIN_NS_MAX: u64 = 2_000_000_000;

/// Requests started between two looks at the sockets, so that replies are read in time.
const STARTS_PER_TURN_MAX: usize = 256;

/// What became of the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Requests of the window handed over too late (their latency counts from the intended start).
    pub(crate) late: u64,
    /// Requests of the window never handed over: every connection was full until the end.
    pub(crate) unsent: u64,
    /// Requests of the window sent and not answered two seconds after its end.
    pub(crate) unanswered: u64,
}

/// Runs until the window is over and its replies are in; at most `depth` requests are in flight
/// on one connection.
pub(crate) fn run(
    fleet: &mut Fleet,
    depth: usize,
    arrivals: Arrivals,
    recorder: Recorder,
) -> Result<(Measured, Kept), BenchError> {
    let mut open_loop = OpenLoop {
        starts: vec![VecDeque::with_capacity(depth); fleet.connections()],
        fleet,
        depth,
        arrivals,
        recorder,
        next_connection: 0,
        dirty: Vec::new(),
        kept: Kept::default(),
    };
    open_loop.run()?;
    open_loop.drain()?;
    let OpenLoop {
        fleet,
        recorder,
        kept,
        ..
    } = open_loop;
    Ok((recorder.finish(fleet.shared.tally.clone()), kept))
}

struct OpenLoop<'f> {
    fleet: &'f mut Fleet,
    depth: usize,
    arrivals: Arrivals,
    recorder: Recorder,
    /// Intended starts of what is in flight, by connection, in order.
    starts: Vec<VecDeque<u64>>,
    next_connection: usize,
    /// Connections with requests queued in this turn.
    dirty: Vec<usize>,
    kept: Kept,
}

impl OpenLoop<'_> {
    fn run(&mut self) -> Result<(), BenchError> {
        loop {
            let now_ns = self.fleet.now_ns();
            if self.recorder.turn(now_ns, &mut self.fleet.shared.tally)? == Phase::Over {
                return Ok(());
            }
            self.start_due(now_ns)?;
            self.take_replies()?;
        }
    }

    /// Hands over what is due, in turn to each connection that has room.
    fn start_due(&mut self, now_ns: u64) -> Result<(), BenchError> {
        for _ in 0..STARTS_PER_TURN_MAX {
            let intended_start_ns = self.arrivals.next_ns();
            if intended_start_ns > now_ns {
                break;
            }
            let Some(connection_index) = self.connection_with_room() else {
                break;
            };
            self.arrivals.advance();
            if now_ns - intended_start_ns > LATE_NS && self.recorder.covers(intended_start_ns) {
                self.kept.late += 1;
            }
            self.fleet.queue(connection_index, 1);
            self.starts[connection_index].push_back(intended_start_ns);
            self.dirty.push(connection_index);
        }
        // A connection chosen twice is flushed twice; the second finds nothing to write.
        while let Some(connection_index) = self.dirty.pop() {
            self.fleet.flush(connection_index)?;
        }
        Ok(())
    }

    fn connection_with_room(&mut self) -> Option<usize> {
        let connections = self.fleet.connections();
        let found = (0..connections)
            .map(|step| (self.next_connection + step) % connections)
            .find(|&connection_index| self.fleet.in_flight(connection_index) < self.depth)?;
        self.next_connection = (found + 1) % connections;
        Some(found)
    }

    fn take_replies(&mut self) -> Result<(), BenchError> {
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
        self.fleet.watch(now_ns, replies_total)
    }

    /// Waits for what is in flight, as leaving it out would leave out the slowest, and counts
    /// what the schedule held beyond.
    fn drain(&mut self) -> Result<(), BenchError> {
        let window_end_ns = self.recorder.window_end_ns();
        while self.arrivals.next_ns() < window_end_ns {
            self.kept.unsent += u64::from(self.recorder.covers(self.arrivals.next_ns()));
            self.arrivals.advance();
        }
        while self.fleet.in_flight_total() > 0 && self.fleet.now_ns() < window_end_ns + DRAIN_NS_MAX
        {
            self.take_replies()?;
        }
        let in_flight = self.starts.iter().flatten();
        self.kept.unanswered = in_flight
            .filter(|&&start_ns| self.recorder.covers(start_ns))
            .count() as u64;
        Ok(())
    }
}
