//! What is asked and how an answer is judged, in the words of each protocol.

pub(crate) mod http;
mod memcache;
mod meta;
mod resp;
mod values;

use crate::workload::item::Items;

/// Longest line of a reply, bytes; an error text that is longer is not one.
const LINE_BYTES_MAX: usize = 2048;

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// memcache, classic text: `get`, `set` and `delete`
    Memcache,
    /// memcache, meta commands: `mg`, `ms` and `md`
    Meta,
    /// RESP2: `GET` or `MGET`, `SET` and `DEL`
    Resp,
    /// RESP3: the same after `HELLO 3`
    Resp3,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memcache => "memcache",
            Self::Meta => "meta",
            Self::Resp => "resp",
            Self::Resp3 => "resp3",
        }
    }

    /// What a connection says first, and which `is_greeted` answers. Empty: nothing.
    pub(crate) fn greeting(self) -> &'static [u8] {
        match self {
            Self::Resp3 => b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
            Self::Memcache | Self::Meta | Self::Resp => b"",
        }
    }

    /// Whether `reply` answers the greeting: `None` if more has to come, `Some(false)` if the server refuses.
    pub(crate) fn is_greeted(self, reply: &[u8]) -> Option<bool> {
        match resp::value_bytes(reply)? {
            Ok(bytes) => Some(bytes == reply.len() && reply.starts_with(b"%")),
            Err(()) => Some(false),
        }
    }

    /// Appends a request for the values of these keys, at least one.
    pub(crate) fn append_read(self, out: &mut Vec<u8>, keys: &[u32], items: &Items) {
        match self {
            Self::Memcache => memcache::append_read(out, keys, items),
            Self::Meta => meta::append_read(out, keys, items),
            Self::Resp | Self::Resp3 => resp::append_read(out, keys, items),
        }
    }

    /// Appends a write of the first `value_bytes` bytes of the key's value; `ttl_s` 0 lets it live without end.
    pub(crate) fn append_write(
        self,
        out: &mut Vec<u8>,
        key_index: u32,
        value_bytes: usize,
        ttl_s: u32,
        items: &Items,
    ) {
        match self {
            Self::Memcache => memcache::append_write(out, key_index, value_bytes, ttl_s, items),
            Self::Meta => meta::append_write(out, key_index, value_bytes, ttl_s, items),
            Self::Resp | Self::Resp3 => {
                resp::append_write(out, key_index, value_bytes, ttl_s, items)
            }
        }
    }

    pub(crate) fn append_delete(self, out: &mut Vec<u8>, key_index: u32, items: &Items) {
        match self {
            Self::Memcache => memcache::append_delete(out, key_index, items),
            Self::Meta => meta::append_delete(out, key_index, items),
            Self::Resp | Self::Resp3 => resp::append_delete(out, key_index, items),
        }
    }

    /// Length of the reply to a read of key 0 that hits, or to a write of it that is done.
    pub(crate) fn reply_bytes(self, op: Op, items: &Items) -> usize {
        let mut out = Vec::new();
        match (self, op) {
            (_, Op::Read) => values::append_hit(self, &mut out, 0, items),
            (Self::Memcache, _) => out.extend_from_slice(b"STORED\r\n"),
            (Self::Meta, _) => out.extend_from_slice(b"HD\r\n"),
            (Self::Resp | Self::Resp3, _) => out.extend_from_slice(b"+OK\r\n"),
        }
        out.len()
    }

    fn parse(self, bytes: &[u8], asked: Asked<'_>, items: &Items) -> Parsed {
        match self {
            Self::Memcache => memcache::parse(bytes, asked, items),
            Self::Meta => meta::parse(bytes, asked, items),
            Self::Resp => resp::parse(bytes, asked, items, b"$-1"),
            Self::Resp3 => resp::parse(bytes, asked, items, b"_"),
        }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Read,
    Write,
    Delete,
}

/// The request that a reply must answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'s> {
    pub(crate) op: Op,
    /// At least one; several only for reads.
    pub(crate) keys: &'s [u32],
}

/// How replies are taken apart and judged.
#[derive(Clone)]
pub(crate) enum Check {
    /// As the protocol says: the kind of reply, the key, the length and every byte of the value.
    Whole { protocol: Protocol, items: Items },
    /// By length alone: for the floor, which answers by rote.
    Length { reply_bytes: usize },
}

/// What the first bytes of a stream of replies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More bytes are needed.
    Incomplete,
    /// One reply, this long.
    Complete {
        reply_bytes: usize,
        outcome: Outcome,
    },
    /// The protocol is broken: where the next reply begins is not known.
    Invalid,
}

/// What one reply means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Of the keys that a read asked for, so many were there.
    Read {
        hits: u32,
        misses: u32,
    },
    Stored,
    /// Deleted, or not there to be.
    Deleted {
        was_there: bool,
    },
    /// Of the right length, not looked into.
    Unchecked,
    /// The server refused.
    Error,
    /// A well-formed reply to something else than what was asked, or with wrong bytes in it.
    Wrong,
}

impl Check {
    /// Judges the reply at the start of `bytes`.
    pub(crate) fn parse(&self, bytes: &[u8], asked: Asked<'_>) -> Parsed {
        match self {
            Self::Whole { protocol, items } => protocol.parse(bytes, asked, items),
            Self::Length { reply_bytes } if bytes.len() < *reply_bytes => Parsed::Incomplete,
            Self::Length { reply_bytes } => Parsed::Complete {
                reply_bytes: *reply_bytes,
                outcome: Outcome::Unchecked,
            },
        }
    }
}

/// The first line without its end, and where the next begins.
fn line(bytes: &[u8]) -> Result<(&[u8], usize), Parsed> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        let endless = bytes.len() > LINE_BYTES_MAX;
        return Err(if endless {
            Parsed::Invalid
        } else {
            Parsed::Incomplete
        });
    };
    match bytes[..end].split_last() {
        Some((b'\r', line)) => Ok((line, end + 1)),
        _ => Err(Parsed::Invalid),
    }
}

/// A decimal number of at most ten digits, all of `digits`.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + usize::from(digit - b'0'))
    })
}

/// `outcome` if that answers this kind of request, otherwise wrong.
fn only_to(op: Op, asked: Asked<'_>, outcome: Outcome) -> Outcome {
    if asked.op == op {
        outcome
    } else {
        Outcome::Wrong
    }
}

/// Appends a key.
fn append_key(out: &mut Vec<u8>, key_index: u32, items: &Items) {
    let mut room = [0; crate::workload::item::KEY_BYTES_MAX];
    out.extend_from_slice(items.key(key_index, &mut room));
}

#[cfg(test)]
mod tests;
