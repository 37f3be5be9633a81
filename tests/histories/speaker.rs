//! A client that makes calls on a few keys, notes when each began and ended, and looks at every value: it names its
//! key and the write it came from, so a reply that is another's is noticed whatever it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::checker::{Call, Operation, Outcome};
use crate::support::gated::Protocol;
use crate::support::wire::Wire;

/// Few, so that calls meet on them, and enough for every server to have some.
pub(crate) const KEY_COUNT: usize = 16;

/// Calls that are sent at once, at most.
const BATCH_MAX: u64 = 6;

/// Between two batches.
const PAUSE: Duration = Duration::from_millis(2);

/// What a client may be told by a ringfort whose server fails.
const ERRORS: [&str; 3] = [
    "backend is unavailable",
    "backend connection was lost",
    "backend did not answer in time",
];

/// What all speakers of a test share.
pub(crate) struct Stage {
    /// They go on until this.
    pub(crate) is_over: AtomicBool,
    /// Until this ends they say nothing.
    pub(crate) is_resting: AtomicBool,
    start: Instant,
    /// Each write has a number of its own.
    next_write: AtomicU64,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            is_over: AtomicBool::new(false),
            is_resting: AtomicBool::new(false),
            start: Instant::now(),
            next_write: AtomicU64::new(1),
        }
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

/// What was asked at once, in one request.
enum Asked {
    Get(Vec<usize>),
    /// Keys and the numbers of their writes.
    Set(Vec<(usize, u64)>),
    Delete(usize, u64),
}

/// One connection.
pub(crate) struct Speaker<'s> {
    stage: &'s Stage,
    wire: Wire,
    protocol: Protocol,
    dice: u64,
    /// Operations by key. A write that was answered with an error may be done at any time, or never.
    heard: Vec<(usize, Operation)>,
    pub(crate) error_count: usize,
}

impl<'s> Speaker<'s> {
    pub(crate) fn new(stage: &'s Stage, wire: Wire, protocol: Protocol, number: u64) -> Self {
        Self {
            stage,
            wire,
            protocol,
            dice: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            heard: Vec::new(),
            error_count: 0,
        }
    }

    /// Makes calls until the stage is over; what was seen, by key, and how many errors.
    pub(crate) fn speak(mut self) -> (Vec<(usize, Operation)>, usize) {
        while !self.stage.is_over.load(Ordering::Relaxed) {
            if self.stage.is_resting.load(Ordering::Relaxed) {
                std::thread::sleep(PAUSE);
                continue;
            }
            let count = 1 + self.roll(BATCH_MAX);
            let batch: Vec<Asked> = (0..count).map(|_| self.choose()).collect();
            let request: String = batch.iter().map(|asked| self.encode(asked)).collect();
            let called_ns = self.stage.now_ns();
            self.wire.send(request.as_bytes());
            for asked in batch {
                self.hear(asked, called_ns);
            }
            std::thread::sleep(PAUSE);
        }
        (self.heard, self.error_count)
    }

    /// A number below `end` (xorshift64*, Vigna 2016).
    fn roll(&mut self, end: u64) -> u64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn key(&mut self) -> usize {
        self.roll(KEY_COUNT as u64) as usize
    }

    fn write(&mut self) -> (usize, u64) {
        let number = self.stage.next_write.fetch_add(1, Ordering::Relaxed);
        (self.key(), number)
    }

    fn choose(&mut self) -> Asked {
        match self.roll(10) {
            0..=3 => Asked::Get(vec![self.key()]),
            4 | 5 => {
                let first = self.key();
                Asked::Get((0..3).map(|step| (first + step) % KEY_COUNT).collect())
            }
            6 if self.protocol == Protocol::Resp => {
                let (one, other) = (self.write(), self.write());
                // The second write of a key in one request has no moment of its own.
                match one.0 == other.0 {
                    true => Asked::Set(vec![one]),
                    false => Asked::Set(vec![one, other]),
                }
            }
            6..=8 => Asked::Set(vec![self.write()]),
            _ => {
                let (key, number) = self.write();
                Asked::Delete(key, number)
            }
        }
    }

