//! What differs from memcached's binary protocol, told by the bytes of a packet.

use super::{Reply, bytes};
use crate::harness::compare::Token;
use crate::harness::{Command, Piece};

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

pub(crate) fn version_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let is_version = reply.bytes.get(1) == Some(&VERSION) && reply.bytes.get(7) == Some(&0);
    is_version.then(|| bytes("version"))
}

pub(crate) fn statistics_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    const NO_KEY: &[u8] = &[0, 0];
    let is_statistic = reply.bytes.get(1) == Some(&STAT) && reply.bytes.get(2..4)? != NO_KEY;
    is_statistic.then(Vec::new)
}
