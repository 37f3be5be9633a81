//! Fills: what a miss sets in motion, once for everybody who misses the same key.
//!
//! A fill holds the **lease** of its key: who asks for the key while the fill is under way joins
//! it. A write or invalidation of the key voids the lease: the fill is still answered to those
//! who had joined, but its value is not kept, and who asks from then on starts another. So a
//! fill that crosses a write never puts the old value back.
//!
//! Where servers tell of changes, a fill has a [`Warrant`], too: what must still hold when its
//! value comes, and until when the value is good.

mod closed;
mod warrant;

use hashbrown::HashTable;

use self::closed::Closed;
pub use self::warrant::{Cover, Warrant};
use crate::store::Key;

/// Bytes for a key that a finished fill keeps for the next one: memcache's longest key fits.
const KEPT_KEY_BYTES_MAX: usize = 256;

/// Waiters that it keeps room for.
const KEPT_WAITERS_MAX: usize = 256;

/// Names a fill until it is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillId(u32);

impl FillId {
    /// The fill that has this number.
    pub(crate) const fn of(number: u32) -> Self {
        Self(number)
    }

    /// Its number: no other fill of the same shard has it until this one is finished.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

/// What became of a request to fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Another's fill will answer.
    Joined,
    /// The caller is to load the value and [finish](Fills::finish).
    Started(FillId),
}

/// A fill under way.
#[derive(Debug)]
struct Fill<W> {
    hash: u64,
    key: Vec<u8>,
    /// Nothing was written since it started.
    is_valid: bool,
    /// What else keeping the value depends on, where anything does.
    warrant: Option<Warrant>,
    waiters: Vec<W>,
}

/// The fills of the keys one shard owns; `W` names who waits.
///
/// Invariant: `by_key` names exactly the valid fills.
#[derive(Debug)]
pub struct Fills<W> {
    slots: Vec<Fill<W>>,
    free: Vec<u32>,
    by_key: HashTable<u32>,
    closed: Closed,
}

impl<W> Default for Fills<W> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashTable::new(),
            closed: Closed::default(),
        }
    }
}

