//! Where is listened, and what of it cannot be together.

use std::net::{IpAddr, SocketAddr};

use super::{Config, ConfigError, SHARDS_MAX};
use crate::route::ServerSpec;

/// Checks what must hold between processes in one: each [`Config`] is served by shards of its own.
///
/// # Errors
///
/// The first rule that is broken.
pub fn check_together(configs: &[Config]) -> Result<(), ConfigError> {
    let shard_count: usize = configs.iter().map(|config| config.cores.len()).sum();
    if shard_count > SHARDS_MAX {
        return Err(ConfigError::TooManyShards {
            shard_count,
            pool_count: configs.len(),
        });
    }
    let listeners: Vec<SocketAddr> = configs
        .iter()
        .flat_map(|config| [config.memcache, config.resp])
        .flatten()
        .collect();
    for (index, address) in listeners.iter().enumerate() {
        if listeners[..index]
            .iter()
            .any(|other| overlap(*other, *address))
        {
            return Err(ConfigError::SharedAddress { address: *address });
        }
    }
    Ok(())
}

/// Whether a connection to one could land on the other. An unspecified address takes everything.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_ip
}

/// Whether the server is the listener, as far as addresses tell: names are not resolved here.
pub(super) fn is_listener(server: &ServerSpec, listener: SocketAddr) -> bool {
    let Ok(ip) = server.host.parse::<IpAddr>() else {
        return false;
    };
    let here = ip == listener.ip() || (listener.ip().is_unspecified() && ip.is_loopback());
    here && server.port == listener.port()
}
