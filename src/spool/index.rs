//! The live writes of a spool: of each server and key the newest, and where its record stands.
//!
//! Names are not kept, only 128 bits of a seeded hash of them, so that a live write takes about 70
//! bytes of memory however long its key is. With ten million live writes the odds that two of
//! them share these bits are below 1 in 10^24, and nobody outside can look for two that do.

use hashbrown::HashTable;
use xxhash_rust::xxh3::Xxh3;

use super::record::Lsn;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The write's number.
    pub lsn: Lsn,
    /// The segment's.
    pub segment: u64,
    /// Where in the segment the record begins.
    pub at: u32,
    /// How long it is.
    pub bytes: u32,
}

/// A server and a key, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u128);

impl Fingerprint {
    pub(super) fn of(seed: u64, server: &[u8], key: &[u8]) -> Self {
        let mut hasher = Xxh3::with_seed(seed);
        hasher.update(&(server.len() as u64).to_le_bytes());
        hasher.update(server);
        hasher.update(key);
        Self(hasher.digest128())
    }

    fn hash(self) -> u64 {
        self.0 as u64
    }
}

/// Invariant: both tables have the same entries, each once; `free` has those that none has.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_name: HashTable<u32>,
    by_lsn: HashTable<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: Fingerprint,
    place: Place,
}

impl Index {
    /// Live writes.
    pub(super) fn len(&self) -> usize {
        self.by_lsn.len()
    }

    /// Where all live writes stand, in no order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.by_lsn
            .iter()
            .map(|entry| self.entries[*entry as usize].place)
    }

    /// Where the newest write of a key stands.
    pub(super) fn find(&self, name: Fingerprint) -> Option<Place> {
        let entries = &self.entries;
        let found = self
            .by_name
            .find(name.hash(), |entry| entries[*entry as usize].name == name);
        found.map(|entry| entries[*entry as usize].place)
    }

    /// Where a write stands, if it is live.
    pub(super) fn get(&self, lsn: Lsn) -> Option<Place> {
        self.entry(lsn).map(|entry| self.entries[entry].place)
    }

    /// Makes a write the newest of its key. The one that was.
    pub(super) fn insert(&mut self, name: Fingerprint, place: Place) -> Option<Place> {
        let old = self.find(name);
        if let Some(old) = old {
            self.remove(old.lsn);
        }
        let entry = Entry { name, place };
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let Self {
            entries,
            by_name,
            by_lsn,
            ..
        } = self;
        let entry = |at: &u32| entries[*at as usize];
        by_name.insert_unique(name.hash(), at, |at| entry(at).name.hash());
        by_lsn.insert_unique(hash(place.lsn), at, |at| hash(entry(at).place.lsn));
        old
    }

    /// A live write's record stands somewhere else now. Where it stood.
    pub(super) fn relocate(&mut self, place: Place) -> Option<Place> {
        let entry = self.entry(place.lsn)?;
        Some(core::mem::replace(&mut self.entries[entry].place, place))
    }

    /// A write is not live any more. Where it stood, and whose it was.
    pub(super) fn remove(&mut self, lsn: Lsn) -> Option<(Fingerprint, Place)> {
        let entries = &self.entries;
        let is_it = |at: &u32| entries[*at as usize].place.lsn == lsn;
        let at = self.by_lsn.find_entry(hash(lsn), is_it).ok()?.remove().0;
        let Entry { name, place } = entries[at as usize];
        if let Ok(found) = self.by_name.find_entry(name.hash(), |other| *other == at) {
            found.remove();
        }
        self.free.push(at);
        Some((name, place))
    }

    fn entry(&self, lsn: Lsn) -> Option<usize> {
        let is_it = |at: &u32| self.entries[*at as usize].place.lsn == lsn;
        self.by_lsn
            .find(hash(lsn), is_it)
            .map(|entry| *entry as usize)
    }
}

/// Numbers that follow each other, spread over the table (Fibonacci hashing).
fn hash(lsn: Lsn) -> u64 {
    lsn.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(lsn: u64) -> Place {
        Place {
            lsn: Lsn(lsn),
            segment: 1,
            at: 0,
            bytes: 1,
        }
    }

    #[test]
    fn the_newest_write_of_a_key_is_the_one() {
        let mut index = Index::default();
        let a = Fingerprint::of(1, b"s", b"a");
        assert_eq!(index.insert(a, place(1)), None);
        assert_eq!(index.insert(a, place(2)), Some(place(1)));
        assert_eq!(index.get(Lsn(1)), None);
        assert_eq!(index.find(a), Some(place(2)));
        let there = Place {
            segment: 2,
            ..place(2)
        };
        assert_eq!(index.relocate(there), Some(place(2)));
        assert_eq!(index.remove(Lsn(2)), Some((a, there)));
        assert_eq!((index.len(), index.find(a)), (0, None));
        assert_eq!(index.remove(Lsn(2)), None);
        assert_eq!(index.relocate(there), None);
        index.insert(a, place(3));
        assert_eq!(index.entries.len(), 1, "rooms are used again");
    }

    #[test]
    fn servers_and_keys_do_not_run_into_each_other() {
        let of = |server, key| Fingerprint::of(1, server, key);
        assert_ne!(of(b"ab", b"c"), of(b"a", b"bc"));
        assert_ne!(of(b"a", b"b"), Fingerprint::of(2, b"a", b"b"));
    }
}
