//! Values that are read for longer than a turn.

use super::*;

const NOW: UnixMs = UnixMs(1_000_000);

fn key(number: usize) -> String {
    format!("key-{number}")
}

fn pin(store: &ShardStore, number: usize) -> Option<PinnedValue> {
    let name = key(number);
    let key = store.hasher().key(name.as_bytes());
    let entry = store.look(key, NOW).ok()?;
    store.pin(key.hash, entry)
}

fn fill(store: &mut ShardStore, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert!(!store.must_wait(), "its only shard is quiescent");
        let value = format!("{number} ").repeat(500);
        let outcome = set(store, NOW, key(number).as_bytes(), value.as_bytes());
        assert!(
            matches!(outcome, Outcome::Stored { .. }),
            "{number}: {outcome:?}"
        );
    }
}

/// The memory is written ten times over; what was pinned before stays, and what is lost to that is given back.
#[test]
fn what_is_pinned_stays_whatever_is_written() {
    for eviction in Eviction::ALL {
        let mut store = store_with(eviction, 4 * MIB);
        fill(&mut store, 0..1_000);
        let pinned: Vec<_> = (0..1_000)
            .filter_map(|number| Some((number, pin(&store, number)?)))
            .collect();
        assert!(pinned.len() > 50, "{eviction}: {} values", pinned.len());
        assert!(pinned.len() < 500, "{eviction}: more than a share");
        fill(&mut store, 1_000..15_000);
        for (number, value) in &pinned {
            assert_eq!(**value, *format!("{number} ").repeat(500).as_bytes());
        }
        let segments = &store.writer.segments;
        assert!(segments.may_reclaim(), "{eviction}: segments wait for them");
        drop(pinned);
        fill(&mut store, 15_000..16_000);
        assert!(pin(&store, 15_999).is_some(), "{eviction}");
        store.writer.segments.reclaim(&store.epochs);
        store.quiescent();
        store.writer.segments.reclaim(&store.epochs);
        let segments = &store.writer.segments;
        assert!(!segments.may_reclaim(), "{eviction}: all of them are free");
    }
}

/// Flushed, expired and deleted values, too; and the last pin may be gone after the store.
#[test]
fn what_is_pinned_outlives_its_key_and_the_store() {
    let mut store = store(4 * MIB);
    fill(&mut store, 0..3);
    let pinned = [0, 1, 2].map(|number| pin(&store, number).unwrap());
    let name = key(0);
    let zero = store.hasher().key(name.as_bytes());
    let delete = Operation::Delete {
        condition: Condition::Always,
        wants_old: false,
    };
    store.apply(NOW, zero, delete, &[], &mut Vec::new());
    store.flush(NOW, NOW);
    assert_eq!(value(&store, NOW, key(1).as_bytes()), None);
    fill(&mut store, 3..5_000);
    drop(store);
    for (number, value) in pinned.iter().enumerate() {
        assert_eq!(**value, *format!("{number} ").repeat(500).as_bytes());
    }
}
