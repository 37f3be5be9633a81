//! Replies: written for a downstream, read from a backend; and the requests a backend is sent.

use memchr::memchr;

use super::{
    request::{Exptime, StoreVerb, Words},
    spelling::{Spelling, push_meta_key, push_meta_key_flag},
};
use crate::protocol::{Parsed, number};

/// A store that happened.
pub const STORED: &[u8] = b"STORED\r\n";
/// A store whose condition did not hold.
pub const NOT_STORED: &[u8] = b"NOT_STORED\r\n";
/// A `cas` that came too late.
pub const EXISTS: &[u8] = b"EXISTS\r\n";
/// No such key.
pub const NOT_FOUND: &[u8] = b"NOT_FOUND\r\n";
/// A `delete` that found its key.
pub const DELETED: &[u8] = b"DELETED\r\n";
/// A `touch` that found its key.
pub const TOUCHED: &[u8] = b"TOUCHED\r\n";
/// `flush_all`, `verbosity`.
pub const OK: &[u8] = b"OK\r\n";
/// After the last value or statistic.
pub const END: &[u8] = b"END\r\n";
/// `stats reset`.
pub const RESET: &[u8] = b"RESET\r\n";
/// `mn`.
pub const META_NO_OP: &[u8] = b"MN\r\n";
/// Unknown command, or a known one with too few or too many words.
pub const ERROR: &[u8] = b"ERROR\r\n";
/// A key or number that cannot be one.
pub const BAD_FORMAT: &[u8] = b"CLIENT_ERROR bad command line format\r\n";
/// The data block does not end in CRLF.
pub const BAD_DATA_CHUNK: &[u8] = b"CLIENT_ERROR bad data chunk\r\n";
/// `delete` with words it does not know.
pub const DELETE_USAGE: &[u8] =
    b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
/// `touch`, `gat` or `flush_all` with a time that is no number.
pub const INVALID_EXPTIME: &[u8] = b"CLIENT_ERROR invalid exptime argument\r\n";
/// `incr` or `decr` by what is no number.
pub const INVALID_DELTA: &[u8] = b"CLIENT_ERROR invalid numeric delta argument\r\n";
/// `incr` or `decr` of a value that is no number.
pub const NON_NUMERIC: &[u8] = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
/// `flush_all` where it is switched off.
pub const FLUSH_NOT_ALLOWED: &[u8] = b"CLIENT_ERROR flush_all not allowed\r\n";
/// `watch` where it is switched off.
pub const WATCH_NOT_ALLOWED: &[u8] = b"CLIENT_ERROR watch commands not allowed\r\n";
/// `stats cachedump` where it is switched off.
pub const CACHEDUMP_NOT_ALLOWED: &[u8] = b"CLIENT_ERROR stats cachedump not allowed\r\n";
/// `stats detail` with another word than it knows.
pub const DETAIL_USAGE: &[u8] = b"CLIENT_ERROR usage: stats detail on|off|dump\r\n";
/// `slabs reassign` where there is none.
pub const SLAB_REASSIGNMENT_DISABLED: &[u8] = b"CLIENT_ERROR slab reassignment disabled\r\n";
/// `lru_crawler` where there is none.
pub const LRU_CRAWLER_DISABLED: &[u8] = b"CLIENT_ERROR lru crawler disabled\r\n";
/// `cache_memlimit` below what it takes.
pub const MEMLIMIT_TOO_SMALL: &[u8] = b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
/// `cache_memlimit` where memory is taken once.
pub const MEMLIMIT_IS_FIXED: &[u8] =
    b"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";
/// `cache_memlimit` with what cannot be megabytes.
pub const MEMLIMIT_NOT_MEGABYTES: &[u8] =
    b"MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n";
/// `shutdown` where it is switched off.
pub const SHUTDOWN_NOT_ENABLED: &[u8] = b"ERROR: shutdown not enabled\r\n";
/// `shutdown` with another word than it knows.
pub const SHUTDOWN_MODE: &[u8] = b"CLIENT_ERROR invalid shutdown mode\r\n";
/// A value over the limit.
pub const TOO_LARGE: &[u8] = b"SERVER_ERROR object too large for cache\r\n";
/// No room for a value.
pub const OUT_OF_MEMORY_STORING: &[u8] = b"SERVER_ERROR out of memory storing object\r\n";
/// No room for something else.
pub const OUT_OF_MEMORY: &[u8] = b"SERVER_ERROR out of memory\r\n";
/// More connections than allowed; then the connection closes.
pub const TOO_MANY_CONNECTIONS: &[u8] = b"ERROR Too many open connections\r\n";

