//! The store against naive twins.

mod shards;

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::*;

const MIB: usize = 1 << 20;

fn store(partition_bytes: usize) -> ShardStore {
    let params = StoreParams {
        shard_count: 1,
        partition_bytes,
        item_bytes_max: 4096,
        key_bytes_max: 250,
    };
    let mut store = build(&params, KeyHasher::new(7)).unwrap().remove(0);
    store.online();
    store
}

fn set(store: &mut ShardStore, now: UnixMs, key: &[u8], value: &[u8]) -> Outcome {
    let operation = Operation::Set {
        flags: 0,
        expiry: Expiry::Until(Deadline::NEVER),
        condition: Condition::Always,
        wants_old: false,
    };
    let key = store.hasher().key(key);
    let outcome = store
        .apply(now, key, operation, value, &mut Vec::new())
        .outcome;
    store.quiescent();
    outcome
}

fn value(store: &ShardStore, now: UnixMs, key: &[u8]) -> Option<Vec<u8>> {
    store
        .get(store.hasher().key(key), now)
        .map(|entry| entry.value().to_vec())
}

/// What the model knows of a key.
#[derive(Debug, Clone, PartialEq)]
struct Twin {
    value: Vec<u8>,
    flags: u32,
    deadline: Deadline,
}

#[derive(Debug, Clone)]
enum Step {
    Apply {
        key: u8,
        operation: Operation,
        value: Vec<u8>,
    },
    Version {
        key: u8,
        right: bool,
    },
    Flush,
    Wait(u64),
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deadline = prop_oneof![
        Just(Deadline::NEVER),
        Just(Deadline::PAST),
        (1_000_u64..3_000).prop_map(|ms| Deadline::at(UnixMs(ms))),
    ];
    let condition = prop_oneof![
        Just(Condition::Always),
        Just(Condition::Absent),
        Just(Condition::Present)
    ];
    let expiry = prop_oneof![Just(Expiry::Keep), deadline.clone().prop_map(Expiry::Until)];
    let side = prop_oneof![Just(Side::Back), Just(Side::Front)];
    let expire_condition = prop_oneof![
        Just(ExpireCondition::Always),
        Just(ExpireCondition::IfNone),
        Just(ExpireCondition::IfSome),
        Just(ExpireCondition::IfLater),
        Just(ExpireCondition::IfEarlier),
        Just(ExpireCondition::IfSomeEarlier),
    ];
    let operation = prop_oneof![
        4 => (any::<u32>(), expiry, condition, any::<bool>()).prop_map(
            |(flags, expiry, condition, wants_old)| Operation::Set {
                flags: flags % 3, expiry, condition, wants_old
            }
        ),
        1 => (side, any::<bool>()).prop_map(|(side, creates)| Operation::Concat { side, creates }),
        1 => any::<bool>().prop_map(|wants_old| Operation::Delete { wants_old }),
        1 => (0_u64..20, any::<bool>())
            .prop_map(|(delta, down)| Operation::CountUnsigned { delta, down }),
        1 => (-20_i64..20).prop_map(|delta| Operation::CountSigned { delta }),
        1 => (deadline, expire_condition)
            .prop_map(|(deadline, condition)| Operation::Expire { deadline, condition }),
    ];
    let value = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..300),
        1 => (0_u64..100).prop_map(|number| number.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 4_050..4_060),
    ];
    let step = prop_oneof![
        20 => (0_u8..12, operation, value)
            .prop_map(|(key, operation, value)| Step::Apply { key, operation, value }),
        2 => (0_u8..12, any::<bool>()).prop_map(|(key, right)| Step::Version { key, right }),
        1 => Just(Step::Flush),
        1 => (1_u64..500).prop_map(Step::Wait),
        1 => Just(Step::Tick),
    ];
    proptest::collection::vec(step, 1..400)
}

