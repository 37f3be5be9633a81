//! Values that come in where they will lie.

use super::*;

const NOW: UnixMs = UnixMs(1_000_000);
const BYTES: usize = 3_000;

fn operation(deadline: Deadline, flags: u32) -> Operation {
    Operation::Set {
        flags,
        expiry: Expiry::Until(deadline),
        condition: Condition::Always,
        stamp: Stamp::default(),
        wants_old: false,
    }
}

fn content(number: usize) -> Vec<u8> {
    let mut content = format!("{number} ").repeat(BYTES).into_bytes();
    content.truncate(BYTES);
    content
}

fn reserve(store: &mut ShardStore, key: &[u8]) -> Option<Vacancy> {
    let key = store.hasher().key(key);
    let vacancy = store.reserve(NOW, key, 0, (BYTES, 0));
    store.quiescent();
    vacancy
}

/// Has the rest of a value come; where it lies.
fn fill(vacancy: &mut Vacancy, content: &[u8]) -> *const u8 {
    let come = vacancy.come_bytes();
    assert_eq!(vacancy.append(&content[come..]), content.len() - come);
    vacancy.parts().0.as_ptr()
}

/// Writes a key with what has come; where the value lies then.
fn commit(store: &mut ShardStore, key: &[u8], vacancy: Vacancy, flags: u32) -> *const u8 {
    let key = store.hasher().key(key);
    let operation = operation(Deadline::NEVER, flags);
    let applied = store.apply_filled(NOW, key, operation, vacancy, &mut Vec::new());
    let value_bytes = BYTES as u64;
    assert_eq!(applied.outcome, Outcome::Stored { value_bytes });
    let place = store.peek(key, NOW).expect("stored").value().as_ptr();
    store.quiescent();
    place
}

fn write(store: &mut ShardStore, key: &[u8], content: &[u8]) {
    assert!(!store.must_wait(), "its only shard is quiescent");
    let outcome = set(store, NOW, key, content);
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
}

/// Writes so many times a partition of 4 MiB.
fn churn(store: &mut ShardStore, times: usize) {
    for number in 0..times * 4 * MIB / BYTES {
        write(
            store,
            format!("other-{}", number % 5_000).as_bytes(),
            &content(number),
        );
    }
}

#[test]
fn what_has_come_whole_stays_where_it_is() {
    for eviction in Eviction::ALL {
        let (mut store, mut twin) = (store_with(eviction, 4 * MIB), store_with(eviction, 4 * MIB));
        for number in 0..400 {
            let (name, flags) = (
                format!("{:01$}", number % 50, 1 + number % 40),
                number as u32 % 3,
            );
            let key = store.hasher().key(name.as_bytes());
            let mut vacancy = store.reserve(NOW, key, flags, (BYTES, 2)).unwrap();
            assert_eq!(vacancy.append(&content(number)[..number]), number);
            let tail = vacancy.tail_bytes();
            let place = fill(
                &mut vacancy,
                &[&content(number)[..], &b"\r\n"[..tail]].concat(),
            );
            assert_eq!(vacancy.parts(), (&content(number)[..], &b"\r\n"[..tail]));
            assert_eq!((vacancy.append(b"more"), vacancy.missing_bytes()), (0, 0));
            assert_eq!(
                commit(&mut store, name.as_bytes(), vacancy, flags),
                place,
                "{eviction} {number}"
            );
            let entry = store.peek(key, NOW).unwrap();
            assert_eq!(
                (entry.key(), entry.value()),
                (name.as_bytes(), &content(number)[..])
            );
            assert_eq!(entry.flags(), flags);
            // As if it had come otherwise.
            let operation = operation(Deadline::NEVER, flags);
            twin.apply(NOW, key, operation, &content(number), &mut Vec::new());
            assert_eq!(entry.cas(), twin.peek(key, NOW).unwrap().cas());
            let (stats, as_usual) = (store.stats(), twin.stats());
            assert_eq!(stats.entry_count, as_usual.entry_count);
            // What makes the padding longer.
            let more = stats.live_bytes - as_usual.live_bytes;
            assert!(
                more <= 8 * stats.entry_count && more % 8 == 0,
                "{more} bytes"
            );
            assert!(
                tail == 2 || (tail == 0 && flags > 0),
                "{number}: it comes along"
            );
        }
    }
}

