//! RESP frames on the wire: what Redis was seen to do, and a slow, obvious twin.

mod plain;
mod replies;
mod requests;

use proptest::prelude::*;

use super::reply::encode_command;
use super::*;
use crate::protocol::testing::{Seen, check_pieces, config, wires};
use crate::protocol::{Parsed, Resume};

const LIMITS: Limits = Limits {
    bulk_bytes_max: 12,
    args_max: 6,
    inline_bytes_max: 40,
};
const WIDE: Limits = Limits {
    bulk_bytes_max: 1 << 29,
    args_max: 1 << 20,
    inline_bytes_max: 64 * 1024,
};

fn outcome(input: &[u8]) -> Seen {
    match parse(input, &LIMITS) {
        Parsed::Complete {
            request: args,
            consumed,
        } => {
            let listed: Vec<&[u8]> = args.iter().collect();
            assert_eq!(args.count(), listed.len());
            for (index, argument) in listed.iter().enumerate() {
                assert_eq!(args.get(index), Some(*argument));
                assert!(args.iter_from(index).eq(listed[index..].iter().copied()));
            }
            assert_eq!(args.get(listed.len()), None);
            Parsed::Complete {
                request: format!("{listed:?}"),
                consumed,
            }
        }
        other => other.seen(),
    }
}

fn check(wire: &[u8], expected: Seen) {
    let text = wire.escape_ascii();
    assert_eq!(check_pieces(wire, outcome), expected, "{text}");
    assert_eq!(naive(wire), expected, "the twin disagrees about {text}");
}

fn completed(arguments: &[&[u8]], consumed: usize) -> Seen {
    Parsed::Complete {
        request: format!("{arguments:?}"),
        consumed,
    }
}

fn refused(error: ProtocolError, consumed: usize) -> Seen {
    Parsed::Refused {
        refusal: format!("{error:?}"),
        consumed,
    }
}

