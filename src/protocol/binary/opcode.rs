//! What each opcode asks for.

use crate::protocol::memcache::{Direction, StoreVerb};

/// The command behind an opcode, whether or not it is a quiet one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get {
        shows_key: bool,
    },
    GetAndTouch {
        shows_key: bool,
    },
    Touch,
    /// `Set`, `Add` or `Replace`.
    Store(StoreVerb),
    /// `Append` or `Prepend`.
    Concat(StoreVerb),
    Delete,
    Count(Direction),
    Flush,
    Stat,
    Version,
    NoOp,
    Quit,
    /// Lists the SASL mechanisms.
    SaslList,
    /// Starts or goes on with a SASL exchange.
    SaslStep,
    /// Nothing that memcached serves.
    Unknown,
}

/// What an opcode asks for, and whether it is quiet: then only what is worth knowing is answered.
#[inline]
pub(super) const fn verb(opcode: u8) -> (Verb, bool) {
    const GET: Verb = Verb::Get { shows_key: false };
    const GETK: Verb = Verb::Get { shows_key: true };
    const GAT: Verb = Verb::GetAndTouch { shows_key: false };
    const GATK: Verb = Verb::GetAndTouch { shows_key: true };
    match opcode {
        0x00 => (GET, false),
        0x09 => (GET, true),
        0x0c => (GETK, false),
        0x0d => (GETK, true),
        0x01 => (Verb::Store(StoreVerb::Set), false),
        0x11 => (Verb::Store(StoreVerb::Set), true),
        0x02 => (Verb::Store(StoreVerb::Add), false),
        0x12 => (Verb::Store(StoreVerb::Add), true),
        0x03 => (Verb::Store(StoreVerb::Replace), false),
        0x13 => (Verb::Store(StoreVerb::Replace), true),
        0x04 => (Verb::Delete, false),
        0x14 => (Verb::Delete, true),
        0x05 => (Verb::Count(Direction::Incr), false),
        0x15 => (Verb::Count(Direction::Incr), true),
        0x06 => (Verb::Count(Direction::Decr), false),
        0x16 => (Verb::Count(Direction::Decr), true),
        0x0e => (Verb::Concat(StoreVerb::Append), false),
        0x19 => (Verb::Concat(StoreVerb::Append), true),
        0x0f => (Verb::Concat(StoreVerb::Prepend), false),
        0x1a => (Verb::Concat(StoreVerb::Prepend), true),
        0x1c => (Verb::Touch, false),
        0x1d => (GAT, false),
        0x1e => (GAT, true),
        0x23 => (GATK, false),
        0x24 => (GATK, true),
        0x08 => (Verb::Flush, false),
        0x18 => (Verb::Flush, true),
        0x07 => (Verb::Quit, false),
        0x17 => (Verb::Quit, true),
        0x0a => (Verb::NoOp, false),
        0x0b => (Verb::Version, false),
        0x10 => (Verb::Stat, false),
        0x20 => (Verb::SaslList, false),
        0x21 | 0x22 => (Verb::SaslStep, false),
        _ => (Verb::Unknown, false),
    }
}
