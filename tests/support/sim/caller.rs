//! A client that makes calls on keys it shares with others, and notes what it was answered.

use std::collections::VecDeque;

use ringfort::config::Protocol;
use ringfort::io::sim::ClientId;

use super::redis::request;
use super::{Fleet, listener};
use crate::checker::{Call, Operation, Outcome};

pub(crate) struct Caller {
    pub(crate) client: ClientId,
    protocol: Protocol,
    waiting: VecDeque<Waiting>,
    unread: Vec<u8>,
    /// What was answered, by key.
    pub(crate) history: Vec<(usize, Operation)>,
    /// Calls that ended in an error of a backend.
    pub(crate) error_count: usize,
    /// Those of them that were not answered in time.
    pub(crate) late_count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    key: usize,
    call: Call,
    called: u64,
}

/// One reply, read.
enum Said {
    Outcome(Outcome),
    /// The backend failed: whether the call was done is not known.
    Error,
}

impl Caller {
    pub(crate) fn connect(fleet: &Fleet, shard: usize, protocol: Protocol) -> Self {
        Self {
            client: fleet.world.connect(shard, listener(protocol)),
            protocol,
            waiting: VecDeque::new(),
            unread: Vec::new(),
            history: Vec::new(),
            error_count: 0,
            late_count: 0,
        }
    }

    /// Calls without waiting for what was called before.
    pub(crate) fn call(&mut self, fleet: &Fleet, key: usize, call: Call) {
        let called = fleet.next_moment();
        self.waiting.push_back(Waiting { key, call, called });
        fleet.world.send(self.client, &self.encode(key, call));
    }

    /// Whether it has as many calls open as a history can stand: the search for an order grows with what overlaps.
    pub(crate) fn is_busy(&self) -> bool {
        const WAITING_COUNT_MAX: usize = 2;
        self.waiting.len() >= WAITING_COUNT_MAX
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Reads the replies that have come.
    pub(crate) fn hear(&mut self, fleet: &Fleet) {
        self.unread.extend(fleet.world.take_received(self.client));
        let mut start = 0;
        while let Some(Waiting { key, call, called }) = self.waiting.front().copied() {
            let unread = &self.unread[start..];
            let Some((said, count)) = self.read(key, call, unread) else {
                break;
            };
            let is_late = unread[..count].ends_with(b" did not answer in time\r\n");
            self.late_count += usize::from(is_late);
            start += count;
            self.waiting.pop_front();
            let (returned_ns, outcome) = match said {
                Said::Outcome(outcome) => (fleet.next_moment(), outcome),
                Said::Error => {
                    self.error_count += 1;
                    match call {
                        // It may be done at any later time, or never: at the end of the history.
                        Call::Set(_) => (u64::MAX, Outcome::Stored),
                        Call::Get => continue,
                        _ => panic!("{call:?} failed, and what it did cannot be told"),
                    }
                }
            };
            let operation = Operation {
                called_ns: called,
                returned_ns,
                call,
                outcome,
            };
            self.history.push((key, operation));
        }
        self.unread.drain(..start);
        let is_quiet = self.waiting.is_empty() && !self.unread.is_empty();
        assert!(!is_quiet, "a reply to nothing: {}", self.show());
    }

    fn encode(&self, key: usize, call: Call) -> Vec<u8> {
        let name = name(key);
        if self.protocol == Protocol::Resp {
            let number = match call {
                Call::Set(number) | Call::Add(number) | Call::IncrOrCreate(number) => number,
                _ => 0,
            };
            let number = number.to_string();
            let words: &[&str] = match call {
                Call::Get => &["GET", &name],
                Call::Set(_) => &["SET", &name, &number],
                Call::Add(_) => &["SETNX", &name, &number],
                Call::IncrOrCreate(_) => &["INCRBY", &name, &number],
                Call::Delete => &["DEL", &name],
                Call::Cas { .. } | Call::Incr(_) => panic!("no such command"),
            };
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            return request(&words);
        }
        let store = |verb: &str, number: u64| {
            let value = number.to_string();
            format!("{verb} {name} 0 0 {}\r\n{value}\r\n", value.len())
        };
        let line = match call {
            Call::Get => format!("get {name}\r\n"),
            Call::Set(number) => store("set", number),
            Call::Add(number) => store("add", number),
            Call::Incr(delta) => format!("incr {name} {delta}\r\n"),
            Call::Delete => format!("delete {name}\r\n"),
            Call::Cas { .. } | Call::IncrOrCreate(_) => panic!("no such command"),
        };
        line.into_bytes()
    }

    /// The reply at the front of `bytes` and its length, if it is whole.
    fn read(&self, key: usize, call: Call, bytes: &[u8]) -> Option<(Said, usize)> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[..end]).expect("text");
        if line.starts_with("SERVER_ERROR ") || line.starts_with("-ERR ") {
            return Some((Said::Error, end + 2));
        }
        let (outcome, count) = match self.protocol {
            Protocol::Memcache => read_memcache(key, call, line, &bytes[end + 2..])?,
            Protocol::Resp => read_resp(call, line, &bytes[end + 2..])?,
        };
        Some((Said::Outcome(outcome), end + 2 + count))
    }

    fn show(&self) -> String {
        self.unread.escape_ascii().to_string()
    }
}

