//! What arguments mean, and how Redis was seen to refuse them.

use proptest::prelude::*;

use super::super::reply::encode_command;
use super::super::*;
use super::WIDE;
use crate::protocol::Parsed;
use crate::protocol::testing::config;

/// The request that these arguments are, or the line that refuses them.
fn read(command: &str, with: impl FnOnce(Result<Request<'_>, String>)) {
    let arguments: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
    let mut wire = Vec::new();
    encode_command(&mut wire, &arguments);
    let Parsed::Complete { request: args, .. } = parse(&wire, &WIDE) else {
        panic!("a frame")
    };
    with(Request::from_args(args).map_err(|error| {
        let mut out = Vec::new();
        error.encode(&mut out);
        assert_eq!(error.closes(), out.is_empty());
        String::from_utf8_lossy(&out).into_owned()
    }));
}

#[test]
fn commands_about_keys_are_given_their_meaning() {
    let (key, value) = (b"k".as_slice(), b"v".as_slice());
    let set = |expiry, condition, get| Request::Set {
        key,
        value,
        expiry,
        condition,
        get,
    };
    let expire = |in_ms, condition| Request::Expire {
        key: b"k",
        at: ExpireAt::InMs(in_ms),
        condition,
    };
    let incr = |delta| Request::IncrBy { key: b"k", delta };
    use {Condition as C, ExpireCondition as X, SetExpiry as S};
    let table = [
        ("gEt k", Request::Get { key: b"k" }),
        ("set k v", set(S::None, C::Always, false)),
        ("SET k v keepttl NX", set(S::Keep, C::Absent, false)),
        (
            "SET k v Ex 10 xx get GET",
            set(S::InMs(10_000), C::Present, true),
        ),
        ("SET k v ex 1 ex 2", set(S::InMs(2000), C::Always, false)),
        ("SET k v px 1", set(S::InMs(1), C::Always, false)),
        ("SET k v exat 5", set(S::AtMs(5000), C::Always, false)),
        (
            "SET k v pxat 9223372036854775807",
            set(S::AtMs(i64::MAX as u64), C::Always, false),
        ),
        ("setex k 3 v", set(S::InMs(3000), C::Always, false)),
        ("psetex k 3 v", set(S::InMs(3), C::Always, false)),
        ("SETNX k v", Request::SetNx { key, value }),
        ("getset k v", Request::GetSet { key, value }),
        ("getdel k", Request::GetDel { key: b"k" }),
        ("expire k -1", expire(-1000, X::Always)),
        ("expire k 1 nx NX", expire(1000, X::Absent)),
        (
            "pexpire k -9223372036854775808 xx",
            expire(i64::MIN, X::Present),
        ),
        ("pexpire k 1 xx gt", expire(1, X::Later)),
        ("pexpire k 1 LT", expire(1, X::Sooner)),
        ("pexpire k 1 xx lt", expire(1, X::PresentAndSooner)),
        ("incr k", incr(1)),
        ("decr k", incr(-1)),
        ("incrby k -9223372036854775808", incr(i64::MIN)),
        ("decrby k 5", incr(-5)),
        ("append k v", Request::Append { key, value }),
    ];
    for (command, expected) in table {
        read(command, |request| {
            assert_eq!(request, Ok(expected), "{command}")
        });
    }
}

#[test]
fn other_commands_are_given_their_meaning() {
    let client = |request| Request::Connection(ConnectionRequest::Client(request));
    let table = [
        ("flushall ASYNC", Request::FlushAll),
        ("flushdb", Request::FlushAll),
        (
            "ping",
            Request::Connection(ConnectionRequest::Ping { message: None }),
        ),
        (
            "ping x",
            Request::Connection(ConnectionRequest::Ping {
                message: Some(b"x"),
            }),
        ),
        (
            "auth u p",
            Request::Connection(ConnectionRequest::Auth {
                username: Some(b"u"),
                password: b"p",
            }),
        ),
        (
            "client setname ",
            client(ClientRequest::SetName { name: b"" }),
        ),
        (
            "CLIENT setinfo lib-name x",
            client(ClientRequest::SetInfo {
                attribute: ClientAttribute::LibraryName,
                value: b"x",
            }),
        ),
        ("client id", client(ClientRequest::Id)),
        (
            "client kill id 7 skipme NO addr a:1",
            client(ClientRequest::Kill {
                filter: KillFilter {
                    id: Some(7),
                    kind: None,
                    addr: Some(b"a:1"),
                    laddr: None,
                    skip_me: false,
                },
            }),
        ),
        (
            "client pause 5 write",
            client(ClientRequest::Pause {
                timeout_ms: 5,
                writes_only: true,
            }),
        ),
        (
            "select -1",
            Request::Connection(ConnectionRequest::Select { index: -1 }),
        ),
        ("quit now", Request::Connection(ConnectionRequest::Quit)),
    ];
    for (command, expected) in table {
        read(command, |request| {
            assert_eq!(request, Ok(expected), "{command}")
        });
    }
}

#[test]
fn hello_is_read_option_by_option() {
    let options = |command: &str, expected: &[Result<HelloOption<'_>, &str>]| {
        read(command, |request| {
            let Ok(Request::Connection(ConnectionRequest::Hello { options, .. })) = request else {
                panic!("{command}: {request:?}");
            };
            let found = HelloOption::read_all(options).take(expected.len() + 1);
            let found: Vec<_> = found
                .map(|option| {
                    option.map_err(|error| {
                        let mut line = Vec::new();
                        error.encode(&mut line);
                        String::from_utf8_lossy(&line).into_owned()
                    })
                })
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|option| option.map_err(|line| format!("-ERR {line}\r\n")))
                .collect();
            assert_eq!(found, expected, "{command}");
        });
    };
    let auth = HelloOption::Auth {
        username: b"u",
        password: b"p",
    };
    options("hello", &[]);
    options("hello 3", &[]);
    options(
        "hello 2 setname n AUTH u p",
        &[Ok(HelloOption::SetName { name: b"n" }), Ok(auth)],
    );
    options(
        "hello 3 auth u p foo",
        &[Ok(auth), Err("Syntax error in HELLO option 'foo'")],
    );
    options(
        "hello 3 auth",
        &[Err("Syntax error in HELLO option 'auth'")],
    );
    options(
        "hello 3 setname",
        &[Err("Syntax error in HELLO option 'setname'")],
    );
}

