//! The promise: memcache's statistics have memcached's names, in its order, and count as it counts.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

mod support;

use support::backends::Backend;
use support::binary::{packet_with, reply};
use support::memcached_counts::COUNTED;
use support::ringfort::Ringfort;
use support::wire::Wire;

/// Names that memcached does not have start with one of these.
const FIRST_OF_OURS: [&str; 2] = ["shard_hops", "eviction_policy"];

#[test]
fn names_and_their_order_are_memcacheds() {
    let memcached = Backend::still_memcached();
    let ringfort = Ringfort::embedded();
    let (mut real, mut ours) = (memcached.connect(), Wire::connect(ringfort.memcache()));
    for wire in [&mut real, &mut ours] {
        wire.ask("set key 0 0 5\r\nvalue\r\n", "STORED\r\n");
    }
    for group in ["", " settings", " items", " slabs", " sizes"] {
        let theirs = names(&mut real, group);
        let mut left = theirs.iter();
        for name in names(&mut ours, group) {
            if FIRST_OF_OURS.contains(&&*name) {
                break;
            }
            assert!(
                left.any(|real| *real == name),
                "stats{group}: {name} is not where memcached has it: {theirs:?}"
            );
        }
    }
}

#[test]
fn counts_are_memcacheds() {
    let memcached = Backend::still_memcached();
    let ringfort = Ringfort::embedded();
    let (mut real, mut ours) = (memcached.connect(), Wire::connect(ringfort.memcache()));
    let (huge, half) = ("x".repeat(HUGE_BYTES), "x".repeat(HUGE_BYTES / 2));
    for round in 0..2 {
        for line in CONVERSATION {
            let request = line
                .replace("HUGE", &huge)
                .replace("HALF", &half)
                .replace("MOST", &huge[..1 << 20]);
            let request = request.replace('|', "\r\n") + "\r\nmn\r\n";
            let replies = [&mut real, &mut ours].map(|wire| {
                wire.send(request.as_bytes());
                let mut lines = Vec::new();
                while lines.last().map(String::as_str) != Some("MN") {
                    lines.push(wire.line());
                }
                lines
            });
            assert_eq!(replies[0], replies[1], "{line}");
        }
        let (real_stats, our_stats) = (stats(&mut real), stats(&mut ours));
        for name in COUNTED.iter().chain(&["get_flushed"]) {
            let (real, ours) = (&real_stats[*name], &our_stats[*name]);
            assert_eq!(ours, real, "{name} in round {round}");
        }
        for wire in [&mut real, &mut ours] {
            wire.ask("stats reset\r\n", "RESET\r\n");
        }
        assert_eq!(stats(&mut ours)["cmd_set"], "0");
        assert_eq!(stats(&mut ours)["curr_connections"], "1");
    }
}

/// A value that is too large, in bytes; two halves are it, too.
const HUGE_BYTES: usize = 1_200_000;

/// Commands, each with what follows its line, whose replies are the same on both servers. HUGE is a value that is too
/// large, HALF half of it.
const CONVERSATION: &[&str] = &[
    "flush_all",
    "get none",
    "set a 0 0 1|1",
    "get a none b",
    "gat 100 a none",
    "touch a 0",
    "touch none 0",
    "incr a 1",
    "incr none 1",
    "decr a 1",
    "decr none 1",
    "set t 0 0 1|x",
    "incr t 1",
    "add a 0 0 1|x",
    "replace none 0 0 1|x",
    "append a 0 0 1|1",
    "cas none 0 0 1 99999|x",
    "cas a 0 0 1 99999|x",
    "delete t",
    "delete none",
    "mg a v",
    "mg a t T100 s",
    "mg none",
    "mg new N100",
    "me none",
    "me none2",
    "ms b 1|x",
    "ms b 1 ME|x",
    "ms b 1 C99999|x",
    "ms none 1 C99999|x",
    "ms none 1 MA|x",
    "md b I",
    "md b C99999",
    "md b",
    "md b",
    "ma a",
    "ma none",
    "ma none MD",
    "ma made N100 J5",
    "ma made MD",
    "get made",
    "set e 0 -1 1|x",
    "get e",
    "set l 0 0 1|1",
    "set l 0 0 1200000|HUGE",
    "get l",
    "set none 0 0 1200000 noreply|HUGE",
    "set l 0 0 1|1",
    "add l 0 0 1200000|HUGE",
    "append l 0 0 1200000 noreply|HUGE",
    "get l",
    "ms l 1200000 MA|HUGE",
    "get l",
    "set l 0 0 600000|HALF",
    "append l 0 0 600000|HALF",
    "ms l 600000 MP|HALF",
    "delete l",
    // The largest values are so by what belongs to them, too.
    "set l 0 0 1|1",
    "set l 0 0 1048576|MOST",
    "get l",
    "flush_all",
    "get a",
];

