//! The store against naive twins.

mod copies;
mod evicting;
mod loans;
mod narrow;
mod noting;
mod pinned;
mod twin;
mod vacancies;

use std::collections::HashMap;

use proptest::prelude::*;

use self::twin::{CHOSEN_CAS_MIN, ITEM_BYTES_MAX, Step, Twin, model, name, steps};
use super::*;

const MIB: usize = 1 << 20;

fn store(partition_bytes: usize) -> ShardStore {
    store_with(Eviction::Lru, partition_bytes)
}

fn store_with(eviction: Eviction, partition_bytes: usize) -> ShardStore {
    let params = StoreParams {
        shard_count: 1,
        partition_bytes,
        item_bytes_max: ITEM_BYTES_MAX,
        eviction,
    };
    let mut store = build(&params, KeyHasher::new(7)).unwrap().remove(0);
    store.online();
    store
}

fn evictions() -> impl Strategy<Value = Eviction> {
    prop_oneof![Just(Eviction::Lru), Just(Eviction::S3Fifo)]
}

fn set_until(deadline: Deadline) -> Operation {
    Operation::Set {
        flags: 0,
        expiry: Expiry::Until(deadline),
        condition: Condition::Always,
        stamp: Stamp::default(),
        wants_old: false,
    }
}

fn set(store: &mut ShardStore, now: UnixMs, key: &[u8], value: &[u8]) -> Outcome {
    set_with(store, now, key, value, Deadline::NEVER)
}

fn set_with(
    store: &mut ShardStore,
    now: UnixMs,
    key: &[u8],
    value: &[u8],
    deadline: Deadline,
) -> Outcome {
    let key = store.hasher().key(key);
    let outcome = store
        .apply(now, key, set_until(deadline), value, &mut Vec::new())
        .outcome;
    store.quiescent();
    outcome
}

fn value(store: &ShardStore, now: UnixMs, key: &[u8]) -> Option<Vec<u8>> {
    store
        .get(store.hasher().key(key), now)
        .map(|entry| entry.value().to_vec())
}

