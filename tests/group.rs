//! The promise: in a group a key that is missing is loaded once, whoever asks for it and however many do, over both
//! protocols and on every shard; all of them get the value, or the error; and what fails is not kept.

mod support;

#[path = "group/binary.rs"]
mod binary;
#[path = "group/freshness.rs"]
mod freshness;
#[path = "group/leases.rs"]
mod leases;
#[path = "group/limits.rs"]
mod limits;

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::origin::{Answer, Origin};
use support::process::{ScratchFolder, Signal};
use support::ringfort::{Ringfort, refusal};
use support::wire::Wire;
use support::{pass_between_shards, wait_for};

/// Clients that ask for one key at a time, of each protocol.
const CROWD: usize = 500;

fn group(origin: &Origin, flags: &[&str]) -> Ringfort {
    let flag = origin.flag();
    Ringfort::start(&[&["--group", "g", "--origin", &flag], flags].concat())
}

#[test]
fn a_thousand_clients_cause_one_load() {
    raise_files();
    let origin = Origin::start(|path| match path {
        "/cold" => Answer::value("served"),
        _ => Answer::status(503),
    });
    let ringfort = group(&origin, &[]);
    for (key, memcache, resp) in [
        (
            "cold",
            "VALUE cold 0 6\r\nserved\r\nEND\r\n",
            "$6\r\nserved\r\n",
        ),
        ("bad", "SERVER_ERROR ", "-ERR "),
    ] {
        let crowd = |address, count| -> Vec<Wire> {
            (0..count)
                .map(|_| Wire::connect(address).reset_on_close())
                .collect()
        };
        let mut readers = crowd(ringfort.memcache(), CROWD);
        let mut others = crowd(ringfort.resp(), CROWD);
        origin.hold();
        for (reader, other) in readers.iter_mut().zip(&mut others) {
            reader.send(format!("get {key}\r\n").as_bytes());
            other.send(format!("GET {key}\r\n").as_bytes());
        }
        let mut admin = Wire::connect(ringfort.memcache());
        wait_for("everybody to have asked", || {
            (admin.stat("groups", "Gets") >= 2 * CROWD as u64).then_some(())
        });
        pass_between_shards(|| Wire::connect(ringfort.resp()));
        origin.release();
        readers
            .iter_mut()
            .for_each(|reader| reader.expect(memcache.as_bytes()));
        others
            .iter_mut()
            .for_each(|other| other.expect(resp.as_bytes()));
        assert_eq!(origin.asked(key), 1, "{key}");
        admin.ask("stats reset\r\n", "RESET\r\n");
    }
}

#[test]
fn a_value_is_kept_for_as_long_as_its_origin_says() {
    let origin = Origin::start(|path| {
        let life = match path {
            "/short" => "max-age=1",
            "/never" => "no-store",
            _ => "max-age=600",
        };
        Answer::value("v").with_head(&format!("Cache-Control: {life}"))
    });
    let ringfort = group(&origin, &[]);
    let mut client = Wire::connect(ringfort.resp());
    for _ in 0..3 {
        client.ask("GET long\r\nGET never\r\n", "$1\r\nv\r\n$1\r\nv\r\n");
    }
    assert_eq!((origin.asked("long"), origin.asked("never")), (1, 3));
    client.send(b"TTL long\r\n");
    let left: u64 = client.line()[1..].parse().expect("a number");
    assert!((500..=600).contains(&left), "{left}");
    let mut memcache = Wire::connect(ringfort.memcache());
    for _ in 0..2 {
        memcache.send(b"mg longer t\r\n");
        let line = memcache.line();
        let left: u64 = line["HD t".len()..].parse().expect("a number");
        assert!((500..=600).contains(&left), "{left}");
    }
    client.ask("GET short\r\n", "$1\r\nv\r\n");
    wait_for("the value to end", || {
        client.ask("GET short\r\n", "$1\r\nv\r\n");
        (origin.asked("short") > 1).then_some(())
    });
}

