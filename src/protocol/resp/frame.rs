//! Finding where a request ends.
//!
//! A multibulk frame says how long each part is, so its bodies are stepped over, never searched.
//! Only the length lines are read, by hand: they have one to three digits almost always, which no
//! search beats. Anything odd about one (nothing there yet, a sign, a leading zero, many digits)
//! leaves the fast path.
//!
//! At a NUL in a length line Redis, which searches with `strchr`, waits for ever; here the line is
//! refused. Two liberties are Redis's own, kept because whoever sends such frames is used to them:
//! the byte after a length line's CR and the two bytes after a body are not looked at.

use memchr::memchr;

use super::args::{Args, HEAD_COUNT};
use super::inline;
use crate::protocol::{Parsed, number};

/// A line end's bytes.
pub(super) const LINE_END_BYTES: usize = b"\r\n".len();
/// Most digits of a length that the fast path reads. Ten give 10 GB, more than any argument that
/// fits in memory has.
const DIGITS_FAST: usize = 10;

/// What a downstream may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest argument, in bytes; Redis's `proto-max-bulk-len`.
    pub bulk_bytes_max: usize,
    /// Most arguments of one request; Redis has `INT_MAX`.
    pub args_max: usize,
    /// Longest inline request and longest length line, in bytes; Redis has 64 KiB.
    pub inline_bytes_max: usize,
}

impl Limits {
    /// Limits for what a backend answers, which has arguments only in aggregates.
    pub fn for_replies(bulk_bytes_max: usize) -> Self {
        Self {
            bulk_bytes_max,
            args_max: 1024 * 1024,
            inline_bytes_max: 64 * 1024,
        }
    }
}

/// How the peer broke the protocol. The connection closes once what came before is answered and
/// [`encode`] is sent.
///
/// [`encode`]: ProtocolError::encode
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A line without end.
    InlineTooBig,
    /// A `*` line without end.
    CountTooBig,
    /// A `*` line that is no number, or over the limit.
    CountInvalid,
    /// A `$` line without end.
    LengthTooBig,
    /// Something else where a `$` line should be.
    DollarExpected(u8),
    /// A `$` line that is no number, negative, or over the limit.
    LengthInvalid,
    /// An inline request whose quotes do not match.
    QuotesUnbalanced,
}

impl ProtocolError {
    /// Appends the error's line.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"-ERR Protocol error: ");
        out.extend_from_slice(match self {
            Self::InlineTooBig => b"too big inline request",
            Self::CountTooBig => b"too big mbulk count string",
            Self::CountInvalid => b"invalid multibulk length",
            Self::LengthTooBig => b"too big bulk count string",
            Self::DollarExpected(_) => b"expected '$', got '",
            Self::LengthInvalid => b"invalid bulk length",
            Self::QuotesUnbalanced => b"unbalanced quotes in request",
        });
        if let Self::DollarExpected(got) = *self {
            out.push(if matches!(got, b'\r' | b'\n') {
                b' '
            } else {
                got
            });
            out.push(b'\'');
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// How far into a request a parse came before the input ended, so that the next one need not start
/// over. Belongs to one connection; starts, and is left after each whole request, as
/// `ParseProgress::default()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseProgress {
    /// Arguments in all and still to come; 0 in all: nothing known yet.
    count: usize,
    left: usize,
    /// Where the first argument and the next one begin.
    body_at: usize,
    at: usize,
}

impl ParseProgress {
    /// That of a request that is whole: `count` arguments, the first one at `body_at`, `end` bytes.
    pub(super) fn whole(count: usize, body_at: usize, end: usize) -> Self {
        Self {
            count,
            left: 0,
            body_at,
            at: end,
        }
    }
}

type Outcome<'b> = Parsed<Args<'b>, ProtocolError>;

/// Reads one request from the start of `input`, multibulk or inline. An empty one (`*0`, `*-1`, a
/// blank line) is complete, and has no arguments.
#[inline]
pub fn parse<'b>(input: &'b [u8], limits: &Limits) -> Outcome<'b> {
    parse_resumed(input, limits, &mut ParseProgress::default())
}