#[test]
fn questions_about_commands_are_given_their_meaning() {
    let table = [
        ("command count", Request::Command(CommandRequest::Count)),
        (
            "command list",
            Request::Command(CommandRequest::List {
                filter: CommandFilter::None,
            }),
        ),
        (
            "command LIST filterBY aclcat x",
            Request::Command(CommandRequest::List {
                filter: CommandFilter::AclCat(b"x"),
            }),
        ),
    ];
    for (command, expected) in table {
        read(command, |request| assert_eq!(request, Ok(expected)));
    }
}

#[test]
fn the_rest_is_what_follows() {
    let listed = |command: &str, expected: &[&str]| {
        read(command, |request| {
            let rest = match request {
                Ok(Request::MGet { keys: rest } | Request::Del { keys: rest }) => rest,
                Ok(Request::Exists { keys: rest } | Request::Touch { keys: rest }) => rest,
                Ok(
                    Request::Server(ServerRequest::Info { sections: rest })
                    | Request::MSet { pairs: rest },
                ) => rest,
                Ok(Request::Server(ServerRequest::Config(
                    ConfigRequest::Get { patterns: rest } | ConfigRequest::Set { pairs: rest },
                ))) => rest,
                Ok(
                    Request::Command(CommandRequest::Info { names: rest })
                    | Request::Command(CommandRequest::Docs { names: rest }),
                ) => rest,
                other => panic!("{command}: {other:?}"),
            };
            assert_eq!(rest.count(), expected.len(), "{command}");
            assert!(
                rest.into_iter()
                    .eq(expected.iter().map(|word| word.as_bytes())),
                "{command}"
            );
        });
    };
    listed("mget a", &["a"]);
    listed("mget a b c d e", &["a", "b", "c", "d", "e"]);
    listed("del a b", &["a", "b"]);
    listed("unlink a b c", &["a", "b", "c"]);
    listed("exists a a", &["a", "a"]);
    listed("touch a", &["a"]);
    listed("mset a 1 b 2", &["a", "1", "b", "2"]);
    listed("info", &[]);
    listed("info server stats", &["server", "stats"]);
    listed("config get a b", &["a", "b"]);
    listed("command", &[]);
    listed("command info", &[]);
    listed("command docs get set mget", &["get", "set", "mget"]);
}

