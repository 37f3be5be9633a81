//! In front of a Redis Cluster with `--write behind`: a write is answered at once, everybody sees it from then on, and
//! whoever has its slot by then gets the key's newest value, whatever moves and breaks.

use std::cell::Cell;

use ringfort::config::{CLUSTER_REFRESH_MS_MIN, Protocol, WritePolicy};
use ringfort::io::sim::{ClientId, Faults, ServerState};
use ringfort::route::Slot;

use crate::behind::{GIVE_UP_MS, last_value, until};
use crate::cluster::{KEY_COUNT, call_one, nodes, rest_at_times, trouble};
use crate::embedded::{PATIENCE_MS, check_histories, converse, finish, hear_all};
use crate::for_each_seed;
use crate::l1::{end, expect};
use crate::sim::caller::{Caller, name};
use crate::sim::exact::{self, Exact};
use crate::sim::{Fleet, Setup, address, listener, redis, register};

const CLIENT_COUNT: usize = 5;

/// Not a reply is an error, and none is out of order, while slots move under writes that wait.
#[test]
fn moving_slots_are_not_noticed() {
    let redirects = Cell::new((0, 0));
    for_each_seed(600, |seed| {
        let mut fleet = fleet(seed);
        let mut clients: Vec<Exact> = (0..CLIENT_COUNT)
            .map(|number| {
                let shard = number % fleet.shard_count();
                Exact::connect(&fleet, number, shard, Protocol::Resp).with_promised_deletes()
            })
            .collect();
        let keys: Vec<Vec<u8>> = (0..CLIENT_COUNT).flat_map(exact::keys).collect();
        for _ in 0..60 {
            if fleet.rng.chance(600) {
                move_some(&fleet, &keys);
            }
            converse(&mut fleet, &mut clients);
            rest_at_times(&mut fleet, &mut clients);
        }
        settle(&fleet);
        nodes(&fleet, |nodes| {
            let (moved, asked) = redirects.get();
            redirects.set((moved + nodes.moved_count, asked + nodes.asked_count));
        });
        finish(&mut fleet, clients);
    });
    let (moved, asked) = redirects.get();
    assert!(moved > 0 && asked > 0, "{moved} moved, {asked} asked");
}

#[test]
fn shared_keys_are_linearizable_and_nodes_get_what_was_written_last() {
    let keys: Vec<Vec<u8>> = (0..KEY_COUNT).map(|key| name(key).into_bytes()).collect();
    for_each_seed(1500, |seed| {
        let mut fleet = fleet(seed);
        let mut callers: Vec<Caller> = (0..6)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                Caller::connect(&fleet, shard, Protocol::Resp)
            })
            .collect();
        let has_trouble = seed % 4 > 0;
        if has_trouble {
            fleet.world.set_faults(Faults::HARSH);
        }
        for value in 1..300 {
            if fleet.rng.chance(200) {
                nodes(&fleet, |nodes| nodes.rest());
                move_some(&fleet, &keys);
            }
            if has_trouble && fleet.rng.chance(40) {
                trouble(&mut fleet);
            }
            call_one(&mut fleet, &mut callers, value);
        }
        settle(&fleet);
        fleet.heal();
        hear_all(&mut fleet, &mut callers);
        let last: Vec<_> = (0..KEY_COUNT)
            .map(|key| last_value(&mut fleet, &mut callers, key))
            .collect();
        check_histories(&callers, register::is_linearizable);
        let is_in_step = fleet.run_until(PATIENCE_MS, |fleet| values_at_nodes(fleet) == last);
        let there = values_at_nodes(&fleet);
        assert!(is_in_step, "nodes have {there:?}, not {last:?}");
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
}

/// A slot moves a step. A node takes one over in the same loop in which it reads what clients have sent it: so it has
/// read what came before, however long it hung.
fn move_some(fleet: &Fleet, keys: &[Vec<u8>]) {
    let (key, to) = nodes(fleet, |nodes| nodes.choose(keys));
    fleet.world.catch_up(address(to));
    nodes(fleet, |nodes| nodes.move_on(&key, to));
}

/// Ends all moves.
fn settle(fleet: &Fleet) {
    for node in 0..nodes(fleet, |nodes| nodes.node_count()) {
        fleet.world.catch_up(address(node));
    }
    nodes(fleet, |nodes| nodes.settle());
}

fn values_at_nodes(fleet: &Fleet) -> Vec<Option<u64>> {
    let value = |key: usize| {
        nodes(fleet, |nodes| {
            let value = nodes.stored(name(key).as_bytes())?;
            let digits = std::str::from_utf8(value).expect("digits");
            Some(digits.parse().expect("a number"))
        })
    };
    (0..KEY_COUNT).map(value).collect()
}

/// What waits when everything is flushed does not come back behind the flush, wherever its slot goes.
#[test]
fn a_flush_leaves_nothing_that_was_written_before_it() {
    const COUNT: usize = 30;
    let key = |number: usize| format!("key{number}");
    let keys: Vec<Vec<u8>> = (0..COUNT).map(|number| key(number).into_bytes()).collect();
    for_each_seed(400, |seed| {
        let mut fleet = fleet(seed);
        let clients: Vec<ClientId> = (0..fleet.shard_count())
            .map(|shard| fleet.world.connect(shard, listener(Protocol::Resp)))
            .collect();
        for key in &keys {
            if fleet.rng.chance(100) {
                trouble(&mut fleet);
            }
            move_some(&fleet, &keys);
            let client = clients[fleet.rng.below(clients.len())];
            fleet
                .world
                .send(client, &redis::request(&[b"SET", key, b"old"]));
            expect(&mut fleet, client, "+OK\r\n");
        }
        settle(&fleet);
        fleet.heal();
        // Some are unsent, some are on their way.
        for _ in 0..fleet.rng.below(30) {
            fleet.round();
        }
        let flusher = clients[fleet.rng.below(clients.len())];
        until(
            &mut fleet,
            flusher,
            &redis::request(&[b"FLUSHALL"]),
            "+OK\r\n",
        );
        for key in &keys {
            let client = clients[fleet.rng.below(clients.len())];
            until(
                &mut fleet,
                client,
                &redis::request(&[b"GET", key]),
                "$-1\r\n",
            );
        }
        let is_gone = |fleet: &Fleet| {
            nodes(fleet, |nodes| {
                keys.iter().all(|key| nodes.stored(key).is_none())
            })
        };
        assert!(fleet.run_until(PATIENCE_MS, |fleet| is_gone(fleet)));
        fleet.run_until_idle();
        assert!(is_gone(&fleet));
        end(&mut fleet, &clients);
    });
}

