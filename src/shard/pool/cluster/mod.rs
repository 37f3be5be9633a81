//! A pool that is a Redis Cluster: its servers are nodes that come and go, and a key's server is who
//! has its slot now.
//!
//! ```text
//!   key -> slot -> server number -> link
//!                    0: nobody is known yet, or the slot is moving: requests wait
//!                    1: nobody has the slot: requests are refused
//!                    2…: nodes
//! ```
//!
//! Each shard has its own view and its own links. It learns of changes from nodes that will not do
//! what they are asked ([`redirect`]), and from what it [asks](refresh) one of them at the start,
//! after any such sign, after a lost connection, and now and then. Numbers of servers are used again
//! once nothing is left of a node, so links are found by number as in any other pool.

mod again;
mod moves;
mod redirect;
mod refresh;
mod replicas;
mod standing;
mod tend;
mod waiting;
mod writes;

use std::{collections::BTreeMap, sync::Arc};

pub(in crate::shard) use self::refresh::Question;
pub(super) use self::{
    again::Again,
    redirect::{ASKING_TERMS, HOPS_MAX, Target, asking},
    waiting::{first_key, limits_of_kept},
};
use self::{
    moves::{Move, SentOn},
    refresh::Refresh,
    replicas::HandedOver,
};
use super::{Pool, failure::UNAVAILABLE, l1::L1, link::Link, unit::Retry};
use crate::{
    backend::{OnLoss, SlotWrites, Terms},
    io::Address,
    route::{Endpoint, SLOT_COUNT, ServerSpec, Slot},
    store::UnixMs,
};

/// The server where requests wait whose node is not known now. It has links, but no connection.
pub(super) const WAITING: usize = 0;

/// The server of slots that nobody has.
pub(super) const NOBODY: usize = 1;

/// The first number of a node.
const FIRST_NODE: usize = 2;

/// The most nodes that a shard has links to at a time: as many masters as the specification calls a
/// sensible limit.
const NODES_MAX: usize = 1_000;

/// How long a node without slots is kept, in milliseconds: one that takes over slots is asked for
/// single keys before it has any.
const NODE_LINGER_MS: u64 = 10_000;

/// The line for a client whose key's slot nobody has, in Redis' words.
pub(super) const UNSERVED: &str = "CLUSTERDOWN Hash slot not served";

/// A node as a shard knows it, or an empty place for one.
#[derive(Debug)]
struct Node {
    host: String,
    port: u16,
    state: NodeState,
    /// When somebody last said that it is there.
    named_at: UnixMs,
    /// How many slots it has.
    slot_count: usize,
    /// It is here as a [replica](replicas), which has no slots.
    is_replica: bool,
    /// As such it was told of last.
    is_listed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeState {
    /// The number is nobody's.
    Free,
    Known,
    /// It is asked for nothing more, and its links end.
    Leaving,
}

/// What a shard knows of its cluster.
///
/// Invariant: there are as many nodes as the pool has servers, the two that are none included; a
/// slot is some node's that is [known](NodeState::Known), or one of those two's; what moves is
/// [`WAITING`]'s.
#[derive(Debug)]
pub(super) struct Cluster {
    seeds: Arc<[ServerSpec]>,
    /// The server of each slot.
    slots: Box<[u16; SLOT_COUNT]>,
    nodes: Vec<Node>,
    /// Slots that are between two servers.
    moves: BTreeMap<Slot, Move>,
    /// What was sent on by a node while its slot stayed.
    strays: BTreeMap<Slot, SentOn>,
    /// Slots that masters hand over.
    handed_over: HandedOver,
    refresh: Refresh,
    /// Requests that wait may be able to go.
    has_news: bool,
    /// Units that are tried again later.
    retries: Vec<Retry>,
    /// Nodes whose connections are to be given up.
    to_cut: Vec<usize>,
    /// When masters are asked whether they stand for their slots still.
    standing_at: UnixMs,
    /// Writes that are answered and not done.
    pub(super) writes: SlotWrites,
    /// Servers that slots were taken from since those were looked at.
    left: Vec<usize>,
    /// When something is to be looked at, if nothing happens before.
    next_look: UnixMs,
}

impl Cluster {
    /// A cluster of which nothing is known but where to ask.
    fn new(seeds: Arc<[ServerSpec]>, standing_at: UnixMs, now: UnixMs) -> Self {
        let nobody = || Node {
            host: String::new(),
            port: 0,
            state: NodeState::Free,
            named_at: now,
            slot_count: 0,
            is_replica: false,
            is_listed: false,
        };
        let mut nodes = vec![nobody(), nobody()];
        nodes[WAITING].slot_count = SLOT_COUNT;
        Self {
            seeds,
            slots: Box::new([WAITING as u16; SLOT_COUNT]),
            nodes,
            moves: BTreeMap::new(),
            strays: BTreeMap::new(),
            handed_over: HandedOver::default(),
            refresh: Refresh::new(now),
            has_news: false,
            retries: Vec::new(),
            to_cut: Vec::new(),
            standing_at,
            writes: SlotWrites::default(),
            left: Vec::new(),
            next_look: now,
        }
    }

