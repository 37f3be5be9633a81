//! Which clients of this shard read which keys, and are to be told once when one changes.

use std::collections::HashSet;

use arrayvec::ArrayVec;
use hashbrown::HashTable;

use crate::{
    io::Token,
    store::{Deadline, Key, KeyHash, UnixMs},
};

/// Readers of a key before it gets a set of them.
const FEW_READERS_MAX: usize = 3;

/// Readers of all keys together, for each key that the table may hold.
const READERS_PER_KEY_MAX: usize = 8;

/// The keys that were read, in no order.
///
/// Invariant: `index` has the position of each slot under its key's hash; `reader_count` is the sum
/// over the slots.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    index: HashTable<u32>,
    reader_count: usize,
    /// Where the sweep goes on.
    sweep_at: usize,
}

/// A key and who read it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) hash: KeyHash,
    pub(super) key: Box<[u8]>,
    /// When the entry that was read expires.
    deadline: Deadline,
    readers: Readers,
}

#[derive(Debug)]
enum Readers {
    Few(ArrayVec<Token, FEW_READERS_MAX>),
    Many(HashSet<Token>),
}

/// What came of adding a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// The key is new, too.
    Key,
    /// The key was there.
    Reader,
    /// Both were there.
    Nothing,
}

impl Table {
    /// Keys in it.
    pub(super) fn key_count(&self) -> usize {
        self.slots.len()
    }

    /// Readers of keys in it, each counted for each of its keys.
    pub(super) fn reader_count(&self) -> usize {
        self.reader_count
    }

    /// Whether it holds more than `keys_max` allows; 0 allows any number.
    pub(super) fn is_over(&self, keys_max: usize) -> bool {
        keys_max > 0
            && (self.slots.len() > keys_max
                || self.reader_count > keys_max.saturating_mul(READERS_PER_KEY_MAX))
    }

    /// Notes that a client reads a key. Readers that are not `is_live` may make room.
    pub(super) fn add(
        &mut self,
        key: Key<'_>,
        reader: Token,
        is_live: impl Fn(Token) -> bool,
    ) -> Added {
        if let Some(position) = self.position(key) {
            let readers = &mut self.slots[position].readers;
            let count = readers.len();
            let is_new = readers.insert(reader, is_live);
            self.reader_count = self.reader_count + readers.len() - count;
            return if is_new {
                Added::Reader
            } else {
                Added::Nothing
            };
        }
        let position = self.slots.len() as u32;
        self.slots.push(Slot {
            hash: key.hash,
            key: key.bytes.into(),
            deadline: Deadline::NEVER,
            readers: Readers::Few([reader].into_iter().collect()),
        });
        let Self { slots, index, .. } = self;
        index.insert_unique(key.hash.0, position, |at| slots[*at as usize].hash.0);
        self.reader_count += 1;
        Added::Key
    }

    /// Notes when the entry of a key in it expires.
    pub(super) fn set_deadline(&mut self, key: Key<'_>, deadline: Deadline) {
        if let Some(position) = self.position(key) {
            self.slots[position].deadline = deadline;
        }
    }

    /// Takes a key out.
    pub(super) fn remove(&mut self, key: Key<'_>) -> Option<Slot> {
        let position = self.position(key)?;
        Some(self.remove_at(position))
    }

    /// Takes the key out that a number from nowhere picks.
    pub(super) fn remove_any(&mut self, number: u64) -> Option<Slot> {
        let count = self.slots.len() as u64;
        let position = number.checked_rem(count)?;
        Some(self.remove_at(position as usize))
    }

    /// Looks at up to `count` keys. One whose entry has expired is handed to `expired`, one with no
    /// live reader to `deserted`.
    pub(super) fn sweep(
        &mut self,
        now: UnixMs,
        count: usize,
        is_live: impl Fn(Token) -> bool,
        mut swept: impl FnMut(Swept),
    ) {
        for _ in 0..count.min(self.slots.len()) {
            if self.sweep_at >= self.slots.len() {
                self.sweep_at = 0;
            }
            let Some(slot) = self.slots.get_mut(self.sweep_at) else {
                return;
            };
            if slot.deadline.is_past(now) {
                swept(Swept::Expired(self.remove_at(self.sweep_at)));
                continue;
            }
            let before = slot.readers.len();
            slot.readers.retain(&is_live);
            let left = slot.readers.len();
            self.reader_count -= before - left;
            if left == 0 {
                swept(Swept::Deserted(self.remove_at(self.sweep_at)));
            } else {
                self.sweep_at += 1;
            }
        }
    }

    /// Empties it; the hashes of the keys that were in it.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = KeyHash> {
        let table = core::mem::take(self);
        table.slots.into_iter().map(|slot| slot.hash)
    }

    fn position(&self, key: Key<'_>) -> Option<usize> {
        let found = self.index.find(key.hash.0, |at| {
            let slot = &self.slots[*at as usize];
            slot.hash == key.hash && *slot.key == *key.bytes
        });
        found.map(|at| *at as usize)
    }

    fn remove_at(&mut self, position: usize) -> Slot {
        self.unindex(position);
        let last = self.slots.len() - 1;
        if position != last {
            // The last one takes its place.
            let entry = self
                .index
                .find_mut(self.slots[last].hash.0, |at| *at as usize == last);
            entry.into_iter().for_each(|at| *at = position as u32);
        }
        let slot = self.slots.swap_remove(position);
        self.reader_count -= slot.readers.len();
        slot
    }

    fn unindex(&mut self, position: usize) {
        let hash = self.slots[position].hash.0;
        if let Ok(entry) = self.index.find_entry(hash, |at| *at as usize == position) {
            entry.remove();
        }
    }
}

