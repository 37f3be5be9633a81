//! What is counted of an owner's entries, and of copies among them, against a walk over all of them.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Set {
        key: u16,
        value_bytes: usize,
        is_copy: bool,
        deadline: Deadline,
    },
    Apply {
        key: u16,
        operation: Operation,
    },
    Wait(u64),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0_u16..600;
    let deadline = prop_oneof![
        3 => Just(Deadline::NEVER),
        1 => (1_u64..20_000).prop_map(|ms| Deadline::at(UnixMs(ms))),
        1 => Just(Deadline::PAST),
    ];
    let set = (key.clone(), 0_usize..4_200, any::<bool>(), deadline.clone());
    let operation = prop_oneof![
        Just(Operation::DELETE),
        Just(Operation::count_unsigned(1, false)),
        Just(Operation::CountSigned { delta: -1 }),
        Just(Operation::Concat {
            side: Side::Back,
            creates: true,
        }),
        Just(Operation::Outdate {
            expiry: Expiry::Keep,
            cas: None,
        }),
        deadline.prop_map(|deadline| Operation::Expire {
            deadline,
            condition: ExpireCondition::Always,
        }),
    ];
    let step = prop_oneof![
        300 => set.prop_map(|(key, value_bytes, is_copy, deadline)| Step::Set {
            key,
            value_bytes,
            is_copy,
            deadline,
        }),
        60 => (key, operation).prop_map(|(key, operation)| Step::Apply { key, operation }),
        10 => (1_u64..900).prop_map(Step::Wait),
        1 => Just(Step::Flush),
    ];
    proptest::collection::vec(step, 1..1_500)
}

fn set_copy(store: &mut ShardStore, now: UnixMs, key: &[u8], value: &[u8], is_copy: bool) {
    set_until(store, now, key, value, (is_copy, Deadline::NEVER));
}

fn set_until(
    store: &mut ShardStore,
    now: UnixMs,
    key: &[u8],
    value: &[u8],
    (is_copy, deadline): (bool, Deadline),
) {
    let operation = Operation::Set {
        flags: 0,
        expiry: Expiry::Until(deadline),
        condition: Condition::Always,
        stamp: Stamp {
            is_copy,
            ..Stamp::default()
        },
        wants_old: false,
    };
    let key = store.hasher().key(key);
    store.apply(now, key, operation, value, &mut Vec::new());
}

/// Entries and their bytes: all, and the copies among them.
fn walk(store: &ShardStore) -> [u64; 4] {
    let mut cursor = ListCursor::default();
    let mut counts = [0; 4];
    // At this time nothing has expired.
    while store
        .list(&mut cursor, UnixMs(0), &mut Vec::new(), |entry| {
            let bytes = entry.footprint_bytes() as u64;
            counts[0] += 1;
            counts[1] += bytes;
            if entry.is_copy() {
                counts[2] += 1;
                counts[3] += bytes;
            }
        })
        .is_some()
    {}
    counts
}

fn counted(store: &ShardStore) -> [u64; 4] {
    let stats = store.stats();
    [
        stats.entry_count,
        stats.live_bytes,
        stats.copy_count,
        stats.copy_bytes,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever was written, overwritten, deleted, swept, moved, evicted and flushed.
    #[test]
    fn counts_are_those_of_a_walk(steps in steps(), eviction in evictions()) {
        let mut store = store_with(eviction, MIB);
        let mut now = UnixMs(1);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Set { key, value_bytes, is_copy, deadline } => {
                    let value = vec![b'1'; value_bytes];
                    let how = (is_copy, deadline);
                    set_until(&mut store, now, &key.to_le_bytes(), &value, how);
                }
                Step::Apply { key, operation } => {
                    let bytes = key.to_le_bytes();
                    let key = store.hasher().key(&bytes);
                    store.apply(now, key, operation, b"2", &mut Vec::new());
                }
                Step::Wait(ms) => {
                    now.0 += ms;
                    store.tick(now);
                }
                Step::Flush => store.flush(now, now),
            }
            store.quiescent();
            if number % 32 == 0 {
                prop_assert_eq!(counted(&store), walk(&store));
            }
        }
        prop_assert_eq!(counted(&store), walk(&store));
    }
}

#[test]
fn copies_that_are_evicted_are_counted_apart() {
    let mut store = store(2 * MIB);
    let now = UnixMs(0);
    for number in 0..10_000_u32 {
        let is_copy = number % 5 == 0;
        set_copy(
            &mut store,
            now,
            &number.to_le_bytes(),
            &[b'v'; 1_000],
            is_copy,
        );
        store.quiescent();
    }
    let stats = store.stats();
    assert_eq!(counted(&store), walk(&store));
    assert!(stats.copy_count > 100, "{stats:?}");
    assert_eq!(stats.evicted_count, 10_000 - stats.entry_count);
    assert_eq!(stats.copy_evicted_count, 2_000 - stats.copy_count);
    store.flush(now, now);
    assert_eq!(counted(&store), [0; 4]);
    // What was flushed is found dead afterwards, and not counted again.
    for number in 0..1_000_u32 {
        set_copy(&mut store, now, &number.to_le_bytes(), b"v", true);
    }
    assert_eq!(store.stats().copy_count, 1_000);
    assert_eq!(counted(&store), walk(&store));
}

#[test]
fn a_copy_that_is_moved_stays_one_and_what_takes_its_place_does_not() {
    let mut store = store(MIB);
    let now = UnixMs(0);
    set_copy(&mut store, now, b"kept", b"copy", true);
    // Holes in every segment: the rest is compacted many times over.
    for round in 0..200_u32 {
        for key in 0..100_u32 {
            let value = vec![b'v'; 100 + (round % 7) as usize * 100];
            set_copy(&mut store, now, &key.to_le_bytes(), &value, false);
            store.quiescent();
        }
        assert_eq!(store.stats().copy_count, 1, "round {round}");
    }
    assert_eq!(store.stats().evicted_count, 0);
    assert_eq!(counted(&store), walk(&store));
    set_copy(&mut store, now, b"kept", b"own", false);
    let stats = store.stats();
    assert_eq!((stats.copy_count, stats.copy_bytes), (0, 0));
}
