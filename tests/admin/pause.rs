//! CLIENT PAUSE: what waits, in which protocol, and until when.

use std::time::{Duration, Instant};

use crate::support::binary::{packet, packet_with, reply};
use crate::support::ringfort::{Ringfort, redis_pool};
use crate::support::wait_for;
use crate::support::wire::Wire;
use crate::{connect_all, field, text};

/// So many clients wait.
fn wait_until_held(admin: &mut Wire, count: usize) {
    wait_for("all to be held", || {
        let list = text(admin, "CLIENT LIST");
        let held = list
            .lines()
            .filter(|line| field(line, "flags").contains('b'));
        (held.count() == count).then_some(())
    });
}

#[test]
fn a_pause_holds_all_shards_and_protocols() {
    let ringfort = Ringfort::embedded();
    let (mut resp, mut memcache) = connect_all(&ringfort);
    let mut controller = resp.pop().expect("a connection");
    controller.ask("CLIENT PAUSE 60000 WRITE\r\n", "+OK\r\n");
    for wire in &mut resp {
        // What only reads is answered, and what is refused; then what writes waits.
        wire.ask(
            "GET a\r\nSET\r\n",
            "$-1\r\n-ERR wrong number of arguments for 'set' command\r\n",
        );
        wire.send(b"INCR held\r\nPING\r\n");
    }
    for wire in &mut memcache {
        wire.ask("get a\r\n", "END\r\n");
        wire.send(b"set other 0 0 1\r\nx\r\nmn\r\n");
    }
    wait_until_held(&mut controller, resp.len() + memcache.len());
    controller.ask("GET held\r\nGET other\r\n", "$-1\r\n$-1\r\n");
    controller.ask("CLIENT UNPAUSE\r\n", "+OK\r\n");
    let mut counts: Vec<_> = resp.iter_mut().map(Wire::line).collect();
    counts.sort_by_key(|count| count[1..].parse::<usize>().expect("a number"));
    assert!(
        counts
            .into_iter()
            .eq((1..=resp.len()).map(|count| format!(":{count}")))
    );
    resp.iter_mut().for_each(|wire| wire.expect(b"+PONG\r\n"));
    memcache
        .iter_mut()
        .for_each(|wire| wire.expect(b"STORED\r\nMN\r\n"));
}

#[test]
fn a_pause_ends_by_itself_and_not_before() {
    const PAUSE: Duration = Duration::from_millis(300);
    let ringfort = Ringfort::embedded();
    let (mut resp, mut memcache) = connect_all(&ringfort);
    let start = Instant::now();
    resp[0].ask(format!("CLIENT PAUSE {}\r\n", PAUSE.as_millis()), "+OK\r\n");
    resp.iter_mut().for_each(|wire| wire.send(b"PING\r\n"));
    memcache.iter_mut().for_each(|wire| wire.send(b"mn\r\n"));
    // The server's clock counts whole milliseconds.
    let ends = start + PAUSE - Duration::from_millis(1);
    for wire in &mut resp {
        wire.expect(b"+PONG\r\n");
        assert!(Instant::now() >= ends);
    }
    memcache.iter_mut().for_each(|wire| wire.expect(b"MN\r\n"));
    assert!(Instant::now() >= ends);
}

/// Whatever changes an entry waits, however it is spelled, and what is behind it; `mg` that could change one does,
/// too. None of it is seen before the pause ends.
#[test]
fn a_pause_of_writes_holds_every_spelling_of_a_write() {
    const TEXT: &[(&str, &str)] = &[
        ("ms key 1 T0\r\nx\r\n", "HD\r\n"),
        ("md key\r\n", "HD\r\n"),
        ("ma number\r\n", "HD\r\n"),
        ("mg key T60\r\n", "HD\r\n"),
        ("mg new N60\r\n", "HD W\r\n"),
        ("gat 60 key\r\n", "VALUE key 0 5\r\nvalue\r\nEND\r\n"),
        ("touch key 60\r\n", "TOUCHED\r\n"),
        ("cas key 0 0 1 99\r\nx\r\n", "EXISTS\r\n"),
        ("decr number 1\r\n", "6\r\n"),
        ("flush_all\r\n", "OK\r\n"),
        // Too large a set takes away what is there.
        (
            "set key 0 0 2000000\r\n",
            "SERVER_ERROR object too large for cache\r\n",
        ),
    ];
    const BINARY: &[(u8, &[u8], &[u8], u16)] = &[
        (0x01, &[0; 8], b"x", 0),
        (0x04, b"", b"", 0),
        (0x0e, b"", b"x", 0),
        (0x1c, &[0, 0, 0, 60], b"", 0),
        (0x1d, &[0, 0, 0, 60], b"", 0),
    ];
    let ringfort = Ringfort::embedded();
    let mut admin = Wire::connect(ringfort.resp());
    for (request, heard) in TEXT {
        admin.ask("MSET key value number 7\r\n", "+OK\r\n");
        check_held(&ringfort, &mut admin, request.as_bytes(), |wire| {
            wire.expect(heard.as_bytes());
        });
        admin.ask("FLUSHALL\r\n", "+OK\r\n");
    }
    for &(opcode, extras, value, status) in BINARY {
        admin.ask("MSET key value number 7\r\n", "+OK\r\n");
        let request = packet_with(opcode, b"key", extras, value, 0);
        check_held(&ringfort, &mut admin, &request, |wire| {
            assert_eq!(reply(wire).status, status, "{opcode:#x}");
        });
        admin.ask("FLUSHALL\r\n", "+OK\r\n");
    }
    admin.ask("MSET key value number 7\r\n", "+OK\r\n");
    let flush = packet(0x08, b"", b"");
    check_held(&ringfort, &mut admin, &flush, |wire| {
        assert_eq!(reply(wire).status, 0);
    });
}

