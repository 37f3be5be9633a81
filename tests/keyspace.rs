//! The promise: SCAN and KEYS meet every key that is there throughout, on whichever shard they are asked and
//! whatever else happens, and nobody waits for them.

use std::collections::HashSet;

mod support;

use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wire::Wire;

#[test]
fn keys_are_listed_once_each() {
    const KEYS: usize = 30_000;
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.resp());
    set(&mut wire, "there", 0..KEYS);
    set(&mut wire, "else", 0..100);
    for mut wire in [(); 4].map(|()| Wire::connect(ringfort.resp())) {
        wire.send(b"KEYS there-*\r\n");
        let listed = array(&mut wire);
        assert_eq!(listed.len(), KEYS, "each once");
        assert_eq!(
            listed.into_iter().collect::<HashSet<_>>(),
            names("there", 0..KEYS)
        );
    }
    wire.ask("DBSIZE\r\n", format!(":{}\r\n", KEYS + 100));
}

#[test]
fn a_scan_meets_what_is_there_while_keys_come_and_go() {
    const KEYS: usize = 2_000;
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.resp());
    let mut other = Wire::connect(ringfort.resp());
    set(&mut wire, "there", 0..KEYS);
    for options in [
        "",
        "COUNT 100",
        "COUNT 1000 MATCH th?re-*",
        "TYPE string COUNT 3",
    ] {
        let mut met = HashSet::new();
        let mut cursor = "0".to_owned();
        let mut round = 0;
        loop {
            wire.send(format!("SCAN {cursor} {options}\r\n").as_bytes());
            assert_eq!(wire.line(), "*2");
            cursor = bulk(&mut wire);
            met.extend(array(&mut wire));
            if cursor == "0" {
                break;
            }
            // Enough for the index to grow again and again.
            let (old, new) = (round * 50, (round + 1) * 50);
            set(&mut other, "new", new..new + 50);
            let deletes: String = (old..new).map(|key| format!("DEL new-{key}\r\n")).collect();
            other.send(deletes.as_bytes());
            (old..new).for_each(|_| assert!(other.line().starts_with(':')));
            round += 1;
        }
        assert!(
            met.is_superset(&names("there", 0..KEYS)),
            "{options}: {}",
            met.len()
        );
    }
}

#[test]
fn a_random_key_is_one_that_is_there() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("RANDOMKEY\r\n", "$-1\r\n");
    set(&mut wire, "key", 0..20);
    wire.send("RANDOMKEY\r\n".repeat(1_000).as_bytes());
    let drawn: HashSet<_> = (0..1_000).map(|_| bulk(&mut wire)).collect();
    let there = names("key", 0..20);
    assert!(drawn.is_subset(&there));
    assert!(drawn.len() > 15, "any of them: {drawn:?}");
    // Flushed keys lie about in the index for a while.
    wire.ask(
        "FLUSHALL\r\nRANDOMKEY\r\nSET one 1\r\nRANDOMKEY\r\n",
        "+OK\r\n$-1\r\n+OK\r\n$3\r\none\r\n",
    );
}

#[test]
fn keys_of_more_than_a_reply_holds_are_refused() {
    const KEYS: usize = 600;
    let ringfort = Ringfort::start(&["--memory", "256MiB"]);
    let mut wire = Wire::connect(ringfort.resp());
    let long = "x".repeat(60_000);
    for number in 0..KEYS {
        let key = format!("{long}{number}");
        let set = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$1\r\nv\r\n", key.len());
        wire.ask(set, "+OK\r\n");
    }
    wire.ask(
        "KEYS x*\r\n",
        "-ERR KEYS finds more than 32 MiB of keys: use SCAN\r\n",
    );
    wire.ask("KEYS *99\r\nPING\r\n", "");
    assert_eq!(array(&mut wire).len(), KEYS / 100);
    wire.expect(b"+PONG\r\n");
}

fn set(wire: &mut Wire, prefix: &str, numbers: std::ops::Range<usize>) {
    let count = numbers.len();
    let sets: String = numbers
        .map(|key| format!("SET {prefix}-{key} v\r\n"))
        .collect();
    wire.ask(sets, "+OK\r\n".repeat(count));
}

fn names(prefix: &str, numbers: std::ops::Range<usize>) -> HashSet<String> {
    numbers.map(|key| format!("{prefix}-{key}")).collect()
}

fn array(wire: &mut Wire) -> Vec<String> {
    let line = wire.line();
    let count = line.strip_prefix('*').and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or_else(|| panic!("not an array: {line}"));
    (0..count).map(|_| bulk(wire)).collect()
}

fn bulk(wire: &mut Wire) -> String {
    let line = wire.line();
    let length = line
        .strip_prefix('$')
        .and_then(|length| length.parse().ok());
    let bytes = wire.bytes(length.unwrap_or_else(|| panic!("not a bulk: {line}")));
    wire.expect(b"\r\n");
    String::from_utf8(bytes).expect("text")
}

/// What looks for keys counts hits and misses as Redis does.
#[test]
fn hits_and_misses_are_those_of_redis() {
    const REQUESTS: &[&str] = &[
        "GET a",
        "GET no",
        "STRLEN a",
        "TYPE a",
        "TYPE no",
        "TTL no",
        "PTTL a",
        "EXPIRETIME a",
        "EXISTS a no a no2",
        "TOUCH a no",
        "GETRANGE a 0 1",
        "LCS a a LEN",
        "LCS a no LEN",
        "GETEX a",
        "SETRANGE no 0 \"\"",
        "EXISTS",
    ];
    let redis = Backend::redis();
    let ringfort = Ringfort::embedded();
    let mut wires = [redis.connect(), Wire::connect(ringfort.resp())];
    wires
        .iter_mut()
        .for_each(|wire| wire.ask("SET a xyz\r\n", "+OK\r\n"));
    for request in REQUESTS {
        let told = wires.each_mut().map(|wire| {
            wire.send(format!("{request}\r\nPING\r\n").as_bytes());
            while wire.line() != "+PONG" {}
            ["keyspace_hits", "keyspace_misses"].map(|name| wire.info("stats", name))
        });
        assert_eq!(told[1], told[0], "{request}");
    }
}

/// EXISTS that waits for a write of its own client, at its last key, goes on there.
#[test]
fn what_is_looked_for_is_looked_up_once() {
    const KEYS: usize = 5_000;
    let ringfort = Ringfort::embedded();
    let mut wires: Vec<_> = (0..8).map(|_| Wire::connect(ringfort.resp())).collect();
    let names: Vec<String> = (0..KEYS).map(|key| format!("$4\r\n{key:04}\r\n")).collect();
    let names = names.concat();
    for (number, wire) in wires.iter_mut().enumerate() {
        for command in ["EXISTS", "TOUCH"] {
            let exists = format!(
                "*{}\r\n${}\r\n{command}\r\n{names}$5\r\nlast{number}\r\n",
                KEYS + 2,
                command.len()
            );
            wire.ask(format!("SET last{number} 1\r\n{exists}"), "+OK\r\n:1\r\n");
        }
    }
    assert_eq!(wires[0].info("stats", "keyspace_hits"), 16);
    assert_eq!(wires[0].info("stats", "keyspace_misses"), 16 * KEYS as u64);
}
