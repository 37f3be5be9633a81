//! Servers that fail are ejected, their keys go elsewhere, and when they are back nothing old is read from
//! anywhere.

use ringfort::config::{EjectConfig, OnEject, Protocol, Readmit, WritePolicy};
use ringfort::io::sim::{ClientId, Faults, ServerState};

use crate::checker::Outcome;
use crate::embedded::{PATIENCE_MS, check_histories, hear_all};
use crate::for_each_seed;
use crate::pool::{call_at_random, connect_all};
use crate::sim::caller::{Caller, name};
use crate::sim::redis::request;
use crate::sim::{Backend, Fleet, PoolSetup, Setup, address, listener, register, server_spec};

const SERVER_COUNT: usize = 3;

/// Whatever breaks: who reads a value reads the newest that was acknowledged, or one that was being written
/// meanwhile. Finding nothing is always right: this is a cache, and servers come back without what they missed.
#[test]
fn no_value_is_older_than_one_that_was_acknowledged() {
    for_each_seed(900, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        let mut callers: Vec<Caller> = (0..5)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                Caller::connect(&fleet, shard, protocol)
            })
            .collect();
        if seed % 2 > 0 {
            fleet.world.set_faults(Faults::HARSH);
        }
        call_at_random(&mut fleet, &mut callers, 400, true);
        fleet.heal();
        hear_all(&mut fleet, &mut callers);
        for caller in &mut callers {
            let is_miss = Outcome::Value(None);
            caller
                .history
                .retain(|(_, operation)| operation.outcome != is_miss);
        }
        check_histories(&callers, register::is_linearizable);
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
}

/// The life of one key: its server goes, it is written elsewhere, the server comes back with its old value, which
/// nobody sees; the other server loses the key, so that nobody sees that value when the first one goes again.
#[test]
fn a_key_goes_elsewhere_and_comes_home_without_its_past() {
    for_each_seed(120, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        connect_all(&mut fleet);
        let shard = fleet.rng.below(fleet.shard_count());
        let client = fleet.world.connect(shard, listener(protocol));
        let home = fleet.server_of(name(0).as_bytes());
        ask_until(&mut fleet, client, &set(protocol, "1"), stored(protocol));
        assert_eq!(holders(&fleet), [home]);

        let is_gone = [ServerState::Hanging, ServerState::Unreachable][fleet.rng.below(2)];
        for value in ["2", "3"] {
            fleet.world.set_server(address(home), is_gone);
            fleet.world.break_connections(address(home));
            ask_until(&mut fleet, client, &set(protocol, value), stored(protocol));
            let others = holders(&fleet);
            assert!(others.iter().any(|holder| *holder != home), "{others:?}");
            assert_eq!(
                ask(&mut fleet, client, &get(protocol)),
                found(protocol, value)
            );

            fleet.world.set_server(address(home), ServerState::Up);
            // Neither the server nor whoever stood in for it has the key any more.
            let is_home = fleet.run_until(PATIENCE_MS, |fleet| holders(fleet).is_empty());
            assert!(is_home, "seed {seed}: {:?}", holders(&fleet));
            // An L1 may have it still; it is the newest there is.
            let last = ask(&mut fleet, client, &get(protocol));
            assert!(last == missed(protocol) || last == found(protocol, value));
        }
        // Each shard has the server throw away what it has, the last perhaps only now.
        fleet.run_until(PATIENCE_MS, |_| false);
        ask_until(&mut fleet, client, &set(protocol, "4"), stored(protocol));
        assert_eq!(holders(&fleet), [home]);
        fleet.world.close(client);
        fleet.check_end();
    });
}

/// `--on-eject miss`: reads find nothing, writes are errors, and neither is taken for the other.
#[test]
fn reads_of_an_ejected_servers_keys_find_nothing_and_writes_fail() {
    for_each_seed(120, |seed| {
        let protocol = [Protocol::Memcache, Protocol::Resp][seed as usize % 2];
        let eject = EjectConfig {
            policy: OnEject::Miss,
            ..EjectConfig::default()
        };
        let mut fleet = fleet_with(seed, protocol, eject);
        connect_all(&mut fleet);
        let client = fleet.world.connect(0, listener(protocol));
        let home = fleet.server_of(name(0).as_bytes());
        ask_until(&mut fleet, client, &set(protocol, "1"), stored(protocol));
        fleet.world.set_server(address(home), ServerState::Refusing);
        fleet.world.break_connections(address(home));
        ask_until(&mut fleet, client, &get(protocol), missed(protocol));
        let refused = ask(&mut fleet, client, &set(protocol, "2"));
        assert!(is_error(&refused), "{}", refused.escape_ascii());
        assert_eq!(ask(&mut fleet, client, &get(protocol)), missed(protocol));
        fleet.heal();
        // It missed nothing, so it has what it had.
        ask_until(&mut fleet, client, &get(protocol), &found(protocol, "1"));
        fleet.world.close(client);
        fleet.check_end();
    });
}

