//! The memcache front end: requests become reads and operations of the store, or errands to the
//! pool; the protocol itself is `protocol::memcache`'s.

use super::{
    core::{Core, Mutated},
    flush,
    form::Form,
    message::Errand,
    replies::Covers,
    report,
    session::{Served, Session, Step, Stop},
    settings::{LINE_BYTES_MAX, VERSION},
};
use crate::{
    protocol::{
        Parsed,
        memcache::{
            self, Direction, Exptime, Keys, Limits, Refusal, Request, StoreVerb, reply,
        },
    },
    store::{
        Condition, Deadline, ExpireCondition, Expiry, Operation, Outcome, Side, UnixMs,
    },
};

/// Serves one request, if a whole one is there.
pub(super) fn serve_next(session: &mut Session, core: &mut Core, bytes: &[u8]) -> Served {
    let limits =
        Limits { value_bytes_max: core.settings.item_bytes_max, line_bytes_max: LINE_BYTES_MAX };
    match memcache::parse(bytes, &limits) {
        Parsed::Incomplete { want } => Served { consumed: 0, stop: Stop::Starved { want } },
        Parsed::Refused { refusal, consumed } => refuse(session, core, &refusal, consumed),
        Parsed::Complete { request, consumed } => {
            let raw = &bytes[..consumed];
            match execute(session, core, request, raw) {
                Step::Done => Served { consumed, stop: Stop::Starved { want: 0 } },
                Step::Hold => Served { consumed: 0, stop: Stop::Held },
                Step::Close => Served { consumed, stop: Stop::Closing },
            }
        }
    }
}

fn refuse(
    session: &mut Session,
    core: &mut Core,
    refusal: &Refusal<'_>,
    consumed: usize,
) -> Served {
    if let Some(key) = refusal.unlink {
        let key = core.key(key);
        let step = if core.pool.is_some() {
            // Nothing is on the way to the backend: it keeps what it has, as do we.
            Step::Done
        } else {
            let delete = Operation::Delete { wants_old: false };
            session.mutate(core, key, delete, &[], Form::Silent)
        };
        if step == Step::Hold {
            return Served { consumed: 0, stop: Stop::Held };
        }
    }
    session.reply(core, refusal.reply);
    session.swallow = refusal.swallow;
    let stop = if refusal.close { Stop::Closing } else { Stop::Starved { want: 0 } };
    Served { consumed, stop }
}

fn execute(session: &mut Session, core: &mut Core, request: Request<'_>, raw: &[u8]) -> Step {
    match request {
        Request::Retrieve { keys, cas, touch } => match (touch, core.pool.is_some()) {
            (None, false) => retrieve(session, core, keys, cas),
            (Some(exptime), false) => retrieve_and_touch(session, core, keys, cas, exptime),
            (touch, true) => retrieve_from_pool(session, core, keys, cas, touch),
        },
        Request::FlushAll { delay, noreply } => {
            core.counters().flushes.add(1);
            let at = match delay.deadline_ms(core.now.0) {
                memcache::Deadline::At(at) => UnixMs(at),
                _ => core.now,
            };
            let form = if noreply { Form::Silent } else { Form::MemcacheOk };
            flush::flush_all(session, core, at, form, b"flush_all\r\n")
        }
        Request::Version => {
            reply::version(session.ready(&mut core.buffers), VERSION);
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
        Request::Quit => Step::Close,
        change => {
            if core.pool.is_some() {
                change_in_pool(session, core, change, raw)
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
            let cas = cas.then(|| entry.cas());
            let out = session.ready(&mut core.buffers);
            reply::value(out, key.bytes, entry.flags(), entry.value(), cas);
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
    let step = session.for_each_key(core, keys, |session, core, bytes| {
        let key = core.key(bytes);
        let operation = Operation::Expire { deadline, condition: ExpireCondition::Always };
        let form = Form::MemcacheTouched { cas };
        match core.mutate(session.next_origin(), key, operation, &[]) {
            Mutated::Full => return Step::Hold,
            Mutated::Later => {
                session.replies.defer(form, Covers::Key(key.hash), 1);
            }
            Mutated::Now(_) => show_touched(session.ready(&mut core.buffers), core_view!(core), bytes, cas),
        }
        core.counters().touches.add(1);
        Step::Done
    });
    if step == Step::Done {
        session.reply(core, reply::END);
    }
    step
}
