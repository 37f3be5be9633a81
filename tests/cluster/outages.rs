//! Nodes that are killed, stopped, and come back: keys get errors for a while, never another's or an old value.

use std::time::Duration;

use crate::load::{Seen, while_clients_call};
use crate::support::cluster::Cluster;
use crate::support::wire::Wire;
use crate::{ringfort, wait_for, wait_until_served};

/// Less than a node needs to be thought of as failed.
const FLAGS: [&str; 2] = ["--backend-timeout", "500ms"];

/// What clients may be told while a node is away.
const EXPECTED: [&str; 5] = [
    "-ERR backend is unavailable",
    "-ERR backend connection was lost",
    "-ERR backend did not answer in time",
    "-CLUSTERDOWN The cluster is down",
    "-CLUSTERDOWN Hash slot not served",
];

#[test]
fn a_master_that_is_killed_is_replaced() {
    kill_and_replace(&[]);
}

#[test]
fn a_master_that_is_killed_is_replaced_if_it_tells_of_changes() {
    kill_and_replace(&["--l1", "tracked"]);
}

fn kill_and_replace(flags: &[&str]) {
    let mut cluster = Cluster::start();
    let ringfort = ringfort(&cluster, &[&FLAGS[..], flags].concat());
    wait_until_served(&ringfort);
    let keys = keys();
    let seen = while_clients_call(ringfort.resp(), &keys, || {
        std::thread::sleep(Duration::from_millis(200));
        cluster.nodes[0].stop();
        wait_for("the replica to take over", || {
            let role = cluster.ask(3, "INFO replication");
            role.contains("role:master").then_some(())
        });
        wait_until_served(&ringfort);
        cluster.nodes[0].restart();
        cluster.wait_until_well();
        wait_until_served(&ringfort);
        std::thread::sleep(Duration::from_millis(300));
    });
    check(&seen);
    // It has taken up what it missed, and gives way to the one that has replaced it.
    cluster.hand_over_to(0);
    wait_until_served(&ringfort);
}

#[test]
fn a_master_that_stops_and_wakes_is_not_believed() {
    stop_and_wake(&[]);
}

#[test]
fn a_master_that_stops_and_wakes_is_not_believed_if_it_tells_of_changes() {
    stop_and_wake(&["--l1", "tracked"]);
}

fn stop_and_wake(flags: &[&str]) {
    let cluster = Cluster::start();
    let ringfort = ringfort(&cluster, &[&FLAGS[..], flags].concat());
    wait_until_served(&ringfort);
    let keys = keys();
    let seen = while_clients_call(ringfort.resp(), &keys, || {
        std::thread::sleep(Duration::from_millis(200));
        cluster.nodes[1].pause();
        wait_for("the replica to take over", || {
            let role = cluster.ask(4, "INFO replication");
            role.contains("role:master").then_some(())
        });
        wait_until_served(&ringfort);
        cluster.nodes[1].resume();
        cluster.wait_until_well();
        std::thread::sleep(Duration::from_millis(300));
        wait_until_served(&ringfort);
    });
    check(&seen);
}

/// Who waits has no deadline, and the kernel of a process that stands still answers for it: it is the cluster that tells.
#[test]
fn who_waits_at_a_master_that_failed_is_told() {
    let cluster = Cluster::start();
    let ringfort = ringfort(&cluster, &FLAGS);
    wait_until_served(&ringfort);
    let mut direct = cluster.nodes[1].connect();
    // One that the second master has.
    let list = (0..100)
        .map(|number| format!("list-{number}"))
        .find(|list| {
            direct.send(format!("LLEN {list}\r\n").as_bytes());
            direct.line() == ":0"
        });
    let list = list.expect("a third of all keys is of each");
    let mut waiting = Wire::connect(ringfort.resp());
    waiting.send(format!("BLPOP {list} 0\r\n").as_bytes());
    wait_for("it to wait", || {
        let clients = cluster.ask(1, "CLIENT LIST");
        clients.contains("cmd=blpop").then_some(())
    });
    cluster.nodes[1].pause();
    waiting.expect(b"-ERR backend connection was lost\r\n");
    // And goes on with the one that has taken over.
    let mut other = Wire::connect(ringfort.resp());
    wait_for("the replica to take over", || {
        other.send(format!("RPUSH {list} x\r\n").as_bytes());
        (other.line() == ":1").then_some(())
    });
    // The shard of this client may hear of it later than the other's.
    wait_for("its shard to know", || {
        waiting.send(format!("LLEN {list}\r\n").as_bytes());
        (waiting.line() == ":1").then_some(())
    });
    waiting.ask(
        format!("BLPOP {list} 0\r\n"),
        format!("*2\r\n${}\r\n{list}\r\n$1\r\nx\r\n", list.len()),
    );
    cluster.nodes[1].resume();
    cluster.wait_until_well();
}

#[test]
fn a_cluster_that_was_down_comes_back() {
    let mut cluster = Cluster::start();
    for node in &mut cluster.nodes {
        node.stop();
    }
    // It is started before its cluster.
    let ringfort = ringfort(&cluster, &FLAGS);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("GET key\r\n", "-ERR backend is unavailable\r\n");
    // Who would tell a client is not known, and the client stays.
    let mut listener = Wire::connect(ringfort.resp());
    listener.ask(
        "SUBSCRIBE news\r\nPSUBSCRIBE n*\r\nSSUBSCRIBE one\r\nMONITOR\r\n",
        "-ERR backend is unavailable\r\n".repeat(4),
    );
    for round in 0..2 {
        for node in &mut cluster.nodes {
            node.restart();
        }
        cluster.wait_until_well();
        wait_until_served(&ringfort);
        if round == 0 {
            listener.ask(
                "SUBSCRIBE news\r\n",
                "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n",
            );
            wire.send(b"PUBLISH news hi\r\n");
            wire.line();
            listener.expect(b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
        }
        wire.ask("SET key 1\r\nGET key\r\n", "+OK\r\n$1\r\n1\r\n");
        for node in &mut cluster.nodes {
            node.stop();
        }
        wait_for("the cluster to be missed", || {
            wire.send(b"GET key\r\n");
            match wire.line().as_str() {
                "$1" => {
                    wire.line();
                    None
                }
                line => EXPECTED.contains(&line).then_some(()),
            }
        });
    }
}

/// Some of every node, a few of each.
fn keys() -> Vec<String> {
    (0..6).map(|key| format!("key:{key}")).collect()
}

fn check(seen: &Seen) {
    let is_expected = |line: &String| EXPECTED.contains(&line.as_str());
    let odd: Vec<_> = seen
        .errors
        .iter()
        .filter(|line| !is_expected(line))
        .collect();
    assert!(odd.is_empty(), "{odd:?}");
    assert!(!seen.errors.is_empty(), "nobody noticed anything");
    assert!(seen.len() > 500, "{} calls", seen.len());
    seen.check_one_step_back();
}
