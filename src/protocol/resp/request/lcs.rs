//! LCS, which compares two strings.

use super::super::{args::Args, error::RequestError};
use super::integer;

/// One LCS, but for its [options](LcsAnswer::read).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LcsRequest<'b> {
    /// The key of one string.
    pub key1: &'b [u8],
    /// That of the other.
    pub key2: &'b [u8],
}

/// What LCS is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LcsAnswer {
    /// The bytes that both strings have in common.
    Text,
    /// How many there are (LEN).
    Length,
    /// Where they stand (IDX).
    Runs {
        /// Shorter runs are left out (MINMATCHLEN).
        bytes_min: u64,
        /// With the length of each run (WITHMATCHLEN).
        with_length: bool,
    },
}

impl<'b> LcsRequest<'b> {
    /// Gives a frame of LCS that has its arity its meaning.
    pub(super) fn read(args: Args<'b>) -> Self {
        Self {
            key1: args.at(1),
            key2: args.at(2),
        }
    }
}

impl LcsAnswer {
    /// What a frame of LCS wants to know. Nobody reads it before the strings are looked up: that counts, whatever this is.
    ///
    /// # Errors
    /// An option that there is not, or two that do not go together.
    pub fn read(args: Args<'_>) -> Result<Self, RequestError<'_>> {
        let (mut is_length, mut is_runs, mut with_length, mut bytes_min) = (false, false, false, 0);
        let mut rest = args.iter_from(3);
        while let Some(option) = rest.next() {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            if is("idx") {
                is_runs = true;
            } else if is("len") {
                is_length = true;
            } else if is("withmatchlen") {
                with_length = true;
            } else if is("minmatchlen") {
                let wanted = integer(rest.next().ok_or(RequestError::Syntax)?)?;
                bytes_min = u64::try_from(wanted).unwrap_or(0);
            } else {
                return Err(RequestError::Syntax);
            }
        }
        match (is_length, is_runs) {
            (true, true) => Err(RequestError::LcsLengthAndRuns),
            (true, false) => Ok(Self::Length),
            (false, true) => Ok(Self::Runs {
                bytes_min,
                with_length,
            }),
            (false, false) => Ok(Self::Text),
        }
    }
}
