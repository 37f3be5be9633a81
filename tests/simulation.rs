//! The promise: whatever the network and the backends do, replies match requests, no acknowledged write is
//! forgotten, nobody waits for ever, and nothing is left behind. The whole proxy runs on a seeded fake of the
//! ring, shards, clients and servers in one thread, against models.
//!
//! A failure names its seed: `RINGFORT_SIM_SEED=7 cargo test --test simulation NAME` repeats it.
//! `RINGFORT_SIM_RUNS=1000` runs so many random seeds instead of the fixed ones.

#[path = "support/linearizability.rs"]
mod checker;
#[path = "support/sim/mod.rs"]
mod sim;
#[path = "support/transcript.rs"]
mod transcript;

#[path = "simulation/behind.rs"]
mod behind;
#[path = "simulation/cluster.rs"]
mod cluster;
#[path = "simulation/cluster_behind.rs"]
mod cluster_behind;
#[path = "simulation/crossing.rs"]
mod crossing;
#[path = "simulation/ejection.rs"]
mod ejection;
#[path = "simulation/embedded.rs"]
mod embedded;
#[path = "simulation/forwarding.rs"]
mod forwarding;
#[path = "simulation/hop_wait.rs"]
mod hop_wait;
#[path = "simulation/invalidate.rs"]
mod invalidate;
#[path = "simulation/l1.rs"]
mod l1;
#[path = "simulation/large_values.rs"]
mod large_values;
#[path = "simulation/plain_reads.rs"]
mod plain_reads;
#[path = "simulation/pool.rs"]
mod pool;
#[path = "simulation/replicas.rs"]
mod replicas;
#[path = "simulation/told.rs"]
mod told;
#[path = "simulation/tracked.rs"]
mod tracked;
#[path = "simulation/tracked_cluster.rs"]
mod tracked_cluster;
#[path = "simulation/tracking.rs"]
mod tracking;
#[path = "simulation/transactions.rs"]
mod transactions;
#[path = "simulation/units.rs"]
mod units;
#[path = "simulation/watching.rs"]
mod watching;

use std::hash::{BuildHasher, RandomState};

/// Runs `run` with the fixed seeds, or with what the environment asks for.
fn for_each_seed(count: u64, run: impl Fn(u64)) {
    let of_env = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = match (of_env("RINGFORT_SIM_SEED"), of_env("RINGFORT_SIM_RUNS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).map(|_| RandomState::new().hash_one(0)).collect(),
        (None, None) => (1..=count).collect(),
    };
    for seed in seeds {
        let _note = Note(seed);
        run(seed);
    }
}

/// Says which seed it was when a run fails.
struct Note(u64);

impl Drop for Note {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat it: RINGFORT_SIM_SEED={}", self.0);
        }
    }
}
