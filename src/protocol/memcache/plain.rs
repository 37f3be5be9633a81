//! Requests that are spelled as every client library spells them, taken in one pass over their bytes.

use super::parse::LINE_BYTES_MAX;
use super::request::{Exptime, KEY_BYTES_MAX};
use crate::protocol::scan;

const CRLF: &[u8] = b"\r\n";

/// The key of `get <key>\r\n` at the start of `input`, and where the request ends; `None` if there is
/// something else, or it is not whole.
#[inline(always)]
pub fn plain_get(input: &[u8]) -> Option<(&[u8], usize)> {
    const VERB: &[u8] = b"get ";
    if !input.starts_with(VERB) {
        return None;
    }
    let end = scan::word_end(input, VERB.len());
    let key = &input[VERB.len()..end];
    let is_key = key.len().wrapping_sub(1) < KEY_BYTES_MAX;
    (is_key && input[end..].starts_with(CRLF)).then_some((key, end + CRLF.len()))
}

/// A `get` or `gets` that [`plain_keys`] has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainKeys {
    /// Whether it is `gets`, whose reply shows CAS ids.
    pub cas: bool,
    /// Where the request ends.
    pub consumed: usize,
}

/// Calls `each` with the keys of `get <key> ...\r\n` or `gets <key> ...\r\n` at the start of `input`, which
/// one space parts from each other. `None` if there is something else, or it is spelled otherwise, not
/// whole, or longer than other commands may be; or once `each` has said no. Some keys may have been told
/// by then.
#[inline]
pub fn plain_keys<'b>(
    input: &'b [u8],
    mut each: impl FnMut(&'b [u8]) -> bool,
) -> Option<PlainKeys> {
    let (cas, mut at) = match input {
        [b'g', b'e', b't', b' ', ..] => (false, "get ".len()),
        [b'g', b'e', b't', b's', b' ', ..] => (true, "gets ".len()),
        _ => return None,
    };
    let line = &input[..input.len().min(LINE_BYTES_MAX)];
    loop {
        let end = scan::word_end(line, at);
        let key = &line[at..end];
        let is_key = key.len().wrapping_sub(1) < KEY_BYTES_MAX;
        if !is_key || !each(key) {
            return None;
        }
        match line[end..] {
            [b' ', ..] => at = end + 1,
            [b'\r', b'\n', ..] => {
                let consumed = end + CRLF.len();
                return Some(PlainKeys { cas, consumed });
            }
            _ => return None,
        }
    }
}

/// What a plain `set` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainSet<'b> {
    /// The key, of 1 to 250 bytes.
    pub key: &'b [u8],
    /// The client's opaque flags.
    pub flags: u32,
    /// When the entry expires.
    pub exptime: Exptime,
    /// The value.
    pub value: &'b [u8],
}

/// The `set <key> <flags> <exptime> <bytes>\r\n` with its block at the start of `input`, all numbers
/// plain, and where the request ends; `None` if there is something else, or it is not whole.
#[inline]
pub fn plain_set(input: &[u8]) -> Option<(PlainSet<'_>, usize)> {
    let SetLine { set, start, length } = set_line(input)?;
    let end = start + length + CRLF.len();
    let value = input.get(start..end)?.strip_suffix(CRLF)?;
    Some((PlainSet { value, ..set }, end))
}

/// The line of a plain `set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetLine<'b> {
    /// Without the value.
    pub set: PlainSet<'b>,
    /// Where the value begins.
    pub start: usize,
    /// Bytes of the value.
    pub length: usize,
}

/// The line of a plain `set` at the start of `input`, however much of its block is there; `None` if there is
/// something else, or the line is not whole.
#[inline]
pub fn set_line(input: &[u8]) -> Option<SetLine<'_>> {
    const VERB: &[u8] = b"set ";
    if !input.starts_with(VERB) {
        return None;
    }
    let key_end = scan::word_end(input, VERB.len());
    let key = &input[VERB.len()..key_end];
    if key.is_empty() || key.len() > KEY_BYTES_MAX || input.get(key_end) != Some(&b' ') {
        return None;
    }
    let (flags, at) = plain_number(input, key_end + 1, b' ')?;
    let (exptime, at) = plain_number(input, at, b' ')?;
    let (length, at) = plain_number(input, at, b'\r')?;
    let set = PlainSet {
        key,
        flags,
        exptime: Exptime(exptime.into()),
        value: &[],
    };
    (input.get(at) == Some(&b'\n')).then_some(SetLine {
        set,
        start: at + 1,
        // Fits: nine digits.
        length: length as usize,
    })
}

/// The line of a value that was asked for without its CAS id.
pub(super) struct ValueLine<'b> {
    pub(super) key: &'b [u8],
    pub(super) flags: u32,
    /// Bytes of the value.
    pub(super) length: usize,
    /// Where the value begins.
    pub(super) start: usize,
}

/// The `VALUE <key> <flags> <bytes>\r\n` at the start of `input`, as memcached writes it.
#[inline]
pub(super) fn value_line(input: &[u8]) -> Option<ValueLine<'_>> {
    const WORD: &[u8] = b"VALUE ";
    if !input.starts_with(WORD) {
        return None;
    }
    let key_end = scan::word_end(input, WORD.len());
    let key = &input[WORD.len()..key_end];
    let is_key = key.len().wrapping_sub(1) < KEY_BYTES_MAX;
    if !is_key || input.get(key_end) != Some(&b' ') {
        return None;
    }
    let (flags, at) = plain_number(input, key_end + 1, b' ')?;
    let (length, at) = plain_number(input, at, b'\r')?;
    (input.get(at) == Some(&b'\n')).then_some(ValueLine {
        key,
        flags,
        // Fits: nine digits.
        length: length as usize,
        start: at + 1,
    })
}

/// One to nine digits at `at` with `end` after them, and where what follows begins.
#[inline]
fn plain_number(input: &[u8], at: usize, end: u8) -> Option<(u32, usize)> {
    const DIGITS_MAX: usize = 9;
    let mut value = 0;
    for (index, &byte) in input.get(at..)?.iter().take(DIGITS_MAX + 1).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (byte == end && index > 0).then_some((value, at + index + 1));
        }
        if index == DIGITS_MAX {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    None
}