    /// The server of a key.
    #[inline]
    pub(super) fn server(&self, key: &[u8]) -> usize {
        self.server_of_slot(Slot::of(key))
    }

    /// The server of the slot of this number.
    pub(super) fn server_at(&self, slot: usize) -> usize {
        usize::from(self.slots[slot % SLOT_COUNT])
    }

    #[inline]
    fn server_of_slot(&self, slot: Slot) -> usize {
        usize::from(self.slots[slot.index()])
    }

    /// The servers that have keys.
    pub(super) fn masters(&self) -> impl Iterator<Item = usize> {
        let is_target = |server| self.moves.values().any(|one| one.target() == server);
        (FIRST_NODE..self.nodes.len())
            .filter(move |server| self.nodes[*server].slot_count > 0 || is_target(*server))
    }

    /// How many nodes are known, without those that are only read from.
    fn known_count(&self) -> usize {
        let nodes = self.nodes.iter();
        nodes.filter(|node| node.is_known_as(false)).count()
    }

    /// The slots of a server.
    pub(super) fn slots_of(&self, server: usize) -> impl Iterator<Item = usize> {
        (0..SLOT_COUNT).filter(move |slot| self.server_at(*slot) == server)
    }

    fn set_slot(&mut self, slot: Slot, server: usize) {
        let old = self.server_of_slot(slot);
        self.note_slot_left(old);
        self.nodes[old].slot_count -= 1;
        self.nodes[server].slot_count += 1;
        self.slots[slot.index()] = server as u16;
    }

    /// The host that was meant by who was reached at `asked`.
    fn host<'e>(&'e self, endpoint: &'e Endpoint, asked: usize) -> Option<&'e str> {
        match endpoint {
            Endpoint::At(host) => Some(host),
            Endpoint::AsAsked => Some(&self.nodes[asked].host),
            Endpoint::Unknown => None,
        }
    }

    /// Whether a node may go: nobody's keys are there, and none were lately.
    fn is_done_with(&self, server: usize, now: UnixMs) -> bool {
        let node = &self.nodes[server];
        node.state == NodeState::Known
            && node.slot_count == 0
            && node.is_unlisted()
            && now.0 >= node.named_at.0 + NODE_LINGER_MS
            && !self.refresh.asks(server)
            && !self.has_strays_at(server)
            && !self.moves.values().any(|one| one.is_about(server))
    }
}

impl Pool {
    /// Makes the pool a cluster's.
    pub(super) fn found_cluster(&mut self, seeds: &Arc<[ServerSpec]>, now: UnixMs) {
        for server in [WAITING, NOBODY] {
            let links = self.maker.make_unconnected(server, now);
            self.put_links(server, links);
        }
        let standing_at = self.first_standing(now);
        let cluster = Cluster::new(Arc::clone(seeds), standing_at, now);
        self.cluster = Some(Box::new(cluster));
        self.close_server(NOBODY);
        self.call_seeds(now);
    }

    fn close_server(&mut self, server: usize) {
        for number in self.all_links_to(server) {
            self.links[number].core.set_open(false);
        }
    }

    /// Has links to the servers that the operator named.
    fn call_seeds(&mut self, now: UnixMs) {
        let seeds = self
            .cluster
            .as_ref()
            .map(|cluster| Arc::clone(&cluster.seeds));
        for seed in seeds.iter().flat_map(|seeds| seeds.iter()) {
            self.node(&seed.host, seed.port, now);
        }
    }

    /// The server at this host and port, which may be new. None if there are too many.
    fn node(&mut self, host: &str, port: u16, now: UnixMs) -> Option<usize> {
        self.node_of(host, port, false, now)
    }

