//! What is there at start, and for whom.

use std::collections::HashSet;

use crate::{
    config::{PoolConfig, Protocol},
    spool::{
        Folder, FolderError, Log, Operation, Speech,
        port::{CLUSTER, ServerName, Untold},
    },
    store::KeyHasher,
};

/// The servers of a pool, as its spool names them.
pub(super) fn servers(pool: &PoolConfig) -> Vec<ServerName> {
    let speech = match pool.protocol {
        Protocol::Memcache => Speech::Memcache,
        Protocol::Resp => Speech::Resp,
    };
    if pool.is_cluster {
        return vec![ServerName {
            name: CLUSTER.to_owned(),
            speech,
        }];
    }
    let servers = pool.servers.iter().map(|server| ServerName {
        name: server.address(),
        speech,
    });
    servers.collect()
}

/// What waits for servers of the pool, for each shard: until the spool has given it back, its keys
/// are known to have it.
pub(super) fn waiting(
    folder: &Folder,
    log: &Log,
    servers: &[ServerName],
    shard_count: usize,
    hasher: KeyHasher,
) -> Result<Vec<Vec<Untold>>, FolderError> {
    let mut found = vec![Vec::new(); shard_count];
    let known: HashSet<&[u8]> = servers
        .iter()
        .map(|server| server.name.as_bytes())
        .collect();
    folder.live_as_it_stands(log, |lsn, write| {
        if known.contains(write.server) {
            let hash = hasher.hash(write.key);
            found[hash.owner(shard_count)].push(Untold {
                hash: hash.0,
                lsn,
                is_set: matches!(write.operation, Operation::Set { .. }),
            });
        }
    })?;
    Ok(found)
}
