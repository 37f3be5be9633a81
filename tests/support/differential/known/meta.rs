//! What differs from memcached's meta commands, told by the bytes.

use std::collections::HashMap;

use super::{Reply, verb, words};
use crate::harness::compare::Token;
use crate::harness::{Command, UNSHOWN_CAS};

const KEY_BYTES_MAX: usize = 250;
/// Longest block that is announced in earnest.
const BLOCK_BYTES_MAX: u32 = i32::MAX as u32 - 2;
/// Most words of a command.
const WORDS_MAX: usize = 19;
/// Longest opaque with its letter.
const OPAQUE_BYTES_MAX: usize = 32;
const TOLERANCE_SECONDS: i64 = 3;
/// Where an expiry starts to be a unix time.
const RELATIVE_SECONDS_MAX: i64 = 60 * 60 * 24 * 30;
/// Keys that commands name both as they are and in base64, and how the latter looks.
const KEYS_IN_BOTH_SPELLINGS: &[&[u8]] = &[b"a", b"bb"];

pub(crate) fn has_a_later_flag(command: &Command) -> bool {
    let later: &[u8] = match &verb(command)[..] {
        b"mg" => b"ExC",
        b"ms" => b"ExsN",
        b"md" | b"ma" => b"Ex",
        _ => return false,
    };
    has_any_flag(command, later)
}

pub(crate) fn shows_how_a_key_was_stored(command: &Command) -> bool {
    let words = words(command);
    let may_differ = || {
        let key = words.get(1);
        has_any_flag(command, b"b")
            || key.is_some_and(|key| KEYS_IN_BOTH_SPELLINGS.contains(&&key[..]))
    };
    match &verb(command)[..] {
        b"mg" => has_any_flag(command, b"k") && may_differ(),
        b"me" => words.iter().skip(2).any(|word| word == b"b") || may_differ(),
        _ => false,
    }
}

pub(crate) fn has_a_wide_number(command: &Command) -> bool {
    let is_over = |word: &[u8], max: i128| {
        let number = std::str::from_utf8(&word[1..]).ok();
        let number = number.and_then(|text| text.parse::<i128>().ok());
        number.is_some_and(|number| number > max)
    };
    let is_wide = |flag: &Vec<u8>| match flag[0] {
        b'F' => is_over(flag, u32::MAX.into()),
        b'T' | b'N' | b'R' => is_over(flag, i32::MAX.into()),
        _ => false,
    };
    let length = words(command).get(2).cloned().unwrap_or_default();
    let has_wide_length =
        verb(command) == b"ms" && is_over(&[b"#", &length[..]].concat(), i32::MAX.into());
    is_meta(command) && (flags(command).iter().any(is_wide) || has_wide_length)
}

pub(crate) fn tells_of_a_time_that_is_over(command: &Command) -> bool {
    let is_over = |flag: &Vec<u8>| {
        let seconds = std::str::from_utf8(&flag[1..]).ok();
        let seconds = seconds.and_then(|text| text.parse::<i64>().ok());
        matches!(flag[0], b'T' | b'N')
            && seconds.is_some_and(|seconds| {
                seconds < 0 || (RELATIVE_SECONDS_MAX + 1..1_700_000_000).contains(&seconds)
            })
    };
    is_meta(command) && has_any_flag(command, b"tc") && flags(command).iter().any(is_over)
}

pub(crate) fn has_an_opaque_too_many(command: &Command) -> bool {
    let is_long = |flag: &Vec<u8>| flag[0] == b'O' && flag.len() > OPAQUE_BYTES_MAX;
    matches!(&verb(command)[..], b"mg" | b"ma") && flags(command).iter().any(is_long)
}

pub(crate) fn guesses_a_cas_unique(command: &Command) -> bool {
    let is_guess = |flag: &Vec<u8>| {
        let cas = std::str::from_utf8(&flag[1..]).ok();
        let cas = cas.and_then(|text| text.parse::<u64>().ok());
        flag[0] == b'C' && cas.is_some_and(|cas| (1..UNSHOWN_CAS).contains(&cas))
    };
    is_meta(command) && !command.needs_replies() && flags(command).iter().any(is_guess)
}

pub(crate) fn has_a_refused_large_block(command: &Command) -> bool {
    const LARGE_BYTES: usize = 2000;
    let words = words(command);
    let is_readable = |word: &Vec<u8>| {
        let length = std::str::from_utf8(word).ok();
        length
            .and_then(|text| text.parse::<u32>().ok())
            .is_some_and(|length| length <= BLOCK_BYTES_MAX)
    };
    verb(command) == b"ms"
        && command.bytes(&HashMap::new()).len() > LARGE_BYTES
        && (words.get(1).is_none_or(|key| key.len() > KEY_BYTES_MAX)
            || !words.get(2).is_some_and(is_readable)
            || words.len() > WORDS_MAX)
}

pub(crate) fn counts_and_touches(command: &Command) -> bool {
    verb(command) == b"ma" && has_any_flag(command, b"T")
}

pub(crate) fn counts(command: &Command) -> bool {
    verb(command) == b"ma"
}

/// The replies to meta commands, with what the clock has to do with apart.
pub(crate) fn tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let end = reply.bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = reply.bytes.split_at(end);
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let is_debug = words[0] == b"ME";
    if !is_debug && !matches!(words[0], b"HD" | b"VA" | b"EN" | b"NF" | b"NS" | b"EX") {
        return None;
    }
    let mut tokens: Vec<_> = words
        .iter()
        .filter(|word| !(is_debug && word.starts_with(b"cls=")))
        .map(|word| {
            let token = if is_debug {
                debug_token(word)
            } else {
                flag_token(word)
            };
            token.unwrap_or_else(|| Token::Bytes(word.to_vec()))
        })
        .collect();
    tokens.push(Token::Bytes(rest.to_vec()));
    Some(tokens)
}

fn flag_token(word: &[u8]) -> Option<Token> {
    let (letter, text) = word.split_first()?;
    let text = std::str::from_utf8(text).ok()?;
    match letter {
        b'c' => text.parse().ok().map(Token::Cas),
        b't' | b'l' => time(text),
        _ => None,
    }
}

fn debug_token(word: &[u8]) -> Option<Token> {
    let (name, text) = std::str::from_utf8(word).ok()?.split_once('=')?;
    match name {
        "cas" => text.parse().ok().map(Token::Cas),
        "exp" | "la" => time(text),
        _ => None,
    }
}

fn time(text: &str) -> Option<Token> {
    let value = text.parse().ok()?;
    (value != -1).then_some(Token::Time {
        value,
        tolerance: TOLERANCE_SECONDS,
    })
}

fn is_meta(command: &Command) -> bool {
    matches!(&verb(command)[..], b"mg" | b"ms" | b"md" | b"ma")
}

/// The words behind the key, or the length.
fn flags(command: &Command) -> Vec<Vec<u8>> {
    let before = if verb(command) == b"ms" { 3 } else { 2 };
    words(command).into_iter().skip(before).collect()
}

fn has_any_flag(command: &Command, letters: &[u8]) -> bool {
    flags(command).iter().any(|flag| letters.contains(&flag[0]))
}