/// The obvious implementation of one operation.
fn model(
    map: &mut HashMap<u8, Twin>,
    now: UnixMs,
    key: u8,
    operation: Operation,
    value: &[u8],
) -> (Outcome, Option<Vec<u8>>) {
    map.retain(|_, twin| !twin.deadline.is_past(now));
    let there = map.get(&key).cloned();
    let mut put = |twin: Twin| {
        let bytes = twin.value.len() as u64;
        if 1 + twin.value.len() + 56 > 4096 {
            map.remove(&key);
            return Outcome::TooLarge;
        }
        map.insert(key, twin);
        Outcome::Stored { value_bytes: bytes }
    };
    match operation {
        Operation::Set {
            flags,
            expiry,
            condition,
            wants_old,
        } => {
            let old = there
                .as_ref()
                .filter(|_| wants_old)
                .map(|twin| twin.value.clone());
            let stores = match condition {
                Condition::Always => true,
                Condition::Absent => there.is_none(),
                Condition::Present => there.is_some(),
                Condition::Version(_) => unreachable!("not generated"),
            };
            let deadline = match expiry {
                Expiry::Until(deadline) => deadline,
                Expiry::Keep => there.map_or(Deadline::NEVER, |twin| twin.deadline),
            };
            let twin = Twin {
                value: value.to_vec(),
                flags,
                deadline,
            };
            let outcome = if !stores {
                Outcome::NotStored
            } else {
                put(twin)
            };
            if deadline.is_past(now) && stores {
                map.remove(&key);
                return (
                    Outcome::Stored {
                        value_bytes: value.len() as u64,
                    },
                    old,
                );
            }
            (outcome, old)
        }
        Operation::Concat { side, creates } => match there {
            None if creates => {
                let twin = Twin {
                    value: value.to_vec(),
                    flags: 0,
                    deadline: Deadline::NEVER,
                };
                (put(twin), None)
            }
            None => (Outcome::NotStored, None),
            Some(twin) => {
                let joined = match side {
                    Side::Back => [&twin.value, value].concat(),
                    Side::Front => [value, &twin.value].concat(),
                };
                if 1 + joined.len() + 56 > 4096 {
                    return (Outcome::TooLarge, None);
                }
                (
                    put(Twin {
                        value: joined,
                        ..twin
                    }),
                    None,
                )
            }
        },
        Operation::Delete { wants_old } => match map.remove(&key) {
            None => (Outcome::NotFound, None),
            Some(twin) => (Outcome::Deleted, wants_old.then_some(twin.value)),
        },
        Operation::CountUnsigned { delta, down } => match there {
            None => (Outcome::NotFound, None),
            Some(twin) => match count::unsigned(&twin.value, delta, down) {
                Err(outcome) => (outcome, None),
                Ok((number, text)) => {
                    put(Twin {
                        value: text.as_bytes().to_vec(),
                        ..twin
                    });
                    (Outcome::Unsigned(number), None)
                }
            },
        },
        Operation::CountSigned { delta } => {
            let twin = there.clone().unwrap_or(Twin {
                value: Vec::new(),
                flags: 0,
                deadline: Deadline::NEVER,
            });
            match count::signed(there.as_ref().map(|twin| &twin.value[..]), delta) {
                Err(outcome) => (outcome, None),
                Ok((number, text)) => {
                    put(Twin {
                        value: text.as_bytes().to_vec(),
                        ..twin
                    });
                    (Outcome::Signed(number), None)
                }
            }
        }
        Operation::Expire {
            deadline,
            condition,
        } => {
            let Some(twin) = map.get_mut(&key) else {
                return (Outcome::NotFound, None);
            };
            let millis = |d: Deadline| d.instant().map_or(u64::MAX, |at| at.0);
            let holds = match condition {
                ExpireCondition::Always => true,
                ExpireCondition::IfNone => twin.deadline == Deadline::NEVER,
                ExpireCondition::IfSome => twin.deadline != Deadline::NEVER,
                ExpireCondition::IfLater => millis(deadline) > millis(twin.deadline),
                ExpireCondition::IfEarlier => millis(deadline) < millis(twin.deadline),
                ExpireCondition::IfSomeEarlier => {
                    twin.deadline != Deadline::NEVER && millis(deadline) < millis(twin.deadline)
                }
            };
            if !holds {
                return (Outcome::Untouched, None);
            }
            twin.deadline = deadline;
            if deadline.is_past(now) {
                map.remove(&key);
            }
            (Outcome::Touched, None)
        }
    }
}

