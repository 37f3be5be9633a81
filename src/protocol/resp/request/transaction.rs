//! Commands that make a transaction of others.

use super::super::{
    args::{Args, Rest},
    table::{Command, CommandSpec},
};

/// One request about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum TransactionRequest<'b> {
    Multi,
    Exec,
    Discard,
    Watch { keys: Rest<'b> },
    Unwatch,
}

impl<'b> TransactionRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(spec: &'static CommandSpec, args: Args<'b>) -> Option<Self> {
        let request = match spec.command {
            Command::Multi => Self::Multi,
            Command::Exec => Self::Exec,
            Command::Discard => Self::Discard,
            Command::Watch => Self::Watch { keys: args.rest(1) },
            Command::Unwatch => Self::Unwatch,
            _ => return None,
        };
        Some(request)
    }
}
