//! The memcache front end: requests become reads and operations of the store, or errands to the
//! pool; the protocol itself is `protocol::memcache`'s.

use super::{
    batch::Dialect,
    core::{Core, Mutated},
    flush,
    form::Form,
    memcache_pool,
    replies::Covers,
    report,
    session::{Session, Step},
    settings::{LINE_BYTES_MAX, MEMCACHED_VERSION},
};
use crate::{
    protocol::{
        Parsed,
        memcache::{self, Direction, Exptime, Keys, Limits, Refusal, Request, StoreVerb, reply},
    },
    store::{Condition, Deadline, EntryRef, ExpireCondition, Expiry, Key, Operation, Side, UnixMs},
};

/// memcache's text protocol.
pub(super) struct Memcache;

impl Dialect for Memcache {
    type Request<'b> = Request<'b>;
    type Refusal<'b> = Refusal<'b>;

    fn parse<'b>(
        _: &mut Session,
        core: &Core,
        bytes: &'b [u8],
    ) -> Parsed<Request<'b>, Refusal<'b>> {
        let limits = Limits {
            value_bytes_max: core.settings.item_bytes_max,
            line_bytes_max: LINE_BYTES_MAX,
        };
        memcache::parse(bytes, &limits)
    }

    fn key<'b>(request: &Request<'b>, _: &'b [u8]) -> Option<&'b [u8]> {
        match *request {
            Request::Retrieve { keys, .. } if keys.count() == 1 => keys.first(),
            Request::Store { key, .. }
            | Request::Delete { key, .. }
            | Request::Arithmetic { key, .. }
            | Request::Touch { key, .. } => Some(key),
            _ => None,
        }
    }

    fn execute(session: &mut Session, core: &mut Core, request: Request<'_>, raw: &[u8]) -> Step {
        execute(session, core, request, raw)
    }

    fn refuse(session: &mut Session, core: &mut Core, refusal: &Refusal<'_>) -> Step {
        // In pool mode nothing is on the way to the backend: it keeps what it has, as do we.
        if let (Some(key), None) = (refusal.unlink, &core.pool) {
            let key = core.key(key);
            let delete = Operation::Delete { wants_old: false };
            if session.mutate(core, key, delete, &[], Form::Silent) == Step::Hold {
                return Step::Hold;
            }
        }
        session.reply(core, refusal.reply);
        session.swallow = refusal.swallow;
        if refusal.close {
            Step::Close
        } else {
            Step::Done
        }
    }

    fn rewind(_: &mut Session) {}
}

fn execute(session: &mut Session, core: &mut Core, request: Request<'_>, raw: &[u8]) -> Step {
    match request {
        Request::Retrieve { keys, cas, touch } => match (touch, core.pool.is_some()) {
            (None, false) => retrieve(session, core, keys, cas),
            (Some(exptime), false) => retrieve_and_touch(session, core, keys, cas, exptime),
            (touch, true) => memcache_pool::retrieve(session, core, keys, cas, touch),
        },
        Request::FlushAll { delay, noreply } => {
            let at = match delay.deadline_ms(core.now.0) {
                memcache::Deadline::At(at) => UnixMs(at),
                _ => flush::AT_ONCE,
            };
            let form = if noreply {
                Form::Silent
            } else {
                Form::MemcacheOk
            };
            let mut request = core.buffers.take();
            memcache_pool::encode_with_reply(&mut request, raw);
            let step = flush::flush_all(session, core, at, form, &request);
            core.buffers.put(request);
            step
        }
        Request::Version => {
            reply::version(session.ready(&mut core.buffers), MEMCACHED_VERSION);
            Step::Done
        }
        Request::Verbosity { noreply } => {
            if !noreply {
                session.reply(core, reply::OK);
            }
            Step::Done
        }
        Request::Stats { argument } => {
            report::memcache_stats(session, core, argument);
            Step::Done
        }
        Request::MetaNoOp => {
            session.reply(core, reply::META_NO_OP);
            Step::Done
        }
        Request::Quit => Step::Close,
        change => {
            if core.pool.is_some() {
                memcache_pool::change(session, core, change, raw)
            } else {
                change_in_store(session, core, change)
            }
        }
    }
}