#[test]
fn what_is_not_there_is_a_miss_and_what_fails_an_error_and_neither_is_kept() {
    let origin = Origin::start(|path| {
        Answer::status(match path {
            "/none" => 404,
            _ => 500,
        })
    });
    let ringfort = group(&origin, &[]);
    let mut memcache = Wire::connect(ringfort.memcache());
    let mut resp = Wire::connect(ringfort.resp());
    for round in 0..2 {
        memcache.ask("get none\r\n", "END\r\n");
        memcache.ask("get none none\r\n", "END\r\n");
        memcache.ask("mg none v\r\nmg none v q\r\nmn\r\n", "EN\r\nMN\r\n");
        resp.ask("GET none\r\nGET \"\"\r\n", "$-1\r\n$-1\r\n");
        memcache.send(b"get bad\r\n");
        assert!(memcache.line().starts_with("SERVER_ERROR "));
        resp.send(b"GET bad\r\n");
        assert!(resp.line().starts_with("-ERR "));
        assert_eq!(origin.asked("bad"), 2 * (round + 1));
    }
    assert!(origin.asked("none") >= 8);
    assert_eq!(origin.asked(""), 0, "the empty key names no value");
    assert_eq!(memcache.stat("groups", "Items"), 0);
}

#[test]
fn what_is_not_there_is_remembered_if_that_is_asked_for() {
    let origin = Origin::start(|path| {
        Answer::status(match path {
            "/none" => 404,
            _ => 500,
        })
    });
    let ringfort = group(&origin, &["--negative-ttl", "1h"]);
    let mut memcache = Wire::connect(ringfort.memcache());
    let mut resp = Wire::connect(ringfort.resp());
    for _ in 0..3 {
        memcache.ask("get none\r\nmg none v\r\n", "END\r\nEN\r\n");
        resp.ask("GET none\r\n", "$-1\r\n");
        memcache.send(b"get bad\r\n");
        assert!(memcache.line().starts_with("SERVER_ERROR "));
        resp.send(b"GET bad\r\n");
        assert!(resp.line().starts_with("-ERR "));
    }
    assert_eq!((origin.asked("none"), origin.asked("bad")), (1, 1));
    resp.ask("SET none now\r\nGET none\r\n", "+OK\r\n$3\r\nnow\r\n");
    resp.ask("DEL none\r\nGET none\r\n", ":1\r\n$-1\r\n");
    assert_eq!(origin.asked("none"), 2, "a write forgets it");
    resp.ask("FLUSHALL\r\nGET none\r\n", "+OK\r\n$-1\r\n");
    assert_eq!(origin.asked("none"), 3, "a flush does, too");
    let short = group(&origin, &["--negative-ttl", "50ms"]);
    let mut client = Wire::connect(short.resp());
    let before = origin.asked("none");
    wait_for("it to be forgotten", || {
        client.ask("GET none\r\n", "$-1\r\n");
        (origin.asked("none") >= before + 2).then_some(())
    });
}

#[test]
fn keys_of_one_request_are_answered_in_order() {
    let origin = Origin::start(|path| match path {
        "/none" => Answer::status(404),
        _ => Answer::value(path),
    });
    let ringfort = group(&origin, &[]);
    let mut memcache = Wire::connect(ringfort.memcache());
    memcache.ask("get b\r\n", "VALUE b 0 2\r\n/b\r\nEND\r\n");
    // Whoever would make room for a value, and fill it, gets it.
    memcache.ask(
        "mg n v N30\r\nmg n v N30\r\n",
        "VA 2\r\n/n\r\nVA 2\r\n/n\r\n",
    );
    memcache.ask("mg none v N30\r\n", "EN\r\n");
    memcache.ask(
        "get a b none c\r\nget a\r\n",
        "VALUE a 0 2\r\n/a\r\nVALUE b 0 2\r\n/b\r\nVALUE c 0 2\r\n/c\r\nEND\r\nVALUE a 0 2\r\n/a\r\nEND\r\n",
    );
    let mut resp = Wire::connect(ringfort.resp());
    resp.ask(
        "MGET a none d\r\nPING\r\n",
        "*3\r\n$2\r\n/a\r\n$-1\r\n$2\r\n/d\r\n+PONG\r\n",
    );
    resp.ask("HELLO 3\r\n", "%7\r\n");
    let mut third = Wire::connect(ringfort.resp());
    third.send(b"HELLO 3\r\nGET none\r\n");
    wait_for("RESP3's null", || (third.line() == "_").then_some(()));
}

