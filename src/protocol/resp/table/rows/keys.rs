//! Rows of commands about keys, whatever their values are.

use super::super::{Command as C, CommandSpec, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    generic(C::Del, "del", -2, WRITE).keys(DELETE_ALL).tips(SHARDS_MULTI_SUM),
    generic(C::Exists, "exists", -2, READONLY | FAST).keys(LOOK_ALL).tips(SHARDS_MULTI_SUM),
    generic(C::Expire, "expire", -3, WRITE | FAST).keys(UPDATE_ONE),
    generic(C::Ttl, "ttl", 2, READONLY | FAST).keys(READ).tips(VARIES),
    generic(C::Unlink, "unlink", -2, WRITE | FAST).keys(DELETE_ALL).tips(SHARDS_MULTI_SUM),
    generic(C::Touch, "touch", -2, READONLY | FAST)
        .keys(LOOK_ALL).tips(SHARDS_MULTI_SUM),
    generic(C::PExpire, "pexpire", -3, WRITE | FAST).keys(UPDATE_ONE),
    generic(C::ExpireAt, "expireat", -3, WRITE | FAST).keys(UPDATE_ONE),
    generic(C::PExpireAt, "pexpireat", -3, WRITE | FAST)
        .keys(UPDATE_ONE),
    generic(C::PTtl, "pttl", 2, READONLY | FAST).keys(READ).tips(VARIES),
    generic(C::ExpireTime, "expiretime", 2, READONLY | FAST).keys(READ),
    generic(C::PExpireTime, "pexpiretime", 2, READONLY | FAST)
        .keys(READ),
    generic(C::Persist, "persist", 2, WRITE | FAST).keys(UPDATE_ONE),
    generic(C::Type, "type", 2, READONLY | FAST).keys(LOOK),
    generic(C::Rename, "rename", 3, WRITE).keys(MOVE),
    generic(C::RenameNx, "renamenx", 3, WRITE | FAST).keys(MOVE_CREATE),
    generic(C::Copy, "copy", -3, WRITE | DENYOOM).keys(COPY),
    generic(C::RandomKey, "randomkey", 1, READONLY).tips(RANDOMKEY_TIPS),
    generic(C::Scan, "scan", -2, READONLY).tips(SCAN_TIPS),
    generic(C::Keys, "keys", 2, READONLY)
        .categories(KEYSPACE | DANGEROUS).tips(KEYS_TIPS),
    generic(C::Object, "object", -2, NONE).categories(NONE).subcommands(OBJECT),
    generic(C::Wait, "wait", 3, NOSCRIPT)
        .categories(CONNECTION).tips(SHARDS_ALL_MIN),
];

#[rustfmt::skip]
const OBJECT: &[CommandSpec] = &[
    generic(C::ObjectEncoding, "object|encoding", 3, READONLY).keys(LOOK_SECOND).tips(VARIES),
    generic(C::ObjectFreq, "object|freq", 3, READONLY).keys(LOOK_SECOND).tips(VARIES),
    generic(C::ObjectIdleTime, "object|idletime", 3, READONLY).keys(LOOK_SECOND).tips(VARIES),
    generic(C::ObjectRefCount, "object|refcount", 3, READONLY).keys(LOOK_SECOND).tips(VARIES),
    generic(C::ObjectHelp, "object|help", 2, LOADING | STALE),
];

const fn generic(command: C, name: &'static str, arity: i8, flags: u16) -> CommandSpec {
    CommandSpec::new(command, name, arity, flags).categories(KEYSPACE)
}
