//! Embedded: one copy of each key, whichever shard and protocol a call comes through.

use ringfort::config::Protocol;
use ringfort::io::ListenerId;
use ringfort::io::sim::{Faults, SimRng};

use crate::checker::{Call, Operation, is_linearizable, told};
use crate::for_each_seed;
use crate::sim::caller::Caller;
use crate::sim::exact::Exact;
use crate::sim::{Fleet, Setup};

/// Longer than any limit of a shard, in milliseconds of the fake's clock.
pub(crate) const PATIENCE_MS: u64 = 120_000;

const PROTOCOLS: [Protocol; 2] = [Protocol::Memcache, Protocol::Resp];

#[test]
fn every_byte_of_every_reply_is_as_it_must_be() {
    for_each_seed(600, |seed| {
        let mut fleet = fleet(seed);
        let mut clients: Vec<Exact> = (0..6)
            .map(|number| {
                let shard = fleet.rng.below(fleet.shard_count());
                Exact::connect(&fleet, number, shard, PROTOCOLS[number % 2]).with_transactions()
            })
            .collect();
        for _ in 0..60 {
            converse(&mut fleet, &mut clients);
        }
        finish(&mut fleet, clients);
    });
}

/// One step of a conversation of many clients, some of which read slowly.
pub(crate) fn converse(fleet: &mut Fleet, clients: &mut [Exact]) {
    let number = fleet.rng.below(clients.len());
    let window = match fleet.rng.below(4) {
        0 => fleet.rng.below(3_000),
        _ => usize::MAX,
    };
    fleet.world.set_window(clients[number].client, window);
    clients[number].send_some(fleet);
    for _ in 0..fleet.rng.below(6) {
        fleet.round();
    }
    clients.iter_mut().for_each(|client| client.check(fleet));
}

/// Everybody gets every reply, leaves in some way, and nothing is left.
pub(crate) fn finish(fleet: &mut Fleet, mut clients: Vec<Exact>) {
    for client in &clients {
        fleet.world.set_window(client.client, usize::MAX);
    }
    let is_served = fleet.run_until(PATIENCE_MS, |fleet| {
        clients.iter_mut().for_each(|client| client.check(fleet));
        clients.iter().all(Exact::is_served)
    });
    assert!(is_served, "somebody waits for ever");
    for client in &clients {
        match fleet.rng.below(3) {
            0 => fleet.world.finish(client.client),
            1 => fleet.world.close(client.client),
            _ => fleet.world.reset(client.client),
        }
    }
    fleet.check_end();
}

/// Replies beyond what a connection may hold, and requests beyond what it may keep: it is not received from for a
/// while, and loses nothing.
#[test]
fn a_pipeline_beyond_every_limit_is_served_in_the_end() {
    for_each_seed(10, |seed| {
        let mut fleet = fleet(seed);
        let mut clients: Vec<Exact> = (0..2)
            .map(|number| Exact::connect(&fleet, number, 0, PROTOCOLS[number]).with_transactions())
            .collect();
        for client in &mut clients {
            fleet.world.set_window(client.client, 100);
            (0..2_000).for_each(|_| client.send_some(&mut fleet));
        }
        for _ in 0..200 {
            fleet.round();
        }
        finish(&mut fleet, clients);
    });
}

#[test]
fn shared_keys_are_linearizable() {
    for_each_seed(1000, |seed| {
        let mut fleet = fleet(seed);
        let mut callers: Vec<(Caller, Protocol)> = (0..8)
            .map(|number| {
                let protocol = PROTOCOLS[number % 2];
                let shard = fleet.rng.below(fleet.shard_count());
                (Caller::connect(&fleet, shard, protocol), protocol)
            })
            .collect();
        let mut value = 0;
        for _ in 0..300 {
            let number = fleet.rng.below(callers.len());
            let (caller, protocol) = &mut callers[number];
            for _ in 0..1 + fleet.rng.below(2) {
                if caller.is_busy() {
                    break;
                }
                value += 1_000;
                let key = fleet.rng.below(KEY_COUNT);
                let call = any_call(&mut fleet.rng, *protocol, value);
                caller.call(&fleet, key, call);
            }
            for _ in 0..fleet.rng.below(5) {
                fleet.round();
                callers
                    .iter_mut()
                    .for_each(|(caller, _)| caller.hear(&fleet));
            }
        }
        let mut callers: Vec<Caller> = callers.into_iter().map(|(caller, _)| caller).collect();
        hear_all(&mut fleet, &mut callers);
        check_histories(&callers, is_linearizable);
        callers
            .iter()
            .for_each(|caller| fleet.world.close(caller.client));
        fleet.check_end();
    });
}

const KEY_COUNT: usize = 3;

fn any_call(rng: &mut SimRng, protocol: Protocol, value: u64) -> Call {
    match (rng.below(8), protocol) {
        (0..=2, _) => Call::Get,
        (3 | 4, _) => Call::Set(value),
        (5, _) => Call::Add(value),
        (6, Protocol::Memcache) => Call::Incr(7),
        (6, Protocol::Resp) => Call::IncrOrCreate(7),
        _ => Call::Delete,
    }
}

/// Waits for every reply.
pub(crate) fn hear_all(fleet: &mut Fleet, callers: &mut [Caller]) {
    let has_heard = fleet.run_until(PATIENCE_MS, |fleet| {
        callers.iter_mut().for_each(|caller| caller.hear(fleet));
        !callers.iter().any(Caller::is_waiting)
    });
    assert!(has_heard, "somebody waits for ever");
}

