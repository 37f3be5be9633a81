//! Reading what a backend answers.

use memchr::memchr;

use super::{CRLF, VERBATIM_FORMAT_BYTES};
use crate::protocol::{
    Parsed, number,
    resp::{Limits, frame},
};

/// One reply of a backend, top level only; its frame is what [`parse_reply`] consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'b> {
    /// A simple string; also RESP3's boolean, double and big number, as they are spelled.
    Simple(&'b [u8]),
    /// An error, code first; also RESP3's long one.
    Error(&'b [u8]),
    /// An integer.
    Integer(i64),
    /// A bulk, also a verbatim string without its format; or any null.
    Bulk(Option<&'b [u8]>),
    /// An array, map or set.
    Aggregate,
    /// Something the backend says by itself, which answers no request.
    Push,
}

/// Why a backend's bytes are no reply. The stream cannot be trusted from there on: close the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyRefusal {
    /// A first byte that begins nothing, or a streamed type, which no server sends.
    KindUnknown(u8),
    /// A line over [`Limits::inline_bytes_max`].
    LineTooLong,
    /// A line that ends in a bare LF.
    LineUnterminated,
    /// A number that is not one, or a negative length.
    NumberInvalid,
    /// A body over [`Limits::bulk_bytes_max`].
    BulkTooLarge,
    /// A body that does not end in CRLF, or a verbatim string without a format.
    BulkInvalid,
    /// An aggregate of over [`Limits::args_max`] elements, or several that together have that many.
    AggregateTooLarge,
}

/// Reads one reply, with all that is nested in it, from the start of `input`. Attributes before it
/// are skipped and count as part of its frame.
///
/// Nesting costs no stack: elements still owed are only counted, and the limit on them is the limit
/// on depth.
#[inline]
pub fn parse_reply<'b>(input: &'b [u8], limits: &Limits) -> Parsed<Reply<'b>, ReplyRefusal> {
    match read_reply(input, limits) {
        Ok((reply, consumed)) => Parsed::Complete {
            request: reply,
            consumed,
        },
        Err(Stop::Incomplete(want)) => Parsed::Incomplete { want },
        Err(Stop::Refused(refusal)) => Parsed::Refused {
            refusal,
            consumed: input.len(),
        },
    }
}

/// The first line of a frame, which may be far too large to be kept: what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the body that follows, with a CRLF behind it.
    pub body_bytes: Option<u64>,
    /// How many frames follow that belong to it.
    pub owed: usize,
    /// It stands before another frame and does not count as one.
    pub is_attribute: bool,
}

/// Reads only the first line of a frame, to step over what follows.
pub fn parse_head(input: &[u8], limits: &Limits) -> Parsed<Head, ReplyRefusal> {
    match read_head(input, limits) {
        Ok((request, consumed)) => Parsed::Complete { request, consumed },
        Err(Stop::Incomplete(want)) => Parsed::Incomplete { want },
        Err(Stop::Refused(refusal)) => Parsed::Refused {
            refusal,
            consumed: input.len(),
        },
    }
}

fn read_head(input: &[u8], limits: &Limits) -> Result<(Head, usize), Stop> {
    let kind = read_kind(input, 0)?;
    let (text, end) = read_line(input, 1, limits)?;
    let mut head = Head {
        body_bytes: None,
        owed: 0,
        is_attribute: kind == b'|',
    };
    match kind {
        b'$' | b'*' if text == b"-1" => {}
        b'$' | b'!' | b'=' => head.body_bytes = Some(number::unsigned(text).ok_or(INVALID)?),
        b'*' | b'~' | b'>' => head.owed = count(text, 1, limits)?,
        b'%' | b'|' => head.owed = count(text, 2, limits)?,
        _ => {}
    }
    Ok((head, end))
}

/// Why reading ends early.
enum Stop {
    Incomplete(usize),
    Refused(ReplyRefusal),
}

#[inline]
fn read_reply<'b>(input: &'b [u8], limits: &Limits) -> Result<(Reply<'b>, usize), Stop> {
    let mut element = read_element(input, 0, limits)?;
    // Attributes: read past their elements, then take the next frame as the reply.
    while let Kind::Attribute = element.kind {
        let end = skip(input, element.end, element.owed, limits)?;
        element = read_element(input, end, limits)?;
    }
    let end = skip(input, element.end, element.owed, limits)?;
    let reply = match element.kind {
        Kind::Whole(reply) => reply,
        Kind::Attribute | Kind::Aggregate => Reply::Aggregate,
    };
    Ok((reply, end))
}

/// One frame without what is nested in it.
struct Element<'b> {
    kind: Kind<'b>,
    end: usize,
    /// How many frames follow that belong to it.
    owed: usize,
}

enum Kind<'b> {
    Whole(Reply<'b>),
    Aggregate,
    /// Stands before another frame and does not count as one.
    Attribute,
}

/// Steps over so many frames, and returns where the next one begins.
#[inline]
fn skip(input: &[u8], from: usize, owed: usize, limits: &Limits) -> Result<usize, Stop> {
    Scan { at: from, owed }.read_on(input, limits)
}

/// How far a reply has been read that comes in pieces, so that none of its frames is read again
/// with every piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Where the next frame begins.
    at: usize,
    /// How many frames are still to come.
    owed: usize,
}

impl Scan {
    /// Nothing of the reply has been read.
    pub const START: Self = Self { at: 0, owed: 1 };

