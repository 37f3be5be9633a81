//! A pool with `--write invalidate`: a write is answered at once, and whatever breaks, the key is deleted on its
//! server after it.

use std::collections::BTreeMap;

use ringfort::backend::WRITE_COUNT_MAX;
use ringfort::config::{Protocol, WritePolicy};
use ringfort::io::sim::{ClientId, Faults, ServerState};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::pool::{connect_all, trouble};
use crate::sim::{
    Backend, Fleet, PoolSetup, Setup, address, connections_per_server, listener, redis,
};

const KEY_COUNT: usize = 12;

#[test]
fn every_written_key_is_deleted_on_its_server_whatever_breaks() {
    for_each_seed(1500, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        const WRITE_COUNT: usize = 150;
        let clients: Vec<ClientId> = (0..4)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                fleet.world.connect(shard, listener(protocol))
            })
            .collect();
        let readers: Vec<ClientId> = (0..fleet.shard_count())
            .map(|shard| fleet.world.connect(shard, listener(protocol)))
            .collect();
        put_all(&fleet);
        fleet.world.set_faults(Faults::HARSH);
        let refuses = fleet.rng.below(300) as u32;
        set_refusals(&fleet, refuses);
        let mut written: BTreeMap<usize, u64> = BTreeMap::new();
        for _ in 0..WRITE_COUNT {
            if fleet.rng.chance(60) {
                trouble(&mut fleet);
            }
            let key = fleet.rng.below(KEY_COUNT);
            written.insert(key, fleet.next_moment());
            let client = clients[fleet.rng.below(clients.len())];
            write(&mut fleet, client, protocol, key);
            let key = fleet.rng.below(KEY_COUNT);
            let reader = readers[fleet.rng.below(readers.len())];
            fleet.world.send(reader, &get(protocol, key));
            for _ in 0..fleet.rng.below(6) {
                fleet.round();
            }
        }
        fleet.heal();
        set_refusals(&fleet, 0);
        let is_done = fleet.run_until(PATIENCE_MS, |fleet| {
            written
                .iter()
                .all(|(key, at)| deleted_at(fleet, *key) > Some(*at))
        });
        assert!(is_done, "not every write was followed by a delete");
        fleet.run_until_idle();
        for shard in 0..fleet.shard_count() {
            written
                .keys()
                .for_each(|key| expect_miss(&mut fleet, shard, protocol, *key));
        }
        expect_acks(&mut fleet, &clients, protocol, WRITE_COUNT);
        let all = clients.iter().chain(&readers);
        all.for_each(|client| fleet.world.close(*client));
        fleet.check_end();
    });
}

/// Whether its server is away, slow or breaks: who reads a key after its write was answered does not get what was there
/// before.
#[test]
fn a_key_whose_delete_waits_is_not_found() {
    for_each_seed(300, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        connect_all(&mut fleet);
        put_all(&fleet);
        let writer = fleet.rng.below(fleet.shard_count());
        let writer = fleet.world.connect(writer, listener(protocol));
        let (miss, error): (&[u8], &[u8]) = match protocol {
            Protocol::Memcache => (b"END\r\n", b"SERVER_ERROR backend"),
            Protocol::Resp => (b"$-1\r\n", b"-ERR backend"),
        };
        for key in 0..KEY_COUNT {
            let state = [ServerState::Up, ServerState::Hanging, ServerState::Refusing];
            let state = state[fleet.rng.below(3)];
            for number in 0..fleet.backends.len() {
                fleet.world.set_server(address(number), state);
                if fleet.rng.chance(300) {
                    fleet.world.break_connections(address(number));
                }
            }
            write(&mut fleet, writer, protocol, key);
            expect_acks(&mut fleet, &[writer], protocol, 1);
            let shard = fleet.rng.below(fleet.shard_count());
            let reader = fleet.world.connect(shard, listener(protocol));
            fleet.world.send(reader, &get(protocol, key));
            let mut received = Vec::new();
            fleet.run_until(PATIENCE_MS, |fleet| {
                received.extend(fleet.world.take_received(reader));
                received.ends_with(b"\n")
            });
            // Once the server has confirmed the delete it is asked, and may be away.
            let is_right = received == miss || received.starts_with(error);
            assert!(is_right, "{}", received.escape_ascii());
            fleet.world.close(reader);
        }
        fleet.world.close(writer);
        fleet.check_end();
    });
}

