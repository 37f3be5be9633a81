//! One server of a pool, and the ways to write it.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The largest weight. Big enough for weights that are megabytes; and [`super::SERVERS_MAX`] of
/// them still add up to less than 2^32, the width in which twemproxy adds them.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// A backend, as an operator wrote it. The host stays text: the hash ring is made from its very
/// letters, and it is resolved elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port, not 0.
    pub port: u16,
    /// 1 to [`WEIGHT_MAX`].
    pub weight: u32,
    /// twemproxy's server name, which takes the place of host and port in the hash ring's labels.
    pub name: Option<String>,
}

impl ServerSpec {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }

    /// Parses a line of a servers file from which comment and surrounding blanks are gone. A weight
    /// may follow after blanks (libketama's file) or after a colon, and then a name after blanks
    /// (twemproxy's list, whose `- ` may stay).
    ///
    /// # Errors
    ///
    /// What is wrong with the line.
    pub fn parse_line(line: &str) -> Result<Self, ServerSpecError> {
        let line = line.strip_prefix("- ").unwrap_or(line);
        let mut words = line.split_ascii_whitespace();
        let address = words.next().unwrap_or_default();
        let parts = AddressParts::split(address)?;
        let mut spec = parts.to_spec()?;
        match (words.next(), parts.weight) {
            (Some(name), Some(_)) => spec.name = Some(name.to_owned()),
            (Some(weight), None) => spec.weight = parse_weight(weight)?,
            (None, _) => {}
        }
        match words.next() {
            Some(word) => Err(ServerSpecError::Surplus(word.to_owned())),
            None => Ok(spec),
        }
    }

    /// Parses `HOST:PORT:WEIGHT NAME` as twemproxy does, from the end, so IPv6 has no brackets. The
    /// name may be missing.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn parse_twemproxy(text: &str) -> Result<Self, ServerSpecError> {
        if text.starts_with('/') {
            return Err(ServerSpecError::UnixSocket);
        }
        let (address, name) = match text.rsplit_once(' ') {
            Some((address, name)) => (address, Some(name)),
            None => (text, None),
        };
        let no_weight = || ServerSpecError::NoWeight(address.to_owned());
        let (rest, weight) = address.rsplit_once(':').ok_or_else(no_weight)?;
        let (host, port) = rest.rsplit_once(':').ok_or_else(no_weight)?;
        let weight = Some(weight);
        let mut spec = AddressParts { host, port, weight }.to_spec()?;
        spec.name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(spec)
    }
}

/// `HOST:PORT[:WEIGHT]`, as the command line has it.
impl FromStr for ServerSpec {
    type Err = ServerSpecError;

    fn from_str(text: &str) -> Result<Self, ServerSpecError> {
        AddressParts::split(text)?.to_spec()
    }
}

impl fmt::Display for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} weight {}", self.address(), self.weight)?;
        match &self.name {
            Some(name) => write!(f, " name {name}"),
            None => Ok(()),
        }
    }
}

/// What is wrong with the text of a server; the text is quoted where it helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSpecError {
    /// Not a host name or an address.
    Host(String),
    /// A path: twemproxy's way to write a unix socket.
    UnixSocket,
    /// No `:PORT` behind the host.
    NoPort(String),
    /// Not a port.
    Port(String),
    /// Not a weight.
    Weight(String),
    /// No `:PORT:WEIGHT` behind the host, where both have to be.
    NoWeight(String),
    /// More colons than a host, a port and a weight need.
    Unbracketed(String),
    /// A word behind the last one that means something.
    Surplus(String),
}

impl fmt::Display for ServerSpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(text) => write!(f, "'{text}' is not a host name or an address"),
            Self::UnixSocket => write!(f, "unix sockets are not supported; write HOST:PORT"),
            Self::NoPort(text) => write!(f, "'{text}' has no port; write {text}:11211"),
            Self::Port(text) => write!(f, "port '{text}' is not a number from 1 to 65535"),
            Self::Weight(text) => {
                write!(f, "weight '{text}' is not a number from 1 to {WEIGHT_MAX}")
            }
            Self::NoWeight(text) => {
                write!(f, "'{text}' is not HOST:PORT:WEIGHT; add what is missing")
            }
            Self::Unbracketed(text) => {
                write!(f, "'{text}' has too many colons; write IPv6 as [::1]:11211")
            }
            Self::Surplus(word) => {
                write!(
                    f,
                    "'{word}' is too much; write HOST:PORT WEIGHT or HOST:PORT:WEIGHT NAME"
                )
            }
        }
    }
}

