//! What is asked of a backend, and on which terms.

use crate::store::{KeyHash, UnixMs};

/// How often a request that may be is sent again. Who loses three connections in the time that a
/// request has is not helped by a fourth.
pub const REPEATS_MAX: u8 = 3;

/// What the reply to a request looks like, so far as the protocol does not say it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expects {
    /// memcache: one value or none, then `END`. RESP: any frame.
    Retrieval,
    /// memcache: one line. RESP: any frame.
    Line,
    /// memcache: the reply to one meta command, with its value if it has one. RESP: any frame.
    Meta,
    /// memcache: the line that answers a meta command with a data block. A server that does not
    /// know meta commands would take the block for another request, so it must not be sent it.
    MetaData,
}

/// What becomes of a request whose connection is lost before the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// If it was sent, it fails: it may have been done. Else it waits for the next connection.
    Fail,
    /// The same, but it is sent again, up to [`REPEATS_MAX`] times: it changes nothing.
    Repeat,
    /// It goes with the connection, sent or not, and fails: who asked makes it anew.
    Forget,
    /// The same. It was sent behind a write at this [moment](crate::backend::SlotWrites::follow), and
    /// fails without it.
    Behind(u64),
}

impl OnLoss {
    /// Whether a request goes with its connection, whatever becomes of that.
    pub fn is_bound(self) -> bool {
        matches!(self, Self::Forget | Self::Behind(_))
    }
}

/// The terms on which a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What becomes of it when its connection is lost.
    pub on_loss: OnLoss,
    /// Milliseconds from sending until it fails; also, before, until it is sent at all.
    pub patience_ms: u32,
}

impl Terms {
    /// Patience without end, for who has another way to know.
    pub const FOR_EVER: u32 = u32::MAX;
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It was never sent: nothing was done.
    Unsent,
    /// It was sent, and the connection was lost: it may have been done.
    Lost,
    /// It was sent, and its deadline passed: it may still be done.
    Late,
}

/// What is remembered of a request, to read its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One line, or any RESP frame.
    Line,
    /// RESP: a bulk, a null or an error.
    Value,
    /// One value or none, then `END`.
    Retrieval {
        /// Whose it is, if that is known.
        of: Option<KeyHash>,
    },
    /// The reply to a meta command.
    Meta,
    /// One key of a `get` with several: its value, unless the next value is another key's.
    Member {
        hash: KeyHash,
        /// No further key of the same `get` follows.
        is_last: bool,
    },
}

#[derive(Debug)]
pub(super) struct Entry<T> {
    /// Nobody, if the deadline has passed or nobody ever asked.
    pub(super) tag: Option<T>,
    pub(super) shape: Shape,
    pub(super) terms: Terms,
    /// Before sending the end of the patience to be sent, then that to be answered.
    pub(super) deadline: UnixMs,
    /// Bytes of the request. Of a `get` with several keys the first has the verb's, too, the last
    /// the line end's.
    pub(super) len: usize,
    pub(super) repeats: u8,
    /// Its patience to be answered has begun: it was sent to another server before.
    pub(super) is_timed: bool,
    /// How often it was sent on to another server.
    pub(super) hop_count: u8,
    /// How many were added before it.
    pub(super) number: u64,
}

/// The end of a patience that begins now.
pub(super) fn deadline(now: UnixMs, terms: Terms) -> UnixMs {
    match terms.patience_ms {
        Terms::FOR_EVER => UnixMs(u64::MAX),
        ms => UnixMs(now.0.saturating_add(u64::from(ms))),
    }
}
