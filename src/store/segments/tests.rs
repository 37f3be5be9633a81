//! The roles that segments pass through.

use super::*;

fn segments() -> Segments {
    Segments::new(&Arena::map(4096, 10).unwrap())
}

#[test]
fn a_segment_passes_through_its_roles() {
    let epochs = Epochs::new(1);
    epochs.online(0);
    let mut segments = segments();
    let (first, _) = segments.append(Stream::Fresh, 4096).unwrap();
    let (second, _) = segments.append(Stream::Fresh, 4096).unwrap();
    assert_ne!(first, second);
    assert_eq!(segments.oldest(), Some(first));
    assert!(!segments.release(first, 4000));
    assert_eq!(segments.emptiest(), Some((first, 96)));
    segments.start_cleaning(first);
    assert_eq!(segments.oldest(), None);
    segments.retire(first, epochs.retire());
    segments.reclaim(&epochs);
    assert!(segments.has_retired(), "the shard has not been quiescent");
    epochs.quiescent(0);
    segments.reclaim(&epochs);
    assert!(!segments.has_retired());
    assert_eq!(segments.live_bytes(), 4096 + 96);
}

#[test]
fn what_holds_nothing_needs_no_cleaning() {
    let epochs = Epochs::new(1);
    let mut segments = segments();
    let (first, _) = segments.append(Stream::Fresh, 96).unwrap();
    assert!(!segments.release(first, 96), "it is written to");
    segments.append(Stream::Fresh, 4000).unwrap();
    segments.append(Stream::Fresh, 4096).unwrap();
    assert!(segments.release(first, 4000));
    segments.retire(first, epochs.retire());
    segments.reclaim(&epochs);
    let (next, _) = segments.append(Stream::Fresh, 4096).unwrap();
    assert_eq!(next, first, "what was freed last is used first");
}

#[test]
fn what_was_flushed_is_still_named() {
    let mut segments = segments();
    let (first, _) = segments.append(Stream::Fresh, 96).unwrap();
    segments.release_all();
    assert_eq!(segments.append(Stream::Fresh, 4000), Some((first, 96)));
    segments.append(Stream::Fresh, 4096).unwrap();
    assert!(!segments.release(first, 4000));
    assert!(!segments.is_blank(first));
}

#[test]
fn what_is_moved_leaves_room_for_what_is_written() {
    let mut segments = segments();
    for _ in 0..8 {
        segments.append(Stream::Fresh, 4000);
    }
    assert!(segments.leaves_room(Stream::Aged, 4000, 4000), "two free");
    segments.append(Stream::Aged, 3000);
    assert!(segments.leaves_room(Stream::Aged, 1000, 4000), "one free");
    // It would take the last one: only if the write fits into what is open.
    assert!(!segments.leaves_room(Stream::Aged, 2000, 97));
    assert!(segments.leaves_room(Stream::Aged, 2000, 96));
    // Both can share the last one, if they fit.
    assert!(segments.leaves_room(Stream::Kept, 2000, 2096));
    assert!(!segments.leaves_room(Stream::Kept, 2000, 2097));
    segments.append(Stream::Kept, 3000);
    assert!(!segments.leaves_room(Stream::Aged, 2000, 8), "none free");
    assert!(segments.leaves_room(Stream::Aged, 1000, 1096));
    assert!(!segments.leaves_room(Stream::Aged, 1000, 1097));
    assert!(segments.leaves_room(Stream::Kept, 1000, 96));
    assert!(!segments.leaves_room(Stream::Kept, 1000, 97));
}

#[test]
fn runs_out_and_says_so() {
    let mut segments = segments();
    for _ in 0..10 {
        assert!(segments.append(Stream::Fresh, 4000).is_some());
    }
    assert_eq!(segments.append(Stream::Fresh, 4000), None);
    assert_eq!(segments.deficit(), SPARE_SEGMENTS_MIN);
    assert_eq!(segments.take_for_index(), None);
}

#[test]
fn moved_entries_keep_their_age() {
    let mut segments = segments();
    let (old, _) = segments.append(Stream::Fresh, 4000).unwrap();
    segments.append(Stream::Fresh, 4000).unwrap();
    segments.append(Stream::Fresh, 4000).unwrap();
    let (aged, _) = segments.append(Stream::Aged, 4000).unwrap();
    segments.age_like(old);
    segments.append(Stream::Aged, 4000).unwrap();
    segments.start_cleaning(old);
    assert_eq!(segments.oldest(), Some(aged));
}

#[test]
fn what_is_alive_is_known_of_each_stream() {
    use Stream::{Aged, Fresh, Kept};
    let epochs = Epochs::new(1);
    let mut segments = segments();
    let alive =
        |segments: &Segments| [Fresh, Kept, Aged].map(|stream| segments.live_bytes_of(stream));
    let (fresh, _) = segments.append(Fresh, 3000).unwrap();
    let (kept, _) = segments.append(Kept, 2000).unwrap();
    segments.append(Fresh, 2000).unwrap();
    segments.append(Aged, 96).unwrap();
    assert_eq!(alive(&segments), [5000, 2000, 96]);
    assert!(!segments.release(kept, 96) && !segments.release(fresh, 1000));
    assert_eq!(alive(&segments), [4000, 1904, 96]);
    // What is left of it moves to another stream, and another stream has its memory then.
    segments.start_cleaning(fresh);
    segments.append(Kept, 2000).unwrap();
    assert!(!segments.release(fresh, 2000));
    segments.retire(fresh, epochs.retire());
    segments.reclaim(&epochs);
    assert_eq!(segments.append(Aged, 4096), Some((fresh, 0)));
    assert_eq!(alive(&segments), [2000, 3904, 4192]);
    assert_eq!(segments.live_bytes(), 2000 + 3904 + 4192);
    segments.release_all();
    assert_eq!(alive(&segments), [0; 3]);
}