fn check(store: &ShardStore, now: UnixMs, map: &HashMap<u8, Twin>) {
    for key in 0..12_u8 {
        let bytes = name(key);
        let hashed = store.hasher().key(&bytes);
        let entry = store.get(hashed, now);
        // Whether the guess is right or not.
        for guessed in [key, key ^ 1] {
            let guess = store.prefetch_entry(store.hasher().hash(&name(guessed)));
            let found = store.look_guessed(hashed, guess, now);
            assert_eq!(found.err(), store.look(hashed, now).err());
            let place = |entry: EntryRef<'_>| entry.value().as_ptr();
            assert_eq!(found.ok().map(place), entry.map(place), "key {key}");
        }
        let seen = entry.map(|entry| Twin {
            value: entry.value().to_vec(),
            flags: entry.flags(),
            deadline: entry.deadline(),
            cas: Some(entry.cas()).filter(|cas| *cas >= CHOSEN_CAS_MIN),
            is_stale: entry.is_stale(),
            is_won: entry.is_won(),
            is_copy: entry.is_copy(),
        });
        let expected = map.get(&key).filter(|twin| !twin.deadline.is_past(now));
        assert_eq!(seen.as_ref(), expected, "key {key}");
    }
    // Some of those with a deadline may have expired unnoticed; the others are all there.
    let stats = store.stats();
    let stay = map.values().filter(|twin| twin.deadline == Deadline::NEVER);
    assert_eq!(
        stats.entry_count - stats.deadline_count,
        stay.count() as u64
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every outcome, old value and content agrees with a `HashMap`, while segments are cleaned
    /// many times over.
    #[test]
    fn agrees_with_a_hash_map(steps in steps(), eviction in evictions()) {
        let mut store = store_with(eviction, MIB);
        let mut map: HashMap<u8, Twin> = HashMap::new();
        let mut now = UnixMs(1_000);
        for step in steps {
            match step {
                Step::Wait(ms) => now.0 += ms,
                Step::Tick => store.tick(now),
                Step::Flush => {
                    store.flush(now, now);
                    map.clear();
                    prop_assert_eq!(store.stats().entry_count, 0);
                    prop_assert_eq!(store.stats().live_bytes, 0);
                }
                Step::Version { key, right } => {
                    let bytes = name(key);
                    let key_hashed = store.hasher().key(&bytes);
                    let cas = store.get(key_hashed, now).map(|entry| entry.cas());
                    let operation = Operation::Set {
                        flags: 1,
                        expiry: Expiry::Keep,
                        condition: Condition::Version(cas.unwrap_or(1) + u64::from(!right)),
                        stamp: Stamp::default(),
                        wants_old: false,
                    };
                    let outcome =
                        store.apply(now, key_hashed, operation, b"7", &mut Vec::new()).outcome;
                    let expected = match (cas, right) {
                        (None, _) => Outcome::NotFound,
                        (Some(_), false) => Outcome::Exists,
                        (Some(_), true) => {
                            let twin = map.get_mut(&key).unwrap();
                            *twin = Twin { flags: 1, ..twin.with_value(b"7") };
                            Outcome::Stored { value_bytes: 1 }
                        }
                    };
                    prop_assert_eq!(outcome, expected);
                }
                Step::Apply { key, operation, value } => {
                    let mut old = Vec::new();
                    let bytes = name(key);
                    let key_hashed = store.hasher().key(&bytes);
                    let applied = store.apply(now, key_hashed, operation, &value, &mut old);
                    let expected = model(&mut map, now, key, operation, &value);
                    let old = applied.has_old.then_some(old);
                    prop_assert_eq!((applied.outcome, old), expected, "{:?}", operation);
                }
            }
            store.quiescent();
            check(&store, now, &map);
        }
    }
}

#[test]
fn every_shard_reads_what_the_owner_wrote() {
    let params = StoreParams {
        shard_count: 3,
        partition_bytes: MIB,
        item_bytes_max: 4096,
        eviction: Eviction::Lru,
    };
    let mut stores = build(&params, KeyHasher::new(1)).unwrap();
    stores.iter_mut().for_each(ShardStore::online);
    let now = UnixMs(0);
    for number in 0..300_u32 {
        let key = number.to_le_bytes();
        let owner = stores[0].owner(stores[0].hasher().hash(&key));
        set(&mut stores[owner], now, &key, &key);
        for store in &stores {
            assert_eq!(value(store, now, &key).as_deref(), Some(&key[..]));
        }
    }
    assert_eq!(stores[0].stats().entry_count, 300);
}

#[test]
fn a_delayed_flush_spares_what_comes_later() {
    let mut store = store(MIB);
    set(&mut store, UnixMs(0), b"early", b"1");
    store.flush(UnixMs(0), UnixMs(500));
    assert!(value(&store, UnixMs(499), b"early").is_some());
    assert_eq!(store.next_tick(), Some(UnixMs(500)));
    // What is given up for another reason does not take its place.
    store.drop_all();
    assert!(value(&store, UnixMs(499), b"early").is_none());
    set(&mut store, UnixMs(499), b"early", b"2");
    assert_eq!(store.next_tick(), Some(UnixMs(500)));
    store.tick(UnixMs(500));
    assert!(value(&store, UnixMs(500), b"early").is_none());
    set(&mut store, UnixMs(501), b"late", b"1");
    store.tick(UnixMs(600));
    assert!(value(&store, UnixMs(600), b"late").is_some());
}

#[test]
fn who_is_told_not_to_marks_nothing_as_used() {
    let mut store = store(MIB);
    let now = UnixMs(0);
    set(&mut store, now, b"key", b"v");
    store.set_marks_use(false);
    assert!(value(&store, now, b"key").is_some());
    let key = store.hasher().key(b"key");
    assert!(!store.peek(key, now).unwrap().is_fetched());
    store.set_marks_use(true);
    assert!(value(&store, now, b"key").is_some());
    assert!(store.peek(key, now).unwrap().is_fetched());
}

#[test]
fn the_sweep_unlinks_what_has_expired() {
    let mut store = store(MIB);
    expire_a_thousand(&mut store);
    for second in 1..4 {
        store.tick(UnixMs(second * 1_000));
    }
    assert_eq!(store.stats().entry_count, 0);
    assert_eq!(store.stats().expired_count, 1_000);
}

#[test]
fn what_was_flushed_does_not_expire() {
    let mut store = store(MIB);
    expire_a_thousand(&mut store);
    store.flush(UnixMs(50), UnixMs(50));
    for second in 1..4 {
        store.tick(UnixMs(second * 1_000));
    }
    assert_eq!(store.next_tick(), None, "all was swept");
    assert_eq!(store.stats().expired_count, 0);
}

#[test]
fn the_sweep_does_not_go_on_in_the_middle_of_other_entries() {
    let mut store = store(MIB);
    for second in 0..200_usize {
        let now = UnixMs(second as u64 * 1_000);
        // More than a sweep looks at, and fewer bytes than all segments.
        for number in 0..5_000_usize {
            let value = [0xff; 64];
            let value = &value[..(number * 7 + second) % value.len()];
            let deadline = Deadline::at(UnixMs(now.0 + 1_500));
            set_with(&mut store, now, &number.to_le_bytes(), value, deadline);
        }
        store.tick(now);
    }
}

#[test]
fn what_has_expired_can_be_kept_for_who_looks_back() {
    let mut store = store(MIB);
    store.keep_expired(2_500);
    expire_a_thousand(&mut store);
    store.tick(UnixMs(2_000));
    let key = 7_u32.to_le_bytes();
    assert_eq!(value(&store, UnixMs(2_000), &key), None);
    assert_eq!(value(&store, UnixMs(99), &key), Some(b"v".to_vec()));
    // What is written has no past.
    set(&mut store, UnixMs(2_000), &key, b"new");
    assert_eq!(value(&store, UnixMs(99), &key), Some(b"new".to_vec()));
    for second in 3..6 {
        store.tick(UnixMs(second * 1_000));
    }
    assert_eq!(store.stats().entry_count, 1);
}

/// Fills it with what ends at 100 ms.
fn expire_a_thousand(store: &mut ShardStore) {
    for number in 0..1_000_u32 {
        let operation = Operation::Set {
            flags: 0,
            expiry: Expiry::Until(Deadline::at(UnixMs(100))),
            condition: Condition::Always,
            stamp: Stamp::default(),
            wants_old: false,
        };
        let bytes = number.to_le_bytes();
        let key = store.hasher().key(&bytes);
        store.apply(UnixMs(0), key, operation, b"v", &mut Vec::new());
    }
    assert_eq!(store.stats().entry_count, 1_000);
}

#[test]
fn a_shard_in_a_long_turn_costs_time_not_writes() {
    Eviction::ALL.into_iter().for_each(write_beside_a_long_turn);
}

fn write_beside_a_long_turn(eviction: Eviction) {
    let params = StoreParams {
        shard_count: 2,
        partition_bytes: MIB,
        item_bytes_max: 4096,
        eviction,
    };
    let mut stores = build(&params, KeyHasher::new(7)).unwrap();
    let mut reader = stores.pop().unwrap();
    let mut writer = stores.pop().unwrap();
    reader.online();
    writer.online();
    let hasher = writer.hasher();
    let mut keys = (0_u32..)
        .map(u32::to_le_bytes)
        .filter(|key| hasher.hash(key).owner(2) == 0);
    // Many times the memory, by a writer that ends its turns and a reader that does so only when
    // the writer cannot go on.
    let mut wait_count = 0;
    for _ in 0..20_000 {
        if writer.must_wait() {
            reader.quiescent();
            wait_count += 1;
            assert!(!writer.must_wait(), "everybody has ended a turn");
        }
        let key = keys.next().unwrap();
        let outcome = set(&mut writer, UnixMs(0), &key, &[b'v'; 1000]);
        assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
    }
    assert!(wait_count > 0, "the reader was never in the way");
}

#[test]
fn what_keeps_its_place_keeps_its_marks() {
    let mut store = store(MIB);
    let key = store.hasher().key(b"n");
    let now = UnixMs(1_800_000_000_000);
    let later = UnixMs(now.0 + 5_000);
    let mut apply = |operation, value: &[u8], reads: bool| {
        let outcome = store
            .apply(now, key, operation, value, &mut Vec::new())
            .outcome;
        if reads {
            store.get(key, later).unwrap();
        }
        let entry = store.peek(key, later).unwrap();
        let seen = (entry.value().to_vec(), entry.is_stale(), entry.is_fetched());
        (outcome, seen, entry.used_at())
    };
    let count = |delta| Operation::count_unsigned(delta, false);
    let outdate = Operation::Outdate {
        expiry: Expiry::Keep,
        cas: None,
    };
    let (_, seen, used_at) = apply(Operation::SET, b"10", false);
    assert_eq!((seen, used_at), ((b"10".to_vec(), false, false), now));
    let (_, seen, used_at) = apply(outdate, b"", false);
    assert_eq!((seen, used_at), ((b"10".to_vec(), true, false), now));
    let (_, seen, used_at) = apply(count(1), b"", true);
    assert_eq!((seen, used_at), ((b"11".to_vec(), true, true), later));
    // The same place: still stale, still read, used now.
    let (outcome, seen, used_at) = apply(count(1), b"", false);
    assert_eq!(outcome, Outcome::Unsigned(12));
    assert_eq!((seen, used_at), ((b"12".to_vec(), true, true), now));
    // A longer number is a new value.
    let (outcome, seen, _) = apply(count(100), b"", false);
    assert_eq!(outcome, Outcome::Unsigned(112));
    assert_eq!(seen, (b"112".to_vec(), false, false));
}

#[test]
fn an_absent_key_says_why() {
    let mut store = store(MIB);
    let key = store.hasher().key(b"k");
    let expire = Operation::Expire {
        deadline: Deadline::at(UnixMs(10)),
        condition: ExpireCondition::Always,
    };
    assert_eq!(store.look(key, UnixMs(0)).err(), Some(Absence::Unknown));
    set(&mut store, UnixMs(0), b"k", b"v");
    store.apply(UnixMs(0), key, expire, b"", &mut Vec::new());
    assert!(store.look(key, UnixMs(9)).is_ok());
    assert_eq!(store.look(key, UnixMs(10)).err(), Some(Absence::Expired));
    store.flush(UnixMs(9), UnixMs(0));
    assert_eq!(store.look(key, UnixMs(9)).err(), Some(Absence::Flushed));
}
