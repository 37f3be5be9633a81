//! A pool that is written through: replies stay in step with requests, and the L1 is never behind an
//! acknowledged write, whatever breaks.

use std::sync::atomic::{AtomicUsize, Ordering};

use ringfort::backend::RECONNECT_MS_MAX;
use ringfort::config::{Protocol, WritePolicy};
use ringfort::io::sim::{Faults, ServerState};

use crate::checker::Call;
use crate::embedded::{PATIENCE_MS, check_histories, converse, finish, hear_all};
use crate::for_each_seed;
use crate::l1::end;
use crate::sim::caller::Caller;
use crate::sim::exact::Exact;
use crate::sim::redis::request;
use crate::sim::register;
use crate::sim::{Backend, Fleet, PoolSetup, Setup, address, listener};

#[test]
fn every_byte_of_every_reply_is_as_a_server_alone_would_say() {
    for_each_seed(600, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        connect_all(&mut fleet);
        let mut clients: Vec<Exact> = (0..6)
            .map(|number| {
                let shard = fleet.rng.below(fleet.shard_count());
                Exact::connect(&fleet, number, shard, protocol)
            })
            .collect();
        for _ in 0..60 {
            converse(&mut fleet, &mut clients);
        }
        finish(&mut fleet, clients);
    });
}

/// Nothing but the seed decides what happens: else a failure could not be repeated.
#[test]
fn a_seed_makes_the_same_run_again() {
    let run = |seed| {
        let (mut fleet, protocol) = fleet(seed);
        fleet.world.set_faults(Faults::HARSH);
        let client = fleet.world.connect(0, listener(protocol));
        let mut received = Vec::new();
        for number in 0..200 {
            trouble(&mut fleet);
            let request = match protocol {
                Protocol::Memcache => format!("get key{number}\r\n").into_bytes(),
                Protocol::Resp => request(&[b"GET", b"key"]),
            };
            fleet.world.send(client, &request);
            fleet.round();
            received.extend(fleet.world.take_received(client));
        }
        (received, fleet.world.now(), fleet.rng.number())
    };
    for_each_seed(20, |seed| {
        let first = run(seed);
        assert!(!first.0.is_empty());
        assert_eq!(first, run(seed));
    });
}

/// With faults too: a write that ended in an error may have been done at any time since.
#[test]
fn shared_keys_are_linearizable_whatever_breaks() {
    for_each_seed(1500, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        let mut callers: Vec<Caller> = (0..6)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                Caller::connect(&fleet, shard, protocol)
            })
            .collect();
        if seed % 4 > 0 {
            fleet.world.set_faults(Faults::HARSH);
        }
        call_at_random(&mut fleet, &mut callers, 400, seed % 4 > 0);
        fleet.heal();
        hear_all(&mut fleet, &mut callers);
        check_histories(&callers, register::is_linearizable);
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
}

