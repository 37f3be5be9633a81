//! Reads from replicas that are behind their masters, for less long than they are said to be: nobody sees it. And
//! nobody gets an error, whatever becomes of replicas and the ways to them: masters answer.

use std::cell::Cell;

use ringfort::config::{Protocol, ReadFrom, WritePolicy};
use ringfort::io::sim::{Faults, ServerState};

use crate::checker::Operation;
use crate::cluster::{KEY_COUNT, call_one, nodes};
use crate::embedded::{check_histories, converse, finish, hear_all};
use crate::for_each_seed;
use crate::pool::connect_all;
use crate::sim::caller::{self, Caller};
use crate::sim::exact::Exact;
use crate::sim::replica::ReplicaSetup;
use crate::sim::{Fleet, PoolSetup, Setup, register};

/// How far replicas may be behind, as ringfort is told.
const LAG_MS: u64 = 50;

/// After so long they have caught up, and less than the rest passes between two looks at that.
const CATCH_UP_MS: u64 = 25;

/// The most that passes between two looks.
const STEP_MS: u64 = 10;

/// Has replicas catch up, at times and when it is time.
struct Followers {
    after_ms: u64,
    caught_up_at: Vec<u64>,
}

impl Followers {
    fn of(fleet: &Fleet, after_ms: u64) -> Self {
        Self {
            after_ms,
            caught_up_at: vec![fleet.world.now().0; fleet.replicas.len()],
        }
    }

    fn follow(&mut self, fleet: &mut Fleet) {
        let now = fleet.world.now().0;
        for (replica, at) in fleet.replicas.iter().zip(&mut self.caught_up_at) {
            if now >= *at + self.after_ms || fleet.rng.chance(20) {
                replica.borrow_mut().catch_up();
                *at = now;
            }
        }
    }
}

/// One connection's pipeline is answered as by one server, byte by byte.
#[test]
fn every_byte_of_every_reply_is_as_a_server_alone_would_say() {
    let read_count = Cell::new(0);
    for_each_seed(300, |seed| {
        let mut fleet = fleet(seed, LAG_MS);
        let mut followers = Followers::of(&fleet, CATCH_UP_MS);
        let mut clients: Vec<Exact> = (0..5)
            .map(|number| {
                let shard = fleet.rng.below(fleet.shard_count());
                Exact::connect(&fleet, number, shard, Protocol::Resp)
            })
            .collect();
        for _ in 0..60 {
            converse(&mut fleet, &mut clients);
            if fleet.rng.chance(300) {
                fleet
                    .world
                    .advance(1 + fleet.rng.below(STEP_MS as usize) as u64);
            }
            followers.follow(&mut fleet);
            trouble(&mut fleet);
        }
        heal(&fleet);
        read_count.set(read_count.get() + reads(&fleet));
        finish(&mut fleet, clients);
    });
    assert!(read_count.get() > 0, "no replica was ever asked");
}

#[test]
fn shared_keys_are_linearizable_while_replicas_lag_less_than_is_said() {
    let read_count = Cell::new(0);
    for_each_seed(600, |seed| {
        let mut fleet = fleet(seed, LAG_MS);
        let callers = call(&mut fleet, CATCH_UP_MS);
        check_histories(&callers, register::is_linearizable);
        let error_count: usize = callers.iter().map(|caller| caller.error_count).sum();
        assert_eq!(error_count, 0, "errors");
        read_count.set(read_count.get() + reads(&fleet));
        end(&mut fleet, &callers);
    });
    assert!(read_count.get() > 0, "no replica was ever asked");
}

/// The checker notices what the lag is there for: replicas that are further behind than is said.
#[test]
fn replicas_that_lag_more_than_is_said_are_noticed() {
    const FIXED_SEEDS: u64 = 100;
    let found = (1..=FIXED_SEEDS).any(|seed| {
        let mut fleet = fleet(seed, 0);
        let callers = call(&mut fleet, 100 * LAG_MS);
        let is_behind = (0..KEY_COUNT).any(|key| {
            let mut history: Vec<Operation> = callers
                .iter()
                .flat_map(|caller| &caller.history)
                .filter(|(of, _)| *of == key)
                .map(|(_, operation)| *operation)
                .collect();
            history.sort_by_key(|operation| operation.called_ns);
            !register::is_linearizable(&history)
        });
        end(&mut fleet, &callers);
        is_behind
    });
    assert!(found, "nobody was ever behind");
}

