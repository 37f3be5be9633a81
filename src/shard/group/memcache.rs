//! memcache clients of a group: text and meta commands.

use super::{NO_FLAGS, UNCHANGEABLE, changes::Edit};
use crate::{
    protocol::memcache::{
        Deadline, Keys, Request, StoreVerb,
        meta::{KeyRoom, MetaRequest, MetaVerb},
        reply,
    },
    shard::{
        core::Core,
        form::Form,
        memcache::{answer_meta, ends_early, show_in_turn},
        pool::{memcache::end_group, over_resp},
        session::{Session, Step},
    },
    store::{Absence, Key},
};

/// Executes what is another thing in a group than in a store of one's own.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
) -> Option<Step> {
    match *request {
        Request::Retrieve {
            keys,
            cas,
            touch: None,
        } => Some(retrieve(session, core, keys, cas)),
        Request::Store {
            verb: StoreVerb::Set,
            flags,
            noreply,
            ..
        } if flags != 0 && !core.keeps_group_flags() => {
            Some(refuse(session, core, NO_FLAGS, noreply))
        }
        Request::Store {
            verb: StoreVerb::Set,
            ..
        }
        | Request::Delete { .. } => change(session, core, request),
        Request::Store { noreply, .. }
        | Request::Arithmetic { noreply, .. }
        | Request::Touch { noreply, .. } => Some(refuse(session, core, UNCHANGEABLE, noreply)),
        Request::Retrieve { touch: Some(_), .. } => {
            Some(refuse(session, core, UNCHANGEABLE, false))
        }
        Request::Meta(ref request) => meta(session, core, request),
        _ => None,
    }
}

fn refuse(session: &mut Session, core: &mut Core, text: &str, is_silent: bool) -> Step {
    if !is_silent {
        for part in ["SERVER_ERROR ", text, "\r\n"] {
            session.reply(core, part.as_bytes());
        }
    }
    Step::Done
}

/// Keys that are here are answered at once, the others once they are loaded, in the order asked.
fn retrieve(session: &mut Session, core: &mut Core, keys: Keys<'_>, cas: bool) -> Step {
    let is_single = keys.count() == 1;
    let step = session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        if session.must_wait_for(key) {
            return Step::Hold;
        }
        let absence = match show_if_here(session, core, key, cas, is_single) {
            Ok(()) => return Step::Done,
            Err(absence) => absence,
        };
        let wanted = match is_single {
            true => over_resp::ReplyWanted::Retrieval { cas },
            false => over_resp::ReplyWanted::Part { cas },
        };
        let form = Form::OverResp(wanted);
        let step = session.load(core, (key, absence), form, key.bytes);
        if step == Step::Done {
            session.set_deferred();
        }
        step
    });
    if step == Step::Done {
        end_group(session, core, is_single);
    }
    step
}

/// Shows the value of a key if it is here; else says why it is not.
fn show_if_here(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
    cas: bool,
    is_single: bool,
) -> Result<(), Absence> {
    let counters = core.board.of(core.mesh.shard());
    let entry = core.store.look(key, core.now)?;
    entry.mark_used(core.now);
    counters.gets.add(1);
    counters.get_hits.add(1);
    let found = (key.hash, entry);
    let how = (cas, is_single);
    show_in_turn(session, &core.store, &mut core.buffers, found, how);
    let deadline = entry.deadline();
    core.note_end(key, deadline);
    Ok(())
}

/// Meta commands: one that tells of a value loads it, so nobody has to make room for one (`N`) or
/// renews one that ends soon (`R`), as the group then does; one that sets or deletes without a condition does so; no other is possible.
fn meta(session: &mut Session, core: &mut Core, request: &MetaRequest<'_>) -> Option<Step> {
    let flags = request.flags;
    let is_plain = match request.verb {
        MetaVerb::Get => !flags.has_any(b"ET"),
        MetaVerb::Set => request.store_verb() == StoreVerb::Set && !flags.has_any(b"CEI"),
        MetaVerb::Delete => !flags.has_any(b"CEIx"),
        MetaVerb::Arithmetic => false,
        MetaVerb::Debug => return None,
    };
    if !is_plain {
        return Some(refuse(session, core, UNCHANGEABLE, false));
    }
    let has_flags = flags.number(b'F').is_some_and(|bits| bits != 0);
    if request.verb == MetaVerb::Set && has_flags && !core.keeps_group_flags() {
        return Some(refuse(session, core, NO_FLAGS, false));
    }
    match request.verb {
        MetaVerb::Get => Some(meta_get(session, core, request)),
        _ => change_by_meta(session, core, request),
    }
}

