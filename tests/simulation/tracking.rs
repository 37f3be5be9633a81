//! Tracking: once everything is delivered, no client holds a copy of what is not so any more, whoever and whatever
//! changed it: clients of both protocols, time, lack of memory, flushes; whoever came and went meanwhile.

use std::collections::BTreeMap;

use ringfort::config::Protocol;
use ringfort::io::ListenerId;
use ringfort::io::sim::{ClientId, Faults};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::sim::cacher::{Cacher, Mode, any_mode};
use crate::sim::redis::request;
use crate::sim::talker::{Talker, Value};
use crate::sim::{Fleet, Setup, listener};

/// What everybody reads and writes.
fn keys() -> Vec<String> {
    ["a", "b"]
        .into_iter()
        .flat_map(|kind| (0..4).map(move |number| format!("{kind}{number}")))
        .collect()
}

fn fleet(seed: u64) -> Fleet {
    let fleet = Fleet::new(seed, &Setup::embedded(1 + seed as usize % 3));
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}

/// A client that changes things and reads no answers.
struct Writer {
    client: ClientId,
    protocol: Protocol,
}

impl Writer {
    fn connect(fleet: &mut Fleet, protocol: Protocol) -> Self {
        let shard = fleet.rng.below(fleet.shard_count());
        Self {
            client: fleet.world.connect(shard, listener(protocol)),
            protocol,
        }
    }

    fn write(&self, fleet: &mut Fleet, keys: &[String], value: u64) {
        let key = &keys[fleet.rng.below(keys.len())];
        let other = &keys[fleet.rng.below(keys.len())];
        let ms = 1 + fleet.rng.below(3_000);
        let kind = fleet.rng.below(40);
        let line = match (self.protocol, kind) {
            (Protocol::Memcache, 0) => "flush_all noreply\r\n".into(),
            (Protocol::Memcache, 1) => "flush_all 1 noreply\r\n".into(),
            (Protocol::Memcache, 2..=5) => format!("delete {key} noreply\r\n"),
            (Protocol::Memcache, 6..=9) => format!("incr {key} 1 noreply\r\n"),
            (Protocol::Memcache, 10..=13) => format!("touch {key} 2 noreply\r\n"),
            (Protocol::Memcache, 14..=17) => format!("append {key} 0 0 1 noreply\r\n7\r\n"),
            (Protocol::Memcache, 18..=20) => format!("get {key} {other}\r\n"),
            (Protocol::Memcache, _) => {
                let value = value.to_string();
                let exptime = if kind.is_multiple_of(2) { 0 } else { 2 };
                format!(
                    "set {key} 0 {exptime} {} noreply\r\n{value}\r\n",
                    value.len()
                )
            }
            (Protocol::Resp, 0) => "FLUSHALL".into(),
            (Protocol::Resp, 1..=4) => format!("DEL {key} {other}"),
            (Protocol::Resp, 5..=8) => format!("INCR {key}"),
            (Protocol::Resp, 9..=12) => format!("PEXPIRE {key} {ms}"),
            (Protocol::Resp, 13..=15) => format!("PERSIST {key}"),
            (Protocol::Resp, 16..=19) => format!("MSET {key} {value} {other} {value}"),
            (Protocol::Resp, 20..=22) => format!("RENAME {key} {other}"),
            (Protocol::Resp, 23..=25) => format!("MGET {key} {other}"),
            (Protocol::Resp, 26..=30) => format!("SET {key} {value} PX {ms}"),
            (Protocol::Resp, _) => format!("SET {key} {value}"),
        };
        let bytes = match self.protocol {
            Protocol::Memcache => line.into_bytes(),
            Protocol::Resp => {
                let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                request(&words)
            }
        };
        fleet.world.send(self.client, &bytes);
        fleet.world.take_received(self.client);
    }
}

/// Lets clients read, write, come and go, then everything be delivered, and looks at every copy.
fn run(fleet: &mut Fleet, round_count: usize, mut disturb: impl FnMut(&mut Fleet, u64)) {
    let keys = keys();
    let mut cachers: Vec<Cacher> = (0..5)
        .map(|_| {
            let mode = any_mode(&mut fleet.rng);
            Cacher::connect(fleet, mode)
        })
        .collect();
    let writers = [Protocol::Memcache, Protocol::Resp, Protocol::Resp]
        .map(|protocol| Writer::connect(fleet, protocol));
    let mut value = 0;
    let mut told_count = 0;
    for _ in 0..round_count {
        value += 1_000;
        let number = fleet.rng.below(cachers.len());
        match fleet.rng.below(20) {
            0..=10 => cachers[number].act(fleet, &keys, value),
            11..=16 => {
                let writer = fleet.rng.below(writers.len());
                writers[writer].write(fleet, &keys, value);
            }
            17 => {
                let bytes = [50, usize::MAX][fleet.rng.below(2)];
                cachers[number].set_window(fleet, bytes);
            }
            18 if fleet.rng.chance(200) => {
                told_count += cachers[number].told_count;
                cachers[number].leave(fleet);
                let mode = any_mode(&mut fleet.rng);
                cachers[number] = Cacher::connect(fleet, mode);
            }
            _ => disturb(fleet, value),
        }
        for _ in 0..fleet.rng.below(5) {
            fleet.round();
            cachers.iter_mut().for_each(|cacher| cacher.hear(fleet));
        }
    }
    cachers
        .iter()
        .for_each(|cacher| cacher.set_window(fleet, usize::MAX));
    let is_served = fleet.run_until(PATIENCE_MS, |fleet| {
        cachers.iter_mut().for_each(|cacher| cacher.hear(fleet));
        !cachers.iter().any(Cacher::is_waiting)
    });
    assert!(is_served, "somebody waits for ever");
    // What is on its way arrives, and what has a time passes it.
    fleet.run_until(10_000, |fleet| {
        cachers.iter_mut().for_each(|cacher| cacher.hear(fleet));
        false
    });
    let there = look(fleet, &keys);
    for cacher in &mut cachers {
        cacher.hear(fleet);
        cacher.check(&there);
        told_count += cacher.told_count;
    }
    assert!(told_count > 0, "nobody was told anything");
    cachers.iter().for_each(|cacher| cacher.leave(fleet));
    writers
        .iter()
        .for_each(|writer| fleet.world.close(writer.client));
}

