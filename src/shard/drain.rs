//! The end of a shard: what has arrived is answered, then it is over.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    pool::spooling::Spooling,
    settings::{DRAIN_MS_MAX, STOP_TURNS_MAX},
    turn::{LISTENERS, Shard},
};
use crate::{io::Io, store::UnixMs};

/// Tells all shards to finish.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks the shards to stop; each must be woken to notice.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether they are asked to.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<I: Io> Shard<I> {
    /// Tells all shards to finish if a client of this one asked for it.
    pub(super) fn pass_on_shutdown(&mut self) {
        if !std::mem::take(&mut self.core.wants_stop) {
            return;
        }
        tracing::warn!("a client asked for the end");
        self.stop.raise();
        let me = self.core.shard();
        let others = (0..self.core.mesh.shard_count()).filter(|shard| *shard != me);
        others.for_each(|shard| self.io.wake(shard));
    }

    /// Starts to drain once a turn that began after the stop brought nothing more: what clients had
    /// sent by then is answered. Those that go on sending do not hold the end up for long.
    pub(super) fn drain_once_read(&mut self, is_quiet: bool) {
        self.stop_turns += 1;
        if (is_quiet && self.stop_turns > 1) || self.stop_turns > STOP_TURNS_MAX {
            self.start_drain();
        }
    }

    /// Stops accepting and receiving; what has arrived is answered.
    fn start_drain(&mut self) {
        self.drain_until = Some(UnixMs(self.core.now.0 + DRAIN_MS_MAX));
        LISTENERS
            .iter()
            .for_each(|listener| self.io.accept_stop(*listener));
        for token in self.peers.downstreams(|_| true) {
            if let Some(conn) = self.peers.downstream(token) {
                conn.ended();
            }
            self.settle(token);
        }
    }

    /// Whether draining has begun and is over.
    pub(super) fn is_drained(&self) -> bool {
        let Some(until) = self.drain_until else {
            return false;
        };
        let is_settled = self.core.spool.as_ref().is_none_or(Spooling::is_settled);
        let unconfirmed = match (&self.core.pool, &self.core.spool) {
            (None, _) => 0,
            (Some(pool), None) => pool.unconfirmed(),
            // What no backend takes now waits on disk.
            (Some(pool), Some(_)) => pool.unconfirmed_at_hand(),
        };
        if self.core.now >= until {
            if unconfirmed > 0 && self.core.spool.is_none() {
                tracing::error!(unconfirmed, "writes are lost: no backend took them");
            }
            return true;
        }
        // Clients of other shards may wait for what only this one can do.
        let has_clients = self.connection_count.load(Ordering::Relaxed) > 0;
        !has_clients && unconfirmed == 0 && is_settled
    }
}
