//! The spool of writes for a Redis Cluster: it keeps them for whoever has their slots when they can be sent.

use std::thread;
use std::time::Duration;

use ringfort::config::Protocol;
use ringfort::route::Slot;

use super::by_hand::{path, spool};
use super::kills::kill_count;
use super::kills_behind::{live_count, write_until_killed};
use crate::support::{
    backends::Backend, cluster::Cluster, process::ScratchFolder, ringfort::Ringfort, wait_for,
    wire::Wire,
};

/// kill -9 at any moment loses no answered value and brings no older one back, while slots move and masters are away.
#[test]
fn a_kill_loses_no_answered_value() {
    let mut cluster = Cluster::start();
    // A replica may not have what its master has answered; whoever takes over then is not to be seen here.
    (3..6).for_each(|node| {
        cluster.ask(node, "CONFIG SET cluster-replica-no-failover yes");
    });
    let folder = ScratchFolder::new();
    let mut behind_count = 0;
    for round in 0..kill_count().div_ceil(2) {
        let sync = ["always", "interval", "none"][round / 2 % 3];
        let mut ringfort = start(&cluster, &folder, sync);
        wait_for("the cluster to be known", || {
            is_served(&ringfort).then_some(())
        });
        let away = (round % 2 == 1).then_some(round / 2 % 3);
        let written = thread::scope(|scope| {
            if let Some(master) = away {
                cluster.nodes[master].stop();
            }
            let process = &mut ringfort;
            let writers = scope.spawn(move || write_until_killed(process, Protocol::Resp, round));
            if away.is_none() {
                let name = format!("key:{round}:0:0");
                let slot = Slot::of(name.as_bytes()).index();
                cluster.move_slot(slot, Duration::from_millis(5));
            }
            writers.join().expect("writers")
        });
        ringfort.kill();
        if let Some(master) = away {
            cluster.nodes[master].restart();
            cluster.wait_until_well();
        }
        let is_in_step =
            |name: &str, values: &[Option<u64>]| values.contains(&read(&cluster, name));
        let known = written.known;
        let behind = known
            .iter()
            .filter(|(name, values)| !is_in_step(name, values));
        behind_count += behind.count();
        let ringfort = start(&cluster, &folder, sync);
        for (name, values) in &known {
            wait_for("the cluster to have what was answered", || {
                is_in_step(name, values).then_some(())
            });
        }
        wait_for("the spool to be emptied", || {
            (live_count(&ringfort, Protocol::Resp) == 0).then_some(())
        });
        for (name, values) in &known {
            let value = read(&cluster, name);
            assert!(
                values.contains(&value),
                "round {round}: {name} is {value:?} of {values:?}"
            );
        }
    }
    assert!(
        behind_count > 0,
        "each kill came too late to lose something"
    );
}

/// Who has the slots has changed when it starts again.
#[test]
fn what_was_written_goes_to_whoever_has_the_slot_at_the_next_start() {
    let mut cluster = Cluster::start();
    (3..6).for_each(|node| {
        cluster.ask(node, "CONFIG SET cluster-replica-no-failover yes");
    });
    let folder = ScratchFolder::new();
    let ringfort = start(&cluster, &folder, "always");
    wait_for("the cluster to be known", || {
        is_served(&ringfort).then_some(())
    });
    cluster.nodes[0].stop();
    let names: Vec<String> = (0..30).map(|number| format!("key:{number}")).collect();
    let mut wire = Wire::connect(ringfort.resp());
    for name in &names {
        wire.ask(format!("SET {name} 7\r\n"), "+OK\r\n");
    }
    ringfort.kill();
    let dir = path(&folder);
    let (_, listed, _) = spool(&["ls", &dir]);
    assert!(listed.contains("server   cluster: "), "{listed}");
    let (code, said, _) = spool(&["replay", &dir]);
    assert_eq!(code, 1);
    assert!(
        said.contains("(name one of its nodes: --to HOST:PORT)"),
        "{said}"
    );
    cluster.ask(3, "CLUSTER FAILOVER TAKEOVER");
    cluster.wait_until_well();
    let ringfort = start(&cluster, &folder, "always");
    wait_for("whoever has the slots to have the values", || {
        names
            .iter()
            .all(|name| read(&cluster, name) == Some(7))
            .then_some(())
    });
    wait_for("the spool to be emptied", || {
        (live_count(&ringfort, Protocol::Resp) == 0).then_some(())
    });
}

