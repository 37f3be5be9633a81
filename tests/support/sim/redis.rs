//! A plain model of Redis: the oracle for replies, and a server of a pool.
//!
//! It knows strings without expiry, and requests as arrays of bulks.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use ringfort::io::sim::{SimRng, SimServer};

use super::next_moment;
use super::tracked::Tracked;

pub(crate) struct Redis {
    pub(crate) items: HashMap<Vec<u8>, Vec<u8>>,
    /// The `GET`s of each key.
    pub(crate) get_counts: HashMap<Vec<u8>, usize>,
    /// When each key was last deleted.
    pub(crate) deleted_at: HashMap<Vec<u8>, u64>,
    /// Deletes that are refused, of 1000.
    pub(crate) refuse_permille: u32,
    /// It tells nobody of changes.
    pub(crate) refuses_tracking: bool,
    /// All values that a key ever had, the one of before the first as none.
    pub(crate) versions: HashMap<Vec<u8>, Vec<Option<Vec<u8>>>>,
    pub(crate) tracked: Tracked,
    rng: SimRng,
    moment: Rc<Cell<u64>>,
    /// Bytes of requests that are not whole, by connection.
    partial: HashMap<usize, Vec<u8>>,
    /// Requests since MULTI, by connection.
    queued: HashMap<usize, Vec<Vec<Vec<u8>>>>,
}

impl Redis {
    pub(crate) fn new(seed: u64, moment: &Rc<Cell<u64>>) -> Self {
        Self {
            items: HashMap::new(),
            get_counts: HashMap::new(),
            deleted_at: HashMap::new(),
            refuse_permille: 0,
            refuses_tracking: false,
            versions: HashMap::new(),
            tracked: Tracked::default(),
            rng: SimRng::new(seed),
            moment: Rc::clone(moment),
            partial: HashMap::new(),
            queued: HashMap::new(),
        }
    }

    /// Executes a request, or keeps it for EXEC.
    pub(crate) fn take(&mut self, connection: usize, words: &[&[u8]], out: &mut Vec<u8>) {
        match (words, self.queued.get_mut(&connection)) {
            ([b"MULTI"], None) => {
                self.queued.insert(connection, Vec::new());
                out.extend_from_slice(b"+OK\r\n");
            }
            ([b"EXEC"], Some(_)) => {
                let requests = self.queued.remove(&connection).expect("it is there");
                out.extend_from_slice(format!("*{}\r\n", requests.len()).as_bytes());
                for request in requests {
                    let words: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
                    self.run(connection, &words, out);
                }
            }
            (words, Some(requests)) => {
                requests.push(words.iter().map(|word| word.to_vec()).collect());
                out.extend_from_slice(b"+QUEUED\r\n");
            }
            (words, None) => self.run(connection, words, out),
        }
    }

    /// Somebody who is no client of ours asks something.
    pub(crate) fn run_for_a_stranger(&mut self, words: &[&[u8]]) {
        const STRANGER: usize = usize::MAX;
        self.run(STRANGER, words, &mut Vec::new());
    }

    /// Executes a request, notes what it reads, and tells of what it changes.
    fn run(&mut self, connection: usize, words: &[&[u8]], out: &mut Vec<u8>) {
        if !self.refuses_tracking && self.tracked.execute(connection, words, out) {
            return;
        }
        let keys = &words[1..];
        let before: Vec<_> = keys
            .iter()
            .map(|key| self.items.get(*key).cloned())
            .collect();
        self.execute(words, out);
        if words[0].starts_with(b"FLUSH") {
            for (key, versions) in &mut self.versions {
                if !self.items.contains_key(key) {
                    versions.push(None);
                }
            }
            self.tracked.note_flush();
        }
        for (key, before) in keys.iter().zip(before) {
            let after = self.items.get(*key);
            if after != before.as_ref() {
                let versions = self
                    .versions
                    .entry(key.to_vec())
                    .or_insert_with(|| vec![None]);
                versions.push(after.cloned());
                self.tracked.note_change(key);
            } else if READS.contains(&words[0]) {
                self.tracked.note_read(connection, key);
            }
        }
    }

