//! Keys that a unit may change, which their owners keep closed while it is under way.

use std::sync::Arc;

use super::unit::{KeyList, Unit};
use crate::{
    shard::{
        core::Core,
        message::{Ask, AskBody, Origin},
    },
    store::Operation,
};

impl Core {
    /// Closes those keys that this shard owns.
    pub(in crate::shard) fn close_own(&mut self, keys: &KeyList) {
        for key in keys {
            let key = self.store.hasher().key(key);
            if !self.store.owns(key.hash) {
                continue;
            }
            if let Some(pool) = &mut self.pool {
                pool.fills.close(key);
            }
            self.apply(key, Operation::DELETE, &[]);
        }
    }

    /// Opens those keys that this shard owns.
    pub(in crate::shard) fn open_own(&mut self, keys: &KeyList) {
        for key in keys {
            let key = self.store.hasher().key(key);
            if self.store.owns(key.hash)
                && let Some(pool) = &mut self.pool
            {
                pool.fills.open(key);
            }
        }
    }

    /// Opens the keys of a unit wherever they are closed.
    pub(super) fn open_keys(&mut self, unit: &Unit) {
        let Some(keys) = &unit.keys else { return };
        self.open_own(keys);
        for shard in self.other_owners(keys) {
            let body = AskBody::Open(Arc::clone(keys));
            let origin = Origin::NOBODY;
            self.asks.push((shard, Ask { origin, body }));
        }
        self.send_asks();
    }

    /// The other shards that own one of these keys.
    pub(super) fn other_owners(&self, keys: &KeyList) -> Vec<usize> {
        let hasher = self.store.hasher();
        let mut owners: Vec<usize> = keys
            .iter()
            .map(|key| self.store.owner(hasher.hash(key)))
            .filter(|owner| *owner != self.shard())
            .collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }
}
