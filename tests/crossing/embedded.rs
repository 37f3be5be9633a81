//! Both protocols over ringfort's own store.

use crate::support::python;
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

#[test]
fn flags_stay_with_a_value_and_go_with_it() {
    let (_ringfort, mut memcache, mut resp) = start();
    memcache.ask("set key 16 0 2\r\n10\r\n", "STORED\r\n");
    resp.ask("GET key\r\n", bulk(b"10"));
    resp.ask("APPEND key 0\r\n", ":3\r\n");
    resp.ask("INCR key\r\n", ":101\r\n");
    resp.ask("EXPIRE key 1000\r\n", ":1\r\n");
    resp.ask("GETEX key PERSIST\r\n", bulk(b"101"));
    memcache.ask("get key\r\n", "VALUE key 16 3\r\n101\r\nEND\r\n");
    for set in ["SET key new KEEPTTL", "SET key new", "MSET key new"] {
        memcache.ask("set key 16 0 3\r\nold\r\n", "STORED\r\n");
        resp.ask(format!("{set}\r\n"), "+OK\r\n");
        memcache.ask("get key\r\n", "VALUE key 0 3\r\nnew\r\nEND\r\n");
    }
    memcache.ask("set key 16 0 3\r\nold\r\n", "STORED\r\n");
    resp.ask("GETSET key new\r\n", bulk(b"old"));
    memcache.ask("get key\r\n", "VALUE key 0 3\r\nnew\r\nEND\r\n");
    memcache.ask("set key 16 0 3\r\nold\r\n", "STORED\r\n");
    memcache.ask("append key 1 0 1\r\n!\r\n", "STORED\r\n");
    memcache.ask("get key\r\n", "VALUE key 16 4\r\nold!\r\nEND\r\n");
}

#[test]
fn numbers_are_text_and_each_protocol_counts_by_its_own_rules() {
    let (_ringfort, mut memcache, mut resp) = start();
    let not_an_integer = "-ERR value is not an integer or out of range\r\n";
    let non_numeric = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    memcache.ask("set n 0 0 2\r\n10\r\ndecr n 1\r\n", "STORED\r\n9\r\n");
    // memcache leaves a blank in place of the digit that is gone; for Redis that is no number.
    resp.ask("GET n\r\n", bulk(b"9 "));
    resp.ask("INCR n\r\n", not_an_integer);
    memcache.ask("incr n 1\r\n", "10\r\n");
    resp.ask("INCR n\r\n", ":11\r\n");
    resp.ask("DECRBY n 20\r\n", ":-9\r\n");
    memcache.ask("incr n 1\r\n", non_numeric);
    memcache.ask("get n\r\n", "VALUE n 0 2\r\n-9\r\nEND\r\n");
    memcache.ask(
        "set n 0 0 19\r\n9223372036854775807\r\nincr n 1\r\n",
        "STORED\r\n9223372036854775808\r\n",
    );
    resp.ask("INCR n\r\n", not_an_integer);
    resp.ask("SET n 1.5\r\n", "+OK\r\n");
    memcache.ask(
        "get n\r\nincr n 1\r\n",
        ["VALUE n 0 3\r\n1.5\r\nEND\r\n", non_numeric].concat(),
    );
    memcache.ask("incr none 1\r\n", "NOT_FOUND\r\n");
    resp.ask("INCR none\r\n", ":1\r\n");
    memcache.ask("get none\r\n", "VALUE none 0 1\r\n1\r\nEND\r\n");
}

