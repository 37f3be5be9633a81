//! What a pool's shards are told of its servers.

use std::{io, sync::Arc};

use super::{StartError, addresses::AddressBook, names::NameBook, seed};
use crate::{
    backend::Access,
    config::{L1Config, PoolConfig, Protocol, ReplicasConfig},
    route::{HashRingError, Router, ServerSpec},
    shard::{Addresses, EjectSettings, L1Settings, PoolSettings, Renewals, ReplicaSettings},
};

/// Opens what finds the servers, and places keys.
pub(super) fn pool_settings(
    pool: &PoolConfig,
    is_crossed: bool,
    shard_count: usize,
) -> Result<PoolSettings, StartError> {
    let backend = &pool.backend;
    let replicas = pool.replicas.replicas.iter();
    let all: Vec<ServerSpec> = pool
        .servers
        .iter()
        .chain(&backend.eject.failover)
        .chain(replicas.map(|replica| &replica.server))
        .cloned()
        .collect();
    let addresses: Arc<dyn Addresses> = match pool.is_cluster {
        true => Arc::new(NameBook::open()?),
        false => Arc::new(AddressBook::open(&all)?),
    };
    let no_ring = |error: HashRingError| StartError::Resolve {
        server: "of the pool".into(),
        error: io::Error::other(error.to_string()),
    };
    let router = Router::build(pool.placement, &pool.servers).map_err(no_ring)?;
    let eject = EjectSettings::new(&backend.eject, pool.placement, &pool.servers);
    let connection_count = usize::from(backend.connection_count);
    let l1 = match pool.l1 {
        L1Config::Off => L1Settings::Off,
        L1Config::For(ttl) => L1Settings::For {
            ms: ttl.as_millis() as u64,
        },
        L1Config::Tracked if pool.is_cluster => L1Settings::tracked_by_slot(shard_count),
        L1Config::Tracked => L1Settings::tracked(shard_count, all.len(), connection_count),
    };
    Ok(PoolSettings {
        protocol: pool.protocol,
        is_crossed,
        renewals: (is_crossed && pool.protocol == Protocol::Resp)
            .then(|| Arc::new(Renewals::new(seed()))),
        router,
        addresses,
        cluster_seeds: pool.is_cluster.then(|| Arc::from(&pool.servers[..])),
        access: Access {
            user: pool.backend.user.clone(),
            password: pool.backend.password.clone(),
            database: pool.backend.database,
            name: pool.backend.name.clone(),
            ..Access::default()
        },
        // At most ten minutes.
        timeout_ms: pool.backend.timeout.as_millis() as u32,
        seed: seed(),
        connection_count,
        in_flight_max: backend.in_flight_max,
        eject: eject.map_err(no_ring)?,
        write: pool.write,
        l1,
        replicas: pool
            .replicas
            .is_on()
            .then(|| replica_settings(&pool.replicas)),
    })
}

fn replica_settings(config: &ReplicasConfig) -> ReplicaSettings {
    let masters: Vec<usize> = config
        .replicas
        .iter()
        .map(|replica| replica.master)
        .collect();
    ReplicaSettings::new(config.read_from, masters, config.lag.as_millis() as u64)
}
