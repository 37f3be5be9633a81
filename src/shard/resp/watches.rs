//! The keys that a connection watches.

use super::super::{
    core::Core,
    settings::{WATCHED_BYTES_MAX, WATCHED_KEYS_MAX},
};
use crate::{
    io::Token,
    store::{Deadline, EntryRef, Key, KeyHash},
};

/// The keys that a connection watches, and what they were like.
///
/// Changes are told of by the keys' owners, also those that were made and taken back. What is not
/// told of shows when the keys are looked at again: that they have expired or were flushed.
#[derive(Debug, Default)]
pub(super) struct Watches {
    keys: Vec<Watched>,
    bytes: usize,
}

#[derive(Debug)]
struct Watched {
    key: Box<[u8]>,
    hash: KeyHash,
    /// None if there was no such key.
    seen: Option<Seen>,
}

/// What tells an entry from one that takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    version: u64,
    deadline: Deadline,
}

impl Watches {
    /// Watches a key from now on. False if the connection watches too many. Owners [note what is
    /// watched](Core::may_watch) already.
    pub(super) fn watch(&mut self, core: &mut Core, token: Token, key: Key<'_>) -> bool {
        let is_same = |watched: &Watched| watched.hash == key.hash && *watched.key == *key.bytes;
        if self.keys.iter().any(is_same) {
            return true;
        }
        let bytes = self.bytes + key.bytes.len();
        if self.keys.len() >= WATCHED_KEYS_MAX || bytes > WATCHED_BYTES_MAX {
            return false;
        }
        self.bytes = bytes;
        core.watch(token, key);
        self.keys.push(Watched {
            key: key.bytes.into(),
            hash: key.hash,
            seen: see(core, key),
        });
        true
    }

    /// Watches nothing any more.
    pub(super) fn unwatch(&mut self, core: &mut Core, token: Token) {
        for watched in core::mem::take(self).keys {
            core.unwatch(token, watched.hash);
        }
    }

    /// Whether a watched key has changed, as far as this shard can know.
    pub(super) fn is_dirty(&self, core: &Core, token: Token) -> bool {
        self.keys.iter().any(|watched| {
            let key = Key {
                bytes: &watched.key,
                hash: watched.hash,
            };
            core.has_changed(token, watched.hash) || see(core, key) != watched.seen
        })
    }

    /// The shards that may change a watched key.
    pub(super) fn owners(&self, core: &Core) -> impl Iterator<Item = usize> + use<> {
        let mut owners: Vec<usize> = self
            .keys
            .iter()
            .map(|watched| core.store.owner(watched.hash))
            .collect();
        owners.sort_unstable();
        owners.dedup();
        owners.into_iter()
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn see(core: &Core, key: Key<'_>) -> Option<Seen> {
    let of_entry = |entry: EntryRef<'_>| Seen {
        version: entry.version(),
        deadline: entry.deadline(),
    };
    core.store.peek(key, core.now).map(of_entry)
}
