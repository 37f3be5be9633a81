//! What a store notes for those who listen: every change, whoever or whatever made it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::*;
use super::{MIB, evictions, store, store_with, twin::Step, twin::steps};

const CLIENT: Author = Author(5);

/// Listens to all changes of a partition.
fn listen(store: &mut ShardStore) {
    let wanted = Concern {
        keys: InterestWriter::new(0).share(),
        prefixes: Arc::new(Prefixes::new([&b""[..]])),
    };
    store.listen(0, Some(wanted));
}

fn take_notes(store: &mut ShardStore) -> Notes {
    core::mem::take(store.notes_mut(0).expect("somebody listens"))
}

/// What a client can see of an entry: its value, its flags and its deadline.
type Seen = (Vec<u8>, u32, Deadline);

fn see(store: &ShardStore, now: UnixMs) -> BTreeMap<Vec<u8>, Seen> {
    let seen = |key: u8| {
        let entry = store.peek(store.hasher().key(&[key]), now)?;
        let seen = (entry.value().to_vec(), entry.flags(), entry.deadline());
        Some((vec![key], seen))
    };
    (0..12).filter_map(seen).collect()
}

fn run(store: &mut ShardStore, now: UnixMs, step: &Step) {
    let (key, operation, value) = match step {
        Step::Tick => return store.tick(now),
        Step::Apply {
            key,
            operation,
            value,
        } => (*key, *operation, &value[..]),
        Step::Wait(_) | Step::Flush | Step::Version { .. } => return,
    };
    let bytes = [key];
    let key = store.hasher().key(&bytes);
    store.apply(now, key, operation, value, &mut Vec::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_a_client_sees_change_is_noted(steps in steps(), eviction in evictions()) {
        let mut store = store_with(eviction, MIB);
        listen(&mut store);
        let mut now = UnixMs(1_000);
        for step in steps {
            if let Step::Wait(ms) = step {
                now.0 += ms;
            }
            let before = see(&store, now);
            store.set_author(CLIENT);
            run(&mut store, now, &step);
            store.set_author(Author::NOBODY);
            let after = see(&store, now);
            let notes = take_notes(&mut store);
            let noted: BTreeSet<_> = notes.iter().map(|note| note.key.bytes.to_vec()).collect();
            for key in (0..12).map(|key| vec![key]) {
                if before.get(&key) != after.get(&key) {
                    prop_assert!(noted.contains(&key), "{:?} of {:?} is missed", step, key);
                }
            }
            // Its own step only ever names the client; what time took it does not.
            for note in notes.iter() {
                let is_step = matches!(&step, Step::Apply { key, .. } if note.key.bytes == [*key]);
                prop_assert!(is_step || note.author == Author::NOBODY);
            }
            store.quiescent();
        }
    }
}

#[test]
fn what_does_not_change_is_not_noted() {
    let mut store = store(MIB);
    listen(&mut store);
    let key = store.hasher().key(b"k");
    let now = UnixMs(0);
    let add = Operation::Set {
        flags: 0,
        expiry: Expiry::Keep,
        condition: Condition::Absent,
        stamp: Stamp::default(),
        wants_old: false,
    };
    let win = Operation::Term {
        deadline: None,
        wins: true,
    };
    let cases = [
        (Operation::DELETE, 0),
        (add, 1),
        (add, 0),
        (win, 0),
        (Operation::SET, 1),
        (Operation::DELETE, 1),
    ];
    for (operation, count) in cases {
        store.apply(now, key, operation, b"v", &mut Vec::new());
        store.get(key, now);
        assert_eq!(
            take_notes(&mut store).iter().count(),
            count,
            "{operation:?}"
        );
    }
}

#[test]
fn what_is_evicted_is_noted_in_nobodys_name() {
    Eviction::ALL.into_iter().for_each(evict_and_listen);
}

fn evict_and_listen(eviction: Eviction) {
    let mut store = store_with(eviction, MIB);
    listen(&mut store);
    let mut held = BTreeSet::new();
    for number in 0..20_000_u32 {
        let name = number.to_le_bytes();
        let key = store.hasher().key(&name);
        store.set_author(CLIENT);
        let value = [b'v'; 200];
        store.apply(UnixMs(0), key, Operation::SET, &value, &mut Vec::new());
        store.quiescent();
        held.insert(name.to_vec());
        for note in take_notes(&mut store).iter() {
            if note.author == Author::NOBODY {
                assert!(held.remove(note.key.bytes), "it is evicted once");
            }
        }
    }
    let is_there = |name: &Vec<u8>| store.peek(store.hasher().key(name), UnixMs(0)).is_some();
    assert!(store.stats().evicted_count > 1_000);
    assert!(held.iter().all(is_there), "something went unnoted");
    assert_eq!(held.len() as u64, store.stats().entry_count);
}

#[test]
fn only_who_is_concerned_gets_a_note() {
    let mut store = store(MIB);
    let hasher = store.hasher();
    let mut reader = InterestWriter::new(0);
    let nothing = Arc::new(Prefixes::default());
    let wanted = |keys, prefixes| Some(Concern { keys, prefixes });
    store.listen(0, wanted(reader.share(), Arc::clone(&nothing)));
    let user = Arc::new(Prefixes::new([&b"user:"[..]]));
    store.listen(1, wanted(InterestWriter::new(0).share(), user));
    assert!(store.has_listeners() && !store.has_notes());
    reader.add(hasher.hash(b"read"));
    let noted = |store: &mut ShardStore, name: &[u8]| {
        let key = hasher.key(name);
        store.apply(UnixMs(0), key, Operation::SET, b"v", &mut Vec::new());
        let is_noted = [0, 1].map(|listener| {
            let notes = store.notes_mut(listener).expect("it listens");
            !core::mem::take(notes).is_empty()
        });
        assert_eq!(store.has_notes(), is_noted != [false, false]);
        store.renew_has_notes();
        is_noted
    };
    assert_eq!(noted(&mut store, b"read"), [true, false]);
    assert_eq!(noted(&mut store, b"user:7"), [false, true]);
    assert_eq!(noted(&mut store, b"other"), [false, false]);
    reader.remove(hasher.hash(b"read"));
    assert_eq!(noted(&mut store, b"read"), [false, false]);
    store.listen(0, None);
    store.listen(1, None);
    assert!(!store.has_listeners());
}

#[test]
fn a_delayed_flush_is_told_when_it_comes() {
    let mut store = store(MIB);
    listen(&mut store);
    store.flush(UnixMs(0), UnixMs(0));
    assert!(
        take_notes(&mut store).is_empty(),
        "whoever asked tells of it"
    );
    store.flush(UnixMs(0), UnixMs(100));
    store.tick(UnixMs(99));
    assert!(take_notes(&mut store).is_empty());
    store.tick(UnixMs(100));
    assert!(take_notes(&mut store).is_end_of_flush);
}
