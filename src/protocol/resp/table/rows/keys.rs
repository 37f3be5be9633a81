//! Rows of commands about keys, whatever their values are.

use super::super::{Command as C, CommandSpec, Docs, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    generic(C::Del, "del", -2, WRITE,
        "1.0.0", "O(N)", "Deletes keys").keys(DELETE_ALL).tips(SHARDS_MULTI_SUM),
    generic(C::Exists, "exists", -2, READONLY | FAST,
        "1.0.0", "O(N)", "Counts which of the keys exist").keys(LOOK_ALL).tips(SHARDS_MULTI_SUM),
    generic(C::Expire, "expire", -3, WRITE | FAST,
        "1.0.0", "O(1)", "Sets in how many seconds a key expires").keys(UPDATE_ONE),
    generic(C::Ttl, "ttl", 2, READONLY | FAST,
        "1.0.0", "O(1)", "Gives in how many seconds a key expires").keys(READ).tips(VARIES),
    generic(C::Unlink, "unlink", -2, WRITE | FAST,
        "4.0.0", "O(1)", "Deletes keys").keys(DELETE_ALL).tips(SHARDS_MULTI_SUM),
    generic(C::Touch, "touch", -2, READONLY | FAST,
        "3.2.1", "O(N)", "Marks keys as used, and counts which exist")
        .keys(LOOK_ALL).tips(SHARDS_MULTI_SUM),
    generic(C::PExpire, "pexpire", -3, WRITE | FAST,
        "2.6.0", "O(1)", "Sets in how many milliseconds a key expires").keys(UPDATE_ONE),
    generic(C::ExpireAt, "expireat", -3, WRITE | FAST,
        "1.2.0", "O(1)", "Sets the unix time, in seconds, at which a key expires").keys(UPDATE_ONE),
    generic(C::PExpireAt, "pexpireat", -3, WRITE | FAST,
        "2.6.0", "O(1)", "Sets the unix time, in milliseconds, at which a key expires")
        .keys(UPDATE_ONE),
    generic(C::PTtl, "pttl", 2, READONLY | FAST,
        "2.6.0", "O(1)", "Gives in how many milliseconds a key expires").keys(READ).tips(VARIES),
    generic(C::ExpireTime, "expiretime", 2, READONLY | FAST,
        "7.0.0", "O(1)", "Gives the unix time, in seconds, at which a key expires").keys(READ),
    generic(C::PExpireTime, "pexpiretime", 2, READONLY | FAST,
        "7.0.0", "O(1)", "Gives the unix time, in milliseconds, at which a key expires")
        .keys(READ),
    generic(C::Persist, "persist", 2, WRITE | FAST,
        "2.2.0", "O(1)", "Takes a key's expiry away").keys(UPDATE_ONE),
    generic(C::Type, "type", 2, READONLY | FAST,
        "1.0.0", "O(1)", "Gives the type of a value").keys(LOOK),
    generic(C::Rename, "rename", 3, WRITE,
        "1.0.0", "O(1)", "Gives a value another key").keys(MOVE),
    generic(C::RenameNx, "renamenx", 3, WRITE | FAST,
        "1.0.0", "O(1)", "Gives a value another key where that does not exist").keys(MOVE_CREATE),
    generic(C::Copy, "copy", -3, WRITE | DENYOOM,
        "6.2.0", "O(N)", "Copies a value to another key").keys(COPY),
    generic(C::RandomKey, "randomkey", 1, READONLY,
        "1.0.0", "O(1)", "Gives any key").tips(RANDOMKEY_TIPS),
    generic(C::Scan, "scan", -2, READONLY,
        "2.8.0", "O(1)", "Lists the keys, some at a time").tips(SCAN_TIPS),
    generic(C::Keys, "keys", 2, READONLY,
        "1.0.0", "O(N)", "Lists the keys that match a pattern")
        .categories(KEYSPACE | DANGEROUS).tips(KEYS_TIPS),
    generic(C::Object, "object", -2, NONE,
        "2.2.3", "", "Tells about a value's inside").categories(NONE).subcommands(OBJECT),
    generic(C::Wait, "wait", 3, NOSCRIPT,
        "3.0.0", "O(1)", "Waits until replicas have the writes so far")
        .categories(CONNECTION).tips(SHARDS_ALL_MIN),
];

#[rustfmt::skip]
const OBJECT: &[CommandSpec] = &[
    generic(C::ObjectEncoding, "object|encoding", 3, READONLY,
        "2.2.3", "O(1)", "Tells how a value is kept").keys(LOOK_SECOND).tips(VARIES),
    generic(C::ObjectFreq, "object|freq", 3, READONLY,
        "4.0.0", "O(1)", "Gives how often a key is used").keys(LOOK_SECOND).tips(VARIES),
    generic(C::ObjectIdleTime, "object|idletime", 3, READONLY,
        "2.2.3", "O(1)", "Gives the seconds since a key was used").keys(LOOK_SECOND).tips(VARIES),
    generic(C::ObjectRefCount, "object|refcount", 3, READONLY,
        "2.2.3", "O(1)", "Counts the references to a value").keys(LOOK_SECOND).tips(VARIES),
    generic(C::ObjectHelp, "object|help", 2, LOADING | STALE,
        "6.2.0", "O(1)", "Explains the subcommands"),
];

const fn generic(
    command: C,
    name: &'static str,
    arity: i8,
    flags: u16,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> CommandSpec {
    let docs = Docs {
        group: "generic",
        since,
        complexity,
        summary,
    };
    CommandSpec::new(command, name, arity, flags, docs).categories(KEYSPACE)
}
