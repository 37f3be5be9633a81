//! What one protocol sees of the other's later words: meta's marks, the binary protocol, RENAME and COPY, and tracking.

use crate::support::ringfort::Ringfort;
use crate::support::wire::Wire;
use crate::{bulk, command};

fn start() -> (Ringfort, Wire, Wire) {
    let ringfort = Ringfort::embedded();
    let (memcache, resp) = (
        Wire::connect(ringfort.memcache()),
        Wire::connect(ringfort.resp()),
    );
    (ringfort, memcache, resp)
}

/// A value of 5 that is stale and 100 seconds from its end.
const STALE: &str = "ms key 1 T1000\r\n5\r\nmd key I T100\r\n";

#[test]
fn a_stale_value_is_a_value_to_resp() {
    let (_ringfort, mut memcache, mut resp) = start();
    memcache.ask(STALE, "HD\r\nHD\r\n");
    resp.ask("GET key\r\n", bulk(b"5"));
    resp.ask("EXISTS key\r\n", ":1\r\n");
    resp.ask("TTL key\r\n", ":100\r\n");
    // Nobody but mg takes the win.
    memcache.ask(
        "mg key v\r\nmg key v\r\n",
        "VA 1 X W\r\n5\r\nVA 1 Z X\r\n5\r\n",
    );
}

#[test]
fn marks_go_with_the_value_that_they_were_of() {
    let (_ringfort, mut memcache, mut resp) = start();
    for (request, reply) in [
        ("EXPIRE key 90", ":1\r\n"),
        ("PERSIST key", ":1\r\n"),
        ("GETEX key EX 70", "$1\r\n5\r\n"),
    ] {
        memcache.ask(STALE, "HD\r\nHD\r\n");
        resp.ask(format!("{request}\r\n"), reply);
        memcache.ask("mg key v\r\n", "VA 1 X W\r\n5\r\n");
    }
    for (request, reply, value) in [
        ("SET key 7", "+OK\r\n", "7"),
        ("SET key 8 KEEPTTL", "+OK\r\n", "8"),
        ("INCR key", ":6\r\n", "6"),
        ("SETRANGE key 0 9", ":1\r\n", "9"),
    ] {
        memcache.ask(STALE, "HD\r\nHD\r\n");
        resp.ask(format!("{request}\r\n"), reply);
        memcache.ask("mg key v\r\n", format!("VA 1\r\n{value}\r\n"));
    }
}

#[test]
fn what_a_miss_has_made_is_an_empty_string() {
    let (_ringfort, mut memcache, mut resp) = start();
    memcache.ask("mg key v N30\r\n", "VA 0 W\r\n\r\n");
    resp.ask("GET key\r\n", bulk(b""));
    resp.ask("TTL key\r\n", ":30\r\n");
    resp.ask("SETNX key value\r\n", ":0\r\n");
    resp.ask("SET key value XX\r\n", "+OK\r\n");
    memcache.ask("mg key v\r\n", "VA 5\r\nvalue\r\n");
}

#[test]
fn seconds_that_are_left_are_at_least_one_to_mg() {
    let (_ringfort, mut memcache, mut resp) = start();
    resp.ask("SET key value PX 400\r\nTTL key\r\n", "+OK\r\n:0\r\n");
    memcache.ask("mg key t\r\n", "HD t1\r\n");
    resp.ask("SET key value PX 50400\r\nTTL key\r\n", "+OK\r\n:50\r\n");
    memcache.ask("mg key t\r\n", "HD t50\r\n");
    resp.ask("PERSIST key\r\n", ":1\r\n");
    memcache.ask("mg key t\r\n", "HD t-1\r\n");
}

#[test]
fn base64_names_the_keys_that_text_cannot() {
    let (_ringfort, mut memcache, mut resp) = start();
    resp.ask(command(&[b"SET", b"a b", b"old"]), "+OK\r\n");
    memcache.ask("mg YSBi b k v\r\n", "VA 3 kYSBi b\r\nold\r\n");
    memcache.ask("ms YSBi 3 b\r\nnew\r\n", "HD\r\n");
    resp.ask(command(&[b"GET", b"a b"]), bulk(b"new"));
    memcache.ask("md YSBi b\r\n", "HD\r\n");
    resp.ask(command(&[b"EXISTS", b"a b"]), ":0\r\n");
    // 186 bytes are 248 in base64, 187 are 252.
    for (count, reply) in [
        (186, "HD\r\n"),
        (187, "CLIENT_ERROR bad command line format\r\n"),
    ] {
        let key = vec![b'\0'; count];
        resp.ask(command(&[b"SET", &key, b"x"]), "+OK\r\n");
        let digits = "A".repeat(count.div_ceil(3) * 4 - [0, 2, 1][count % 3]);
        let padding = "=".repeat([0, 2, 1][count % 3]);
        memcache.ask(format!("mg {digits}{padding} b\r\n"), reply);
    }
}

