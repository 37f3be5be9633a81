//! Names of keys that are easily mistaken on the way.

/// Keys that are easily taken for others on the way.
pub(crate) const KEYS: &[&str] = &[
    "a",
    "a b",
    "a+b",
    "a%20b",
    "a/b",
    "/a",
    "a%2Fb",
    "100%",
    "größe",
    "日本",
    "a?b=c&d",
    "#a",
    "a;b,c",
    "a:b@c$d",
    "-._~",
    "!*'()",
    "\"<>\\^`{|}",
    "a\r\nb: c",
    "\u{0}\u{7f}",
];
