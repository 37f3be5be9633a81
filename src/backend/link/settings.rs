//! How a link is to be, and its limits.

use super::Greeting;
use crate::{config::Protocol, store::KeyHasher};

/// A server from which nothing has been heard for so long is asked whether it is there, unless
/// somebody has to know sooner.
pub const HEARTBEAT_MS: u64 = 10_000;

/// How long requests are held for a server that is expected back at once. Longer than a connect and
/// a greeting take in a data centre; short for whoever waits.
pub const HOLD_MS: u64 = 500;

/// How a [`Link`](super::Link) is to be.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// What is spoken.
    pub protocol: Protocol,
    /// What a connection begins with.
    pub greeting: Greeting,
    /// How keys are hashed.
    pub hasher: KeyHasher,
    /// The largest value that a reply may have, in bytes.
    pub value_bytes_max: usize,
    /// A connect, a greeting, or a server that owes an answer and says nothing at all, is given up
    /// after so many milliseconds.
    pub silence_ms: u64,
    /// A server that owes nothing and from which nothing has been heard for so many milliseconds
    /// is asked whether it is there.
    pub heartbeat_ms: u64,
    /// How long requests are held while the server is expected back, in milliseconds; without a
    /// limit they are held in any case, until their own deadlines.
    pub hold_ms: Option<u64>,
    /// What the pauses between tries are drawn from.
    pub seed: u64,
}
