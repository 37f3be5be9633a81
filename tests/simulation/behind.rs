//! A pool with `--write behind`: a write is answered at once, everybody sees it from then on, and whatever breaks,
//! its key's newest value reaches the server.

use ringfort::config::{Protocol, WritePolicy};
use ringfort::io::sim::{ClientId, Faults, ServerState};

use crate::checker::{Call, Outcome};
use crate::embedded::{PATIENCE_MS, check_histories, converse, finish, hear_all};
use crate::for_each_seed;
use crate::l1::{end, expect};
use crate::pool::{call_at_random, connect_all, trouble};
use crate::sim::caller::{Caller, name};
use crate::sim::exact::Exact;
use crate::sim::{Backend, Fleet, PoolSetup, Setup, address, listener, redis, register};

/// Keys that callers share.
const KEY_COUNT: usize = 3;

/// Longer than anybody waits for a server that owes answers.
pub(crate) const GIVE_UP_MS: u64 = 30_000;

#[test]
fn every_byte_of_every_reply_is_as_a_server_alone_would_say() {
    for_each_seed(600, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        connect_all(&mut fleet);
        let mut clients: Vec<Exact> = (0..6)
            .map(|number| {
                let shard = fleet.rng.below(fleet.shard_count());
                Exact::connect(&fleet, number, shard, protocol).with_promised_deletes()
            })
            .collect();
        for _ in 0..60 {
            converse(&mut fleet, &mut clients);
        }
        finish(&mut fleet, clients);
    });
}

/// A write is there once it is answered, on every shard, and the servers have it in the end.
#[test]
fn shared_keys_are_linearizable_and_servers_get_what_was_written_last() {
    for_each_seed(1500, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        let mut callers: Vec<Caller> = (0..6)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                Caller::connect(&fleet, shard, protocol)
            })
            .collect();
        let has_trouble = seed % 4 > 0;
        if has_trouble {
            fleet.world.set_faults(Faults::HARSH);
        }
        call_at_random(&mut fleet, &mut callers, 400, has_trouble);
        fleet.heal();
        hear_all(&mut fleet, &mut callers);
        let last: Vec<_> = (0..KEY_COUNT)
            .map(|key| last_value(&mut fleet, &mut callers, key))
            .collect();
        check_histories(&callers, register::is_linearizable);
        let is_in_step = fleet.run_until(PATIENCE_MS, |fleet| values_at_servers(fleet) == last);
        let there = values_at_servers(&fleet);
        assert!(is_in_step, "servers have {there:?}, not {last:?}");
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
}

/// What a key is read as once its server is there.
pub(crate) fn last_value(fleet: &mut Fleet, callers: &mut [Caller], key: usize) -> Option<u64> {
    let caller = fleet.rng.below(callers.len());
    for _ in 0..1_000 {
        let before = callers[caller].history.len();
        callers[caller].call(fleet, key, Call::Get);
        hear_all(fleet, callers);
        if let Some((_, operation)) = callers[caller].history.get(before) {
            let Outcome::Value(value) = operation.outcome else {
                panic!("{operation:?}");
            };
            return value;
        }
        fleet.world.advance(20);
    }
    panic!("the server never comes back");
}

fn values_at_servers(fleet: &Fleet) -> Vec<Option<u64>> {
    (0..KEY_COUNT).map(|key| value_at(fleet, key)).collect()
}

fn value_at(fleet: &Fleet, key: usize) -> Option<u64> {
    let value = stored(fleet, &name(key))?;
    Some(
        String::from_utf8(value)
            .expect("digits")
            .parse()
            .expect("a number"),
    )
}

fn stored(fleet: &Fleet, key: &str) -> Option<Vec<u8>> {
    let key = key.as_bytes();
    match &fleet.backends[fleet.server_of(key)] {
        Backend::Memcached(server) => server.borrow().items.get(key).map(|item| item.1.clone()),
        Backend::Redis(server) => server.borrow().items.get(key).cloned(),
    }
}

