//! memcache in pool mode: each key's request goes to the server that the ring chooses.

use super::at_once;
use crate::shard::{
    core::Core,
    form::Form,
    memcache::{Change, show_in_turn},
    message::Errand,
    replies::{Covers, Part},
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    protocol::memcache::{Exptime, Keys, Request, reply},
    store::Key,
};

/// Keys that the L1 has are answered at once, the others by their backends, in the order asked.
pub(in crate::shard) fn retrieve(
    session: &mut Session,
    core: &mut Core,
    keys: Keys<'_>,
    cas: bool,
    touch: Option<Exptime>,
) -> Step {
    let is_plain = !cas && touch.is_none();
    each_key(
        session,
        core,
        keys,
        is_plain,
        |session, core, key, is_single| {
            let errand = match (touch, cas) {
                (Some(_), _) => Errand::Write(Expects::Retrieval),
                (None, true) => Errand::Read(Expects::Retrieval),
                // Who shares a fetch of such a key may be answered by meta's words.
                (None, false) if !core.is_text(key) => Errand::Read(Expects::Retrieval),
                (None, false) => Errand::Fetch,
            };
            let form = if is_single {
                Form::Retrieval
            } else {
                Form::Part
            };
            let mut request = core.buffers.take();
            if errand != Errand::Fetch {
                encode_retrieval(&mut request, key.bytes, cas, touch);
            }
            let step = session.run_errand(core, key, errand, &request, form);
            core.buffers.put(request);
            step
        },
    )
}

/// Answers each key of a retrieval from the L1 if it may, or else has `ask` ask its backend.
pub(super) fn each_key(
    session: &mut Session,
    core: &mut Core,
    keys: Keys<'_>,
    is_plain: bool,
    mut ask: impl FnMut(&mut Session, &mut Core, Key<'_>, bool) -> Step,
) -> Step {
    let is_single = keys.count() == 1;
    let step = session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        let looks_up = is_plain && core.has_l1();
        if looks_up {
            if session.must_wait_for(key) {
                return Step::Hold;
            }
            if answer_from_l1(session, core, key, is_single) {
                return Step::Done;
            }
        }
        let step = ask(session, core, key, is_single);
        if step == Step::Done {
            session.set_deferred();
        }
        core.count_l1_miss(looks_up, step)
    });
    if step == Step::Done {
        end_group(session, core, is_single);
    }
    step
}

/// Answers a key from the L1, if it is there. If not, it is counted once its server is asked.
fn answer_from_l1(session: &mut Session, core: &mut Core, key: Key<'_>, is_single: bool) -> bool {
    let Some(entry) = core.store.get(key, core.now) else {
        return false;
    };
    if !core.vouches_for(&entry) {
        return false;
    }
    core.count_l1_hit();
    let found = (key.hash, entry);
    let how = (false, is_single);
    show_in_turn(session, &core.store, &mut core.buffers, found, how);
    true
}

/// Ends a retrieval. What a single key's backend sent ends itself.
pub(in crate::shard) fn end_group(session: &mut Session, core: &mut Core, is_single: bool) {
    match (session.take_deferred(), is_single) {
        (false, _) => session.reply(core, reply::END),
        (true, true) => {}
        (true, false) => {
            let seq = session.replies.defer(Form::GroupEnd, Covers::Nothing, 1);
            session
                .replies
                .resolve(seq, Part::Bytes(reply::END), &mut core.buffers);
        }
    }
}

fn encode_retrieval(out: &mut Vec<u8>, key: &[u8], cas: bool, touch: Option<Exptime>) {
    let verb: &[u8] = match (touch, cas) {
        (None, false) => b"get ",
        (None, true) => b"gets ",
        (Some(_), false) => b"gat ",
        (Some(_), true) => b"gats ",
    };
    out.extend_from_slice(verb);
    if let Some(Exptime(exptime)) = touch {
        out.extend_from_slice(itoa::Buffer::new().format(exptime).as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(key);
    out.extend_from_slice(b"\r\n");
}

pub(in crate::shard) fn change(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    raw: &[u8],
) -> Step {
    let change = Change::of(request, core.now);
    let step = ask(session, core, &change, request, raw);
    core.count_asked(&change.operation, step)
}

fn ask(
    session: &mut Session,
    core: &mut Core,
    change: &Change<'_>,
    request: &Request<'_>,
    raw: &[u8],
) -> Step {
    if let Some(step) = at_once::classic(session, core, change, request) {
        return step;
    }
    let key = core.key(change.key);
    let form = if change.form == Form::Silent {
        Form::Silent
    } else {
        Form::Verbatim
    };
    let errand = Errand::Write(Expects::Line);
    if form == Form::Verbatim {
        return session.run_errand(core, key, errand, raw, form);
    }
    let mut request = core.buffers.take();
    encode_with_reply(&mut request, raw);
    let step = session.run_errand(core, key, errand, &request, form);
    core.buffers.put(request);
    step
}

/// The request without its `noreply`: a backend that stays silent could not be told from one
/// that is slow, and what it may complain about would be taken for another request's reply.
pub(in crate::shard) fn encode_with_reply(out: &mut Vec<u8>, raw: &[u8]) {
    const NOREPLY: &[u8] = b"noreply";
    let line_end = memchr::memchr(b'\n', raw).map_or(raw.len(), |newline| newline + 1);
    let (line, data) = raw.split_at(line_end);
    let words = line.trim_ascii_end();
    out.extend_from_slice(
        words
            .strip_suffix(NOREPLY)
            .unwrap_or(words)
            .trim_ascii_end(),
    );
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
}
