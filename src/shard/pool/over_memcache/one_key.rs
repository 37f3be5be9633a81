//! Requests about one key, as requests to its server.

use super::{
    super::at_once::{self, Set},
    NOTHING_LIKE_IT, cannot_name,
    encode::{self, Name},
    must_wait_for_greeting, refuse,
    reply::RespWanted,
    steps::Plan,
    whole, with_data,
};
use crate::shard::{
    core::Core,
    form::Form,
    message::Errand,
    resp,
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    protocol::{
        memcache::{Exptime, Spelling, StoreVerb},
        resp::{Args, Condition, ExpireAt, Request, SetExpiry, StringRequest, Version},
    },
    store::UnixMs,
};

/// What is to be done about one key, and how it is answered.
struct Task {
    errand: Errand,
    wanted: RespWanted,
}

pub(super) fn one_key(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    args: Args<'_>,
    version: Version,
) -> Step {
    let change = resp::single(request, version, core.now);
    let operation = change.as_ref().map(|change| change.operation);
    let step = ask(session, core, (request, args, version), change);
    match operation {
        Some(operation) => core.count_asked(&operation, step),
        None => step,
    }
}

fn ask(
    session: &mut Session,
    core: &mut Core,
    (request, args, version): (&Request<'_>, Args<'_>, Version),
    change: Option<resp::Change<'_>>,
) -> Step {
    // What is no change is a read, whose key comes first.
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
        (is_whole, &change, whole(core, false))
    {
        return session.run_errand(core, key, errand, &[], change.form);
    }
    if core.is_behind()
        && let (Some(wish), Some(change)) = (Set::of_resp(core, request), change)
        && can_expire(request, core.now)
    {
        return at_once::set(session, core, key, wish, &[], change.form, &[]);
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
) -> Encoded {
    let read = Errand::Read(Expects::Meta);
    let (flags, wanted): (&[u8], _) = match *request {
        Request::Strlen { .. } => (b" s", RespWanted::Length),
        Request::Type { .. } => (b"", RespWanted::Type),
        Request::Ttl { .. } => (b" t", RespWanted::Lifetime { in_ms: false }),
        Request::PTtl { .. } => (b" t", RespWanted::Lifetime { in_ms: true }),
        Request::Set { .. } | Request::SetNx { .. } | Request::Append { .. } => {
            return encode_store(out, now, request, name, version);
        }
        Request::IncrBy { delta, .. } => return encode_count(out, name, delta),
        _ => return encode_lifetime(out, now, request, name, version),
    };
    encode::meta_get(out, name, flags);
    task(read, wanted)
}

type Encoded = Result<Task, &'static str>;

fn task(errand: Errand, wanted: RespWanted) -> Encoded {
    Ok(Task { errand, wanted })
}

/// The same for what brings a value.
fn encode_store(
    out: &mut Vec<u8>,
    now: UnixMs,
    request: &Request<'_>,
    name: Name<'_>,
    version: Version,
) -> Encoded {
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
            task(store, RespWanted::Stored(version))
        }
        Request::SetNx { value, .. } => {
            encode::store(out, StoreVerb::Add, name, Exptime::NEVER, value);
            task(store, RespWanted::Done)
        }
        Request::Append { value, .. } => {
            out.extend_from_slice(value);
            task(Errand::Steps(Plan::Append), RespWanted::Done)
        }
        _ => Err(NOTHING_LIKE_IT),
    }
}

/// The same for numbers.
fn encode_count(out: &mut Vec<u8>, name: Name<'_>, signed: i64) -> Encoded {
    let delta = signed.unsigned_abs();
    if signed < 0 {
        return task(Errand::Steps(Plan::Subtract { delta }), RespWanted::Done);
    }
    encode::increment(out, name, delta);
    task(Errand::Write(Expects::Meta), RespWanted::Count { delta })
}

/// The same for what changes when a value ends.
fn encode_lifetime(
    out: &mut Vec<u8>,
    now: UnixMs,
    request: &Request<'_>,
    name: Name<'_>,
    version: Version,
) -> Encoded {
    let (flags, exptime, wanted): (&[u8], _, _) = match *request {
        Request::GetDel { .. } => (b" v", OVER, RespWanted::Value(version)),
        Request::String(StringRequest::GetEx { expiry, .. }) => {
            let expiry = expiry.ok().flatten().unwrap_or(SetExpiry::None);
            (b" v", exptime(expiry, now)?, RespWanted::Value(version))
        }
        Request::Expire { at, .. } => {
            let expiry = match at {
                ExpireAt::InMs(ms) if ms > 0 => SetExpiry::InMs(ms.unsigned_abs()),
                ExpireAt::AtMs(ms) if ms > now.0 as i64 => SetExpiry::AtMs(ms.unsigned_abs()),
                ExpireAt::InMs(_) | ExpireAt::AtMs(_) => {
                    encode::delete(out, name.key, name.spelling);
                    return task(Errand::Write(Expects::Line), RespWanted::Done);
                }
            };
            (b"", exptime(expiry, now)?, RespWanted::Done)
        }
        Request::Persist { .. } => (b" t", Exptime::NEVER, RespWanted::Persisted),
        _ => return Err(NOTHING_LIKE_IT),
    };
    encode::meta_touch(out, name, flags, exptime);
    task(Errand::Write(Expects::Meta), wanted)
}

/// Whether memcached can be told the end of what a request sets.
fn can_expire(request: &Request<'_>, now: UnixMs) -> bool {
    match *request {
        Request::Set { expiry, .. } => exptime(expiry, now).is_ok(),
        _ => false,
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
