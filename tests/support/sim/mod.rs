//! The whole proxy on the fake I/O: shards, clients and servers in one thread, from one seed.
#![allow(dead_code, reason = "a test binary that mounts this uses its own part")]

mod addresses;
pub(crate) mod cacher;
pub(crate) mod caller;
pub(crate) mod cluster;
pub(crate) mod exact;
pub(crate) mod memcached;
pub(crate) mod redis;
pub(crate) mod register;
pub(crate) mod replica;
pub(crate) mod talker;
pub(crate) mod tracked;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, atomic::AtomicUsize};

use ringfort::backend::Access;
use ringfort::config::{
    BACKEND_IN_FLIGHT_DEFAULT, EjectConfig, Protocol, SpeedConfig, WritePolicy,
};
use ringfort::io::sim::{ClientId, Faults, ServerState, SimIo, SimRng, SimServer, SimWorld};
use ringfort::io::{Address, ListenerId};
use ringfort::mesh;
use ringfort::route::{HashRingMode, Placement, Router, ServerIndex, ServerSpec};
use ringfort::shard::{
    Addresses, CpuTime, EjectSettings, L1Settings, Parts, PoolSettings, Renewals, ReplicaSettings,
    Settings, Shard, StatsBoard, StopFlag, Tunables, Vitals,
};
use ringfort::store::{self, Eviction, KeyHasher, StoreParams};

use self::addresses::AnyAddress;
use self::cluster::Cluster;
use self::memcached::Memcached;
use self::redis::Redis;
use self::replica::{Replica, ReplicaSetup};

/// How a fleet is made.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) shard_count: usize,
    pub(crate) item_bytes_max: usize,
    /// Memory of a shard, as a multiple of the least that works.
    pub(crate) memory_factor: usize,
    pub(crate) pool: Option<PoolSetup>,
    /// Nodes of the cluster that the pool is, if it is one; then it has no other servers.
    pub(crate) node_count: usize,
    /// Servers tell of changes, and copies have no other age.
    pub(crate) is_tracked: bool,
    /// What becomes of the keys of a server that fails. Servers that stand in for others come behind the pool's.
    pub(crate) eject: EjectConfig,
    /// Who follows the pool's servers, or its nodes, and is read from.
    pub(crate) replicas: Option<ReplicaSetup>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolSetup {
    pub(crate) protocol: Protocol,
    /// Clients may speak the other protocol.
    pub(crate) is_crossed: bool,
    pub(crate) write: WritePolicy,
    pub(crate) l1_ms: Option<u64>,
    pub(crate) server_count: usize,
}

impl Setup {
    pub(crate) fn embedded(shard_count: usize) -> Self {
        Self {
            shard_count,
            item_bytes_max: 64 * 1024,
            // Room enough that nothing is evicted: a simulation checks what a cache may not forget.
            memory_factor: 4,
            pool: None,
            node_count: 0,
            is_tracked: false,
            eject: EjectConfig::default(),
            replicas: None,
        }
    }

    /// In front of a cluster of so many nodes.
    pub(crate) fn cluster(shard_count: usize, node_count: usize, l1_ms: Option<u64>) -> Self {
        let pool = PoolSetup {
            protocol: Protocol::Resp,
            is_crossed: false,
            write: WritePolicy::Through,
            l1_ms,
            server_count: 0,
        };
        Self {
            node_count,
            ..Self::pool(shard_count, pool)
        }
    }

    /// The same, for clients of both protocols.
    pub(crate) fn crossed(self) -> Self {
        let pool = self.pool.map(|pool| PoolSetup {
            is_crossed: true,
            ..pool
        });
        Self { pool, ..self }
    }

    /// The same, where writes are answered before or after they are done.
    pub(crate) fn with_write(self, write: WritePolicy) -> Self {
        let pool = self.pool.map(|pool| PoolSetup { write, ..pool });
        Self { pool, ..self }
    }

    pub(crate) fn pool(shard_count: usize, pool: PoolSetup) -> Self {
        Self {
            pool: Some(pool),
            ..Self::embedded(shard_count)
        }
    }

    /// Whom each replica follows.
    fn followed(&self) -> Vec<usize> {
        let server_count = self.pool.map_or(0, |pool| pool.server_count);
        let replicas = self.replicas;
        replicas.map_or_else(Vec::new, |replicas| replicas.masters(server_count))
    }
}

