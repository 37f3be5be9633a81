//! Where a write waits until its server has it: at the server's link, or in front of a cluster with
//! all others, as its slot may go elsewhere.

use super::Pool;
use crate::{
    backend::{OnLoss, QueueFull},
    io::Token,
    spool::{Operation, record::Lsn},
    store::{Key, UnixMs},
};

impl Pool {
    /// Queues a write of a key whose link this is.
    pub(super) fn queue(
        &mut self,
        number: usize,
        key: Key<'_>,
        operation: Operation<'_>,
        lsn: Option<Lsn>,
    ) -> Result<(), QueueFull> {
        match &mut self.cluster {
            None => self.links[number].writes.push(key, operation, lsn),
            Some(cluster) => cluster.writes.push(number, key, operation, lsn),
        }
    }

    /// Whether the backend is still to be told of a write of this key.
    pub(super) fn is_being_written(&self, number: usize, key: Key<'_>) -> bool {
        match &self.cluster {
            None => self.links[number].writes.contains(key),
            Some(cluster) => cluster.writes.contains(key),
        }
    }

    /// The newest of those, if nothing else was sent about the key behind it.
    pub(super) fn queued_write(&self, number: usize, key: Key<'_>) -> Option<Operation<'_>> {
        match &self.cluster {
            None => self.links[number].writes.get(key),
            Some(cluster) => cluster.writes.get(key),
        }
    }

    /// Something about a key is sent behind the write of it. What becomes of that when its connection is lost.
    pub(super) fn follow_write(&mut self, number: usize, key: Key<'_>, is_change: bool) -> OnLoss {
        let Some(cluster) = &mut self.cluster else {
            self.links[number].writes.follow(key, is_change);
            return OnLoss::Forget;
        };
        let moment = cluster.writes.follow(key, is_change);
        moment.map_or(OnLoss::Forget, OnLoss::Behind)
    }

    /// Sends queued writes over a link, as many as may be on their way.
    pub(super) fn pump_writes(&mut self, number: usize, now: UnixMs) {
        let lanes = self.lanes();
        let Self { links, cluster, .. } = self;
        let link = &mut links[number];
        link.pump_writes(now);
        if let Some(cluster) = cluster
            && !cluster.writes.is_empty()
            && link.takes_writes()
        {
            let (writes, home) = cluster.writes_and_homes(lanes);
            while let Some(write) = writes.next_unsent(number, now, &home) {
                link.tell(write, now);
            }
        }
    }

    /// Sees to it that the write of a key is sent before what is asked next over this link. False if
    /// the server cannot be told now.
    pub(super) fn pump_ahead(&mut self, number: usize, key: Key<'_>, now: UnixMs) -> bool {
        let takes_writes = self.takes_writes(number, now);
        let link = &mut self.links[number];
        let Some(cluster) = &mut self.cluster else {
            return link.pump_ahead(key, now);
        };
        if takes_writes && let Some(write) = cluster.writes.next_ahead(key, number) {
            link.tell(write, now);
        }
        takes_writes
    }

    /// Whether a server can be told of queued writes now, and asked for what comes behind them.
    pub(super) fn can_be_told(&self, number: usize, now: UnixMs) -> bool {
        self.takes_writes(number, now) && !self.links[number].health.is_out()
    }

    pub(super) fn takes_writes(&self, number: usize, now: UnixMs) -> bool {
        let link = &self.links[number];
        match self.cluster {
            None => link.takes_writes(),
            // They wait with what else is asked: until it is known who has the slot, or until a node
            // that has just been named is connected.
            Some(_) => link.takes_requests(now) && !link.is_fenced(),
        }
    }

    /// The connection of a link is closed; its token, if it had one.
    pub(super) fn close_link(&mut self, number: usize) -> Option<Token> {
        let turns = self.lose_slot_writes(number);
        let link = &mut self.links[number];
        link.set_fence(turns);
        link.close()
    }

    /// Queued writes that stand at a link.
    pub(super) fn queued_count(&self, number: usize) -> usize {
        match &self.cluster {
            None => self.links[number].writes.len(),
            Some(cluster) => cluster.writes.count_at(number),
        }
    }

    /// The server that the spool keeps a write for. A cluster is one, whoever has a slot when.
    pub(super) fn spooled_server(&self, number: usize) -> usize {
        match &self.cluster {
            None => self.server_of(number),
            Some(_) => 0,
        }
    }

    /// The link for a write that the spool has kept for a server.
    pub(super) fn link_of_spooled(&self, server: usize, key: Key<'_>) -> usize {
        match &self.cluster {
            None => self.link_to(server, key),
            Some(_) => self.home_link(key),
        }
    }
}
