//! In front of a Redis Cluster: whatever slots move and whichever nodes break, requests of one connection about one key
//! are done in order, each once, and no read is behind an acknowledged write.

use std::cell::Cell;

use ringfort::config::Protocol;
use ringfort::io::sim::Faults;

use crate::checker::Call;
use crate::embedded::{PATIENCE_MS, check_histories, converse, finish, hear_all};
use crate::for_each_seed;
use crate::l1::{end, expect};
use crate::pool::change_ways;
use crate::sim::caller::{self, Caller};
use crate::sim::exact::{self, Exact};
use crate::sim::{Fleet, Setup, address, listener, register};

const CLIENT_COUNT: usize = 5;

/// Keys that callers share.
pub(crate) const KEY_COUNT: usize = 3;

/// Nobody can tell the cluster from one server while slots move: not a reply is an error, and none is out of order.
#[test]
fn moving_slots_are_not_noticed() {
    let redirects = Cell::new((0, 0));
    for_each_seed(400, |seed| {
        let mut fleet = fleet(seed);
        let mut clients = connect(&fleet, CLIENT_COUNT);
        let keys: Vec<Vec<u8>> = (0..CLIENT_COUNT).flat_map(exact::keys).collect();
        for _ in 0..60 {
            if fleet.rng.chance(600) {
                nodes(&fleet, |nodes| nodes.move_some(&keys));
            }
            converse(&mut fleet, &mut clients);
            rest_at_times(&mut fleet, &mut clients);
        }
        nodes(&fleet, |nodes| nodes.settle());
        nodes(&fleet, |nodes| {
            let (moved, asked) = redirects.get();
            redirects.set((moved + nodes.moved_count, asked + nodes.asked_count));
        });
        finish(&mut fleet, clients);
    });
    let (moved, asked) = redirects.get();
    assert!(moved > 0 && asked > 0, "{moved} moved, {asked} asked");
}

/// The same for transactions and requests about several keys, each client's of one slot.
#[test]
fn transactions_follow_their_slot_whole() {
    for_each_seed(400, |seed| {
        let mut fleet = fleet(seed);
        let mut clients: Vec<Exact> = connect(&fleet, CLIENT_COUNT)
            .into_iter()
            .map(|client| client.in_one_slot().with_transactions())
            .collect();
        for _ in 0..60 {
            if fleet.rng.chance(300) {
                let client = fleet.rng.below(CLIENT_COUNT);
                let key = exact::tagged_key(client);
                nodes(&fleet, |nodes| nodes.move_at_once(&key));
            }
            converse(&mut fleet, &mut clients);
            rest_at_times(&mut fleet, &mut clients);
        }
        finish(&mut fleet, clients);
    });
}

/// What waits for the first word of the cluster is read again when it can go, with the header that keeps its flags.
#[test]
fn a_value_as_large_as_can_be_waits_like_any_other() {
    let setup = Setup::cluster(1, 2, None).crossed();
    let length = setup.item_bytes_max;
    for_each_seed(4, |seed| {
        let mut fleet = Fleet::new(seed, &setup);
        let client = fleet.world.connect(0, listener(Protocol::Memcache));
        let value = "v".repeat(length);
        let request = format!("set key 7 0 {length}\r\n{value}\r\nget key\r\n");
        fleet.world.send(client, request.as_bytes());
        let expected = format!("STORED\r\nVALUE key 7 {length}\r\n{value}\r\nEND\r\n");
        expect(&mut fleet, client, &expected);
        end(&mut fleet, &[client]);
    });
}

/// Waits for all replies now and then: slots may move again.
pub(crate) fn rest_at_times(fleet: &mut Fleet, clients: &mut [Exact]) {
    if !fleet.rng.chance(150) {
        return;
    }
    for client in clients.iter() {
        fleet.world.set_window(client.client, usize::MAX);
    }
    let is_served = fleet.run_until(PATIENCE_MS, |fleet| {
        clients.iter_mut().for_each(|client| client.check(fleet));
        clients.iter().all(Exact::is_served)
    });
    assert!(is_served, "somebody waits for ever");
    nodes(fleet, |nodes| nodes.rest());
}

