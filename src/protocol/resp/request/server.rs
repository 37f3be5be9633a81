//! Commands about the server as a whole.

use super::super::{
    args::{Args, Rest},
    error::RequestError,
    table::{Command, CommandSpec},
};

/// One request about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum ServerRequest<'b> {
    Info { sections: Rest<'b> },
    Time,
    ConfigGet { patterns: Rest<'b> },
}

impl<'b> ServerRequest<'b> {
    /// Gives a frame that has the command's arity its meaning.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Result<Self, RequestError<'b>> {
        let request = match spec.command {
            Command::Info => Self::Info {
                sections: args.rest(1),
            },
            Command::Time => Self::Time,
            Command::ConfigGet => Self::ConfigGet {
                patterns: args.rest(2),
            },
            _ => return Err(RequestError::UnknownCommand(args)),
        };
        Ok(request)
    }
}
