//! Clusters that are set up in other ways: behind a password, and with nodes that go by names, or by none.

use ringfort::route::Slot;

use crate::support::cluster::Cluster;
use crate::support::process::{ScratchFolder, Signal};
use crate::support::ringfort::Ringfort;
use crate::support::wait_for;
use crate::support::wire::Wire;
use crate::{info, ringfort, wait_until_served};

#[test]
fn a_cluster_behind_a_password() {
    let cluster = Cluster::start_locked("open-sesame");
    let folder = ScratchFolder::new();
    folder.write("password", "open-sesame\n");
    let file = folder.path().join("password").display().to_string();
    for l1 in ["off", "tracked"] {
        let flags = ["--backend-password-file", &file, "--l1", l1];
        let ringfort = ringfort(&cluster, &flags);
        is_followed(&cluster, &ringfort);
    }
    folder.write("password", "open-barley\n");
    let ringfort = ringfort(&cluster, &["--backend-password-file", &file]);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("GET key\r\n", "-ERR backend is unavailable\r\n");
    let (_, stderr) = ringfort.end(Signal::TERM);
    assert!(stderr.contains("WRONGPASS"), "{stderr}");
}

#[test]
fn nodes_that_go_by_names() {
    let cluster = Cluster::start_with(
        "--cluster-announce-hostname localhost --cluster-preferred-endpoint-type hostname",
    );
    let moved = cluster.nodes[0].connect();
    assert_eq!(redirect(moved), "localhost");
    for l1 in ["off", "tracked"] {
        is_followed(&cluster, &ringfort(&cluster, &["--l1", l1]));
    }
}

/// Where a client has reached one node it reaches all, by their ports.
#[test]
fn nodes_that_do_not_say_where_they_are() {
    let cluster = Cluster::start_with("--cluster-preferred-endpoint-type unknown-endpoint");
    let moved = cluster.nodes[0].connect();
    assert_eq!(redirect(moved), "");
    for l1 in ["off", "tracked"] {
        is_followed(&cluster, &ringfort(&cluster, &["--l1", l1]));
    }
}

/// Keys of all nodes are served, a slot that moves is followed, and so is a master that steps down.
fn is_followed(cluster: &Cluster, ringfort: &Ringfort) {
    wait_until_served(ringfort);
    let mut wire = Wire::connect(ringfort.resp());
    for key in 0..60 {
        wire.ask(
            format!("SET key:{key} {key:02}\r\nGET key:{key}\r\nGET key:{key}\r\n"),
            format!("+OK\r\n$2\r\n{key:02}\r\n$2\r\n{key:02}\r\n"),
        );
    }
    let slot = Slot::of(b"key:0").index();
    for _ in 0..2 {
        let from = wait_for("an owner", || cluster.owner(0, slot));
        let to = (0..6).find(|node| {
            let is_master = cluster
                .ask(*node, "INFO replication")
                .contains("role:master");
            is_master && *node != from
        });
        let to = to.expect("another master");
        cluster.begin_move(slot, from, to);
        wire.ask("APPEND key:0 x\r\n", ":3\r\n");
        while cluster.move_keys(slot, from, to, 10) > 0 {}
        wire.ask("GET key:0\r\nSTRLEN key:0\r\n", "$3\r\n00x\r\n:3\r\n");
        cluster.end_move(slot, from, to);
        wire.ask("SET key:0 00\r\nGET key:0\r\n", "+OK\r\n$2\r\n00\r\n");
    }
    let (moved, asked) = (
        info(ringfort, "cluster_moved"),
        info(ringfort, "cluster_asked"),
    );
    assert!(moved > 0 && asked > 0, "{moved} moved, {asked} asked");
    let new = (0..6).find(|node| {
        let role = cluster.ask(*node, "INFO replication");
        role.contains("role:slave") && role.contains("master_link_status:up")
    });
    let new = new.expect("a replica");
    cluster.hand_over_to(new);
    wait_until_served(ringfort);
    for key in 0..60 {
        wire.ask(format!("GET key:{key}\r\n"), format!("$2\r\n{key:02}\r\n"));
    }
    cluster.wait_until_well();
    wait_for("nobody to be known but the masters", || {
        (info(ringfort, "cluster_nodes") == 3).then_some(())
    });
}

/// The host that a node names for a key that another one has.
fn redirect(mut wire: Wire) -> String {
    let mut keys = (0..).map(|key| format!("key:{key}"));
    loop {
        let key = keys.next().expect("one more");
        wire.send(format!("GET {key}\r\n").as_bytes());
        let line = wire.line();
        if let Some(rest) = line.strip_prefix("-MOVED ") {
            let address = rest.split(' ').nth(1).expect("an address");
            let (host, _) = address.rsplit_once(':').expect("a port");
            return host.to_owned();
        }
    }
}