/// What takes an entry away because its new value is refused is no delete.
#[test]
fn counts_of_a_refused_binary_set_are_memcacheds() {
    let memcached = Backend::still_memcached();
    let ringfort = Ringfort::embedded();
    let mut told = [Vec::new(), Vec::new()];
    let servers = [memcached.address(), ringfort.memcache()];
    for (server, told) in servers.into_iter().zip(&mut told) {
        let (mut text, mut wire) = (Wire::connect(server), Wire::connect(server));
        for value in [&vec![b'x'; HUGE_BYTES], &vec![b'x'; 1 << 20]] {
            for opcode in [0x01, 0x02, 0x0e] {
                text.ask("set a 0 0 1\r\n1\r\n", "STORED\r\n");
                let extras = if opcode == 0x0e { &[][..] } else { &[0; 8] };
                wire.send(&packet_with(opcode, b"a", extras, value, 0));
                told.push(u64::from(reply(&mut wire).status));
                told.push(text.stat("", "curr_items"));
            }
        }
        let stats = stats(&mut text);
        for name in ["cmd_set", "store_too_large", "delete_hits", "delete_misses"] {
            told.push(stats[name].parse().expect("a number"));
        }
    }
    assert_eq!(told[1], told[0]);
}

/// A request is counted when it is done, however often it had to wait.
#[test]
fn what_has_to_wait_is_counted_once() {
    const KEYS: usize = 20_000;
    let ringfort = Ringfort::embedded();
    let mut resp = Wire::connect(ringfort.resp());
    let pairs: String = (0..KEYS)
        .map(|key| format!("$4\r\n{key:04x}\r\n$1\r\nx\r\n"))
        .collect();
    resp.ask(
        format!("*{}\r\n$4\r\nMSET\r\n{pairs}", 1 + 2 * KEYS),
        "+OK\r\n",
    );
    let mut memcache = Wire::connect(ringfort.memcache());
    assert_eq!(stats(&mut memcache)["cmd_set"], "1");
    // Far more than another shard takes at a time.
    let adds: String = (0..KEYS)
        .map(|key| format!("add a{key} 0 0 1\r\nx\r\n"))
        .collect();
    let touches: String = (0..KEYS).map(|key| format!("touch a{key} 0\r\n")).collect();
    memcache.ask(adds, "STORED\r\n".repeat(KEYS));
    memcache.ask(touches, "TOUCHED\r\n".repeat(KEYS));
    let stats = stats(&mut memcache);
    assert_eq!(stats["cmd_set"], (1 + KEYS).to_string());
    assert_eq!(stats["cmd_touch"], KEYS.to_string());
}

#[test]
fn statistics_of_shards_add_up() {
    let ringfort = Ringfort::embedded();
    let mut wires: Vec<_> = (0..8).map(|_| Wire::connect(ringfort.memcache())).collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        wire.ask(format!("set key{number} 0 0 1\r\nx\r\n"), "STORED\r\n");
        wire.ask(
            format!("get key{number}\r\n"),
            format!("VALUE key{number} 0 1\r\nx\r\nEND\r\n"),
        );
    }
    let by_shard = group(&mut wires[0], " shards");
    let all = stats(&mut wires[0]);
    for name in [
        "cmd_get",
        "cmd_set",
        "curr_connections",
        "curr_items",
        "bytes",
    ] {
        let sum: u64 = (0..2)
            .map(|shard| {
                by_shard[&format!("shard:{shard}:{name}")]
                    .parse::<u64>()
                    .unwrap()
            })
            .sum();
        assert_eq!(sum.to_string(), all[name], "{name}");
    }
}

