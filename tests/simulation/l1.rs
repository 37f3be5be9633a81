//! The L1 of a pool: one fill for all who miss, and no fill brings back what a write or a flush has replaced.

use ringfort::config::{Protocol, WritePolicy};
use ringfort::io::ListenerId;
use ringfort::io::sim::{ClientId, Faults};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::pool::connect_all;
use crate::sim::{Backend, Fleet, PoolSetup, Setup, address};

#[test]
fn overlapping_misses_of_a_key_ask_its_server_once() {
    for_each_seed(200, |seed| {
        let mut fleet = fleet(seed, 3);
        put(&fleet, "key", "old");
        for shard in 0..3 {
            fleet.world.hold_answers(address(0), shard, true);
        }
        let clients: Vec<_> = (0..9).map(|number| client(&fleet, number % 3)).collect();
        for client in &clients {
            fleet.world.send(*client, b"get key\r\n");
        }
        fleet.run_until_idle();
        assert_eq!(get_count(&fleet, "key"), 1);
        fleet.heal();
        for client in &clients {
            expect(&mut fleet, *client, "VALUE key 0 3\r\nold\r\nEND\r\n");
        }
        fleet.world.send(clients[4], b"get key\r\n");
        expect(&mut fleet, clients[4], "VALUE key 0 3\r\nold\r\nEND\r\n");
        assert_eq!(get_count(&fleet, "key"), 1, "it was kept");
        end(&mut fleet, &clients);
    });
}

/// The fill has read the old value, its reply is late, and meanwhile the write is on its way.
#[test]
fn a_fill_that_crosses_a_write_is_not_kept() {
    for_each_seed(300, |seed| {
        let mut fleet = fleet(seed, 1 + seed as usize % 3);
        let shard_count = fleet.shard_count();
        put(&fleet, "key", "old");
        let reader = client(&fleet, 0);
        let writer = client(&fleet, shard_count - 1);
        for shard in 0..shard_count {
            fleet.world.hold_answers(address(0), shard, true);
        }
        fleet.world.send(reader, b"get key\r\n");
        if fleet.rng.chance(500) {
            fleet.run_until_idle();
        }
        fleet.world.send(writer, b"set key 0 0 3\r\nnew\r\n");
        fleet.run_until_idle();
        fleet.heal();
        expect(&mut fleet, writer, "STORED\r\n");
        for shard in 0..shard_count {
            let late = client(&fleet, shard);
            fleet.world.send(late, b"get key\r\n");
            expect(&mut fleet, late, "VALUE key 0 3\r\nnew\r\nEND\r\n");
            fleet.world.close(late);
        }
        end(&mut fleet, &[reader, writer]);
    });
}

/// The flush goes over another connection than the fill, so their replies may cross.
#[test]
fn a_fill_that_crosses_a_flush_is_not_kept() {
    for_each_seed(300, |seed| {
        let mut fleet = fleet(seed, 2);
        let names: Vec<String> = (0..4).map(|number| format!("key{number}")).collect();
        names.iter().for_each(|name| put(&fleet, name, "old"));
        let clients = [client(&fleet, 0), client(&fleet, 1)];
        let held = fleet.rng.below(2);
        fleet.world.hold_answers(address(0), held, true);
        let line = format!("get {}\r\n", names.join(" "));
        clients
            .iter()
            .for_each(|client| fleet.world.send(*client, line.as_bytes()));
        fleet.run_until_idle();
        let flusher = client(&fleet, 1 - held);
        fleet.world.send(flusher, b"flush_all\r\n");
        expect(&mut fleet, flusher, "OK\r\n");
        fleet.heal();
        fleet.run_until_idle();
        for shard in 0..2 {
            let late = client(&fleet, shard);
            fleet.world.send(late, line.as_bytes());
            expect(&mut fleet, late, "END\r\n");
            fleet.world.close(late);
        }
        end(&mut fleet, &[clients[0], clients[1], flusher]);
    });
}

/// A flush in a pipeline takes effect between what stands before and behind it.
#[test]
fn a_flush_keeps_its_place_in_a_pipeline() {
    for_each_seed(300, |seed| {
        let mut fleet = fleet(seed, 1 + seed as usize % 3);
        let shard = fleet.rng.below(fleet.shard_count());
        let client = client(&fleet, shard);
        let mut expected = String::new();
        for number in 0..8 {
            let line = format!("set k{number} 0 0 3\r\nold\r\n");
            fleet.world.send(client, line.as_bytes());
            expected += "STORED\r\n";
        }
        fleet
            .world
            .send(client, b"flush_all\r\nset k0 0 0 3\r\nnew\r\n");
        fleet.world.send(client, b"get k0 k1 k2 k3 k4 k5 k6 k7\r\n");
        expected += "OK\r\nSTORED\r\nVALUE k0 0 3\r\nnew\r\nEND\r\n";
        expect(&mut fleet, client, &expected);
        end(&mut fleet, &[client]);
    });
}

fn fleet(seed: u64, shard_count: usize) -> Fleet {
    let pool = PoolSetup {
        protocol: Protocol::Memcache,
        is_crossed: false,
        write: WritePolicy::Through,
        l1_ms: Some(600_000),
        server_count: 1,
    };
    let mut fleet = Fleet::new(seed, &Setup::pool(shard_count, pool));
    connect_all(&mut fleet);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}

fn client(fleet: &Fleet, shard: usize) -> ClientId {
    fleet.world.connect(shard, ListenerId::Memcache)
}

pub(crate) fn expect(fleet: &mut Fleet, client: ClientId, expected: &str) {
    let mut received = Vec::new();
    fleet.run_until(PATIENCE_MS, |fleet| {
        received.extend(fleet.world.take_received(client));
        received.len() >= expected.len()
    });
    assert_eq!(String::from_utf8_lossy(&received), expected);
}

pub(crate) fn end(fleet: &mut Fleet, clients: &[ClientId]) {
    clients.iter().for_each(|client| fleet.world.close(*client));
    fleet.check_end();
}

fn put(fleet: &Fleet, key: &str, value: &str) {
    let Backend::Memcached(memcached) = &fleet.backends[0] else {
        panic!("memcached");
    };
    let item = (0, value.as_bytes().to_vec());
    memcached.borrow_mut().items.insert(key.into(), item);
}

fn get_count(fleet: &Fleet, key: &str) -> usize {
    let Backend::Memcached(memcached) = &fleet.backends[0] else {
        panic!("memcached");
    };
    memcached.borrow().get_counts[key.as_bytes()]
}
