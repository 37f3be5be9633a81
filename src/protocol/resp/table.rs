//! The commands there are: names, arities, key positions. One table drives lookup, arity checks,
//! COMMAND's replies and the question whether something is written. Rows are Redis 7.0's (`COMMAND
//! INFO`); SETINFO is 7.2's.

use super::{Version, reply};

/// Which command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the commands'")]
pub enum Command {
    Get,
    Set,
    MGet,
    Del,
    Incr,
    Exists,
    Expire,
    Ttl,
    Ping,
    Echo,
    Hello,
    SetNx,
    SetEx,
    PSetEx,
    GetSet,
    GetDel,
    GetEx,
    MSet,
    Unlink,
    Touch,
    PExpire,
    PTtl,
    Persist,
    Decr,
    IncrBy,
    DecrBy,
    Append,
    Strlen,
    Type,
    DbSize,
    FlushAll,
    FlushDb,
    Info,
    Time,
    Command,
    CommandCount,
    CommandDocs,
    CommandInfo,
    CommandList,
    Config,
    ConfigGet,
    ConfigSet,
    ConfigResetStat,
    ConfigRewrite,
    ConfigHelp,
    Client,
    ClientSetName,
    ClientGetName,
    ClientSetInfo,
    ClientId,
    ClientInfo,
    ClientList,
    ClientKill,
    ClientNoEvict,
    ClientNoTouch,
    ClientReply,
    ClientPause,
    ClientUnpause,
    ClientUnblock,
    ClientHelp,
    Memory,
    MemoryDoctor,
    MemoryStats,
    MemoryPurge,
    MemoryMallocStats,
    MemoryHelp,
    Latency,
    LatencyHistogram,
    LatencyReset,
    LatencyLatest,
    LatencyHistory,
    LatencyDoctor,
    LatencyGraph,
    LatencyHelp,
    SlowLog,
    SlowLogGet,
    SlowLogLen,
    SlowLogReset,
    SlowLogHelp,
    Acl,
    AclWhoAmI,
    AclList,
    AclUsers,
    AclHelp,
    Module,
    ModuleList,
    ModuleLoad,
    ModuleLoadEx,
    ModuleUnload,
    ModuleHelp,
    Cluster,
    ReadOnly,
    ReadWrite,
    Asking,
    Auth,
    Wait,
    Role,
    LastSave,
    Lolwut,
    Shutdown,
    Save,
    BgSave,
    BgRewriteAof,
    Debug,
    Select,
    Reset,
    Quit,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// Which one it is.
    pub command: Command,
    /// The name in lower case; `container|sub` for a subcommand.
    pub name: &'static str,
    /// How many arguments with the name (and a subcommand's): exactly, or at least if negative.
    pub arity: i32,
    /// What it does, in the words of COMMAND INFO.
    pub flags: &'static [&'static str],
    /// Where the first key stands; 0 for no keys.
    pub first_key: i32,
    /// Where the last key stands; negative counts from the end.
    pub last_key: i32,
    /// From key to key.
    pub step: i32,
}

impl CommandSpec {
    /// Whether it changes keys.
    pub fn is_write(&self) -> bool {
        self.flags.contains(&"write")
    }

    /// Whether it can have this many arguments.
    #[inline]
    pub const fn takes(&self, count: usize) -> bool {
        let arity = self.arity.unsigned_abs() as usize;
        if self.arity < 0 {
            count >= arity
        } else {
            count == arity
        }
    }

    /// Appends this command's entry of COMMAND's reply. The ACL categories, tips, key
    /// specifications and subcommands of Redis 7 are left empty: no client library chooses by them.
    pub fn encode(&self, out: &mut Vec<u8>, version: Version) {
        reply::array_header(out, 10);
        reply::bulk(out, self.name.as_bytes());
        reply::integer(out, self.arity.into());
        reply::set_header(out, self.flags.len(), version);
        self.flags.iter().for_each(|flag| reply::simple(out, flag));
        for position in [self.first_key, self.last_key, self.step] {
            reply::integer(out, position.into());
        }
        for _ in ["categories", "tips", "key specifications", "subcommands"] {
            reply::set_header(out, 0, version);
        }
    }
}

/// The command of this name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    COMMANDS
        .iter()
        .find(|spec| name.eq_ignore_ascii_case(spec.name.as_bytes()))
}

/// The subcommand of this name, in any case, under the container of that name.
pub fn lookup_sub(container: &str, name: &[u8]) -> Option<&'static CommandSpec> {
    subcommands(container).find(|spec| {
        name.eq_ignore_ascii_case(&spec.name.as_bytes()[container.len() + SEPARATOR_BYTES..])
    })
}

/// Whether a command has subcommands.
pub fn is_container(name: &str) -> bool {
    subcommands(name).next().is_some()
}

