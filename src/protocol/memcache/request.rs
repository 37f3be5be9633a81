//! What a memcache downstream can ask, borrowed from the bytes it sent.

use super::meta::{KeyText, MetaRequest};
use crate::protocol::{Resume, scan};

/// Longest key, in bytes, without exception in every memcached since 2003.
pub const KEY_BYTES_MAX: usize = 250;
/// Largest `exptime` that counts from now, in seconds (30 days); a larger one is a unix time.
const RELATIVE_SECONDS_MAX: i64 = 60 * 60 * 24 * 30;
const MS_PER_SECOND: u64 = 1000;

/// What a downstream may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest value, in bytes; a larger one is answered `SERVER_ERROR object too large for cache`.
    pub value_bytes_max: usize,
    /// Longest `get` or `gets` line, in bytes; the connection is closed at a longer one. All other
    /// lines are held to memcached's 2048.
    pub line_bytes_max: usize,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'b> {
    /// `get`, `gets`, `gat`, `gats` (and `bget`, an ancient spelling of `get`).
    Retrieve {
        /// At least one, except that memcached takes `gat <exptime>` without any and answers `END`.
        keys: Keys<'b>,
        /// Whether the reply shows the CAS id (`gets`, `gats`).
        cas: bool,
        /// The new expiry of what is found (`gat`, `gats`).
        touch: Option<Exptime>,
    },
    /// `set`, `add`, `replace`, `append`, `prepend`, `cas`.
    Store {
        /// Which of them.
        verb: StoreVerb,
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: &'b [u8],
        /// Opaque to the server.
        flags: u32,
        /// When it ends.
        exptime: Exptime,
        /// The data block without its CRLF.
        value: &'b [u8],
        /// Whether the answer is withheld.
        noreply: bool,
    },
    /// `delete`.
    Delete {
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: &'b [u8],
        /// Whether the answer is withheld.
        noreply: bool,
    },
    /// `incr`, `decr`.
    Arithmetic {
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: &'b [u8],
        /// Up (wraps at 2^64) or down (stops at 0).
        direction: Direction,
        /// How far.
        delta: u64,
        /// Whether the answer is withheld.
        noreply: bool,
    },
    /// `touch`.
    Touch {
        /// 1 to [`KEY_BYTES_MAX`] bytes.
        key: &'b [u8],
        /// The new expiry.
        exptime: Exptime,
        /// Whether the answer is withheld.
        noreply: bool,
    },
    /// `flush_all`.
    FlushAll {
        /// When: 0 is now, as is anything negative; otherwise as for items.
        delay: Exptime,
        /// Whether the answer is withheld.
        noreply: bool,
    },
    /// `verbosity`, whose level means nothing here; answered `OK`.
    Verbosity {
        /// Whether the answer is withheld.
        noreply: bool,
    },
    /// `version`.
    Version,
    /// `stats`.
    Stats {
        /// The first word after it, empty if there is none.
        argument: &'b [u8],
        /// The second.
        option: &'b [u8],
    },
    /// `shutdown`.
    Shutdown {
        /// How.
        mode: ShutdownMode,
    },
    /// `mg`, `ms`, `md`, `ma`, `me`.
    Meta(MetaRequest<'b>),
    /// `mn`, the meta protocol's no-op; answered `MN`. Clients send it to learn that all before it is
    /// done.
    MetaNoOp,
    /// `quit`: close once what came before is answered.
    Quit,
}

impl Request<'_> {
    /// Whether it is to change what is there, a deadline included.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Retrieve { touch, .. } => touch.is_some(),
            Self::Store { .. }
            | Self::Delete { .. }
            | Self::Arithmetic { .. }
            | Self::Touch { .. }
            | Self::FlushAll { .. } => true,
            Self::Meta(request) => request.is_write(),
            Self::Verbosity { .. }
            | Self::Version
            | Self::Stats { .. }
            | Self::Shutdown { .. }
            | Self::MetaNoOp
            | Self::Quit => false,
        }
    }
}