/// A set or delete that other peers have to hear of.
fn change(session: &mut Session, core: &mut Core, request: &Request<'_>) -> Option<Step> {
    let (key, edit, wanted, noreply) = match *request {
        Request::Store {
            key,
            flags,
            exptime,
            value,
            noreply,
            ..
        } => {
            let end = || exptime.deadline_ms(core.now.0);
            let set = core.set_of_peers(key, (flags, value), end)?;
            (key, set, over_resp::ReplyWanted::Set, noreply)
        }
        Request::Delete { key, noreply } => {
            let delete = core.delete_of_peers()?;
            (key, delete, over_resp::ReplyWanted::Delete, noreply)
        }
        _ => return None,
    };
    let form = match noreply {
        true => Form::Silent,
        false => Form::OverResp(wanted),
    };
    let key = core.key(key);
    match edit {
        Edit::Unlink => Some(refuse_large(session, core, key, noreply)),
        edit => Some(session.change(core, key, edit, form, &[])),
    }
}

/// Refuses a value that is too large for all peers, which forget the one of before, as memcached does.
fn refuse_large(session: &mut Session, core: &mut Core, key: Key<'_>, noreply: bool) -> Step {
    let step = session.refuse_too_large(core, Some(key));
    if step == Step::Done && !noreply {
        session.reply(core, reply::TOO_LARGE);
    }
    step
}

/// A change, asked for by a meta command.
fn change_by_meta(
    session: &mut Session,
    core: &mut Core,
    request: &MetaRequest<'_>,
) -> Option<Step> {
    let mut room = KeyRoom::new();
    let key = core.key(request.key.bytes(&mut room));
    let (edit, asked) = match request.verb {
        MetaVerb::Set => {
            let lifetime = || {
                let exptime = request.flags.exptime(b'T');
                exptime.map_or(Deadline::Never, |exptime| exptime.deadline_ms(core.now.0))
            };
            let flags = request.flags.number(b'F').unwrap_or(0);
            let flags = u32::try_from(flags).unwrap_or(0);
            let set = core.set_of_peers(key.bytes, (flags, request.value), lifetime)?;
            if let Edit::Unlink = set {
                return Some(refuse_large(session, core, key, false));
            }
            let asked = over_resp::Asked::Stored {
                wanted: over_resp::ReplyWanted::Set,
                cas: over_resp::cas_of(flags, request.value),
                value_bytes: request.value.len(),
            };
            (set, asked)
        }
        _ => {
            let asked = over_resp::Asked::Deleted(over_resp::ReplyWanted::Delete);
            (core.delete_of_peers()?, asked)
        }
    };
    let form = Form::OverRespMeta {
        verb: request.verb,
        is_quiet: request.is_quiet(),
        asked,
    };
    let without_value = MetaRequest {
        value: b"",
        ..*request
    };
    let mut line = core.buffers.take();
    without_value.encode_heard(&mut line);
    let step = session.change(core, key, edit, form, &line);
    core.buffers.put(line);
    Some(step)
}

fn meta_get(session: &mut Session, core: &mut Core, request: &MetaRequest<'_>) -> Step {
    let mut room = KeyRoom::new();
    let key = core.key(request.key.bytes(&mut room));
    if session.must_wait_for(key) {
        return Step::Hold;
    }
    let absence = match core.store.look(key, core.now) {
        Ok(entry) => {
            let deadline = entry.deadline();
            answer_meta(session, core, key, request);
            match ends_early(deadline, request.flags, core.now) {
                true => core.refresh(key),
                false => core.note_end(key, deadline),
            }
            return Step::Done;
        }
        Err(absence) => absence,
    };
    let form = Form::OverRespMeta {
        verb: request.verb,
        is_quiet: request.is_quiet(),
        asked: over_resp::Asked::Look,
    };
    let mut line = core.buffers.take();
    request.encode_heard(&mut line);
    let step = session.load(core, (key, absence), form, &line);
    core.buffers.put(line);
    step
}
