//! Requests that read keys of the store, on whichever shard they arrive.

use super::super::{
    core::Core,
    session::{Session, Step},
};
use crate::{
    protocol::resp::{Request, Rest, Version, reply},
    store::{EntryRef, Key, UnixMs},
};

/// Requests that read one or more keys of the store.
pub(super) fn read(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    version: Version,
) -> Option<Step> {
    let step = match *request {
        Request::Get { key } => read_one(session, core, key, |entry, _, out| {
            bulk_or_null(entry, version, out)
        }),
        Request::MGet { keys } => read_many(session, core, keys, version),
        Request::Strlen { key } => read_one(session, core, key, |entry, _, out| {
            reply::integer(out, entry.map_or(0, |entry| entry.value().len() as i64));
        }),
        Request::Type { key } => read_one(session, core, key, |entry, _, out| {
            reply::simple(out, if entry.is_some() { "string" } else { "none" });
        }),
        Request::Ttl { key } => read_one(session, core, key, |entry, now, out| {
            // Rounded, as Redis does.
            reply::integer(
                out,
                time_left(entry, now).map_or_else(|code| code, |ms| (ms + 500) / 1000),
            );
        }),
        Request::PTtl { key } => read_one(session, core, key, |entry, now, out| {
            reply::integer(out, time_left(entry, now).unwrap_or_else(|code| code));
        }),
        Request::Exists { keys } | Request::Touch { keys } => count_there(session, core, keys),
        _ => return None,
    };
    Some(step)
}

fn read_one(
    session: &mut Session,
    core: &mut Core,
    key: &[u8],
    encode: impl FnOnce(Option<EntryRef<'_>>, UnixMs, &mut Vec<u8>),
) -> Step {
    let key = core.key(key);
    if session.must_wait_for(key) {
        return Step::Hold;
    }
    let entry = core.store.get(key, core.now);
    let counters = core.board.of(core.mesh.shard());
    counters.gets.add(1);
    if entry.is_some() {
        counters.get_hits.add(1);
    }
    let is_there = entry.is_some();
    encode(entry, core.now, session.replies.ready(&mut core.buffers));
    if !is_there {
        core.not_found(key);
    }
    Step::Done
}

fn read_many(session: &mut Session, core: &mut Core, keys: Rest<'_>, version: Version) -> Step {
    session.begin(core, |out| reply::array_header(out, keys.count()));
    session.for_each_key(core, keys, |session, core, key| {
        read_one(session, core, key, |entry, _, out| {
            bulk_or_null(entry, version, out)
        })
    })
}

fn count_there(session: &mut Session, core: &mut Core, keys: Rest<'_>) -> Step {
    let mut is_held = false;
    let there = keys
        .into_iter()
        .filter(|key| {
            let key = core.key(key);
            is_held |= session.must_wait_for(key);
            let is_there = core.store.get(key, core.now).is_some();
            if !is_there {
                core.not_found(key);
            }
            is_there
        })
        .count();
    if is_held {
        return Step::Hold;
    }
    reply::integer(session.ready(&mut core.buffers), there as i64);
    Step::Done
}

pub(in crate::shard) fn bulk_or_null(
    entry: Option<EntryRef<'_>>,
    version: Version,
    out: &mut Vec<u8>,
) {
    match entry {
        Some(entry) => reply::bulk(out, entry.value()),
        None => reply::null(out, version),
    }
}

/// Milliseconds until an entry expires, or Redis' code: -1 never, -2 no such key.
fn time_left(entry: Option<EntryRef<'_>>, now: UnixMs) -> Result<i64, i64> {
    let entry = entry.ok_or(-2)?;
    let at = entry.deadline().instant().ok_or(-1)?;
    Ok(at.0.saturating_sub(now.0).min(i64::MAX as u64) as i64)
}

/// Looks a key up in the L1; true if it was there and is answered.
pub(in crate::shard) fn answer_from_l1(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
) -> bool {
    core.counters().gets.add(1);
    let Some(entry) = core.store.get(key, core.now) else {
        return false;
    };
    core.board.of(core.mesh.shard()).get_hits.add(1);
    reply::bulk(session.replies.ready(&mut core.buffers), entry.value());
    true
}
