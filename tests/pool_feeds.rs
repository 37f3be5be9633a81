//! The promise: through a pool, who subscribes hears what is published through it or at the servers, is told so in
//! Redis' words and counts, and loses its connection when it would hear no more.

mod support;

use std::time::Duration;

use support::backends::Backend;
use support::python;
use support::ringfort::{Ringfort, redis_pool};
use support::wire::Wire;

/// So many that every server has some.
const CHANNELS: usize = 24;

#[test]
fn messages_come_from_the_channels_servers() {
    let (backends, ringfort) = pool(3);
    let mut listener = Wire::connect(ringfort.resp());
    for number in 0..CHANNELS {
        listener.ask(
            format!("SUBSCRIBE c{number:02}\r\n"),
            format!(
                "*3\r\n$9\r\nsubscribe\r\n$3\r\nc{number:02}\r\n:{}\r\n",
                number + 1
            ),
        );
    }
    let mut publisher = Wire::connect(ringfort.resp());
    for number in 0..CHANNELS {
        publisher.ask(format!("PUBLISH c{number:02} hi\r\n"), ":1\r\n");
        listener.expect(
            format!("*3\r\n$7\r\nmessage\r\n$3\r\nc{number:02}\r\n$2\r\nhi\r\n").as_bytes(),
        );
    }
    let at_server = |backend: &Backend| {
        let mut wire = backend.connect();
        wire.send(b"PUBSUB CHANNELS\r\n");
        let count = wire.line();
        count
            .trim_start_matches('*')
            .parse::<usize>()
            .expect("a count")
    };
    let counts: Vec<usize> = backends.iter().map(at_server).collect();
    assert_eq!(counts.iter().sum::<usize>(), CHANNELS, "{counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    // The connection stays for what a subscriber may ask.
    listener.ask(
        "PING\r\nPING hi\r\n",
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$2\r\nhi\r\n",
    );
    for (request, name) in [
        ("GET k", "get"),
        ("HGET k f", "hget"),
        ("BLPOP k 0", "blpop"),
    ] {
        listener.ask(
            format!("{request}\r\n"),
            format!(
                "-ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context\r\n"
            ),
        );
    }
    listener.ask("UNSUBSCRIBE c00 none\r\n", format!(
        "*3\r\n$11\r\nunsubscribe\r\n$3\r\nc00\r\n:{0}\r\n*3\r\n$11\r\nunsubscribe\r\n$4\r\nnone\r\n:{0}\r\n", CHANNELS - 1,
    ));
    publisher.ask("PUBLISH c00 lost\r\n", ":0\r\n");
    listener.ask("RESET\r\nGET k\r\n", "+RESET\r\n$-1\r\n");
    publisher.ask("PUBLISH c01 lost\r\n", ":0\r\n");
    listener.ask(
        "UNSUBSCRIBE\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n",
    );
}

#[test]
fn a_pattern_is_heard_from_every_server() {
    let (_backends, ringfort) = pool(3);
    let mut listener = Wire::connect(ringfort.resp());
    listener.ask(
        "PSUBSCRIBE c* d*\r\nSUBSCRIBE c00\r\nSSUBSCRIBE s\r\n",
        "*3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:1\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\nd*\r\n:2\r\n\
         *3\r\n$9\r\nsubscribe\r\n$3\r\nc00\r\n:3\r\n*3\r\n$10\r\nssubscribe\r\n$1\r\ns\r\n:1\r\n",
    );
    let mut publisher = Wire::connect(ringfort.resp());
    for number in 1..CHANNELS {
        publisher.ask(format!("PUBLISH c{number:02} hi\r\n"), ":1\r\n");
        listener.expect(
            format!("*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$3\r\nc{number:02}\r\n$2\r\nhi\r\n")
                .as_bytes(),
        );
    }
    publisher.ask("PUBLISH c00 both\r\n", ":2\r\n");
    listener.expect(
        b"*3\r\n$7\r\nmessage\r\n$3\r\nc00\r\n$4\r\nboth\r\n*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$3\r\nc00\r\n$4\r\nboth\r\n",
    );
    publisher.ask("SPUBLISH s hi\r\n", ":1\r\n");
    listener.expect(b"*3\r\n$8\r\nsmessage\r\n$1\r\ns\r\n$2\r\nhi\r\n");
    listener.ask(
        "PUNSUBSCRIBE\r\nSUNSUBSCRIBE\r\nUNSUBSCRIBE\r\nGET k\r\n",
        "*3\r\n$12\r\npunsubscribe\r\n$2\r\nc*\r\n:2\r\n*3\r\n$12\r\npunsubscribe\r\n$2\r\nd*\r\n:1\r\n\
         *3\r\n$12\r\nsunsubscribe\r\n$1\r\ns\r\n:0\r\n*3\r\n$11\r\nunsubscribe\r\n$3\r\nc00\r\n:0\r\n$-1\r\n",
    );
    publisher.ask("PUBLISH c00 lost\r\nPUBLISH d lost\r\n", ":0\r\n:0\r\n");
}

#[test]
fn a_resp3_client_hears_between_its_replies_and_while_it_waits() {
    let (_backends, ringfort) = pool(2);
    let mut listener = Wire::connect(ringfort.resp());
    let mut publisher = Wire::connect(ringfort.resp());
    listener.send(b"HELLO 3\r\nECHO end\r\n");
    while listener.line() != "end" {}
    listener.ask(
        "SUBSCRIBE c\r\nGET k\r\n",
        ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n_\r\n",
    );
    publisher.ask("PUBLISH c one\r\n", ":1\r\n");
    listener.expect(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\none\r\n");
    listener.send(b"BLPOP l 0\r\n");
    assert_eq!(listener.some_within(Duration::from_millis(100)), None);
    publisher.ask("PUBLISH c two\r\n", ":1\r\n");
    listener.expect(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\ntwo\r\n");
    publisher.ask("RPUSH l x\r\n", ":1\r\n");
    listener.expect(b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
}

#[test]
fn who_would_hear_no_more_is_closed() {
    let (mut backends, ringfort) = pool(2);
    let mut listener = Wire::connect(ringfort.resp());
    listener.ask(
        "PSUBSCRIBE *\r\n",
        "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n",
    );
    backends[1].stop();
    listener.expect_close();
    let mut listener = Wire::connect(ringfort.resp());
    listener.send(b"PSUBSCRIBE *\r\n");
    let line = listener.line();
    assert!(line.starts_with("-ERR backend "), "{line}");
    listener.expect_close();
    backends[1].restart();
    support::wait_for("a subscription", || {
        let mut listener = Wire::connect(ringfort.resp());
        listener.send(b"PSUBSCRIBE *\r\n");
        (listener.line() == "*3").then_some(())
    });
}

#[test]
fn a_listener_that_goes_leaves_nothing_at_the_servers() {
    let (backends, ringfort) = pool(1);
    let mut wires: Vec<_> = (0..10).map(|_| Wire::connect(ringfort.resp())).collect();
    for wire in &mut wires {
        wire.ask(
            "SUBSCRIBE c\r\n",
            "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
        );
    }
    let mut direct = backends[0].connect();
    direct.ask("PUBLISH c hi\r\n", ":10\r\n");
    drop(wires);
    support::wait_for("nobody to listen", || {
        direct.send(b"PUBLISH c hi\r\n");
        (direct.line() == ":0").then_some(())
    });
}

#[test]
fn redis_py_publishes_and_subscribes() {
    let (_backends, ringfort) = pool(3);
    python::run("redis_feeds.py", &[&ringfort.resp().port().to_string()]);
}

/// Each server's lines, whoever asked it, from the OK on until RESET.
#[test]
fn a_monitor_sees_what_every_server_is_asked() {
    for hello in ["HELLO 2\r\n", "HELLO 3\r\n"] {
        let (backends, ringfort) = pool(3);
        let mut monitor = Wire::connect(ringfort.resp());
        monitor.send(format!("{hello}MONITOR\r\n").as_bytes());
        while monitor.line() != "+OK" {}
        let mut see = |wanted: &str| loop {
            let line = monitor.line();
            assert!(line.starts_with('+') && line.contains(" ["), "{line}");
            if line.contains(wanted) {
                break;
            }
        };
        for (number, backend) in backends.iter().enumerate() {
            backend
                .connect()
                .ask(format!("SET k{number} {number}\r\n"), "+OK\r\n");
            see(&format!(r#""SET" "k{number}" "{number}""#));
        }
        let mut client = Wire::connect(ringfort.resp());
        client.ask("LPUSH l a\r\n", ":1\r\n");
        see(r#""LPUSH" "l" "a""#);
        monitor.send(b"RESET\r\n");
        while monitor.line() != "+RESET" {}
        client.ask("LPUSH l b\r\n", ":2\r\n");
        monitor.ask("PING\r\n", "+PONG\r\n");
    }
}

#[test]
fn a_monitor_goes_with_a_server() {
    let (mut backends, ringfort) = pool(2);
    let mut monitor = Wire::connect(ringfort.resp());
    monitor.ask("MONITOR\r\n", "+OK\r\n");
    backends[1].stop();
    monitor.rest();
}

fn pool(count: usize) -> (Vec<Backend>, Ringfort) {
    redis_pool(count, &["--l1", "off"])
}
