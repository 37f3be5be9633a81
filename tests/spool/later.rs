//! `--write behind`: values that reach their server later, as they were written, or not at all.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write as _};
use std::thread;
use std::time::Duration;

use ringfort::config::Protocol;

use super::pool_with;
use crate::support::{
    backends::Backend,
    gate::Gate,
    process::{ScratchFolder, Signal},
    ringfort::Ringfort,
    wait_for,
    wire::Wire,
};

/// Asks for one line.
pub(super) fn line(wire: &mut Wire, request: &str) -> String {
    wire.send(request.as_bytes());
    wire.line()
}

/// Asks until the answer is this.
pub(super) fn line_until(wire: &mut Wire, request: &str, expected: &str) {
    wait_for(expected, || (line(wire, request) == expected).then_some(()));
}

/// Waits until nothing waits any more.
pub(super) fn wait_for_servers(ringfort: &Ringfort) {
    let mut wire = Wire::connect(ringfort.resp());
    wait_for("the spool to be emptied", || {
        wire.send(b"INFO stats\r\n");
        let head = wire.line();
        let length: usize = head.trim_start_matches('$').parse().expect("a length");
        let text = String::from_utf8(wire.bytes(length + 2)).expect("text");
        text.contains("spool_records:0\r\n").then_some(())
    });
}

#[test]
fn a_memcached_that_was_away_gets_values_flags_and_times_to_live() {
    let mut memcached = Backend::memcached();
    memcached.stop();
    let folder = ScratchFolder::new();
    let ringfort = pool_with(
        "behind",
        memcached.address(),
        Protocol::Memcache,
        &folder,
        &[],
    );
    let mut wire = Wire::connect(ringfort.memcache());
    for (request, expected) in [
        ("set stays 7 0 5\r\nfirst\r\n", "STORED"),
        ("set stays 9 0 4\r\nlast\r\n", "STORED"),
        ("set lives 0 1000 1\r\nv\r\n", "STORED"),
        ("set dies 0 1 1\r\nv\r\n", "STORED"),
        ("set past 0 -1 1\r\nv\r\n", "STORED"),
        ("ms meta 1 F3 T0\r\nm\r\n", "HD"),
        ("set gone 0 0 1\r\nv\r\n", "STORED"),
        ("delete gone\r\n", "DELETED"),
        // What needs the server cannot be had, nor promised.
        ("incr stays 1\r\n", "SERVER_ERROR backend is unavailable"),
        (
            "add other 0 0 1\r\nv\r\n",
            "SERVER_ERROR backend is unavailable",
        ),
        ("mg stays c\r\n", "SERVER_ERROR backend is unavailable"),
        ("get gone\r\n", "END"),
        ("get past\r\n", "END"),
        ("mg gone v\r\n", "EN"),
    ] {
        assert_eq!(line(&mut wire, request), expected, "{request}");
    }
    wire.send(b"get stays gone meta\r\n");
    let seen: Vec<_> = (0..5).map(|_| wire.line()).collect();
    assert_eq!(
        seen,
        ["VALUE stays 9 4", "last", "VALUE meta 3 1", "m", "END"]
    );
    thread::sleep(Duration::from_millis(1_100));
    assert_eq!(line(&mut wire, "get dies\r\n"), "END", "its time is over");
    let (status, _) = ringfort.end(Signal::TERM);
    assert!(status.success(), "it does not wait for who is away");

    memcached.restart();
    let mut direct = memcached.connect();
    assert_eq!(line(&mut direct, "set dies 0 0 5\r\nolder\r\n"), "STORED");
    let ringfort = pool_with(
        "behind",
        memcached.address(),
        Protocol::Memcache,
        &folder,
        &[],
    );
    line_until(&mut direct, "mg stays v f\r\n", "VA 4 f9");
    assert_eq!(direct.line(), "last");
    line_until(&mut direct, "mg meta v f t\r\n", "VA 1 f3 t-1");
    assert_eq!(direct.line(), "m");
    line_until(&mut direct, "mg dies\r\n", "EN");
    for key in ["gone", "past"] {
        assert_eq!(line(&mut direct, &format!("mg {key}\r\n")), "EN", "{key}");
    }
    let left = line(&mut direct, "mg lives t\r\n");
    let left: u64 = left.trim_start_matches("HD t").parse().expect("seconds");
    assert!((900..1_000).contains(&left), "{left}: its time went on");
    // And now all that needs the server, behind what waits for it.
    let mut wire = Wire::connect(ringfort.memcache());
    let expected = ["STORED", "6", "STORED", "STORED"];
    wire.send(
        b"set n 0 0 1\r\n5\r\nincr n 1\r\nappend n 0 0 1\r\n0\r\nset x 0 0 1\r\nv\r\nget n\r\n",
    );
    assert_eq!(expected.map(|_| wire.line()), expected);
    assert_eq!([wire.line(), wire.line()], ["VALUE n 0 2", "60"]);
}

