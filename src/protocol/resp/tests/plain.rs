//! What is taken for a plain request is that, as the parser sees it.

use super::{
    super::{Condition, Request, SetExpiry, parse, plain_get, plain_set, set_head},
    WIDE,
};
use crate::protocol::Parsed;

/// Panics if a wire is taken for what it is not.
pub(super) fn check(wire: &[u8]) {
    let (get, set) = (plain_get(wire), plain_set(wire));
    assert!(get.is_none() || set.is_none());
    if let (Some((set, _)), Some(head)) = (set, set_head(wire)) {
        let value = &wire[head.value_at..][..head.value_bytes];
        assert_eq!((set.key, set.value), (head.key, value));
        // As long as it is not whole, too.
        assert_eq!(set_head(&wire[..head.value_at]), Some(head));
        assert_eq!(set_head(&wire[..head.value_at - 1]), None);
    }
    let Some(end) = get.map(|(_, end)| end).or_else(|| set.map(|(_, end)| end)) else {
        return;
    };
    let Parsed::Complete { request, consumed } = parse(wire, &WIDE) else {
        panic!("{}", wire.escape_ascii());
    };
    assert_eq!(consumed, end);
    let request = Request::from_args(request).expect("a request");
    if let Some((key, _)) = get {
        assert_eq!(request, Request::Get { key });
    }
    if let Some((set, _)) = set {
        let plain = Request::Set {
            key: set.key,
            value: set.value,
            expiry: set.lasts_ms.map_or(SetExpiry::None, SetExpiry::InMs),
            condition: Condition::Always,
            get: false,
        };
        assert_eq!(request, plain);
    }
}

/// Whether a wire is taken for a plain request.
fn is_plain(wire: &[u8]) -> bool {
    plain_get(wire).is_some() || plain_set(wire).is_some()
}

#[test]
fn a_request_is_plain_as_libraries_spell_it() {
    let long = format!("*2\r\n$3\r\nGET\r\n$250\r\n{:0250}\r\n", 7);
    let long_value = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n{:01000}\r\n", 7);
    for (wire, rest) in [
        ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "*2"),
        ("*2\r\n$3\r\ngEt\r\n$0\r\n\r\n", ""),
        (&long, ""),
        ("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", "*"),
        ("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$0\r\n\r\n", ""),
        (&long_value, "*3\r\n"),
        (
            "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nEX\r\n$2\r\n60\r\n",
            "*",
        ),
        (
            "*5\r\n$3\r\nset\r\n$1\r\nk\r\n$0\r\n\r\n$2\r\npx\r\n$9\r\n999999999\r\n",
            "",
        ),
    ] {
        let all = [wire, rest].concat();
        assert!(is_plain(all.as_bytes()), "{all}");
        check(all.as_bytes());
        for end in 0..wire.len() {
            assert!(!is_plain(&wire.as_bytes()[..end]), "{end} of {wire}");
        }
    }
}

#[test]
fn a_time_to_live_is_in_its_unit() {
    for (option, ms) in [("EX", 60_000), ("PX", 60)] {
        let wire =
            format!("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\n{option}\r\n$2\r\n60\r\n");
        let (set, _) = plain_set(wire.as_bytes()).expect("it is plain");
        assert_eq!(set.lasts_ms, Some(ms));
    }
}

#[test]
fn all_else_is_looked_at_closely() {
    let timed = |options| format!("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n{options}");
    for options in [
        "$2\r\nEX\r\n$1\r\n0\r\n",
        "$2\r\nEX\r\n$0\r\n\r\n",
        "$2\r\nEX\r\n$2\r\n-1\r\n",
        "$2\r\nEX\r\n$2\r\n07\r\n",
        "$2\r\nEX\r\n$2\r\n6x\r\n",
        "$2\r\nEX\r\n$10\r\n1000000000\r\n",
        "$2\r\nEX\r\n:1\r\n6\r\n",
        "$2\r\nNX\r\n$3\r\nGET\r\n",
        "$4\r\nEXAT\r\n$1\r\n9\r\n",
    ] {
        assert!(!is_plain(timed(options).as_bytes()), "{options}");
    }
    for wire in [
        "GET k\r\n",
        "SET k v\r\n",
        "*2\r\n$3\r\nSET\r\n$1\r\nk\r\n",
        "*3\r\n$3\r\nGET\r\n$1\r\nk\r\n$1\r\nk\r\n",
        "*2\r\n$3\r\nGET\r\n$01\r\nk\r\n",
        "*2\r\n$3\r\nGET\r\n$251\r\nk\r\n",
        "*2\r\n$3\r\nGET\r\n$-1\r\n",
        "*2\r\n$4\r\nMGET\r\n$1\r\nk\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n*1\r\nv\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-1\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n:1\r\n",
        "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nNX\r\n",
        "*3\r\n$5\r\nSETNX\r\n$1\r\nk\r\n$1\r\nv\r\n",
    ] {
        assert!(!is_plain(wire.as_bytes()), "{wire}");
    }
}
