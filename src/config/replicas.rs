//! Who is read from: the masters of a pool, or servers that follow them.

use std::{fmt, time::Duration};

use super::spelled::spelled;
use super::{ConfigError, L1Config, PoolConfig, Protocol, WritePolicy};
use crate::route::ServerSpec;

/// How far replicas are taken to be behind, by default. One that is connected is told of a write
/// within a turn of its master's event loop; a second is for those that have to catch up.
pub const REPLICA_LAG_DEFAULT: Duration = Duration::from_secs(1);

/// The most that can be asked for: whose replicas are further behind, should read the masters.
pub const REPLICA_LAG_MAX: Duration = Duration::from_secs(60);

/// The most replicas of a pool: what [`crate::route::SERVERS_MAX`] is for its servers.
pub const REPLICAS_MAX: usize = crate::route::SERVERS_MAX;

/// Who answers reads. Writes go to masters, whatever this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadFrom {
    /// Masters alone.
    #[default]
    Master,
    /// Masters; replicas of one that is down.
    PreferMaster,
    /// Replicas alone.
    Replica,
    /// Replicas; masters of which no replica can be asked.
    PreferReplica,
    /// Both alike.
    Any,
}

impl ReadFrom {
    /// Every policy.
    pub const ALL: [Self; 5] = [
        Self::Master,
        Self::PreferMaster,
        Self::Replica,
        Self::PreferReplica,
        Self::Any,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::PreferMaster => "prefer-master",
            Self::Replica => "replica",
            Self::PreferReplica => "prefer-replica",
            Self::Any => "any",
        }
    }
}

spelled!(ReadFrom);

/// A server that follows one of the pool's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Which of the pool's servers it follows.
    pub master: usize,
    /// Where it is. Its weight and name mean nothing.
    pub server: ServerSpec,
}

/// Who is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicasConfig {
    /// Who answers reads.
    pub read_from: ReadFrom,
    /// Those that follow servers of the pool. A cluster tells of its own.
    pub replicas: Vec<Replica>,
    /// How long a key that was written is read from its master.
    pub lag: Duration,
}

impl Default for ReplicasConfig {
    fn default() -> Self {
        Self {
            read_from: ReadFrom::Master,
            replicas: Vec::new(),
            lag: REPLICA_LAG_DEFAULT,
        }
    }
}

impl ReplicasConfig {
    /// Whether anything but a master is ever read from.
    pub fn is_on(&self) -> bool {
        self.read_from != ReadFrom::Master
    }

    /// Checks it against the pool.
    pub(super) fn check(&self, pool: &PoolConfig) -> Result<(), ConfigError> {
        if let Some(replica) = self.replicas.first() {
            self.check_listed(pool, &replica.server)?;
        }
        if !self.is_on() {
            return Ok(());
        }
        let refused = |why| Err(self.error(why));
        if pool.protocol == Protocol::Memcache {
            return refused(ReplicaObstacle::Memcache);
        }
        if !pool.is_cluster && self.replicas.is_empty() {
            return refused(ReplicaObstacle::None);
        }
        if pool.write != WritePolicy::Through {
            return refused(ReplicaObstacle::Write(pool.write));
        }
        let policy = pool.backend.eject.policy;
        if policy.moves_keys() {
            return refused(ReplicaObstacle::OnEject(policy.name()));
        }
        if self.read_from == ReadFrom::Replica && pool.l1 != L1Config::Off {
            return refused(ReplicaObstacle::L1);
        }
        if !pool.is_cluster && self.read_from == ReadFrom::Replica {
            self.check_every_server_has_one(pool)?;
        }
        Ok(())
    }

    /// Checks that every server's keys can be read where masters are not.
    fn check_every_server_has_one(&self, pool: &PoolConfig) -> Result<(), ConfigError> {
        let has_one = |number: usize| self.replicas.iter().any(|replica| replica.master == number);
        match (0..pool.servers.len()).find(|number| !has_one(*number)) {
            None => Ok(()),
            Some(number) => {
                let server = pool.servers[number].address();
                Err(self.error(ReplicaObstacle::Lacking(server)))
            }
        }
    }

