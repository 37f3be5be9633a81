//! A write while a key is being loaded: what is loaded is answered, and not kept.

use super::{
    group,
    support::{
        origin::{Answer, Origin},
        wait_for,
        wire::Wire,
    },
};

#[test]
fn what_a_client_writes_no_load_puts_back() {
    let origin = Origin::start(|_| Answer::value("old"));
    let ringfort = group(&origin, &[]);
    let mut reader = Wire::connect(ringfort.resp());
    let mut writer = Wire::connect(ringfort.memcache());
    for (write, reply, now) in [
        ("set k 0 0 3\r\nnew\r\n", "STORED\r\n", "$3\r\nnew\r\n"),
        ("ms k 3\r\nnew\r\n", "HD\r\n", "$3\r\nnew\r\n"),
        ("delete k\r\n", "NOT_FOUND\r\n", "$3\r\nold\r\n"),
        ("flush_all\r\n", "OK\r\n", "$3\r\nold\r\n"),
    ] {
        let before = origin.asked("k");
        origin.hold();
        reader.send(b"GET k\r\n");
        wait_for("the load", || (origin.asked("k") > before).then_some(()));
        writer.ask(write, reply);
        let mut second = Wire::connect(ringfort.resp());
        second.send(b"GET k\r\n");
        if now == "$3\r\nold\r\n" {
            wait_for("a load of its own", || {
                (origin.asked("k") > before + 1).then_some(())
            });
        } else {
            second.expect(now.as_bytes());
        }
        origin.release();
        reader.expect(b"$3\r\nold\r\n");
        if now == "$3\r\nold\r\n" {
            second.expect(now.as_bytes());
        }
        second.ask("GET k\r\n", now);
        second.send(b"DEL k\r\n");
        second.line();
    }
}

#[test]
fn what_is_loaded_across_a_delayed_flush_is_not_kept() {
    let origin = Origin::start(|_| Answer::value("old"));
    let ringfort = group(&origin, &[]);
    let mut reader = Wire::connect(ringfort.resp());
    let mut writer = Wire::connect(ringfort.memcache());
    let mut watcher = Wire::connect(ringfort.resp());
    let mut is_before_it = false;
    while !is_before_it {
        writer.ask("set other 0 0 1\r\nx\r\n", "STORED\r\n");
        writer.ask("flush_all 2\r\n", "OK\r\n");
        let before = origin.asked("k");
        origin.hold();
        reader.send(b"GET k\r\n");
        wait_for("the load", || (origin.asked("k") > before).then_some(()));
        watcher.send(b"EXISTS other\r\n");
        is_before_it = watcher.line() == ":1";
        wait_for("the flush", || {
            watcher.send(b"EXISTS other\r\n");
            (watcher.line() == ":0").then_some(())
        });
        origin.release();
        reader.expect(b"$3\r\nold\r\n");
        if is_before_it {
            watcher.ask("EXISTS k\r\n", ":0\r\n");
        }
        watcher.send(b"DEL k\r\n");
        watcher.line();
    }
}
