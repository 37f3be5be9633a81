//! What differs from Redis, told by words and replies.

use super::{Reply, bytes, line, verb};
use crate::harness::Command;
use crate::harness::compare::Token;
use crate::harness::replies::{line_end, resp_length};

/// Milliseconds from which ringfort's times and Redis' differ.
const FAR_MS: i64 = 60_000_000_000_000;

pub(crate) fn has_an_inline_nul(command: &Command) -> bool {
    command.words.is_empty() && line(command).contains(&0)
}

pub(crate) fn is_a_hello_with_options(command: &Command) -> bool {
    command.name() == "HELLO" && command.words.len() > 4
}

pub(crate) fn sets_a_past_time(command: &Command) -> bool {
    const NOW_SECONDS: i64 = 1_700_000_000;
    let is_past = |(index, word): (usize, &Vec<u8>)| {
        let time = number(command, index + 1).unwrap_or(i64::MAX);
        match &word.to_ascii_uppercase()[..] {
            b"EXAT" => time < NOW_SECONDS,
            b"PXAT" => time < NOW_SECONDS * 1000,
            _ => false,
        }
    };
    let is_past_inline = || memchr::memmem::find(&line(command), b"1000000000").is_some();
    match command.name().as_str() {
        "SET" => command.words.iter().enumerate().any(is_past),
        _ => command.words.is_empty() && is_past_inline(),
    }
}

pub(crate) fn asks_how_a_value_is_kept(command: &Command) -> bool {
    let asks = |word: &Vec<u8>| {
        word.eq_ignore_ascii_case(b"ENCODING") || word.eq_ignore_ascii_case(b"REFCOUNT")
    };
    let is_inline = command.words.is_empty() && verb(command).eq_ignore_ascii_case(b"OBJECT");
    is_inline || command.name() == "OBJECT" && command.words.get(1).is_some_and(asks)
}

pub(crate) fn compares_far_times(command: &Command) -> bool {
    let is_far = number(command, 2).is_some_and(|time| time >= FAR_MS / 1000);
    let compares =
        |word: &Vec<u8>| word.eq_ignore_ascii_case(b"GT") || word.eq_ignore_ascii_case(b"LT");
    is_far && command.words.iter().any(compares)
}

pub(crate) fn selects_another_database(command: &Command) -> bool {
    command.name() == "SELECT" && number(command, 1).is_some_and(|index| (1..16).contains(&index))
}

pub(crate) fn makes_it_close(command: &Command) -> bool {
    let line = line(command);
    let is_frame = line.starts_with(b"*") && !command.is_empty_frame();
    let has_quotes = line.iter().any(|byte| matches!(byte, b'"' | b'\''));
    let says_goodbye = matches!(
        &verb(command).to_ascii_lowercase()[..],
        b"quit" | b"post" | b"host:"
    );
    command.words.is_empty() && (is_frame || has_quotes || says_goodbye)
}

pub(crate) fn far_time_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let Token::Time { value, tolerance } = time_tokens(reply)?.pop()? else {
        return None;
    };
    let is_in_ms = tolerance >= 1000;
    (value >= if is_in_ms { FAR_MS } else { FAR_MS / 1000 }).then(|| bytes("far"))
}

pub(crate) fn client_id_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let words = &reply.command?.words;
    let is_asked = words
        .iter()
        .map(|word| word.to_ascii_lowercase())
        .eq([b"client".to_vec(), b"id".to_vec()]);
    (is_asked && reply.bytes.starts_with(b":")).then(|| bytes("id"))
}

/// The names of commands that ask for a time.
const TIMES: &[&str] = &["TTL", "EXPIRETIME", "PTTL", "PEXPIRETIME"];

/// The replies of a transaction in which somebody asks for a time: large numbers are times.
fn exec_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    const TOLERANCE_MS: i64 = 3000;
    let mut commands = reply.batch.commands.iter();
    if !commands.any(|command| TIMES.contains(&command.name().as_str())) {
        return None;
    }
    let token = |line: &[u8]| {
        let number = line
            .strip_prefix(b":")
            .and_then(|digits| std::str::from_utf8(digits.trim_ascii()).ok()?.parse().ok());
        match number {
            Some(value) if value > FAR_MS / 1000 => Token::Bytes(b"far".to_vec()),
            Some(value) if value > TOLERANCE_MS => Token::Time {
                value,
                tolerance: TOLERANCE_MS,
            },
            _ => Token::Bytes(line.to_vec()),
        }
    };
    Some(
        reply
            .bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(token)
            .collect(),
    )
}

