//! How a result becomes a reply: decided when the request is read, applied when the result is
//! there, which may be later and on behalf of another shard's answer.

use super::pool::{binary::Packet, over_memcache, over_resp};
use crate::{
    protocol::{
        binary::{Echo, reply as binary},
        memcache::{
            meta::{MetaVerb, reply::is_nominal},
            reply as memcache,
        },
        resp::{Retype, Version, reply as resp},
    },
    store::{Applied, Outcome},
};

/// The shape of one reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// No reply (`noreply`, or already given).
    Silent,
    /// The bytes as they are.
    Verbatim,
    /// A memcache retrieval of one key: its VALUE block, if there is one, and the end.
    Retrieval,
    /// One key of a memcache retrieval that goes to several places.
    Part,
    /// A [`Self::Part`] whose bytes are an error line: the group ends with it.
    FailedPart,
    /// The end of such a retrieval.
    GroupEnd,
    /// memcache's `OK`, once all parts are done.
    MemcacheOk,
    /// The binary protocol's empty success, once all parts are done.
    BinaryDone { echo: Echo, is_quiet: bool },
    /// memcache's storage commands.
    MemcacheStore,
    /// memcache's `append` and `prepend`, to which a value that gets too large is one not stored.
    MemcacheConcat,
    /// memcache's `delete`.
    MemcacheDelete,
    /// memcache's `incr` and `decr`.
    MemcacheCount,
    /// memcache's `touch`.
    MemcacheTouch,
    /// The reply of a server to a meta command with `q`: hidden if it is the nominal one.
    MetaQuiet(MetaVerb),
    /// RESP's `OK`, once all parts are done.
    RespOk,
    /// RESP's sum over the parts.
    RespSum,
    /// RESP's 1, once all parts are done.
    RespAll,
    /// RESP's 1 if all of so many servers said so, else 0.
    RespEvery(usize),
    /// `OK` if stored, else null.
    RespStored(Version),
    /// The value that was there, else null.
    RespOld(Version),
    /// 1 if something changed, else 0.
    RespChanged,
    /// A number: the new value, or the new length.
    RespNumber,
    /// What a Redis server answered, for a client that is not to see how values are kept there.
    OverResp(over_resp::ReplyWanted),
    /// The same for a meta command, whose bytes are kept.
    OverRespMeta {
        verb: MetaVerb,
        is_quiet: bool,
        asked: over_resp::Asked,
    },
    /// The same for a binary client.
    OverRespPacket(Packet, over_resp::Asked),
    /// What a Redis server answered in RESP2, for a RESP3 client.
    Retyped(Retype),
    /// The same of a transaction; how each element is rewritten is kept with the slot.
    RetypedAll,
    /// What a memcache server answered, for a RESP client.
    OverMemcache(over_memcache::RespWanted),
    /// The same for a binary memcache client.
    Packet(Packet),
}

impl Form {
    /// The form of a slot that got a failure.
    pub(super) fn failed(self) -> Self {
        match self {
            Self::Silent => Self::Silent,
            form if form.is_grouped() => Self::FailedPart,
            _ => Self::Verbatim,
        }
    }

    /// Whether the reply is left out after a failure in its group.
    pub(super) fn is_grouped(self) -> bool {
        match self {
            Self::Part | Self::FailedPart | Self::GroupEnd => true,
            Self::OverResp(wanted) => wanted.is_part(),
            _ => false,
        }
    }

    /// Whether the reply is made of several results.
    pub(super) fn adds_up(self) -> bool {
        matches!(
            self,
            Self::RespSum
                | Self::RespOk
                | Self::RespAll
                | Self::RespEvery(_)
                | Self::MemcacheOk
                | Self::BinaryDone { .. }
        )
    }

    /// Whether a group ends here.
    pub(super) fn ends_group(self) -> bool {
        matches!(self, Self::GroupEnd)
    }

