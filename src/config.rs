//! What ringfort runs with, resolved and consistent, and the limits it is held to.

mod backend;
mod behind;
mod cluster;
mod eject;
mod error;
mod group;
mod http_address;
mod l1;
mod listeners;
mod origin;
mod peers;
mod protocol;
mod replicas;
mod speed;
mod spelled;
mod spool;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use self::backend::{
    BACKEND_CONNECTIONS_DEFAULT, BACKEND_CONNECTIONS_MAX, BACKEND_DATABASE_MAX,
    BACKEND_NAME_BYTES_MAX, BACKEND_NAME_DEFAULT, BACKEND_TIMEOUT_DEFAULT, BACKEND_TIMEOUT_MAX,
    BACKEND_TIMEOUT_MIN, BackendConfig, PASSWORD_BYTES_MAX, Secret,
};
pub use self::behind::{BehindError, SPOOL_VALUES_MIN};
pub use self::cluster::{
    CLUSTER_NODES_EXPECTED, CLUSTER_REFRESH_MS, CLUSTER_REFRESH_MS_MIN, CLUSTER_REFRESH_MS_TROUBLED,
};
pub use self::eject::{
    BACKEND_IN_FLIGHT_DEFAULT, BACKEND_IN_FLIGHT_MAX, EJECT_AFTER_DEFAULT, EJECT_AFTER_MAX,
    EjectConfig, FAILOVER_TTL_MAX, FAILOVER_TTL_MIN, OnEject, Readmit,
};
pub use self::error::ConfigError;
pub use self::group::{
    GroupConfig, LOAD_QUEUE_MAX_DEFAULT, LOAD_QUEUE_MAX_MAX, LOAD_TIMEOUT_DEFAULT,
    LOAD_TIMEOUT_MAX, LOAD_TIMEOUT_MIN, LOADS_MAX_DEFAULT, LOADS_MAX_MAX, NEGATIVE_TTL_MAX,
    NEGATIVE_TTL_MIN, PEER_CHANGES_MAX, STALE_MAX, STALE_MIN, check_group_name,
};
pub use self::http_address::HttpAddress;
pub use self::l1::{L1_TTL_MAX, L1_TTL_MIN, L1Config};
pub use self::listeners::check_together;
use self::listeners::{is_listener, overlap};
pub use self::origin::{HttpOriginSpec, OriginSpec, ServersOriginSpec};
pub use self::peers::{
    HotPolicy, PEER_SECRET_BYTES_MAX, PEERS_FILE_BYTES_MAX, PEERS_MAX, PeerRing, PeerUrl,
    PeersConfig, check_peer_secret, parse_peers,
};
pub use self::protocol::Protocol;
pub use self::replicas::{
    REPLICA_LAG_DEFAULT, REPLICA_LAG_MAX, REPLICAS_MAX, ReadFrom, Replica, ReplicaObstacle,
    ReplicasConfig,
};
pub use self::speed::{SPIN_MAX, SPIN_MIN, SpeedConfig};
use self::spelled::spelled;
pub use self::spool::{
    SPOOL_BYTES_MAX_DEFAULT, SPOOL_BYTES_MAX_MAX, SPOOL_BYTES_MAX_MIN, SpoolConfig, SpoolSync,
};
use crate::route::{Placement, Router, ServerSpec};
pub use crate::store::Eviction;
use crate::store::StoreParams;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

/// Where memcache is served by default: memcached's port, for this machine only.
pub const MEMCACHE_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 11211);

/// Where RESP is served by default: Redis' port, for this machine only.
pub const RESP_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6379);

/// The most shards. There is a queue from each shard to each other, so their memory grows with the
/// square; and one socket of today's machines fits.
pub const SHARDS_MAX: usize = 256;

/// The largest CPU number plus one: the width of the kernel's default CPU set (`CPU_SETSIZE`).
pub const CORES_MAX: usize = 1024;

/// Memory of the whole process in bytes, unless [`memory_bytes_min`] is more.
pub const MEMORY_BYTES_DEFAULT: usize = GIB;

/// What a shard needs at least, in bytes, whatever the size of its items: with less, what is not
/// store would be more than half of it.
pub const MEMORY_BYTES_PER_SHARD_MIN: usize = 16 * MIB;