/// A server of the pool, whichever protocol it speaks.
#[derive(Clone)]
pub(crate) enum Backend {
    Memcached(Rc<RefCell<Memcached>>),
    Redis(Rc<RefCell<Redis>>),
}

/// All shards, the world around them, and who turns them.
pub(crate) struct Fleet {
    pub(crate) world: SimWorld,
    pub(crate) rng: SimRng,
    /// Counts up with everything that a client sees or does: the order of a history.
    pub(crate) moment: Rc<Cell<u64>>,
    pub(crate) backends: Vec<Backend>,
    /// Those that follow some of them. They stand at the addresses behind theirs.
    pub(crate) replicas: Vec<Rc<RefCell<Replica>>>,
    /// The cluster that the pool is, if it is one.
    pub(crate) nodes: Option<Rc<RefCell<Cluster>>>,
    pub(crate) stop: StopFlag,
    shards: Vec<Option<Shard<SimIo>>>,
    connection_count: Arc<AtomicUsize>,
    /// Connections that each shard has to servers.
    pub(crate) link_count: usize,
    router: Option<Router>,
    eavesdropper: Option<ClientId>,
}

/// Rounds after which a run has gone wrong; the longest of them take a tenth.
const ROUND_COUNT_MAX: u64 = 2_000_000;

