//! memcache's meta commands and its binary protocol over Redis servers.

use crate::support::backends::Backend;
use crate::support::binary::{self, packet};
use crate::support::ringfort::Ringfort;
use crate::support::wire::Wire;
use crate::support::{python, wait_for};
use crate::{Crossed, L1, bulk, command, play};

/// All that memcached says, but for what docs/protocols.md tells apart: marks, accesses, CAS ids that are chosen or
/// outlive their value, blanks behind a number, and a flush that is to be later.
#[test]
fn memcached_is_spoken_as_it_speaks() {
    const SPOKEN: &[&str] = &[
        "memcache_meta",
        "memcache_meta_set",
        "binary_admin",
        "binary_cas",
        "binary_closes_body_short",
        "binary_closes_count_extras",
        "binary_closes_get_empty",
        "binary_closes_get_value",
        "binary_closes_key_long",
        "binary_closes_magic",
        "binary_closes_quit_key",
        "binary_closes_set_extras",
        "binary_closes_touch_surplus",
        "binary_delete",
        "binary_multiget",
        "binary_oversize_joined",
        "binary_quit",
        "binary_quitq",
        "binary_retrieval",
        "binary_storage",
        "binary_touch",
        "binary_unknown",
    ];
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        play(SPOKEN, pool.ringfort.memcache(), &mut 0);
    }
}

/// Each kind of reply, told and hidden.
const CONVERSATION: &str = "\
mg none
mg none q
mg none v k O1
mn
ms a 5 T100 F7
hello
ms a 1 ME q
x
ms a 1 ME k O9
x
ms b 3 q
abc
mg a v f s k O2 t
mg a t T200 t
mg a v q
mg a
mg b q s u
get a b
md b q
md b q k
md b k O3
ms none 1 MR
x
ms none 1 MA k
x
ms none 1 MP
x
ms a 1 MR F9
z
mg a v f t
ms a 1 C1
z
ms nobody 1 C1
z
ms a 1 MA C1 q
z
md a C1 k
md nobody C1
ma n
ma n q
ma n N100
ma n q
ma n v t
ma n N100 J5 v D5
ma n MD D3 v
ma n MD D100 v
ma n C1
ma n T50 v t
ma n t T-1
mg n v
ma m N0 J18446744073709551615 q v
ma m v
ma m MI D18446744073709551615 v
ma a
ms empty 0
\n\
ma empty
ms a 2 T-1
no
mg a v
ms a 2 T-1 MR
no
mg a v T-1
ms Zm9v 3 b k q
bar
mg Zm9v b k v
get foo
ma Zm9v b k
md Zm9v b k
ms YSBi 3 b k
bar
mg YSBi b k v O4
ms YSBi 1 b MA
!
mg YSBi b v s
md YSBi b
mg YSBi b
mg a !
mg a v v
md a q q
ms a 3 MX
abc
ma a MX
ms a 3 q
abcd
mg a v
mn
version
";

/// What memcached 1.6.18 does not know yet.
const LATER: &str = "\
ms none 1 MP N100 F4
x
mg none v f t
ms none 2 MA s
yz
ms none 2 MP q
vw
mg none v f t
ms none 3 MR s
xyz
ms none 1 ME k O9 s
x
ms none 1 MA N0 C1
x
version
";

/// What a server says to all of it, pipelined.
pub(crate) fn told(mut wire: Wire, conversation: &str) -> Vec<String> {
    wire.send(conversation.replace('\n', "\r\n").as_bytes());
    let mut lines = Vec::new();
    loop {
        match wire.line() {
            line if line.starts_with("VERSION ") => return lines,
            line => lines.push(line),
        }
    }
}