fn subcommands(container: &str) -> impl Iterator<Item = &'static CommandSpec> {
    SUBCOMMANDS.iter().filter(move |spec| {
        spec.name
            .strip_prefix(container)
            .is_some_and(|rest| rest.starts_with('|'))
    })
}

const SEPARATOR_BYTES: usize = "|".len();

/// Every command, the busiest first, for [`lookup`] goes through them in order.
pub static COMMANDS: &[CommandSpec] = &[
    row(Command::Get, "get", 2, READ_FAST, ONE_KEY),
    row(Command::Set, "set", -3, WRITE_GROW, ONE_KEY),
    row(Command::MGet, "mget", -2, READ_FAST, ALL_KEYS),
    row(Command::Del, "del", -2, WRITE, ALL_KEYS),
    row(Command::Incr, "incr", 2, WRITE_GROW_FAST, ONE_KEY),
    row(Command::Exists, "exists", -2, READ_FAST, ALL_KEYS),
    row(Command::Expire, "expire", -3, WRITE_FAST, ONE_KEY),
    row(Command::Ttl, "ttl", 2, READ_FAST, ONE_KEY),
    row(Command::Ping, "ping", -1, FAST, NO_KEYS),
    row(Command::Echo, "echo", 2, LOADING_FAST, NO_KEYS),
    row(Command::Hello, "hello", -1, CONNECTION, NO_KEYS),
    row(Command::SetNx, "setnx", 3, WRITE_GROW_FAST, ONE_KEY),
    row(Command::SetEx, "setex", 4, WRITE_GROW, ONE_KEY),
    row(Command::PSetEx, "psetex", 4, WRITE_GROW, ONE_KEY),
    row(Command::GetSet, "getset", 3, WRITE_GROW_FAST, ONE_KEY),
    row(Command::GetDel, "getdel", 2, WRITE_FAST, ONE_KEY),
    row(Command::GetEx, "getex", -2, WRITE_FAST, ONE_KEY),
    row(Command::MSet, "mset", -3, WRITE_GROW, (1, -1, 2)),
    row(Command::Unlink, "unlink", -2, WRITE_FAST, ALL_KEYS),
    row(Command::Touch, "touch", -2, READ_FAST, ALL_KEYS),
    row(Command::PExpire, "pexpire", -3, WRITE_FAST, ONE_KEY),
    row(Command::PTtl, "pttl", 2, READ_FAST, ONE_KEY),
    row(Command::Persist, "persist", 2, WRITE_FAST, ONE_KEY),
    row(Command::Decr, "decr", 2, WRITE_GROW_FAST, ONE_KEY),
    row(Command::IncrBy, "incrby", 3, WRITE_GROW_FAST, ONE_KEY),
    row(Command::DecrBy, "decrby", 3, WRITE_GROW_FAST, ONE_KEY),
    row(Command::Append, "append", 3, WRITE_GROW_FAST, ONE_KEY),
    row(Command::Strlen, "strlen", 2, READ_FAST, ONE_KEY),
    row(Command::Type, "type", 2, READ_FAST, ONE_KEY),
    row(Command::DbSize, "dbsize", 1, READ_FAST, NO_KEYS),
    row(Command::FlushAll, "flushall", -1, WRITE, NO_KEYS),
    row(Command::FlushDb, "flushdb", -1, WRITE, NO_KEYS),
    row(Command::Info, "info", -1, LOADING, NO_KEYS),
    row(Command::Time, "time", 1, LOADING_FAST, NO_KEYS),
    row(Command::Command, "command", -1, LOADING, NO_KEYS),
    row(Command::Config, "config", -2, NONE, NO_KEYS),
    row(Command::Client, "client", -2, NONE, NO_KEYS),
    row(Command::Select, "select", 2, LOADING_FAST, NO_KEYS),
    row(Command::Reset, "reset", 1, CONNECTION, NO_KEYS),
    row(Command::Quit, "quit", -1, CONNECTION, NO_KEYS),
    row(Command::Auth, "auth", -2, CONNECTION, NO_KEYS),
    row(Command::Memory, "memory", -2, NONE, NO_KEYS),
    row(Command::Latency, "latency", -2, NONE, NO_KEYS),
    row(Command::SlowLog, "slowlog", -2, NONE, NO_KEYS),
    row(Command::Wait, "wait", 3, NOSCRIPT, NO_KEYS),
    row(Command::Role, "role", 1, ROLE, NO_KEYS),
    row(Command::LastSave, "lastsave", 1, LOADING_FAST, NO_KEYS),
    row(Command::Lolwut, "lolwut", -1, READ_FAST, NO_KEYS),
    row(Command::ReadOnly, "readonly", 1, LOADING_FAST, NO_KEYS),
    row(Command::ReadWrite, "readwrite", 1, LOADING_FAST, NO_KEYS),
    row(Command::Asking, "asking", 1, FAST, NO_KEYS),
    row(Command::Cluster, "cluster", -2, NONE, NO_KEYS),
    row(Command::Acl, "acl", -2, NONE, NO_KEYS),
    row(Command::Module, "module", -2, NONE, NO_KEYS),
    row(Command::Debug, "debug", -2, ADMIN, NO_KEYS),
    row(Command::Shutdown, "shutdown", -1, SHUTDOWN, NO_KEYS),
    row(Command::Save, "save", 1, SAVE, NO_KEYS),
    row(Command::BgSave, "bgsave", -1, BGSAVE, NO_KEYS),
    row(Command::BgRewriteAof, "bgrewriteaof", 1, BGSAVE, NO_KEYS),
];

