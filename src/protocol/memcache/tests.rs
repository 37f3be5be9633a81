//! memcache on the wire: what memcached was seen to do, and a slow, obvious twin for everything
//! else.

mod admin;
mod meta;
mod plain;
mod twin;
mod twin_meta;

use super::reply;
use super::{
    Direction, Exptime, KEY_BYTES_MAX, Limits, Refusal, Request, ShutdownMode, StoreVerb,
    meta::{KeyText, MetaRequest},
    parse,
};
use crate::protocol::Parsed;
use crate::protocol::testing::{Seen, check_pieces};

const LIMITS: Limits = Limits {
    value_bytes_max: 8,
    line_bytes_max: 4096,
};

fn outcome(input: &[u8]) -> Seen {
    match parse(input, &LIMITS) {
        // Keys are compared as keys.
        Parsed::Complete {
            request: Request::Retrieve { keys, cas, touch },
            consumed,
        } => {
            let keys: Vec<&[u8]> = keys.into_iter().collect();
            Parsed::Complete {
                request: format!("{:?}", (keys, cas, touch)),
                consumed,
            }
        }
        Parsed::Complete {
            request: Request::Meta(request),
            consumed,
        } => Parsed::Complete {
            request: meta_text(&request),
            consumed,
        },
        other => other.seen(),
    }
}

/// A meta command with its flags as flags, however many spaces part them.
pub(super) fn meta_text(request: &MetaRequest<'_>) -> String {
    let flags: Vec<_> = request
        .flags
        .into_iter()
        .map(|flag| (char::from(flag.letter), flag.token))
        .collect();
    let key = (request.key.text(), request.key.is_base64());
    format!("{:?}", (request.verb, key, flags, request.value))
}

/// What a wire is made into: a request's text, or the refusal's line, how much is swallowed,
/// whether it closes, and what is unlinked.
pub(super) fn check(wire: &[u8], expected: Seen) {
    let text = wire.escape_ascii();
    assert_eq!(check_pieces(wire, outcome), expected, "{text}");
    assert_eq!(
        twin::naive(wire),
        expected,
        "the twin disagrees about {text}"
    );
}

pub(super) fn refused(
    reply: &'static [u8],
    consumed: usize,
    swallow: usize,
    close: bool,
    unlink: Option<KeyText<'_>>,
) -> Seen {
    let refusal = Refusal {
        reply,
        swallow,
        close,
        is_too_large: false,
        unlink,
    };
    seen(&refusal, consumed)
}

/// The same for a value that is too large.
pub(super) fn too_large(
    silent: bool,
    consumed: usize,
    swallow: usize,
    unlink: Option<KeyText<'_>>,
) -> Seen {
    let refusal = Refusal {
        reply: if silent { b"" } else { reply::TOO_LARGE },
        swallow,
        close: false,
        is_too_large: true,
        unlink,
    };
    seen(&refusal, consumed)
}

fn seen(refusal: &Refusal<'_>, consumed: usize) -> Seen {
    Parsed::Refused {
        refusal: format!("{refusal:?}"),
        consumed,
    }
}

fn completed(request: Request<'_>, consumed: usize) -> Seen {
    Parsed::Complete {
        request: format!("{request:?}"),
        consumed,
    }
}

