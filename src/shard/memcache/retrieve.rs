//! `get`, `gets`, `gat`, `gats`.

use super::{
    super::{
        buffers::BufferPool,
        core::Core,
        form::Form,
        replies::{Covers, Part},
        session::{Session, Step},
        settings::LAID_IN_BYTES_MIN,
    },
    change::deadline,
};
use crate::{
    protocol::memcache::{Exptime, Keys, reply},
    store::{Absence, EntryRef, ExpireCondition, Key, Operation, PinnedValue},
};

pub(super) fn retrieve(session: &mut Session, core: &mut Core, keys: Keys<'_>, cas: bool) -> Step {
    let step = session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        if session.must_wait_for(key) {
            return Step::Hold;
        }
        let counters = core.board.of(core.mesh.shard());
        counters.gets.add(1);
        match core.store.look(key, core.now) {
            Err(absence) => {
                counters.note_absence(absence);
                if absence == Absence::Expired {
                    core.found_expired(key);
                }
            }
            Ok(entry) => {
                entry.mark_used(core.now);
                counters.get_hits.add(1);
                if entry.value().len() < LAID_IN_BYTES_MIN {
                    show(entry, cas, session.replies.ready(&mut core.buffers));
                } else {
                    let pinned = core.store.pin(key.hash, entry);
                    show_large(session, &mut core.buffers, entry, cas, pinned);
                }
            }
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
    let step = session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        let mut request = core.buffers.take();
        reply::encode_get_and_touch(&mut request, bytes, cas, exptime);
        let step = session.run_at_owner(core, key, &request, Form::Verbatim, |core, out| {
            touch_and_show(core, key, cas, exptime, out);
        });
        core.buffers.put(request);
        step
    });
    if step == Step::Done {
        session.reply(core, reply::END);
    }
    step
}

/// `gat` and `gats` of one key of this shard. A time in the past shows the entry a last time.
pub(super) fn touch_and_show(
    core: &mut Core,
    key: Key<'_>,
    cas: bool,
    exptime: Exptime,
    out: &mut Vec<u8>,
) {
    core.counters().touches.add(1);
    let entry = match core.store.look(key, core.now) {
        Ok(entry) => entry,
        Err(absence) => {
            core.counters().touch_misses.add(1);
            return core.counters().note_absence(absence);
        }
    };
    show(entry, cas, out);
    let expire = Operation::Expire {
        deadline: deadline(exptime, core.now),
        condition: ExpireCondition::Always,
    };
    core.apply(key, expire, &[]);
}

/// Shows an entry of a `get`: at once, or behind an earlier key that waits and may fail, whose fate it
/// then shares.
pub(in crate::shard) fn show_in_turn(
    session: &mut Session,
    buffers: &mut BufferPool,
    entry: EntryRef<'_>,
    cas: bool,
    is_single: bool,
) {
    if is_single || !session.is_deferred() {
        return show(entry, cas, session.ready_for(entry, buffers));
    }
    let mut block = buffers.take();
    show(entry, cas, &mut block);
    let seq = session.replies.defer(Form::Part, Covers::Nothing, 1);
    session.replies.resolve(seq, Part::Bytes(&block), buffers);
    buffers.put(block);
}

/// Appends the VALUE block of an entry whose value is sent from where it lies, if it can be.
fn show_large(
    session: &mut Session,
    buffers: &mut BufferPool,
    entry: EntryRef<'_>,
    cas: bool,
    pinned: Option<PinnedValue>,
) {
    let cas = cas.then(|| entry.cas());
    let value = entry.value();
    let out = session.replies.ready(buffers);
    reply::value_line(out, entry.key(), entry.flags(), value.len(), cas);
    session.append_value(value, pinned, buffers);
    session.replies.ready(buffers).extend_from_slice(b"\r\n");
}

/// Appends an entry's VALUE block.
pub(super) fn show(entry: EntryRef<'_>, cas: bool, out: &mut Vec<u8>) {
    let cas = cas.then(|| entry.cas());
    reply::value(out, entry.key(), entry.flags(), entry.value(), cas);
}