    fn encode(&self, asked: &Asked) -> String {
        let names =
            |keys: &[usize]| -> String { keys.iter().map(|key| format!(" k{key}")).collect() };
        match (self.protocol, asked) {
            (Protocol::Memcache, Asked::Get(keys)) => format!("get{}\r\n", names(keys)),
            (Protocol::Memcache, Asked::Set(writes)) => {
                let set = |(key, number): &(usize, u64)| {
                    let value = value(*key, *number);
                    format!("set k{key} 0 0 {}\r\n{value}\r\n", value.len())
                };
                writes.iter().map(set).collect()
            }
            (Protocol::Memcache, Asked::Delete(key, _)) => format!("delete k{key}\r\n"),
            (Protocol::Resp, Asked::Get(keys)) if keys.len() > 1 => {
                format!("MGET{}\r\n", names(keys))
            }
            (Protocol::Resp, Asked::Get(keys)) => format!("GET{}\r\n", names(keys)),
            (Protocol::Resp, Asked::Set(writes)) => {
                let pair =
                    |(key, number): &(usize, u64)| format!(" k{key} {}", value(*key, *number));
                let pairs: String = writes.iter().map(pair).collect();
                let verb = if writes.len() > 1 { "MSET" } else { "SET" };
                format!("{verb}{pairs}\r\n")
            }
            (Protocol::Resp, Asked::Delete(key, _)) => format!("DEL k{key}\r\n"),
        }
    }

    fn hear(&mut self, asked: Asked, called_ns: u64) {
        match asked {
            Asked::Get(keys) => {
                let found = match self.protocol {
                    Protocol::Memcache => self.memcache_values(&keys),
                    Protocol::Resp => self.resp_values(&keys),
                };
                for (key, number) in found {
                    self.note(
                        key,
                        called_ns,
                        Call::Get,
                        Outcome::Value(Some(number)),
                        true,
                    );
                }
            }
            Asked::Set(writes) => {
                let is_done = self.is_done(&["STORED", "+OK"]);
                for (key, number) in writes {
                    self.note(key, called_ns, Call::Set(number), Outcome::Stored, is_done);
                }
            }
            // To a checker it is a write of what nobody reads.
            Asked::Delete(key, number) => {
                let is_done = self.is_done(&["DELETED", "NOT_FOUND", ":1", ":0"]);
                self.note(key, called_ns, Call::Set(number), Outcome::Stored, is_done);
            }
        }
    }

    fn note(&mut self, key: usize, called_ns: u64, call: Call, outcome: Outcome, is_done: bool) {
        let returned_ns = match is_done {
            true => self.stage.now_ns(),
            false => u64::MAX,
        };
        let operation = Operation {
            called_ns,
            returned_ns,
            call,
            outcome,
        };
        self.heard.push((key, operation));
    }

    /// Whether the next line says so, or an error that is allowed.
    fn is_done(&mut self, done: &[&str]) -> bool {
        let line = self.wire.line();
        if done.contains(&&*line) {
            return true;
        }
        self.check_error(&line);
        false
    }

    fn check_error(&mut self, line: &str) {
        let start = match self.protocol {
            Protocol::Memcache => "SERVER_ERROR ",
            Protocol::Resp => "-ERR ",
        };
        let text = line.strip_prefix(start);
        assert!(text.is_some_and(|text| ERRORS.contains(&text)), "{line:?}");
        self.error_count += 1;
    }

    /// The keys that were found, with the numbers of their writes.
    fn memcache_values(&mut self, keys: &[usize]) -> Vec<(usize, u64)> {
        let mut asked = keys.iter();
        let mut found = Vec::new();
        loop {
            let line = self.wire.line();
            let Some(header) = line.strip_prefix("VALUE k") else {
                if line != "END" {
                    self.check_error(&line);
                }
                return found;
            };
            let words: Vec<&str> = header.split(' ').collect();
            let key: usize = words[0].parse().expect("a key");
            assert!(asked.any(|asked| *asked == key), "{line:?} to {keys:?}");
            found.push((key, self.value(key, words[2])));
        }
    }

    fn resp_values(&mut self, keys: &[usize]) -> Vec<(usize, u64)> {
        if keys.len() > 1 {
            let line = self.wire.line();
            if line != format!("*{}", keys.len()) {
                self.check_error(&line);
                return Vec::new();
            }
        }
        let mut found = Vec::new();
        for &key in keys {
            match &self.wire.line()[..] {
                "$-1" => {}
                line => match line.strip_prefix('$') {
                    Some(length) => found.push((key, self.value(key, length))),
                    None => self.check_error(line),
                },
            }
        }
        found
    }

    /// Reads a value of so many bytes, and insists that it is one of this key.
    fn value(&mut self, key: usize, length: &str) -> u64 {
        let bytes = self.wire.bytes(length.parse().expect("a length"));
        self.wire.expect(b"\r\n");
        let text = String::from_utf8(bytes).expect("a text");
        let number = text
            .split('/')
            .nth(1)
            .and_then(|number| number.parse().ok());
        let number = number.unwrap_or_else(|| panic!("k{key} has {text:?}"));
        assert_eq!(text, value(key, number), "k{key} has another's value");
        number
    }
}

/// What a write of this number gives a key: up to about 3 KB, which cuts across reads.
fn value(key: usize, number: u64) -> String {
    let padding = number.wrapping_mul(number) % 97 * (number % 31);
    format!("k{key}/{number}/{}", "x".repeat(padding as usize))
}
