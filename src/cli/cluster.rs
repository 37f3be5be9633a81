//! What does not go with `--pool cluster`: the cluster itself says who has a key, and who takes over.

use super::{CliError, PoolArgs};
use crate::route::ServerSpec;

/// Why replicas are not named.
const TOLD: &str = "nodes tell of their replicas; leave it out";

impl PoolArgs {
    /// Checks the flags and servers of a pool that is a cluster.
    pub(super) fn check_cluster(&self, seeds: &[ServerSpec]) -> Result<(), CliError> {
        let placed = "the cluster's slots say who has a key; leave it out";
        let ejected = "the cluster itself says who takes over for a node; leave it out";
        let servers = &self.servers;
        let flags = [
            ("--hash-ring", servers.hash_ring.is_some(), placed),
            ("--key-hash", servers.key_hash.is_some(), placed),
            ("--distribution", servers.distribution.is_some(), placed),
            ("--hash-tag", servers.hash_tag.is_some(), placed),
            ("--replica", servers.replicas.is_given(), TOLD),
        ];
        let ejects = self.backend.ejection_given();
        let ejects = ejects.map(|(flag, is_given)| (flag, is_given, ejected));
        if let Some((flag, _, why)) = flags
            .into_iter()
            .chain(ejects)
            .find(|(_, is_given, _)| *is_given)
        {
            return Err(CliError::new(format_args!(
                "{flag}: with --pool cluster {why}"
            )));
        }
        if let Some(number @ 1..) = self.backend.database() {
            return Err(CliError::new(format_args!(
                "--backend-db {number}: a cluster has one database; leave it out"
            )));
        }
        match seeds.iter().find(|seed| !is_plain(seed)) {
            Some(seed) => Err(CliError::new(format_args!(
                "--server {seed}: a node of a cluster is HOST:PORT, without a weight or a name"
            ))),
            None => Ok(()),
        }
    }
}

fn is_plain(seed: &ServerSpec) -> bool {
    !seed.is_unix() && seed.weight == 1 && seed.name.is_none()
}
