//! What a shard asks of the world outside: sockets, and to be woken.
//!
//! [`Io`] is completion-style, shaped like the ring it was made for: the shard says what it wants
//! (`recv` once, `send` a buffer), gets [`Completion`]s once a turn, and never blocks elsewhere.
//! [`uring`] is the kernel; `sim` is a seeded fake of it for tests, in one thread, that cuts,
//! delays, reorders and fails. Everything above is generic over the trait and runs on both.

mod address;
mod backlog;
mod buffers;
mod filling;
mod operation;
mod outgoing;
mod pieces;
mod room;
pub mod sim;
mod socket;
mod stopwatch;
mod token;
pub mod uring;
mod waker;

use std::{io, net::SocketAddr};

pub(crate) use self::address::{leave_port, watch_stream};
pub use self::{
    address::Address,
    outgoing::{Inlay, Outgoing},
    room::Room,
    stopwatch::Stopwatch,
    token::Token,
    waker::{RingDirectory, Waker},
};
use crate::store::UnixMs;

/// The listeners of a shard, by front end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerId {
    /// Clients that speak memcache.
    Memcache,
    /// Clients that speak RESP.
    Resp,
}

impl ListenerId {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Memcache, Self::Resp];
}

/// An operating system's error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// Who connected.
    pub peer: SocketAddr,
    /// What was connected to.
    pub local: SocketAddr,
    /// The number of the descriptor, which means something to the operator only.
    pub descriptor: i32,
}

/// A listener, as operators know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerEnd {
    /// What it is bound to.
    pub local: SocketAddr,
    /// The number of its descriptor.
    pub descriptor: i32,
}

/// How long a turn may wait for completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// There is work: only collect what is there.
    Poll,
    /// Until something happens.
    Forever,
    /// Until something happens, or this time has come.
    Until(UnixMs),
}

/// Received bytes, still in a buffer of the I/O's: read them with [`Io::bytes`] and give them
/// back with [`Io::release`] in the same turn.
#[derive(Debug)]
#[must_use = "a buffer that is not released is never received into again"]
pub struct RecvBuffer {
    id: u16,
    len: u32,
}

/// Something happened.
#[derive(Debug)]
pub enum Completion {
    /// A connection came in. Nothing is received before [`Io::recv`].
    Accepted {
        /// Which front end it asked for.
        listener: ListenerId,
        /// The new socket.
        token: Token,
    },
    /// Accepting failed; the listener is idle until [`Io::accept`].
    AcceptFailed {
        /// The listener.
        listener: ListenerId,
        /// Why, usually too many open files.
        errno: Errno,
    },
    /// A connect ended.
    Connected {
        /// The socket given by [`Io::connect`].
        token: Token,
        /// Whether it stands.
        result: Result<(), Errno>,
    },
    /// Bytes came in.
    Received {
        /// The socket.
        token: Token,
        /// The bytes.
        buffer: RecvBuffer,
    },
    /// Nothing is received any more, as [`Io::recv_pause`] wanted it.
    Paused {
        /// The socket.
        token: Token,
    },
    /// What [`Io::recv_into`] asked for has come in, or less: the peer has finished, the connection
    /// broke, or it was paused. Why is told by what comes next: [`Completion::Ended`], now or after
    /// the next receive, or [`Completion::Paused`].
    Filled {
        /// The socket.
        token: Token,
        /// What it was asked to fill, with the bytes behind what was in it.
        room: Room,
        /// How many have come in.
        count: usize,
    },
    /// Nothing more comes in.
    Ended {
        /// The socket.
        token: Token,
        /// Why, or `None` if the peer just finished sending.
        errno: Option<Errno>,
    },
    /// A send ended, whole or failed.
    Sent {
        /// The socket.
        token: Token,
        /// What was sent, for reuse. Its values should be let go of soon.
        output: Outgoing,
        /// Whether all of it went out.
        result: Result<(), Errno>,
    },
    /// Another thread wants attention.
    Woken,
}

/// The I/O of one shard.
///
/// After [`Io::close`] no completion names the token any more.
pub trait Io {
    /// The time, in milliseconds since the unix epoch; it never goes back.
    fn now(&self) -> UnixMs;

    /// A clock for what takes less than a millisecond; it agrees with [`Io::now`].
    fn stopwatch(&self) -> Stopwatch;

    /// Who is at the ends of a connection; `None` once it is broken. Costs system calls.
    fn endpoints(&self, token: Token) -> Option<Endpoints>;

    /// Where a listener listens; `None` if there is none, or no more. Costs a system call.
    fn listener_end(&self, listener: ListenerId) -> Option<ListenerEnd>;

    /// Starts to accept; every connection is an [`Completion::Accepted`].
    fn accept(&mut self, listener: ListenerId);

    /// Accepts nothing more and closes the listener.
    fn accept_stop(&mut self, listener: ListenerId);

    /// Starts a connection; [`Completion::Connected`] tells how it went.
    ///
    /// # Errors
    /// No socket is to be had.
    fn connect(&mut self, address: &Address) -> io::Result<Token>;

    /// Starts to receive, or resumes it. Idempotent. A pause that is still under way is taken back: no
    /// [`Completion::Paused`] comes for it.
    fn recv(&mut self, token: Token);

    /// Receives once, up to a KiB, into one of the I/O's own buffers: who expects a large value takes little
    /// of it that way. Only while nothing is being received.
    fn recv_once(&mut self, token: Token);

    /// Receives so many bytes, more than none, straight into `room`, which there is for them;
    /// [`Completion::Filled`] gives it back once all have come. Only while nothing is being received.
    fn recv_into(&mut self, token: Token, room: Room, count: usize);

    /// Stops to receive until [`Io::recv`], but for what [`Io::recv_once`] asked for. What the kernel has handed over
    /// already still arrives; then comes [`Completion::Paused`], or the end of the connection.
    fn recv_pause(&mut self, token: Token);

    /// Sends all of it; [`Completion::Sent`] gives it back. One at a time for each socket.
    fn send(&mut self, token: Token, output: Outgoing);

    /// Closes the socket, whatever is in flight on it.
    fn close(&mut self, token: Token);

    /// Wakes another shard with the next submission.
    fn wake(&mut self, shard: usize);

    /// Submits everything asked for and waits for completions, appended in order of arrival.
    ///
    /// # Errors
    /// The kernel refuses the ring as a whole; the shard cannot go on.
    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()>;

    /// The bytes of a buffer.
    fn bytes(&self, buffer: &RecvBuffer) -> &[u8];

    /// Gives a buffer back.
    fn release(&mut self, buffer: RecvBuffer);
}
