//! Requests that read keys of the store, on whichever shard they arrive.

use super::super::{
    buffers::BufferPool,
    core::Core,
    session::{Session, Step},
    several::Shows,
    shown::AnswerOut,
    stats::Counters,
};
use crate::{
    protocol::{
        number,
        resp::{ReadRequest, ReadWhat, Request, Rest, Version, reply},
    },
    store::{Absence, EntryRef, Key, KeyHash, ShardStore, UnixMs},
};

/// Redis keeps one object of each number below.
const SHARED_NUMBERS: i64 = 10_000;

/// OBJECT FREQ: there is no such counter.
const NO_FREQUENCY: &[u8] = b"-ERR An LFU maxmemory policy is not selected, access frequency not \
    tracked. Please note that when switching between policies at runtime LRU and LFU data will \
    take some time to adjust.\r\n";
/// Longest string that Redis keeps in one piece with its header ("embstr"), in bytes.
const EMBEDDED_BYTES_MAX: usize = 44;

/// Requests that read one or more keys of the store.
pub(super) fn read(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    version: Version,
) -> Option<Step> {
    let step = match *request {
        Request::Get { key } => show_one(session, core, key, version),
        Request::MGet { keys } => read_many(session, core, keys, version),
        Request::Strlen { key } => read_one(session, core, key, |entry, _, out| {
            reply::integer(out, entry.map_or(0, |entry| entry.value().len() as i64));
        }),
        Request::GetRange { key, range } => read_one(session, core, key, |entry, _, out| {
            let value = entry.map_or(&[][..], |entry| entry.value());
            reply::bulk(out, range.cut(value));
        }),
        Request::Type { key } => look_at_one(session, core, key, |entry, _, out| {
            reply::simple(out, if entry.is_some() { "string" } else { "none" });
        }),
        Request::Ttl { key } => look_at_one(session, core, key, |entry, now, out| {
            // Rounded, as Redis does.
            reply::integer(
                out,
                time_left(entry, now).map_or_else(|code| code, |ms| (ms + 500) / 1000),
            );
        }),
        Request::PTtl { key } => look_at_one(session, core, key, |entry, now, out| {
            reply::integer(out, time_left(entry, now).unwrap_or_else(|code| code));
        }),
        Request::Exists { keys } => count_there(session, core, keys, false),
        Request::Touch { keys } => count_there(session, core, keys, true),
        Request::Read(request) => read_rare(session, core, request, version),
        _ => return None,
    };
    Some(step)
}

fn read_rare(
    session: &mut Session,
    core: &mut Core,
    request: ReadRequest<'_>,
    version: Version,
) -> Step {
    let ReadRequest { key, what } = request;
    // Redis weighs what is there without looking its value up.
    let asked = (key, what != ReadWhat::MemoryUsage);
    peek_at_one(session, core, asked, |entry, now, out| {
        match (what, entry) {
            (ReadWhat::ExpireTime { in_ms }, entry) => {
                let unit_ms = if in_ms { 1 } else { 1000 };
                // Rounded, as Redis does.
                let at =
                    expires_at(entry).map_or_else(|code| code, |ms| (ms + unit_ms / 2) / unit_ms);
                reply::integer(out, at);
            }
            (_, None) => reply::null(out, version),
            (ReadWhat::Encoding, Some(entry)) => reply::bulk(out, encoding(entry.value())),
            (ReadWhat::Frequency, Some(_)) => out.extend_from_slice(NO_FREQUENCY),
            (ReadWhat::IdleTime, Some(entry)) => {
                let idle_ms = now.0.saturating_sub(entry.used_at().0);
                reply::integer(out, (idle_ms / 1000) as i64);
            }
            (ReadWhat::RefCount, Some(entry)) => reply::integer(out, references(entry.value())),
            (ReadWhat::MemoryUsage, Some(entry)) => {
                reply::integer(out, entry.memory_bytes() as i64);
            }
        }
    })
}

/// How many would refer to a value in Redis, which shares the small numbers.
fn references(value: &[u8]) -> i64 {
    match number::signed(value) {
        Some(0..SHARED_NUMBERS) => i64::from(i32::MAX),
        _ => 1,
    }
}

/// How Redis would keep a value that was just set.
fn encoding(value: &[u8]) -> &'static [u8] {
    if number::signed(value).is_some() {
        b"int"
    } else if value.len() <= EMBEDDED_BYTES_MAX {
        b"embstr"
    } else {
        b"raw"
    }
}

