//! What stays when memory is needed, with each policy.

use std::collections::{HashMap, VecDeque};

use super::{MIB, narrow::Rng, set, store_with, value};
use crate::store::*;

const NOW: UnixMs = UnixMs(0);
const VALUE: [u8; 1_000] = [b'v'; 1_000];

#[test]
fn holds_what_fits_and_overwrites_for_ever() {
    Eviction::ALL.into_iter().for_each(overwrite_for_ever);
}

fn overwrite_for_ever(eviction: Eviction) {
    let mut store = store_with(eviction, 2 * MIB);
    for round in 0..200_u32 {
        for key in 0..1_000_u32 {
            let text = format!("{round}:{key}:{}", "x".repeat(500));
            assert!(matches!(
                set(&mut store, NOW, &key.to_le_bytes(), text.as_bytes()),
                Outcome::Stored { .. }
            ));
        }
    }
    for key in 0..1_000_u32 {
        let text = value(&store, NOW, &key.to_le_bytes());
        assert!(
            text.is_some_and(|t| t.starts_with(format!("199:{key}:").as_bytes())),
            "{key}"
        );
    }
    assert_eq!(
        store.stats().evicted_count,
        0,
        "half of the memory is free: nothing may go"
    );
    assert_eq!(store.stats().entry_count, 1_000);
}

#[test]
fn few_keys_take_few_segments_in_turn() {
    for eviction in Eviction::ALL {
        let mut store = store_with(eviction, 8 * MIB);
        let mut places = std::collections::HashSet::new();
        for round in 0..40_000_u32 {
            let key = (round % 10).to_le_bytes();
            set(&mut store, NOW, &key, &VALUE);
            let value = store.get(store.hasher().key(&key), NOW).unwrap().value();
            places.insert(value.as_ptr() as usize / 4096);
        }
        let bytes = places.len() * 4096;
        assert!(bytes < MIB, "{eviction}: {bytes} bytes in use by turns");
    }
}

#[test]
fn ten_times_the_memory_keeps_the_newest() {
    // Of what is new, LRU keeps all it has room for, S3-FIFO a tenth.
    for (eviction, newest_count) in [(Eviction::Lru, 2_000), (Eviction::S3Fifo, 300)] {
        let mut store = store_with(eviction, 4 * MIB);
        let count = 40_000_u32;
        for key in 0..count {
            let outcome = set(&mut store, NOW, &key.to_le_bytes(), &VALUE);
            assert_eq!(outcome, Outcome::Stored { value_bytes: 1_000 });
        }
        let is_there = |key: &u32| value(&store, NOW, &key.to_le_bytes()).is_some();
        let held = (0..count).filter(is_there).count();
        assert!(held * 1_000 > 3 * MIB, "{held} entries of 1 kB in 4 MiB");
        for key in count - newest_count..count {
            assert!(is_there(&key), "{key} is among the newest");
        }
        assert_eq!(store.stats().entry_count, held as u64);
    }
}

/// A store may forget, but what it has is right, and it counts what it forgets.
#[test]
fn what_is_there_is_what_was_written_last() {
    Eviction::ALL.into_iter().for_each(remember_or_forget);
}