impl std::error::Error for ServerSpecError {}

/// `host:port[:weight]`, cut but not judged.
struct AddressParts<'a> {
    host: &'a str,
    port: &'a str,
    weight: Option<&'a str>,
}

impl<'a> AddressParts<'a> {
    fn split(text: &'a str) -> Result<Self, ServerSpecError> {
        if text.starts_with('/') {
            return Err(ServerSpecError::UnixSocket);
        }
        let (host, rest) = match text.strip_prefix('[') {
            Some(bracketed) => {
                let host = bracketed.split_once(']').filter(|(host, _)| is_ipv6(host));
                host.ok_or_else(|| ServerSpecError::Host(text.to_owned()))?
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let rest = rest
            .strip_prefix(':')
            .ok_or_else(|| ServerSpecError::NoPort(text.to_owned()))?;
        let (port, weight) = match rest.split_once(':') {
            Some((_, weight)) if weight.contains(':') => {
                return Err(ServerSpecError::Unbracketed(text.to_owned()));
            }
            Some((port, weight)) => (port, Some(weight)),
            None => (rest, None),
        };
        Ok(Self { host, port, weight })
    }

    fn to_spec(&self) -> Result<ServerSpec, ServerSpecError> {
        if !is_ipv6(self.host) && !is_host_name(self.host) {
            return Err(ServerSpecError::Host(self.host.to_owned()));
        }
        let port = parse_number(self.port, u16::MAX.into());
        let port = port.ok_or_else(|| ServerSpecError::Port(self.port.to_owned()))?;
        let weight = self.weight.map_or(Ok(1), parse_weight)?;
        Ok(ServerSpec {
            host: self.host.to_owned(),
            port: port as u16,
            weight,
            name: None,
        })
    }
}

fn parse_weight(text: &str) -> Result<u32, ServerSpecError> {
    parse_number(text, WEIGHT_MAX).ok_or_else(|| ServerSpecError::Weight(text.to_owned()))
}

/// Plain digits from 1 to `max`. No sign and no leading zero: the originals hash the very text of a
/// port, we hash the number.
fn parse_number(text: &str, max: u32) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse()
        .ok()
        .filter(|number| plain && (1..=max).contains(number))
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// Letters, digits and `.-_`: generous, a resolver has the last word. It keeps out what could only
/// be a slip.
fn is_host_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(host: &str, port: u16, weight: u32, name: Option<&str>) -> ServerSpec {
        ServerSpec {
            host: host.into(),
            port,
            weight,
            name: name.map(str::to_owned),
        }
    }

    #[test]
    fn every_way_to_write_a_server() {
        let cases = [
            ("10.0.1.1:11211 600", spec("10.0.1.1", 11211, 600, None)),
            ("10.0.1.1:11211\t600", spec("10.0.1.1", 11211, 600, None)),
            ("10.0.1.1:11211 \t 600", spec("10.0.1.1", 11211, 600, None)),
            ("10.0.1.1:11211", spec("10.0.1.1", 11211, 1, None)),
            (
                "cache-1.example:11212:3",
                spec("cache-1.example", 11212, 3, None),
            ),
            (
                "10.0.1.1:6379:1 alpha",
                spec("10.0.1.1", 6379, 1, Some("alpha")),
            ),
            (
                "- 10.0.1.1:6379:1 alpha",
                spec("10.0.1.1", 6379, 1, Some("alpha")),
            ),
            ("10.0.1.1:6379:1 5", spec("10.0.1.1", 6379, 1, Some("5"))),
            ("[::1]:11211 2", spec("::1", 11211, 2, None)),
            (
                "[fe80::1]:11211:2 beta",
                spec("fe80::1", 11211, 2, Some("beta")),
            ),
            ("h:65535 1000000", spec("h", 65535, WEIGHT_MAX, None)),
        ];
        for (line, expected) in cases {
            assert_eq!(ServerSpec::parse_line(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn every_way_to_get_it_wrong() {
        let cases = [
            ("h", "'h' has no port; write h:11211"),
            ("[::1]", "'[::1]' has no port; write [::1]:11211"),
            ("", "'' has no port; write :11211"),
            (":11211", "'' is not a host name or an address"),
            ("a,b:11211", "'a,b' is not a host name or an address"),
            (
                "[::1:11211",
                "'[::1:11211' is not a host name or an address",
            ),
            (
                "[1.2.3.4]:1",
                "'[1.2.3.4]:1' is not a host name or an address",
            ),
            (
                "::1:11211",
                "'::1:11211' has too many colons; write IPv6 as [::1]:11211",
            ),
            (
                "/run/m.sock:1",
                "unix sockets are not supported; write HOST:PORT",
            ),
            ("h:0", "port '0' is not a number from 1 to 65535"),
            ("h:65536", "port '65536' is not a number from 1 to 65535"),
            ("h:+1", "port '+1' is not a number from 1 to 65535"),
            ("h:011211", "port '011211' is not a number from 1 to 65535"),
            ("h: 1", "port '' is not a number from 1 to 65535"),
            ("h:1 x", "weight 'x' is not a number from 1 to 1000000"),
            ("h:1 0", "weight '0' is not a number from 1 to 1000000"),
            ("h:1 -1", "weight '-1' is not a number from 1 to 1000000"),
            (
                "h:1:1000001",
                "weight '1000001' is not a number from 1 to 1000000",
            ),
            ("h:1: alpha", "weight '' is not a number from 1 to 1000000"),
            (
                "h:1:1 a b",
                "'b' is too much; write HOST:PORT WEIGHT or HOST:PORT:WEIGHT NAME",
            ),
        ];
        for (line, message) in cases {
            let error = ServerSpec::parse_line(line).expect_err(line);
            assert_eq!(error.to_string(), message, "{line}");
        }
    }

    #[test]
    fn twemproxy_reads_from_the_end() {
        let cases = [
            ("10.0.1.1:6379:1", spec("10.0.1.1", 6379, 1, None)),
            (
                "cache-1:11211:300 b",
                spec("cache-1", 11211, 300, Some("b")),
            ),
            ("::1:6379:2 a", spec("::1", 6379, 2, Some("a"))),
        ];
        for (text, expected) in cases {
            assert_eq!(ServerSpec::parse_twemproxy(text), Ok(expected), "{text}");
        }
        let errors = [
            ("h", "'h' is not HOST:PORT:WEIGHT; add what is missing"),
            ("h:1", "'h:1' is not HOST:PORT:WEIGHT; add what is missing"),
            ("h:1:x", "weight 'x' is not a number from 1 to 1000000"),
            ("h:1:0", "weight '0' is not a number from 1 to 1000000"),
            ("h:0:1", "port '0' is not a number from 1 to 65535"),
            ("[::1]:1:1", "'[::1]' is not a host name or an address"),
            (
                "h:1:1 a b",
                "weight '1 a' is not a number from 1 to 1000000",
            ),
            (
                "/run/m.sock:1",
                "unix sockets are not supported; write HOST:PORT",
            ),
        ];
        for (text, message) in errors {
            let error = ServerSpec::parse_twemproxy(text).expect_err(text);
            assert_eq!(error.to_string(), message, "{text}");
        }
    }

    #[test]
    fn a_flag_takes_no_blanks() {
        assert_eq!("h:1:2".parse(), Ok(spec("h", 1, 2, None)));
        assert_eq!(
            "h:1 2".parse::<ServerSpec>(),
            Err(ServerSpecError::Port("1 2".into()))
        );
    }

    #[test]
    fn an_address_reads_back() {
        for text in ["10.0.1.1:11211", "[::1]:11211", "cache:1"] {
            let spec: ServerSpec = text.parse().expect(text);
            assert_eq!(spec.address(), text);
        }
    }
}
