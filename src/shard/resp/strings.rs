//! Requests that read and change a string, on its owner.

use super::{
    super::{core::Core, form},
    change::expiry_at,
    read::bulk_or_null,
};
use crate::{
    protocol::{
        long_double::{self, FloatError},
        resp::{RequestError, SetExpiry, StringRequest, Version, reply},
    },
    store::{Condition, Deadline, ExpireCondition, Expiry, Key, Operation, Outcome, Stamp},
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
        StringRequest::SetRange { offset, value, .. } => set_range(core, key, offset, value, out),
        StringRequest::IncrByFloat { increment, .. } => add_float(core, key, increment, out),
    }
}

fn get_and_expire(
    core: &mut Core,
    key: Key<'_>,
    expiry: Result<Option<SetExpiry>, RequestError<'_>>,
    version: Version,
    out: &mut Vec<u8>,
) {
    let entry = core.store.get(key, core.now);
    let counters = core.counters();
    counters.gets.add(1);
    if entry.is_some() {
        counters.get_hits.add(1);
    }
    if let (Some(_), Err(error)) = (entry, expiry) {
        return error.encode(out);
    }
    bulk_or_null(entry, version, out);
    let Ok(Some(expiry)) = expiry else { return };
    let deadline = match expiry_at(expiry, core.now) {
        Expiry::Until(deadline) => deadline,
        Expiry::Keep => return,
    };
    let condition = if deadline == Deadline::NEVER {
        ExpireCondition::Present
    } else {
        ExpireCondition::Always
    };
    let expire = Operation::Expire {
        deadline,
        condition,
    };
    core.apply(key, expire, &[]);
}

fn set_range(core: &mut Core, key: Key<'_>, offset: u64, patch: &[u8], out: &mut Vec<u8>) {
    core.counters().sets.add(1);
    let entry = core.store.get(key, core.now);
    let old = entry.map_or(&[][..], |entry| entry.value());
    if patch.is_empty() {
        return reply::integer(out, old.len() as i64);
    }
    let end = usize::try_from(offset)
        .ok()
        .and_then(|offset| offset.checked_add(patch.len()))
        .filter(|end| core.store.fits(key.bytes.len(), (*end).max(old.len())));
    let Some(end) = end else {
        return out.extend_from_slice(reply::STRING_TOO_LONG);
    };
    let start = end - patch.len();
    let flags = entry.map_or(0, |entry| entry.flags());
    let mut value = core.buffers.take();
    value.extend_from_slice(&old[..old.len().min(start)]);
    value.resize(start, 0);
    value.extend_from_slice(patch);
    value.extend_from_slice(old.get(end..).unwrap_or_default());
    match replace(core, key, flags, &value) {
        Ok(()) => reply::integer(out, value.len() as i64),
        Err(line) => out.extend_from_slice(line),
    }
    core.buffers.put(value);
}

fn add_float(core: &mut Core, key: Key<'_>, increment: &[u8], out: &mut Vec<u8>) {
    core.counters().counts.add(1);
    let mut sum = core.buffers.take();
    let entry = core.store.get(key, core.now);
    let old = entry.map_or(&b"0"[..], |entry| entry.value());
    let flags = entry.map_or(0, |entry| entry.flags());
    let line = match long_double::add(old, increment, &mut sum) {
        Err(FloatError::Invalid) => Err(reply::NOT_A_FLOAT),
        Err(FloatError::NotFinite) => Err(reply::NOT_FINITE),
        Ok(()) if !core.store.fits(key.bytes.len(), sum.len()) => Err(reply::STRING_TOO_LONG),
        Ok(()) => replace(core, key, flags, &sum),
    };
    match line {
        Ok(()) => reply::bulk(out, &sum),
        Err(line) => out.extend_from_slice(line),
    }
    core.buffers.put(sum);
}

/// Puts another value in the place of one, or of none; its expiry stays.
fn replace(core: &mut Core, key: Key<'_>, flags: u32, value: &[u8]) -> Result<(), &'static [u8]> {
    let set = Operation::Set {
        flags,
        expiry: Expiry::Keep,
        condition: Condition::Always,
        stamp: Stamp::default(),
        wants_old: false,
    };
    let outcome: Outcome = core.apply(key, set, value).outcome;
    form::resp_error(outcome).map_or(Ok(()), Err)
}
