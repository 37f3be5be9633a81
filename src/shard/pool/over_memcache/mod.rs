//! RESP clients over memcache servers: the commands that mean the same there, and a clear word
//! about each other one.
//!
//! A request becomes one request to the server, or for APPEND and DECRBY several (`steps`). The
//! reply is put into RESP on the shard of the client, as others may wait for the same value and
//! speak memcache. docs/protocols.md has the whole table, and the reasons.

mod encode;
mod reply;
mod steps;

use self::encode::Name;
pub(super) use self::encode::delete as encode_delete;
pub(in crate::shard) use self::{
    reply::{Wanted, count, error},
    steps::{Next, Plan, Steps},
};
use crate::shard::{
    core::Core,
    flush,
    form::Form,
    message::Errand,
    resp,
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    protocol::{
        memcache::{Exptime, Spelling, StoreVerb},
        resp::{
            Args, Condition, ExpireAt, ExpireCondition, Request, Rest, SetExpiry, StringRequest,
            Version, reply as wire,
        },
    },
    store::{Key, UnixMs},
};

/// Executes a request that is about keys, or about all of them.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    args: Args<'_>,
    version: Version,
) -> Step {
    if let Some(reason) = unlike(request) {
        return refuse(session, core, args, reason);
    }
    match *request {
        Request::Get { key } | Request::String(StringRequest::GetEx { key, expiry: None }) => {
            get(session, core, key, version)
        }
        Request::MGet { keys } if can_name_all(keys) => {
            session.begin(core, |out| wire::array_header(out, keys.count()));
            session.for_each_key(core, keys, |session, core, key| {
                get(session, core, key, version)
            })
        }
        Request::MSet { pairs } if pairs.pairs().all(|(key, _)| can_name(key)) => {
            mset(session, core, pairs)
        }
        Request::Del { keys } if can_name_all(keys) => {
            add_up(session, core, keys, whole(core, true), |out, name| {
                encode_delete(out, name.key, name.spelling);
            })
        }
        Request::Exists { keys } | Request::Touch { keys } if can_name_all(keys) => {
            let errand = Errand::Read(Expects::Meta);
            add_up(session, core, keys, errand, |out, name| {
                encode::meta_get(out, name, b"");
            })
        }
        Request::MGet { .. }
        | Request::MSet { .. }
        | Request::Del { .. }
        | Request::Exists { .. }
        | Request::Touch { .. } => cannot_name(session, core),
        Request::FlushAll => flush::flush_all(
            session,
            core,
            flush::AT_ONCE,
            Form::RespOk,
            b"flush_all\r\n",
        ),
        _ => one_key(session, core, request, args, version),
    }
}

