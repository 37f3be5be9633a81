//! The promise: embedded, a key behaves as if there were one copy of it, whichever shard and protocol a call came
//! through. Records what many connections see of a few keys, and lets a checker look for an order.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::Instant;

#[path = "support/linearizability.rs"]
mod checker;
mod support;

use checker::{Call, Operation, Outcome, is_linearizable, told};
use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wire::Wire;

/// Few, so that calls meet on them.
const KEY_COUNT: usize = 4;
const CALLS_PER_CONNECTION: usize = 600;
/// Of each protocol: with two shards and the kernel spreading them, about four on each shard.
const CONNECTION_COUNT: usize = 8;

#[test]
fn both_protocols_see_one_copy_of_each_key() {
    let ringfort = Ringfort::embedded();
    let memcache = [ringfort.memcache(); CONNECTION_COUNT].map(Speaker::memcache);
    let resp = [ringfort.resp(); CONNECTION_COUNT].map(Speaker::resp);
    check(memcache.into_iter().chain(resp).collect());
}

/// The recorder accepts what is known to be right.
#[test]
fn real_memcached_is_accepted() {
    let memcached = Backend::memcached();
    check(
        [memcached.address(); CONNECTION_COUNT]
            .map(Speaker::memcache)
            .into(),
    );
}

#[test]
fn real_redis_is_accepted() {
    let redis = Backend::redis();
    check(
        [redis.address(); CONNECTION_COUNT]
            .map(Speaker::resp)
            .into(),
    );
}

/// And refuses what is known to be wrong: two servers that pretend to be one.
#[test]
fn two_copies_are_refused() {
    let backends = [Backend::memcached(), Backend::memcached()];
    let speakers = (0..CONNECTION_COUNT)
        .map(|index| Speaker::memcache(backends[index % 2].address()))
        .collect();
    assert!(
        record(speakers)
            .iter()
            .any(|history| !is_linearizable(history))
    );
}

fn check(speakers: Vec<Speaker>) {
    for (key, history) in record(speakers).iter().enumerate() {
        assert!(
            history.len() > CALLS_PER_CONNECTION,
            "key {key} was hardly used"
        );
        assert!(
            is_linearizable(history),
            "no order explains key {key}:\n{}",
            told(history)
        );
    }
}

/// Lets all speakers loose on the same keys; what they saw, by key.
fn record(speakers: Vec<Speaker>) -> Vec<Vec<Operation>> {
    let start = Instant::now();
    let barrier = Barrier::new(speakers.len());
    let seen: Vec<(usize, Operation)> = std::thread::scope(|scope| {
        let threads: Vec<_> = speakers
            .into_iter()
            .enumerate()
            .map(|(number, speaker)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    speaker.speak(number as u64, start)
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("a speaker"))
            .collect()
    });
    let mut histories = vec![Vec::new(); KEY_COUNT];
    seen.into_iter()
        .for_each(|(key, operation)| histories[key].push(operation));
    histories
}

/// One connection that makes calls and notes the answers.
struct Speaker {
    wire: Wire,
    is_resp: bool,
    /// Per key the last number read with `gets`, and the unique that came with it.
    uniques: [Option<(u64, u64)>; KEY_COUNT],
}

impl Speaker {
    fn memcache(address: SocketAddr) -> Self {
        Self {
            wire: Wire::connect(address),
            is_resp: false,
            uniques: [None; KEY_COUNT],
        }
    }

    fn resp(address: SocketAddr) -> Self {
        Self {
            wire: Wire::connect(address),
            is_resp: true,
            uniques: [None; KEY_COUNT],
        }
    }

