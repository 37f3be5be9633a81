//! Requests that change one key of the store, as operations for its owner.

use super::super::{
    core::Core,
    form::Form,
    session::{Session, Step},
};
use crate::{
    protocol::memcache::{self, Direction, Exptime, Request, StoreVerb, reply::TOO_LARGE},
    store::{Condition, Deadline, ExpireCondition, Expiry, Operation, Side, Stamp, UnixMs},
};

pub(super) fn change_in_store(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
) -> Step {
    if let Some(step) = refuse_too_large(session, core, request) {
        return step;
    }
    let change = Change::of(request, core.now);
    let key = core.key(change.key);
    let step = session.mutate(core, key, change.operation, change.value, change.form);
    core.count_asked(&change.operation, step)
}

/// Refuses a value that is too large by its key and header, before its verb counts. Only `set` takes
/// the old entry with it.
fn refuse_too_large(session: &mut Session, core: &mut Core, request: &Request<'_>) -> Option<Step> {
    let &Request::Store {
        verb,
        key,
        value,
        noreply,
        ..
    } = request
    else {
        return None;
    };
    if core.store.fits(key.len(), value.len()) {
        return None;
    }
    let unlinked = (verb == StoreVerb::Set).then(|| core.key(key));
    let step = session.refuse_too_large(core, unlinked);
    if step == Step::Done && !noreply {
        session.reply(core, TOO_LARGE);
    }
    Some(step)
}

/// A request that changes one key.
pub(in crate::shard) struct Change<'b> {
    pub(in crate::shard) key: &'b [u8],
    pub(in crate::shard) operation: Operation,
    value: &'b [u8],
    /// The reply's form.
    pub(in crate::shard) form: Form,
    /// The same without regard to `noreply`.
    pub(in crate::shard) form_if_heard: Form,
    /// The value as a whole is written or removed, whatever it was.
    pub(in crate::shard) is_whole: bool,
}

impl<'b> Change<'b> {
    /// What a request means that is to change one key; `execute` hands over no other.
    pub(in crate::shard) fn of(request: &Request<'b>, now: UnixMs) -> Self {
        let (key, operation, value, form, noreply, is_whole) = match *request {
            Request::Store {
                verb,
                key,
                flags,
                exptime,
                value,
                noreply,
            } => {
                let until = Expiry::Until(deadline(exptime, now));
                let operation = store_operation(verb, flags, until);
                let is_whole = matches!(verb, StoreVerb::Set | StoreVerb::Add | StoreVerb::Replace);
                let form = match verb {
                    StoreVerb::Append | StoreVerb::Prepend => Form::MemcacheConcat,
                    _ => Form::MemcacheStore,
                };
                (key, operation, value, form, noreply, is_whole)
            }
            Request::Delete { key, noreply } => {
                let operation = Operation::DELETE;
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
                let down = direction == Direction::Decr;
                let operation = Operation::count_unsigned(delta, down);
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
            other => unreachable!("`execute` serves it otherwise: {other:?}"),
        };
        let heard = if noreply { Form::Silent } else { form };
        Self {
            key,
            operation,
            value,
            form: heard,
            form_if_heard: form,
            is_whole,
        }
    }
}

pub(super) fn store_operation(verb: StoreVerb, flags: u32, expiry: Expiry) -> Operation {
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
        stamp: Stamp::default(),
        wants_old: false,
    }
}

pub(super) fn deadline(exptime: Exptime, now: UnixMs) -> Deadline {
    match exptime.deadline_ms(now.0) {
        memcache::Deadline::Never => Deadline::NEVER,
        memcache::Deadline::Past => Deadline::PAST,
        memcache::Deadline::At(at) => Deadline::at(UnixMs(at)),
    }
}