    fn execute(&mut self, words: &[&[u8]], out: &mut Vec<u8>) {
        match words {
            [b"GET", key] => {
                *self.get_counts.entry(key.to_vec()).or_default() += 1;
                bulk(out, self.items.get(*key).map(Vec::as_slice));
            }
            [b"PTTL", key] => integer(
                out,
                if self.items.contains_key(*key) {
                    -1
                } else {
                    -2
                },
            ),
            [b"CLIENT", ..] | [b"HELLO", ..] => {
                out.extend_from_slice(b"-ERR unknown command\r\n");
            }
            [b"PING"] => out.extend_from_slice(b"+PONG\r\n"),
            // Nothing that the simulations say needs it.
            [b"SCRIPT", b"LOAD", _] => bulk(out, Some(&[b'0'; 40])),
            [b"MGET", keys @ ..] => {
                out.extend_from_slice(format!("*{}\r\n", keys.len()).as_bytes());
                for key in keys {
                    bulk(out, self.items.get(*key).map(Vec::as_slice));
                }
            }
            [b"SET", key, value] => {
                self.items.insert(key.to_vec(), value.to_vec());
                out.extend_from_slice(b"+OK\r\n");
            }
            [b"MSET", pairs @ ..] => {
                for pair in pairs.chunks(2) {
                    self.items.insert(pair[0].to_vec(), pair[1].to_vec());
                }
                out.extend_from_slice(b"+OK\r\n");
            }
            [b"SETNX", key, value] => {
                let is_new = !self.items.contains_key(*key);
                if is_new {
                    self.items.insert(key.to_vec(), value.to_vec());
                }
                integer(out, usize::from(is_new) as i64);
            }
            [b"GETSET", key, value] => {
                let old = self.items.insert(key.to_vec(), value.to_vec());
                bulk(out, old.as_deref());
            }
            [b"GETDEL", key] => bulk(out, self.items.remove(*key).as_deref()),
            [b"DEL", keys @ ..] => self.delete(keys, out),
            [b"EXISTS", keys @ ..] => {
                let there = keys.iter().filter(|key| self.items.contains_key(**key));
                integer(out, there.count() as i64);
            }
            [b"APPEND", key, value] => {
                let item = self.items.entry(key.to_vec()).or_default();
                item.extend_from_slice(value);
                integer(out, item.len() as i64);
            }
            [b"STRLEN", key] => integer(out, self.items.get(*key).map_or(0, Vec::len) as i64),
            [b"INCRBY", key, delta] => self.incr(key, number(delta).expect("a delta"), out),
            [b"FLUSHALL" | b"FLUSHDB"] => {
                self.items.clear();
                out.extend_from_slice(b"+OK\r\n");
            }
            _ => self.execute_rare(words, out),
        }
    }

    fn execute_rare(&mut self, words: &[&[u8]], out: &mut Vec<u8>) {
        match words {
            [b"RENAME", key, newkey] => match self.items.remove(*key) {
                None => out.extend_from_slice(b"-ERR no such key\r\n"),
                Some(value) => {
                    self.items.insert(newkey.to_vec(), value);
                    out.extend_from_slice(b"+OK\r\n");
                }
            },
            [b"RENAMENX", key, newkey] => match self.items.get(*key) {
                None => out.extend_from_slice(b"-ERR no such key\r\n"),
                Some(_) if self.items.contains_key(*newkey) => integer(out, 0),
                Some(_) => {
                    let value = self.items.remove(*key).expect("it is there");
                    self.items.insert(newkey.to_vec(), value);
                    integer(out, 1);
                }
            },
            [b"COPY", key, newkey, replace @ ..] => {
                self.copy(key, newkey, !replace.is_empty(), out)
            }
            [b"MSETNX", pairs @ ..] => {
                let is_new = !pairs.chunks(2).any(|pair| self.items.contains_key(pair[0]));
                for pair in pairs.chunks(2).filter(|_| is_new) {
                    self.items.insert(pair[0].to_vec(), pair[1].to_vec());
                }
                integer(out, is_new.into());
            }
            [b"SETRANGE", key, _, b""] => {
                integer(out, self.items.get(*key).map_or(0, Vec::len) as i64);
            }
            [b"SETRANGE", key, offset, patch] => {
                let start = number(offset).expect("an offset") as usize;
                let end = start + patch.len();
                let item = self.items.entry(key.to_vec()).or_default();
                item.resize(item.len().max(end), 0);
                item[start..end].copy_from_slice(patch);
                integer(out, item.len() as i64);
            }
            [b"GETRANGE", key, start, end] => {
                let item = self.items.get(*key).map_or(&[][..], Vec::as_slice);
                let [start, end] = [start, end].map(|at| number(at).expect("an index") as usize);
                let end = (end + 1).min(item.len());
                bulk(out, Some(item.get(start..end).unwrap_or_default()));
            }
            other => panic!("the model is asked {other:?}"),
        }
    }

