//! The rarer commands that read something of one key: any shard answers them.

use super::super::{
    args::Args,
    error::RequestError,
    table::{Command, CommandSpec},
};
use super::integer;

/// One request that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest<'b> {
    /// The key that it is about.
    pub key: &'b [u8],
    /// What is wanted of it.
    pub what: ReadWhat,
}

/// What is wanted of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadWhat {
    /// GETRANGE and SUBSTR: the bytes from one index to another, both included; negative ones count
    /// from the end.
    Range {
        /// The first one.
        start: i64,
        /// The last one.
        end: i64,
    },
    /// EXPIRETIME and PEXPIRETIME.
    ExpireTime {
        /// In milliseconds rather than seconds.
        in_ms: bool,
    },
    /// OBJECT ENCODING.
    Encoding,
    /// OBJECT FREQ.
    Frequency,
    /// OBJECT IDLETIME.
    IdleTime,
    /// OBJECT REFCOUNT.
    RefCount,
    /// MEMORY USAGE. How many nested values to sample means nothing for strings.
    MemoryUsage,
}

impl<'b> ReadRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let what = match spec.command {
            Command::GetRange | Command::Substr => match read_range(args) {
                Ok(what) => what,
                Err(error) => return Some(Err(error)),
            },
            Command::ExpireTime => ReadWhat::ExpireTime { in_ms: false },
            Command::PExpireTime => ReadWhat::ExpireTime { in_ms: true },
            Command::ObjectEncoding => ReadWhat::Encoding,
            Command::ObjectFreq => ReadWhat::Frequency,
            Command::ObjectIdleTime => ReadWhat::IdleTime,
            Command::ObjectRefCount => ReadWhat::RefCount,
            Command::MemoryUsage => match check_samples(args) {
                Ok(()) => ReadWhat::MemoryUsage,
                Err(error) => return Some(Err(error)),
            },
            _ => return None,
        };
        let is_sub = spec.name.contains('|');
        let key = args.at(if is_sub { 2 } else { 1 });
        Some(Ok(Self { key, what }))
    }
}

fn read_range<'b>(args: Args<'_>) -> Result<ReadWhat, RequestError<'b>> {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    Ok(ReadWhat::Range { start, end })
}

/// `SAMPLES` and a number, any number of times.
fn check_samples<'b>(args: Args<'_>) -> Result<(), RequestError<'b>> {
    let mut rest = args.iter_from(3);
    while let Some(option) = rest.next() {
        let count = rest
            .next()
            .filter(|_| option.eq_ignore_ascii_case(b"samples"))
            .ok_or(RequestError::Syntax)?;
        if integer(count)? < 0 {
            return Err(RequestError::Syntax);
        }
    }
    Ok(())
}

impl ReadWhat {
    /// Cuts a GETRANGE's bytes out of a value.
    pub fn cut(start: i64, end: i64, value: &[u8]) -> &[u8] {
        let length = value.len() as i64;
        if start < 0 && end < 0 && start > end {
            return &[];
        }
        let index = |index: i64| {
            if index < 0 {
                length.saturating_add(index)
            } else {
                index
            }
        };
        let start = usize::try_from(index(start).max(0)).unwrap_or(usize::MAX);
        let end = usize::try_from(index(end).max(0).saturating_add(1)).unwrap_or(usize::MAX);
        value.get(start..end.min(value.len())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_as_redis_cuts_them() {
        let table: &[(i64, i64, &[u8])] = &[
            (0, -1, b"Hello"),
            (1, 3, b"ell"),
            (-3, -1, b"llo"),
            (-1, -3, b""),
            (5, 10, b""),
            (10, 2, b""),
            (0, 0, b"H"),
            (-100, 1, b"He"),
            (-100, -100, b"H"),
            (0, i64::MAX, b"Hello"),
            (i64::MIN, i64::MAX, b"Hello"),
            (i64::MAX, i64::MAX, b""),
            (2, 1, b""),
        ];
        for (start, end, expected) in table {
            let seen = ReadWhat::cut(*start, *end, b"Hello");
            assert_eq!(seen, *expected, "{start} {end}");
            assert_eq!(ReadWhat::cut(*start, *end, b""), b"", "{start} {end}");
        }
    }
}