/// Nor is one met that never comes; what else happens to its key, happens.
#[test]
fn who_has_not_come_whole_is_met_by_nobody() {
    let mut store = store(4 * MIB);
    let delete = Operation::Delete {
        condition: Condition::Always,
        wants_old: false,
    };
    write(&mut store, b"key", b"old");
    let mut vacancies: Vec<_> = (0..4)
        .map(|_| reserve(&mut store, b"key").unwrap())
        .collect();
    let before = store.stats();
    fill(&mut vacancies[0], &content(0));
    vacancies[1].append(&content(1)[..BYTES - 1]);
    let met = |store: &ShardStore| {
        let mut met = Vec::new();
        let mut cursor = Some(ScanCursor::START);
        while let Some(at) = cursor {
            cursor = store.scan(at, NOW, |entry| met.push(entry.value().to_vec()));
        }
        met
    };
    assert_eq!(met(&store), [b"old"]);
    assert_eq!(value(&store, NOW, b"key").unwrap(), b"old");
    assert_eq!(store.stats(), before);
    let key = store.hasher().key(b"key");
    store.apply(NOW, key, delete, &[], &mut Vec::new());
    assert_eq!(met(&store).len(), 0);
    // Gone is gone, whatever has come of it.
    drop(vacancies.drain(1..).collect::<Vec<_>>());
    commit(&mut store, b"key", vacancies.remove(0), 0);
    assert_eq!(met(&store), [content(0)]);
    write(&mut store, b"key", b"newer");
    assert_eq!(met(&store), [b"newer"]);
}

#[test]
fn a_flush_in_between_takes_what_was_there_and_no_more() {
    for flush_twice in [false, true] {
        let mut store = store(4 * MIB);
        write(&mut store, b"key", b"old");
        let mut vacancy = reserve(&mut store, b"key").unwrap();
        let place = fill(&mut vacancy, &content(1));
        store.flush(NOW, NOW);
        assert_eq!(value(&store, NOW, b"key"), None);
        assert_eq!(commit(&mut store, b"key", vacancy, 0), place);
        assert_eq!(value(&store, NOW, b"key").unwrap(), content(1));
        let stats = store.stats();
        assert_eq!(stats.entry_count, 1);
        assert!(stats.live_bytes >= BYTES as u64 && stats.live_bytes < BYTES as u64 + 100);
        if flush_twice {
            store.flush(NOW, NOW);
            assert_eq!(
                (value(&store, NOW, b"key"), store.stats().live_bytes),
                (None, 0)
            );
        }
        churn(&mut store, 10);
    }
}

#[test]
fn the_sweep_and_the_cleaning_pass_by() {
    let mut store = store(4 * MIB);
    let mut vacancies = Vec::new();
    let soon = Deadline::at(UnixMs(NOW.0 + 10));
    for number in 0..200 {
        let name = format!("ends-{number}");
        set_with(&mut store, NOW, name.as_bytes(), &content(number), soon);
        if number % 3 == 0 {
            let name = format!("comes-{number}");
            vacancies.extend(reserve(&mut store, name.as_bytes()).map(|it| (number, name, it)));
        }
    }
    assert!(vacancies.len() > 20, "{} of them", vacancies.len());
    for second in 1..5 {
        store.tick(UnixMs(NOW.0 + second * 2_000));
    }
    assert_eq!(store.stats().entry_count, 0);
    for (number, name, mut vacancy) in vacancies {
        fill(&mut vacancy, &content(number));
        commit(&mut store, name.as_bytes(), vacancy, 0);
        assert_eq!(
            value(&store, NOW, name.as_bytes()).unwrap(),
            content(number)
        );
    }
    churn(&mut store, 10);
}