#[test]
fn connections_are_told_of_as_memcached_tells() {
    let memcached = Backend::still_memcached();
    let ringfort = Ringfort::embedded();
    let real = conns_once_settled(memcached.address());
    let ours = conns_once_settled(ringfort.memcache());
    let is_listening = |conn: &Conn| conn["state"] == "conn_listening";
    let (real_listeners, real): (Vec<_>, Vec<_>) = real.into_iter().partition(is_listening);
    let (our_listeners, ours): (Vec<_>, Vec<_>) = ours.into_iter().partition(is_listening);

    let names = |conn: &Conn| conn.keys().cloned().collect::<Vec<_>>();
    assert_eq!(states(&ours), states(&real));
    assert_eq!(names(&ours[0]), names(&real[0]));
    assert_eq!(names(&our_listeners[0]), names(&real_listeners[0]));
    // Two front ends of two shards.
    assert_eq!(our_listeners.len(), 4);
    for conn in &ours {
        assert_eq!(
            conn["listen_addr"],
            format!("tcp:{}", ringfort.memcache()),
            "of a connection of this test"
        );
        assert!(conn["addr"].starts_with("tcp:127.0.0.1:"));
        assert!(conn["secs_since_last_cmd"].parse::<u32>().unwrap() < 60);
    }
    for listener in &our_listeners {
        let fronts = [ringfort.memcache(), ringfort.resp()];
        assert!(
            fronts
                .map(|at| format!("tcp:{at}"))
                .contains(&listener["addr"])
        );
    }
}

/// What a server tells of clients that have done nothing, asked, begun a line, and begun a value,
/// once all of that has arrived.
fn conns_once_settled(address: SocketAddr) -> Vec<Conn> {
    let sent = ["", "get none\r\n", "get no", "set key 0 0 5\r\nva"];
    let _wires = sent.map(|text| {
        let mut wire = Wire::connect(address);
        wire.send(text.as_bytes());
        if text.ends_with('\n') {
            wire.expect(b"END\r\n");
        }
        wire
    });
    let mut asker = Wire::connect(address);
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let conns = conns(&mut asker);
        let states = states(&conns);
        let new_count = states.iter().filter(|state| **state == "conn_new_cmd");
        // Of all others something has been read, also where another shard reads it.
        let is_settled = states.len() > sent.len() && new_count.count() == 1;
        if is_settled && states.contains(&"conn_nread") || Instant::now() > until {
            return conns;
        }
    }
}

/// The states of all that are no listeners, in order.
fn states(conns: &[Conn]) -> Vec<&str> {
    let mut states: Vec<_> = conns.iter().map(|conn| conn["state"].as_str()).collect();
    states.retain(|state| *state != "conn_listening");
    states.sort_unstable();
    states
}

/// What is told of one connection; the fields' order is checked as it is read.
type Conn = BTreeMap<String, String>;

fn conns(wire: &mut Wire) -> Vec<Conn> {
    let mut conns: Vec<(String, Conn)> = Vec::new();
    for (name, value) in lines(wire, " conns") {
        let (descriptor, field) = name.split_once(':').expect("a descriptor and a field");
        if conns.last().is_none_or(|(last, _)| last != descriptor) {
            assert_eq!(field, "addr", "comes first");
            conns.push((descriptor.to_owned(), Conn::new()));
        }
        let (_, conn) = conns.last_mut().expect("one was pushed");
        let order = ["addr", "listen_addr", "state", "secs_since_last_cmd"];
        let place = |name: &str| order.iter().position(|known| *known == name);
        let is_next = conn.keys().all(|before| place(before) < place(field));
        assert!(is_next && place(field).is_some(), "{field} is out of order");
        conn.insert(field.to_owned(), value);
    }
    conns.into_iter().map(|(_, conn)| conn).collect()
}

