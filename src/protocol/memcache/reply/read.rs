//! Reading what a backend answers.
//!
//! Two tiers, as for requests: the line of a value as memcached writes most of them is taken in one
//! pass over its bytes; everything else goes line first.

use memchr::memchr;

use super::{CRLF, END};
use crate::protocol::{
    Parsed,
    memcache::{
        plain::{ValueLine, value_line},
        request::Words,
    },
    number,
};

/// Longest reply line of a backend, in bytes; a VALUE line with the longest key and numbers has
/// 307.
pub(in crate::protocol::memcache) const LINE_BYTES_MAX: usize = 2048;

/// One element of a backend's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'b> {
    /// One value of a retrieval; more, or [`Reply::End`], follow.
    Value {
        /// Its key.
        key: &'b [u8],
        /// Opaque to the server.
        flags: u32,
        /// Its CAS id, if it was asked for.
        cas: Option<u64>,
        /// Its data, without the CRLF.
        data: &'b [u8],
    },
    /// The end of a retrieval.
    End,
    /// Any other line, with its line end.
    Line(&'b [u8]),
}

/// Why a backend's bytes are no reply. The stream cannot be trusted from there on: close the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyRefusal {
    /// No line end within 2048 bytes.
    LineTooLong,
    /// A VALUE line with missing, surplus or unreadable words.
    ValueLineInvalid,
    /// A value over the given limit.
    ValueTooLarge,
    /// A value that does not end in CRLF.
    ValueUnterminated,
}

/// Reads one element of a backend's answer from the start of `input`.
#[inline]
pub fn parse_reply(input: &[u8], value_bytes_max: usize) -> Parsed<Reply<'_>, ReplyRefusal> {
    match value_line(input) {
        Some(line) => read_value(input, value_bytes_max, (line, None)),
        None if input.starts_with(END) => Parsed::Complete {
            request: Reply::End,
            consumed: END.len(),
        },
        None => parse_line(input, value_bytes_max),
    }
}

/// The same of what is no value as memcached writes most of them.
fn parse_line(input: &[u8], value_bytes_max: usize) -> Parsed<Reply<'_>, ReplyRefusal> {
    let line = match line_at_start(input) {
        Ok(line) => line,
        Err(other) => return other,
    };
    if !line.starts_with(b"VALUE ") {
        return Parsed::Complete {
            request: Reply::Line(line),
            consumed: line.len(),
        };
    }
    let Some((key, flags, length, cas)) = value_words(line) else {
        return refuse(input, ReplyRefusal::ValueLineInvalid);
    };
    let Ok(length) = usize::try_from(length) else {
        return refuse(input, ReplyRefusal::ValueTooLarge);
    };
    let line = ValueLine {
        key,
        flags,
        length,
        start: line.len(),
    };
    read_value(input, value_bytes_max, (line, cas))
}

/// Reads the value whose line is at the start of `input`.
#[inline]
fn read_value<'b>(
    input: &'b [u8],
    value_bytes_max: usize,
    (line, cas): (ValueLine<'b>, Option<u64>),
) -> Parsed<Reply<'b>, ReplyRefusal> {
    let ValueLine {
        key,
        flags,
        length,
        start,
    } = line;
    match data_at(input, start, length, value_bytes_max) {
        Err(other) => other,
        Ok((data, consumed)) => Parsed::Complete {
            request: Reply::Value {
                key,
                flags,
                cas,
                data,
            },
            consumed,
        },
    }
}

/// The line at the start of a backend's answer, with its line end; else what to say instead of a reply.
#[inline]
pub(in crate::protocol::memcache) fn line_at_start<R>(
    input: &[u8],
) -> Result<&[u8], Parsed<R, ReplyRefusal>> {
    let window = &input[..input.len().min(LINE_BYTES_MAX)];
    match memchr(b'\n', window) {
        Some(newline) => Ok(&input[..=newline]),
        None if input.len() >= LINE_BYTES_MAX => Err(refuse(input, ReplyRefusal::LineTooLong)),
        None => Err(Parsed::Incomplete {
            want: input.len() + 1,
        }),
    }
}

/// The data of so many bytes at `start` of a backend's answer, without the CRLF, and where what follows begins; else
/// what to say instead of a reply.
#[inline]
pub(in crate::protocol::memcache) fn data_at<R>(
    input: &[u8],
    start: usize,
    length: usize,
    value_bytes_max: usize,
) -> Result<(&[u8], usize), Parsed<R, ReplyRefusal>> {
    if length > value_bytes_max {
        return Err(refuse(input, ReplyRefusal::ValueTooLarge));
    }
    let end = start + length + CRLF.len();
    let Some(block) = input.get(start..end) else {
        return Err(Parsed::Incomplete { want: end });
    };
    match block.strip_suffix(CRLF) {
        Some(data) => Ok((data, end)),
        None => Err(refuse(input, ReplyRefusal::ValueUnterminated)),
    }
}

/// What a backend has said is no reply.
pub(in crate::protocol::memcache) fn refuse<R>(
    input: &[u8],
    refusal: ReplyRefusal,
) -> Parsed<R, ReplyRefusal> {
    Parsed::Refused {
        refusal,
        consumed: input.len(),
    }
}

/// The line of a VALUE block, whose data may be far too large to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueHead<'b> {
    /// Its key.
    pub key: &'b [u8],
    /// Bytes of its data, which a CRLF follows.
    pub data_bytes: u64,
    /// Bytes of the line.
    pub line_bytes: usize,
}