/// Both protocols, both ways to go elsewhere, both ways to come back, with and without an L1.
fn fleet(seed: u64) -> (Fleet, Protocol) {
    let protocol = [Protocol::Memcache, Protocol::Resp][seed as usize % 2];
    let policy = [OnEject::Rehash, OnEject::Failover][seed as usize / 2 % 2];
    let failover = match policy {
        OnEject::Failover => (SERVER_COUNT..SERVER_COUNT + 2).map(server_spec).collect(),
        _ => Vec::new(),
    };
    let eject = EjectConfig {
        policy,
        readmit: [Readmit::AfterInvalidations, Readmit::Flush][seed as usize / 4 % 2],
        failover,
        ..EjectConfig::default()
    };
    (fleet_with(seed, protocol, eject), protocol)
}

fn fleet_with(seed: u64, protocol: Protocol, eject: EjectConfig) -> Fleet {
    let pool = PoolSetup {
        protocol,
        is_crossed: false,
        write: WritePolicy::Through,
        l1_ms: [None, Some(60_000)][seed as usize / 8 % 2],
        server_count: SERVER_COUNT,
    };
    let setup = Setup {
        eject,
        ..Setup::pool(1 + seed as usize % 3, pool)
    };
    let fleet = Fleet::new(seed, &setup);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}

/// Asks again and again, as the answer may take a while to be the right one.
fn ask_until(fleet: &mut Fleet, client: ClientId, request: &[u8], expected: &[u8]) {
    let mut received = Vec::new();
    for _ in 0..2_000 {
        received = ask(fleet, client, request);
        if received == expected {
            return;
        }
        fleet.world.advance(10);
    }
    panic!(
        "{} is answered {}",
        request.escape_ascii(),
        received.escape_ascii()
    );
}

fn ask(fleet: &mut Fleet, client: ClientId, request: &[u8]) -> Vec<u8> {
    fleet.world.send(client, request);
    let mut received = Vec::new();
    let is_answered = fleet.run_until(PATIENCE_MS, |fleet| {
        received.extend(fleet.world.take_received(client));
        is_whole(&received)
    });
    assert!(is_answered, "{}", received.escape_ascii());
    received
}

/// Whether it is a reply as this file's requests get them.
fn is_whole(reply: &[u8]) -> bool {
    let line_count = reply.iter().filter(|byte| **byte == b'\n').count();
    match reply.first() {
        None => false,
        Some(b'V') => line_count == 3,
        Some(b'$') if !reply.starts_with(b"$-1") => line_count == 2,
        Some(_) => line_count == 1,
    }
}

fn is_error(reply: &[u8]) -> bool {
    reply.starts_with(b"SERVER_ERROR ") || reply.starts_with(b"-ERR ")
}

fn set(protocol: Protocol, value: &str) -> Vec<u8> {
    let name = name(0);
    match protocol {
        Protocol::Memcache => format!("set {name} 0 0 {}\r\n{value}\r\n", value.len()).into_bytes(),
        Protocol::Resp => request(&[b"SET", name.as_bytes(), value.as_bytes()]),
    }
}

fn get(protocol: Protocol) -> Vec<u8> {
    let name = name(0);
    match protocol {
        Protocol::Memcache => format!("get {name}\r\n").into_bytes(),
        Protocol::Resp => request(&[b"GET", name.as_bytes()]),
    }
}

fn stored(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Memcache => b"STORED\r\n",
        Protocol::Resp => b"+OK\r\n",
    }
}

fn missed(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Memcache => b"END\r\n",
        Protocol::Resp => b"$-1\r\n",
    }
}

fn found(protocol: Protocol, value: &str) -> Vec<u8> {
    let (name, count) = (name(0), value.len());
    match protocol {
        Protocol::Memcache => format!("VALUE {name} 0 {count}\r\n{value}\r\nEND\r\n"),
        Protocol::Resp => format!("${count}\r\n{value}\r\n"),
    }
    .into_bytes()
}

/// The servers that hold the key.
fn holders(fleet: &Fleet) -> Vec<usize> {
    let name = name(0).into_bytes();
    let holds = |backend: &Backend| match backend {
        Backend::Memcached(server) => server.borrow().items.contains_key(&name),
        Backend::Redis(server) => server.borrow().items.contains_key(&name),
    };
    let all = fleet.backends.iter().enumerate();
    all.filter(|(_, backend)| holds(backend))
        .map(|(number, _)| number)
        .collect()
}