#[test]
fn a_redis_that_was_away_gets_values_and_times_to_live() {
    let mut redis = Backend::redis();
    redis.stop();
    let folder = ScratchFolder::new();
    let start =
        |redis: &Backend| pool_with("behind", redis.address(), Protocol::Resp, &folder, &[]);
    let ringfort = start(&redis);
    let mut wire = Wire::connect(ringfort.resp());
    let unavailable = "-ERR backend is unavailable";
    for (request, expected) in [
        ("SET stays first\r\n", "+OK"),
        ("SET stays last\r\n", "+OK"),
        ("SET lives v EX 1000\r\n", "+OK"),
        ("PSETEX dies 300 v\r\n", "+OK"),
        ("SET past v PXAT 1\r\n", "+OK"),
        ("MSET a 1 b 2\r\n", "+OK"),
        ("SET gone v\r\n", "+OK"),
        ("DEL gone never\r\n", ":2"),
        ("SET a 3 NX\r\n", unavailable),
        ("SET a 3 KEEPTTL\r\n", unavailable),
        ("GETSET a 3\r\n", unavailable),
        ("SETNX a 3\r\n", unavailable),
        ("INCR a\r\n", unavailable),
        ("STRLEN a\r\n", unavailable),
        ("STRLEN gone\r\n", ":0"),
        ("GET gone\r\n", "$-1"),
        ("EXISTS past\r\n", ":0"),
    ] {
        assert_eq!(line(&mut wire, request), expected, "{request}");
    }
    wire.send(b"MGET stays gone a\r\n");
    let seen: Vec<_> = (0..6).map(|_| wire.line()).collect();
    assert_eq!(seen, ["*3", "$4", "last", "$-1", "$1", "1"]);
    let refused = line(&mut wire, "EVAL 'return 1' 2 a b\r\n");
    assert!(
        refused.ends_with("which is not possible with --write behind"),
        "{refused}"
    );
    assert_eq!(line(&mut wire, "MULTI\r\n"), "+OK");
    let refused = line(&mut wire, "SET a 4\r\n");
    assert!(
        refused.ends_with("which is not possible with --write behind"),
        "{refused}"
    );
    ringfort.kill();

    redis.restart();
    let mut direct = redis.connect();
    for key in ["dies", "gone", "past"] {
        assert_eq!(line(&mut direct, &format!("SET {key} older\r\n")), "+OK");
    }
    let ringfort = start(&redis);
    line_until(&mut direct, "GET stays\r\n", "$4");
    assert_eq!(direct.line(), "last");
    wait_for_servers(&ringfort);
    line_until(&mut direct, "EXISTS dies gone past never\r\n", ":0");
    let left = line(&mut direct, "PTTL lives\r\n");
    let left: u64 = left.trim_start_matches(':').parse().expect("milliseconds");
    assert!((900_000..1_000_000).contains(&left), "{left}");
    let mut wire = Wire::connect(ringfort.resp());
    wire.send(b"SET n 5\r\nINCR n\r\nSTRLEN n\r\nSET n 7\r\nAPPEND n 0\r\nGET n\r\n");
    let expected = ["+OK", ":6", ":1", "+OK", ":2", "$2", "70"];
    assert_eq!(expected.map(|_| wire.line()), expected);
}