#[test]
fn meta_is_answered_as_by_memcached() {
    let expected = told(Backend::still_memcached().connect(), CONVERSATION);
    let embedded = Ringfort::embedded();
    let expected_later = told(Wire::connect(embedded.memcache()), LATER);
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        assert_eq!(told(pool.memcache(), CONVERSATION), expected, "L1 {l1}");
        assert_eq!(told(pool.memcache(), LATER), expected_later, "L1 {l1}");
    }
}

#[test]
fn what_redis_cannot_tell_is_refused_by_name() {
    let pool = Crossed::over_redis(&[]);
    let mut wire = pool.memcache();
    wire.ask("ms key 3\r\none\r\n", "HD\r\n");
    let marks = "flags I and x cannot be done over Redis servers: a string has no marks";
    let access = "flags h and l cannot be done over Redis servers: reads leave no trace there";
    let cas = "flag E cannot be done over Redis servers: the CAS id is the value's digest";
    let debug = "me cannot be done over Redis servers: they do not keep what it tells";
    for (request, reason) in [
        ("md key I T30\r\n", marks),
        ("md key x q\r\n", marks),
        ("ms key 3 I C1\r\ntwo\r\n", marks),
        ("mg key h\r\n", access),
        ("mg key v l\r\n", access),
        ("ms key 3 E5\r\ntwo\r\n", cas),
        ("mg none N30 E5\r\n", cas),
        ("ma key N0 E5\r\n", cas),
        ("me key\r\n", debug),
    ] {
        let reply = format!("SERVER_ERROR {reason}\r\n");
        wire.ask(request, reply);
        // Nothing is done, and the connection goes on.
        wire.ask("mg key v\r\n", "VA 3\r\none\r\n");
    }
    let wrong =
        "SERVER_ERROR WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    for backend in &pool.backends {
        backend.connect().ask("RPUSH list 1\r\n", ":1\r\n");
    }
    for request in ["mg list v q\r\n", "ma list q\r\n", "mg list t\r\n"] {
        wire.ask(request, wrong);
    }
}

/// Flags, CAS ids and ends are the same whoever looks; each write, in whatever words, drops the L1's copy.
#[test]
fn all_protocols_share_a_key() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        let (mut memcache, mut resp) = (pool.memcache(), pool.resp());
        memcache.ask("ms key 5 F16 T100\r\nvalue\r\n", "HD\r\n");
        for _ in 0..2 {
            resp.ask("GET key\r\n", bulk(b"value"));
            memcache.ask("get key\r\n", "VALUE key 16 5\r\nvalue\r\nEND\r\n");
        }
        memcache.send(b"gets key\r\nmg key c s f\r\n");
        let line = memcache.line();
        let id = line.strip_prefix("VALUE key 16 5 ").expect("a value");
        memcache.expect(format!("value\r\nEND\r\nHD c{id} s5 f16\r\n").as_bytes());
        memcache.ask(format!("mg key v C{id}\r\n"), "HD\r\n");
        // A store tells the id that a reader gets.
        memcache.send(format!("ms key 3 c C{id}\r\nnew\r\n").as_bytes());
        let line = memcache.line();
        let second = line.strip_prefix("HD c").expect("an id");
        resp.ask("GET key\r\n", bulk(b"new"));
        let value = format!("VALUE key 0 3 {second}\r\nnew\r\nEND\r\n");
        memcache.ask("gets key\r\n", value);
        memcache.ask(format!("md key C{id}\r\n"), "EX\r\n");
        memcache.send(format!("ms key 1 MA c C{second}\r\n!\r\nmg key v c\r\n").as_bytes());
        let joined = memcache.line();
        let joined = joined.strip_prefix("HD ").expect("done");
        memcache.expect(format!("VA 4 {joined}\r\nnew!\r\n").as_bytes());
        resp.ask("GET key\r\n", bulk(b"new!"));
        memcache.ask("ms key 1 F7\r\n5\r\n", "HD\r\n");
        resp.ask("GET key\r\n", bulk(b"5"));
        memcache.send(b"ma key v c T90\r\nmg key v f c\r\n");
        let counted = memcache.line();
        let counted = counted.strip_prefix("VA 1 ").expect("a number");
        memcache.expect(format!("6\r\nVA 1 f7 {counted}\r\n6\r\n").as_bytes());
        resp.ask("INCR key\r\nTTL key\r\n", ":7\r\n:90\r\n");
        memcache.ask("mg key v f t\r\n", "VA 1 f7 t90\r\n7\r\n");
        resp.ask("PERSIST key\r\n", ":1\r\n");
        memcache.ask("mg key t T-1\r\n", "HD t-1\r\n");
        resp.ask("GET key\r\n", "$-1\r\n");
        // A key in base64 is the key that it stands for.
        resp.ask(command(&[b"SET", b"a b", b"x"]), "+OK\r\n");
        memcache.ask("mg YSBi b v k\r\n", "VA 1 kYSBi b\r\nx\r\n");
        memcache.ask("md YSBi b q\r\nmn\r\n", "MN\r\n");
        resp.ask(command(&[b"GET", b"a b"]), "$-1\r\n");
    }
}

