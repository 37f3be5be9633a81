//! Replies to meta commands: written for a downstream, read from a backend.

use memchr::memchr;

use super::{Flags, KeyText, MetaRequest, MetaVerb};
use crate::protocol::{
    Parsed,
    memcache::{
        reply::{ReplyRefusal, data_at, is_error, line_at_start, refuse},
        request::Words,
    },
    number,
};

/// Done, or found without its value being asked for.
pub const DONE: &[u8] = b"HD";
/// A value, whose length follows.
pub const VALUE: &[u8] = b"VA ";
/// `mg`: no such key.
pub const MISS: &[u8] = b"EN";
/// The others: no such key.
pub const NOT_FOUND: &[u8] = b"NF";
/// A condition did not hold.
pub const NOT_STORED: &[u8] = b"NS";
/// The CAS id is another one.
pub const EXISTS: &[u8] = b"EX";

/// A flag that is none.
pub(super) const INVALID_FLAG: &[u8] = b"CLIENT_ERROR invalid flag\r\n";
/// A flag twice.
pub(super) const DUPLICATE_FLAG: &[u8] = b"CLIENT_ERROR duplicate flag\r\n";
/// Anything wrong with the flags of `md` and `ma`.
pub(super) const INVALID_OR_DUPLICATE_FLAG: &[u8] = b"CLIENT_ERROR invalid or duplicate flag\r\n";
/// Too many flags for `mg`.
pub(super) const FLAGS_ARE_TOO_LONG: &[u8] = b"CLIENT_ERROR options flags are too long\r\n";
/// Too many flags for the others.
pub(super) const FLAGS_TOO_LONG: &[u8] = b"CLIENT_ERROR options flags too long\r\n";
/// A key that is not base64.
pub(super) const KEY_UNDECODABLE: &[u8] = b"CLIENT_ERROR error decoding key\r\n";
/// A time or a CAS id that is no number.
pub(super) const BAD_TOKEN: &[u8] = b"CLIENT_ERROR bad token in command line format\r\n";
/// A mode that is not one letter.
pub(super) const MODE_LENGTH: &[u8] = b"CLIENT_ERROR incorrect length for M token\r\n";
/// A mode that `ms` does not have.
pub(super) const MODE_OF_SET: &[u8] = b"CLIENT_ERROR invalid mode for ms M token\r\n";
/// A mode that `ma` does not have.
pub(super) const MODE_OF_ARITHMETIC: &[u8] = b"CLIENT_ERROR invalid mode for ma M token\r\n";
/// A first value that is no number.
pub(super) const BAD_INITIAL: &[u8] = b"CLIENT_ERROR invalid numeric initial value\r\n";
/// A step that is no number.
pub(super) const BAD_DELTA: &[u8] = b"CLIENT_ERROR invalid numeric delta value\r\n";
/// An opaque that does not fit.
pub(super) const OPAQUE_TOO_LONG: &[u8] = b"CLIENT_ERROR opaque token too long\r\n";

const CRLF: &[u8] = b"\r\n";

/// Appends a flag with a number.
#[inline]
pub fn flag(out: &mut Vec<u8>, letter: u8, number: u64) {
    out.extend_from_slice(&[b' ', letter]);
    number::write(out, number);
}

/// Appends the time to live, in seconds; none is for ever.
pub fn time_to_live(out: &mut Vec<u8>, seconds: Option<u64>) {
    match seconds {
        Some(seconds) => flag(out, b't', seconds),
        None => out.extend_from_slice(b" t-1"),
    }
}

/// Appends the key as it was asked for: in base64, and with the flag that says so, if it came so.
/// (memcached goes by how the key was written when the item was stored.)
pub fn key(out: &mut Vec<u8>, key: KeyText<'_>) {
    out.extend_from_slice(b" k");
    key.write(out);
    if key.is_base64() {
        out.extend_from_slice(b" b");
    }
}