/// The outcome, and the length of what belongs to it behind the line.
fn read_memcache(key: usize, call: Call, line: &str, rest: &[u8]) -> Option<(Outcome, usize)> {
    let outcome = match (call, line) {
        (Call::Get, "END") => Outcome::Value(None),
        (Call::Get, _) => {
            let head = format!("VALUE {} 0 ", name(key));
            let count = line
                .strip_prefix(&head)
                .unwrap_or_else(|| wrong(call, line));
            let count: usize = count.parse().expect("a length");
            let block = rest.get(..count + 7)?;
            assert_eq!(&block[count..], b"\r\nEND\r\n");
            return Some((Outcome::Value(Some(number(&block[..count]))), count + 7));
        }
        (Call::Set(_) | Call::Add(_), "STORED") => Outcome::Stored,
        (Call::Add(_), "NOT_STORED") => Outcome::NotStored,
        (Call::Delete, "DELETED") => Outcome::Deleted,
        (Call::Delete | Call::Incr(_), "NOT_FOUND") => Outcome::NotFound,
        (Call::Incr(_), digits) => Outcome::Value(Some(number(digits.as_bytes()))),
        _ => wrong(call, line),
    };
    Some((outcome, 0))
}

fn read_resp(call: Call, line: &str, rest: &[u8]) -> Option<(Outcome, usize)> {
    let outcome = match (call, line) {
        (Call::Get, "$-1") => Outcome::Value(None),
        (Call::Get, _) => {
            let count = line.strip_prefix('$').unwrap_or_else(|| wrong(call, line));
            let count: usize = count.parse().expect("a length");
            let block = rest.get(..count + 2)?;
            return Some((Outcome::Value(Some(number(&block[..count]))), count + 2));
        }
        (Call::Set(_), "+OK") | (Call::Add(_), ":1") => Outcome::Stored,
        (Call::Add(_), ":0") => Outcome::NotStored,
        (Call::Delete, ":1") => Outcome::Deleted,
        (Call::Delete, ":0") => Outcome::NotFound,
        (Call::IncrOrCreate(_), _) if line.starts_with(':') => {
            Outcome::Value(Some(number(&line.as_bytes()[1..])))
        }
        _ => wrong(call, line),
    };
    Some((outcome, 0))
}

fn wrong(call: Call, line: &str) -> ! {
    panic!("{call:?} was answered {line:?}")
}

fn number(bytes: &[u8]) -> u64 {
    let text = std::str::from_utf8(bytes).expect("digits");
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// The name of a shared key.
pub(crate) fn name(key: usize) -> String {
    format!("shared-{key}")
}
