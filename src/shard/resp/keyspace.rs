//! Requests that go through all keys. Any shard does, without asking others.
//!
//! What takes long goes on turn by turn, so other connections do not wait for it. Keys that come
//! or go meanwhile may be told or not; those that are there throughout are told.

use super::super::{
    core::Core,
    session::{Session, Step},
    settings::{KEYS_BYTES_MAX, OUTPUT_BYTES_MAX, TOUR_COST_KEY, TOUR_COST_MAX, TOUR_MATCH_BYTES},
};
use crate::{
    protocol::{
        glob::{self, Case},
        resp::{KeyspaceRequest, Version, reply},
    },
    store::{ListCursor, ScanCursor},
};

const TOO_MANY_KEYS: &[u8] = b"-ERR KEYS finds more than 32 MiB of keys: use SCAN\r\n";

/// How far a request's way through all keys is.
#[derive(Debug)]
pub(in crate::shard) enum Tour {
    /// KEYS: what was found so far, as bulks.
    Keys {
        cursor: ListCursor,
        found: Vec<u8>,
        count: usize,
    },
    /// RANDOMKEY: where it looks, and how many buckets it may still look at.
    RandomKey { at: ScanCursor, left: u64 },
}

/// Executes a request about all keys.
pub(super) fn keyspace(
    session: &mut Session,
    core: &mut Core,
    request: &KeyspaceRequest<'_>,
    version: Version,
) -> Step {
    // The client's own writes come first.
    if session.replies.pending_count() > 0 {
        return Step::Hold;
    }
    match *request {
        KeyspaceRequest::RandomKey => random_key(session, core, version),
        KeyspaceRequest::Keys { pattern } => keys(session, core, pattern),
        KeyspaceRequest::Scan {
            cursor,
            pattern,
            count,
            r#type,
        } => {
            let is_string = r#type.is_none_or(|name| name.eq_ignore_ascii_case(b"string"));
            let cursor = is_string.then(|| ScanCursor::from_number(cursor));
            scan(session, core, cursor, pattern.unwrap_or(b"*"), count);
            Step::Done
        }
    }
}

/// What it costs to look at a key, in buckets.
fn cost(pattern: &[u8], key: &[u8]) -> usize {
    TOUR_COST_KEY * (1 + pattern.len().saturating_mul(key.len()) / TOUR_MATCH_BYTES)
}

/// Looks at `count` keys or a few more from `cursor` on; there is nothing to look at without one.
fn scan(
    session: &mut Session,
    core: &mut Core,
    mut cursor: Option<ScanCursor>,
    pattern: &[u8],
    count: u64,
) {
    let mut found = core.buffers.take();
    let (mut found_count, mut seen_count, mut spent) = (0, 0, 0);
    while let Some(at) = cursor {
        cursor = core.store.scan(at, core.now, |entry| {
            seen_count += 1;
            spent += cost(pattern, entry.key());
            if glob::matches(pattern, entry.key(), Case::Sensitive) {
                found_count += 1;
                reply::bulk(&mut found, entry.key());
            }
        });
        spent += cursor.map_or(1, |next| next.buckets_since(at) as usize);
        if seen_count >= count || spent >= TOUR_COST_MAX || found.len() >= OUTPUT_BYTES_MAX {
            break;
        }
    }
    let out = session.replies.ready(&mut core.buffers);
    reply::array_header(out, 2);
    let number = cursor.map_or(0, ScanCursor::number);
    reply::bulk(out, itoa::Buffer::new().format(number).as_bytes());
    reply::array_header(out, found_count);
    out.extend_from_slice(&found);
    core.buffers.put(found);
}

fn keys(session: &mut Session, core: &mut Core, pattern: &[u8]) -> Step {
    let tour = session.take_tour().map(|tour| *tour);
    let (mut cursor, mut found, mut count) = match tour {
        Some(Tour::Keys {
            cursor,
            found,
            count,
        }) => (cursor, found, count),
        _ => (ListCursor::default(), core.buffers.take(), 0),
    };
    let mut spent = 0;
    let mut goes_on = true;
    let mut bucket = Vec::new();
    while goes_on && spent < TOUR_COST_MAX && found.len() <= KEYS_BYTES_MAX {
        let passed = core
            .store
            .list(&mut cursor, core.now, &mut bucket, |entry| {
                spent += cost(pattern, entry.key());
                if glob::matches(pattern, entry.key(), Case::Sensitive) {
                    count += 1;
                    reply::bulk(&mut found, entry.key());
                }
            });
        goes_on = passed.is_some();
        spent += passed.unwrap_or(0) as usize;
    }
    drop(bucket);
    if found.len() > KEYS_BYTES_MAX {
        session.reply(core, TOO_MANY_KEYS);
    } else if goes_on {
        let tour = Tour::Keys {
            cursor,
            found,
            count,
        };
        return session.hold_tour(core, Box::new(tour));
    } else {
        let out = session.replies.ready(&mut core.buffers);
        reply::array_header(out, count);
        out.extend_from_slice(&found);
    }
    core.buffers.put(found);
    Step::Done
}

/// Any key of the first bucket from a random one on that has some.
fn random_key(session: &mut Session, core: &mut Core, version: Version) -> Step {
    let (mut at, mut left) = match session.take_tour().map(|tour| *tour) {
        Some(Tour::RandomKey { at, left }) => (at, left),
        _ => {
            let number = core.random();
            core.store.random_cursor(number)
        }
    };
    if core.store.stats().entry_count == 0 {
        left = 0;
    }
    let turn_end = left.saturating_sub(TOUR_COST_MAX as u64);
    let choice = core.random();
    while left > turn_end {
        let mut bucket = Vec::new();
        let next = core.store.scan(at, core.now, |entry| bucket.push(entry));
        if !bucket.is_empty() {
            let entry = bucket[(choice % bucket.len() as u64) as usize];
            reply::bulk(session.replies.ready(&mut core.buffers), entry.key());
            return Step::Done;
        }
        left = left.saturating_sub(next.map_or(1, |next| next.buckets_since(at)));
        at = next.unwrap_or(ScanCursor::START);
    }
    if left > 0 {
        return session.hold_tour(core, Box::new(Tour::RandomKey { at, left }));
    }
    reply::null(session.ready(&mut core.buffers), version);
    Step::Done
}
