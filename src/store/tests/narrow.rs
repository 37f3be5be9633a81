//! The least memory: every write finds room, whatever is written.

use crate::store::*;

const NOW: UnixMs = UnixMs(0);

/// What is written with the least memory that a store works with.
struct Narrow {
    item_bytes_max: usize,
    key_count: u64,
    /// Bytes of a value for a number below 100.
    value_bytes: fn(usize, usize) -> usize,
    /// Reads of a key before it is written.
    get_count: u32,
    /// Writes between two quiescent points, unless the store asks for one before.
    turn: u32,
}

/// Large items that hardly share a segment, small ones that fill the index, and both; what is used
/// and what is not; few and many writes in a turn.
const NARROW: [Narrow; 7] = [
    narrow(4_096, 2_000, |part, most| 200 + most * part / 110, 1, 1),
    narrow(65_536, 2_000, |part, most| most * part / 100, 3, 299),
    narrow(40_000, 50, |_, most| most, 1, 83),
    narrow(65_536, 20_000, few_large, 0, 170),
    narrow(1_024, 2_000, |_, most| most, 2, 266),
    // Buckets are full when no segment is left for the index.
    narrow(1_024, 8_000, |part, _| part, 0, 266),
    narrow(1_024, 8_000, few_large, 0, 266),
];

fn few_large(part: usize, most: usize) -> usize {
    if part < 10 {
        most * part / 10
    } else {
        2 * part
    }
}

const fn narrow(
    item_bytes_max: usize,
    key_count: u64,
    value_bytes: fn(usize, usize) -> usize,
    get_count: u32,
    turn: u32,
) -> Narrow {
    Narrow {
        item_bytes_max,
        key_count,
        value_bytes,
        get_count,
        turn,
    }
}

#[test]
fn the_least_memory_is_enough() {
    for eviction in Eviction::ALL {
        NARROW
            .iter()
            .for_each(|load| write_narrowly(eviction, load));
    }
}

fn write_narrowly(eviction: Eviction, load: &Narrow) {
    let mut params = StoreParams {
        shard_count: 1,
        partition_bytes: 0,
        item_bytes_max: load.item_bytes_max,
        eviction,
    };
    params.partition_bytes = params.partition_bytes_min();
    let mut store = build(&params, KeyHasher::new(7)).unwrap().remove(0);
    store.online();
    let mut rng = Rng(7);
    let bytes_max = load.item_bytes_max - 4 - StoreParams::ITEM_OVERHEAD_BYTES;
    let content = vec![b'v'; bytes_max];
    for step in 0..40_000_u32 {
        let name = rng.skewed(load.key_count).to_le_bytes();
        let value = &content[..(load.value_bytes)(rng.below(100) as usize, bytes_max)];
        assert!(!store.must_wait(), "nobody else is in a turn");
        let key = store.hasher().key(&name);
        (0..load.get_count).for_each(|_| {
            store.get(key, NOW);
        });
        let operation = match step % 20 {
            19 => Operation::DELETE,
            _ => Operation::SET,
        };
        let outcome = store.apply(NOW, key, operation, value, &mut Vec::new());
        let of_item = load.item_bytes_max;
        assert_ne!(
            outcome.outcome,
            Outcome::OutOfMemory,
            "{eviction:?}, items of {of_item}, step {step}"
        );
        if step % load.turn == 0 {
            store.quiescent();
        }
    }
    assert!(store.stats().evicted_count > 0);
}

/// A third of a segment each, or nearly all of it: no two of them share what another leaves.
#[test]
fn large_values_go_in_the_order_they_came() {
    for (bytes_min, bytes_max) in [(22_000, 22_100), (40_000, 65_000)] {
        let params = StoreParams {
            shard_count: 1,
            partition_bytes: 8 << 20,
            item_bytes_max: 65_536,
            eviction: Eviction::Lru,
        };
        let mut store = build(&params, KeyHasher::new(7)).unwrap().remove(0);
        store.online();
        let mut rng = Rng(7);
        let mut bytes = vec![];
        for name in 0..3_000_u32 {
            bytes.push((bytes_min + rng.below(bytes_max - bytes_min)) as usize);
            while store.must_wait() {}
            let name_bytes = name.to_le_bytes();
            let (key, value) = (
                store.hasher().key(&name_bytes),
                vec![b'v'; bytes[name as usize]],
            );
            let applied = store.apply(NOW, key, Operation::SET, &value, &mut Vec::new());
            assert!(matches!(applied.outcome, Outcome::Stored { .. }));
            store.quiescent();
        }
        let is_there = |name: u32| {
            store
                .peek(store.hasher().key(&name.to_le_bytes()), NOW)
                .is_some()
        };
        let held = (0..3_000).filter(|name| is_there(*name));
        let held_bytes: usize = held.map(|name| bytes[name as usize]).sum();
        assert!(held_bytes > 5 << 20, "{held_bytes} bytes held");
        let newest = (0..3_000).rev().take((4 << 20) / bytes_max as usize);
        let gone_count = newest.filter(|name| !is_there(*name)).count();
        assert!(gone_count <= 2, "{gone_count} of the newest are gone");
    }
}

/// A sequence of numbers that comes again.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A cheap skewed sequence: the product of even draws favours small keys.
    pub(super) fn skewed(&mut self, keys: u64) -> u32 {
        let product = self.below(keys) * self.below(keys) / keys;
        (product * self.below(keys) / keys) as u32
    }
}
