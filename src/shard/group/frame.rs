//! What a group answers a shard, as a RESP frame: a value with what is left of its life, or why there is
//! none.

use crate::{
    group::LoadError,
    protocol::resp::reply,
    shard::{core::Core, pool::over_resp},
    store::{Deadline, UnixMs},
};

/// What stands for a value that its source does not have.
const NOT_FOUND: &[u8] = b"$-1\r\n";

/// What a value that is there begins with, before the value itself.
const PAIR: &[u8] = b"*2\r\n";

/// Appends a value and what is left of its life.
pub(super) fn push_value(
    frame: &mut Vec<u8>,
    (flags, value): (u32, &[u8]),
    deadline: Deadline,
    now: UnixMs,
) {
    frame.extend_from_slice(PAIR);
    over_resp::push_bulk(frame, flags, value);
    let left = deadline.instant().map(|at| at.0.saturating_sub(now.0));
    let left = left.map_or(-1, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
    reply::integer(frame, left);
}

/// Appends a value that has ended.
pub(super) fn push_stale(frame: &mut Vec<u8>, flags: u32, value: &[u8]) {
    frame.extend_from_slice(PAIR);
    over_resp::push_bulk(frame, flags, value);
    reply::integer(frame, over_resp::STALE);
}

/// The value alone of what a group answers, for clients that are told nothing else.
pub(in crate::shard) fn value_of<'f>(core: &Core, frame: &'f [u8]) -> &'f [u8] {
    match core.is_group() {
        true => frame.strip_prefix(PAIR).unwrap_or(frame),
        false => frame,
    }
}

/// Appends why there is no value. Whether that is an error to clients.
pub(super) fn push_error(frame: &mut Vec<u8>, error: &LoadError) -> bool {
    if let LoadError::NotFound { .. } = error {
        frame.extend_from_slice(NOT_FOUND);
        return false;
    }
    reply::error(frame, format!("ERR {error}"));
    true
}
