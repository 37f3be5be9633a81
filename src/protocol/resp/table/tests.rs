//! The table by itself. That its rows are those of Redis is for the real server to say, in
//! `tests/commands.rs`.

use super::*;
use crate::protocol::{
    Parsed,
    resp::{Args, Limits, Request, RequestError, Version, parse, reply},
};

fn wire(words: &str) -> Vec<u8> {
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let mut wire = Vec::new();
    reply::encode_command(&mut wire, &words);
    wire
}

fn args(wire: &[u8]) -> Args<'_> {
    let limits = Limits {
        bulk_bytes_max: 1 << 20,
        args_max: 1 << 10,
        inline_bytes_max: 1 << 10,
    };
    match parse(wire, &limits) {
        Parsed::Complete { request, .. } => request,
        _ => panic!("a whole request"),
    }
}

/// What a request about commands is answered, in RESP2.
fn answer(words: &str) -> String {
    let wire = wire(words);
    let mut out = Vec::new();
    match Request::from_args(args(&wire)) {
        Ok(Request::Command(request)) => request.encode(Version::Resp2, &mut out),
        Ok(other) => panic!("{other:?}"),
        Err(error) => error.encode(&mut out),
    }
    String::from_utf8(out).expect("text")
}

#[test]
fn every_name_is_found_in_any_case() {
    for spec in &COMMANDS {
        let upper = spec.name.to_ascii_uppercase();
        assert_eq!(lookup(upper.as_bytes()), Some(spec), "{}", spec.name);
        assert_eq!(lookup_full(spec.name.as_bytes()), Some(spec));
        let part = &spec.name.as_bytes()[1..];
        assert!(lookup(part).is_none_or(|found| found.name != spec.name));
        for sub in spec.subcommands {
            let upper = sub.last_name().to_ascii_uppercase();
            assert_eq!(spec.subcommand(upper.as_bytes()), Some(sub), "{}", sub.name);
            assert_eq!(lookup_full(sub.name.as_bytes()), Some(sub));
            assert_eq!(lookup(sub.name.as_bytes()), None);
            assert!(sub.name.starts_with(&format!("{}|", spec.name)));
        }
    }
    for name in [
        "",
        "ge",
        "gett",
        "xyzzy",
        "get|x",
        "config|x",
        "config|get|x",
        "|get",
        "config|",
    ] {
        assert_eq!(lookup_full(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn each_row_is_there_once() {
    let mut names: Vec<_> = all().map(|spec| spec.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 120, "{count}");
    let rows: Vec<_> = all().collect();
    for (index, row) in rows.iter().enumerate() {
        let twin = rows[index + 1..].iter().find(|other| *other == row);
        assert!(twin.is_none(), "{} {twin:?}", row.name);
    }
}

#[test]
fn arity_is_exact_or_a_minimum() {
    let takes = |name: &str| {
        let spec = lookup_full(name.as_bytes()).expect("known");
        [1, 2, 3, 4].map(|count| spec.takes(count))
    };
    assert_eq!(takes("get"), [false, true, false, false]);
    assert_eq!(takes("del"), [false, true, true, true]);
    assert_eq!(takes("config|get"), [false, false, true, true]);
}

#[test]
fn rows_tell_what_is_asked_of_them() {
    let spec = |name: &str| lookup_full(name.as_bytes()).expect("known");
    assert!(spec("set").is_write() && spec("set").is_growing());
    assert!(spec("del").is_write() && !spec("del").is_growing());
    assert!(!spec("get").is_write() && !spec("get").is_admin());
    assert!(spec("exec").skips_slowlog() && !spec("get").skips_slowlog());
    assert!(spec("auth").needs_no_auth() && !spec("get").needs_no_auth());
    assert!(spec("config|set").is_admin());
    assert!(spec("config|set").has_category(b"DANGEROUS"));
    assert!(!spec("get").has_category(b"@read") && spec("get").has_category(b"read"));
}

#[test]
fn keys_are_found() {
    for (words, keys) in [
        ("get k", &["k"][..]),
        ("mget a b c", &["a", "b", "c"]),
        ("mset a 1 b 2", &["a", "b"]),
        ("mset a 1 b", &["a", "b"]),
        ("rename a b", &["a", "b"]),
        ("lcs a b len", &["a", "b"]),
        ("object encoding k", &["k"]),
        ("ping k", &[]),
    ] {
        let wire = wire(words);
        let args = args(&wire);
        let spec = lookup(args.at(0)).expect("known");
        let spec = spec.subcommand(args.at(1)).unwrap_or(spec);
        let seen: Vec<_> = spec.keys_of(&args).collect();
        let keys: Vec<_> = keys.iter().map(|key| key.as_bytes()).collect();
        assert_eq!(seen, keys, "{words}");
    }
}

#[test]
fn getkeys_says_what_redis_says() {
    let arity = "-ERR wrong number of arguments for 'command|getkeys' command\r\n";
    for (words, expected) in [
        ("get", arity),
        (
            "get a b",
            "-ERR Invalid number of arguments specified for command\r\n",
        ),
        ("nope a", "-ERR Invalid command specified\r\n"),
        ("config nope x", "-ERR Invalid command specified\r\n"),
        ("object|encoding k x", "-ERR Invalid command specified\r\n"),
        ("ping x", "-ERR The command has no key arguments\r\n"),
        ("config get x", "-ERR The command has no key arguments\r\n"),
        ("mset a b c d", "*2\r\n$1\r\na\r\n$1\r\nc\r\n"),
        (
            "mset a",
            "-ERR Invalid number of arguments specified for command\r\n",
        ),
        ("memory usage k samples 3", "*1\r\n$1\r\nk\r\n"),
    ] {
        assert_eq!(
            answer(&format!("command getkeys {words}")),
            expected,
            "{words}"
        );
    }
    for (words, expected) in [
        (
            "set a b GET",
            "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n",
        ),
        (
            "set a b xget",
            "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n",
        ),
        (
            "copy a b",
            "*2\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n",
        ),
    ] {
        assert_eq!(
            answer(&format!("command getkeysandflags {words}")),
            expected,
            "{words}"
        );
    }
}

#[test]
fn lists_are_filtered() {
    let listed =
        "*5\r\n$5\r\nmulti\r\n$4\r\nexec\r\n$7\r\ndiscard\r\n$5\r\nwatch\r\n$7\r\nunwatch\r\n";
    assert_eq!(answer("command list filterby ACLCAT TRANSACTION"), listed);
    assert_eq!(
        answer("command list filterby aclcat @transaction"),
        "*0\r\n"
    );
    assert_eq!(answer("command list filterby module x"), "*0\r\n");
    assert_eq!(
        answer("command list filterby pattern CONFIG|*et"),
        "*2\r\n$10\r\nconfig|get\r\n$10\r\nconfig|set\r\n"
    );
    for words in [
        "x",
        "filterby",
        "filterby pattern",
        "filterby pattern a b",
        "filterby x a",
    ] {
        let seen = answer(&format!("command list {words}"));
        assert_eq!(seen, "-ERR syntax error\r\n", "{words}");
    }
    assert_eq!(answer("command docs nope"), "*0\r\n");
    assert_eq!(answer("command info nope"), "*1\r\n$-1\r\n");
}

#[test]
fn help_is_answered_from_the_table() {
    for name in [
        "client", "command", "config", "latency", "memory", "object", "slowlog",
    ] {
        assert!(answer(&format!("{name} help")).contains("Prints this help."));
    }
}

#[test]
fn an_unknown_subcommand_is_told_of_help() {
    for spec in COMMANDS.iter().filter(|spec| !spec.subcommands.is_empty()) {
        let wire = wire(&format!("{} xyzzy", spec.name));
        let Err(error @ RequestError::UnknownSubcommand { .. }) = Request::from_args(args(&wire))
        else {
            panic!("{}", spec.name);
        };
        let mut out = Vec::new();
        error.encode(&mut out);
        let container = spec.name.to_ascii_uppercase();
        let expected = format!("-ERR unknown subcommand 'xyzzy'. Try {container} HELP.\r\n");
        assert_eq!(out, expected.into_bytes());
    }
}
