//! What is done with each kind of command.

use crate::support::cluster::Cluster;
use crate::support::python;
use crate::support::ringfort::Ringfort;
use crate::support::wait_for;
use crate::support::wire::Wire;
use crate::{info, ringfort, wait_until_served};

const KEYS: usize = 600;

#[test]
fn a_cluster_is_served_as_one_redis() {
    let cluster = Cluster::start_calm();
    for flags in [
        &["--l1", "off"][..],
        &["--l1", "60s"],
        &["--backend-connections", "3"],
        &["--l1", "tracked", "--backend-connections", "2"],
    ] {
        let ringfort = ringfort(&cluster, flags);
        keys_of_all_slots_reach_their_nodes(&cluster, &ringfort);
        several_keys_need_one_slot(&ringfort);
        transactions_and_scripts_are_one_slots(&ringfort);
        what_waits_and_listens_is_served(&ringfort);
        what_is_about_all_keys(&ringfort);
        wait_for("nobody to be known but the masters", || {
            (info(&ringfort, "cluster_nodes") == 3).then_some(())
        });
    }
}

/// Sent before anything is known of the cluster: requests wait for that.
fn keys_of_all_slots_reach_their_nodes(cluster: &Cluster, ringfort: &Ringfort) {
    let mut wire = Wire::connect(ringfort.resp());
    let (mut requests, mut replies) = (String::new(), String::new());
    for key in 0..KEYS {
        requests += &format!("SET key:{key} {key:03}\r\nAPPEND key:{key} x\r\nGET key:{key}\r\n");
        replies += &format!("+OK\r\n:4\r\n$4\r\n{key:03}x\r\n");
    }
    wire.ask(requests, replies);
    let everywhere: usize = (0..3)
        .map(|node| {
            let count: usize = cluster.ask(node, "DBSIZE")[1..].parse().expect("a count");
            assert!(count > KEYS / 6, "node {node} has {count} keys");
            count
        })
        .sum();
    assert_eq!(everywhere, KEYS);
    wire.ask("DBSIZE\r\n", format!(":{KEYS}\r\n"));
    wire.ask(
        "MGET key:1 none key:2\r\nMSET key:1 a key:2 b key:3 c\r\nMGET key:3 key:1\r\n",
        "*3\r\n$4\r\n001x\r\n$-1\r\n$4\r\n002x\r\n+OK\r\n*2\r\n$1\r\nc\r\n$1\r\na\r\n",
    );
    wire.ask(
        "EXISTS key:1 key:2 none\r\nDEL key:1 key:2 key:3 none\r\nEXISTS key:1 key:2 key:3\r\n",
        ":2\r\n:3\r\n:0\r\n",
    );
}

const CROSS_SLOT: &str = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";

fn several_keys_need_one_slot(ringfort: &Ringfort) {
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask(
        "SINTER a b\r\nRENAME a b\r\nMSETNX a 1 b 2\r\nEVAL script 2 a b\r\n",
        CROSS_SLOT.repeat(4),
    );
    wire.ask(
        "SADD {s}a 1 2\r\nSADD {s}b 2 3\r\nSINTERSTORE {s}c {s}a {s}b\r\nSMEMBERS {s}c\r\n",
        ":2\r\n:2\r\n:1\r\n*1\r\n$1\r\n2\r\n",
    );
    wire.ask(
        "SET {s}x 1\r\nRENAME {s}x {s}y\r\nGET {s}y\r\nGET {s}x\r\nDEL {s}y {s}a {s}b {s}c\r\n",
        "+OK\r\n+OK\r\n$1\r\n1\r\n$-1\r\n:4\r\n",
    );
}

