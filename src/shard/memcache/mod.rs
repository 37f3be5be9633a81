//! The memcache front end: requests become reads and operations of the store, or errands to the
//! pool; the protocol itself is `protocol::memcache`'s.

mod change;
mod retrieve;
mod stats;

pub(super) use self::{change::Change, retrieve::show};
use self::{
    change::change_in_store,
    retrieve::{retrieve, retrieve_and_touch, touch_and_show},
};
use super::{
    batch::Dialect,
    core::Core,
    flush,
    form::Form,
    pool::memcache as memcache_pool,
    session::{Session, Step},
    settings::{LINE_BYTES_MAX, MEMCACHED_VERSION},
};
use crate::{
    protocol::{
        Parsed,
        memcache::{self, Limits, Refusal, Request, reply},
    },
    store::{Operation, UnixMs},
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

    fn is_held_back(core: &Core, request: &Request<'_>) -> bool {
        let is_write = matches!(
            request,
            Request::Store { .. }
                | Request::Delete { .. }
                | Request::Arithmetic { .. }
                | Request::Touch { .. }
                | Request::FlushAll { .. }
        );
        core.pause.holds(is_write)
    }

    fn refuse(session: &mut Session, core: &mut Core, refusal: &Refusal<'_>) -> Step {
        // In pool mode nothing is on the way to the backend: it keeps what it has, as do we.
        if let (Some(key), None) = (refusal.unlink, &core.pool) {
            let key = core.key(key);
            let delete = Operation::DELETE;
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

fn limits(core: &Core) -> Limits {
    Limits {
        value_bytes_max: core.settings.item_bytes_max,
        line_bytes_max: LINE_BYTES_MAX,
    }
}

/// Executes a request about one key of this shard, see [`run`](super::run).
pub(super) fn run(core: &mut Core, request: &[u8], out: &mut Vec<u8>) {
    let Parsed::Complete { request, .. } = memcache::parse(request, &limits(core)) else {
        return;
    };
    if let Request::Retrieve {
        keys,
        cas,
        touch: Some(exptime),
    } = request
    {
        keys.into_iter()
            .for_each(|key| touch_and_show(core, core.key(key), cas, exptime, out));
    }
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
            stats::stats(session, core, argument);
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
