//! Mutations of other shards' keys, many in one message or made in the stead of a shard that sleeps: each does what it
//! is to do and its client hears what came of it, also where the owner has no memory in the middle of a message.

use ringfort::config::Protocol;
use ringfort::io::sim::{ClientId, Faults};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::sim::redis::request;
use crate::sim::talker::{Talker, Value};
use crate::sim::{Fleet, Setup, listener};

/// Keys of each writer.
const KEY_COUNT: usize = 400;

/// A client with keys of its own, which it gives one value after the other.
struct Writer {
    client: ClientId,
    number: usize,
    sent: usize,
    /// By key: what it has been given, unless it was evicted since.
    stored: Vec<Option<Vec<u8>>>,
    /// What is answered and not read yet.
    received: Vec<u8>,
    heard: usize,
}

impl Writer {
    fn connect(fleet: &mut Fleet, number: usize) -> Self {
        let shard = fleet.rng.below(fleet.shard_count());
        Self {
            client: fleet.world.connect(shard, listener(Protocol::Resp)),
            number,
            sent: 0,
            stored: vec![None; KEY_COUNT],
            received: Vec::new(),
            heard: 0,
        }
    }

    fn key(&self, count: usize) -> usize {
        (count * 7 + self.number) % KEY_COUNT
    }

    fn value(&self, count: usize) -> Vec<u8> {
        format!("{}-{count}-", self.number)
            .repeat(1 + count % 250)
            .into_bytes()
    }

    fn send(&mut self, fleet: &Fleet, count: usize) {
        let mut requests = Vec::new();
        for sent in self.sent..self.sent + count {
            let name = format!("writer{}-{}", self.number, self.key(sent));
            let words: [&[u8]; 3] = [b"GETSET", name.as_bytes(), &self.value(sent)];
            requests.extend(request(&words));
        }
        self.sent += count;
        fleet.world.send(self.client, &requests);
    }

    /// Every answer is the value before, or that there is none any more.
    fn check(&mut self, fleet: &Fleet) {
        self.received.extend(fleet.world.take_received(self.client));
        let mut at = 0;
        loop {
            let key = self.key(self.heard);
            let rest = &self.received[at..];
            let Some(line) = rest.iter().position(|byte| *byte == b'\n') else {
                break;
            };
            if rest.starts_with(b"$-1\r\n") {
                at += line + 1;
            } else {
                let before = self.stored[key].as_ref().expect("it was given a value");
                let told = [format!("${}\r\n", before.len()).as_bytes(), before, b"\r\n"].concat();
                if rest.len() < told.len() {
                    break;
                }
                let shown = String::from_utf8_lossy(&rest[..told.len()]);
                assert!(rest.starts_with(&told), "{shown:?} is not {before:?}");
                at += told.len();
            }
            self.stored[key] = Some(self.value(self.heard));
            self.heard += 1;
        }
        self.received.drain(..at);
    }
}

fn run(seed: u64, memory_factor: usize, is_forwarded: bool) {
    let setup = Setup {
        item_bytes_max: 8 * 1024,
        memory_factor,
        ..Setup::embedded(2 + seed as usize % 2)
    };
    let mut fleet = Fleet::new(seed, &setup);
    fleet.world.set_faults(Faults::NETWORK);
    if is_forwarded {
        fleet.eavesdrop();
    }
    let mut writers: Vec<Writer> = (0..4).map(|n| Writer::connect(&mut fleet, n)).collect();
    for _ in 0..60 {
        for writer in &mut writers {
            let count = fleet.rng.below(150);
            writer.send(&fleet, count);
        }
        for _ in 0..fleet.rng.below(5) {
            fleet.round();
        }
        writers.iter_mut().for_each(|writer| writer.check(&fleet));
    }
    let is_served = fleet.run_until(PATIENCE_MS, |fleet| {
        writers.iter_mut().for_each(|writer| writer.check(fleet));
        writers.iter().all(|writer| writer.heard == writer.sent)
    });
    assert!(is_served, "somebody waits for ever");
    let (hops, loans) = (
        count(&mut fleet, "shard_hops"),
        count(&mut fleet, "shard_loans"),
    );
    assert_eq!(loans == 0, is_forwarded, "{loans} of {hops}");
    assert!(!is_forwarded || hops > 0);
    writers
        .iter()
        .for_each(|writer| fleet.world.close(writer.client));
    fleet.check_end();
}

/// What INFO says of all shards.
fn count(fleet: &mut Fleet, name: &str) -> u64 {
    let mut client = Talker::connect(fleet, 0);
    let Value::Text(info) = client.ask(fleet, "INFO stats") else {
        panic!("INFO is a text");
    };
    fleet.world.close(client.client);
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok();
    info.lines().find_map(value).expect("a count")
}

#[test]
fn each_is_answered_what_came_of_it() {
    for_each_seed(20, |seed| run(seed, 4, true));
}

#[test]
fn what_waits_for_memory_in_the_middle_of_a_message_goes_on() {
    for_each_seed(20, |seed| run(seed, 1, true));
}

#[test]
fn what_is_done_for_sleepers_is_as_if_they_had_done_it() {
    for_each_seed(20, |seed| run(seed, 4, false));
    for_each_seed(20, |seed| run(seed, 1, false));
}

/// As Redis does it: who changes what it has read itself is told of that right behind the reply.
#[test]
fn who_tracks_is_told_of_its_own_changes_one_by_one() {
    for_each_seed(20, |seed| {
        let mut fleet = Fleet::new(seed, &Setup::embedded(2));
        let mut client = Talker::connect(&fleet, seed as usize % 2);
        client.ask(&mut fleet, "HELLO 3");
        client.ask(&mut fleet, "CLIENT TRACKING ON");
        let names: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
        for name in &names {
            client.ask(&mut fleet, &format!("GET {name}"));
        }
        fleet.run_until_idle();
        names
            .iter()
            .for_each(|name| client.say(&fleet, &format!("SET {name} 1")));
        for name in &names {
            assert_eq!(client.await_reply(&mut fleet), Value::Text("OK".into()));
            let keys = Value::List(vec![Value::Text(name.clone())]);
            let push = Value::Push(vec![Value::Text("invalidate".into()), keys]);
            assert_eq!(client.await_reply(&mut fleet), push);
        }
        fleet.world.close(client.client);
        fleet.check_end();
    });
}

/// It went to sleep with nothing to look after, and is woken for the first thing that will be over.
#[test]
fn a_sleeper_is_told_of_what_is_to_be_swept() {
    let mut fleet = Fleet::new(1, &Setup::embedded(2));
    fleet.world.set_faults(Faults::NONE);
    let mut client = Talker::connect(&fleet, 0);
    for number in 0.. {
        let loans = count(&mut fleet, "shard_loans");
        client.ask(&mut fleet, &format!("SET k{number} v"));
        if count(&mut fleet, "shard_loans") == loans {
            continue;
        }
        fleet.run_until_idle();
        assert_eq!(fleet.world.next_alarm(), None, "everybody sleeps soundly");
        client.ask(&mut fleet, &format!("SET k{number} v PX 100"));
        fleet.run_until_idle();
        assert!(fleet.world.next_alarm().is_some());
        break;
    }
}
