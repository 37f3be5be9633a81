//! memcache's meta commands over Redis servers.
//!
//! Each is one step on the server, or refused: what Redis does not keep (marks that a value is
//! stale, when it was last read, CAS ids of somebody's choice) cannot be told from there. Of two clients that miss a
//! value the server tells which is to make it, by a promise that stands in its place; of two that find that it
//! ends soon, which is to renew it, this process does (see [`Renewals`](super::Renewals)).

use super::{
    call::Call,
    lifetime::{Lifetime, lifetime},
};
use crate::shard::{
    core::Core,
    form::Form,
    message::Errand,
    pool::{at_once, meta::count},
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    protocol::memcache::{
        StoreVerb,
        meta::{KeyRoom, MetaRequest, MetaVerb},
    },
};

/// The line for what marks a value that is there.
const NO_MARKS: &[u8] =
    b"SERVER_ERROR flags I and x cannot be done over Redis servers: a string has no marks\r\n";

/// The line for how often, or when, a value was read.
const NO_ACCESS: &[u8] =
    b"SERVER_ERROR flags h and l cannot be done over Redis servers: reads leave no trace there\r\n";

/// The line for a CAS id of the client's choice.
const NO_CAS: &[u8] =
    b"SERVER_ERROR flag E cannot be done over Redis servers: the CAS id is the value's digest\r\n";

/// The line for `me`.
const NO_DEBUG: &[u8] =
    b"SERVER_ERROR me cannot be done over Redis servers: they do not keep what it tells\r\n";

/// Has a request done by its key's server.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &MetaRequest<'_>,
) -> Step {
    if let Some(line) = refusal(request) {
        session.reply(core, line);
        return Step::Done;
    }
    let mut room = KeyRoom::new();
    let key = core.key(request.key.bytes(&mut room));
    if let Some(step) = at_once::meta(session, core, request, key) {
        return step;
    }
    let mut wire = core.buffers.take();
    let promise_number = own_number(core, request);
    let call = call(request, promise_number, core);
    let errand = match call {
        Call::Look {
            touch: None,
            promises: None,
            ..
        } => Errand::Read(Expects::Line),
        _ => Errand::Write(Expects::Line),
    };
    let form = Form::OverRespMeta {
        verb: request.verb,
        is_quiet: request.is_quiet(),
        asked: call.encode(&mut wire, core, key),
    };
    let mut line = core.buffers.take();
    let without_value = MetaRequest {
        value: b"",
        ..*request
    };
    without_value.encode_heard(&mut line);
    let step = session.run_errand_keeping(core, key, errand, &wire, form, &line);
    core.buffers.put(line);
    core.buffers.put(wire);
    if step == Step::Done {
        count(core, request.verb);
    }
    step
}

/// Why a request cannot be done, if it cannot.
fn refusal(request: &MetaRequest<'_>) -> Option<&'static [u8]> {
    let flags = request.flags;
    let marks: &[u8] = match request.verb {
        MetaVerb::Debug => return Some(NO_DEBUG),
        MetaVerb::Get if flags.has_any(b"hl") => return Some(NO_ACCESS),
        MetaVerb::Set | MetaVerb::Arithmetic if flags.has(b'E') => return Some(NO_CAS),
        MetaVerb::Get if flags.has(b'N') && flags.has(b'E') => return Some(NO_CAS),
        MetaVerb::Get => b"",
        MetaVerb::Delete => b"Ix",
        // Without an id to compare no value comes too late.
        MetaVerb::Set if flags.has(b'C') => b"I",
        MetaVerb::Set | MetaVerb::Arithmetic => b"",
    };
    flags.has_any(marks).then_some(NO_MARKS)
}

/// A number for a promise that no other has: the time and the shard, mixed with what nobody foresees.
fn own_number(core: &mut Core, request: &MetaRequest<'_>) -> u64 {
    if request.verb != MetaVerb::Get || !request.flags.has(b'N') {
        return 0;
    }
    let (shard, now_us) = (core.shard() as u64, core.unix_us());
    core.random() ^ (now_us << 8 | shard)
}

fn call<'b>(request: &MetaRequest<'b>, promise_number: u64, core: &Core) -> Call<'b> {
    let flags = request.flags;
    let life = |letter| flags.exptime(letter).map(|exptime| lifetime(exptime, core));
    let compared = flags.number(b'C');
    // Flags of more than 32 bits were refused.
    let client_flags = flags.number(b'F').unwrap_or(0) as u32;
    match request.verb {
        MetaVerb::Get | MetaVerb::Debug => Call::Look {
            touch: life(b'T'),
            tells_end: flags.has_any(b"tR"),
            promises: life(b'N')
                .map(|first| (promise_number, last_life(request, core).unwrap_or(first))),
        },
        MetaVerb::Delete => Call::Delete { compared },
        MetaVerb::Arithmetic => Call::Count {
            direction: request.direction(),
            delta: flags.number(b'D').unwrap_or(1),
            // 0 is none.
            compared: compared.filter(|id| *id != 0),
            touch: life(b'T'),
            creates: life(b'N').map(|first| {
                let initial = flags.number(b'J').unwrap_or(0);
                (initial, last_life(request, core).unwrap_or(first))
            }),
        },
        MetaVerb::Set => match (request.store_verb(), compared) {
            (verb @ (StoreVerb::Append | StoreVerb::Prepend), compared) => Call::Join {
                verb,
                value: request.value,
                compared: compared.filter(|id| *id != 0),
                creates: life(b'N').map(|lifetime| (client_flags, lifetime)),
            },
            (verb, compared) => Call::Store {
                verb: match (verb, compared) {
                    (StoreVerb::Add, _) | (_, None) => verb,
                    (_, Some(id)) => StoreVerb::Cas(id),
                },
                flags: client_flags,
                value: request.value,
                lifetime: life(b'T').unwrap_or(Lifetime::ForGood),
            },
        },
    }
}

/// Of `T` and `N` the one given last, which what is new lives by.
fn last_life(request: &MetaRequest<'_>, core: &Core) -> Option<Lifetime> {
    let flags = request.flags.into_iter();
    let times = flags.filter(|flag| matches!(flag.letter, b'T' | b'N'));
    let exptime = times.filter_map(|flag| flag.exptime()).last()?;
    Some(lifetime(exptime, core))
}
