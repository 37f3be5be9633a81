//! A backend's replies, and a slow, obvious twin.

use proptest::prelude::*;

use super::super::reply::{Reply, ReplyRefusal, parse_reply};
use super::{LIMITS, naive_integer};
use crate::protocol::Parsed;
use crate::protocol::testing::{check_pieces, config, wires};

#[test]
fn replies_are_read() {
    let table: &[(&[u8], Reply<'_>)] = &[
        (b"+OK\r\n", Reply::Simple(b"OK")),
        (b"+\r\n", Reply::Simple(b"")),
        (b"-ERR x\r\n", Reply::Error(b"ERR x")),
        (b":-7\r\n", Reply::Integer(-7)),
        (b"$3\r\na\r\n\r\n", Reply::Bulk(Some(b"a\r\n"))),
        (b"$0\r\n\r\n", Reply::Bulk(Some(b""))),
        (b"$-1\r\n", Reply::Bulk(None)),
        (b"*-1\r\n", Reply::Bulk(None)),
        (b"_\r\n", Reply::Bulk(None)),
        (b"#t\r\n", Reply::Simple(b"t")),
        (b",1.5\r\n", Reply::Simple(b"1.5")),
        (
            b"(12345678901234567890\r\n",
            Reply::Simple(b"12345678901234567890"),
        ),
        (b"!5\r\nERR x\r\n", Reply::Error(b"ERR x")),
        (b"=7\r\ntxt:abc\r\n", Reply::Bulk(Some(b"abc"))),
        (b"*0\r\n", Reply::Aggregate),
        (b"*2\r\n$1\r\na\r\n$-1\r\n", Reply::Aggregate),
        (b"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", Reply::Aggregate),
        (b"%1\r\n+a\r\n~2\r\n:1\r\n_\r\n", Reply::Aggregate),
        (b">2\r\n+invalidate\r\n*1\r\n+k\r\n", Reply::Push),
        (b"|1\r\n+ttl\r\n:5\r\n:1\r\n", Reply::Integer(1)),
        (
            b"|1\r\n+a\r\n|1\r\n+b\r\n:1\r\n:2\r\n*1\r\n:3\r\n",
            Reply::Aggregate,
        ),
        (b"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", Reply::Aggregate),
    ];
    for &(wire, request) in table {
        let expected = Parsed::Complete {
            request: format!("{request:?}"),
            consumed: wire.len(),
        };
        let seen = check_pieces(wire, |input| parse_reply(input, &LIMITS).seen());
        assert_eq!(seen, expected, "{}", wire.escape_ascii());
        assert_eq!(
            naive_reply(wire),
            Some((format!("{request:?}"), wire.len()))
        );
    }
}

#[test]
fn broken_replies_are_refused() {
    use ReplyRefusal as R;
    let long = [b'+'; 43];
    let deep = b"*6\r\n".repeat(3);
    let table: &[(&[u8], ReplyRefusal)] = &[
        (b"PONG\r\n", R::KindUnknown(b'P')),
        (b"*?\r\n", R::KindUnknown(b'?')),
        (&long, R::LineTooLong),
        (b"+OK\n", R::LineUnterminated),
        (b":x\r\n", R::NumberInvalid),
        (b"$-2\r\n", R::NumberInvalid),
        (b"*-2\r\n", R::NumberInvalid),
        (b"$13\r\n", R::BulkTooLarge),
        (b"$18446744073709551615\r\n", R::BulkTooLarge),
        (b"$1\r\nabc", R::BulkInvalid),
        (b"=1\r\na\r\n", R::BulkInvalid),
        (b"*7\r\n", R::AggregateTooLarge),
        (b"%4\r\n", R::AggregateTooLarge),
        (b"%18446744073709551615\r\n", R::AggregateTooLarge),
        (&deep, R::AggregateTooLarge),
    ];
    for &(wire, refusal) in table {
        let text = wire.escape_ascii();
        let seen = check_pieces(wire, |input| parse_reply(input, &LIMITS).seen());
        let Parsed::Refused { refusal: seen, .. } = seen else {
            panic!("{text}: {seen:?}")
        };
        assert_eq!(seen, format!("{refusal:?}"), "{text}");
    }
}

/// The slow twin of [`parse_reply`]: recursive, and without limits on lines.
fn naive_reply(input: &[u8]) -> Option<(String, usize)> {
    let newline = input.iter().position(|&byte| byte == b'\n')?;
    let (&kind, text) = input[..newline].strip_suffix(b"\r")?.split_first()?;
    let mut at = newline + 1;
    let seen = |reply: Reply<'_>, at| Some((format!("{reply:?}"), at));
    let length = || std::str::from_utf8(text).ok()?.parse::<usize>().ok();
    let frames = match kind {
        b'+' | b'#' | b',' | b'(' => return seen(Reply::Simple(text), at),
        b'-' => return seen(Reply::Error(text), at),
        b':' => return seen(Reply::Integer(naive_integer(text)?), at),
        b'_' => return seen(Reply::Bulk(None), at),
        b'$' | b'*' if text == b"-1" => return seen(Reply::Bulk(None), at),
        b'$' | b'=' | b'!' => {
            let length = length().filter(|&length| length <= 12)?;
            let body = input.get(at..at + length)?;
            at += length + 2;
            return match (kind, input.get(at - 2..at)? == b"\r\n") {
                (b'$', true) => seen(Reply::Bulk(Some(body)), at),
                (b'=', true) => seen(Reply::Bulk(Some(body.get(4..)?)), at),
                (b'!', true) => seen(Reply::Error(body), at),
                _ => None,
            };
        }
        b'*' | b'~' | b'>' => length()?,
        b'%' | b'|' => length()?.checked_mul(2)?,
        _ => return None,
    };
    for _ in 0..frames {
        at += naive_reply(&input[at..])?.1;
    }
    match kind {
        b'>' => seen(Reply::Push, at),
        b'|' => naive_reply(&input[at..]).map(|(reply, length)| (reply, at + length)),
        _ => seen(Reply::Aggregate, at),
    }
}

#[rustfmt::skip]
const REPLY_PIECES: &[&[u8]] = &[
    b"+OK\r\n", b"-ERR\r\n", b":1\r\n", b":01\r\n", b"$1\r\na\r\n", b"$-1\r\n", b"_\r\n",
    b"#t\r\n", b",1\r\n", b"!1\r\ne\r\n", b"=5\r\ntxt:a\r\n", b"=3\r\ntxt\r\n", b"*1\r\n",
    b"*2\r\n", b"*0\r\n", b"*-1\r\n", b"%1\r\n", b"~1\r\n", b">1\r\n", b"|1\r\n", b"|0\r\n", b"$",
    b"*", b"1", b"\r\n", b"\n", b"\r", b"x",
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn replies_agree_with_the_twin(wire in wires(REPLY_PIECES, 9)) {
        let seen = check_pieces(&wire, |input| parse_reply(input, &LIMITS).seen());
        match seen {
            Parsed::Complete { request, consumed } => {
                prop_assert_eq!(Some((request, consumed)), naive_reply(&wire));
            }
            Parsed::Incomplete { .. } => prop_assert_eq!(naive_reply(&wire), None),
            // The twin has no limits, and so may take what is refused.
            Parsed::Refused { refusal, .. } => {
                let limited = ["LineTooLong", "AggregateTooLarge"].contains(&refusal.as_str());
                prop_assert!(limited || naive_reply(&wire).is_none(), "{}", wire.escape_ascii());
            }
        }
    }
}
