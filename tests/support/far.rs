//! Servers on the far side of a [`Network`], and pools of them with servers that are near.

use std::net::SocketAddr;

use crate::namespaces::{FAR, Network};
use crate::support::backends::Backend;
use crate::support::gated::{Protocol, Speech, start_in_front_of};
use crate::support::ringfort::Ringfort;
use crate::support::wire::Wire;

/// A server on the far side. What it is asked directly goes around the wire.
pub(crate) struct FarServer<'n> {
    network: &'n Network,
    pub(crate) backend: Backend,
}

impl<'n> FarServer<'n> {
    pub(crate) fn start(network: &'n Network, protocol: Protocol) -> Self {
        let backend = network.there(|| match protocol {
            Protocol::Memcache => Backend::memcached_with(&format!("-l {FAR}")),
            Protocol::Resp => {
                Backend::redis_with(&format!("--bind 127.0.0.1 {FAR} --protected-mode no"))
            }
        });
        Self { network, backend }
    }

    /// Where it is for who is near.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((FAR, self.backend.address().port()))
    }

    /// Starts it again, empty.
    pub(crate) fn restart(&mut self) {
        let backend = &mut self.backend;
        self.network.there(|| backend.restart());
    }

    /// A connection of who is far, too.
    pub(crate) fn connect(&self) -> Wire {
        let address = self.backend.address();
        self.network.there(|| Wire::connect(address))
    }
}

/// A ringfort in front of one server that is far and of so many that are near.
pub(crate) struct FarPool<'n> {
    pub(crate) speech: Speech,
    pub(crate) ringfort: Ringfort,
    pub(crate) far: FarServer<'n>,
    /// They end with it.
    _near: Vec<Backend>,
}

impl<'n> FarPool<'n> {
    pub(crate) fn start(
        network: &'n Network,
        speech: Speech,
        near_count: usize,
        flags: &[&str],
    ) -> Self {
        let far = FarServer::start(network, speech.servers);
        let near = (0..near_count).map(|_| match speech.servers {
            Protocol::Memcache => Backend::memcached(),
            Protocol::Resp => Backend::redis(),
        });
        let near: Vec<Backend> = near.collect();
        let addresses = near.iter().map(Backend::address);
        let servers: Vec<String> = std::iter::once(far.address())
            .chain(addresses)
            .map(|address| address.to_string())
            .collect();
        let ringfort = start_in_front_of(speech, &servers, flags);
        Self {
            speech,
            ringfort,
            far,
            _near: near,
        }
    }

    /// Kills ringfort, as a crash would, and has another one take its place.
    pub(crate) fn kill_ringfort(&mut self, next: impl FnOnce(&Self) -> Ringfort) {
        self.ringfort.process().kill();
        let next = next(self);
        std::mem::replace(&mut self.ringfort, next).kill();
    }

    /// A client's connection.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(match self.speech.clients {
            Protocol::Memcache => self.ringfort.memcache(),
            Protocol::Resp => self.ringfort.resp(),
        })
    }
}