/// Why a request cannot be done, if it cannot whatever the key.
fn unlike(request: &Request<'_>) -> Option<&'static str> {
    match request {
        Request::GetSet { .. } | Request::Set { get: true, .. } => {
            Some("they cannot replace a value and give the old one in one step")
        }
        Request::Set {
            expiry: SetExpiry::Keep,
            ..
        } => Some("they cannot replace a value and leave its time to live"),
        Request::Expire { condition, .. } if *condition != ExpireCondition::Always => {
            Some("they cannot make a time to live depend on the one that is there")
        }
        Request::DbSize => Some("they count what has expired, too"),
        Request::Get { .. }
        | Request::MGet { .. }
        | Request::Set { .. }
        | Request::SetNx { .. }
        | Request::MSet { .. }
        | Request::Del { .. }
        | Request::Exists { .. }
        | Request::Touch { .. }
        | Request::Expire { .. }
        | Request::Persist { .. }
        | Request::Ttl { .. }
        | Request::PTtl { .. }
        | Request::IncrBy { .. }
        | Request::Append { .. }
        | Request::Strlen { .. }
        | Request::Type { .. }
        | Request::GetDel { .. }
        | Request::String(StringRequest::GetEx { .. })
        | Request::FlushAll => None,
        _ => Some(NOTHING_LIKE_IT),
    }
}

pub(super) const NOTHING_LIKE_IT: &str = "they have nothing like it";

/// Answers what cannot be done.
pub(super) fn refuse(session: &mut Session, core: &mut Core, args: Args<'_>, reason: &str) -> Step {
    let out = session.ready(&mut core.buffers);
    out.extend_from_slice(b"-ERR ");
    // It is a name that the table of commands has.
    let name = args.get(0).unwrap_or_default();
    out.extend(name.iter().map(u8::to_ascii_uppercase));
    out.extend_from_slice(b" cannot be done over memcache servers: ");
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    Step::Done
}

const UNNAMEABLE: &[u8] = b"-ERR key cannot be named to a memcache server: those have 1 to 250 \
    bytes, or 1 to 186 if there are blanks or control characters\r\n";

fn cannot_name(session: &mut Session, core: &mut Core) -> Step {
    session.reply(core, UNNAMEABLE);
    Step::Done
}

fn can_name(key: &[u8]) -> bool {
    Spelling::of(key).is_some()
}

fn can_name_all(keys: Rest<'_>) -> bool {
    keys.into_iter().all(can_name)
}

/// How a change of whole values is done under the pool's write policy.
fn whole(core: &Core, deletes: bool) -> Errand {
    if core.pool.as_ref().is_some_and(|pool| pool.invalidates()) {
        Errand::Invalidate { deletes }
    } else {
        Errand::Write(Expects::Line)
    }
}

fn get(session: &mut Session, core: &mut Core, bytes: &[u8], version: Version) -> Step {
    if !can_name(bytes) {
        return cannot_name(session, core);
    }
    let key = core.key(bytes);
    if session.must_wait_for_steps(key) {
        return Step::Hold;
    }
    if core.has_l1() {
        if session.must_wait_for(key) {
            return Step::Hold;
        }
        if resp::answer_from_l1(session, core, key) {
            return Step::Done;
        }
    }
    let form = Form::OverMemcache(Wanted::Value(version));
    session.run_errand(core, key, Errand::Fetch, &[], form)
}

fn mset(session: &mut Session, core: &mut Core, pairs: Rest<'_>) -> Step {
    let errand = whole(core, false);
    let origin = session.sum_slot(Form::RespOk, pairs.count() / 2);
    session.for_each_key(core, pairs.pairs(), |session, core, (bytes, value)| {
        let key = core.key(bytes);
        let Some(spelling) = Spelling::of(bytes) else {
            return Step::Done;
        };
        if session.must_wait_for_steps(key) || !core.has_room_for(key) {
            return Step::Hold;
        }
        if must_wait_for_greeting(core, key, spelling) {
            return Step::Hold;
        }
        let mut request = core.buffers.take();
        let name = Name {
            key: bytes,
            spelling,
        };
        encode::store(&mut request, StoreVerb::Set, name, Exptime::NEVER, value);
        let errand = with_data(errand, spelling);
        session.run_errand_for(core, origin.seq, key, errand, &request);
        core.buffers.put(request);
        Step::Done
    })
}

fn add_up(
    session: &mut Session,
    core: &mut Core,
    keys: Rest<'_>,
    errand: Errand,
    encode: impl Fn(&mut Vec<u8>, Name<'_>),
) -> Step {
    let origin = session.sum_slot(Form::RespSum, keys.count());
    session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        let Some(spelling) = Spelling::of(bytes) else {
            return Step::Done;
        };
        if session.must_wait_for_steps(key) || !core.has_room_for(key) {
            return Step::Hold;
        }
        let is_queued = matches!(errand, Errand::Invalidate { .. });
        if is_queued && must_wait_for_greeting(core, key, spelling) {
            return Step::Hold;
        }
        let mut request = core.buffers.take();
        let name = Name {
            key: bytes,
            spelling,
        };
        encode(&mut request, name);
        session.run_errand_for(core, origin.seq, key, errand, &request);
        core.buffers.put(request);
        Step::Done
    })
}