fn remember_or_forget(eviction: Eviction) {
    let mut store = store_with(eviction, MIB);
    let mut rng = Rng(eviction as u64);
    let mut written = HashMap::<u32, (Vec<u8>, u64)>::new();
    let mut now = UnixMs(1_000);
    let (mut stored_count, mut gone_count) = (0, 0);
    for step in 0..60_000_u32 {
        let name = rng.skewed(3_000);
        let bytes = name.to_le_bytes();
        let key = store.hasher().key(&bytes);
        let there = store.get(key, now).map(|entry| entry.value().to_vec());
        match (&there, written.get(&name)) {
            (Some(value), Some((last, end))) => assert!(value == last && now.0 < *end),
            (Some(_), None) => panic!("{name} was never written, or was deleted"),
            (None, _) => {}
        }
        match rng.below(10) {
            0 => {
                let outcome = store.apply(now, key, Operation::DELETE, b"", &mut Vec::new());
                assert_eq!(outcome.outcome == Outcome::Deleted, there.is_some());
                gone_count += u64::from(there.is_some());
                written.remove(&name);
            }
            1..4 if there.is_some() => {}
            _ => {
                let value = [&step.to_le_bytes()[..], &vec![b'v'; name as usize]].concat();
                let end = now.0 + 1 + rng.below(20_000);
                let operation = Operation::Set {
                    flags: 0,
                    expiry: Expiry::Until(Deadline::at(UnixMs(end))),
                    condition: Condition::Always,
                    stamp: Stamp::default(),
                    wants_old: false,
                };
                store.apply(now, key, operation, &value, &mut Vec::new());
                stored_count += u64::from(there.is_none());
                written.insert(name, (value, end));
            }
        }
        store.quiescent();
        now.0 += 1;
        if step % 1_000 == 0 {
            store.tick(now);
        }
    }
    let stats = store.stats();
    assert!(stats.evicted_count > 1_000 && stats.expired_count > 100);
    let left_count = gone_count + stats.evicted_count + stats.expired_count;
    // One that is evicted to make room for its own new value leaves, and comes again.
    let come_count = stats.entry_count + left_count;
    assert!((stored_count..stored_count + 10).contains(&come_count));
    let is_there = |name: &&u32| value(&store, now, &name.to_le_bytes()).is_some();
    let held_count = written.keys().filter(is_there).count() as u64;
    assert!(held_count <= stats.entry_count && held_count > 500);
}

/// Exact LRU over so many entries.
struct ExactLru {
    limit: usize,
    order: VecDeque<u32>,
}

impl ExactLru {
    fn touch(&mut self, key: u32) -> bool {
        let place = self.order.iter().position(|other| *other == key);
        if let Some(place) = place {
            self.order.remove(place);
        } else if self.order.len() == self.limit {
            self.order.pop_front();
        }
        self.order.push_back(key);
        place.is_some()
    }
}

/// Asks the store and exact LRU of as many entries for the same keys, and stores what is missing;
/// what share of them each had, once memory is full.
fn hit_ratios(eviction: Eviction, mut next_key: impl FnMut(u32) -> u32) -> (f64, f64) {
    let mut store = store_with(eviction, 4 * MIB);
    let (mut hits, mut lru_hits, mut gets) = (0, 0, 0);
    let mut lru = None::<ExactLru>;
    for round in 0..200_000_u32 {
        let key = next_key(round);
        let hit = value(&store, NOW, &key.to_le_bytes()).is_some();
        if !hit {
            set(&mut store, NOW, &key.to_le_bytes(), &VALUE);
        }
        store.quiescent();
        // Once memory is full, the twin gets as many entries as the store holds.
        if round == 50_000 {
            let limit = store.stats().entry_count as usize;
            lru = Some(ExactLru {
                limit,
                order: VecDeque::new(),
            });
        }
        if let Some(lru) = &mut lru {
            let lru_hit = lru.touch(key);
            if round >= 100_000 {
                gets += 1;
                hits += u32::from(hit);
                lru_hits += u32::from(lru_hit);
            }
        }
    }
    let ratio = |hits| f64::from(hits) / f64::from(gets);
    (ratio(hits), ratio(lru_hits))
}

#[test]
fn lru_is_close_to_exact_lru() {
    let mut rng = Rng(42);
    let (ratio, exact) = hit_ratios(Eviction::Lru, |_| rng.skewed(20_000));
    assert!(
        ratio > exact - 0.02,
        "hit ratio {ratio:.3}, exact LRU {exact:.3}"
    );
}