#[test]
fn a_time_to_live_is_the_same_for_both() {
    let (_ringfort, mut memcache, mut resp) = start();
    memcache.ask("set key 0 1000 1\r\nx\r\n", "STORED\r\n");
    resp.send(b"PTTL key\r\n");
    let ms: i64 = resp.line()[1..].parse().expect("a number");
    assert!((900_000..=1_000_000).contains(&ms), "{ms}");
    memcache.ask("touch key 0\r\n", "TOUCHED\r\n");
    resp.ask("TTL key\r\n", ":-1\r\n");
    // PERSIST says whether there was an end, touch whether there is a key.
    resp.ask("PERSIST key\r\n", ":0\r\n");
    memcache.ask("touch key 1000\r\n", "TOUCHED\r\n");
    resp.ask("PERSIST key\r\n", ":1\r\n");
    memcache.ask(
        "touch key 1000\r\nappend key 0 5 1\r\ny\r\n",
        "TOUCHED\r\nSTORED\r\n",
    );
    resp.ask("PERSIST key\r\n", ":1\r\n");
    resp.ask("SET key x EX 1000\r\n", "+OK\r\n");
    memcache.ask("gat 0 key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
    resp.ask("TTL key\r\n", ":-1\r\n");
    memcache.ask("touch key -1\r\n", "TOUCHED\r\n");
    resp.ask("EXISTS key\r\n", ":0\r\n");
    resp.ask("SET key x\r\n", "+OK\r\n");
    resp.ask("EXPIRE key 0\r\n", ":1\r\n");
    memcache.ask("get key\r\n", "END\r\n");
}

/// A CAS id is the value's: what changes only its end leaves it, any write of RESP changes it.
#[test]
fn a_cas_id_changes_with_every_write_of_either_protocol() {
    let (_ringfort, mut memcache, mut resp) = start();
    resp.ask("SET key 1\r\n", "+OK\r\n");
    let mut last = cas(&mut memcache);
    for (request, reply, changes) in [
        ("EXPIRE key 1000", ":1", false),
        ("PERSIST key", ":1", false),
        ("GETEX key EX 1000", "$1\r\n1", false),
        ("TOUCH key", ":1", false),
        ("SET key 1 KEEPTTL", "+OK", true),
        ("SET key 1 NX", "$-1", false),
        ("INCR key", ":2", true),
        ("SET key 1", "+OK", true),
    ] {
        resp.ask(format!("{request}\r\n"), format!("{reply}\r\n"));
        let id = cas(&mut memcache);
        assert_eq!(id != last, changes, "{request}");
        last = id;
    }
    resp.ask("SET key 2\r\n", "+OK\r\n");
    memcache.ask(format!("cas key 0 0 1 {last}\r\n3\r\n"), "EXISTS\r\n");
    resp.ask("DEL key\r\n", ":1\r\n");
    memcache.ask(format!("cas key 0 0 1 {last}\r\n3\r\n"), "NOT_FOUND\r\n");
}

/// memcache's text names keys of 1 to 250 bytes without blanks; RESP has more, which memcache simply does not see.
#[test]
fn keys_that_text_cannot_name_are_resp_alone() {
    let (_ringfort, mut memcache, mut resp) = start();
    let long = [b'k'; 251];
    for key in [
        &b""[..],
        b"two words",
        b"line\r\nflush_all\r\n",
        b"\0",
        &long,
    ] {
        resp.ask(command(&[b"SET", key, b"1"]), "+OK\r\n");
        resp.ask(command(&[b"INCR", key]), ":2\r\n");
        resp.ask(command(&[b"GET", key]), bulk(b"2"));
    }
    memcache.ask("get two words\r\n", "END\r\n");
    let too_long = "CLIENT_ERROR bad command line format\r\n";
    memcache.ask([b"get ", &long[..], b"\r\n"].concat(), too_long);
    memcache.ask("set two 0 0 1\r\nx\r\n", "STORED\r\n");
    resp.ask("GET two\r\n", bulk(b"x"));
    resp.ask(command(&[b"GET", b"two words"]), bulk(b"2"));
    // A tab is a part of a key in both.
    memcache.ask("set a\tb 0 0 1\r\nx\r\n", "STORED\r\n");
    resp.ask(command(&[b"GET", b"a\tb"]), bulk(b"x"));
    memcache.ask("flush_all\r\n", "OK\r\n");
    resp.ask(command(&[b"GET", &long]), "$-1\r\n");
}

#[test]
fn values_are_strings_and_one_flush_is_for_all() {
    let (_ringfort, mut memcache, mut resp) = start();
    memcache.ask("set key 16 0 5 noreply\r\nvalue\r\nmn\r\n", "MN\r\n");
    resp.ask("TYPE key\r\n", "+string\r\n");
    resp.ask("STRLEN key\r\n", ":5\r\n");
    memcache.ask("flush_all 1000\r\n", "OK\r\n");
    resp.ask("GET key\r\n", bulk(b"value"));
    resp.ask("FLUSHALL\r\n", "+OK\r\n");
    memcache.ask("get key\r\n", "END\r\n");
    memcache.ask("set key 0 0 1\r\nx\r\nflush_all\r\n", "STORED\r\nOK\r\n");
    resp.ask("EXISTS key\r\n", ":0\r\n");
    // One limit for both; what would become too long stays as it was.
    let half = vec![b'x'; 600_000];
    resp.ask(command(&[b"SET", b"big", &half]), "+OK\r\n");
    let long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
    resp.ask(command(&[b"APPEND", b"big", &half]), long);
    let append = [b"append big 0 0 600000\r\n", &half[..], b"\r\n"].concat();
    memcache.ask(append, "NOT_STORED\r\n");
    resp.ask("STRLEN big\r\n", ":600000\r\n");
}

#[test]
fn client_libraries_share_the_store() {
    let ringfort = Ringfort::embedded();
    let ports = [ringfort.memcache(), ringfort.resp()].map(|address| address.port().to_string());
    python::run("with_both.py", &[&ports[0], &ports[1], "store"]);
}

fn cas(memcache: &mut Wire) -> u64 {
    memcache.send(b"gets key\r\n");
    let line = memcache.line();
    while memcache.line() != "END" {}
    let id = line.rsplit(' ').next().expect("words");
    id.parse().unwrap_or_else(|_| panic!("{line}"))
}
