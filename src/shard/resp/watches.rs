//! The keys that a connection watches.

use super::super::{core::Core, settings::WATCHED_KEYS_MAX};
use crate::store::{Deadline, EntryRef, Key, KeyHash};

/// The keys that a connection watches, and what they were like.
#[derive(Debug, Default)]
pub(super) struct Watches {
    keys: Vec<Watched>,
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
    /// Watches a key from now on. False if the connection watches too many.
    pub(super) fn watch(&mut self, core: &Core, key: Key<'_>) -> bool {
        let is_known = |watched: &Watched| watched.hash == key.hash && *watched.key == *key.bytes;
        if self.keys.iter().any(is_known) {
            return true;
        }
        if self.keys.len() >= WATCHED_KEYS_MAX {
            return false;
        }
        self.keys.push(Watched {
            key: key.bytes.into(),
            hash: key.hash,
            seen: see(core, key),
        });
        true
    }

    /// Watches nothing any more.
    pub(super) fn unwatch(&mut self) {
        self.keys = Vec::new();
    }

    /// Whether a watched key was changed, or has expired.
    pub(super) fn is_dirty(&self, core: &Core) -> bool {
        self.keys.iter().any(|watched| {
            let key = Key {
                bytes: &watched.key,
                hash: watched.hash,
            };
            see(core, key) != watched.seen
        })
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
