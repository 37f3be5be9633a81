//! RESP clients over Redis servers whose values memcache clients share: no client sees a header,
//! and what looks into a value looks behind it.

use super::{
    reply::ReplyWanted,
    stored::{has_header, push_bulk},
};
use crate::shard::{
    core::Core,
    form::Form,
    message::Errand,
    session::{Session, Step},
};
use crate::{
    protocol::resp::{Args, Request, StringRequest, Version, reply},
    store::Key,
};

/// Appends a value without flags as a server is to store it.
pub(in crate::shard) fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    push_bulk(out, 0, value);
}

/// Has a request about one key executed.
pub(in crate::shard) fn one_key(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
    errand: Errand,
    request: &Request<'_>,
    args: Args<'_>,
    version: Version,
) -> Step {
    let mut wire = core.buffers.take();
    let form = match *request {
        Request::Set { value, get, .. } => {
            push_with_value(&mut wire, args, value);
            if get {
                Form::OverResp(ReplyWanted::Value(version))
            } else {
                Form::Verbatim
            }
        }
        Request::SetNx { value, .. } => {
            push_with_value(&mut wire, args, value);
            Form::Verbatim
        }
        Request::GetSet { value, .. } => {
            push_with_value(&mut wire, args, value);
            Form::OverResp(ReplyWanted::Value(version))
        }
        Request::GetDel { .. } | Request::String(StringRequest::GetEx { .. }) => {
            push(&mut wire, args);
            Form::OverResp(ReplyWanted::Value(version))
        }
        Request::Expire { .. }
        | Request::Persist { .. }
        | Request::Ttl { .. }
        | Request::PTtl { .. }
        | Request::Type { .. } => {
            push(&mut wire, args);
            Form::Verbatim
        }
        Request::IncrBy { .. } => {
            push_within(&mut wire, core, key, b"number", args);
            Form::OverResp(ReplyWanted::Number)
        }
        _ => {
            push_within(&mut wire, core, key, b"reply", args);
            Form::Verbatim
        }
    };
    let step = session.run_errand(core, key, errand, &wire, form);
    core.buffers.put(wire);
    step
}

/// Appends a command as it came.
pub(in crate::shard) fn push(out: &mut Vec<u8>, args: Args<'_>) {
    reply::array_header(out, args.count());
    args.iter().for_each(|argument| reply::bulk(out, argument));
}

/// Appends a command that stores `value`, one of its arguments.
fn push_with_value(out: &mut Vec<u8>, args: Args<'_>, value: &[u8]) {
    if !has_header(0, value) {
        return push(out, args);
    }
    reply::array_header(out, args.count());
    for argument in args {
        // It is this very argument, not just an equal one.
        if std::ptr::eq(argument, value) {
            push_value(out, value);
        } else {
            reply::bulk(out, argument);
        }
    }
}

/// Appends the call that runs a command about one key on what stands behind a header; its reply is
/// the command's.
pub(in crate::shard) fn push_within_reply(
    out: &mut Vec<u8>,
    core: &Core,
    key: Key<'_>,
    args: Args<'_>,
) {
    push_within(out, core, key, b"reply", args);
}

/// The same, where the reply may be another.
fn push_within(out: &mut Vec<u8>, core: &Core, key: Key<'_>, kind: &[u8], args: Args<'_>) {
    let Some(script) = core.script() else { return };
    let mut args = args.iter();
    let (name, _key) = (args.next().unwrap_or_default(), args.next());
    script.begin(out, key.bytes, 3 + args.len());
    for word in [b"within", kind, name] {
        reply::bulk(out, word);
    }
    args.for_each(|argument| reply::bulk(out, argument));
}
