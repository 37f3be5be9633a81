//! The promise: in front of a pool every key is where any other client looks for it, a write is honoured as
//! `--write` says, and the L1 never shows what this ringfort has overwritten.

use std::net::SocketAddr;

mod support;

use support::backends::Backend;
use support::binary::{packet_with, reply};
use support::process::ScratchFolder;
use support::python;
use support::ringfort::Ringfort;
use support::wait_for;
use support::wire::Wire;

const BACKEND_COUNT: usize = 3;
const KEY_COUNT: usize = 10_000;

#[test]
fn ringfort_reads_what_libmemcached_has_placed() {
    let pool = Pool::memcached(&["--write", "through", "--l1", "off"]);
    reads_what_libmemcached_has_placed(&pool.backends, pool.ringfort.memcache());
}

#[test]
fn libmemcached_reads_what_ringfort_has_placed() {
    let pool = Pool::memcached(&["--write", "through", "--l1", "off"]);
    libmemcached_reads_what_was_placed(&pool.backends, pool.ringfort.memcache());
}

/// Another proxy passes the same examination, so it is a fair one.
#[test]
fn real_nutcracker_agrees_with_libmemcached() {
    let backends = [(); BACKEND_COUNT].map(|()| Backend::memcached());
    let nutcracker = Backend::nutcracker(&backends.each_ref().map(Backend::address));
    reads_what_libmemcached_has_placed(&backends, nutcracker.address());
    libmemcached_reads_what_was_placed(&backends, nutcracker.address());
}

#[test]
fn redis_keys_are_spread_and_found_again() {
    const KEYS: usize = 3000;
    let pool = Pool::redis(&["--write", "through", "--l1", "off"]);
    let mut wire = Wire::connect(pool.ringfort.resp());
    let sets: String = (0..KEYS)
        .map(|key| format!("SET key-{key} value-{key}\r\n"))
        .collect();
    wire.ask(sets, "+OK\r\n".repeat(KEYS));
    let counts = pool.backends.each_ref().map(|backend| {
        let mut wire = backend.connect();
        wire.send(b"DBSIZE\r\n");
        wire.line()
            .trim_start_matches(':')
            .parse::<usize>()
            .expect("a count")
    });
    assert_eq!(counts.iter().sum::<usize>(), KEYS, "{counts:?}");
    assert!(counts.iter().all(|&count| count > KEYS / 10), "{counts:?}");
    for key in 0..KEYS {
        let value = format!("value-{key}");
        wire.ask(
            format!("GET key-{key}\r\n"),
            format!("${}\r\n{value}\r\n", value.len()),
        );
    }
    // One request, three servers, one reply in the order of the request.
    wire.ask(
        "MGET key-1 none key-2 key-3\r\n",
        "*4\r\n$7\r\nvalue-1\r\n$-1\r\n$7\r\nvalue-2\r\n$7\r\nvalue-3\r\n",
    );
    wire.ask("DEL key-1 none key-2 key-3\r\n", ":3\r\n");
    wire.ask("EXISTS key-1 key-4\r\n", ":1\r\n");
}

#[test]
fn overlapping_misses_ask_the_backend_once() {
    let pool = Pool::memcached(&["--write", "through", "--l1", "60s"]);
    let mut setter = Wire::connect(pool.ringfort.memcache());
    setter.ask("set hot 0 0 5\r\nvalue\r\n", "STORED\r\n");
    let asked_before = pool.stat("cmd_get");
    pool.pause();
    let mut wires: Vec<_> = (0..40)
        .map(|_| Wire::connect(pool.ringfort.memcache()))
        .collect();
    wires.iter_mut().for_each(|wire| wire.send(b"get hot\r\n"));
    // Every shard has had a turn, so the misses have met. If one has not, the L1 answers it: once it is.
    (0..8).for_each(|_| Wire::connect(pool.ringfort.memcache()).ask("mn\r\n", "MN\r\n"));
    pool.resume();
    wires
        .iter_mut()
        .for_each(|wire| wire.expect(b"VALUE hot 0 5\r\nvalue\r\nEND\r\n"));
    assert_eq!(pool.stat("cmd_get") - asked_before, 1);
}

