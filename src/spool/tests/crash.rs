//! Every place at which a file can be cut, and every bit that can flip.

use super::*;
use crate::spool::{
    folder::FlawKind,
    segment::{self, Found, Scan},
};

/// A record as it stands in a file.
#[derive(Clone)]
struct Written {
    segment: u64,
    at: usize,
    end: usize,
    record: Owned,
}

#[derive(Clone)]
enum Owned {
    Write(Lsn, Vec<u8>, Wish),
    Done(Lsn),
}

/// Some segments with everything in them: values, deletes, overwritten keys, done ones, moved ones.
fn written() -> (Files, Vec<Written>) {
    let mut log = Log::new(LIMITS, SEED);
    let mut files = Files::new();
    let mut lsns = Vec::new();
    for number in 0..60_u32 {
        let key = format!("key:{}", number % 23);
        let wish = (number % 3 != 0).then(|| format!("value:{number}").into_bytes());
        lsns.push(log.append(&write(key.as_bytes(), &wish)).expect("room"));
        if number % 4 == 0 {
            keep(&mut log, &mut files);
            log.done(lsns[number as usize * 2 / 3]);
        }
        compact(&mut log, &files);
    }
    keep(&mut log, &mut files);
    assert!(files.len() > 2, "{} segments", files.len());
    let records = files
        .iter()
        .flat_map(|(number, bytes)| records(*number, bytes))
        .collect();
    (files, records)
}

fn records(segment: u64, bytes: &[u8]) -> Vec<Written> {
    let found = Scan::new(bytes).map(|found| match found {
        Found::Record { at, bytes, record } => Written {
            segment,
            at,
            end: at + bytes,
            record: match record {
                Record::Done { lsn } => Owned::Done(lsn),
                Record::Barrier { .. } => panic!("nobody flushes"),
                Record::Write { lsn, write } => {
                    let wish = match write.operation {
                        Operation::Delete => None,
                        Operation::Set { value, .. } => Some(value.to_vec()),
                    };
                    Owned::Write(lsn, write.key.to_vec(), wish)
                }
            },
        },
        Found::Corrupt { .. } => panic!("nothing is corrupt yet"),
    });
    found.collect()
}

/// The naive reading of those records that are left.
fn expected(
    records: &[Written],
    is_left: impl Fn(&Written) -> bool,
) -> HashMap<Vec<u8>, (Lsn, Wish)> {
    let mut live = HashMap::<Vec<u8>, (Lsn, Wish)>::new();
    for written in records.iter().filter(|written| is_left(written)) {
        match &written.record {
            Owned::Done(lsn) => live.retain(|_, (other, _)| other != lsn),
            Owned::Write(lsn, key, wish) => {
                if live.get(key).is_none_or(|(other, _)| other <= lsn) {
                    live.insert(key.clone(), (*lsn, wish.clone()));
                }
            }
        }
    }
    live
}

