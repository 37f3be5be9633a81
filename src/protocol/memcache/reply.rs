//! Replies: written for a downstream, read from a backend; and the requests a backend is sent.

mod read;

#[cfg(test)]
pub(super) use self::read::LINE_BYTES_MAX;
pub use self::read::{Reply, ReplyRefusal, ValueHead, parse_reply, value_head};
pub(super) use self::read::{data_at, line_at_start, refuse};
use super::{
    request::{Exptime, StoreVerb},
    spelling::{Spelling, push_meta_key, push_meta_key_flag},
};
use crate::protocol::number;

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

#[cfg(test)]
mod tests {
    use super::*;

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
        encode_delete(&mut out, b"a");
        encode_store(&mut out, StoreVerb::Set, b"a", 1, Exptime(-1), b"x\r\ny");
        encode_store(&mut out, StoreVerb::Cas(7), b"a", 0, Exptime::NEVER, b"");
        let expected = b"delete a\r\nset a 1 -1 4\r\nx\r\ny\r\ncas a 0 0 0 7\r\n\r\n";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}