#[test]
fn after_a_write_through_no_shard_shows_the_old_value() {
    let pool = Pool::memcached(&["--write", "through", "--l1", "60s"]);
    let mut wires: Vec<_> = (0..16)
        .map(|_| Wire::connect(pool.ringfort.memcache()))
        .collect();
    for round in 100..200 {
        wires[round % 16].ask(format!("set key 0 0 3\r\n{round}\r\n"), "STORED\r\n");
        // Twice: the first read fills, the second finds.
        for _ in 0..2 {
            for wire in &mut wires {
                wire.ask(
                    "get key\r\n",
                    format!("VALUE key 0 3\r\n{round}\r\nEND\r\n"),
                );
            }
        }
    }
    wires[0].ask("delete key\r\n", "DELETED\r\n");
    wires
        .iter_mut()
        .for_each(|wire| wire.ask("get key\r\n", "END\r\n"));
}

#[test]
fn a_write_through_is_on_the_backend_when_it_is_answered() {
    let pool = Pool::memcached(&["--write", "through", "--l1", "60s"]);
    let mut wire = Wire::connect(pool.ringfort.memcache());
    for round in 100..200 {
        wire.ask(
            format!("set key-{round} 0 0 3\r\n{round}\r\n"),
            "STORED\r\n",
        );
        assert_eq!(pool.holders(&format!("key-{round}")), 1);
        wire.ask(format!("delete key-{round}\r\n"), "DELETED\r\n");
        assert_eq!(pool.holders(&format!("key-{round}")), 0);
    }
}

#[test]
fn a_flush_reaches_every_server_and_its_delay_does() {
    for l1 in ["off", "60s"] {
        let pool = Pool::memcached(&["--write", "through", "--l1", l1]);
        let mut wire = Wire::connect(pool.ringfort.memcache());
        let sets: String = (0..30)
            .map(|key| format!("set key-{key} 0 0 1\r\nx\r\n"))
            .collect();
        wire.ask(sets, "STORED\r\n".repeat(30));
        wire.ask("flush_all 1000\r\n", "OK\r\n");
        let held = |pool: &Pool| -> usize { pool.backends.iter().map(|one| held(one, 30)).sum() };
        assert_eq!(held(&pool), 30, "a flush of the far future, --l1 {l1}");
        wire.ask("get key-1\r\n", "VALUE key-1 0 1\r\nx\r\nEND\r\n");
        wire.ask("flush_all\r\nget key-1\r\n", "OK\r\nEND\r\n");
        assert_eq!(held(&pool), 0, "--l1 {l1}");
    }
}

#[test]
fn an_invalidation_is_answered_at_once_and_arrives() {
    let pool = Pool::memcached(&["--write", "invalidate", "--l1", "60s"]);
    // On all three, whichever it belongs to; the two others may keep theirs.
    pool.backends.iter().for_each(|backend| {
        backend
            .connect()
            .ask("set key 0 0 3\r\nold\r\n", "STORED\r\n");
    });
    let mut wire = Wire::connect(pool.ringfort.memcache());
    wire.ask("get key\r\n", "VALUE key 0 3\r\nold\r\nEND\r\n");
    pool.pause();
    wire.ask("delete key\r\n", "DELETED\r\n");
    wire.ask("set other 0 0 1\r\nx\r\n", "STORED\r\n");
    pool.resume();
    wait_for("the delete to arrive", || {
        (pool.holders("key") == BACKEND_COUNT - 1).then_some(())
    });
    // The L1 had dropped it before it answered.
    wire.ask("get key\r\n", "END\r\n");
}

#[test]
fn invalidations_reach_a_server_that_was_away() {
    const KEYS: usize = 300;
    let mut pool = Pool::memcached(&["--write", "invalidate", "--l1", "off"]);
    let mut wire = Wire::connect(pool.ringfort.memcache());
    let deletes: String = (0..KEYS)
        .map(|key| format!("delete key-{key}\r\n"))
        .collect();
    let replies = "DELETED\r\n".repeat(KEYS);
    wire.ask(&deletes, &replies);
    wait_for("all deletes to arrive", || {
        (pool.deletes() >= KEYS as u64).then_some(())
    });
    let share = deletes_of(&pool.backends[1]);
    assert!(share > 0);

    pool.backends[1].stop();
    wire.ask(&deletes, &replies);
    pool.backends[1].restart();
    // It counts from zero again: these are the ones that it missed.
    wait_for("the missed deletes to arrive", || {
        (deletes_of(&pool.backends[1]) >= share).then_some(())
    });
    wait_for("the others' deletes", || {
        (pool.deletes() >= (2 * KEYS) as u64 - share).then_some(())
    });
}

