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
    /// Host name or address; an IPv6 address without its brackets. Or a unix socket's path.
    pub host: String,
    /// TCP port; 0 for a unix socket only.
    pub port: u16,
    /// 1 to [`WEIGHT_MAX`].
    pub weight: u32,
    /// twemproxy's server name, which takes the place of host and port in the hash ring's labels.
    pub name: Option<String>,
}

impl ServerSpec {
    /// Whether it listens on a unix socket.
    pub fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }

    /// `host:port`, with brackets around an IPv6 address, or `unix:/path`.
    pub fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if self.is_unix() {
            format!("unix:{host}")
        } else if host.contains(':') {
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

    /// Parses `HOST:PORT:WEIGHT NAME` or `/PATH:WEIGHT NAME` as twemproxy does, from the end, so IPv6
    /// has no brackets. The name may be missing.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn parse_twemproxy(text: &str) -> Result<Self, ServerSpecError> {
        let (address, name) = match text.rsplit_once(' ') {
            Some((address, name)) => (address, Some(name)),
            None => (text, None),
        };
        let no_weight = || ServerSpecError::NoWeight(address.to_owned());
        let (rest, weight) = address.rsplit_once(':').ok_or_else(no_weight)?;
        let (host, port) = match rest.rsplit_once(':') {
            _ if rest.starts_with('/') => (rest, None),
            Some((host, port)) => (host, Some(port)),
            None => return Err(no_weight()),
        };
        let weight = Some(weight);
        let mut spec = AddressParts { host, port, weight }.to_spec()?;
        spec.name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(spec)
    }
}

/// `HOST:PORT[:WEIGHT]` or `unix:/PATH[:WEIGHT]`, as the command line has it.
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
    /// Not a unix socket's path.
    Path(String),
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
            Self::Path(text) => {
                write!(
                    f,
                    "'{text}' is not a path of up to {PATH_BYTES_MAX} bytes from / on"
                )
            }
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

/// The longest path of a unix socket, in bytes: what the kernel has room for.
const PATH_BYTES_MAX: usize = 107;

/// `host:port[:weight]` or `unix:/path[:weight]`, cut but not judged.
struct AddressParts<'a> {
    host: &'a str,
    /// None for a unix socket.
    port: Option<&'a str>,
    weight: Option<&'a str>,
}

impl<'a> AddressParts<'a> {
    fn split(text: &'a str) -> Result<Self, ServerSpecError> {
        // A bare path is twemproxy's way.
        let path = text.strip_prefix("unix:");
        if let Some(path) = path.or_else(|| text.starts_with('/').then_some(text)) {
            // A path with a colon needs a weight behind it, as in twemproxy's list.
            let (host, weight) = match path.rsplit_once(':') {
                Some((host, weight)) => (host, Some(weight)),
                None => (path, None),
            };
            return Ok(Self {
                host,
                port: None,
                weight,
            });
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
        Ok(Self {
            host,
            port: Some(port),
            weight,
        })
    }

    fn to_spec(&self) -> Result<ServerSpec, ServerSpecError> {
        let port = match self.port {
            None if is_path(self.host) => 0,
            None => return Err(ServerSpecError::Path(self.host.to_owned())),
            Some(_) if !is_ipv6(self.host) && !is_host_name(self.host) => {
                return Err(ServerSpecError::Host(self.host.to_owned()));
            }
            Some(port) => parse_number(port, u16::MAX.into())
                .ok_or_else(|| ServerSpecError::Port(port.to_owned()))?,
        };
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

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.len() > 1 && text.len() <= PATH_BYTES_MAX
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
            ("unix:/run/m.sock", spec("/run/m.sock", 0, 1, None)),
            ("unix:/run/m.sock 5", spec("/run/m.sock", 0, 5, None)),
            ("unix:/a:b:5 alpha", spec("/a:b", 0, 5, Some("alpha"))),
            ("/run/m.sock:2", spec("/run/m.sock", 0, 2, None)),
            (
                "- /run/m.sock:2 beta",
                spec("/run/m.sock", 0, 2, Some("beta")),
            ),
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
                "unix:m.sock:1",
                "'m.sock' is not a path of up to 107 bytes from / on",
            ),
            ("/:1", "'/' is not a path of up to 107 bytes from / on"),
            (
                "/run/m.sock:x",
                "weight 'x' is not a number from 1 to 1000000",
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
            ("/run/m.sock:2", spec("/run/m.sock", 0, 2, None)),
            ("/run/a:b:2 c", spec("/run/a:b", 0, 2, Some("c"))),
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
                "/run/m.sock",
                "'/run/m.sock' is not HOST:PORT:WEIGHT; add what is missing",
            ),
            ("/:1", "'/' is not a path of up to 107 bytes from / on"),
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
        for text in ["10.0.1.1:11211", "[::1]:11211", "cache:1", "unix:/run/m"] {
            let spec: ServerSpec = text.parse().expect(text);
            assert_eq!(spec.address(), text);
        }
    }
}
