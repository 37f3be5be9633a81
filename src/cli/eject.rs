//! Flags about servers of a pool that fail.

use std::time::Duration;

use super::{
    CliError,
    nutcracker::AutoEject,
    values::{self, OrOff},
};
use crate::{
    config::{EJECT_AFTER_DEFAULT, EjectConfig, OnEject, Readmit},
    route::ServerSpec,
};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pool")]
pub(super) struct EjectArgs {
    /// Failures in a row after which a server is ejected [default: 3]
    #[arg(long, value_name = "N|off", value_parser = values::eject_after, allow_hyphen_values = true)]
    eject_after: Option<OrOff<u32>>,
    /// What becomes of an ejected server's keys: error, miss (reads find nothing), rehash (to the
    /// servers that are left) or failover (to those of --failover-server) [default: error]
    #[arg(long, value_name = "POLICY", value_parser = values::on_eject)]
    on_eject: Option<OnEject>,
    /// One more server for the keys of ejected ones; they make a ring of their own [default: none]
    #[arg(long, value_name = "HOST:PORT[:WEIGHT]", value_parser = values::server)]
    failover_server: Vec<ServerSpec>,
    /// How long what is written to those may live at most, 1s to 30d, whatever is asked for
    /// [default: as asked]
    #[arg(long, value_name = "DURATION", value_parser = values::failover_ttl)]
    failover_ttl: Option<Duration>,
    /// When an ejected server that is well serves again: after-invalidations (of what was written
    /// elsewhere) or flush (it is emptied) [default: after-invalidations]
    #[arg(long, value_name = "WHEN", value_parser = values::readmit)]
    readmit: Option<Readmit>,
}

impl EjectArgs {
    pub(super) fn resolve(&self) -> Result<EjectConfig, CliError> {
        let policy = self.on_eject.unwrap_or(OnEject::Error);
        let is_failover = policy == OnEject::Failover;
        match (is_failover, self.failover_server.is_empty()) {
            (true, true) => Err(CliError::new(
                "--on-eject failover: no servers to go to; add --failover-server HOST:PORT",
            )),
            (false, false) => Err(CliError::new(
                "--failover-server: only means something with --on-eject failover; add that",
            )),
            (false, _) if self.failover_ttl.is_some() => Err(CliError::new(
                "--failover-ttl: only means something with --on-eject failover; add that",
            )),
            _ if self.readmit == Some(Readmit::Flush) && !policy.moves_keys() => {
                Err(CliError::new(format_args!(
                    "--readmit flush: with --on-eject {policy} a server misses nothing; leave it out"
                )))
            }
            _ => Ok(EjectConfig {
                policy,
                after: self.after(),
                readmit: self.readmit.unwrap_or(Readmit::AfterInvalidations),
                failover: self.failover_server.clone(),
                failover_ttl: self.failover_ttl,
                ..EjectConfig::default()
            }),
        }
    }

    fn after(&self) -> Option<u32> {
        match self.eject_after {
            None => Some(EJECT_AFTER_DEFAULT),
            Some(after) => after.into_option(),
        }
    }

    /// For a pool of twemproxy's configuration. What the file says of ejection counts; where it says
    /// nothing, the flags do.
    pub(super) fn resolve_beside(&self, file: Option<AutoEject>) -> EjectConfig {
        let policy = match file {
            Some(_) => OnEject::Rehash,
            None => self.on_eject.unwrap_or(OnEject::Error),
        };
        EjectConfig {
            policy,
            after: file.map_or_else(|| self.after(), |file| Some(file.failure_limit)),
            rest: file.map_or(Duration::ZERO, |file| file.retry),
            // One that missed nothing need not be flushed.
            readmit: match self.readmit {
                Some(readmit) if policy.moves_keys() => readmit,
                _ => Readmit::AfterInvalidations,
            },
            ..EjectConfig::default()
        }
    }

    /// What cannot be meant for several pools at once.
    pub(super) fn refuse_beside_nutcracker(&self) -> Result<(), CliError> {
        match (self.on_eject, self.failover_server.is_empty()) {
            _ if self.failover_ttl.is_some() => Err(CliError::new(
                "--failover-ttl: pools of --nutcracker have no servers to go to; leave one of the \
                 two out",
            )),
            (_, false) => Err(CliError::new(
                "--failover-server: cannot stand in for all pools of --nutcracker; leave one of \
                 the two out",
            )),
            (Some(OnEject::Failover), _) => Err(CliError::new(
                "--on-eject failover: pools of --nutcracker have no servers to go to; write error, \
                 miss or rehash",
            )),
            _ => Ok(()),
        }
    }

    /// Whether servers are to be flushed, which is for pools where one can miss something.
    pub(super) fn wants_flush(&self) -> bool {
        self.readmit == Some(Readmit::Flush)
    }

    /// The flags, and whether each was given.
    pub(super) fn given(&self) -> [(&'static str, bool); 5] {
        [
            ("--eject-after", self.eject_after.is_some()),
            ("--on-eject", self.on_eject.is_some()),
            ("--failover-server", !self.failover_server.is_empty()),
            ("--failover-ttl", self.failover_ttl.is_some()),
            ("--readmit", self.readmit.is_some()),
        ]
    }
}
