//! twemproxy's configuration, `nutcracker.yml`: what it says, and what of it cannot be done here.

mod document;
mod pool;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(super) use self::pool::{AutoEject, NutcrackerPool};
use super::CliError;

/// The largest file in bytes: room for [`crate::route::SERVERS_MAX`] servers, and comments.
const FILE_BYTES_MAX: usize = 4 << 20;

/// The most pools. Each has shards of its own, and their number is limited, too.
const POOLS_MAX: usize = 128;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    line: usize,
    text: String,
}

impl Fault {
    fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
        }
    }
}

/// What of a file is not as it was with twemproxy, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    line: usize,
    text: String,
}

impl Note {
    pub(super) fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
        }
    }
}

/// A file's pools, in its order.
#[derive(Debug)]
pub(super) struct Nutcracker {
    file: String,
    pub(super) pools: Vec<NutcrackerPool>,
}

impl Nutcracker {
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let file = path.display().to_string();
        let mut text = String::new();
        let read = File::open(path).and_then(|file| {
            file.take(FILE_BYTES_MAX as u64 + 1)
                .read_to_string(&mut text)
        });
        match read {
            Err(error) => Err(CliError::new(format_args!(
                "--nutcracker {file}: cannot be read ({error}); name twemproxy's configuration"
            ))),
            Ok(bytes) if bytes > FILE_BYTES_MAX => Err(CliError::new(format_args!(
                "--nutcracker {file}: longer than {FILE_BYTES_MAX} bytes; name twemproxy's \
                 configuration"
            ))),
            Ok(_) => Self::parse(file, &text),
        }
    }

    fn parse(file: String, text: &str) -> Result<Self, CliError> {
        let pools = parse(text).map_err(|Fault { line, text }| {
            CliError::new(format_args!("--nutcracker {file}:{line}: {text}"))
        })?;
        Ok(Self { file, pools })
    }

    /// Whatever is wrong with a pool as a whole.
    pub(super) fn pool_error(&self, pool: &NutcrackerPool, error: impl fmt::Display) -> CliError {
        self.error(pool.line, &pool.name, error)
    }

    /// Whatever is wrong in a line of a pool.
    pub(super) fn error(&self, line: usize, pool: &str, error: impl fmt::Display) -> CliError {
        let file = &self.file;
        CliError::new(format_args!(
            "--nutcracker {file}:{line}: pool '{pool}', {error}"
        ))
    }

    /// What is not as it was with twemproxy, a line each.
    pub(super) fn notes(&self) -> Vec<String> {
        let notes = self.pools.iter().flat_map(|pool| {
            let line = |note: &Note| {
                let Note { line, text } = note;
                format!("{}:{line}: pool '{}', {text}", self.file, pool.name)
            };
            pool.notes.iter().map(line)
        });
        notes.collect()
    }
}

fn parse(text: &str) -> Result<Vec<NutcrackerPool>, Fault> {
    let nodes = document::read(text)?;
    if let Some(node) = nodes.get(POOLS_MAX) {
        let text = format!("more than {POOLS_MAX} pools; start another ringfort for the rest");
        return Err(Fault::new(node.line, text));
    }
    nodes.into_iter().map(NutcrackerPool::read).collect()
}

#[cfg(test)]
mod tests;
