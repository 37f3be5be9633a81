//! Requests that a write policy answers at once, as errands that queue a write.
//!
//! `--write invalidate` takes every request that writes or removes a value as a whole, and deletes
//! the key. `--write behind` takes those whose answer and effect are known without the server: a set
//! without a condition, and a delete, which is answered as if the key had been there. All else goes
//! to the server, behind what is queued for the key.

use super::{
    meta::{count, form, is_whole},
    over_resp,
};
use crate::shard::{
    core::Core,
    form::Form,
    memcache::Change,
    message::Errand,
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    protocol::{
        memcache::{
            Deadline, Exptime, Request, StoreVerb,
            meta::{MetaRequest, MetaVerb, reply},
        },
        resp::{self, SetExpiry},
    },
    store::Key,
};

/// A set without a condition, in a client's words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set<'b> {
    pub(super) flags: u32,
    pub(super) deadline: Deadline,
    pub(super) value: &'b [u8],
}

impl<'b> Set<'b> {
    pub(super) fn new(core: &Core, flags: u32, exptime: Exptime, value: &'b [u8]) -> Self {
        Self {
            flags,
            deadline: exptime.deadline_ms(core.now.0),
            value,
        }
    }

    /// A set for good.
    pub(super) fn plain(value: &'b [u8]) -> Self {
        Self {
            flags: 0,
            deadline: Deadline::Never,
            value,
        }
    }

    /// The set that a RESP request asks for, if it depends on nothing.
    pub(super) fn of_resp(core: &Core, request: &resp::Request<'b>) -> Option<Self> {
        let resp::Request::Set {
            value,
            expiry,
            condition: resp::Condition::Always,
            get: false,
            ..
        } = *request
        else {
            return None;
        };
        let now = core.now.0;
        let deadline = match expiry {
            SetExpiry::Keep => return None,
            SetExpiry::None => Deadline::Never,
            SetExpiry::InMs(ms) => Deadline::At(now.saturating_add(ms)),
            SetExpiry::AtMs(at) if at <= now => Deadline::Past,
            SetExpiry::AtMs(at) => Deadline::At(at),
        };
        Some(Self {
            flags: 0,
            deadline,
            value,
        })
    }
}

impl Core {
    /// Whether whole-value writes are answered at once and are done later.
    pub(in crate::shard) fn is_behind(&self) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.is_behind())
    }

    /// The errand for a set that is to be done later; `request` gets what goes with it. `reply` is
    /// what the client is answered, or nothing for what its form says of a store.
    pub(super) fn errand_of_set(
        &self,
        set: Set<'_>,
        reply: &[u8],
        request: &mut Vec<u8>,
    ) -> Errand {
        request.extend_from_slice(reply);
        let exptime = match set.deadline {
            Deadline::Never => 0,
            Deadline::At(at) => at,
            // It would be gone before anybody could see it.
            Deadline::Past if reply.is_empty() => return Errand::Invalidate { deletes: false },
            Deadline::Past => return Errand::InvalidateAnd,
        };
        let keeps_flags = self.pool.as_ref().is_some_and(|pool| pool.keeps_flags());
        let flags = match keeps_flags {
            true => {
                over_resp::push_stored(request, set.flags, set.value);
                0
            }
            false => {
                request.extend_from_slice(set.value);
                set.flags
            }
        };
        Errand::Store {
            flags,
            exptime,
            reply_bytes: reply.len() as u32,
        }
    }
}

/// How a change of whole values is done under the pool's write policy, if all that is told of it is a line.
pub(super) fn whole(core: &Core, deletes: bool) -> Errand {
    let is_queued = core.queues_writes() && (deletes || !core.is_behind());
    if is_queued {
        Errand::Invalidate { deletes }
    } else {
        Errand::Write(Expects::Line)
    }
}

/// Has a set done later.
pub(super) fn set(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
    set: Set<'_>,
    reply: &[u8],
    form: Form,
    kept: &[u8],
) -> Step {
    let mut request = core.buffers.take();
    let errand = core.errand_of_set(set, reply, &mut request);
    let step = session.run_errand_keeping(core, key, errand, &request, form, kept);
    core.buffers.put(request);
    step
}

/// Has a classic memcache request done later, if the policy says so.
pub(super) fn classic(
    session: &mut Session,
    core: &mut Core,
    change: &Change<'_>,
    request: &Request<'_>,
) -> Option<Step> {
    if !change.is_whole || !core.queues_writes() {
        return None;
    }
    let key = core.key(change.key);
    let deletes = change.form_if_heard == Form::MemcacheDelete;
    if deletes || !core.is_behind() {
        let errand = Errand::Invalidate { deletes };
        return Some(session.run_errand(core, key, errand, &[], change.form));
    }
    let Request::Store {
        verb: StoreVerb::Set,
        flags,
        exptime,
        value,
        ..
    } = *request
    else {
        return None;
    };
    let wish = Set::new(core, flags, exptime, value);
    Some(set(session, core, key, wish, &[], change.form, &[]))
}

/// Has a meta request done later, if the policy says so.
pub(super) fn meta(
    session: &mut Session,
    core: &mut Core,
    request: &MetaRequest<'_>,
    key: Key<'_>,
) -> Option<Step> {
    if !is_whole(request) || !core.queues_writes() {
        return None;
    }
    let is_set = request.verb == MetaVerb::Set && request.store_verb() == StoreVerb::Set;
    if core.is_behind() && request.verb == MetaVerb::Set && !is_set {
        return None;
    }
    let form = form(request);
    let mut line = core.buffers.take();
    reply::line(&mut line, reply::DONE, request.key, request.flags);
    let step = if is_set && core.is_behind() {
        let exptime = request.flags.exptime(b'T').unwrap_or(Exptime::NEVER);
        // Flags of more than 32 bits were refused.
        let flags = request.flags.number(b'F').unwrap_or(0) as u32;
        let wish = Set::new(core, flags, exptime, request.value);
        set(session, core, key, wish, &line, form, &[])
    } else {
        session.run_errand(core, key, Errand::InvalidateAnd, &line, form)
    };
    core.buffers.put(line);
    if step == Step::Done {
        count(core, request.verb);
    }
    Some(step)
}
