//! Host and port of an HTTP server, as a URL has them.

use std::fmt;

use crate::route::ServerSpec;

/// The port of a URL that has none.
const PORT_DEFAULT: u16 = 80;

const PORT_DEFAULT_TEXT: &str = "80";

/// Where an HTTP server is. The host is resolved elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpAddress {
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HttpAddress {
    /// Parses the front of a URL; what is behind host and port comes back as it is.
    pub(super) fn split(url: &str) -> Result<(Self, &str), String> {
        let rest = match url.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return Err(
                    "TLS is not spoken here; write http://HOST:PORT, and put what speaks \
                            TLS in between"
                        .into(),
                );
            }
            _ => return Err("not a URL; write for example http://10.0.0.1:8000".into()),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("users and passwords are not sent; write http://HOST:PORT".into());
        }
        Ok((Self::parse(authority)?, rest))
    }

    fn parse(authority: &str) -> Result<Self, String> {
        // The colons of an IPv6 address stand in brackets.
        let bracketed = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[bracketed..].find(':') {
            Some(at) => (
                &authority[..bracketed + at],
                &authority[bracketed + at + 1..],
            ),
            None => (authority, PORT_DEFAULT_TEXT),
        };
        if port.contains(':') {
            return Err(format!("'{authority}' is not HOST or HOST:PORT"));
        }
        let server: ServerSpec = match format!("{host}:{port}").parse() {
            Ok(server) => server,
            Err(error) => return Err(error.to_string()),
        };
        Ok(Self {
            host: server.host,
            port: server.port,
        })
    }
}

/// As the header `Host` has it.
impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]")?,
            false => f.write_str(host)?,
        }
        match *port {
            PORT_DEFAULT => Ok(()),
            port => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_one() {
        let cases = [
            ("http://a", "a", 80, ""),
            ("http://a:8000", "a", 8000, ""),
            ("http://a/x", "a", 80, "/x"),
            ("http://cache-1.example:81?q", "cache-1.example", 81, "?q"),
            ("http://[fd00::1]", "fd00::1", 80, ""),
            ("http://[::1]:8000/", "::1", 8000, "/"),
        ];
        for (url, host, port, rest) in cases {
            let (address, left) = HttpAddress::split(url).expect(url);
            assert_eq!((address.host.as_str(), address.port), (host, port), "{url}");
            assert_eq!(left, rest, "{url}");
        }
    }

    #[test]
    fn what_is_none() {
        for url in [
            "",
            "a:80",
            "http:/a",
            "ftp://a",
            "https://a",
            "http://",
            "http://:80",
            "http://a:",
            "http://a:0",
            "http://a:080",
            "http://a:80:80",
            "http://a:65536",
            "http://u@a",
            "http://a b",
            "http://[::1",
            "http://[::1]x",
            "http://[a]",
            "http://unix:80",
        ] {
            HttpAddress::split(url).expect_err(url);
        }
    }

    #[test]
    fn a_host_header_names_only_a_port_of_its_own() {
        for (url, host) in [("http://a:80", "a"), ("http://[::1]:81", "[::1]:81")] {
            assert_eq!(HttpAddress::split(url).expect(url).0.to_string(), host);
        }
    }
}
