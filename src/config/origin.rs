//! Where a group's values come from.

use std::{fmt, path::PathBuf, str::FromStr};

use super::HttpAddress;

/// Where in a URL the key goes.
const KEY: &str = "{key}";

/// A source of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginSpec {
    /// An HTTP server.
    Http(HttpOriginSpec),
    /// A folder: a key is the name of a file in it.
    Folder(PathBuf),
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

/// `http://HOST[:PORT]/PATH{key}` or `dir:PATH`.
impl FromStr for OriginSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("dir:") {
            return match path {
                "" => Err("no folder; write dir:PATH".into()),
                path => Ok(Self::Folder(path.into())),
            };
        }
        if !text.contains("://") {
            return Err(
                "neither a URL nor a folder; write http://HOST:PORT/PATH/{key} or dir:PATH".into(),
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
        ] {
            let error = text.parse::<OriginSpec>().expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
