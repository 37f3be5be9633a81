//! Changes made in the stead of a shard that sleeps: as if it had made them itself, or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::*;
use super::{
    MIB, check, evictions, name, set_until,
    twin::{Step, Twin, model, steps},
    value,
};

const NOW: UnixMs = UnixMs(1_000);

/// The stores of two shards, both online.
fn pair(eviction: Eviction) -> [ShardStore; 2] {
    let params = StoreParams {
        shard_count: 2,
        partition_bytes: MIB,
        item_bytes_max: 4096,
        eviction,
    };
    let mut stores = build(&params, KeyHasher::new(7)).unwrap();
    stores.iter_mut().for_each(ShardStore::online);
    let other = stores.remove(1);
    [stores.remove(0), other]
}

/// Keys that the first shard owns.
fn keys(store: &ShardStore) -> impl Iterator<Item = [u8; 4]> + use<> {
    let hasher = store.hasher();
    let all = (0_u32..).map(u32::to_le_bytes);
    all.filter(move |key| hasher.hash(key).owner(2) == 0)
}

fn sleep(store: &mut ShardStore) {
    store.offline();
    store.lend();
}

fn set_for(store: &mut ShardStore, key: &[u8], deadline: Deadline) -> Option<InStead> {
    let key = store.hasher().key(key);
    store.apply_for_sleeper(
        NOW,
        key,
        set_until(deadline),
        &[b'v'; 1000],
        &mut Vec::new(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every outcome, old value and content agrees with a `HashMap`, whoever applies it.
    #[test]
    fn agrees_with_a_hash_map(
        steps in steps(),
        sleeps in proptest::collection::vec(any::<bool>(), 1..20),
        eviction in evictions(),
    ) {
        let mut stores = pair(eviction);
        let mut map: HashMap<u8, Twin> = HashMap::new();
        let mut now = NOW;
        for (step, sleeps) in steps.into_iter().zip(sleeps.into_iter().cycle()) {
            match step {
                Step::Wait(ms) => now.0 += ms,
                Step::Tick => stores.iter_mut().for_each(|store| store.tick(now)),
                Step::Flush => {
                    stores.iter_mut().for_each(|store| store.flush(now, now));
                    map.clear();
                }
                Step::Version { .. } => {}
                Step::Apply { key, operation, value } => {
                    let mut old = Vec::new();
                    let bytes = name(key);
                    let hashed = stores[0].hasher().key(&bytes);
                    let owner = stores[0].owner(hashed.hash);
                    let applied = if sleeps {
                        sleep(&mut stores[owner]);
                        let other = &mut stores[1 - owner];
                        let done = other.apply_for_sleeper(now, hashed, operation, &value, &mut old);
                        stores[owner].online();
                        done.expect("nothing is in the way").applied
                    } else {
                        stores[owner].apply(now, hashed, operation, &value, &mut old)
                    };
                    let expected = model(&mut map, now, key, operation, &value);
                    let old = applied.has_old.then_some(old);
                    prop_assert_eq!((applied.outcome, old), expected, "{:?}", operation);
                }
            }
            stores.iter_mut().for_each(ShardStore::quiescent);
            stores.iter().for_each(|store| check(store, now, &map));
        }
    }
}

#[test]
fn who_is_awake_is_asked_itself() {
    let [mut owner, mut other] = pair(Eviction::Lru);
    let key = keys(&owner).next().unwrap();
    assert!(set_for(&mut other, &key, Deadline::NEVER).is_none());
    sleep(&mut owner);
    assert!(set_for(&mut other, &key, Deadline::NEVER).is_some());
    owner.online();
    assert!(set_for(&mut other, &key, Deadline::NEVER).is_none());
    assert!(value(&owner, NOW, &key).is_some());
    assert!(value(&other, NOW, &key).is_some());
}

#[test]
fn what_others_have_to_hear_of_is_left_to_the_owner() {
    let [mut owner, mut other] = pair(Eviction::Lru);
    let key = keys(&owner).next().unwrap();
    let wanted = Concern {
        keys: InterestWriter::new(0).share(),
        prefixes: Arc::new(Prefixes::new([])),
    };
    owner.listen(1, Some(wanted));
    sleep(&mut owner);
    assert!(set_for(&mut other, &key, Deadline::NEVER).is_none());
    owner.online();
    owner.listen(1, None);
    sleep(&mut owner);
    assert!(set_for(&mut other, &key, Deadline::NEVER).is_some());
}

/// Else the flush would take what was stored after it.
#[test]
fn a_flush_that_is_due_comes_first() {
    let [mut owner, mut other] = pair(Eviction::Lru);
    let key = keys(&owner).next().unwrap();
    owner.flush(UnixMs(NOW.0 - 500), NOW);
    sleep(&mut owner);
    assert!(set_for(&mut other, &key, Deadline::NEVER).is_none());
    owner.online();
    owner.tick(NOW);
    sleep(&mut owner);
    assert!(set_for(&mut other, &key, Deadline::NEVER).is_some());
}

#[test]
fn a_first_deadline_is_to_be_looked_after() {
    let [mut owner, mut other] = pair(Eviction::Lru);
    let mut keys = keys(&owner);
    let mut is_due_sooner = |deadline| {
        let key = keys.next().unwrap();
        let done = set_for(&mut other, &key, deadline);
        done.expect("the owner sleeps").is_due_sooner
    };
    let later = Deadline::at(UnixMs(NOW.0 + 60_000));
    assert_eq!(owner.next_tick(), None);
    sleep(&mut owner);
    assert!(!is_due_sooner(Deadline::NEVER));
    assert!(is_due_sooner(later));
    assert!(!is_due_sooner(later), "it is known");
    owner.online();
    assert!(owner.next_tick().is_some());
}

/// Many times the memory, by a shard that does not end its turn before it has to.
#[test]
fn memory_that_is_not_free_yet_is_waited_for_by_the_owner() {
    for eviction in Eviction::ALL {
        let [mut owner, mut other] = pair(eviction);
        let mut refused = 0;
        for key in keys(&owner).take(5_000) {
            sleep(&mut owner);
            let mut done = set_for(&mut other, &key, Deadline::NEVER);
            if done.is_none() {
                refused += 1;
                owner.online();
                other.quiescent();
                assert!(!owner.must_wait(), "everybody has ended a turn");
                sleep(&mut owner);
                done = set_for(&mut other, &key, Deadline::NEVER);
            }
            let outcome = done.expect("there is memory").applied.outcome;
            assert!(matches!(outcome, Outcome::Stored { .. }), "{eviction}");
            owner.online();
        }
        assert!(refused > 0, "{eviction}: there was always memory");
        assert!(owner.stats().evicted_count > 0, "{eviction}");
    }
}
