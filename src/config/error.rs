//! What parts of a configuration do not go together, in the words of the command line.

use std::{fmt, net::SocketAddr};

use super::{BehindError, GIB, KIB, MIB, OnEject, Protocol, ReadFrom, ReplicaObstacle, SHARDS_MAX};
use crate::route::{HashRingError, Placement};

/// Parts of a [`Config`](super::Config) that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// Nobody could connect.
    NoListener,
    /// Both listeners want the same port. The kernel would not mind: they are opened to be shared
    /// by shards, so each would get some of the other's connections.
    SharedListener {
        /// Where memcache was to be served.
        memcache: SocketAddr,
        /// Where RESP was to be served.
        resp: SocketAddr,
    },
    /// Two pools want the same port.
    SharedAddress {
        /// Where the second one was to be served.
        address: SocketAddr,
    },
    /// Each pool has shards of its own, and that is too many.
    TooManyShards {
        /// All pools' shards.
        shard_count: usize,
        /// How many pools there are.
        pool_count: usize,
    },
    /// The store of a shard would be too small.
    MemoryTooSmall {
        /// What there is.
        bytes: usize,
        /// What is needed.
        bytes_min: usize,
        /// For so many shards,
        shard_count: usize,
        /// that hold values up to this.
        item_bytes_max: usize,
    },
    /// The store of a shard would be larger than its index can address.
    MemoryTooLarge {
        /// What there is.
        bytes: usize,
        /// The most.
        bytes_max: usize,
        /// For so many shards.
        shard_count: usize,
    },
    /// The servers do not make a ring.
    HashRing {
        /// How keys were to be placed.
        placement: Placement,
        /// Why not.
        error: HashRingError,
    },
    /// Keys go to any server, so there is none that could miss them.
    NoHome {
        /// What was to become of the keys of an ejected server.
        policy: OnEject,
    },
    /// Something does not go with writes that wait for their servers.
    Behind(BehindError),
    /// Servers are to tell of changes that do not.
    Untracked(&'static str),
    /// A server is to stand in for itself.
    OwnFailover {
        /// The server.
        server: String,
    },
    /// The servers that stand in for others do not make a ring.
    FailoverRing {
        /// Why not.
        error: HashRingError,
    },
    /// Replicas cannot be read from as asked.
    ReadFrom {
        /// Who was to be read from.
        read_from: ReadFrom,
        /// Why not.
        why: ReplicaObstacle,
    },
    /// The same of one that was named.
    Replica {
        /// The replica.
        replica: String,
        /// Why not.
        why: ReplicaObstacle,
    },
    /// A server of the pool is this very process.
    OwnBackend {
        /// The server.
        server: String,
        /// Whose listener it is.
        protocol: Protocol,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener => {
                write!(
                    f,
                    "--memcache off --resp off: nothing would be served; leave one on"
                )
            }
            Self::SharedListener { memcache, resp } => write!(
                f,
                "--memcache {memcache} --resp {resp}: both want one port; give them different ones"
            ),
            Self::SharedAddress { address } => {
                write!(
                    f,
                    "{address}: two pools want this port; give them different ones"
                )
            }
            Self::TooManyShards {
                shard_count,
                pool_count,
            } => write!(
                f,
                "{shard_count} shards for {pool_count} pools are too many, at most {SHARDS_MAX}; \
                 lower --shards"
            ),
            Self::MemoryTooSmall {
                bytes,
                bytes_min,
                shard_count,
                item_bytes_max,
            } => write!(
                f,
                "--memory {}: too small for --shards {shard_count} and --item-size-max {}; raise \
                 it to {}MiB or lower one of them",
                size(*bytes),
                size(*item_bytes_max),
                bytes_min.div_ceil(MIB)
            ),
            Self::MemoryTooLarge {
                bytes,
                bytes_max,
                shard_count,
            } => write!(
                f,
                "--memory {}: too large for --shards {shard_count}, which have 1024GiB each at most; \
                 lower it to {}MiB or raise --shards",
                size(*bytes),
                bytes_max / MIB
            ),
            Self::HashRing { placement, error } => {
                write!(f, "--hash-ring {}: {error}", placement.hash_ring)
            }
            Self::NoHome { policy } => write!(
                f,
                "--on-eject {policy}: keys of --distribution random have no server of their own; \
                 leave one of them out"
            ),
            Self::Behind(error) => error.fmt(f),
            Self::Untracked(obstacle) => f.write_str(obstacle),
            Self::OwnFailover { server } => write!(
                f,
                "--failover-server {server}: is a server of the pool, too; name another one"
            ),
            Self::FailoverRing { error } => write!(f, "--failover-server: {error}"),
            Self::ReadFrom { read_from, why } => write!(f, "--read-from {read_from}: {why}"),
            Self::Replica { replica, why } => write!(f, "--replica {replica}: {why}"),
            Self::OwnBackend { server, protocol } => write!(
                f,
                "--{protocol}: server {server} of the pool is this listener; move one of them"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Bytes as the command line takes them, in the largest unit that is exact.
pub(super) fn size(bytes: usize) -> String {
    let units = [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
    match units
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit))
    {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}
