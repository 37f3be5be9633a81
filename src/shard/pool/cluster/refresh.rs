//! What a cluster says of itself: when one of its nodes is asked, and what is made of the answer.
//!
//! A node is asked for `CLUSTER INFO`, whose epoch tells how old its view is, and for `CLUSTER
//! SHARDS`; for `CLUSTER SLOTS` if it does not know that. A node that was cut off, or stopped,
//! answers what it knew before, and would have its old slots back: so what is older than what
//! another node has said is not believed, for as long as anybody says the newer.

use super::{Cluster, FIRST_NODE, NOBODY, NodeState, Pool};
use crate::{
    backend::{Expects, OnLoss, Terms},
    config::{CLUSTER_REFRESH_MS, CLUSTER_REFRESH_MS_MIN, CLUSTER_REFRESH_MS_TROUBLED},
    protocol::{
        number,
        resp::{Limits, reply::encode_command},
    },
    route::{NodeHealth, SLOT_COUNT, Slot, Topology, TopologyError},
    shard::{core::Core, pool::errand::Pending},
    store::UnixMs,
};

/// How long a node may take to answer before another one is asked, in milliseconds.
const PATIENCE_MS: u32 = 1_000;

/// An epoch is forgotten if no node has said it for so long, in milliseconds: then the cluster was
/// made anew, or those that knew are gone for good.
const EPOCH_MEMORY_MS: u64 = 30_000;

/// What a node is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Question {
    /// How old its view is.
    Epoch,
    /// Who has which slots.
    Shards,
    /// The same, of older servers.
    Slots,
}

/// A node that is being asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    server: usize,
    /// The epoch that it has told.
    epoch: Option<u64>,
}

/// When a node is asked, and by what answers are judged.
#[derive(Debug)]
pub(super) struct Refresh {
    asked: Option<Asked>,
    /// Something is not as it was thought to be.
    is_wanted: bool,
    /// When a node is asked in any case.
    next_at: UnixMs,
    /// Not before.
    earliest_at: UnixMs,
    /// Who is asked next.
    turn: usize,
    /// The newest epoch, and when it was told last.
    epoch: u64,
    epoch_at: UnixMs,
    /// Whether anything is known yet.
    is_known: bool,
    /// Whether it was said that nodes do not answer as a cluster's.
    has_complained: bool,
}

impl Refresh {
    pub(super) fn new(now: UnixMs) -> Self {
        Self {
            asked: None,
            is_wanted: true,
            next_at: now,
            earliest_at: now,
            turn: 0,
            epoch: 0,
            epoch_at: now,
            is_known: false,
            has_complained: false,
        }
    }

    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Whether this server is being asked.
    pub(super) fn asks(&self, server: usize) -> bool {
        self.asked.is_some_and(|asked| asked.server == server)
    }

    /// Whether somebody is to be asked now.
    pub(super) fn is_due(&self, now: UnixMs) -> bool {
        self.due_at().is_some_and(|at| now >= at)
    }

    /// When somebody is to be asked, unless somebody is.
    pub(super) fn due_at(&self) -> Option<UnixMs> {
        let at = match self.is_wanted {
            true => self.earliest_at,
            false => self.next_at,
        };
        self.asked.is_none().then_some(at)
    }

    /// A node knows of this epoch. If it is news, that node is asked next.
    pub(super) fn hear_epoch(&mut self, server: usize, epoch: u64) {
        if epoch > self.epoch {
            self.is_wanted = true;
            self.turn = server - FIRST_NODE;
        }
    }

    /// Whether a view of this epoch is believed. It is noted if it is.
    fn believes(&mut self, epoch: Option<u64>, now: UnixMs) -> bool {
        let Some(epoch) = epoch else { return true };
        let is_forgotten = now.0 >= self.epoch_at.0 + EPOCH_MEMORY_MS;
        if epoch < self.epoch && !is_forgotten {
            return false;
        }
        self.epoch = epoch;
        self.epoch_at = now;
        true
    }
}

impl Core {
    /// Asks a node about the cluster, if that is due and one is there.
    pub(super) fn ask_of_cluster(&mut self) {
        let now = self.now;
        let jitter = self.random();
        let Some(pool) = &mut self.pool else { return };
        let Some(server) = pool.node_to_ask(now) else {
            return;
        };
        let interval_ms = match pool.is_troubled() {
            true => CLUSTER_REFRESH_MS_TROUBLED,
            false => CLUSTER_REFRESH_MS,
        };
        let Some(cluster) = &mut pool.cluster else {
            return;
        };
        let refresh = &mut cluster.refresh;
        refresh.asked = Some(Asked {
            server,
            epoch: None,
        });
        refresh.is_wanted = false;
        refresh.earliest_at = UnixMs(now.0 + CLUSTER_REFRESH_MS_MIN);
        refresh.next_at = UnixMs(now.0 + interval_ms / 2 + jitter % interval_ms.max(1));
        let number = pool.first_link(server);
        pool.put(number, Question::Epoch, now);
        pool.put(number, Question::Shards, now);
        self.counters().cluster_refreshes.add(1);
    }

