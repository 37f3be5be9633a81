//! Flags about how the servers of a pool are spoken to.

use std::{path::PathBuf, time::Duration};

use super::{
    CliError,
    eject::EjectArgs,
    nutcracker::NutcrackerPool,
    password::PasswordPlace,
    pools::refuse,
    values::{self, OrOff},
};
use crate::config::{
    BACKEND_CONNECTIONS_DEFAULT, BACKEND_IN_FLIGHT_DEFAULT, BACKEND_NAME_DEFAULT,
    BACKEND_TIMEOUT_DEFAULT, BackendConfig, EjectConfig, Protocol,
};

const PASSWORD: PasswordPlace = PasswordPlace {
    flag: "--backend-password-file",
    variable: "RINGFORT_BACKEND_PASSWORD",
};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pool")]
pub(super) struct BackendArgs {
    /// User to be to the servers, if they want one [default: the default user]
    #[arg(long, value_name = "NAME", value_parser = values::user)]
    backend_user: Option<String>,
    /// File whose first line is the servers' password; the variable RINGFORT_BACKEND_PASSWORD does,
    /// too [default: no password]
    #[arg(long, value_name = "FILE")]
    backend_password_file: Option<PathBuf>,
    /// Database of Redis servers [default: 0]
    #[arg(long, value_name = "N", value_parser = values::database, allow_hyphen_values = true)]
    backend_db: Option<u32>,
    /// What connections are called in CLIENT LIST of Redis servers; off for what knows no CLIENT
    /// [default: ringfort]
    #[arg(long, value_name = "NAME|off", value_parser = values::backend_name)]
    backend_name: Option<OrOff<String>>,
    /// How long a server may take to answer a request, as in 200ms, 2s [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = values::backend_timeout)]
    backend_timeout: Option<Duration>,
    /// Connections of each shard to each server, 1 to 16; a key is bound to one of them [default: 1]
    #[arg(long, value_name = "N", value_parser = values::backend_connections, allow_hyphen_values = true)]
    backend_connections: Option<u8>,
    /// Most unanswered requests per server and shard; clients with more wait for their turn, no longer
    /// than a server may take to answer [default: 4096]
    #[arg(long, value_name = "N", value_parser = values::in_flight_max, allow_hyphen_values = true)]
    backend_in_flight_max: Option<usize>,
    #[command(flatten)]
    eject: EjectArgs,
}

impl BackendArgs {
    pub(super) fn resolve(&self, protocol: Protocol) -> Result<BackendConfig, CliError> {
        if let (Some(OrOff::On(name)), Protocol::Memcache) = (&self.backend_name, protocol) {
            return Err(CliError::new(format_args!(
                "--backend-name {name}: memcached servers do not ask for one; leave it out"
            )));
        }
        self.resolve_with(protocol, self.eject.resolve()?)
    }

    /// For a pool of twemproxy's configuration.
    pub(super) fn resolve_beside(&self, pool: &NutcrackerPool) -> Result<BackendConfig, CliError> {
        self.resolve_with(pool.protocol, self.eject.resolve_beside(pool.auto_eject))
    }

    fn resolve_with(
        &self,
        protocol: Protocol,
        eject: EjectConfig,
    ) -> Result<BackendConfig, CliError> {
        let file = self.backend_password_file.as_deref();
        let password = PASSWORD.read(file, "--backend-user", self.backend_user.as_deref())?;
        if let (Some(number @ 1..), Protocol::Memcache) = (self.backend_db, protocol) {
            return Err(CliError::new(format_args!(
                "--backend-db {number}: memcached servers have one database; leave it out"
            )));
        }
        Ok(BackendConfig {
            user: self.backend_user.clone(),
            password,
            database: self.backend_db.unwrap_or(0),
            name: match (protocol, &self.backend_name) {
                (Protocol::Memcache, _) | (_, Some(OrOff::Off)) => None,
                (_, Some(OrOff::On(name))) => Some(name.clone()),
                (_, None) => Some(BACKEND_NAME_DEFAULT.to_owned()),
            },
            timeout: self.backend_timeout.unwrap_or(BACKEND_TIMEOUT_DEFAULT),
            connection_count: self
                .backend_connections
                .unwrap_or(BACKEND_CONNECTIONS_DEFAULT),
            in_flight_max: self
                .backend_in_flight_max
                .unwrap_or(BACKEND_IN_FLIGHT_DEFAULT),
            eject,
        })
    }

    /// The database that was asked for.
    pub(super) fn database(&self) -> Option<u32> {
        self.backend_db
    }

    /// The flags about servers that fail, and whether each was given.
    pub(super) fn ejection_given(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.eject.given().into_iter()
    }

    /// The flags, and whether each was given.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let name = ("--backend-name", self.backend_name.is_some());
        let own = self.own().into_iter().chain([name]);
        own.chain(self.eject.given())
    }

    /// Whether servers are to be flushed before they serve again.
    pub(super) fn wants_flush(&self) -> bool {
        self.eject.wants_flush()
    }

    /// Names of connections and ejection can be told for all pools of a file.
    pub(super) fn refuse_beside_nutcracker(&self) -> Result<(), CliError> {
        refuse(&self.own())?;
        self.eject.refuse_beside_nutcracker()
    }

    /// Flags about what twemproxy's configuration has for each pool.
    fn own(&self) -> [(&'static str, bool); 6] {
        [
            ("--backend-user", self.backend_user.is_some()),
            (
                "--backend-password-file",
                self.backend_password_file.is_some(),
            ),
            ("--backend-db", self.backend_db.is_some()),
            ("--backend-timeout", self.backend_timeout.is_some()),
            ("--backend-connections", self.backend_connections.is_some()),
            (
                "--backend-in-flight-max",
                self.backend_in_flight_max.is_some(),
            ),
        ]
    }
}
