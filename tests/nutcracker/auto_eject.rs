//! `auto_eject_hosts`: a server is killed, and both programs send its keys to the same other servers.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::backends::Backend;
use crate::support::process::{ScratchFolder, free_port};
use crate::support::ringfort::Ringfort;
use crate::support::wait_for;
use crate::support::wire::Wire;
use crate::{Backends, command, memcache_get, memcache_set, redis_get, redis_set};

const KEY_COUNT: usize = 300;

/// A pool: its hash, its distribution, whether it is Redis', and what follows the addresses of its servers.
type Pool = (&'static str, &'static str, bool, [&'static str; 3]);

const POOLS: [Pool; 4] = [
    ("murmur", "ketama", false, ["3 gamma", "1", "2 b"]),
    ("crc32a", "modula", false, ["1", "2", "3"]),
    ("fnv1a_64", "ketama", true, ["1", "1", "1"]),
    ("md5", "modula", true, ["2 c", "1 a", "1 b"]),
];

fn configuration(backends: &Backends, listen: [SocketAddr; 4], retry: &str) -> String {
    let pools = POOLS.iter().zip(listen).enumerate();
    let pools = pools.map(|(number, (pool, listen))| {
        let (hash, distribution, is_redis, rest) = pool;
        let servers = if *is_redis { &backends.redis } else { &backends.memcached };
        let lines = servers.iter().zip(rest);
        let lines: String = lines
            .map(|(server, rest)| format!("   - {}:{rest}\n", server.address()))
            .collect();
        format!(
            "pool-{number}:\n  listen: {listen}\n  hash: {hash}\n  distribution: {distribution}\n  redis: {is_redis}\n  \
             timeout: 1000\n  auto_eject_hosts: true\n  server_failure_limit: 1\n  \
             server_retry_timeout: {retry}\n  servers:\n{lines}"
        )
    });
    pools.collect()
}

fn ringfort(backends: &Backends, listen: [SocketAddr; 4], retry: &str) -> Ringfort {
    let folder = ScratchFolder::new();
    let file = folder.write("nutcracker.yml", &configuration(backends, listen, retry));
    let file = file.display().to_string();
    let flags = ["--nutcracker", &file, "--shards", "1", "--memory", "128MiB"];
    Ringfort::start_exactly(&flags)
}

#[test]
fn keys_of_a_killed_server_are_where_twemproxy_has_them() {
    let mut backends = Backends::start();
    let theirs = std::cell::Cell::new(crate::addresses(free_port()));
    let _nutcracker = Backend::nutcracker_with(|port| {
        theirs.set(crate::addresses(port));
        configuration(&backends, theirs.get(), "60000")
    });
    let ours = crate::addresses(free_port());
    let _ringfort = ringfort(&backends, ours, "60000");
    let keys: Vec<String> = (0..KEY_COUNT).map(|key| format!("user:{key}")).collect();
    backends.memcached[1].stop();
    backends.redis[1].stop();
    for (pool, (ours, theirs)) in POOLS.iter().zip(ours.into_iter().zip(theirs.get())) {
        let (.., is_redis, _) = *pool;
        let mut wires = [ours, theirs].map(Wire::connect);
        for wire in &mut wires {
            wait_for("the killed server to be ejected", || {
                let stored = keys.iter().filter(|key| is_stored(wire, is_redis, key));
                let stored_count = stored.count();
                (stored_count == KEY_COUNT).then_some(())
            });
        }
        let [mut ours, mut theirs] = wires;
        let (write, read): (crate::Exchange, crate::Exchange) = match is_redis {
            false => (memcache_set, memcache_get),
            true => (redis_set, redis_get),
        };
        for key in &keys {
            write(&mut theirs, key, &format!("theirs {pool:?}"));
            read(&mut ours, key, &format!("theirs {pool:?}"));
            write(&mut ours, key, "ours");
            read(&mut theirs, key, "ours");
        }
    }
    // It is left alone until `server_retry_timeout` is over, however well it is.
    backends.memcached[1].restart();
    backends.redis[1].restart();
    std::thread::sleep(Duration::from_millis(1_500));
    for (pool, ours) in POOLS.iter().zip(ours) {
        let mut ours = Wire::connect(ours);
        assert!(keys.iter().all(|key| is_stored(&mut ours, pool.2, key)));
    }
    assert_eq!(held(&backends), (0, 0));
}

#[test]
fn after_the_retry_timeout_a_server_is_back() {
    let mut backends = Backends::start();
    let listen = crate::addresses(free_port());
    let _ringfort = ringfort(&backends, listen, "200");
    backends.memcached[1].stop();
    backends.redis[1].stop();
    let mut wires = listen.map(Wire::connect);
    let store_all = |wires: &mut [Wire; 4]| {
        let pools = POOLS.iter().zip(wires);
        let stored = pools.map(|(pool, wire)| {
            let stored =
                (0..KEY_COUNT).filter(|key| is_stored(wire, pool.2, &format!("user:{key}")));
            stored.count()
        });
        stored.sum::<usize>() == POOLS.len() * KEY_COUNT
    };
    wait_for("the servers to be ejected", || {
        store_all(&mut wires).then_some(())
    });
    backends.memcached[1].restart();
    backends.redis[1].restart();
    wait_for("the servers to have keys again", || {
        let (memcached, redis) = held(&backends);
        (store_all(&mut wires) && memcached > 0 && redis > 0).then_some(())
    });
}

/// Sets a key, unless that is answered with an error.
fn is_stored(wire: &mut Wire, is_redis: bool, key: &str) -> bool {
    let (request, stored, error) = match is_redis {
        false => (
            format!("set {key} 0 0 1\r\nx\r\n"),
            "STORED",
            "SERVER_ERROR ",
        ),
        true => (command(&["SET", key, "x"]), "+OK", "-ERR "),
    };
    wire.send(request.as_bytes());
    let line = wire.line();
    assert!(line == stored || line.starts_with(error), "{line:?}");
    line == stored
}

/// How many keys the servers that were killed have.
fn held(backends: &Backends) -> (u64, u64) {
    let mut wire = backends.redis[1].connect();
    wire.send(b"DBSIZE\r\n");
    let redis = wire.line().trim_start_matches(':').parse();
    (
        backends.memcached[1].memcached_stat("curr_items"),
        redis.expect("a count"),
    )
}
