//! The promise: ringfort says when it serves, ends when it is told to, and says in one line why it does not start.

mod support;

use std::net::TcpListener;

use support::process::Signal;
use support::ringfort::{Ringfort, refusal};
use support::wire::Wire;

#[test]
fn the_ready_line_names_what_is_on() {
    let ringfort = Ringfort::embedded();
    let (memcache, resp) = (ringfort.memcache(), ringfort.resp());
    assert_eq!(
        ringfort.ready_line(),
        format!("ringfort ready: memcache {memcache}, resp {resp}, 2 shards, 64 MiB")
    );
    Wire::connect(memcache).ask("mn\r\n", "MN\r\n");
    Wire::connect(resp).ask("PING\r\n", "+PONG\r\n");
}

#[test]
fn one_front_end_alone_is_named_alone() {
    let ringfort = Ringfort::start_exactly(&[
        "--memcache",
        "127.0.0.1:0",
        "--resp",
        "off",
        "--shards",
        "1",
        "--memory",
        "64MiB",
    ]);
    assert!(
        !ringfort.ready_line().contains("resp"),
        "{}",
        ringfort.ready_line()
    );
    Wire::connect(ringfort.memcache()).ask("mn\r\n", "MN\r\n");
}

#[test]
fn it_ends_well_on_sigterm_and_on_sigint() {
    for signal in [Signal::TERM, Signal::INT] {
        let ringfort = Ringfort::embedded();
        // Idle connections do not hold it up.
        let _idle = [
            Wire::connect(ringfort.memcache()),
            Wire::connect(ringfort.resp()),
        ];
        let (status, stderr) = ringfort.end(signal);
        assert_eq!(status.code(), Some(0), "{stderr}");
    }
}

/// Whichever shard has the connection, all of them end.
#[test]
fn a_client_ends_it_where_that_is_allowed() {
    for shutdown in ["shutdown\r\n", "shutdown graceful\r\n"] {
        let ringfort = Ringfort::start(&["--enable-shutdown"]);
        let mut idle: Vec<_> = (0..8).map(|_| Wire::connect(ringfort.memcache())).collect();
        let mut wire = Wire::connect(ringfort.memcache());
        wire.ask("shutdown now\r\n", "CLIENT_ERROR invalid shutdown mode\r\n");
        wire.send(format!("set key 0 0 1\r\nx\r\nget key\r\n{shutdown}").as_bytes());
        wire.expect(b"STORED\r\nVALUE key 0 1\r\nx\r\nEND\r\n");
        wire.expect_close();
        idle.iter_mut().for_each(Wire::expect_close);
        let (status, stderr) = ringfort.wait();
        assert_eq!(status.code(), Some(0), "{stderr}");
    }
}

#[test]
fn no_client_ends_it_otherwise() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    for line in ["shutdown\r\n", "shutdown graceful\r\n", "shutdown now\r\n"] {
        wire.ask(line, "ERROR: shutdown not enabled\r\n");
    }
    wire.ask("mn\r\n", "MN\r\n");
}

/// The requests are in ringfort's socket when the signal comes; the replies are whole, and then it closes.
#[test]
fn requests_that_have_arrived_are_answered_before_the_end() {
    const REQUESTS: usize = 1000;
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask("set key 0 0 5\r\nvalue\r\n", "STORED\r\n");
    let mut pinger = Wire::connect(ringfort.resp());
    pinger.ask("PING\r\n", "+PONG\r\n");
    wire.send(&b"get key\r\n".repeat(REQUESTS));
    pinger.send(&b"PING\r\n".repeat(REQUESTS));
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert_eq!(status.code(), Some(0), "{stderr}");
    wire.expect(&b"VALUE key 0 5\r\nvalue\r\nEND\r\n".repeat(REQUESTS));
    wire.expect_close();
    pinger.expect(&b"+PONG\r\n".repeat(REQUESTS));
    pinger.expect_close();
}

#[test]
fn a_port_that_is_taken_is_a_reason() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = holder.local_addr().expect("an address").to_string();
    let reason = refused(&["--memcache", &address, "--shards", "1", "--memory", "64MiB"]);
    assert!(reason.contains(&address), "{reason}");
}

#[test]
fn flags_that_make_no_sense_are_refused_in_one_line() {
    let base = ["--memcache", "127.0.0.1:0", "--memory", "64MiB"];
    let cases: [(&[&str], &str); 8] = [
        (&["--frobnicate"], "--frobnicate"),
        (&["--shards", "0"], "shards"),
        (&["--shards", "100000"], "shards"),
        (&["--shards", "many"], "many"),
        (&["--pool", "carrots"], "carrots"),
        (
            &[
                "--pool",
                "memcache",
                "--servers",
                "/nonexistent/servers.txt",
            ],
            "/nonexistent/servers.txt",
        ),
        (&["--item-size-max", "1GiB"], "item-size-max"),
        (&["--connections-max", "0"], "connections-max"),
    ];
    for (flags, named) in cases {
        let reason = refused(&[&base[..], flags].concat());
        assert!(reason.contains(named), "{flags:?} gave {reason:?}");
    }
}

#[test]
fn absurd_memory_is_refused_in_one_line() {
    for memory in [
        "0",
        "1KiB",
        "1000000GiB",
        "99999999999999999999GiB",
        "-1MiB",
        "much",
    ] {
        let reason = refused(&["--memcache", "127.0.0.1:0", "--memory", memory]);
        assert!(
            reason.contains("memory") || reason.contains(memory),
            "{memory} gave {reason:?}"
        );
    }
}

#[test]
fn an_address_that_is_none_is_refused_in_one_line() {
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "203.0.113.1:0"] {
        let reason = refused(&["--memcache", address, "--memory", "64MiB", "--shards", "1"]);
        assert!(reason.contains(address), "{address} gave {reason:?}");
    }
}

/// The one line on stderr, of an end with exit code 2.
fn refused(args: &[&str]) -> String {
    let (code, stderr) = refusal(args);
    assert_eq!(code, Some(2), "{args:?} gave {stderr:?}");
    assert_eq!(stderr.lines().count(), 1, "{args:?} gave {stderr:?}");
    stderr
}
