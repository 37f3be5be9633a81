//! `ringfort spool`: what waits on disk for its servers, whether it is as it was written, and sending
//! it by hand.

mod list;
mod nodes;
mod replay;
mod sender;
mod verify;

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{CliError, values};
use crate::{
    route::ServerSpec,
    spool::{Folder, Limits, Operation, Speech, Write as Wish, mcrouter},
};

/// What is typed behind `ringfort spool`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum SpoolArgs {
    /// List segments, and what waits for each server
    Ls {
        /// A folder of ringfort's (--spool) or of mcrouter's (--async-dir), or a file of mcrouter's
        dir: PathBuf,
    },
    /// Check every record; exit with 1 and name each that is corrupt
    Verify {
        /// The folder, as for ls
        dir: PathBuf,
    },
    /// Send what waits to its servers, while no ringfort does; exit with 1 if one did not take it
    Replay {
        /// The folder, as for ls; it is only read
        dir: PathBuf,
        /// Send everything to this server instead; what waits for a cluster goes to whoever of its nodes has the slot,
        /// as this one of them says
        #[arg(long, value_name = "HOST:PORT", value_parser = values::server)]
        to: Option<ServerSpec>,
    },
}

impl SpoolArgs {
    pub(super) fn resolve(self) -> Spool {
        let (folder, task) = match self {
            Self::Ls { dir } => (dir, Task::List),
            Self::Verify { dir } => (dir, Task::Verify),
            Self::Replay { dir, to } => (dir, Task::Replay { to }),
        };
        Spool { folder, task }
    }
}

/// Something to be done with a spool.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    task: Task,
}

#[derive(Debug)]
enum Task {
    List,
    Verify,
    Replay { to: Option<ServerSpec> },
}

/// How a task went, for whoever calls it from a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Good,
    /// Something is corrupt, or a server did not take something; it has been said what.
    Bad,
}

impl Spool {
    /// Does it, and writes about it.
    ///
    /// # Errors
    /// The folder cannot be read, or is in use.
    pub fn run(&self, out: &mut impl Write) -> Result<Verdict, CliError> {
        let source = Source::open(&self.folder).map_err(|reason| self.refuse(reason))?;
        let done = match &self.task {
            Task::List => list::run(source, out),
            Task::Verify => verify::run(source, out),
            Task::Replay { to } => replay::run(source, to.as_ref(), out),
        };
        done.map_err(|failure| match failure {
            // Who does not read on has seen enough.
            Failure::Out => CliError::new("spool: stdout is closed"),
            Failure::Source(reason) => self.refuse(reason),
        })
    }

    fn refuse(&self, reason: impl fmt::Display) -> CliError {
        CliError::new(format_args!("spool {}: {reason}", self.folder.display()))
    }
}

/// Why a task did not come to its end.
#[derive(Debug)]
enum Failure {
    /// What it says is not wanted.
    Out,
    /// This is wrong with the folder.
    Source(String),
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Out
    }
}

impl Failure {
    fn source(reason: impl fmt::Display) -> Self {
        Self::Source(reason.to_string())
    }
}

/// Whose spool it is.
#[derive(Debug)]
enum Source {
    /// ringfort's.
    Own(Folder),
    /// mcrouter's: its files.
    Mcrouter(Vec<PathBuf>),
}

impl Source {
    /// A folder without a segment, and with other files in it, is mcrouter's.
    fn open(path: &Path) -> Result<Self, String> {
        if path.is_file() {
            return Ok(Self::Mcrouter(vec![path.to_owned()]));
        }
        let folder = Folder::open(path).map_err(|error| error.to_string())?;
        let has_segments = folder.segments().is_ok_and(|segments| !segments.is_empty());
        if has_segments || folder.has_lock_file() {
            return Ok(Self::Own(folder));
        }
        let files = mcrouter::files(path).map_err(|error| error.to_string())?;
        Ok(match files.is_empty() {
            true => Self::Own(folder),
            false => Self::Mcrouter(files),
        })
    }
}

/// Limits under which everything that is there is read.
const NO_LIMITS: Limits = Limits {
    bytes_max: u64::MAX,
    segment_bytes: u64::MAX,
    record_bytes_max: u64::MAX,
};

/// A delete of mcrouter's as ours are.
fn wish(delete: &mcrouter::Delete) -> Wish<'_> {
    Wish {
        server: delete.server.as_bytes(),
        speech: Speech::Memcache,
        key: &delete.key,
        operation: Operation::Delete,
        unix_ms: delete.unix_ms,
    }
}

/// What waits for each server.
#[derive(Debug, Default)]
struct Waiting(std::collections::BTreeMap<String, Share>);

/// What waits for one server.
#[derive(Debug)]
struct Share {
    count: u64,
    oldest_ms: u64,
}

impl Waiting {
    fn add(&mut self, wish: &Wish<'_>) {
        let server = String::from_utf8_lossy(wish.server).into_owned();
        let share = self.0.entry(server).or_insert(Share {
            count: 0,
            oldest_ms: u64::MAX,
        });
        share.count += 1;
        share.oldest_ms = share.oldest_ms.min(wish.unix_ms);
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (server, Share { count, oldest_ms }) in &self.0 {
            let server = server.escape_debug();
            writeln!(
                out,
                "server   {server}: {count} live, oldest {}",
                date(*oldest_ms)
            )?;
        }
        Ok(())
    }
}

/// A time as people write it, in UTC; what no calendar has as the number it is.
fn date(unix_ms: u64) -> String {
    use std::time::{Duration, UNIX_EPOCH};
    // The last second of the year 9999.
    const LAST: u64 = 253_402_300_799_000;
    if unix_ms > LAST {
        return format!("{unix_ms} ms");
    }
    let time = UNIX_EPOCH + Duration::from_millis(unix_ms);
    humantime::format_rfc3339_seconds(time).to_string()
}
