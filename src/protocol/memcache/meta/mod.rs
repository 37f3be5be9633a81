//! memcached's meta commands, `mg ms md ma me` (`doc/protocol.txt`): one verb, one key, and flags
//! that say what to do and what to tell. A flag that asks for something is answered by a flag, in
//! the order asked.
//!
//! A request keeps the text of its flags, so that it borrows all it says and needs no room of its
//! own; that they are good was checked when they were read.

mod flags;
mod key;
mod parse;
pub mod reply;

pub use self::{
    flags::{Flag, Flags},
    key::{KeyRoom, KeyText},
};
use super::request::{Direction, StoreVerb};

/// A meta command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaRequest<'b> {
    /// What to do.
    pub verb: MetaVerb,
    /// With which key.
    pub key: KeyText<'b>,
    /// How, and what to tell. `me` has none.
    pub flags: Flags<'b>,
    /// The data block of `ms`, without its CRLF.
    pub value: &'b [u8],
}

/// The kinds of [`MetaRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaVerb {
    /// `mg`.
    Get,
    /// `ms`.
    Set,
    /// `md`.
    Delete,
    /// `ma`.
    Arithmetic,
    /// `me`.
    Debug,
}

impl<'b> MetaRequest<'b> {
    /// How `ms` stores, by its flag `M`. A CAS id to compare (flag `C`) is not regarded.
    pub fn store_verb(&self) -> StoreVerb {
        match self.flags.token(b'M') {
            Some(b"E") => StoreVerb::Add,
            Some(b"A") => StoreVerb::Append,
            Some(b"P") => StoreVerb::Prepend,
            Some(b"R") => StoreVerb::Replace,
            _ => StoreVerb::Set,
        }
    }

    /// Where `ma` goes, by its flag `M`.
    pub fn direction(&self) -> Direction {
        match self.flags.token(b'M') {
            Some(b"D" | b"-") => Direction::Decr,
            _ => Direction::Incr,
        }
    }

    /// Whether it is to change what is there. A `mg` is if it gives an expiry (flag `T`) or makes
    /// what is missing (`N`); one that comes to renew a value only leaves a mark, and reads.
    pub fn is_write(&self) -> bool {
        match self.verb {
            MetaVerb::Get => self.flags.has_any(b"NT"),
            MetaVerb::Set | MetaVerb::Delete | MetaVerb::Arithmetic => true,
            MetaVerb::Debug => false,
        }
    }

    /// Whether the nominal reply is not wanted (flag `q`).
    pub fn is_quiet(&self) -> bool {
        self.flags.has(b'q')
    }

    /// Appends the request for a backend, without `q`: one that stays silent could not be told
    /// from one that is slow.
    pub fn encode_heard(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.verb {
            MetaVerb::Get => b"mg ",
            MetaVerb::Set => b"ms ",
            MetaVerb::Delete => b"md ",
            MetaVerb::Arithmetic => b"ma ",
            MetaVerb::Debug => b"me ",
        });
        out.extend_from_slice(self.key.text());
        if self.verb == MetaVerb::Set {
            out.push(b' ');
            crate::protocol::number::write(out, self.value.len());
        }
        if self.verb == MetaVerb::Debug && self.key.is_base64() {
            out.extend_from_slice(b" b");
        }
        for flag in self.flags.into_iter().filter(|flag| flag.letter != b'q') {
            out.push(b' ');
            out.push(flag.letter);
            out.extend_from_slice(flag.token);
        }
        out.extend_from_slice(b"\r\n");
        if self.verb == MetaVerb::Set {
            out.extend_from_slice(self.value);
            out.extend_from_slice(b"\r\n");
        }
    }
}