fn transactions_and_scripts_are_one_slots(ringfort: &Ringfort) {
    let mut wire = Wire::connect(ringfort.resp());
    for key in 0..20 {
        wire.ask(
            format!("MULTI\r\nSET {{{key}}}a 1\r\nINCR {{{key}}}b\r\nMGET {{{key}}}a {{{key}}}b\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:1\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n",
        );
    }
    wire.ask("MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n");
    wire.ask("SET b 1\r\n", CROSS_SLOT);
    wire.ask(
        "EXEC\r\nGET a\r\n",
        "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n",
    );
    wire.ask(
        "MULTI\r\nPING\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n",
    );
    wire.ask("WATCH a b\r\n", CROSS_SLOT);
    let mut other = Wire::connect(ringfort.resp());
    wire.ask(
        "WATCH {w}a {w}b\r\nGET {w}a\r\nMULTI\r\nSET {w}a 1\r\nEXEC\r\n",
        "+OK\r\n$-1\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
    );
    wire.ask("WATCH {w}a\r\n", "+OK\r\n");
    other.ask("INCR {w}a\r\n", ":2\r\n");
    wire.ask(
        "MULTI\r\nSET {w}a 1\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n*-1\r\n",
    );
    wire.send(b"SCRIPT LOAD \"return redis.call('incr', KEYS[1])\"\r\n");
    wire.line();
    let digest = wire.line();
    wire.ask(
        format!("SCRIPT EXISTS {digest} {}\r\n", "0".repeat(40)),
        "*2\r\n:1\r\n:0\r\n",
    );
    for key in 0..20 {
        wire.ask(
            format!(
                "EVALSHA {digest} 1 n{key}\r\nEVALSHA {digest} 2 n{key} n{key}\r\nGET n{key}\r\n"
            ),
            ":1\r\n:2\r\n$1\r\n2\r\n",
        );
    }
    wire.ask(
        "EVAL \"return 1\" 0\r\n",
        "-ERR EVAL has no key that would choose a server of the pool\r\n",
    );
}

fn what_waits_and_listens_is_served(ringfort: &Ringfort) {
    let mut wire = Wire::connect(ringfort.resp());
    let mut waiter = Wire::connect(ringfort.resp());
    waiter.send(b"BLPOP list 0\r\n");
    wire.ask("PING\r\nRPUSH list x\r\n", "+PONG\r\n:1\r\n");
    waiter.expect(b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
    waiter.ask("BLPOP a b 1\r\n", CROSS_SLOT);
    let mut listener = Wire::connect(ringfort.resp());
    listener.ask(
        "SUBSCRIBE news\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n",
    );
    listener.ask(
        "PSUBSCRIBE n*\r\n",
        "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:2\r\n",
    );
    listener.ask(
        "SSUBSCRIBE one two three\r\n",
        "*3\r\n$10\r\nssubscribe\r\n$3\r\none\r\n:1\r\n*3\r\n$10\r\nssubscribe\r\n$3\r\ntwo\r\n:2\r\n\
         *3\r\n$10\r\nssubscribe\r\n$5\r\nthree\r\n:3\r\n",
    );
    wire.send(b"PUBLISH news hi\r\n");
    wire.line();
    // Each once, though every node hears of it.
    listener.expect(b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
    listener.expect(b"*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
    for channel in ["one", "two", "three"] {
        wire.ask(format!("SPUBLISH {channel} hi\r\n"), ":1\r\n");
        let length = channel.len();
        let message = format!("*3\r\n$8\r\nsmessage\r\n${length}\r\n{channel}\r\n$2\r\nhi\r\n");
        listener.expect(message.as_bytes());
    }
    listener.ask(
        "SUNSUBSCRIBE two\r\nUNSUBSCRIBE\r\n",
        "*3\r\n$12\r\nsunsubscribe\r\n$3\r\ntwo\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:1\r\n",
    );
}

fn what_is_about_all_keys(ringfort: &Ringfort) {
    let mut wire = Wire::connect(ringfort.resp());
    for command in ["KEYS *", "SCAN 0", "RANDOMKEY"] {
        let name = command.split(' ').next().expect("a word");
        wire.ask(
            format!("{command}\r\n"),
            format!("-ERR {name} is about the keys of all servers of the pool\r\n"),
        );
    }
    wire.ask(
        "CLUSTER INFO\r\nREADONLY\r\n",
        "-ERR This instance has cluster support disabled\r\n".repeat(2),
    );
    wire.ask("FLUSHALL\r\nDBSIZE\r\n", "+OK\r\n:0\r\n");
}

#[test]
fn a_library_that_knows_nothing_of_clusters_works() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &["--l1", "60s"]);
    wait_until_served(&ringfort);
    let port = ringfort.resp().port().to_string();
    assert_eq!(python::run("redis_cluster.py", &[&port]).trim(), "done");
}

/// memcache clients have it as they have any Redis servers.
#[test]
fn memcache_clients_are_served_too() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &["--memcache", "127.0.0.1:0"]);
    wait_until_served(&ringfort);
    let mut wire = Wire::connect(ringfort.memcache());
    for key in 0..60 {
        wire.ask(
            format!(
                "set k{key} 7 0 2\r\nhi\r\nadd k{key} 0 0 1\r\nx\r\nappend k{key} 0 0 1\r\n!\r\n"
            ),
            "STORED\r\nNOT_STORED\r\nSTORED\r\n",
        );
        wire.ask(
            format!("get k{key} none\r\n"),
            format!("VALUE k{key} 7 3\r\nhi!\r\nEND\r\n"),
        );
    }
    wire.ask(
        "set n 0 0 1\r\n1\r\nincr n 5\r\ndelete n\r\nget n\r\n",
        "STORED\r\n6\r\nDELETED\r\nEND\r\n",
    );
    wire.ask("flush_all\r\nget k1 k2 k3\r\n", "OK\r\nEND\r\n");
}
