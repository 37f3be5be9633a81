//! A real Redis Cluster: three masters and a replica of each, as processes.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::backends::Backend;
use super::process::free_port;
use super::wire::Wire;
use super::{DEADLINE, POLL_INTERVAL, wait_for};

/// After so many milliseconds a node that says nothing is thought to have failed.
const NODE_TIMEOUT_MS: u32 = 1_000;

/// The same where none is meant to fail: no machine is so busy that a node says nothing for so long.
const CALM_TIMEOUT_MS: u32 = 15_000;

const MASTERS: usize = 3;

/// Six nodes; the first three are masters at the start, the n-th of the others follows the n-th.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Backend>,
    bus_ports: Vec<u16>,
    node_timeout_ms: u32,
    /// More arguments of every node.
    extra: String,
    /// What has to be said first on a connection to a node.
    hello: String,
}

impl Cluster {
    /// All of it, well. A node that is killed or paused is soon thought to have failed.
    pub(crate) fn start() -> Self {
        Self::assemble(NODE_TIMEOUT_MS, "", "")
    }

    /// The same for tests that neither kill nor pause a node. A master's replicas can take over from it once only: for
    /// twice that time nodes vote for no other.
    pub(crate) fn start_calm() -> Self {
        Self::assemble(CALM_TIMEOUT_MS, "", "")
    }

    /// As [`Self::start`], with more arguments of every node.
    pub(crate) fn start_with(extra: &str) -> Self {
        Self::assemble(NODE_TIMEOUT_MS, extra, "")
    }

    /// As [`Self::start`], with a password, which nodes want of each other, too.
    pub(crate) fn start_locked(password: &str) -> Self {
        let extra = format!("--requirepass {password} --masterauth {password}");
        Self::assemble(NODE_TIMEOUT_MS, &extra, &format!("AUTH {password}\r\n"))
    }