/// Pieces that make up the start of a header are no header.
#[test]
fn what_is_joined_to_a_header_is_none() {
    let pool = Crossed::over_redis(&[]);
    let mut memcache = pool.memcache();
    let whole = b"\0mcflag\xff\0\0\0\x10x";
    for join in ["append", "prepend", "ms MA", "ms MP"] {
        let is_behind = join == "append" || join == "ms MA";
        let (first, second) = whole.split_at(if is_behind { 5 } else { 9 });
        let (there, joined) = match is_behind {
            true => (first, second),
            false => (second, first),
        };
        let length = joined.len();
        let line = match join.strip_prefix("ms ") {
            Some(mode) => format!("ms key {length} {mode}\r\n"),
            None => format!("{join} key 0 0 {length}\r\n"),
        };
        let set = format!("set key 0 0 {}\r\n", there.len());
        memcache.ask([set.as_bytes(), there, b"\r\n"].concat(), "STORED\r\n");
        memcache.send(&[line.as_bytes(), joined, b"\r\n"].concat());
        assert!(["STORED", "HD"].contains(&&memcache.line()[..]), "{join}");
        let shown = [b"VALUE key 0 13\r\n", &whole[..], b"\r\nEND\r\n"].concat();
        memcache.ask("get key\r\n", shown);
    }
}

/// Nobody's change is lost between another's read and write.
#[test]
fn compared_stores_and_counts_are_one_step() {
    const ROUNDS: usize = 60;
    let pool = Crossed::over_redis(&["--shards", "2"]);
    pool.memcache().ask(
        "set n 0 0 1\r\n0\r\nset m 0 0 1\r\n0\r\n",
        "STORED\r\nSTORED\r\n",
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut wire = pool.memcache();
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    wire.ask("ma m q\r\nmn\r\n", "MN\r\n");
                    loop {
                        wire.send(b"mg n c v\r\n");
                        let line = wire.line();
                        let id = line.split(" c").nth(1).expect("an id");
                        let number: usize = wire.line().parse().expect("a number");
                        let next = (number + 1).to_string();
                        let store = format!("ms n {} C{id}\r\n{next}\r\n", next.len());
                        wire.send(store.as_bytes());
                        match &wire.line()[..] {
                            "HD" => break,
                            line => assert_eq!(line, "EX"),
                        }
                    }
                }
            });
        }
    });
    let total = 4 * ROUNDS;
    let all = format!("VA 3\r\n{total}\r\nVA 3\r\n{total}\r\n");
    pool.memcache().ask("mg n v\r\nmg m v\r\n", all);
}

