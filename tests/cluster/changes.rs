//! Slots move and masters take turns while clients go on: they notice nothing.

use std::time::Duration;

use ringfort::route::Slot;

use crate::load::while_clients_call;
use crate::support::cluster::Cluster;
use crate::support::wait_for;
use crate::support::wire::Wire;
use crate::{STEP_PAUSE, info, ringfort, wait_until_served};

#[test]
fn a_slot_that_moves_key_by_key_is_followed() {
    let cluster = Cluster::start_calm();
    for flags in [
        &["--l1", "off"][..],
        &["--l1", "60s", "--backend-connections", "2"],
        &["--l1", "tracked"],
    ] {
        let ringfort = ringfort(&cluster, flags);
        wait_until_served(&ringfort);
        Wire::connect(ringfort.resp()).ask("FLUSHALL\r\n", "+OK\r\n");
        let keys: Vec<String> = (0..4).map(|key| format!("{{tag}}{key}")).collect();
        let slot = Slot::of(b"{tag}").index();
        let seen = while_clients_call(ringfort.resp(), &keys, || {
            for _ in 0..4 {
                cluster.move_slot(slot, STEP_PAUSE);
            }
        });
        assert!(seen.errors.is_empty(), "{:?}", seen.errors);
        assert!(seen.len() > 200, "{} calls", seen.len());
        seen.check_linearizable();
        let (moved, asked) = (
            info(&ringfort, "cluster_moved"),
            info(&ringfort, "cluster_asked"),
        );
        assert!(moved > 0 && asked > 0, "{moved} moved, {asked} asked");
    }
}

#[test]
fn transactions_and_what_waits_follow_their_slot() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &[]);
    wait_until_served(&ringfort);
    let slot = Slot::of(b"{tag}").index();
    let from = cluster.owner(0, slot).expect("an owner");
    let to = (from + 1) % 3;
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("MSET {tag}a 1 {tag}b 2\r\n", "+OK\r\n");
    let mut waiter = Wire::connect(ringfort.resp());
    waiter.send(b"BLPOP {tag}list 0\r\n");
    cluster.begin_move(slot, from, to);
    let both = "MULTI\r\nINCR {tag}a\r\nINCR {tag}b\r\nEXEC\r\n";
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";
    wire.ask(both, format!("{queued}*2\r\n:2\r\n:3\r\n"));
    // One of the keys has arrived.
    while cluster.move_keys(slot, from, to, 1) == 0 {}
    wire.send(both.as_bytes());
    wire.expect(queued.as_bytes());
    wire.expect(b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    // While it is tried again the rest arrives.
    wire.send(both.as_bytes());
    while cluster.move_keys(slot, from, to, 1) > 0 {}
    wire.expect(format!("{queued}*2\r\n:3\r\n:4\r\n").as_bytes());
    wire.ask(
        "EVAL \"return redis.call('get', KEYS[1]) .. redis.call('get', KEYS[2])\" 2 {tag}a {tag}b\r\n",
        "$2\r\n34\r\n",
    );
    // By way of the old node it is watched at the new one.
    wire.ask("WATCH {tag}a\r\n", "+OK\r\n");
    wire.ask(both, format!("{queued}*2\r\n:4\r\n:5\r\n"));
    cluster.end_move(slot, from, to);
    wire.ask(both, format!("{queued}*2\r\n:5\r\n:6\r\n"));
    wire.ask("RPUSH {tag}list x\r\n", ":1\r\n");
    waiter.expect(b"*2\r\n$9\r\n{tag}list\r\n$1\r\nx\r\n");
}

/// Its node watches no more, so EXEC answers as for a changed key.
#[test]
fn a_watched_key_that_moves_is_a_changed_key() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &[]);
    wait_until_served(&ringfort);
    let slot = Slot::of(b"key").index();
    for (hello, null) in [("", "*-1"), ("HELLO 3\r\n", "_")] {
        let mut wire = Wire::connect(ringfort.resp());
        let from = cluster.owner(0, slot).expect("an owner");
        let to = (from + 1) % 3;
        wire.send(format!("{hello}SET key 1\r\nWATCH key\r\n").as_bytes());
        while wire.line() != "+OK" {}
        wire.expect(b"+OK\r\n");
        cluster.begin_move(slot, from, to);
        assert_eq!(cluster.move_keys(slot, from, to, 10), 1);
        cluster.end_move(slot, from, to);
        let request = "MULTI\r\nINCR key\r\nEXEC\r\nGET key\r\n";
        wire.ask(request, format!("+OK\r\n+QUEUED\r\n{null}\r\n$1\r\n1\r\n"));
        wire.ask(
            format!("WATCH key\r\n{request}"),
            "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n$1\r\n2\r\n",
        );
    }
}

/// The replica has everything when it takes over, so nothing is lost.
#[test]
fn a_master_that_steps_down_is_not_noticed() {
    step_down(&["--l1", "off"]);
}

#[test]
fn a_master_that_steps_down_is_not_noticed_if_it_tells_of_changes() {
    step_down(&["--l1", "tracked", "--backend-connections", "2"]);
}

fn step_down(flags: &[&str]) {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, flags);
    wait_until_served(&ringfort);
    let keys: Vec<String> = (0..4).map(|key| format!("key:{key}")).collect();
    let seen = while_clients_call(ringfort.resp(), &keys, || {
        for master in 0..3 {
            cluster.hand_over_to(master + 3);
            std::thread::sleep(STEP_PAUSE);
        }
        std::thread::sleep(Duration::from_millis(500));
    });
    // What nodes say by themselves if the machine lets one of them wait for a second; then some know nobody
    // who has a slot, too.
    const IS_DOWN: &str = "-CLUSTERDOWN The cluster is down";
    const IS_NOT_SERVED: &str = "-CLUSTERDOWN Hash slot not served";
    let was_down = seen.errors.iter().any(|line| line == IS_DOWN);
    let is_expected = |line: &String| match line.as_str() {
        "-ERR backend connection was lost" | IS_DOWN => true,
        IS_NOT_SERVED => was_down,
        _ => false,
    };
    assert!(seen.errors.iter().all(is_expected), "{:?}", seen.errors);
    seen.check_linearizable();
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask(
        "SET key:0 x\r\nSET key:1 x\r\nSET key:2 x\r\n",
        "+OK\r\n".repeat(3),
    );
}

#[test]
fn a_node_that_is_added_gets_what_moves_there() {
    let mut cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &[]);
    wait_until_served(&ringfort);
    let slot = Slot::of(b"key").index();
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("SET key 1\r\n", "+OK\r\n");
    let from = cluster.owner(0, slot).expect("an owner");
    let to = cluster.add_node();
    cluster.begin_move(slot, from, to);
    wire.ask("GET key\r\nAPPEND key 2\r\n", "$1\r\n1\r\n:2\r\n");
    assert_eq!(cluster.move_keys(slot, from, to, 10), 1);
    wire.ask("GET key\r\nAPPEND key 3\r\n", "$2\r\n12\r\n:3\r\n");
    cluster.end_move(slot, from, to);
    wire.ask("GET key\r\nAPPEND key 4\r\n", "$3\r\n123\r\n:4\r\n");
    assert_eq!(cluster.ask(to, "GET key"), "1234");
    // A master that is new to its slots was a node without any a while ago, and so is still known.
    wait_for("nobody to be known but the masters", || {
        (info(&ringfort, "cluster_nodes") == 4).then_some(())
    });
}