/// What a shard takes out of its memory before the store gets any: receive buffers, rings, queues,
/// reply buffers, and its part of the program itself. Measured with two shards under pipelined
/// writes of every size: 5 MiB each, and 7 MiB of program and allocator for both.
pub const FIXED_BYTES_PER_SHARD: usize = 8 * MIB;

/// The largest item (key, value and 59 bytes, as memcached counts it) in bytes, by default:
/// memcached's.
pub const ITEM_BYTES_MAX_DEFAULT: usize = MIB;

/// The least that items may be limited to: every client expects to store a page of text.
pub const ITEM_BYTES_MAX_MIN: usize = KIB;

/// The most that items may be limited to: each shard has several segments that hold one.
pub const ITEM_BYTES_MAX_MAX: usize = 8 * MIB;

/// Open downstream connections of the whole process, by default.
pub const CONNECTIONS_MAX_DEFAULT: usize = 10_000;

/// The most that the connections may be limited to: Linux' default ceiling for open files of a
/// process (`fs.nr_open`, 1,048,576) less some for backends and listeners.
pub const CONNECTIONS_MAX_MAX: usize = 1_000_000;

/// Connections the kernel holds for a shard before it accepts them; the kernel's own limit,
/// `net.core.somaxconn`, may be lower.
pub const LISTEN_BACKLOG: i32 = 4096;

/// The largest servers file in bytes: [`crate::route::SERVERS_MAX`] servers with room for comments.
pub const SERVERS_FILE_BYTES_MAX: usize = 4 * MIB;

const _: () = assert!(ITEM_BYTES_MAX_MIN <= ITEM_BYTES_MAX_DEFAULT);
const _: () = assert!(ITEM_BYTES_MAX_DEFAULT <= ITEM_BYTES_MAX_MAX);
const _: () = assert!(FIXED_BYTES_PER_SHARD <= MEMORY_BYTES_PER_SHARD_MIN / 2);

/// Bytes that `shard_count` shards need to hold values of `item_bytes_max`.
pub fn memory_bytes_min(shard_count: usize, item_bytes_max: usize, eviction: Eviction) -> usize {
    let store = store_params(shard_count, 0, item_bytes_max, eviction);
    let per_shard = FIXED_BYTES_PER_SHARD + store.partition_bytes_min();
    shard_count * per_shard.max(MEMORY_BYTES_PER_SHARD_MIN)
}

/// The store of `shard_count` shards that get `memory_bytes` together, which may be too little.
fn store_params(
    shard_count: usize,
    memory_bytes: usize,
    item_bytes_max: usize,
    eviction: Eviction,
) -> StoreParams {
    StoreParams {
        shard_count,
        partition_bytes: (memory_bytes / shard_count).saturating_sub(FIXED_BYTES_PER_SHARD),
        item_bytes_max,
        eviction,
    }
}

spelled!(Eviction);

/// All that a process needs to know to serve. [`Config::check`] says whether the parts agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where memcache is served; port 0 lets the kernel choose.
    pub memcache: Option<SocketAddr>,
    /// Where RESP is served; port 0 lets the kernel choose.
    pub resp: Option<SocketAddr>,
    /// The CPU of each shard; there are as many shards as entries.
    pub cores: Vec<usize>,
    /// Memory of all shards together, buffers and store, in bytes.
    pub memory_bytes: usize,
    /// The largest item in bytes: key, value and memcached's header of 59 bytes.
    pub item_bytes_max: usize,
    /// What goes when memory is needed; copies of what servers of a pool answered, too.
    pub eviction: Eviction,
    /// Open downstream connections, of all shards together.
    pub connections_max: usize,
    /// Whether clients may end the process.
    pub allows_shutdown: bool,
    /// What is a matter of speed alone.
    pub speed: SpeedConfig,
    /// Where the truth lives.
    pub mode: Mode,
    /// How much is logged.
    pub log: tracing::Level,
}

/// Where the truth lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// In ringfort's own store.
    Embedded,
    /// In the servers of a pool.
    Pool(PoolConfig),
    /// With an origin that keys are loaded from.
    Group(GroupConfig),
}

