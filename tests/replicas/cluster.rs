//! Replicas of a Redis Cluster: three masters with one each.

use super::support::cluster::Cluster;
use super::support::ringfort::Ringfort;
use super::support::wait_for;
use super::support::wire::Wire;
use super::{KEY_COUNT, bulk, calls, set};

const MASTERS: usize = 3;

fn ringfort(cluster: &Cluster, flags: &[&str]) -> Ringfort {
    let seed = cluster.address(1).to_string();
    let common = "--pool cluster --resp 127.0.0.1:0 --shards 2 --memory 64MiB --backend-timeout 2s";
    let common: Vec<&str> = common.split(' ').chain(["--server", &seed]).collect();
    Ringfort::start_exactly(&[&common[..], flags].concat())
}

/// How many GETs masters and replicas have executed.
fn reads(cluster: &Cluster) -> (u64, u64) {
    let count = |nodes: std::ops::Range<usize>| -> u64 {
        let running = nodes.map(|number| &cluster.nodes[number]);
        running
            .filter(|node| node.is_running())
            .map(|node| calls(node, "get"))
            .sum()
    };
    (count(0..MASTERS), count(MASTERS..2 * MASTERS))
}

/// Every value, which must be as it was written.
fn read_all(wire: &mut Wire) {
    for key in 0..KEY_COUNT {
        wire.send(format!("GET k{key}\r\n").as_bytes());
        assert_eq!(bulk(wire), Some(format!("value-{key}")), "{key}");
    }
}

/// Until replicas answer all reads, on both shards.
fn wait_until_replicas_read(cluster: &Cluster, ringfort: &Ringfort) {
    for _ in 0..8 {
        let mut wire = Wire::connect(ringfort.resp());
        wait_for("replicas to be read from", || {
            let before = reads(cluster);
            read_all(&mut wire);
            let after = reads(cluster);
            (after.0 == before.0 && after.1 >= before.1 + KEY_COUNT as u64).then_some(())
        });
    }
}

/// The cluster, with values that replicas have, too, and a ringfort that reads from those.
fn start(cluster: Cluster, flags: &[&str]) -> (Cluster, Ringfort) {
    let ringfort = ringfort(
        &cluster,
        &[&["--read-from", "prefer-replica"], flags].concat(),
    );
    let mut wire = Wire::connect(ringfort.resp());
    wait_for("masters to be known", || {
        wire.send(b"SET probe x\r\n");
        (wire.line() == "+OK").then_some(())
    });
    for key in 0..KEY_COUNT {
        set(&mut wire, key, &format!("value-{key}"));
    }
    wait_until_replicas_read(&cluster, &ringfort);
    (cluster, ringfort)
}

/// Nobody reads from a master by mistake: what has no replica any more is not read at all.
#[test]
fn a_master_without_a_replica_is_not_read_from_where_only_replicas_are() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &["--read-from", "replica"]);
    let owned = (0..KEY_COUNT).find(|key| {
        let slot = cluster.ask(0, &format!("CLUSTER KEYSLOT k{key}"));
        let slot = slot.trim_start_matches(':').parse().expect("a slot");
        cluster.owner(0, slot) == Some(0)
    });
    let key = owned.expect("a key of the first master");
    let mut wire = Wire::connect(ringfort.resp());
    let mut read = || {
        wire.send(format!("GET k{key}\r\n").as_bytes());
        wire.line()
    };
    wait_for("the replica to be read from", || {
        (read() == "$-1").then_some(())
    });
    let other = cluster.ask(1, "CLUSTER MYID");
    cluster.ask(MASTERS, &format!("CLUSTER REPLICATE {other}"));
    wait_for("the lack of one to be known", || {
        (read() == "-ERR backend is unavailable").then_some(())
    });
    // As long as the replica itself told where else to ask, the master was asked.
    let before = calls(&cluster.nodes[0], "get");
    assert_eq!(read(), "-ERR backend is unavailable");
    assert_eq!(calls(&cluster.nodes[0], "get"), before);
}

