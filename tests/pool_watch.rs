//! The promise: in front of Redis servers WATCH means what it means at one: EXEC does nothing if a watched key was
//! changed by anybody, through ringfort or around it, and nothing either where nobody can tell.

mod support;

use std::thread;

use support::backends::Backend;
use support::ringfort::{Ringfort, redis_pool};
use support::wire::Wire;

const QUEUED: &str = "+OK\r\n+QUEUED\r\n";

/// With and without an L1, with one connection a server and with several.
fn for_each_pool(test: impl Fn(&mut [Backend], &Ringfort)) {
    for options in [
        &["--l1", "off"][..],
        &["--l1", "60s"],
        &["--l1", "60s", "--backend-connections", "3"],
    ] {
        let (mut backends, ringfort) = redis_pool(1, options);
        test(&mut backends, &ringfort);
    }
}

#[test]
fn a_change_by_anybody_makes_exec_do_nothing() {
    for_each_pool(|backends, ringfort| {
        let address = backends[0].address();
        let mut wire = Wire::connect(ringfort.resp());
        let mut others = [Wire::connect(ringfort.resp()), Wire::connect(address)];
        for (round, other) in (0..6).map(|round| (round, round % 2)) {
            let other = &mut others[other];
            // A copy of before is in the L1.
            other.ask(format!("SET a {round}\r\n"), "+OK\r\n");
            wire.ask("WATCH a b\r\n", "+OK\r\n");
            other.ask("SET a x\r\n", "+OK\r\n");
            wire.ask("GET a\r\n", "$1\r\nx\r\n");
            wire.ask("MULTI\r\nSET a mine\r\n", QUEUED);
            wire.ask("EXEC\r\nGET a\r\n", "*-1\r\n$1\r\nx\r\n");
        }
        // By the client itself, too.
        wire.ask(
            "WATCH a\r\nSET a own\r\nMULTI\r\nEXEC\r\n",
            "+OK\r\n+OK\r\n+OK\r\n*-1\r\n",
        );
        // And of a key that a later WATCH names.
        wire.ask(
            "WATCH a\r\nWATCH b\r\nSET b 1\r\nMULTI\r\nEXEC\r\n",
            "+OK\r\n+OK\r\n+OK\r\n+OK\r\n*-1\r\n",
        );
    });
}

#[test]
fn without_a_change_exec_executes() {
    for_each_pool(|_, ringfort| {
        let mut wire = Wire::connect(ringfort.resp());
        wire.ask(
            "SET a 1\r\nWATCH a\r\nGET a\r\nMULTI\r\nINCR a\r\nEXEC\r\nGET a\r\n",
            "+OK\r\n+OK\r\n$1\r\n1\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n$1\r\n2\r\n",
        );
        wire.ask("WATCH a\r\nMULTI\r\nEXEC\r\n", "+OK\r\n+OK\r\n*0\r\n");
        // What was watched before is not any more, however that ended.
        for end in [
            "UNWATCH\r\n",
            "MULTI\r\nDISCARD\r\n",
            "MULTI\r\nEXEC\r\n",
            "MULTI\r\nGET\r\nEXEC\r\n",
        ] {
            wire.send(format!("WATCH a\r\n{end}SET a 5\r\n").as_bytes());
            wire.send(b"MULTI\r\nINCR a\r\nEXEC\r\nGET a\r\n");
            while wire.line() != ":6" {}
            wire.expect(b"$1\r\n6\r\n");
        }
    });
}

/// The way everybody uses it: read, compute, and write if nobody else did.
#[test]
fn contended_counters_count_right() {
    const CLIENTS: usize = 6;
    const COUNTS: usize = 60;
    for_each_pool(|_, ringfort| {
        let address = ringfort.resp();
        let count_up = move || {
            let mut wire = Wire::connect(address);
            let mut done = 0;
            while done < COUNTS {
                wire.ask("WATCH n\r\n", "+OK\r\n");
                wire.send(b"GET n\r\n");
                let number: u64 = match &*wire.line() {
                    "$-1" => 0,
                    _ => wire.line().parse().expect("a number"),
                };
                let next = number + 1;
                wire.send(format!("MULTI\r\nSET n {next}\r\nEXEC\r\n").as_bytes());
                wire.expect(QUEUED.as_bytes());
                if wire.line() == "*1" {
                    wire.expect(b"+OK\r\n");
                    done += 1;
                }
            }
        };
        let clients = [(); CLIENTS].map(|()| thread::spawn(count_up));
        for client in clients {
            client.join().expect("a client that counts");
        }
        let total = (CLIENTS * COUNTS).to_string();
        Wire::connect(address).ask("GET n\r\n", format!("${}\r\n{total}\r\n", total.len()));
    });
}

#[test]
fn resp3_clients_get_their_types() {
    let (_backends, ringfort) = redis_pool(1, &["--l1", "60s"]);
    let mut wire = Wire::connect(ringfort.resp());
    wire.send(b"HELLO 3\r\n");
    while wire.line() != "*0" {}
    wire.ask(
        "WATCH h\r\nHSET h f v\r\nMULTI\r\nEXEC\r\n",
        "+OK\r\n:1\r\n+OK\r\n_\r\n",
    );
    wire.ask(
        "WATCH h\r\nMULTI\r\nHGETALL h\r\nEXEC\r\n",
        "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n%1\r\n$1\r\nf\r\n$1\r\nv\r\n",
    );
}

