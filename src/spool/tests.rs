//! A spool on a disk that is a map in memory, so that it can be cut and bent anywhere.

mod crash;
mod twin;

use std::collections::{BTreeMap, HashMap};

use super::{
    Full, Limits, Log, Operation, Record, Speech, Write,
    folder::{Flaw, load_segment},
    log::{Leftover, Step},
    record::{self, Lsn},
};

/// Small enough that a few records fill a segment, and a few segments the disk.
const LIMITS: Limits = Limits {
    bytes_max: 8_192,
    segment_bytes: 512,
    record_bytes_max: 160,
};

const SEED: u64 = 11;

/// Files by segment number.
type Files = BTreeMap<u64, Vec<u8>>;

/// What a key is to become: gone, or a value.
type Wish = Option<Vec<u8>>;

fn write<'w>(key: &'w [u8], wish: &'w Wish) -> Write<'w> {
    Write {
        server: b"127.0.0.1:11211",
        speech: Speech::Memcache,
        key,
        operation: match wish {
            None => Operation::Delete,
            Some(value) => Operation::Set {
                flags: 0,
                exptime: 0,
                value,
            },
        },
        unix_ms: 1,
    }
}

fn perform(files: &mut Files, steps: Vec<Step>) {
    for Step { segment, at, bytes } in steps {
        if at == 0 {
            let old = files.insert(segment, Vec::new());
            assert_eq!(old, None, "a new segment has a new name");
        }
        let file = files.get_mut(&segment).expect("a file that was made");
        assert_eq!(file.len() as u64, at, "only ends are written to");
        file.extend(bytes);
    }
}

fn clean_up(files: &mut Files, leftovers: Vec<Leftover>) {
    for leftover in leftovers {
        match leftover {
            Leftover::File { segment } => drop(files.remove(&segment)),
            Leftover::Tail { segment, bytes } => {
                let file = files.get_mut(&segment).expect("a file that was there");
                file.truncate(bytes as usize);
            }
        }
    }
}

/// Moves what the log wants to have moved.
fn compact(log: &mut Log, files: &Files) {
    while let Some(slice) = log.next_slice() {
        let file = &files[&slice.segment];
        let start = (slice.at as usize).min(file.len());
        let end = (start + slice.bytes as usize).min(file.len());
        // What this group has added to the file is not to be read before it is there.
        assert_eq!(log.move_records(slice, &file[start..end]), 0);
    }
}

fn keep(log: &mut Log, files: &mut Files) {
    perform(files, log.take_steps());
    log.keep();
    for number in log.take_removable() {
        files.remove(&number).expect("a file to remove");
    }
}

fn load(files: &Files) -> (Log, Vec<Flaw>) {
    let mut log = Log::new(LIMITS, SEED + 1);
    let mut flaws = Vec::new();
    for (number, bytes) in files {
        let next = files.range(number + 1..).next().map(|(number, _)| *number);
        load_segment(&mut log, *number, next, bytes, &mut flaws);
    }
    (log, flaws)
}

/// What stands at the places that the log names.
fn wishes(log: &Log, files: &Files) -> HashMap<Vec<u8>, (Lsn, Wish)> {
    let mut wishes = HashMap::new();
    for place in log.live() {
        let bytes = &files[&place.segment][place.at as usize..];
        let (record, length) = record::parse(bytes).expect("a live record can be read");
        assert_eq!(length, place.bytes as usize);
        let Record::Write { lsn, write } = record else {
            panic!("a write stands there");
        };
        assert_eq!(lsn, place.lsn);
        let wish = match log.told(lsn, write).operation {
            Operation::Delete => None,
            Operation::Set { value, .. } => Some(value.to_vec()),
        };
        let twice = wishes.insert(write.key.to_vec(), (lsn, wish));
        assert_eq!(twice, None, "a key is live once");
    }
    wishes
}

#[test]
fn full_is_said_and_passes() {
    let mut log = Log::new(LIMITS, SEED);
    let mut files = Files::new();
    let mut lsns = Vec::new();
    let refused = loop {
        let key = format!("key:{}", lsns.len());
        match log.append(&write(key.as_bytes(), &None)) {
            Ok(lsn) => lsns.push(lsn),
            Err(full) => break full,
        }
        keep(&mut log, &mut files);
    };
    assert_eq!(refused, Full::Live);
    let figures = log.figures();
    assert!(figures.live_bytes > LIMITS.bytes_max / 4, "{figures:?}");
    assert_eq!(
        log.append(&write(b"key:0", &None)).map(drop),
        Ok(()),
        "it takes the place of one"
    );
    keep(&mut log, &mut files);
    log.done(lsns[1]);
    assert_eq!(log.append(&write(b"another", &None)).map(drop), Ok(()));
    let long = vec![b'k'; 160];
    assert_eq!(log.append(&write(&long, &None)), Err(Full::Record));
}

