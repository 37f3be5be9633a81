//! When a server of a pool is ejected, and what becomes of its keys then.

use std::{str::FromStr, time::Duration};

use super::ConfigError;
use super::spelled::spelled;
use crate::route::{Distribution, Placement, Router, ServerSpec};

/// Failures in a row before a server is ejected, by default: mcrouter's `failures-until-tko`.
/// Fewer, and one slow request would do.
pub const EJECT_AFTER_DEFAULT: u32 = 3;

/// The most failures in a row that can be asked for: beyond, `off` is meant.
pub const EJECT_AFTER_MAX: u32 = 1_000_000;

/// The least that what is written to a failover server may be kept: memcached counts in seconds.
pub const FAILOVER_TTL_MIN: Duration = Duration::from_secs(1);

/// The most: memcached takes what is longer for a date.
pub const FAILOVER_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Requests unanswered by one server, for each shard, by default: what 50 clients with 80 requests
/// each have under way, and 256 KiB of them.
pub const BACKEND_IN_FLIGHT_DEFAULT: usize = 4_096;

/// The most that these may be limited to: more wait for longer than any client does.
pub const BACKEND_IN_FLIGHT_MAX: usize = 1 << 20;

/// When servers are ejected, and what becomes of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EjectConfig {
    /// What becomes of the keys of an ejected server.
    pub policy: OnEject,
    /// Failures in a row that eject a server; `None` if nothing does.
    pub after: Option<u32>,
    /// How long it is left alone before it is probed; twemproxy's `server_retry_timeout`.
    pub rest: Duration,
    /// What has to be before a server serves again.
    pub readmit: Readmit,
    /// Where the keys go with [`OnEject::Failover`].
    pub failover: Vec<ServerSpec>,
    /// How long what is written there may live; `None` for as long as is asked.
    pub failover_ttl: Option<Duration>,
}

impl Default for EjectConfig {
    fn default() -> Self {
        Self {
            policy: OnEject::Error,
            after: Some(EJECT_AFTER_DEFAULT),
            rest: Duration::ZERO,
            readmit: Readmit::AfterInvalidations,
            failover: Vec::new(),
            failover_ttl: None,
        }
    }
}

impl EjectConfig {
    /// Checks it against the pool's placement and servers.
    pub(super) fn check(
        &self,
        placement: Placement,
        servers: &[ServerSpec],
    ) -> Result<(), ConfigError> {
        let policy = self.policy;
        if policy.moves_keys() && placement.distribution == Distribution::Random {
            return Err(ConfigError::NoHome { policy });
        }
        if self.failover.is_empty() {
            return Ok(());
        }
        let is_own = |server: &&ServerSpec| servers.iter().any(|own| is_same(own, server));
        if let Some(server) = self.failover.iter().find(is_own) {
            return Err(ConfigError::OwnFailover {
                server: server.address(),
            });
        }
        Router::build(placement, &self.failover)
            .map(|_| ())
            .map_err(|error| ConfigError::FailoverRing { error })
    }
}

/// Whether both are one, as far as addresses tell.
fn is_same(a: &ServerSpec, b: &ServerSpec) -> bool {
    a.host == b.host && a.port == b.port
}

/// What becomes of the keys of an ejected server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEject {
    /// Requests for them get an error.
    Error,
    /// Reads find nothing; writes get an error.
    Miss,
    /// They go to the servers that are left, as if the ejected one had never been.
    Rehash,
    /// They go to other servers, which are there for that.
    Failover,
}

/// What has to be before a server that was ejected serves again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readmit {
    /// It has been told to delete what was written elsewhere meanwhile.
    AfterInvalidations,
    /// It has been flushed.
    Flush,
}

impl OnEject {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Error, Self::Miss, Self::Rehash, Self::Failover];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Miss => "miss",
            Self::Rehash => "rehash",
            Self::Failover => "failover",
        }
    }

    /// Whether keys may come to another server than their own.
    pub const fn moves_keys(self) -> bool {
        matches!(self, Self::Rehash | Self::Failover)
    }
}

spelled!(OnEject);

impl FromStr for Readmit {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "after-invalidations" => Ok(Self::AfterInvalidations),
            "flush" => Ok(Self::Flush),
            _ => Err(()),
        }
    }
}
