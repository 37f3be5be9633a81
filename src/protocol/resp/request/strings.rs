//! The rarer commands about strings.

use super::super::{
    args::Args,
    error::RequestError,
    expiry::{SetExpiry, read_getex_expiry},
    table::{Command, CommandSpec},
};

/// One request about a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum StringRequest<'b> {
    /// No expiry leaves what is there; [`SetExpiry::None`] is PERSIST.
    GetEx {
        key: &'b [u8],
        expiry: Option<SetExpiry>,
    },
}

impl<'b> StringRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let request = match spec.command {
            Command::GetEx => read_getex_expiry(args).map(|expiry| Self::GetEx {
                key: args.at(1),
                expiry,
            }),
            _ => return None,
        };
        Some(request)
    }

    /// The key that it is about.
    pub const fn key(&self) -> &'b [u8] {
        match *self {
            Self::GetEx { key, .. } => key,
        }
    }
}
