//! A slow, obvious memcache, and random wires to hold the real one against it.

use proptest::prelude::*;

use super::super::meta::KeyText;
use super::super::reply::{self, Reply, parse_reply};
use super::super::*;
use super::twin_meta::naive_meta;
use super::{LIMITS, completed, outcome, refused, too_large};
use crate::protocol::Parsed;
use crate::protocol::testing::{Seen, check_pieces, config, wires};

/// The slow twin: words in a `Vec`, numbers through `i128`.
pub(super) fn naive(input: &[u8]) -> Seen {
    let spaces = input.iter().take_while(|&&byte| byte == b' ').count();
    let trimmed = &input[spaces..];
    let multiget = spaces <= 100 && (trimmed.starts_with(b"get ") || trimmed.starts_with(b"gets "));
    let bytes_max = if multiget {
        LIMITS.line_bytes_max
    } else {
        2048
    };
    let Some(newline) = input
        .iter()
        .take(bytes_max + 1)
        .position(|&byte| byte == b'\n')
    else {
        return if input.len() > bytes_max {
            refused(b"", input.len(), 0, true, None)
        } else {
            Parsed::Incomplete {
                want: input.len() + 1,
            }
        };
    };
    let mut line = &input[..newline];
    line = line.strip_suffix(b"\r").unwrap_or(line);
    line = line.split(|&byte| byte == 0).next().unwrap_or_default();
    let words: Vec<&[u8]> = line
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty())
        .collect();
    let consumed = newline + 1;
    match words.split_first() {
        Some((verb, words)) => naive_command(input, consumed, verb, words),
        None => refused(reply::ERROR, consumed, 0, false, None),
    }
}

fn naive_command(input: &[u8], consumed: usize, verb: &[u8], words: &[&[u8]]) -> Seen {
    let error = |reply| refused(reply, consumed, 0, false, None);
    let noreply = words.last() == Some(&b"noreply".as_slice());
    let error_unless = |reply: &'static [u8]| error(if noreply { b"" } else { reply });
    let long = |key: &[u8]| key.len() > 250;
    let complete = |request| completed(request, consumed);
    match (verb, words) {
        (b"mg" | b"ms" | b"md" | b"ma" | b"me", _) => naive_meta(input, consumed, verb, words),
        (b"get" | b"bget" | b"gets", [_, ..]) => naive_keys(words, verb == b"gets", None, consumed),
        (b"gat" | b"gats", [time, keys @ ..]) => match naive_number(time) {
            Some(time) => naive_keys(keys, verb == b"gats", Some(Exptime(time)), consumed),
            None => error(reply::INVALID_EXPTIME),
        },
        (b"set" | b"add" | b"replace" | b"append" | b"prepend", [_, _, _, _] | [_, _, _, _, _])
        | (b"cas", [_, _, _, _, _] | [_, _, _, _, _, _]) => {
            naive_store(input, consumed, verb, words, noreply)
        }
        (b"delete", [_, _, _, _, ..] | []) => error(reply::ERROR),
        (b"delete", [key, rest @ ..]) => {
            let fine = matches!(rest, [] | [b"0" | b"noreply"] | [b"0", b"noreply"]);
            match (fine, long(key)) {
                (false, _) => error_unless(reply::DELETE_USAGE),
                (_, true) => error_unless(reply::BAD_FORMAT),
                _ => complete(Request::Delete {
                    key,
                    noreply: noreply && !rest.is_empty(),
                }),
            }
        }
        (b"incr" | b"decr", [key, delta] | [key, delta, _]) => {
            let direction = if verb == b"incr" {
                Direction::Incr
            } else {
                Direction::Decr
            };
            match naive_number::<u64>(delta) {
                _ if long(key) => error_unless(reply::BAD_FORMAT),
                None => error_unless(reply::INVALID_DELTA),
                Some(delta) => complete(Request::Arithmetic {
                    key,
                    direction,
                    delta,
                    noreply,
                }),
            }
        }
        (b"touch", [key, time] | [key, time, _]) => match naive_number(time) {
            _ if long(key) => error_unless(reply::BAD_FORMAT),
            None => error_unless(reply::INVALID_EXPTIME),
            Some(time) => complete(Request::Touch {
                key,
                exptime: Exptime(time),
                noreply,
            }),
        },
        _ => naive_other(consumed, verb, words, noreply),
    }
}