/// Appends an opaque.
pub fn opaque(out: &mut Vec<u8>, token: &[u8]) {
    out.extend_from_slice(b" O");
    out.extend_from_slice(token);
}

/// Appends a line that tells nothing but its status and what the request brought along: key and
/// opaque.
pub fn line(out: &mut Vec<u8>, status: &[u8], key_text: KeyText<'_>, flags: Flags<'_>) {
    out.extend_from_slice(status);
    for flag in flags {
        match flag.letter {
            b'O' => opaque(out, flag.token),
            b'k' => key(out, key_text),
            _ => {}
        }
    }
    out.extend_from_slice(CRLF);
}

/// Appends the answer to `ms`: its status, and what the request asked to be told of the item that is
/// there now, in the order asked. `cas` is the item's CAS id, 0 if nothing was stored.
pub fn stored(
    out: &mut Vec<u8>,
    status: &[u8],
    request: &MetaRequest<'_>,
    cas: u64,
    value_bytes: usize,
) {
    out.extend_from_slice(status);
    for asked in request.flags {
        match asked.letter {
            b'O' => opaque(out, asked.token),
            b'k' => key(out, request.key),
            b'c' => flag(out, b'c', cas),
            b's' => flag(out, b's', value_bytes as u64),
            _ => {}
        }
    }
    out.extend_from_slice(CRLF);
}

/// Whether a reply to a request with `q` is the one that the client does not want to hear.
pub fn is_nominal(verb: MetaVerb, reply: &[u8]) -> bool {
    match verb {
        MetaVerb::Get => reply.starts_with(MISS),
        MetaVerb::Set | MetaVerb::Delete => reply.starts_with(DONE),
        MetaVerb::Arithmetic => reply.starts_with(DONE) || reply.starts_with(VALUE),
        MetaVerb::Debug => false,
    }
}

/// A backend's answer to a meta command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaReply<'b> {
    /// `VA`: a value.
    Value {
        /// Its data, without the CRLF.
        data: &'b [u8],
    },
    /// Any other line, with its line end.
    Line(&'b [u8]),
}

/// Reads a backend's answer from the start of `input`.
pub fn parse_reply(input: &[u8], value_bytes_max: usize) -> Parsed<MetaReply<'_>, ReplyRefusal> {
    let line = match line_at_start(input) {
        Ok(line) => line,
        Err(other) => return other,
    };
    let Some(rest) = line.strip_prefix(VALUE) else {
        return Parsed::Complete {
            request: MetaReply::Line(line),
            consumed: line.len(),
        };
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(length) = number::unsigned(&rest[..digits]) else {
        return refuse(input, ReplyRefusal::ValueLineInvalid);
    };
    let Ok(length) = usize::try_from(length) else {
        return refuse(input, ReplyRefusal::ValueTooLarge);
    };
    match data_at(input, line.len(), length, value_bytes_max) {
        Err(other) => other,
        Ok((data, consumed)) => Parsed::Complete {
            request: MetaReply::Value { data },
            consumed,
        },
    }
}

/// Whether a line can be memcached's answer to a meta command: two capitals, or an error.
#[inline]
pub fn is_answer(line: &[u8]) -> bool {
    let is_code = match line {
        [first, second, b' ' | b'\r' | b'\n', ..] => {
            first.is_ascii_uppercase() && second.is_ascii_uppercase()
        }
        _ => false,
    };
    is_code || is_error(line)
}

/// Reads only the line before a value, to step over the value: the bytes of the value, which a CRLF
/// follows, and of the line.
pub fn value_head(input: &[u8]) -> Option<(u64, usize)> {
    let line = line_at_start::<()>(input).ok()?;
    let rest = line.strip_prefix(VALUE)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some((number::unsigned(&rest[..digits])?, line.len()))
}

