//! How a pool places its keys: plain data, as an operator chose it.

use std::fmt;
use std::str::FromStr;

use super::hash_ring::HashRingMode;
use super::key_hash::KeyHash;

/// How a pool places its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Whose labels, points and order of servers.
    pub hash_ring: HashRingMode,
    /// The hash of keys; `None` is the mode's own.
    pub key_hash: Option<KeyHash>,
    /// What is done with the hash.
    pub distribution: Distribution,
    /// Which part of a key is hashed; `None` is all of it.
    pub hash_tag: Option<HashTag>,
}

impl Placement {
    /// A mode as its original has it by default.
    pub const fn of(hash_ring: HashRingMode) -> Self {
        Self {
            hash_ring,
            key_hash: None,
            distribution: Distribution::Ketama,
            hash_tag: None,
        }
    }
}

/// What is done with the hash of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// It is looked up in a ring.
    Ketama,
    /// It is divided by the number of servers, and the remainder counts. twemproxy sorts the
    /// servers by name first and counts each as often as it weighs; libmemcached does neither.
    Modula,
    /// Nothing: each request goes to any server. For servers that all have the same, such as other
    /// proxies.
    Random,
}

impl Distribution {
    /// Every distribution, in the order of twemproxy's documentation.
    pub const ALL: [Self; 3] = [Self::Ketama, Self::Modula, Self::Random];

    /// twemproxy's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ketama => "ketama",
            Self::Modula => "modula",
            Self::Random => "random",
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Distribution {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|distribution| distribution.name() == text)
            .ok_or(())
    }
}

/// Two bytes; what stands between the first of the one and the next of the other is hashed instead
/// of the key, unless that is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashTag {
    open: u8,
    close: u8,
}

impl HashTag {
    /// Redis Cluster's.
    pub const BRACES: Self = Self {
        open: b'{',
        close: b'}',
    };

    /// The part of a key that is hashed.
    pub fn hashed<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        let Some(open) = memchr::memchr(self.open, key) else {
            return key;
        };
        let inner = &key[open + 1..];
        match memchr::memchr(self.close, inner) {
            None | Some(0) => key,
            Some(close) => &inner[..close],
        }
    }
}

/// Two bytes, as in `{}` or `$$`.
impl FromStr for HashTag {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match *text.as_bytes() {
            [open, close] => Ok(Self { open, close }),
            _ => Err(()),
        }
    }
}

impl fmt::Display for HashTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", [self.open, self.close].escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_hashed_instead_of_the_key() {
        let cases: &[(&str, &[u8], &[u8])] = &[
            ("{}", b"user:{42}:name", b"42"),
            ("{}", b"{a}{b}", b"a"),
            ("{}", b"{{a}}", b"{a"),
            ("{}", b"}{a}", b"a"),
            ("{}", b"{}{a}", b"{}{a}"),
            ("{}", b"{a", b"{a"),
            ("{}", b"a}", b"a}"),
            ("{}", b"{", b"{"),
            ("{}", b"", b""),
            ("{}", b"{\xff\x00}", b"\xff\x00"),
            ("$$", b"a$b$c", b"b"),
            ("$$", b"a$$c", b"a$$c"),
            ("$$", b"a$c", b"a$c"),
            ("[>", b"x[y>z", b"y"),
        ];
        for (tag, key, hashed) in cases {
            let tag: HashTag = tag.parse().expect("a tag");
            assert_eq!(tag.hashed(key), *hashed, "{tag} {}", key.escape_ascii());
        }
    }

    #[test]
    fn a_tag_is_two_bytes() {
        assert_eq!("{}".parse(), Ok(HashTag::BRACES));
        assert_eq!(HashTag::BRACES.to_string(), "{}");
        for text in ["", "{", "{}}", "\u{e9}x"] {
            assert_eq!(text.parse::<HashTag>(), Err(()), "{text}");
        }
    }

    #[test]
    fn distributions_read_back() {
        for distribution in Distribution::ALL {
            assert_eq!(distribution.name().parse(), Ok(distribution));
        }
        assert_eq!("Ketama".parse::<Distribution>(), Err(()));
    }
}
