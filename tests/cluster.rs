//! The promise: in front of a Redis Cluster ringfort is one Redis. It finds the node of each key, follows slots that
//! move and masters that fail, and no answer is wrong meanwhile: an error at most.

#[path = "support/linearizability.rs"]
mod checker;
mod support;

#[path = "cluster/behind.rs"]
mod behind;
#[path = "cluster/changes.rs"]
mod changes;
#[path = "cluster/commands.rs"]
mod commands;
#[path = "cluster/load.rs"]
mod load;
#[path = "cluster/outages.rs"]
mod outages;
#[path = "cluster/setups.rs"]
mod setups;
#[path = "cluster/tracked.rs"]
mod tracked;

use std::time::Duration;

use support::cluster::Cluster;
use support::ringfort::Ringfort;
use support::wait_for;
use support::wire::Wire;

/// Between two steps of a slot that moves while clients go on.
const STEP_PAUSE: Duration = Duration::from_millis(60);

/// A ringfort with two shards in front of the cluster, of which it is told one node.
fn ringfort(cluster: &Cluster, flags: &[&str]) -> Ringfort {
    let seed = cluster.address(1).to_string();
    let common = [
        "--pool",
        "cluster",
        "--server",
        &seed,
        "--resp",
        "127.0.0.1:0",
        "--shards",
        "2",
        "--memory",
        "64MiB",
    ];
    Ringfort::start_exactly(&[&common[..], flags].concat())
}

/// Until keys of all nodes are served, on several connections, so on both shards.
fn wait_until_served(ringfort: &Ringfort) {
    for _ in 0..8 {
        let mut wire = Wire::connect(ringfort.resp());
        wait_for("all nodes to be served", || {
            wire.send(b"MGET a b c d e f g h i j k l\r\n");
            let count = wire.line();
            assert_eq!(count, "*12");
            let mut is_served = true;
            for _ in 0..12 {
                let line = wire.line();
                is_served &= line.starts_with('$');
                if line.starts_with('$') && line != "$-1" {
                    wire.line();
                }
            }
            is_served.then_some(())
        });
    }
}

/// A field of INFO.
fn info(ringfort: &Ringfort, name: &str) -> u64 {
    let mut wire = Wire::connect(ringfort.resp());
    wire.send(b"INFO stats\r\n");
    let header = wire.line();
    let text = wire.bytes(header[1..].parse().expect("a length"));
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .expect("a number")
}