/// The kinds of [`Request::Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreVerb {
    /// Always.
    Set,
    /// Only if absent.
    Add,
    /// Only if present.
    Replace,
    /// Behind the present value, whose flags and expiry stay.
    Append,
    /// Before the present value, whose flags and expiry stay.
    Prepend,
    /// Only if nobody changed it since this CAS id was read.
    Cas(u64),
}

/// The kinds of [`Request::Arithmetic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `incr`.
    Incr,
    /// `decr`.
    Decr,
}

/// The kinds of [`Request::Shutdown`]. Which one is known is not looked at where it is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// At once.
    Now,
    /// `graceful`: once what is under way is done.
    Graceful,
    /// Something else.
    Invalid,
}

/// The keys of a retrieval: a piece of the command line, already checked, split as it is iterated.
///
/// Invariant: `words` starts with a word when `count` is not 0, and has exactly `count` words,
/// parted by spaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'b> {
    words: &'b [u8],
    count: usize,
}

impl<'b> Keys<'b> {
    /// One key, which is not searched for spaces.
    pub(super) const fn one(key: &'b [u8]) -> Self {
        Self {
            words: key,
            count: 1,
        }
    }

    /// The words of `text` up to its end or a NUL, where memcached's string functions stop; `None`
    /// if one of them is longer than a key may be.
    pub(super) fn split(text: &'b [u8]) -> Option<Self> {
        let mut first = None;
        let mut last_end = 0;
        let mut count = 0;
        let mut rest = Words::new(text);
        while let Some((start, end)) = rest.next_range() {
            if end - start > KEY_BYTES_MAX {
                return None;
            }
            first.get_or_insert(start);
            last_end = end;
            count += 1;
        }
        Some(Self {
            words: &text[first.unwrap_or(0)..last_end],
            count,
        })
    }

    /// How many keys there are, duplicates counted.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The first key.
    #[inline]
    pub fn first(&self) -> Option<&'b [u8]> {
        (*self).into_iter().next()
    }
}

/// Equal if the keys are, however many spaces parted them.
impl PartialEq for Keys<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.into_iter().eq(*other)
    }
}

impl Eq for Keys<'_> {}

impl<'b> IntoIterator for Keys<'b> {
    type Item = &'b [u8];
    type IntoIter = KeysIter<'b>;

    fn into_iter(self) -> KeysIter<'b> {
        KeysIter {
            words: self.words,
            at: 0,
            left: self.count,
        }
    }
}

/// Iterator over [`Keys`].
#[derive(Clone, Debug)]
pub struct KeysIter<'b> {
    /// All of them, and where those begin that are left.
    words: &'b [u8],
    at: usize,
    left: usize,
}

impl<'b> Iterator for KeysIter<'b> {
    type Item = &'b [u8];

    #[inline]
    fn next(&mut self) -> Option<&'b [u8]> {
        match self.left {
            0 => return None,
            // Whatever is left is the last key: nothing to search.
            1 => {
                self.left = 0;
                return self.words.get(self.at..);
            }
            _ => self.left -= 1,
        }
        let words = self.words.get(self.at..)?;
        let (start, end) = Words::new(words).next_range()?;
        let spaces = words[end..].iter().take_while(|&&byte| byte == b' ');
        self.at += end + spaces.count();
        Some(&words[start..end])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for KeysIter<'_> {}

impl Resume for KeysIter<'_> {
    fn place(&self) -> usize {
        self.at
    }

    fn resume(&mut self, place: usize, taken: usize) {
        self.at = place;
        self.left = self.left.saturating_sub(taken);
    }
}

/// Splits a command line at spaces, as memcached does: other blanks and control characters are part
/// of a word, and the line ends at a NUL.
pub(super) struct Words<'b> {
    line: &'b [u8],
    at: usize,
}

impl<'b> Words<'b> {
    /// The words of a line that has lost its line end.
    pub(super) const fn new(line: &'b [u8]) -> Self {
        Self { line, at: 0 }
    }