/// A server that hangs takes nothing, and is asked for nothing; when it wakes, it gets the newest values, not those
/// that its kernel took for it meanwhile.
#[test]
fn a_server_that_was_frozen_ends_with_the_newest_values() {
    for protocol in [Protocol::Memcache, Protocol::Resp] {
        let backend = match protocol {
            Protocol::Memcache => Backend::memcached(),
            Protocol::Resp => Backend::redis(),
        };
        let folder = ScratchFolder::new();
        let patience = ["--backend-timeout", "1s", "--shards", "2"];
        let ringfort = pool_with("behind", backend.address(), protocol, &folder, &patience);
        let set = |wire: &mut Wire, value: &str| {
            let (request, expected) = match protocol {
                Protocol::Memcache => (format!("set k 0 0 1\r\n{value}\r\n"), "STORED"),
                Protocol::Resp => (format!("SET k {value}\r\n"), "+OK"),
            };
            assert_eq!(line(wire, &request), expected);
        };
        let address = match protocol {
            Protocol::Memcache => ringfort.memcache(),
            Protocol::Resp => ringfort.resp(),
        };
        let mut wire = Wire::connect(address);
        set(&mut wire, "1");
        backend.pause();
        for value in ["2", "3", "4"] {
            set(&mut wire, value);
            // Longer than the server may be silent.
            thread::sleep(Duration::from_millis(700));
        }
        let get = match protocol {
            Protocol::Memcache => "get k\r\n",
            Protocol::Resp => "GET k\r\n",
        };
        let found = match protocol {
            Protocol::Memcache => "VALUE k 0 1",
            Protocol::Resp => "$1",
        };
        assert_eq!([line(&mut wire, get), wire.line()], [found, "4"]);
        backend.resume();
        let mut direct = backend.connect();
        wait_for("the newest value", || {
            let is_found = line(&mut direct, get) == found;
            let value = is_found.then(|| direct.line());
            if protocol == Protocol::Memcache && is_found {
                assert_eq!(direct.line(), "END");
            }
            (value.as_deref() == Some("4")).then_some(())
        });
        // Nothing older comes behind it.
        thread::sleep(Duration::from_millis(300));
        assert_eq!([line(&mut direct, get), direct.line()], [found, "4"]);
    }
}

/// What a flush was answered for does not come back, also if the process is killed right after.
#[test]
fn a_flush_holds_across_a_kill() {
    let redis = Backend::redis();
    let gate = Gate::shut_before(redis.address());
    gate.open();
    let folder = ScratchFolder::new();
    let start = || pool_with("behind", gate.address(), Protocol::Resp, &folder, &[]);
    let ringfort = start();
    let mut wire = Wire::connect(ringfort.resp());
    line_until(&mut wire, "DBSIZE\r\n", ":0");
    let sets: String = (0..500)
        .map(|number| format!("SET k{number} v\r\n"))
        .collect();
    wire.send(format!("{sets}FLUSHALL\r\n").as_bytes());
    for _ in 0..501 {
        assert_eq!(wire.line(), "+OK");
    }
    gate.shut();
    ringfort.kill();
    let mut direct = redis.connect();
    assert_eq!(line(&mut direct, "SET k7 theirs\r\n"), "+OK");
    gate.open();
    let ringfort = start();
    wait_for_servers(&ringfort);
    let left = line(&mut direct, "DBSIZE\r\n");
    assert!(
        [":0", ":1"].contains(&left.as_str()),
        "{left}: at most what was set since"
    );
}

