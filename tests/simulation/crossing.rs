//! Pools whose clients speak both protocols: they share the keys, the L1 and the fetches, and each is answered in
//! its own words.

use ringfort::config::{Protocol, WritePolicy};
use ringfort::io::ListenerId;
use ringfort::io::sim::Faults;

use crate::embedded::{PATIENCE_MS, check_histories, hear_all};
use crate::for_each_seed;
use crate::pool::{call_at_random, connect_all};
use crate::sim::caller::Caller;
use crate::sim::redis::request;
use crate::sim::register;
use crate::sim::{Backend, Fleet, PoolSetup, Setup};

#[test]
fn shared_keys_are_linearizable_across_protocols() {
    check_shared_keys(900, WritePolicy::Through);
}

/// The same where a set of either protocol is answered before its server has it.
#[test]
fn shared_keys_are_linearizable_across_protocols_with_writes_behind() {
    check_shared_keys(900, WritePolicy::Behind);
}

fn check_shared_keys(seed_count: u64, write: WritePolicy) {
    for_each_seed(seed_count, |seed| {
        let mut fleet = fleet(seed, write);
        if write == WritePolicy::Behind {
            fleet.world.read_in_turns();
        }
        let mut callers: Vec<Caller> = (0..6)
            .map(|number| {
                let shard = fleet.rng.below(fleet.shard_count());
                let protocol = [Protocol::Memcache, Protocol::Resp][number % 2];
                Caller::connect(&fleet, shard, protocol)
            })
            .collect();
        let breaks = seed % 4 > 0;
        if breaks {
            fleet.world.set_faults(Faults::HARSH);
        }
        call_at_random(&mut fleet, &mut callers, 300, breaks);
        fleet.heal();
        hear_all(&mut fleet, &mut callers);
        check_histories(&callers, register::is_linearizable);
        let (heard, total) = (
            callers
                .iter()
                .map(|caller| caller.history.len())
                .sum::<usize>(),
            callers
                .iter()
                .map(|caller| caller.error_count)
                .sum::<usize>(),
        );
        assert!(
            heard > 0 && (breaks || total == 0),
            "{heard} answers, {total} errors"
        );
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
}

/// An APPEND takes several steps on a memcached; what a client pipelines behind it waits, and what others append
/// meanwhile is not lost.
#[test]
fn appends_in_several_steps_all_land_in_their_clients_order() {
    const ROUNDS: usize = 6;
    for_each_seed(400, |seed| {
        let mut fleet = memcached_fleet(seed);
        connect_all(&mut fleet);
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let shard = number % fleet.shard_count();
                fleet.world.connect(shard, ListenerId::Resp)
            })
            .collect();
        for round in 0..ROUNDS {
            for (number, client) in clients.iter().enumerate() {
                let token = [b'a' + number as u8, b'0' + round as u8];
                fleet
                    .world
                    .send(*client, &request(&[b"APPEND", b"key", &token]));
                fleet.world.send(*client, &request(&[b"GET", b"key"]));
            }
            for _ in 0..fleet.rng.below(20) {
                fleet.round();
            }
        }
        for (number, client) in clients.iter().enumerate() {
            let mut received = Vec::new();
            let is_done = fleet.run_until(PATIENCE_MS, |fleet| {
                received.extend(fleet.world.take_received(*client));
                received.iter().filter(|byte| **byte == b'\n').count() == 3 * ROUNDS
            });
            let text = String::from_utf8_lossy(&received).into_owned();
            assert!(is_done, "{text}");
            check_own_appends(&text, char::from(b'a' + number as u8));
            fleet.world.close(*client);
        }
        let Backend::Memcached(memcached) = &fleet.backends[0] else {
            panic!("memcached");
        };
        let value = memcached.borrow().items[&b"key"[..]].1.clone();
        assert_eq!(
            value.len(),
            clients.len() * ROUNDS * 2,
            "{}",
            value.escape_ascii()
        );
        fleet.check_end();
    });
}

/// After its n-th APPEND a client reads its own n tokens, in order.
fn check_own_appends(text: &str, client: char) {
    let lines: Vec<&str> = text.split("\r\n").collect();
    for (round, reply) in lines.chunks_exact(3).enumerate() {
        let [length, _, value] = reply else {
            panic!("three lines: {reply:?}");
        };
        let appended: usize = length[1..].parse().expect("a length");
        assert!(appended <= value.len(), "{text}");
        let own: Vec<char> = value
            .chars()
            .collect::<Vec<_>>()
            .chunks(2)
            .filter(|token| token[0] == client)
            .map(|token| token[1])
            .collect();
        let expected: Vec<char> = ('0'..).take(round + 1).collect();
        assert_eq!(own, expected, "{text}");
    }
}

fn memcached_fleet(seed: u64) -> Fleet {
    let pool = PoolSetup {
        protocol: Protocol::Memcache,
        is_crossed: true,
        write: WritePolicy::Through,
        l1_ms: [None, Some(60_000)][seed as usize % 2],
        server_count: 1,
    };
    let fleet = Fleet::new(seed, &Setup::pool(1 + seed as usize % 3, pool));
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}

/// Servers of both kinds, with and without an L1, with one to three servers and shards.
fn fleet(seed: u64, write: WritePolicy) -> Fleet {
    let pool = PoolSetup {
        protocol: [Protocol::Memcache, Protocol::Resp][seed as usize % 2],
        is_crossed: true,
        write,
        l1_ms: [None, Some(60_000), Some(20)][seed as usize / 2 % 3],
        server_count: 1 + seed as usize / 3 % 3,
    };
    let fleet = Fleet::new(seed, &Setup::pool(1 + seed as usize % 3, pool));
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}
