//! Writes that wait for whoever has their slots.
//!
//! A queued write is sent to its slot's node like any request, and goes the ways of one: a node may
//! send it on, and while its slot is between two nodes it waits with the others, so all that is done
//! with a key stays in order. Unlike a request it does not fail: what was lost, or was refused by a
//! node that is not fit, is sent again to whoever has the slot by then. What came behind it on the
//! same connection fails if the write is lost before it, see [`SlotWrites`].

use super::{Cluster, Pool};
use crate::{
    backend::SlotWrites,
    route::Slot,
    shard::{
        core::Core,
        pool::{
            errand::Pending,
            lanes::Lanes,
            queueing::{is_forbidden, will_pass},
        },
    },
    spool::record::Lsn,
    store::{Key, UnixMs},
};

/// How long a node is told of no queued write that has refused one as the cluster is not well, or
/// named a node that is not to be reached, in milliseconds: so often a troubled cluster is looked at.
const STALL_MS: u64 = 250;

impl Cluster {
    /// The queued writes, and whose link a key's is.
    pub(in crate::shard::pool) fn writes_and_homes(
        &mut self,
        lanes: Lanes,
    ) -> (&mut SlotWrites, impl Fn(Key<'_>) -> usize) {
        let Self { slots, writes, .. } = self;
        let home = move |key: Key<'_>| {
            let server = usize::from(slots[Slot::of(key.bytes).index()]);
            lanes.link_to(server, key.hash)
        };
        (writes, home)
    }

    /// A slot is taken from a server, which may have writes for it.
    pub(super) fn note_slot_left(&mut self, server: usize) {
        if !self.writes.is_empty() && !self.left.contains(&server) {
            self.left.push(server);
        }
    }

    /// Whether writes that wait are to be looked at.
    #[inline]
    pub(super) fn has_writes_to_tend(&self, now: UnixMs) -> bool {
        let is_over = |until: UnixMs| now >= until;
        self.has_moved_writes() || self.writes.stalled_until().is_some_and(is_over)
    }

    /// Whether writes that wait may stand at a link that is not their slot's, or have come to one
    /// which has nothing else to do.
    #[inline]
    pub(super) fn has_moved_writes(&self) -> bool {
        !self.left.is_empty() || self.writes.has_arrivals()
    }
}

impl Core {
    /// A node has answered the first queued write that was sent to it.
    pub(in crate::shard::pool) fn confirm_slot_write(
        &mut self,
        number: usize,
        failed: bool,
        frame: &[u8],
    ) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let Some(cluster) = &mut pool.cluster else {
            return;
        };
        if pool.links[number].refused {
            return;
        }
        let is_set = cluster.writes.is_set_first(number);
        let is_followed = cluster.writes.is_first_followed(number);
        let is_final = failed && (is_forbidden(frame) || (is_set && !is_passing(frame)));
        let lsn = match (is_final && is_set, failed) {
            // What is behind it on the connection is about a key without it.
            (true, _) => {
                pool.links[number].refused = is_followed;
                pool.refuse_write(number)
            }
            (false, true) if !is_final && is_followed => {
                pool.links[number].refused = true;
                return;
            }
            (false, true) if !is_final => return pool.take_write_back(number, now),
            (false, _) => cluster.writes.confirm(number),
        };
        self.end_write(number, lsn, is_final.then_some(frame));
    }

    /// Something that was sent over a link, or was to be, failed. If it was a queued write, so did all
    /// that were in its pipeline.
    pub(in crate::shard::pool) fn note_write_failed(&mut self, number: usize, pending: &Pending) {
        if let (Pending::QueuedWrite, Some(pool)) = (pending, &mut self.pool) {
            pool.lose_slot_writes(number);
        }
    }
}

impl Pool {
    /// The first write that was sent over a link is to be sent again, a little later.
    pub(super) fn take_write_back(&mut self, number: usize, now: UnixMs) {
        let lanes = self.lanes();
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        let until = UnixMs(now.0 + STALL_MS);
        let owner = {
            let (writes, home) = cluster.writes_and_homes(lanes);
            let owner = writes.take_back(number, home);
            if owner == Some(number) {
                writes.stall(number, until);
            }
            owner
        };
        // Whoever else has the slot is told in this turn still.
        if owner == Some(number) {
            cluster.next_look = cluster.next_look.min(until);
        }
    }

    /// Whether the first write that was sent over a link, and was not taken, need not be sent again.
    pub(super) fn drops_older_write(&mut self, number: usize) -> bool {
        let cluster = self.cluster.as_mut();
        cluster.is_some_and(|cluster| cluster.writes.drop_if_older(number))
    }

    fn refuse_write(&mut self, number: usize) -> Option<Lsn> {
        let lanes = self.lanes();
        let (writes, home) = self.cluster.as_mut()?.writes_and_homes(lanes);
        writes.refuse(number, home)
    }

    /// What was sent over a link is lost, and is to be sent again. How often the server has to answer
    /// before it is told more.
    pub(in crate::shard::pool) fn lose_slot_writes(&mut self, number: usize) -> u32 {
        let lanes = self.lanes();
        let Some(cluster) = &mut self.cluster else {
            return 0;
        };
        let (writes, home) = cluster.writes_and_homes(lanes);
        writes.lose(number, home)
    }

    /// A request is sent on over another link: a queued write moves there with it.
    pub(super) fn note_write_sent_on(&mut self, pending: &Pending, from: usize, to: usize) {
        if let (Pending::QueuedWrite, Some(cluster)) = (pending, &mut self.cluster) {
            cluster.writes.send_on(from, to);
        }
    }

    /// Has writes go to where their slots are now, and to nodes that may be told again.
    pub(super) fn tend_writes(&mut self, now: UnixMs) {
        let lanes = self.lanes();
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        if !cluster.has_writes_to_tend(now) {
            return;
        }
        while let Some(server) = cluster.left.pop() {
            let (writes, home) = cluster.writes_and_homes(lanes);
            for link in lanes.links_to(server) {
                writes.rehome(link, &home);
            }
        }
        cluster.writes.end_stalls(now);
        cluster.writes.end_arrivals();
        self.pump_all(now);
    }

    fn pump_all(&mut self, now: UnixMs) {
        for number in 0..self.links.len() {
            let cluster = self.cluster.as_ref();
            if cluster.is_some_and(|cluster| cluster.writes.is_waiting_at(number)) {
                self.pump_writes(number, now);
            }
        }
    }

    /// Every value that waits is to be deleted instead.
    pub(in crate::shard::pool) fn demote_slot_writes(&mut self, now: UnixMs) {
        if let Some(cluster) = &mut self.cluster
            && cluster.writes.demote_all() > 0
        {
            self.pump_all(now);
        }
    }

    /// Whether a queued write can be added to what is sent over a link.
    pub(super) fn can_take_write(&self, number: usize, now: UnixMs) -> bool {
        !self.is_waiting(self.server_of(number)) && self.takes_writes(number, now)
    }
}

/// Whether an error to a queued write is about the node, and not about the write: it is sent again.
fn is_passing(line: &[u8]) -> bool {
    const PASSING: [&[u8]; 3] = [b"-MOVED ", b"-ASK ", b"-TRYAGAIN "];
    will_pass(line) || PASSING.iter().any(|start| line.starts_with(start))
}
