//! What a node of a cluster says in place of a reply when the request is not for it.
//!
//! Source: the Redis Cluster specification, "Redirection and resharding", and `clusterRedirectClient`
//! of Redis 7.0.15.

use super::{Slot, topology::Endpoint};
use crate::protocol::number;

/// Why a node did not do what it was asked. Nothing was done in any of these cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// Another node has the slot.
    Moved(Elsewhere),
    /// The slot is on its way to another node, which has to be asked for this once.
    Ask(Elsewhere),
    /// The slot is on its way, and some of the keys have arrived and others have not.
    TryAgain,
}

/// Which slot, and who is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The slot of the request's keys.
    pub slot: Slot,
    /// Where the node is.
    pub endpoint: Endpoint,
    /// Its port.
    pub port: u16,
}

impl Redirect {
    /// Reads an error line; `None` if it is another one.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_prefix(b"-")?.trim_ascii_end();
        if let Some(rest) = line.strip_prefix(b"MOVED ") {
            return Elsewhere::parse(rest).map(Self::Moved);
        }
        if let Some(rest) = line.strip_prefix(b"ASK ") {
            return Elsewhere::parse(rest).map(Self::Ask);
        }
        line.starts_with(b"TRYAGAIN").then_some(Self::TryAgain)
    }
}

impl Elsewhere {
    /// `SLOT HOST:PORT`. The host may be empty or `?`, and an IPv6 address has no brackets.
    fn parse(text: &[u8]) -> Option<Self> {
        let blank = memchr::memchr(b' ', text)?;
        let (slot, address) = (&text[..blank], &text[blank + 1..]);
        let colon = memchr::memrchr(b':', address)?;
        let (host, port) = (&address[..colon], &address[colon + 1..]);
        let slot = i64::try_from(number::unsigned(slot)?).ok()?;
        let port = u16::try_from(number::unsigned(port)?).ok()?;
        let endpoint = match host {
            b"" => Endpoint::AsAsked,
            b"?" => Endpoint::Unknown,
            host => Endpoint::At(str::from_utf8(host).ok()?.to_owned()),
        };
        Some(Self {
            slot: Slot::new(slot)?,
            endpoint,
            port,
        })
        .filter(|elsewhere| elsewhere.port != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(slot: i64, endpoint: Endpoint, port: u16) -> Elsewhere {
        Elsewhere {
            slot: Slot::new(slot).expect("a slot"),
            endpoint,
            port,
        }
    }

    #[test]
    fn lines_of_a_cluster_are_understood() {
        let at = |host: &str| Endpoint::At(host.to_owned());
        for (line, expected) in [
            (
                &b"-MOVED 3999 127.0.0.1:6381\r\n"[..],
                Redirect::Moved(elsewhere(3999, at("127.0.0.1"), 6381)),
            ),
            (
                b"-ASK 0 ::1:6381\r\n",
                Redirect::Ask(elsewhere(0, at("::1"), 6381)),
            ),
            (
                b"-MOVED 16383 one.example:1\r\n",
                Redirect::Moved(elsewhere(16_383, at("one.example"), 1)),
            ),
            (
                b"-MOVED 1 :7000\r\n",
                Redirect::Moved(elsewhere(1, Endpoint::AsAsked, 7000)),
            ),
            (
                b"-ASK 1 ?:7000\r\n",
                Redirect::Ask(elsewhere(1, Endpoint::Unknown, 7000)),
            ),
            (
                b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
                Redirect::TryAgain,
            ),
        ] {
            let text = line.escape_ascii();
            assert_eq!(Redirect::parse(line), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            &b"-CLUSTERDOWN Hash slot not served\r\n"[..],
            b"-ERR MOVED 1 a:1\r\n",
            b"MOVED 1 a:1\r\n",
            b"-MOVED\r\n",
            b"-MOVED 1\r\n",
            b"-MOVED 16384 a:1\r\n",
            b"-MOVED -1 a:1\r\n",
            b"-MOVED x a:1\r\n",
            b"-MOVED 1 a\r\n",
            b"-MOVED 1 a:\r\n",
            b"-MOVED 1 a:0\r\n",
            b"-MOVED 1 a:65536\r\n",
            b"-MOVED 1 \xff:1\r\n",
            b"",
        ] {
            assert_eq!(Redirect::parse(line), None, "{}", line.escape_ascii());
        }
    }
}
