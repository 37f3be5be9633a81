//! memcache's meta commands, the client's side (memcached `doc/protocol.txt`, "Meta Commands").
//!
//! A read of one key asks for its key and value and is answered `VA` or `EN`. A read of several is a row of quiet ones,
//! of which misses are not answered, and a `mn` whose `MN` ends the row.

use super::memcache::is_error;
use super::values::Values;
use super::{Asked, Op, Outcome, Parsed, append_key, line, number, only_to};
use crate::workload::item::{self, Items};
use crate::workload::sizes::VALUE_BYTES_MAX;

pub(super) fn append_read(out: &mut Vec<u8>, keys: &[u32], items: &Items) {
    let flags: &[u8] = if keys.len() == 1 {
        b" k v\r\n"
    } else {
        b" k v q\r\n"
    };
    for &key_index in keys {
        out.extend_from_slice(b"mg ");
        append_key(out, key_index, items);
        out.extend_from_slice(flags);
    }
    if keys.len() > 1 {
        out.extend_from_slice(b"mn\r\n");
    }
}

pub(super) fn append_write(
    out: &mut Vec<u8>,
    key_index: u32,
    value_bytes: usize,
    ttl_s: u32,
    items: &Items,
) {
    out.extend_from_slice(b"ms ");
    append_key(out, key_index, items);
    out.extend_from_slice(format!(" {value_bytes}").as_bytes());
    if ttl_s > 0 {
        out.extend_from_slice(format!(" T{ttl_s}").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    item::append_value(out, key_index, value_bytes);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn append_delete(out: &mut Vec<u8>, key_index: u32, items: &Items) {
    out.extend_from_slice(b"md ");
    append_key(out, key_index, items);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn parse(bytes: &[u8], asked: Asked<'_>, items: &Items) -> Parsed {
    if asked.op == Op::Read && asked.keys.len() > 1 {
        return parse_row(bytes, asked, items);
    }
    let (line, line_bytes) = match line(bytes) {
        Ok(found) => found,
        Err(parsed) => return parsed,
    };
    let mut values = Values::of(asked);
    let (reply_bytes, outcome) = match line {
        b"EN" => (line_bytes, values.outcome()),
        b"HD" if asked.op == Op::Delete => (line_bytes, Outcome::Deleted { was_there: true }),
        b"HD" => (line_bytes, only_to(Op::Write, asked, Outcome::Stored)),
        b"NF" => (
            line_bytes,
            only_to(Op::Delete, asked, Outcome::Deleted { was_there: false }),
        ),
        b"NS" => (line_bytes, Outcome::Error),
        _ if is_error(line) => (line_bytes, Outcome::Error),
        _ => match parse_value(bytes, line, line_bytes) {
            Ok((key, value, reply_bytes)) => {
                values.keyed(key, value, items);
                (reply_bytes, values.outcome())
            }
            Err(parsed) => return parsed,
        },
    };
    Parsed::Complete {
        reply_bytes,
        outcome,
    }
}

/// Hits until `MN`. An error within is the answer to one of the row; the row still ends with `MN`.
fn parse_row(bytes: &[u8], asked: Asked<'_>, items: &Items) -> Parsed {
    let mut values = Values::of(asked);
    let mut is_refused = false;
    let mut start = 0;
    loop {
        let rest = &bytes[start..];
        let (line, line_bytes) = match line(rest) {
            Ok(found) => found,
            Err(parsed) => return parsed,
        };
        if line == b"MN" {
            return Parsed::Complete {
                reply_bytes: start + line_bytes,
                outcome: if is_refused {
                    Outcome::Error
                } else {
                    values.outcome()
                },
            };
        }
        if is_error(line) {
            is_refused = true;
            start += line_bytes;
            continue;
        }
        match parse_value(rest, line, line_bytes) {
            Ok((key, value, reply_bytes)) => {
                values.keyed(key, value, items);
                start += reply_bytes;
            }
            Err(parsed) => return parsed,
        }
    }
}

/// The key, the value and the length of a reply whose first line is `VA <bytes> k<key>`.
fn parse_value<'b>(
    bytes: &'b [u8],
    line: &'b [u8],
    value_start: usize,
) -> Result<(&'b [u8], &'b [u8], usize), Parsed> {
    let header = line.strip_prefix(b"VA ").and_then(|header| {
        let mut words = header.splitn(2, |&byte| byte == b' ');
        Some((number(words.next()?)?, words.next()?.strip_prefix(b"k")?))
    });
    let Some((value_bytes, key)) = header.filter(|header| header.0 <= VALUE_BYTES_MAX as usize)
    else {
        return Err(Parsed::Invalid);
    };
    let value_end = value_start + value_bytes;
    match bytes.get(value_end..value_end + 2) {
        None => Err(Parsed::Incomplete),
        Some(b"\r\n") => Ok((key, &bytes[value_start..value_end], value_end + 2)),
        Some(_) => Err(Parsed::Invalid),
    }
}