    fn delete(&mut self, keys: &[&[u8]], out: &mut Vec<u8>) {
        if self.rng.chance(self.refuse_permille) {
            return out.extend_from_slice(b"-BUSY not now\r\n");
        }
        let mut count = 0;
        for key in keys {
            self.deleted_at
                .insert(key.to_vec(), next_moment(&self.moment));
            count += i64::from(self.items.remove(*key).is_some());
        }
        integer(out, count);
    }

    fn copy(&mut self, key: &[u8], newkey: &[u8], replaces: bool, out: &mut Vec<u8>) {
        if key == newkey {
            return out.extend_from_slice(b"-ERR source and destination objects are the same\r\n");
        }
        let is_taken = !replaces && self.items.contains_key(newkey);
        let value = self.items.get(key).filter(|_| !is_taken).cloned();
        integer(out, value.is_some().into());
        if let Some(value) = value {
            self.items.insert(newkey.to_vec(), value);
        }
    }

    fn incr(&mut self, key: &[u8], delta: i64, out: &mut Vec<u8>) {
        let old = self.items.get(key).map_or(Some(0), |value| number(value));
        // Redis knows a number by its shortest form only.
        let is_short = |old: &i64| {
            let text = self.items.get(key);
            text.is_none_or(|text| *text == old.to_string().as_bytes())
        };
        let Some(old) = old.filter(is_short) else {
            let line = b"-ERR value is not an integer or out of range\r\n";
            return out.extend_from_slice(line);
        };
        let sum = old + delta;
        self.items
            .insert(key.to_vec(), sum.to_string().into_bytes());
        integer(out, sum);
    }
}

/// What a server notes for who tracks.
const READS: [&[u8]; 6] = [b"GET", b"PTTL", b"MGET", b"STRLEN", b"EXISTS", b"GETRANGE"];

impl SimServer for Redis {
    fn received(&mut self, connection: usize, bytes: &[u8], out: &mut Vec<u8>) {
        let mut pending = self.partial.remove(&connection).unwrap_or_default();
        pending.extend_from_slice(bytes);
        take_arrays(&mut pending, |words| self.take(connection, words, out));
        self.partial.insert(connection, pending);
    }

    fn closed(&mut self, connection: usize) {
        self.partial.remove(&connection);
        self.queued.remove(&connection);
        self.tracked.closed(connection);
    }

    fn take_unasked(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.tracked.take_unasked()
    }
}

/// Takes every whole array out of `pending`.
pub(crate) fn take_arrays(pending: &mut Vec<u8>, mut take: impl FnMut(&[&[u8]])) {
    let mut start = 0;
    while let Some((words, count)) = array(&pending[start..]) {
        take(&words);
        start += count;
    }
    pending.drain(..start);
}

/// The array of bulks at the front of `bytes` and its length, if it is whole.
pub(crate) fn array(bytes: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let mut end = 0;
    let count = header(bytes, &mut end, b'*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let len = header(bytes, &mut end, b'$')?;
        words.push(bytes.get(end..end + len)?);
        bytes.get(end + len..end + len + 2)?;
        end += len + 2;
    }
    Some((words, end))
}

fn header(bytes: &[u8], end: &mut usize, mark: u8) -> Option<usize> {
    let rest = &bytes[*end..];
    let line_end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    assert_eq!(rest[0], mark, "{:?}", bytes.escape_ascii().to_string());
    *end += line_end + 2;
    number(&rest[1..line_end]).map(|number| number as usize)
}

fn number(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

pub(crate) fn bulk(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => out.extend_from_slice(b"$-1\r\n"),
        Some(value) => {
            out.extend_from_slice(format!("${}\r\n", value.len()).as_bytes());
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn integer(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(format!(":{number}\r\n").as_bytes());
}

/// A request as an array of bulks.
pub(crate) fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bulk(&mut out, Some(word));
    }
    out
}