/// Answers from the entry of a key, which counts as used.
fn read_one(
    session: &mut Session,
    core: &mut Core,
    key: &[u8],
    encode: impl FnOnce(Option<EntryRef<'_>>, UnixMs, &mut Vec<u8>),
) -> Step {
    look_at_one(session, core, key, |entry, now, out| {
        if let Some(entry) = entry {
            entry.mark_used(now);
        }
        encode(entry, now, out);
    })
}

/// The same for what does not count as use.
fn look_at_one(
    session: &mut Session,
    core: &mut Core,
    key: &[u8],
    encode: impl FnOnce(Option<EntryRef<'_>>, UnixMs, &mut Vec<u8>),
) -> Step {
    peek_at_one(session, core, (key, true), encode)
}

/// The same for what may be no hit or miss either.
fn peek_at_one(
    session: &mut Session,
    core: &mut Core,
    (key, is_counted): (&[u8], bool),
    encode: impl FnOnce(Option<EntryRef<'_>>, UnixMs, &mut Vec<u8>),
) -> Step {
    let key = core.key(key);
    if session.must_wait_for(key) {
        return Step::Hold;
    }
    let found = core.store.look(key, core.now);
    let absence = found.err();
    let out = session.replies.ready(&mut core.buffers);
    encode(found.ok(), core.now, out);
    match is_counted {
        true => core.count_read(key, absence),
        false => core.tell_if_expired(key, absence),
    }
    Step::Done
}

/// Shows the value of an entry that was found.
#[inline]
pub(in crate::shard) fn show_bulk(
    session: &mut Session,
    store: &ShardStore,
    buffers: &mut BufferPool,
    found: (KeyHash, EntryRef<'_>),
) {
    let value_bytes = found.1.value().len();
    let open = |out: &mut Vec<u8>| reply::bulk_header(out, value_bytes);
    session.show(store, buffers, found, open, b"\r\n");
}

/// Answers with the value of a key.
fn show_one(session: &mut Session, core: &mut Core, key: &[u8], version: Version) -> Step {
    let key = core.key(key);
    if session.must_wait_for(key) {
        return Step::Hold;
    }
    let counters = core.board.of(core.mesh.shard());
    counters.gets.add(1);
    match core.store.look(key, core.now) {
        Err(absence) => {
            reply::null(session.replies.ready(&mut core.buffers), version);
            core.tell_if_expired(key, Some(absence));
        }
        Ok(entry) => {
            entry.mark_used(core.now);
            counters.get_hits.add(1);
            show_bulk(session, &core.store, &mut core.buffers, (key.hash, entry));
        }
    }
    Step::Done
}

fn read_many(session: &mut Session, core: &mut Core, keys: Rest<'_>, version: Version) -> Step {
    session.begin(core, |out| reply::array_header(out, keys.count()));
    if session.may_read(core) {
        return session.show_all(core, keys, &Bulks(version));
    }
    session.for_each_key(core, keys, |session, core, key| {
        show_one(session, core, key, version)
    })
}

/// Shows entries as bulks, and nulls for what is not there.
struct Bulks(Version);

impl Shows for Bulks {
    const CLOSE: &[u8] = b"\r\n";

    #[inline]
    fn open(&self, entry: EntryRef<'_>, out: &mut Vec<u8>) {
        reply::bulk_header(out, entry.value().len());
    }

    fn miss(&self, _: Absence, _: &Counters, out: &mut Vec<u8>) {
        reply::null(out, self.0);
    }
}

/// How many of the keys are there; if `marks`, they count as used. Each is looked up once, however
/// often the request has to wait.
fn count_there(session: &mut Session, core: &mut Core, keys: Rest<'_>, marks: bool) -> Step {
    let mut there = session.mark().unwrap_or(0);
    let step = session.for_each_key(core, keys, |session, core, key| {
        let key = core.key(key);
        if session.must_wait_for(key) {
            return Step::Hold;
        }
        let found = core.store.look(key, core.now);
        if let Some(entry) = found.ok().filter(|_| marks) {
            entry.mark_used(core.now);
        }
        let absence = found.err();
        there += u64::from(absence.is_none());
        core.count_read(key, absence);
        Step::Done
    });
    match step {
        Step::Done => reply::integer(session.ready(&mut core.buffers), there as i64),
        _ => session.set_mark(Some(there)),
    }
    step
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
    let at = expires_at(entry)?;
    Ok(at.saturating_sub_unsigned(now.0))
}

/// The unix time in milliseconds at which an entry expires, or the code.
fn expires_at(entry: Option<EntryRef<'_>>) -> Result<i64, i64> {
    let entry = entry.ok_or(-2)?;
    let at = entry.deadline().instant().ok_or(-1)?;
    Ok(at.0.min(i64::MAX as u64) as i64)
}

/// Looks a key up in the L1; true if it was there and is answered. If not, it is counted once its server is asked.
pub(in crate::shard) fn answer_from_l1(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
) -> bool {
    let Some(entry) = core.store.get(key, core.now) else {
        return false;
    };
    if !core.vouches_for(&entry) {
        return false;
    }
    core.count_l1_hit();
    show_bulk(session, &core.store, &mut core.buffers, (key.hash, entry));
    true
}
