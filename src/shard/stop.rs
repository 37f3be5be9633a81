//! How the shards learn that the process is to end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::turn::Shard;
use crate::io::Io;

/// Tells all shards to finish.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks the shards to stop; each must be woken to notice.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
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
}
