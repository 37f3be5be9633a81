//! A pool that is a Redis Cluster.

use super::*;

const CLUSTER: &str = "--pool cluster --server a:1";

fn pool(line: &str) -> PoolConfig {
    match config(line).mode {
        Mode::Pool(pool) => pool,
        Mode::Embedded | Mode::Group(_) => panic!("{line}: no pool"),
    }
}

#[test]
fn a_cluster_is_a_pool_of_redis_servers_that_ejects_none() {
    let cluster = pool(&format!("{CLUSTER} --server b:2 --l1 1s"));
    assert!(cluster.is_cluster);
    assert_eq!(cluster.protocol, Protocol::Resp);
    assert_eq!(cluster.servers.len(), 2);
    assert_eq!(cluster.backend.eject.after, None);
    assert!(!pool("--pool resp --server a:1").is_cluster);
    let behind = pool(&format!("{CLUSTER} --write behind --spool /x"));
    assert_eq!(behind.write, WritePolicy::Behind);
    assert!(behind.spool.is_some());
    let config = config(CLUSTER);
    assert_eq!((config.memcache, config.resp), (None, Some(RESP_DEFAULT)));
}

#[test]
fn what_the_cluster_decides_is_refused() {
    const SLOTS: &str = "the cluster's slots say who has a key; leave it out";
    const NODES: &str = "the cluster itself says who takes over for a node; leave it out";
    for (flags, flag, why) in [
        ("--hash-ring twemproxy", "--hash-ring", SLOTS),
        ("--key-hash md5", "--key-hash", SLOTS),
        ("--distribution modula", "--distribution", SLOTS),
        ("--hash-tag {}", "--hash-tag", SLOTS),
        ("--eject-after off", "--eject-after", NODES),
        ("--on-eject miss", "--on-eject", NODES),
        ("--failover-server b:1", "--failover-server", NODES),
        ("--readmit flush", "--readmit", NODES),
    ] {
        let line = format!("{CLUSTER} {flags}");
        let expected = format!("{flag}: with --pool cluster {why}");
        assert_eq!(error(&line), expected);
    }
    for (flags, message) in [
        (
            "--backend-db 1",
            "--backend-db 1: a cluster has one database; leave it out",
        ),
        (
            "--server unix:/run/x",
            "--server unix:/run/x weight 1: a node of a cluster is HOST:PORT, without a weight or a name",
        ),
        (
            "--server b:1:2",
            "--server b:1 weight 2: a node of a cluster is HOST:PORT, without a weight or a name",
        ),
    ] {
        assert_eq!(error(&format!("{CLUSTER} {flags}")), message);
    }
    assert_eq!(
        error("--pool cluster"),
        "--pool cluster: no servers; add --servers FILE or --server HOST:PORT"
    );
}
