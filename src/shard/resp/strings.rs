//! Requests that read and change a string, on its owner.

use super::{super::core::Core, change::expiry_at, read::bulk_or_null};
use crate::{
    protocol::resp::{SetExpiry, StringRequest, Version},
    store::{Deadline, ExpireCondition, Expiry, Key, Operation},
};

/// Executes a request about a key of this shard.
pub(super) fn run(
    core: &mut Core,
    key: Key<'_>,
    request: &StringRequest<'_>,
    version: Version,
    out: &mut Vec<u8>,
) {
    match *request {
        StringRequest::GetEx { expiry, .. } => get_and_expire(core, key, expiry, version, out),
    }
}

fn get_and_expire(
    core: &mut Core,
    key: Key<'_>,
    expiry: Option<SetExpiry>,
    version: Version,
    out: &mut Vec<u8>,
) {
    let entry = core.store.get(key, core.now);
    bulk_or_null(entry, version, out);
    let counters = core.counters();
    counters.gets.add(1);
    if entry.is_some() {
        counters.get_hits.add(1);
    }
    let Some(expiry) = expiry else { return };
    let deadline = match expiry_at(expiry, core.now) {
        Expiry::Until(deadline) => deadline,
        Expiry::Keep => return,
    };
    let condition = if deadline == Deadline::NEVER {
        ExpireCondition::IfSome
    } else {
        ExpireCondition::Always
    };
    let expire = Operation::Expire {
        deadline,
        condition,
    };
    core.apply(key, expire, &[]);
}
