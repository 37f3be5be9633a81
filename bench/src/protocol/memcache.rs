//! memcache's classic text protocol, the client's side (memcached `doc/protocol.txt`).

use super::{Asked, Op, Outcome, Parsed, judge_value, line, number, only_to};
use crate::item::{self, Items, KEY_BYTES, VALUE_BYTES_MAX};

const HIT_FOOTER: &[u8] = b"\r\nEND\r\n";

pub(super) fn append_request(out: &mut Vec<u8>, op: Op, key_index: u32, items: Items) {
    let value_bytes = items.sizes.bytes_of(key_index);
    match op {
        Op::Read => {
            out.extend_from_slice(b"get ");
            out.extend_from_slice(&items.key(key_index));
        }
        Op::Write => {
            out.extend_from_slice(b"set ");
            out.extend_from_slice(&items.key(key_index));
            out.extend_from_slice(format!(" 0 0 {value_bytes}\r\n").as_bytes());
            item::append_value(out, key_index, value_bytes);
        }
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn reply_bytes(op: Op, value_bytes: usize) -> usize {
    match op {
        Op::Read => {
            let header = "VALUE ".len() + KEY_BYTES + format!(" 0 {value_bytes}\r\n").len();
            header + value_bytes + HIT_FOOTER.len()
        }
        Op::Write => "STORED\r\n".len(),
    }
}

pub(super) fn parse(bytes: &[u8], asked: Asked, items: Items) -> Parsed {
    let (line, value_start) = match line(bytes) {
        Ok(found) => found,
        Err(parsed) => return parsed,
    };
    let outcome = match line {
        b"END" => only_to(Op::Read, asked, Outcome::Miss),
        b"STORED" => only_to(Op::Write, asked, Outcome::Stored),
        b"NOT_STORED" | b"ERROR" => Outcome::Error,
        _ if line.starts_with(b"SERVER_ERROR") || line.starts_with(b"CLIENT_ERROR") => {
            Outcome::Error
        }
        _ => match line.strip_prefix(b"VALUE ") {
            Some(header) => return parse_value(bytes, header, value_start, asked, items),
            None => return Parsed::Invalid,
        },
    };
    Parsed::Complete {
        reply_bytes: value_start,
        outcome,
    }
}

/// `header` is what follows `VALUE `: `<key> <flags> <bytes>`.
fn parse_value(
    bytes: &[u8],
    header: &[u8],
    value_start: usize,
    asked: Asked,
    items: Items,
) -> Parsed {
    let mut words = header.splitn(3, |&byte| byte == b' ');
    let (Some(key), Some(flags), Some(value_bytes)) =
        (words.next(), words.next(), words.next().and_then(number))
    else {
        return Parsed::Invalid;
    };
    if value_bytes > VALUE_BYTES_MAX as usize {
        return Parsed::Invalid;
    }
    let value_end = value_start + value_bytes;
    let reply_bytes = value_end + HIT_FOOTER.len();
    let Some(footer) = bytes.get(value_end..reply_bytes) else {
        return Parsed::Incomplete;
    };
    if footer != HIT_FOOTER {
        return Parsed::Invalid;
    }
    let outcome = if key == items.key(asked.key_index) && flags == b"0" {
        judge_value(&bytes[value_start..value_end], asked, items)
    } else {
        Outcome::Wrong
    };
    Parsed::Complete {
        reply_bytes,
        outcome,
    }
}
