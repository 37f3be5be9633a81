//! What differs from memcached's meta commands, told by the bytes.

use super::Reply;
use crate::harness::compare::Token;
use crate::harness::replies::line_end;

const TOLERANCE_SECONDS: i64 = 3;

/// A meta reply, with its cas unique and its times as such.
pub(crate) fn tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let (line, block) = reply.bytes.split_at(line_end(reply.bytes)?);
    let mut words = line.split(|byte| *byte == b' ');
    let code = words.next()?;
    let flag = match code {
        b"VA" | b"HD" | b"NF" | b"NS" | b"EX" | b"EN" => flag_token,
        b"ME" => debug_token,
        _ => return None,
    };
    let mut tokens = vec![Token::Bytes(code.to_vec())];
    tokens.extend(words.filter_map(flag));
    tokens.push(Token::Bytes(block.to_vec()));
    Some(tokens)
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `c<cas unique>`, `t<seconds left>`, `l<seconds since use>`, and all others as they are.
fn flag_token(word: &[u8]) -> Option<Token> {
    let special = match word {
        [b'c', digits @ ..] => number(digits).map(Token::Cas),
        [b't' | b'l', digits @ ..] => time(digits),
        _ => None,
    };
    Some(special.unwrap_or_else(|| Token::Bytes(word.to_vec())))
}

/// `cls=` and `size=` are left out.
fn debug_token(word: &[u8]) -> Option<Token> {
    let split = word
        .iter()
        .position(|byte| *byte == b'=')
        .map(|at| word.split_at(at + 1));
    let special = match split {
        Some((b"cls=" | b"size=", _)) => return None,
        Some((b"cas=", digits)) => number(digits).map(Token::Cas),
        Some((b"exp=" | b"la=", digits)) => time(digits),
        _ => None,
    };
    Some(special.unwrap_or_else(|| Token::Bytes(word.to_vec())))
}

/// -1, for never, is no time.
fn time(digits: &[u8]) -> Option<Token> {
    let value = number(digits).filter(|value| *value != -1)?;
    Some(Token::Time {
        value,
        tolerance: TOLERANCE_SECONDS,
    })
}
