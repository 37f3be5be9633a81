//! Rows of commands that make transactions.

use super::super::{Command as C, CommandSpec, Docs, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    transaction(C::Multi, "multi", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
        "1.2.0", "O(1)", "Begins a transaction"),
    transaction(C::Exec, "exec", 1, NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG,
        "1.2.0", "", "Executes a transaction"),
    transaction(C::Discard, "discard", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
        "2.0.0", "O(N)", "Throws a transaction away"),
    transaction(C::Watch, "watch", -2, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
        "2.2.0", "O(1)", "Makes the next transaction depend on keys that stay as they are")
        .keys(LOOK_ALL),
    transaction(C::Unwatch, "unwatch", 1, NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
        "2.2.0", "O(1)", "Forgets the watched keys"),
];

const fn transaction(
    command: C,
    name: &'static str,
    arity: i8,
    flags: u16,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> CommandSpec {
    let docs = Docs {
        group: "transactions",
        since,
        complexity,
        summary,
    };
    CommandSpec::new(command, name, arity, flags, docs).categories(TRANSACTION)
}