/// Each key must have behaved as one copy.
pub(crate) fn check_histories(callers: &[Caller], is_explained: impl Fn(&[Operation]) -> bool) {
    for key in 0..KEY_COUNT {
        let mut history: Vec<Operation> = callers
            .iter()
            .flat_map(|caller| &caller.history)
            .filter(|(of, _)| *of == key)
            .map(|(_, operation)| *operation)
            .collect();
        history.sort_by_key(|operation| operation.called_ns);
        assert!(
            is_explained(&history),
            "no order explains key {key}:\n{}",
            told(&history)
        );
    }
}

/// What is asked before the shards are told to stop is answered whole or not at all, and they do not wait for
/// their last moment with it.
#[test]
fn a_drain_answers_what_has_arrived() {
    const DRAIN_MS_MAX: u64 = 10_000;
    for_each_seed(1000, |seed| {
        let mut fleet = fleet(seed);
        let mut clients: Vec<Exact> = (0..6)
            .map(|number| {
                let shard = fleet.rng.below(fleet.shard_count());
                Exact::connect(&fleet, number, shard, PROTOCOLS[number % 2]).with_transactions()
            })
            .collect();
        for _ in 0..20 {
            converse(&mut fleet, &mut clients);
        }
        for client in &clients {
            fleet.world.set_window(client.client, usize::MAX);
        }
        let began = fleet.world.now().0;
        fleet.stop();
        assert!(fleet.run_until(PATIENCE_MS, |fleet| fleet.has_ended()));
        let took_ms = fleet.world.now().0 - began;
        assert!(took_ms < DRAIN_MS_MAX / 2, "the drain took {took_ms} ms");
        for client in &mut clients {
            client.check(&fleet);
            assert!(client.has_whole_replies(), "a reply was cut");
            assert!(fleet.world.is_closed(client.client));
        }
    });
}

/// Nobody else has to come by for that.
#[test]
fn an_idle_shard_closes_a_client_that_does_not_read() {
    for_each_seed(5, |seed| {
        let mut fleet = fleet(seed);
        let mut stalled = Exact::connect(&fleet, 0, 0, Protocol::Memcache);
        fleet.world.set_window(stalled.client, 10);
        for _ in 0..300 {
            stalled.send_some(&mut fleet);
        }
        let is_closed = fleet.run_until(PATIENCE_MS, |fleet| fleet.world.is_closed(stalled.client));
        assert!(is_closed);
    });
}

/// A client that never reads is closed in the end, and holds nobody else up.
#[test]
fn a_client_that_does_not_read_is_closed() {
    for_each_seed(20, |seed| {
        let mut fleet = fleet(seed);
        let mut stalled = Exact::connect(&fleet, 0, 0, Protocol::Memcache);
        let mut other = Exact::connect(&fleet, 1, 0, Protocol::Resp);
        fleet.world.set_window(stalled.client, 10);
        for _ in 0..300 {
            stalled.send_some(&mut fleet);
        }
        let is_closed = fleet.run_until(PATIENCE_MS, |fleet| {
            if other.is_served() {
                other.send_some(fleet);
                fleet.world.advance(50);
            }
            other.check(fleet);
            fleet.world.is_closed(stalled.client)
        });
        assert!(is_closed);
        stalled.check(&fleet);
        finish(&mut fleet, vec![other]);
    });
}

/// What a shard answers at once waits for what another one is about to answer in front of the client's next read: all
/// of a pipeline is one send. Not for long, if that shard is kept from running.
#[test]
fn a_pipeline_over_two_shards_is_answered_in_one_send() {
    let mut fleet = Fleet::new(1, &Setup::embedded(2));
    fleet.world.set_faults(Faults::NONE);
    fleet.eavesdrop();
    let client = fleet.world.connect(0, ListenerId::Memcache);
    let set = |key: &usize| format!("set key-{key} 0 0 1\r\nx\r\n").into_bytes();
    let run = |fleet: &mut Fleet, shards: &[usize]| {
        for _ in 0..4 {
            fleet.world.step();
            shards.iter().for_each(|shard| fleet.turn(*shard));
        }
        fleet.world.take_received(client)
    };
    // Keys of the client's shard are answered without the other one.
    let (own, far): (Vec<usize>, Vec<usize>) = (0..16).partition(|key| {
        fleet.world.send(client, &set(key));
        let is_own = !run(&mut fleet, &[0]).is_empty();
        run(&mut fleet, &[0, 1]);
        is_own
    });
    let pipeline = [set(&own[0]), set(&far[0]), set(&own[1])].concat();

    fleet.world.send(client, &pipeline);
    assert_eq!(run(&mut fleet, &[0]), b"", "its answer is to come soon");
    let answers = run(&mut fleet, &[1, 0]);
    assert_eq!(answers, b"STORED\r\nSTORED\r\nSTORED\r\n");

    fleet.world.send(client, &pipeline);
    assert_eq!(run(&mut fleet, &[0]), b"");
    assert!(fleet.world.next_alarm().is_some(), "it looks again");
    fleet.world.advance(2);
    assert_eq!(run(&mut fleet, &[0]), b"STORED\r\n", "it takes long");
    assert_eq!(run(&mut fleet, &[1, 0]), b"STORED\r\nSTORED\r\n");
}

/// Any number of shards, which may or may not write for each other, an unkind network, and a listener that sometimes
/// fails.
fn fleet(seed: u64) -> Fleet {
    let mut fleet = Fleet::new(seed, &Setup::embedded(1 + seed as usize % 3));
    if seed.is_multiple_of(2) {
        fleet.eavesdrop();
    }
    fleet.world.set_faults(Faults {
        accept_failure: 100,
        ..Faults::NETWORK
    });
    fleet
}