/// A flush waits until all shards have nothing queued that it does not cover. If by then as many nodes as were to answer
/// are not there to be asked, it says so; who tries again has it done.
#[test]
fn a_flush_that_finds_other_masters_says_so() {
    const OTHER_MASTERS: &str = "-ERR backend has other masters by now, try again\r\n";
    let found = Cell::new(0);
    for_each_seed(200, |seed| {
        let setup = Setup::cluster(2 + seed as usize % 2, 3, None);
        let mut fleet = Fleet::new(seed, &setup.with_write(WritePolicy::Behind));
        fleet.world.read_in_turns();
        let connect = |fleet: &Fleet| fleet.world.connect(0, listener(Protocol::Resp));
        let (writer, flusher) = (connect(&fleet), connect(&fleet));
        let (key, flush) = (&b"key"[..], redis::request(&[b"FLUSHALL"]));
        until(
            &mut fleet,
            writer,
            &redis::request(&[b"SET", key, b"old"]),
            "+OK\r\n",
        );
        let is_told = |fleet: &Fleet| nodes(fleet, |nodes| nodes.stored(key).is_some());
        assert!(fleet.run_until(PATIENCE_MS, |fleet| is_told(fleet)));
        // Whoever asks for the key next is sent on, and has the shard ask at once who has what.
        fleet.world.advance(CLUSTER_REFRESH_MS_MIN);
        fleet.run_until_idle();
        let slot = Slot::of(key).index();
        let gone = nodes(&fleet, |nodes| nodes.owner(slot));
        let heir = nodes(&fleet, |nodes| nodes.heir_of(gone));
        fleet.world.catch_up(address(heir));
        nodes(&fleet, |nodes| nodes.fail_over_to(gone, heir));
        fleet.world.send(writer, &redis::request(&[b"STRLEN", key]));
        for _ in 0..fleet.rng.below(30) {
            fleet.round();
        }
        fleet.world.send(flusher, &flush);
        let said = line(&mut fleet, flusher);
        if said != "+OK\r\n" {
            assert_eq!(said, OTHER_MASTERS);
            found.set(found.get() + 1);
            until(&mut fleet, flusher, &flush, "+OK\r\n");
            assert!(!is_told(&fleet), "it is flushed");
        }
        assert!(line(&mut fleet, writer).starts_with(':'));
        end(&mut fleet, &[writer, flusher]);
    });
    assert!(found.get() > 0, "no flush was ever in between");
}

/// As with one server: what a node that hung reads late on a connection that was given up is not newer than what it has
/// been told since.
#[test]
fn what_a_node_reads_late_takes_nothing_newer_away() {
    for_each_seed(100, |seed| {
        let mut fleet = fleet(seed);
        let client = fleet.world.connect(0, listener(Protocol::Resp));
        let key = &b"key"[..];
        let put = |fleet: &mut Fleet, value: &[u8]| {
            until(
                fleet,
                client,
                &redis::request(&[b"SET", key, value]),
                "+OK\r\n",
            );
        };
        let is_told = |fleet: &Fleet, value: &[u8]| {
            nodes(fleet, |nodes| {
                nodes.stored(key).is_some_and(|stored| stored == value)
            })
        };
        put(&mut fleet, b"0");
        assert!(fleet.run_until(PATIENCE_MS, |fleet| is_told(fleet, b"0")));
        let owner = nodes(&fleet, |nodes| nodes.owner(Slot::of(key).index()));
        fleet.world.set_server(address(owner), ServerState::Hanging);
        put(&mut fleet, b"1");
        put(&mut fleet, b"2");
        // Until that connection is given up, with both on it.
        fleet.run_until(GIVE_UP_MS, |_| false);
        put(&mut fleet, b"3");
        fleet.world.set_server(address(owner), ServerState::Up);
        assert!(fleet.run_until(PATIENCE_MS, |fleet| is_told(fleet, b"3")));
        fleet.run_until_idle();
        assert!(is_told(&fleet, b"3"), "what is old came last");
        end(&mut fleet, &[client]);
    });
}

fn line(fleet: &mut Fleet, client: ClientId) -> String {
    let mut line = Vec::new();
    fleet.run_until(PATIENCE_MS, |fleet| {
        line.extend(fleet.world.take_received(client));
        line.ends_with(b"\n")
    });
    String::from_utf8(line).expect("text")
}

/// Two to four nodes, one to three shards, with and without an L1.
fn fleet(seed: u64) -> Fleet {
    let l1_ms = [None, Some(60_000), Some(20)][seed as usize / 2 % 3];
    let setup = Setup::cluster(1 + seed as usize % 3, 2 + seed as usize % 3, l1_ms);
    let fleet = Fleet::new(seed, &setup.with_write(WritePolicy::Behind));
    fleet.world.read_in_turns();
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}
