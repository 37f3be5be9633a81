//! RESP clients over memcache servers: the commands that mean the same there, and a clear word
//! about each other one.
//!
//! A request becomes one request to the server, or for APPEND and DECRBY several (`steps`). The
//! reply is put into RESP on the shard of the client, as others may wait for the same value and
//! speak memcache. docs/protocols.md has the whole table, and the reasons.

mod encode;
mod one_key;
mod reply;
mod steps;

pub(super) use self::encode::{delete as encode_delete, set as encode_set};
use self::{encode::Name, one_key::one_key};
pub(in crate::shard) use self::{
    reply::{RespWanted, count, error},
    steps::{Next, Plan, Steps},
};
use super::at_once::{Set, whole};
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
            Args, ExpireCondition, Request, Rest, SetExpiry, StringRequest, Version, reply as wire,
        },
    },
    store::Key,
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
        Request::Get { key }
        | Request::String(StringRequest::GetEx {
            key,
            expiry: Ok(None),
        }) => get(session, core, key, version),
        Request::String(StringRequest::GetEx {
            expiry: Err(error), ..
        }) => {
            error.encode(session.ready(&mut core.buffers));
            Step::Done
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

fn get(session: &mut Session, core: &mut Core, bytes: &[u8], version: Version) -> Step {
    if !can_name(bytes) {
        return cannot_name(session, core);
    }
    let key = core.key(bytes);
    if session.must_wait_for_steps(key) {
        return Step::Hold;
    }
    let looks_up = core.has_l1();
    if looks_up {
        if session.must_wait_for(key) {
            return Step::Hold;
        }
        if resp::answer_from_l1(session, core, key) {
            return Step::Done;
        }
    }
    let form = Form::OverMemcache(RespWanted::Value(version));
    let step = session.run_errand(core, key, Errand::Fetch, &[], form);
    core.count_l1_miss(looks_up, step)
}

fn mset(session: &mut Session, core: &mut Core, pairs: Rest<'_>) -> Step {
    let errand = whole(core, false);
    let is_behind = core.is_behind();
    let is_queued = is_behind || errand.is_queued();
    let origin = session.sum_slot(Form::RespOk, pairs.count() / 2);
    session.for_each_key(core, pairs.pairs(), |session, core, (bytes, value)| {
        let key = core.key(bytes);
        let Some(spelling) = Spelling::of(bytes) else {
            unreachable!("`execute` has looked whether all keys can be named");
        };
        if session.must_wait_for_steps(key) {
            return Step::Hold;
        }
        if let Some(step) = session.lacks_room(core, origin.seq, key, errand, is_queued) {
            return step;
        }
        if must_wait_for_greeting(core, key, spelling) {
            return Step::Hold;
        }
        let mut request = core.buffers.take();
        if is_behind {
            let errand = core.errand_of_set(Set::plain(value), &[], &mut request);
            session.run_errand_for(core, origin.seq, key, errand, &request);
            core.buffers.put(request);
            return Step::Done;
        }
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
    if session.comes_too_early_for_all(core, errand) {
        return Step::Hold;
    }
    let origin = session.sum_slot(Form::RespSum, keys.count());
    session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        let Some(spelling) = Spelling::of(bytes) else {
            unreachable!("`execute` has looked whether all keys can be named");
        };
        if session.must_wait_for_steps(key) {
            return Step::Hold;
        }
        if let Some(step) = session.lacks_room(core, origin.seq, key, errand, errand.is_queued()) {
            return step;
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
    let is_told = |pool: &super::Pool| pool.link_of(key).is_greeting(core.now);
    spelling == Spelling::Base64 && core.pool.as_ref().is_some_and(is_told)
}

/// An errand whose request has a data block.
fn with_data(errand: Errand, spelling: Spelling) -> Errand {
    match (errand, spelling) {
        (Errand::Write(_), Spelling::Base64) => Errand::Write(Expects::MetaData),
        _ => errand,
    }
}