/// Whether it is not known yet if a key's server understands its spelling. What a server that does
/// not understand takes for another request must not be sent.
fn must_wait_for_greeting(core: &Core, key: Key<'_>, spelling: Spelling) -> bool {
    let is_told = |pool: &super::Pool| pool.link_of(key.bytes).is_greeting();
    spelling == Spelling::Base64 && core.pool.as_ref().is_some_and(is_told)
}

/// An errand whose request has a data block.
fn with_data(errand: Errand, spelling: Spelling) -> Errand {
    match (errand, spelling) {
        (Errand::Write(_), Spelling::Base64) => Errand::Write(Expects::MetaData),
        _ => errand,
    }
}

/// What is to be done about one key, and how it is answered.
struct Task {
    errand: Errand,
    wanted: Wanted,
}

fn one_key(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    args: Args<'_>,
    version: Version,
) -> Step {
    // What changes the store counts itself; what is left over are reads, whose key comes first.
    let change = resp::single(request, version, core);
    let bytes = change
        .as_ref()
        .map_or_else(|| args.get(1).unwrap_or_default(), |change| change.key);
    let Some(spelling) = Spelling::of(bytes) else {
        return cannot_name(session, core);
    };
    let key = core.key(bytes);
    if session.must_wait_for_steps(key) || must_wait_for_greeting(core, key, spelling) {
        return Step::Hold;
    }
    let is_whole = matches!(request, Request::Set { .. } | Request::SetNx { .. });
    if let (true, Some(change), errand @ Errand::Invalidate { .. }) =
        (is_whole, change, whole(core, false))
    {
        return session.run_errand(core, key, errand, &[], change.form);
    }
    let mut out = core.buffers.take();
    let name = Name {
        key: bytes,
        spelling,
    };
    let step = match encode(&mut out, core.now, request, name, version) {
        Err(reason) => refuse(session, core, args, reason),
        Ok(Task { errand, wanted }) => {
            let form = match errand {
                Errand::Steps(_) => Form::Verbatim,
                _ => Form::OverMemcache(wanted),
            };
            session.run_errand(core, key, errand, &out, form)
        }
    };
    core.buffers.put(out);
    step
}

/// Appends the request to a server; why it cannot be done, if so.
fn encode(
    out: &mut Vec<u8>,
    now: UnixMs,
    request: &Request<'_>,
    name: Name<'_>,
    version: Version,
) -> Result<Task, &'static str> {
    let task = |errand, wanted| Ok(Task { errand, wanted });
    let write = Errand::Write(Expects::Meta);
    let store = with_data(Errand::Write(Expects::Line), name.spelling);
    match *request {
        Request::Set {
            value,
            expiry,
            condition,
            ..
        } => {
            let verb = match condition {
                Condition::Always => StoreVerb::Set,
                Condition::Absent => StoreVerb::Add,
                Condition::Present => StoreVerb::Replace,
            };
            encode::store(out, verb, name, exptime(expiry, now)?, value);
            task(store, Wanted::Stored(version))
        }
        Request::SetNx { value, .. } => {
            encode::store(out, StoreVerb::Add, name, Exptime::NEVER, value);
            task(store, Wanted::Done)
        }
        Request::GetDel { .. } => {
            encode::meta_touch(out, name, b" v", OVER);
            task(write, Wanted::Value(version))
        }
        Request::String(StringRequest::GetEx { expiry, .. }) => {
            let expiry = expiry.unwrap_or(SetExpiry::None);
            encode::meta_touch(out, name, b" v", exptime(expiry, now)?);
            task(write, Wanted::Value(version))
        }
        Request::Expire { at, .. } => {
            let expiry = match at {
                ExpireAt::InMs(ms) if ms > 0 => SetExpiry::InMs(ms.unsigned_abs()),
                ExpireAt::AtMs(ms) if ms > now.0 as i64 => SetExpiry::AtMs(ms.unsigned_abs()),
                ExpireAt::InMs(_) | ExpireAt::AtMs(_) => {
                    encode_delete(out, name.key, name.spelling);
                    return task(Errand::Write(Expects::Line), Wanted::Done);
                }
            };
            encode::meta_touch(out, name, b"", exptime(expiry, now)?);
            task(write, Wanted::Done)
        }
        Request::Persist { .. } => {
            encode::meta_touch(out, name, b" t", Exptime::NEVER);
            task(write, Wanted::Persisted)
        }
        Request::IncrBy { delta, .. } if delta < 0 => {
            let delta = delta.unsigned_abs();
            task(Errand::Steps(Plan::Subtract { delta }), Wanted::Done)
        }
        Request::IncrBy { delta, .. } => {
            let delta = delta.unsigned_abs();
            encode::increment(out, name, delta);
            task(write, Wanted::Count { delta })
        }
        Request::Append { value, .. } => {
            out.extend_from_slice(value);
            task(Errand::Steps(Plan::Append), Wanted::Done)
        }
        Request::Strlen { .. } => {
            encode::meta_get(out, name, b" s");
            task(Errand::Read(Expects::Meta), Wanted::Length)
        }
        Request::Type { .. } => {
            encode::meta_get(out, name, b"");
            task(Errand::Read(Expects::Meta), Wanted::Type)
        }
        Request::Ttl { .. } | Request::PTtl { .. } => {
            let in_ms = matches!(request, Request::PTtl { .. });
            encode::meta_get(out, name, b" t");
            task(Errand::Read(Expects::Meta), Wanted::Lifetime { in_ms })
        }
        _ => Err(NOTHING_LIKE_IT),
    }
}

