//! Copies of what other peers own.
//!
//! A value that is asked for often is kept by those who do not own its key, too: else every read of it
//! goes to the owner. By chance one in ten is kept, as groupcache does, or by how often it was loaded.
//! They are in the store with everything else, and age with it. Here stands which there are, in the
//! order in which they came: beyond an eighth of the shard's memory the oldest goes.

use std::collections::VecDeque;

use super::Group;
use crate::{
    config::HotPolicy,
    fill::FillId,
    group::{
        Loaded,
        statistics::{Count, Lists},
    },
    shard::core::Core,
    store::{Deadline, Key, KeyHash, Operation},
};

/// Of its memory a shard gives one part of so many to copies, as groupcache's hot cache gets one of
/// what its main cache has.
const MEMORY_PART: usize = 8;

/// Copies that a shard knows of at most.
const COPIES_MAX: usize = 65_536;

/// By chance one in so many is kept.
const COIN_SIDES: u64 = 10;

/// Loads of a key, as far as the sketch remembers, from which on it is kept.
const LOADS_MIN: u8 = 3;

/// A shard's copies.
#[derive(Debug)]
pub(super) struct Hot {
    policy: HotPolicy,
    sketch: Sketch,
    /// The oldest in front. One that has ended or was dropped stays until its turn comes.
    copies: VecDeque<HotCopy>,
    bytes: usize,
    bytes_max: usize,
    /// Of the list of peers.
    lists: Lists,
}

/// A copy that was kept.
#[derive(Debug)]
struct HotCopy {
    key: Box<[u8]>,
    /// No other value that the key has here has this version.
    version: u64,
    bytes: usize,
}

impl Hot {
    /// For a shard with so much memory.
    pub(super) fn new(policy: HotPolicy, memory_bytes: usize, lists: Lists) -> Self {
        Self {
            policy,
            sketch: Sketch::new(),
            copies: VecDeque::new(),
            bytes: 0,
            bytes_max: memory_bytes / MEMORY_PART,
            lists,
        }
    }

    /// Whether a value that a peer has told is kept; `chance` is any number.
    fn keeps(&mut self, hash: KeyHash, chance: u64) -> bool {
        match self.policy {
            HotPolicy::None => false,
            HotPolicy::All => true,
            HotPolicy::Coin => chance.is_multiple_of(COIN_SIDES),
            HotPolicy::Sketch => self.sketch.count(hash) >= LOADS_MIN,
        }
    }

    fn push(&mut self, copy: HotCopy) {
        self.bytes += copy.bytes;
        self.copies.push_back(copy);
    }

    /// The oldest copy, if there are too many.
    fn pop_surplus(&mut self) -> Option<HotCopy> {
        if self.bytes <= self.bytes_max && self.copies.len() <= COPIES_MAX {
            return None;
        }
        self.pop()
    }

    /// The oldest copy.
    fn pop(&mut self) -> Option<HotCopy> {
        let copy = self.copies.pop_front()?;
        self.bytes -= copy.bytes;
        Some(copy)
    }

    /// Everything is dropped.
    pub(super) fn clear(&mut self) {
        self.copies.clear();
        self.bytes = 0;
    }
}

impl Core {
    /// Keeps a value that the owner of its key has told, if the policy says so.
    pub(super) fn keep_copy(&mut self, fill: FillId, loaded: &Loaded, deadline: Deadline) {
        let chance = self.random();
        let Some(group) = &mut self.group else { return };
        let Group { fills, hot, .. } = group;
        let (bytes, is_valid) = fills.key(fill);
        let key = self.store.hasher().key(bytes);
        let is_chosen = hot.keeps(key.hash, chance);
        let key: Box<[u8]> = bytes.into();
        // An older copy is shown until it is replaced.
        if !is_valid || !(is_chosen || self.has_to_renew(self.store.hasher().key(&key))) {
            return;
        }
        self.keep_loaded(fill, loaded, deadline, true);
        self.note_copy(key, &loaded.value);
    }

    /// Gives up what nobody may tell this shard to forget: after a change of the list of peers its copies, as the
    /// lists of others changed sooner or later; and all there is once this process was in no list.
    pub(super) fn note_lists(&mut self, lists: Lists) {
        let Some(group) = &mut self.group else { return };
        let before = core::mem::replace(&mut group.hot.lists, lists);
        if lists == before {
            return;
        }
        if lists.without != before.without {
            return self.drop_own();
        }
        let hasher = self.store.hasher();
        while let Some(group) = &mut self.group
            && let Some(copy) = group.hot.pop()
        {
            self.give_up_copy(hasher.key(&copy.key), copy.version);
        }
        // What is being loaded was asked for by the list of before, and so was what was not found.
        self.void_fills();
    }