/// Of a key that is written again and again while its server is away, it gets one value.
#[test]
fn writes_of_a_key_that_wait_are_one() {
    for_each_seed(100, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        all_servers(&fleet, ServerState::Refusing);
        let client = fleet.world.connect(0, listener(protocol));
        for number in 0..50 {
            set(&mut fleet, client, protocol, "key", &number.to_string());
            ask(
                &mut fleet,
                client,
                protocol,
                "key",
                Some(&number.to_string()),
            );
        }
        delete(&mut fleet, client, protocol, "gone");
        ask(&mut fleet, client, protocol, "gone", None);
        fleet.heal();
        let is_told = fleet.run_until(PATIENCE_MS, |fleet| stored(fleet, "key").is_some());
        assert!(is_told);
        fleet.run_until_idle();
        assert_eq!(
            stored(&fleet, "key"),
            Some(b"49".to_vec()),
            "the newest, and at once"
        );
        end(&mut fleet, &[client]);
    });
}

/// What is queued when everything is flushed does not come back behind the flush.
#[test]
fn a_flush_leaves_nothing_that_was_written_before_it() {
    const COUNT: usize = 30;
    for_each_seed(400, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        let clients: Vec<ClientId> = (0..fleet.shard_count())
            .map(|shard| fleet.world.connect(shard, listener(protocol)))
            .collect();
        for number in 0..COUNT {
            if fleet.rng.chance(100) {
                trouble(&mut fleet);
            }
            let client = clients[fleet.rng.below(clients.len())];
            set(&mut fleet, client, protocol, &format!("key{number}"), "old");
        }
        fleet.heal();
        // Some are unsent, some are on their way.
        for _ in 0..fleet.rng.below(30) {
            fleet.round();
        }
        let flusher = clients[fleet.rng.below(clients.len())];
        flush(&mut fleet, flusher, protocol);
        for number in 0..COUNT {
            let client = clients[fleet.rng.below(clients.len())];
            let key = format!("key{number}");
            ask_until_there(&mut fleet, client, protocol, &key);
        }
        let is_empty = fleet.run_until(PATIENCE_MS, |fleet| {
            (0..COUNT).all(|number| stored(fleet, &format!("key{number}")).is_none())
        });
        assert!(is_empty);
        fleet.run_until_idle();
        assert!((0..COUNT).all(|number| stored(&fleet, &format!("key{number}")).is_none()));
        end(&mut fleet, &clients);
    });
}

/// A flush in a pipeline takes effect between what stands before and behind it.
#[test]
fn a_flush_keeps_its_place_in_a_pipeline() {
    for_each_seed(300, |seed| {
        let (mut fleet, protocol) = fleet(seed - seed % 2);
        connect_all(&mut fleet);
        assert_eq!(protocol, Protocol::Memcache);
        let shard = fleet.rng.below(fleet.shard_count());
        let client = fleet.world.connect(shard, listener(protocol));
        let mut expected = String::new();
        for number in 0..8 {
            let line = format!("set k{number} 0 0 3\r\nold\r\n");
            fleet.world.send(client, line.as_bytes());
            expected += "STORED\r\n";
        }
        let rest = b"flush_all\r\nset k0 0 0 3\r\nnew\r\nget k0 k1 k2 k3 k4 k5 k6 k7\r\n";
        fleet.world.send(client, rest);
        expected += "OK\r\nSTORED\r\nVALUE k0 0 3\r\nnew\r\nEND\r\n";
        expect(&mut fleet, client, &expected);
        end(&mut fleet, &[client]);
    });
}

/// A server that hung reads what it was told on a connection that was given up a few turns after it has taken the next
/// one. It is told what is newer only behind that.
#[test]
fn what_a_server_reads_late_takes_nothing_newer_away() {
    for_each_seed(100, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        connect_all(&mut fleet);
        let client = fleet.world.connect(0, listener(protocol));
        let key = name(0);
        all_servers(&fleet, ServerState::Hanging);
        set(&mut fleet, client, protocol, &key, "1");
        set(&mut fleet, client, protocol, &key, "2");
        // Until that connection is given up, with both on it.
        fleet.run_until(GIVE_UP_MS, |_| false);
        set(&mut fleet, client, protocol, &key, "3");
        all_servers(&fleet, ServerState::Up);
        let is_told = |fleet: &Fleet| stored(fleet, &key).as_deref() == Some(b"3");
        assert!(fleet.run_until(PATIENCE_MS, |fleet| is_told(fleet)));
        fleet.run_until_idle();
        assert!(is_told(&fleet), "what is old came last");
        end(&mut fleet, &[client]);
    });
}