    /// Which calls is the same in every run; how they meet is not.
    fn speak(mut self, number: u64, start: Instant) -> Vec<(usize, Operation)> {
        let now_ns = || start.elapsed().as_nanos() as u64;
        (0..CALLS_PER_CONNECTION as u64)
            .map(|step| {
                let dice = mix(number << 32 | step);
                let key = (dice >> 8) as usize % KEY_COUNT;
                // 40 bits, so that sums stay numbers and hardly ever meet.
                let call = self.choose(key, dice % 12, dice >> 24);
                let called_ns = now_ns();
                let outcome = if self.is_resp {
                    self.resp_call(key, call)
                } else {
                    self.memcache_call(key, call)
                };
                (
                    key,
                    Operation {
                        called_ns,
                        returned_ns: now_ns(),
                        call,
                        outcome,
                    },
                )
            })
            .collect()
    }

    fn choose(&self, key: usize, kind: u64, new: u64) -> Call {
        match kind {
            0..=4 => Call::Get,
            5 | 6 => Call::Set(new),
            7 => Call::Add(new),
            8 => Call::Delete,
            9 if self.is_resp => Call::IncrOrCreate(new),
            9 => Call::Incr(new),
            _ => match self.uniques[key] {
                Some((expected, _)) => Call::Cas { expected, new },
                None => Call::Get,
            },
        }
    }

    fn memcache_call(&mut self, key: usize, call: Call) -> Outcome {
        let store = |verb: &str, number: u64, unique: &str| {
            let text = number.to_string();
            format!("{verb} k{key} 0 0 {}{unique}\r\n{text}\r\n", text.len())
        };
        let request = match call {
            Call::Get => format!("gets k{key}\r\n"),
            Call::Set(new) => store("set", new, ""),
            Call::Add(new) => store("add", new, ""),
            Call::Cas { new, .. } => {
                let (_, unique) = self.uniques[key].take().expect("a cas follows a gets");
                store("cas", new, &format!(" {unique}"))
            }
            Call::Incr(delta) => format!("incr k{key} {delta}\r\n"),
            Call::Delete => format!("delete k{key}\r\n"),
            Call::IncrOrCreate(_) => unreachable!("memcache has none"),
        };
        self.wire.send(request.as_bytes());
        let line = self.wire.line();
        match line.as_str() {
            "STORED" => Outcome::Stored,
            "NOT_STORED" => Outcome::NotStored,
            "EXISTS" => Outcome::Exists,
            "NOT_FOUND" => Outcome::NotFound,
            "DELETED" => Outcome::Deleted,
            "END" => Outcome::Value(None),
            _ => match line.strip_prefix("VALUE ") {
                Some(header) => {
                    let value = number(self.wire.line().trim_end());
                    self.wire.expect(b"END\r\n");
                    let unique = header.rsplit(' ').next().map_or(0, number);
                    self.uniques[key] = Some((value, unique));
                    Outcome::Value(Some(value))
                }
                None => Outcome::Value(Some(number(&line))),
            },
        }
    }

    fn resp_call(&mut self, key: usize, call: Call) -> Outcome {
        let request = match call {
            Call::Get => format!("GET k{key}\r\n"),
            Call::Set(new) => format!("SET k{key} {new}\r\n"),
            Call::Add(new) => format!("SETNX k{key} {new}\r\n"),
            Call::IncrOrCreate(delta) => format!("INCRBY k{key} {delta}\r\n"),
            Call::Delete => format!("DEL k{key}\r\n"),
            Call::Cas { .. } | Call::Incr(_) => unreachable!("RESP has none"),
        };
        self.wire.send(request.as_bytes());
        let line = self.wire.line();
        match (call, line.as_str()) {
            (Call::Set(_), "+OK") | (Call::Add(_), ":1") => Outcome::Stored,
            (Call::Add(_), ":0") => Outcome::NotStored,
            (Call::Delete, ":1") => Outcome::Deleted,
            (Call::Delete, ":0") => Outcome::NotFound,
            (Call::Get, "$-1") => Outcome::Value(None),
            (Call::Get, _) => Outcome::Value(Some(number(&self.wire.line()))),
            _ => Outcome::Value(Some(number(line.trim_start_matches(':')))),
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// splitmix64 (Steele, Lea, Flood 2014): spreads small numbers over 64 bits.
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
