//! A memcache server's reply to a meta command.

use memchr::memchr;

use super::request::Words;
use crate::protocol::{Parsed, number};

/// Longest line, in bytes, as a server refuses longer ones.
const LINE_BYTES_MAX: usize = 2048;
const CRLF: &[u8] = b"\r\n";

/// One reply: its code, its value if it has one, its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaReply<'b> {
    /// `HD`, `VA`, `EN`, `NF`, `NS`, `EX`, or the first word of an error.
    pub code: &'b [u8],
    /// The line, with its CRLF.
    pub line: &'b [u8],
    /// The value behind a `VA`.
    pub value: Option<&'b [u8]>,
}

impl<'b> MetaReply<'b> {
    /// The token of a flag that was sent back.
    pub fn flag(&self, name: u8) -> Option<&'b [u8]> {
        let skipped = if self.value.is_some() { 2 } else { 1 };
        Words::new(self.line.trim_ascii_end())
            .skip(skipped)
            .find_map(|word| word.strip_prefix(&[name]))
    }

    /// The same as a number: `t` is -1 for no end.
    pub fn number(&self, name: u8) -> Option<i64> {
        self.flag(name).and_then(number::signed)
    }
}

/// Why bytes are no reply: the stream cannot be trusted from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Reads one reply from the start of `input`.
pub fn parse_meta_reply(input: &[u8], value_bytes_max: usize) -> Parsed<MetaReply<'_>, Broken> {
    let broken = Parsed::Refused {
        refusal: Broken,
        consumed: input.len(),
    };
    let window = &input[..input.len().min(LINE_BYTES_MAX)];
    let Some(newline) = memchr(b'\n', window) else {
        if input.len() >= LINE_BYTES_MAX {
            return broken;
        }
        return Parsed::Incomplete {
            want: input.len() + 1,
        };
    };
    let line = &input[..=newline];
    let mut words = Words::new(line.trim_ascii_end());
    let code = words.next().unwrap_or_default();
    if code != b"VA" {
        return Parsed::Complete {
            request: MetaReply {
                code,
                line,
                value: None,
            },
            consumed: line.len(),
        };
    }
    let length = words
        .next()
        .and_then(number::unsigned)
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| *length <= value_bytes_max);
    let Some(length) = length else { return broken };
    let end = line.len() + length + CRLF.len();
    let Some(block) = input.get(line.len()..end) else {
        return Parsed::Incomplete { want: end };
    };
    match block.strip_suffix(CRLF) {
        Some(value) => Parsed::Complete {
            request: MetaReply {
                code,
                line,
                value: Some(value),
            },
            consumed: end,
        },
        None => broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(wire: &[u8]) -> MetaReply<'_> {
        match parse_meta_reply(wire, 10) {
            Parsed::Complete { request, consumed } if consumed == wire.len() => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_stand_behind_the_code_or_the_length() {
        let value = parsed(b"VA 2 f16 t-1 s2\r\n\r\n\r\n");
        assert_eq!((value.code, value.value), (&b"VA"[..], Some(&b"\r\n"[..])));
        assert_eq!(value.number(b'f'), Some(16));
        assert_eq!(value.number(b't'), Some(-1));
        assert_eq!(value.flag(b'c'), None);
        let head = parsed(b"HD s10\r\n");
        assert_eq!((head.code, head.value), (&b"HD"[..], None));
        assert_eq!(head.number(b's'), Some(10));
        assert_eq!(parsed(b"EN\r\n").code, b"EN");
    }

    #[test]
    fn what_is_cut_is_wanted() {
        let wire = b"VA 3 t5\r\nabc\r\n";
        for end in 0..wire.len() {
            let cut = parse_meta_reply(&wire[..end], 10);
            assert!(
                matches!(cut, Parsed::Incomplete { want } if want > end && want <= wire.len()),
                "{end}: {cut:?}"
            );
        }
    }

    #[test]
    fn nonsense_breaks_the_connection() {
        for wire in [
            &b"VA 11\r\n"[..],
            b"VA x\r\n",
            b"VA\r\n",
            b"VA 1\r\nabc\r\n",
            &[b'x'; LINE_BYTES_MAX],
        ] {
            let parsed = parse_meta_reply(wire, 10);
            assert!(
                matches!(parsed, Parsed::Refused { .. }),
                "{}: {parsed:?}",
                wire.escape_ascii()
            );
        }
    }
}