/// A server that cannot be reached fills the queue; then writes fail, and none that was promised is lost.
#[test]
fn a_full_queue_is_an_error_and_no_loss() {
    for_each_seed(2, |seed| {
        let pool = PoolSetup {
            protocol: Protocol::Memcache,
            is_crossed: false,
            write: WritePolicy::Invalidate,
            l1_ms: None,
            server_count: 1,
        };
        let mut fleet = Fleet::new(seed, &Setup::pool(1, pool));
        fleet.world.set_server(address(0), ServerState::Refusing);
        let client = fleet.world.connect(0, listener(Protocol::Memcache));
        // Each of the server's connections has a queue.
        let count = connections_per_server(seed) * WRITE_COUNT_MAX + 100;
        for number in 0..count {
            let line = format!("delete key{number}\r\n");
            fleet.world.send(client, line.as_bytes());
        }
        let mut received = Vec::new();
        let is_answered = fleet.run_until(PATIENCE_MS, |fleet| {
            received.extend(fleet.world.take_received(client));
            received.iter().filter(|byte| **byte == b'\n').count() == count
        });
        assert!(is_answered);
        let text = String::from_utf8(received).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[..WRITE_COUNT_MAX]
                .iter()
                .all(|line| *line == "DELETED")
        );
        let (promised, refused): (Vec<&str>, Vec<&str>) =
            lines.iter().partition(|line| **line == "DELETED");
        let full = "SERVER_ERROR invalidation queue is full";
        assert!(refused.len() >= 100 && refused.iter().all(|line| *line == full));
        fleet.heal();
        let Backend::Memcached(memcached) = fleet.backends[0].clone() else {
            panic!("memcached");
        };
        let is_done = fleet.run_until(PATIENCE_MS, |_| {
            memcached.borrow().deleted_at.len() == promised.len()
        });
        assert!(is_done);
        fleet.world.close(client);
        fleet.check_end();
    });
}

/// A shard that is told to stop sends the deletes that it has promised.
#[test]
fn a_drain_keeps_its_promises() {
    for_each_seed(300, |seed| {
        let (mut fleet, protocol) = fleet(seed);
        connect_all(&mut fleet);
        let shard = fleet.rng.below(fleet.shard_count());
        let client = fleet.world.connect(shard, listener(protocol));
        for key in 0..KEY_COUNT {
            write(&mut fleet, client, protocol, key);
        }
        expect_acks(&mut fleet, &[client], protocol, KEY_COUNT);
        fleet.stop();
        assert!(fleet.run_until(PATIENCE_MS, |fleet| fleet.has_ended()));
        fleet.run_until_idle();
        assert!((0..KEY_COUNT).all(|key| deleted_at(&fleet, key).is_some()));
    });
}

fn fleet(seed: u64) -> (Fleet, Protocol) {
    let protocol = [Protocol::Memcache, Protocol::Resp][seed as usize % 2];
    let pool = PoolSetup {
        protocol,
        is_crossed: false,
        write: WritePolicy::Invalidate,
        l1_ms: [Some(60_000), None][seed as usize / 2 % 2],
        server_count: 1 + seed as usize / 3 % 3,
    };
    let fleet = Fleet::new(seed, &Setup::pool(1 + seed as usize % 3, pool));
    (fleet, protocol)
}

