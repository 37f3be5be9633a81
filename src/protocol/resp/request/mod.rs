//! What a RESP downstream can ask, borrowed from the bytes it sent.
//!
//! Checks come in Redis's order, so that of several mistakes the same one is named: the command,
//! its arity, then what its own code looks at first.

mod client;
mod cluster;
mod command;
mod compound;
mod config;
mod connection;
mod keyspace;
mod latency;
mod lcs;
mod memory;
mod range;
mod reads;
mod server;
mod slow_log;
mod strings;
mod tracking;
mod transaction;

pub use self::{
    client::{ClientAttribute, ClientFilter, ClientKind, ClientRequest, KillFilter, ReplyMode},
    command::{CommandFilter, CommandRequest},
    compound::CompoundRequest,
    config::ConfigRequest,
    connection::{ConnectionRequest, DEFAULT_USER, HelloOption},
    keyspace::KeyspaceRequest,
    latency::LatencyRequest,
    lcs::{LcsAnswer, LcsRequest},
    memory::MemoryRequest,
    range::ByteRange,
    reads::{ReadRequest, ReadWhat},
    server::{AclRequest, ServerRequest},
    slow_log::SlowLogRequest,
    strings::StringRequest,
    tracking::{
        INVALIDATION_CHANNEL, TrackingChange, TrackingOptions, TrackingRefusal, TrackingRequest,
    },
    transaction::TransactionRequest,
};
use super::args::{Args, Rest};
use super::error::RequestError;
use super::expiry::{
    Condition, ExpireAt, ExpireCondition, MS_PER_SECOND, SetExpiry, read_expire, read_set,
    read_setex,
};
use super::table::{self, Command, CommandSpec};
use crate::protocol::number;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum Request<'b> {
    Get {
        key: &'b [u8],
    },
    /// SET, SETEX and PSETEX.
    Set {
        key: &'b [u8],
        value: &'b [u8],
        expiry: SetExpiry,
        condition: Condition,
        get: bool,
    },
    SetNx {
        key: &'b [u8],
        value: &'b [u8],
    },
    GetSet {
        key: &'b [u8],
        value: &'b [u8],
    },
    GetDel {
        key: &'b [u8],
    },
    MGet {
        keys: Rest<'b>,
    },
    /// Keys and values in turn; see [`Rest::pairs`].
    MSet {
        pairs: Rest<'b>,
    },
    /// DEL and UNLINK.
    Del {
        keys: Rest<'b>,
    },
    Exists {
        keys: Rest<'b>,
    },
    Touch {
        keys: Rest<'b>,
    },
    /// EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT; a time that has come deletes the key.
    Expire {
        key: &'b [u8],
        at: ExpireAt,
        condition: ExpireCondition,
    },
    Ttl {
        key: &'b [u8],
    },
    PTtl {
        key: &'b [u8],
    },
    Persist {
        key: &'b [u8],
    },
    /// INCR, DECR, INCRBY and DECRBY.
    IncrBy {
        key: &'b [u8],
        delta: i64,
    },
    Append {
        key: &'b [u8],
        value: &'b [u8],
    },
    Strlen {
        key: &'b [u8],
    },
    /// GETRANGE and SUBSTR.
    GetRange {
        key: &'b [u8],
        range: ByteRange,
    },
    Type {
        key: &'b [u8],
    },
    DbSize,
    /// FLUSHALL and FLUSHDB, whether SYNC or ASYNC.
    FlushAll,
    /// About one string, read and changed.
    String(StringRequest<'b>),
    /// About one key, read.
    Read(ReadRequest<'b>),
    /// About several keys, changed together.
    Compound(CompoundRequest<'b>),
    /// About all keys, read.
    Keyspace(KeyspaceRequest<'b>),
    /// About two strings.
    Lcs(LcsRequest<'b>),
    /// About the commands there are.
    Command(CommandRequest<'b>),
    /// About the connection itself.
    Connection(ConnectionRequest<'b>),
    /// About the server as a whole.
    Server(ServerRequest<'b>),
    /// About hearing of changes.
    Tracking(TrackingRequest<'b>),
    /// About a transaction.
    Transaction(TransactionRequest<'b>),
}

impl<'b> Request<'b> {
    /// Gives a frame its meaning. A frame without arguments has none: skip it before coming here,
    /// where it is refused as the unknown command ''.
    #[inline]
    pub fn from_args(args: Args<'b>) -> Result<Self, RequestError<'b>> {
        Self::read(Self::check(&args)?, args)
    }

    /// The command's row, if there is such a command and it can have so many arguments: what Redis
    /// looks at before it queues a request of a transaction.
    #[inline]
    pub fn check(args: &Args<'b>) -> Result<&'static CommandSpec, RequestError<'b>> {
        if args.is_escaped() {
            return Err(RequestError::Escaped);
        }
        let spec = find(args)?;
        if !spec.takes(args.count()) {
            return Err(RequestError::Arity(spec.name));
        }
        Ok(spec)
    }

    /// Gives a frame that [`Request::check`] found the row of its meaning.
    #[inline]
    pub fn read(spec: &'static CommandSpec, args: Args<'b>) -> Result<Self, RequestError<'b>> {
        // The arity holds, so what is fixed is there.
        let key = args.at(1);
        let request = match spec.command {
            Command::Get => Self::Get { key },
            Command::Set => return read_set(args),
            Command::SetEx => return read_setex(spec, args, MS_PER_SECOND),
            Command::PSetEx => return read_setex(spec, args, 1),
            Command::SetNx => Self::SetNx {
                key,
                value: args.at(2),
            },
            Command::GetSet => Self::GetSet {
                key,
                value: args.at(2),
            },
            Command::GetDel => Self::GetDel { key },
            Command::MGet => Self::MGet { keys: args.rest(1) },
            Command::MSet if args.count().is_multiple_of(2) => {
                return Err(RequestError::Arity(spec.name));
            }
            Command::MSet => Self::MSet {
                pairs: args.rest(1),
            },
            Command::Del | Command::Unlink => Self::Del { keys: args.rest(1) },
            Command::Exists => Self::Exists { keys: args.rest(1) },
            Command::Touch => Self::Touch { keys: args.rest(1) },
            Command::Expire | Command::PExpire | Command::ExpireAt | Command::PExpireAt => {
                return read_expire(spec, args);
            }
            Command::Ttl => Self::Ttl { key },
            Command::PTtl => Self::PTtl { key },
            Command::Persist => Self::Persist { key },
            Command::Incr => Self::IncrBy { key, delta: 1 },
            Command::Decr => Self::IncrBy { key, delta: -1 },
            Command::IncrBy => Self::IncrBy {
                key,
                delta: integer(args.at(2))?,
            },
            Command::DecrBy => {
                let delta = integer(args.at(2))?.checked_neg();
                Self::IncrBy {
                    key,
                    delta: delta.ok_or(RequestError::DecrementOverflow)?,
                }
            }
            Command::Append => Self::Append {
                key,
                value: args.at(2),
            },
            Command::Strlen => Self::Strlen { key },
            Command::GetRange | Command::Substr => Self::GetRange {
                key,
                range: ByteRange::read(args.at(2), args.at(3))?,
            },
            Command::Type => Self::Type { key },
            Command::DbSize => Self::DbSize,
            Command::FlushAll | Command::FlushDb => return read_flush(args),
            _ => return Self::read_rare(spec, args),
        };
        Ok(request)
    }

    /// The commands of one family after the other.
    fn read_rare(spec: &'static CommandSpec, args: Args<'b>) -> Result<Self, RequestError<'b>> {
        if let Some(request) = StringRequest::read(spec, args) {
            return request.map(Self::String);
        }
        if let Some(request) = ReadRequest::read(spec, args) {
            return request.map(Self::Read);
        }
        if let Some(request) = CompoundRequest::read(spec, args) {
            return request.map(Self::Compound);
        }
        if let Some(request) = KeyspaceRequest::read(spec, args) {
            return request.map(Self::Keyspace);
        }
        if let Some(request) = CommandRequest::read(spec, args) {
            return request.map(Self::Command);
        }
        if let Some(request) = TrackingRequest::read(spec, args) {
            return request.map(Self::Tracking);
        }
        if let Some(request) = TransactionRequest::read(spec, args) {
            return Ok(Self::Transaction(request));
        }
        if let Some(request) = ConnectionRequest::read(spec, args) {
            return request.map(Self::Connection);
        }
        match spec.command {
            Command::Lcs => Ok(Self::Lcs(LcsRequest::read(args))),
            _ => ServerRequest::read(spec, args).map(Self::Server),
        }
    }
}

/// The row of the command, or of its subcommand if it has those and one is given.
///
/// # Errors
/// There is no such command, or subcommand.
#[inline]
pub fn find<'b>(args: &Args<'b>) -> Result<&'static CommandSpec, RequestError<'b>> {
    let name = args.name();
    let Some(spec) = table::lookup(name) else {
        let cross = name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:");
        return Err(if cross {
            RequestError::CrossProtocol
        } else {
            RequestError::UnknownCommand(*args)
        });
    };
    if spec.subcommands.is_empty() {
        return Ok(spec);
    }
    match args.get(1) {
        Some(sub) => spec
            .subcommand(sub)
            .ok_or(RequestError::UnknownSubcommand { command: name, sub }),
        None => Ok(spec),
    }
}

fn read_flush(args: Args<'_>) -> Result<Request<'_>, RequestError<'_>> {
    let known = args.get(1).is_none_or(|mode| {
        mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async")
    });
    if known && args.count() <= 2 {
        Ok(Request::FlushAll)
    } else {
        Err(RequestError::Syntax)
    }
}

/// A database's index, which may be one that is not there.
fn index<'b>(number: i64) -> Result<i32, RequestError<'b>> {
    i32::try_from(number).or(Err(RequestError::Said(
        "ERR value is out of range, value must between -2147483648 and 2147483647",
    )))
}

/// A signed number in its one spelling.
pub(super) fn integer<'b>(text: &[u8]) -> Result<i64, RequestError<'b>> {
    number::signed(text).ok_or(RequestError::NotAnInteger)
}
