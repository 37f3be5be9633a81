//! The flags of a meta command: letters, some with a token behind them.

use super::super::request::{Exptime, Words};
use crate::protocol::number;

/// The flags of a meta command, each letter at most once, in the order given.
///
/// Invariant: `text` consists of words that start with the letters in `seen`, parted by spaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags<'b> {
    text: &'b [u8],
    seen: Letters,
}

/// One flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag<'b> {
    /// Its letter.
    pub letter: u8,
    /// What follows the letter; the meaning, if any, is the letter's.
    pub token: &'b [u8],
}

/// A set of letters of the alphabet, big and small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Letters(u64);

impl Letters {
    /// The letter's bit: ASCII has the alphabet at 0x41 and at 0x61, so the lower six bits differ.
    const fn bit(letter: u8) -> u64 {
        1 << (letter & 0x3f)
    }

    pub(super) const fn has(self, letter: u8) -> bool {
        self.0 & Self::bit(letter) != 0
    }

    pub(super) const fn with(self, letter: u8) -> Self {
        Self(self.0 | Self::bit(letter))
    }
}

impl<'b> Flags<'b> {
    /// Flags that were checked.
    pub(super) const fn new(text: &'b [u8], seen: Letters) -> Self {
        Self { text, seen }
    }

    /// Whether a letter was given.
    #[inline]
    pub const fn has(self, letter: u8) -> bool {
        self.seen.has(letter)
    }

    /// Whether any of these letters was given.
    #[inline]
    pub fn has_any(self, letters: &[u8]) -> bool {
        letters.iter().any(|letter| self.has(*letter))
    }

    /// What stands behind a letter, if it was given.
    pub fn token(self, letter: u8) -> Option<&'b [u8]> {
        if !self.has(letter) {
            return None;
        }
        let mut flags = self.into_iter();
        flags
            .find(|flag| flag.letter == letter)
            .map(|flag| flag.token)
    }

    /// The number behind a letter, if it was given.
    pub fn number(self, letter: u8) -> Option<u64> {
        self.token(letter).and_then(number::c_unsigned)
    }

    /// The time behind a letter, if it was given.
    pub fn exptime(self, letter: u8) -> Option<Exptime> {
        self.token(letter).and_then(Flag::exptime_of)
    }
}

impl<'b> Flag<'b> {
    /// The flag that a word is.
    pub(super) fn of_word(word: &'b [u8]) -> Option<Self> {
        let (&letter, token) = word.split_first()?;
        Some(Self { letter, token })
    }

    /// The token as a time to live.
    pub fn exptime(self) -> Option<Exptime> {
        Self::exptime_of(self.token)
    }

    fn exptime_of(token: &[u8]) -> Option<Exptime> {
        number::c_signed(token).map(Exptime)
    }
}

impl<'b> IntoIterator for Flags<'b> {
    type Item = Flag<'b>;
    type IntoIter = FlagsIter<'b>;

    fn into_iter(self) -> FlagsIter<'b> {
        FlagsIter(Words::new(self.text))
    }
}

/// Iterator over [`Flags`].
pub struct FlagsIter<'b>(Words<'b>);

impl<'b> Iterator for FlagsIter<'b> {
    type Item = Flag<'b>;

    #[inline]
    fn next(&mut self) -> Option<Flag<'b>> {
        self.0.next().and_then(Flag::of_word)
    }
}
