//! Who watches which key for its transaction (WATCH), and whose keys have changed since.
//!
//! A watch stands between two changes of a key: it hears of all that are made after it, and of none
//! that was answered before it, although the note of such a one may come later. So it remembers
//! the number of the last change that its owner had noted, see [`ShardStore::last_noted`].
//!
//! [`ShardStore::last_noted`]: crate::store::ShardStore::last_noted

use std::collections::{HashMap, HashSet};

use crate::{
    io::Token,
    shard::core::Core,
    store::{Author, Key, KeyHash, Note},
};

/// Watches by the hash of their keys: of two keys that share one, which happens hardly ever, each
/// hears of the other's changes.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    /// Those whose key has not changed.
    unchanged: HashMap<KeyHash, Vec<Watcher>>,
    /// Clients with a watch whose key has changed.
    dirty: HashSet<Token>,
    /// Of all that stand, changed or not.
    count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Watcher {
    token: Token,
    /// The number of the last change before it.
    since: u64,
    /// There was no such key, or it had expired, which is told of later.
    was_absent: bool,
}

impl Watchers {
    /// Whether nobody watches anything.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, hash: KeyHash, watcher: Watcher) {
        self.unchanged.entry(hash).or_default().push(watcher);
        self.count += 1;
    }

    /// A watch is taken back, as all of the client's are.
    fn remove(&mut self, hash: KeyHash, token: Token) {
        self.retain(hash, |watcher| watcher.token != token);
        self.dirty.remove(&token);
        self.count -= 1;
    }

    /// A key has changed.
    pub(super) fn changed(&mut self, note: &Note<'_>) {
        if !self.unchanged.is_empty() {
            // What had expired was no key any more; what removes it changes nothing.
            let is_loss = note.author == Author::NOBODY;
            let stays =
                |watcher: &Watcher| note.number <= watcher.since || (is_loss && watcher.was_absent);
            let watchers = self.unchanged.get(&note.key.hash);
            let changed = watchers.into_iter().flatten().filter(|one| !stays(one));
            self.dirty.extend(changed.map(|watcher| watcher.token));
            self.retain(note.key.hash, stays);
        }
    }

    /// Any key may have changed.
    pub(super) fn changed_all(&mut self) {
        let changed = self.unchanged.drain().flat_map(|(_, watchers)| watchers);
        self.dirty.extend(changed.map(|watcher| watcher.token));
    }

    fn is_dirty(&self, token: Token) -> bool {
        self.dirty.contains(&token)
    }

    fn is_unchanged(&self, hash: KeyHash, token: Token) -> bool {
        let watchers = self.unchanged.get(&hash);
        watchers.is_some_and(|watchers| watchers.iter().any(|watcher| watcher.token == token))
    }

    fn retain(&mut self, hash: KeyHash, keeps: impl Fn(&Watcher) -> bool) {
        if let Some(watchers) = self.unchanged.get_mut(&hash) {
            watchers.retain(keeps);
            if watchers.is_empty() {
                self.unchanged.remove(&hash);
            }
        }
    }
}

impl Core {
    /// Whether the owners of keys note what is watched here. If not, they are being asked to.
    pub(in crate::shard) fn may_watch(&mut self) -> bool {
        let version = self.listen();
        self.is_heard(version)
    }

    /// A client watches a key that it does not watch yet. What is read of the key from here on is
    /// what changes are told of against.
    pub(in crate::shard) fn watch(&mut self, token: Token, key: Key<'_>) {
        self.tracking.listening.add(key.hash);
        let watcher = Watcher {
            token,
            since: self.store.last_noted(key.hash),
            was_absent: self.store.peek(key, self.now).is_none(),
        };
        self.tracking.watchers.add(key.hash, watcher);
    }

    /// A client does not watch a key any more.
    pub(in crate::shard) fn unwatch(&mut self, token: Token, hash: KeyHash) {
        self.tracking.listening.remove(hash);
        self.tracking.watchers.remove(hash, token);
    }

    /// Whether any key that a client watches is known to have changed: what was told of alone, whose
    /// cost is the same for any number of keys.
    pub(in crate::shard) fn has_heard_of_change(&self, token: Token) -> bool {
        self.tracking.watchers.is_dirty(token)
    }

    /// Whether a key that a client watches has changed, as far as this shard has heard.
    pub(in crate::shard) fn has_changed(&self, token: Token, hash: KeyHash) -> bool {
        !self.tracking.watchers.is_unchanged(hash, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Author = Author(1);
    const KEY: Key<'static> = Key {
        bytes: b"key",
        hash: KeyHash(7),
    };

    fn watchers(watches: &[(usize, u64, bool)]) -> Watchers {
        let mut watchers = Watchers::default();
        for &(token, since, was_absent) in watches {
            let watcher = Watcher {
                token: Token::from_bits(token as u64),
                since,
                was_absent,
            };
            watchers.add(KEY.hash, watcher);
        }
        watchers
    }

    fn unchanged(watchers: &Watchers) -> Vec<u64> {
        let is_unchanged = |token| watchers.is_unchanged(KEY.hash, Token::from_bits(token));
        (0..4).filter(|token| is_unchanged(*token)).collect()
    }

    fn dirty(watchers: &Watchers) -> Vec<u64> {
        let is_dirty = |token| watchers.is_dirty(Token::from_bits(token));
        (0..4).filter(|token| is_dirty(*token)).collect()
    }

    fn note(author: Author, number: u64) -> Note<'static> {
        Note {
            author,
            key: KEY,
            number,
        }
    }

    #[test]
    fn a_watch_hears_of_what_comes_after_it() {
        let mut watchers = watchers(&[(0, 4, false), (1, 5, false), (2, 6, true)]);
        watchers.changed(&note(CLIENT, 4));
        assert_eq!(unchanged(&watchers), [0, 1, 2]);
        watchers.changed(&note(CLIENT, 5));
        assert_eq!(unchanged(&watchers), [1, 2]);
        watchers.changed(&Note {
            key: Key {
                hash: KeyHash(8),
                ..KEY
            },
            ..note(CLIENT, 9)
        });
        assert_eq!(unchanged(&watchers), [1, 2]);
        assert_eq!(dirty(&watchers), [0]);
        for token in 0..3 {
            assert!(!watchers.is_empty());
            watchers.remove(KEY.hash, Token::from_bits(token));
        }
        assert!(watchers.is_empty() && watchers.unchanged.is_empty());
        assert_eq!(
            dirty(&watchers),
            [0; 0],
            "what is taken back counts no more"
        );
    }

    #[test]
    fn what_was_not_there_cannot_be_lost() {
        let mut watchers = watchers(&[(0, 4, false), (1, 4, true)]);
        watchers.changed(&note(Author::NOBODY, 5));
        assert_eq!(unchanged(&watchers), [1]);
        assert_eq!(dirty(&watchers), [0]);
        watchers.changed(&note(CLIENT, 6));
        assert_eq!(unchanged(&watchers), [0; 0]);
    }

    #[test]
    fn too_many_changes_are_changes_of_all() {
        let mut watchers = watchers(&[(0, 4, false)]);
        watchers.changed_all();
        assert_eq!(unchanged(&watchers), [0; 0]);
        assert_eq!(dirty(&watchers), [0]);
        assert!(!watchers.is_empty(), "it stands until it is taken back");
    }
}
