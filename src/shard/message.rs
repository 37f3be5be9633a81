//! What shards say to each other.

use std::sync::Arc;

use super::{
    replies::Seq,
    round::{Round, Share},
    run::Voice,
};
use crate::{
    io::Token,
    store::{Applied, KeyHash, Operation, UnixMs},
};

/// Where an answer goes: a slot of a connection on the asking shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) token: Token,
    pub(super) seq: Seq,
}

/// A request to the owner of a key.
#[derive(Debug)]
pub struct Ask {
    pub(super) origin: Origin,
    pub(super) body: AskBody,
}

/// A key and what goes with it, in one buffer that the answer brings back.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) hash: KeyHash,
    pub(super) key_bytes: usize,
    /// The key, then a value or a request.
    pub(super) bytes: Vec<u8>,
}

impl Parcel {
    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes]
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.bytes[self.key_bytes..]
    }
}

#[derive(Debug)]
pub(super) enum AskBody {
    /// Apply this operation.
    Mutate {
        operation: Operation,
        parcel: Parcel,
    },
    /// Execute this request about one key, and write its reply.
    Run { voice: Voice, request: Vec<u8> },
    /// Flush the partition.
    Flush { at: UnixMs },
    /// Give your share.
    Round(Arc<Round>),
    /// Ask the key's backend, under the rules of the L1.
    Backend { errand: Errand, parcel: Parcel },
}

/// What a request in pool mode means for the L1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Read a whole value: may be shared by who asks at the same time, and kept. The request is
    /// the key.
    Fetch,
    /// Read a whole value that is not to be kept.
    Read,
    /// Read something that is answered by one line.
    ReadLine,
    /// Change the key on the backend; the answer is the backend's.
    Write {
        /// The answer is a value, not a line.
        retrieves: bool,
    },
    /// Drop the key here at once and on the backend soon.
    Invalidate {
        /// The client asked for just that, rather than to store something.
        deletes: bool,
    },
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub struct Answer {
    pub(super) origin: Origin,
    pub(super) body: AnswerBody,
}

#[derive(Debug)]
pub(super) enum AnswerBody {
    /// What came of the operation. `bytes` is the old value if there was one to give, else the
    /// key that was asked with.
    Applied { applied: Applied, bytes: Vec<u8> },
    /// The partition is flushed.
    Flushed,
    /// A share of the reply.
    Shared(Share),
    /// The reply, as the client is to see it.
    Replied { failed: bool, bytes: Vec<u8> },
}
