//! Commands that change several keys, or one by what another holds, in one step.

use super::super::{
    args::{Args, Rest},
    error::RequestError,
    table::{Command, CommandSpec},
};
use super::{index, integer};

/// One request about several keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum CompoundRequest<'b> {
    /// RENAME, and RENAMENX, which leaves a `newkey` that is there.
    Rename {
        key: &'b [u8],
        newkey: &'b [u8],
        nx: bool,
    },
    Copy {
        source: &'b [u8],
        destination: &'b [u8],
        replace: bool,
    },
    /// Keys and values in turn.
    MSetNx { pairs: Rest<'b> },
}

impl<'b> CompoundRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let request = match spec.command {
            Command::Rename | Command::RenameNx => Ok(Self::Rename {
                key: args.at(1),
                newkey: args.at(2),
                nx: spec.command == Command::RenameNx,
            }),
            Command::Copy => read_copy(args),
            Command::MSetNx if args.count().is_multiple_of(2) => {
                Err(RequestError::Arity(spec.name))
            }
            Command::MSetNx => Ok(Self::MSetNx {
                pairs: args.rest(1),
            }),
            _ => return None,
        };
        Some(request)
    }
}

fn read_copy(args: Args<'_>) -> Result<CompoundRequest<'_>, RequestError<'_>> {
    let (source, destination, mut replace) = (args.at(1), args.at(2), false);
    let mut rest = args.iter_from(3);
    while let Some(option) = rest.next() {
        if option.eq_ignore_ascii_case(b"replace") {
            replace = true;
        } else if option.eq_ignore_ascii_case(b"db") {
            let db = index(integer(rest.next().ok_or(RequestError::Syntax)?)?)?;
            // There is one database.
            if db != 0 {
                return Err(RequestError::DbIndex);
            }
        } else {
            return Err(RequestError::Syntax);
        }
    }
    if source == destination {
        return Err(RequestError::SameObject);
    }
    Ok(CompoundRequest::Copy {
        source,
        destination,
        replace,
    })
}
