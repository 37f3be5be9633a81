//! What shards say to each other.

use std::sync::Arc;

use super::{
    forwarding::Mutations,
    pool::{over_memcache::Plan, unit::KeyList},
    replies::Seq,
    round::{Round, Share},
    run::Voice,
};
use crate::{
    backend::{Expects, OnLoss},
    io::Token,
    store::{Applied, Concern, KeyHash, Notes, UnixMs},
};

/// Where an answer goes: a slot of a connection on the asking shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) token: Token,
    pub(super) seq: Seq,
}

impl Origin {
    /// That of what no connection waits for.
    pub(super) const NOBODY: Self = Self {
        token: Token::NOBODY,
        seq: Seq::FIRST,
    };
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
    /// Apply these operations.
    Mutate(Mutations),
    /// Execute this request about one key, and write its reply.
    Run { voice: Voice, request: Vec<u8> },
    /// Flush the partition.
    Flush { at: UnixMs },
    /// Delete what queued writes would set: all servers are about to be flushed.
    Demote,
    /// Note from here on what this shard wants to hear of.
    Listen {
        version: u64,
        wanted: Option<Concern>,
    },
    /// Look for a RESP client by its id.
    FindClient { id: u64 },
    /// Hold all clients, see [`world`](super::world); answered once that is so and quiet.
    StandStill,
    /// Serve clients again.
    GoOn,
    /// Tell what is noted; it goes before the answer.
    Tell,
    /// Keep no copies of those of these keys that you own, see [`unit`](super::pool::unit).
    Close(Arc<KeyList>),
    /// Keep them again.
    Open(Arc<KeyList>),
    /// Give your share.
    Round(Arc<Round>),
    /// Have this key of the group loaded, unless it is there.
    Load(Parcel),
    /// Have its next value loaded; nobody waits for it.
    Refresh(Parcel),
    /// Ask the key's backend, under the rules of the L1.
    Backend { errand: Errand, parcel: Parcel },
}

/// What a request in pool mode means for the L1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Read a whole value: may be shared by who asks at the same time, and kept. The request is
    /// the key.
    Fetch,
    /// Read something that is not to be kept.
    Read(Expects),
    /// The same, of the key's own server: no replica will do.
    ReadHome(Expects),
    /// Change the key on the backend; the answer is the backend's.
    Write(Expects),
    /// Change the key on the backend in several steps; the answer is for the client as it is. The
    /// request is what goes with the plan.
    Steps(Plan),
    /// Drop the key here at once and on the backend soon.
    Invalidate {
        /// The client asked for just that, rather than to store something.
        deletes: bool,
    },
    /// The same; the request is what to answer.
    InvalidateAnd,
    /// Drop the key here at once and give it a value on the backend soon. The request is what to
    /// answer, then the value as the backend is to keep it.
    Store {
        /// memcache's flags.
        flags: u32,
        /// When it expires, in milliseconds since the unix epoch; 0 never.
        exptime: u64,
        /// How much of the request is the answer; 0 for what a store is answered.
        reply_bytes: u32,
    },
}

impl Errand {
    /// Whether the key is as it was, but for when it expires.
    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Fetch | Self::Read(_) | Self::ReadHome(_))
    }

    /// What becomes of it if its connection is lost.
    pub(super) fn on_loss(self) -> OnLoss {
        match self.is_read() {
            true => OnLoss::Repeat,
            false => OnLoss::Fail,
        }
    }

    /// Whether it is queued for the key's server, and answered before that has it.
    pub(super) fn is_queued(self) -> bool {
        matches!(
            self,
            Self::Invalidate { .. } | Self::InvalidateAnd | Self::Store { .. }
        )
    }
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub struct Answer {
    pub(super) origin: Origin,
    pub(super) body: AnswerBody,
    /// What is to be heard before it.
    pub(super) notice: Option<Box<Notice>>,
}

#[derive(Debug)]
pub(super) enum AnswerBody {
    /// What came of the operations.
    Mutated(Mutations),
    /// What came of an operation. `bytes` is the old value if there was one to give, else the
    /// key that was asked with.
    Applied { applied: Applied, bytes: Vec<u8> },
    /// The partition is flushed.
    Flushed,
    /// What is queued only deletes, also after a crash; or that cannot be promised.
    Demoted { is_promised: bool },
    /// It notes what is wanted.
    Listening { version: u64 },
    /// The client, if it is there.
    FoundClient { token: Option<Token> },
    /// The keys are closed.
    Closed,
    /// The shard stands still or goes on, or all is told; nobody's reply.
    Noted,
    /// A share of the reply.
    Shared(Share),
    /// The reply, as the client is to see it.
    Replied { failed: bool, bytes: Vec<u8> },
    /// The same for a load.
    Loaded { failed: bool, bytes: Vec<u8> },
}

/// What one shard tells another unasked.
#[derive(Debug, Default)]
pub struct Notice {
    /// Changes of the keys that it owns.
    pub(super) notes: Notes,
    pub(super) letters: Vec<Letter>,
}

/// Something about one client.
#[derive(Debug)]
pub(super) enum Letter {
    /// To one that is told in the stead of another.
    Redirected {
        to: Token,
        /// Its id, as tokens are used again.
        id: u64,
        /// Who redirects.
        client: Token,
        /// The encoded array of keys.
        array: Box<[u8]>,
    },
    /// To who redirects: nobody of that id is there.
    Undelivered { client: Token, id: u64 },
}

impl Letter {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let array_bytes = match self {
            Self::Redirected { array, .. } => array.len(),
            Self::Undelivered { .. } => 0,
        };
        size_of::<Self>() + array_bytes
    }
}