    /// Reads on in `input`, which begins where the reply does and has what it had before.
    pub fn advance(&mut self, input: &[u8], limits: &Limits) -> Parsed<(), ReplyRefusal> {
        match self.read_on(input, limits) {
            Ok(consumed) => Parsed::Complete {
                request: (),
                consumed,
            },
            Err(Stop::Incomplete(want)) => Parsed::Incomplete { want },
            Err(Stop::Refused(refusal)) => Parsed::Refused {
                refusal,
                consumed: input.len(),
            },
        }
    }

    #[inline]
    fn read_on(&mut self, input: &[u8], limits: &Limits) -> Result<usize, Stop> {
        while self.owed > 0 {
            let element = read_element(input, self.at, limits)?;
            self.at = element.end;
            self.owed += element.owed;
            if !matches!(element.kind, Kind::Attribute) {
                self.owed -= 1;
            }
            if self.owed > limits.args_max {
                return Err(Stop::Refused(ReplyRefusal::AggregateTooLarge));
            }
        }
        Ok(self.at)
    }
}

#[inline]
fn read_element<'b>(input: &'b [u8], at: usize, limits: &Limits) -> Result<Element<'b>, Stop> {
    let kind = read_kind(input, at)?;
    // A value, almost always.
    if kind == b'$'
        && let Some(frame::Line { value, next }) = frame::length_at(input, at + 1)
        && input[next - 1] == b'\n'
    {
        return read_body(input, kind, value, next, limits);
    }
    let (text, end) = read_line(input, at + 1, limits)?;
    let whole = |reply| {
        Ok(Element {
            kind: Kind::Whole(reply),
            end,
            owed: 0,
        })
    };
    let aggregate = |kind, owed| Ok(Element { kind, end, owed });
    match kind {
        b'+' | b'#' | b',' | b'(' => whole(Reply::Simple(text)),
        b'-' => whole(Reply::Error(text)),
        b':' => whole(Reply::Integer(number::signed(text).ok_or(INVALID)?)),
        b'$' | b'*' if text == b"-1" => whole(Reply::Bulk(None)),
        b'_' => whole(Reply::Bulk(None)),
        b'*' | b'~' => aggregate(Kind::Aggregate, count(text, 1, limits)?),
        b'%' => aggregate(Kind::Aggregate, count(text, 2, limits)?),
        b'>' => aggregate(Kind::Whole(Reply::Push), count(text, 1, limits)?),
        b'|' => aggregate(Kind::Attribute, count(text, 2, limits)?),
        _ => {
            let length = number::unsigned(text).ok_or(INVALID)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            read_body(input, kind, length, end, limits)
        }
    }
}

#[inline]
fn read_kind(input: &[u8], at: usize) -> Result<u8, Stop> {
    match input.get(at) {
        None => Err(Stop::Incomplete(at + 1)),
        Some(kind) if b"+-:$*_#,(!=%~>|".contains(kind) => Ok(*kind),
        Some(kind) => Err(Stop::Refused(ReplyRefusal::KindUnknown(*kind))),
    }
}

const INVALID: Stop = Stop::Refused(ReplyRefusal::NumberInvalid);

/// How many frames an aggregate owes.
fn count(text: &[u8], frames_each: usize, limits: &Limits) -> Result<usize, Stop> {
    if text == b"?" {
        return Err(Stop::Refused(ReplyRefusal::KindUnknown(b'?')));
    }
    let count = number::unsigned(text).ok_or(INVALID)?;
    let owed = usize::try_from(count)
        .ok()
        .and_then(|count| count.checked_mul(frames_each));
    owed.filter(|&owed| owed <= limits.args_max)
        .ok_or(Stop::Refused(ReplyRefusal::AggregateTooLarge))
}

/// The rest of a bulk, a long error or a verbatim string, whose length line has been read.
#[inline]
fn read_body<'b>(
    input: &'b [u8],
    kind: u8,
    length: usize,
    at: usize,
    limits: &Limits,
) -> Result<Element<'b>, Stop> {
    if length > limits.bulk_bytes_max {
        return Err(Stop::Refused(ReplyRefusal::BulkTooLarge));
    }
    let end = at + length + CRLF.len();
    let block = input.get(at..end).ok_or(Stop::Incomplete(end))?;
    let invalid = Stop::Refused(ReplyRefusal::BulkInvalid);
    let Some(body) = block.strip_suffix(CRLF) else {
        return Err(invalid);
    };
    let reply = match kind {
        b'!' => Reply::Error(body),
        b'=' => Reply::Bulk(Some(body.get(VERBATIM_FORMAT_BYTES..).ok_or(invalid)?)),
        _ => Reply::Bulk(Some(body)),
    };
    Ok(Element {
        kind: Kind::Whole(reply),
        end,
        owed: 0,
    })
}

/// The line at `at` without its CRLF, and where the next one begins.
#[inline]
fn read_line<'b>(input: &'b [u8], at: usize, limits: &Limits) -> Result<(&'b [u8], usize), Stop> {
    let rest = &input[at..];
    let bytes_max = limits.inline_bytes_max.saturating_add(CRLF.len());
    let Some(newline) = memchr(b'\n', &rest[..rest.len().min(bytes_max)]) else {
        if rest.len() >= bytes_max {
            return Err(Stop::Refused(ReplyRefusal::LineTooLong));
        }
        return Err(Stop::Incomplete(input.len() + 1));
    };
    match rest[..newline].strip_suffix(b"\r") {
        Some(line) => Ok((line, at + newline + 1)),
        None => Err(Stop::Refused(ReplyRefusal::LineUnterminated)),
    }
}
