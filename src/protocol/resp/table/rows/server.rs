//! Rows of commands about the server.

use super::super::{Command as C, CommandSpec, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    server(C::Info, "info", -1, LOADING | STALE).categories(DANGEROUS).tips(VARIES_SHARDS),
    server(C::Command, "command", -1, LOADING | STALE)
        .categories(CONNECTION).tips(VARIES_IN_ORDER).subcommands(COMMAND),
    server(C::Config, "config", -2, NONE).subcommands(CONFIG),
    server(C::DbSize, "dbsize", 1, READONLY | FAST).categories(KEYSPACE).tips(SHARDS_ALL_SUM),
    server(C::FlushAll, "flushall", -1, WRITE).categories(KEYSPACE | DANGEROUS).tips(SHARDS_ALL),
    server(C::FlushDb, "flushdb", -1, WRITE)
        .categories(KEYSPACE | DANGEROUS).tips(SHARDS_ALL),
    server(C::Time, "time", 1, LOADING | STALE | FAST).tips(VARIES),
    server(C::Memory, "memory", -2, NONE).subcommands(MEMORY),
    server(C::Latency, "latency", -2, NONE).subcommands(LATENCY),
    server(C::Slowlog, "slowlog", -2, NONE).subcommands(SLOWLOG),
    server(C::Role, "role", 1, NOSCRIPT | LOADING | STALE | FAST).categories(ADMIN_CATEGORY | DANGEROUS),
];

#[rustfmt::skip]
const COMMAND: &[CommandSpec] = &[
    server(C::CommandCount, "command|count", 2, LOADING | STALE).categories(CONNECTION),
    server(C::CommandDocs, "command|docs", -2, LOADING | STALE).categories(CONNECTION).tips(VARIES_IN_ORDER),
    server(C::CommandGetKeys, "command|getkeys", -4, LOADING | STALE).categories(CONNECTION),
    server(C::CommandGetKeysAndFlags, "command|getkeysandflags", -4, LOADING | STALE)
        .categories(CONNECTION),
    server(C::CommandInfo, "command|info", -2, LOADING | STALE)
        .categories(CONNECTION).tips(VARIES_IN_ORDER),
    server(C::CommandList, "command|list", -2, LOADING | STALE)
        .categories(CONNECTION).tips(VARIES_IN_ORDER),
    server(C::CommandHelp, "command|help", 2, LOADING | STALE).categories(CONNECTION),
];

#[rustfmt::skip]
const CONFIG: &[CommandSpec] = &[
    server(C::ConfigGet, "config|get", -3, ADMIN | NOSCRIPT | LOADING | STALE),
    server(C::ConfigResetStat, "config|resetstat", 2, ADMIN | NOSCRIPT | LOADING | STALE),
    server(C::ConfigRewrite, "config|rewrite", 2, ADMIN | NOSCRIPT | LOADING | STALE),
    server(C::ConfigSet, "config|set", -4, ADMIN | NOSCRIPT | LOADING | STALE).tips(NODES_ALL),
    server(C::ConfigHelp, "config|help", 2, LOADING | STALE),
];

#[rustfmt::skip]
const MEMORY: &[CommandSpec] = &[
    server(C::MemoryDoctor, "memory|doctor", 2, NONE).tips(VARIES_SHARDS),
    server(C::MemoryMallocStats, "memory|malloc-stats", 2, NONE).tips(VARIES_SHARDS),
    server(C::MemoryPurge, "memory|purge", 2, NONE).tips(SHARDS_ALL),
    server(C::MemoryStats, "memory|stats", 2, NONE).tips(VARIES_SHARDS),
    server(C::MemoryUsage, "memory|usage", -3, READONLY).keys(LOOK_SECOND),
    server(C::MemoryHelp, "memory|help", 2, LOADING | STALE),
];

#[rustfmt::skip]
const LATENCY: &[CommandSpec] = &[
    server(C::LatencyDoctor, "latency|doctor", 2, ADMIN | NOSCRIPT | LOADING | STALE).tips(VARIES_NODES),
    server(C::LatencyGraph, "latency|graph", 3, ADMIN | NOSCRIPT | LOADING | STALE).tips(VARIES_NODES),
    server(C::LatencyHistogram, "latency|histogram", -2, ADMIN | NOSCRIPT | LOADING | STALE)
        .tips(VARIES_NODES),
    server(C::LatencyHistory, "latency|history", 3, ADMIN | NOSCRIPT | LOADING | STALE).tips(VARIES_NODES),
    server(C::LatencyLatest, "latency|latest", 2, ADMIN | NOSCRIPT | LOADING | STALE).tips(VARIES_NODES),
    server(C::LatencyReset, "latency|reset", -2, ADMIN | NOSCRIPT | LOADING | STALE).tips(NODES_ALL),
    server(C::LatencyHelp, "latency|help", 2, LOADING | STALE),
];

#[rustfmt::skip]
const SLOWLOG: &[CommandSpec] = &[
    server(C::SlowlogGet, "slowlog|get", -2, ADMIN | LOADING | STALE).tips(SLOWLOG_GET_TIPS),
    server(C::SlowlogLen, "slowlog|len", 2, ADMIN | LOADING | STALE).tips(SLOWLOG_LEN_TIPS),
    server(C::SlowlogReset, "slowlog|reset", 2, ADMIN | LOADING | STALE).tips(NODES_ALL),
    server(C::SlowlogHelp, "slowlog|help", 2, LOADING | STALE),
];

pub(super) const fn server(command: C, name: &'static str, arity: i8, flags: u16) -> CommandSpec {
    CommandSpec::new(command, name, arity, flags)
}