#[test]
fn invalidation_answers_at_once_and_deletes() {
    let pool = Crossed::over_redis(&["--write", "invalidate"]);
    let mut memcache = pool.memcache();
    let expect_gone = |memcache: &mut Wire| {
        wait_for("the delete to arrive", || {
            memcache.send(b"get key\r\n");
            let is_gone = memcache.line() == "END";
            if !is_gone {
                memcache.expect(b"old\r\nEND\r\n");
            }
            is_gone.then_some(())
        });
    };
    let fill = || {
        for backend in &pool.backends {
            backend.connect().ask("SET key old\r\n", "+OK\r\n");
        }
    };
    fill();
    memcache.ask("ms key 3 k O1\r\nnew\r\n", "HD kkey O1\r\n");
    expect_gone(&mut memcache);
    fill();
    memcache.ask("md key q\r\nmn\r\n", "MN\r\n");
    expect_gone(&mut memcache);
    fill();
    let mut binary = pool.memcache();
    binary.send(&packet(0x04, b"key", b""));
    assert_eq!(status(&mut binary), (0, String::new()));
    expect_gone(&mut memcache);
    // What needs the old value goes to the server.
    memcache.ask("ms key 1 MA\r\nx\r\nma key\r\n", "NS\r\nNF\r\n");
}

#[test]
fn binary_errors_say_what_text_does() {
    let mut pool = Crossed::over_redis(&["--shards", "1", "--item-size-max", "16KiB"]);
    let mut binary = pool.memcache();
    for backend in &pool.backends {
        let mut wire = backend.connect();
        wire.ask("RPUSH list 1\r\n", ":1\r\n");
        wire.ask("SETRANGE large 100000 x\r\n", ":100001\r\n");
    }
    binary.send(&packet(0x00, b"list", b""));
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(status(&mut binary), (0x84, wrong.to_owned()));
    binary.send(&packet(0x00, b"large", b""));
    assert_eq!(status(&mut binary), (0x03, "Too large.".to_owned()));
    // Up by one, or begin with 5.
    let count = [&[0; 7][..], &[1], &[0; 7], &[5], &[0; 4]].concat();
    binary.send(&packet(0x05, b"n", &count));
    assert_eq!(status(&mut binary), (0, "\0\0\0\0\0\0\0\u{5}".to_owned()));
    for backend in &pool.backends {
        backend.connect().ask("SCRIPT FLUSH\r\n", "+OK\r\n");
    }
    binary.send(&packet(0x05, b"n", &count));
    let lost = "backend had lost its script and did nothing, try again";
    assert_eq!(status(&mut binary), (0x84, lost.to_owned()));
    binary.send(&packet(0x05, b"n", &count));
    assert_eq!(status(&mut binary), (0, "\0\0\0\0\0\0\0\u{6}".to_owned()));
    let later = "flush_all with a delay cannot be done over Redis servers: they flush at once";
    binary.send(&packet(0x08, b"", &[0, 0, 0, 10]));
    assert_eq!(status(&mut binary), (0x83, later.to_owned()));
    binary.send(&packet(0x08, b"", b""));
    assert_eq!(status(&mut binary), (0, String::new()));
    pool.backends.iter_mut().for_each(Backend::stop);
    wait_for("the servers to be missed", || {
        binary.send(&packet(0x00, b"key", b""));
        let (code, text) = status(&mut binary);
        assert_ne!(code, 0);
        (text == "backend is unavailable").then_some(())
    });
    binary.send(&packet(0x08, b"", b""));
    let unavailable = "backend is unavailable".to_owned();
    assert_eq!(status(&mut binary), (0x84, unavailable));
}

#[test]
fn binary_client_libraries_work() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        let port = pool.ringfort.memcache().port().to_string();
        python::run("with_pylibmc_binary.py", &[&port]);
        python::run("with_python_binary_memcached.py", &[&port]);
    }
}

/// Status and text of a reply.
fn status(wire: &mut Wire) -> (u16, String) {
    let reply = binary::reply(wire);
    (reply.status, String::from_utf8(reply.value).expect("text"))
}