#[test]
fn s3_fifo_is_better_than_exact_lru_where_much_is_asked_for_once() {
    let mut rng = Rng(42);
    let (ratio, exact) = hit_ratios(Eviction::S3Fifo, |_| rng.skewed(20_000));
    assert!(
        ratio > exact + 0.02,
        "skewed: hit ratio {ratio:.3}, exact LRU {exact:.3}"
    );
    // A third of the requests is for keys that nobody asks for again.
    let (ratio, exact) = hit_ratios(Eviction::S3Fifo, |round| match round % 3 {
        0 => 1 << 20 | round,
        _ => rng.skewed(20_000),
    });
    assert!(
        ratio > exact + 0.04,
        "scans: hit ratio {ratio:.3}, exact LRU {exact:.3}"
    );
}

/// What LRU is better for, and why it is the default.
#[test]
fn lru_is_better_where_the_second_use_is_late_and_the_last() {
    let next_key = |round: u32, rng: &mut Rng| match round % 4 {
        0 => 1 << 20 | round,
        // After 800 new ones: more than the small queue holds.
        2 => 1 << 20 | round.saturating_sub(3_202),
        _ => rng.skewed(20_000),
    };
    let ratios = Eviction::ALL.map(|eviction| {
        let mut rng = Rng(42);
        hit_ratios(eviction, |round| next_key(round, &mut rng)).0
    });
    assert!(ratios[0] > ratios[1] + 0.05, "{ratios:?}");
}

/// Asks for all of these keys, and counts those that are there.
fn count_held(store: &ShardStore, mut keys: impl Iterator<Item = u32>) -> usize {
    let mut held = 0;
    keys.by_ref().for_each(|key| {
        held += usize::from(value(store, NOW, &key.to_le_bytes()).is_some());
    });
    held
}

#[test]
fn a_scan_passes_by_what_is_used() {
    for (eviction, is_kept) in [(Eviction::S3Fifo, true), (Eviction::Lru, false)] {
        let mut store = store_with(eviction, 4 * MIB);
        let used = || 0..2_000_u32;
        for key in used() {
            set(&mut store, NOW, &key.to_le_bytes(), &VALUE);
            count_held(&store, [key, key].into_iter());
        }
        // Many times the memory, each key once.
        for key in 10_000..50_000_u32 {
            set(&mut store, NOW, &key.to_le_bytes(), &VALUE);
        }
        let held = count_held(&store, used());
        // Until the first has left, all of them move at once, and some find no memory.
        assert_eq!(held > 1_800, is_kept, "{eviction:?}: {held} of 2,000");
        assert!(is_kept || held == 0, "{held} of 2,000");
    }
}

#[test]
fn who_comes_back_soon_after_leaving_is_kept() {
    let mut store = store_with(Eviction::S3Fifo, 4 * MIB);
    let put = |store: &mut ShardStore, keys: core::ops::Range<u32>| {
        keys.for_each(|key| {
            set(store, NOW, &key.to_le_bytes(), &VALUE);
        });
    };
    put(&mut store, 0..6_000);
    // Of these some have left; they come again, and are kept from then on.
    let is_gone = |key: &u32| {
        store
            .peek(store.hasher().key(&key.to_le_bytes()), NOW)
            .is_none()
    };
    let back: Vec<u32> = (1_000..6_000).filter(is_gone).take(500).collect();
    assert_eq!(back.len(), 500);
    for key in &back {
        set(&mut store, NOW, &key.to_le_bytes(), &VALUE);
    }
    put(&mut store, 10_000..30_000);
    assert!(count_held(&store, back.into_iter()) >= 490);
    assert!(
        count_held(&store, 10_000..20_000) < 10,
        "who never came back"
    );
}

#[test]
fn what_is_used_stays_while_it_is_written_anew() {
    let mut store = store_with(Eviction::S3Fifo, 4 * MIB);
    for round in 0..40_u32 {
        // A counter that is written and never read is used, too.
        for key in 0..500_u32 {
            set(&mut store, NOW, &key.to_le_bytes(), &VALUE);
        }
        let scan = 10_000 + round * 1_000;
        for key in scan..scan + 1_000 {
            set(&mut store, NOW, &key.to_le_bytes(), &VALUE);
        }
    }
    assert!(store.stats().evicted_count > 10_000);
    assert_eq!(count_held(&store, 0..500), 500);
}
