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
    if let Some(noreply) = is_too_large(request, core) {
        if !noreply {
            session.reply(core, TOO_LARGE);
        }
        return Step::Done;
    }
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

/// Whether a value can be refused before its verb counts, and if so, quietly. memcached does not
/// take it in, and leaves what is there alone; only `set`, which comes to an end that tells so,
/// takes the old entry with it.
fn is_too_large(request: &Request<'_>, core: &Core) -> Option<bool> {
    match *request {
        Request::Store {
            verb: StoreVerb::Set,
            ..
        } => None,
        Request::Store {
            key,
            value,
            noreply,
            ..
        } => (!core.store.fits(key.len(), value.len())).then_some(noreply),
        _ => None,
    }
}

/// A request that changes one key.
pub(in crate::shard) struct Change<'b> {
    pub(in crate::shard) key: &'b [u8],
    operation: Operation,
    value: &'b [u8],
    /// The reply's form.
    pub(in crate::shard) form: Form,
    /// The same without regard to `noreply`.
    pub(in crate::shard) form_if_heard: Form,
    /// The value as a whole is written or removed, whatever it was.
    pub(in crate::shard) is_whole: bool,
}

impl<'b> Change<'b> {
    pub(in crate::shard) fn of(request: &Request<'b>, core: &Core) -> Option<Self> {
        let (now, counters) = (core.now, core.counters());
        let (key, operation, value, form, noreply, is_whole) = match *request {
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
                let form = match verb {
                    StoreVerb::Append | StoreVerb::Prepend => Form::MemcacheConcat,
                    _ => Form::MemcacheStore,
                };
                (key, operation, value, form, noreply, is_whole)
            }
            Request::Delete { key, noreply } => {
                counters.deletes.add(1);
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
                counters.counts.add(1);
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
