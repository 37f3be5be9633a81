//! Why a run could not be finished.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wire::Asked;
use crate::worker::tally;

/// Each names the party at fault.
#[derive(Debug)]
pub(crate) enum BenchError {
    /// The target does not resolve or does not answer.
    Connect { target: String, cause: io::Error },
    /// A socket, the poller or a file failed under us.
    Io {
        doing: &'static str,
        cause: io::Error,
    },
    /// The server closed a connection that it owed replies on.
    Closed { connection_index: usize },
    /// The server sent what is no reply.
    Framing { shown: String },
    /// The server answered nothing at all for a while.
    Stalled { waited: Duration, in_flight: usize },
    /// The server refused or garbled a write of the prefill.
    Prefill { shown: String },
    /// `--server-pid` names no process whose CPU time can be read.
    ServerCpu { pid: u32, cause: io::Error },
    /// One of `--cores` cannot be had.
    Pin { core: usize },
    /// Another worker failed, which says why.
    Stopped,
    /// The server does not do its work with the settings that others are to be measured against.
    Untunable { settings: String, why: String },
    /// There are too few cores to keep the server and the generator apart.
    Crowded,
    /// What a flag names is not there or cannot be used: found before anything is measured.
    Flag { flag: &'static str, why: String },
    /// A file is not what it should be.
    File { path: PathBuf, why: String },
}

impl BenchError {
    pub(crate) fn framing(asked: Asked<'_>, bytes: &[u8]) -> Self {
        Self::Framing {
            shown: tally::shown(asked, bytes),
        }
    }
}

impl BenchError {
    /// `why` begins with what the flag names.
    pub(crate) fn flag(flag: &'static str, why: impl fmt::Display) -> Self {
        Self::Flag {
            flag,
            why: why.to_string(),
        }
    }

    /// The same of a file.
    pub(crate) fn flag_file(flag: &'static str, path: &Path, why: impl fmt::Display) -> Self {
        Self::flag(flag, format_args!("{}: {why}", path.display()))
    }

    /// Whether the command line is at fault, and not what came of it.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Flag { .. } | Self::Crowded)
    }

    pub(crate) fn file(path: &Path, why: impl fmt::Display) -> Self {
        Self::File {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { target, cause } => {
                write!(f, "cannot connect to {target}: {cause}")
            }
            Self::Io { doing, cause } => write!(f, "{doing}: {cause}"),
            Self::Closed { connection_index } => {
                write!(f, "the server closed connection {connection_index}")
            }
            Self::Framing { shown } => write!(f, "the server broke the protocol: {shown}"),
            Self::Stalled { waited, in_flight } => {
                write!(f, "no reply in {waited:?}, {in_flight} requests in flight")
            }
            Self::Prefill { shown } => write!(f, "prefill failed: {shown}"),
            Self::ServerCpu { pid, cause } => {
                write!(f, "cannot read the CPU time of process {pid}: {cause}")
            }
            Self::Pin { core } => write!(
                f,
                "--cores: cannot run on core {core}: name some that `taskset -p $$` allows"
            ),
            Self::Stopped => write!(f, "the run was broken off"),
            Self::Untunable { settings, why } if settings.is_empty() => {
                write!(f, "the server fails as it is: {why}")
            }
            Self::Untunable { settings, why } => {
                write!(f, "the server fails with {settings}: {why}")
            }
            Self::Crowded => write!(
                f,
                "the server and the generator need a core each: name them with --server-cores and --cores"
            ),
            Self::Flag { flag, why } => write!(f, "{flag} {why}"),
            Self::File { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for BenchError {}
