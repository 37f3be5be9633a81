//! Commands about all keys, or about keys that nobody owns alone.

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
    /// LCS, which reads two keys.
    Lcs {
        key1: &'b [u8],
        key2: &'b [u8],
        answer: LcsAnswer,
    },
}

/// What LCS is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LcsAnswer {
    /// The bytes that both strings have in common.
    Text,
    /// How many there are (LEN).
    Length,
    /// Where they stand (IDX).
    Runs {
        /// Shorter runs are left out (MINMATCHLEN).
        bytes_min: u64,
        /// With the length of each run (WITHMATCHLEN).
        with_length: bool,
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
            Command::Lcs => read_lcs(args),
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

fn read_lcs(args: Args<'_>) -> Result<KeyspaceRequest<'_>, RequestError<'_>> {
    let (mut is_length, mut is_runs, mut with_length, mut bytes_min) = (false, false, false, 0);
    let mut rest = args.iter_from(3);
    while let Some(option) = rest.next() {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("idx") {
            is_runs = true;
        } else if is("len") {
            is_length = true;
        } else if is("withmatchlen") {
            with_length = true;
        } else if is("minmatchlen") {
            let wanted = integer(rest.next().ok_or(RequestError::Syntax)?)?;
            bytes_min = u64::try_from(wanted).unwrap_or(0);
        } else {
            return Err(RequestError::Syntax);
        }
    }
    let answer = match (is_length, is_runs) {
        (true, true) => return Err(RequestError::LcsLengthAndRuns),
        (true, false) => LcsAnswer::Length,
        (false, true) => LcsAnswer::Runs {
            bytes_min,
            with_length,
        },
        (false, false) => LcsAnswer::Text,
    };
    Ok(KeyspaceRequest::Lcs {
        key1: args.at(1),
        key2: args.at(2),
        answer,
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
