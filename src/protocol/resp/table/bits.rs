//! The words of COMMAND INFO that are sets, as bits, in Redis' order: flags, ACL categories, and
//! what is done to a key.

/// None of them.
pub(super) const NONE: u16 = 0;

/// Defines one bit for each word, in order, and the words by bit.
macro_rules! bits {
    ($list:ident: $($name:ident = $word:literal),+ $(,)?) => {
        pub(super) const $list: &[&str] = &[$($word),+];
        bits!(@ 1u16; $($name)+);
    };
    (@ $bit:expr; $name:ident $($rest:ident)*) => {
        pub(super) const $name: u16 = $bit;
        bits!(@ $bit << 1; $($rest)*);
    };
    (@ $bit:expr;) => {};
}

// What a command does.
bits!(FLAGS:
    WRITE = "write",
    READONLY = "readonly",
    DENYOOM = "denyoom",
    ADMIN = "admin",
    PUBSUB = "pubsub",
    NOSCRIPT = "noscript",
    LOADING = "loading",
    STALE = "stale",
    SKIP_SLOWLOG = "skip_slowlog",
    FAST = "fast",
    NO_AUTH = "no_auth",
    NO_ASYNC_LOADING = "no_async_loading",
    NO_MULTI = "no_multi",
    ALLOW_BUSY = "allow_busy",
);

// ACL categories, without their `@`.
bits!(CATEGORIES:
    KEYSPACE = "keyspace",
    READ_CATEGORY = "read",
    WRITE_CATEGORY = "write",
    STRING = "string",
    PUBSUB_CATEGORY = "pubsub",
    ADMIN_CATEGORY = "admin",
    FAST_CATEGORY = "fast",
    SLOW_CATEGORY = "slow",
    DANGEROUS = "dangerous",
    CONNECTION = "connection",
    TRANSACTION = "transaction",
);

// What is done to a key: read only, read and written, overwritten, removed; and to its value.
bits!(KEY_FLAGS:
    RO = "RO",
    RW = "RW",
    OW = "OW",
    RM = "RM",
    ACCESS = "access",
    UPDATE = "update",
    INSERT = "insert",
    DELETE = "delete",
    VARIABLE_FLAGS = "variable_flags",
);

/// The ACL categories that follow from a command's flags.
pub(super) const fn implied_categories(flags: u16) -> u16 {
    let mut categories = if flags & FAST != 0 {
        FAST_CATEGORY
    } else {
        SLOW_CATEGORY
    };
    if flags & WRITE != 0 {
        categories |= WRITE_CATEGORY;
    }
    if flags & READONLY != 0 {
        categories |= READ_CATEGORY;
    }
    if flags & ADMIN != 0 {
        categories |= ADMIN_CATEGORY | DANGEROUS;
    }
    categories
}

/// The words of the bits that are set, out of one of the lists above.
pub(super) fn names(
    list: &'static [&'static str],
    bits: u16,
) -> impl Iterator<Item = &'static str> + Clone {
    let words = list.iter().enumerate();
    words
        .filter(move |(index, _)| bits >> index & 1 == 1)
        .map(|(_, word)| *word)
}
