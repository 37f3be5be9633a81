//! Nodes tell of changes: reads of hot keys never leave ringfort, and whatever strangers, slots and masters do, what is
//! shown is not old.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringfort::route::Slot;

use crate::support::backends::Backend;
use crate::support::cluster::Cluster;
use crate::support::process::Signal;
use crate::support::ringfort::Ringfort;
use crate::support::wire::Wire;
use crate::support::{over_when_dropped, wait_for};
use crate::{info, ringfort, wait_until_served};

const TRACKED: [&str; 4] = ["--l1", "tracked", "--backend-connections", "2"];

/// How long a copy of a master that has been replaced may be shown: a second until it is asked how it sees the cluster.
/// The rest is for a loaded machine.
const REPLACED: Duration = Duration::from_secs(1 + 5);

#[test]
fn whatever_a_stranger_does_at_any_node_is_seen() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &TRACKED);
    wait_until_served(&ringfort);
    let mut clients: Vec<_> = (0..8).map(|_| Wire::connect(ringfort.resp())).collect();
    for key in ["{a}k", "{b}k", "{c}k", "{d}k", "{e}k", "{f}k"] {
        let owner = cluster.owner(0, Slot::of(key.as_bytes()).index());
        let mut stranger = cluster.nodes[owner.expect("an owner")].connect();
        for (change, now) in [
            ("SET KEY first", Some("first")),
            ("APPEND KEY !", Some("first!")),
            ("SETRANGE KEY 0 th", Some("thrst!")),
            ("PEXPIRE KEY 1", None),
            ("SET KEY again", Some("again")),
            ("FLUSHALL", None),
        ] {
            keep(&ringfort, &mut clients[0], key);
            stranger.send(format!("{}\r\n", change.replace("KEY", key)).as_bytes());
            stranger.line();
            wait_for("the change", || {
                (get(&mut clients[1], key) == Ok(now.map(str::to_owned))).then_some(())
            });
            for client in &mut clients {
                assert_eq!(get(client, key), Ok(now.map(str::to_owned)), "{change}");
            }
        }
    }
    assert_eq!(info(&ringfort, "l1_losses"), 0);
}

/// Values go up, so whoever reads one after a larger one was shown has been told an old one.
#[test]
fn reads_do_not_go_back_while_a_slot_moves_under_a_strangers_writes() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &TRACKED);
    wait_until_served(&ringfort);
    let slot = Slot::of(b"{tag}").index();
    let is_over = AtomicBool::new(false);
    let hits = info(&ringfort, "keyspace_hits");
    let address = ringfort.resp();
    let masters = [0, 1, 2].map(|node| cluster.address(node));
    let (last, seen) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| read_on(address, &is_over)))
            .collect();
        let writer = scope.spawn(|| write_on(&masters, &is_over));
        let over = over_when_dropped(&is_over);
        for _ in 0..4 {
            let from = cluster.owner(0, slot).expect("an owner");
            let to = (from + 1) % 3;
            for step in 0..4 {
                std::thread::sleep(Duration::from_millis(100));
                match step {
                    0 => cluster.begin_move(slot, from, to),
                    1 => while cluster.move_keys(slot, from, to, 1) > 0 {},
                    2 => cluster.end_move(slot, from, to),
                    _ => {}
                }
            }
        }
        drop(over);
        let mut seen: Vec<Read> = readers
            .into_iter()
            .flat_map(|reader| reader.join().expect("a reader"))
            .collect();
        seen.sort_unstable_by_key(|read| read.called);
        (writer.join().expect("a writer"), seen)
    });
    assert!(seen.len() > 1_000, "{} reads", seen.len());
    let mut ended: Vec<(Instant, u64)> = seen
        .iter()
        .map(|read| (read.returned, read.value))
        .collect();
    ended.sort_unstable();
    let (mut shown, mut before) = (0, ended.iter().peekable());
    for read in &seen {
        while let Some((_, value)) = before.next_if(|(returned, _)| *returned < read.called) {
            shown = shown.max(*value);
        }
        assert!(read.value >= shown, "{} after {shown}", read.value);
    }
    let hit_count = info(&ringfort, "keyspace_hits") - hits;
    assert!(hit_count > seen.len() as u64 / 2, "{hit_count} hits");
    let mut wire = Wire::connect(ringfort.resp());
    wait_for("the last value", || {
        (get(&mut wire, "{tag}") == Ok(Some(last.to_string()))).then_some(())
    });
}

