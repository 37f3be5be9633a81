//! Requests that a node will not do: they go to the one that it names, as they are.
//!
//! What is under way about one key stays in order, see [`moves`](super::moves). What a request may
//! take in all is what it had from the start.

use super::{
    Pool,
    waiting::{first_key, limits_of_kept},
};
use crate::{
    backend::{OnLoss, Recalled, Terms},
    protocol::resp::reply::encode_command,
    route::{Elsewhere, Redirect, Slot},
    shard::{
        core::Core,
        pool::errand::{Delivery, Pending},
        pool::failure::{LOST, UNAVAILABLE},
    },
    store::UnixMs,
};

/// How often a request is sent on before its client is told, as clients of clusters have it: nodes
/// that disagree for longer are in trouble.
pub(in crate::shard::pool) const HOPS_MAX: u8 = 5;

/// The line for a client whose request was sent on too often. Nothing was done.
pub(super) const TOO_FAR: &str = "nodes of the cluster send it from one to the other";

/// The line for a client whose request is to be sent on and is not there any more: more than 64 MiB
/// are under way to one node. Nothing was done.
const ELSEWHERE: &str = "its slot is elsewhere now, try again";

/// Where a request is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard::pool) struct Target {
    pub(in crate::shard::pool) server: usize,
    /// The node will do it only if it is told that it was sent there.
    pub(in crate::shard::pool) is_asking: bool,
}

impl Core {
    /// Sends a request on if that is what its reply says. Else what it was for comes back.
    #[cold]
    pub(in crate::shard) fn send_on(
        &mut self,
        number: usize,
        pending: Pending,
        line: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) -> Option<Pending> {
        let Some(pool) = self.pool.as_mut().filter(|pool| pool.is_cluster()) else {
            return Some(pending);
        };
        let Some(redirect) = Redirect::parse(line) else {
            if is_sign(line) {
                pool.want_refresh();
            }
            return Some(pending);
        };
        pool.want_refresh();
        let again = pool.links[number].core.pipeline().take_recalled();
        let (Pending::Request(_) | Pending::Write(..) | Pending::Fill(_) | Pending::QueuedWrite) =
            pending
        else {
            return Some(pending);
        };
        if matches!(pending, Pending::QueuedWrite) && pool.links[number].refused {
            // It goes with the connection.
            return None;
        }
        if matches!(pending, Pending::QueuedWrite) && pool.drops_older_write(number) {
            return None;
        }
        let Some(again) = again else {
            self.end_here(number, pending, ELSEWHERE, deliver);
            return None;
        };
        if again.hop_count() > HOPS_MAX {
            self.end_here(number, pending, TOO_FAR, deliver);
            return None;
        }
        let Some((elsewhere, target)) = self.target_of(number, redirect) else {
            return Some(pending);
        };
        let now = self.now;
        if let (Some(pool), Pending::Fill(fill)) = (&mut self.pool, &pending) {
            pool.fills.unwarrant(*fill);
        }
        if self.relies_on_lost(&again) {
            self.fail(pending, LOST, deliver);
            return None;
        }
        if let Some(pool) = &mut self.pool
            && let Err(pending) = pool.push_on(number, target, elsewhere.slot, pending, again, now)
        {
            self.end_here(number, pending, UNAVAILABLE, deliver);
        }
        None
    }

    /// A request cannot be sent on: it fails, unless it is a queued write, which waits.
    fn end_here(
        &mut self,
        number: usize,
        pending: Pending,
        reason: &str,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let now = self.now;
        match (&pending, &mut self.pool) {
            (Pending::QueuedWrite, Some(pool)) => pool.take_write_back(number, now),
            _ => self.fail(pending, reason, deliver),
        }
    }

    /// Whether a request was sent behind a queued write of its key that is lost since.
    pub(super) fn relies_on_lost(&self, again: &Recalled) -> bool {
        let cluster = self.pool.as_ref().and_then(|pool| pool.cluster.as_ref());
        let (Some(cluster), Some(moment)) = (cluster, again.behind_write()) else {
            return false;
        };
        let is_torn = first_key(again.bytes(), &limits_of_kept(self), |key| {
            let key = self.store.hasher().key(key);
            cluster.writes.is_torn_since(key, moment)
        });
        is_torn.unwrap_or(false)
    }

    /// The node that was named by who was asked over this link. What it means for the slot is noted.
    pub(super) fn target_of(
        &mut self,
        number: usize,
        redirect: Redirect,
    ) -> Option<(Elsewhere, Target)> {
        let now = self.now;
        let (elsewhere, is_asking) = match redirect {
            Redirect::Moved(elsewhere) => (elsewhere, false),
            Redirect::Ask(elsewhere) => (elsewhere, true),
            Redirect::TryAgain => return None,
        };
        let counters = self.counters();
        match is_asking {
            false => counters.cluster_moved.add(1),
            true => counters.cluster_asked.add(1),
        }
        let pool = self.pool.as_mut()?;
        let from = pool.server_of(number);
        let cluster = pool.cluster.as_ref()?;
        let host = cluster.host(&elsewhere.endpoint, from)?.to_owned();
        let server = pool.node(&host, elsewhere.port, now)?;
        match is_asking {
            true => pool.note_handed_over(elsewhere.slot, now),
            false => pool.note_slot_moved(elsewhere.slot, from, server),
        }
        let target = Target { server, is_asking };
        Some((elsewhere, target))
    }
}

impl Pool {
    fn push_on(
        &mut self,
        number: usize,
        target: Target,
        slot: Slot,
        pending: Pending,
        again: Recalled,
        now: UnixMs,
    ) -> Result<(), Pending> {
        let (from, hop) = (self.server_of(number), again.hop_count());
        let way = self.way_of(slot, from, hop, target);
        let target = way.to;
        let to = self.same_lane(number, target.server);
        let is_queued = matches!(pending, Pending::QueuedWrite);
        let has_room = match is_queued {
            true => self.can_take_write(to, now),
            false => self.links[to].core.takes_requests(now),
        };
        if !has_room {
            return Err(pending);
        }
        self.note_write_sent_on(&pending, number, to);
        // What was sent with ASKING must not be sent again without it.
        let again = match target.is_asking {
            true => {
                let on_loss = match again.is_bound() {
                    true => OnLoss::Forget,
                    false => OnLoss::Fail,
                };
                self.ask_before(to, on_loss, now);
                again.unrepeated()
            }
            false => again,
        };
        let pipeline = self.links[to].core.pipeline();
        pipeline.push_again(pending, &again);
        self.note_sent_on(slot, way);
        Ok(())
    }

    /// The same connection to another server: a key is bound to one.
    pub(super) fn same_lane(&self, number: usize, server: usize) -> usize {
        self.first_link(server) + self.lane_of(number)
    }
}

/// It stands before a request, and goes with its connection as that does: unsent, both stay.
pub(in crate::shard::pool) const ASKING_TERMS: Terms = Terms {
    on_loss: OnLoss::Fail,
    patience_ms: Terms::FOR_EVER,
};

/// Appends what tells a node that a request was sent to it.
pub(in crate::shard::pool) fn asking(out: &mut Vec<u8>) {
    encode_command(out, &[b"ASKING"]);
}

/// Whether an error says that a node is not what it was taken for.
fn is_sign(line: &[u8]) -> bool {
    const SIGNS: [&[u8]; 3] = [b"-CLUSTERDOWN ", b"-READONLY ", b"-MASTERDOWN "];
    SIGNS.iter().any(|start| line.starts_with(start))
}
