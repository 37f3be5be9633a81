//! As many loads as a shard may ask for at a time, and what does not wait for them.

use std::time::Duration;

use super::{
    group,
    support::{origin::Origin, wait_for, wire::Wire},
};

/// Loads that one shard may have unanswered.
const LOADS_MAX: usize = 3840;

/// Requests of a connection, which it may have waiting.
const DEPTH: usize = 1000;

const BUSY: &str = "-ERR too many loads are waiting";

#[test]
fn a_shard_that_waits_for_too_many_refuses_more_and_counts_them() {
    const CLIENTS: usize = 5;
    let origin = Origin::echo();
    // The queue has room for all that a shard may ask for.
    let flags = [
        "--shards",
        "1",
        "--loads-max",
        "16",
        "--load-timeout",
        "10m",
    ];
    let ringfort = group(&origin, &flags);
    origin.hold();
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| Wire::connect(ringfort.resp()))
        .collect();
    for (client, wire) in clients.iter_mut().enumerate() {
        let keys = (0..DEPTH).map(|key| format!("GET {client}-{key}\r\n"));
        wire.send(keys.collect::<String>().as_bytes());
    }
    let mut admin = Wire::connect(ringfort.memcache());
    wait_for("all to have asked", || {
        (admin.stat("groups", "Gets") == (CLIENTS * DEPTH) as u64).then_some(())
    });
    let mut late = Wire::connect(ringfort.resp());
    late.ask("GET late\r\n", format!("{BUSY}\r\n"));
    let asked = CLIENTS * DEPTH + 1;
    let refused = (asked - LOADS_MAX) as u64;
    assert_eq!(admin.stat("groups", "LoadsRefused"), refused);
    origin.release();
    let mut refusals = vec!["late".to_owned()];
    for (client, wire) in clients.iter_mut().enumerate() {
        for key in (0..DEPTH).map(|key| format!("{client}-{key}")) {
            match wire.line() {
                line if line == BUSY => refusals.push(key),
                line => {
                    assert_eq!(line, format!("${}", key.len()));
                    assert_eq!(wire.line(), key);
                }
            }
        }
    }
    assert_eq!(refusals.len() as u64, refused);
    assert_eq!(admin.stat("groups", "LoadsDeduped"), asked as u64);
    // Whoever was refused is served as soon as there is room.
    for key in &refusals[..3] {
        let value = format!("${}\r\n{key}\r\n", key.len());
        late.ask(format!("GET {key}\r\n"), value);
    }
    assert_eq!(admin.stat("groups", "LoadsRefused"), refused);
}

#[test]
fn slow_loads_keep_nobody_from_changing_keys() {
    const CLIENTS: usize = 8;
    const DEPTH: usize = 900;
    let origin = Origin::echo();
    let flags = [
        "--shards",
        "2",
        "--loads-max",
        "16",
        "--load-timeout",
        "10m",
    ];
    let ringfort = group(&origin, &flags);
    let mut others: Vec<_> = (0..16).map(|_| Wire::connect(ringfort.resp())).collect();
    others[0].ask("SET there value\r\n", "+OK\r\n");
    origin.hold();
    // One of the shards has half of them at least, and more keys of the other than places there.
    let mut readers: Vec<_> = (0..CLIENTS)
        .map(|_| Wire::connect(ringfort.resp()))
        .collect();
    for (reader, wire) in readers.iter_mut().enumerate() {
        let keys = (0..DEPTH).map(|key| format!("GET {reader}-{key}\r\n"));
        wire.send(keys.collect::<String>().as_bytes());
    }
    let mut admin = Wire::connect(ringfort.memcache());
    let mut gets_before = 0;
    wait_for("no place for one more load", || {
        let gets = admin.stat("groups", "Gets");
        let is_steady = gets == core::mem::replace(&mut gets_before, gets);
        std::thread::sleep(Duration::from_millis(300));
        (gets > 900 && is_steady).then_some(())
    });
    for (number, other) in others.iter_mut().enumerate() {
        for key in (0..8).map(|key| format!("other{number}-{key}")) {
            let value = "v".repeat(8 << 10);
            let length = value.len();
            other.ask(format!("SET {key} {value}\r\n"), "+OK\r\n");
            other.ask(
                format!("GET {key}\r\n"),
                format!("${length}\r\n{value}\r\n"),
            );
            other.ask(format!("DEL {key}\r\n"), ":1\r\n");
        }
        other.ask("GET there\r\n", "$5\r\nvalue\r\n");
    }
    assert_eq!(origin.asked_in_all(), 16, "the loads hang still");
    origin.release();
    for (reader, wire) in readers.iter_mut().enumerate() {
        for key in (0..DEPTH).map(|key| format!("{reader}-{key}")) {
            wire.expect(format!("${}\r\n{key}\r\n", key.len()).as_bytes());
        }
    }
    assert_eq!(admin.stat("groups", "LoadsRefused"), 0);
}
