//! A pool of real servers, each behind a [`Gate`], and a ringfort in front of them.

use super::backends::Backend;
use super::gate::Gate;
use super::ringfort::Ringfort;
use super::wire::Wire;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Memcache,
    Resp,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memcache => "memcache",
            Self::Resp => "resp",
        }
    }
}

/// Who speaks what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speech {
    pub(crate) clients: Protocol,
    pub(crate) servers: Protocol,
}

impl Speech {
    pub(crate) const MEMCACHE: Self = Self::of(Protocol::Memcache, Protocol::Memcache);
    pub(crate) const RESP: Self = Self::of(Protocol::Resp, Protocol::Resp);
    pub(crate) const MEMCACHE_OVER_REDIS: Self = Self::of(Protocol::Memcache, Protocol::Resp);
    pub(crate) const RESP_OVER_MEMCACHED: Self = Self::of(Protocol::Resp, Protocol::Memcache);

    const fn of(clients: Protocol, servers: Protocol) -> Self {
        Self { clients, servers }
    }
}

/// A server, and the way to it.
pub(crate) struct Server {
    pub(crate) backend: Backend,
    pub(crate) gate: Gate,
}

impl Server {
    pub(crate) fn start(protocol: Protocol) -> Self {
        let backend = match protocol {
            Protocol::Memcache => Backend::memcached(),
            Protocol::Resp => Backend::redis(),
        };
        let gate = Gate::open_before(backend.address());
        Self { backend, gate }
    }

    fn address(&self) -> String {
        self.gate.address().to_string()
    }
}

/// The whole.
pub(crate) struct GatedPool {
    pub(crate) speech: Speech,
    pub(crate) ringfort: Ringfort,
    pub(crate) servers: Vec<Server>,
    /// Those of `--failover-server`.
    pub(crate) spares: Vec<Server>,
}

impl GatedPool {
    /// So many servers, and so many that stand in for them.
    pub(crate) fn start(speech: Speech, counts: (usize, usize), flags: &[&str]) -> Self {
        let start = |count| -> Vec<Server> {
            let servers = (0..count).map(|_| Server::start(speech.servers));
            servers.collect()
        };
        let (servers, spares) = (start(counts.0), start(counts.1));
        let own: Vec<String> = servers.iter().map(Server::address).collect();
        let others: Vec<String> = spares.iter().map(Server::address).collect();
        let others = others.iter().flat_map(|one| ["--failover-server", one]);
        let flags: Vec<&str> = others.chain(flags.iter().copied()).collect();
        Self {
            speech,
            ringfort: start_in_front_of(speech, &own, &flags),
            servers,
            spares,
        }
    }

    /// A client's connection.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(match self.speech.clients {
            Protocol::Memcache => self.ringfort.memcache(),
            Protocol::Resp => self.ringfort.resp(),
        })
    }
}

/// A ringfort in front of these servers.
pub(crate) fn start_in_front_of(speech: Speech, servers: &[String], flags: &[&str]) -> Ringfort {
    let mut line = vec!["--pool", speech.servers.name(), "--memory", "64MiB"];
    line.extend(match speech.clients {
        Protocol::Memcache => ["--memcache", "127.0.0.1:0", "--resp", "off"],
        Protocol::Resp => ["--resp", "127.0.0.1:0", "--memcache", "off"],
    });
    line.extend(servers.iter().flat_map(|server| ["--server", server]));
    line.extend(flags);
    Ringfort::start_exactly(&line)
}
