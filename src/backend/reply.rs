//! What a backend said to one request, and what is said where it said too much.

use crate::protocol::memcache;

/// A backend's reply to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'b> {
    /// The reply's bytes; of a memcache retrieval only the VALUE block, if there is one.
    pub frame: &'b [u8],
    /// What they say.
    pub meaning: Meaning<'b>,
}

impl Reply<'_> {
    /// memcache's way to say that there is no value.
    pub(super) const MISS: Self = Self {
        frame: &[],
        meaning: Meaning::Miss,
    };

    /// In place of a reply that is not kept.
    pub(super) const fn too_large(line: &'static [u8]) -> Self {
        Self {
            frame: line,
            meaning: Meaning::Error,
        }
    }
}

/// What a reply says, as far as a proxy has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<'b> {
    /// The value asked for.
    Hit {
        /// Its bytes.
        value: &'b [u8],
        /// memcache's flags; 0 from RESP.
        flags: u32,
    },
    /// There is no such value.
    Miss,
    /// The backend could not do it.
    Error,
    /// Anything else.
    Other,
}

impl Meaning<'_> {
    /// What a memcache server's line says.
    pub(super) fn of_line(line: &[u8]) -> Self {
        match memcache::reply::is_error(line) {
            true => Self::Error,
            false => Self::Other,
        }
    }
}

/// In place of a Redis server's reply with a value over the limit. What was asked for may well have
/// been done.
pub const VALUE_TOO_LARGE: &[u8] =
    b"-ERR reply has a value over the maximum allowed size (--item-size-max)\r\n";

/// In place of a Redis server's reply that is over [`REPLY_BYTES_MAX`] with values that are not.
pub(super) const REPLY_TOO_LARGE: &[u8] =
    b"-ERR reply is over the maximum allowed size (64 MiB)\r\n";

/// Longest reply of a Redis server that is kept, in bytes: as long as a request may be.
pub(super) const REPLY_BYTES_MAX: usize = 64 << 20;
