//! RESP in pool mode: each key's request goes to the server that the ring chooses.
//!
//! A command with several keys is taken apart into one request per key; the replies are put
//! together in order, or added up.

use super::{
    at_once::{self, Set, whole},
    over_resp, relay,
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
    protocol::resp::{Args, Request, Rest, Version, reply},
    store::Operation,
};

/// Executes a request that is about keys, or about all of them.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    args: Args<'_>,
    version: Version,
) -> Step {
    match *request {
        Request::Get { key } => get(session, core, key, version),
        Request::MGet { keys } => {
            session.begin(core, |out| reply::array_header(out, keys.count()));
            session.for_each_key(core, keys, |session, core, key| {
                get(session, core, key, version)
            })
        }
        Request::MSet { pairs } => mset(session, core, pairs),
        Request::Del { keys } => sum(session, core, keys, b"DEL", whole(core, true)),
        Request::Exists { keys } => {
            sum(session, core, keys, b"EXISTS", Errand::Read(Expects::Line))
        }
        Request::Touch { keys } => {
            // It is for who evicts.
            let errand = Errand::ReadHome(Expects::Line);
            sum(session, core, keys, b"TOUCH", errand)
        }
        Request::FlushAll => {
            let mut wire = core.buffers.take();
            reply::encode_command(&mut wire, &[b"FLUSHALL"]);
            let step = flush::flush_all(session, core, flush::AT_ONCE, Form::RespOk, &wire);
            core.buffers.put(wire);
            step
        }
        Request::DbSize => flush::sum_of_servers(session, core, b"*1\r\n$6\r\nDBSIZE\r\n"),
        Request::Read(_) | Request::GetRange { .. } | Request::Compound(_) | Request::Lcs(_) => {
            relay::known(session, core, args)
        }
        Request::Keyspace(_) => relay::whole(session, core, args),
        _ => {
            let mut asked = None;
            let step = one_key(session, core, (request, args, version), &mut asked);
            match asked {
                Some(operation) => core.count_asked(&operation, step),
                None => step,
            }
        }
    }
}

fn get(session: &mut Session, core: &mut Core, bytes: &[u8], version: Version) -> Step {
    let key = core.key(bytes);
    if (core.has_l1() || core.reads_replicas()) && session.is_watching_at_server() {
        let errand = Errand::ReadHome(Expects::Line);
        return with_command(core, &[b"GET", bytes], |core, wire| {
            session.run_errand(core, key, errand, wire, Form::Verbatim)
        });
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
    let form = if core.is_crossed() {
        Form::OverResp(over_resp::ReplyWanted::Value(version))
    } else {
        Form::Verbatim
    };
    let step = session.run_errand(core, key, Errand::Fetch, &[], form);
    core.count_l1_miss(looks_up, step)
}

/// Calls `run` with the wire form of a command.
fn with_command<R>(
    core: &mut Core,
    arguments: &[&[u8]],
    run: impl FnOnce(&mut Core, &[u8]) -> R,
) -> R {
    let mut wire = core.buffers.take();
    reply::encode_command(&mut wire, arguments);
    let result = run(core, &wire);
    core.buffers.put(wire);
    result
}

fn mset(session: &mut Session, core: &mut Core, pairs: Rest<'_>) -> Step {
    let errand = whole(core, false);
    let is_behind = core.is_behind();
    let is_queued = is_behind || errand.is_queued();
    if let Some(step) = session.wait_for_reads(core, errand) {
        return step;
    }
    let origin = session.sum_slot(Form::RespOk, pairs.count() / 2);
    session.for_each_key(core, pairs.pairs(), |session, core, (bytes, value)| {
        let key = core.key(bytes);
        if let Some(step) = session.lacks_room(core, origin.seq, key, errand, is_queued) {
            return step;
        }
        let mut wire = core.buffers.take();
        if is_behind {
            let wish = Set::plain(value);
            let errand = core.errand_of_set(wish, &[], &mut wire);
            session.run_errand_for(core, origin.seq, key, errand, &wire);
            core.buffers.put(wire);
            return Step::Done;
        }
        reply::array_header(&mut wire, 3);
        reply::bulk(&mut wire, b"SET");
        reply::bulk(&mut wire, bytes);
        if core.is_crossed() {
            over_resp::push_value(&mut wire, value);
        } else {
            reply::bulk(&mut wire, value);
        }
        session.run_errand_for(core, origin.seq, key, errand, &wire);
        core.buffers.put(wire);
        Step::Done
    })
}

fn sum(
    session: &mut Session,
    core: &mut Core,
    keys: Rest<'_>,
    command: &[u8],
    errand: Errand,
) -> Step {
    if session.comes_too_early_for_all(core, errand) {
        return Step::Hold;
    }
    if let Some(step) = session.wait_for_reads(core, errand) {
        return step;
    }
    let origin = session.sum_slot(Form::RespSum, keys.count());
    session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        if let Some(step) = session.lacks_room(core, origin.seq, key, errand, errand.is_queued()) {
            return step;
        }
        with_command(core, &[command, bytes], |core, wire| {
            session.run_errand_for(core, origin.seq, key, errand, wire);
        });
        Step::Done
    })
}

/// A request about one key goes to its server as it came. What it asks for, if it is to change the
/// key, is put in `asked`.
fn one_key(
    session: &mut Session,
    core: &mut Core,
    (request, args, version): (&Request<'_>, Args<'_>, Version),
    asked: &mut Option<Operation>,
) -> Step {
    let (key, errand, form) = match *request {
        Request::Strlen { key }
        | Request::Type { key }
        | Request::Ttl { key }
        | Request::PTtl { key } => (key, Errand::Read(Expects::Line), Form::Verbatim),
        Request::String(request) => (request.key(), Errand::Write(Expects::Line), Form::Verbatim),
        _ => {
            let Some(change) = resp::single(request, version, core.now) else {
                unreachable!("`execute` serves all others: {request:?}");
            };
            *asked = Some(change.operation);
            if core.is_behind()
                && let Some(wish) = Set::of_resp(core, request)
            {
                let key = core.key(change.key);
                return at_once::set(session, core, key, wish, &[], change.form, &[]);
            }
            match is_whole(request).then(|| whole(core, false)) {
                Some(errand @ Errand::Invalidate { .. }) => (change.key, errand, change.form),
                _ => (change.key, Errand::Write(Expects::Line), Form::Verbatim),
            }
        }
    };
    let key = core.key(key);
    if core.is_crossed() && form == Form::Verbatim {
        return over_resp::one_key_beside(session, core, key, errand, request, args, version);
    }
    let raw = args.raw();
    if raw.first() == Some(&b'*') {
        return session.run_errand(core, key, errand, raw, form);
    }
    // Typed inline: rare, so an allocation is fine.
    let words: Vec<&[u8]> = args.iter().collect();
    with_command(core, &words, |core, wire| {
        session.run_errand(core, key, errand, wire, form)
    })
}

/// Whether a request stores a whole value and its reply is known without the backend.
fn is_whole(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::Set { get: false, .. } | Request::SetNx { .. }
    )
}