    /// The same, as one that may have slots or as a [replica](replicas).
    fn node_of(&mut self, host: &str, port: u16, is_replica: bool, now: UnixMs) -> Option<usize> {
        let cluster = self.cluster.as_mut()?;
        let nodes = &mut cluster.nodes;
        let is_it =
            |node: &Node| node.is_known_as(is_replica) && node.port == port && node.host == host;
        if let Some(server) = nodes.iter().position(is_it) {
            nodes[server].named_at = now;
            return Some(server);
        }
        let node = Node {
            host: host.to_owned(),
            port,
            state: NodeState::Known,
            named_at: now,
            slot_count: 0,
            is_replica,
            is_listed: false,
        };
        let free = nodes
            .iter()
            .skip(FIRST_NODE)
            .position(|node| node.state == NodeState::Free);
        let server = match free {
            Some(place) => FIRST_NODE + place,
            None if nodes.len() - FIRST_NODE >= NODES_MAX => return None,
            None => nodes.len(),
        };
        match nodes.get_mut(server) {
            Some(place) => *place = node,
            None => nodes.push(node),
        }
        let links = match is_replica {
            true => self.maker.make_to_replica(server, now),
            false => self.maker.make_to(server, now),
        };
        self.put_links(server, links);
        Some(server)
    }

    /// Puts a server's links in their places, which are empty, or at the end.
    fn put_links(&mut self, server: usize, links: Vec<Link>) {
        let numbers = self.all_links_to(server);
        let end = numbers.end.min(self.links.len());
        self.links.splice(numbers.start..end, links);
        if let L1::Tracked(tracked) = &mut self.l1 {
            tracked.begin(server, numbers);
        }
    }

    /// Asks a node for nothing more.
    fn part_with(&mut self, server: usize) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        cluster.nodes[server].state = NodeState::Leaving;
        for number in self.all_links_to(server) {
            self.links[number].core.drain();
        }
    }

    /// Whether nothing is left of a node that was parted with.
    fn has_left(&self, server: usize) -> bool {
        self.all_links_to(server)
            .all(|number| self.links[number].core.is_closed() && self.links[number].token.is_none())
    }

    /// Where a server is.
    pub(super) fn address_of(&self, server: usize, try_count: u32) -> Option<Address> {
        match &self.cluster {
            None => self.addresses.address(server, try_count),
            Some(cluster) => {
                let node = cluster.nodes.get(server)?;
                let is_there = node.state != NodeState::Free;
                is_there.then(|| self.addresses.find(&node.host, node.port, try_count))?
            }
        }
    }

    /// What an operator calls a server.
    pub(super) fn name_of(&self, server: usize) -> String {
        match &self.cluster {
            None => self.addresses.name(server),
            Some(cluster) => {
                let node = &cluster.nodes[server];
                ServerSpec {
                    host: node.host.clone(),
                    port: node.port,
                    weight: 1,
                    name: None,
                }
                .address()
            }
        }
    }

    /// The line for a client whose request a server cannot be given.
    pub(super) fn why_not(&self, server: usize) -> &'static str {
        match self.cluster.is_some() && server == NOBODY {
            true => UNSERVED,
            false => UNAVAILABLE,
        }
    }

    /// A node that has keys and is connected, if any is; not always the same for another number.
    pub(super) fn node_at_hand(&self, cluster: &Cluster, number: usize) -> Option<usize> {
        let is_serving = |server: &usize| self.links[self.first_link(*server)].core.is_serving();
        let serving = || cluster.masters().filter(is_serving);
        match serving().count() {
            0 => {
                let place = number.checked_rem(cluster.masters().count())?;
                cluster.masters().nth(place)
            }
            count => serving().nth(number % count),
        }
    }

    /// The same, or the server of what nobody has.
    pub(super) fn any_node(&self, number: usize) -> usize {
        let cluster = self.cluster.as_ref();
        let node = cluster.and_then(|cluster| self.node_at_hand(cluster, number));
        node.unwrap_or(NOBODY)
    }

    /// Whether there is a server behind this number.
    pub(super) fn is_somebody(&self, server: usize) -> bool {
        self.cluster.is_none() || server >= FIRST_NODE
    }

    /// Whether requests to this server wait until it is known who has their slot.
    pub(super) fn is_waiting(&self, server: usize) -> bool {
        self.cluster.is_some() && server == WAITING
    }

    /// Tells a node that what follows was sent there, and is lost in this way with its connection.
    pub(super) fn ask_before(&mut self, number: usize, on_loss: OnLoss, now: UnixMs) {
        let terms = Terms {
            on_loss,
            ..ASKING_TERMS
        };
        let pipeline = self.links[number].core.pipeline();
        asking(pipeline.push_unheard(terms, now));
    }

    /// Whether the pool is a cluster.
    pub(in crate::shard) fn is_cluster(&self) -> bool {
        self.cluster.is_some()
    }
}