#[test]
fn mistakes_are_answered_as_redis_answers_them() {
    let long = "z".repeat(200);
    // With a line end in its second argument: `read` splits at spaces only.
    let unknown_long = format!("foo a b\r\nc {long} y");
    let unknown_shown = format!(
        "-ERR unknown command 'foo', with args beginning with: 'a' 'b  c' '{}' \r\n",
        "z".repeat(128 - "'a' 'b  c' ".len())
    );
    let long_name = format!(
        "-ERR unknown command '{}', with args beginning with: \r\n",
        "z".repeat(128)
    );
    let table = [
        (unknown_long.as_str(), unknown_shown.as_str()),
        (&long, &long_name),
    ];
    for (command, line) in table.iter().chain(MISTAKES) {
        read(command, |request| {
            assert_eq!(request, Err((*line).to_owned()), "{command}")
        });
    }
}

/// Commands, and the lines Redis 7.0.15 was seen to answer; nothing where it closes.
const MISTAKES: &[(&str, &str)] = &[
    (
        "",
        "-ERR unknown command '', with args beginning with: \r\n",
    ),
    (
        "a\0b c\0d",
        "-ERR unknown command 'a', with args beginning with: 'c' \r\n",
    ),
    (
        "client FOO",
        "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n",
    ),
    (
        "Command foo",
        "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n",
    ),
    ("post / HTTP/1.1", ""),
    ("Host: x", ""),
    (
        "get",
        "-ERR wrong number of arguments for 'get' command\r\n",
    ),
    (
        "GET a b",
        "-ERR wrong number of arguments for 'get' command\r\n",
    ),
    (
        "client",
        "-ERR wrong number of arguments for 'client' command\r\n",
    ),
    (
        "client SETNAME",
        "-ERR wrong number of arguments for 'client|setname' command\r\n",
    ),
    (
        "config get",
        "-ERR wrong number of arguments for 'config|get' command\r\n",
    ),
    (
        "command count x",
        "-ERR wrong number of arguments for 'command|count' command\r\n",
    ),
    (
        "mset a b c",
        "-ERR wrong number of arguments for 'mset' command\r\n",
    ),
    (
        "ping a b",
        "-ERR wrong number of arguments for 'ping' command\r\n",
    ),
    ("command list x", "-ERR syntax error\r\n"),
    ("set k v nx xx", "-ERR syntax error\r\n"),
    ("set k v ex", "-ERR syntax error\r\n"),
    ("set k v ex 1 px 1", "-ERR syntax error\r\n"),
    ("set k v ex 1 keepttl", "-ERR syntax error\r\n"),
    ("set k v keepttl ex 1", "-ERR syntax error\r\n"),
    ("set k v ex x foo", "-ERR syntax error\r\n"),
    ("flushall sync x", "-ERR syntax error\r\n"),
    ("flushdb x", "-ERR syntax error\r\n"),
    (
        "set k v ex x",
        "-ERR value is not an integer or out of range\r\n",
    ),
    (
        "set k v ex 0",
        "-ERR invalid expire time in 'set' command\r\n",
    ),
    (
        "set k v px -5",
        "-ERR invalid expire time in 'set' command\r\n",
    ),
    (
        "set k v ex 9223372036854775807",
        "-ERR invalid expire time in 'set' command\r\n",
    ),
    (
        "set k v px 9223372036854775807",
        "-ERR invalid expire time in 'set' command\r\n",
    ),
    (
        "setex k 0 v",
        "-ERR invalid expire time in 'setex' command\r\n",
    ),
    (
        "psetex k x v",
        "-ERR value is not an integer or out of range\r\n",
    ),
    ("expire k x foo", "-ERR Unsupported option foo\r\n"),
    ("expire k 1 foo\r\n", "-ERR Unsupported option foo\r\n"),
    (
        "expire k 1 nx xx",
        "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n",
    ),
    (
        "expire k 1 lt gt",
        "-ERR GT and LT options at the same time are not compatible\r\n",
    ),
    (
        "expire k x",
        "-ERR value is not an integer or out of range\r\n",
    ),
    (
        "expire k 9223372036854775807",
        "-ERR invalid expire time in 'expire' command\r\n",
    ),
    (
        "expire k -9223372036854775808",
        "-ERR invalid expire time in 'expire' command\r\n",
    ),
    (
        "pexpire k 9223372036854775807",
        "-ERR invalid expire time in 'pexpire' command\r\n",
    ),
    (
        "incrby k x",
        "-ERR value is not an integer or out of range\r\n",
    ),
    (
        "decrby k -9223372036854775808",
        "-ERR decrement would overflow\r\n",
    ),
    (
        "hello x",
        "-ERR Protocol version is not an integer or out of range\r\n",
    ),
    ("hello 4", "-NOPROTO unsupported protocol version\r\n"),
    ("auth a b c", "-ERR syntax error\r\n"),
    ("client list id", "-ERR syntax error\r\n"),
    ("client list id 1 x", "-ERR Invalid client ID\r\n"),
    ("client list type x", "-ERR Unknown client type 'x'\r\n"),
    ("client kill id 1 x", "-ERR syntax error\r\n"),
    (
        "client kill id 0 x",
        "-ERR client-id should be greater than 0\r\n",
    ),
    (
        "client kill id 0 x y",
        "-ERR client-id should be greater than 0\r\n",
    ),
    ("client kill user x", "-ERR No such user 'x'\r\n"),
    (
        "client pause x y",
        "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n",
    ),
    (
        "client pause x",
        "-ERR timeout is not an integer or out of range\r\n",
    ),
    (
        "Client Pause 1 all x",
        "-ERR unknown subcommand or wrong number of arguments for 'Pause'. Try CLIENT HELP.\r\n",
    ),
    ("client setinfo x y", "-ERR Unrecognized option 'x'\r\n"),
    (
        "slowlog get -2",
        "-ERR count should be greater than or equal to -1\r\n",
    ),
    ("config set a b c", "-ERR syntax error\r\n"),
    (
        "readonly",
        "-ERR This instance has cluster support disabled\r\n",
    ),
    ("shutdown abort", "-ERR No shutdown in progress.\r\n"),
    ("shutdown abort now", "-ERR syntax error\r\n"),
    (
        "client setname a\tb",
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
    ),
    (
        "select x",
        "-ERR value is not an integer or out of range\r\n",
    ),
    (
        "select 99999999999",
        "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n",
    ),
];

