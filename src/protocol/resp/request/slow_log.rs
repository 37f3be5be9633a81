//! SLOWLOG: the requests that took long.

use super::super::{
    args::Args,
    error::RequestError,
    table::{Command, CommandSpec},
};
use crate::protocol::number;

/// Entries that SLOWLOG GET gives when it is not told.
const COUNT_DEFAULT: usize = 10;

/// One SLOWLOG request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum SlowLogRequest {
    /// `usize::MAX` for all.
    Get {
        count: usize,
    },
    Len,
    Reset,
}

impl SlowLogRequest {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read<'b>(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let request = match spec.command {
            Command::SlowlogGet => return Some(read_get(args)),
            Command::SlowlogLen => Self::Len,
            Command::SlowlogReset => Self::Reset,
            _ => return None,
        };
        Some(Ok(request))
    }
}

fn read_get(args: Args<'_>) -> Result<SlowLogRequest, RequestError<'_>> {
    if args.count() > 3 {
        return Err(RequestError::SubcommandSyntax {
            command: args.at(0),
            sub: args.at(1),
        });
    }
    let count = match args.get(2).map(number::signed) {
        None => COUNT_DEFAULT,
        Some(Some(-1)) => usize::MAX,
        Some(Some(count)) if count >= 0 => usize::try_from(count).unwrap_or(usize::MAX),
        Some(_) => {
            return Err(RequestError::Said(
                "ERR count should be greater than or equal to -1",
            ));
        }
    };
    Ok(SlowLogRequest::Get { count })
}