#[test]
fn a_value_tells_the_same_of_itself_loaded_and_kept() {
    let origin = Origin::start(|_| Answer::value("v").with_head("Cache-Control: max-age=100"));
    let ringfort = group(&origin, &[]);
    let mut client = Wire::connect(ringfort.memcache());
    for (request, lines) in [("gets a", 3), ("mg b v c f s k O1", 2), ("mg c v h l", 2)] {
        let mut replies = Vec::new();
        for _ in 0..2 {
            client.send(format!("{request}\r\n").as_bytes());
            replies.push((0..lines).map(|_| client.line()).collect::<Vec<_>>());
        }
        if request.contains(" h") {
            assert_eq!(replies[0][0], "VA 1 h0 l0");
        } else {
            assert_eq!(replies[0], replies[1], "{request}");
        }
    }
}

#[test]
fn a_source_that_does_not_answer_costs_no_more_than_the_deadline() {
    let origin = Origin::echo();
    let ringfort = group(&origin, &["--load-timeout", "3s"]);
    origin.hold();
    let mut client = Wire::connect(ringfort.resp());
    let mut other = Wire::connect(ringfort.memcache());
    client.send(b"GET a\r\n");
    other.send(b"get b\r\n");
    client.expect(b"-ERR origin did not answer in time\r\n");
    other.expect(b"SERVER_ERROR origin did not answer in time\r\n");
    origin.release();
    client.ask("GET a\r\n", "$1\r\na\r\n");
    assert_eq!(other.stat("groups", "LocalLoadErrs"), 2);
}

#[test]
fn one_load_more_than_may_wait_is_refused_at_once() {
    let origin = Origin::echo();
    let ringfort = group(&origin, &["--loads-max", "1", "--load-queue-max", "1"]);
    origin.hold();
    let mut clients: Vec<_> = (0..3).map(|_| Wire::connect(ringfort.resp())).collect();
    clients[0].send(b"GET first\r\n");
    wait_for("the first load", || {
        (origin.asked("first") == 1).then_some(())
    });
    clients[1].send(b"GET second\r\n");
    let mut admin = Wire::connect(ringfort.memcache());
    wait_for("the second load", || {
        (admin.stat("groups", "LoadsDeduped") == 2).then_some(())
    });
    clients[2].ask("GET third\r\n", "-ERR too many loads are waiting\r\n");
    assert_eq!(admin.stat("groups", "LoadsRefused"), 1);
    assert_eq!(origin.asked_in_all(), 1, "the others wait");
    origin.release();
    clients[0].expect(b"$5\r\nfirst\r\n");
    clients[1].expect(b"$6\r\nsecond\r\n");
    clients[2].ask("GET third\r\n", "$5\r\nthird\r\n");
}

#[test]
fn what_a_group_cannot_do_is_refused_in_everybodys_words() {
    const CANNOT: &str = "a key of a group can only be read, set and deleted";
    let origin = Origin::echo();
    let ringfort = group(&origin, &[]);
    let mut memcache = Wire::connect(ringfort.memcache());
    for request in [
        "add k 0 0 1\r\nv",
        "replace k 0 0 1\r\nv",
        "append k 0 0 1\r\nv",
        "cas k 0 0 1 7\r\nv",
        "incr k 1",
        "touch k 5",
        "gat 5 k",
        "ma k",
        "mg k T5",
        "mg k N5 E7",
        "ms k 1 ME\r\nv",
        "ms k 1 C7\r\nv",
        "md k I",
    ] {
        memcache.ask(
            format!("{request}\r\n"),
            format!("SERVER_ERROR {CANNOT}\r\n"),
        );
    }
    let no_flags = "SERVER_ERROR a value of a group has no flags\r\n";
    memcache.ask("set k 1 0 1\r\nv\r\n", no_flags);
    memcache.ask("ms k 1 F1\r\nv\r\n", no_flags);
    memcache.ask("incr k 1 noreply\r\nversion\r\n", "VERSION ");
    let mut resp = Wire::connect(ringfort.resp());
    for request in [
        "SET k v NX",
        "SET k v XX GET",
        "SET k v KEEPTTL",
        "SETNX k v",
        "GETSET k v",
        "GETDEL k",
        "GETEX k PERSIST",
        "APPEND k v",
        "INCR k",
        "EXPIRE k 5",
        "PERSIST k",
        "SETRANGE k 0 v",
        "RENAME k l",
    ] {
        resp.ask(format!("{request}\r\n"), format!("-ERR {CANNOT}\r\n"));
    }
    for request in ["MULTI", "WATCH k"] {
        let line = "-ERR there are no transactions in a group\r\n";
        resp.ask(format!("{request}\r\n"), line);
    }
    let line =
        "-ERR client tracking is not possible in a group: its sources change keys unheard\r\n";
    resp.ask("CLIENT TRACKING ON\r\n", line);
    assert_eq!(origin.asked_in_all(), 0, "nothing of that loads anything");
}

