//! The promise: in front of Redis servers a transaction is one server's, whole, and what several servers cannot do
//! together is refused before anything is done.

mod support;

use support::backends::Backend;
use support::ringfort::{Ringfort, redis_pool};
use support::wire::Wire;

const QUEUED: &str = "+QUEUED\r\n";

#[test]
fn a_transaction_of_one_server_is_executed_whole() {
    for l1 in ["off", "60s"] {
        let (_backends, ringfort) = pool(1, l1);
        let mut wire = Wire::connect(ringfort.resp());
        wire.ask("MULTI\r\n", "+OK\r\n");
        wire.ask("SET a 1\r\nHSET h f v\r\nPING\r\n", QUEUED.repeat(3));
        wire.ask("INCR a\r\nLPUSH a x\r\nBLPOP none 0\r\n", QUEUED.repeat(3));
        let others = &mut Wire::connect(ringfort.resp());
        others.ask("GET a\r\n", "$-1\r\n");
        wire.ask(
            "EXEC\r\n",
            "*6\r\n+OK\r\n:1\r\n+PONG\r\n:2\r\n-WRONGTYPE Operation against a key holding the wrong kind of \
             value\r\n*-1\r\n",
        );
        others.ask("GET a\r\n", "$1\r\n2\r\n");
        // All at once, twice, with requests around.
        wire.ask(
            "GET a\r\nMULTI\r\nINCR a\r\nEXEC\r\nGET a\r\nMULTI\r\nDECR a\r\nDEL h\r\nEXEC\r\nGET a\r\n",
            "$1\r\n2\r\n+OK\r\n+QUEUED\r\n*1\r\n:3\r\n$1\r\n3\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n:1\r\n\
             $1\r\n2\r\n",
        );
        others.ask("GET a\r\n", "$1\r\n2\r\n");
        wire.ask("MULTI\r\nEXEC\r\n", "+OK\r\n*0\r\n");
        wire.ask(
            "MULTI\r\nSET a 9\r\nDISCARD\r\nGET a\r\n",
            "+OK\r\n+QUEUED\r\n+OK\r\n$1\r\n2\r\n",
        );
        wire.ask(
            "EXEC\r\nDISCARD\r\n",
            "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n",
        );
    }
}

#[test]
fn what_cannot_be_queued_spoils_the_transaction() {
    let (_backends, ringfort) = pool(3, "off");
    let mut wire = Wire::connect(ringfort.resp());
    let other = other_server(&mut wire);
    for (request, line) in [
        (
            "GET".to_owned(),
            "-ERR wrong number of arguments for 'get' command",
        ),
        (
            "HGET a".to_owned(),
            "-ERR wrong number of arguments for 'hget' command",
        ),
        (
            "FROBNICATE a".to_owned(),
            "-ERR unknown command 'FROBNICATE', with args beginning with: 'a' ",
        ),
        (
            format!("LPUSH {other} x"),
            "-CROSSSLOT Keys of one transaction must all be of one server of the pool",
        ),
        (
            format!("MGET a {other}"),
            "-ERR MGET has keys on several servers of the pool",
        ),
        (
            "CLIENT REPLY OFF".to_owned(),
            "-ERR CLIENT cannot be part of a transaction in front of a pool",
        ),
        (
            "psubscribe *".to_owned(),
            "-ERR PSUBSCRIBE cannot be part of a transaction in front of a pool",
        ),
        (
            "FLUSHALL".to_owned(),
            "-ERR FLUSHALL cannot be part of a transaction in front of a pool",
        ),
    ] {
        wire.ask("MULTI\r\nSET a 1\r\n", "+OK\r\n+QUEUED\r\n");
        wire.ask(format!("{request}\r\n"), format!("{line}\r\n"));
        wire.ask(
            "SET a 2\r\nEXEC\r\nGET a\r\n",
            "+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n",
        );
    }
    // What only the server knows to be wrong.
    wire.ask(
        "MULTI\r\nSET a 1\r\nXGROUP NONSENSE a\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n",
    );
    wire.ask(
        "EXEC\r\n",
        "-EXECABORT Transaction discarded because of: ERR unknown subcommand 'NONSENSE'. Try XGROUP HELP.\r\n",
    );
    wire.ask(
        "GET a\r\nMULTI\r\nSET a 1\r\nEXEC\r\n",
        "$-1\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
    );
}

