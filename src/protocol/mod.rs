//! The wire, both directions: bytes in, borrowed requests and replies out, and back.
//!
//! Sans-io: nothing here knows a socket, a clock or a thread. The caller keeps partial input and
//! always hands over a slice that starts where a request starts. Parsing does not allocate (the one
//! exception, a quoted RESP inline command, says so where it stands).

pub mod binary;
pub mod glob;
pub mod lcs;
pub mod long_double;
pub mod memcache;
pub mod number;
pub mod resp;
mod scan;
#[cfg(test)]
mod testing;

/// The keys of a request, or what belongs to each, which can be gone on with in a later turn without
/// passing those before.
pub trait Resume: Iterator {
    /// Where the next one is.
    fn place(&self) -> usize;

    /// Goes on, at the start of the same request, at the [place](Self::place) where `taken` of them
    /// had been taken.
    fn resume(&mut self, place: usize, taken: usize);
}

/// What a parser made of the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T, R> {
    /// Not a whole request yet.
    Incomplete {
        /// Parsing again is pointless before the input, counted from the same start, holds this
        /// many bytes. Always more than it holds now, never more than the request needs.
        want: usize,
    },
    /// One whole request.
    Complete {
        /// The request, which borrows from the input.
        request: T,
        /// How many bytes of the input it took; the next request starts there. Never 0.
        consumed: usize,
    },
    /// The peer broke a rule.
    Refused {
        /// What to answer, and how to get back in step.
        refusal: R,
        /// How many bytes of the input the refused request took.
        consumed: usize,
    },
}