/// Both protocols, with and without an L1, with one to three servers and shards.
fn fleet(seed: u64) -> (Fleet, Protocol) {
    let protocol = [Protocol::Memcache, Protocol::Resp][seed as usize % 2];
    let pool = PoolSetup {
        protocol,
        is_crossed: false,
        write: WritePolicy::Behind,
        l1_ms: [None, Some(60_000), Some(20)][seed as usize / 2 % 3],
        server_count: 1 + seed as usize / 3 % 3,
    };
    let fleet = Fleet::new(seed, &Setup::pool(1 + seed as usize % 3, pool));
    fleet.world.read_in_turns();
    fleet.world.set_faults(Faults::NETWORK);
    (fleet, protocol)
}

fn all_servers(fleet: &Fleet, state: ServerState) {
    (0..fleet.backends.len()).for_each(|number| fleet.world.set_server(address(number), state));
}

fn set(fleet: &mut Fleet, client: ClientId, protocol: Protocol, key: &str, value: &str) {
    match protocol {
        Protocol::Memcache => {
            let request = format!("set {key} 0 0 {}\r\n{value}\r\n", value.len());
            fleet.world.send(client, request.as_bytes());
            expect(fleet, client, "STORED\r\n");
        }
        Protocol::Resp => {
            let request = redis::request(&[b"SET", key.as_bytes(), value.as_bytes()]);
            fleet.world.send(client, &request);
            expect(fleet, client, "+OK\r\n");
        }
    }
}

fn delete(fleet: &mut Fleet, client: ClientId, protocol: Protocol, key: &str) {
    match protocol {
        Protocol::Memcache => {
            fleet
                .world
                .send(client, format!("delete {key}\r\n").as_bytes());
            expect(fleet, client, "DELETED\r\n");
        }
        Protocol::Resp => {
            fleet
                .world
                .send(client, &redis::request(&[b"DEL", key.as_bytes()]));
            expect(fleet, client, ":1\r\n");
        }
    }
}

fn ask(fleet: &mut Fleet, client: ClientId, protocol: Protocol, key: &str, value: Option<&str>) {
    let (request, expected) = match protocol {
        Protocol::Memcache => {
            let found =
                |value: &str| format!("VALUE {key} 0 {}\r\n{value}\r\nEND\r\n", value.len());
            let expected = value.map_or_else(|| "END\r\n".to_owned(), found);
            (format!("get {key}\r\n").into_bytes(), expected)
        }
        Protocol::Resp => {
            let found = |value: &str| format!("${}\r\n{value}\r\n", value.len());
            let expected = value.map_or_else(|| "$-1\r\n".to_owned(), found);
            (redis::request(&[b"GET", key.as_bytes()]), expected)
        }
    };
    fleet.world.send(client, &request);
    expect(fleet, client, &expected);
}

/// Asks for a key that is not there, as often as it takes until its server is.
fn ask_until_there(fleet: &mut Fleet, client: ClientId, protocol: Protocol, key: &str) {
    let (request, miss) = match protocol {
        Protocol::Memcache => (format!("get {key}\r\n").into_bytes(), "END\r\n"),
        Protocol::Resp => (redis::request(&[b"GET", key.as_bytes()]), "$-1\r\n"),
    };
    until(fleet, client, &request, miss);
}

/// Flushes everything, as often as it takes until all servers are there.
fn flush(fleet: &mut Fleet, client: ClientId, protocol: Protocol) {
    let (request, done) = match protocol {
        Protocol::Memcache => (b"flush_all\r\n".to_vec(), "OK\r\n"),
        Protocol::Resp => (redis::request(&[b"FLUSHALL"]), "+OK\r\n"),
    };
    until(fleet, client, &request, done);
}

/// Asks again as long as the answer is that the server is not there.
pub(crate) fn until(fleet: &mut Fleet, client: ClientId, request: &[u8], expected: &str) {
    for _ in 0..1_000 {
        fleet.world.send(client, request);
        let mut received = Vec::new();
        fleet.run_until(PATIENCE_MS, |fleet| {
            received.extend(fleet.world.take_received(client));
            received.ends_with(b"\n")
        });
        if received == expected.as_bytes() {
            return;
        }
        let text = String::from_utf8_lossy(&received);
        let is_error = text.starts_with("SERVER_ERROR backend") || text.starts_with("-ERR backend");
        assert!(is_error, "{text}");
        fleet.world.advance(20);
    }
    panic!("the server never comes back");
}