#[test]
fn a_full_queue_is_an_error_and_what_was_promised_arrives() {
    const BATCH: usize = 1000;
    const BATCHES_MAX: usize = 3000;
    let pool = Pool::memcached(&["--write", "invalidate", "--l1", "off"]);
    let mut wire = Wire::connect(pool.ringfort.memcache());
    pool.pause();
    let (mut promised, mut refused) = (0, 0);
    for batch in 0..BATCHES_MAX {
        let deletes: String = (0..BATCH)
            .map(|key| format!("delete {batch}-{key}\r\n"))
            .collect();
        wire.send(deletes.as_bytes());
        for _ in 0..BATCH {
            match wire.line() {
                line if line == "DELETED" => promised += 1,
                line if line.starts_with("SERVER_ERROR ") => refused += 1,
                line => panic!("a delete was answered {line:?}"),
            }
        }
        if refused > 0 {
            break;
        }
    }
    assert!(
        refused > 0,
        "{promised} invalidations wait, and there is no end to it"
    );
    pool.resume();
    wait_for("what was promised", || {
        (pool.deletes() >= promised).then_some(())
    });
    wire.ask("delete again\r\n", "DELETED\r\n");
}

/// Far more than a server may owe answers to at a time: all but the first have to wait, and are tried again each turn.
#[test]
fn a_request_that_waits_for_its_server_is_counted_once() {
    const COUNT: usize = 300;
    let flags = ["--l1", "1s", "--backend-in-flight-max", "1"];
    let pool = Pool::memcached(&flags);
    let mut wire = Wire::connect(pool.ringfort.memcache());
    let gets: String = (0..COUNT).map(|key| format!("get {key}\r\n")).collect();
    wire.ask(gets, "END\r\n".repeat(COUNT));
    assert_eq!(wire.stat("", "cmd_get"), COUNT as u64);
    let mut packets = Wire::connect(pool.ringfort.memcache());
    for key in 0..COUNT {
        let key = key.to_string();
        packets.send(&packet_with(SET, key.as_bytes(), &[0; 8], b"x", 0));
    }
    (0..COUNT).for_each(|_| assert_eq!(reply(&mut packets).status, 0));
    assert_eq!(wire.stat("", "cmd_set"), COUNT as u64);
    let pool = Pool::redis(&flags);
    let mut wire = Wire::connect(pool.ringfort.resp());
    let gets: String = (0..COUNT).map(|key| format!("GET {key}\r\n")).collect();
    wire.ask(gets, "$-1\r\n".repeat(COUNT));
    assert_eq!(wire.info("stats", "keyspace_misses"), COUNT as u64);
}

/// The binary opcode.
const SET: u8 = 0x01;

#[test]
fn a_backend_that_is_down_takes_only_its_own_keys_with_it() {
    const KEYS: usize = 100;
    let mut pool = Pool::memcached(&["--write", "through", "--l1", "off"]);
    let mut wire = Wire::connect(pool.ringfort.memcache());
    for key in 0..KEYS {
        wire.ask(format!("set key-{key} 0 0 1\r\nx\r\n"), "STORED\r\n");
    }
    let lost = KEYS
        - [0, 2]
            .map(|index: usize| held(&pool.backends[index], KEYS))
            .iter()
            .sum::<usize>();
    pool.backends[1].stop();
    let mut found = 0;
    for key in 0..KEYS {
        wire.send(format!("get key-{key}\r\n").as_bytes());
        match wire.line() {
            line if line.starts_with("VALUE ") => {
                wire.expect(b"x\r\nEND\r\n");
                found += 1;
            }
            line => assert!(
                line == "END" || line.starts_with("SERVER_ERROR "),
                "{line:?}"
            ),
        }
    }
    assert_eq!(found, KEYS - lost);
    pool.backends[1].restart();
    wait_for("the backend to be used again", || {
        let stored = (0..KEYS).filter(|key| {
            wire.send(format!("set key-{key} 0 0 1\r\ny\r\n").as_bytes());
            wire.line() == "STORED"
        });
        (stored.count() == KEYS).then_some(())
    });
    // A pool may send elsewhere what a lost server owned; in the end it is back.
    wait_for("its keys to come home", || {
        (0..KEYS).for_each(|key| wire.ask(format!("set key-{key} 0 0 1\r\ny\r\n"), "STORED\r\n"));
        (held(&pool.backends[1], KEYS) == lost).then_some(())
    });
}

