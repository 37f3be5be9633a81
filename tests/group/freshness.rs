//! Values that end: they are loaded anew before that if somebody reads them, and shown after it for as long
//! as they may be, while there is no next one.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicUsize, Ordering},
};

use super::{
    group,
    support::{
        origin::{Answer, Origin},
        ringfort::Ringfort,
        wait_for,
        wire::Wire,
    },
};

/// An origin whose values are good for so many seconds and count up from `v1`, and that fails as it is told.
struct Counting {
    origin: Origin,
    status: Arc<AtomicU16>,
}

impl Counting {
    fn start(seconds: u64) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let count = AtomicUsize::new(0);
        let told = Arc::clone(&status);
        let origin = Origin::start(move |_| match told.load(Ordering::SeqCst) {
            200 => {
                let number = 1 + count.fetch_add(1, Ordering::SeqCst);
                Answer::value(format!("v{number}"))
                    .with_head(&format!("Cache-Control: max-age={seconds}"))
            }
            status => Answer::status(status),
        });
        Self { origin, status }
    }

    fn fail_with(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

/// Waits until the value of `k` has ended: what only tells of what is here does not see it any more.
fn wait_for_its_end(ringfort: &Ringfort) {
    let mut wire = Wire::connect(ringfort.resp());
    wait_for("the value's end", || {
        wire.send(b"EXISTS k\r\n");
        (wire.line() == ":0").then_some(())
    });
}

fn figure(ringfort: &Ringfort, name: &str) -> u64 {
    Wire::connect(ringfort.memcache()).stat("groups", name)
}

/// Asks shards of all clients: a connection is one of any shard.
fn everybody(address: std::net::SocketAddr) -> Vec<Wire> {
    (0..8).map(|_| Wire::connect(address)).collect()
}

#[test]
fn a_value_that_has_ended_is_shown_while_the_next_is_loaded() {
    let counting = Counting::start(1);
    let flags = ["--stale", "1h", "--early-refresh", "off", "--shards", "2"];
    let ringfort = group(&counting.origin, &flags);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("GET k\r\n", "$2\r\nv1\r\n");
    wait_for_its_end(&ringfort);
    counting.origin.hold();
    for mut reader in everybody(ringfort.resp()) {
        reader.ask("GET k\r\nTTL k\r\n", "$2\r\nv1\r\n:-2\r\n");
    }
    for mut reader in everybody(ringfort.memcache()) {
        reader.ask("get k\r\n", "VALUE k 0 2\r\nv1\r\nEND\r\n");
        reader.ask("mg k v t N30 R30\r\n", "VA 2 t0 Z X\r\nv1\r\n");
    }
    wait_for("the load", || {
        (counting.origin.asked("k") == 2).then_some(())
    });
    assert_eq!(figure(&ringfort, "Refreshes"), 1);
    assert_eq!(figure(&ringfort, "StaleHits"), 24);
    counting.origin.release();
    wait_for("the next value", || {
        wire.send(b"GET k\r\n");
        let _ = wire.line();
        (wire.line() != "v1").then_some(())
    });
}

#[test]
fn a_value_that_has_ended_is_shown_while_its_source_fails() {
    let counting = Counting::start(1);
    let flags = ["--stale", "1h", "--early-refresh", "off"];
    let ringfort = group(&counting.origin, &flags);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("GET k\r\n", "$2\r\nv1\r\n");
    wait_for_its_end(&ringfort);
    counting.fail_with(503);
    let before = counting.origin.asked("k");
    let began = std::time::Instant::now();
    for _ in 0..500 {
        wire.ask("GET k\r\n", "$2\r\nv1\r\n");
    }
    // One that fails is asked for again after a second.
    let most = 2 + began.elapsed().as_secs() as usize;
    let asked = counting.origin.asked("k") - before;
    assert!(asked <= most, "asked {asked} times");
    wait_for("failures", || {
        (figure(&ringfort, "LocalLoadErrs") > 0).then_some(())
    });
    // What its source has no more goes.
    counting.fail_with(404);
    wait_for("its end", || {
        wire.send(b"GET k\r\n");
        match wire.line().as_str() {
            "$-1" => Some(()),
            _ => {
                wire.line();
                None
            }
        }
    });
    // A write is fresh, and ends the old value for good.
    wire.ask("SET k new\r\nGET k\r\n", "+OK\r\n$3\r\nnew\r\n");
}

#[test]
fn what_is_not_to_be_kept_ends_the_old_value() {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::value("old").with_head("Cache-Control: max-age=1"),
        _ => Answer::value("new").with_head("Cache-Control: no-store"),
    });
    let ringfort = group(&origin, &["--stale", "1h", "--early-refresh", "off"]);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("GET k\r\n", "$3\r\nold\r\n");
    wait_for_its_end(&ringfort);
    wait_for("the end of the old value", || {
        wire.send(b"GET k\r\n");
        wire.line();
        (wire.line() == "new").then_some(())
    });
    wire.ask("GET k\r\n", "$3\r\nnew\r\n");
}

