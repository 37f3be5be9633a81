use super::*;
use crate::store::{arena::Arena, deadline::UnixMs, used::USES_MAX};

#[test]
fn what_is_written_is_read() {
    let arena = Arena::map(1 << 16, 1).unwrap();
    let place = arena.at(arena.segment_start(0));
    let written = UnixMs(1_800_000_000_000);
    for (key, value, flags, cas) in [
        (&b"k"[..], [&b""[..], b""], 0, None),
        (b"key", [b"value", b""], 7, None),
        (b"key", [b"front", b"-back"], u32::MAX, Some(1)),
        (b"key", [b"value", b""], 0, Some(u64::MAX)),
        (&[b'k'; 250], [&[b'v'; 1000], b"x"], 0, None),
    ] {
        let new = NewEntry {
            key,
            value,
            flags,
            has_flags: value[0] == b"value",
            version: 42,
            cas,
            deadline: Deadline::at(UnixMs(9)),
            is_stale: flags == 7,
            is_won: false,
            is_copy: flags != 7,
            used: Used::written(written),
        };
        // SAFETY: the arena is this test's own and the segment is larger than the entry.
        let entry = unsafe {
            new.write(place);
            EntryRef::new(place)
        };
        assert_eq!(entry.key(), key);
        assert_eq!(entry.value(), value.concat());
        assert_eq!((entry.flags(), entry.version()), (flags, 42));
        assert_eq!(entry.cas(), cas.unwrap_or(42));
        assert_eq!(entry.deadline(), Deadline::at(UnixMs(9)));
        assert_eq!(entry.footprint_bytes(), new.footprint_bytes());
        assert_eq!(entry.used_at(), written);
        assert!(!entry.is_fetched() && !entry.is_won());
        assert_eq!(entry.uses(), 0);
        entry.mark_used(UnixMs(written.0 + 7_999));
        assert_eq!(entry.used_at(), UnixMs(written.0 + 7_000));
        assert_eq!((entry.uses(), entry.is_fetched()), (1, true));
        (0..9).for_each(|_| entry.mark_used(written));
        assert_eq!((entry.uses(), entry.used_at()), (USES_MAX, written));
        entry.set_term(Deadline::NEVER, true);
        assert_eq!(entry.deadline(), Deadline::NEVER);
        assert!(entry.is_won());
        assert_eq!((entry.is_stale(), entry.key()), (flags == 7, key));
        assert_eq!(entry.is_copy(), flags != 7);
        let moved = entry.to_new(2);
        assert_eq!((moved.used.at(), moved.used.uses()), (written, 2));
        assert!(moved.used.is_fetched());
        assert_eq!((moved.cas, moved.is_won), (cas, true));
        assert_eq!(moved.is_copy, flags != 7);
    }
}
