//! The memcache front end: requests become reads and operations of the store, or errands to the
//! pool; the protocol itself is `protocol::memcache`'s.

mod binary;
mod change;
mod meta;
mod multiget;
mod retrieve;
mod stats;

pub(super) use self::{
    binary::{Binary, run as run_binary},
    change::Change,
    meta::{answer_here as answer_meta, deadline_of, ends_early, seconds_left},
    retrieve::show_in_turn,
    stats::finish_conns,
};
use self::{
    change::{change_in_store, deadline},
    retrieve::{retrieve, retrieve_and_touch, touch_and_show},
};
use super::{
    batch::Dialect,
    core::Core,
    flush,
    form::Form,
    group,
    plain::{self, Plain, PlainHead, PlainRequests, PlainWrite, ServedCounts},
    pool::{memcache as memcache_pool, meta as meta_pool, over_resp},
    session::{Session, Step},
    settings::{LINE_BYTES_MAX, MEMCACHED_VERSION},
    stats::Counters,
};
use crate::{
    config::Protocol,
    protocol::{
        Parsed,
        memcache::{
            self, Limits, Refusal, Request, SetLine, ShutdownMode,
            meta::{KeyRoom, MetaRequest},
            reply,
        },
    },
    store::{Absence, EntryRef, UnixMs},
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
        memcache::parse(bytes, &limits(core))
    }

    fn serve_plain(session: &mut Session, core: &mut Core, bytes: &[u8]) -> usize {
        let mut done = 0;
        loop {
            done += plain::serve::<Self>(session, core, &bytes[done..]);
            match multiget::serve(session, core, &bytes[done..]) {
                0 => return done,
                consumed => done += consumed,
            }
        }
    }

    fn key<'b>(request: &Request<'b>, _: &'b [u8]) -> Option<&'b [u8]> {
        match *request {
            Request::Retrieve { keys, .. } if keys.count() == 1 => keys.first(),
            Request::Store { key, .. }
            | Request::Delete { key, .. }
            | Request::Arithmetic { key, .. }
            | Request::Touch { key, .. } => Some(key),
            Request::Meta(MetaRequest { key, .. }) => key.as_plain(),
            _ => None,
        }
    }

    fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, raw: &[u8]) -> Step {
        execute(session, core, request, raw)
    }

    fn is_held_back(core: &Core, request: &Request<'_>) -> bool {
        core.pause.holds(request.is_write())
    }

    fn refuse(session: &mut Session, core: &mut Core, refusal: &Refusal<'_>) -> Step {
        if refusal.is_too_large {
            let mut room = KeyRoom::new();
            // In pool mode nothing is on the way to the backend: it keeps what it has, as do we.
            let unlinked = refusal.unlink.filter(|_| core.pool.is_none());
            let unlinked = unlinked.map(|key| core.key(key.bytes(&mut room)));
            if session.refuse_too_large(core, unlinked) == Step::Hold {
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

    fn rewind(_: &mut Session, _: &Request<'_>) {}
}

impl PlainRequests for Memcache {
    type Voice = ();

    const CLOSE: &[u8] = b"\r\nEND\r\n";

    #[inline(always)]
    fn find_read(bytes: &[u8]) -> Option<(&[u8], usize)> {
        memcache::plain_get(bytes)
    }

    #[inline]
    fn find(bytes: &[u8], now: UnixMs) -> Option<(Plain<'_>, usize)> {
        if let Some((key, end)) = Self::find_read(bytes) {
            return Some((Plain { key, write: None }, end));
        }
        let (set, end) = memcache::plain_set(bytes)?;
        let write = PlainWrite {
            value: set.value,
            flags: set.flags,
            deadline: deadline(set.exptime, now),
        };
        let (key, write) = (set.key, Some(write));
        Some((Plain { key, write }, end))
    }

    fn find_head(bytes: &[u8], now: UnixMs) -> Option<PlainHead<'_>> {
        let SetLine { set, start, length } = memcache::set_line(bytes)?;
        Some(PlainHead {
            key: set.key,
            write: PlainWrite {
                value: set.value,
                flags: set.flags,
                deadline: deadline(set.exptime, now),
            },
            start,
            value_bytes: length,
        })
    }

    fn restart(_: &mut Session) {}

    #[inline]
    fn voice(_: &Session) -> Option<()> {
        Some(())
    }

    #[inline]
    fn allowed(_: &Core, count: usize) -> usize {
        count
    }

    #[inline]
    fn open(entry: EntryRef<'_>, out: &mut Vec<u8>) {
        retrieve::open(entry, false, out);
    }

    fn miss(absence: Absence, (): (), counters: &Counters, out: &mut Vec<u8>) {
        counters.note_absence(absence);
        out.extend_from_slice(reply::END);
    }

    #[inline]
    fn asked((): ()) -> Form {
        Form::Retrieval
    }

    #[inline]
    fn written((): ()) -> Form {
        Form::MemcacheStore
    }

    #[inline]
    fn note_write(_: &mut Session) {}

    #[inline]
    fn note_served(_: &mut Session, _: &mut Core, _: ServedCounts) {}
}

fn limits(core: &Core) -> Limits {
    Limits {
        value_bytes_max: core.settings.item_bytes_max,
        line_bytes_max: LINE_BYTES_MAX,
    }
}

/// Executes a request about one key of this shard, see [`run`](super::run).
pub(super) fn run(core: &mut Core, request: &[u8], out: &mut Vec<u8>) {
    let Parsed::Complete { request, .. } = memcache::parse(request, &limits(core)) else {
        unreachable!("the client's shard has parsed it, within the same limits");
    };
    match request {
        Request::Retrieve {
            keys,
            cas,
            touch: Some(exptime),
        } => keys.into_iter().for_each(|key| {
            let key = core.key(key);
            touch_and_show(core, key, cas, exptime, out);
            core.tell_if_gone(key);
        }),
        Request::Meta(request) => meta::run(core, &request, out),
        other => unreachable!("it travels as an operation: {other:?}"),
    }
}

fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, raw: &[u8]) -> Step {
    if core.is_group()
        && let Some(step) = group::execute_memcache(session, core, request)
    {
        return step;
    }
    match *request {
        Request::Retrieve { keys, cas, touch } => match (touch, core.backend_protocol()) {
            (None, None) => retrieve(session, core, keys, cas),
            (Some(exptime), None) => retrieve_and_touch(session, core, keys, cas, exptime),
            (touch, Some(Protocol::Memcache)) => {
                memcache_pool::retrieve(session, core, keys, cas, touch)
            }
            (touch, Some(Protocol::Resp)) => over_resp::retrieve(session, core, keys, cas, touch),
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
            if core.backend_protocol() == Some(Protocol::Resp) {
                return over_resp::flush_all(session, core, delay, form);
            }
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
        Request::Stats { argument, option } => stats::stats(session, core, argument, option),
        Request::MetaNoOp => {
            session.reply(core, reply::META_NO_OP);
            Step::Done
        }
        Request::Shutdown { mode } => shut_down(session, core, mode),
        Request::Meta(ref request) => match core.backend_protocol() {
            None => meta::execute(session, core, request, raw),
            Some(Protocol::Memcache) => meta_pool::execute(session, core, request, raw),
            Some(Protocol::Resp) => over_resp::execute_meta(session, core, request),
        },
        Request::Quit => Step::Close,
        Request::Store { .. }
        | Request::Delete { .. }
        | Request::Arithmetic { .. }
        | Request::Touch { .. } => match core.backend_protocol() {
            None => change_in_store(session, core, request),
            Some(Protocol::Memcache) => memcache_pool::change(session, core, request, raw),
            Some(Protocol::Resp) => over_resp::change(session, core, request),
        },
    }
}

/// Ends the process, where that is allowed; both ways are graceful. Nothing is answered: the
/// connection closes.
fn shut_down(session: &mut Session, core: &mut Core, mode: ShutdownMode) -> Step {
    let line = match mode {
        _ if !core.settings.allows_shutdown => reply::SHUTDOWN_NOT_ENABLED,
        ShutdownMode::Invalid => reply::SHUTDOWN_MODE,
        ShutdownMode::Now | ShutdownMode::Graceful => {
            core.wants_stop = true;
            return Step::Close;
        }
    };
    session.reply(core, line);
    Step::Done
}