    /// Takes note of a copy that may be there now, and gives up others for it.
    fn note_copy(&mut self, key: Box<[u8]>, value: &[u8]) {
        let hasher = self.store.hasher();
        let Some(entry) = self.store.peek(hasher.key(&key), self.now) else {
            return;
        };
        let (version, bytes) = (entry.version(), entry.memory_bytes());
        // It was not kept, as it is over already or has no room, and something else is there.
        if entry.value() != value {
            return;
        }
        let copy = HotCopy {
            key,
            version,
            bytes,
        };
        if let Some(group) = &mut self.group {
            group.hot.push(copy);
        }
        while let Some(group) = &mut self.group
            && let Some(copy) = group.hot.pop_surplus()
        {
            let was_there = self.give_up_copy(hasher.key(&copy.key), copy.version);
            if was_there && let Some(group) = &self.group {
                group.board.add(Count::HotEvictions);
            }
        }
    }

    /// Drops a copy; whether it was there still.
    fn give_up_copy(&mut self, key: Key<'_>, version: u64) -> bool {
        // One that has ended may be shown still.
        let since = |group: &Group| group.freshness.stale_since(self.now);
        let since = self.group.as_ref().map_or(self.now, since);
        let entry = self.store.peek(key, since);
        let is_there = entry.is_some_and(|entry| entry.version() == version);
        if is_there {
            self.old.clear();
            self.store
                .apply(self.now, key, Operation::DELETE, &[], &mut self.old);
        }
        is_there
    }
}

/// How often keys were loaded lately: a count-min sketch of four rows. Every so many loads all
/// counts are halved, so that what was hot once is forgotten.
#[derive(Debug)]
struct Sketch {
    rows: Box<[[u8; Self::WIDTH]; 4]>,
    counted: usize,
}

impl Sketch {
    /// Counts of a row; a power of two.
    const WIDTH: usize = 4_096;

    /// Loads between two halvings.
    const AGE_MAX: usize = 10 * Self::WIDTH;

    fn new() -> Self {
        Self {
            rows: Box::new([[0; Self::WIDTH]; 4]),
            counted: 0,
        }
    }

    /// Counts a load of a key; how many there were, or more if other keys share its places.
    fn count(&mut self, hash: KeyHash) -> u8 {
        self.counted += 1;
        if self.counted == Self::AGE_MAX {
            self.counted = 0;
            self.rows
                .as_flattened_mut()
                .iter_mut()
                .for_each(|count| *count /= 2);
        }
        let places = (0..4).map(|row| (hash.0 >> (16 * row)) as usize % Self::WIDTH);
        let mut least = u8::MAX;
        for (row, place) in self.rows.iter_mut().zip(places) {
            row[place] = row[place].saturating_add(1);
            least = least.min(row[place]);
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyHasher;

    fn hash(number: u32) -> KeyHash {
        KeyHasher::new(5).hash(&number.to_le_bytes())
    }

    fn hot(policy: HotPolicy) -> Hot {
        Hot::new(policy, 8 * 1_000, Lists::default())
    }

    #[test]
    fn each_policy_keeps_its_part() {
        for (policy, kept) in [
            (HotPolicy::None, 0),
            (HotPolicy::All, 1_000),
            (HotPolicy::Coin, 100),
        ] {
            let mut hot = hot(policy);
            let keeps = (0..1_000).filter(|chance| hot.keeps(hash(1), *chance));
            assert_eq!(keeps.count(), kept, "{policy}");
        }
        let mut sketch = hot(HotPolicy::Sketch);
        let kept: Vec<bool> = (0..4).map(|_| sketch.keeps(hash(1), 0)).collect();
        assert_eq!(kept, [false, false, true, true]);
    }

    #[test]
    fn a_sketch_tells_the_hot_from_the_others_and_forgets() {
        let mut sketch = Sketch::new();
        let mut mistaken = 0;
        for number in 0..1_000 {
            sketch.count(hash(0));
            mistaken += u32::from(sketch.count(hash(number + 1)) >= LOADS_MIN);
        }
        assert!(sketch.count(hash(0)) >= 200);
        assert!(mistaken < 10, "{mistaken} that were loaded once");
        for number in 0..10 * Sketch::AGE_MAX as u32 {
            sketch.count(hash(number % 40_000 + 10));
        }
        assert!(sketch.count(hash(0)) < 100);
    }

    #[test]
    fn the_oldest_go_beyond_their_part_of_the_memory() {
        let mut hot = hot(HotPolicy::All);
        for version in 0..12 {
            hot.push(HotCopy {
                key: Box::new([]),
                version,
                bytes: 100,
            });
        }
        let gone = std::iter::from_fn(|| hot.pop_surplus()).map(|copy| copy.version);
        assert_eq!(gone.collect::<Vec<_>>(), [0, 1]);
        assert_eq!((hot.copies.len(), hot.bytes), (10, 1_000));
        hot.clear();
        assert_eq!((hot.copies.len(), hot.bytes), (0, 0));
    }
}
