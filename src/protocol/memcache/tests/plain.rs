//! What is taken for a plain request is that, as the parser sees it.

use super::{
    super::{Exptime, PlainSet, parse, plain_get, plain_keys, plain_set},
    LIMITS, outcome,
};
use crate::protocol::{
    Parsed,
    memcache::{Request, StoreVerb},
};

#[test]
fn a_set_is_plain_with_numbers_as_libraries_write_them() {
    for (wire, rest) in [
        ("set k 0 0 1\r\nv\r\n", "set"),
        ("set key 4294967 3600 0\r\n\r\n", ""),
        ("set k 00 0 8\r\n\r\n\r\n\r\n\r\n\r\n", "get k\r\n"),
    ] {
        let all = [wire, rest].concat();
        let (set, end) = plain_set(all.as_bytes()).expect(wire);
        assert_eq!(end, wire.len());
        let PlainSet {
            key,
            flags,
            exptime,
            value,
        } = set;
        let request = Request::Store {
            verb: StoreVerb::Set,
            key,
            flags,
            exptime,
            value,
            noreply: false,
        };
        let whole = Parsed::Complete {
            request: format!("{request:?}"),
            consumed: end,
        };
        assert_eq!(outcome(all.as_bytes()), whole, "{wire}");
        for end in 0..wire.len() {
            assert_eq!(plain_set(&wire.as_bytes()[..end]), None, "{end} of {wire}");
        }
    }
    let (set, _) = plain_set(b"set k 7 60 1\r\nv\r\n").expect("it is plain");
    assert_eq!((set.flags, set.exptime), (7, Exptime(60)));
}

#[test]
fn all_else_is_looked_at_closely() {
    for wire in [
        "set k 0 0 1 noreply\r\nv\r\n",
        "set k 0 -1 1\r\nv\r\n",
        "set k 0 0  1\r\nv\r\n",
        "set k 0 0 1\nv\r\n",
        "set k 0 0 1\r\nvv\r\n",
        "set  0 0 1\r\nv\r\n",
        "set k 1234567890 0 1\r\nv\r\n",
        "add k 0 0 1\r\nv\r\n",
        "ms k 1\r\nv\r\n",
    ] {
        let seen = plain_set(wire.as_bytes());
        assert_eq!(seen, None, "{wire}");
        assert_eq!(plain_get(wire.as_bytes()), None);
        assert!(
            !matches!(parse(wire.as_bytes(), &LIMITS), Parsed::Incomplete { .. }),
            "{wire}"
        );
    }
}

#[test]
fn usual_lines_have_their_keys_told_at_once() {
    let told = |wire: &str, count_max| {
        let mut keys = Vec::new();
        let line = plain_keys(wire.as_bytes(), |key| {
            keys.push(key.escape_ascii().to_string());
            keys.len() <= count_max
        })?;
        assert!(wire[..line.consumed].ends_with('\n'));
        Some((line.cas, keys.join(" "), wire.len() - line.consumed))
    };
    let long = |bytes| format!("get {} b\r\n", "k".repeat(bytes));
    let usual = |cas, keys: &str, rest| Some((cas, keys.to_owned(), rest));
    assert_eq!(told("get a\r\n", 9), usual(false, "a", 0));
    assert_eq!(told("get a b a\r\n", 3), usual(false, "a b a", 0));
    assert_eq!(told("gets a b\r\nget", 9), usual(true, "a b", 3));
    assert!(told(&long(250), 9).is_some());
    for other in [
        "get \r\n",
        "get a b",
        "get a b\r",
        "get a b\n",
        "get  a b\r\n",
        "get a  b\r\n",
    ]
    .into_iter()
    .chain([
        "get a \r\n",
        "get a\tb\r\n",
        "get a\0b\r\n",
        "bget a\r\n",
        "geta b\r\n",
        "",
    ])
    .chain([
        "gat 0 a\r\n",
        &long(251),
        &format!("get{}\r\n", " key".repeat(600)),
    ]) {
        assert_eq!(told(other, 999), None, "{other:?}");
    }
    assert_eq!(told("get a b a\r\n", 2), None, "one was not wanted");
}
