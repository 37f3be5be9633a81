//! Requests as every client library spells them, told by their bytes.
//!
//! Most of all traffic is GET and SET, with or without a time to live. None is made an
//! [`Args`](super::Args) and a [`Request`](super::Request) of; what is not spelled as usual, or not
//! whole, is looked at closely by [`parse`](super::parse).

use super::expiry::MS_PER_SECOND;
use super::frame::{LINE_END_BYTES, Line, length_at};
use crate::protocol::number;

/// Longest key of a plain request, in bytes.
const PLAIN_KEY_BYTES_MAX: usize = 250;

/// Most digits of a plain request's time to live: 31 years in seconds, 11 days in milliseconds.
const TIME_DIGITS_MAX: usize = 9;

/// What a plain SET asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainSet<'b> {
    /// The key, of at most 250 bytes.
    pub key: &'b [u8],
    /// The value.
    pub value: &'b [u8],
    /// After how many milliseconds it ends, at least 1; none for never.
    pub lasts_ms: Option<u64>,
}

/// The key of a GET at the start of `input`, and where the request ends; `None` if there is something
/// else, it is not whole, or it is spelled as no client library does.
#[inline(always)]
pub fn plain_get(input: &[u8]) -> Option<(&[u8], usize)> {
    let at = start(input, b"*2\r\n$3\r\n", b"get")?;
    bulk(input, at).filter(|(key, _)| key.len() <= PLAIN_KEY_BYTES_MAX)
}

/// A SET without options but EX or PX at the start of `input`, and where the request ends; `None` as
/// for [`plain_get`].
#[inline]
pub fn plain_set(input: &[u8]) -> Option<(PlainSet<'_>, usize)> {
    let is_timed = input.get(1) == Some(&b'5');
    let head = if is_timed {
        b"*5\r\n$3\r\n"
    } else {
        b"*3\r\n$3\r\n"
    };
    let SetHead {
        key,
        value_at,
        value_bytes,
    } = head_after(input, head)?;
    let (value, mut end) = whole(input, value_at, value_bytes)?;
    let mut lasts_ms = None;
    if is_timed {
        let (ms, timer_end) = timer(input, end)?;
        (lasts_ms, end) = (Some(ms), timer_end);
    }
    let set = PlainSet {
        key,
        value,
        lasts_ms,
    };
    Some((set, end))
}

/// What stands before the value of a SET without options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetHead<'b> {
    /// The key, of at most 250 bytes.
    pub key: &'b [u8],
    /// Where the value begins.
    pub value_at: usize,
    /// Bytes of the value.
    pub value_bytes: usize,
}

/// The head of a SET without options at the start of `input`, however much of its value is there; `None` as
/// for [`plain_get`].
pub fn set_head(input: &[u8]) -> Option<SetHead<'_>> {
    head_after(input, b"*3\r\n$3\r\n")
}

/// The head of a SET that begins with `head`.
#[inline(always)]
fn head_after<'b>(input: &'b [u8], head: &[u8; 8]) -> Option<SetHead<'b>> {
    let at = start(input, head, b"set")?;
    let (key, at) = bulk(input, at).filter(|(key, _)| key.len() <= PLAIN_KEY_BYTES_MAX)?;
    let Line { value, next } = length_at(input, at + b"$".len()).filter(|_| input[at] == b'$')?;
    Some(SetHead {
        key,
        value_at: next,
        value_bytes: value,
    })
}

/// Where the first argument's length begins in a request that begins with `start` and has this name.
#[inline]
fn start(input: &[u8], start: &[u8; 8], name: &[u8; 3]) -> Option<usize> {
    let (first, rest) = input.split_first_chunk()?;
    let (second, _) = rest.split_first_chunk()?;
    let [a, b, c, b'\r', b'\n', b'$'] = second else {
        return None;
    };
    let is_named = first == start && [*a, *b, *c].eq_ignore_ascii_case(name);
    is_named.then_some(first.len() + second.len())
}

/// The argument whose length stands at `at`, and where the next one begins.
#[inline]
fn bulk(input: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let Line { value, next } = length_at(input, at)?;
    whole(input, next, value)
}

/// The argument of so many bytes at `at`, and where the next one begins.
#[inline(always)]
fn whole(input: &[u8], at: usize, bytes: usize) -> Option<(&[u8], usize)> {
    let end = at + bytes;
    let is_whole = input.len() >= end + LINE_END_BYTES;
    is_whole.then(|| (&input[at..end], end + LINE_END_BYTES))
}

/// How many milliseconds EX or PX at `at` say, and where they end.
#[inline(never)]
fn timer(input: &[u8], at: usize) -> Option<(u64, usize)> {
    const NAME_BYTES: usize = b"$2\r\nEX\r\n$".len();
    let name: &[u8; NAME_BYTES] = input.get(at..)?.first_chunk()?;
    let unit_ms = match name {
        b"$2\r\nEX\r\n$" | b"$2\r\nex\r\n$" => MS_PER_SECOND,
        b"$2\r\nPX\r\n$" | b"$2\r\npx\r\n$" => 1,
        _ => return None,
    };
    let (digits, end) = bulk(input, at + NAME_BYTES)?;
    let is_short = digits.len() <= TIME_DIGITS_MAX;
    let time = number::signed(digits).filter(|time| is_short && *time > 0)?;
    // Fits: nine digits.
    Some(((time * unit_ms).unsigned_abs(), end))
}
