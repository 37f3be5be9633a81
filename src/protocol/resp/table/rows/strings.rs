//! Rows of commands about strings.

use super::super::{Command as C, CommandSpec, Docs, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    string(C::Get, "get", 2, READONLY | FAST,
        "1.0.0", "O(1)", "Reads a value").keys(READ),
    string(C::Set, "set", -3, WRITE | DENYOOM,
        "1.0.0", "O(1)", "Stores a value, with conditions and an expiry if wanted").keys(SET),
    string(C::MGet, "mget", -2, READONLY | FAST,
        "1.0.0", "O(N)", "Reads several values").keys(READ_ALL).tips(SHARDS_MULTI),
    string(C::Incr, "incr", 2, WRITE | DENYOOM | FAST,
        "1.0.0", "O(1)", "Adds one to a whole number").keys(MODIFY),
    string(C::IncrBy, "incrby", 3, WRITE | DENYOOM | FAST,
        "1.0.0", "O(1)", "Adds to a whole number").keys(MODIFY),
    string(C::Decr, "decr", 2, WRITE | DENYOOM | FAST,
        "1.0.0", "O(1)", "Takes one from a whole number").keys(MODIFY),
    string(C::DecrBy, "decrby", 3, WRITE | DENYOOM | FAST,
        "1.0.0", "O(1)", "Takes from a whole number").keys(MODIFY),
    string(C::MSet, "mset", -3, WRITE | DENYOOM,
        "1.0.1", "O(N)", "Stores several values").keys(REPLACE_PAIRS).tips(SHARDS_MULTI_ALL),
    string(C::SetNx, "setnx", 3, WRITE | DENYOOM | FAST,
        "1.0.0", "O(1)", "Stores a value where none is").keys(CREATE),
    string(C::SetEx, "setex", 4, WRITE | DENYOOM,
        "2.0.0", "O(1)", "Stores a value that expires in seconds").keys(REPLACE),
    string(C::PSetEx, "psetex", 4, WRITE | DENYOOM,
        "2.6.0", "O(1)", "Stores a value that expires in milliseconds").keys(REPLACE),
    string(C::GetSet, "getset", 3, WRITE | DENYOOM | FAST,
        "1.0.0", "O(1)", "Stores a value and gives the old one").keys(MODIFY),
    string(C::GetDel, "getdel", 2, WRITE | FAST,
        "6.2.0", "O(1)", "Reads a value and deletes the key").keys(TAKE),
    string(C::GetEx, "getex", -2, WRITE | FAST,
        "6.2.0", "O(1)", "Reads a value and changes its expiry").keys(GETEX),
    string(C::Append, "append", 3, WRITE | DENYOOM | FAST,
        "2.0.0", "O(1)", "Adds bytes at the end of a value").keys(GROW),
    string(C::Strlen, "strlen", 2, READONLY | FAST,
        "2.2.0", "O(1)", "Gives the length of a value").keys(LOOK),
    string(C::GetRange, "getrange", 4, READONLY,
        "2.4.0", "O(N)", "Reads part of a value").keys(READ),
    string(C::Substr, "substr", 4, READONLY,
        "1.0.0", "O(N)", "Reads part of a value").keys(READ),
    string(C::SetRange, "setrange", 4, WRITE | DENYOOM,
        "2.2.0", "O(1)", "Overwrites part of a value").keys(UPDATE_ONE),
    string(C::IncrByFloat, "incrbyfloat", 3, WRITE | DENYOOM | FAST,
        "2.6.0", "O(1)", "Adds to a number with decimals").keys(MODIFY),
    string(C::MSetNx, "msetnx", -3, WRITE | DENYOOM,
        "1.0.1", "O(N)", "Stores several values if none of the keys exists")
        .keys(CREATE_PAIRS).tips(SHARDS_MULTI_MIN),
    string(C::Lcs, "lcs", -3, READONLY,
        "7.0.0", "O(N*M)", "Finds the longest common subsequence of two values").keys(READ_BOTH),
];

const fn string(
    command: C,
    name: &'static str,
    arity: i8,
    flags: u16,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> CommandSpec {
    let docs = Docs {
        group: "string",
        since,
        complexity,
        summary,
    };
    CommandSpec::new(command, name, arity, flags, docs).categories(STRING)
}