#[test]
fn a_failed_load_for_nobody_is_no_error_to_anybody() {
    let counting = Counting::start(1);
    let flags = [
        "--stale",
        "1h",
        "--early-refresh",
        "off",
        "--negative-ttl",
        "1h",
    ];
    let ringfort = group(&counting.origin, &flags);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("GET k\r\n", "$2\r\nv1\r\n");
    wait_for_its_end(&ringfort);
    counting.fail_with(503);
    wire.ask("GET k\r\n", "$2\r\nv1\r\n");
    wait_for("a failure", || {
        (figure(&ringfort, "LocalLoadErrs") > 0).then_some(())
    });
    counting.fail_with(200);
    wait_for("the next value", || {
        wire.send(b"GET k\r\n");
        wire.line();
        (wire.line() == "v2").then_some(())
    });
}

#[test]
fn a_value_is_not_shown_for_longer_than_it_may_be() {
    let counting = Counting::start(1);
    let flags = ["--stale", "1500ms", "--early-refresh", "off"];
    let ringfort = group(&counting.origin, &flags);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("GET k\r\n", "$2\r\nv1\r\n");
    counting.fail_with(503);
    wait_for("an error", || {
        wire.send(b"GET k\r\n");
        let line = wire.line();
        match line.starts_with("-ERR ") {
            true => Some(()),
            false => {
                wire.expect(b"v1\r\n");
                None
            }
        }
    });
}

#[test]
fn what_is_deleted_or_flushed_is_not_shown() {
    let counting = Counting::start(1);
    let flags = ["--stale", "1h", "--early-refresh", "off"];
    let ringfort = group(&counting.origin, &flags);
    let mut wire = Wire::connect(ringfort.resp());
    for (end, reply, old, new) in [
        ("DEL k\r\n", ":0\r\n", "v1", "v2"),
        ("FLUSHALL\r\n", "+OK\r\n", "v3", "v4"),
    ] {
        wire.ask("GET k\r\n", format!("$2\r\n{old}\r\n"));
        wait_for_its_end(&ringfort);
        wire.ask(end, reply);
        wire.ask("GET k\r\n", format!("$2\r\n{new}\r\n"));
        wire.send(b"DEL k\r\n");
        wire.line();
    }
}

#[test]
fn a_value_that_is_read_is_loaded_before_its_end() {
    const SECONDS: u64 = 6;
    let counting = Counting::start(SECONDS);
    let ringfort = group(&counting.origin, &["--shards", "2"]);
    // Loads take 700 ms, as far as is known from this one: so the next begins within 5.6 s before the end.
    counting.origin.hold();
    let mut readers = everybody(ringfort.resp());
    readers[0].send(b"GET k\r\n");
    std::thread::sleep(std::time::Duration::from_millis(700));
    counting.origin.release();
    readers[0].expect(b"$2\r\nv1\r\n");
    wait_for("the next value", || {
        readers.iter_mut().find_map(|reader| {
            reader.send(b"GET k\r\n");
            reader.line();
            (reader.line() == "v2").then_some(())
        })
    });
    assert_eq!(figure(&ringfort, "Loads"), 1, "somebody had to wait");
    assert_eq!(figure(&ringfort, "Refreshes"), 1);
}

#[test]
fn meta_clients_have_a_value_renewed_by_the_group() {
    let counting = Counting::start(20);
    let ringfort = group(&counting.origin, &["--early-refresh", "off"]);
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask("mg k v N30\r\n", "VA 2\r\nv1\r\n");
    wire.ask("mg k v R10\r\n", "VA 2\r\nv1\r\n");
    assert_eq!(counting.origin.asked("k"), 1);
    counting.origin.hold();
    for _ in 0..2 {
        wire.ask("mg k v R30\r\n", "VA 2 Z\r\nv1\r\n");
    }
    counting.origin.release();
    wait_for("the next value", || {
        wire.send(b"mg k v\r\n");
        wire.expect(b"VA 2\r\n");
        (wire.line() == "v2").then_some(())
    });
    assert_eq!(counting.origin.asked("k"), 2);
}