    /// Where the next word starts and ends in the line.
    #[inline]
    pub(super) fn next_range(&mut self) -> Option<(usize, usize)> {
        let mut start = self.at;
        while self.line.get(start) == Some(&b' ') {
            start += 1;
        }
        let mut end = start;
        loop {
            end = scan::word_end(self.line, end);
            match self.line.get(end) {
                None | Some(b' ') => break,
                Some(0) => {
                    self.line = &self.line[..end];
                    break;
                }
                Some(_) => end += 1,
            }
        }
        self.at = end;
        (end > start).then_some((start, end))
    }

    /// What follows the words taken so far.
    pub(super) fn rest(&self) -> &'b [u8] {
        &self.line[self.at..]
    }
}

impl<'b> Iterator for Words<'b> {
    type Item = &'b [u8];

    #[inline]
    fn next(&mut self) -> Option<&'b [u8]> {
        self.next_range().map(|(start, end)| &self.line[start..end])
    }
}

/// memcache's expiry: 0 is never, negative is already over, up to 30 days counts in seconds from
/// now, more is a unix time in seconds. (memcached cuts it to 32 bits, so that a time after 2038 is
/// over at once; we do not.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exptime(pub i64);

/// When an item ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// It does not.
    Never,
    /// At this unix time, in milliseconds, which is still to come.
    At(u64),
    /// It already has.
    Past,
}

impl Exptime {
    /// Never expires.
    pub const NEVER: Self = Self(0);

    /// The deadline, if it is `now_unix_ms`.
    pub const fn deadline_ms(self, now_unix_ms: u64) -> Deadline {
        if self.0 == 0 {
            return Deadline::Never;
        }
        if self.0 < 0 {
            return Deadline::Past;
        }
        let ms = self.0.unsigned_abs().saturating_mul(MS_PER_SECOND);
        if self.0 <= RELATIVE_SECONDS_MAX {
            return Deadline::At(now_unix_ms.saturating_add(ms));
        }
        if ms > now_unix_ms {
            Deadline::At(ms)
        } else {
            Deadline::Past
        }
    }
}

/// How to answer a request that breaks a rule, and how to get back in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'b> {
    /// The whole line to send, with its CRLF; empty for nothing.
    pub reply: &'static [u8],
    /// How many bytes after the consumed ones to throw away as they come: a data block nobody
    /// wants.
    pub swallow: usize,
    /// Whether to close the connection once all that came before is answered.
    pub close: bool,
    /// Whether it is a value that is too large, of which the server keeps count.
    pub is_too_large: bool,
    /// An entry to delete: an oversize `set` must not leave the old value behind.
    pub unlink: Option<KeyText<'b>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exptime_follows_the_thirty_day_rule() {
        const NOW: u64 = 1_700_000_000_500;
        let table = [
            (0, Deadline::Never),
            (-1, Deadline::Past),
            (i64::MIN, Deadline::Past),
            (1, Deadline::At(NOW + 1000)),
            (2_592_000, Deadline::At(NOW + 2_592_000_000)),
            (2_592_001, Deadline::Past),
            (1_700_000_000, Deadline::Past),
            (1_700_000_001, Deadline::At(1_700_000_001_000)),
            (4_102_444_800, Deadline::At(4_102_444_800_000)),
            (i64::MAX, Deadline::At(u64::MAX)),
        ];
        for (seconds, deadline) in table {
            assert_eq!(Exptime(seconds).deadline_ms(NOW), deadline, "{seconds}");
        }
    }

    #[test]
    fn keys_split_at_spaces_and_end_at_a_nul() {
        let table: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b"   ", &[]),
            (b"a", &[b"a"]),
            (b"  a  bb ", &[b"a", b"bb"]),
            (b"a\tb c\rd", &[b"a\tb", b"c\rd"]),
            (b"a b\0c d", &[b"a", b"b"]),
            (b"a \0c", &[b"a"]),
            (
                b"\xff\xfe twelve-bytes 0123456789",
                &[b"\xff\xfe", b"twelve-bytes", b"0123456789"],
            ),
        ];
        for (text, expected) in table {
            let keys = Keys::split(text).expect("short keys");
            assert_eq!(keys.count(), expected.len(), "{}", text.escape_ascii());
            assert_eq!(keys.first(), expected.first().copied());
            assert_eq!(&keys.into_iter().collect::<Vec<_>>(), expected);
        }
    }
}