/// What a sweep took out.
#[derive(Debug)]
pub(super) enum Swept {
    /// The entry's time has passed.
    Expired(Slot),
    /// Nobody is left who read it.
    Deserted(Slot),
}

impl Slot {
    /// Who read it.
    pub(super) fn readers(&self) -> impl Iterator<Item = Token> {
        let (few, many) = match &self.readers {
            Readers::Few(few) => (Some(few), None),
            Readers::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten();
        few.chain(many.into_iter().flatten()).copied()
    }
}

impl Readers {
    fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// False if it was there.
    fn insert(&mut self, reader: Token, is_live: impl Fn(Token) -> bool) -> bool {
        match self {
            Self::Few(few) if few.contains(&reader) => false,
            Self::Few(few) => {
                if few.is_full() {
                    few.retain(|one| is_live(*one));
                }
                if few.try_push(reader).is_err() {
                    let mut many: HashSet<_> = few.iter().copied().collect();
                    many.insert(reader);
                    *self = Self::Many(many);
                }
                true
            }
            Self::Many(many) => many.insert(reader),
        }
    }

    fn retain(&mut self, is_live: impl Fn(Token) -> bool) {
        match self {
            Self::Few(few) => few.retain(|one| is_live(*one)),
            Self::Many(many) => many.retain(|one| is_live(*one)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{io::sim::SimRng, store::KeyHasher};

    fn token(number: usize) -> Token {
        Token::from_bits(number as u64)
    }

    fn readers(slot: &Slot) -> BTreeSet<usize> {
        slot.readers().map(Token::index).collect()
    }

    #[test]
    fn agrees_with_a_map_of_sets() {
        let hasher = KeyHasher::new(3);
        let mut rng = SimRng::new(5);
        let mut table = Table::default();
        let mut model: BTreeMap<Vec<u8>, BTreeSet<usize>> = BTreeMap::new();
        for _ in 0..20_000 {
            let name = format!("k{}", rng.below(40)).into_bytes();
            let key = hasher.key(&name);
            match rng.below(10) {
                0..=6 => {
                    let reader = rng.below(9);
                    let expected = match model.get(&name) {
                        None => Added::Key,
                        Some(set) if set.contains(&reader) => Added::Nothing,
                        Some(_) => Added::Reader,
                    };
                    assert_eq!(table.add(key, token(reader), |_| true), expected);
                    model.entry(name).or_default().insert(reader);
                }
                7 | 8 => {
                    let slot = table.remove(key);
                    assert_eq!(slot.map(|slot| readers(&slot)), model.remove(&name));
                }
                _ => {
                    if let Some(slot) = table.remove_any(rng.below(1000) as u64) {
                        let expected = model.remove(&*slot.key).expect("it is there");
                        assert_eq!(readers(&slot), expected);
                    }
                }
            }
            assert_eq!(table.key_count(), model.len());
            let readers: usize = model.values().map(BTreeSet::len).sum();
            assert_eq!(table.reader_count(), readers);
        }
    }

    #[test]
    fn a_sweep_finds_what_has_expired_and_what_nobody_reads() {
        let hasher = KeyHasher::new(3);
        let mut table = Table::default();
        for number in 0..30_u64 {
            let name = number.to_string();
            let key = hasher.key(name.as_bytes());
            for reader in 0..=number as usize % 5 {
                table.add(key, token(reader), |_| true);
            }
            if number % 3 == 0 {
                table.set_deadline(key, Deadline::at(UnixMs(number)));
            }
        }
        let (mut expired, mut deserted) = (Vec::new(), Vec::new());
        // Client 0 has gone.
        for _ in 0..10 {
            table.sweep(
                UnixMs(12),
                7,
                |reader| reader.index() > 0,
                |swept| {
                    let (list, slot) = match swept {
                        Swept::Expired(slot) => (&mut expired, slot),
                        Swept::Deserted(slot) => (&mut deserted, slot),
                    };
                    list.push(String::from_utf8(slot.key.into_vec()).unwrap());
                },
            );
        }
        expired.sort();
        deserted.sort();
        assert_eq!(expired, ["0", "12", "3", "6", "9"]);
        assert_eq!(deserted, ["10", "15", "20", "25", "5"]);
        assert_eq!(table.key_count(), 20);
    }

    #[test]
    fn the_dead_make_room_for_the_living() {
        let hasher = KeyHasher::new(3);
        let mut table = Table::default();
        for number in 0..100 {
            table.add(hasher.key(b"hot"), token(number), |one| {
                one.index() == number
            });
        }
        assert!(table.reader_count() <= FEW_READERS_MAX);
    }

    #[test]
    fn it_is_over_with_too_many_keys_or_readers() {
        let hasher = KeyHasher::new(3);
        let mut table = Table::default();
        for number in 0..READERS_PER_KEY_MAX {
            table.add(hasher.key(b"hot"), token(number), |_| true);
        }
        assert!(!table.is_over(1));
        table.add(hasher.key(b"hot"), token(99), |_| true);
        assert!(table.is_over(1) && !table.is_over(2) && !table.is_over(0));
        assert_eq!(table.drain().count(), 1);
        for key in ["a", "b", "c"] {
            table.add(hasher.key(key.as_bytes()), token(1), |_| true);
        }
        assert!(table.is_over(2) && !table.is_over(3));
    }
}