    /// A node has answered what it was asked about the cluster.
    pub(in crate::shard) fn heard_of_cluster(
        &mut self,
        number: usize,
        question: Question,
        failed: bool,
        frame: &[u8],
    ) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let server = pool.server_of(number);
        let Some(asked) = pool.asked_of(server) else {
            return;
        };
        let limits = Limits::for_replies(Topology::TEXT_BYTES_MAX);
        let told = match question {
            Question::Epoch => {
                asked.epoch = epoch(frame);
                return;
            }
            Question::Shards if failed && !is_no_cluster(frame) => {
                return pool.put(number, Question::Slots, now);
            }
            Question::Shards => Topology::from_shards(frame, &limits),
            Question::Slots => Topology::from_slots(frame, &limits),
        };
        let epoch = asked.epoch;
        pool.end_question();
        match told {
            Ok(topology) => {
                pool.take_topology(server, epoch, &topology, now);
                let count = pool
                    .cluster
                    .as_ref()
                    .map_or(0, |cluster| cluster.known_count());
                self.counters().cluster_nodes.set(count as u64);
            }
            Err(error) => pool.complain(server, &error),
        }
    }

    /// A node will not answer what it was asked about the cluster.
    pub(in crate::shard) fn not_heard_of_cluster(&mut self) {
        let Some(pool) = &mut self.pool else { return };
        pool.end_question();
        pool.want_refresh();
    }
}

impl Pool {
    /// Has a node asked soon: something is not as it was thought to be.
    pub(in crate::shard::pool) fn want_refresh(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.refresh.want();
        }
    }

    /// Whose turn it is to be asked, if anybody is to be.
    fn node_to_ask(&mut self, now: UnixMs) -> Option<usize> {
        let cluster = self
            .cluster
            .as_mut()
            .filter(|cluster| cluster.refresh.is_due(now))?;
        let count = cluster.nodes.len() - FIRST_NODE;
        let start = cluster.refresh.turn;
        cluster.refresh.turn = (start + 1) % count.max(1);
        let servers = (0..count).map(|step| FIRST_NODE + (start + step) % count);
        let cluster = self.cluster.as_ref()?;
        let is_fit = |server: &usize| {
            let link = &self.links[self.first_link(*server)];
            cluster.nodes[*server].state == NodeState::Known && link.core.is_serving()
        };
        servers.into_iter().find(is_fit)
    }

    /// Whether a node that has slots is away: somebody will take them over.
    fn is_troubled(&self) -> bool {
        let Some(cluster) = &self.cluster else {
            return false;
        };
        let is_away = |server: usize| !self.links[self.first_link(server)].core.is_serving();
        !cluster.refresh.is_known || cluster.masters().any(is_away)
    }

    fn put(&mut self, number: usize, question: Question, now: UnixMs) {
        let word: &[u8] = match question {
            Question::Epoch => b"INFO",
            Question::Shards => b"SHARDS",
            Question::Slots => b"SLOTS",
        };
        self.ask_node(number, Pending::Topology(question), word, now);
    }

    /// Asks a node for this part of what CLUSTER tells, over one of the links to it.
    pub(super) fn ask_node(&mut self, number: usize, pending: Pending, word: &[u8], now: UnixMs) {
        let terms = Terms {
            on_loss: OnLoss::Forget,
            patience_ms: PATIENCE_MS,
        };
        let pipeline = self.links[number].core.pipeline();
        let out = pipeline.push(pending, Expects::Line, terms, now);
        encode_command(out, &[b"CLUSTER", word]);
    }

    fn asked_of(&mut self, server: usize) -> Option<&mut Asked> {
        let asked = self.cluster.as_mut()?.refresh.asked.as_mut();
        asked.filter(|asked| asked.server == server)
    }

    fn end_question(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.refresh.asked = None;
        }
    }

    /// What a node knows is so from now on, unless another one knew better.
    fn take_topology(&mut self, asked: usize, epoch: Option<u64>, told: &Topology, now: UnixMs) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        if !cluster.refresh.believes(epoch, now) {
            return cluster.refresh.want();
        }
        cluster.refresh.is_known = true;
        cluster.refresh.has_complained = false;
        let mut holders = vec![Holder::Nobody; SLOT_COUNT];
        self.forget_replicas();
        for group in &told.groups {
            let holder = match group.master() {
                // Its replicas are about to choose one of them: until then it stays whose it was.
                None => {
                    if let Some(server) = self.holder_of(group) {
                        self.take_replicas(group, server, asked, now);
                    }
                    Holder::Unchanged
                }
                Some(master) => {
                    let cluster = self.cluster.as_ref();
                    let host = cluster.and_then(|cluster| cluster.host(&master.endpoint, asked));
                    let host = host.map(str::to_owned).zip(master.port);
                    let server = host.and_then(|(host, port)| self.node(&host, port, now));
                    if let Some(server) = server {
                        self.take_replicas(group, server, asked, now);
                    }
                    server.map_or(Holder::Unchanged, Holder::Server)
                }
            };
            for slot in group.ranges.iter().flat_map(|range| range.slots()) {
                holders[slot.index()] = holder;
            }
        }
        self.cut_failed(asked, told);
        for (index, holder) in holders.iter().enumerate() {
            let Some(slot) = Slot::new(index as i64) else {
                continue;
            };
            match holder {
                Holder::Unchanged => self.assign_if_waiting(slot),
                Holder::Nobody => self.assign(slot, NOBODY),
                Holder::Server(server) => self.assign(slot, *server),
            }
        }
    }

    /// A slot whose master is down, at the first look.
    fn assign_if_waiting(&mut self, slot: Slot) {
        let is_unknown = self.cluster.as_ref().is_some_and(|cluster| {
            cluster.server_of_slot(slot) == super::WAITING && !cluster.moves.contains_key(&slot)
        });
        if is_unknown {
            self.assign(slot, NOBODY);
        }
    }

    /// Nodes that the cluster counts as failed are given up: what is under way there is over.
    fn cut_failed(&mut self, asked: usize, told: &Topology) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        let failed = told.groups.iter().flat_map(|group| &group.nodes);
        for node in failed.filter(|node| node.health == NodeHealth::Failed) {
            let Some((host, port)) = cluster.host(&node.endpoint, asked).zip(node.port) else {
                continue;
            };
            let places = cluster.nodes.iter().enumerate().filter(|(_, known)| {
                known.state == NodeState::Known && known.port == port && known.host == host
            });
            let places: Vec<usize> = places.map(|(place, _)| place).collect();
            cluster.to_cut.extend(places);
        }
    }

    fn complain(&mut self, server: usize, error: &TopologyError) {
        let backend = self.name_of(server);
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        match std::mem::replace(&mut cluster.refresh.has_complained, true) {
            false => tracing::warn!(backend, "does not tell of its cluster: {error}"),
            true => tracing::debug!(backend, "does not tell of its cluster: {error}"),
        }
    }
}