#[test]
fn an_l1_shows_no_value_that_a_transaction_replaced() {
    let (_backends, ringfort) = pool(1, "60s");
    let mut wires = [(); 4].map(|()| Wire::connect(ringfort.resp()));
    for round in 100..150 {
        let wire = &mut wires[round % 4];
        let sets: String = (0..6)
            .map(|key| format!("SET key-{key} {round}\r\n"))
            .collect();
        wire.ask(
            format!("MULTI\r\n{sets}EXEC\r\n"),
            format!("+OK\r\n{}*6\r\n{}", QUEUED.repeat(6), "+OK\r\n".repeat(6)),
        );
        for wire in &mut wires {
            for key in 0..6 {
                wire.ask(format!("GET key-{key}\r\n"), format!("$3\r\n{round}\r\n"));
            }
        }
    }
}

/// Each would be half a promise.
#[test]
fn what_is_not_there_is_refused_with_the_reason() {
    let (_backends, ringfort) = redis_pool(1, &["--memcache", "127.0.0.1:0"]);
    let mut wire = Wire::connect(ringfort.resp());
    let line = "-ERR transactions are not possible where memcache clients are served, too: they would show how \
                flags are kept\r\n";
    wire.ask(
        "MULTI\r\nSET a 1\r\nWATCH a\r\nUNWATCH\r\n",
        format!("{line}+OK\r\n{line}+OK\r\n"),
    );
}

/// Nobody else's request comes between those of a transaction, and all share one connection.
#[test]
fn nothing_comes_in_between() {
    const CLIENTS: usize = 8;
    const ROUNDS: usize = 100;
    let (_backends, ringfort) = pool(1, "off");
    let mut wires: Vec<_> = (0..CLIENTS)
        .map(|_| Wire::connect(ringfort.resp()))
        .collect();
    for _ in 0..ROUNDS {
        for wire in &mut wires {
            wire.send(b"MULTI\r\nINCR n\r\nINCR n\r\nEXEC\r\nINCR n\r\n");
        }
        for wire in &mut wires {
            wire.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n");
            let [first, second] = [wire.line(), wire.line()]
                .map(|line| -> u64 { line.trim_start_matches(':').parse().expect("a number") });
            assert_eq!(second, first + 1);
            wire.line();
        }
    }
    let total = CLIENTS * ROUNDS * 3;
    let text = total.to_string();
    wires[0].ask("GET n\r\n", format!("${}\r\n{text}\r\n", text.len()));
}

#[test]
fn a_server_that_is_away_fails_its_transactions() {
    let (mut backends, ringfort) = pool(1, "60s");
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask(
        "MULTI\r\nSET a 1\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
    );
    backends[0].stop();
    wire.send(b"MULTI\r\nSET a 2\r\nEXEC\r\n");
    wire.expect(b"+OK\r\n+QUEUED\r\n");
    let line = wire.line();
    assert!(line.starts_with("-ERR backend "), "{line}");
    backends[0].restart();
    support::wait_for("the server to be back", || {
        wire.send(b"MULTI\r\nSET a 3\r\nEXEC\r\n");
        wire.expect(b"+OK\r\n+QUEUED\r\n");
        match wire.line() {
            line if line.starts_with('-') => None,
            line => Some((line, wire.line())),
        }
    });
    // The key's reads may go over another shard's connection.
    support::wait_for("all shards to be connected", || {
        wire.send(b"GET a\r\n");
        let line = wire.line();
        (!line.starts_with('-')).then(|| assert_eq!((&*line, &*wire.line()), ("$1", "3")))
    });
}

/// A key of another server than `a`'s.
fn other_server(wire: &mut Wire) -> String {
    for number in 0..100 {
        let key = format!("other-{number}");
        wire.send(format!("RENAME a {key}\r\n").as_bytes());
        if wire.line().contains("several servers") {
            return key;
        }
    }
    panic!("a hundred keys are all on one server");
}

fn pool(count: usize, l1: &str) -> (Vec<Backend>, Ringfort) {
    redis_pool(count, &["--l1", l1])
}
