//! Commands about all keys.

use super::super::{
    args::Args,
    error::RequestError,
    table::{Command, CommandSpec},
};
use super::integer;
use crate::protocol::number;

/// One request about the keys there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum KeyspaceRequest<'b> {
    RandomKey,
    Keys {
        pattern: &'b [u8],
    },
    Scan {
        cursor: u64,
        pattern: Option<&'b [u8]>,
        count: u64,
        r#type: Option<&'b [u8]>,
    },
}

/// How many keys SCAN is to look at if nothing is said, as in Redis.
const COUNT_DEFAULT: u64 = 10;

impl<'b> KeyspaceRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let request = match spec.command {
            Command::RandomKey => Ok(Self::RandomKey),
            Command::Keys => Ok(Self::Keys {
                pattern: args.at(1),
            }),
            Command::Scan => read_scan(args),
            _ => return None,
        };
        Some(request)
    }
}

fn read_scan(args: Args<'_>) -> Result<KeyspaceRequest<'_>, RequestError<'_>> {
    let cursor = cursor(args.at(1)).ok_or(RequestError::InvalidCursor)?;
    let (mut pattern, mut count, mut r#type) = (None, COUNT_DEFAULT, None);
    let mut rest = args.iter_from(2);
    while let Some(option) = rest.next() {
        let value = rest.next().ok_or(RequestError::Syntax)?;
        if option.eq_ignore_ascii_case(b"count") {
            let wanted = u64::try_from(integer(value)?).ok();
            count = wanted
                .filter(|count| *count > 0)
                .ok_or(RequestError::Syntax)?;
        } else if option.eq_ignore_ascii_case(b"match") {
            pattern = Some(value);
        } else if option.eq_ignore_ascii_case(b"type") {
            r#type = Some(value);
        } else {
            return Err(RequestError::Syntax);
        }
    }
    Ok(KeyspaceRequest::Scan {
        cursor,
        pattern,
        count,
        r#type,
    })
}

/// A cursor, as C's `strtoul` reads it: with a sign, up to a NUL, and empty for 0. A blank is
/// refused.
fn cursor(text: &[u8]) -> Option<u64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let (is_negative, digits) = match text {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let magnitude = number::unsigned(digits)?;
    Some(if is_negative {
        magnitude.wrapping_neg()
    } else {
        magnitude
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_by_strtoul() {
        let table: &[(&[u8], Option<u64>)] = &[
            (b"0", Some(0)),
            (b"", Some(0)),
            (b"17", Some(17)),
            (b"+17", Some(17)),
            (b"-1", Some(u64::MAX)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"1\0x", Some(1)),
            (b"\0", Some(0)),
            (b" 0", None),
            (b"0 ", None),
            (b"0x", None),
            (b"-", None),
            (b"x", None),
        ];
        for (text, expected) in table {
            assert_eq!(cursor(text), *expected, "{}", text.escape_ascii());
        }
    }
}
