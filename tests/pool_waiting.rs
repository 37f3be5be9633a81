//! The promise: in front of Redis servers a request that waits keeps nobody waiting but its client, is answered as by
//! the server itself, and ends with its client.

mod support;

use std::time::Duration;

use support::backends::Backend;
use support::python;
use support::ringfort::{Ringfort, redis_pool};
use support::wire::Wire;

#[test]
fn who_waits_holds_up_nobody_and_is_answered_in_order() {
    for l1 in ["off", "60s"] {
        let (_backends, ringfort) = pool(l1);
        let mut waiter = Wire::connect(ringfort.resp());
        let mut other = Wire::connect(ringfort.resp());
        waiter.ask("SET before 1\r\n", "+OK\r\n");
        waiter.send(b"INCR before\r\nBLPOP a b 0\r\nGET before\r\nPING\r\n");
        waiter.expect(b":2\r\n");
        for number in 0..20 {
            other.ask(
                format!("SET k {number}\r\nINCR k\r\n"),
                format!("+OK\r\n:{}\r\n", number + 1),
            );
        }
        assert_eq!(waiter.some_within(Duration::from_millis(100)), None, "{l1}");
        other.ask("RPUSH b x y\r\n", ":2\r\n");
        waiter.expect(b"*2\r\n$1\r\nb\r\n$1\r\nx\r\n$1\r\n2\r\n+PONG\r\n");
        other.ask("LRANGE b 0 -1\r\n", "*1\r\n$1\r\ny\r\n");
    }
}