/// A time that is over.
const OVER: Exptime = Exptime(-1);

/// Largest time from now that memcached does not take for a unix time, in seconds.
const RELATIVE_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;

/// A time to live in memcached's whole seconds, rounded up; far ones as a unix time.
fn exptime(expiry: SetExpiry, now: UnixMs) -> Result<Exptime, &'static str> {
    let in_ms = match expiry {
        SetExpiry::None | SetExpiry::Keep => return Ok(Exptime::NEVER),
        SetExpiry::InMs(ms) => ms,
        SetExpiry::AtMs(at) if at <= now.0 => return Ok(OVER),
        SetExpiry::AtMs(at) => at - now.0,
    };
    let seconds = in_ms.div_ceil(1000);
    let exptime = if seconds <= RELATIVE_SECONDS_MAX {
        seconds
    } else {
        now.0.saturating_add(in_ms).div_ceil(1000)
    };
    // memcached keeps 32 bits with sign.
    match i32::try_from(exptime) {
        Ok(exptime) => Ok(Exptime(exptime.into())),
        Err(_) => Err("they count time up to the year 2038"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_and_far_ones_are_unix_times() {
        const NOW: UnixMs = UnixMs(1_700_000_000_500);
        let table = [
            (SetExpiry::None, Ok(0)),
            (SetExpiry::InMs(1), Ok(1)),
            (SetExpiry::InMs(1_000), Ok(1)),
            (SetExpiry::InMs(1_001), Ok(2)),
            (SetExpiry::InMs(2_592_000_000), Ok(2_592_000)),
            (SetExpiry::InMs(2_592_000_001), Ok(1_702_592_001)),
            (SetExpiry::AtMs(1_700_000_000_500), Ok(-1)),
            (SetExpiry::AtMs(1_700_000_000_501), Ok(1)),
            (SetExpiry::AtMs(1_800_000_000_000), Ok(1_800_000_000)),
            (SetExpiry::AtMs(2_147_483_647_000), Ok(2_147_483_647)),
            (SetExpiry::AtMs(2_147_483_647_001), Err(())),
            (SetExpiry::InMs(u64::MAX), Err(())),
        ];
        for (expiry, expected) in table {
            let given = exptime(expiry, NOW).map(|exptime| exptime.0).map_err(drop);
            assert_eq!(given, expected, "{expiry:?}");
        }
    }
}
