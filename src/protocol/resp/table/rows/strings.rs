//! Rows of commands about strings.

use super::super::{Command as C, CommandSpec, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    string(C::Get, "get", 2, READONLY | FAST).keys(READ),
    string(C::Set, "set", -3, WRITE | DENYOOM).keys(SET),
    string(C::MGet, "mget", -2, READONLY | FAST).keys(READ_ALL).tips(SHARDS_MULTI),
    string(C::Incr, "incr", 2, WRITE | DENYOOM | FAST).keys(MODIFY),
    string(C::IncrBy, "incrby", 3, WRITE | DENYOOM | FAST).keys(MODIFY),
    string(C::Decr, "decr", 2, WRITE | DENYOOM | FAST).keys(MODIFY),
    string(C::DecrBy, "decrby", 3, WRITE | DENYOOM | FAST).keys(MODIFY),
    string(C::MSet, "mset", -3, WRITE | DENYOOM).keys(REPLACE_PAIRS).tips(SHARDS_MULTI_ALL),
    string(C::SetNx, "setnx", 3, WRITE | DENYOOM | FAST).keys(CREATE),
    string(C::SetEx, "setex", 4, WRITE | DENYOOM).keys(REPLACE),
    string(C::PSetEx, "psetex", 4, WRITE | DENYOOM).keys(REPLACE),
    string(C::GetSet, "getset", 3, WRITE | DENYOOM | FAST).keys(MODIFY),
    string(C::GetDel, "getdel", 2, WRITE | FAST).keys(TAKE),
    string(C::GetEx, "getex", -2, WRITE | FAST).keys(GETEX),
    string(C::Append, "append", 3, WRITE | DENYOOM | FAST).keys(GROW),
    string(C::Strlen, "strlen", 2, READONLY | FAST).keys(LOOK),
    string(C::GetRange, "getrange", 4, READONLY).keys(READ),
    string(C::Substr, "substr", 4, READONLY).keys(READ),
    string(C::SetRange, "setrange", 4, WRITE | DENYOOM).keys(UPDATE_ONE),
    string(C::IncrByFloat, "incrbyfloat", 3, WRITE | DENYOOM | FAST).keys(MODIFY),
    string(C::MSetNx, "msetnx", -3, WRITE | DENYOOM)
        .keys(CREATE_PAIRS).tips(SHARDS_MULTI_MIN),
    string(C::Lcs, "lcs", -3, READONLY).keys(READ_BOTH),
];

const fn string(command: C, name: &'static str, arity: i8, flags: u16) -> CommandSpec {
    CommandSpec::new(command, name, arity, flags).categories(STRING)
}