/// As [`parse`], but goes on where the last call for the same request stopped. Without it a request
/// of very many arguments that comes in small pieces costs time quadratic in its length.
#[inline]
pub fn parse_resumed<'b>(
    input: &'b [u8],
    limits: &Limits,
    progress: &mut ParseProgress,
) -> Outcome<'b> {
    match input.first() {
        Some(b'*') => parse_multibulk(input, limits, progress),
        Some(_) => parse_inline(input, limits),
        None => Parsed::Incomplete { want: 1 },
    }
}

#[inline]
fn parse_multibulk<'b>(
    input: &'b [u8],
    limits: &Limits,
    progress: &mut ParseProgress,
) -> Outcome<'b> {
    let resumed = progress.count != 0;
    let mut now = if resumed {
        *progress
    } else {
        match count_line(input, limits) {
            Ok(Line { value: 0, next }) => return complete(Args::default(), next),
            Ok(line) => {
                let Line {
                    value: count,
                    next: at,
                } = line;
                ParseProgress {
                    count,
                    left: count,
                    body_at: at,
                    at,
                }
            }
            Err(outcome) => return outcome,
        }
    };
    let mut head = [[].as_slice(); HEAD_COUNT];
    let mut tail_at = 0;
    while now.left > 0 {
        let line = match length_line(input, now.at, limits) {
            Ok(line) => line,
            Err(outcome) => {
                *progress = keep(&outcome, now);
                return outcome;
            }
        };
        let end = line.next + line.value;
        if input.len() < end + LINE_END_BYTES {
            *progress = now;
            // The next argument's line takes two bytes at least, if only to be found wrong.
            let next_line_bytes = if now.left > 1 { LINE_END_BYTES } else { 0 };
            return Parsed::Incomplete {
                want: end + LINE_END_BYTES + next_line_bytes,
            };
        }
        let index = now.count - now.left;
        now.at = end + LINE_END_BYTES;
        now.left -= 1;
        if let Some(head) = head.get_mut(index) {
            *head = &input[line.next..end];
            tail_at = now.at;
        }
    }
    let mut args = Args::multibulk(&input[..now.at], now.count, head, now.body_at, tail_at);
    if resumed {
        args.find_head();
        *progress = ParseProgress::default();
    }
    complete(args, now.at)
}

/// What to remember after `outcome`: nothing if the connection is lost anyway.
fn keep(outcome: &Outcome<'_>, now: ParseProgress) -> ParseProgress {
    if matches!(outcome, Parsed::Incomplete { .. }) {
        now
    } else {
        ParseProgress::default()
    }
}

/// A length line's number, and where the next line or the body begins.
pub(super) struct Line {
    pub(super) value: usize,
    pub(super) next: usize,
}

/// The plain number at `at` with the line end after it: the fast path. `None` means look closer.
#[inline(always)]
pub(super) fn length_at(input: &[u8], at: usize) -> Option<Line> {
    // Nearly all have one digit or two, and are told from others by four bytes.
    if let Some(&[first, second, third, _]) = input.get(at..).and_then(<[u8]>::first_chunk) {
        let (tens, ones) = (first.wrapping_sub(b'0'), second.wrapping_sub(b'0'));
        if second == b'\r' && tens <= 9 {
            let (value, next) = (usize::from(tens), at + 1 + LINE_END_BYTES);
            return Some(Line { value, next });
        }
        if third == b'\r' && (1..=9).contains(&tens) && ones <= 9 {
            let value = usize::from(tens) * 10 + usize::from(ones);
            let next = at + 2 + LINE_END_BYTES;
            return Some(Line { value, next });
        }
    }
    long_length_at(input, at)
}

/// As [`length_at`], for any number of digits.
fn long_length_at(input: &[u8], at: usize) -> Option<Line> {
    let mut value = 0;
    for (index, &byte) in input.get(at..)?.iter().take(DIGITS_FAST + 1).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + usize::from(digit);
            continue;
        }
        let next = at + index + LINE_END_BYTES;
        let canonical = index == 1 || (index > 1 && input[at] != b'0');
        return (byte == b'\r' && canonical && next <= input.len()).then_some(Line { value, next });
    }
    None
}