fn retrieve(session: &mut Session, core: &mut Core, keys: Keys<'_>, cas: bool) -> Step {
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

fn retrieve_and_touch(
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
pub(super) fn show(entry: EntryRef<'_>, cas: bool, out: &mut Vec<u8>) {
    let cas = cas.then(|| entry.cas());
    reply::value(out, entry.key(), entry.flags(), entry.value(), cas);
}

fn change_in_store(session: &mut Session, core: &mut Core, request: Request<'_>) -> Step {
    let Some(change) = Change::of(request, core) else {
        return Step::Done;
    };
    let Change {
        key,
        operation,
        value,
        form,
        ..
    } = change;
    let key = core.key(key);
    session.mutate(core, key, operation, value, form)
}

/// A request that changes one key.
pub(super) struct Change<'b> {
    pub(super) key: &'b [u8],
    operation: Operation,
    value: &'b [u8],
    /// The reply's form.
    pub(super) form: Form,
    /// The same without regard to `noreply`.
    pub(super) form_if_heard: Form,
    /// The value as a whole is written or removed, whatever it was.
    pub(super) is_whole: bool,
}

impl<'b> Change<'b> {
    pub(super) fn of(request: Request<'b>, core: &Core) -> Option<Self> {
        let (now, counters) = (core.now, core.counters());
        let (key, operation, value, form, noreply, is_whole) = match request {
            Request::Store {
                verb,
                key,
                flags,
                exptime,
                value,
                noreply,
            } => {
                counters.sets.add(1);
                let until = Expiry::Until(deadline(exptime, now));
                let operation = store_operation(verb, flags, until);
                let is_whole = matches!(verb, StoreVerb::Set | StoreVerb::Add | StoreVerb::Replace);
                (
                    key,
                    operation,
                    value,
                    Form::MemcacheStore,
                    noreply,
                    is_whole,
                )
            }
            Request::Delete { key, noreply } => {
                counters.deletes.add(1);
                let operation = Operation::Delete { wants_old: false };
                (
                    key,
                    operation,
                    &b""[..],
                    Form::MemcacheDelete,
                    noreply,
                    true,
                )
            }
            Request::Arithmetic {
                key,
                direction,
                delta,
                noreply,
            } => {
                counters.counts.add(1);
                let down = direction == Direction::Decr;
                let operation = Operation::CountUnsigned { delta, down };
                (
                    key,
                    operation,
                    &b""[..],
                    Form::MemcacheCount,
                    noreply,
                    false,
                )
            }
            Request::Touch {
                key,
                exptime,
                noreply,
            } => {
                counters.touches.add(1);
                let deadline = deadline(exptime, now);
                let operation = Operation::Expire {
                    deadline,
                    condition: ExpireCondition::Always,
                };
                (
                    key,
                    operation,
                    &b""[..],
                    Form::MemcacheTouch,
                    noreply,
                    false,
                )
            }
            _ => return None,
        };
        let heard = if noreply { Form::Silent } else { form };
        Some(Self {
            key,
            operation,
            value,
            form: heard,
            form_if_heard: form,
            is_whole,
        })
    }
}

fn store_operation(verb: StoreVerb, flags: u32, expiry: Expiry) -> Operation {
    let condition = match verb {
        StoreVerb::Set => Condition::Always,
        StoreVerb::Add => Condition::Absent,
        StoreVerb::Replace => Condition::Present,
        StoreVerb::Cas(version) => Condition::Version(version),
        StoreVerb::Append => {
            return Operation::Concat {
                side: Side::Back,
                creates: false,
            };
        }
        StoreVerb::Prepend => {
            return Operation::Concat {
                side: Side::Front,
                creates: false,
            };
        }
    };
    Operation::Set {
        flags,
        expiry,
        condition,
        wants_old: false,
    }
}

fn deadline(exptime: Exptime, now: UnixMs) -> Deadline {
    match exptime.deadline_ms(now.0) {
        memcache::Deadline::Never => Deadline::NEVER,
        memcache::Deadline::Past => Deadline::PAST,
        memcache::Deadline::At(at) => Deadline::at(UnixMs(at)),
    }
}
