//! Which requests replicas answer, and which they do not.

use super::support::backends::Backend;
use super::support::ringfort::Ringfort;
use super::support::wait_for;
use super::support::wire::Wire;
use super::{MASTER, Pool, bulk, calls, kinds};

/// A request and the name by which servers count it.
const READS: [(&str, &str); 16] = [
    ("GET k1", "get"),
    ("MGET k1 k2", "get"),
    ("EXISTS k1 k2", "exists"),
    ("STRLEN k1", "strlen"),
    ("TTL k1", "ttl"),
    ("TYPE k1", "type"),
    ("GETRANGE k1 0 1", "getrange"),
    ("HGET h f", "hget"),
    ("HGETALL h", "hgetall"),
    ("LRANGE l 0 -1", "lrange"),
    ("SISMEMBER s x", "sismember"),
    ("ZSCORE z x", "zscore"),
    ("XRANGE x - +", "xrange"),
    ("GETBIT k1 0", "getbit"),
    ("DUMP k1", "dump"),
    ("SORT_RO l", "sort_ro"),
];

/// A cursor means something to the server that gave it, a script is where it was loaded; and who evicts has to hear
/// of a touch.
const TIED: [(&str, &str); 7] = [
    ("HSCAN h 0", "hscan"),
    ("SSCAN s 0", "sscan"),
    ("ZSCAN z 0", "zscan"),
    ("TOUCH k1", "touch"),
    ("EVAL_RO \"return 1\" 1 k1", "eval_ro"),
    ("OBJECT IDLETIME k1", "object|idletime"),
    ("SINTER s t", "sinter"),
];

#[test]
fn reads_go_to_the_replica_and_all_else_to_the_master() {
    let pool = Pool::start(1, &["--read-from", "replica", "--replica-lag", "off"]);
    pool.mark();
    pool.wait_for_readers(&["replica-0"]);
    let mut wire = pool.connect();
    for (requests, reader, other) in [
        (&READS[..], &pool.replicas[0], &pool.master),
        (&TIED[..], &pool.master, &pool.replicas[0]),
    ] {
        for (request, name) in requests {
            let before = (calls(reader, name), calls(other, name));
            ask(&mut wire, request);
            let after = (calls(reader, name), calls(other, name));
            assert!(
                after.0 > before.0 && after.1 == before.1,
                "{request}: {before:?} {after:?}"
            );
        }
    }
    let mut listener = pool.master.connect();
    listener.ask(
        "SUBSCRIBE c\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
    );
    wire.ask("PUBLISH c m\r\n", ":1\r\n");
    let count = calls(&pool.replicas[0], "dbsize");
    wire.ask("DBSIZE\r\n", format!(":{}\r\n", super::KEY_COUNT + 1));
    assert_eq!(
        calls(&pool.replicas[0], "dbsize"),
        count,
        "one server has all keys"
    );
}

#[test]
fn what_is_watched_or_part_of_a_transaction_is_read_from_the_master() {
    let pool = Pool::start(1, &["--read-from", "replica", "--replica-lag", "off"]);
    pool.mark();
    pool.wait_for_readers(&["replica-0"]);
    let mut wire = pool.connect();
    let master = format!("${}\r\n{MASTER}\r\n", MASTER.len());
    wire.ask(
        "MULTI\r\nGET k1\r\nEXEC\r\n",
        format!("+OK\r\n+QUEUED\r\n*1\r\n{master}"),
    );
    wire.ask("WATCH k1\r\nGET k1\r\n", format!("+OK\r\n{master}"));
    wire.ask("MGET k1\r\nSTRLEN k1\r\n", format!("*1\r\n{master}:6\r\n"));
    wire.ask("EXISTS k1 k2\r\nGETRANGE k1 0 0\r\n", ":2\r\n$1\r\nm\r\n");
    wire.ask("UNWATCH\r\nSTRLEN k1\r\n", "+OK\r\n:9\r\n");
}