/// How long a key was not used. A busy machine lets one of the two servers wait for seconds.
pub(crate) fn idle_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    const TOLERANCE_SECONDS: i64 = 60;
    let command = reply.command?;
    let sub = command.words.get(1)?;
    let is_asked = command.name() == "OBJECT" && sub.eq_ignore_ascii_case(b"IDLETIME");
    let text = reply.bytes.strip_prefix(b":").filter(|_| is_asked)?;
    let value = std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()?;
    Some(vec![Token::Time {
        value,
        tolerance: TOLERANCE_SECONDS,
    }])
}

/// The reply to a command that asks for a time.
pub(crate) fn time_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    const TOLERANCE_SECONDS: i64 = 3;
    let command = reply.command?;
    let tolerance = match command.name().as_str() {
        "TTL" | "EXPIRETIME" => TOLERANCE_SECONDS,
        "PTTL" | "PEXPIRETIME" => TOLERANCE_SECONDS * 1000,
        "EXEC" => return exec_tokens(reply),
        _ => return None,
    };
    let text = reply.bytes.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // -1 and -2 are no times.
    (value > tolerance).then(|| vec![Token::Time { value, tolerance }])
}

pub(crate) fn hello_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    if reply.command?.name() != "HELLO" || !matches!(reply.bytes.first(), Some(b'*' | b'%')) {
        return None;
    }
    let text = String::from_utf8_lossy(reply.bytes);
    let mut lines: Vec<_> = text.split("\r\n").collect();
    for (name, distance) in [("version", 2), ("version", 1), ("id", 1)] {
        let place = lines.iter().position(|line| *line == name)? + distance;
        *lines.get_mut(place)? = "";
    }
    Some(bytes(&lines.concat()))
}

/// A word of a command, as a number.
fn number(command: &Command, index: usize) -> Option<i64> {
    std::str::from_utf8(command.words.get(index)?)
        .ok()?
        .parse()
        .ok()
}

/// The keys of KEYS and of a SCAN that is done, in order.
pub(crate) fn listed_keys_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let name = reply.command?.name();
    let (head, keys): (&[u8], _) = match name.as_str() {
        "KEYS" => (b"", reply.bytes),
        "SCAN" => {
            const DONE: &[u8] = b"*2\r\n$1\r\n0\r\n";
            (DONE, reply.bytes.strip_prefix(DONE)?)
        }
        _ => return None,
    };
    let (count, mut rest) = keys.split_at(line_end(keys)? + 2);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_at_checked(resp_length(rest)?)?;
        found.push(key);
        rest = after;
    }
    found.sort_unstable();
    Some(vec![Token::Bytes([head, count, &found.concat()].concat())])
}

/// That there was a key.
pub(crate) fn random_key_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let is_key = reply.command?.name() == "RANDOMKEY"
        && reply.bytes.starts_with(b"$")
        && reply.bytes != b"$-1\r\n";
    is_key.then(|| bytes("a key"))
}

pub(crate) fn asks_for_all_commands(command: &Command) -> bool {
    let counts = |word: &Vec<u8>| word.eq_ignore_ascii_case(b"COUNT");
    command.name() == "COMMAND"
        && command.words.len() < 3
        && !command.words.get(1).is_some_and(counts)
}

/// A SCAN from the start that leaves it to the server how far it goes at once.
pub(crate) fn scans_some(command: &Command) -> bool {
    let is_count = |word: &Vec<u8>| word.eq_ignore_ascii_case(b"COUNT");
    let begins = |cursor: &Vec<u8>| matches!(&cursor[..], b"" | b"0");
    command.name() == "SCAN"
        && command.words.get(1).is_some_and(begins)
        && !command.words.iter().any(is_count)
}

pub(crate) fn makes_up_a_cursor(command: &Command) -> bool {
    let cursor = command
        .words
        .get(1)
        .map(|word| String::from_utf8_lossy(word));
    let cursor = cursor.and_then(|text| text.parse::<i128>().ok());
    command.name() == "SCAN" && cursor.is_some_and(|cursor| cursor != 0)
}