#[test]
fn reads_go_to_replicas_and_what_was_just_written_to_masters() {
    let (cluster, ringfort) = start(Cluster::start_calm(), &[]);
    let mut wire = Wire::connect(ringfort.resp());
    let before = reads(&cluster);
    for round in 0..10 {
        for key in 0..KEY_COUNT {
            let value = format!("round-{round}-{key}");
            wire.ask(
                format!("SET k{key} {value}\r\nGET k{key}\r\n"),
                format!("+OK\r\n${}\r\n{value}\r\n", value.len()),
            );
        }
    }
    let after = reads(&cluster);
    assert_eq!(after.0 - before.0, 10 * KEY_COUNT as u64);
    assert_eq!(after.1, before.1);
}

/// Its replica answers until it is the master itself, and then as that.
#[test]
fn a_master_that_is_killed_is_read_from_its_replica() {
    let (mut cluster, ringfort) = start(Cluster::start(), &[]);
    for number in 0..2 * MASTERS {
        cluster.ask(number, "CONFIG SET cluster-allow-reads-when-down yes");
    }
    let mut wire = Wire::connect(ringfort.resp());
    cluster.nodes[0].stop();
    let mut was_refused = false;
    wait_for("the replica to take over", || {
        read_all(&mut wire);
        let is_written = (0..KEY_COUNT).all(|key| {
            wire.send(format!("SET k{key} value-{key}\r\n").as_bytes());
            let line = wire.line();
            was_refused |= line != "+OK";
            line == "+OK"
        });
        is_written.then_some(())
    });
    assert!(was_refused, "writes waited for that");
    read_all(&mut wire);
    // It comes back as the replica of its replica.
    cluster.nodes[0].restart();
    cluster.wait_until_well();
    wait_for("the old master to be read from", || {
        let before = calls(&cluster.nodes[0], "get");
        read_all(&mut wire);
        (calls(&cluster.nodes[0], "get") > before).then_some(())
    });
}

#[test]
fn replicas_that_are_killed_cost_nobody_an_error() {
    let (mut cluster, ringfort) = start(Cluster::start(), &[]);
    let mut wire = Wire::connect(ringfort.resp());
    for number in MASTERS..2 * MASTERS {
        cluster.nodes[number].pause();
    }
    for key in 0..KEY_COUNT {
        wire.send(format!("GET k{key}\r\n").as_bytes());
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    for number in MASTERS..2 * MASTERS {
        cluster.nodes[number].stop();
    }
    for key in 0..KEY_COUNT {
        assert_eq!(bulk(&mut wire), Some(format!("value-{key}")), "{key}");
    }
    read_all(&mut wire);
    for number in MASTERS..2 * MASTERS {
        cluster.nodes[number].restart();
    }
    cluster.wait_until_well();
    wait_until_replicas_read(&cluster, &ringfort);
}

/// A replica of who hands a slot over has lost the keys that are with the new master, and does not say where they are.
#[test]
fn a_slot_that_is_handed_over_is_read_from_masters_once_that_is_known() {
    let (cluster, ringfort) = start(Cluster::start_calm(), &[]);
    let mut wire = Wire::connect(ringfort.resp());
    let keyslot = cluster.ask(0, "CLUSTER KEYSLOT {tag}");
    let slot: usize = keyslot.trim_start_matches(':').parse().expect("a slot");
    for number in 0..10 {
        wire.ask(format!("SET {{tag}}{number} v{number}\r\n"), "+OK\r\n");
    }
    let from = cluster.owner(0, slot).expect("a master");
    let to = (from + 1) % MASTERS;
    cluster.begin_move(slot, from, to);
    assert_eq!(cluster.move_keys(slot, from, to, 100), 10);
    // This is answered ASK.
    wire.ask("SET {tag}0 v0\r\n", "+OK\r\n");
    let read_slot = |wire: &mut Wire| {
        for number in 0..10 {
            wire.ask(
                format!("GET {{tag}}{number}\r\n"),
                format!("$2\r\nv{number}\r\n"),
            );
        }
    };
    read_slot(&mut wire);
    cluster.end_move(slot, from, to);
    wait_for("the new master's replica to be read from", || {
        read_slot(&mut wire);
        let before = calls(&cluster.nodes[MASTERS + to], "get");
        read_slot(&mut wire);
        (calls(&cluster.nodes[MASTERS + to], "get") >= before + 10).then_some(())
    });
}
