//! Whether masters still stand for their slots, where copies are kept until they tell of a change.
//!
//! A master that its cluster has replaced hears of no change any more, and so tells of none. If its
//! connections broke, copies went with them. If they stand, because a replica has taken over by
//! order, or because it is only from the other nodes that the master was cut off, then nobody may
//! notice: the reads that would be told `MOVED` are answered out of copies. So every master is asked
//! once a second how it sees the cluster:
//!
//! * It says that the cluster is not well: it sees no majority, and others may have taken over. What
//!   it was asked for is not vouched for any more.
//! * It knows of a newer epoch than this shard: somebody has taken over something. It is asked for
//!   who has which slots at once; and those that have changed hands lose their copies.
//!
//! A node that is cut off says the former once `cluster-node-timeout` is over, and nobody takes over
//! before.

use super::{FIRST_NODE, Pool, refresh::epoch};
use crate::{
    shard::{core::Core, pool::errand::Pending, settings::TRACKED_HEARTBEAT_MS},
    store::UnixMs,
};

impl Pool {
    /// When masters are asked first; never if nothing depends on it.
    pub(super) fn first_standing(&self, now: UnixMs) -> UnixMs {
        match self.hears_late() {
            true => now,
            false => UnixMs(u64::MAX),
        }
    }

    /// Asks every master, if that is due.
    pub(super) fn ask_standing(&mut self, now: UnixMs) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        if now < cluster.standing_at {
            return;
        }
        cluster.standing_at = UnixMs(now.0 + TRACKED_HEARTBEAT_MS);
        for server in FIRST_NODE..cluster.nodes.len() {
            self.ask_standing_of(server, now);
        }
    }

    fn ask_standing_of(&mut self, server: usize, now: UnixMs) {
        let cluster = self.cluster.as_ref();
        let has_slots = cluster.is_some_and(|cluster| cluster.nodes[server].slot_count > 0);
        let mut links = self.links_to(server);
        let serving = links.find(|number| self.links[*number].core.is_serving());
        if let Some(number) = serving.filter(|_| has_slots) {
            self.ask_node(number, Pending::Standing(server), b"INFO", now);
        }
    }
}

impl Core {
    /// A master has said how it sees the cluster, or why it does not say.
    pub(in crate::shard::pool) fn heard_standing(
        &mut self,
        number: usize,
        failed: bool,
        frame: &[u8],
    ) {
        let Some(pool) = &mut self.pool else { return };
        let server = pool.server_of(number);
        if let Some(cluster) = &mut pool.cluster
            && let Some(epoch) = epoch(frame)
        {
            cluster.refresh.hear_epoch(server, epoch);
        }
        if !failed && is_well(frame) {
            return;
        }
        pool.lose_cover(pool.links_to(server));
        pool.want_refresh();
        self.counters().l1_invalidations.add(1);
        if frame.starts_with(b"-NOPERM") {
            self.log_refusal(number, frame);
        }
    }

    /// A master will not say how it sees the cluster: perhaps that it is not well.
    pub(in crate::shard::pool) fn not_heard_standing(&mut self, server: usize) {
        if let Some(pool) = &mut self.pool {
            pool.lose_cover(pool.links_to(server));
            pool.want_refresh();
        }
    }
}

/// Whether a node says that the cluster is well.
fn is_well(frame: &[u8]) -> bool {
    memchr::memmem::find(frame, b"cluster_state:ok").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_says_that_all_is_well_is_believed() {
        assert!(is_well(b"$20\r\ncluster_state:ok\r\nx:1\r\n"));
        assert!(is_well(b"=24\r\ntxt:cluster_state:ok\r\nx:1\r\n"));
        for odd in [
            &b"$20\r\ncluster_state:fail\r\n\r\n"[..],
            b"$-1\r\n",
            b"-NOPERM this user has no permissions to run the 'cluster|info' command\r\n",
        ] {
            assert!(!is_well(odd), "{}", odd.escape_ascii());
        }
    }
}
