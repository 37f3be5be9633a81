//! CONFIG: the settings by name.

use super::super::{
    args::{Args, Rest},
    error::RequestError,
    table::{Command, CommandSpec},
};

/// One CONFIG request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum ConfigRequest<'b> {
    Get {
        patterns: Rest<'b>,
    },
    /// Names and values in turn; see [`Rest::pairs`].
    Set {
        pairs: Rest<'b>,
    },
    ResetStat,
    Rewrite,
}

impl<'b> ConfigRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let request = match spec.command {
            Command::ConfigGet => Self::Get {
                patterns: args.rest(2),
            },
            Command::ConfigSet if args.count().is_multiple_of(2) => Self::Set {
                pairs: args.rest(2),
            },
            Command::ConfigSet => return Some(Err(RequestError::Syntax)),
            Command::ConfigResetStat => Self::ResetStat,
            Command::ConfigRewrite => Self::Rewrite,
            _ => return None,
        };
        Some(Ok(request))
    }
}