/// By hand it goes to whoever has the slot, as the node says that is named.
#[test]
fn replay_asks_a_node_who_has_what() {
    let mut cluster = Cluster::start();
    let folder = ScratchFolder::new();
    let ringfort = start(&cluster, &folder, "always");
    wait_for("the cluster to be known", || {
        is_served(&ringfort).then_some(())
    });
    cluster.nodes.iter_mut().for_each(|node| node.stop());
    let names: Vec<String> = (0..30).map(|number| format!("key:{number}")).collect();
    let mut wire = Wire::connect(ringfort.resp());
    for name in &names {
        wire.ask(format!("SET {name} 7\r\n"), "+OK\r\n");
    }
    wire.ask("DEL key:3\r\n", ":1\r\n");
    ringfort.kill();
    let dir = path(&folder);
    let seed = cluster.nodes[4].address().to_string();
    let (code, said, _) = spool(&["replay", &dir, "--to", &seed]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("cluster: 0 taken, 30 not ("), "{said}");
    for (other, why) in [
        (Backend::cluster_redis(), "nobody has their slots"),
        (
            Backend::redis(),
            "ERR This instance has cluster support disabled",
        ),
    ] {
        let (code, said, _) = spool(&["replay", &dir, "--to", &other.address().to_string()]);
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("cluster: 0 taken, 30 not ("), "{said}");
        assert!(said.contains(why), "{said}");
    }
    cluster.nodes.iter_mut().for_each(|node| node.restart());
    cluster.wait_until_well();
    let (code, said, _) = spool(&["replay", &dir, "--to", &seed]);
    assert_eq!(code, 0, "{said}");
    let taken = said.lines().filter_map(|line| {
        let count = line.split(": ").nth(1)?.strip_suffix(" taken, 0 not")?;
        count.parse::<u64>().ok()
    });
    assert_eq!(taken.sum::<u64>(), 30, "{said}");
    for name in &names {
        let expected = (name != "key:3").then_some(7);
        assert_eq!(read(&cluster, name), expected, "{name}");
    }
}

fn start(cluster: &Cluster, folder: &ScratchFolder, sync: &str) -> Ringfort {
    let seeds: Vec<String> = cluster
        .nodes
        .iter()
        .map(|node| node.address().to_string())
        .collect();
    let folder = folder.path().display().to_string();
    let mut flags = vec![
        "--pool",
        "cluster",
        "--memcache",
        "off",
        "--write",
        "behind",
        "--backend-timeout",
        "500ms",
        "--spool",
        &folder,
        "--spool-sync",
        sync,
    ];
    for seed in &seeds {
        flags.extend(["--server", seed]);
    }
    Ringfort::start(&flags)
}

/// Whether keys of several nodes are.
fn is_served(ringfort: &Ringfort) -> bool {
    let mut wire = Wire::connect(ringfort.resp());
    ["a", "b", "c", "d", "e"].iter().all(|name| {
        wire.send(format!("EXISTS {name}\r\n").as_bytes());
        wire.line().starts_with(':')
    })
}

/// What the cluster has of a key.
fn read(cluster: &Cluster, name: &str) -> Option<u64> {
    let slot = Slot::of(name.as_bytes()).index();
    wait_for("the owner of a key to answer", || {
        let asked = (0..cluster.nodes.len()).find(|node| cluster.nodes[*node].is_running())?;
        let owner = cluster.owner(asked, slot)?;
        let mut wire = cluster.nodes[owner].connect();
        wire.send(format!("GET {name}\r\n").as_bytes());
        match wire.line().as_str() {
            "$-1" => Some(None),
            line if line.starts_with('$') => Some(Some(wire.line().parse().expect("a number"))),
            _ => None,
        }
    })
}