/// How many commands and subcommands there are; a [`Command`] as a number is below.
pub const ROW_COUNT: usize = COMMANDS.len() + SUBCOMMANDS.len();

/// Every command and subcommand.
pub fn rows() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().chain(SUBCOMMANDS)
}

/// The row of a command.
pub fn row_of(command: Command) -> Option<&'static CommandSpec> {
    rows().find(|spec| spec.command == command)
}

/// Every subcommand.
static SUBCOMMANDS: &[CommandSpec] = &[
    row(Command::CommandCount, "command|count", 2, LOADING, NO_KEYS),
    row(Command::CommandDocs, "command|docs", -2, LOADING, NO_KEYS),
    row(Command::CommandInfo, "command|info", -2, LOADING, NO_KEYS),
    row(Command::CommandList, "command|list", -2, LOADING, NO_KEYS),
    row(Command::ConfigGet, "config|get", -3, ADMIN, NO_KEYS),
    row(Command::ClientSetName, "client|setname", 3, CLIENT, NO_KEYS),
    row(Command::ClientGetName, "client|getname", 2, CLIENT, NO_KEYS),
    row(Command::ClientSetInfo, "client|setinfo", 4, CLIENT, NO_KEYS),
    row(Command::ClientId, "client|id", 2, CLIENT, NO_KEYS),
    row(Command::ClientInfo, "client|info", 2, CLIENT, NO_KEYS),
    row(Command::ClientList, "client|list", -2, ADMIN, NO_KEYS),
    row(Command::ClientKill, "client|kill", -3, ADMIN, NO_KEYS),
    row(Command::ClientNoEvict, "client|no-evict", 3, ADMIN, NO_KEYS),
    row(
        Command::ClientNoTouch,
        "client|no-touch",
        3,
        CLIENT,
        NO_KEYS,
    ),
    row(Command::ClientReply, "client|reply", 3, CLIENT, NO_KEYS),
    row(Command::ClientPause, "client|pause", -3, ADMIN, NO_KEYS),
    row(Command::ClientUnpause, "client|unpause", 2, ADMIN, NO_KEYS),
    row(Command::ClientUnblock, "client|unblock", -3, ADMIN, NO_KEYS),
    row(Command::ClientHelp, "client|help", 2, LOADING, NO_KEYS),
    row(Command::ConfigSet, "config|set", -4, ADMIN, NO_KEYS),
    row(
        Command::ConfigResetStat,
        "config|resetstat",
        2,
        ADMIN,
        NO_KEYS,
    ),
    row(Command::ConfigRewrite, "config|rewrite", 2, ADMIN, NO_KEYS),
    row(Command::ConfigHelp, "config|help", 2, LOADING, NO_KEYS),
    row(Command::MemoryDoctor, "memory|doctor", 2, NONE, NO_KEYS),
    row(Command::MemoryStats, "memory|stats", 2, NONE, NO_KEYS),
    row(Command::MemoryPurge, "memory|purge", 2, NONE, NO_KEYS),
    row(
        Command::MemoryMallocStats,
        "memory|malloc-stats",
        2,
        NONE,
        NO_KEYS,
    ),
    row(Command::MemoryHelp, "memory|help", 2, LOADING, NO_KEYS),
    row(
        Command::LatencyHistogram,
        "latency|histogram",
        -2,
        ADMIN,
        NO_KEYS,
    ),
    row(Command::LatencyReset, "latency|reset", -2, ADMIN, NO_KEYS),
    row(Command::LatencyLatest, "latency|latest", 2, ADMIN, NO_KEYS),
    row(
        Command::LatencyHistory,
        "latency|history",
        3,
        ADMIN,
        NO_KEYS,
    ),
    row(Command::LatencyDoctor, "latency|doctor", 2, ADMIN, NO_KEYS),
    row(Command::LatencyGraph, "latency|graph", 3, ADMIN, NO_KEYS),
    row(Command::LatencyHelp, "latency|help", 2, LOADING, NO_KEYS),
    row(Command::SlowLogGet, "slowlog|get", -2, SLOWLOG, NO_KEYS),
    row(Command::SlowLogLen, "slowlog|len", 2, SLOWLOG, NO_KEYS),
    row(Command::SlowLogReset, "slowlog|reset", 2, SLOWLOG, NO_KEYS),
    row(Command::SlowLogHelp, "slowlog|help", 2, LOADING, NO_KEYS),
    row(Command::AclWhoAmI, "acl|whoami", 2, CLIENT, NO_KEYS),
    row(Command::AclList, "acl|list", 2, ADMIN, NO_KEYS),
    row(Command::AclUsers, "acl|users", 2, ADMIN, NO_KEYS),
    row(Command::AclHelp, "acl|help", 2, LOADING, NO_KEYS),
    row(Command::ModuleList, "module|list", 2, MODULE_LIST, NO_KEYS),
    row(Command::ModuleLoad, "module|load", -3, BGSAVE, NO_KEYS),
    row(Command::ModuleLoadEx, "module|loadex", -3, BGSAVE, NO_KEYS),
    row(Command::ModuleUnload, "module|unload", 3, BGSAVE, NO_KEYS),
    row(Command::ModuleHelp, "module|help", 2, LOADING, NO_KEYS),
];

