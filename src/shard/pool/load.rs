//! What a server is sent for a [unit](super::unit): one request, or several, over whose connection.

use crate::protocol::resp::Version;

/// What a server is to be sent for a unit.
#[derive(Debug)]
pub(in crate::shard) enum Load {
    /// One request.
    Request(Vec<u8>),
    /// Requests that are one transaction, how many, and who executes them.
    Transaction(Vec<u8>, usize, Executor),
    /// One request that may wait, so that it goes over a connection of the client's own, which
    /// speaks this version.
    Waiting(Vec<u8>, Version),
    /// WATCH, for a client that speaks this version.
    Watch(Vec<u8>, Version),
}

/// Over which connection a server gets a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Executor {
    /// The shard's.
    Shared,
    /// The one that [watches](super::watch) for the client.
    Watching,
}

impl Load {
    /// The bytes, to be used again.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Request(bytes)
            | Self::Transaction(bytes, ..)
            | Self::Waiting(bytes, _)
            | Self::Watch(bytes, _) => bytes,
        }
    }

    /// The same once more.
    pub(super) fn copy(&self) -> Self {
        match self {
            Self::Request(bytes) => Self::Request(bytes.clone()),
            Self::Transaction(bytes, count, executor) => {
                Self::Transaction(bytes.clone(), *count, *executor)
            }
            Self::Watch(bytes, version) => Self::Watch(bytes.clone(), *version),
            Self::Waiting(bytes, version) => Self::Waiting(bytes.clone(), *version),
        }
    }

    /// How many replies there will be.
    pub(super) fn reply_count(&self) -> usize {
        match self {
            Self::Request(_) | Self::Waiting(..) | Self::Watch(..) => 1,
            Self::Transaction(_, count, _) => count + 2,
        }
    }

    /// Whether it goes over another connection than what the client asked before.
    pub(super) fn is_apart(&self) -> bool {
        match self {
            Self::Request(_) | Self::Transaction(_, _, Executor::Shared) => false,
            Self::Transaction(_, _, Executor::Watching) | Self::Waiting(..) | Self::Watch(..) => {
                true
            }
        }
    }
}
