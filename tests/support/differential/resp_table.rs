//! The RESP commands and what their words are.

/// How a command is written.
pub(super) struct Row {
    /// Of one word or, with a subcommand, of two.
    pub(super) name: &'static str,
    /// One letter a word that has to be there; `letter_word` in `resp.rs` reads them.
    pub(super) args: &'static str,
    /// Letters of words that may follow, together, any number of times.
    pub(super) tail: &'static str,
    /// What may stand behind, in any order: a word, and letters of what belongs to it.
    pub(super) options: &'static [&'static str],
}

const fn row(
    name: &'static str,
    args: &'static str,
    tail: &'static str,
    options: &'static [&'static str],
) -> Row {
    Row {
        name,
        args,
        tail,
        options,
    }
}

const CONDITIONS: &[&str] = &["NX", "XX", "GT", "LT"];

pub(super) const STRINGS: &[Row] = &[
    row("GET", "K", "", &[]),
    row("GET", "K", "", &[]),
    row("SET", "KV", "", &[]),
    row("SET", "KV", "", &[]),
    row(
        "SET",
        "KV",
        "",
        &[
            "NX", "XX", "GET", "KEEPTTL", "EX T", "PX M", "EXAT A", "PXAT B",
        ],
    ),
    row("GETSET", "KV", "", &[]),
    row("GETDEL", "K", "", &[]),
    row("APPEND", "KV", "", &[]),
    row("STRLEN", "K", "", &[]),
    row("SETNX", "KV", "", &[]),
    row("SETEX", "KTV", "", &[]),
    row("PSETEX", "KMV", "", &[]),
    row("MGET", "K", "K", &[]),
    row("MSET", "KV", "KV", &[]),
];

pub(super) const COUNTERS: &[Row] = &[
    row("INCR", "K", "", &[]),
    row("DECR", "K", "", &[]),
    row("INCRBY", "KI", "", &[]),
    row("DECRBY", "KI", "", &[]),
];

pub(super) const EXPIRY: &[Row] = &[
    row("EXPIRE", "KT", "", CONDITIONS),
    row("PEXPIRE", "KM", "", CONDITIONS),
    row("TTL", "K", "", &[]),
    row("PTTL", "K", "", &[]),
    row("PERSIST", "K", "", &[]),
];

pub(super) const KEYS: &[Row] = &[
    row("DEL", "K", "K", &[]),
    row("UNLINK", "K", "K", &[]),
    row("EXISTS", "K", "K", &[]),
    row("TOUCH", "K", "K", &[]),
    row("TYPE", "K", "", &[]),
    row("DBSIZE", "", "", &[]),
    row("FLUSHALL", "", "", &["ASYNC", "SYNC"]),
    row("FLUSHDB", "", "", &["ASYNC", "SYNC"]),
];

pub(super) const CONNECTION: &[Row] = &[
    row("PING", "", "", &[]),
    row("PING", "V", "", &[]),
    row("ECHO", "V", "", &[]),
    row("HELLO", "", "", &[]),
    row("HELLO", "P", "", &["SETNAME N"]),
    row("SELECT", "D", "", &[]),
    row("RESET", "", "", &[]),
    row("CLIENT ID", "", "", &[]),
    row("CLIENT SETNAME", "N", "", &[]),
    row("CLIENT GETNAME", "", "", &[]),
    row("CLIENT", "", "", &[]),
    row("CLIENT FROBNICATE", "", "V", &[]),
];

/// The rest of what can be done to strings.
pub(super) const MORE_STRINGS: &[Row] = &[
    row(
        "GETEX",
        "K",
        "",
        &["PERSIST", "EX T", "PX M", "EXAT A", "PXAT B"],
    ),
    row("GETRANGE", "KRR", "", &[]),
    row("SUBSTR", "KRR", "", &[]),
    row("SETRANGE", "KOV", "", &[]),
    row("INCRBYFLOAT", "KF", "", &[]),
    row("MSETNX", "KV", "KV", &[]),
    row(
        "LCS",
        "KK",
        "",
        &["LEN", "IDX", "MINMATCHLEN I", "WITHMATCHLEN"],
    ),
];

pub(super) const MORE_EXPIRY: &[Row] = &[
    row("EXPIREAT", "KA", "", CONDITIONS),
    row("PEXPIREAT", "KB", "", CONDITIONS),
    row("EXPIRETIME", "K", "", &[]),
    row("PEXPIRETIME", "K", "", &[]),
];

pub(super) const MORE_KEYS: &[Row] = &[
    row("RENAME", "KK", "", &[]),
    row("RENAMENX", "KK", "", &[]),
    row("COPY", "KK", "", &["REPLACE", "DB D"]),
    row("RANDOMKEY", "", "", &[]),
    row("KEYS", "G", "", &[]),
    row("SCAN", "S", "", &["MATCH G", "COUNT C", "TYPE Y"]),
    row("OBJECT ENCODING", "K", "", &[]),
    row("OBJECT REFCOUNT", "K", "", &[]),
    row("OBJECT IDLETIME", "K", "", &[]),
    row("OBJECT FREQ", "K", "", &[]),
];

pub(super) const INTROSPECTION: &[Row] = &[
    row(
        "COMMAND GETKEYS",
        "",
        "",
        &["GET K", "SET KV", "MSET KVKV", "DEL KKK", "PING", "X"],
    ),
    row("COMMAND INFO", "W", "", &[]),
];
