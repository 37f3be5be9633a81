//! All connections of a run, on one poller and one clock.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::error::BenchError;
use crate::worker::conn::{Conn, Shared};
use crate::worker::target::Target;

/// A server that answers nothing for this long, with requests in flight, has stalled.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// Events taken from the kernel at once.
const EVENT_COUNT_MAX: usize = 1024;

/// The connections, with what they share.
pub(crate) struct Fleet {
    pub(crate) shared: Shared,
    conns: Vec<Conn>,
    poll: Poll,
    events: Events,
    /// Connections the last wait found something for.
    ready: Vec<usize>,
    began: Instant,
    quiet_since_ns: u64,
}

impl Fleet {
    /// Opens a connection for each of `firsts`, the steps of the script that they begin at.
    pub(crate) fn connect(
        target: &Target,
        firsts: &[usize],
        shared: Shared,
    ) -> Result<Self, BenchError> {
        let poll = Poll::new().map_err(poller)?;
        let mut conns = Vec::with_capacity(firsts.len());
        for (connection_index, &first) in firsts.iter().enumerate() {
            let mut conn = Conn::connect(target.address, connection_index, &shared, first)
                .map_err(|cause| BenchError::Connect {
                    target: target.name.clone(),
                    cause,
                })?;
            poll.registry()
                .register(
                    &mut conn.stream,
                    Token(connection_index),
                    Interest::READABLE | Interest::WRITABLE,
                )
                .map_err(poller)?;
            conns.push(conn);
        }
        Ok(Self {
            shared,
            conns,
            poll,
            events: Events::with_capacity(EVENT_COUNT_MAX),
            ready: Vec::with_capacity(EVENT_COUNT_MAX),
            began: Instant::now(),
            quiet_since_ns: 0,
        })
    }

    /// Starts the clock, the same one for all workers.
    pub(crate) fn start(&mut self, began: Instant) {
        self.began = began;
    }

    pub(crate) fn connections(&self) -> usize {
        self.conns.len()
    }

    /// Since the clock was started, or the fleet connected.
    pub(crate) fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    pub(crate) fn in_flight(&self, connection_index: usize) -> usize {
        self.conns[connection_index].in_flight()
    }

    pub(crate) fn in_flight_total(&self) -> usize {
        self.conns.iter().map(Conn::in_flight).sum()
    }

    pub(crate) fn queue(&mut self, connection_index: usize, count: usize) {
        self.conns[connection_index].queue(&self.shared.script, count);
    }

    pub(crate) fn flush(&mut self, connection_index: usize) -> Result<(), BenchError> {
        self.conns[connection_index].flush(&self.shared.script)
    }

    /// Waits until some connection can be served, at most `timeout`; returns how many can.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<usize, BenchError> {
        self.ready.clear();
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => self
                .ready
                .extend(self.events.iter().map(|event| event.token().0)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(poller(error)),
        }
        Ok(self.ready.len())
    }

    /// Serves the `ready_index`-th connection that the last wait found: finishes its writes and
    /// takes its replies. Returns the connection and how many replies came.
    pub(crate) fn serve(&mut self, ready_index: usize) -> Result<(usize, usize), BenchError> {
        let connection_index = self.ready[ready_index];
        let conn = &mut self.conns[connection_index];
        conn.flush(&self.shared.script)?;
        let replies = conn.receive(&mut self.shared)?;
        Ok((connection_index, replies))
    }

    /// To be told each turn whether replies came; an error once none has come for too long.
    pub(crate) fn watch(&mut self, now_ns: u64, replies: usize) -> Result<(), BenchError> {
        if replies > 0 {
            self.quiet_since_ns = now_ns;
        } else if now_ns.saturating_sub(self.quiet_since_ns) > QUIET_MAX.as_nanos() as u64 {
            let in_flight = self.in_flight_total();
            if in_flight > 0 {
                return Err(BenchError::Stalled {
                    waited: QUIET_MAX,
                    in_flight,
                });
            }
            self.quiet_since_ns = now_ns; // Nothing was asked, so the quiet was ours.
        }
        Ok(())
    }
}

fn poller(cause: io::Error) -> BenchError {
    BenchError::Io {
        doing: "epoll",
        cause,
    }
}
