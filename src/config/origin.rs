//! Where a group's values come from.

use std::{fmt, path::PathBuf, str::FromStr};

use super::{HttpAddress, Protocol, Secret};
use crate::route::{SERVERS_MAX, ServerSpec, ServerSpecError};

/// Where in a URL the key goes.
const KEY: &str = "{key}";

/// What a list of servers begins with.
const REDIS: &str = "redis://";
const MEMCACHE: &str = "memcache://";

/// A source of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginSpec {
    /// An HTTP server.
    Http(HttpOriginSpec),
    /// A folder: a key is the name of a file in it.
    Folder(PathBuf),
    /// Servers that speak a protocol of ours.
    Servers(ServersOriginSpec),
}

impl OriginSpec {
    /// Whether sets and deletes are its affair, too, and memcache flags.
    pub fn takes_changes(&self) -> bool {
        matches!(self, Self::Servers(_))
    }
}

/// memcached or Redis servers that share the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServersOriginSpec {
    /// What they speak.
    pub protocol: Protocol,
    /// One at least, each once.
    pub servers: Vec<ServerSpec>,
    /// The database of Redis servers.
    pub database: u32,
    /// The user to be; without one a password is the default user's.
    pub user: Option<String>,
    /// The password, if the servers want one.
    pub password: Option<Secret>,
}

impl ServersOriginSpec {
    fn parse(protocol: Protocol, text: &str) -> Result<Self, String> {
        let (list, database) = match (protocol, text.rsplit_once('/')) {
            // The path of a unix socket has slashes, too.
            (Protocol::Resp, Some((list, number))) if !list.contains("unix:") => {
                let number = number.parse();
                (
                    list,
                    number.map_err(|_| "no such database; write its number behind the '/'")?,
                )
            }
            _ => (text, 0),
        };
        let mut servers: Vec<ServerSpec> = Vec::new();
        for part in list.split(',') {
            let server: ServerSpec = part
                .parse()
                .map_err(|error: ServerSpecError| error.to_string())?;
            if servers
                .iter()
                .any(|other| other.address() == server.address())
            {
                return Err(format!(
                    "{} is named twice; name each once",
                    server.address()
                ));
            }
            servers.push(server);
        }
        match servers.len() <= SERVERS_MAX {
            true => Ok(Self {
                protocol,
                servers,
                database,
                user: None,
                password: None,
            }),
            false => Err(format!("more than {SERVERS_MAX} servers; name fewer")),
        }
    }
}

impl fmt::Display for ServersOriginSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.protocol {
            Protocol::Memcache => MEMCACHE,
            Protocol::Resp => REDIS,
        })?;
        for (number, server) in self.servers.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{}", server.address())?;
            if server.weight != 1 {
                write!(f, ":{}", server.weight)?;
            }
        }
        match self.database {
            0 => Ok(()),
            database => write!(f, "/{database}"),
        }
    }
}

/// The URL of a key on an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOriginSpec {
    /// The server.
    pub address: HttpAddress,
    /// Path and query in front of the key.
    pub before: String,
    /// Path and query behind it.
    pub after: String,
}

/// `http://HOST[:PORT]/PATH{key}`, `dir:PATH`, `redis://HOST:PORT[:WEIGHT],…[/DATABASE]` or
/// `memcache://HOST:PORT[:WEIGHT],…`.
impl FromStr for OriginSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("dir:") {
            return match path {
                "" => Err("no folder; write dir:PATH".into()),
                path => Ok(Self::Folder(path.into())),
            };
        }
        for (scheme, protocol) in [(REDIS, Protocol::Resp), (MEMCACHE, Protocol::Memcache)] {
            if let Some(list) = text.strip_prefix(scheme) {
                return ServersOriginSpec::parse(protocol, list).map(Self::Servers);
            }
        }
        if !text.contains("://") {
            return Err(
                "neither a URL nor a folder; write http://HOST:PORT/PATH/{key}, \
                 redis://HOST:PORT, memcache://HOST:PORT or dir:PATH"
                    .into(),
            );
        }
        let (address, rest) = HttpAddress::split(text)?;
        let (before, after) = rest.split_once(KEY).ok_or(
            "no {key}; write it where the key goes, as in http://10.0.0.1:8000/items/{key}",
        )?;
        if !before.starts_with('/') {
            return Err("no path; write http://HOST:PORT/PATH/{key}".into());
        }
        if after.contains(KEY) {
            return Err("more than one {key}; write it once".into());
        }
        let is_fit = |byte: u8| byte.is_ascii_graphic() && !b"{}#<>\"\\^`|".contains(&byte);
        if let Some(letter) = [before, after]
            .into_iter()
            .flat_map(str::chars)
            .find(|letter| !u8::try_from(*letter).is_ok_and(is_fit))
        {
            return Err(format!(
                "'{}' does not belong into a URL; write it with %",
                letter.escape_default()
            ));
        }
        Ok(Self::Http(HttpOriginSpec {
            address,
            before: before.to_owned(),
            after: after.to_owned(),
        }))
    }
}

impl fmt::Display for OriginSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(HttpOriginSpec {
                address,
                before,
                after,
            }) => write!(f, "http://{address}{before}{KEY}{after}"),
            Self::Folder(path) => write!(f, "dir:{}", path.display()),
            Self::Servers(spec) => spec.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_one() {
        for text in [
            "http://a/{key}",
            "http://a:8000/items/{key}.json?full=1",
            "http://[::1]:8000/?q={key}",
            "http://a/%7Bx%7D/{key}",
            "dir:/srv/values",
            "dir:values",
            "redis://127.0.0.1:6379",
            "redis://a:1:3,[::1]:2/15",
            "redis://unix:/run/redis/redis.sock",
            "memcache://a:1,b:2:10,unix:/run/memcached:7",
        ] {
            let spec: OriginSpec = text.parse().expect(text);
            assert_eq!(spec.to_string(), text);
        }
        let spec = "http://a:81/items/{key}.json".parse();
        let expected = HttpOriginSpec {
            address: HttpAddress {
                host: "a".into(),
                port: 81,
            },
            before: "/items/".into(),
            after: ".json".into(),
        };
        assert_eq!(spec, Ok(OriginSpec::Http(expected)));
    }

    #[test]
    fn errors_say_what_to_write() {
        for (text, told) in [
            ("", "dir:PATH"),
            ("/srv", "dir:PATH"),
            ("dir:", "dir:PATH"),
            ("http://a", "{key}"),
            ("http://a/", "{key}"),
            ("http://a?{key}", "PATH/{key}"),
            ("http://a/{key}/{key}", "once"),
            ("http://a/{key}#top", "'#'"),
            ("http://a/b c/{key}", "' '"),
            ("http://a/é/{key}", "'\\u{e9}'"),
            ("http://a/{group}/{key}", "'{'"),
            ("https://a/{key}", "TLS"),
            ("redis://", "''"),
            ("redis://a", "'a'"),
            ("redis://a:1/x", "database"),
            ("redis://a:1,a:1:2", "twice"),
            ("memcache://a:1/0", "1/0"),
        ] {
            let error = text.parse::<OriginSpec>().expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
