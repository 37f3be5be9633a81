//! The promise: a client that tracks hears of every change of what it has read, through whichever shard and
//! protocol it was made, in the frames that Redis has for it. Every conversation is held with a real redis-server,
//! too, so it promises nothing that Redis does not say.

mod support;

use std::net::SocketAddr;

use support::backends::Backend;
use support::binary::{packet, reply};
use support::process::Signal;
use support::ringfort::{Ringfort, redis_pool};
use support::wire::Wire;

/// Conversations with ringfort: enough that the kernel puts the clients on every mixture of shards.
const ROUND_COUNT: usize = 12;

/// Holds a conversation with Redis, and a few with ringfort. `talk` gets what sets its keys apart.
fn on_both(talk: impl Fn(SocketAddr, &str)) {
    let redis = Backend::redis();
    talk(redis.address(), "real");
    let ringfort = Ringfort::embedded();
    for round in 0..ROUND_COUNT {
        talk(ringfort.resp(), &round.to_string());
    }
}

/// A client that speaks RESP3.
fn resp3(address: SocketAddr) -> Wire {
    let mut wire = Wire::connect(address);
    wire.send(b"HELLO 3\r\n");
    while wire.line() != "*0" {}
    wire
}

fn id(wire: &mut Wire) -> String {
    wire.send(b"CLIENT ID\r\n");
    wire.line().trim_start_matches(':').to_owned()
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The push that tells of keys.
fn told(keys: &[&str]) -> String {
    let keys: String = keys.iter().map(|key| bulk(key)).collect::<String>();
    format!(
        ">2\r\n{}*{}\r\n{keys}",
        bulk("invalidate"),
        keys.matches('$').count()
    )
}

/// The same for a RESP2 client.
fn message(key: &str) -> String {
    let channel = bulk("__redis__:invalidate");
    format!("*3\r\n{}{channel}*1\r\n{}", bulk("message"), bulk(key))
}

const FLUSHED: &str = ">2\r\n$10\r\ninvalidate\r\n_\r\n";
const OK: &str = "+OK\r\n";

#[test]
fn a_reader_is_told_once_of_each_change() {
    on_both(|address, round| {
        let (mut reader, mut writer) = (resp3(address), Wire::connect(address));
        let keys = ["a", "b", "c"].map(|name| format!("{name}{round}"));
        reader.ask("CLIENT TRACKING ON\r\n", OK);
        for key in &keys {
            reader.ask(format!("GET {key}\r\n"), "_\r\n");
            writer.ask(format!("SET {key} 1\r\n"), OK);
            reader.expect(told(&[key]).as_bytes());
            // Not read since, so not told: the next push is about the next read.
            writer.ask(format!("SET {key} 2\r\n"), OK);
            for change in [
                "APPEND {} x",
                "EXPIRE {} 100",
                "PERSIST {}",
                "DEL {}",
                "SETNX {} 1",
            ] {
                reader.send(format!("EXISTS {key}\r\n").as_bytes());
                reader.line();
                writer.send(format!("{}\r\n", change.replace("{}", key)).as_bytes());
                writer.line();
                reader.expect(told(&[key]).as_bytes());
            }
        }
    });
}

#[test]
fn nobody_else_is_told() {
    on_both(|address, round| {
        let key = format!("n{round}");
        let [mut reader, mut other] = [resp3(address), resp3(address)];
        for wire in [&mut reader, &mut other] {
            wire.ask("CLIENT TRACKING ON\r\n", OK);
        }
        other.ask(format!("GET another{round}\r\n"), "_\r\n");
        reader.ask(format!("GET {key}\r\n"), "_\r\n");
        other.ask(format!("SET {key} 1\r\n"), OK);
        reader.expect(told(&[&key]).as_bytes());
        // Who had turned it off neither.
        reader.ask(format!("GET {key}\r\n"), "$1\r\n1\r\n");
        reader.ask("CLIENT TRACKING OFF\r\n", OK);
        other.ask(format!("SET {key} 2\r\n"), OK);
        other.ask(format!("GET {key}\r\n"), "$1\r\n2\r\n");
        reader.ask(format!("SET {key} 3\r\n"), OK);
        other.expect(told(&[&key]).as_bytes());
        reader.ask("PING\r\n", "+PONG\r\n");
    });
}

#[test]
fn everybody_hears_of_a_flush() {
    on_both(|address, round| {
        let mut readers = [resp3(address), resp3(address), resp3(address)];
        for (reader, options) in readers.iter_mut().zip(["", " BCAST", " NOLOOP"]) {
            reader.ask(format!("CLIENT TRACKING ON{options}\r\n"), OK);
            reader.ask(format!("GET f{round}\r\n"), "_\r\n");
        }
        let mut writer = Wire::connect(address);
        for flush in ["FLUSHALL\r\n", "FLUSHDB\r\n"] {
            writer.ask(flush, OK);
            for reader in &mut readers {
                reader.expect(FLUSHED.as_bytes());
            }
        }
    });
}

#[test]
fn broadcasts_tell_of_changes_under_prefixes() {
    on_both(|address, round| {
        let [mut all, mut some] = [resp3(address), resp3(address)];
        let mut writer = Wire::connect(address);
        let [user, item] = ["user", "item"].map(|kind| format!("{kind}{round}:"));
        all.ask("CLIENT TRACKING ON BCAST\r\n", OK);
        some.ask(
            format!("CLIENT TRACKING ON BCAST PREFIX {user} PREFIX {item}\r\n"),
            OK,
        );
        for name in [format!("{user}7"), item.clone(), format!("{item}x")] {
            writer.ask(format!("SET {name} 1\r\n"), OK);
            all.expect(told(&[&name]).as_bytes());
            some.expect(told(&[&name]).as_bytes());
        }
        let other = format!("use{round}:7");
        writer.ask(format!("SET {other} 1\r\n"), OK);
        all.expect(told(&[&other]).as_bytes());
        // What is no change is not told, neither what is under no prefix: this is the next.
        writer.ask(format!("DEL {user}none\r\n"), ":0\r\n");
        writer.ask(format!("DEL {user}7\r\n"), ":1\r\n");
        all.expect(told(&[&format!("{user}7")]).as_bytes());
        some.expect(told(&[&format!("{user}7")]).as_bytes());
        // Keys that change together are told together, in order.
        let keys = ["1", "2"].map(|end| format!("{user}{end}"));
        writer.ask(format!("MSET {} 2 {} 1\r\n", keys[1], keys[0]), OK);
        let mut seen = Vec::new();
        while seen.len() < 2 {
            for start in [">2", "$10", "invalidate", "*"] {
                let line = some.line();
                assert!(line.starts_with(start), "{line}");
                if let Some(count) = line.strip_prefix('*') {
                    for _ in 0..count.parse().expect("a number") {
                        some.line();
                        seen.push(some.line());
                    }
                }
            }
        }
        seen.sort();
        assert_eq!(seen, keys);
    });
}

#[test]
fn noloop_spares_a_client_its_own_changes() {
    on_both(|address, round| {
        let [mut default, mut bcast] = [resp3(address), resp3(address)];
        let mut writer = Wire::connect(address);
        let keys = ["d", "b"].map(|name| format!("{name}{round}"));
        default.ask("CLIENT TRACKING ON NOLOOP\r\n", OK);
        let options = format!("BCAST PREFIX {} NOLOOP", keys[1]);
        bcast.ask(format!("CLIENT TRACKING ON {options}\r\n"), OK);
        for (client, key) in [(&mut default, &keys[0]), (&mut bcast, &keys[1])] {
            for _ in 0..3 {
                client.send(format!("GET {key}\r\n").as_bytes());
                if client.line().starts_with('$') {
                    client.line();
                }
                client.ask(format!("SET {key} own\r\n"), OK);
                client.send(format!("GET {key}\r\n").as_bytes());
                client.expect(b"$3\r\nown\r\n");
                writer.ask(format!("SET {key} 2\r\n"), OK);
                client.expect(told(&[key]).as_bytes());
            }
        }
    });
}

#[test]
fn redirected_messages_go_to_whom_they_are_redirected() {
    on_both(|address, round| {
        let key = format!("r{round}");
        let [mut source, mut target, mut writer] = [0; 3].map(|_| Wire::connect(address));
        let target_id = id(&mut target);
        source.ask(format!("CLIENT TRACKING ON REDIRECT {target_id}\r\n"), OK);
        source.ask("CLIENT GETREDIR\r\n", format!(":{target_id}\r\n"));
        writer.ask(format!("SET {key} 1\r\n"), OK);
        let channel = bulk("__redis__:invalidate");
        let subscribed = format!("*3\r\n{}{channel}:1\r\n", bulk("subscribe"));
        target.ask("SUBSCRIBE __redis__:invalidate\r\n", subscribed);
        for number in 2..5 {
            source.ask(
                format!("GET {key}\r\n"),
                format!("$1\r\n{}\r\n", number - 1),
            );
            writer.ask(format!("SET {key} {number}\r\n"), OK);
            target.expect(message(&key).as_bytes());
        }
        // Its own changes, too; a flush is the null of whom it is told for.
        source.ask(format!("GET {key}\r\n"), "$1\r\n4\r\n");
        source.ask(format!("SET {key} 5\r\n"), OK);
        target.expect(message(&key).as_bytes());
        writer.ask("FLUSHALL\r\n", OK);
        target.expect(format!("*3\r\n{}{channel}$-1\r\n", bulk("message")).as_bytes());
        // To a client that speaks RESP3 they are pushed, subscribed or not.
        target.ask("RESET\r\n", "+RESET\r\n");
        target.send(b"HELLO 3\r\n");
        while target.line() != "*0" {}
        source.ask(format!("GET {key}\r\n"), "$-1\r\n");
        writer.ask(format!("SET {key} 6\r\n"), OK);
        target.expect(told(&[&key]).as_bytes());
        writer.ask("FLUSHALL\r\n", OK);
        target.expect(b">2\r\n$10\r\ninvalidate\r\n$-1\r\n");
    });
}

#[test]
fn a_client_hears_that_whom_it_redirects_to_has_gone() {
    on_both(|address, round| {
        let key = format!("g{round}");
        let mut source = resp3(address);
        let [mut target, mut writer] = [0; 2].map(|_| Wire::connect(address));
        let target_id = id(&mut target);
        source.ask(format!("CLIENT TRACKING ON REDIRECT {target_id}\r\n"), OK);
        target.ask("QUIT\r\n", OK);
        target.expect_close();
        source.ask(format!("GET {key}\r\n"), "_\r\n");
        writer.ask(format!("SET {key} 1\r\n"), OK);
        let broken = format!(">2\r\n{}:{target_id}\r\n", bulk("tracking-redir-broken"));
        source.expect(broken.as_bytes());
        source.send(b"CLIENT TRACKINGINFO\r\n");
        source.expect(b"%3\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$15\r\nbroken_redirect\r\n");
        source.expect(
            format!("$8\r\nredirect\r\n:{target_id}\r\n$8\r\nprefixes\r\n*0\r\n").as_bytes(),
        );
        source.ask("CLIENT TRACKING ON\r\n", OK);
        source.ask(format!("GET {key}\r\n"), "$1\r\n1\r\n");
        writer.ask(format!("SET {key} 2\r\n"), OK);
        source.expect(told(&[&key]).as_bytes());
        // It may be somebody who never was.
        let line = "-ERR The client ID you want redirect to does not exist\r\n";
        source.ask(format!("CLIENT TRACKING ON REDIRECT {target_id}\r\n"), line);
    });
}

/// What only ringfort can promise: changes by memcache are told, too.
#[test]
fn changes_by_memcache_are_told() {
    let ringfort = Ringfort::embedded();
    for round in 0..ROUND_COUNT {
        let (mut reader, mut writer) = (resp3(ringfort.resp()), Wire::connect(ringfort.memcache()));
        let mut broadcast = resp3(ringfort.resp());
        let key = format!("m{round}");
        reader.ask("CLIENT TRACKING ON\r\n", OK);
        broadcast.ask(format!("CLIENT TRACKING ON BCAST PREFIX {key}\r\n"), OK);
        for (change, reply) in [
            (format!("set {key} 0 0 1\r\n7\r\n"), "STORED\r\n"),
            (format!("incr {key} 1\r\n"), "8\r\n"),
            (format!("append {key} 0 0 1\r\n0\r\n"), "STORED\r\n"),
            (format!("touch {key} 100\r\n"), "TOUCHED\r\n"),
            (format!("delete {key}\r\n"), "DELETED\r\n"),
            (format!("add {key} 0 0 1\r\n1\r\n"), "STORED\r\n"),
            (format!("prepend {key} 0 0 1\r\n2\r\n"), "STORED\r\n"),
        ] {
            reader.send(format!("EXISTS {key}\r\n").as_bytes());
            reader.line();
            writer.ask(&change, reply);
            reader.expect(told(&[&key]).as_bytes());
            broadcast.expect(told(&[&key]).as_bytes());
        }
        writer.ask("flush_all\r\n", "OK\r\n");
        reader.expect(FLUSHED.as_bytes());
        broadcast.expect(FLUSHED.as_bytes());
        reader.ask(format!("GET {key}\r\n"), "_\r\n");
    }
}

/// Whoever holds a copy is told of its expiry, without anybody asking for the key.
#[test]
fn expiry_is_told_in_time() {
    on_both(|address, round| {
        let mut readers = [resp3(address), resp3(address)];
        let mut writer = Wire::connect(address);
        let key = format!("e{round}");
        writer.ask(format!("SET {key} 1 PX 300\r\n"), OK);
        readers[0].ask("CLIENT TRACKING ON\r\n", OK);
        readers[0].send(format!("EXISTS {key}\r\n").as_bytes());
        let was_there = readers[0].line() == ":1";
        readers[1].ask(format!("CLIENT TRACKING ON BCAST PREFIX {key}\r\n"), OK);
        // Unless this machine is so slow that it had expired before it was read.
        if was_there {
            readers[0].expect(told(&[&key]).as_bytes());
        }
        writer.ask(format!("GET {key}\r\n"), "$-1\r\n");
        readers[1].expect(told(&[&key]).as_bytes());
    });
}

/// While somebody tracks, whoever looks for a key that has expired has it removed, so that those who hold a copy are
/// told at once, not when the sweep comes by.
#[test]
fn whoever_looks_finds_what_has_expired() {
    const RESP: &[&str] = &[
        "GET",
        "STRLEN",
        "EXISTS",
        "TOUCH",
        "TYPE",
        "TTL",
        "EXPIRETIME",
        "OBJECT ENCODING",
        "MGET",
        "GETEX",
        "PERSIST",
    ];
    const MEMCACHE: &[&str] = &[
        "get ", "gets ", "gat 9 ", "mg ", "me ", "md ", "ma ", "delete ",
    ];
    const BINARY: &[(u8, &[u8])] = &[
        (0x00, b""),
        (0x0c, b""),
        (0x04, b""),
        (0x1c, &[0; 4]),
        (0x1d, &[0; 4]),
    ];
    let ringfort = Ringfort::start(&["--shards", "1"]);
    let mut tracker = resp3(ringfort.resp());
    tracker.ask("CLIENT TRACKING ON BCAST PREFIX none\r\n", OK);
    let mut wire = Wire::connect(ringfort.resp());
    let mut memcache = Wire::connect(ringfort.memcache());
    let mut binary = Wire::connect(ringfort.memcache());
    let count = RESP.len() + MEMCACHE.len() + BINARY.len() + 2;
    for key in 0..count {
        wire.ask(format!("SET k{key} 1 PX 20\r\n"), OK);
    }
    std::thread::sleep(std::time::Duration::from_millis(40));
    let mut key = 0;
    let mut check = |wire: &mut Wire, what: &str| {
        key += 1;
        assert!(wire.info("stats", "expired_keys") >= key, "{what}");
        key
    };
    let mut next = 0;
    for command in RESP {
        wire.send(format!("{command} k{next}\r\n").as_bytes());
        if wire.line() == "*1" {
            wire.line();
        }
        next = check(&mut wire, command);
    }
    for command in ["SETRANGE", "LCS"] {
        let rest = if command == "LCS" { "k" } else { "0 \"\"" };
        wire.send(format!("{command} k{next} {rest}\r\n").as_bytes());
        if wire.line() == "$0" {
            wire.line();
        }
        next = check(&mut wire, command);
    }
    for command in MEMCACHE {
        memcache.send(format!("{command}k{next}\r\n").as_bytes());
        memcache.line();
        next = check(&mut wire, command);
    }
    for (opcode, extras) in BINARY {
        binary.send(&packet(*opcode, format!("k{next}").as_bytes(), extras));
        assert_eq!(reply(&mut binary).status, 1, "{opcode:#x}");
        next = check(&mut wire, "binary");
    }
}

/// A client that does not read what it is told is closed, and holds nobody up.
#[test]
fn who_does_not_read_is_closed() {
    let ringfort = Ringfort::embedded();
    let mut deaf = resp3(ringfort.resp());
    let mut listener = resp3(ringfort.resp());
    for client in [&mut deaf, &mut listener] {
        client.ask("CLIENT TRACKING ON BCAST\r\n", OK);
    }
    let mut writer = Wire::connect(ringfort.resp());
    let name = "k".repeat(60_000);
    let frame = told(&[&name]);
    // Sockets take some; then 4 MiB are kept.
    for _ in 0..2_000 {
        writer.ask(format!("SET {name} 1\r\n"), OK);
        listener.expect(frame.as_bytes());
    }
    let heard = deaf.rest().len();
    assert!(heard < 2_000 * frame.len(), "it was not closed");
    writer.ask("PING\r\n", "+PONG\r\n");
}

/// Tracking does not get in the way of an orderly end.
#[test]
fn it_ends_while_clients_track() {
    let ringfort = Ringfort::embedded();
    let mut readers: Vec<Wire> = (0..8).map(|_| resp3(ringfort.resp())).collect();
    for reader in &mut readers {
        reader.ask("CLIENT TRACKING ON\r\n", OK);
        reader.ask("GET k\r\n", "_\r\n");
    }
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert!(status.success(), "{stderr}");
}

#[test]
fn in_a_pool_it_is_refused() {
    let (_redis, ringfort) = redis_pool(1, &[]);
    let mut wire = Wire::connect(ringfort.resp());
    let line =
        "-ERR client tracking is not possible in a pool: its servers change keys unheard\r\n";
    wire.ask("CLIENT TRACKING ON\r\n", line);
    wire.ask("CLIENT TRACKING OFF\r\n", line);
    wire.ask("PING\r\n", "+PONG\r\n");
}
