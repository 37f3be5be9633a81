//! A client with keys of its own, whose every reply byte is known beforehand: its requests also
//! go to a model server that only it talks to.

use std::cell::Cell;
use std::rc::Rc;

use ringfort::config::Protocol;
use ringfort::io::sim::{ClientId, SimRng, SimServer};

use super::memcached::Memcached;
use super::redis::{self, Redis};
use super::{Fleet, listener};

/// Keys of one client: few, so that requests in one pipeline meet on them.
const KEY_COUNT: usize = 4;

pub(crate) struct Exact {
    pub(crate) client: ClientId,
    number: usize,
    protocol: Protocol,
    oracle: Box<dyn SimServer>,
    expected: Vec<u8>,
    /// Where replies in `expected` end.
    ends: Vec<usize>,
    received: Vec<u8>,
    value_count: usize,
    has_transactions: bool,
    /// Deletes are answered as if each key had been there.
    promises_deletes: bool,
    /// All its keys have the same tag.
    is_tagged: bool,
}

/// The keys of the client of this number.
pub(crate) fn keys(client: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..KEY_COUNT).map(move |key| format!("own-{client}-{key}").into_bytes())
}

/// One of those that all have the same tag.
pub(crate) fn tagged_key(client: usize) -> Vec<u8> {
    format!("{{own-{client}}}-0").into_bytes()
}

impl Exact {
    pub(crate) fn connect(fleet: &Fleet, number: usize, shard: usize, protocol: Protocol) -> Self {
        let nobody = Rc::new(Cell::new(0));
        let oracle: Box<dyn SimServer> = match protocol {
            Protocol::Memcache => Box::new(Memcached::new(0, &nobody)),
            Protocol::Resp => Box::new(Redis::new(0, &nobody)),
        };
        Self {
            client: fleet.world.connect(shard, listener(protocol)),
            number,
            protocol,
            oracle,
            expected: Vec::new(),
            ends: vec![0],
            received: Vec::new(),
            value_count: 0,
            has_transactions: false,
            promises_deletes: false,
            is_tagged: false,
        }
    }

    /// The same client, whose keys are all of one slot of a cluster.
    pub(crate) fn in_one_slot(self) -> Self {
        Self {
            is_tagged: true,
            ..self
        }
    }

    /// The same client, which also sends what needs the world, alone or in transactions, if its protocol has
    /// that.
    pub(crate) fn with_transactions(self) -> Self {
        let has_transactions = self.protocol == Protocol::Resp;
        Self {
            has_transactions,
            ..self
        }
    }

    /// The same client of a pool that answers deletes before its servers have them.
    pub(crate) fn with_promised_deletes(self) -> Self {
        Self {
            promises_deletes: true,
            ..self
        }
    }

    /// Sends one to eight requests at once.
    pub(crate) fn send_some(&mut self, fleet: &mut Fleet) {
        let mut bytes = Vec::new();
        for _ in 0..1 + fleet.rng.below(8) {
            if self.has_transactions && fleet.rng.chance(200) {
                self.transaction(&mut fleet.rng, &mut bytes);
                continue;
            }
            let request = self.request(&mut fleet.rng);
            let start = self.expected.len();
            self.oracle.received(0, &request, &mut self.expected);
            if self.promises_deletes {
                self.promise(&request, start);
            }
            self.ends.push(self.expected.len());
            bytes.extend(request);
        }
        fleet.world.send(self.client, &bytes);
    }

    /// Expects what a delete is answered where nobody asks whether the key was there.
    fn promise(&mut self, request: &[u8], start: usize) {
        let is_heard = self.expected.len() > start;
        let promised = if request.starts_with(b"delete ") {
            b"DELETED\r\n".to_vec()
        } else if let Some(rest) = request.strip_prefix(b"*")
            && rest[1..].starts_with(b"\r\n$3\r\nDEL\r\n")
        {
            format!(":{}\r\n", rest[0] - b'0' - 1).into_bytes()
        } else {
            return;
        };
        self.expected.truncate(start);
        if is_heard {
            self.expected.extend(promised);
        }
    }

    /// A few requests from MULTI to EXEC.
    fn transaction(&mut self, rng: &mut SimRng, bytes: &mut Vec<u8>) {
        let requests: Vec<_> = (0..rng.below(6)).map(|_| self.request(rng)).collect();
        bytes.extend(redis::request(&[b"MULTI"]));
        self.expect(b"+OK\r\n");
        for request in &requests {
            bytes.extend(request);
            self.expect(b"+QUEUED\r\n");
        }
        bytes.extend(redis::request(&[b"EXEC"]));
        let header = format!("*{}\r\n", requests.len());
        self.expected.extend_from_slice(header.as_bytes());
        for request in &requests {
            self.oracle.received(0, request, &mut self.expected);
        }
        self.ends.push(self.expected.len());
    }

