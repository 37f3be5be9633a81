//! Plain reads that came together, next to requests of other kinds on the same connection, through a pool without an
//! L1: replies come in the order of the requests, and each read sees what was written before it.

use std::cell::Cell;
use std::rc::Rc;

use ringfort::config::{Protocol, WritePolicy};
use ringfort::io::sim::{ClientId, Faults, SimRng, SimServer};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::sim::memcached::Memcached;
use crate::sim::redis::{Redis, request};
use crate::sim::{Fleet, PoolSetup, Setup, listener};

const KEY_COUNT: usize = 6;

/// The only client of a pool. A server that has all keys is told the same, one request after the other.
struct Reader {
    client: ClientId,
    protocol: Protocol,
    alone: Box<dyn SimServer>,
    expected: Vec<u8>,
    received: Vec<u8>,
    sent: usize,
}

impl Reader {
    fn connect(fleet: &mut Fleet, protocol: Protocol) -> Self {
        let nobody = Rc::new(Cell::new(0));
        let shard = fleet.rng.below(fleet.shard_count());
        Self {
            client: fleet.world.connect(shard, listener(protocol)),
            protocol,
            alone: match protocol {
                Protocol::Memcache => Box::new(Memcached::new(0, &nobody)),
                Protocol::Resp => Box::new(Redis::new(0, &nobody)),
            },
            expected: Vec::new(),
            received: Vec::new(),
            sent: 0,
        }
    }

    /// Runs of plain reads, between them something else.
    fn send(&mut self, fleet: &mut Fleet) {
        let mut pipeline = Vec::new();
        for _ in 0..1 + fleet.rng.below(8) {
            for _ in 0..fleet.rng.below(24) {
                pipeline.extend(self.read(&mut fleet.rng));
            }
            if fleet.rng.chance(800) {
                pipeline.extend(self.another(&mut fleet.rng));
            }
        }
        self.alone.received(0, &pipeline, &mut self.expected);
        fleet.world.send(self.client, &pipeline);
    }

    fn read(&self, rng: &mut SimRng) -> Vec<u8> {
        let key = key(rng);
        match self.protocol {
            Protocol::Memcache => format!("get {key}\r\n").into_bytes(),
            Protocol::Resp => request(&[b"GET", key.as_bytes()]),
        }
    }

    fn another(&mut self, rng: &mut SimRng) -> Vec<u8> {
        self.sent += 1;
        let value = format!("{}.", self.sent).repeat(1 + rng.below(60));
        let (key, second) = (key(rng), key(rng));
        let choice = rng.below(8);
        if self.protocol == Protocol::Memcache {
            let len = value.len();
            let line = match choice {
                0 => format!("get {key} {second}\r\n"),
                1 => format!("delete {key}\r\n"),
                2 => format!("add {key} 1 0 {len} noreply\r\n{value}\r\n"),
                3 => "flush_all\r\n".to_owned(),
                _ => format!("set {key} 7 0 {len}\r\n{value}\r\n"),
            };
            return line.into_bytes();
        }
        let words: &[&str] = match choice {
            0 => &["MGET", &key, &second],
            1 => &["DEL", &key],
            2 => &["STRLEN", &key],
            3 => &["FLUSHALL"],
            4 => &["MSET", &key, &value, &second, "7"],
            _ => &["SET", &key, &value],
        };
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        request(&words)
    }

    fn check(&mut self, fleet: &Fleet) {
        self.received.extend(fleet.world.take_received(self.client));
        let is_right = self.expected.starts_with(&self.received);
        let same = self.expected.iter().zip(&self.received);
        let at = same.take_while(|(expected, received)| expected == received);
        assert!(is_right, "another reply from byte {} on", at.count());
    }
}

fn key(rng: &mut SimRng) -> String {
    format!("key-{}", rng.below(KEY_COUNT))
}

#[test]
fn replies_keep_the_order_of_reads_and_all_else() {
    for_each_seed(100, |seed| {
        let protocol = [Protocol::Memcache, Protocol::Resp][seed as usize / 2 % 2];
        let pool = PoolSetup {
            protocol,
            is_crossed: false,
            write: WritePolicy::Through,
            l1_ms: None,
            server_count: 1 + seed as usize % 3,
        };
        let mut fleet = Fleet::new(seed, &Setup::pool(1 + seed as usize % 2, pool));
        fleet.world.set_faults(Faults::NETWORK);
        let mut reader = Reader::connect(&mut fleet, protocol);
        for _ in 0..30 {
            reader.send(&mut fleet);
            (0..fleet.rng.below(12)).for_each(|_| _ = fleet.round());
            reader.check(&fleet);
        }
        let is_served = fleet.run_until(PATIENCE_MS, |fleet| {
            reader.check(fleet);
            reader.received.len() == reader.expected.len()
        });
        assert!(is_served, "a reply does not come");
        fleet.world.close(reader.client);
        fleet.check_end();
    });
}
