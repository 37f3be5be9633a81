//! Why there is no ring.

use std::fmt;

use super::{HashRingMode, POINTS_MAX, TWEMPROXY_LABEL_BYTES_MAX};
use crate::route::SERVERS_MAX;

/// Why keys cannot be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashRingError {
    /// The list is empty.
    NoServers,
    /// The list is longer than [`SERVERS_MAX`].
    TooManyServers {
        /// How many there are.
        count: usize,
    },
    /// All weights are 0.
    NoPoints,
    /// The ring would take too much memory.
    TooManyPoints {
        /// How many there would be.
        count: u64,
    },
    /// Two servers have the same labels, so the second would own nothing.
    DuplicateLabel {
        /// What both labels begin with.
        text: String,
    },
    /// The original knows no names.
    NameUnknown {
        /// Whose ring it is.
        mode: HashRingMode,
        /// The name.
        name: String,
    },
    /// The original knows no weights.
    WeightUnknown {
        /// Whose ring it is.
        mode: HashRingMode,
        /// The server that has one.
        server: String,
    },
    /// The original knows no unix sockets.
    UnixUnknown {
        /// Whose ring it is.
        mode: HashRingMode,
        /// The server that is one.
        server: String,
    },
    /// Nobody can tell the label from the server's address alone.
    LabelUnknown {
        /// The server.
        server: String,
    },
    /// twemproxy does not hash the whole label.
    LabelTooLong {
        /// What the labels begin with.
        text: String,
    },
    /// Only twemproxy sends keys anywhere.
    NoRandom {
        /// Whose ring it is.
        mode: HashRingMode,
    },
    /// The original leaves no choice of hash or distribution.
    NoChoice {
        /// Whose ring it is.
        mode: HashRingMode,
    },
}

impl fmt::Display for HashRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServers => write!(f, "there are no servers"),
            Self::TooManyServers { count } => {
                write!(f, "{count} servers are too many; at most {SERVERS_MAX}")
            }
            Self::NoPoints => write!(f, "no server has a weight"),
            Self::TooManyPoints { count } => write!(
                f,
                "a ring of {count} points is too large, at most {POINTS_MAX}; divide all weights by \
                 the same number"
            ),
            Self::DuplicateLabel { text } => {
                write!(
                    f,
                    "two servers are '{text}' to the hash ring; give one of them a name"
                )
            }
            Self::NameUnknown { mode, name } => write!(
                f,
                "{mode} has no server names; remove '{name}' or choose another hash ring"
            ),
            Self::WeightUnknown { mode, server } => write!(
                f,
                "{mode} has no weights; remove that of {server} or choose another hash ring"
            ),
            Self::UnixUnknown { mode, server } => write!(
                f,
                "{mode} has no unix sockets; write {server} as HOST:PORT or choose another hash ring"
            ),
            Self::LabelUnknown { server } => write!(
                f,
                "spymemcached's label of {server} depends on how Java resolves and writes it; give \
                 it the name HOST/IP:PORT as Java's InetSocketAddress prints it"
            ),
            Self::LabelTooLong { text } => write!(
                f,
                "twemproxy cuts labels at {TWEMPROXY_LABEL_BYTES_MAX} bytes; give '{text}' a short \
                 name"
            ),
            Self::NoRandom { mode } => {
                write!(f, "{mode} has no distribution random; choose twemproxy")
            }
            Self::NoChoice { mode } => write!(
                f,
                "{mode} has one key hash and one distribution; leave out --key-hash and \
                 --distribution, or choose libmemcached or twemproxy"
            ),
        }
    }
}

impl std::error::Error for HashRingError {}
