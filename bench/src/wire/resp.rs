//! RESP, the client's side (the Redis serialization protocol specification, versions 2 and 3).

use super::values::Values;
use super::{Asked, Op, Outcome, Parsed, line, number, only_to};
use crate::workload::item::{self, Items, KEY_BYTES_MAX};
use crate::workload::sizes::VALUE_BYTES_MAX;

/// Values within values that the answer to HELLO may have.
const NESTING_MAX: usize = 8;

pub(super) fn append_read(out: &mut Vec<u8>, keys: &[u32], items: &Items) {
    let name: &[u8] = if keys.len() == 1 { b"GET" } else { b"MGET" };
    append_head(out, 1 + keys.len(), name);
    for &key_index in keys {
        append_key(out, key_index, items);
    }
}

pub(super) fn append_write(
    out: &mut Vec<u8>,
    key_index: u32,
    value_bytes: usize,
    ttl_s: u32,
    items: &Items,
) {
    append_head(out, if ttl_s > 0 { 5 } else { 3 }, b"SET");
    append_key(out, key_index, items);
    out.extend_from_slice(format!("${value_bytes}\r\n").as_bytes());
    item::append_value(out, key_index, value_bytes);
    out.extend_from_slice(b"\r\n");
    if ttl_s > 0 {
        append_bulk(out, b"EX");
        append_bulk(out, ttl_s.to_string().as_bytes());
    }
}

pub(super) fn append_delete(out: &mut Vec<u8>, key_index: u32, items: &Items) {
    append_head(out, 2, b"DEL");
    append_key(out, key_index, items);
}

fn append_head(out: &mut Vec<u8>, words: usize, name: &[u8]) {
    out.extend_from_slice(format!("*{words}\r\n").as_bytes());
    append_bulk(out, name);
}

fn append_key(out: &mut Vec<u8>, key_index: u32, items: &Items) {
    append_bulk(out, items.key(key_index, &mut [0; KEY_BYTES_MAX]));
}

fn append_bulk(out: &mut Vec<u8>, bulk: &[u8]) {
    out.extend_from_slice(format!("${}\r\n", bulk.len()).as_bytes());
    out.extend_from_slice(bulk);
    out.extend_from_slice(b"\r\n");
}

/// `null` is how the version that is spoken says that there is no value.
pub(super) fn parse(bytes: &[u8], asked: Asked<'_>, items: &Items, null: &[u8]) -> Parsed {
    let (line, reply_bytes) = match line(bytes) {
        Ok(found) => found,
        Err(parsed) => return parsed,
    };
    let outcome = match line {
        [b'$' | b'_', ..] => return parse_elements(bytes, 0, 1, asked, items, null),
        [b'*', digits @ ..] => {
            // An array answers a read of several keys only; what else has one cannot be skipped safely.
            return match number(digits) {
                Some(count) if count == asked.keys.len() && count > 1 => {
                    parse_elements(bytes, reply_bytes, count, asked, items, null)
                }
                _ => Parsed::Invalid,
            };
        }
        b"+OK" => only_to(Op::Write, asked, Outcome::Stored),
        b":1" => only_to(Op::Delete, asked, Outcome::Deleted { was_there: true }),
        b":0" => only_to(Op::Delete, asked, Outcome::Deleted { was_there: false }),
        [b'-', ..] => Outcome::Error,
        _ => return Parsed::Invalid,
    };
    Parsed::Complete {
        reply_bytes,
        outcome,
    }
}

/// `count` values from `start` on, bulk or null.
fn parse_elements(
    bytes: &[u8],
    mut start: usize,
    count: usize,
    asked: Asked<'_>,
    items: &Items,
    null: &[u8],
) -> Parsed {
    let mut values = Values::of(asked);
    if count != asked.keys.len() {
        values.reject();
    }
    for _ in 0..count {
        let (line, value_start) = match line(&bytes[start..]) {
            Ok((line, line_bytes)) => (line, start + line_bytes),
            Err(parsed) => return parsed,
        };
        if line == null {
            values.next(None, items);
            start = value_start;
            continue;
        }
        let bulk_bytes = line.strip_prefix(b"$").and_then(number);
        let Some(value_bytes) = bulk_bytes.filter(|&bytes| bytes <= VALUE_BYTES_MAX as usize)
        else {
            return Parsed::Invalid;
        };
        let value_end = value_start + value_bytes;
        match bytes.get(value_end..value_end + 2) {
            None => return Parsed::Incomplete,
            Some(b"\r\n") => values.next(Some(&bytes[value_start..value_end]), items),
            Some(_) => return Parsed::Invalid,
        }
        start = value_end + 2;
    }
    Parsed::Complete {
        reply_bytes: start,
        outcome: values.outcome(),
    }
}

/// Length of the value of any type at the start of `bytes`: `None` if more has to come, an error if it is none.
pub(super) fn value_bytes(bytes: &[u8]) -> Option<Result<usize, ()>> {
    match skip(bytes, 0, NESTING_MAX) {
        Ok(end) if end <= bytes.len() => Some(Ok(end)),
        Ok(_) | Err(Parsed::Incomplete) => None,
        Err(_) => Some(Err(())),
    }
}

fn skip(bytes: &[u8], start: usize, nesting: usize) -> Result<usize, Parsed> {
    let (line, line_bytes) = line(bytes.get(start..).ok_or(Parsed::Incomplete)?)?;
    let end = start + line_bytes;
    let (kind, rest) = line.split_first().ok_or(Parsed::Invalid)?;
    let count = || number(rest).ok_or(Parsed::Invalid);
    let elements = match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => return Ok(end),
        b'$' | b'=' => return Ok(end + count()? + 2),
        b'*' | b'~' | b'>' => count()?,
        b'%' => 2 * count()?,
        _ => return Err(Parsed::Invalid),
    };
    let nesting = nesting.checked_sub(1).ok_or(Parsed::Invalid)?;
    (0..elements).try_fold(end, |end, _| skip(bytes, end, nesting))
}
