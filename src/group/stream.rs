//! A connection as hyper reads and writes it, and the patience that a server has with one.
//!
//! hyper reads ahead to notice that a peer has gone, so how long a read waits says nothing; the
//! [`Progress`] of the connection does, which its service keeps up to date:
//!
//! ```text
//!    New --- may ask ----+
//!  first_max             v
//!   Idle --- bytes ---> Reading --- the request is whole ---> Working --- answered ---> Idle
//!  idle_max           request_max                            as long as it takes
//! ```
//!
//! A write may make no progress for `write_stall_max`. All of them are [`PeerLimits`].

use core::{
    cell::{Cell, RefCell},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use std::{io, rc::Rc, time::Instant};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::runtime::net::{Stream, Timer};

/// Bytes that are read at a time.
const READ_BYTES: usize = 16 * 1024;

/// How long a new connection counts as having a request on its way.
const ARRIVAL: Duration = Duration::from_millis(100);

/// Connections of peers at a time. Go's clients keep two for each peer, and open more while requests are under
/// way.
pub(super) const CONNECTIONS_MAX: usize = 1024;

/// What connections of peers are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerLimits {
    /// Connections at a time; for one more the one without a request for longest is closed, or it waits.
    pub connections_max: usize,
    /// How long a new connection may take until it has asked for what it may ask for. Peers connect when they have
    /// something to ask.
    pub first_max: Duration,
    /// How long a connection may be without a request.
    pub idle_max: Duration,
    /// How long a request may take to come in, from its first byte to its last.
    pub request_max: Duration,
    /// How long a peer may take nothing of an answer.
    pub write_stall_max: Duration,
}

impl Default for PeerLimits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            first_max: Duration::from_secs(5),
            // Longer than Go's clients do (90 seconds), so that it is they who close it, and no
            // request meets a closed one.
            idle_max: Duration::from_secs(120),
            request_max: Duration::from_secs(30),
            write_stall_max: Duration::from_secs(30),
        }
    }
}

/// A connection.
pub(super) struct Wire {
    stream: Stream,
    /// What was read, on its way to hyper, which has no initialized memory for it.
    scratch: Box<[u8]>,
    /// For a server's connection.
    patience: Option<Patience>,
}

impl Wire {
    /// A client's: each of its requests has a deadline of its own.
    pub(super) fn of_client(stream: Stream) -> Self {
        Self::new(stream, None)
    }

    /// A server's.
    pub(super) fn of_server(stream: Stream, progress: Progress) -> Self {
        let patience = Patience {
            progress,
            reading: None,
            writing: None,
        };
        Self::new(stream, Some(patience))
    }

    fn new(stream: Stream, patience: Option<Patience>) -> Self {
        Self {
            stream,
            scratch: vec![0; READ_BYTES].into(),
            patience,
        }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = buffer.remaining().min(this.scratch.len());
        match this.stream.poll_read(cx, &mut this.scratch[..room]) {
            Poll::Ready(Ok(count)) => {
                if let Some(patience) = &this.patience
                    && count > 0
                {
                    patience.progress.note_bytes();
                }
                buffer.put_slice(&this.scratch[..count]);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match &mut this.patience {
                Some(patience) => patience.poll_read_late(cx).map(Err),
                None => Poll::Pending,
            },
        }
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.stream.poll_write(cx, bytes);
        let Some(patience) = &mut this.patience else {
            return polled;
        };
        if polled.is_ready() {
            patience.writing = None;
            patience.look_again(cx);
            return polled;
        }
        patience.poll_write_late(cx).map(Err)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_close(cx)
    }
}

/// Where a server's connection is in its requests.
#[derive(Clone)]
pub(super) struct Progress {
    state: Rc<State>,
    limits: PeerLimits,
}

struct State {
    step: Cell<Step>,
    has_to_leave: Cell<bool>,
    /// Who sees to it.
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing that may be asked for, since it came.
    New(Instant),
    /// No request, since then.
    Idle(Instant),
    /// A part of one, since then.
    Reading(Instant),
    /// A whole one, which is being answered.
    Working,
}

impl Progress {
    /// Of a new connection.
    pub(super) fn new(limits: PeerLimits) -> Self {
        let state = State {
            step: Cell::new(Step::New(Instant::now())),
            has_to_leave: Cell::new(false),
            waker: RefCell::default(),
        };
        Self {
            state: Rc::new(state),
            limits,
        }
    }