#[test]
fn what_a_group_has_not_written_is_not_looked_for() {
    let mut log = Log::new(LIMITS, SEED);
    let mut files = Files::new();
    log.append(&write(b"early", &None)).expect("room");
    keep(&mut log, &mut files);
    // In the same segment as the first, and then so much that is dead that moving would help.
    log.append(&write(b"late", &None)).expect("room");
    for _ in 0..60 {
        log.append(&write(b"again", &None)).expect("room");
    }
    assert_eq!(log.next_slice(), None, "it would read what is not there");
    keep(&mut log, &mut files);
    compact(&mut log, &files);
    keep(&mut log, &mut files);
    let (loaded, _) = load(&files);
    let mut keys: Vec<_> = wishes(&loaded, &files).into_keys().collect();
    keys.sort();
    assert_eq!(keys, [&b"again"[..], b"early", b"late"]);
    assert!(log.figures().bytes < 3 * LIMITS.segment_bytes);
}

#[test]
fn one_live_record_does_not_hold_up_the_dead() {
    let mut log = Log::new(LIMITS, SEED);
    let mut files = Files::new();
    log.append(&write(b"held", &None)).expect("room");
    for number in 0..5_000_u32 {
        let key = number.to_le_bytes();
        let lsn = log.append(&write(&key, &None)).expect("room");
        keep(&mut log, &mut files);
        log.done(lsn);
        compact(&mut log, &files);
        keep(&mut log, &mut files);
        assert!(log.figures().bytes <= 3 * LIMITS.segment_bytes + 400);
    }
    let (loaded, flaws) = load(&files);
    assert_eq!(flaws, []);
    let live = wishes(&loaded, &files);
    assert_eq!(live.get(&b"held"[..]), Some(&(Lsn(2), None)));
    assert!(live.len() <= 2, "the last may not have been noted as done");
    assert_eq!(loaded.figures().bytes, log.figures().bytes);
}

#[test]
fn behind_a_barrier_no_value_is_told_any_more() {
    let mut log = Log::new(LIMITS, SEED);
    let mut files = Files::new();
    let wish = Some(b"value".to_vec());
    log.append(&write(b"early", &wish)).expect("room");
    keep(&mut log, &mut files);
    log.bar().expect("room");
    log.append(&write(b"late", &wish)).expect("room");
    keep(&mut log, &mut files);
    let told = |log: &Log, files: &Files, key: &[u8]| wishes(log, files).remove(key).map(|at| at.1);
    let early_and_late = [Some(None), Some(wish.clone())];
    let (loaded, _) = load(&files);
    for log in [&log, &loaded] {
        assert_eq!(
            [&b"early"[..], b"late"].map(|key| told(log, &files, key)),
            early_and_late
        );
    }
    // Until the segment with the barrier is gone.
    let barrier = *files.last_key_value().expect("a segment").0;
    for number in 0..400_u32 {
        let lsn = log
            .append(&write(&number.to_le_bytes(), &None))
            .expect("room");
        keep(&mut log, &mut files);
        log.done(lsn);
        compact(&mut log, &files);
        keep(&mut log, &mut files);
    }
    assert!(!files.contains_key(&barrier));
    let (loaded, _) = load(&files);
    assert_eq!(
        [&b"early"[..], b"late"].map(|key| told(&loaded, &files, key)),
        early_and_late
    );
    log.bar().expect("room");
    clean_up(&mut files, log.undo());
    assert_eq!(told(&log, &files, b"late"), Some(wish), "it is not on disk");
}

#[test]
fn what_is_taken_and_written_nowhere_is_not_settled() {
    let mut log = Log::new(LIMITS, SEED);
    let mut files = Files::new();
    let lsn = log.append(&write(b"key", &None)).expect("room");
    keep(&mut log, &mut files);
    assert_eq!(log.settle(), Ok(()));
    log.done(lsn);
    assert_eq!(log.settle(), Ok(()));
    clean_up(&mut files, log.undo());
    assert_eq!(log.settle(), Err(Full::Disk), "a start would find it again");
    let other = log.append(&write(b"other", &None)).expect("room");
    keep(&mut log, &mut files);
    log.done(other);
    keep(&mut log, &mut files);
    assert_eq!(log.settle(), Ok(()), "its segment is gone");
}

/// What a server has taken is over, also if that is heard in a group that writes the key anew and is not kept.
#[test]
fn what_is_taken_stays_so_if_a_newer_write_is_taken_back() {
    let mut log = Log::new(LIMITS, SEED);
    let mut files = Files::new();
    let lsn = log.append(&write(b"key", &None)).expect("room");
    keep(&mut log, &mut files);
    log.append(&write(b"key", &Some(b"newer".to_vec())))
        .expect("room");
    log.done(lsn);
    clean_up(&mut files, log.undo());
    assert_eq!(log.place(lsn), None, "it would be told again");
    assert_eq!(log.figures().record_count, 0);
    assert_eq!(log.settle(), Err(Full::Disk), "a start would find it again");
    // One that was not heard of is there again.
    let lsn = log.append(&write(b"key", &None)).expect("room");
    keep(&mut log, &mut files);
    log.append(&write(b"key", &Some(b"newer".to_vec())))
        .expect("room");
    clean_up(&mut files, log.undo());
    assert!(log.place(lsn).is_some());
}