    fn assemble(node_timeout_ms: u32, extra: &str, hello: &str) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            bus_ports: Vec::new(),
            node_timeout_ms,
            extra: extra.to_owned(),
            hello: hello.to_owned(),
        };
        for _ in 0..2 * MASTERS {
            cluster.add_process();
        }
        for number in 0..2 * MASTERS {
            cluster.ask(number, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
        }
        for (number, range) in ["0 5460", "5461 10922", "10923 16383"].iter().enumerate() {
            cluster.ask(number, &format!("CLUSTER ADDSLOTSRANGE {range}"));
        }
        for number in 1..2 * MASTERS {
            cluster.meet(number);
        }
        cluster.wait_until_known(2 * MASTERS);
        for number in 0..MASTERS {
            let id = cluster.id(number);
            cluster.ask(MASTERS + number, &format!("CLUSTER REPLICATE {id}"));
        }
        cluster.wait_until_well();
        cluster
    }

    /// One more node, which has no slots and is a master.
    pub(crate) fn add_node(&mut self) -> usize {
        self.add_process();
        let number = self.nodes.len() - 1;
        self.meet(number);
        self.wait_until_known(self.nodes.len());
        self.wait_until_well();
        number
    }

    fn add_process(&mut self) {
        let bus_port = free_port();
        let extra = format!(
            "--cluster-port {bus_port} --cluster-node-timeout {} --repl-diskless-sync-delay 0 {}",
            self.node_timeout_ms, self.extra
        );
        self.nodes.push(Backend::cluster_redis_with(&extra));
        self.bus_ports.push(bus_port);
    }

    fn meet(&self, number: usize) {
        let port = self.address(number).port();
        let bus_port = self.bus_ports[number];
        self.ask(0, &format!("CLUSTER MEET 127.0.0.1 {port} {bus_port}"));
    }

    pub(crate) fn address(&self, number: usize) -> SocketAddr {
        self.nodes[number].address()
    }

    /// What a node answers to an inline command: a line, or a bulk.
    pub(crate) fn ask(&self, number: usize, command: &str) -> String {
        let mut wire = self.connect(number);
        wire.send(format!("{command}\r\n").as_bytes());
        let line = wire.line();
        match line.strip_prefix('$') {
            Some("-1") => line,
            Some(count) => {
                let bytes = wire.bytes(count.parse().expect("a length"));
                String::from_utf8_lossy(&bytes).into_owned()
            }
            None => {
                assert!(!line.starts_with('-'), "{command} at node {number}: {line}");
                line
            }
        }
    }

    /// A connection to a node that may say anything.
    pub(crate) fn connect(&self, number: usize) -> Wire {
        let mut wire = self.nodes[number].connect();
        if !self.hello.is_empty() {
            wire.ask(&self.hello, "+OK\r\n");
        }
        wire
    }

    pub(crate) fn id(&self, number: usize) -> String {
        self.ask(number, "CLUSTER MYID")
    }

    /// The master that has a slot, as a node that is well says.
    pub(crate) fn owner(&self, asked: usize, slot: usize) -> Option<usize> {
        let nodes = self.ask(asked, "CLUSTER NODES");
        let line = nodes.lines().find(|line| {
            let flags = line.split(' ').nth(2).unwrap_or_default();
            let mut flags = flags.split(',');
            let is_failed = |flag: &str| ["fail", "fail?"].contains(&flag);
            let is_fit = line.contains("master") && !flags.any(is_failed);
            is_fit && line.split(' ').skip(8).any(|range| holds(range, slot))
        })?;
        let address = line.split(' ').nth(1)?.split('@').next()?.to_owned();
        self.nodes
            .iter()
            .position(|node| node.address().to_string() == address)
    }

    fn wait_until_known(&self, count: usize) {
        for number in 0..self.nodes.len() {
            wait_for("all nodes to know each other", || {
                let nodes = self.ask(number, "CLUSTER NODES");
                (nodes.lines().count() == count && !nodes.contains("handshake")).then_some(())
            });
        }
    }

    /// Until every node that runs says so, replicas have their data, and each node knows which are replicas: no master
    /// votes for one that it takes for a master.
    pub(crate) fn wait_until_well(&self) {
        let running: Vec<_> = (0..self.nodes.len())
            .filter(|number| self.nodes[*number].is_running())
            .collect();
        for &number in &running {
            wait_for("the cluster to be well", || {
                let info = self.ask(number, "CLUSTER INFO");
                let replication = self.ask(number, "INFO replication");
                let is_synced = replication.contains("role:master")
                    || replication.contains("master_link_status:up");
                let are_known = running.iter().all(|other| {
                    self.is_replica(number, *other) == self.is_replica(*other, *other)
                });
                (info.contains("cluster_state:ok") && is_synced && are_known).then_some(())
            });
        }
    }

    /// Whether a node takes another for a replica.
    fn is_replica(&self, asked: usize, number: usize) -> bool {
        let nodes = self.ask(asked, "CLUSTER NODES");
        let address = format!(" {}@", self.address(number));
        let line = nodes.lines().find(|line| line.contains(&address));
        line.is_some_and(|line| line.contains("slave"))
    }

    /// Has a replica take over from its master, which stays. Nodes may be unwilling for a while, and for four times
    /// the node timeout once they have refused their votes.
    pub(crate) fn hand_over_to(&self, number: usize) {
        self.wait_until_well();
        let is_master = || self.ask(number, "INFO replication").contains("role:master");
        wait_for("a replica to take over", || {
            self.ask(number, "CLUSTER FAILOVER");
            // After five seconds a node gives the attempt up by itself.
            let until = Instant::now() + Duration::from_secs(6);
            while !is_master() && Instant::now() < until {
                thread::sleep(POLL_INTERVAL);
            }
            is_master().then_some(())
        });
    }

    /// Moves a slot to the next of the first three masters, key by key, with a pause after each step.
    pub(crate) fn move_slot(&self, slot: usize, pause: Duration) {
        let from = self.owner(0, slot).expect("an owner");
        let to = (from + 1) % MASTERS;
        self.begin_move(slot, from, to);
        thread::sleep(pause);
        while self.move_keys(slot, from, to, 1) > 0 {
            thread::sleep(pause);
        }
        self.end_move(slot, from, to);
        thread::sleep(pause);
    }

    /// Begins to move a slot from one master to another.
    pub(crate) fn begin_move(&self, slot: usize, from: usize, to: usize) {
        let (from_id, to_id) = (self.id(from), self.id(to));
        self.ask(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
        self.ask(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
    }

    /// Moves up to so many keys of a slot; how many there were.
    pub(crate) fn move_keys(&self, slot: usize, from: usize, to: usize, count: usize) -> usize {
        let mut wire = self.connect(from);
        let keys = keys_in_slot(&mut wire, slot, count);
        let port = self.address(to).port();
        let auth = self.hello.trim_end();
        for key in &keys {
            wire.send(format!("MIGRATE 127.0.0.1 {port} {key} 0 5000 {auth}\r\n").as_bytes());
            let line = wire.line();
            // Somebody may have deleted it.
            assert!(["+OK", "+NOKEY"].contains(&line.as_str()), "{line}");
        }
        keys.len()
    }

    /// The slot is the other master's now: it is told first, as redis-cli does.
    pub(crate) fn end_move(&self, slot: usize, from: usize, to: usize) {
        let id = self.id(to);
        for number in [to, from] {
            self.ask(number, &format!("CLUSTER SETSLOT {slot} NODE {id}"));
        }
    }
}

fn keys_in_slot(wire: &mut Wire, slot: usize, count: usize) -> Vec<String> {
    wire.send(format!("CLUSTER GETKEYSINSLOT {slot} {count}\r\n").as_bytes());
    let header = wire.line();
    let count: usize = header[1..].parse().expect("a count");
    let keys = (0..count).map(|_| {
        wire.line();
        wire.line()
    });
    keys.collect()
}

/// Whether `5461-10922`, or `7`, has a slot in it.
fn holds(range: &str, slot: usize) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let bounds = first.parse::<usize>().ok().zip(last.parse::<usize>().ok());
    bounds.is_some_and(|(first, last)| (first..=last).contains(&slot))
}

const _: () = assert!(NODE_TIMEOUT_MS as u64 * 5 < DEADLINE.as_secs() * 1_000);