#[test]
fn sets_and_deletes_need_no_origin() {
    let origin = Origin::echo();
    let ringfort = group(&origin, &[]);
    let mut resp = Wire::connect(ringfort.resp());
    resp.ask(
        "SET a 1 EX 100\r\nMSET b 2 c 3\r\nMGET a b c\r\nDEL a b c d\r\n",
        "+OK\r\n+OK\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n:3\r\n",
    );
    assert_eq!(origin.asked_in_all(), 0);
    resp.ask("GET a\r\n", "$1\r\na\r\n");
    assert_eq!(origin.asked_in_all(), 1);
}

#[test]
fn a_client_that_gives_up_takes_nobody_along() {
    let origin = Origin::echo();
    let ringfort = group(&origin, &[]);
    origin.hold();
    let mut patient = Wire::connect(ringfort.resp());
    let mut impatient: Vec<_> = (0..20)
        .map(|_| Wire::connect(ringfort.memcache()))
        .collect();
    impatient
        .iter_mut()
        .for_each(|client| client.send(b"get k\r\n"));
    wait_for("the load", || (origin.asked("k") == 1).then_some(()));
    patient.send(b"GET k\r\n");
    drop(impatient);
    origin.release();
    patient.expect(b"$1\r\nk\r\n");
    let mut admin = Wire::connect(ringfort.memcache());
    wait_for("them to be gone", || {
        (admin.stat("", "curr_connections") == 2).then_some(())
    });
    assert_eq!(origin.asked("k"), 1);
}

#[test]
fn an_end_waits_for_what_clients_wait_for() {
    let origin = Origin::echo();
    let ringfort = group(&origin, &[]);
    origin.hold();
    let mut client = Wire::connect(ringfort.resp());
    client.send(b"GET k\r\n");
    wait_for("the load", || (origin.asked("k") == 1).then_some(()));
    let releasing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        origin.release();
        origin
    });
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert!(status.success(), "{stderr}");
    client.expect(b"$1\r\nk\r\n");
    drop(releasing.join());
}

#[test]
fn a_folder_is_an_origin() {
    let folder = ScratchFolder::new();
    folder.write("hello", "world");
    let origin = format!("dir:{}", folder.path().display());
    let ringfort = Ringfort::start(&["--group", "files", "--origin", &origin]);
    let mut client = Wire::connect(ringfort.resp());
    client.ask("GET hello\r\n", "$5\r\nworld\r\n");
    client.ask("GET ../hello\r\nGET none\r\n", "$-1\r\n$-1\r\n");
    let none = format!("dir:{}/none", folder.path().display());
    let (code, line) = refusal(&["--group", "files", "--origin", &none]);
    assert_eq!(code, Some(2), "{line}");
    assert!(line.starts_with("ringfort: error: --origin dir:"), "{line}");
}

#[test]
fn statistics_have_groupcaches_names() {
    let origin = Origin::echo();
    let ringfort = group(&origin, &[]);
    let mut client = Wire::connect(ringfort.memcache());
    for _ in 0..2 {
        client.ask("get a\r\n", "VALUE a 0 1\r\na\r\nEND\r\n");
    }
    for (name, value) in [
        ("Gets", 2),
        ("CacheHits", 1),
        ("Loads", 1),
        ("LoadsDeduped", 1),
        ("LocalLoads", 1),
        ("LocalLoadErrs", 0),
        ("Items", 1),
        ("Evictions", 0),
        ("MainItems", 1),
        ("MainEvictions", 0),
        ("HotItems", 0),
        ("HotBytes", 0),
        ("HotEvictions", 0),
    ] {
        assert_eq!(client.stat("groups", name), value, "{name}");
    }
    let mut resp = Wire::connect(ringfort.resp());
    resp.send(b"INFO groups\r\n");
    let text: Vec<_> = (0..4).map(|_| resp.line()).collect();
    assert_eq!(text[1..], ["# Groups", "Gets:2", "CacheHits:1"]);
    let embedded = Ringfort::embedded();
    Wire::connect(embedded.memcache()).ask("stats groups\r\n", "ERROR\r\n");
    Wire::connect(embedded.resp()).ask("INFO groups\r\n", "$0\r\n\r\n");
}

/// A thousand connections are more than a process may have open by default.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("the hard limit is allowed");
}
