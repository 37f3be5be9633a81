//! Random lives of a spool beside a map that does the same without segments.

use proptest::{collection::vec, prelude::*};

use super::*;

#[derive(Debug, Clone)]
enum Deed {
    /// Ask for something to be done with a key.
    Append { key: u8, wish: Wish },
    /// A server has taken one of the live writes.
    Done { nth: usize },
    /// Everything is flushed.
    Bar,
    /// The group is written.
    Keep,
    /// So much of the group is written, then the disk fails.
    Fail { bytes: usize },
    /// So much of the group is written, then the process is killed and starts again.
    Crash { bytes: usize },
}

fn deed() -> impl Strategy<Value = Deed> {
    let wish = prop_oneof![Just(None), vec(any::<u8>(), 0..40).prop_map(Some)];
    prop_oneof![
        8 => (0..24_u8, wish).prop_map(|(key, wish)| Deed::Append { key, wish }),
        5 => any::<usize>().prop_map(|nth| Deed::Done { nth }),
        4 => Just(Deed::Keep),
        1 => Just(Deed::Bar),
        1 => (0..600_usize).prop_map(|bytes| Deed::Fail { bytes }),
        1 => (0..600_usize).prop_map(|bytes| Deed::Crash { bytes }),
    ]
}

/// The twin: by key what was promised, and what may come back because nobody promised that it will
/// not.
#[derive(Default)]
struct Twin {
    /// On disk and not taken by a server.
    live: HashMap<Vec<u8>, (Lsn, Wish)>,
    /// The newest of a key that was ever on disk.
    newest: HashMap<Vec<u8>, (Lsn, Wish)>,
    /// Not on disk yet.
    group: Vec<(Vec<u8>, Lsn, Wish)>,
    /// Nor is this: that of what was there so far, and of so many of the group, only deletes count.
    bar: Option<usize>,
}

impl Twin {
    fn keep(&mut self) {
        if let Some(count) = self.bar.take() {
            let before = self.group[..count].iter_mut().map(|(_, _, wish)| wish);
            before.for_each(|wish| *wish = None);
            for map in [&mut self.live, &mut self.newest] {
                map.values_mut().for_each(|(_, wish)| *wish = None);
            }
        }
        for (key, lsn, wish) in self.group.drain(..) {
            self.newest.insert(key.clone(), (lsn, wish.clone()));
            self.live.insert(key, (lsn, wish));
        }
    }

    /// Checks what a start has found, and goes on from there.
    fn restart(&mut self, found: HashMap<Vec<u8>, (Lsn, Wish)>) {
        for key in self.live.keys() {
            assert!(found.contains_key(key), "{key:?} is lost");
        }
        for (key, now) in &found {
            // A barrier that is not known to be there may be.
            let is_it = |lsn: &Lsn, wish: &Wish| {
                *lsn == now.0 && (*wish == now.1 || (self.bar.is_some() && now.1.is_none()))
            };
            let is_newest = self
                .newest
                .get(key)
                .is_some_and(|(lsn, wish)| is_it(lsn, wish));
            let is_unanswered = self
                .group
                .iter()
                .any(|(other, lsn, wish)| other == key && is_it(lsn, wish));
            assert!(is_newest || is_unanswered, "{key:?} is {now:?}");
            self.newest.insert(key.clone(), now.clone());
        }
        self.group.clear();
        self.bar = None;
        self.live = found;
    }
}

/// Writes the first bytes of what a group has to write.
fn perform_part(files: &mut Files, steps: Vec<Step>, mut bytes: usize) {
    for mut step in steps {
        let part = step.bytes.len().min(bytes);
        bytes -= part;
        if part == 0 {
            break;
        }
        step.bytes.truncate(part);
        perform(files, vec![step]);
    }
}

fn check(log: &Log, files: &Files, twin: &Twin) {
    let figures = log.figures();
    let on_disk: usize = files.values().map(Vec::len).sum();
    assert_eq!(figures.bytes, on_disk as u64);
    assert!(figures.bytes <= LIMITS.bytes_max, "{figures:?}");
    assert_eq!(figures.segment_count, files.len() as u64);
    let places = log.live();
    assert_eq!(figures.record_count, places.len() as u64);
    let live_bytes: u64 = places.iter().map(|place| u64::from(place.bytes)).sum();
    assert_eq!(figures.live_bytes, live_bytes);
    let live = wishes(log, files);
    for (key, (lsn, wish)) in &twin.live {
        assert_eq!(live.get(key), Some(&(*lsn, wish.clone())), "{key:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_kept_is_lost_and_nothing_older_returns(deeds in vec(deed(), 1..200)) {
        let mut log = Log::new(LIMITS, SEED);
        let mut files = Files::new();
        let mut twin = Twin::default();
        for deed in deeds {
            match deed {
                Deed::Append { key, wish } => {
                    if let Ok(lsn) = log.append(&write(&[key], &wish)) {
                        twin.group.push((vec![key], lsn, wish));
                    } else {
                        prop_assert!(log.figures().bytes > LIMITS.bytes_max / 4, "too early");
                    }
                    continue;
                }
                Deed::Done { nth } => {
                    let mut live: Vec<_> = twin.live.iter().map(|(key, at)| (at.0, key.clone())).collect();
                    live.sort();
                    if !live.is_empty() {
                        let (lsn, key) = live[nth % live.len()].clone();
                        log.done(lsn);
                        twin.live.remove(&key);
                    }
                    continue;
                }
                Deed::Bar => {
                    if log.bar().is_ok() {
                        twin.bar = Some(twin.group.len());
                    }
                    continue;
                }
                Deed::Keep => {
                    compact(&mut log, &files);
                    keep(&mut log, &mut files);
                    twin.keep();
                }
                Deed::Fail { bytes } => {
                    compact(&mut log, &files);
                    perform_part(&mut files, log.take_steps(), bytes);
                    clean_up(&mut files, log.undo());
                    twin.group.clear();
                    twin.bar = None;
                }
                Deed::Crash { bytes } => {
                    compact(&mut log, &files);
                    perform_part(&mut files, log.take_steps(), bytes);
                    let (loaded, flaws) = load(&files);
                    for flaw in flaws {
                        prop_assert!(!flaw.kind.is_corruption());
                        files.get_mut(&flaw.segment).expect("it").truncate(flaw.at);
                    }
                    log = loaded;
                    twin.restart(wishes(&log, &files));
                }
            }
            check(&log, &files, &twin);
        }
        let (loaded, _) = load(&files);
        twin.group.clear();
        twin.bar = None;
        twin.restart(wishes(&loaded, &files));
    }
}
