//! Keys whose newest write is on disk and not in memory: those found at start that the spool has not
//! given back yet, and those that found their server's queue full.
//!
//! Only a key's hash is kept, in 16 bytes with what belongs to it. If two keys share one, a request
//! for the one may be answered as if it were for the other: by an error or as a miss, never by a
//! value.

use std::collections::HashMap;

use crate::{
    spool::{port, record::Lsn},
    store::KeyHash,
};

#[derive(Debug, Default)]
pub(super) struct Untold(HashMap<u64, Write>);

#[derive(Debug, Clone, Copy)]
struct Write {
    lsn: Lsn,
    is_set: bool,
}

impl Untold {
    pub(super) fn new(found: &[port::Untold]) -> Self {
        let mut untold = Self::default();
        for port::Untold { hash, lsn, is_set } in found {
            untold.leave(KeyHash(*hash), *lsn, *is_set);
        }
        untold
    }

    /// A write is on disk alone.
    pub(super) fn leave(&mut self, hash: KeyHash, lsn: Lsn, is_set: bool) {
        let write = Write { lsn, is_set };
        let newest = self.0.entry(hash.0).or_insert(write);
        if newest.lsn <= lsn {
            *newest = write;
        }
    }

    /// Each value is to be deleted instead.
    pub(super) fn demote_all(&mut self) {
        self.0.values_mut().for_each(|write| write.is_set = false);
    }

    /// A write of the key is queued, or on its way to be: nothing older is waited for.
    pub(super) fn superseded(&mut self, hash: KeyHash, lsn: Lsn) {
        if let Some(write) = self.0.get(&hash.0)
            && write.lsn <= lsn
        {
            self.0.remove(&hash.0);
        }
    }

    /// Whether the newest write of a key, if it is on disk alone, is a set.
    pub(super) fn is_set(&self, hash: KeyHash) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&hash.0).map(|write| write.is_set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_write_of_a_key_is_the_one() {
        let (a, b) = (KeyHash(1), KeyHash(2));
        let found = [(1, 5, true), (1, 3, false), (2, 4, false)];
        let found = found.map(|(hash, lsn, is_set)| port::Untold {
            hash,
            lsn: Lsn(lsn),
            is_set,
        });
        let mut untold = Untold::new(&found);
        assert_eq!(
            (untold.is_set(a), untold.is_set(b)),
            (Some(true), Some(false))
        );
        untold.superseded(a, Lsn(3));
        assert_eq!(untold.is_set(a), Some(true), "a newer one waits");
        untold.leave(a, Lsn(6), false);
        untold.superseded(a, Lsn(5));
        assert_eq!(untold.is_set(a), Some(false));
        untold.superseded(a, Lsn(7));
        assert_eq!(untold.is_set(a), None);
        untold.leave(b, Lsn(8), true);
        untold.demote_all();
        assert_eq!(untold.is_set(b), Some(false));
    }
}
