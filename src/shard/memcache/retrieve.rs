//! `get`, `gets`, `gat`, `gats`.

use super::{
    super::{
        core::{Core, Mutated},
        form::Form,
        replies::Covers,
        session::{Session, Step},
    },
    change::deadline,
};
use crate::{
    protocol::memcache::{Exptime, Keys, reply},
    store::{Deadline, EntryRef, ExpireCondition, Key, Operation},
};

pub(super) fn retrieve(session: &mut Session, core: &mut Core, keys: Keys<'_>, cas: bool) -> Step {
    let step = session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        if session.must_wait_for(key) {
            return Step::Hold;
        }
        core.counters().gets.add(1);
        if let Some(entry) = core.store.get(key, core.now) {
            core.board.of(core.mesh.shard()).get_hits.add(1);
            show(entry, cas, session.replies.ready(&mut core.buffers));
        }
        Step::Done
    });
    if step == Step::Done {
        session.reply(core, reply::END);
    }
    step
}

pub(super) fn retrieve_and_touch(
    session: &mut Session,
    core: &mut Core,
    keys: Keys<'_>,
    cas: bool,
    exptime: Exptime,
) -> Step {
    let deadline = deadline(exptime, core.now);
    let operation = Operation::Expire {
        deadline,
        condition: ExpireCondition::Always,
    };
    let step = session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        if deadline == Deadline::PAST {
            return retrieve_and_expire(session, core, key, cas, operation);
        }
        match core.mutate(session.next_origin(), key, operation, &[]) {
            Mutated::Full => return Step::Hold,
            Mutated::Later => {
                let form = Form::MemcacheTouched { cas };
                session.replies.defer(form, Covers::Key(key.hash), 1);
            }
            Mutated::Now(_) => {
                let out = session.replies.ready(&mut core.buffers);
                if let Some(entry) = core.store.get(key, core.now) {
                    show(entry, cas, out);
                }
            }
        }
        core.counters().touches.add(1);
        Step::Done
    });
    if step == Step::Done {
        session.reply(core, reply::END);
    }
    step
}

/// A time in the past shows the entry a last time, so it is read before it goes.
fn retrieve_and_expire(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
    cas: bool,
    operation: Operation,
) -> Step {
    if session.must_wait_for(key) {
        return Step::Hold;
    }
    let mut block = core.buffers.take();
    if let Some(entry) = core.store.get(key, core.now) {
        show(entry, cas, &mut block);
    }
    let mutated = core.mutate(session.next_origin(), key, operation, &[]);
    if !matches!(mutated, Mutated::Full) {
        session.reply(core, &block);
    }
    core.buffers.put(block);
    match mutated {
        Mutated::Full => return Step::Hold,
        Mutated::Later => {
            session
                .replies
                .defer(Form::Silent, Covers::Key(key.hash), 1);
        }
        Mutated::Now(_) => {}
    }
    core.counters().touches.add(1);
    Step::Done
}

/// Appends an entry's VALUE block.
pub(in crate::shard) fn show(entry: EntryRef<'_>, cas: bool, out: &mut Vec<u8>) {
    let cas = cas.then(|| entry.cas());
    reply::value(out, entry.key(), entry.flags(), entry.value(), cas);
}