    /// The head of a request is there, and whoever sent it may ask.
    pub(super) fn note_head(&self) {
        if let Step::New(_) = self.state.step.get() {
            self.state.step.set(Step::Reading(Instant::now()));
        }
    }

    /// A request is whole.
    pub(super) fn note_request(&self) {
        self.state.step.set(Step::Working);
    }

    /// It has its answer.
    pub(super) fn note_answer(&self) {
        self.state.step.set(Step::Idle(Instant::now()));
    }

    /// Since when there is no request, if there is none. Who has just come may have sent one that is
    /// not read yet.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        match self.state.step.get() {
            Step::New(since) => (since.elapsed() >= ARRIVAL).then_some(since),
            Step::Idle(since) => Some(since),
            Step::Reading(_) | Step::Working => None,
        }
    }

    /// Whether no request has come yet, or only a part of its head.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.state.step.get(), Step::New(_))
    }

    /// Whether it was asked to leave.
    pub(super) fn is_leaving(&self) -> bool {
        self.state.has_to_leave.get()
    }

    /// Whether both are of one connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.state, &other.state)
    }

    /// Somebody else needs the place more.
    pub(super) fn ask_to_leave(&self) {
        self.state.has_to_leave.set(true);
        if let Some(waker) = self.state.waker.take() {
            waker.wake();
        }
    }

    /// Whether that was asked; if not, `waker` is woken then.
    pub(super) fn has_to_leave(&self, waker: &Waker) -> bool {
        *self.state.waker.borrow_mut() = Some(waker.clone());
        self.state.has_to_leave.get()
    }

    fn note_bytes(&self) {
        if let Step::Idle(_) = self.state.step.get() {
            self.state.step.set(Step::Reading(Instant::now()));
        }
    }

    /// When it has taken too long.
    fn deadline(&self) -> Option<Instant> {
        match self.state.step.get() {
            Step::New(since) => Some(since + self.limits.first_max),
            Step::Idle(since) => Some(since + self.limits.idle_max),
            Step::Reading(since) => Some(since + self.limits.request_max),
            Step::Working => None,
        }
    }
}

/// What a server's connection waits for, and how long.
struct Patience {
    progress: Progress,
    /// When the timer comes, and the timer.
    reading: Option<(Instant, Timer)>,
    writing: Option<Timer>,
}

impl Patience {
    fn poll_read_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(deadline) = self.progress.deadline() else {
            self.reading = None;
            return Poll::Pending;
        };
        let timer = match &mut self.reading {
            Some((until, timer)) if *until == deadline => timer,
            reading => {
                let left = deadline.saturating_duration_since(Instant::now());
                &mut reading.insert((deadline, timer_after(left))).1
            }
        };
        ready!(timer.poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Has the connection's task come back when its time is over. A read that waits since before an
    /// answer is not tried again behind it, so it does not see that the peer is idle now.
    fn look_again(&mut self, cx: &mut Context<'_>) {
        if self.poll_read_late(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    fn poll_write_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let stall_max = self.progress.limits.write_stall_max;
        let timer = self.writing.get_or_insert_with(|| timer_after(stall_max));
        ready!(timer.poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

fn timer_after(left: Duration) -> Timer {
    // A millisecond more, as what is left is cut to whole ones.
    Timer::after_ms(left.as_millis() as u64 + 1)
}
