//! Redis Cluster's slots: the part of all keys that a key belongs to.
//!
//! A slot is CRC-16/XMODEM of the key, or of what stands between its first `{` and the next `}` if
//! that is anything, modulo 16,384. Source: the Redis Cluster specification, "Key distribution
//! model" and "Hash tags".

use std::fmt;

use super::key_hash::sums::crc16;
use super::placement::HashTag;

/// How many slots there are.
pub const SLOT_COUNT: usize = 16_384;

/// One slot. Invariant: less than [`SLOT_COUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot of a key. Allocates nothing.
    pub fn of(key: &[u8]) -> Self {
        let sum = crc16(HashTag::BRACES.hashed(key));
        Self(sum as u16 % SLOT_COUNT as u16)
    }

    /// The slot of a number, if there is one.
    pub fn new(number: i64) -> Option<Self> {
        let number = usize::try_from(number).ok()?;
        (number < SLOT_COUNT).then_some(Self(number as u16))
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Slots in a row, the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRange {
    first: Slot,
    last: Slot,
}

impl SlotRange {
    /// The slots from `first` to `last`; none if they count down.
    pub fn new(first: Slot, last: Slot) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// How many slots they are.
    pub fn slot_count(self) -> usize {
        usize::from(self.last.0 - self.first.0) + 1
    }

    /// Its slots, ascending.
    pub fn slots(self) -> impl Iterator<Item = Slot> {
        (self.first.0..=self.last.0).map(Slot)
    }
}

/// Which of some holders has each slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotMap {
    /// One per slot.
    holders: Box<[Option<u16>]>,
}

impl SlotMap {
    /// The map of ranges and who holds them. Where two hold a slot, the later one has it.
    pub fn new(held: impl IntoIterator<Item = (SlotRange, u16)>) -> Self {
        let mut map = Self {
            holders: vec![None; SLOT_COUNT].into_boxed_slice(),
        };
        for (range, holder) in held {
            range.slots().for_each(|slot| map.set(slot, holder));
        }
        map
    }

    /// Who holds a slot; nobody may.
    pub fn holder(&self, slot: Slot) -> Option<u16> {
        self.holders[slot.index()]
    }

    /// Notes that a slot has moved.
    pub fn set(&mut self, slot: Slot, holder: u16) {
        self.holders[slot.index()] = Some(holder);
    }

    /// How many slots nobody holds: with any, a cluster refuses requests unless it is told not to.
    pub fn uncovered_count(&self) -> usize {
        self.holders
            .iter()
            .filter(|holder| holder.is_none())
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a redis-server 7.0.15 answers to CLUSTER KEYSLOT.
    #[test]
    fn slots_are_those_of_redis() {
        let vectors: [(&[u8], usize); 16] = [
            (b"foo", 12182),
            (b"bar", 5061),
            (b"user", 5474),
            (b"{user}:1", 5474),
            (b"a{user}{x}", 5474),
            (b"", 0),
            (b"{}", 15257),
            (b"{}x", 10595),
            (b"{", 4092),
            (b"a{}{b}", 15033),
            (b"a{b}c{d}", 3300),
            (b"b", 3300),
            (b"{{a}}", 10276),
            (b"123456789", 12739),
            (b"\xff\x00\r\n", 7349),
            (b"{\xff}x", 7920),
        ];
        for (key, slot) in vectors {
            assert_eq!(Slot::of(key).index(), slot, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn numbers_have_an_end() {
        assert_eq!(Slot::new(0), Some(Slot(0)));
        assert_eq!(Slot::new(16_383), Some(Slot(16_383)));
        for number in [-1, 16_384, i64::MAX, i64::MIN] {
            assert_eq!(Slot::new(number), None, "{number}");
        }
        assert_eq!(SlotRange::new(Slot(1), Slot(0)), None);
    }

    #[test]
    fn a_map_knows_who_holds_what() {
        let range = |first, last| SlotRange::new(Slot(first), Slot(last)).expect("a range");
        let mut map = SlotMap::new([(range(0, 5460), 0), (range(5461, 16_382), 1)]);
        assert_eq!(map.holder(Slot(5460)), Some(0));
        assert_eq!(map.holder(Slot(5461)), Some(1));
        assert_eq!(map.holder(Slot(16_383)), None);
        assert_eq!(map.uncovered_count(), 1);
        map.set(Slot(16_383), 7);
        map.set(Slot(0), 7);
        assert_eq!((map.holder(Slot(0)), map.uncovered_count()), (Some(7), 0));
        let twice = SlotMap::new([(range(3, 9), 0), (range(5, 6), 1)]);
        assert_eq!(
            [4, 5, 6, 7].map(|slot| twice.holder(Slot(slot))),
            [Some(0), Some(1), Some(1), Some(0)]
        );
    }
}