/// Copies outlive what a replica is behind; so they are of the master.
#[test]
fn copies_are_of_masters() {
    for l1 in ["60s", "tracked"] {
        let mut pool = Pool::without_ringfort(1, "");
        pool.mark();
        pool.start_ringfort(&["--read-from", "prefer-replica", "--l1", l1]);
        let mut wire = pool.connect();
        wait_for("other reads to go to the replica", || {
            wire.send(b"STRLEN k1\r\n");
            (wire.line() == ":9").then_some(())
        });
        assert_eq!(kinds(&pool.readers(&mut wire)), [MASTER], "{l1}");
        assert_eq!(kinds(&pool.readers(&mut wire)), [MASTER], "{l1}");
        assert!(pool.stat("keyspace_hits").expect("a number") > 0, "{l1}");
        // While the master is away, what nobody has a copy of is read from the replica, and not kept.
        let mut replica = pool.replicas[0].connect();
        replica.ask("SET alone one\r\n", "+OK\r\n");
        pool.master.stop();
        wait_for("the replica to stand in", || {
            wire.send(b"GET alone\r\n");
            let line = wire.line();
            (line.starts_with('$') && wire.line() == "one").then_some(())
        });
        replica.ask("SET alone two\r\n", "+OK\r\n");
        wire.ask("GET alone\r\n", "$3\r\ntwo\r\n");
    }
}

/// memcache's clients, who are served with scripts in part, read from replicas, too.
#[test]
fn memcache_clients_read_from_replicas() {
    let flags = [
        "--read-from",
        "replica",
        "--replica-lag",
        "off",
        "--memcache",
        "127.0.0.1:0",
    ];
    let pool = Pool::start(1, &flags);
    pool.mark();
    pool.wait_for_readers(&["replica-0"]);
    let ringfort = pool.ringfort.as_ref().expect("a ringfort");
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask(
        "get k1 k2\r\n",
        "VALUE k1 0 9\r\nreplica-0\r\nVALUE k2 0 9\r\nreplica-0\r\nEND\r\n",
    );
    wire.ask("mg k1 v t\r\n", "VA 9 t-1\r\nreplica-0\r\n");
    wire.send(b"gets k1\r\n");
    let line = wire.line();
    let cas = line.rsplit(' ').next().expect("an id").to_owned();
    wire.ask("", "replica-0\r\nEND\r\n");
    // The master compares, and has another value.
    wire.ask(format!("cas k1 0 0 1 {cas}\r\nx\r\n"), "EXISTS\r\n");
    wire.ask("set k1 0 0 3\r\nnew\r\n", "STORED\r\n");
}

/// Servers are told apart by name, and any of them may be at a unix socket.
#[test]
fn replicas_are_named_by_their_servers_name_or_socket() {
    let (master, replica) = (
        Backend::redis(),
        Backend::redis_with("--replica-read-only no"),
    );
    let port = master.address().port();
    replica
        .connect()
        .ask(format!("REPLICAOF 127.0.0.1 {port}\r\n"), "+OK\r\n");
    let folder = super::support::process::ScratchFolder::new();
    let master_socket = format!("unix:{}", master.socket().display());
    let servers = format!("{master_socket}:1 first\n");
    let file = folder.write("servers.txt", &servers).display().to_string();
    for name in ["first", &master_socket] {
        let replica_flag = format!("{name}=unix:{}", replica.socket().display());
        let ringfort = Ringfort::start_exactly(&[
            "--pool",
            "resp",
            "--servers",
            &file,
            "--replica",
            &replica_flag,
            "--read-from",
            "prefer-replica",
            "--resp",
            "127.0.0.1:0",
            "--shards",
            "1",
            "--memory",
            "64MiB",
        ]);
        let mut own = replica.connect();
        wait_for("the replica to follow", || {
            super::info(&replica, "replication")
                .contains("master_link_status:up")
                .then_some(())
        });
        own.ask("SET who replica\r\n", "+OK\r\n");
        let mut wire = Wire::connect(ringfort.resp());
        wait_for("the replica to be read from", || {
            wire.send(b"GET who\r\n");
            bulk(&mut wire).map(|value| assert_eq!(value, "replica"))
        });
    }
}

/// Sends a request and reads its reply, whatever that is.
fn ask(wire: &mut Wire, request: &str) {
    // What stands behind it is answered behind it.
    wire.send(format!("{request}\r\nECHO the-end\r\n").as_bytes());
    while !wire.line().ends_with("the-end") {}
}
