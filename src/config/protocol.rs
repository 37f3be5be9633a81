//! What clients and backends speak.

use std::fmt;
use std::str::FromStr;

/// A protocol that ringfort serves and its backends speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// memcached's text protocol.
    Memcache,
    /// Redis' protocol, versions 2 and 3.
    Resp,
}

impl Protocol {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Memcache => Self::Resp,
            Self::Resp => Self::Memcache,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memcache => "memcache",
            Self::Resp => "resp",
        })
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "memcache" => Ok(Self::Memcache),
            "resp" => Ok(Self::Resp),
            _ => Err(()),
        }
    }
}
