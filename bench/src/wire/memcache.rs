//! memcache's classic text protocol, the client's side (memcached `doc/protocol.txt`).

use super::values::Values;
use super::{Asked, Op, Outcome, Parsed, append_key, line, number, only_to};
use crate::workload::item::{self, Items};
use crate::workload::sizes::VALUE_BYTES_MAX;

pub(super) fn append_read(out: &mut Vec<u8>, keys: &[u32], items: &Items) {
    out.extend_from_slice(b"get");
    for &key_index in keys {
        out.push(b' ');
        append_key(out, key_index, items);
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn append_write(
    out: &mut Vec<u8>,
    key_index: u32,
    value_bytes: usize,
    ttl_s: u32,
    items: &Items,
) {
    out.extend_from_slice(b"set ");
    append_key(out, key_index, items);
    out.extend_from_slice(format!(" 0 {ttl_s} {value_bytes}\r\n").as_bytes());
    item::append_value(out, key_index, value_bytes);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn append_delete(out: &mut Vec<u8>, key_index: u32, items: &Items) {
    out.extend_from_slice(b"delete ");
    append_key(out, key_index, items);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn parse(bytes: &[u8], asked: Asked<'_>, items: &Items) -> Parsed {
    let (line, reply_bytes) = match line(bytes) {
        Ok(found) => found,
        Err(parsed) => return parsed,
    };
    let outcome = match line {
        b"END" => Values::of(asked).outcome(),
        b"STORED" => only_to(Op::Write, asked, Outcome::Stored),
        b"DELETED" => only_to(Op::Delete, asked, Outcome::Deleted { was_there: true }),
        b"NOT_FOUND" => only_to(Op::Delete, asked, Outcome::Deleted { was_there: false }),
        b"NOT_STORED" => Outcome::Error,
        _ if is_error(line) => Outcome::Error,
        _ if line.starts_with(b"VALUE ") => return parse_values(bytes, asked, items),
        _ => return Parsed::Invalid,
    };
    Parsed::Complete {
        reply_bytes,
        outcome,
    }
}

/// Whether a line is one of the three kinds of errors.
pub(super) fn is_error(line: &[u8]) -> bool {
    line == b"ERROR" || line.starts_with(b"SERVER_ERROR") || line.starts_with(b"CLIENT_ERROR")
}

/// Values until `END`, each `VALUE <key> <flags> <bytes>` and its bytes.
fn parse_values(bytes: &[u8], asked: Asked<'_>, items: &Items) -> Parsed {
    let mut values = Values::of(asked);
    let mut start = 0;
    loop {
        let (line, value_start) = match line(&bytes[start..]) {
            Ok((line, line_bytes)) => (line, start + line_bytes),
            Err(parsed) => return parsed,
        };
        if line == b"END" {
            return Parsed::Complete {
                reply_bytes: value_start,
                outcome: values.outcome(),
            };
        }
        let Some((key, value_bytes)) = header(line) else {
            return Parsed::Invalid;
        };
        let value_end = value_start + value_bytes;
        match bytes.get(value_end..value_end + 2) {
            None => return Parsed::Incomplete,
            Some(b"\r\n") => values.keyed(key, &bytes[value_start..value_end], items),
            Some(_) => return Parsed::Invalid,
        }
        start = value_end + 2;
    }
}

/// The key and the length in a value's first line. Flags are always 0 here, so others are no header of ours.
fn header(line: &[u8]) -> Option<(&[u8], usize)> {
    let mut words = line
        .strip_prefix(b"VALUE ")?
        .splitn(3, |&byte| byte == b' ');
    let (key, flags, value_bytes) = (words.next()?, words.next()?, number(words.next()?)?);
    (flags == b"0" && value_bytes <= VALUE_BYTES_MAX as usize).then_some((key, value_bytes))
}