#[test]
fn stores_are_read() {
    let store = |verb, value, noreply| {
        let (key, flags, exptime) = (b"k".as_slice(), 7, Exptime(-1));
        Request::Store {
            verb,
            key,
            flags,
            exptime,
            value,
            noreply,
        }
    };
    let table: &[(&[u8], Request<'_>)] = &[
        (
            b"set k 7 -1 3\r\nabc\r\n",
            store(StoreVerb::Set, b"abc", false),
        ),
        (
            b"add k 7 -1 0 noreply\n\r\n",
            store(StoreVerb::Add, b"", true),
        ),
        (
            b"replace k +7\t9 -1 +4\r\na\r\nb\r\n",
            store(StoreVerb::Replace, b"a\r\nb", false),
        ),
        (
            b" append  k 7 -1 1 other \r\nx\r\n",
            store(StoreVerb::Append, b"x", false),
        ),
        (
            b"prepend k 007 -1 1\r\nx\r\n",
            store(StoreVerb::Prepend, b"x", false),
        ),
        (
            b"cas k 7 -1 1 18446744073709551615\r\nx\r\n",
            store(StoreVerb::Cas(u64::MAX), b"x", false),
        ),
        (
            b"cas k 7 -1 1 5 noreply\r\nx\r\n",
            store(StoreVerb::Cas(5), b"x", true),
        ),
    ];
    for &(wire, request) in table {
        check(wire, completed(request, wire.len()));
    }
}

#[test]
fn other_requests_are_read() {
    let arithmetic = |direction, delta, noreply| Request::Arithmetic {
        key: b"k",
        direction,
        delta,
        noreply,
    };
    let flush = |delay, noreply| Request::FlushAll {
        delay: Exptime(delay),
        noreply,
    };
    let touch = |exptime, noreply| Request::Touch {
        key: b"k",
        exptime: Exptime(exptime),
        noreply,
    };
    let delete = |noreply| Request::Delete { key: b"k", noreply };
    let stats = |argument, option| Request::Stats { argument, option };
    let shutdown = |mode| Request::Shutdown { mode };
    let table: &[(&[u8], Request<'_>)] = &[
        (b"delete k\r\n", delete(false)),
        (b"delete k 0\r\n", delete(false)),
        (b"delete k noreply\r\n", delete(true)),
        (b"delete k 0 noreply\r\n", delete(true)),
        (
            b"delete noreply\r\n",
            Request::Delete {
                key: b"noreply",
                noreply: false,
            },
        ),
        (b"incr k 5\r\n", arithmetic(Direction::Incr, 5, false)),
        (
            b"decr k 18446744073709551615 noreply\r\n",
            arithmetic(Direction::Decr, u64::MAX, true),
        ),
        (b"incr k 5 other\r\n", arithmetic(Direction::Incr, 5, false)),
        (b"touch k 10\r\n", touch(10, false)),
        (
            b"touch k 4102444800 noreply\r\n",
            touch(4_102_444_800, true),
        ),
        (b"flush_all\r\n", flush(0, false)),
        (b"flush_all noreply\r\n", flush(0, true)),
        (b"flush_all 10\r\n", flush(10, false)),
        (b"flush_all -1\r\n", flush(0, false)),
        (b"flush_all 10 noreply\r\n", flush(10, true)),
        (b"flush_all 0 0\r\n", flush(0, false)),
        (b"verbosity 1\r\n", Request::Verbosity { noreply: false }),
        (
            b"verbosity 1 noreply\r\n",
            Request::Verbosity { noreply: true },
        ),
        (b"version\r\n", Request::Version),
        (b"  version and more\n", Request::Version),
        (b"stats\r\n", stats(b"", b"")),
        (b"stats  items\r\n", stats(b"items", b"")),
        (b"stats detail on off\r\n", stats(b"detail", b"on")),
        (b"shutdown\r\n", shutdown(ShutdownMode::Now)),
        (b"shutdown graceful\r\n", shutdown(ShutdownMode::Graceful)),
        (b"shutdown noreply\r\n", shutdown(ShutdownMode::Invalid)),
        (
            b"shutdown graceful now\r\n",
            shutdown(ShutdownMode::Invalid),
        ),
        (b"mn\r\n", Request::MetaNoOp),
        (b"mn and more HTTP/1.1\r\n", Request::MetaNoOp),
        (b"quit\r\n", Request::Quit),
    ];
    for &(wire, request) in table {
        check(wire, completed(request, wire.len()));
    }
}

#[test]
fn retrievals_are_read() {
    let key_longest = vec![b'k'; KEY_BYTES_MAX];
    let longest = [b"get ".as_slice(), &key_longest, b"\r\n"].concat();
    let takes = |wire: &[u8], keys: &[&[u8]], cas: bool, touch: Option<i64>| {
        let request = format!("{:?}", (keys, cas, touch.map(Exptime)));
        check(
            wire,
            Parsed::Complete {
                request,
                consumed: wire.len(),
            },
        );
    };
    takes(b"get k\r\n", &[b"k"], false, None);
    takes(b"get k\n", &[b"k"], false, None);
    takes(b"get 12345678\r\n", &[b"12345678"], false, None);
    takes(&longest, &[&key_longest], false, None);
    takes(b"get  a b  a \r\n", &[b"a", b"b", b"a"], false, None);
    takes(b"get a\tb\r\r\n", &[b"a\tb\r"], false, None);
    takes(b"get a\0b c\r\n", &[b"a"], false, None);
    takes(b"bget a\r\n", &[b"a"], false, None);
    takes(b"gets a b\r\n", &[b"a", b"b"], true, None);
    takes(b"gat 10 a b\r\n", &[b"a", b"b"], false, Some(10));
    takes(b"gats -1 a\r\n", &[b"a"], true, Some(-1));
    takes(b"gat 10\r\n", &[], false, Some(10));
}

#[test]
fn mistakes_are_answered_as_memcached_answers_them() {
    let table: &[(&[u8], &[u8])] = &[
        (b"\n", reply::ERROR),
        (b"\r\n", reply::ERROR),
        (b"   \r\n", reply::ERROR),
        (b"\0get a\r\n", reply::ERROR),
        (b"a\r\n", reply::ERROR),
        (b"get\r\n", reply::ERROR),
        (b"get \r\n", reply::ERROR),
        (b"GET a\r\n", reply::ERROR),
        (b"mx k\r\n", reply::ERROR),
        (b"mx k HTTP/1.1\r\n", reply::ERROR),
        (b"mnx\r\n", reply::ERROR),
        (b"x HTTP/1.0\r\n", reply::ERROR),
        (b"connect / HTTP/1.1\r\n", reply::ERROR),
        (b"gat x\r\n", reply::INVALID_EXPTIME),
        (b"gat x a\r\n", reply::INVALID_EXPTIME),
        (b"set k 0 0\r\n", reply::ERROR),
        (b"set k 0 0 1 2 3\r\n", reply::ERROR),
        (b"set a\0b 0 0 1\r\n", reply::ERROR),
        (b"cas k 0 0 1\r\n", reply::ERROR),
        (b"set k 0 0 -1\r\n", reply::BAD_FORMAT),
        (b"set k 0 0 x\r\n", reply::BAD_FORMAT),
        (b"set k 0 0 2147483646\r\n", reply::BAD_FORMAT),
        (b"set k 0 0 4294967297\r\n", reply::BAD_FORMAT),
        (b"set k 0 0 noreply\r\n", b""),
        (b"set k 0 0 x noreply\r\n", b""),
        (b"delete\r\n", reply::ERROR),
        (b"delete a b c d\r\n", reply::ERROR),
        (b"delete a 1\r\n", reply::DELETE_USAGE),
        (b"delete a noreply 0\r\n", reply::DELETE_USAGE),
        (b"delete a 1 noreply\r\n", b""),
        (b"incr k\r\n", reply::ERROR),
        (b"incr k x\r\n", reply::INVALID_DELTA),
        (b"incr k -1\r\n", reply::INVALID_DELTA),
        (b"decr k 18446744073709551616\r\n", reply::INVALID_DELTA),
        (b"incr k noreply\r\n", b""),
        (b"touch k\r\n", reply::ERROR),
        (b"touch k x\r\n", reply::INVALID_EXPTIME),
        (b"touch k noreply\r\n", b""),
        (b"flush_all x\r\n", reply::INVALID_EXPTIME),
        (b"flush_all noreply 1\r\n", reply::INVALID_EXPTIME),
        (b"flush_all noreply noreply\r\n", b""),
        (b"flush_all 1 2 3\r\n", reply::ERROR),
        (b"verbosity\r\n", reply::ERROR),
        (b"verbosity x\r\n", reply::BAD_FORMAT),
        (b"verbosity 1 2 3\r\n", reply::ERROR),
        (b"stats cachedump\r\n", reply::CACHEDUMP_NOT_ALLOWED),
        (b"stats cachedump 1 2\r\n", reply::CACHEDUMP_NOT_ALLOWED),
    ];
    for &(wire, line) in table {
        check(wire, refused(line, wire.len(), 0, false, None));
    }
}

#[test]
fn long_keys_are_refused_everywhere() {
    let key = "k".repeat(KEY_BYTES_MAX + 1);
    for line in [
        format!("get {key}\r\n"),
        format!("get a {key} b\r\n"),
        format!("gats 1 {key}\r\n"),
        format!("delete {key}\r\n"),
        format!("incr {key} 1\r\n"),
        format!("touch {key} 1\r\n"),
    ] {
        check(
            line.as_bytes(),
            refused(reply::BAD_FORMAT, line.len(), 0, false, None),
        );
    }
    let line = format!("set {key} 0 0 3\r\n");
    check(
        line.as_bytes(),
        refused(reply::BAD_FORMAT, line.len(), 5, false, None),
    );
}

#[test]
fn unwanted_data_blocks_are_swallowed() {
    let swallows = |wire: &[u8], line, bytes, unlink| {
        check(wire, refused(line, wire.len(), bytes, false, unlink));
    };
    swallows(b"set k -1 0 3\r\n", reply::BAD_FORMAT, 5, None);
    swallows(b"set k 4294967296 0 3\r\n", reply::BAD_FORMAT, 5, None);
    swallows(b"set k 0 x 0\r\n", reply::BAD_FORMAT, 2, None);
    swallows(b"cas k 0 0 3 x\r\n", reply::BAD_FORMAT, 5, None);
    swallows(b"cas k 0 0 3 x noreply\r\n", b"", 5, None);
    let key = Some(KeyText::plain(b"k"));
    let refuses = |wire: &[u8], silent, bytes, unlink| {
        check(wire, too_large(silent, wire.len(), bytes, unlink));
    };
    refuses(b"set k 0 0 9\r\n", false, 11, key);
    refuses(b"set k 0 0 9 noreply\r\n", true, 11, key);
    refuses(b"add k 0 0 2147483645\r\n", false, 2_147_483_647, None);
    refuses(b"append k 0 0 9 noreply\r\n", true, 11, None);
}

#[test]
fn bad_data_chunk_takes_exactly_the_announced_bytes() {
    let command = b"set k 0 0 3\r\n".len();
    check(
        b"set k 0 0 3\r\nabcdef\r\n",
        refused(reply::BAD_DATA_CHUNK, command + 5, 0, false, None),
    );
    check(
        b"set k 0 0 3\r\nab\r\nget",
        refused(reply::BAD_DATA_CHUNK, command + 5, 0, false, None),
    );
    let wire = b"set k 0 0 3 noreply\r\nabc\n\n";
    check(wire, refused(b"", wire.len(), 0, false, None));
}

#[test]
fn browsers_are_hung_up_on() {
    for wire in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"post  / HTTP/1.1\r\n",
        b"HTTP/\r\n",
    ] {
        check(wire, refused(b"", wire.len(), 0, true, None));
    }
}

#[test]
fn only_multigets_may_be_long() {
    let line = |start: &str, bytes: usize| format!("{start}{}", "x".repeat(bytes - start.len()));
    let close = |bytes| refused(b"", bytes, 0, true, None);
    let want = |want| Parsed::Incomplete { want };
    let table = [
        (line("", 2048), want(2049)),
        (line("", 2049), close(2049)),
        (line("gat 1 ", 2049), close(2049)),
        (line("get ", 2049), want(2050)),
        (line("gets ", 4096), want(4097)),
        (line("get ", 4097), close(4097)),
        (line(&format!("{}get ", " ".repeat(100)), 2049), want(2050)),
        (line(&format!("{}get ", " ".repeat(101)), 2049), close(2049)),
        (line("", 2047) + "\r\n", close(2049)),
    ];
    for (wire, expected) in &table[..8] {
        assert_eq!(outcome(wire.as_bytes()), *expected);
        assert_eq!(twin::naive(wire.as_bytes()), *expected);
    }
    // The longest line that is not a multiget, and one byte more.
    let longest = line("verbosity ", 2047) + "\r\n";
    assert_eq!(
        outcome(longest.as_bytes()),
        refused(reply::BAD_FORMAT, 2049, 0, false, None)
    );
    let longer = line("verbosity ", 2048) + "\r\n";
    assert_eq!(outcome(longer.as_bytes()), close(longer.len()));
    let keys = "get ".to_owned() + &"key ".repeat(1000) + "\r\n";
    let Parsed::Complete {
        request: Request::Retrieve { keys, .. },
        ..
    } = parse(keys.as_bytes(), &LIMITS)
    else {
        panic!("a long multiget");
    };
    assert_eq!((keys.count(), keys.into_iter().count()), (1000, 1000));
}

#[test]
fn a_number_or_a_word_in_capitals_is_an_answer() {
    use super::reply::is_answer;
    for line in [
        &b"STORED\r\n"[..],
        b"NOT_STORED\r\n",
        b"OK\r\n",
        b"VERSION 1.6.18\r\n",
        b"ERROR\r\n",
        b"ERROR: shutdown not enabled\r\n",
        b"SERVER_ERROR out of memory\r\n",
        b"0\r\n",
        b"18446744073709551615\r\n",
    ] {
        assert!(is_answer(line), "{}", line.escape_ascii());
    }
    for line in [
        &b"\r\n"[..],
        b" STORED\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"Stored\r\n",
        b"+OK\r\n",
        b"-5\r\n",
        b"5 apples\r\n",
        b"STORED\x00\r\n",
    ] {
        assert!(!is_answer(line), "{}", line.escape_ascii());
    }
}