    fn expect(&mut self, reply: &[u8]) {
        self.expected.extend_from_slice(reply);
        self.ends.push(self.expected.len());
    }

    /// Compares what has come with what must.
    pub(crate) fn check(&mut self, fleet: &Fleet) {
        let start = self.received.len();
        self.received.extend(fleet.world.take_received(self.client));
        let end = self.received.len();
        if self.expected.get(start..end) != Some(&self.received[start..]) {
            let from = start.saturating_sub(100);
            let wanted = &self.expected[from..self.expected.len().min(from + 600)];
            panic!(
                "client {}:\nexpected {:?}\n     got {:?}",
                self.number,
                wanted.escape_ascii().to_string(),
                self.received[from..end.min(from + 600)]
                    .escape_ascii()
                    .to_string(),
            );
        }
    }

    pub(crate) fn is_served(&self) -> bool {
        self.received.len() == self.expected.len()
    }

    /// Whether what has come ends where a reply ends.
    pub(crate) fn has_whole_replies(&self) -> bool {
        self.ends.contains(&self.received.len())
    }

    fn request(&mut self, rng: &mut SimRng) -> Vec<u8> {
        match self.protocol {
            Protocol::Memcache => self.memcache_request(rng),
            Protocol::Resp => self.resp_request(rng),
        }
    }

    fn memcache_request(&mut self, rng: &mut SimRng) -> Vec<u8> {
        let (key, value) = (self.key(rng), self.value(rng));
        let noreply = if rng.chance(200) { " noreply" } else { "" };
        let line = match rng.below(12) {
            0..=3 => format!("get {key}\r\n"),
            4 => format!("get {key} {} {}\r\n", self.key(rng), self.key(rng)),
            5 => format!("delete {key}{noreply}\r\n"),
            6 => format!("incr {key} {}{noreply}\r\n", rng.below(100)),
            7 => format!("touch {key} 0{noreply}\r\n"),
            other => {
                let verb = ["set", "add", "replace", "append"][other - 8];
                let (flags, count) = (rng.below(9), value.len());
                format!("{verb} {key} {flags} 0 {count}{noreply}\r\n{value}\r\n")
            }
        };
        line.into_bytes()
    }

    fn resp_request(&mut self, rng: &mut SimRng) -> Vec<u8> {
        let (key, value) = (self.key(rng), self.value(rng));
        let (second, third) = (self.key(rng), self.key(rng));
        let delta = rng.below(100).to_string();
        let words: &[&str] = match rng.below(if self.has_transactions { 20 } else { 14 }) {
            0..=2 => &["GET", &key],
            3 => &["MGET", &key, &second, &third],
            4 => &["SET", &key, &value],
            5 => &["MSET", &key, &value, &second, "7"],
            6 => &["SETNX", &key, &value],
            7 => &["GETSET", &key, &value],
            8 => &["GETDEL", &key],
            9 if key != second => &["DEL", &key, &second],
            9 => &["DEL", &key],
            10 => &["EXISTS", &key, &second],
            11 => &["APPEND", &key, &value],
            12 => &["STRLEN", &key],
            13 => &["INCRBY", &key, &delta],
            14 => &["RENAME", &key, &second],
            15 => &["RENAMENX", &key, &second],
            16 if key == second => &["COPY", &key, &third],
            16 => &["COPY", &key, &second, "REPLACE"],
            17 => &["MSETNX", &key, &value, &second, "7"],
            18 => &["SETRANGE", &key, &delta, &value],
            _ => &["GETRANGE", &key, "1", &delta],
        };
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        redis::request(&words)
    }

    fn key(&self, rng: &mut SimRng) -> String {
        let (number, key) = (self.number, rng.below(KEY_COUNT));
        match self.is_tagged {
            true => format!("{{own-{number}}}-{key}"),
            false => format!("own-{number}-{key}"),
        }
    }

    /// Mostly numbers; some values are longer than a receive buffer.
    fn value(&mut self, rng: &mut SimRng) -> String {
        self.value_count += 1;
        let number = self.value_count.to_string();
        match rng.below(20) {
            0 => format!("{number}-").repeat(2_000),
            1..=3 => format!("{number}.").repeat(rng.below(300)),
            _ => number,
        }
    }
}
