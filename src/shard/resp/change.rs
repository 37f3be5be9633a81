//! Requests that change keys of the store, as operations for their owners.

use super::super::{
    core::Core,
    flush,
    form::Form,
    session::{Session, Step},
};
use crate::{
    protocol::resp::{self, ExpireAt, Request, SetExpiry, Version, reply},
    store::{Condition, Deadline, ExpireCondition, Expiry, Operation, Side, Stamp, UnixMs},
};

/// Requests that change one or more keys of the store.
pub(super) fn change(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    version: Version,
) -> Step {
    match *request {
        Request::Del { keys } => {
            let delete = Operation::DELETE;
            let count = keys.count();
            let step =
                session.mutate_all(core, Form::RespSum, count, delete, keys, |key| (key, b""));
            core.count_asked(&delete, step)
        }
        Request::MSet { pairs } => {
            let set = set_operation(SetExpiry::None, Condition::Always, false, core.now);
            let (count, pairs) = (pairs.count() / 2, pairs.pairs());
            let step = session.mutate_all(core, Form::RespOk, count, set, pairs, |pair| pair);
            core.count_asked(&set, step)
        }
        Request::DbSize => {
            let count = core.store.stats().entry_count;
            if session.replies.pending_count() > 0 {
                return Step::Hold;
            }
            reply::integer(session.ready(&mut core.buffers), count as i64);
            Step::Done
        }
        Request::FlushAll => flush::flush_all(session, core, flush::AT_ONCE, Form::RespOk, &[]),
        _ => match single(request, version, core.now) {
            Some(change) => {
                let key = core.key(change.key);
                let step = session.mutate(core, key, change.operation, change.value, change.form);
                core.count_asked(&change.operation, step)
            }
            None => unreachable!("what changes no key was served before: {request:?}"),
        },
    }
}

/// A request that changes one key.
pub(in crate::shard) struct Change<'b> {
    pub(in crate::shard) key: &'b [u8],
    pub(in crate::shard) operation: Operation,
    value: &'b [u8],
    pub(in crate::shard) form: Form,
}

/// The change of one key that a request asks for, if it does.
pub(in crate::shard) fn single<'b>(
    request: &Request<'b>,
    version: Version,
    now: UnixMs,
) -> Option<Change<'b>> {
    let (key, operation, value, form) = match *request {
        Request::Set {
            key,
            value,
            expiry,
            condition,
            get,
        } => {
            let operation = set_operation(expiry, store_condition(condition), get, now);
            let form = if get {
                Form::RespOld(version)
            } else {
                Form::RespStored(version)
            };
            (key, operation, value, form)
        }
        Request::SetNx { key, value } => {
            let operation = set_operation(SetExpiry::None, Condition::Absent, false, now);
            (key, operation, value, Form::RespChanged)
        }
        Request::GetSet { key, value } => {
            let operation = set_operation(SetExpiry::None, Condition::Always, true, now);
            (key, operation, value, Form::RespOld(version))
        }
        Request::GetDel { key } => (key, Operation::TAKE, &b""[..], Form::RespOld(version)),
        Request::Append { key, value } => {
            let operation = Operation::Concat {
                side: Side::Back,
                creates: true,
            };
            (key, operation, value, Form::RespNumber)
        }
        Request::IncrBy { key, delta } => (
            key,
            Operation::CountSigned { delta },
            &b""[..],
            Form::RespNumber,
        ),
        Request::Expire { key, at, condition } => {
            let deadline = match at {
                ExpireAt::InMs(ms) if ms > 0 => Deadline::after(now, ms.unsigned_abs()),
                ExpireAt::AtMs(ms) if ms > 0 => Deadline::at(UnixMs(ms.unsigned_abs())),
                ExpireAt::InMs(_) | ExpireAt::AtMs(_) => Deadline::PAST,
            };
            let condition = expire_condition(condition);
            (
                key,
                Operation::Expire {
                    deadline,
                    condition,
                },
                &b""[..],
                Form::RespChanged,
            )
        }
        Request::Persist { key } => {
            let condition = ExpireCondition::Present;
            let operation = Operation::Expire {
                deadline: Deadline::NEVER,
                condition,
            };
            (key, operation, &b""[..], Form::RespChanged)
        }
        _ => return None,
    };
    Some(Change {
        key,
        operation,
        value,
        form,
    })
}

pub(super) fn set_operation(
    expiry: SetExpiry,
    condition: Condition,
    wants_old: bool,
    now: UnixMs,
) -> Operation {
    Operation::Set {
        flags: 0,
        expiry: expiry_at(expiry, now),
        condition,
        stamp: Stamp::default(),
        wants_old,
    }
}

/// What a request's expiry means at `now`.
pub(super) fn expiry_at(expiry: SetExpiry, now: UnixMs) -> Expiry {
    match expiry {
        SetExpiry::None => Expiry::Until(Deadline::NEVER),
        SetExpiry::Keep => Expiry::Keep,
        SetExpiry::InMs(ms) => Expiry::Until(Deadline::after(now, ms)),
        SetExpiry::AtMs(at) => Expiry::Until(Deadline::at(UnixMs(at))),
    }
}

fn store_condition(condition: resp::Condition) -> Condition {
    match condition {
        resp::Condition::Always => Condition::Always,
        resp::Condition::Absent => Condition::Absent,
        resp::Condition::Present => Condition::Present,
    }
}

fn expire_condition(condition: resp::ExpireCondition) -> ExpireCondition {
    match condition {
        resp::ExpireCondition::Always => ExpireCondition::Always,
        resp::ExpireCondition::Absent => ExpireCondition::Absent,
        resp::ExpireCondition::Present => ExpireCondition::Present,
        resp::ExpireCondition::Later => ExpireCondition::Later,
        resp::ExpireCondition::Sooner => ExpireCondition::Sooner,
        resp::ExpireCondition::PresentAndSooner => ExpireCondition::PresentAndSooner,
    }
}
