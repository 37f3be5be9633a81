//! The promise: with `--failover-ttl` what is written to a server that stands in for another lives no longer than that,
//! whatever was asked for, as far as the commands of the protocol have a time; and what has less keeps it.

mod support;

use support::backends::Backend;
use support::gated::{GatedPool, Protocol, Speech};
use support::wait_for;
use support::wire::Wire;

/// In seconds.
const TTL: i64 = 60;

const FLAGS: [&str; 8] = [
    "--shards",
    "1",
    "--on-eject",
    "failover",
    "--eject-after",
    "1",
    "--failover-ttl",
    "60s",
];

/// A pool whose one server is gone, a client of it, and the server that stands in.
fn ejected(speech: Speech) -> (GatedPool, Wire) {
    let mut pool = GatedPool::start(speech, (1, 1), &FLAGS);
    let mut wire = pool.connect();
    let (request, nothing) = match speech.clients {
        Protocol::Memcache => ("get k\r\n", "END"),
        Protocol::Resp => ("GET k\r\n", "$-1"),
    };
    let mut ask = || {
        wire.send(request.as_bytes());
        wire.line() == nothing
    };
    wait_for("the server to be there", || ask().then_some(()));
    pool.servers[0].backend.stop();
    let spare = pool.spares[0].backend.connect();
    wait_for("the other one to be asked", || {
        (ask() && has_been_asked(&pool.spares[0].backend, speech.servers)).then_some(())
    });
    drop(spare);
    (pool, wire)
}

/// Whether anybody but this asked a server for a key.
fn has_been_asked(server: &Backend, protocol: Protocol) -> bool {
    match protocol {
        Protocol::Memcache => server.memcached_stat("cmd_get") > 0,
        Protocol::Resp => {
            let mut wire = server.connect();
            wire.send(b"INFO stats\r\n");
            let mut misses = 0;
            loop {
                let line = wire.line();
                if let Some(count) = line.strip_prefix("keyspace_misses:") {
                    misses = count.parse().expect("a count");
                }
                if line.is_empty() {
                    return misses > 0;
                }
            }
        }
    }
}

/// Seconds that a key of a memcached has left; none if it has for ever.
fn memcached_left(server: &Backend, key: &str) -> Option<i64> {
    let mut wire = server.connect();
    wire.send(format!("mg {key} t\r\n").as_bytes());
    let line = wire.line();
    let left = line.strip_prefix("HD t").and_then(|text| text.parse().ok());
    let left = left.unwrap_or_else(|| panic!("{key} is not there: {line}"));
    (left != -1).then_some(left)
}

/// The same of a Redis server.
fn redis_left(server: &Backend, key: &str) -> Option<i64> {
    let mut wire = server.connect();
    wire.send(format!("PTTL {key}\r\n").as_bytes());
    let left: i64 = wire.line().trim_start_matches(':').parse().expect("a time");
    assert_ne!(left, -2, "{key} is not there");
    (left != -1).then_some((left + 999) / 1_000)
}

/// Insists on a time of so many seconds, less what has passed meanwhile.
fn check_left(left: Option<i64>, expected: i64, request: &str) {
    let left = left.unwrap_or_else(|| panic!("{request:?} is for ever"));
    assert!(
        (expected - 20..=expected).contains(&left),
        "{request:?}: {left} s"
    );
}

