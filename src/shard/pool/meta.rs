//! memcache's meta commands in pool mode: each goes to its key's server as it came.
//!
//! A key in base64 goes to the server, and has the L1 copy, of what it stands for, so that classic
//! commands and meta commands meet. The L1 answers no meta command: whether the item is stale, or
//! being renewed, only the server knows.

use crate::shard::{
    core::Core,
    form::Form,
    message::{AnswerBody, Errand},
    pool::{
        KnowsMeta, at_once,
        failure::{NO_META, UNAVAILABLE},
    },
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    protocol::memcache::{
        Spelling, StoreVerb,
        meta::{KeyRoom, MetaRequest, MetaVerb},
    },
    store::Key,
};

/// Has a request, whose bytes are `raw`, done by its key's server.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &MetaRequest<'_>,
    raw: &[u8],
) -> Step {
    let mut room = KeyRoom::new();
    let key = core.key(request.key.bytes(&mut room));
    // Queued writes are sent in the classic way, which not every key allows.
    let is_text = Spelling::of(key.bytes) == Some(Spelling::Text);
    if is_text && let Some(step) = at_once::meta(session, core, request, key) {
        return step;
    }
    if request.verb == MetaVerb::Set {
        match knows_meta(core, key) {
            KnowsMeta::Yes => {}
            KnowsMeta::Asked => return Step::Hold,
            KnowsMeta::No => return refuse(session, core, NO_META),
            KnowsMeta::Away => return refuse(session, core, UNAVAILABLE),
        }
    }
    let mut wire = core.buffers.take();
    if request.is_quiet() {
        request.encode_heard(&mut wire);
    }
    let sent = if wire.is_empty() { raw } else { &wire };
    let step = session.run_errand(core, key, errand(request), sent, form(request));
    core.buffers.put(wire);
    if step == Step::Done {
        count(core, request.verb);
    }
    step
}

/// Whether the key's server knows meta commands. One that does not would take a data block for
/// requests, so it is asked before the first.
fn knows_meta(core: &mut Core, key: Key<'_>) -> KnowsMeta {
    let now = core.now;
    let pool = core.pool.as_mut();
    pool.map_or(KnowsMeta::No, |pool| pool.knows_meta(key, now))
}

fn refuse(session: &mut Session, core: &mut Core, text: &str) -> Step {
    if let AnswerBody::Replied { bytes, .. } = core.failure(text) {
        session.reply(core, &bytes);
        core.buffers.put(bytes);
    }
    Step::Done
}

pub(super) fn form(request: &MetaRequest<'_>) -> Form {
    match request.is_quiet() {
        true => Form::MetaQuiet(request.verb),
        false => Form::Verbatim,
    }
}

fn errand(request: &MetaRequest<'_>) -> Errand {
    match request.verb {
        MetaVerb::Get if !request.flags.has_any(b"NTR") => Errand::Read(Expects::Meta),
        MetaVerb::Debug => Errand::Read(Expects::Line),
        _ => Errand::Write(Expects::Meta),
    }
}

/// Whether the value as a whole is written or removed, whatever it was, and nothing of it is to be
/// told.
pub(super) fn is_whole(request: &MetaRequest<'_>) -> bool {
    match request.verb {
        MetaVerb::Set => {
            let verb = request.store_verb();
            let joins = matches!(verb, StoreVerb::Append | StoreVerb::Prepend);
            !joins && !request.flags.has_any(b"CEIcs")
        }
        MetaVerb::Delete => !request.flags.has_any(b"CEIx"),
        _ => false,
    }
}

pub(super) fn count(core: &Core, verb: MetaVerb) {
    let counters = core.counters();
    match verb {
        MetaVerb::Get => {}
        MetaVerb::Set => counters.sets.add(1),
        MetaVerb::Delete => counters.deletes.add(1),
        MetaVerb::Arithmetic => counters.counts.add(1),
        MetaVerb::Debug => counters.metas.add(1),
    }
}