/// What is corrupt may have been newer than what is not.
#[test]
fn values_older_than_a_corruption_are_deleted() {
    let memcached = Backend::memcached();
    let gate = Gate::shut_before(memcached.address());
    let folder = ScratchFolder::new();
    let start = || {
        pool_with(
            "behind",
            gate.address(),
            Protocol::Memcache,
            &folder,
            &["--shards", "1"],
        )
    };
    let ringfort = start();
    let mut wire = Wire::connect(ringfort.memcache());
    for key in ["a", "b", "c"] {
        let request = format!("set {key} 0 0 5\r\nvalue\r\n");
        assert_eq!(line(&mut wire, &request), "STORED");
    }
    ringfort.kill();
    let segment = fs::read_dir(folder.path())
        .expect("the spool")
        .flatten()
        .find(|file| file.file_name().to_string_lossy().ends_with(".spool"))
        .expect("a segment");
    let bytes = fs::read(segment.path()).expect("its bytes");
    let mut values = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"bvalue"));
    let at = values.next().expect("the second record");
    let mut file = OpenOptions::new()
        .write(true)
        .open(segment.path())
        .expect("it");
    file.seek(SeekFrom::Start(at as u64)).expect("the key");
    file.write_all(b"X").expect("a damage");
    let mut direct = memcached.connect();
    for key in ["a", "b", "c"] {
        let request = format!("set {key} 0 0 5\r\nolder\r\n");
        assert_eq!(line(&mut direct, &request), "STORED");
    }
    gate.open();
    let ringfort = start();
    line_until(&mut direct, "mg a\r\n", "EN");
    line_until(&mut direct, "mg c v\r\n", "VA 5");
    assert_eq!(direct.line(), "value");
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert!(status.success());
    assert!(stderr.contains("is corrupt and skipped"), "{stderr}");
}

/// More than memory holds waits on disk alone; who asks for it is not told an older value.
#[test]
fn what_is_on_disk_alone_is_not_passed_over() {
    const COUNT: usize = 70_000;
    let memcached = Backend::memcached();
    let mut direct = memcached.connect();
    let gate = Gate::shut_before(memcached.address());
    let folder = ScratchFolder::new();
    let shards = ["--shards", "1"];
    let ringfort = pool_with(
        "behind",
        gate.address(),
        Protocol::Memcache,
        &folder,
        &shards,
    );
    let mut wire = Wire::connect(ringfort.memcache());
    for start in (0..COUNT).step_by(500) {
        let batch = start..COUNT.min(start + 500);
        let requests: String = batch
            .clone()
            .map(|number| format!("set {number:0>8} 0 0 1\r\nv\r\n"))
            .collect();
        wire.send(requests.as_bytes());
        batch.for_each(|_| assert_eq!(wire.line(), "STORED"));
    }
    let last = format!("{:0>8}", COUNT - 1);
    let untold = "SERVER_ERROR key has a write that is still on disk";
    for request in [format!("get {last}\r\n"), format!("incr {last} 1\r\n")] {
        assert_eq!(line(&mut wire, &request), untold, "{request}");
    }
    gate.open();
    wait_for("all to be there", || {
        (memcached.memcached_stat("curr_items") == COUNT as u64).then_some(())
    });
    line_until(&mut wire, &format!("mg {last} v\r\n"), "VA 1");
    assert_eq!(wire.line(), "v");
    assert_eq!(line(&mut direct, &format!("mg {last} v\r\n")), "VA 1");
}

/// The newest write of a key may find no room where an older one waits.
#[test]
fn a_write_on_disk_hides_an_older_one_that_is_queued() {
    const VALUE_BYTES: usize = 1_000_000;
    const QUEUE_BYTES_MAX: usize = 16 << 20;
    let memcached = Backend::memcached();
    let gate = Gate::shut_before(memcached.address());
    let folder = ScratchFolder::new();
    let shards = ["--shards", "1"];
    let server = gate.address();
    let ringfort = pool_with("behind", server, Protocol::Memcache, &folder, &shards);
    let mut wire = Wire::connect(ringfort.memcache());
    let mut set = |key: &str, value: &str| {
        let length = value.len();
        let request = format!("set {key} 0 0 {length}\r\n{value}\r\n");
        assert_eq!(line(&mut wire, &request), "STORED", "{key}");
    };
    set("k", "old");
    let value = "v".repeat(VALUE_BYTES);
    for number in 0..QUEUE_BYTES_MAX / VALUE_BYTES {
        set(&format!("other-{number}"), &value);
    }
    set("k", &value);
    let untold = "SERVER_ERROR key has a write that is still on disk";
    assert_eq!(line(&mut wire, "get k\r\n"), untold);
    gate.open();
    line_until(&mut wire, "mg k s\r\n", &format!("HD s{VALUE_BYTES}"));
    let mut direct = memcached.connect();
    line_until(&mut direct, "mg k s\r\n", &format!("HD s{VALUE_BYTES}"));
}
