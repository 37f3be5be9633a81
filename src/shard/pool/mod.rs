//! Pool mode's own state in a shard: the ring, a link to each server, and the fills under way.

pub(super) mod backends;
pub(super) mod binary;
mod delivery;
pub(super) mod errand;
pub(super) mod link;
pub(super) mod memcache;
pub(super) mod meta;
mod on_behalf;
pub(super) mod over_memcache;
pub(super) mod over_resp;
pub(super) mod relay;
pub(super) mod resp;
mod stepping;

use std::net::SocketAddr;

use self::{
    errand::Route,
    link::{Link, Speech},
};
use super::settings::BACKEND_IN_FLIGHT_MAX;
use crate::{
    config::{Protocol, WritePolicy},
    fill::Fills,
    protocol::memcache::Spelling,
    route::{Router, ServerIndex},
    store::{Deadline, Key, KeyHasher, UnixMs},
};

/// What a shard is told about its pool.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// What the servers speak.
    pub protocol: Protocol,
    /// Clients may speak the other protocol.
    pub is_crossed: bool,
    /// Who owns a key.
    pub router: Router,
    /// The servers' addresses, in the router's order.
    pub addresses: Vec<SocketAddr>,
    /// When a write is answered.
    pub write: WritePolicy,
    /// How long a value that was read is kept, in milliseconds.
    pub l1_ms: Option<u64>,
}

/// Whether a server knows memcache's meta commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnowsMeta {
    Yes,
    No,
    /// It is being asked.
    Asked,
    /// It was never there to be asked.
    Away,
}

/// The pool of one shard.
pub(super) struct Pool {
    pub(super) protocol: Protocol,
    is_crossed: bool,
    script: over_resp::Script,
    router: Router,
    write: WritePolicy,
    l1_ms: Option<u64>,
    pub(super) links: Vec<Link>,
    pub(super) fills: Fills<Route>,
}

impl Pool {
    pub(super) fn new(settings: &PoolSettings, hasher: KeyHasher, value_bytes_max: usize) -> Self {
        let speech = Speech {
            protocol: settings.protocol,
            is_crossed: settings.is_crossed,
        };
        let header_bytes = match settings.protocol {
            Protocol::Resp if settings.is_crossed => over_resp::HEADER_BYTES,
            _ => 0,
        };
        let stored_bytes_max = value_bytes_max + header_bytes;
        Self {
            protocol: settings.protocol,
            is_crossed: settings.is_crossed,
            script: over_resp::Script::new(),
            router: settings.router.clone(),
            write: settings.write,
            l1_ms: settings.l1_ms,
            links: settings
                .addresses
                .iter()
                .map(|address| Link::new(*address, speech, hasher, stored_bytes_max))
                .collect(),
            fills: Fills::default(),
        }
    }

    /// The server that owns a key.
    pub(super) fn server(&self, key: &[u8]) -> usize {
        let ServerIndex(server) = self.router.owner(key);
        usize::from(server)
    }

    /// This shard's link to the server that owns a key.
    pub(super) fn link_of(&self, key: &[u8]) -> &Link {
        &self.links[self.server(key)]
    }

    /// Whether a key's server knows memcache's meta commands.
    pub(super) fn knows_meta(&mut self, key: &[u8], now: UnixMs) -> KnowsMeta {
        let server = self.server(key);
        let link = &mut self.links[server];
        link.ask_version(now);
        match (link.takes_requests(), link.is_greeting(), link.spoke_meta()) {
            (true, true, _) => KnowsMeta::Asked,
            (_, _, true) => KnowsMeta::Yes,
            (true, _, false) => KnowsMeta::No,
            (false, _, false) => KnowsMeta::Away,
        }
    }

    /// How a key is spelled to the pool's servers. Without clients of another protocol each key is
    /// as it came.
    pub(super) fn spelling(&self, key: &[u8]) -> Spelling {
        match self.is_crossed {
            true => Spelling::of(key).unwrap_or(Spelling::Text),
            false => Spelling::Text,
        }
    }

    /// Whether another request for this key's server may be taken.
    pub(super) fn has_room(&self, key: &[u8]) -> bool {
        self.links[self.server(key)].pipeline.in_flight() < BACKEND_IN_FLIGHT_MAX
    }

    /// Whether clients of the other protocol may be served.
    pub(super) fn is_crossed(&self) -> bool {
        self.is_crossed
    }

    /// Whether the servers' strings may have a header with memcache's flags.
    pub(super) fn keeps_flags(&self) -> bool {
        self.is_crossed && self.protocol == Protocol::Resp
    }

    /// What Redis servers run for what they have no command for.
    pub(super) fn script(&self) -> &over_resp::Script {
        &self.script
    }

    /// Whether values that were read are kept.
    pub(super) fn has_l1(&self) -> bool {
        self.l1_ms.is_some()
    }

    /// Until when a value read now is kept.
    pub(super) fn l1_deadline(&self, now: UnixMs) -> Option<Deadline> {
        self.l1_ms.map(|ms| Deadline::after(now, ms))
    }

    /// Whether whole-value writes are answered at once and only invalidate.
    pub(super) fn invalidates(&self) -> bool {
        self.write == WritePolicy::Invalidate
    }

    /// Whether the backend is still to be told to delete this key.
    pub(super) fn is_being_invalidated(&self, server: usize, key: Key<'_>) -> bool {
        self.links[server].invalidations.contains(key)
    }

    /// Nothing that is being read now may be kept.
    pub(super) fn void_fills(&mut self) {
        self.fills.void_all();
    }

    /// Whether time must be watched.
    pub(super) fn needs_tick(&self) -> bool {
        self.links.iter().any(Link::needs_tick)
    }

    /// Deletes that no backend has confirmed.
    pub(super) fn unconfirmed(&self) -> usize {
        self.links.iter().map(|link| link.invalidations.len()).sum()
    }
}
