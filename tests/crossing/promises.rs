//! memcache clients over Redis servers: of many who miss a value one is told to make it, and of many who find that it
//! ends soon one is told to renew it.

use std::collections::HashSet;
use std::sync::Barrier;

use crate::meta_over_redis::told;
use crate::support::backends::Backend;
use crate::support::wait_for;
use crate::support::wire::Wire;
use crate::{Crossed, L1, bulk, command};

/// Connections of a crowd; with two shards each has some of them.
const CROWD: usize = 12;

/// What memcached says of promises and renewals.
const CONVERSATION: &str = "\
mg n v N30
mg n v N30
mg n v
mg n s t f k O1 N30
mg n N30 q
get n
gat 30 n
ms n 3 T100 F5
new
mg n v N30 t f
mg n v R30
mg n R30 q
mg n v t R200
mg n v t R200
mg n R200 T150 t
ms n 3 T100
nxt
mg n v T300 R200
mg n v R200
mg n v T100 R200
mg n v T100 R200
md n
mg n v R30
mg n N90 R200 v
mg n N90 R200 v
md n
mg n N0 t s
mg n N0 t s
ma n
add n 0 0 1
x
replace n 0 0 1
y
mg n v N30
mg none k v N30
mg none k v N30
get none
md none q
mg none v
mg none t N30 T60
mg none t
version
";

fn crowd(pool: &Crossed) -> Vec<Wire> {
    (0..CROWD).map(|_| pool.memcache()).collect()
}

/// Has all ask at a time, and tells how many answers end so.
fn ask_at_once(crowd: &mut [Wire], request: &str, endings: [&str; 2]) -> [usize; 2] {
    let barrier = Barrier::new(crowd.len());
    let lines: Vec<String> = std::thread::scope(|scope| {
        let asking = crowd.iter_mut().map(|wire| {
            scope.spawn(|| {
                barrier.wait();
                wire.send(request.as_bytes());
                wire.line()
            })
        });
        let asking: Vec<_> = asking.collect();
        let answers = asking.into_iter().map(|thread| thread.join());
        answers.map(|line| line.expect("no panic")).collect()
    });
    endings.map(|ending| lines.iter().filter(|line| line.ends_with(ending)).count())
}

#[test]
fn promises_are_told_as_by_memcached() {
    let expected = told(Backend::still_memcached().connect(), CONVERSATION);
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        assert_eq!(told(pool.memcache(), CONVERSATION), expected, "L1 {l1}");
    }
}

#[test]
fn of_many_who_miss_a_value_one_is_to_make_it() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--shards", "2", "--l1", l1]);
        let mut crowd = crowd(&pool);
        for key in (0..20).map(|number| format!("key{number}")) {
            let request = format!("mg {key} s N30\r\n");
            let told = ask_at_once(&mut crowd, &request, ["s0 W", "s0 Z"]);
            assert_eq!(told, [1, CROWD - 1], "{key}, L1 {l1}");
            // Until it is made it is an empty value for everybody.
            crowd[0].ask(
                format!("get {key}\r\n"),
                format!("VALUE {key} 0 0\r\n\r\nEND\r\n"),
            );
            crowd[1].ask(format!("mg {key} v\r\n"), "VA 0 Z\r\n\r\n");
            pool.resp()
                .ask(format!("GET {key}\r\nTTL {key}\r\n"), "$0\r\n\r\n:30\r\n");
            crowd[2].ask(format!("ms {key} 4\r\nmade\r\n"), "HD\r\n");
            let told = ask_at_once(&mut crowd, &request, ["s4", "Z"]);
            assert_eq!(told, [CROWD, 0], "{key}, L1 {l1}");
        }
        // Who is to make it takes too long: another is told.
        pool.memcache().ask("mg late v N1\r\n", "VA 0 W\r\n\r\n");
        let mut other = pool.memcache();
        wait_for("another to be told", || {
            other.send(b"mg late N1\r\n");
            (other.line() == "HD W").then_some(())
        });
        // And after a delete.
        other.ask("md late\r\nmg late N30\r\n", "HD\r\nHD W\r\n");
    }
}

#[test]
fn of_many_who_see_a_value_end_one_is_to_renew_it() {
    let pool = Crossed::over_redis(&["--shards", "2"]);
    let mut crowd = crowd(&pool);
    for key in (0..20).map(|number| format!("key{number}")) {
        let mut resp = pool.resp();
        resp.ask(format!("SET {key} old PX 90000\r\n"), "+OK\r\n");
        let request = format!("mg {key} s R100\r\n");
        assert_eq!(ask_at_once(&mut crowd, "mn\r\n", ["MN", "W"]), [CROWD, 0]);
        let not_yet = format!("mg {key} s R30\r\n");
        assert_eq!(ask_at_once(&mut crowd, &not_yet, ["s3", "W"]), [CROWD, 0]);
        let told = ask_at_once(&mut crowd, &request, ["s3 W", "s3 Z"]);
        assert_eq!(told, [1, CROWD - 1], "{key}");
        // Another value is to be renewed by another, whoever has written it.
        resp.ask(format!("SET {key} newer PX 90000\r\n"), "+OK\r\n");
        let told = ask_at_once(&mut crowd, &request, ["s5 W", "s5 Z"]);
        assert_eq!(told, [1, CROWD - 1], "{key}");
        crowd[0].ask(format!("ms {key} 1 T0\r\nx\r\n"), "HD\r\n");
        assert_eq!(ask_at_once(&mut crowd, &request, ["s1", "W"]), [CROWD, 0]);
    }
}

