//! Mutations of other shards' keys, many in one message or made in the stead of a shard that sleeps: each does what it
//! is to do and its client hears what came of it, also where the owner has no memory in the middle of a message.

use ringfort::config::Protocol;
use ringfort::io::sim::{ClientId, Faults};
use ringfort::mesh;
use ringfort::store::KeyHasher;

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

/// Two shards, of which the first one can be run alone: what it sends to the other one, as it changes nothing in its
/// stead, is under way and stays so.
struct Half {
    fleet: Fleet,
    admin: Talker,
    /// What was sent before.
    hops_before: usize,
    hasher: KeyHasher,
}

impl Half {
    fn new(seed: u64, item_bytes_max: usize) -> Self {
        let setup = Setup {
            item_bytes_max,
            ..Setup::embedded(2)
        };
        let mut fleet = Fleet::new(seed, &setup);
        fleet.eavesdrop();
        let mut admin = Talker::connect(&fleet, 0);
        admin.ask(&mut fleet, "PING");
        fleet.run_until_idle();
        let mut half = Self {
            fleet,
            admin,
            hops_before: 0,
            hasher: KeyHasher::new(seed),
        };
        half.hops_before = half.hops();
        half
    }

    /// The n-th of the keys that the other shard owns.
    fn key(&self, number: usize) -> String {
        let names = (0..).map(|number| format!("k{number}"));
        let mut others = names.filter(|name| self.hasher.hash(name.as_bytes()).owner(2) == 1);
        others.nth(number).expect("half of all keys")
    }

    fn connect(&self) -> Talker {
        Talker::connect(&self.fleet, 0)
    }

    /// How many mutations and other requests the first shard has sent to the other one.
    fn hops(&mut self) -> usize {
        self.admin.say(&self.fleet, "INFO stats");
        let mut info = None;
        for _ in 0..100 {
            self.fleet.turn(0);
            info = info.or_else(|| self.admin.hear(&self.fleet));
        }
        let Some(Value::Text(info)) = info else {
            panic!("{info:?} is no INFO");
        };
        let (_, rest) = info.split_once("shard_hops:").expect("the field");
        let (hops, _) = rest.split_once("\r\n").expect("a line");
        hops.parse::<usize>().expect("a number") - self.hops_before
    }

    /// Lets the first shard do all it can, however often it tries.
    fn run_first(&mut self) -> usize {
        for _ in 0..500 {
            self.fleet.turn(0);
            self.fleet.world.advance(1);
        }
        self.hops()
    }

    fn end(mut self, clients: Vec<Talker>) {
        let all = clients.iter().chain([&self.admin]);
        all.for_each(|talker| self.fleet.world.close(talker.client));
        self.fleet.check_end();
    }
}

/// What is under way to a shard is measured without what is to go: the second of two large values need not wait until the
/// first one is answered, but the third has to.
#[test]
fn two_large_values_are_under_way_at_once() {
    const MIB: usize = 1 << 20;
    for_each_seed(3, |seed| {
        let mut half = Half::new(seed, 2 * MIB);
        let mut clients: Vec<Talker> = (0..3).map(|_| half.connect()).collect();
        for (number, client) in clients.iter().enumerate() {
            let value = number.to_string().repeat(MIB);
            let line = format!("SET {} {value}", half.key(number));
            client.say(&half.fleet, &line);
        }
        assert_eq!(half.run_first(), 2, "two of a mebibyte, and no third one");
        for (number, client) in clients.iter_mut().enumerate() {
            let reply = client.await_reply(&mut half.fleet);
            assert_eq!(reply, Value::Text("OK".into()));
            let key = half.key(number);
            let len = client.ask(&mut half.fleet, &format!("STRLEN {key}"));
            assert_eq!(len, Value::Number(MIB as i64));
        }
        half.end(clients);
    });
}

/// Only so many mutations are unanswered by a shard at a time, however few messages they are in. What is beyond that
/// waits at its client, is not lost, and comes in its order.
#[test]
fn more_than_may_be_unanswered_wait_in_their_order() {
    const EACH: usize = 900;
    for_each_seed(3, |seed| {
        let mut half = Half::new(seed, 64 * 1024);
        let depth = mesh::mesh::<(), (), ()>(2)[0].depth();
        let mut clients: Vec<Talker> = (0..3).map(|_| half.connect()).collect();
        assert!(clients.len() * EACH > 2 * depth);
        for (number, client) in clients.iter().enumerate() {
            let key = half.key(number);
            for count in 0..EACH {
                client.say(&half.fleet, &format!("GETSET {key} {count}"));
            }
        }
        assert_eq!(half.run_first(), depth);
        for client in &mut clients {
            let first = client.await_reply(&mut half.fleet);
            assert_eq!(first, Value::Null);
            for before in 0..EACH - 1 {
                let reply = client.await_reply(&mut half.fleet);
                assert_eq!(reply, Value::Text(before.to_string()));
            }
        }
        assert_eq!(half.hops(), clients.len() * EACH);
        half.end(clients);
    });
}

/// The writes of a turn are few messages to another shard. It shows in how much may go there beside them: room for
/// other requests is judged by how many are unanswered, as if each were as large as the one that is to go, and three of
/// this one were too many.
#[test]
fn what_a_turn_writes_shares_messages() {
    const COUNT: usize = 60;
    for_each_seed(3, |seed| {
        let mut half = Half::new(seed, 2 << 20);
        let mut client = half.connect();
        for number in 0..COUNT {
            let line = format!("SET {} {number}", half.key(number));
            client.say(&half.fleet, &line);
        }
        assert_eq!(half.run_first(), COUNT);
        let patch = "x".repeat(800_000);
        let line = format!("SETRANGE {} 0 {patch}", half.key(COUNT));
        client.say(&half.fleet, &line);
        assert_eq!(half.run_first(), COUNT + 1, "it waits for the others");
        for _ in 0..COUNT {
            let reply = client.await_reply(&mut half.fleet);
            assert_eq!(reply, Value::Text("OK".into()));
        }
        let reply = client.await_reply(&mut half.fleet);
        assert_eq!(reply, Value::Number(patch.len() as i64));
        half.end(vec![client]);
    });
}
