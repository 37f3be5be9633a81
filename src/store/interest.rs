//! Which changes other shards want to hear of, and why they miss none.
//!
//! A shard that listens publishes its **interest**: a counting filter over the hashes of the keys
//! that its clients have read or watch, and the prefixes that they asked for. The owner of a key
//! looks into it after every change and takes a note only of what may concern the listener; the
//! listener's own table knows the rest. So a tracked read costs no message, and a change costs one
//! look per listening shard, nothing where nobody listens.
//!
//! No change is missed, as each side puts a SeqCst fence between its two steps:
//!
//! ```text
//! listener:  count the key in   | fence |  read the entry
//! owner:     publish the change | fence |  look into the filter
//! ```
//!
//! Whichever fence comes second sees what the other side did before its own: either the owner sees
//! the interest and takes a note, or the listener reads the changed entry. That the owner looks at
//! all is arranged beforehand by messages, see [`ShardStore::listen`](super::ShardStore::listen).
//!
//! A false alarm costs a note. The filter has one counter a slot: keys of one slot share it, and a
//! counter that was ever full stays full.

use core::cmp::Ordering as Order;
use std::sync::Arc;

use super::KeyHash;
use crate::sync::{AtomicU8, Ordering, fence};

/// Counters of a filter when few keys are to be counted.
const SLOT_COUNT_MIN: usize = 1 << 14;

/// Most counters of a filter, a byte each: with more keys there are more false alarms.
const SLOT_COUNT_MAX: usize = 1 << 21;

/// The keys that a shard wants to hear of, as others see them.
#[derive(Debug)]
pub struct Interest {
    slots: Box<[AtomicU8]>,
}

impl Interest {
    /// Whether a change of this key may concern the listener. To be asked after a fence that
    /// follows the change.
    fn wants(&self, hash: KeyHash) -> bool {
        self.slot(hash).load(Ordering::Relaxed) > 0
    }

    fn slot(&self, hash: KeyHash) -> &AtomicU8 {
        // The lower half: the upper one picks the owner, so an owner's keys share it.
        &self.slots[hash.0 as usize & (self.slots.len() - 1)]
    }
}

/// The right to change an [`Interest`]; there is one, and it lives on the listener's thread.
#[derive(Debug)]
pub struct InterestWriter(Arc<Interest>);

impl InterestWriter {
    /// A filter for about so many keys.
    pub fn new(key_count: usize) -> Self {
        let slot_count = key_count.clamp(SLOT_COUNT_MIN, SLOT_COUNT_MAX);
        Self::with_slots(slot_count.next_power_of_two())
    }

    fn with_slots(slot_count: usize) -> Self {
        let slots = (0..slot_count).map(|_| AtomicU8::new(0)).collect();
        Self(Arc::new(Interest { slots }))
    }

    /// What the owners look into.
    pub fn share(&self) -> Arc<Interest> {
        Arc::clone(&self.0)
    }