#[test]
fn what_stands_before_a_cut_survives_it() {
    let (files, records) = written();
    for (segment, file) in &files {
        for cut in 0..file.len() {
            let mut files = files.clone();
            files.insert(*segment, file[..cut].to_vec());
            let (log, flaws) = load(&files);
            let is_left = |written: &Written| written.segment != *segment || written.end <= cut;
            assert_eq!(
                wishes(&log, &files),
                expected(&records, is_left),
                "{segment} cut at {cut}"
            );
            let is_between = cut >= segment::HEADER_BYTES
                && (cut == segment::HEADER_BYTES
                    || records
                        .iter()
                        .any(|written| written.segment == *segment && written.end == cut));
            match flaws.as_slice() {
                [] => assert!(is_between, "{segment} cut at {cut}"),
                [flaw] => {
                    assert_eq!((flaw.segment, flaw.kind), (*segment, FlawKind::Torn));
                    assert_eq!(flaw.at + flaw.bytes, cut);
                    assert!(!is_between);
                }
                more => panic!("{more:?}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_costs_what_it_hits_and_is_named() {
    let (files, records) = written();
    for (segment, file) in &files {
        for bit in 0..file.len() * 8 {
            let at = bit / 8;
            let mut files = files.clone();
            files.get_mut(segment).expect("it")[at] ^= 1 << (bit % 8);
            let (log, flaws) = load(&files);
            let hit = records.iter().find(|written| {
                written.segment == *segment && (written.at..written.end).contains(&at)
            });
            let is_left = |written: &Written| {
                written.segment != *segment
                    || hit.is_none_or(|hit| {
                        // Behind a damaged header nothing is found.
                        let is_header = at - hit.at < record::HEADER_BYTES - 4;
                        written.end <= hit.at || (written.at > hit.at && !is_header)
                    })
            };
            let mut expected = expected(&records, is_left);
            let below = hit.map_or(0, |hit| lost_below(&files, hit, at));
            demote(&mut expected, below);
            assert_eq!(wishes(&log, &files), expected, "{segment} bit {bit}");
            let [flaw] = flaws.as_slice() else {
                panic!("one flaw: {flaws:?}");
            };
            assert!(flaw.kind.is_corruption());
            assert!((flaw.at..flaw.at + flaw.bytes).contains(&at), "{flaw:?}");
        }
    }
}

/// Below which number something may have been lost with a record.
fn lost_below(files: &Files, hit: &Written, at: usize) -> u64 {
    let (Owned::Write(lsn, ..) | Owned::Done(lsn)) = hit.record;
    if at - hit.at >= record::HEADER_BYTES - 4 {
        return lsn.0 + 1;
    }
    let next = files.range(hit.segment + 1..).next();
    next.map_or(u64::MAX, |(number, _)| *number)
}

/// Of keys that may have been written once more only a delete is certain.
fn demote(wishes: &mut HashMap<Vec<u8>, (Lsn, Wish)>, below: u64) {
    for (_, wish) in wishes.values_mut().filter(|(lsn, _)| lsn.0 < below) {
        *wish = None;
    }
}

/// What is distrusted stays so when what tells why is gone.
#[test]
fn a_corruption_is_remembered_by_the_next_start() {
    let (mut files, records) = written();
    let (first, hit) = records
        .iter()
        .enumerate()
        .filter(|(_, written)| matches!(written.record, Owned::Write(_, _, Some(_))))
        .nth(4)
        .expect("a value");
    files.get_mut(&hit.segment).expect("it")[hit.end - 1] ^= 1;
    let (mut log, flaws) = load(&files);
    assert_eq!(flaws.len(), 1);
    log.keep_barrier().expect("room");
    compact(&mut log, &files);
    keep(&mut log, &mut files);
    let before = wishes(&log, &files);
    assert!(
        before.values().any(|(_, wish)| wish.is_some()),
        "not all is doubted"
    );
    // The damaged segment goes away, by moving or by itself.
    for number in 0..200_u32 {
        let lsn = log
            .append(&write(&number.to_le_bytes(), &None))
            .expect("room");
        keep(&mut log, &mut files);
        log.done(lsn);
        compact(&mut log, &files);
        keep(&mut log, &mut files);
    }
    assert!(!files.contains_key(&hit.segment), "record {first}");
    let (loaded, flaws) = load(&files);
    assert_eq!(flaws, []);
    let mut after = wishes(&loaded, &files);
    after.retain(|key, _| before.contains_key(key));
    assert_eq!(after, before);
}

#[test]
fn a_log_goes_on_behind_any_cut() {
    let (files, _) = written();
    let (last, file) = files.last_key_value().expect("a last segment");
    for cut in (0..file.len()).step_by(7) {
        let mut files = files.clone();
        files.insert(*last, file[..cut].to_vec());
        let (mut log, flaws) = load(&files);
        if let [flaw] = flaws.as_slice() {
            files.get_mut(last).expect("it").truncate(flaw.at);
        }
        let before = wishes(&log, &files);
        let wish = Some(b"after".to_vec());
        let lsn = log.append(&write(b"later", &wish)).expect("room");
        compact(&mut log, &files);
        keep(&mut log, &mut files);
        let (log, flaws) = load(&files);
        assert_eq!(
            flaws
                .iter()
                .filter(|flaw| flaw.kind.is_corruption())
                .count(),
            0
        );
        let mut expected = before;
        expected.insert(b"later".to_vec(), (lsn, wish));
        assert_eq!(wishes(&log, &files), expected, "cut at {cut}");
    }
}
