//! What differs from memcached's text protocol, told by the bytes.

use std::collections::HashMap;

use super::{Reply, bytes, line, verb, words};
use crate::harness::compare::{Outcome, Token};
use crate::harness::{Batch, Command, UNSHOWN_CAS};

/// Longest key.
const TEXT_KEY_BYTES_MAX: usize = 250;
/// Longest line but for those of `get` and `gets`.
const TEXT_LINE_BYTES_MAX: usize = 2048;

pub(crate) fn has_wide_flags(command: &Command) -> bool {
    is_store(command) && word_number(command, 2).is_some_and(|flags| flags > i128::from(u32::MAX))
}

pub(crate) fn has_wide_length(command: &Command) -> bool {
    is_store(command) && is_over_32_bits(word_number(command, 4))
}

pub(crate) fn ends_after_2038(command: &Command) -> bool {
    let index = match &verb(command)[..] {
        b"gat" | b"gats" | b"flush_all" => 1,
        b"touch" => 2,
        _ => 3,
    };
    is_over_32_bits(word_number(command, index))
}

pub(crate) fn stores_a_blank(command: &Command) -> bool {
    let stores = is_store(command) || verb(command) == b"ms";
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
    let block = block(command);
    stores && !block.is_empty() && block.iter().all(is_blank)
}

pub(crate) fn counts_unheard(command: &Command) -> bool {
    let is_count = matches!(&verb(command)[..], b"incr" | b"decr");
    is_count && words(command).iter().any(|word| word == b"noreply")
}

pub(crate) fn makes_a_long_number(command: &Command) -> bool {
    let ends_number = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    match &verb(command)[..] {
        b"prepend" => block(command).iter().any(ends_number),
        b"append" => block(command).len() > 150 && words(command)[1] != b"large",
        _ => false,
    }
}

pub(crate) fn is_near_the_item_limit(command: &Command) -> bool {
    const ITEM_BYTES_MAX: i128 = 1024 * 1024;
    const UNSURE: std::ops::RangeInclusive<i128> = ITEM_BYTES_MAX - 320..=ITEM_BYTES_MAX;
    let index = if verb(command) == b"ms" { 2 } else { 4 };
    let announces = is_store(command) || verb(command) == b"ms";
    announces && word_number(command, index).is_some_and(|length| UNSURE.contains(&length))
}

pub(crate) fn guesses_a_cas_unique(command: &Command) -> bool {
    let is_literal = !command.needs_replies() && verb(command) == b"cas";
    is_literal && word_number(command, 5).is_some_and(|cas| (1..UNSHOWN_CAS.into()).contains(&cas))
}

pub(crate) fn flushes_later(command: &Command) -> bool {
    verb(command) == b"flush_all" && word_number(command, 1).is_some_and(|delay| delay > 0)
}

pub(crate) fn reads_before_a_long_key(command: &Command) -> bool {
    let before = match &verb(command)[..] {
        b"get" | b"gets" | b"bget" => 2,
        b"gat" | b"gats" => 3,
        _ => return false,
    };
    let words = words(command);
    let mut others = words.iter().skip(before);
    others.any(|word| word.len() > TEXT_KEY_BYTES_MAX)
}

pub(crate) fn has_a_wrapped_number(command: &Command) -> bool {
    memchr::memmem::find(&line(command), b"-9223372036854775809").is_some()
}

pub(crate) fn is_a_long_line(command: &Command) -> bool {
    let is_get = matches!(&verb(command)[..], b"get" | b"gets");
    line(command).len() > TEXT_LINE_BYTES_MAX && !is_get
}

pub(crate) fn makes_it_hang_up(command: &Command) -> bool {
    let line = line(command);
    let says_goodbye = verb(command) == b"quit";
    says_goodbye
        || memchr::memmem::find(&line, b"HTTP/").is_some()
        || line.len() > TEXT_LINE_BYTES_MAX
}

pub(crate) fn asks_for_statistics(command: &Command) -> bool {
    verb(command) == b"stats"
}

pub(crate) fn counts(command: &Command) -> bool {
    matches!(&verb(command)[..], b"incr" | b"decr")
}

pub(crate) fn retrieves_a_long_key(command: &Command) -> bool {
    let words = words(command);
    verb(command).starts_with(b"g")
        && words
            .iter()
            .skip(1)
            .any(|word| word.len() > TEXT_KEY_BYTES_MAX)
}

pub(crate) fn version_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    reply
        .bytes
        .starts_with(b"VERSION ")
        .then(|| bytes("VERSION"))
}

pub(crate) fn statistics_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    reply.bytes.starts_with(b"STAT ").then(Vec::new)
}

pub(crate) fn takes_a_large_number(
    _: &Batch,
    real: &Outcome,
    ringfort: &Outcome,
) -> Option<Outcome> {
    let is_number = |reply: &[u8]| {
        let is_meta = reply.starts_with(b"HD") || reply.starts_with(b"VA ");
        is_meta || reply.first().is_some_and(u8::is_ascii_digit)
    };
    let mut pairs = real.replies.iter().zip(&ringfort.replies);
    let is_met = pairs.any(|(real, ringfort)| real == NOT_A_NUMBER && is_number(ringfort));
    is_met.then(|| ringfort.clone())
}

const NOT_A_NUMBER: &[u8] = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";

/// The real replies without those `ERROR` that ringfort does not say, if it refuses a line
/// or may do so in silence.
pub(crate) fn without_surplus_errors(
    batch: &Batch,
    real: &Outcome,
    ringfort: &Outcome,
) -> Option<Outcome> {
    const ERROR: &[u8] = b"ERROR\r\n";
    const REFUSED: &[&[u8]] = &[
        b"CLIENT_ERROR bad command line format\r\n",
        b"CLIENT_ERROR options flags too long\r\n",
    ];
    let mut surplus = real.replies.len().checked_sub(ringfort.replies.len())?;
    let mut replies = Vec::new();
    for reply in &real.replies {
        let is_said = ringfort
            .replies
            .get(replies.len())
            .is_some_and(|said| said == ERROR);
        if reply == ERROR && !is_said && surplus > 0 {
            surplus -= 1;
        } else {
            replies.push(reply.clone());
        }
    }
    let has_refused = ringfort
        .replies
        .iter()
        .any(|reply| REFUSED.contains(&&reply[..]));
    let may_refuse =
        |command: &Command| is_store(command) && words(command).contains(&b"noreply".to_vec());
    (has_refused || batch.commands.iter().any(may_refuse)).then_some(Outcome {
        replies,
        end: real.end,
    })
}

/// What stands behind the line, without the last line end.
fn block(command: &Command) -> Vec<u8> {
    let mut bytes = command.bytes(&HashMap::new());
    bytes.drain(..bytes.len().min(line(command).len() + 1));
    bytes.truncate(bytes.len().saturating_sub(b"\r\n".len()));
    bytes
}

/// Whether C's `strtoll` takes it, and what it is kept in afterwards does not.
fn is_over_32_bits(number: Option<i128>) -> bool {
    number.is_some_and(|number| i32::try_from(number).is_err() && i64::try_from(number).is_ok())
}

/// Whether a block follows the line.
fn is_store(command: &Command) -> bool {
    const VERBS: &[&[u8]] = &[b"set", b"add", b"replace", b"append", b"prepend", b"cas"];
    VERBS.contains(&&verb(command)[..])
}

/// One of them as a number.
fn word_number(command: &Command, index: usize) -> Option<i128> {
    std::str::from_utf8(words(command).get(index)?)
        .ok()?
        .parse()
        .ok()
}