#[test]
fn frames_are_found() {
    let table: &[(&[u8], &[&[u8]])] = &[
        (b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", &[b"GET", b"k"]),
        (b"*1\r\n$0\r\n\r\n", &[b""]),
        (
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\n123\r\n678\r\n12\r\n",
            &[b"SET", b"k", b"123\r\n678\r\n12"],
        ),
        (
            b"*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n",
            &[b"a", b"b", b"c", b"d", b"e"],
        ),
        // Redis looks at neither the byte after CR nor the two after a body.
        (b"*1\rX$4\r\rPINGab", &[b"PING"]),
        (b"*0\r\n", &[]),
        (b"*-1\r\n", &[]),
        (b"*-10\r\n", &[]),
        (b"\r\n", &[]),
        (b"\n", &[]),
        (b"  \t\r\n", &[]),
        (b"PING\r\n", &[b"PING"]),
        (b" get  k \n", &[b"get", b"k"]),
        (b"a b c d e f\n", &[b"a", b"b", b"c", b"d", b"e", b"f"]),
    ];
    for &(wire, arguments) in table {
        check(wire, completed(arguments, wire.len()));
    }
}

#[test]
fn broken_frames_are_answered_as_redis_answers_them() {
    use ProtocolError as E;
    let long = |start: &str, bytes: usize| start.to_owned() + &"1".repeat(bytes - start.len());
    let (inline, count) = (long("x", 41), long("*", 41));
    let length = "*1\r\n".to_owned() + &long("$", 41);
    let table: &[(&[u8], ProtocolError, &str)] = &[
        (b"*01\r\n", E::CountInvalid, "invalid multibulk length"),
        (b"*\r\n", E::CountInvalid, "invalid multibulk length"),
        (b"*+1\r\n", E::CountInvalid, "invalid multibulk length"),
        (b"*7\r\n", E::CountInvalid, "invalid multibulk length"),
        (
            b"*9223372036854775808\r\n",
            E::CountInvalid,
            "invalid multibulk length",
        ),
        (b"*1\r\n$-1\r\n", E::LengthInvalid, "invalid bulk length"),
        (b"*1\r\n$01\r\n", E::LengthInvalid, "invalid bulk length"),
        (b"*1\r\n$\r\n", E::LengthInvalid, "invalid bulk length"),
        (b"*1\r\n$13\r\n", E::LengthInvalid, "invalid bulk length"),
        (
            b"*3\r\nfoo\r\n",
            E::DollarExpected(b'f'),
            "expected '$', got 'f'",
        ),
        (
            b"*1\r\n\r\n",
            E::DollarExpected(b'\r'),
            "expected '$', got ' '",
        ),
        (
            b"*2\r\n$1\r\na\r\n*1\r\n",
            E::DollarExpected(b'*'),
            "expected '$', got '*'",
        ),
        (
            b"a b c d e f g\n",
            E::CountInvalid,
            "invalid multibulk length",
        ),
        (inline.as_bytes(), E::InlineTooBig, "too big inline request"),
        (
            count.as_bytes(),
            E::CountTooBig,
            "too big mbulk count string",
        ),
        (
            length.as_bytes(),
            E::LengthTooBig,
            "too big bulk count string",
        ),
    ];
    for &(wire, error, line) in table {
        check(wire, refused(error, wire.len()));
        let mut out = Vec::new();
        error.encode(&mut out);
        assert_eq!(out, format!("-ERR Protocol error: {line}\r\n").into_bytes());
    }
    let unbalanced = outcome(b"PING \"abc\r\n");
    assert_eq!(unbalanced, refused(E::QuotesUnbalanced, 11));
}

#[test]
fn quoted_inline_requests_become_frames() {
    let Parsed::Complete { request: args, .. } = parse(b"SET k \"a b\" 'c'\n", &WIDE) else {
        panic!("a whole line");
    };
    assert!(!args.is_escaped());
    assert_eq!(
        args.iter().collect::<Vec<_>>(),
        [&b"SET"[..], b"k", b"a b", b"c"]
    );

    let Parsed::Complete { request: args, .. } = parse(b"SET k \"\\x41\\n\" a\"b\"\r\n", &WIDE)
    else {
        panic!("a whole line");
    };
    assert!(args.is_escaped());
    assert_eq!(Request::from_args(args), Err(RequestError::Escaped));
    let expected = b"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nA\n\r\n$2\r\nab\r\n";
    assert_eq!(
        args.unescape().escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn what_a_line_means_is_a_frame_within_the_limits() {
    let limits = Limits {
        bulk_bytes_max: KEY_BYTES_MAX,
        ..WIDE
    };
    let longest = "x".repeat(limits.inline_bytes_max - "\"\"".len());
    let many = "'\\'' ".repeat(limits.inline_bytes_max / 5);
    for line in [
        format!("\"{longest}\"\n"),
        format!("\"\\n{}\"\n", &longest[2..]),
        format!("x\"{}\"\n", &longest[1..]),
        format!("{many}\n"),
    ] {
        let Parsed::Complete { request: args, .. } = parse(line.as_bytes(), &limits) else {
            panic!("{} bytes", line.len());
        };
        let wire = args.unescape();
        let Parsed::Complete {
            request: meant,
            consumed,
        } = parse(&wire, &limits)
        else {
            panic!("{} bytes", wire.len());
        };
        assert_eq!((meant.count(), consumed), (args.count(), wire.len()));
    }
}

#[test]
fn a_long_request_in_pieces_is_read_once() {
    let pairs: Vec<String> = (0..5000).map(|index| format!("key:{index}")).collect();
    let mut arguments = vec![b"MSET".as_slice()];
    arguments.extend(pairs.iter().flat_map(|key| [key.as_bytes(), b"v"]));
    let mut wire = Vec::new();
    encode_command(&mut wire, &arguments);

    let mut progress = ParseProgress::default();
    let mut have = 0;
    let mut attempts = 0;
    let args = loop {
        attempts += 1;
        match parse_resumed(&wire[..have], &WIDE, &mut progress) {
            Parsed::Incomplete { want } => {
                assert!(want > have && want <= wire.len());
                have = want.max(have + 1000).min(wire.len());
            }
            Parsed::Complete { request, consumed } => {
                assert_eq!(consumed, wire.len());
                break request;
            }
            Parsed::Refused { refusal, .. } => panic!("{refusal:?}"),
        }
    };
    assert!(attempts > 100, "in pieces");
    assert_eq!(progress, ParseProgress::default());
    assert_eq!(
        parse(&wire, &WIDE),
        Parsed::Complete {
            request: args,
            consumed: wire.len()
        }
    );
    assert_eq!(args.raw(), wire);
    let Ok(Request::MSet { pairs: rest }) = Request::from_args(args) else {
        panic!("MSET")
    };
    assert_eq!(rest.count(), 10_000);
    assert!(
        rest.pairs()
            .eq(pairs.iter().map(|key| (key.as_bytes(), b"v".as_slice())))
    );
}

#[test]
fn a_request_that_was_held_goes_on_without_being_read_again() {
    let keys: Vec<String> = (0..1000).map(|key| format!("key-{key}")).collect();
    let words: Vec<&[u8]> = [b"MSET".as_slice()]
        .into_iter()
        .chain(keys.iter().map(String::as_bytes))
        .collect();
    let mut wire = Vec::new();
    encode_command(&mut wire, &words);
    let whole = wire.len();
    let Parsed::Complete { request: args, .. } = parse(&wire, &WIDE) else {
        panic!("it is whole")
    };
    let mut progress = args.progress();
    let mut pairs = args.rest(1).pairs();
    pairs.by_ref().take(300).for_each(drop);
    let place = pairs.place();
    let left: Vec<_> = pairs
        .map(|(one, other)| [one.to_vec(), other.to_vec()])
        .collect();
    assert_eq!(left.len(), 200);

    // Whoever reads what is done stumbles.
    let passed = wire.len() / 4;
    wire[passed..place].fill(b'!');
    wire.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let Parsed::Complete {
        request: args,
        consumed,
    } = parse_resumed(&wire, &WIDE, &mut progress)
    else {
        panic!("it is still whole")
    };
    assert_eq!((consumed, args.count()), (whole, 1001));
    assert_eq!(progress, ParseProgress::default());
    let mut pairs = args.rest(1).pairs();
    pairs.resume(place, 300);
    assert!(
        pairs
            .map(|(one, other)| [one.to_vec(), other.to_vec()])
            .eq(left)
    );
}

/// The slow twin of [`parse`], for lines without quotes.
fn naive(input: &[u8]) -> Seen {
    if input.first() == Some(&b'*') {
        naive_multibulk(input)
    } else {
        naive_inline(input)
    }
}

fn naive_inline(input: &[u8]) -> Seen {
    let Some(newline) = input.iter().take(41).position(|&byte| byte == b'\n') else {
        return if input.len() > 40 {
            refused(ProtocolError::InlineTooBig, input.len())
        } else {
            Parsed::Incomplete {
                want: input.len() + 1,
            }
        };
    };
    let line = input[..newline]
        .split(|&byte| byte == 0)
        .next()
        .unwrap_or_default();
    let blanks_start = |word: &[u8]| word.iter().take_while(|b| matches!(b, 11 | 12)).count();
    let words: Vec<&[u8]> = line
        .split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        // Two blanks that part no words but are stepped over before one.
        .map(|word| &word[blanks_start(word)..])
        .filter(|word| !word.is_empty())
        .collect();
    if words.len() > 6 {
        return refused(ProtocolError::CountInvalid, newline + 1);
    }
    completed(&words, newline + 1)
}

fn naive_multibulk(input: &[u8]) -> Seen {
    let (count, mut at) = match naive_line(input, 0, ProtocolError::CountTooBig) {
        Ok(found) => found,
        Err(seen) => return seen,
    };
    let Some(count) = naive_integer(&count[1..]).filter(|&count| count <= 6) else {
        return refused(ProtocolError::CountInvalid, at);
    };
    let mut arguments = Vec::new();
    for index in 0..count {
        let (line, next) = match naive_line(input, at, ProtocolError::LengthTooBig) {
            Ok(found) => found,
            Err(seen) => return seen,
        };
        if input[at] != b'$' {
            return refused(ProtocolError::DollarExpected(input[at]), next);
        }
        let Some(length) = naive_integer(&line[1..]).filter(|length| (0..=12).contains(length))
        else {
            return refused(ProtocolError::LengthInvalid, next);
        };
        let end = next + length as usize;
        if input.len() < end + 2 {
            return Parsed::Incomplete {
                want: end + if index + 1 < count { 4 } else { 2 },
            };
        }
        arguments.push(&input[next..end]);
        at = end + 2;
    }
    completed(&arguments, at)
}

fn naive_line(input: &[u8], at: usize, too_big: ProtocolError) -> Result<(&[u8], usize), Seen> {
    let rest = &input[at..];
    match rest.iter().take(41).position(|&byte| byte == b'\r') {
        Some(end) if rest.len() > end + 1 => Ok((&rest[..end], at + end + 2)),
        None if rest.len() > 40 => Err(refused(too_big, input.len())),
        _ => Err(Parsed::Incomplete {
            want: input.len() + 1,
        }),
    }
}

fn naive_integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<i64>()
        .ok()
        .filter(|number| number.to_string() == text)
}

#[rustfmt::skip]
const REQUEST_PIECES: &[&[u8]] = &[
    b"*1\r\n", b"*2\r\n", b"*2\r\n", b"*3\r\n", b"*5\r\n", b"*0\r\n", b"*-1\r\n", b"*7\r\n",
    b"*01\r\n", b"*", b"$", b"$3\r\nGET\r\n", b"$3\r\nSET\r\n", b"$1\r\nk\r\n", b"$1\r\nk\r\n",
    b"$12\r\n123456789012\r\n", b"$13\r\n", b"$0\r\n\r\n", b"$2\r\nEX\r\n", b"$2\r\n10\r\n",
    b"$-1\r\n", b"1", b"2", b"\r\n", b"\r", b"\n", b" ", b"\t", b"\x0b", b"\0", b"PING",
    b"get k\r\n", b"0123456789012345678901234567890123456789",
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn frames_agree_with_the_twin(wire in wires(REQUEST_PIECES, 9)) {
        let quotes = wire.iter().any(|byte| matches!(byte, b'"' | b'\''));
        let seen = check_pieces(&wire, outcome);
        if !quotes || wire.first() == Some(&b'*') {
            prop_assert_eq!(seen, naive(&wire), "{}", wire.escape_ascii());
        }
        plain::check(&wire);
        for start in [b"*2\r\n$3\r\nGET\r\n", b"*3\r\n$3\r\nSET\r\n"] {
            plain::check(&[start, &wire[..]].concat());
        }
    }
}