/// Who has a slot, as a node says.
#[derive(Debug, Clone, Copy)]
enum Holder {
    Nobody,
    Server(usize),
    /// It does not say.
    Unchanged,
}

impl Cluster {
    /// Whether a node has told of the cluster.
    pub(super) fn is_known(&self) -> bool {
        self.refresh.is_known
    }

    /// Whether nodes answer, but none has told of a cluster.
    pub(super) fn is_none(&self) -> bool {
        !self.refresh.is_known && self.refresh.has_complained
    }
}

/// Whether a server says that it is in no cluster: then it need not be asked in other words.
fn is_no_cluster(line: &[u8]) -> bool {
    line.starts_with(b"-ERR This instance has cluster support disabled")
}

/// The epoch in the reply to CLUSTER INFO.
pub(super) fn epoch(frame: &[u8]) -> Option<u64> {
    const FIELD: &[u8] = b"cluster_current_epoch:";
    let start = memchr::memmem::find(frame, FIELD)? + FIELD.len();
    let end = memchr::memchr(b'\r', &frame[start..])?;
    number::unsigned(&frame[start..start + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_read_out_of_what_a_node_tells() {
        let frame = b"$70\r\ncluster_state:ok\r\ncluster_current_epoch:17\r\nx:1\r\n\r\n";
        assert_eq!(epoch(frame), Some(17));
        for odd in [
            &b"-ERR no\r\n"[..],
            b"cluster_current_epoch:",
            b"cluster_current_epoch:x\r",
        ] {
            assert_eq!(epoch(odd), None, "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn an_old_view_is_not_believed_until_the_new_one_is_forgotten() {
        let mut refresh = Refresh::new(UnixMs(0));
        assert!(refresh.believes(Some(5), UnixMs(0)));
        assert!(!refresh.believes(Some(4), UnixMs(10)));
        assert!(refresh.believes(Some(5), UnixMs(20_000)));
        assert!(!refresh.believes(Some(4), UnixMs(40_000)));
        assert!(refresh.believes(None, UnixMs(40_000)), "it tells of none");
        assert!(refresh.believes(Some(4), UnixMs(50_000)));
        assert!(refresh.believes(Some(4), UnixMs(50_001)));
    }
}