#[rustfmt::skip]
const WORDS: &[&[u8]] = &[
    b"k", b"v", b"1", b"0", b"-1", b"3", b"9223372036854775807", b"-9223372036854775808", b"ex",
    b"PX", b"exat", b"pxat", b"nx", b"XX", b"gt", b"lt", b"get", b"keepttl", b"sync", b"async",
    b"auth", b"setname", b"count", b"info", b"id", b"", b"a\r\nb", b"\r\n", b"\0",
];

proptest! {
    #![proptest_config(config())]

#[test]
    fn arguments_of_any_kind_mean_something_or_are_refused_in_one_line(
        name in proptest::sample::select(&table::COMMANDS),
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..6),
    ) {
        let mut arguments = vec![name.name.as_bytes()];
        arguments.extend(words);
        let mut wire = Vec::new();
        encode_command(&mut wire, &arguments);
        let Parsed::Complete { request: args, .. } = parse(&wire, &WIDE) else {
            panic!("a frame");
        };
        if let Err(error) = Request::from_args(args) {
            let mut out = Vec::new();
            error.encode(&mut out);
            prop_assert!(out.starts_with(b"-"), "{}", out.escape_ascii());
            let line_ends = out.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
            prop_assert!(out.ends_with(b"\r\n") && line_ends == 2, "{}", out.escape_ascii());
        }
    }
}