fn check(store: &ShardStore, now: UnixMs, map: &HashMap<u8, Twin>) {
    for key in 0..12_u8 {
        let entry = store.get(store.hasher().key(&[key]), now);
        let seen = entry.map(|entry| Twin {
            value: entry.value().to_vec(),
            flags: entry.flags(),
            deadline: entry.deadline(),
        });
        let expected = map.get(&key).filter(|twin| !twin.deadline.is_past(now));
        assert_eq!(seen.as_ref(), expected, "key {key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every outcome, old value and content agrees with a `HashMap`, while segments are cleaned
    /// many times over.
    #[test]
    fn agrees_with_a_hash_map(steps in steps()) {
        let mut store = store(MIB);
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
                    let bytes = [key];
                    let key_hashed = store.hasher().key(&bytes);
                    let cas = store.get(key_hashed, now).map(|entry| entry.cas());
                    let operation = Operation::Set {
                        flags: 1,
                        expiry: Expiry::Keep,
                        condition: Condition::Version(cas.unwrap_or(1) + u64::from(!right)),
                        wants_old: false,
                    };
                    let outcome =
                        store.apply(now, key_hashed, operation, b"cas", &mut Vec::new()).outcome;
                    let expected = match (cas, right) {
                        (None, _) => Outcome::NotFound,
                        (Some(_), false) => Outcome::Exists,
                        (Some(_), true) => {
                            let twin = map.get_mut(&key).unwrap();
                            twin.value = b"cas".to_vec();
                            twin.flags = 1;
                            Outcome::Stored { value_bytes: 3 }
                        }
                    };
                    prop_assert_eq!(outcome, expected);
                }
                Step::Apply { key, operation, value } => {
                    let mut old = Vec::new();
                    let bytes = [key];
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
fn holds_what_fits_and_overwrites_for_ever() {
    let mut store = store(2 * MIB);
    let now = UnixMs(0);
    for round in 0..200_u32 {
        for key in 0..1_000_u32 {
            let text = format!("{round}:{key}:{}", "x".repeat(500));
            assert!(matches!(
                set(&mut store, now, &key.to_le_bytes(), text.as_bytes()),
                Outcome::Stored { .. }
            ));
        }
    }
    for key in 0..1_000_u32 {
        let text = value(&store, now, &key.to_le_bytes());
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
fn ten_times_the_memory_keeps_the_newest() {
    let mut store = store(4 * MIB);
    let now = UnixMs(0);
    let count = 40_000_u32;
    for key in 0..count {
        let outcome = set(&mut store, now, &key.to_le_bytes(), &[b'v'; 1_000]);
        assert_eq!(outcome, Outcome::Stored { value_bytes: 1_000 });
    }
    let held = (0..count)
        .filter(|key| value(&store, now, &key.to_le_bytes()).is_some())
        .count();
    assert!(held * 1_000 > 3 * MIB, "{held} entries of 1 kB in 4 MiB");
    for key in count - 2_000..count {
        assert!(
            value(&store, now, &key.to_le_bytes()).is_some(),
            "{key} is among the newest"
        );
    }
    assert_eq!(store.stats().entry_count, held as u64);
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

/// A cheap skewed sequence: the product of two uniform draws favours small keys.
fn skewed(state: &mut u64, keys: u64) -> u32 {
    let mut draw = || {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % keys
    };
    ((draw() * draw() / keys) * draw() / keys) as u32
}

#[test]
fn hit_ratio_is_close_to_exact_lru() {
    let mut store = store(4 * MIB);
    let now = UnixMs(0);
    let (mut hits, mut lru_hits, mut gets) = (0, 0, 0);
    let mut state = 42;
    let mut lru = None::<ExactLru>;
    for round in 0..200_000_u32 {
        let key = skewed(&mut state, 20_000);
        let hit = value(&store, now, &key.to_le_bytes()).is_some();
        if !hit {
            set(&mut store, now, &key.to_le_bytes(), &[b'v'; 1_000]);
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
    let (ratio, exact) = (
        f64::from(hits) / f64::from(gets),
        f64::from(lru_hits) / f64::from(gets),
    );
    assert!(
        ratio > exact - 0.02,
        "hit ratio {ratio:.3}, exact LRU {exact:.3}"
    );
}

#[test]
fn a_delayed_flush_spares_what_comes_later() {
    let mut store = store(MIB);
    set(&mut store, UnixMs(0), b"early", b"1");
    store.flush(UnixMs(0), UnixMs(500));
    assert!(value(&store, UnixMs(499), b"early").is_some());
    assert_eq!(store.next_tick(), Some(UnixMs(500)));
    store.tick(UnixMs(500));
    assert!(value(&store, UnixMs(500), b"early").is_none());
    set(&mut store, UnixMs(501), b"late", b"1");
    store.tick(UnixMs(600));
    assert!(value(&store, UnixMs(600), b"late").is_some());
}

#[test]
fn the_sweep_unlinks_what_has_expired() {
    let mut store = store(MIB);
    for number in 0..1_000_u32 {
        let operation = Operation::Set {
            flags: 0,
            expiry: Expiry::Until(Deadline::at(UnixMs(100))),
            condition: Condition::Always,
            wants_old: false,
        };
        let bytes = number.to_le_bytes();
        let key = store.hasher().key(&bytes);
        store.apply(UnixMs(0), key, operation, b"v", &mut Vec::new());
    }
    assert_eq!(store.stats().entry_count, 1_000);
    for second in 1..4 {
        store.tick(UnixMs(second * 1_000));
    }
    assert_eq!(store.stats().entry_count, 0);
    assert_eq!(store.stats().expired_count, 1_000);
}