    /// Counts a key in. What is read of it from here on is either told of or already changed.
    pub fn add(&mut self, hash: KeyHash) {
        let slot = self.0.slot(hash);
        // One writer: a load and a store, no locked instruction beside the fence.
        let count = slot.load(Ordering::Relaxed);
        slot.store(count.saturating_add(1), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Counts a key out again.
    pub fn remove(&mut self, hash: KeyHash) {
        let slot = self.0.slot(hash);
        let count = slot.load(Ordering::Relaxed);
        debug_assert!(count > 0, "it was counted in");
        if count != u8::MAX {
            slot.store(count.saturating_sub(1), Ordering::Relaxed);
        }
    }
}

/// Prefixes of keys; whether one of them begins a key is found by bisection.
///
/// Invariant: sorted, and none begins with another.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Prefixes(Box<[Box<[u8]>]>);

impl Prefixes {
    /// These, without those that a shorter one covers.
    pub fn new<'p>(prefixes: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut sorted: Vec<&[u8]> = prefixes.into_iter().collect();
        sorted.sort_unstable();
        // What begins with a prefix comes right behind it.
        sorted.dedup_by(|longer, shorter| longer.starts_with(shorter));
        Self(sorted.into_iter().map(Box::from).collect())
    }

    /// Whether one of them begins `key`.
    pub fn cover(&self, key: &[u8]) -> bool {
        let found = self.0.binary_search_by(|prefix| {
            if key.starts_with(prefix) {
                Order::Equal
            } else {
                (**prefix).cmp(key)
            }
        });
        found.is_ok()
    }
}

/// What a shard wants to hear of.
#[derive(Debug, Clone)]
pub struct Concern {
    /// Changes of these keys.
    pub keys: Arc<Interest>,
    /// Changes of all keys that begin so.
    pub prefixes: Arc<Prefixes>,
}

impl Concern {
    /// Whether a change of this key may be meant; see [`Interest`] for when to ask.
    pub(super) fn includes(&self, key: &[u8], hash: KeyHash) -> bool {
        self.keys.wants(hash) || self.prefixes.cover(key)
    }
}

/// The owner's fence: between publishing a change and looking who wants to hear of it.
pub(super) fn published() {
    fence(Ordering::SeqCst);
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_in_is_wanted_until_counted_out() {
        let mut writer = InterestWriter::with_slots(4);
        let interest = writer.share();
        let (one, same_slot, other) = (KeyHash(1), KeyHash(5), KeyHash(2));
        assert!(!interest.wants(one));
        writer.add(one);
        writer.add(same_slot);
        assert!(interest.wants(one) && interest.wants(same_slot) && !interest.wants(other));
        writer.remove(one);
        assert!(interest.wants(one), "its neighbour is there");
        writer.remove(same_slot);
        assert!(!interest.wants(one));
    }

    #[test]
    fn a_counter_that_was_full_stays_full() {
        let mut writer = InterestWriter::with_slots(1);
        for _ in 0..300 {
            writer.add(KeyHash(0));
        }
        for _ in 0..300 {
            writer.remove(KeyHash(0));
        }
        assert!(writer.share().wants(KeyHash(0)));
    }

    #[test]
    fn filters_are_as_large_as_needed_within_bounds() {
        let slots = |keys| InterestWriter::new(keys).0.slots.len();
        assert_eq!(slots(0), SLOT_COUNT_MIN);
        assert_eq!(slots(500_000), 1 << 19);
        assert_eq!(slots(usize::MAX), SLOT_COUNT_MAX);
    }

    #[test]
    fn prefixes_cover_what_begins_with_one_of_them() {
        let prefixes = |list: &[&str]| Prefixes::new(list.iter().map(|text| text.as_bytes()));
        let some = prefixes(&["user:", "a", "user:7", "ab", "zz", "user:"]);
        assert_eq!(some.0.len(), 3, "a, user:, zz");
        for key in ["a", "ab", "abc", "user:", "user:8", "zz", "zzz"] {
            assert!(some.cover(key.as_bytes()), "{key}");
        }
        for key in [
            "",
            "b",
            "use",
            "user",
            "user;",
            "z",
            "zy",
            "zz".split_at(1).0,
        ] {
            assert!(!some.cover(key.as_bytes()), "{key}");
        }
        assert!(prefixes(&["x", ""]).cover(b"anything"));
        assert!(!prefixes(&[]).cover(b""));
    }
}

#[cfg(all(test, ringfort_loom))]
mod loom_tests {
    use super::*;
    use crate::sync::AtomicU64;
    use loom::thread;

    const HASH: KeyHash = KeyHash(3);

    fn is_noted(interest: &Interest) -> bool {
        published();
        interest.wants(HASH)
    }

    /// Whoever read the old value hears of the change.
    #[test]
    fn no_change_is_missed() {
        loom::model(|| {
            let mut writer = InterestWriter::with_slots(4);
            let interest = writer.share();
            let entry = Arc::new(AtomicU64::new(1));
            let owner = {
                let entry = Arc::clone(&entry);
                thread::spawn(move || {
                    entry.store(2, Ordering::Release);
                    is_noted(&interest)
                })
            };
            writer.add(HASH);
            let read = entry.load(Ordering::Acquire);
            let noted = owner.join().unwrap();
            assert!(noted || read == 2, "the old value is cached for ever");
        });
    }

    /// Nor by one who was told of a change before, took the key off the table, and reads again.
    #[test]
    fn no_second_change_is_missed() {
        loom::model(|| {
            let mut writer = InterestWriter::with_slots(4);
            let interest = writer.share();
            let entry = Arc::new(AtomicU64::new(1));
            writer.add(HASH);
            let owner = {
                let entry = Arc::clone(&entry);
                thread::spawn(move || {
                    entry.store(2, Ordering::Release);
                    let first = is_noted(&interest);
                    entry.store(3, Ordering::Release);
                    (first, is_noted(&interest))
                })
            };
            // As if told of the first change at once.
            writer.remove(HASH);
            writer.add(HASH);
            let read = entry.load(Ordering::Acquire);
            let (first, second) = owner.join().unwrap();
            assert!(read == 3 || second, "the second change is missed");
            assert!(read >= 2 || first || second, "both are missed");
        });
    }
}