#[test]
fn every_command_that_waits_is_served() {
    let (_backends, ringfort) = pool("off");
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask(
        "RPUSH l a b c d e f\r\nZADD z 1 m 2.5 n 3 o 4 p\r\n",
        ":6\r\n:4\r\n",
    );
    for (request, reply) in [
        ("BLPOP none l 1", "*2\r\n$1\r\nl\r\n$1\r\na\r\n"),
        ("BRPOP l 1", "*2\r\n$1\r\nl\r\n$1\r\nf\r\n"),
        ("BRPOPLPUSH l m 1", "$1\r\ne\r\n"),
        ("BLMOVE l m LEFT RIGHT 1", "$1\r\nb\r\n"),
        ("BLMPOP 1 1 l LEFT", "*2\r\n$1\r\nl\r\n*1\r\n$1\r\nc\r\n"),
        ("BZPOPMIN z 1", "*3\r\n$1\r\nz\r\n$1\r\nm\r\n$1\r\n1\r\n"),
        ("BZPOPMAX z 1", "*3\r\n$1\r\nz\r\n$1\r\np\r\n$1\r\n4\r\n"),
        (
            "BZMPOP 1 1 z MIN",
            "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nn\r\n$3\r\n2.5\r\n",
        ),
        ("XADD s 1-1 f v", "$3\r\n1-1\r\n"),
        ("XGROUP CREATE s g 0", "+OK\r\n"),
        (
            "XREAD BLOCK 1000 STREAMS s 0",
            "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
        ),
        (
            "XREADGROUP GROUP g c BLOCK 1000 STREAMS s >",
            "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
        ),
        ("BLPOP none 0.01", "*-1\r\n"),
        ("BLMOVE none m LEFT LEFT 0.01", "*-1\r\n"),
        (
            "BLPOP s 1",
            "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        ),
        (
            "BLPOP none soon",
            "-ERR timeout is not a float or out of range\r\n",
        ),
        (
            "BLPOP none",
            "-ERR wrong number of arguments for 'blpop' command\r\n",
        ),
    ] {
        wire.ask(format!("{request}\r\n"), reply);
    }
}

#[test]
fn a_resp3_client_gets_what_its_server_says_in_resp3() {
    let (_backends, ringfort) = pool("off");
    let mut wire = Wire::connect(ringfort.resp());
    wire.send(b"HELLO 3\r\nECHO end\r\n");
    while wire.line() != "end" {}
    wire.ask(
        "ZADD z 2.5 n\r\nBZPOPMIN z 1\r\n",
        ":1\r\n*3\r\n$1\r\nz\r\n$1\r\nn\r\n,2.5\r\n",
    );
    wire.ask("BLPOP none 0.01\r\n", "_\r\n");
}

#[test]
fn a_client_that_goes_takes_its_wait_with_it() {
    let (backends, ringfort) = pool("off");
    let waiting = |backend: &Backend| {
        let mut wire = backend.connect();
        wire.send(b"INFO clients\r\nECHO end\r\n");
        let mut count = String::new();
        loop {
            let line = wire.line();
            if let Some(text) = line.strip_prefix("blocked_clients:") {
                count = text.to_owned();
            }
            if line == "end" {
                return count;
            }
        }
    };
    let mut wires: Vec<_> = (0..20).map(|_| Wire::connect(ringfort.resp())).collect();
    for wire in &mut wires {
        wire.send(b"BLPOP l 0\r\n");
    }
    support::wait_for("all to wait", || {
        (waiting(&backends[0]) == "20").then_some(())
    });
    // Half of them say that they send nothing more, the others go.
    for wire in wires.drain(..10) {
        drop(wire);
    }
    for wire in &mut wires {
        wire.finish_sending();
        wire.expect_close();
    }
    support::wait_for("nobody to wait", || {
        (waiting(&backends[0]) == "0").then_some(())
    });
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("RPUSH l x\r\nLLEN l\r\n", ":1\r\n:1\r\n");
    // A ringfort that ends does not wait for who waits.
    wire.send(b"BLPOP none 0\r\n");
    support::wait_for("one to wait", || {
        (waiting(&backends[0]) == "1").then_some(())
    });
    drop(ringfort);
}

#[test]
fn a_server_that_goes_fails_who_waits_there() {
    let (mut backends, ringfort) = pool("60s");
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("SET a 1\r\n", "+OK\r\n");
    wire.send(b"BLPOP l 0\r\n");
    assert_eq!(wire.some_within(Duration::from_millis(200)), None);
    backends[0].stop();
    wire.expect(b"-ERR backend connection was lost\r\n");
    backends[0].restart();
    support::wait_for("the server to be back", || {
        wire.send(b"RPUSH l x\r\n");
        (!wire.line().starts_with('-')).then_some(())
    });
    // The connection that waiting needs is another one, which is refused for a moment longer.
    let line = support::wait_for("a connection to wait on", || {
        wire.send(b"BLPOP l 0\r\n");
        Some(wire.line()).filter(|line| !line.starts_with('-'))
    });
    assert_eq!(line, "*2");
    wire.expect(b"$1\r\nl\r\n$1\r\nx\r\n");
}

#[test]
fn redis_py_has_its_queues_scripts_and_transactions() {
    let (_backends, ringfort) = pool("60s");
    let port = ringfort.resp().port();
    python::run("redis_pool.py", &[&port.to_string()]);
}

/// Where the owners of its keys are asked first, it may have gone before they have answered.
#[test]
fn who_goes_before_its_server_is_asked_takes_nothing() {
    const CLIENTS: usize = 60;
    let (backends, ringfort) = pool("60s");
    for number in 0..CLIENTS {
        let mut wire = Wire::connect(ringfort.resp());
        wire.send(format!("BLPOP list-{number} 0\r\n").as_bytes());
        wire.finish_sending();
    }
    let mut wire = Wire::connect(ringfort.resp());
    let mut direct = backends[0].connect();
    support::wait_for("ringfort to have seen them go", || {
        wire.send(b"INFO clients\r\n");
        number_of(&mut wire, "connected_clients").filter(|count| *count == 1)
    });
    support::wait_for("nobody to wait at the server", || {
        direct.send(b"INFO clients\r\n");
        number_of(&mut direct, "blocked_clients").filter(|count| *count == 0)
    });
    for number in 0..CLIENTS {
        direct.ask(format!("RPUSH list-{number} x\r\n"), ":1\r\n");
        direct.ask(format!("LLEN list-{number}\r\n"), ":1\r\n");
    }
}

/// Reads an answer of INFO, and a number out of it.
fn number_of(wire: &mut Wire, name: &str) -> Option<u64> {
    let head = wire.line();
    let length: usize = head.trim_start_matches('$').parse().expect("a length");
    let text = String::from_utf8(wire.bytes(length + 2)).expect("text");
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse().ok())
}

fn pool(l1: &str) -> (Vec<Backend>, Ringfort) {
    redis_pool(1, &["--l1", l1])
}