/// The memory is written many times over while values are coming: they come whole, and are then copied to where they
/// are new.
#[test]
fn who_comes_slowly_is_not_written_over() {
    for eviction in Eviction::ALL {
        let mut store = store_with(eviction, 4 * MIB);
        churn(&mut store, 2);
        let mut vacancies = Vec::new();
        while let Some(mut vacancy) = reserve(&mut store, b"slow") {
            vacancy.append(&content(vacancies.len())[..BYTES / 2]);
            vacancies.push(vacancy);
        }
        assert!(vacancies.len() > 50, "{eviction}: {}", vacancies.len());
        assert!(vacancies.len() < 300, "{eviction}: more than a share");
        churn(&mut store, 20);
        for (number, mut vacancy) in vacancies.into_iter().enumerate() {
            let place = fill(&mut vacancy, &content(number));
            let placed = commit(&mut store, b"slow", vacancy, 0);
            assert_ne!(placed, place, "{eviction} {number}: its place is old");
            assert_eq!(value(&store, NOW, b"slow").unwrap(), content(number));
            churn(&mut store, 1);
        }
        assert!(reserve(&mut store, b"slow").is_some(), "{eviction}");
    }
}

/// What is dead all around a value that is coming does not make its place one to be cleaned or freed.
#[test]
fn a_place_stays_while_its_neighbours_go() {
    for deletes in [false, true] {
        let mut store = store(4 * MIB);
        let around = |number: usize| format!("around-{}", number % 15);
        for number in 0..15 {
            write(&mut store, around(number).as_bytes(), &content(number));
        }
        let mut vacancy = reserve(&mut store, b"key").unwrap();
        let place = fill(&mut vacancy, &content(1));
        for number in 15..60 {
            write(&mut store, around(number).as_bytes(), &content(number));
        }
        if deletes {
            // Its segment is blank, and its neighbours' are in use again.
            for number in 0..50 {
                write(&mut store, around(number).as_bytes(), b"short");
            }
        }
        while store.writer.segments.deficit() == 0 && store.writer.segments.has_free() {
            store.writer.segments.take_for_index();
        }
        for number in 0..40 {
            write(&mut store, around(number).as_bytes(), &content(number));
        }
        assert_eq!(commit(&mut store, b"key", vacancy, 0), place);
        assert_eq!(value(&store, NOW, b"key").unwrap(), content(1));
    }
}

/// Who announces and does not send takes nothing for good.
#[test]
fn what_never_came_is_memory_again() {
    for eviction in Eviction::ALL {
        let mut store = store_with(eviction, 4 * MIB);
        churn(&mut store, 2);
        let full = store.stats();
        let mut vacancies = std::collections::VecDeque::new();
        for number in 0..10_000 {
            write(
                &mut store,
                format!("other-{}", number % 50).as_bytes(),
                &content(number),
            );
            let vacancy = reserve(&mut store, b"key");
            assert!(vacancy.is_some(), "{eviction}: {number}");
            vacancies.extend(vacancy);
            if vacancies.len() > 5 {
                vacancies.pop_front();
            }
        }
        vacancies.clear();
        churn(&mut store, 2);
        let stats = store.stats();
        assert!(
            stats.live_bytes >= full.live_bytes * 9 / 10,
            "{eviction}: {stats:?}, {full:?}"
        );
        store.quiescent();
        store.writer.segments.reclaim(&store.epochs);
        assert!(!store.writer.segments.has_pinned(), "{eviction}");
    }
}