/// What stands behind a letter that a backend's answer, whose bytes are `frame`, gives back.
pub fn returned(frame: &[u8], letter: u8) -> Option<&[u8]> {
    let line_end = memchr(b'\n', frame)?;
    let line = frame[..line_end].trim_ascii_end();
    // The status, and the length of a value.
    let skipped = if line.starts_with(VALUE) { 2 } else { 1 };
    Words::new(line)
        .skip(skipped)
        .find_map(|word| word.strip_prefix(&[letter]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        memcache::{Limits, Request, parse, reply::LINE_BYTES_MAX},
        testing::check_pieces,
    };

    #[test]
    fn what_is_given_back_stands_behind_status_and_length() {
        let value = b"VA 2 f16 t-1 s2\r\n c9\r\n";
        assert_eq!(returned(value, b'f'), Some(&b"16"[..]));
        assert_eq!(returned(value, b't'), Some(&b"-1"[..]));
        assert_eq!(returned(value, b'c'), None);
        assert_eq!(returned(b"HD s10\r\n", b's'), Some(&b"10"[..]));
        assert_eq!(returned(b"EN\r\n", b'E'), None);
    }

    #[test]
    fn a_store_tells_what_was_asked_in_that_order() {
        let limits = Limits {
            value_bytes_max: 10,
            line_bytes_max: 100,
        };
        for (line, told) in [
            ("ms k 1", "HD\r\n"),
            ("ms k 1 s t v c", "HD s70 c9\r\n"),
            ("ms Zm9v 1 c b k Oo T5 s", "HD c9 kZm9v b Oo s70\r\n"),
        ] {
            let wire = format!("{line}\r\nx\r\n");
            let request = match parse(wire.as_bytes(), &limits) {
                Parsed::Complete {
                    request: Request::Meta(request),
                    ..
                } => request,
                other => panic!("{line}: {other:?}"),
            };
            let mut out = Vec::new();
            stored(&mut out, DONE, &request, 9, 70);
            assert_eq!(out, told.as_bytes(), "{line}");
        }
    }

    #[test]
    fn replies_are_read_whole_or_not_at_all() {
        let table: &[(&[u8], MetaReply<'_>)] = &[
            (b"HD\r\n", MetaReply::Line(b"HD\r\n")),
            (b"EN kfoo O1\r\n", MetaReply::Line(b"EN kfoo O1\r\n")),
            (b"VA 3\r\nabc\r\n", MetaReply::Value { data: b"abc" }),
            (
                b"VA 2 s2 t-1 W\r\n\r\n\r\n",
                MetaReply::Value { data: b"\r\n" },
            ),
            (b"VA 0\r\n\r\n", MetaReply::Value { data: b"" }),
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

    #[test]
    fn two_capitals_or_an_error_are_an_answer() {
        for line in [
            &b"HD\r\n"[..],
            b"EN\r\n",
            b"HD s10\r\n",
            b"MN\r\n",
            b"ERROR\r\n",
        ] {
            assert!(is_answer(line), "{}", line.escape_ascii());
        }
        for line in [
            &b"STORED\r\n"[..],
            b"HDX\r\n",
            b"hd\r\n",
            b"E\r\n",
            b"+OK\r\n",
            b"5\r\n",
        ] {
            assert!(!is_answer(line), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn broken_replies_are_refused() {
        let long = [b'x'; LINE_BYTES_MAX];
        let table: &[(&[u8], ReplyRefusal)] = &[
            (&long, ReplyRefusal::LineTooLong),
            (b"VA \r\n", ReplyRefusal::ValueLineInvalid),
            (b"VA x\r\n", ReplyRefusal::ValueLineInvalid),
            (b"VA -3\r\n", ReplyRefusal::ValueLineInvalid),
            (b"VA 11\r\n", ReplyRefusal::ValueTooLarge),
            (b"VA 3\r\nabcd\r\n", ReplyRefusal::ValueUnterminated),
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
        let line = b"VA 18446744073709551615 s1\r\n";
        assert_eq!(value_head(line), Some((u64::MAX, line.len())));
        assert_eq!(value_head(&line[..line.len() - 1]), None);
        assert_eq!(value_head(b"VA x\r\n"), None);
    }
}
