//! What came of a meta or a binary request on a Redis server, and how meta tells it.

use super::renewals::Renewals;
use crate::{
    protocol::{
        memcache::{
            meta::{KeyRoom, MetaRequest, MetaVerb, reply},
            reply as classic,
        },
        number,
    },
    shard::memcache::{deadline_of, ends_early, seconds_left},
    store::{Deadline, UnixMs},
};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer<'b> {
    /// There is a value, with what is left of its life if that was asked for.
    Value {
        flags: u32,
        data: &'b [u8],
        cas: u64,
        left: Option<Left>,
        /// It has ended, and is shown until the next is there.
        is_stale: bool,
        /// It is a promise, of this client or of another.
        is_promise: bool,
        /// It was not there: this client is to make it.
        is_new: bool,
    },
    /// It is done.
    Done { cas: u64, value_bytes: usize },
    /// The number after counting, with what was left of its life before.
    Number {
        digits: &'b [u8],
        cas: u64,
        left: Left,
        is_new: bool,
    },
    /// It is not, as meta says it in two letters.
    Not {
        status: &'static [u8],
        value_bytes: usize,
    },
    /// There is no number to count.
    NonNumeric,
}

/// Milliseconds that something has to live; none is for good.
pub(super) type Left = Option<u64>;

impl Answer<'_> {
    pub(super) const fn not(status: &'static [u8], value_bytes: usize) -> Self {
        Self::Not {
            status,
            value_bytes,
        }
    }

    /// Appends the answer. Who is told to renew a value claims that.
    pub(super) fn tell(
        self,
        request: &MetaRequest<'_>,
        renewals: Option<&Renewals>,
        now: UnixMs,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Value { .. } | Self::Number { .. } => {
                self.tell_value(request, renewals, now, out);
            }
            Self::Not { .. } if request.verb == MetaVerb::Get => {
                reply::line(out, reply::MISS, request.key, request.flags);
            }
            Self::Done { cas, value_bytes } if request.verb == MetaVerb::Set => {
                reply::stored(out, reply::DONE, request, cas, value_bytes);
            }
            Self::Not {
                status,
                value_bytes,
            } if request.verb == MetaVerb::Set => {
                reply::stored(out, status, request, 0, value_bytes);
            }
            Self::Done { .. } => reply::line(out, reply::DONE, request.key, request.flags),
            Self::Not { status, .. } => reply::line(out, status, request.key, request.flags),
            Self::NonNumeric => out.extend_from_slice(classic::NON_NUMERIC),
        }
    }

    /// Appends what the client asked to be told, in the order asked.
    fn tell_value(
        self,
        request: &MetaRequest<'_>,
        renewals: Option<&Renewals>,
        now: UnixMs,
        out: &mut Vec<u8>,
    ) {
        let marks = self.marks(request, renewals, now);
        let (flags, data, cas, left, is_new) = match self {
            Self::Value {
                flags,
                data,
                cas,
                left,
                is_new,
                ..
            } => (Some(flags), data, cas, left.flatten(), is_new),
            Self::Number {
                digits,
                cas,
                left,
                is_new,
            } => (None, digits, cas, left, is_new),
            _ => return,
        };
        let is_known = flags.is_some() && request.flags.number(b'C') == Some(cas);
        let value = (request.flags.has(b'v') && !is_known).then_some(data);
        begin(value, out);
        let mut deadline = left.map_or(Deadline::NEVER, |ms| Deadline::after(now, ms));
        for flag in request.flags {
            match flag.letter {
                b'T' => deadline = deadline_of(request.flags, b'T', now).unwrap_or(deadline),
                b'N' if is_new => {
                    deadline = deadline_of(request.flags, b'N', now).unwrap_or(deadline);
                }
                b's' if flags.is_some() => reply::flag(out, b's', data.len() as u64),
                b't' => reply::time_to_live(out, seconds_left(deadline, now)),
                b'c' => reply::flag(out, b'c', cas),
                b'f' => {
                    if let Some(flags) = flags {
                        reply::flag(out, b'f', flags.into());
                    }
                }
                // A group's value that was loaded just now: nobody has read it before.
                b'h' | b'l' if flags.is_some() => reply::flag(out, flag.letter, 0),
                b'O' => reply::opaque(out, flag.token),
                b'k' => reply::key(out, request.key),
                _ => {}
            }
        }
        out.extend_from_slice(marks);
        end(value, out);
    }

    /// Whether the client is to make or to renew the value (`W`), or another does (`Z`).
    fn marks(
        self,
        request: &MetaRequest<'_>,
        renewals: Option<&Renewals>,
        now: UnixMs,
    ) -> &'static [u8] {
        let Self::Value {
            cas,
            left,
            is_stale,
            is_promise,
            is_new,
            ..
        } = self
        else {
            return b"";
        };
        if is_stale {
            // The group renews it.
            return b" Z X";
        }
        if is_promise {
            return if is_new { b" W" } else { b" Z" };
        }
        let there = left
            .flatten()
            .map_or(Deadline::NEVER, |ms| Deadline::after(now, ms));
        let Some(renewals) = renewals.filter(|_| ends_early(there, request.flags, now)) else {
            return b"";
        };
        let deadline = deadline_of(request.flags, b'T', now).unwrap_or(there);
        let end = deadline.instant().unwrap_or(now);
        let mut room = KeyRoom::new();
        match renewals.claim(request.key.bytes(&mut room), cas, now, end) {
            true => b" W",
            false => b" Z",
        }
    }
}

pub(super) fn begin(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        None => out.extend_from_slice(reply::DONE),
        Some(value) => {
            out.extend_from_slice(reply::VALUE);
            number::write(out, value.len());
        }
    }
}

pub(super) fn end(value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
    if let Some(value) = value {
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}