/// With S3-FIFO a key that has been used meanwhile belongs elsewhere.
#[test]
fn a_value_goes_where_its_key_belongs_by_now() {
    let mut store = store_with(Eviction::S3Fifo, 4 * MIB);
    let stream = |store: &ShardStore| {
        let key = store.hasher().key(b"key");
        let entry = store.peek(key, NOW).unwrap();
        let place = store
            .writer
            .partition
            .arena
            .place_of(entry.value())
            .unwrap();
        let segment = store
            .writer
            .partition
            .arena
            .segment_of(arena::Offset(place as u64));
        store.writer.segments.stream(segment)
    };
    let mut vacancy = reserve(&mut store, b"key").unwrap();
    let place = fill(&mut vacancy, &content(0));
    for _ in 0..3 {
        write(&mut store, b"key", b"value");
    }
    assert_ne!(commit(&mut store, b"key", vacancy, 0), place);
    assert_eq!(stream(&store), segments::Stream::Kept);
    assert_eq!(value(&store, NOW, b"key").unwrap(), content(0));
    // From then on that is known before.
    let mut vacancy = reserve(&mut store, b"key").unwrap();
    let place = fill(&mut vacancy, &content(1));
    assert_eq!(commit(&mut store, b"key", vacancy, 0), place);
    assert_eq!(stream(&store), segments::Stream::Kept);
}

#[test]
fn another_layout_or_store_gets_a_copy() {
    let mut store = store(4 * MIB);
    for (key, flags) in [(&b"key"[..], 1), (b"longer", 0), (b"yek", 0)] {
        let mut vacancy = reserve(&mut store, b"key").unwrap();
        let place = fill(&mut vacancy, &content(1));
        let stays = commit(&mut store, key, vacancy, flags) == place;
        assert_eq!(stays, key == b"yek", "it is as long");
        assert_eq!(value(&store, NOW, key).unwrap(), content(1));
    }
    let mut other = store_with(Eviction::Lru, 4 * MIB);
    write(&mut other, b"key", b"old");
    let mut vacancy = reserve(&mut store, b"key").unwrap();
    fill(&mut vacancy, &content(2));
    drop(store);
    commit(&mut other, b"key", vacancy, 0);
    assert_eq!(value(&other, NOW, b"key").unwrap(), content(2));
}

#[test]
fn what_does_not_fit_gets_no_place() {
    let mut store = store(4 * MIB);
    let key = store.hasher().key(b"key");
    assert!(store.reserve(NOW, key, 0, (4096, 2)).is_none());
    let mut store = store_with(Eviction::Lru, MIB);
    let vacancy = store.reserve(NOW, key, 0, (4000, 2));
    assert!(vacancy.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens while values are coming, each key has the one that was written last.
    #[test]
    fn agrees_with_a_map(
        steps in prop::collection::vec((0..100_u8, 0..12_u8, 1..3_500_usize), 1..600),
        eviction in evictions(),
    ) {
        let mut store = store_with(eviction, 2 * MIB);
        let mut map = HashMap::new();
        let mut vacancies = Vec::new();
        for (number, (kind, name, len)) in steps.into_iter().enumerate() {
            let key = store.hasher().key(std::slice::from_ref(&name));
            let mut content = content(number);
            content.resize(len, b'.');
            match kind {
                0..40 => {
                    let flags = u32::from(kind % 2);
                    let vacancy = store.reserve(NOW, key, flags, (len, 2));
                    vacancies.extend(vacancy.map(|vacancy| (name, flags, content, vacancy)));
                }
                40..70 if !vacancies.is_empty() => {
                    let (name, flags, content, mut vacancy) = vacancies.remove(len % vacancies.len());
                    let bytes = [&content[..], b"\r\n"].concat();
                    vacancy.append(&bytes);
                    let key = store.hasher().key(std::slice::from_ref(&name));
                    let operation = operation(Deadline::NEVER, flags);
                    store.apply_filled(NOW, key, operation, vacancy, &mut Vec::new());
                    map.insert(name, content);
                }
                70..80 if !vacancies.is_empty() => {
                    let _ = vacancies.remove(len % vacancies.len());
                }
                80..82 => {
                    store.flush(NOW, NOW);
                    map.clear();
                }
                82..85 => store.tick(UnixMs(NOW.0 + 1_000 * number as u64)),
                _ => {
                    store.apply(NOW, key, operation(Deadline::NEVER, 0), &content, &mut Vec::new());
                    map.insert(name, content);
                }
            }
            store.quiescent();
            for name in 0..12_u8 {
                prop_assert_eq!(value(&store, NOW, &[name]), map.get(&name).cloned(), "{}", number);
            }
        }
    }
}