#[test]
fn what_memcached_keeps_for_another_is_bounded() {
    let (pool, mut wire) = ejected(Speech::MEMCACHE);
    let spare = &pool.spares[0].backend;
    for (request, reply, seconds) in [
        ("set k 0 0 1\r\n1\r\n", "STORED", TTL),
        ("set k 0 1000000 1\r\n1\r\n", "STORED", TTL),
        ("set k 0 40 1\r\n1\r\n", "STORED", 40),
        ("replace k 0 4000000000 1\r\n1\r\n", "STORED", TTL),
        ("touch k 30\r\n", "TOUCHED", 30),
        ("touch k 0\r\n", "TOUCHED", TTL),
        ("incr k 1\r\n", "2", TTL),
        ("ms k 1 T0\r\n1\r\n", "HD", TTL),
        ("ms k 1\r\n1\r\n", "HD", TTL),
        ("ms k 1 T35\r\n1\r\n", "HD", 35),
        ("mg k T900\r\n", "HD", TTL),
    ] {
        wire.ask(request, format!("{reply}\r\n"));
        check_left(memcached_left(spare, "k"), seconds, request);
    }
    wire.ask("gat 0 k\r\n", "VALUE k 0 1\r\n1\r\nEND\r\n");
    check_left(memcached_left(spare, "k"), TTL, "gat");
    wire.ask("ma new N0 J5\r\n", "HD\r\n");
    check_left(memcached_left(spare, "new"), TTL, "ma");
}

#[test]
fn what_redis_keeps_for_another_is_bounded_where_commands_have_a_time() {
    let (pool, mut wire) = ejected(Speech::RESP);
    let spare = &pool.spares[0].backend;
    for (request, reply, seconds) in [
        ("SET k 1", "+OK", TTL),
        ("SET k 1 EX 1000", "+OK", TTL),
        ("SET k 1 PX 40000", "+OK", 40),
        ("SET k 1 EXAT 33177117420", "+OK", TTL),
        ("SET k 1 XX KEEPTTL", "+OK", TTL),
        ("SETEX k 1000 1", "+OK", TTL),
        ("PSETEX k 30000 1", "+OK", 30),
        ("EXPIRE k 1000", ":1", TTL),
        ("PEXPIREAT k 33177117420000", ":1", TTL),
        ("INCR k", ":2", TTL),
        ("MSET k 1", "+OK", TTL),
    ] {
        wire.ask(format!("{request}\r\n"), format!("{reply}\r\n"));
        check_left(redis_left(spare, "k"), seconds, request);
    }
    wire.ask("GETEX k PERSIST\r\n", "$1\r\n1\r\n");
    check_left(redis_left(spare, "k"), TTL, "GETEX");
    // What docs/consistency.md says of the others.
    wire.ask("HSET hash field value\r\n", ":1\r\n");
    assert_eq!(redis_left(spare, "hash"), None);
}

#[test]
fn clients_of_the_other_protocol_are_bounded_as_well() {
    let (pool, mut wire) = ejected(Speech::MEMCACHE_OVER_REDIS);
    let spare = &pool.spares[0].backend;
    for (request, seconds) in [
        ("set k 0 0 1\r\n1\r\n", TTL),
        ("set k 5 1000 1\r\n1\r\n", TTL),
        ("set k 0 40 1\r\n1\r\n", 40),
    ] {
        wire.ask(request, "STORED\r\n");
        check_left(redis_left(spare, "k"), seconds, request);
    }
    let (pool, mut wire) = ejected(Speech::RESP_OVER_MEMCACHED);
    let spare = &pool.spares[0].backend;
    for (request, seconds) in [
        ("SET k 1", TTL),
        ("SET k 1 EX 1000", TTL),
        ("SET k 1 EX 40", 40),
    ] {
        wire.ask(format!("{request}\r\n"), "+OK\r\n");
        check_left(memcached_left(spare, "k"), seconds, request);
    }
}

/// Only there: a server's own keys live as long as is asked.
#[test]
fn a_servers_own_keys_are_not_bounded() {
    let pool = GatedPool::start(Speech::MEMCACHE, (1, 1), &FLAGS);
    let mut wire = pool.connect();
    wait_for("the server to be there", || {
        wire.send(b"set k 0 0 1\r\n1\r\n");
        (wire.line() == "STORED").then_some(())
    });
    assert_eq!(memcached_left(&pool.servers[0].backend, "k"), None);
}
