//! Replies: written for a downstream, read from a backend; and the commands a backend is sent.

mod read;

pub use self::read::{Head, Reply, ReplyRefusal, Scan, parse_head, parse_reply};
use super::Version;
use crate::protocol::number;

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
