//! Replies: written for a downstream, read from a backend; and the commands a backend is sent.

use memchr::memchr;

use super::{Limits, Version, frame};
use crate::protocol::{Parsed, number};

/// What SET and most commands without a result answer.
pub const OK: &[u8] = b"+OK\r\n";
/// PING without a message.
pub const PONG: &[u8] = b"+PONG\r\n";
/// RESET.
pub const RESET: &[u8] = b"+RESET\r\n";
/// No, none, not done.
pub const ZERO: &[u8] = b":0\r\n";
/// Yes, one, done.
pub const ONE: &[u8] = b":1\r\n";
/// INCR and the like on what is no number.
pub const NOT_AN_INTEGER: &[u8] = b"-ERR value is not an integer or out of range\r\n";
/// INCR and the like over 63 bits.
pub const OVERFLOW: &[u8] = b"-ERR increment or decrement would overflow\r\n";
/// INCRBYFLOAT on what is no number, or by that.
pub const NOT_A_FLOAT: &[u8] = b"-ERR value is not a valid float\r\n";
/// INCRBYFLOAT over all numbers there are.
pub const NOT_FINITE: &[u8] = b"-ERR increment would produce NaN or Infinity\r\n";
/// RENAME of nothing.
pub const NO_SUCH_KEY: &[u8] = b"-ERR no such key\r\n";
/// APPEND over the limit.
pub const STRING_TOO_LONG: &[u8] =
    b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
/// A command before AUTH where a password is set.
pub const NO_AUTH: &[u8] = b"-NOAUTH Authentication required.\r\n";
/// AUTH with a user or password that is not right.
pub const WRONG_PASS: &[u8] = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
/// AUTH with a password alone where none is set.
pub const NO_PASSWORD: &[u8] = b"-ERR AUTH <password> called without any password configured for \
    the default user. Are you sure your configuration is correct?\r\n";
/// SELECT of a database that is not there.
pub const DB_INDEX: &[u8] = b"-ERR DB index is out of range\r\n";
/// No room for a value.
pub const OUT_OF_MEMORY: &[u8] = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
/// More connections than allowed; then the connection closes.
pub const TOO_MANY_CONNECTIONS: &[u8] = b"-ERR max number of clients reached\r\n";

const CRLF: &[u8] = b"\r\n";
/// A bulk's header at its longest: `$`, the digits of a `usize`, CRLF; and the CRLF after the body.
const BULK_OVERHEAD: usize = 1 + 20 + 2 + 2;

/// Appends a simple string, which must have no CR or LF.
pub fn simple(out: &mut Vec<u8>, text: impl AsRef<[u8]>) {
    line(out, b'+', text.as_ref());
}

/// Appends an error, code first (`ERR …`), which must have no CR or LF.
pub fn error(out: &mut Vec<u8>, text: impl AsRef<[u8]>) {
    line(out, b'-', text.as_ref());
}

/// Appends an integer.
#[inline]
pub fn integer(out: &mut Vec<u8>, value: i64) {
    out.push(b':');
    number::write(out, value);
    out.extend_from_slice(CRLF);
}

/// Appends a bulk string.
#[inline]
pub fn bulk(out: &mut Vec<u8>, data: &[u8]) {
    out.reserve(BULK_OVERHEAD + data.len());
    bulk_header(out, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(CRLF);
}

/// Appends only a bulk's header, for data that is sent from where it lies and followed by CRLF.
#[inline]
pub fn bulk_header(out: &mut Vec<u8>, data_bytes: usize) {
    header(out, b'$', data_bytes);
}

/// Appends the null that stands for a missing value.
#[inline]
pub fn null(out: &mut Vec<u8>, version: Version) {
    out.extend_from_slice(match version {
        Version::Resp2 => b"$-1\r\n",
        Version::Resp3 => b"_\r\n",
    });
}

/// Appends the null that stands for a missing array, as in COMMAND INFO.
pub fn null_array(out: &mut Vec<u8>, version: Version) {
    out.extend_from_slice(match version {
        Version::Resp2 => b"*-1\r\n",
        Version::Resp3 => b"_\r\n",
    });
}

/// Begins an array of so many elements.
#[inline]
pub fn array_header(out: &mut Vec<u8>, count: usize) {
    header(out, b'*', count);
}

/// Begins a map of so many pairs: in RESP2 an array of twice as many elements.
pub fn map_header(out: &mut Vec<u8>, pairs: usize, version: Version) {
    match version {
        Version::Resp2 => header(out, b'*', pairs * 2),
        Version::Resp3 => header(out, b'%', pairs),
    }
}

/// Begins a set of so many elements: in RESP2 an array.
pub fn set_header(out: &mut Vec<u8>, count: usize, version: Version) {
    match version {
        Version::Resp2 => header(out, b'*', count),
        Version::Resp3 => header(out, b'~', count),
    }
}

/// Begins a push of so many elements, which only RESP3 has.
pub fn push_header(out: &mut Vec<u8>, count: usize) {
    header(out, b'>', count);
}

/// Appends a number with a fraction: in RESP2 a bulk.
pub fn double(out: &mut Vec<u8>, value: f64, version: Version) {
    match version {
        Version::Resp2 => {
            let mut text = Vec::new();
            number::write_double(&mut text, value);
            bulk(out, &text);
        }
        Version::Resp3 => {
            out.push(b',');
            number::write_double(out, value);
            out.extend_from_slice(CRLF);
        }
    }
}

/// Appends text for people, as INFO answers: in RESP2 a bulk.
pub fn verbatim(out: &mut Vec<u8>, text: &[u8], version: Version) {
    match version {
        Version::Resp2 => bulk(out, text),
        Version::Resp3 => {
            header(out, b'=', VERBATIM_FORMAT_BYTES + text.len());
            out.extend_from_slice(b"txt:");
            out.extend_from_slice(text);
            out.extend_from_slice(CRLF);
        }
    }
}

/// Appends a command for a backend.
pub fn encode_command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    array_header(out, arguments.len());
    arguments.iter().for_each(|argument| bulk(out, argument));
}

#[inline]
fn header(out: &mut Vec<u8>, kind: u8, count: usize) {
    // Most counts have one digit or two, and make a header that is copied in one go.
    if count < 10 {
        // Fits: below 10.
        out.extend_from_slice(&[kind, b'0' + count as u8, b'\r', b'\n']);
        return;
    }
    if count < 100 {
        let (tens, ones) = (count as u8 / 10, count as u8 % 10);
        out.extend_from_slice(&[kind, b'0' + tens, b'0' + ones, b'\r', b'\n']);
        return;
    }
    out.push(kind);
    number::write(out, count);
    out.extend_from_slice(CRLF);
}

fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(CRLF);
}

/// The format of a verbatim string: three letters and a colon.
const VERBATIM_FORMAT_BYTES: usize = "txt:".len();

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
