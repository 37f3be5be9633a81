//! The rarer commands that read and change one string: its owner executes them whole.

use super::super::{
    args::Args,
    error::RequestError,
    expiry::{SetExpiry, read_getex_expiry},
    table::{Command, CommandSpec},
};
use super::integer;

/// One request about a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum StringRequest<'b> {
    /// No expiry leaves what is there; [`SetExpiry::None`] is PERSIST. A time that is none is an
    /// error only if the key is there.
    GetEx {
        key: &'b [u8],
        expiry: Result<Option<SetExpiry>, RequestError<'b>>,
    },
    SetRange {
        key: &'b [u8],
        offset: u64,
        value: &'b [u8],
    },
    /// The increment may be anything: see [`long_double`](crate::protocol::long_double).
    IncrByFloat { key: &'b [u8], increment: &'b [u8] },
}

impl<'b> StringRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let key = args.at(1);
        let request = match spec.command {
            Command::GetEx => match read_getex_expiry(args) {
                Err(RequestError::Syntax) => Err(RequestError::Syntax),
                expiry => Ok(Self::GetEx { key, expiry }),
            },
            Command::SetRange => read_offset(args.at(2)).map(|offset| Self::SetRange {
                key,
                offset,
                value: args.at(3),
            }),
            Command::IncrByFloat => Ok(Self::IncrByFloat {
                key,
                increment: args.at(2),
            }),
            _ => return None,
        };
        Some(request)
    }

    /// The key that it is about.
    pub const fn key(&self) -> &'b [u8] {
        match *self {
            Self::GetEx { key, .. }
            | Self::SetRange { key, .. }
            | Self::IncrByFloat { key, .. } => key,
        }
    }
}

fn read_offset<'b>(text: &[u8]) -> Result<u64, RequestError<'b>> {
    u64::try_from(integer(text)?).or(Err(RequestError::OffsetOutOfRange))
}