fn naive_other(consumed: usize, verb: &[u8], words: &[&[u8]], noreply: bool) -> Seen {
    let error = |reply| refused(reply, consumed, 0, false, None);
    let error_unless = |reply: &'static [u8]| error(if noreply { b"" } else { reply });
    let complete = |request| completed(request, consumed);
    match (verb, words) {
        // Known, but with too few or too many words.
        (
            b"get" | b"gets" | b"gat" | b"gats" | b"set" | b"add" | b"append" | b"cas" | b"incr"
            | b"decr" | b"touch",
            _,
        ) => error(reply::ERROR),
        (b"flush_all", [] | [_] | [_, _]) => {
            let given = words.len() - usize::from(noreply && words.len() == 1);
            let time = if given == 0 { b"0" } else { words[0] };
            match naive_number::<i64>(time) {
                None => error_unless(reply::INVALID_EXPTIME),
                Some(time) => complete(Request::FlushAll {
                    delay: Exptime(time.max(0)),
                    noreply,
                }),
            }
        }
        (b"verbosity", [level] | [level, _]) => match naive_number::<u64>(level) {
            None => error_unless(reply::BAD_FORMAT),
            Some(_) => complete(Request::Verbosity { noreply }),
        },
        (b"version", _) => complete(Request::Version),
        (b"shutdown", _) => complete(Request::Shutdown {
            mode: match words {
                [] => ShutdownMode::Now,
                [b"graceful"] => ShutdownMode::Graceful,
                _ => ShutdownMode::Invalid,
            },
        }),
        (b"stats", [b"cachedump", ..]) => error(reply::CACHEDUMP_NOT_ALLOWED),
        (b"stats", _) => complete(Request::Stats {
            argument: words.first().copied().unwrap_or_default(),
            option: words.get(1).copied().unwrap_or_default(),
        }),
        (b"mn", _) => complete(Request::MetaNoOp),
        (b"quit", _) => complete(Request::Quit),
        (b"replace" | b"prepend" | b"bget" | b"flush_all" | b"verbosity", _) => error(reply::ERROR),
        _ => {
            let last = words.iter().take(22).next_back().copied().unwrap_or(verb);
            let others = b"gsacidt".contains(&verb[0]) || (verb[0] == b'm' && verb.len() == 2);
            if last.starts_with(b"HTTP/") && !others && verb.len() > 1 {
                refused(b"", consumed, 0, true, None)
            } else {
                error(reply::ERROR)
            }
        }
    }
}

fn naive_keys(keys: &[&[u8]], cas: bool, touch: Option<Exptime>, consumed: usize) -> Seen {
    if keys.iter().any(|key| key.len() > 250) {
        return refused(reply::BAD_FORMAT, consumed, 0, false, None);
    }
    Parsed::Complete {
        request: format!("{:?}", (keys, cas, touch)),
        consumed,
    }
}

fn naive_store(input: &[u8], consumed: usize, verb: &[u8], words: &[&[u8]], noreply: bool) -> Seen {
    let line = |reply: &'static [u8]| if noreply { b"" } else { reply };
    let length = naive_number::<usize>(words[3]).filter(|&length| length <= 2_147_483_645);
    let Some(length) = length else {
        return refused(line(reply::BAD_FORMAT), consumed, 0, false, None);
    };
    let block = length + 2;
    let cas = words.get(4).and_then(|word| naive_number(word));
    let store_verb = match verb {
        b"set" => Some(StoreVerb::Set),
        b"add" => Some(StoreVerb::Add),
        b"replace" => Some(StoreVerb::Replace),
        b"append" => Some(StoreVerb::Append),
        b"prepend" => Some(StoreVerb::Prepend),
        _ => cas.map(StoreVerb::Cas),
    };
    let flags = naive_number(words[1]);
    let exptime = naive_number(words[2]).map(Exptime);
    let (key, Some(verb), Some(flags), Some(exptime), 0..=250) =
        (words[0], store_verb, flags, exptime, words[0].len())
    else {
        return refused(line(reply::BAD_FORMAT), consumed, block, false, None);
    };
    if length > LIMITS.value_bytes_max {
        let unlink = (verb == StoreVerb::Set).then_some(KeyText::plain(key));
        return too_large(noreply, consumed, block, unlink);
    }
    if input.len() < consumed + block {
        return Parsed::Incomplete {
            want: consumed + block,
        };
    }
    let (value, end) = input[consumed..consumed + block].split_at(length);
    if end != b"\r\n" {
        return refused(
            line(reply::BAD_DATA_CHUNK),
            consumed + block,
            0,
            false,
            None,
        );
    }
    let request = Request::Store {
        verb,
        key,
        flags,
        exptime,
        value,
        noreply,
    };
    completed(request, consumed + block)
}

pub(super) fn naive_number<N: TryFrom<i128>>(word: &[u8]) -> Option<N> {
    let text: String = word.iter().map(|&byte| char::from(byte)).collect();
    let blank = |c: char| ('\t'..='\r').contains(&c);
    let text = text.trim_start_matches(blank).split(blank).next()?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse::<i128>().ok()?.try_into().ok()
}

