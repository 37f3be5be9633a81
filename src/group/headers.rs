//! What ringforts tell each other in headers, beside groupcache's messages.

use std::time::Duration;

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};

use super::origin::SECONDS_MAX;

/// How many peers a request has gone through: none if it is not there, as from peers that are not
/// ringforts. In the answer to a change it says that a ringfort has made it, which tells others if the request
/// wanted that.
const HOPS: HeaderName = HeaderName::from_static("ringfort-hops");

/// How long a value is good, in milliseconds. `expire` tells the same by the clock of the peer, which
/// may be another's.
const TTL_MS: HeaderName = HeaderName::from_static("ringfort-ttl-ms");

/// A value's memcache flags, if it has any.
const FLAGS: HeaderName = HeaderName::from_static("ringfort-flags");

/// How long who asks goes on waiting, in milliseconds, less some for the answer's way: so a peer answers
/// in time that it has no value yet, and who hears nothing knows that the peer is silent.
pub(super) const PATIENCE_MS: HeaderName = HeaderName::from_static("ringfort-patience-ms");

/// How many ringforts a request has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// None: a peer of another make asks. It tells all other peers of a delete itself, and of a set nobody.
    Foreign,
    /// The one that asks, for a client: the owner of a key is to tell others of a change.
    First,
    /// An owner, which has told all it had to.
    Last,
}

impl Hop {
    /// Says it.
    pub(super) fn insert(self, headers: &mut HeaderMap) {
        let hops = match self {
            Self::Foreign => return,
            Self::First => "1",
            Self::Last => "2",
        };
        headers.insert(HOPS, HeaderValue::from_static(hops));
    }

    /// What the headers say; nothing if it has been through too many, or nobody can tell.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        match headers.get(HOPS).map(HeaderValue::as_bytes) {
            None => Some(Self::Foreign),
            Some(b"1") => Some(Self::First),
            Some(b"2") => Some(Self::Last),
            Some(_) => None,
        }
    }
}

/// Says what flags a value has, if it has any.
pub(super) fn insert_flags(headers: &mut HeaderMap, flags: u32) {
    if flags != 0 {
        headers.insert(FLAGS, HeaderValue::from(flags));
    }
}

/// What that says.
pub(super) fn flags_of(headers: &HeaderMap) -> u32 {
    let text = headers.get(FLAGS).and_then(|flags| flags.to_str().ok());
    text.and_then(|flags| flags.parse().ok()).unwrap_or(0)
}

/// Says how long a value is good, if it ends.
pub(super) fn insert_ttl(headers: &mut HeaderMap, ttl: Option<Duration>) {
    if let Some(ttl) = ttl {
        let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        headers.insert(TTL_MS, HeaderValue::from(ms));
    }
}

/// What that says, if it is there.
pub(super) fn ttl_of(headers: &HeaderMap) -> Option<Duration> {
    let ms: u64 = headers.get(TTL_MS)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(ms).min(Duration::from_secs(SECONDS_MAX)))
}