    /// Appends a reply that is encoded already.
    pub(super) fn emit(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Silent => {}
            Self::MetaQuiet(verb) if is_nominal(verb, bytes) => {}
            _ => out.extend_from_slice(bytes),
        }
        if matches!(self, Self::Retrieval) {
            out.extend_from_slice(memcache::END);
        }
    }

    /// Appends the reply of a form that adds up its parts.
    pub(super) fn emit_total(self, total: i64, out: &mut Vec<u8>) {
        match self {
            Self::MemcacheOk => out.extend_from_slice(memcache::OK),
            Self::RespOk => resp::simple(out, b"OK"),
            Self::BinaryDone {
                echo,
                is_quiet: false,
            } => binary::done(out, echo, 0),
            Self::RespSum => resp::integer(out, total),
            Self::RespAll => out.extend_from_slice(resp::ONE),
            // A part for each server.
            Self::RespEvery(servers) => {
                let is_all = usize::try_from(total) == Ok(servers);
                resp::integer(out, i64::from(is_all));
            }
            _ => {}
        }
    }

    /// Appends the reply for what came of an operation; `old` is the value that was there.
    /// Forms that add up have none: their parts are [counted](count).
    pub(super) fn encode(self, applied: Applied, old: &[u8], out: &mut Vec<u8>) {
        let outcome = applied.outcome;
        match self {
            Self::MemcacheConcat if outcome == Outcome::TooLarge => {
                out.extend_from_slice(memcache::NOT_STORED);
            }
            Self::MemcacheCount if matches!(outcome, Outcome::TooLarge | Outcome::OutOfMemory) => {
                out.extend_from_slice(memcache::OUT_OF_MEMORY);
            }
            Self::MemcacheStore
            | Self::MemcacheConcat
            | Self::MemcacheDelete
            | Self::MemcacheCount
            | Self::MemcacheTouch => match outcome {
                Outcome::Unsigned(number) => memcache::number(out, number),
                _ => out.extend_from_slice(memcache_line(outcome)),
            },
            Self::RespOld(version) if resp_error(outcome).is_none() => {
                if applied.has_old {
                    resp::bulk(out, old)
                } else {
                    resp::null(out, version)
                }
            }
            Self::RespStored(_) | Self::RespOld(_) | Self::RespChanged | Self::RespNumber => {
                self.encode_resp(outcome, out)
            }
            _ => {}
        }
    }

    fn encode_resp(self, outcome: Outcome, out: &mut Vec<u8>) {
        if let Some(line) = resp_error(outcome) {
            return out.extend_from_slice(line);
        }
        match (self, outcome) {
            (Self::RespStored(_), Outcome::Stored { .. }) => resp::simple(out, b"OK"),
            (Self::RespStored(version), _) => resp::null(out, version),
            (_, Outcome::Signed(number)) => resp::integer(out, number),
            (Self::RespNumber, Outcome::Stored { value_bytes }) => {
                resp::integer(out, value_bytes as i64);
            }
            _ => resp::integer(out, i64::from(changed(outcome))),
        }
    }
}

/// What one key adds to a sum, or the error line that spoils it.
pub(super) fn count(outcome: Outcome) -> Result<i64, &'static [u8]> {
    match resp_error(outcome) {
        Some(line) => Err(line),
        None => Ok(i64::from(changed(outcome))),
    }
}

fn changed(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Stored { .. } | Outcome::Deleted | Outcome::Touched
    )
}

/// memcached's line for an outcome.
pub(super) fn memcache_line(outcome: Outcome) -> &'static [u8] {
    match outcome {
        Outcome::Stored { .. } => memcache::STORED,
        Outcome::NotStored => memcache::NOT_STORED,
        Outcome::Exists => memcache::EXISTS,
        Outcome::NotFound => memcache::NOT_FOUND,
        Outcome::Deleted => memcache::DELETED,
        Outcome::Touched | Outcome::Untouched => memcache::TOUCHED,
        Outcome::NotANumber | Outcome::Overflow => memcache::NON_NUMERIC,
        Outcome::TooLarge => memcache::TOO_LARGE,
        Outcome::OutOfMemory => memcache::OUT_OF_MEMORY_STORING,
        Outcome::Unsigned(_) | Outcome::Signed(_) => memcache::OK,
    }
}

/// Redis' error line for an outcome that is one.
pub(super) fn resp_error(outcome: Outcome) -> Option<&'static [u8]> {
    match outcome {
        Outcome::NotANumber => Some(b"-ERR value is not an integer or out of range\r\n"),
        Outcome::Overflow => Some(b"-ERR increment or decrement would overflow\r\n"),
        Outcome::TooLarge => {
            Some(b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n")
        }
        Outcome::OutOfMemory => {
            Some(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n")
        }
        _ => None,
    }
}