/// Longest reply line of a backend, in bytes; a VALUE line with the longest key and numbers has
/// 307.
const LINE_BYTES_MAX: usize = 2048;
/// All of a VALUE block but key and data: its words, spaces, line ends and longest numbers.
const VALUE_OVERHEAD: usize = "VALUE    \r\n\r\n".len() + 10 + 20 + 20;
const CRLF: &[u8] = b"\r\n";

/// Appends a `gat` or `gats` of one key, as a shard asks another.
pub fn encode_get_and_touch(out: &mut Vec<u8>, key: &[u8], cas: bool, exptime: Exptime) {
    out.extend_from_slice(if cas { b"gats " } else { b"gat " });
    number::write(out, exptime.0);
    out.push(b' ');
    out.extend_from_slice(key);
    out.extend_from_slice(CRLF);
}

/// Appends a whole VALUE block; `cas` for `gets` and `gats`.
#[inline]
pub fn value(out: &mut Vec<u8>, key: &[u8], flags: u32, data: &[u8], cas: Option<u64>) {
    out.reserve(VALUE_OVERHEAD + key.len() + data.len());
    value_line(out, key, flags, data.len(), cas);
    out.extend_from_slice(data);
    out.extend_from_slice(CRLF);
}

/// Appends only the line of a VALUE block, for data that is sent from where it lies and followed by
/// CRLF.
#[inline]
pub fn value_line(out: &mut Vec<u8>, key: &[u8], flags: u32, data_bytes: usize, cas: Option<u64>) {
    out.reserve(VALUE_OVERHEAD + key.len());
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key);
    if flags == 0 {
        out.extend_from_slice(b" 0 ");
    } else {
        out.push(b' ');
        number::write(out, flags);
        out.push(b' ');
    }
    match cas {
        None => number::write_line(out, data_bytes as u64),
        Some(cas) => {
            number::write(out, data_bytes);
            out.push(b' ');
            number::write_line(out, cas);
        }
    }
}

/// Appends a number on a line of its own: what `incr` and `decr` answer.
pub fn number(out: &mut Vec<u8>, number: u64) {
    number::write(out, number);
    out.extend_from_slice(CRLF);
}