#[test]
fn rename_and_copy_take_all_along_but_the_cas_id() {
    let (_ringfort, mut memcache, mut resp) = start();
    memcache.ask("set key 77 1000 1\r\nx\r\n", "STORED\r\n");
    let first = cas(&mut memcache, "key");
    resp.ask("COPY key other\r\n", ":1\r\n");
    resp.ask("TTL other\r\n", ":1000\r\n");
    memcache.ask("get other\r\n", "VALUE other 77 1\r\nx\r\nEND\r\n");
    resp.ask("RENAME key third\r\n", "+OK\r\n");
    resp.ask("TTL third\r\n", ":1000\r\n");
    memcache.ask("get key third\r\n", "VALUE third 77 1\r\nx\r\nEND\r\n");
    let (second, third) = (cas(&mut memcache, "other"), cas(&mut memcache, "third"));
    assert!(first != second && first != third && second != third);
    // A stale value is so under its new name, too.
    memcache.ask(STALE, "HD\r\nHD\r\n");
    resp.ask("COPY key copied\r\nRENAME key named\r\n", ":1\r\n+OK\r\n");
    memcache.ask("mg copied v\r\n", "VA 1 X W\r\n5\r\n");
    memcache.ask("mg named v\r\n", "VA 1 X W\r\n5\r\n");
}

#[test]
fn binary_clients_see_what_text_clients_see() {
    let (ringfort, mut memcache, mut resp) = start();
    let mut binary = Wire::connect(ringfort.memcache());
    resp.ask("SET key value\r\n", "+OK\r\n");
    let id = cas(&mut memcache, "key");
    let (flags, value, seen) = get(&mut binary, b"key");
    assert_eq!((flags, &value[..], seen), (0, &b"value"[..], id));
    memcache.ask("set key 9 0 1\r\n5\r\n", "STORED\r\n");
    resp.ask("INCR key\r\n", ":6\r\n");
    assert_eq!(get(&mut binary, b"key").0, 9);
    // Blanks and line ends are in no text key, but in theirs.
    resp.ask(command(&[b"SET", b"a \r\n", b"x"]), "+OK\r\n");
    assert_eq!(get(&mut binary, b"a \r\n").1, b"x");
}

#[test]
fn who_tracks_hears_of_every_change_by_memcache() {
    let (_ringfort, mut memcache, mut resp) = start();
    resp.send(b"HELLO 3\r\nCLIENT TRACKING ON\r\n");
    while resp.line() != "+OK" {}
    let told = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n";
    for (request, reply) in [
        ("set key 0 0 1\r\n5\r\n", "STORED\r\n"),
        ("append key 0 0 1\r\n1\r\n", "STORED\r\n"),
        ("incr key 1\r\n", "6\r\n"),
        ("touch key 100\r\n", "TOUCHED\r\n"),
        ("gat 100 key\r\n", "VALUE key 0 1\r\n5\r\nEND\r\n"),
        ("mg key T100\r\n", "HD\r\n"),
        ("md key I T100\r\n", "HD\r\n"),
        ("delete key\r\n", "DELETED\r\n"),
    ] {
        memcache.ask("set key 0 0 1\r\n5\r\n", "STORED\r\n");
        resp.ask("GET key\r\n", bulk(b"5"));
        memcache.ask(request, reply);
        resp.expect(told.as_bytes());
    }
    memcache.ask("set key 0 0 1\r\n5\r\n", "STORED\r\n");
    resp.ask("GET key\r\n", bulk(b"5"));
    memcache.ask("get key\r\n", "VALUE key 0 1\r\n5\r\nEND\r\n");
    memcache.ask("add key 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
    memcache.ask("flush_all\r\n", "OK\r\n");
    resp.expect(b">2\r\n$10\r\ninvalidate\r\n_\r\n");
}

fn cas(memcache: &mut Wire, key: &str) -> u64 {
    memcache.send(format!("gets {key}\r\n").as_bytes());
    let line = memcache.line();
    while memcache.line() != "END" {}
    let id = line.rsplit(' ').next().expect("words");
    id.parse().unwrap_or_else(|_| panic!("{line}"))
}

/// The binary protocol's get: flags, value and CAS id.
fn get(binary: &mut Wire, key: &[u8]) -> (u32, Vec<u8>, u64) {
    let count = u8::try_from(key.len()).expect("a short key");
    let mut request = vec![0; 24];
    request[0] = 0x80;
    request[3] = count;
    request[11] = count;
    request.extend_from_slice(key);
    binary.send(&request);
    let header = binary.bytes(24);
    assert_eq!(header[6..8], [0, 0], "a status");
    let body = binary.bytes(usize::from(header[11]));
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let flags = u32::try_from(number(&body[..4])).expect("four bytes");
    (flags, body[4..].to_vec(), number(&header[16..24]))
}
