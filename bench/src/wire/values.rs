//! The values in a reply to a read: of one key or several, told apart by their keys or by their order.

use super::{Asked, Op, Outcome, Protocol, append_key};
use crate::workload::item::{self, Items};

/// What has been seen of a reply's values so far.
pub(super) struct Values<'s> {
    asked: Asked<'s>,
    /// The key that is expected next.
    cursor: usize,
    /// A bit for each key that was answered.
    seen: u128,
    hits: u32,
    is_wrong: bool,
}

impl<'s> Values<'s> {
    pub(super) fn of(asked: Asked<'s>) -> Self {
        Self {
            asked,
            cursor: 0,
            seen: 0,
            hits: 0,
            is_wrong: asked.op != Op::Read,
        }
    }

    /// A value under its key. Servers answer in the order of the request, but nothing holds them to it.
    pub(super) fn keyed(&mut self, key: &[u8], value: &[u8], items: &Items) {
        let keys = self.asked.keys;
        let mut turns = (self.cursor..keys.len()).chain(0..self.cursor);
        let found =
            turns.find(|&place| self.seen & (1 << place) == 0 && items.is_key(key, keys[place]));
        match found {
            Some(place) => {
                self.cursor = place;
                self.next(Some(value), items);
            }
            None => self.is_wrong = true,
        }
    }

    /// The value of the next key, or that it has none.
    pub(super) fn next(&mut self, value: Option<&[u8]>, items: &Items) {
        let Some(&key_index) = self.asked.keys.get(self.cursor) else {
            self.is_wrong = true;
            return;
        };
        self.seen |= 1 << self.cursor;
        self.cursor += 1;
        if let Some(value) = value {
            self.hits += 1;
            self.is_wrong |= !items.is_value(value, key_index);
        }
    }

    /// The reply is not one to this request, whatever its values are.
    pub(super) fn reject(&mut self) {
        self.is_wrong = true;
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.is_wrong {
            return Outcome::Wrong;
        }
        Outcome::Read {
            hits: self.hits,
            misses: self.asked.keys.len() as u32 - self.hits,
        }
    }
}

/// Appends the reply to a read of one key that hits.
pub(super) fn append_hit(protocol: Protocol, out: &mut Vec<u8>, key_index: u32, items: &Items) {
    let value_bytes = items.value_bytes(key_index);
    match protocol {
        Protocol::Memcache => {
            out.extend_from_slice(b"VALUE ");
            append_key(out, key_index, items);
            out.extend_from_slice(format!(" 0 {value_bytes}\r\n").as_bytes());
        }
        Protocol::Meta => {
            out.extend_from_slice(format!("VA {value_bytes} k").as_bytes());
            append_key(out, key_index, items);
            out.extend_from_slice(b"\r\n");
        }
        Protocol::Resp | Protocol::Resp3 => {
            out.extend_from_slice(format!("${value_bytes}\r\n").as_bytes())
        }
    }
    item::append_value(out, key_index, value_bytes);
    out.extend_from_slice(match protocol {
        Protocol::Memcache => b"\r\nEND\r\n",
        Protocol::Meta | Protocol::Resp | Protocol::Resp3 => b"\r\n",
    });
}
