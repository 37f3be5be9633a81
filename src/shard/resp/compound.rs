//! Requests that change several keys in one step: everybody else waits while they run, see
//! [`world`](super::super::world).
//!
//! Each may be held and called again, so each looks first at how far it came.

use super::{
    super::{
        core::Core,
        form::Form,
        session::{Session, Step},
    },
    change::set_operation,
};
use crate::{
    protocol::resp::{CompoundRequest, Rest, SetExpiry, Version, reply},
    store::{Condition, Expiry, Key, Operation, Stamp},
};

/// Executes a request about several keys.
pub(super) fn compound(
    session: &mut Session,
    core: &mut Core,
    request: &CompoundRequest<'_>,
    version: Version,
) -> Step {
    session.compound(core, |session, core| match *request {
        CompoundRequest::Rename { key, newkey, nx } => {
            let (from, to) = (core.key(key), core.key(newkey));
            rename(session, core, from, to, nx, version)
        }
        CompoundRequest::Copy {
            source,
            destination,
            replace,
        } => {
            let (from, to) = (core.key(source), core.key(destination));
            copy_or_answer(session, core, from, to, replace)
        }
        CompoundRequest::MSetNx { pairs } => set_all(session, core, pairs),
    })
}

fn rename(
    session: &mut Session,
    core: &mut Core,
    from: Key<'_>,
    to: Key<'_>,
    nx: bool,
    version: Version,
) -> Step {
    if must_wait(session, from, to) {
        return Step::Hold;
    }
    if session.mark().is_none() {
        let is_there = core.store.peek(from, core.now).is_some();
        let is_taken = core.store.peek(to, core.now).is_some();
        if !is_there {
            session.refuse(core, reply::NO_SUCH_KEY);
            return Step::Done;
        }
        if let Some(line) = match nx {
            true if is_taken => Some(reply::ZERO),
            false if from.bytes == to.bytes => Some(reply::OK),
            _ => None,
        } {
            session.reply(core, line);
            return Step::Done;
        }
        let form = if nx {
            Form::RespChanged
        } else {
            Form::RespStored(version)
        };
        match copy(session, core, from, to, form) {
            Copied::Full => return Step::Hold,
            Copied::Refused => return Step::Done,
            Copied::Begun { before } => session.set_mark(Some(before)),
        }
        if must_wait(session, from, to) {
            return Step::Hold;
        }
    }
    // The new one is there, unless there was no memory for it.
    let cas = core.store.peek(to, core.now).map(|entry| entry.cas());
    let is_copied = cas.is_some() && cas != session.mark();
    if is_copied && session.mutate(core, from, Operation::UNLINK, &[], Form::Silent) == Step::Hold {
        return Step::Hold;
    }
    session.set_mark(None);
    Step::Done
}

fn copy_or_answer(
    session: &mut Session,
    core: &mut Core,
    from: Key<'_>,
    to: Key<'_>,
    replace: bool,
) -> Step {
    if must_wait(session, from, to) {
        return Step::Hold;
    }
    let absence = core.store.look(from, core.now).err();
    let is_taken = !replace && core.store.peek(to, core.now).is_some();
    if is_taken || absence.is_some() {
        session.reply(core, reply::ZERO);
    } else if matches!(
        copy(session, core, from, to, Form::RespChanged),
        Copied::Full
    ) {
        return Step::Hold;
    }
    core.count_read(from, absence);
    Step::Done
}

fn must_wait(session: &Session, from: Key<'_>, to: Key<'_>) -> bool {
    session.must_wait_for(from) || session.must_wait_for(to)
}

/// What became of a copy.
enum Copied {
    /// It is to be tried again.
    Full,
    /// An error is answered.
    Refused,
    /// It is done, or will be, and answered in its form. `before` is the CAS id of what was there.
    Begun { before: u64 },
}

/// Sets `to` to what `from` holds, with its expiry, and answers in `form`.
fn copy(session: &mut Session, core: &mut Core, from: Key<'_>, to: Key<'_>, form: Form) -> Copied {
    let before = core.store.peek(to, core.now).map_or(0, |entry| entry.cas());
    let Some(entry) = core.store.get(from, core.now) else {
        return Copied::Full;
    };
    if !core.store.fits(to.bytes.len(), entry.value().len()) {
        session.reply(core, reply::STRING_TOO_LONG);
        return Copied::Refused;
    }
    let set = Operation::Set {
        flags: entry.flags(),
        expiry: Expiry::Until(entry.deadline()),
        condition: Condition::Always,
        stamp: Stamp {
            is_stale: entry.is_stale(),
            is_won: entry.is_won(),
            ..Stamp::default()
        },
        wants_old: false,
    };
    let value = core.buffers.copy(&[entry.value()]);
    let step = session.mutate(core, to, set, &value, form);
    core.buffers.put(value);
    match core.count_asked(&set, step) {
        Step::Hold => Copied::Full,
        Step::Done | Step::Close => Copied::Begun { before },
    }
}

/// MSETNX.
fn set_all(session: &mut Session, core: &mut Core, pairs: Rest<'_>) -> Step {
    if !session.has_sum() {
        let line = match why_not_set(session, core, pairs) {
            Err(step) => return step,
            Ok(line) => line,
        };
        if let Some(line) = line {
            session.reply(core, line);
            return Step::Done;
        }
    }
    let set = set_operation(SetExpiry::None, Condition::Always, false, core.now);
    let (count, pairs) = (pairs.count() / 2, pairs.pairs());
    let step = session.mutate_all(core, Form::RespAll, count, set, pairs, |pair| pair);
    core.count_asked(&set, step)
}

/// Why none of these is set, if so, as an answer. An error tells that it is not known yet.
fn why_not_set(
    session: &Session,
    core: &Core,
    pairs: Rest<'_>,
) -> Result<Option<&'static [u8]>, Step> {
    let (mut is_taken, mut fit) = (false, true);
    for (key, value) in pairs.pairs() {
        fit &= core.store.fits(key.len(), value.len());
        let key = core.key(key);
        if session.must_wait_for(key) {
            return Err(Step::Hold);
        }
        is_taken = is_taken || core.store.peek(key, core.now).is_some();
    }
    Ok(match (is_taken, fit) {
        (true, _) => Some(reply::ZERO),
        (false, false) => Some(reply::STRING_TOO_LONG),
        (false, true) => None,
    })
}