/// A slot is taken by force: its old node is told that it has nothing there any more, throws the keys away and tells
/// nobody. All reads are answered out of copies, so no request finds out.
#[test]
fn a_slot_that_is_taken_takes_its_copies_with_it() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &TRACKED);
    wait_until_served(&ringfort);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("SET key old\r\n", "+OK\r\n");
    let slot = Slot::of(b"key").index();
    let from = cluster.owner(0, slot).expect("an owner");
    let to = (from + 1) % 3;
    keep(&ringfort, &mut wire, "key");
    cluster.ask(to, &format!("CLUSTER DELSLOTS {slot}"));
    assert!(cluster.ask(to, "CLUSTER BUMPEPOCH").starts_with("+BUMPED"));
    cluster.ask(to, &format!("CLUSTER ADDSLOTS {slot}"));
    cluster.ask(to, "SET key new");
    let written = Instant::now();
    wait_for("the copy to go", || {
        (get(&mut wire, "key") == Ok(Some("new".into()))).then_some(())
    });
    // Nodes tell each other within a second.
    let limit = REPLACED + Duration::from_secs(1);
    assert!(written.elapsed() < limit, "{:?}", written.elapsed());
}

/// The old master stays, as a replica, and its connections stand.
#[test]
fn a_master_that_steps_down_leaves_no_copy() {
    let cluster = Cluster::start_calm();
    let ringfort = ringfort(&cluster, &TRACKED);
    wait_until_served(&ringfort);
    let mut wire = Wire::connect(ringfort.resp());
    for round in 0..2 {
        let (old, new) = if round % 2 == 0 { (0, 3) } else { (3, 0) };
        let key = "{b}k";
        wait_for("others to know", || {
            (cluster.owner(1, Slot::of(b"b").index()) == Some(old)).then_some(())
        });
        wire.ask(format!("SET {key} old\r\n"), "+OK\r\n");
        keep(&ringfort, &mut wire, key);
        cluster.hand_over_to(new);
        cluster.ask(new, &format!("SET {key} new"));
        let written = Instant::now();
        wait_for("the copy to go", || {
            (get(&mut wire, key) == Ok(Some("new".into()))).then_some(())
        });
        assert!(written.elapsed() < REPLACED, "{:?}", written.elapsed());
        wait_for("the old master to follow", || {
            let role = cluster.ask(old, "INFO replication");
            let is_synced = role.contains("master_link_status:up");
            (role.contains("role:slave") && is_synced).then_some(())
        });
    }
}

#[test]
fn a_master_that_is_killed_leaves_no_copy() {
    let mut cluster = Cluster::start();
    let ringfort = ringfort(&cluster, &TRACKED);
    wait_until_served(&ringfort);
    let mut wire = Wire::connect(ringfort.resp());
    let key = "{b}k";
    wire.ask(format!("SET {key} old\r\n"), "+OK\r\n");
    keep(&ringfort, &mut wire, key);
    cluster.nodes[0].stop();
    wait_for("the copy to go", || {
        get(&mut wire, key).is_err().then_some(())
    });
    wait_for("the replica to take over", || {
        let role = cluster.ask(3, "INFO replication");
        role.contains("role:master").then_some(())
    });
    cluster.ask(3, &format!("SET {key} new"));
    wait_for("the replica to be asked", || match get(&mut wire, key) {
        Ok(value) => {
            assert_eq!(value.as_deref(), Some("new"));
            Some(())
        }
        Err(_) => None,
    });
    keep(&ringfort, &mut wire, key);
}

