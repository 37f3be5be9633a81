//! What is remembered of what a backend was asked, until it answers.

use super::{cluster::Question, feeds::Confirmations, stepping::Stepping, unit::Unit};
use crate::{
    fill::FillId,
    io::Token,
    shard::message::{Origin, Parcel},
    store::UnixMs,
};

/// Who waits for a backend's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Route {
    /// A connection of this shard.
    Here(Origin),
    /// A connection of another shard.
    Shard(usize, Origin),
}

/// What a backend's reply is for.
#[derive(Debug)]
pub(in crate::shard) enum Pending {
    /// One request.
    Request(Route),
    /// One request that changes this key.
    Write(Route, Parcel),
    /// A fill, whoever has joined it.
    Fill(FillId),
    /// How long a fill's key has to live; the value is asked for right behind it.
    TimeLeft(FillId),
    /// What number a listener has at its server.
    ListenerId,
    /// A server is told to tell the listener of this number of changes.
    Tracking(i64),
    /// A queued write.
    QueuedWrite,
    /// A server is asked to answer before it is told of more writes.
    Fence,
    /// A flush of the whole server; the partitions follow.
    Flush(Origin, UnixMs),
    /// One step of a request that takes several.
    Steps(Box<Stepping>),
    /// A request of this client's transaction, or what begins one: it is queued.
    Queued(Token),
    /// The last request of what a server does as one.
    Unit(Box<Unit>),
    /// What number a dedicated connection has at its server.
    Identity,
    /// A server is told to end the wait of a client, for who asks so.
    Unblock(Route),
    /// A command about what a client listens to.
    Confirmations(Box<Confirmations>),
    /// A server is given its script again.
    Script,
    /// A node is asked about its cluster.
    Topology(Question),
    /// The master of this number is asked how it sees its cluster.
    Standing(usize),
    /// The replica by this link is asked whether it follows its master.
    Role(usize),
    /// An ejected server is asked whether it is well.
    Probe,
    /// A server that returns is flushed.
    Purge,
    /// A change of this key that was not answered in time: nobody waits for it, but the key's L1
    /// copy may be of before it.
    Straggler(Parcel),
}

impl Pending {
    /// Who gets the reply if it comes too late for this.
    pub(super) fn heir(&self) -> Option<Self> {
        let parcel = match self {
            Self::Write(_, parcel) | Self::Straggler(parcel) => parcel,
            Self::Steps(stepping) => stepping.parcel(),
            Self::Unit(unit) => return unit.heir().map(|unit| Self::Unit(Box::new(unit))),
            _ => return None,
        };
        Some(Self::Straggler(Parcel {
            hash: parcel.hash,
            key_bytes: parcel.key_bytes,
            bytes: parcel.key().to_vec(),
        }))
    }
}