/// Reads `*<count>`; a count below 1 is 0.
#[inline]
fn count_line<'b>(input: &'b [u8], limits: &Limits) -> Result<Line, Outcome<'b>> {
    if let Some(line) = length_at(input, 1).filter(|line| line.value <= limits.args_max) {
        return Ok(line);
    }
    let (text, next) = slow_line(input, 0, limits, ProtocolError::CountTooBig)?;
    match number::signed(&text[1..]) {
        Some(count) if count <= 0 => Ok(Line { value: 0, next }),
        Some(count) => match usize::try_from(count) {
            Ok(value) if value <= limits.args_max => Ok(Line { value, next }),
            _ => Err(refuse(ProtocolError::CountInvalid, next)),
        },
        None => Err(refuse(ProtocolError::CountInvalid, next)),
    }
}

/// Reads `$<length>` at `at`.
#[inline]
fn length_line<'b>(input: &'b [u8], at: usize, limits: &Limits) -> Result<Line, Outcome<'b>> {
    if input.get(at) == Some(&b'$')
        && let Some(line) = length_at(input, at + 1)
        && line.value <= limits.bulk_bytes_max
    {
        return Ok(line);
    }
    slow_length_line(input, at, limits)
}

#[cold]
fn slow_length_line<'b>(input: &'b [u8], at: usize, limits: &Limits) -> Result<Line, Outcome<'b>> {
    let (text, next) = slow_line(input, at, limits, ProtocolError::LengthTooBig)?;
    // An empty line's first byte is its CR.
    let first = text.first().copied().unwrap_or(b'\r');
    if first != b'$' {
        return Err(refuse(ProtocolError::DollarExpected(first), next));
    }
    let length = number::signed(&text[1..]).and_then(|length| usize::try_from(length).ok());
    match length {
        Some(value) if value <= limits.bulk_bytes_max => Ok(Line { value, next }),
        _ => Err(refuse(ProtocolError::LengthInvalid, next)),
    }
}

/// The line at `at` without its end, and where the next one begins.
fn slow_line<'b>(
    input: &'b [u8],
    at: usize,
    limits: &Limits,
    too_big: ProtocolError,
) -> Result<(&'b [u8], usize), Outcome<'b>> {
    let rest = &input[at..];
    let window = &rest[..rest.len().min(limits.inline_bytes_max.saturating_add(1))];
    match memchr(b'\r', window) {
        Some(end) if end + LINE_END_BYTES <= rest.len() => {
            Ok((&rest[..end], at + end + LINE_END_BYTES))
        }
        None if rest.len() > limits.inline_bytes_max => Err(refuse(too_big, input.len())),
        _ => Err(Parsed::Incomplete {
            want: input.len() + 1,
        }),
    }
}

fn parse_inline<'b>(input: &'b [u8], limits: &Limits) -> Outcome<'b> {
    let window = &input[..input.len().min(limits.inline_bytes_max.saturating_add(1))];
    let Some(newline) = memchr(b'\n', window) else {
        if input.len() > limits.inline_bytes_max {
            return refuse(ProtocolError::InlineTooBig, input.len());
        }
        return Parsed::Incomplete {
            want: input.len() + 1,
        };
    };
    let consumed = newline + 1;
    let raw = &input[..consumed];
    match inline::count_words(raw) {
        Err(inline::Unbalanced) => refuse(ProtocolError::QuotesUnbalanced, consumed),
        Ok((0, _)) => complete(Args::default(), consumed),
        Ok((count, _)) if count > limits.args_max => refuse(ProtocolError::CountInvalid, consumed),
        Ok((count, escaped)) => complete(Args::inline(raw, count, escaped), consumed),
    }
}

const fn complete(args: Args<'_>, consumed: usize) -> Outcome<'_> {
    Parsed::Complete {
        request: args,
        consumed,
    }
}

const fn refuse<'b>(error: ProtocolError, consumed: usize) -> Outcome<'b> {
    Parsed::Refused {
        refusal: error,
        consumed,
    }
}