/// The slow twin of [`parse_reply`].
fn naive_reply(input: &[u8], value_bytes_max: usize) -> Option<(String, usize)> {
    let newline = input.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = input.split_at(newline + 1);
    let seen = |reply: Reply<'_>, consumed| Some((format!("{reply:?}"), consumed));
    if !line.starts_with(b"VALUE ") {
        return seen(
            if line == b"END\r\n" {
                Reply::End
            } else {
                Reply::Line(line)
            },
            line.len(),
        );
    }
    let words: Vec<&[u8]> = line
        .strip_suffix(b"\r\n")?
        .split(|&byte| byte == 0)
        .next()?
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty())
        .collect();
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u64>().ok();
    let (key, flags, length, cas) = match words.as_slice() {
        [_, key, flags, length] => (key, flags, length, None),
        [_, key, flags, length, cas] => (key, flags, length, Some(number(cas)?)),
        _ => return None,
    };
    let (flags, length) = (
        u32::try_from(number(flags)?).ok()?,
        number(length)? as usize,
    );
    let data = rest.get(..length).filter(|_| length <= value_bytes_max)?;
    let end = rest.get(length..length + 2)?;
    let value = Reply::Value {
        key,
        flags,
        cas,
        data,
    };
    (end == b"\r\n").then(|| seen(value, line.len() + length + 2))?
}

const LONG: &[u8] = &[b'l'; 251];

#[rustfmt::skip]
const REQUEST_PIECES: &[&[u8]] = &[
    b"get ", b"gets ", b"gat ", b"gats", b"bget ", b"set ", b"add ", b"replace ", b"append ",
    b"prepend ", b"cas ", b"delete ", b"incr ", b"decr ", b"touch ", b"flush_all", b"verbosity ",
    b"version", b"stats", b"quit", b"mn", b"mg ", b"ms ", b"md ", b"ma ", b"me ", b"shutdown",
    b" cachedump", b"mg k ", b"ms k 3 ", b" b", b" v", b" q", b" k", b" T30", b" N", b" C5", b" E5",
    b" F5", b" MA", b" MI", b" M", b" Oab", b" J1", b" Dx", b" x", b" Zm9v", b"HTTP/1.1", b"get key\r\n", b"set k 0 0 3\r\n",
    b"cas k 1 2 3 4\r\n", b"set k 0 0 3 noreply\r\n", b"abc\r\n", b" ", b" ", b" ", b" ", b"  ",
    b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\t", b"key", b"k", b" noreply", b" 0",
    b" 1", b" 3", b" 8", b" 9", b" -1", b" +2", b" 007", b" 4294967296", b" 18446744073709551615",
    b" 9223372036854775808", b" 2147483646", b" 1\t1", b" x", b"HTTP/", LONG,
];

#[rustfmt::skip]
const KEYS_PIECES: &[&[u8]] = &[
    b"get ", b"gets ", b"bget ", b"get", b"gat 0 ", b"k", b"key", b" k", b" k", b" key", b" long-key-",
    b" ", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\t", b"\x7f\xff", LONG,
];

#[rustfmt::skip]
const REPLY_PIECES: &[&[u8]] = &[
    b"VALUE ", b"VALUE k 0 3\r\nabc\r\n", b"VALUE k 1 2 3\r\n", b"END\r\n", b"STORED\r\n", b"k",
    b" 0", b" 1", b" 3", b" 9", b" 4294967296", b" 18446744073709551615", b" -1", b" ", b"\r\n",
    b"\n", b"abc", b"\r", b"\0", b"42\r\n",
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests_agree_with_the_twin(wire in wires(REQUEST_PIECES, 12)) {
        prop_assert_eq!(check_pieces(&wire, outcome), naive(&wire), "{}", wire.escape_ascii());
    }

    #[test]
    fn keys_that_are_told_at_once_are_those_of_the_request(wire in wires(KEYS_PIECES, 12)) {
        let mut told = Vec::new();
        let line = plain_keys(&wire, |key| {
            told.push(key);
            true
        });
        if let Some(PlainKeys { cas, consumed }) = line {
            let expected = naive_keys(&told, cas, None, consumed);
            prop_assert_eq!(naive(&wire), expected, "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn replies_agree_with_the_twin(wire in wires(REPLY_PIECES, 8)) {
        let whole = check_pieces(&wire, |input| parse_reply(input, 8).seen());
        let complete = match whole {
            Parsed::Complete { request, consumed } => Some((request, consumed)),
            _ => None,
        };
        prop_assert_eq!(complete, naive_reply(&wire, 8), "{}", wire.escape_ascii());
    }

    #[test]
    fn what_is_written_is_read_back(
        key in "[!-~]{1,250}",
        flags: u32,
        exptime: i64,
        data in proptest::collection::vec(any::<u8>(), 0..=8),
        cas: Option<u64>,
    ) {
        let mut out = Vec::new();
        let key = key.as_bytes();
        reply::value(&mut out, key, flags, &data, cas);
        let request = Reply::Value { key, flags, cas, data: &data };
        prop_assert_eq!(parse_reply(&out, 8), Parsed::Complete { request, consumed: out.len() });

        let verb = cas.map_or(StoreVerb::Prepend, StoreVerb::Cas);
        let mut out = Vec::new();
        reply::encode_store(&mut out, verb, key, flags, Exptime(exptime), &data);
        let exptime = Exptime(exptime);
        let request = Request::Store { verb, key, flags, exptime, value: &data, noreply: false };
        prop_assert_eq!(parse(&out, &LIMITS), Parsed::Complete { request, consumed: out.len() });
    }
}