/// Nobody but the master of the key is there: what others decide it cannot hear.
#[test]
fn a_master_that_sees_no_majority_is_not_relied_on() {
    let cluster = Cluster::start();
    let ringfort = ringfort(&cluster, &TRACKED);
    wait_until_served(&ringfort);
    let mut wire = Wire::connect(ringfort.resp());
    let key = "{b}k";
    wire.ask(format!("SET {key} old\r\n"), "+OK\r\n");
    keep(&ringfort, &mut wire, key);
    for node in &cluster.nodes[1..] {
        node.pause();
    }
    wait_for("it to notice", || {
        let info = cluster.ask(0, "CLUSTER INFO");
        info.contains("cluster_state:fail").then_some(())
    });
    let noticed = Instant::now();
    wait_for("the copy to go", || {
        get(&mut wire, key).is_err().then_some(())
    });
    assert!(noticed.elapsed() < REPLACED, "{:?}", noticed.elapsed());
    for node in &cluster.nodes[1..] {
        node.resume();
    }
    wait_for("the others", || get(&mut wire, key).is_ok().then_some(()));
    keep(&ringfort, &mut wire, key);
}

/// A node that may not be asked how it sees the cluster is named once a shard.
#[test]
fn a_user_who_may_not_ask_is_told_of() {
    let node = Backend::cluster_redis();
    let mut admin = node.connect();
    for command in [
        "CLUSTER ADDSLOTSRANGE 0 16383",
        "ACL SETUSER default -cluster|info",
    ] {
        admin.ask(format!("{command}\r\n"), "+OK\r\n");
    }
    let seed = node.address().to_string();
    let flags = [
        "--pool",
        "cluster",
        "--server",
        &seed,
        "--memcache",
        "off",
        "--shards",
        "2",
    ];
    let ringfort = Ringfort::start(&[&flags[..], &TRACKED[..2]].concat());
    wait_until_served(&ringfort);
    let losses = info(&ringfort, "l1_invalidations");
    wait_for("copies to go, again and again", || {
        (info(&ringfort, "l1_invalidations") > losses + 4).then_some(())
    });
    let (_, stderr) = ringfort.end(Signal::TERM);
    let told = stderr.lines().filter(|line| line.contains("NOPERM"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 2, "once a shard:\n{stderr}");
    let is_clear =
        |line: &&str| line.contains("does not tell of changes") && line.contains("cluster|info");
    assert!(told.iter().all(is_clear), "{stderr}");
}

struct Read {
    called: Instant,
    returned: Instant,
    value: u64,
}

/// Reads a key all the time; while nobody has it there is nothing to note.
fn read_on(address: SocketAddr, is_over: &AtomicBool) -> Vec<Read> {
    let mut wire = Wire::connect(address);
    let mut reads = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let called = Instant::now();
        if let Some(value) = get(&mut wire, "{tag}").expect("no error") {
            reads.push(Read {
                called,
                returned: Instant::now(),
                value: value.parse().expect("a number"),
            });
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    reads
}

/// Writes a key all the time, wherever it is; the last value.
fn write_on(masters: &[SocketAddr], is_over: &AtomicBool) -> u64 {
    let mut wires: Vec<_> = masters.iter().map(|node| Wire::connect(*node)).collect();
    let (mut value, mut node) = (0, 0);
    while !is_over.load(Ordering::Relaxed) {
        value += 1;
        let mut prefix = "";
        loop {
            wires[node].send(format!("{prefix}SET {{tag}} {value}\r\n").as_bytes());
            if !prefix.is_empty() {
                wires[node].expect(b"+OK\r\n");
            }
            let line = wires[node].line();
            if line == "+OK" {
                break;
            }
            let words: Vec<&str> = line.split(' ').collect();
            prefix = match words[0] {
                "-MOVED" => "",
                "-ASK" => "ASKING\r\n",
                _ => panic!("{line}"),
            };
            let is_it = |master: &SocketAddr| master.to_string() == words[2];
            node = masters.iter().position(is_it).expect("a master");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    value
}

fn get(wire: &mut Wire, key: &str) -> Result<Option<String>, String> {
    wire.send(format!("GET {key}\r\n").as_bytes());
    let line = wire.line();
    match line.as_str() {
        "$-1" => Ok(None),
        _ if line.starts_with('$') => Ok(Some(wire.line())),
        _ => Err(line),
    }
}

/// Reads a key until it is answered out of a copy. One that is not there is set first.
fn keep(ringfort: &Ringfort, wire: &mut Wire, key: &str) {
    wait_for("the key to be kept", || {
        let before = info(ringfort, "keyspace_hits");
        if get(wire, key) == Ok(None) {
            wire.ask(format!("SET {key} again\r\n"), "+OK\r\n");
        }
        (info(ringfort, "keyspace_hits") > before).then_some(())
    });
}
