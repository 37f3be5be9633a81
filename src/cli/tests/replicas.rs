//! The flags about replicas.

use super::*;
use crate::config::{REPLICA_LAG_DEFAULT, ReadFrom};
use std::time::Duration;

const POOL: &str = "--pool resp --server a:1 --server [::1]:2";

fn pool(line: &str) -> PoolConfig {
    match config(line).mode {
        Mode::Pool(pool) => pool,
        Mode::Embedded | Mode::Group(_) => panic!("{line}: no pool"),
    }
}

#[test]
fn replicas_belong_to_servers() {
    let replicas = pool(POOL).replicas;
    assert_eq!(replicas.read_from, ReadFrom::Master);
    let line = "--replica a:1=b:1 --replica [::1]:2=unix:/run/r=1.sock --replica a:1=c:1";
    let replicas = pool(&format!("{POOL} {line} --read-from prefer-replica")).replicas;
    let found: Vec<_> = replicas
        .replicas
        .iter()
        .map(|replica| (replica.master, replica.server.address()))
        .collect();
    let expected = [(0, "b:1"), (1, "unix:/run/r=1.sock"), (0, "c:1")];
    assert_eq!(
        found,
        expected.map(|(master, place)| (master, place.to_owned()))
    );
    assert_eq!(replicas.read_from, ReadFrom::PreferReplica);
    assert_eq!(replicas.lag, REPLICA_LAG_DEFAULT);
    let lag = |text: &str| {
        let line = format!("{POOL} --replica a:1=b:1 --read-from any --replica-lag {text}");
        pool(&line).replicas.lag
    };
    assert_eq!(lag("250ms"), Duration::from_millis(250));
    assert_eq!(lag("off"), Duration::ZERO);
    let cluster = pool("--pool cluster --server a:1 --read-from replica").replicas;
    assert_eq!(cluster.read_from, ReadFrom::Replica);
}

#[test]
fn a_replica_that_cannot_be_is_refused_by_name() {
    let unread =
        "nobody reads it with --read-from master; add --read-from prefer-replica, or another";
    for (flags, expected) in [
        (
            "--replica b:1",
            "--replica b:1: not SERVER=HOST:PORT; write the server that it follows before it",
        ),
        (
            "--replica x:1=b:1 --read-from any",
            "--replica x:1=b:1: 'x:1' is no server of the pool; write one of --server or --servers \
             as there, or its name",
        ),
        (
            "--replica a:1=b --read-from any",
            "--replica a:1=b: 'b' has no port; write b:11211",
        ),
        (
            "--replica a:1=b:1:2 --read-from any",
            "--replica a:1=b:1:2: a replica has no weight; write SERVER=HOST:PORT",
        ),
        ("--replica a:1=b:1", &format!("--replica b:1: {unread}")),
        (
            "--replica a:1=[::1]:2 --read-from any",
            "--replica [::1]:2: is a server of the pool, too; name another one",
        ),
        (
            "--replica a:1=b:1 --replica [::1]:2=b:1 --read-from any",
            "--replica b:1: is named twice; name each once",
        ),
    ] {
        assert_eq!(error(&format!("{POOL} {flags}")), expected, "{flags}");
    }
}

#[test]
fn what_does_not_go_together_is_refused_by_name() {
    for (flags, expected) in [
        (
            "--read-from any",
            "--read-from any: no replicas; add --replica SERVER=HOST:PORT",
        ),
        (
            "--replica a:1=b:1 --read-from replica",
            "--read-from replica: server [::1]:2 has none; add --replica [::1]:2=HOST:PORT, or \
             use prefer-replica",
        ),
        (
            "--read-from slave",
            "--read-from 'slave': not known here; write master or prefer-master or replica or \
             prefer-replica or any",
        ),
        (
            "--replica-lag 2s",
            "--replica-lag: no replica is read with --read-from master; add --read-from \
             prefer-replica, or another",
        ),
        (
            "--replica a:1=b:1 --read-from any --replica-lag 2h",
            "--replica-lag '2h': out of range; write 1ms to 60s, or off",
        ),
        (
            "--replica a:1=b:1 --read-from any --write invalidate",
            "--read-from any: replicas do not know of writes that wait with --write invalidate; \
             use --write through",
        ),
        (
            "--replica a:1=b:1 --read-from any --write behind",
            "--read-from any: replicas do not know of writes that wait with --write behind; use \
             --write through",
        ),
        (
            "--replica a:1=b:1 --read-from any --on-eject rehash",
            "--read-from any: replicas do not have what is written elsewhere with --on-eject \
             rehash; use --on-eject error or miss",
        ),
        (
            "--replica a:1=b:1 --read-from replica --l1 1s",
            "--read-from replica: copies of --l1 are read from masters; use prefer-replica, or \
             leave --l1 out",
        ),
    ] {
        assert_eq!(error(&format!("{POOL} {flags}")), expected, "{flags}");
    }
}

#[test]
fn other_pools_have_no_named_replicas() {
    let memcached = "memcached servers have no replicas; leave it out";
    for (line, expected) in [
        (
            "--pool cluster --server a:1 --read-from any --write behind",
            "--read-from any: replicas do not know of writes that wait with --write behind; use \
             --write through"
                .into(),
        ),
        (
            "--pool cluster --server a:1 --read-from prefer-replica --write invalidate",
            "--read-from prefer-replica: replicas do not know of writes that wait with --write \
             invalidate; use --write through"
                .into(),
        ),
        (
            "--pool memcache --server a:1 --read-from any",
            format!("--read-from any: {memcached}"),
        ),
        (
            "--pool memcache --server a:1 --replica a:1=b:1",
            format!("--replica b:1: {memcached}"),
        ),
        (
            "--pool cluster --server a:1 --replica a:1=b:1",
            "--replica: with --pool cluster nodes tell of their replicas; leave it out".into(),
        ),
        (
            "--read-from any",
            "--read-from: only means something for a pool; add --pool memcache or --pool resp"
                .into(),
        ),
        (
            "--nutcracker x.yml --read-from any",
            "--read-from: pools of --nutcracker have no replicas; leave one of the two out".into(),
        ),
        (
            "--nutcracker x.yml --replica a:1=b:1",
            "--replica: pools of --nutcracker have no replicas; leave one of the two out".into(),
        ),
    ] {
        assert_eq!(error(line), expected);
    }
}
