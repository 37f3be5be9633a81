//! How the servers of a pool are spoken to: who ringfort is to them, and for how long it waits.

use std::{fmt, time::Duration};

use super::{BACKEND_IN_FLIGHT_DEFAULT, EjectConfig};

/// How long a server may take to answer, by default. Redis itself calls a script that runs for
/// longer than 5 s stuck (`busy-reply-threshold`), and libmemcached waits as long before it gives
/// up (`poll_timeout`): who waits less gives up servers that are only slow. A request that waits
/// holds up nobody but who made it.
pub const BACKEND_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The least that a server may be given to answer: ten times a round trip in a data centre.
pub const BACKEND_TIMEOUT_MIN: Duration = Duration::from_millis(10);

/// The most that a server may be given to answer: no client waits longer.
pub const BACKEND_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// Connections of a shard to each server, by default. One brings most requests together, which is
/// what makes them cheap; and each shard has its own.
pub const BACKEND_CONNECTIONS_DEFAULT: u8 = 1;

/// The most connections of a shard to each server. With more, requests hardly ever meet.
pub const BACKEND_CONNECTIONS_MAX: u8 = 16;

/// The largest number of a database that Redis can be configured to have.
pub const BACKEND_DATABASE_MAX: u32 = i32::MAX as u32;

/// What connections to Redis servers are called, by default.
pub const BACKEND_NAME_DEFAULT: &str = "ringfort";

/// The longest name of a connection, in bytes: Redis takes any, people read them in lists.
pub const BACKEND_NAME_BYTES_MAX: usize = 64;

/// The longest password, in bytes, with room for tokens: Redis takes more, people do not.
pub const PASSWORD_BYTES_MAX: usize = 4096;

/// How the servers of a pool are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendConfig {
    /// The user to be; without one a password is the default user's.
    pub user: Option<String>,
    /// The password, if the servers want one.
    pub password: Option<Secret>,
    /// The database of Redis servers.
    pub database: u32,
    /// What connections to Redis servers are called there; nothing is said of it without.
    pub name: Option<String>,
    /// How long a request waits for its reply.
    pub timeout: Duration,
    /// Connections of each shard to each server; a key is bound to one of them.
    pub connection_count: u8,
    /// Requests that one server may leave unanswered, for each shard; more wait for their turn.
    pub in_flight_max: usize,
    /// When servers are ejected, and what becomes of their keys.
    pub eject: EjectConfig,
}

impl Default for BackendConfig {
    fn default() -> Self {
        Self {
            user: None,
            password: None,
            database: 0,
            name: None,
            timeout: BACKEND_TIMEOUT_DEFAULT,
            connection_count: BACKEND_CONNECTIONS_DEFAULT,
            in_flight_max: BACKEND_IN_FLIGHT_DEFAULT,
            eject: EjectConfig::default(),
        }
    }
}

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Keeps a password.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The password.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
