//! Flags about servers that are read from in their masters' stead.

use std::time::Duration;

use super::{
    CliError, PoolArgs, ServerArgs,
    values::{self, OrOff},
};
use crate::{
    config::{REPLICA_LAG_DEFAULT, ReadFrom, Replica, ReplicasConfig},
    route::ServerSpec,
};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pool")]
pub(super) struct ReplicaArgs {
    /// A replica of a Redis server, which is named as above or by its name; unix:/PATH in place of
    /// HOST:PORT is a unix socket [default: none]
    #[arg(long, value_name = "SERVER=HOST:PORT")]
    replica: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pool")]
pub(super) struct ReadArgs {
    /// Who is read from: master, prefer-master (a replica while the master is down), replica,
    /// prefer-replica (the master if no replica serves) or any (both alike); of --replica, or of the
    /// cluster [default: master]
    #[arg(long, value_name = "WHOM", value_parser = values::read_from)]
    read_from: Option<ReadFrom>,
    /// How long a key that was written is read from its master, 1ms to 60s, as replicas may not have
    /// it yet [default: 1s]
    #[arg(long, value_name = "DURATION|off", value_parser = values::replica_lag)]
    replica_lag: Option<OrOff<Duration>>,
}

impl ReplicaArgs {
    /// Whether any was named.
    pub(super) fn is_given(&self) -> bool {
        !self.replica.is_empty()
    }

    /// The replicas of these servers.
    pub(super) fn of(&self, servers: &[ServerSpec]) -> Result<Vec<Replica>, CliError> {
        let replica = |text: &String| parse(text, servers);
        self.replica.iter().map(replica).collect()
    }
}

impl ServerArgs {
    /// twemproxy's configuration knows no replicas.
    pub(super) fn refuse_replica_beside_nutcracker(&self) -> Result<(), CliError> {
        match self.replicas.is_given() {
            true => Err(beside_nutcracker("--replica")),
            false => Ok(()),
        }
    }
}

fn beside_nutcracker(flag: &str) -> CliError {
    CliError::new(format_args!(
        "{flag}: pools of --nutcracker have no replicas; leave one of the two out"
    ))
}

impl PoolArgs {
    /// Who is read from.
    pub(super) fn replicas(&self, servers: &[ServerSpec]) -> Result<ReplicasConfig, CliError> {
        let ReadArgs {
            read_from,
            replica_lag,
        } = &self.read;
        let read_from = read_from.unwrap_or_default();
        if replica_lag.is_some() && read_from == ReadFrom::Master {
            return Err(CliError::new(
                "--replica-lag: no replica is read with --read-from master; add --read-from \
                 prefer-replica, or another",
            ));
        }
        Ok(ReplicasConfig {
            read_from,
            replicas: self.servers.replicas.of(servers)?,
            lag: match replica_lag {
                None => REPLICA_LAG_DEFAULT,
                Some(OrOff::Off) => Duration::ZERO,
                Some(OrOff::On(lag)) => *lag,
            },
        })
    }

    /// What cannot be meant for pools of twemproxy's configuration.
    pub(super) fn refuse_replicas_beside_nutcracker(&self) -> Result<(), CliError> {
        let flags = self.read.given();
        match flags.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((flag, _)) => Err(beside_nutcracker(flag)),
        }
    }
}

impl ReadArgs {
    /// The flags, and whether each was given.
    pub(super) fn given(&self) -> [(&'static str, bool); 2] {
        [
            ("--read-from", self.read_from.is_some()),
            ("--replica-lag", self.replica_lag.is_some()),
        ]
    }
}

/// A path may have an equals sign in it, so the first one behind a server's address or name counts.
fn parse(text: &str, servers: &[ServerSpec]) -> Result<Replica, CliError> {
    let error = |why: String| Err(CliError::new(format_args!("--replica {text}: {why}")));
    if !text.contains('=') {
        return error("not SERVER=HOST:PORT; write the server that it follows before it".into());
    }
    let parts = text.match_indices('=').find_map(|(at, _)| {
        let master = master(&text[..at], servers)?;
        Some((master, &text[at + 1..]))
    });
    let Some((master, place)) = parts else {
        let name = text.split('=').next().unwrap_or_default();
        return error(format!(
            "'{name}' is no server of the pool; write one of --server or --servers as there, \
             or its name"
        ));
    };
    match values::server(place) {
        Ok(server) if server.weight == 1 => Ok(Replica { master, server }),
        Ok(_) => error("a replica has no weight; write SERVER=HOST:PORT".into()),
        Err(why) => error(why),
    }
}

/// The server of this address or name.
fn master(name: &str, servers: &[ServerSpec]) -> Option<usize> {
    let is_it =
        |server: &ServerSpec| server.name.as_deref() == Some(name) || server.address() == name;
    servers.iter().position(is_it)
}