/// Appends one line of statistics.
pub fn stat(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    let parts = [b"STAT ", name.as_ref(), b" ", value.as_ref(), CRLF];
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends the answer to `version`.
pub fn version(out: &mut Vec<u8>, version: &str) {
    let parts = [b"VERSION ", version.as_bytes(), CRLF];
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends `get <key>` for a backend.
#[inline]
pub fn encode_get(out: &mut Vec<u8>, key: &[u8]) {
    out.reserve("get \r\n".len() + key.len());
    out.extend_from_slice(b"get ");
    out.extend_from_slice(key);
    out.extend_from_slice(CRLF);
}

/// Appends a meta get of value and flags for a backend.
pub fn encode_meta_get(out: &mut Vec<u8>, key: &[u8], spelling: Spelling) {
    out.extend_from_slice(b"mg ");
    push_meta_key(out, key, spelling);
    push_meta_key_flag(out, spelling);
    out.extend_from_slice(b" v f\r\n");
}

/// Appends `delete <key>` for a backend.
pub fn encode_delete(out: &mut Vec<u8>, key: &[u8]) {
    let parts = [b"delete ", key, CRLF];
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends `flush_all <delay>` for a backend.
pub fn encode_flush_all(out: &mut Vec<u8>, delay: Exptime) {
    out.extend_from_slice(b"flush_all ");
    number::write(out, delay.0);
    out.extend_from_slice(CRLF);
}

/// Appends a store for a backend.
pub fn encode_store(
    out: &mut Vec<u8>,
    verb: StoreVerb,
    key: &[u8],
    flags: u32,
    exptime: Exptime,
    value: &[u8],
) {
    out.extend_from_slice(match verb {
        StoreVerb::Set => b"set ",
        StoreVerb::Add => b"add ",
        StoreVerb::Replace => b"replace ",
        StoreVerb::Append => b"append ",
        StoreVerb::Prepend => b"prepend ",
        StoreVerb::Cas(_) => b"cas ",
    });
    out.extend_from_slice(key);
    out.push(b' ');
    number::write(out, flags);
    out.push(b' ');
    number::write(out, exptime.0);
    out.push(b' ');
    number::write(out, value.len());
    if let StoreVerb::Cas(id) = verb {
        out.push(b' ');
        number::write(out, id);
    }
    out.extend_from_slice(CRLF);
    out.extend_from_slice(value);
    out.extend_from_slice(CRLF);
}

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
    let refuse = |refusal| Parsed::Refused {
        refusal,
        consumed: input.len(),
    };
    let window = &input[..input.len().min(LINE_BYTES_MAX)];
    let Some(newline) = memchr(b'\n', window) else {
        if input.len() >= LINE_BYTES_MAX {
            return refuse(ReplyRefusal::LineTooLong);
        }
        return Parsed::Incomplete {
            want: input.len() + 1,
        };
    };
    let consumed = newline + 1;
    let line = &input[..consumed];
    if !line.starts_with(b"VALUE ") {
        let reply = if line == END {
            Reply::End
        } else {
            Reply::Line(line)
        };
        return Parsed::Complete {
            request: reply,
            consumed,
        };
    }
    let Some((key, flags, length, cas)) = value_words(line) else {
        return refuse(ReplyRefusal::ValueLineInvalid);
    };
    let Some(length) = usize::try_from(length)
        .ok()
        .filter(|&length| length <= value_bytes_max)
    else {
        return refuse(ReplyRefusal::ValueTooLarge);
    };
    let end = consumed + length + CRLF.len();
    let Some(block) = input.get(consumed..end) else {
        return Parsed::Incomplete { want: end };
    };
    let Some(data) = block.strip_suffix(CRLF) else {
        return refuse(ReplyRefusal::ValueUnterminated);
    };
    Parsed::Complete {
        request: Reply::Value {
            key,
            flags,
            cas,
            data,
        },
        consumed: end,
    }
}

/// Whether a line says that a request was not done.
pub fn is_error(line: &[u8]) -> bool {
    line.starts_with(b"SERVER_ERROR")
        || line.starts_with(b"CLIENT_ERROR")
        || line.starts_with(b"ERROR")
}

/// Whether a line can be memcached's answer to one request: a number alone, or a word in capitals,
/// whatever follows it. No other protocol's answers are, so whoever reads one does not pass off what
/// an HTTP server says, for instance, as what became of a store.
#[inline]
pub fn is_answer(line: &[u8]) -> bool {
    let text = line.trim_ascii_end();
    let word_bytes = text
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || **byte == b'_')
        .count();
    match text.get(word_bytes) {
        None | Some(b' ' | b':') => word_bytes > 0,
        Some(_) => text.iter().all(u8::is_ascii_digit),
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
    let window = &input[..input.len().min(LINE_BYTES_MAX)];
    let line_bytes = memchr(b'\n', window)? + 1;
    let (key, _, data_bytes, _) = value_words(&input[..line_bytes])?;
    Some(ValueHead {
        key,
        data_bytes,
        line_bytes,
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
    fn replies_are_written_as_memcached_writes_them() {
        let mut out = Vec::new();
        value(&mut out, b"k", 0, b"abc", None);
        value(&mut out, b"k", u32::MAX, b"", Some(u64::MAX));
        number(&mut out, 42);
        stat(&mut out, "pid", b"1");
        version(&mut out, "1.2.3");
        let expected = b"VALUE k 0 3\r\nabc\r\nVALUE k 4294967295 0 18446744073709551615\r\n\r\n\
            42\r\nSTAT pid 1\r\nVERSION 1.2.3\r\n";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn requests_are_written_as_memcached_reads_them() {
        let mut out = Vec::new();
        encode_get(&mut out, b"a");
        encode_delete(&mut out, b"a");
        encode_store(&mut out, StoreVerb::Set, b"a", 1, Exptime(-1), b"x\r\ny");
        encode_store(&mut out, StoreVerb::Cas(7), b"a", 0, Exptime::NEVER, b"");
        let expected = b"get a\r\ndelete a\r\nset a 1 -1 4\r\nx\r\ny\r\ncas a 0 0 0 7\r\n\r\n";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

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