/// Reads only the line of a VALUE block, to step over its data.
pub fn value_head(input: &[u8]) -> Option<ValueHead<'_>> {
    let line = line_at_start::<()>(input).ok()?;
    let (key, _, data_bytes, _) = value_words(line)?;
    Some(ValueHead {
        key,
        data_bytes,
        line_bytes: line.len(),
    })
}

/// Key, flags, length and CAS id of a VALUE line.
#[inline]
fn value_words(line: &[u8]) -> Option<(&[u8], u32, u64, Option<u64>)> {
    let mut words = Words::new(line.strip_suffix(CRLF)?);
    words.next();
    let key = words.next()?;
    let flags = u32::try_from(number::unsigned(words.next()?)?).ok()?;
    let length = number::unsigned(words.next()?)?;
    let cas = match words.next() {
        Some(id) => Some(number::unsigned(id)?),
        None => None,
    };
    words.next().is_none().then_some((key, flags, length, cas))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::check_pieces;

    #[test]
    fn replies_are_read_whole_or_not_at_all() {
        let value = |key, flags, cas, data| Reply::Value {
            key,
            flags,
            cas,
            data,
        };
        let table: &[(&[u8], Reply<'_>)] = &[
            (b"END\r\n", Reply::End),
            (b"STORED\r\n", Reply::Line(b"STORED\r\n")),
            (b"42\n", Reply::Line(b"42\n")),
            (b"VALUE a 7 3\r\nx\r\n\r\n", value(b"a", 7, None, b"x\r\n")),
            (b"VALUE a 0 0 9\r\n\r\n", value(b"a", 0, Some(9), b"")),
        ];
        for &(wire, request) in table {
            let whole: Parsed<_, ReplyRefusal> = Parsed::Complete {
                request,
                consumed: wire.len(),
            };
            let seen = check_pieces(wire, |wire| parse_reply(wire, 10).seen());
            assert_eq!(seen, whole.seen(), "{}", wire.escape_ascii());
        }
    }

    /// One pass or two, a value is read alike, however it is spelled.
    #[test]
    fn both_tiers_agree() {
        let long = format!("VALUE {} 0 1\r\nx\r\n", "k".repeat(251));
        for wire in [
            "VALUE a 7 3\r\nxyz\r\n",
            "VALUE a 0 0\r\n\r\n",
            "VALUE a 0007 03\r\nxyz\r\n",
            "VALUE a 4294967295 3\r\nxyz\r\n",
            "VALUE a 4294967296 3\r\nxyz\r\n",
            "VALUE a 0 3 9\r\nxyz\r\n",
            "VALUE  a 0  3 \r\nxyz\r\n",
            "VALUE a\t\u{1} 0 1\r\nx\r\n",
            "VALUE a\0 0 1\r\nx\r\n",
            "VALUE a 0 1\n\nx\r\n",
            "VALUE a 0 1\r\nxyz\r\n",
            "VALUE a 0 x\r\nx\r\n",
            "VALUE a 0 11\r\n0123456789a\r\n",
            "VALUE a 0 99999999999\r\n",
            "VALUE  0 1\r\nx\r\n",
            "VALUE a 0 1",
            "VALUE a",
            "END\r\n",
            &long,
        ] {
            let wire = wire.as_bytes();
            let line_first = match parse_line(wire, 10) {
                Parsed::Complete {
                    request: Reply::Line(END),
                    consumed,
                } => Parsed::Complete {
                    request: Reply::End,
                    consumed,
                },
                parsed => parsed,
            };
            let shown = wire.escape_ascii();
            assert_eq!(parse_reply(wire, 10), line_first, "{shown}");
        }
    }

    #[test]
    fn broken_replies_are_refused() {
        let long = [b'x'; LINE_BYTES_MAX];
        let table: &[(&[u8], ReplyRefusal)] = &[
            (&long, ReplyRefusal::LineTooLong),
            (b"VALUE a 7\r\n", ReplyRefusal::ValueLineInvalid),
            (b"VALUE a 7 3\n", ReplyRefusal::ValueLineInvalid),
            (b"VALUE a 7 -3\r\n", ReplyRefusal::ValueLineInvalid),
            (b"VALUE a 4294967296 3\r\n", ReplyRefusal::ValueLineInvalid),
            (b"VALUE a 0 3 1 1\r\n", ReplyRefusal::ValueLineInvalid),
            (b"VALUE a 0 11\r\n", ReplyRefusal::ValueTooLarge),
            (
                b"VALUE a 0 18446744073709551615\r\n",
                ReplyRefusal::ValueTooLarge,
            ),
            (b"VALUE a 0 3\r\nabcd\r\n", ReplyRefusal::ValueUnterminated),
        ];
        for &(wire, refusal) in table {
            let expected = Parsed::Refused {
                refusal,
                consumed: wire.len(),
            };
            assert_eq!(parse_reply(wire, 10), expected, "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn the_head_of_a_value_is_read_however_large_it_is() {
        let head = ValueHead {
            key: b"a",
            data_bytes: u64::MAX,
            line_bytes: 32,
        };
        let line = b"VALUE a 0 18446744073709551615\r\n";
        assert_eq!(value_head(line), Some(head));
        assert_eq!(value_head(&line[..31]), None);
        assert_eq!(value_head(b"VALUE a 0 x\r\n"), None);
    }
}
