//! Rows of commands about the server.

use super::super::{Command as C, CommandSpec, Docs, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    server(C::Info, "info", -1, LOADING | STALE,
        "1.0.0", "O(1)", "Tells about the server").categories(DANGEROUS).tips(VARIES_SHARDS),
    server(C::Command, "command", -1, LOADING | STALE,
        "2.8.13", "O(N)", "Lists the commands with their details")
        .categories(CONNECTION).tips(VARIES_IN_ORDER).subcommands(COMMAND),
    server(C::Config, "config", -2, NONE,
        "2.0.0", "", "Reads and changes settings").subcommands(CONFIG),
    server(C::DbSize, "dbsize", 1, READONLY | FAST,
        "1.0.0", "O(1)", "Counts the keys").categories(KEYSPACE).tips(SHARDS_ALL_SUM),
    server(C::FlushAll, "flushall", -1, WRITE,
        "1.0.0", "O(N)", "Deletes all keys").categories(KEYSPACE | DANGEROUS).tips(SHARDS_ALL),
    server(C::FlushDb, "flushdb", -1, WRITE,
        "1.0.0", "O(N)", "Deletes all keys of the database")
        .categories(KEYSPACE | DANGEROUS).tips(SHARDS_ALL),
    server(C::Time, "time", 1, LOADING | STALE | FAST,
        "2.6.0", "O(1)", "Gives the server's time").tips(VARIES),
    server(C::Memory, "memory", -2, NONE,
        "4.0.0", "", "Tells about memory").subcommands(MEMORY),
    server(C::Latency, "latency", -2, NONE,
        "2.8.13", "", "Tells about delays").subcommands(LATENCY),
    server(C::Slowlog, "slowlog", -2, NONE,
        "2.2.12", "", "Tells about slow requests").subcommands(SLOWLOG),
    server(C::Role, "role", 1, NOSCRIPT | LOADING | STALE | FAST,
        "2.8.12", "O(1)", "Gives the server's part in replication").categories(ADMIN_CATEGORY | DANGEROUS),
];

#[rustfmt::skip]
const COMMAND: &[CommandSpec] = &[
    server(C::CommandCount, "command|count", 2, LOADING | STALE,
        "2.8.13", "O(1)", "Counts the commands").categories(CONNECTION),
    server(C::CommandDocs, "command|docs", -2, LOADING | STALE,
        "7.0.0", "O(N)", "Describes commands").categories(CONNECTION).tips(VARIES_IN_ORDER),
    server(C::CommandGetKeys, "command|getkeys", -4, LOADING | STALE,
        "2.8.13", "O(N)", "Finds the keys in a request").categories(CONNECTION),
    server(C::CommandGetKeysAndFlags, "command|getkeysandflags", -4, LOADING | STALE,
        "7.0.0", "O(N)", "Finds the keys in a request, and what is done to them")
        .categories(CONNECTION),
    server(C::CommandInfo, "command|info", -2, LOADING | STALE,
        "2.8.13", "O(N)", "Gives details of commands")
        .categories(CONNECTION).tips(VARIES_IN_ORDER),
    server(C::CommandList, "command|list", -2, LOADING | STALE,
        "7.0.0", "O(N)", "Lists the names of commands")
        .categories(CONNECTION).tips(VARIES_IN_ORDER),
    server(C::CommandHelp, "command|help", 2, LOADING | STALE,
        "5.0.0", "O(1)", "Explains the subcommands").categories(CONNECTION),
];

#[rustfmt::skip]
const CONFIG: &[CommandSpec] = &[
    server(C::ConfigGet, "config|get", -3, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.0.0", "O(N)", "Reads settings"),
    server(C::ConfigResetStat, "config|resetstat", 2, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.0.0", "O(1)", "Sets the statistics to zero"),
    server(C::ConfigRewrite, "config|rewrite", 2, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.8.0", "O(1)", "Writes the settings to the configuration file"),
    server(C::ConfigSet, "config|set", -4, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.0.0", "O(N)", "Changes settings").tips(NODES_ALL),
    server(C::ConfigHelp, "config|help", 2, LOADING | STALE,
        "5.0.0", "O(1)", "Explains the subcommands"),
];

#[rustfmt::skip]
const MEMORY: &[CommandSpec] = &[
    server(C::MemoryDoctor, "memory|doctor", 2, NONE,
        "4.0.0", "O(1)", "Reports on memory").tips(VARIES_SHARDS),
    server(C::MemoryMallocStats, "memory|malloc-stats", 2, NONE,
        "4.0.0", "", "Tells about the allocator").tips(VARIES_SHARDS),
    server(C::MemoryPurge, "memory|purge", 2, NONE,
        "4.0.0", "", "Asks the allocator to give memory back").tips(SHARDS_ALL),
    server(C::MemoryStats, "memory|stats", 2, NONE,
        "4.0.0", "O(1)", "Gives figures about memory").tips(VARIES_SHARDS),
    server(C::MemoryUsage, "memory|usage", -3, READONLY,
        "4.0.0", "O(N)", "Gives the memory that a key takes").keys(LOOK_SECOND),
    server(C::MemoryHelp, "memory|help", 2, LOADING | STALE,
        "4.0.0", "O(1)", "Explains the subcommands"),
];

#[rustfmt::skip]
const LATENCY: &[CommandSpec] = &[
    server(C::LatencyDoctor, "latency|doctor", 2, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.8.13", "O(1)", "Reports on delays").tips(VARIES_NODES),
    server(C::LatencyGraph, "latency|graph", 3, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.8.13", "O(1)", "Draws the delays of an event").tips(VARIES_NODES),
    server(C::LatencyHistogram, "latency|histogram", -2, ADMIN | NOSCRIPT | LOADING | STALE,
        "7.0.0", "O(N)", "Gives the distribution of the time that commands took")
        .tips(VARIES_NODES),
    server(C::LatencyHistory, "latency|history", 3, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.8.13", "O(1)", "Gives the delays of an event").tips(VARIES_NODES),
    server(C::LatencyLatest, "latency|latest", 2, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.8.13", "O(1)", "Gives the last delay of each event").tips(VARIES_NODES),
    server(C::LatencyReset, "latency|reset", -2, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.8.13", "O(1)", "Forgets delays").tips(NODES_ALL),
    server(C::LatencyHelp, "latency|help", 2, LOADING | STALE,
        "2.8.13", "O(1)", "Explains the subcommands"),
];

#[rustfmt::skip]
const SLOWLOG: &[CommandSpec] = &[
    server(C::SlowlogGet, "slowlog|get", -2, ADMIN | LOADING | STALE,
        "2.2.12", "O(N)", "Lists slow requests").tips(SLOWLOG_GET_TIPS),
    server(C::SlowlogLen, "slowlog|len", 2, ADMIN | LOADING | STALE,
        "2.2.12", "O(1)", "Counts the slow requests").tips(SLOWLOG_LEN_TIPS),
    server(C::SlowlogReset, "slowlog|reset", 2, ADMIN | LOADING | STALE,
        "2.2.12", "O(N)", "Forgets the slow requests").tips(NODES_ALL),
    server(C::SlowlogHelp, "slowlog|help", 2, LOADING | STALE,
        "6.2.0", "O(1)", "Explains the subcommands"),
];

pub(super) const fn server(
    command: C,
    name: &'static str,
    arity: i8,
    flags: u16,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> CommandSpec {
    let docs = Docs {
        group: "server",
        since,
        complexity,
        summary,
    };
    CommandSpec::new(command, name, arity, flags, docs)
}