#[test]
fn keys_of_several_servers_are_refused() {
    let (_backends, ringfort) = redis_pool(3, &["--hash-tag", "{}"]);
    let mut wire = Wire::connect(ringfort.resp());
    let line = "-CROSSSLOT Keys of one transaction must all be of one server of the pool\r\n";
    let other = (0..100)
        .map(|number| format!("{{{number}}}"))
        .find(|key| {
            wire.send(format!("WATCH {{a}} {key}\r\nUNWATCH\r\n").as_bytes());
            let is_refused = wire.line().starts_with("-CROSSSLOT");
            wire.expect(b"+OK\r\n");
            is_refused
        })
        .expect("a key of another server");
    wire.ask(
        format!("WATCH {{a}}1\r\nWATCH {other}\r\n"),
        format!("+OK\r\n{line}"),
    );
    wire.ask(
        format!("MULTI\r\nSET {other} 1\r\nEXEC\r\n"),
        format!("+OK\r\n{line}-EXECABORT Transaction discarded because of previous errors.\r\n"),
    );
    wire.ask(
        "WATCH {a}1\r\nMULTI\r\nSET {a}2 1\r\nEXEC\r\n",
        "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
    );
}

/// The server forgot what it watched, so nothing is done, and the client is told to try again.
#[test]
fn a_lost_server_makes_exec_do_nothing() {
    let (mut backends, ringfort) = redis_pool(1, &["--l1", "off"]);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("WATCH a\r\n", "+OK\r\n");
    backends[0].stop();
    backends[0].restart();
    support::wait_for("the server to be back", || {
        wire.send(b"GET a\r\n");
        let line = wire.line();
        (!line.starts_with('-')).then_some(())
    });
    wire.ask(
        "MULTI\r\nSET a 1\r\nEXEC\r\nGET a\r\n",
        "+OK\r\n+QUEUED\r\n*-1\r\n$-1\r\n",
    );
    // Not even if something was watched since.
    wire.ask("WATCH a\r\n", "+OK\r\n");
    let mut direct = Wire::connect(backends[0].address());
    direct.send(b"CLIENT KILL TYPE normal SKIPME yes\r\n");
    assert!(direct.line().starts_with(':'));
    support::wait_for("the connections to be made anew", || {
        wire.send(b"WATCH b\r\n");
        (!wire.line().starts_with('-')).then_some(())
    });
    wire.ask(
        "MULTI\r\nSET a 1\r\nEXEC\r\nGET a\r\n",
        "+OK\r\n+QUEUED\r\n*-1\r\n$-1\r\n",
    );
    wire.ask(
        "WATCH a\r\nMULTI\r\nSET a 1\r\nEXEC\r\n",
        "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
    );
}

#[test]
fn a_server_that_hangs_is_not_waited_for() {
    let (backends, ringfort) = redis_pool(1, &["--l1", "off", "--backend-timeout", "2s"]);
    let mut wires = [(); 2].map(|()| Wire::connect(ringfort.resp()));
    wires[0].ask("WATCH a\r\n", "+OK\r\n");
    backends[0].pause();
    wires[1].send(b"WATCH a\r\n");
    wires[0].send(b"MULTI\r\nSET a 1\r\nEXEC\r\n");
    wires[0].expect(QUEUED.as_bytes());
    for wire in &mut wires {
        let line = wire.line();
        assert!(line.starts_with("-ERR backend "), "{line}");
    }
    backends[0].resume();
    for wire in &mut wires {
        support::wait_for("the server to answer", || {
            wire.send(b"UNWATCH\r\nWATCH a\r\n");
            wire.expect(b"+OK\r\n");
            (wire.line() == "+OK").then_some(())
        });
        wire.ask(
            "MULTI\r\nSET a 2\r\nEXEC\r\n",
            "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
        );
    }
}

/// One connection serves one transaction after the other.
#[test]
fn connections_are_used_again() {
    let (backends, ringfort) = redis_pool(1, &["--l1", "off"]);
    let mut direct = Wire::connect(backends[0].address());
    let mut wire = Wire::connect(ringfort.resp());
    let mut created = || {
        direct.send(b"INFO stats\r\n");
        let mut created = 0_u64;
        loop {
            let line = direct.line();
            if let Some(count) = line.strip_prefix("total_connections_received:") {
                created = count.parse().expect("a number");
            }
            if line.starts_with("dump_payload_sanitizations") {
                direct.line();
                return created;
            }
        }
    };
    let before = created();
    const ROUNDS: u64 = 50;
    for _ in 0..ROUNDS {
        wire.ask(
            "WATCH a\r\nMULTI\r\nSET a 1\r\nEXEC\r\n",
            "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
        );
    }
    // The shards' own may be among them.
    let made = created() - before;
    assert!(made < ROUNDS / 5, "{made} connections were made");
}