/// The servers behind ringfort, and how it treats them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Its name in twemproxy's configuration, if it is from one.
    pub name: Option<String>,
    /// What the servers speak.
    pub protocol: Protocol,
    /// The servers are nodes of a Redis Cluster, which tell of the others.
    pub is_cluster: bool,
    /// In the order that [`Router`] counts them.
    pub servers: Vec<ServerSpec>,
    /// Which server owns a key.
    pub placement: Placement,
    /// When a write is answered.
    pub write: WritePolicy,
    /// How long the store keeps copies of what servers answered.
    pub l1: L1Config,
    /// How the servers are spoken to.
    pub backend: BackendConfig,
    /// Who is read from.
    pub replicas: ReplicasConfig,
    /// Where writes that are to reach a server later are kept; `None` keeps them in memory.
    pub spool: Option<SpoolConfig>,
}

/// When a write is answered, and what reaches the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritePolicy {
    /// After the backend took it.
    Through,
    /// At once; the backend gets the newest value of the key soon after.
    Behind,
    /// At once; the backend is only told to delete the key, soon after.
    Invalidate,
}

impl Config {
    /// Checks what must hold between the parts.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, in the words of the command line.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_listeners()?;
        self.check_memory()?;
        match &self.mode {
            Mode::Embedded | Mode::Group(_) => Ok(()),
            Mode::Pool(pool) => self.check_pool(pool),
        }
    }

    /// The store's share of the memory, and how it is cut.
    pub fn store_params(&self) -> StoreParams {
        store_params(
            self.cores.len(),
            self.memory_bytes,
            self.item_bytes_max,
            self.eviction,
        )
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        match (self.memcache, self.resp) {
            (None, None) => Err(ConfigError::NoListener),
            (Some(memcache), Some(resp)) if overlap(memcache, resp) => {
                Err(ConfigError::SharedListener { memcache, resp })
            }
            _ => Ok(()),
        }
    }

    fn check_memory(&self) -> Result<(), ConfigError> {
        let bytes_min = memory_bytes_min(self.cores.len(), self.item_bytes_max, self.eviction);
        if self.memory_bytes < bytes_min {
            return Err(ConfigError::MemoryTooSmall {
                bytes: self.memory_bytes,
                bytes_min,
                shard_count: self.cores.len(),
                item_bytes_max: self.item_bytes_max,
            });
        }
        let shard_bytes_max = FIXED_BYTES_PER_SHARD + StoreParams::PARTITION_BYTES_MAX;
        let (bytes, shard_count) = (self.memory_bytes, self.cores.len());
        if bytes / shard_count > shard_bytes_max {
            return Err(ConfigError::MemoryTooLarge {
                bytes,
                bytes_max: shard_bytes_max * shard_count,
                shard_count,
            });
        }
        Ok(())
    }

    fn check_pool(&self, pool: &PoolConfig) -> Result<(), ConfigError> {
        let PoolConfig {
            placement, servers, ..
        } = pool;
        Router::build(*placement, servers).map_err(|error| ConfigError::HashRing {
            placement: *placement,
            error,
        })?;
        if let Some(obstacle) = pool.l1.obstacle(pool.protocol) {
            return Err(ConfigError::Untracked(obstacle));
        }
        let eject = &pool.backend.eject;
        eject.check(*placement, servers)?;
        pool.replicas.check(pool)?;
        if pool.write == WritePolicy::Behind {
            behind::check(pool, self.item_bytes_max).map_err(ConfigError::Behind)?;
        }
        for protocol in [Protocol::Memcache, Protocol::Resp] {
            let replicas = pool.replicas.replicas.iter();
            let mut all = servers
                .iter()
                .chain(&eject.failover)
                .chain(replicas.map(|replica| &replica.server));
            let own = self
                .listener(protocol)
                .and_then(|listener| all.find(|server| is_listener(server, listener)));
            if let Some(server) = own {
                return Err(ConfigError::OwnBackend {
                    server: server.address(),
                    protocol,
                });
            }
        }
        Ok(())
    }

    /// Where a protocol is served.
    pub fn listener(&self, protocol: Protocol) -> Option<SocketAddr> {
        match protocol {
            Protocol::Memcache => self.memcache,
            Protocol::Resp => self.resp,
        }
    }
}

#[cfg(test)]
mod tests;
