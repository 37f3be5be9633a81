//! Where a request's keys stand.

use super::{Command, CommandSpec, bits};
use crate::protocol::resp::{Version, args::Args, reply};

/// Some of a command's keys.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// The argument that is the first key.
    pub(super) first: u8,
    /// The last one: so many after the first, or counted from the end if negative.
    pub(super) last: i8,
    /// From key to key.
    pub(super) step: u8,
    /// What is done to them, see [`bits`].
    pub(super) flags: u16,
    /// What the flags do not say; mostly nothing.
    pub(super) notes: &'static str,
}

impl KeySpec {
    /// The arguments that are keys, in a request of so many arguments.
    pub(super) fn positions(&self, count: usize) -> KeyPositions {
        let first = usize::from(self.first);
        let last = match usize::try_from(self.last) {
            Ok(more) => Some(first + more),
            Err(_) => count.checked_sub(usize::from(self.last.unsigned_abs())),
        };
        KeyPositions {
            next: first,
            // A key that is not there ends them.
            end: last.map_or(0, |last| (last + 1).min(count)),
            step: usize::from(self.step),
        }
    }
}

/// Iterator over the positions of keys among the arguments; the command's name is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPositions {
    next: usize,
    end: usize,
    step: usize,
}

impl KeyPositions {
    pub(super) const NONE: Self = Self::new(0, 0);

    /// All positions from one on, up to the end.
    pub(super) const fn new(first: usize, end: usize) -> Self {
        Self {
            next: first,
            end,
            step: 1,
        }
    }

    /// Every other position from one on.
    pub(super) const fn every_other(first: usize, end: usize) -> Self {
        Self {
            step: 2,
            ..Self::new(first, end)
        }
    }
}

impl Iterator for KeyPositions {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let position = self.next;
        self.next += self.step;
        (position < self.end).then_some(position)
    }
}

impl CommandSpec {
    /// The positions of all keys in a request of so many arguments, and what is done to each.
    fn key_positions(&self, count: usize) -> impl Iterator<Item = (usize, u16)> {
        self.keys.iter().flat_map(move |keys| {
            let flags = keys.flags;
            keys.positions(count).map(move |position| (position, flags))
        })
    }

    /// The keys of a request that this is the row of.
    pub fn keys_of<'b>(&self, args: &Args<'b>) -> impl Iterator<Item = &'b [u8]> {
        let args = *args;
        self.key_positions(args.count())
            .filter_map(move |(position, _)| args.get(position))
    }

    /// The first key, the last key and the step between them, as Redis told it before 7.0.
    pub(super) fn key_range(&self) -> (i64, i64, i64) {
        let (Some(first), Some(last)) = (self.keys.first(), self.keys.last()) else {
            return (0, 0, 0);
        };
        let last_key = match i64::from(last.last) {
            from_end @ ..0 => from_end,
            more => i64::from(last.first) + more,
        };
        (first.first.into(), last_key, last.step.into())
    }
}

/// Why COMMAND GETKEYS finds no keys.
const INVALID_COMMAND: &str = "ERR Invalid command specified";
const NO_KEYS: &str = "ERR The command has no key arguments";
const INVALID_COUNT: &str = "ERR Invalid number of arguments specified for command";

/// Answers COMMAND GETKEYS and GETKEYSANDFLAGS for the request that stands behind them.
pub fn encode_keys(args: Args<'_>, with_flags: bool, version: Version, out: &mut Vec<u8>) {
    /// COMMAND and GETKEYS stand before it.
    const SKIPPED: usize = 2;
    let count = args.count().saturating_sub(SKIPPED);
    let spec = args.get(SKIPPED).and_then(super::lookup);
    let spec = match (spec, args.get(SKIPPED + 1)) {
        (Some(spec), Some(sub)) if !spec.subcommands.is_empty() => spec.subcommand(sub),
        (spec, _) => spec,
    };
    let spec = match spec {
        None => return reply::error(out, INVALID_COMMAND),
        Some(spec) if spec.keys.is_empty() => return reply::error(out, NO_KEYS),
        Some(spec) if !spec.takes(count) => return reply::error(out, INVALID_COUNT),
        Some(spec) => spec,
    };
    reply::array_header(out, spec.key_positions(count).count());
    for (position, flags) in spec.key_positions(count) {
        let key = args.get(SKIPPED + position).unwrap_or_default();
        if !with_flags {
            reply::bulk(out, key);
            continue;
        }
        let flags = if spec.command == Command::Set {
            set_flags(args.iter_from(SKIPPED + 3))
        } else {
            flags
        };
        let flags = bits::names(bits::KEY_FLAGS, flags);
        reply::array_header(out, 2);
        reply::bulk(out, key);
        reply::set_header(out, flags.clone().count(), version);
        flags.for_each(|flag| reply::simple(out, flag));
    }
}

/// What SET does to its key depends on GET among its options.
fn set_flags<'b>(mut options: impl Iterator<Item = &'b [u8]>) -> u16 {
    if options.any(|option| option.eq_ignore_ascii_case(b"get")) {
        bits::RW | bits::ACCESS | bits::UPDATE
    } else {
        bits::OW | bits::UPDATE
    }
}