#[test]
fn connections_of_both_front_ends_are_told_of_to_binary_clients_too() {
    let ringfort = Ringfort::embedded();
    let mut redis = Wire::connect(ringfort.resp());
    redis.ask("PING\r\n", "+PONG\r\n");
    let mut wire = Wire::connect(ringfort.memcache());
    // Magic, STAT, a key of 5 bytes; opaque 7.
    wire.send(b"\x80\x10\0\x05\0\0\0\0\0\0\0\x05\0\0\0\x07\0\0\0\0\0\0\0\0conns");
    let mut told = Vec::new();
    loop {
        let header = wire.bytes(24);
        assert_eq!(header[12..16], [0, 0, 0, 7]);
        let key_bytes = usize::from(header[3]);
        let body = wire.bytes(usize::from(header[11]));
        if key_bytes == 0 {
            assert!(body.is_empty());
            break;
        }
        let (name, value) = body.split_at(key_bytes);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        told.push((text(name), text(value)));
    }
    let of_redis = format!("tcp:{}", ringfort.resp());
    let is_told = |field: &str, value: &str| {
        let is_it = |(name, told): &(String, String)| name.ends_with(field) && told == value;
        told.iter().any(is_it)
    };
    assert!(is_told(":listen_addr", &of_redis), "{told:?}");
    assert!(is_told(":state", "conn_parse_cmd"), "{told:?}");
    assert!(is_told(":state", "conn_listening"), "{told:?}");
}

#[test]
fn eviction_is_told_in_both_protocols() {
    for (policy, name) in [("lru", "allkeys-lru"), ("s3fifo", "allkeys-s3fifo")] {
        let ringfort = Ringfort::start(&["--eviction", policy, "--memory", "64MiB"]);
        let (mut wire, mut redis) = (
            Wire::connect(ringfort.memcache()),
            Wire::connect(ringfort.resp()),
        );
        assert_eq!(group(&mut wire, " settings")["eviction_policy"], policy);
        let length = name.len();
        redis.ask(
            "CONFIG GET maxmemory-policy\r\n",
            format!("*2\r\n$16\r\nmaxmemory-policy\r\n${length}\r\n{name}\r\n"),
        );
        redis.ask(format!("CONFIG SET maxmemory-policy {name}\r\n"), "+OK\r\n");
        redis.send(b"INFO memory\r\nPING\r\n");
        let mut lines = std::iter::from_fn(|| Some(redis.line()).filter(|line| line != "+PONG"));
        assert!(lines.any(|line| line == format!("maxmemory_policy:{name}")));
    }
}

#[test]
fn what_is_in_force_is_told_alike_in_both_protocols() {
    let ringfort = Ringfort::embedded();
    let (mut wire, mut redis) = (
        Wire::connect(ringfort.memcache()),
        Wire::connect(ringfort.resp()),
    );
    redis.ask(
        "CONFIG SET maxclients 123 timeout 456\r\nCONFIG GET maxclients\r\n",
        "+OK\r\n*2\r\n$10\r\nmaxclients\r\n$3\r\n123\r\n",
    );
    let settings = group(&mut wire, " settings");
    assert_eq!(settings["maxconns"], "123");
    assert_eq!(settings["idle_timeout"], "456");
    assert_eq!(stats(&mut wire)["max_connections"], "123");
    redis.send(b"INFO clients\r\nPING\r\n");
    let mut lines = std::iter::from_fn(|| Some(redis.line()).filter(|line| line != "+PONG"));
    assert!(lines.any(|line| line == "maxclients:123"));
}

#[test]
fn statistics_by_prefix_are_not_kept_and_say_so() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask(
        "stats detail on\r\n",
        "SERVER_ERROR statistics by prefix are not kept\r\n",
    );
    wire.ask("stats detail off\r\n", "OK\r\n");
    wire.ask("stats detail dump\r\n", "END\r\n");
    wire.ask(
        "stats detail\r\n",
        "CLIENT_ERROR usage: stats detail on|off|dump\r\n",
    );
}

fn stats(wire: &mut Wire) -> HashMap<String, String> {
    group(wire, "")
}

fn group(wire: &mut Wire, group: &str) -> HashMap<String, String> {
    lines(wire, group).into_iter().collect()
}

fn names(wire: &mut Wire, group: &str) -> Vec<String> {
    lines(wire, group).into_iter().map(|line| line.0).collect()
}

fn lines(wire: &mut Wire, group: &str) -> Vec<(String, String)> {
    wire.send(format!("stats{group}\r\n").as_bytes());
    let mut lines = Vec::new();
    loop {
        let line = wire.line();
        if line == "END" {
            return lines;
        }
        let stat = line.strip_prefix("STAT ").expect("a statistic");
        let (name, value) = stat.split_once(' ').expect("a name and a value");
        lines.push((name.to_owned(), value.to_owned()));
    }
}
