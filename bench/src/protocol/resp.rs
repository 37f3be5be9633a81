//! RESP, the client's side (the Redis serialization protocol specification, versions 2 and 3).

use super::{Asked, Op, Outcome, Parsed, judge_value, line, number, only_to};
use crate::item::{self, Items, KEY_BYTES, VALUE_BYTES_MAX};

pub(super) fn append_request(out: &mut Vec<u8>, op: Op, key_index: u32, items: Items) {
    let value_bytes = items.sizes.bytes_of(key_index);
    let head = match op {
        Op::Read => format!("*2\r\n$3\r\nGET\r\n${KEY_BYTES}\r\n"),
        Op::Write => format!("*3\r\n$3\r\nSET\r\n${KEY_BYTES}\r\n"),
    };
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&items.key(key_index));
    out.extend_from_slice(b"\r\n");
    if op == Op::Write {
        out.extend_from_slice(format!("${value_bytes}\r\n").as_bytes());
        item::append_value(out, key_index, value_bytes);
        out.extend_from_slice(b"\r\n");
    }
}

pub(super) fn reply_bytes(op: Op, value_bytes: usize) -> usize {
    match op {
        Op::Read => format!("${value_bytes}\r\n").len() + value_bytes + "\r\n".len(),
        Op::Write => "+OK\r\n".len(),
    }
}

pub(super) fn parse(bytes: &[u8], asked: Asked, items: Items) -> Parsed {
    let (line, value_start) = match line(bytes) {
        Ok(found) => found,
        Err(parsed) => return parsed,
    };
    let outcome = match line {
        b"$-1" | b"_" => only_to(Op::Read, asked, Outcome::Miss),
        b"+OK" => only_to(Op::Write, asked, Outcome::Stored),
        [b'-', ..] => Outcome::Error,
        [b'$', digits @ ..] => return parse_bulk(bytes, digits, value_start, asked, items),
        _ => return Parsed::Invalid,
    };
    Parsed::Complete {
        reply_bytes: value_start,
        outcome,
    }
}

fn parse_bulk(
    bytes: &[u8],
    digits: &[u8],
    value_start: usize,
    asked: Asked,
    items: Items,
) -> Parsed {
    let Some(value_bytes) = number(digits).filter(|&bytes| bytes <= VALUE_BYTES_MAX as usize)
    else {
        return Parsed::Invalid;
    };
    let value_end = value_start + value_bytes;
    let reply_bytes = value_end + "\r\n".len();
    match bytes.get(value_end..reply_bytes) {
        None => Parsed::Incomplete,
        Some(b"\r\n") => Parsed::Complete {
            reply_bytes,
            outcome: judge_value(&bytes[value_start..value_end], asked, items),
        },
        Some(_) => Parsed::Invalid,
    }
}
