//! Which server, and how.

use std::{path::PathBuf, time::Duration};

use super::Error;
use crate::{
    backend::{Access, Greeting, HEARTBEAT_MS, LinkSettings, Terms},
    config::{BACKEND_TIMEOUT_DEFAULT, Protocol, Secret},
    protocol::resp::Version,
    runtime::net::Target,
    store::KeyHasher,
};

/// The largest value that a reply may have, by default, in bytes: Redis' own limit is 512 MiB, but
/// who reads such values through a pipeline makes everybody else wait.
const VALUE_BYTES_MAX_DEFAULT: usize = 64 << 20;

/// A server that owes an answer is not given up before so long, in milliseconds, however little
/// patience requests have.
const SILENCE_MS_MIN: u64 = 1_000;

/// How a [`Client`](super::Client) is to be.
#[derive(Debug, Clone)]
pub struct Config {
    protocol: Protocol,
    address: String,
    access: Access,
    prelude: Vec<Vec<Vec<u8>>>,
    timeout: Duration,
    value_bytes_max: usize,
}

impl Config {
    /// A server that speaks memcache at `HOST:PORT` or `unix:/PATH`.
    pub fn memcache(address: impl Into<String>) -> Self {
        Self::new(Protocol::Memcache, address.into())
    }

    /// A server that speaks RESP, version 2, at `HOST:PORT` or `unix:/PATH`.
    pub fn resp(address: impl Into<String>) -> Self {
        Self::new(Protocol::Resp, address.into())
    }

    fn new(protocol: Protocol, address: String) -> Self {
        Self {
            protocol,
            address,
            access: Access::default(),
            prelude: Vec::new(),
            timeout: BACKEND_TIMEOUT_DEFAULT,
            value_bytes_max: VALUE_BYTES_MAX_DEFAULT,
        }
    }

    /// RESP: version 3, with pushes and types of its own.
    #[must_use]
    pub fn resp3(mut self) -> Self {
        self.access.version = Version::Resp3;
        self
    }

    /// The user to be; needs a password.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.access.user = Some(user.into());
        self
    }

    /// The password, which is not shown.
    #[must_use]
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.access.password = Some(Secret::new(password));
        self
    }

    /// RESP: the database.
    #[must_use]
    pub fn database(mut self, number: u32) -> Self {
        self.access.database = number;
        self
    }

    /// RESP: what the connection is called in `CLIENT LIST`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.access.name = Some(name.into());
        self
    }

    /// RESP: a command that every connection begins with, as `CLIENT TRACKING ON`; an error to it
    /// is a refused connection.
    #[must_use]
    pub fn prelude<W: AsRef<[u8]>>(mut self, words: &[W]) -> Self {
        let words = words.iter().map(|word| word.as_ref().to_vec());
        self.prelude.push(words.collect());
        self
    }

    /// How long requests wait for their replies, from when they are sent, and the server for being
    /// connected to; 5 seconds if not set. A server that owes answers and says nothing at all for so
    /// long, and a second at least, loses its connection.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The largest value that a reply may have, in bytes; 64 MiB if not set. A larger one is an
    /// error of its request alone.
    #[must_use]
    pub fn value_bytes_max(mut self, bytes: usize) -> Self {
        self.value_bytes_max = bytes;
        self
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn patience_ms(&self) -> u32 {
        milliseconds(self.timeout)
    }

    pub(super) fn target(&self) -> Result<Target, Error> {
        if let Some(path) = self.address.strip_prefix("unix:") {
            return Ok(Target::Unix(PathBuf::from(path)));
        }
        let (host, port) = self.address.rsplit_once(':').ok_or(BAD_ADDRESS)?;
        let port = port.parse().map_err(|_| BAD_ADDRESS)?;
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        Ok(Target::Tcp(host.to_owned(), port))
    }

    pub(super) fn link(&self, seed: u64) -> Result<LinkSettings, Error> {
        let access = &self.access;
        let is_resp = self.protocol == Protocol::Resp;
        if access.user.is_some() && access.password.is_none() {
            return Err(Error::Invalid("a user needs a password"));
        }
        let is_resp_only = access.database != 0
            || access.name.is_some()
            || access.version == Version::Resp3
            || !self.prelude.is_empty();
        if is_resp_only && !is_resp {
            return Err(Error::Invalid("memcache has users and passwords only"));
        }
        let mut greeting = Greeting::new(self.protocol, access);
        for words in &self.prelude {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            greeting = greeting.insist(&words);
        }
        Ok(LinkSettings {
            protocol: self.protocol,
            greeting,
            hasher: KeyHasher::new(seed),
            value_bytes_max: self.value_bytes_max,
            silence_ms: SILENCE_MS_MIN.max(u64::from(self.patience_ms())),
            heartbeat_ms: HEARTBEAT_MS,
            hold_ms: None,
            seed,
        })
    }
}

const BAD_ADDRESS: Error = Error::Invalid("an address is HOST:PORT or unix:/PATH");

/// A duration as patience: a millisecond at least, and not for ever.
pub(super) fn milliseconds(duration: Duration) -> u32 {
    duration
        .as_millis()
        .clamp(1, u128::from(Terms::FOR_EVER - 1)) as u32
}