/// The same in front of a cluster whose slots change hands at once: its replicas hear of that as late as of all else.
#[test]
fn replicas_of_a_cluster_are_not_noticed_while_slots_move() {
    let (read_count, moved_count) = (Cell::new(0), Cell::new(0));
    for_each_seed(400, |seed| {
        let mut fleet = cluster(seed);
        let callers = call(&mut fleet, CATCH_UP_MS);
        check_histories(&callers, register::is_linearizable);
        let error_count: usize = callers.iter().map(|caller| caller.error_count).sum();
        assert_eq!(error_count, 0, "errors");
        read_count.set(read_count.get() + reads(&fleet));
        let moved = nodes(&fleet, |nodes| nodes.moved_count);
        moved_count.set(moved_count.get() + moved);
        end(&mut fleet, &callers);
    });
    assert!(read_count.get() > 0, "no replica was ever asked");
    assert!(moved_count.get() > 0, "nobody was ever sent on");
}

/// Calls on shared keys while replicas lag and fail, until all are answered.
fn call(fleet: &mut Fleet, catch_up_ms: u64) -> Vec<Caller> {
    let mut followers = Followers::of(fleet, catch_up_ms);
    let mut callers: Vec<Caller> = (0..6)
        .map(|_| {
            let shard = fleet.rng.below(fleet.shard_count());
            Caller::connect(fleet, shard, Protocol::Resp)
        })
        .collect();
    for value in 1..300 {
        call_one(fleet, &mut callers, value);
        if fleet.rng.chance(200) {
            fleet
                .world
                .advance(1 + fleet.rng.below(STEP_MS as usize) as u64);
        }
        followers.follow(fleet);
        trouble(fleet);
        if fleet.nodes.is_some() && fleet.rng.chance(50) {
            let key = caller::name(fleet.rng.below(KEY_COUNT));
            nodes(fleet, |nodes| {
                nodes.rest();
                nodes.move_at_once(key.as_bytes());
            });
        }
    }
    heal(fleet);
    hear_all(fleet, &mut callers);
    callers
}

/// Something may befall a replica; masters and the ways to them are well.
fn trouble(fleet: &mut Fleet) {
    if !fleet.rng.chance(60) {
        return;
    }
    let number = fleet.rng.below(fleet.replicas.len());
    let place = fleet.replica_address(number);
    match fleet.rng.below(5) {
        0 => fleet.world.set_server(place, ServerState::Hanging),
        1 => fleet.world.set_server(place, ServerState::Refusing),
        2 => fleet.replicas[number].borrow_mut().is_loading = true,
        _ => {
            fleet.world.set_server(place, ServerState::Up);
            fleet.replicas[number].borrow_mut().is_loading = false;
        }
    }
    if fleet.rng.chance(500) {
        fleet.world.break_connections(place);
    }
}

/// All is well again, and nobody is behind: time may pass as it likes.
fn heal(fleet: &Fleet) {
    let replicas = fleet.replicas.iter();
    replicas.for_each(|replica| replica.borrow_mut().stay_current());
    fleet.heal();
}

/// Reads that replicas answered.
fn reads(fleet: &Fleet) -> usize {
    let replicas = fleet.replicas.iter();
    replicas.map(|replica| replica.borrow().read_count).sum()
}

fn end(fleet: &mut Fleet, callers: &[Caller]) {
    callers
        .iter()
        .for_each(|caller| fleet.world.close(caller.client));
    fleet.check_end();
}

/// One to three shards, one or two masters with one or two replicas each, some with an L1.
fn fleet(seed: u64, lag_ms: u64) -> Fleet {
    let pool = PoolSetup {
        protocol: Protocol::Resp,
        is_crossed: false,
        write: WritePolicy::Through,
        l1_ms: [None, None, Some(60_000)][seed as usize % 3],
        server_count: 1 + seed as usize % 2,
    };
    let replicas = ReplicaSetup {
        read_from: [ReadFrom::PreferReplica, ReadFrom::Any][seed as usize / 2 % 2],
        count_of_each: 1 + seed as usize / 3 % 2,
        lag_ms,
    };
    let setup = Setup {
        replicas: Some(replicas),
        ..Setup::pool(1 + seed as usize / 5 % 3, pool)
    };
    let mut fleet = Fleet::new(seed, &setup);
    connect_all(&mut fleet);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}

/// One to three shards, two or three nodes with a replica each.
fn cluster(seed: u64) -> Fleet {
    let replicas = ReplicaSetup {
        read_from: [ReadFrom::PreferReplica, ReadFrom::Any][seed as usize / 2 % 2],
        count_of_each: 1,
        lag_ms: LAG_MS,
    };
    let setup = Setup {
        replicas: Some(replicas),
        ..Setup::cluster(1 + seed as usize % 3, 2 + seed as usize / 3 % 2, None)
    };
    let mut fleet = Fleet::new(seed, &setup);
    connect_all(&mut fleet);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}
