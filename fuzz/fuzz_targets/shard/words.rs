//! What commands of all protocols are made of.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// The fleet's item limit in bytes.
pub(crate) const ITEM_BYTES_MAX: usize = 64 * 1024;

/// One of few keys, so that commands meet on them.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    A,
    B,
    C,
    Long,
    /// The text protocol cannot name it, but in base64.
    Odd,
}

impl Key {
    pub(crate) const ALL: [Self; 5] = [Self::A, Self::B, Self::C, Self::Long, Self::Odd];

    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Self::A => b"a",
            Self::B => "ключ".as_bytes(),
            Self::C => b"key:c",
            Self::Long => &[b'k'; 250],
            Self::Odd => b"o \r\n\0",
        }
    }

    /// One that stands on a command line as it is.
    pub(crate) fn plain(self) -> Self {
        match self {
            Self::Odd => Self::A,
            other => other,
        }
    }

    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.bytes() == bytes)
    }
}

/// A value, small in the script and sometimes large on the wire.
#[derive(Arbitrary, Debug, Clone)]
pub(crate) enum Value {
    Small(u8),
    Number(i64),
    Large(u64),
    Bytes(Vec<u8>),
    /// Up to the item limit: longer than a receive buffer, and with a key too large.
    Repeated(u8, u16),
    TooLarge,
}

impl Value {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Small(number) => number.to_string().into_bytes(),
            Self::Number(number) => number.to_string().into_bytes(),
            Self::Large(number) => number.to_string().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Repeated(byte, count) => {
                vec![*byte; (usize::from(*count) + 1_000).min(ITEM_BYTES_MAX)]
            }
            Self::TooLarge => vec![b'7'; ITEM_BYTES_MAX + 1],
        }
    }

    /// The same for RESP, where who sends a longer one is cut off.
    pub(crate) fn bulk(&self) -> Vec<u8> {
        let mut bytes = self.bytes();
        bytes.truncate(ITEM_BYTES_MAX);
        bytes
    }
}

/// A time to live in thousands of seconds, so that a few seconds more or less never decide.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ttl {
    None,
    Thousand,
    TenThousand,
    Past,
}

impl Ttl {
    pub(crate) fn seconds(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Thousand => 1_000,
            Self::TenThousand => 10_000,
            Self::Past => -1,
        }
    }

    /// The same without a sign: a date long ago stands for the past.
    pub(crate) fn unsigned(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Thousand => 1_000,
            Self::TenThousand => 10_000,
            Self::Past => 30 * 24 * 60 * 60 + 1,
        }
    }
}

/// How a value is stored.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Set,
    Add,
    Replace,
    Append,
    Prepend,
}

impl Verb {
    pub(crate) fn joins(self) -> bool {
        matches!(self, Self::Append | Self::Prepend)
    }
}

/// A CAS id that a client gives to be compared.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    /// The one that was shown last.
    Right,
    /// One less.
    Older,
    /// One that no entry has yet.
    Newer,
    Zero,
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Absent,
    Present,
}

impl When {
    pub(crate) fn holds(self, is_there: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => !is_there,
            Self::Present => is_there,
        }
    }
}

/// Joins words with blanks and ends the line.
pub(crate) fn line(words: &[&[u8]]) -> Vec<u8> {
    let mut line = words.join(&b' ');
    line.extend_from_slice(b"\r\n");
    line
}