/// An answer that comes after its deadline, while its connection is heard, is nobody's, and each
/// one behind it still finds who asked.
#[test]
fn late_answers_leave_the_others_in_step() {
    let (run_count, late_count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for_each_seed(400, |seed| {
        run_count.fetch_add(1, Ordering::Relaxed);
        let (mut fleet, protocol) = fleet(seed);
        connect_all(&mut fleet);
        let mut callers: Vec<Caller> = (0..6)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                Caller::connect(&fleet, shard, protocol)
            })
            .collect();
        for value in 1..150 {
            let caller = fleet.rng.below(callers.len());
            let call = [Call::Set(value), Call::Get][fleet.rng.below(2)];
            let key = fleet.rng.below(3);
            if !callers[caller].is_busy() {
                callers[caller].call(&fleet, key, call);
            }
            if fleet.rng.chance(100) {
                stall(&mut fleet);
            }
            for _ in 0..fleet.rng.below(4) {
                fleet.round();
                callers.iter_mut().for_each(|caller| caller.hear(&fleet));
            }
        }
        fleet.heal();
        hear_all(&mut fleet, &mut callers);
        check_histories(&callers, register::is_linearizable);
        let late: usize = callers.iter().map(|caller| caller.late_count).sum();
        late_count.fetch_add(late, Ordering::Relaxed);
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
    let is_one_run = run_count.into_inner() == 1;
    assert!(
        is_one_run || late_count.into_inner() > 0,
        "no answer was late"
    );
}

/// A server's answers to one shard trickle in so slowly that some are late, but never stop for long.
fn stall(fleet: &mut Fleet) {
    let server = address(fleet.rng.below(fleet.backends.len()));
    let shard = fleet.rng.below(fleet.shard_count());
    for _ in 0..3 {
        fleet.world.hold_answers(server, shard, true);
        fleet.world.advance(2_500);
        for _ in 0..4 {
            fleet.round();
        }
        fleet.world.hold_answers(server, shard, false);
        fleet.round();
    }
}

/// Callers set the values below `value_end` to three keys, twice as often read them, and hear what comes of it now and
/// then; meanwhile servers may be in trouble.
pub(crate) fn call_at_random(
    fleet: &mut Fleet,
    callers: &mut [Caller],
    value_end: u64,
    has_trouble: bool,
) {
    for value in 1..value_end {
        if has_trouble && fleet.rng.chance(40) {
            trouble(fleet);
        }
        let caller = fleet.rng.below(callers.len());
        let call = match fleet.rng.below(3) {
            0 => Call::Set(value),
            _ => Call::Get,
        };
        let key = fleet.rng.below(3);
        if !callers[caller].is_busy() {
            callers[caller].call(fleet, key, call);
        }
        for _ in 0..fleet.rng.below(6) {
            fleet.round();
            callers.iter_mut().for_each(|caller| caller.hear(fleet));
        }
    }
}

/// One of the servers changes its ways, or time passes.
pub(crate) fn trouble(fleet: &mut Fleet) {
    let number = fleet.rng.below(fleet.backends.len());
    let choice = fleet.rng.below(8);
    change_ways(fleet, number, choice);
}

/// A server changes its ways, or time passes; all choices from 5 on let it serve.
pub(crate) fn change_ways(fleet: &mut Fleet, number: usize, choice: usize) {
    match choice {
        0 => fleet
            .world
            .set_server(address(number), ServerState::Hanging),
        1 => fleet
            .world
            .set_server(address(number), ServerState::Refusing),
        2 => fleet
            .world
            .set_server(address(number), ServerState::Unreachable),
        3 => fleet.world.break_connections(address(number)),
        4 => {
            let ms = fleet.rng.below(6_000) as u64;
            fleet.world.advance(ms);
        }
        _ => fleet.world.set_server(address(number), ServerState::Up),
    }
}

/// A server that says nothing more is given up in time, and whoever waits for it is told.
#[test]
fn nobody_waits_for_ever_on_a_server_that_hangs() {
    for_each_seed(200, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        let mut callers: Vec<Caller> = (0..6)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                Caller::connect(&fleet, shard, protocol)
            })
            .collect();
        let hangs = [ServerState::Hanging, ServerState::Unreachable][fleet.rng.below(2)];
        let turning_point = fleet.rng.below(30);
        for value in 0..60 {
            if value == turning_point {
                let all = 0..fleet.backends.len();
                all.for_each(|number| fleet.world.set_server(address(number), hangs));
            }
            let caller = fleet.rng.below(callers.len());
            let key = fleet.rng.below(3);
            callers[caller].call(&fleet, key, Call::Set(value as u64));
            callers[caller].call(&fleet, key, Call::Get);
            fleet.round();
        }
        hear_all(&mut fleet, &mut callers);
        assert!(callers.iter().any(|caller| caller.error_count > 0));
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
}

/// A request over several servers, one of which fails, is answered once: by an error.
#[test]
fn a_sum_with_a_failed_part_is_an_error_and_nothing_is_lost() {
    const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for_each_seed(300, |seed| {
        let pool = PoolSetup {
            protocol: Protocol::Resp,
            is_crossed: false,
            write: WritePolicy::Through,
            l1_ms: [Some(60_000), None][seed as usize % 2],
            server_count: 2,
        };
        let mut fleet = Fleet::new(seed, &Setup::pool(1 + seed as usize % 3, pool));
        connect_all(&mut fleet);
        fleet.world.set_faults(Faults::NETWORK);
        let client = fleet.world.connect(0, ringfort::io::ListenerId::Resp);
        let words: Vec<&[u8]> = ["EXISTS"]
            .iter()
            .chain(&KEYS)
            .map(|word| word.as_bytes())
            .collect();
        fleet.world.send(client, &request(&words));
        fleet
            .world
            .send(client, b"*2\r\n$4\r\nECHO\r\n$4\r\nnext\r\n");
        for _ in 0..fleet.rng.below(8) {
            fleet.round();
        }
        fleet
            .world
            .break_connections(address(fleet.rng.clone().below(2)));
        let mut received = Vec::new();
        let is_answered = fleet.run_until(PATIENCE_MS, |fleet| {
            received.extend(fleet.world.take_received(client));
            received.ends_with(b"$4\r\nnext\r\n")
        });
        assert!(is_answered, "{}", received.escape_ascii());
        let first = received.strip_suffix(b"$4\r\nnext\r\n").unwrap_or_default();
        let is_sum = first == b":0\r\n";
        let is_error = first.starts_with(b"-ERR ") && first.ends_with(b"\r\n");
        assert!(is_sum || is_error, "{}", first.escape_ascii());
        fleet.world.close(client);
        fleet.check_end();
    });
}

