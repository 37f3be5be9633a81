//! Rows of commands that make transactions.

use super::super::{Command as C, CommandSpec, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    transaction(C::Multi, "multi", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY),
    transaction(C::Exec, "exec", 1, NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG),
    transaction(C::Discard, "discard", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY),
    transaction(C::Watch, "watch", -2, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY)
        .keys(LOOK_ALL),
    transaction(C::Unwatch, "unwatch", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY),
];

const fn transaction(command: C, name: &'static str, arity: i8, flags: u16) -> CommandSpec {
    CommandSpec::new(command, name, arity, flags).categories(TRANSACTION)
}
