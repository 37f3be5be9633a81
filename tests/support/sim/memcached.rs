//! A plain model of memcached's text protocol: the oracle for replies, and a server of a pool.
//!
//! It knows what the simulations say: whole values with flags, no expiry, no cas.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use ringfort::io::sim::{SimRng, SimServer};

use super::next_moment;

type Items = HashMap<Vec<u8>, (u32, Vec<u8>)>;

pub(crate) struct Memcached {
    pub(crate) items: Items,
    /// The `get`s of each key.
    pub(crate) get_counts: HashMap<Vec<u8>, usize>,
    /// When each key was last deleted.
    pub(crate) deleted_at: HashMap<Vec<u8>, u64>,
    /// Deletes that are refused, of 1000.
    pub(crate) refuse_permille: u32,
    rng: SimRng,
    moment: Rc<Cell<u64>>,
    /// Bytes of requests that are not whole, by connection.
    partial: HashMap<usize, Vec<u8>>,
}

impl Memcached {
    pub(crate) fn new(seed: u64, moment: &Rc<Cell<u64>>) -> Self {
        Self {
            items: Items::new(),
            get_counts: HashMap::new(),
            deleted_at: HashMap::new(),
            refuse_permille: 0,
            rng: SimRng::new(seed),
            moment: Rc::clone(moment),
            partial: HashMap::new(),
        }
    }

    /// Executes the first request of `bytes` if it is whole; its length.
    fn execute(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let line_end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let words: Vec<&[u8]> = bytes[..line_end].split(|byte| *byte == b' ').collect();
        let mut end = line_end + 2;
        let is_silent = words.last() == Some(&&b"noreply"[..]);
        let reply = match words[0] {
            b"version" => b"VERSION 1.6.18\r\n".to_vec(),
            b"mn" => b"MN\r\n".to_vec(),
            b"get" => self.get(&words[1..]),
            b"mg" => {
                assert_eq!(words[2..], [b"s"], "the length is all that is asked");
                match self.items.get(words[1]) {
                    Some((_, value)) => format!("HD s{}\r\n", value.len()).into_bytes(),
                    None => b"EN\r\n".to_vec(),
                }
            }
            b"set" | b"add" | b"replace" | b"append" | b"prepend" => {
                let (flags, count) = (number(words[2]) as u32, number(words[4]) as usize);
                let data = bytes.get(end..end + count)?;
                bytes.get(end + count..end + count + 2)?;
                end += count + 2;
                self.store(words[0], words[1], flags, data).to_vec()
            }
            b"delete" => self.delete(words[1]).to_vec(),
            b"incr" => self.incr(words[1], number(words[2])),
            b"touch" => {
                let is_there = self.items.contains_key(words[1]);
                line(is_there, b"TOUCHED\r\n", b"NOT_FOUND\r\n").to_vec()
            }
            b"flush_all" => {
                self.items.clear();
                b"OK\r\n".to_vec()
            }
            other => panic!("the model is asked {:?}", other.escape_ascii().to_string()),
        };
        if !is_silent {
            out.extend_from_slice(&reply);
        }
        Some(end)
    }

    fn get(&mut self, keys: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for key in keys {
            *self.get_counts.entry(key.to_vec()).or_default() += 1;
            if let Some((flags, value)) = self.items.get(*key) {
                out.extend_from_slice(b"VALUE ");
                out.extend_from_slice(key);
                out.extend_from_slice(format!(" {flags} {}\r\n", value.len()).as_bytes());
                out.extend_from_slice(value);
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"END\r\n");
        out
    }

    fn store(&mut self, verb: &[u8], key: &[u8], flags: u32, data: &[u8]) -> &'static [u8] {
        let old = self.items.get_mut(key);
        let stores = match verb {
            b"set" => true,
            b"add" => old.is_none(),
            _ => old.is_some(),
        };
        match (verb, old) {
            _ if !stores => {}
            (b"append", Some((_, value))) => value.extend_from_slice(data),
            (b"prepend", Some((_, value))) => {
                value.splice(0..0, data.iter().copied());
            }
            _ => {
                self.items.insert(key.to_vec(), (flags, data.to_vec()));
            }
        }
        line(stores, b"STORED\r\n", b"NOT_STORED\r\n")
    }

    fn delete(&mut self, key: &[u8]) -> &'static [u8] {
        if self.rng.chance(self.refuse_permille) {
            return b"SERVER_ERROR not now\r\n";
        }
        self.deleted_at
            .insert(key.to_vec(), next_moment(&self.moment));
        let was_there = self.items.remove(key).is_some();
        line(was_there, b"DELETED\r\n", b"NOT_FOUND\r\n")
    }

    fn incr(&mut self, key: &[u8], delta: u64) -> Vec<u8> {
        let Some((_, value)) = self.items.get_mut(key) else {
            return b"NOT_FOUND\r\n".to_vec();
        };
        let text = std::str::from_utf8(value).unwrap_or_default();
        let Ok(old) = text.parse::<u64>() else {
            let line = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
            return line.to_vec();
        };
        *value = old.wrapping_add(delta).to_string().into_bytes();
        [&value[..], b"\r\n"].concat()
    }
}

impl SimServer for Memcached {
    fn received(&mut self, connection: usize, bytes: &[u8], out: &mut Vec<u8>) {
        let mut pending = self.partial.remove(&connection).unwrap_or_default();
        pending.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(count) = self.execute(&pending[start..], out) {
            start += count;
        }
        pending.drain(..start);
        self.partial.insert(connection, pending);
    }

    fn closed(&mut self, connection: usize) {
        self.partial.remove(&connection);
    }
}

fn line(is_done: bool, done: &'static [u8], not_done: &'static [u8]) -> &'static [u8] {
    if is_done { done } else { not_done }
}

fn number(word: &[u8]) -> u64 {
    let text = std::str::from_utf8(word).expect("digits");
    text.parse().expect("a number")
}
