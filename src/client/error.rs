//! What can go wrong, by who is at fault and what became of the request.

use std::fmt;

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The server answered with an error, in this line.
    Server(String),
    /// The server did not answer in time. The request may be done still.
    Timeout,
    /// The connection was lost before the reply. The request may have been done.
    Lost,
    /// No connection was to be had in time. Nothing was done.
    Unsent,
    /// The client is closed. Nothing was done.
    Closed,
    /// Too many requests are unanswered. Nothing was done.
    Busy,
    /// The request cannot be made: what the caller did wrong. Nothing was done.
    Invalid(&'static str),
    /// The server will not have us: what it was asked at the start, and what it said.
    Refused(String),
    /// The server cannot be connected to.
    Unreachable(String),
    /// The server answered something else than the protocol has for this request.
    Unexpected,
}

impl Error {
    pub(super) fn server(line: &[u8]) -> Self {
        let line = line.trim_ascii_end();
        let line = line.strip_prefix(b"-").unwrap_or(line);
        Self::Server(String::from_utf8_lossy(line).into_owned())
    }

    /// Whether the request may have been done all the same.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::Timeout | Self::Lost)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(line) => write!(f, "the server said: {line}"),
            Self::Timeout => f.write_str("the server did not answer in time"),
            Self::Lost => f.write_str("the connection was lost before the reply"),
            Self::Unsent => f.write_str("no connection was to be had in time"),
            Self::Closed => f.write_str("the client is closed"),
            Self::Busy => f.write_str("too many requests are unanswered"),
            Self::Invalid(why) => write!(f, "the request cannot be made: {why}"),
            Self::Refused(why) => write!(f, "the server refused the connection: {why}"),
            Self::Unreachable(why) => write!(f, "the server cannot be connected to: {why}"),
            Self::Unexpected => f.write_str("the server's reply is none to this request"),
        }
    }
}

impl std::error::Error for Error {}
