//! What a binary downstream can ask, borrowed from the bytes it sent.

use super::reply::Status;
use crate::protocol::memcache::{Direction, Exptime, StoreVerb};

/// What a downstream may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest value, in bytes; a larger one is answered [`Status::TooLarge`].
    pub value_bytes_max: usize,
}

/// What a reply repeats of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Which command, as the client wrote it.
    pub opcode: u8,
    /// The client's own mark.
    pub opaque: u32,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'b> {
    /// What its replies repeat.
    pub echo: Echo,
    /// Whether only what is worth knowing is answered: of reads the hits, of all else the errors.
    pub is_quiet: bool,
    /// What is asked for.
    pub command: Command<'b>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'b> {
    /// Something about one key.
    OfKey(KeyCommand<'b>),
    /// flush, flushq.
    Flush {
        /// When: 0 is now; otherwise as for items.
        delay: Exptime,
    },
    /// stat.
    Stat {
        /// Which statistics; empty for the usual ones.
        argument: &'b [u8],
    },
    /// version.
    Version,
    /// noop. Clients send it to learn that all before it is done.
    NoOp,
    /// quit, quitq: close once what came before is answered.
    Quit,
}

impl<'b> Command<'b> {
    /// The key, if it is about one.
    #[inline]
    pub const fn key(&self) -> Option<&'b [u8]> {
        match self {
            Self::OfKey(command) => Some(command.key()),
            Self::Flush { .. } | Self::Stat { .. } | Self::Version | Self::NoOp | Self::Quit => {
                None
            }
        }
    }

    /// Whether it is to change what is there, a deadline included.
    pub const fn is_write(&self) -> bool {
        match self {
            Self::OfKey(command) => !matches!(command, KeyCommand::Get { .. }),
            Self::Flush { .. } => true,
            Self::Stat { .. } | Self::Version | Self::NoOp | Self::Quit => false,
        }
    }
}

/// What is asked of one key. Keys have 1 to
/// [`KEY_BYTES_MAX`](crate::protocol::memcache::KEY_BYTES_MAX) bytes of any kind.
///
/// A `cas` of 0 is none; any other must be the entry's, and an entry must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCommand<'b> {
    /// get, getk; getq, getkq.
    Get {
        /// What is looked up.
        key: &'b [u8],
        /// Whether the reply has the key, also that of a miss.
        shows_key: bool,
    },
    /// gat, gatk; gatq, gatkq.
    GetAndTouch {
        /// What is looked up.
        key: &'b [u8],
        /// Whether the reply has the key, also that of a miss.
        shows_key: bool,
        /// The new expiry of what is found.
        exptime: Exptime,
    },
    /// touch.
    Touch {
        /// What is touched.
        key: &'b [u8],
        /// Its new expiry.
        exptime: Exptime,
    },
    /// set, add, replace, append, prepend and their quiet forms.
    Store {
        /// Which of them; [`StoreVerb::Cas`] is none.
        verb: StoreVerb,
        /// What is stored.
        key: &'b [u8],
        /// Opaque to the server. 0 for append and prepend, which keep what is there.
        flags: u32,
        /// When it ends. Never for append and prepend, which keep what is there.
        exptime: Exptime,
        /// The bytes.
        value: &'b [u8],
        /// The cas id that what is there must have. It makes set, add and replace the same.
        cas: u64,
    },
    /// delete, deleteq.
    Delete {
        /// What is removed.
        key: &'b [u8],
        /// The cas id it must have.
        cas: u64,
    },
    /// increment, decrement and their quiet forms.
    Count {
        /// Whose value is a number.
        key: &'b [u8],
        /// Up (wraps at 2^64) or down (stops at 0).
        direction: Direction,
        /// How far.
        delta: u64,
        /// What a missing entry starts with, and its expiry; none if a miss is an error.
        initial: Option<(u64, Exptime)>,
        /// The cas id that an entry that is there must have.
        cas: u64,
    },
}

impl<'b> KeyCommand<'b> {
    /// The key.
    #[inline]
    pub const fn key(&self) -> &'b [u8] {
        match *self {
            Self::Get { key, .. }
            | Self::GetAndTouch { key, .. }
            | Self::Touch { key, .. }
            | Self::Store { key, .. }
            | Self::Delete { key, .. }
            | Self::Count { key, .. } => key,
        }
    }
}

/// How to answer a request that breaks a rule, and how to get back in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'b> {
    /// What the error repeats.
    pub echo: Echo,
    /// The error; none to say nothing.
    pub status: Option<Status>,
    /// How many bytes after the consumed ones to throw away as they come: a value nobody wants.
    pub swallow: usize,
    /// Whether to close the connection once all that came before is answered.
    pub close: bool,
    /// An entry to delete: an oversize `set` must not leave the old value behind.
    pub unlink: Option<&'b [u8]>,
}
