//! RESP 2 and 3, as Redis 7.0 speaks them.
//!
//! Two steps: [`parse`] finds a request's frame ([`Args`]), [`Request::from_args`] gives it its
//! meaning. Pass-through needs only the first.

mod args;
mod error;
mod expiry;
mod frame;
mod inline;
mod plain;
pub mod reply;
mod request;
mod retype;
pub mod table;
#[cfg(test)]
mod tests;

pub use args::{Args, ArgsIter, Pairs, Rest};
pub use error::RequestError;
pub use expiry::{Condition, ExpireAt, ExpireCondition, SetExpiry};
pub use frame::{Limits, ParseProgress, ProtocolError, parse, parse_resumed};
pub use plain::{PlainSet, SetHead, plain_get, plain_set, set_head};
pub use request::{
    AclRequest, ByteRange, ClientAttribute, ClientFilter, ClientKind, ClientRequest, CommandFilter,
    CommandRequest, CompoundRequest, ConfigRequest, ConnectionRequest, DEFAULT_USER, HelloOption,
    INVALIDATION_CHANNEL, KeyspaceRequest, KillFilter, LatencyRequest, LcsAnswer, LcsRequest,
    MemoryRequest, ReadRequest, ReadWhat, ReplyMode, Request, ServerRequest, SlowLogRequest,
    StringRequest, TrackingChange, TrackingOptions, TrackingRefusal, TrackingRequest,
    TransactionRequest, find,
};
pub use retype::Retype;

/// Longest key, in bytes: what fits the store's sixteen bits. Redis itself takes 512 MiB.
pub const KEY_BYTES_MAX: usize = 65_535;

/// Which RESP a connection speaks: 2 until HELLO says 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// RESP2.
    #[default]
    Resp2,
    /// RESP3: maps, sets, a null of its own.
    Resp3,
}
