//! `get`, `gets`, `gat`, `gats`.

use super::{
    super::{
        buffers::BufferPool,
        core::Core,
        form::Form,
        replies::{Covers, Part},
        session::{Session, Step},
        several::Shows,
        shown::AnswerOut,
        stats::Counters,
    },
    change::deadline,
};
use crate::{
    protocol::memcache::{Exptime, Keys, reply},
    store::{Absence, EntryRef, ExpireCondition, Key, KeyHash, Operation, ShardStore},
};

pub(super) fn retrieve(session: &mut Session, core: &mut Core, keys: Keys<'_>, cas: bool) -> Step {
    let step = match session.may_read(core) {
        true => session.show_all(core, keys, &Blocks { cas }),
        false => retrieve_each(session, core, keys, cas),
    };
    if step == Step::Done {
        session.reply(core, reply::END);
    }
    step
}

/// Reads one key after the other, as something waits.
fn retrieve_each(session: &mut Session, core: &mut Core, keys: Keys<'_>, cas: bool) -> Step {
    session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        if session.must_wait_for(key) {
            return Step::Hold;
        }
        let counters = core.board.of(core.mesh.shard());
        counters.gets.add(1);
        match core.store.look(key, core.now) {
            Err(absence) => {
                counters.note_absence(absence);
                core.tell_if_expired(key, Some(absence));
            }
            Ok(entry) => {
                entry.mark_used(core.now);
                counters.get_hits.add(1);
                let found = (key.hash, entry);
                show(session, &core.store, &mut core.buffers, found, cas);
            }
        }
        Step::Done
    })
}

/// Shows entries as VALUE blocks, and nothing for what is not there.
pub(super) struct Blocks {
    /// Whether with CAS ids.
    pub(super) cas: bool,
}

impl Shows for Blocks {
    const CLOSE: &[u8] = b"\r\n";

    #[inline]
    fn open(&self, entry: EntryRef<'_>, out: &mut Vec<u8>) {
        open(entry, self.cas, out);
    }

    fn miss(&self, absence: Absence, counters: &Counters, _: &mut Vec<u8>) {
        counters.note_absence(absence);
    }
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
        let step = session.run_at_owner(core, key, &request, Form::Verbatim, |core, session| {
            touch_and_show(core, key, cas, exptime, session);
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
    out: &mut impl AnswerOut,
) {
    core.counters().touches.add(1);
    let entry = match core.store.look(key, core.now) {
        Ok(entry) => entry,
        Err(absence) => {
            core.counters().touch_misses.add(1);
            return core.counters().note_absence(absence);
        }
    };
    show(out, &core.store, &mut core.buffers, (key.hash, entry), cas);
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
    store: &ShardStore,
    buffers: &mut BufferPool,
    found: (KeyHash, EntryRef<'_>),
    (cas, is_single): (bool, bool),
) {
    if is_single || !session.is_deferred() {
        return show(session, store, buffers, found, cas);
    }
    let mut block = buffers.take();
    show(&mut block, store, buffers, found, cas);
    let seq = session.replies.defer(Form::Part, Covers::Nothing, 1);
    session.replies.resolve(seq, Part::Bytes(&block), buffers);
    buffers.put(block);
}

/// Appends an entry's VALUE block.
#[inline]
fn show(
    out: &mut impl AnswerOut,
    store: &ShardStore,
    buffers: &mut BufferPool,
    found: (KeyHash, EntryRef<'_>),
    cas: bool,
) {
    out.show(
        store,
        buffers,
        found,
        |out| open(found.1, cas, out),
        b"\r\n",
    );
}

/// Appends what stands before the value in it.
#[inline]
pub(super) fn open(entry: EntryRef<'_>, cas: bool, out: &mut Vec<u8>) {
    let cas = cas.then(|| entry.cas());
    reply::value_line(out, entry.key(), entry.flags(), entry.value().len(), cas);
}