    /// Checks replicas that were named one by one.
    fn check_listed(&self, pool: &PoolConfig, first: &ServerSpec) -> Result<(), ConfigError> {
        let obstacle = |replica: &ServerSpec, why| ConfigError::Replica {
            replica: replica.address(),
            why,
        };
        let why = match (pool.protocol, pool.is_cluster) {
            (Protocol::Memcache, _) => Some(ReplicaObstacle::Memcache),
            (_, true) => Some(ReplicaObstacle::Cluster),
            _ if !self.is_on() => Some(ReplicaObstacle::Unread),
            _ => None,
        };
        if let Some(why) = why {
            return Err(obstacle(first, why));
        }
        if self.replicas.len() > REPLICAS_MAX {
            return Err(obstacle(first, ReplicaObstacle::TooMany));
        }
        for (place, replica) in self.replicas.iter().enumerate() {
            let is_it = |other: &ServerSpec| is_same(other, &replica.server);
            if pool.servers.iter().any(is_it) {
                return Err(obstacle(&replica.server, ReplicaObstacle::Own));
            }
            let mut before = self.replicas[..place].iter();
            if before.any(|other| is_it(&other.server)) {
                return Err(obstacle(&replica.server, ReplicaObstacle::Twice));
            }
        }
        Ok(())
    }

    fn error(&self, why: ReplicaObstacle) -> ConfigError {
        ConfigError::ReadFrom {
            read_from: self.read_from,
            why,
        }
    }
}

/// Whether both are one, as far as addresses tell.
fn is_same(a: &ServerSpec, b: &ServerSpec) -> bool {
    a.host == b.host && a.port == b.port
}

/// Why replicas cannot be read from as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaObstacle {
    /// memcached servers follow nobody.
    Memcache,
    /// A cluster tells of its own.
    Cluster,
    /// None was named.
    None,
    /// None was named for this server, and no key of it could be read.
    Lacking(String),
    /// Nobody would read them.
    Unread,
    /// More than [`REPLICAS_MAX`].
    TooMany,
    /// It is a server of the pool.
    Own,
    /// It was named before.
    Twice,
    /// They do not know of writes that wait.
    Write(WritePolicy),
    /// They do not know where keys of their master are meanwhile.
    OnEject(&'static str),
    /// Copies are of masters.
    L1,
}

impl fmt::Display for ReplicaObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memcache => f.write_str("memcached servers have no replicas; leave it out"),
            Self::Cluster => f.write_str("the cluster itself tells of its replicas; leave it out"),
            Self::None => f.write_str("no replicas; add --replica SERVER=HOST:PORT"),
            Self::Lacking(server) => write!(
                f,
                "server {server} has none; add --replica {server}=HOST:PORT, or use prefer-replica"
            ),
            Self::Unread => f.write_str(
                "nobody reads it with --read-from master; add --read-from prefer-replica, \
                 or another",
            ),
            Self::TooMany => write!(f, "more than {REPLICAS_MAX} replicas; leave some out"),
            Self::Own => f.write_str("is a server of the pool, too; name another one"),
            Self::Twice => f.write_str("is named twice; name each once"),
            Self::Write(policy) => write!(
                f,
                "replicas do not know of writes that wait with --write {}; use --write through",
                match policy {
                    WritePolicy::Behind => "behind",
                    _ => "invalidate",
                }
            ),
            Self::OnEject(policy) => write!(
                f,
                "replicas do not have what is written elsewhere with --on-eject {policy}; use \
                 --on-eject error or miss"
            ),
            Self::L1 => f.write_str(
                "copies of --l1 are read from masters; use prefer-replica, or leave --l1 out",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_found_by_their_names() {
        for policy in ReadFrom::ALL {
            assert_eq!(policy.name().parse(), Ok(policy));
        }
        assert_eq!("slave".parse::<ReadFrom>(), Err(()));
        assert!(!ReplicasConfig::default().is_on());
    }
}