impl<W> Fills<W> {
    /// Joins the fill of `key`, or starts one.
    pub fn join_or_start(&mut self, key: Key<'_>, waiter: W) -> Lease {
        if let Some(slot) = self.find(key) {
            self.slots[slot as usize].waiters.push(waiter);
            return Lease::Joined;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Fill {
                hash: 0,
                key: Vec::new(),
                is_valid: false,
                warrant: None,
                waiters: Vec::new(),
            });
            (self.slots.len() - 1) as u32
        });
        let fill = &mut self.slots[slot as usize];
        fill.hash = key.hash.0;
        fill.key.extend_from_slice(key.bytes);
        fill.is_valid = true;
        fill.warrant = None;
        fill.waiters.push(waiter);
        let slots = &self.slots;
        self.by_key
            .insert_unique(key.hash.0, slot, |other| slots[*other as usize].hash);
        Lease::Started(FillId(slot))
    }

    /// The fill that who asks for the key would join.
    pub fn under_way(&self, key: Key<'_>) -> Option<FillId> {
        self.find(key).map(FillId)
    }

    /// A write of `key` begins or ends.
    pub fn void(&mut self, key: Key<'_>) {
        let Some(slot) = self.find(key) else { return };
        self.slots[slot as usize].is_valid = false;
        self.unlist(slot);
    }

    /// A write of `key` begins over another connection than its fills', and ends with
    /// [`Self::open`]. In between it [is closed](Self::is_closed).
    pub fn close(&mut self, key: Key<'_>) {
        self.void(key);
        self.closed.close(key.bytes);
    }

    /// Such a write is over.
    pub fn open(&mut self, key: Key<'_>) {
        self.closed.open(key.bytes);
    }

    /// Whether such a write is under way: then no fill may be started, as it would be joined.
    #[inline]
    pub fn is_closed(&self, key: Key<'_>) -> bool {
        self.closed.has(key.bytes)
    }

    /// Everything is written at once, as by a flush.
    pub fn void_all(&mut self) {
        self.by_key.clear();
        self.slots.iter_mut().for_each(|fill| fill.is_valid = false);
    }

    /// The key of a fill, and whether its value may be kept.
    pub fn key(&self, id: FillId) -> (&[u8], bool) {
        let fill = &self.slots[id.0 as usize];
        (&fill.key, fill.is_valid)
    }

    /// Says on what the value of a fill that was just started may be kept.
    pub fn warrant(&mut self, id: FillId, warrant: Warrant) {
        self.slots[id.0 as usize].warrant = Some(warrant);
    }

    /// The value of a fill under way will come from somebody whom what was said so is not about.
    pub fn unwarrant(&mut self, id: FillId) {
        self.slots[id.0 as usize].warrant = None;
    }

    /// What was said so.
    pub fn warrant_of(&self, id: FillId) -> Option<&Warrant> {
        self.slots[id.0 as usize].warrant.as_ref()
    }

    /// The server of a fill that is under way has answered PTTL for its key.
    pub fn note_time_left(&mut self, id: FillId, pttl: i64) {
        if let Some(warrant) = &mut self.slots[id.0 as usize].warrant {
            warrant.note_time_left(pttl);
        }
    }

    /// Ends a fill; `answer` is called for each who waits.
    pub fn finish(&mut self, id: FillId, answer: impl FnMut(W)) {
        if self.slots[id.0 as usize].is_valid {
            self.unlist(id.0);
        }
        let fill = &mut self.slots[id.0 as usize];
        fill.is_valid = false;
        fill.waiters.drain(..).for_each(answer);
        // Most keys and their waiters find room where others were; giants do not stay for ever.
        fill.key.clear();
        fill.key.shrink_to(KEPT_KEY_BYTES_MAX);
        fill.waiters.shrink_to(KEPT_WAITERS_MAX);
        self.free.push(id.0);
    }

    fn find(&self, key: Key<'_>) -> Option<u32> {
        let is_key = |slot: &u32| self.slots[*slot as usize].key == key.bytes;
        self.by_key.find(key.hash.0, is_key).copied()
    }

    fn unlist(&mut self, slot: u32) {
        let hash = self.slots[slot as usize].hash;
        if let Ok(entry) = self.by_key.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyHasher;

    fn key(bytes: &[u8]) -> Key<'_> {
        KeyHasher::new(3).key(bytes)
    }

    fn finish(fills: &mut Fills<u32>, id: FillId) -> Vec<u32> {
        let mut answered = Vec::new();
        fills.finish(id, |waiter| answered.push(waiter));
        answered
    }

    #[test]
    fn overlapping_misses_share_one_fill() {
        let mut fills = Fills::default();
        let Lease::Started(id) = fills.join_or_start(key(b"a"), 1) else {
            panic!("first")
        };
        assert_eq!(fills.join_or_start(key(b"a"), 2), Lease::Joined);
        assert!(matches!(
            fills.join_or_start(key(b"b"), 3),
            Lease::Started(_)
        ));
        assert_eq!(fills.key(id), (&b"a"[..], true));
        assert_eq!(fills.under_way(key(b"a")), Some(id));
        assert_eq!(finish(&mut fills, id), [1, 2]);
        assert_eq!(fills.under_way(key(b"a")), None);
        assert!(matches!(
            fills.join_or_start(key(b"a"), 4),
            Lease::Started(_)
        ));
    }

    #[test]
    fn a_write_voids_the_lease_and_separates_the_readers() {
        let mut fills = Fills::default();
        let Lease::Started(old) = fills.join_or_start(key(b"a"), 1) else {
            panic!("first")
        };
        fills.void(key(b"a"));
        let Lease::Started(new) = fills.join_or_start(key(b"a"), 2) else {
            panic!("second")
        };
        assert_eq!(fills.key(old), (&b"a"[..], false));
        assert_eq!(fills.key(new), (&b"a"[..], true));
        assert_eq!(finish(&mut fills, old), [1]);
        assert_eq!(fills.join_or_start(key(b"a"), 3), Lease::Joined);
        assert_eq!(finish(&mut fills, new), [2, 3]);
    }

    #[test]
    fn a_key_is_closed_until_its_last_write_is_over() {
        let mut fills = Fills::default();
        let Lease::Started(id) = fills.join_or_start(key(b"a"), 1) else {
            panic!("first")
        };
        fills.close(key(b"a"));
        fills.close(key(b"a"));
        assert_eq!(fills.key(id), (&b"a"[..], false));
        assert!(!fills.is_closed(key(b"b")));
        for is_closed in [true, true, false] {
            assert_eq!(fills.is_closed(key(b"a")), is_closed);
            fills.open(key(b"a"));
        }
        assert_eq!(finish(&mut fills, id), [1]);
    }

    #[test]
    fn a_flush_voids_every_lease() {
        let mut fills = Fills::default();
        let Lease::Started(id) = fills.join_or_start(key(b"a"), 1) else {
            panic!("first")
        };
        fills.void_all();
        assert!(!fills.key(id).1);
        assert!(matches!(
            fills.join_or_start(key(b"a"), 2),
            Lease::Started(_)
        ));
        assert_eq!(finish(&mut fills, id), [1]);
    }
}