/// What has come of a reply goes with its connection: the next one begins anew, and is of use at once.
#[test]
fn half_a_reply_is_nothing_to_the_next_connection() {
    for_each_seed(600, |seed| {
        let protocol = [Protocol::Memcache, Protocol::Resp][seed as usize % 2];
        let pool = PoolSetup {
            protocol,
            is_crossed: false,
            write: WritePolicy::Through,
            l1_ms: None,
            server_count: 1,
        };
        let setup = Setup::pool(1, pool);
        let mut fleet = Fleet::new(seed, &setup);
        connect_all(&mut fleet);
        for (key, length) in [
            ("small", 1),
            ("large", 10_000),
            ("too-large", 2 * setup.item_bytes_max),
        ] {
            plant(&fleet, key, length);
        }
        let request: &[u8] = match (protocol, seed / 2 % 3) {
            (Protocol::Memcache, 0) => b"get large small large\r\n",
            (Protocol::Memcache, 1) => b"get too-large\r\n",
            (Protocol::Memcache, _) => b"get large\r\n",
            (Protocol::Resp, 0) => b"MULTI\r\nGET large\r\nGET large\r\nEXEC\r\n",
            (Protocol::Resp, 1) => b"GET too-large\r\n",
            (Protocol::Resp, _) => b"GET large\r\n",
        };
        // A connection that has stood for so long is expected back at once.
        fleet.world.advance(RECONNECT_MS_MAX);
        fleet.run_until_idle();
        fleet.world.set_faults(Faults::NETWORK);
        let asker = fleet.world.connect(0, listener(protocol));
        fleet.world.send(asker, request);
        for _ in 0..fleet.rng.below(40) {
            fleet.round();
        }
        fleet.world.break_connections(address(0));
        fleet.run_until_idle();
        let client = fleet.world.connect(0, listener(protocol));
        let (request, expected) = match protocol {
            Protocol::Memcache => ("get small\r\n", "VALUE small 0 1\r\nx\r\nEND\r\n"),
            Protocol::Resp => ("GET small\r\n", "$1\r\nx\r\n"),
        };
        fleet.world.send(client, request.as_bytes());
        fleet.run_until_idle();
        let received = fleet.world.take_received(client);
        assert_eq!(String::from_utf8_lossy(&received), expected);
        end(&mut fleet, &[asker, client]);
    });
}

/// Puts a value of so many bytes into the first server.
fn plant(fleet: &Fleet, key: &str, length: usize) {
    let (key, value) = (key.as_bytes().to_vec(), vec![b'x'; length]);
    match &fleet.backends[0] {
        Backend::Memcached(server) => {
            server.borrow_mut().items.insert(key, (0, value));
        }
        Backend::Redis(server) => {
            server.borrow_mut().items.insert(key, value);
        }
    }
}

/// Lets every shard connect to every server.
pub(crate) fn connect_all(fleet: &mut Fleet) {
    let wanted = fleet.link_count;
    let is_connected = fleet.run_until(PATIENCE_MS, |fleet| {
        (0..fleet.shard_count()).all(|shard| fleet.world.open_sockets(shard) == wanted)
            && !fleet.world.is_busy()
    });
    assert!(is_connected);
    fleet.run_until_idle();
}

/// Both protocols, with and without an L1, with one to three servers and shards.
fn fleet(seed: u64) -> (Fleet, Protocol) {
    let protocol = [Protocol::Memcache, Protocol::Resp][seed as usize % 2];
    let pool = PoolSetup {
        protocol,
        is_crossed: false,
        write: WritePolicy::Through,
        l1_ms: [None, Some(60_000), Some(20)][seed as usize / 2 % 3],
        server_count: 1 + seed as usize / 3 % 3,
    };
    let fleet = Fleet::new(seed, &Setup::pool(1 + seed as usize % 3, pool));
    fleet.world.set_faults(Faults::NETWORK);
    (fleet, protocol)
}
