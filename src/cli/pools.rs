//! `--nutcracker`: a process of several pools, each with shards and a store of its own, as if each
//! were served by a process. So keys of different pools cannot meet, and nothing on a request's
//! path asks which pool it is in.

use std::ffi::OsStr;
use std::path::Path;

use super::nutcracker::{Nutcracker, NutcrackerPool};
use super::{CliError, Explain, ServeArgs, ServerArgs};
use crate::config::{
    BACKEND_TIMEOUT_MAX, BACKEND_TIMEOUT_MIN, CONNECTIONS_MAX_DEFAULT, Config,
    ITEM_BYTES_MAX_DEFAULT, MEMORY_BYTES_DEFAULT, Mode, PoolConfig, Protocol, ReplicasConfig,
    SpoolConfig, WritePolicy, check_together, memory_bytes_min,
};

/// What a process of several pools runs with.
#[derive(Debug)]
pub struct Pools {
    /// One for each pool.
    pub configs: Vec<Config>,
    /// What of twemproxy's configuration is not as it was there, a line each.
    pub notes: Vec<String>,
}

impl ServeArgs {
    /// The pools of the file of `--nutcracker`.
    pub(super) fn resolve_pools(self, cores_allowed: &[usize]) -> Result<Pools, CliError> {
        self.refuse_beside_nutcracker()?;
        let Some(path) = &self.pool.servers.nutcracker else {
            return Err(CliError::new("--nutcracker: no file; name one"));
        };
        let nutcracker = Nutcracker::open(path)?;
        let cores = self.resources.cores(cores_allowed)?;
        let item_bytes_max = self
            .resources
            .item_size_max
            .unwrap_or(ITEM_BYTES_MAX_DEFAULT);
        let pool_count = nutcracker.pools.len();
        let eviction = self.resources.eviction.unwrap_or_default();
        let least = memory_bytes_min(cores.len(), item_bytes_max, eviction);
        // All pools together take what one would, if that is enough for each.
        let memory_bytes = match self.resources.memory {
            Some(bytes) => bytes / pool_count,
            None => least.max(MEMORY_BYTES_DEFAULT / pool_count),
        };
        let configs = nutcracker
            .pools
            .iter()
            .map(|pool| {
                let (memcache, resp) = match pool.protocol {
                    Protocol::Memcache => (Some(pool.listen), None),
                    Protocol::Resp => (None, Some(pool.listen)),
                };
                Ok(Config {
                    memcache,
                    resp,
                    cores: cores.clone(),
                    memory_bytes,
                    item_bytes_max,
                    eviction,
                    connections_max: self.connections_max.unwrap_or(CONNECTIONS_MAX_DEFAULT),
                    allows_shutdown: self.enable_shutdown,
                    speed: self.resources.speed(),
                    mode: Mode::Pool(self.pool_config(pool)?),
                    log: self.resources.log.unwrap_or(tracing::Level::WARN),
                })
            })
            .collect::<Result<Vec<Config>, CliError>>()?;
        for (pool, config) in nutcracker.pools.iter().zip(&configs) {
            config
                .check()
                .map_err(|error| nutcracker.pool_error(pool, error))?;
        }
        let moves_keys = |config: &Config| match &config.mode {
            Mode::Pool(pool) => pool.backend.eject.policy.moves_keys(),
            Mode::Embedded | Mode::Group(_) => false,
        };
        if self.pool.backend.wants_flush() && !configs.iter().any(moves_keys) {
            return Err(CliError::new(
                "--readmit flush: in no pool of --nutcracker a server misses anything; leave it out",
            ));
        }
        let file = path.display();
        check_together(&configs)
            .map_err(|error| CliError::new(format_args!("--nutcracker {file}: {error}")))?;
        let notes = nutcracker.notes();
        Ok(Pools { configs, notes })
    }

    fn pool_config(&self, pool: &NutcrackerPool) -> Result<PoolConfig, CliError> {
        // What the environment says of a password counts where the file says nothing.
        let mut backend = self.pool.backend.resolve_beside(pool)?;
        if let Some(password) = &pool.password {
            backend.password = Some(password.clone());
        }
        if let Some(timeout) = pool.timeout {
            backend.timeout = timeout.clamp(BACKEND_TIMEOUT_MIN, BACKEND_TIMEOUT_MAX);
        }
        backend.database = pool.database;
        let write = self.pool.write.unwrap_or(WritePolicy::Through);
        Ok(PoolConfig {
            name: Some(pool.name.clone()),
            protocol: pool.protocol,
            is_cluster: false,
            servers: pool.servers.clone(),
            placement: pool.placement,
            write,
            l1: self.pool.l1.unwrap_or_default(),
            backend,
            replicas: ReplicasConfig::default(),
            spool: self.spool_of(&pool.name, write)?,
        })
    }

    /// Each pool's spool is a folder of its name in that of `--spool`.
    fn spool_of(&self, pool: &str, write: WritePolicy) -> Result<Option<SpoolConfig>, CliError> {
        let Some(mut spool) = self.pool.spool(write)? else {
            return Ok(None);
        };
        if Path::new(pool).file_name() != Some(OsStr::new(pool)) {
            return Err(CliError::new(format_args!(
                "--spool {}: pool '{pool}' cannot have a folder of its name; name it otherwise",
                spool.folder.display()
            )));
        }
        spool.folder.push(pool);
        Ok(Some(spool))
    }

    fn refuse_beside_nutcracker(&self) -> Result<(), CliError> {
        let flags = [
            ("--memcache", self.memcache.is_some()),
            ("--resp", self.resp.is_some()),
            ("--pool", self.pool.pool.is_some()),
        ];
        refuse(&flags)?;
        if let Some(flag) = self.group.any() {
            refuse(&[(flag, true)])?;
        }
        self.pool.backend.refuse_beside_nutcracker()?;
        self.pool.refuse_replicas_beside_nutcracker()?;
        self.pool.servers.refuse_beside_nutcracker()
    }
}

impl ServerArgs {
    /// The file brings its own servers and placements.
    pub(super) fn refuse_beside_nutcracker(&self) -> Result<(), CliError> {
        refuse(&[
            ("--servers", self.servers.is_some()),
            ("--server", !self.server.is_empty()),
            ("--hash-ring", self.hash_ring.is_some()),
            ("--key-hash", self.key_hash.is_some()),
            ("--distribution", self.distribution.is_some()),
            ("--hash-tag", self.hash_tag.is_some()),
        ])?;
        self.refuse_replica_beside_nutcracker()
    }
}

impl Nutcracker {
    /// Who owns a key in each pool.
    pub(super) fn explain(&self, key: &[u8]) -> Result<Vec<Explain>, CliError> {
        let explain = |pool: &NutcrackerPool| {
            let explain = Explain::new(key.to_vec(), pool.servers.clone(), pool.placement);
            explain
                .map(|explain| explain.in_pool(pool.name.clone()))
                .map_err(|error| self.pool_error(pool, error.message()))
        };
        self.pools.iter().map(explain).collect()
    }
}

/// Refuses flags about what the file brings along.
pub(super) fn refuse(flags: &[(&str, bool)]) -> Result<(), CliError> {
    match flags.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((flag, _)) => Err(CliError::new(format_args!(
            "{flag}: the file of --nutcracker has its pools' own; leave one of the two out"
        ))),
    }
}