#[test]
fn shared_keys_are_linearizable_whatever_moves_and_breaks() {
    let keys: Vec<Vec<u8>> = (0..KEY_COUNT)
        .map(|key| caller::name(key).into_bytes())
        .collect();
    for_each_seed(1000, |seed| {
        let mut fleet = fleet(seed);
        let mut callers: Vec<Caller> = (0..6)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                Caller::connect(&fleet, shard, Protocol::Resp)
            })
            .collect();
        if seed % 4 > 0 {
            fleet.world.set_faults(Faults::HARSH);
        }
        for value in 1..300 {
            if fleet.rng.chance(200) {
                nodes(&fleet, |nodes| {
                    nodes.rest();
                    nodes.move_some(&keys);
                });
            }
            if seed % 4 > 0 && fleet.rng.chance(40) {
                trouble(&mut fleet);
            }
            call_one(&mut fleet, &mut callers, value);
        }
        nodes(&fleet, |nodes| nodes.settle());
        fleet.heal();
        hear_all(&mut fleet, &mut callers);
        check_histories(&callers, register::is_linearizable);
        check_all_is_well(&mut fleet);
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
}

/// A caller that is not busy sets or gets something, and a little time passes.
pub(crate) fn call_one(fleet: &mut Fleet, callers: &mut [Caller], value: u64) {
    let caller = fleet.rng.below(callers.len());
    let call = match fleet.rng.below(3) {
        0 => Call::Set(value),
        _ => Call::Get,
    };
    let key = fleet.rng.below(KEY_COUNT);
    if !callers[caller].is_busy() {
        callers[caller].call(fleet, key, call);
    }
    for _ in 0..fleet.rng.below(6) {
        fleet.round();
        callers.iter_mut().for_each(|caller| caller.hear(fleet));
    }
}

/// Once the cluster is well, so is every key within seconds.
fn check_all_is_well(fleet: &mut Fleet) {
    for shard in 0..fleet.shard_count() {
        let mut caller = Caller::connect(fleet, shard, Protocol::Resp);
        let is_well = fleet.run_until(30_000, |fleet| {
            caller.hear(fleet);
            if caller.is_waiting() {
                return false;
            }
            let was_answered = caller.history.len() >= 3;
            if !was_answered {
                caller.history.clear();
                (0..3).for_each(|key| caller.call(fleet, key, Call::Get));
            }
            was_answered
        });
        assert!(is_well, "shard {shard} does not come back");
        fleet.world.close(caller.client);
    }
}

/// A node fails and another one takes over, or one of them changes its ways, or time passes.
pub(crate) fn trouble(fleet: &mut Fleet) {
    let number = fleet.rng.below(nodes(fleet, |nodes| nodes.node_count()));
    match fleet.rng.below(9) {
        5 => {
            let heir = nodes(fleet, |nodes| nodes.heir_of(number));
            fleet.world.catch_up(address(heir));
            nodes(fleet, |nodes| nodes.fail_over_to(number, heir));
        }
        choice => change_ways(fleet, number, choice),
    }
}

pub(crate) fn nodes<R>(
    fleet: &Fleet,
    act: impl FnOnce(&mut crate::sim::cluster::Cluster) -> R,
) -> R {
    let nodes = fleet.nodes.as_ref().expect("a cluster");
    act(&mut nodes.borrow_mut())
}

fn connect(fleet: &Fleet, count: usize) -> Vec<Exact> {
    (0..count)
        .map(|number| Exact::connect(fleet, number, number % fleet.shard_count(), Protocol::Resp))
        .collect()
}

/// Two to four nodes, one to three shards, with and without an L1.
fn fleet(seed: u64) -> Fleet {
    let l1_ms = [None, Some(60_000), Some(20)][seed as usize / 2 % 3];
    let setup = Setup::cluster(1 + seed as usize % 3, 2 + seed as usize % 3, l1_ms);
    let fleet = Fleet::new(seed, &setup);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}