const NONE: &[&str] = &[];
const FAST: &[&str] = &["fast"];
const READ_FAST: &[&str] = &["readonly", "fast"];
const WRITE: &[&str] = &["write"];
const WRITE_FAST: &[&str] = &["write", "fast"];
const WRITE_GROW: &[&str] = &["write", "denyoom"];
const WRITE_GROW_FAST: &[&str] = &["write", "denyoom", "fast"];
const LOADING: &[&str] = &["loading", "stale"];
const LOADING_FAST: &[&str] = &["loading", "stale", "fast"];
const CLIENT: &[&str] = &["noscript", "loading", "stale"];
const ADMIN: &[&str] = &["admin", "noscript", "loading", "stale"];
const SLOWLOG: &[&str] = &["admin", "loading", "stale"];
const NOSCRIPT: &[&str] = &["noscript"];
const MODULE_LIST: &[&str] = &["admin", "noscript"];
const BGSAVE: &[&str] = &["admin", "noscript", "no_async_loading"];
const SAVE: &[&str] = &["admin", "noscript", "no_async_loading", "no_multi"];
const ROLE: &[&str] = &["noscript", "loading", "stale", "fast"];
const SHUTDOWN: &[&str] = &[
    "admin",
    "noscript",
    "loading",
    "stale",
    "no_multi",
    "allow_busy",
];
const CONNECTION: &[&str] = &[
    "noscript",
    "loading",
    "stale",
    "fast",
    "no_auth",
    "allow_busy",
];

const NO_KEYS: (i32, i32, i32) = (0, 0, 0);
const ONE_KEY: (i32, i32, i32) = (1, 1, 1);
const ALL_KEYS: (i32, i32, i32) = (1, -1, 1);

const fn row(
    command: Command,
    name: &'static str,
    arity: i32,
    flags: &'static [&'static str],
    (first_key, last_key, step): (i32, i32, i32),
) -> CommandSpec {
    CommandSpec {
        command,
        name,
        arity,
        flags,
        first_key,
        last_key,
        step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookup_ignores_case_and_takes_whole_names() {
        for spec in COMMANDS {
            let upper = spec.name.to_ascii_uppercase();
            assert_eq!(
                lookup(upper.as_bytes()).map(|found| found.name),
                Some(spec.name)
            );
            assert!(lookup(&spec.name.as_bytes()[1..]).is_none_or(|found| found.name != spec.name));
        }
        assert!(lookup(b"").is_none());
        assert!(lookup(b"client|id").is_none());
        assert_eq!(
            lookup_sub("client", b"SetName").map(|s| s.name),
            Some("client|setname")
        );
        assert!(lookup_sub("config", b"id").is_none());
        assert!(lookup_sub("c", b"id").is_none());
    }

    #[test]
    fn every_command_has_one_row_and_a_number_of_its_own() {
        let mut numbers: Vec<_> = rows().map(|spec| spec.command as usize).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..ROW_COUNT));
    }

    #[test]
    fn arity_is_exact_or_a_minimum() {
        let get = lookup(b"get").expect("known");
        assert_eq!(
            [1, 2, 3].map(|count| get.takes(count)),
            [false, true, false]
        );
        let del = lookup(b"del").expect("known");
        assert_eq!([1, 2, 3].map(|count| del.takes(count)), [false, true, true]);
        assert!(del.is_write() && !get.is_write());
    }

    #[test]
    fn an_entry_has_ten_parts() {
        let mut out = Vec::new();
        lookup(b"get")
            .expect("known")
            .encode(&mut out, Version::Resp3);
        let expected = b"*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n\
            ~0\r\n~0\r\n~0\r\n~0\r\n";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}
