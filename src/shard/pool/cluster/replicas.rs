//! A cluster's replicas, where they are read from.
//!
//! A node answers reads for its master's slots on a connection that has said READONLY. It would do
//! so, too, where it was the master itself until a moment ago, and what was meant for a master would
//! be read from who lags. So a replica is a server of its own here, apart from the node of the same
//! address that may have slots: it has other links, and no slot is ever its.

use std::collections::BTreeMap;

use super::{Cluster, FIRST_NODE, Node, NodeState, Pool};
use crate::{
    route::{Slot, SlotGroup},
    store::{Key, UnixMs},
};

/// How long a slot counts as being handed over after a request was answered ASK, in milliseconds.
/// While many keys are moved, writes of some find them gone all the time.
const HANDED_OVER_MS: u64 = 10_000;

/// Slots of which masters have said ASK, and until when that counts.
#[derive(Debug, Default)]
pub(super) struct HandedOver(BTreeMap<Slot, UnixMs>);

impl HandedOver {
    pub(super) fn note(&mut self, slot: Slot, now: UnixMs) {
        self.0.insert(slot, UnixMs(now.0 + HANDED_OVER_MS));
    }

    fn forget_past(&mut self, now: UnixMs) {
        self.0.retain(|_, until| *until > now);
    }

    fn has(&self, slot: Slot) -> bool {
        self.0.contains_key(&slot)
    }
}

impl Cluster {
    /// Nobody is known to follow anybody.
    fn unlist_replicas(&mut self) {
        for node in &mut self.nodes {
            node.is_listed = false;
        }
    }
}

impl Pool {
    /// The cluster is told of anew, and with it who follows whom.
    pub(super) fn forget_replicas(&mut self) {
        if let (Some(replicas), Some(cluster)) = (&mut self.replicas, &mut self.cluster) {
            replicas.clear();
            cluster.unlist_replicas();
        }
    }

    /// The node that has a group's slots here.
    pub(super) fn holder_of(&self, group: &SlotGroup) -> Option<usize> {
        let slot = group.ranges.first()?.slots().next()?;
        let server = self.cluster.as_ref()?.server_of_slot(slot);
        (server >= FIRST_NODE).then_some(server)
    }

    /// The replicas of a group, whose master is this server, as the node of number `asked` tells.
    pub(super) fn take_replicas(
        &mut self,
        group: &SlotGroup,
        master: usize,
        asked: usize,
        now: UnixMs,
    ) {
        if self.replicas.is_none() {
            return;
        }
        for node in group.replicas() {
            let cluster = self.cluster.as_ref();
            let host = cluster.and_then(|cluster| cluster.host(&node.endpoint, asked));
            let place = host.map(str::to_owned).zip(node.port);
            let found = place.and_then(|(host, port)| self.node_of(&host, port, true, now));
            if let Some(server) = found
                && let (Some(replicas), Some(cluster)) = (&mut self.replicas, &mut self.cluster)
            {
                replicas.add(master, server);
                cluster.nodes[server].is_listed = true;
            }
        }
    }

    /// The link to the master of who is asked by this one; of a slot, in a cluster.
    pub(in crate::shard::pool) fn home_of_replica(
        &self,
        number: usize,
        slot: Option<Slot>,
    ) -> Option<usize> {
        let master = match &self.cluster {
            None => self.replicas.as_ref()?.master_of(self.server_of(number))?,
            Some(cluster) => cluster.server_of_slot(slot?),
        };
        Some(self.same_lane(number, master))
    }

    /// Whether a key's slot is being handed over: its replicas find nothing where the key is with
    /// the new master already.
    pub(in crate::shard::pool) fn is_handed_over(&self, key: Key<'_>) -> bool {
        let handed = self.cluster.as_ref().map(|cluster| &cluster.handed_over);
        handed.is_some_and(|handed| !handed.0.is_empty() && handed.has(Slot::of(key.bytes)))
    }

    /// Some slots were handed over by now, or are not any more.
    pub(super) fn forget_handed_over(&mut self, now: UnixMs) {
        if let Some(cluster) = &mut self.cluster {
            cluster.handed_over.forget_past(now);
        }
    }

    /// A master has answered ASK for this slot.
    pub(super) fn note_handed_over(&mut self, slot: Slot, now: UnixMs) {
        if let (Some(cluster), true) = (&mut self.cluster, self.replicas.is_some()) {
            cluster.handed_over.note(slot, now);
        }
    }
}

impl Node {
    /// Whether it may go as far as it is a replica.
    pub(super) fn is_unlisted(&self) -> bool {
        !self.is_listed
    }

    /// Whether it is known, as one that may have slots or as a replica.
    pub(super) fn is_known_as(&self, is_replica: bool) -> bool {
        self.state == NodeState::Known && self.is_replica == is_replica
    }
}
