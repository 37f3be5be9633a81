//! Writes that are answered before a node has them: they reach whoever has their slots by then.

use std::time::Duration;

use ringfort::route::Slot;

use crate::load::while_clients_call;
use crate::support::cluster::Cluster;
use crate::support::wire::Wire;
use crate::{STEP_PAUSE, info, ringfort, wait_for, wait_until_served};

const FLAGS: [&str; 4] = ["--write", "behind", "--backend-timeout", "500ms"];

#[test]
fn writes_follow_a_slot_that_moves_key_by_key() {
    let cluster = Cluster::start_calm();
    for more in [
        &["--l1", "off"][..],
        &["--l1", "60s", "--backend-connections", "2"],
    ] {
        let ringfort = ringfort(&cluster, &[&FLAGS[..2], more].concat());
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
        let redirects = info(&ringfort, "cluster_moved") + info(&ringfort, "cluster_asked");
        assert!(redirects > 0);
        assert!(info(&ringfort, "writes_behind") > 0);
    }
}

/// What comes behind a queued write in a pipeline is done behind it, wherever both go.
#[test]
fn a_change_goes_where_the_write_before_it_goes() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &FLAGS[..2]);
    wait_until_served(&ringfort);
    let slot = Slot::of(b"key").index();
    let mut wire = Wire::connect(ringfort.resp());
    let request = "SET key 1\r\nAPPEND key 2\r\nSET key 3\r\nAPPEND key 4\r\nGET key\r\nDEL key\r\nAPPEND key 5\r\n";
    let replies = "+OK\r\n:2\r\n+OK\r\n:2\r\n$2\r\n34\r\n:1\r\n:1\r\n";
    for _ in 0..3 {
        let from = cluster.owner(0, slot).expect("an owner");
        let to = (from + 1) % 3;
        wire.ask(request, replies);
        cluster.begin_move(slot, from, to);
        wire.ask(request, replies);
        while cluster.move_keys(slot, from, to, 1) > 0 {}
        wire.ask(request, replies);
        cluster.end_move(slot, from, to);
        wire.ask(request, replies);
        assert_eq!(cluster.ask(to, "GET key"), "5");
    }
}

#[test]
fn what_waits_for_a_master_that_died_goes_to_its_heir() {
    let mut cluster = Cluster::start();
    let ringfort = ringfort(&cluster, &FLAGS);
    wait_until_served(&ringfort);
    let (name, gone) = (key_of(&cluster, 0, "a"), key_of(&cluster, 0, "b"));
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask(format!("SET {gone} old\r\n"), "+OK\r\n");
    wait_for("the replica to have it", || {
        (replica_has(&cluster, 3, &gone) == "old").then_some(())
    });
    cluster.nodes[0].stop();
    wire.ask(
        format!("SET {name} 1\r\nSET {name} 2\r\nGET {name}\r\nDEL {gone}\r\nGET {gone}\r\n"),
        "+OK\r\n+OK\r\n$1\r\n2\r\n:1\r\n$-1\r\n",
    );
    wait_for("the heir to have it", || {
        (read_at(&cluster, 3, &name) == "2" && read_at(&cluster, 3, &gone) == "$-1").then_some(())
    });
    wait_for("changes to go through", || {
        wire.send(format!("APPEND {name} 3\r\n").as_bytes());
        (wire.line() == ":2").then_some(())
    });
    assert_eq!(read_at(&cluster, 3, &name), "23");
}

/// It wakes with what was on its way to it, when its heir has been told something newer.
#[test]
fn a_master_that_was_stopped_puts_nothing_in_the_way() {
    let cluster = Cluster::start();
    let ringfort = ringfort(&cluster, &FLAGS);
    wait_until_served(&ringfort);
    let names: Vec<String> = (0..20)
        .map(|n| key_of(&cluster, 1, &n.to_string()))
        .collect();
    let mut wire = Wire::connect(ringfort.resp());
    cluster.nodes[1].pause();
    for value in 0..3 {
        for name in &names {
            wire.ask(format!("SET {name} {value}\r\n"), "+OK\r\n");
        }
    }
    wait_for("the heir to have all", || {
        let has = |name: &String| read_at(&cluster, 4, name) == "2";
        names.iter().all(has).then_some(())
    });
    cluster.nodes[1].resume();
    cluster.wait_until_well();
    std::thread::sleep(Duration::from_millis(300));
    for name in &names {
        assert_eq!(read_at(&cluster, 4, name), "2");
        wire.ask(format!("GET {name}\r\n"), "$1\r\n2\r\n");
    }
}

#[test]
fn deletes_reach_whoever_has_the_slot_by_then() {
    let mut cluster = Cluster::start();
    let ringfort = ringfort(
        &cluster,
        &["--write", "invalidate", "--backend-timeout", "500ms"],
    );
    wait_until_served(&ringfort);
    let name = key_of(&cluster, 2, "");
    cluster.ask(2, &format!("SET {name} old"));
    wait_for("the replica to have it", || {
        (replica_has(&cluster, 5, &name) == "old").then_some(())
    });
    cluster.nodes[2].stop();
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask(
        format!("SET {name} ignored\r\nGET {name}\r\n"),
        "+OK\r\n$-1\r\n",
    );
    wait_for("the heir to be told", || {
        (read_at(&cluster, 5, &name) == "$-1").then_some(())
    });
}

#[test]
fn clients_of_memcache_are_served_so_too() {
    let cluster = Cluster::start_calm();
    let flags = [&FLAGS[..2], &["--memcache", "127.0.0.1:0"]].concat();
    let ringfort = ringfort(&cluster, &flags);
    wait_until_served(&ringfort);
    let slot = Slot::of(b"key").index();
    let mut wire = Wire::connect(ringfort.memcache());
    let request = "set key 7 0 1\r\n5\r\nincr key 2\r\nget key\r\ndelete key\r\nget key\r\n";
    let replies = "STORED\r\n7\r\nVALUE key 7 1\r\n7\r\nEND\r\nDELETED\r\nEND\r\n";
    for _ in 0..2 {
        let from = cluster.owner(0, slot).expect("an owner");
        wire.ask(request, replies);
        let to = (from + 1) % 3;
        cluster.begin_move(slot, from, to);
        wire.ask(request, replies);
        cluster.end_move(slot, from, to);
        wire.ask(request, replies);
    }
}

/// A key that begins so, of a slot that this master has.
pub(crate) fn key_of(cluster: &Cluster, master: usize, start: &str) -> String {
    let names = (0..).map(|number| format!("{start}:{number}"));
    let mut names = names.filter(|name| {
        let slot = Slot::of(name.as_bytes()).index();
        cluster.owner((master + 1) % 3, slot) == Some(master)
    });
    names.next().expect("there is one in three")
}

/// What a node says of a key: its value, a null, or an error.
fn read_at(cluster: &Cluster, node: usize, name: &str) -> String {
    let mut wire = cluster.nodes[node].connect();
    wire.send(format!("GET {name}\r\n").as_bytes());
    value(&mut wire)
}

/// What a replica has of a key.
fn replica_has(cluster: &Cluster, node: usize, name: &str) -> String {
    let mut wire = cluster.nodes[node].connect();
    wire.ask("READONLY\r\n", "+OK\r\n");
    wire.send(format!("GET {name}\r\n").as_bytes());
    value(&mut wire)
}

fn value(wire: &mut Wire) -> String {
    let line = wire.line();
    match line.starts_with('$') && line != "$-1" {
        true => wire.line(),
        false => line,
    }
}
