//! The index against a map, and where it has no room.

use std::collections::HashMap;

use super::*;

/// Spreads test numbers over all bits; a bijection, so no two collide whole.
fn hash(number: u64) -> KeyHash {
    KeyHash(number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29))
}

fn fixture() -> (Arena, Index, IndexWriter) {
    let arena = Arena::map(4096, 64).unwrap();
    let (index, writer) = Index::new(&arena, 0);
    (arena, index, writer)
}

fn lookup(index: &Index, arena: &Arena, number: u64, at: u64) -> bool {
    index
        .find(arena, hash(number), |offset| offset == Offset(at))
        .is_some()
}

#[test]
fn agrees_with_a_map_while_it_grows() {
    let (arena, index, mut writer) = fixture();
    writer.add_overflow(&index, 1);
    let mut spare = 2..60;
    let mut model = HashMap::new();
    for number in 1..8_000_u64 {
        let offset = Offset(number * 8);
        if writer.insert(&index, &arena, hash(number), offset).is_err() {
            writer.add_overflow(&index, spare.next().unwrap());
            writer.insert(&index, &arena, hash(number), offset).unwrap();
        }
        model.insert(number, offset);
        if number % 3 == 0 {
            let gone = number / 2;
            let found = index.find(&arena, hash(gone), |at| model.get(&gone) == Some(&at));
            if let Some(found) = found {
                writer.remove(&found);
                model.remove(&gone);
            }
        }
        while writer.wants_to_grow(&index) {
            if !writer.has_room_to_grow(&index) {
                writer.add_primary(&index, spare.next().unwrap());
            }
            if writer.grow(&index, &arena, |at| hash(at.0 / 8)).is_err() {
                writer.add_overflow(&index, spare.next().unwrap());
            }
        }
    }
    assert_eq!(writer.entry_count(), model.len() as u64);
    assert!(
        index.bucket_count.load(Ordering::Relaxed) > 512,
        "it has grown past one chunk"
    );
    for number in 1..8_000 {
        let expected = model.contains_key(&number);
        assert_eq!(
            lookup(&index, &arena, number, number * 8),
            expected,
            "{number}"
        );
    }
}

#[test]
fn replacing_keeps_the_key_and_changes_the_entry() {
    let (arena, index, mut writer) = fixture();
    writer.insert(&index, &arena, hash(5), Offset(40)).unwrap();
    let found = index.find(&arena, hash(5), |_| true).unwrap();
    IndexWriter::replace(&found, Offset(80));
    assert!(lookup(&index, &arena, 5, 80));
    assert!(!lookup(&index, &arena, 5, 40));
    assert_eq!(writer.entry_count(), 1);
}

#[test]
fn a_full_chain_without_overflow_says_so() {
    let (arena, index, mut writer) = fixture();
    for number in 1..=7 {
        writer
            .insert(&index, &arena, KeyHash(number << 40), Offset(number * 8))
            .unwrap();
    }
    let eighth = writer.insert(&index, &arena, KeyHash(8 << 40), Offset(64));
    assert_eq!(eighth, Err(NeedsChunk));
    writer.add_overflow(&index, 1);
    writer
        .insert(&index, &arena, KeyHash(8 << 40), Offset(64))
        .unwrap();
    assert!(
        index
            .find(&arena, KeyHash(8 << 40), |at| at == Offset(64))
            .is_some()
    );
}
#[test]
fn a_bucket_that_does_not_fit_takes_no_overflow() {
    const MOVING: u64 = 238;
    let (arena, index, mut writer) = fixture();
    writer.add_overflow(&index, 1);
    writer.add_primary(&index, 2);
    let buckets = index.bucket_count();
    // All of them are in bucket 0 and move to the next one: 7 in the bucket, the rest in 33 of 64.
    let moving = |number: u64| KeyHash(number << 40 | buckets);
    for number in 1..=MOVING {
        let offset = Offset(number * 8);
        writer
            .insert(&index, &arena, moving(number), offset)
            .unwrap();
    }
    assert_eq!(writer.overflow_used, 33);
    let hash_of = |at: Offset| moving(at.0 / 8);
    for _ in 0..2 {
        assert_eq!(writer.grow(&index, &arena, hash_of), Err(NeedsChunk));
        assert_eq!((writer.overflow_used, index.bucket_count()), (33, buckets));
    }
    writer.add_overflow(&index, 3);
    writer.grow(&index, &arena, hash_of).unwrap();
    assert_eq!(
        (writer.overflow_used, index.bucket_count()),
        (66, buckets + 1)
    );
    for number in 1..=MOVING {
        let found = index.find(&arena, moving(number), |at| at == Offset(number * 8));
        assert!(found.is_some(), "{number}");
    }
}