/// What is there, as a client that keeps nothing sees it.
fn look(fleet: &mut Fleet, keys: &[String]) -> BTreeMap<String, Option<String>> {
    let mut talker = Talker::connect(fleet, 0);
    let there = keys
        .iter()
        .map(|key| {
            let copy = match talker.ask(fleet, &format!("GET {key}")) {
                Value::Null => None,
                Value::Text(text) => Some(text),
                other => panic!("{other:?} is no value"),
            };
            (key.clone(), copy)
        })
        .collect();
    fleet.world.close(talker.client);
    there
}

#[test]
fn no_copy_is_old_in_the_end() {
    for_each_seed(400, |seed| {
        let mut fleet = fleet(seed);
        run(&mut fleet, 400, |_, _| {});
        fleet.check_end();
    });
}

/// The table holds fewer keys than are read.
#[test]
fn no_copy_is_old_where_the_table_is_too_small() {
    for_each_seed(150, |seed| {
        let mut fleet = fleet(seed);
        let mut admin = Talker::connect(&fleet, 0);
        admin.ask(&mut fleet, "CONFIG SET tracking-table-max-keys 3");
        fleet.world.close(admin.client);
        run(&mut fleet, 300, |_, _| {});
        fleet.check_end();
    });
}

/// Entries are evicted, as somebody stores more than there is room for.
#[test]
fn no_copy_is_old_where_memory_is_short() {
    for_each_seed(30, |seed| {
        let mut fleet = fleet(seed);
        let filler = fleet.world.connect(0, ListenerId::Resp);
        let junk = vec![b'x'; 60_000];
        let mut is_full = false;
        run(&mut fleet, 300, |fleet, value| {
            // More than there is room for, then some at a time.
            let count = if is_full { 8 } else { 150 };
            is_full = true;
            for number in 0..count {
                let name = format!("junk{}", value + number);
                let words: [&[u8]; 3] = [b"SET", name.as_bytes(), &junk];
                fleet.world.send(filler, &request(&words));
            }
            fleet.world.take_received(filler);
        });
        let mut admin = Talker::connect(&fleet, 0);
        let Value::Text(stats) = admin.ask(&mut fleet, "INFO stats") else {
            panic!("INFO is text")
        };
        assert!(!stats.contains("evicted_keys:0\r\n"), "{stats}");
        fleet.world.close(admin.client);
        fleet.world.close(filler);
        fleet.check_end();
    });
}

/// A message may find that whom it is for has gone; the other learns of it.
#[test]
fn who_redirects_learns_that_nobody_listens() {
    for_each_seed(50, |seed| {
        let mut fleet = fleet(seed);
        let mut cacher = Cacher::connect(&mut fleet, Mode::Redirect);
        cacher.talker.ask(&mut fleet, "HELLO 3");
        let listener = cacher.listener.take().expect("it redirects");
        cacher.talker.ask(&mut fleet, "GET a0");
        fleet.world.reset(listener.client);
        fleet.run_until_idle();
        let shard = fleet.rng.below(fleet.shard_count());
        let mut writer = Talker::connect(&fleet, shard);
        writer.ask(&mut fleet, "SET a0 1");
        let Value::Push(parts) = cacher.talker.await_reply(&mut fleet) else {
            panic!("a push")
        };
        assert_eq!(parts[0], Value::Text("tracking-redir-broken".into()));
        for client in [cacher.talker.client, writer.client] {
            fleet.world.close(client);
        }
        fleet.check_end();
    });
}

/// Who reads nothing of what it is told is closed; who reads slowly is told everything.
#[test]
fn who_does_not_read_is_closed() {
    for_each_seed(5, |seed| {
        let mut fleet = fleet(seed);
        let [deaf, slow] = [(); 2].map(|()| Cacher::connect(&mut fleet, Mode::Bcast));
        deaf.set_window(&fleet, 100);
        let shard = fleet.rng.below(fleet.shard_count());
        let mut writer = Talker::connect(&fleet, shard);
        let name = "k".repeat(50_000);
        let mut bytes = 0;
        for _ in 0..120 {
            writer.ask(&mut fleet, &format!("SET {name} 1"));
            fleet.run_until_idle();
            bytes += fleet.world.take_received(slow.talker.client).len();
        }
        let is_closed = |fleet: &mut Fleet| fleet.world.is_closed(deaf.talker.client);
        assert!(fleet.run_until(1_000, is_closed), "6 MB are kept for it");
        assert!(!fleet.world.is_closed(slow.talker.client));
        assert_eq!(
            bytes,
            120 * (name.len() + ">2\r\n$10\r\ninvalidate\r\n*1\r\n$50000\r\n\r\n".len())
        );
        for client in [slow.talker.client, writer.client] {
            fleet.world.close(client);
        }
        fleet.check_end();
    });
}
