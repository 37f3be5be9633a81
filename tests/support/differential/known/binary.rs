//! What differs from memcached's binary protocol, told by the bytes of a packet.

use std::collections::HashMap;

use super::{Reply, bytes};
use crate::harness::compare::{End, Outcome, Token};
use crate::harness::{Batch, Command, Piece};

const HEADER_BYTES: usize = 24;
const VERSION: u8 = 0x0b;
const STAT: u8 = 0x10;

/// The header of a command, up to its cas unique.
fn header(command: &Command) -> &[u8] {
    match command.pieces.first() {
        Some(Piece::Bytes(bytes)) => bytes,
        _ => &[],
    }
}

/// Whether it has an opcode that nobody serves, and extras or a key.
pub(crate) fn is_unknown_with_parts(command: &Command) -> bool {
    // 0x1b is verbosity, of which memcached 1.6.18 does not know.
    const SERVED: [std::ops::RangeInclusive<u8>; 4] =
        [0x00..=0x1a, 0x1c..=0x1e, 0x20..=0x22, 0x23..=0x24];
    let [_, opcode, key_high, key_low, extras, ..] = header(command) else {
        return false;
    };
    let is_served = SERVED.iter().any(|opcodes| opcodes.contains(opcode));
    !is_served && [key_high, key_low, extras] != [&0, &0, &0]
}

/// Whether it says goodbye, or has other parts than its opcode wants.
pub(crate) fn makes_it_close(command: &Command) -> bool {
    const KEY_BYTES_MAX: usize = 250;
    let header = header(command);
    let [
        0x80,
        opcode,
        key_high,
        key_low,
        extras,
        0,
        _,
        _,
        body_head @ ..,
    ] = header
    else {
        return true;
    };
    let key = usize::from(u16::from_be_bytes([*key_high, *key_low]));
    let body = match body_head {
        [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
        _ => return true,
    };
    let value = body.checked_sub(key + usize::from(*extras));
    let (extras_wanted, has_key, has_value): (&[u8], _, _) = match opcode {
        0x00 | 0x09 | 0x0c | 0x0d | 0x04 | 0x14 => (&[0], true, false),
        0x01..=0x03 | 0x11..=0x13 => (&[8], true, true),
        0x0e | 0x0f | 0x19 | 0x1a => (&[0], true, true),
        0x05 | 0x06 | 0x15 | 0x16 => (&[20], true, false),
        0x1c..=0x1e | 0x23 | 0x24 => (&[4], true, false),
        0x0a | 0x0b => (&[0], false, false),
        0x08 | 0x18 => (&[0, 4], false, false),
        _ => return true,
    };
    let is_one = command.bytes(&HashMap::new()).len() == HEADER_BYTES + body;
    let is_proper = is_one
        && extras_wanted.contains(extras)
        && (key > 0) == has_key
        && key <= KEY_BYTES_MAX
        && value.is_some_and(|value| has_value || value == 0);
    !is_proper
}

pub(crate) fn version_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let is_version = reply.bytes.get(1) == Some(&VERSION) && reply.bytes.get(7) == Some(&0);
    is_version.then(|| bytes("version"))
}

pub(crate) fn statistics_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    const NO_KEY: &[u8] = &[0, 0];
    let is_statistic = reply.bytes.get(1) == Some(&STAT) && reply.bytes.get(2..4)? != NO_KEY;
    is_statistic.then(Vec::new)
}

/// The opcode and the value of a command that writes one.
fn written(command: &Command) -> Option<(u8, Vec<u8>)> {
    let packet = command.bytes(&HashMap::new());
    let [_, opcode, key_high, key_low, extras, ..] = packet[..] else {
        return None;
    };
    let key = usize::from(u16::from_be_bytes([key_high, key_low]));
    let value = packet.get(HEADER_BYTES + key + usize::from(extras)..)?;
    Some((opcode, value.to_vec()))
}

/// Whether the value is one of blanks, or makes a number too long for ringfort.
pub(crate) fn writes_an_odd_number(command: &Command) -> bool {
    let Some((opcode, value)) = written(command) else {
        return false;
    };
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let is_all_blank = !value.is_empty() && value.iter().all(is_blank);
    is_all_blank
        || match opcode {
            0x0e | 0x19 => value.len() > 150,
            0x0f | 0x1a => {
                value.starts_with(b"-") || value.iter().any(|byte| is_blank(byte) || *byte == 0)
            }
            _ => false,
        }
}

/// Whether it is a flush with a time that is not 0.
pub(crate) fn flushes_later(command: &Command) -> bool {
    let header = header(command);
    matches!(header, [_, 0x08 | 0x18, ..])
        && header.iter().skip(HEADER_BYTES).any(|byte| *byte != 0)
}

/// Whether it is an increment or a decrement, quiet or not.
pub(crate) fn counts(command: &Command) -> bool {
    matches!(header(command), [_, 0x05 | 0x06 | 0x15 | 0x16, ..])
}

/// What ringfort said, if it took for a number what memcached did not. The opaque tells which replies belong together;
/// to a quiet command there is none if all is well.
pub(crate) fn takes_a_large_number(
    _: &Batch,
    real: &Outcome,
    ringfort: &Outcome,
) -> Option<Outcome> {
    const NOT_A_NUMBER: &[u8] = &[0, 6];
    const FINE: &[u8] = &[0, 0];
    let is_taken = |reply: &Vec<u8>| {
        let is_refused = matches!(reply[..], [_, 0x05 | 0x06 | 0x15 | 0x16, ..])
            && reply.get(6..8) == Some(NOT_A_NUMBER);
        let mut others = ringfort.replies.iter();
        let other = others.find(|other| other.get(12..16) == reply.get(12..16));
        is_refused && other.is_none_or(|other| other.get(6..8) == Some(FINE))
    };
    real.replies.iter().any(is_taken).then(|| ringfort.clone())
}

/// What ringfort said, if both close and one has said more.
pub(crate) fn closes_early(_: &Batch, real: &Outcome, ringfort: &Outcome) -> Option<Outcome> {
    let is_closed = real.end == End::Closed && ringfort.end == End::Closed;
    let is_short =
        real.replies.starts_with(&ringfort.replies) || ringfort.replies.starts_with(&real.replies);
    (is_closed && is_short).then(|| ringfort.clone())
}

/// Whether it is a touch, a get-and-touch or a question for statistics with more than a key.
pub(crate) fn has_a_surplus_value(command: &Command) -> bool {
    matches!(written(command), Some((0x10 | 0x1c..=0x1e | 0x23 | 0x24, value)) if !value.is_empty())
}

/// The real replies, with the right cas unique asked for first.
pub(crate) fn counts_an_empty_value(
    _: &Batch,
    real: &Outcome,
    ringfort: &Outcome,
) -> Option<Outcome> {
    const NOT_A_NUMBER: &[u8] = &[0, 6];
    const EXISTS: &[u8] = &[0, 2];
    let mut said = real.clone();
    let mut is_met = false;
    for (reply, other) in said.replies.iter_mut().zip(&ringfort.replies) {
        let counts = matches!(reply[..], [_, 0x05 | 0x06 | 0x15 | 0x16, ..]);
        if counts && reply.get(6..8) == Some(NOT_A_NUMBER) && other.get(6..8) == Some(EXISTS) {
            reply.clone_from(other);
            is_met = true;
        }
    }
    is_met.then_some(said)
}
