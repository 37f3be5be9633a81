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

/// What is wanted of a key. None of it counts as use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadWhat {
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