fn reads_what_libmemcached_has_placed(backends: &[Backend; BACKEND_COUNT], proxy: SocketAddr) {
    place("write", backends);
    assert!(
        backends
            .iter()
            .all(|backend| backend.memcached_stat("curr_items") > KEY_COUNT as u64 / 10)
    );
    let mut wire = Wire::connect(proxy);
    for key in 0..KEY_COUNT {
        let value = format!("value-{key}");
        // pylibmc notes in the flags that it stored a text.
        wire.ask(
            format!("get key-{key}\r\n"),
            format!(
                "VALUE key-{key} {PYLIBMC_TEXT} {}\r\n{value}\r\nEND\r\n",
                value.len()
            ),
        );
    }
}

fn libmemcached_reads_what_was_placed(backends: &[Backend; BACKEND_COUNT], proxy: SocketAddr) {
    let mut wire = Wire::connect(proxy);
    for key in 0..KEY_COUNT {
        let value = format!("value-{key}");
        wire.ask(
            format!(
                "set key-{key} {PYLIBMC_TEXT} 0 {}\r\n{value}\r\n",
                value.len()
            ),
            "STORED\r\n",
        );
    }
    place("read", backends);
}

/// pylibmc's flag for a str in UTF-8 (`PYLIBMC_FLAG_TEXT` in its source).
const PYLIBMC_TEXT: u32 = 16;

fn place(action: &str, backends: &[Backend; BACKEND_COUNT]) {
    let ports = backends
        .each_ref()
        .map(|backend| backend.address().port().to_string());
    let count = KEY_COUNT.to_string();
    python::run(
        "with_pylibmc.py",
        &[action, &count, &ports[0], &ports[1], &ports[2]],
    );
}

/// How many of `key-0` … a memcached holds.
fn held(backend: &Backend, count: usize) -> usize {
    let mut wire = backend.connect();
    (0..count)
        .filter(|key| {
            wire.send(format!("mg key-{key}\r\n").as_bytes());
            wire.line() == "HD"
        })
        .count()
}

fn deletes_of(memcached: &Backend) -> u64 {
    memcached.memcached_stat("delete_hits") + memcached.memcached_stat("delete_misses")
}

/// A ringfort in front of three real servers.
struct Pool {
    ringfort: Ringfort,
    backends: [Backend; BACKEND_COUNT],
}

impl Pool {
    fn memcached(flags: &[&str]) -> Self {
        let backends = [(); BACKEND_COUNT].map(|()| Backend::memcached());
        Self::new(
            backends,
            &["--memcache", "127.0.0.1:0", "--pool", "memcache"],
            flags,
        )
    }

    fn redis(flags: &[&str]) -> Self {
        let backends = [(); BACKEND_COUNT].map(|()| Backend::redis());
        Self::new(
            backends,
            &["--resp", "127.0.0.1:0", "--pool", "resp"],
            flags,
        )
    }

    fn new(backends: [Backend; BACKEND_COUNT], pool: &[&str], flags: &[&str]) -> Self {
        let folder = ScratchFolder::new();
        let servers: String = backends
            .iter()
            .map(|backend| format!("{} 1\n", backend.address()))
            .collect();
        let file = folder.write("servers.txt", &servers).display().to_string();
        let common = ["--shards", "2", "--memory", "64MiB", "--servers", &file];
        let ringfort = Ringfort::start_exactly(&[pool, &common, flags].concat());
        Self { ringfort, backends }
    }

    fn pause(&self) {
        self.backends.iter().for_each(Backend::pause);
    }

    fn resume(&self) {
        self.backends.iter().for_each(Backend::resume);
    }

    /// A statistic of the memcacheds, summed.
    fn stat(&self, name: &str) -> u64 {
        self.backends
            .iter()
            .map(|backend| backend.memcached_stat(name))
            .sum()
    }

    /// Deletes that the memcacheds have seen.
    fn deletes(&self) -> u64 {
        self.backends.iter().map(deletes_of).sum()
    }

    /// How many of the memcacheds hold `key`.
    fn holders(&self, key: &str) -> usize {
        let holds = |backend: &&Backend| {
            let mut wire = backend.connect();
            wire.send(format!("mg {key}\r\n").as_bytes());
            wire.line() == "HD"
        };
        self.backends.iter().filter(holds).count()
    }
}
