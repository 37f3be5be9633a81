//! Which sessions of this shard watch which keys (WATCH), and whose watch is broken.
//!
//! Unlike a tracked read, a watch holds until it is taken back, and breaks for good with the first
//! change. A flush breaks it only if the key was there.

use std::collections::HashMap;

use crate::{
    io::Token,
    store::{Key, KeyHash},
};

/// Who watches what.
///
/// Invariant: a token is in a key's list exactly if the key is in the token's.
#[derive(Debug, Default)]
pub(super) struct Watches {
    keys: HashMap<Box<[u8]>, WatchedKey>,
    watchers: HashMap<Token, Watcher>,
}

#[derive(Debug)]
struct WatchedKey {
    hash: KeyHash,
    by: Vec<Token>,
}

/// What one session watches.
#[derive(Debug, Default)]
struct Watcher {
    keys: Vec<Watched>,
    is_broken: bool,
}

/// A key that a session watches.
#[derive(Debug)]
struct Watched {
    key: Box<[u8]>,
    hash: KeyHash,
    /// There was an entry when the watch began.
    existed: bool,
}

impl Watches {
    /// Whether nobody watches anything.
    pub(super) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Whether this session watches this key.
    pub(super) fn has(&self, watcher: Token, key: Key<'_>) -> bool {
        let known = self.keys.get(key.bytes);
        known.is_some_and(|known| known.by.contains(&watcher))
    }

    /// Starts a watch that [is not there](Self::has). True if nobody watched the key before.
    pub(super) fn add(&mut self, watcher: Token, key: Key<'_>, existed: bool) -> bool {
        let mine = self.watchers.entry(watcher).or_default();
        mine.keys.push(Watched {
            key: key.bytes.into(),
            hash: key.hash,
            existed,
        });
        let known = self.keys.entry(key.bytes.into()).or_insert(WatchedKey {
            hash: key.hash,
            by: Vec::new(),
        });
        known.by.push(watcher);
        known.by.len() == 1
    }

    /// Ends all watches of a session. `unwatched` gets each key that nobody watches any more.
    pub(super) fn remove(&mut self, watcher: Token, mut unwatched: impl FnMut(KeyHash)) {
        let Some(mine) = self.watchers.remove(&watcher) else {
            return;
        };
        for Watched { key, .. } in mine.keys {
            let Some(known) = self.keys.get_mut(&key) else {
                continue;
            };
            known.by.retain(|one| *one != watcher);
            if known.by.is_empty() {
                unwatched(known.hash);
                self.keys.remove(&key);
            }
        }
    }

    /// A key has changed.
    pub(super) fn touch(&mut self, key: Key<'_>) {
        let Some(known) = self.keys.get(key.bytes) else {
            return;
        };
        for watcher in &known.by {
            let watcher = self.watchers.get_mut(watcher);
            watcher.into_iter().for_each(|one| one.is_broken = true);
        }
    }

    /// The keys of a partition were flushed: `is_there` says which are its.
    pub(super) fn flushed(&mut self, is_there: impl Fn(KeyHash) -> bool) {
        for watcher in self.watchers.values_mut() {
            let mut keys = watcher.keys.iter();
            watcher.is_broken |= keys.any(|one| one.existed && is_there(one.hash));
        }
    }

    /// Any key may have changed.
    pub(super) fn break_all(&mut self) {
        let watchers = self.watchers.values_mut();
        watchers.for_each(|watcher| watcher.is_broken = true);
    }

    /// Whether a watched key has changed, or is gone by now as far as `is_there` can see: one whose
    /// time has passed may not be told of yet.
    pub(super) fn is_broken(&self, watcher: Token, is_there: impl Fn(Key<'_>) -> bool) -> bool {
        self.watchers.get(&watcher).is_some_and(|watcher| {
            watcher.is_broken
                || watcher.keys.iter().any(|one| {
                    let key = Key {
                        bytes: &one.key,
                        hash: one.hash,
                    };
                    one.existed && !is_there(key)
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyHasher;

    fn token(number: u64) -> Token {
        Token::from_bits(number)
    }

    fn is_broken(watches: &Watches, number: u64) -> bool {
        watches.is_broken(token(number), |_| true)
    }

    #[test]
    fn a_change_breaks_the_watches_of_its_key() {
        let hasher = KeyHasher::new(1);
        let mut watches = Watches::default();
        assert!(watches.add(token(1), hasher.key(b"a"), true));
        assert!(!watches.add(token(2), hasher.key(b"a"), true));
        assert!(watches.add(token(2), hasher.key(b"b"), true));
        assert!(watches.add(token(3), hasher.key(b"c"), true));
        watches.touch(hasher.key(b"a"));
        watches.touch(hasher.key(b"nobody's"));
        assert_eq!(
            [1, 2, 3].map(|one| is_broken(&watches, one)),
            [true, true, false]
        );
    }

    #[test]
    fn what_is_taken_back_is_forgotten() {
        let hasher = KeyHasher::new(1);
        let mut watches = Watches::default();
        for (watcher, key) in [(1, "a"), (1, "b"), (2, "b")] {
            watches.add(token(watcher), hasher.key(key.as_bytes()), true);
        }
        assert!(watches.has(token(1), hasher.key(b"b")));
        watches.touch(hasher.key(b"a"));
        let mut gone = Vec::new();
        watches.remove(token(1), |hash| gone.push(hash));
        watches.remove(token(1), |_| panic!("it has none"));
        assert_eq!(gone, [hasher.hash(b"a")], "b is still watched");
        assert!(!is_broken(&watches, 1), "a new transaction begins");
        assert!(!watches.has(token(1), hasher.key(b"b")));
        watches.remove(token(2), |hash| gone.push(hash));
        assert!(gone.len() == 2 && watches.is_empty() && watches.keys.is_empty());
    }

    #[test]
    fn a_flush_breaks_watches_of_what_was_there() {
        let hasher = KeyHasher::new(1);
        let mut watches = Watches::default();
        watches.add(token(1), hasher.key(b"there"), true);
        watches.add(token(2), hasher.key(b"missing"), false);
        watches.flushed(|_| false);
        assert!(!is_broken(&watches, 1), "another partition");
        watches.flushed(|_| true);
        assert_eq!([1, 2].map(|one| is_broken(&watches, one)), [true, false]);
        watches.break_all();
        assert!(is_broken(&watches, 2));
    }

    #[test]
    fn a_key_that_has_expired_breaks_its_watch() {
        let hasher = KeyHasher::new(1);
        let mut watches = Watches::default();
        watches.add(token(1), hasher.key(b"brief"), true);
        watches.add(token(2), hasher.key(b"missing"), false);
        for watcher in [1, 2] {
            let is_broken = watches.is_broken(token(watcher), |_| false);
            assert_eq!(is_broken, watcher == 1);
        }
    }
}