/// Writes a key with one of the commands that only invalidate.
fn write(fleet: &mut Fleet, client: ClientId, protocol: Protocol, key: usize) {
    let deletes = fleet.rng.chance(300);
    let request = match (protocol, deletes) {
        (Protocol::Memcache, true) => format!("delete {}\r\n", name(key)).into_bytes(),
        (Protocol::Memcache, false) => format!("set {} 0 0 1\r\nx\r\n", name(key)).into_bytes(),
        (Protocol::Resp, true) => redis::request(&[b"DEL", name(key).as_bytes()]),
        (Protocol::Resp, false) => redis::request(&[b"SET", name(key).as_bytes(), b"x"]),
    };
    fleet.world.send(client, &request);
}

/// Waits for the answers to `count` writes, all of which must be good.
fn expect_acks(fleet: &mut Fleet, clients: &[ClientId], protocol: Protocol, count: usize) {
    let mut received = vec![Vec::new(); clients.len()];
    let mut good_count = 0;
    let is_answered = fleet.run_until(PATIENCE_MS, |fleet| {
        for (client, received) in clients.iter().zip(&mut received) {
            received.extend(fleet.world.take_received(*client));
            while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = received.drain(..=end).collect();
                let good: [&[u8]; 2] = match protocol {
                    Protocol::Memcache => [b"STORED\r\n", b"DELETED\r\n"],
                    Protocol::Resp => [b"+OK\r\n", b":1\r\n"],
                };
                assert!(good.contains(&&line[..]), "{}", line.escape_ascii());
                good_count += 1;
            }
        }
        good_count == count
    });
    assert!(is_answered, "{good_count} of {count} writes are answered");
}

/// Gives every key a value on its server, from before all writes.
fn put_all(fleet: &Fleet) {
    for name in (0..KEY_COUNT).map(|key| name(key).into_bytes()) {
        match &fleet.backends[fleet.server_of(&name)] {
            Backend::Memcached(server) => {
                let item = (0, b"old".to_vec());
                server.borrow_mut().items.insert(name, item);
            }
            Backend::Redis(server) => {
                server.borrow_mut().items.insert(name, b"old".to_vec());
            }
        }
    }
}

fn get(protocol: Protocol, key: usize) -> Vec<u8> {
    match protocol {
        Protocol::Memcache => format!("get {}\r\n", name(key)).into_bytes(),
        Protocol::Resp => redis::request(&[b"GET", name(key).as_bytes()]),
    }
}

/// What was deleted is not kept in any L1, either.
fn expect_miss(fleet: &mut Fleet, shard: usize, protocol: Protocol, key: usize) {
    let (miss, error): (&[u8], &[u8]) = match protocol {
        Protocol::Memcache => (b"END\r\n", b"SERVER_ERROR "),
        Protocol::Resp => (b"$-1\r\n", b"-ERR "),
    };
    let client = fleet.world.connect(shard, listener(protocol));
    // The server may be up again and the connection to it not, yet.
    let mut received = error.to_vec();
    for _ in 0..1_000 {
        if !received.starts_with(error) {
            break;
        }
        fleet.world.advance(10);
        fleet.world.send(client, &get(protocol, key));
        received.clear();
        fleet.run_until(PATIENCE_MS, |fleet| {
            received.extend(fleet.world.take_received(client));
            received.ends_with(b"\n")
        });
    }
    assert_eq!(
        received.escape_ascii().to_string(),
        miss.escape_ascii().to_string()
    );
    fleet.world.close(client);
}

fn name(key: usize) -> String {
    format!("key{key}")
}

fn deleted_at(fleet: &Fleet, key: usize) -> Option<u64> {
    let name = name(key).into_bytes();
    match &fleet.backends[fleet.server_of(&name)] {
        Backend::Memcached(server) => server.borrow().deleted_at.get(&name).copied(),
        Backend::Redis(server) => server.borrow().deleted_at.get(&name).copied(),
    }
}

fn set_refusals(fleet: &Fleet, permille: u32) {
    for backend in &fleet.backends {
        match backend {
            Backend::Memcached(server) => server.borrow_mut().refuse_permille = permille,
            Backend::Redis(server) => server.borrow_mut().refuse_permille = permille,
        }
    }
}
