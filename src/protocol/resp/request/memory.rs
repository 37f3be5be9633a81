//! MEMORY: what the server's memory is used for.

use super::super::table::{Command, CommandSpec};

/// One MEMORY request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the subcommands'")]
pub enum MemoryRequest {
    Doctor,
    Stats,
    Purge,
    MallocStats,
}

impl MemoryRequest {
    /// Gives a command its meaning; `None` for those about something else.
    pub(super) fn read(spec: &'static CommandSpec) -> Option<Self> {
        let request = match spec.command {
            Command::MemoryDoctor => Self::Doctor,
            Command::MemoryStats => Self::Stats,
            Command::MemoryPurge => Self::Purge,
            Command::MemoryMallocStats => Self::MallocStats,
            _ => return None,
        };
        Some(request)
    }
}