fn check_held(
    ringfort: &Ringfort,
    admin: &mut Wire,
    request: &[u8],
    expect: impl FnOnce(&mut Wire),
) {
    admin.ask("CLIENT PAUSE 60000 WRITE\r\n", "+OK\r\n");
    let mut wire = Wire::connect(ringfort.memcache());
    wire.send(request);
    wait_until_held(admin, 1);
    let told = "*3\r\n$5\r\nvalue\r\n$-1\r\n$1\r\n7\r\n";
    admin.ask(
        "MGET key new number\r\nTTL key\r\n",
        format!("{told}:-1\r\n"),
    );
    admin.ask("CLIENT UNPAUSE\r\n", "+OK\r\n");
    expect(&mut wire);
}

/// A pause of writes is none for reads, in any protocol.
#[test]
fn a_pause_of_writes_lets_reads_through() {
    let ringfort = Ringfort::embedded();
    let mut admin = Wire::connect(ringfort.resp());
    admin.ask("SET key value\r\n", "+OK\r\n");
    admin.ask("CLIENT PAUSE 60000 WRITE\r\n", "+OK\r\n");
    let mut text = Wire::connect(ringfort.memcache());
    text.ask("get key\r\n", "VALUE key 0 5\r\nvalue\r\nEND\r\n");
    text.ask(
        "mg key v k R30\r\nmg no v\r\nmn\r\n",
        "VA 5 kkey\r\nvalue\r\nEN\r\nMN\r\n",
    );
    let mut binary = Wire::connect(ringfort.memcache());
    for (opcode, key) in [
        (0x00, &b"key"[..]),
        (0x0c, b"key"),
        (0x0a, b""),
        (0x0b, b""),
    ] {
        binary.send(&packet(opcode, key, b""));
        assert_eq!(reply(&mut binary).status, 0, "{opcode:#x}");
    }
}

/// In a transaction, too, what writes waits before anything is done: EXEC that had stopped everybody and then waited
/// would keep out the client that ends the pause.
#[test]
fn a_pause_holds_transactions_before_they_begin() {
    let ringfort = Ringfort::embedded();
    check_transactions(&ringfort);
    let mut wire = Wire::connect(ringfort.resp());
    // What a transaction does to itself does not hold it.
    wire.ask(
        "MULTI\r\nCLIENT PAUSE 60000 WRITE\r\n",
        "+OK\r\n+QUEUED\r\n",
    );
    wire.ask(
        "SET key 5\r\nGET key\r\nEXEC\r\n",
        "+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n$1\r\n5\r\n",
    );
    let mut other = Wire::connect(ringfort.resp());
    other.ask("GET key\r\n", "$1\r\n5\r\n");
    other.send(b"SET key 6\r\n");
    wait_until_held(&mut wire, 1);
    wire.ask("GET key\r\nCLIENT UNPAUSE\r\n", "$1\r\n5\r\n+OK\r\n");
    other.expect(b"+OK\r\n");
}

fn check_transactions(ringfort: &Ringfort) {
    let mut admin = Wire::connect(ringfort.resp());
    let (mut begun, mut queueing) = (
        Wire::connect(ringfort.resp()),
        Wire::connect(ringfort.resp()),
    );
    begun.ask("MULTI\r\nINCR key\r\n", "+OK\r\n+QUEUED\r\n");
    admin.ask("CLIENT PAUSE 60000 WRITE\r\n", "+OK\r\n");
    begun.send(b"EXEC\r\n");
    wait_until_held(&mut admin, 1);
    queueing.ask("MULTI\r\nGET key\r\n", "+OK\r\n+QUEUED\r\n");
    queueing.send(b"INCR key\r\n");
    wait_until_held(&mut admin, 2);
    // One that only reads is not held, nor is who ends the pause.
    admin.ask(
        "MULTI\r\nGET key\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n",
    );
    admin.ask("CLIENT UNPAUSE\r\n", "+OK\r\n");
    begun.expect(b"*1\r\n:1\r\n");
    queueing.expect(b"+QUEUED\r\n");
    queueing.ask("EXEC\r\nDEL key\r\n", "*2\r\n$1\r\n1\r\n:2\r\n:1\r\n");
}

#[test]
fn a_pause_holds_what_only_servers_of_a_pool_know() {
    let (_redis, ringfort) = redis_pool(1, &[]);
    check_transactions(&ringfort);
    let mut admin = Wire::connect(ringfort.resp());
    admin.ask("RPUSH list a\r\n", ":1\r\n");
    admin.ask("CLIENT PAUSE 60000 WRITE\r\n", "+OK\r\n");
    let held = ["RPUSH list b\r\n", "EVAL \"return 1\" 0\r\n"];
    let mut wires = held.map(|request| {
        let mut wire = Wire::connect(ringfort.resp());
        wire.send(request.as_bytes());
        wire
    });
    wait_until_held(&mut admin, wires.len());
    admin.ask("LRANGE list 0 -1\r\n", "*1\r\n$1\r\na\r\n");
    admin.ask("CLIENT UNPAUSE\r\n", "+OK\r\n");
    wires[0].expect(b":2\r\n");
    wires[1].expect(b":1\r\n");
}
