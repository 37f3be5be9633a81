//! What a shard is told about its pool, and how it makes links out of that.

use std::{fmt, sync::Arc};

use super::{EjectSettings, L1Settings, ReplicaSettings, link::Speech, over_resp};
use crate::{
    backend::{Access, Greeting, HEARTBEAT_MS, HOLD_MS, LinkSettings},
    config::{Protocol, WritePolicy},
    io::Address,
    protocol::resp::Version,
    route::{Router, ServerSpec},
    shard::settings::BACKEND_SILENCE_MS_MIN,
    store::KeyHasher,
};

/// What a shard is told about its pool.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// What the servers speak.
    pub protocol: Protocol,
    /// Clients may speak the other protocol.
    pub is_crossed: bool,
    /// Who of all shards' memcache clients renews a Redis server's value that ends soon; none if there are no
    /// such clients.
    pub renewals: Option<Arc<over_resp::Renewals>>,
    /// Who owns a key. A cluster's slots say that instead.
    pub router: Router,
    /// Where the servers are, in the router's order; then those that stand in for others, then
    /// replicas. A cluster's come to be known.
    pub addresses: Arc<dyn Addresses>,
    /// Nodes of the cluster that the pool is, if it is one.
    pub cluster_seeds: Option<Arc<[ServerSpec]>>,
    /// Who ringfort is to the servers.
    pub access: Access,
    /// How long a request waits for its reply, in milliseconds.
    pub timeout_ms: u32,
    /// Requests that a server may leave unanswered; more wait.
    pub in_flight_max: usize,
    /// When servers are ejected, and what becomes of their keys.
    pub eject: EjectSettings,
    /// What pauses between tries to connect are drawn from.
    pub seed: u64,
    /// Connections to each server; a key is bound to one of them.
    pub connection_count: usize,
    /// When a write is answered.
    pub write: WritePolicy,
    /// What becomes of values that were read.
    pub l1: L1Settings,
    /// Who is read from, if not masters alone.
    pub replicas: Option<ReplicaSettings>,
}

/// Where the servers of a pool are, as far as is known. Names may come to mean other addresses
/// while a shard runs; it only ever asks for what is known.
pub trait Addresses: fmt::Debug + Send + Sync {
    /// How many servers there are.
    fn server_count(&self) -> usize;

    /// What the operator calls a server.
    fn name(&self, server: usize) -> String;

    /// Where to try a server for the n-th time since it was up; `None` if nobody knows.
    fn address(&self, server: usize, try_count: u32) -> Option<Address>;

    /// The same for one that is not among them, by host name or address, and port.
    fn find(&self, _host: &str, _port: u16, _try_count: u32) -> Option<Address> {
        None
    }
}

/// Addresses that do not change.
impl Addresses for Vec<Address> {
    fn server_count(&self) -> usize {
        self.len()
    }

    fn name(&self, server: usize) -> String {
        self[server].to_string()
    }

    fn address(&self, server: usize, _try_count: u32) -> Option<Address> {
        self.get(server).cloned()
    }
}

impl PoolSettings {
    /// How links to servers are made, but for what each has of its own.
    pub(super) fn link(
        &self,
        speech: Speech,
        hasher: KeyHasher,
        value_bytes_max: usize,
    ) -> LinkSettings {
        LinkSettings {
            protocol: self.protocol,
            greeting: speech.greet(Greeting::new(self.protocol, &self.access)),
            hasher,
            value_bytes_max: value_bytes_max + self.header_bytes(),
            silence_ms: BACKEND_SILENCE_MS_MIN.max(u64::from(self.timeout_ms)),
            heartbeat_ms: self.l1.heartbeat_ms(),
            hold_ms: Some(HOLD_MS),
            seed: 0,
        }
    }

    /// How connections of clients' own are made, by their version of RESP.
    pub(super) fn dedicated_links(&self, speech: Speech, link: &LinkSettings) -> [LinkSettings; 2] {
        [Version::Resp2, Version::Resp3].map(|version| {
            let access = Access {
                version,
                ..self.access.clone()
            };
            LinkSettings {
                greeting: speech.greet(Greeting::new(self.protocol, &access)),
                heartbeat_ms: HEARTBEAT_MS,
                ..link.clone()
            }
        })
    }

    /// Bytes that servers' strings may have before the value.
    fn header_bytes(&self) -> usize {
        match self.protocol {
            Protocol::Resp if self.is_crossed => over_resp::HEADER_BYTES,
            _ => 0,
        }
    }
}