impl Fleet {
    pub(crate) fn new(seed: u64, setup: &Setup) -> Self {
        let shard_count = setup.shard_count;
        let world = SimWorld::new(seed, shard_count);
        let moment = Rc::new(Cell::new(0));
        let pool = setup.pool.map(|pool| pool_settings(seed, pool, setup));
        let has_nodes = setup.node_count > 0;
        let nodes = has_nodes.then(|| Cluster::serve(&world, seed, setup.node_count, &moment));
        let backends = setup.pool.map_or_else(Vec::new, |pool| {
            (0..pool.server_count + setup.eject.failover.len())
                .map(|number| backend(&world, pool.protocol, number, &moment))
                .collect()
        });
        let masters = (&backends[..], nodes.as_ref());
        let replicas = replica::serve(&world, setup, masters, &moment);
        let router = pool.as_ref().map(|pool| pool.router.clone());
        let stop = StopFlag::default();
        let listener_count = usize::from(setup.is_tracked);
        let each = connections_per_server(seed) + listener_count;
        let link_count = (backends.len() + replicas.len() + setup.node_count) * each;
        let connection_count = Arc::new(AtomicUsize::new(0));
        let parts = parts(seed, setup, pool, &stop, &connection_count, &world);
        let shards = parts
            .into_iter()
            .enumerate()
            .map(|(shard, parts)| Some(Shard::new(world.io(shard), parts)))
            .collect();
        Self {
            rng: SimRng::new(!seed),
            moment,
            backends,
            replicas,
            nodes,
            stop,
            shards,
            connection_count,
            link_count,
            router,
            eavesdropper: None,
            world,
        }
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// A moment later than all before.
    pub(crate) fn next_moment(&self) -> u64 {
        next_moment(&self.moment)
    }

    /// The server that owns a key.
    pub(crate) fn server_of(&self, key: &[u8]) -> usize {
        let ServerIndex(server) = self.router.as_ref().expect("a pool").owner(key);
        usize::from(server)
    }

    /// Lets servers and shards do what they can. False if there was nothing to do for anybody.
    pub(crate) fn round(&mut self) -> bool {
        let was_busy = self.world.is_busy();
        self.world.step();
        let mut order: Vec<usize> = (0..self.shards.len()).collect();
        self.rng.shuffle(&mut order);
        let mut was_ready = false;
        for shard in order {
            if self.shards[shard].is_some() && self.world.is_ready(shard) {
                was_ready = true;
                self.turn(shard);
            }
        }
        if self.rng.chance(20) {
            self.world.advance(1);
        }
        was_busy || was_ready
    }

    /// Lets one shard run a turn, whether or not it has something to do.
    pub(crate) fn turn(&mut self, shard: usize) {
        let Some(running) = &mut self.shards[shard] else {
            return;
        };
        match running.turn() {
            Ok(true) => {}
            Ok(false) => self.shards[shard] = None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("shard {shard}: {error}"),
        }
    }

    /// Goes on until `is_done`, letting time pass when only time can help. False when nothing
    /// will happen any more, or nothing has for `patience_ms`.
    pub(crate) fn run_until(
        &mut self,
        patience_ms: u64,
        mut is_done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let until = self.world.now().0 + patience_ms;
        for _ in 0..ROUND_COUNT_MAX {
            if is_done(self) {
                return true;
            }
            if self.world.now().0 > until {
                return false;
            }
            if self.round() {
                continue;
            }
            let Some(alarm) = self.world.next_alarm() else {
                return is_done(self);
            };
            self.world
                .advance(alarm.0.saturating_sub(self.world.now().0).max(1));
        }
        panic!("no end in sight");
    }

    /// Until nothing is left to do but wait.
    pub(crate) fn run_until_idle(&mut self) {
        for _ in 0..ROUND_COUNT_MAX {
            if !self.round() {
                return;
            }
        }
        panic!("no end in sight");
    }

    /// Tells the shards to stop.
    pub(crate) fn stop(&self) {
        self.stop.raise();
        (0..self.shards.len()).for_each(|shard| self.world.wake(shard));
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.shards.iter().all(Option::is_none)
    }

    /// Where the n-th replica is: behind all others.
    pub(crate) fn replica_address(&self, number: usize) -> SocketAddr {
        let nodes = self.nodes.as_ref();
        let node_count = nodes.map_or(0, |nodes| nodes.borrow().node_count());
        address(self.backends.len() + node_count + number)
    }

    /// Makes the network kind and every server well.
    pub(crate) fn heal(&self) {
        self.world.set_faults(Faults::NETWORK);
        let node_count = self
            .nodes
            .as_ref()
            .map_or(0, |nodes| nodes.borrow().node_count());
        for number in 0..self.backends.len() + self.replicas.len() + node_count {
            self.world.set_server(address(number), ServerState::Up);
            for shard in 0..self.shards.len() {
                self.world.hold_answers(address(number), shard, false);
            }
        }
    }

    /// All clients have gone: nothing of them is left, and the shards end when they are told.
    pub(crate) fn check_end(&mut self) {
        self.heal();
        if let Some(client) = self.eavesdropper.take() {
            self.world.close(client);
        }
        let is_empty = self.run_until(120_000, |fleet| fleet.clients() == 0);
        assert!(is_empty, "{} clients are still there", self.clients());
        self.run_until_idle();
        for shard in 0..self.shards.len() {
            assert_eq!(self.world.buffers_out(shard), 0, "buffers of shard {shard}");
            let sockets = self.world.open_sockets(shard);
            assert!(
                sockets <= self.link_count,
                "shard {shard} has {sockets} sockets"
            );
        }
        self.stop();
        assert!(
            self.run_until(60_000, |fleet| fleet.has_ended()),
            "shards do not end"
        );
    }

    fn clients(&self) -> usize {
        self.connection_count
            .load(std::sync::atomic::Ordering::Relaxed)
    }
}

pub(crate) fn next_moment(moment: &Cell<u64>) -> u64 {
    moment.set(moment.get() + 1);
    moment.get()
}

/// Connections of a shard to each server: all pools are tried with one and with two.
pub(crate) fn connections_per_server(seed: u64) -> usize {
    1 + (seed / 2 % 2) as usize
}

/// How long a server may take to answer.
const TIMEOUT_MS: u32 = 5_000;

/// Where the n-th server is.
pub(crate) fn address(number: usize) -> SocketAddr {
    let ip = Ipv4Addr::new(10, 0, 0, number as u8 + 1);
    SocketAddr::new(IpAddr::V4(ip), 11_211)
}

/// The front end for a protocol.
pub(crate) fn listener(protocol: Protocol) -> ListenerId {
    match protocol {
        Protocol::Memcache => ListenerId::Memcache,
        Protocol::Resp => ListenerId::Resp,
    }
}

fn backend(world: &SimWorld, protocol: Protocol, number: usize, moment: &Rc<Cell<u64>>) -> Backend {
    let seed = number as u64;
    match protocol {
        Protocol::Memcache => {
            let memcached = Rc::new(RefCell::new(Memcached::new(seed, moment)));
            let server: Rc<RefCell<dyn SimServer>> = memcached.clone();
            world.serve(address(number), server);
            Backend::Memcached(memcached)
        }
        Protocol::Resp => {
            let redis = Rc::new(RefCell::new(Redis::new(seed, moment)));
            let server: Rc<RefCell<dyn SimServer>> = redis.clone();
            world.serve(address(number), server);
            Backend::Redis(redis)
        }
    }
}

/// The n-th server, as an operator names it.
pub(crate) fn server_spec(number: usize) -> ServerSpec {
    let address = address(number);
    ServerSpec {
        host: address.ip().to_string(),
        port: address.port(),
        weight: 1,
        name: None,
    }
}

fn pool_settings(seed: u64, pool: PoolSetup, setup: &Setup) -> PoolSettings {
    let eject = &setup.eject;
    let masters = setup.followed();
    let all_count = pool.server_count + eject.failover.len() + masters.len();
    let addresses: Vec<_> = (0..all_count).map(address).collect();
    let servers: Vec<_> = (0..pool.server_count + setup.node_count)
        .map(server_spec)
        .collect();
    let is_cluster = setup.node_count > 0;
    let addresses: Arc<dyn Addresses> = match is_cluster {
        true => Arc::new(AnyAddress),
        false => Arc::new(addresses.into_iter().map(Address::Tcp).collect::<Vec<_>>()),
    };
    let placement = Placement::of(HashRingMode::Libmemcached);
    let connection_count = connections_per_server(seed);
    PoolSettings {
        protocol: pool.protocol,
        is_crossed: pool.is_crossed,
        renewals: pool.is_crossed.then(|| Arc::new(Renewals::new(seed))),
        router: Router::build(placement, &servers).expect("a router"),
        addresses,
        cluster_seeds: is_cluster.then(|| Arc::from(&servers[..1])),
        access: Access::default(),
        timeout_ms: TIMEOUT_MS,
        seed,
        connection_count,
        in_flight_max: BACKEND_IN_FLIGHT_DEFAULT,
        eject: EjectSettings::new(eject, placement, &servers).expect("a ring"),
        write: pool.write,
        l1: match (pool.l1_ms, setup.is_tracked) {
            (_, true) if is_cluster => L1Settings::tracked_by_slot(setup.shard_count),
            (_, true) => L1Settings::tracked(setup.shard_count, all_count, connection_count),
            (Some(ms), _) => L1Settings::For { ms },
            (None, _) => L1Settings::Off,
        },
        replicas: setup
            .replicas
            .map(|of| ReplicaSettings::new(of.read_from, masters, of.lag_ms)),
    }
}

fn parts(
    seed: u64,
    setup: &Setup,
    pool: Option<PoolSettings>,
    stop: &StopFlag,
    connection_count: &Arc<AtomicUsize>,
    world: &SimWorld,
) -> Vec<Parts> {
    let mut params = StoreParams {
        shard_count: setup.shard_count,
        partition_bytes: 0,
        item_bytes_max: setup.item_bytes_max,
        // Beside the number of shards, which tests take from the seed, too.
        eviction: Eviction::ALL[(seed / 4 % 2) as usize],
    };
    params.partition_bytes = setup.memory_factor * params.partition_bytes_min();
    let stores = store::build(&params, KeyHasher::new(seed)).expect("memory");
    let settings = Arc::new(Settings {
        item_bytes_max: setup.item_bytes_max,
        eviction: params.eviction,
        connections_max: 10_000,
        allows_shutdown: false,
        speed: SpeedConfig::default(),
        cpu_time: CpuTime::default,
        memory_bytes: setup.shard_count * params.partition_bytes,
        started: world.now(),
        memcache_port: 11_211,
        resp_port: 6_379,
        resp_address: "10.0.0.2".to_owned(),
        run_id: "0".repeat(40),
        tunables: Arc::new(Tunables::new(10_000)),
        vitals: Vitals::default,
    });
    let board = StatsBoard::new(setup.shard_count);
    stores
        .into_iter()
        .zip(mesh::mesh(setup.shard_count))
        .map(|(store, mesh)| Parts {
            store,
            mesh,
            settings: Arc::clone(&settings),
            board: board.clone(),
            connection_count: Arc::clone(connection_count),
            stop: stop.clone(),
            pool: pool.clone(),
            spool: None,
            group: None,
        })
        .collect()
}