/// Who was to make a value that somebody has deleted since makes none.
#[test]
fn a_late_maker_is_refused() {
    let pool = Crossed::over_redis(&[]);
    let mut wire = pool.memcache();
    let mut ids = HashSet::new();
    for _ in 0..50 {
        wire.send(b"mg key c N30\r\n");
        let line = wire.line();
        let id = line
            .strip_prefix("HD c")
            .and_then(|rest| rest.strip_suffix(" W"));
        ids.insert(id.expect("an id").to_owned());
        wire.ask("md key\r\n", "HD\r\n");
    }
    assert_eq!(ids.len(), 50);
    wire.send(b"mg key c N30\r\n");
    let line = wire.line();
    let id = line
        .strip_prefix("HD c")
        .and_then(|rest| rest.strip_suffix(" W"));
    let id = id.expect("an id").to_owned();
    for late in &ids {
        wire.ask(format!("ms key 4 C{late}\r\nlate\r\n"), "EX\r\n");
    }
    wire.ask(format!("ms key 4 C{id}\r\nmade\r\n"), "HD\r\n");
    wire.ask("get key\r\n", "VALUE key 0 4\r\nmade\r\nEND\r\n");
}

/// Whatever looks into a promise sees an empty value; whatever changes it makes it one.
#[test]
fn a_promise_is_an_empty_value() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        let (mut memcache, mut resp) = (pool.memcache(), pool.resp());
        let mut promise = || {
            memcache.send(b"md key\r\n");
            memcache.line();
            memcache.ask("mg key N30\r\n", "HD W\r\n");
        };
        let mut other = pool.memcache();
        let looks: &[(&str, &str)] = &[
            ("STRLEN key", ":0\r\n"),
            ("GETRANGE key 0 -1", "$0\r\n\r\n"),
            ("MGET key", "*1\r\n$0\r\n\r\n"),
            ("TYPE key", "+string\r\n"),
            ("GETBIT key 7", ":0\r\n"),
            ("BITCOUNT key", ":0\r\n"),
            (
                "INCR key",
                "-ERR value is not an integer or out of range\r\n",
            ),
        ];
        promise();
        for (request, reply) in looks {
            resp.ask(format!("{request}\r\n"), reply);
            other.ask("mg key t\r\n", "HD t30 Z\r\n");
        }
        let changes: &[(&str, &str, &str)] = &[
            ("APPEND key ab", ":2\r\n", "ab"),
            ("SETRANGE key 1 b", ":2\r\n", "\0b"),
            ("GETSET key new", "$0\r\n\r\n", "new"),
            ("SET key new GET", "$0\r\n\r\n", "new"),
            ("SET key new XX", "+OK\r\n", "new"),
        ];
        for (request, reply, value) in changes {
            promise();
            resp.ask(format!("{request}\r\n"), reply);
            resp.ask("GET key\r\n", bulk(value.as_bytes()));
            let length = value.len();
            pool.memcache().ask(
                "mg key s v\r\n",
                format!("VA {length} s{length}\r\n{value}\r\n"),
            );
        }
        for request in [
            "append key 0 0 2\r\nab\r\n",
            "prepend key 0 0 2\r\nab\r\n",
            "replace key 0 0 2\r\nab\r\n",
        ] {
            promise();
            other.ask(request, "STORED\r\n");
            other.ask("mg key v\r\n", "VA 2\r\nab\r\n");
        }
        for request in ["ms key 2 MA\r\nab\r\n", "ms key 2 MP\r\nab\r\n"] {
            promise();
            other.ask(request, "HD\r\n");
            other.ask("mg key v\r\n", "VA 2\r\nab\r\n");
        }
        promise();
        resp.ask("GETDEL key\r\nEXISTS key\r\n", "$0\r\n\r\n:0\r\n");
        // What looks like a promise is none.
        let alike = b"\0mcflag\xfe12345678";
        resp.ask(command(&[b"SET", b"key", alike]), "+OK\r\n");
        resp.ask("GET key\r\n", bulk(alike));
        resp.ask(command(&[b"SET", b"key", &alike[..10]]), "+OK\r\n");
        resp.ask(command(&[b"APPEND", b"key", &alike[10..]]), ":16\r\n");
        resp.ask("GET key\r\n", bulk(alike));
    }
}
