//! What a script can ask for, and how it goes over the wire.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::model::ITEM_BYTES_MAX;

/// One of few keys, so that commands meet on them.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    A,
    B,
    C,
    Long,
}

impl Key {
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            Self::A => b"a",
            Self::B => "ключ".as_bytes(),
            Self::C => b"key:c",
            Self::Long => &[b'k'; 250],
        }
    }
}

/// A value, small in the script and sometimes large on the wire.
#[derive(Arbitrary, Debug, Clone)]
pub(crate) enum Value {
    Number(i64),
    Large(u64),
    Bytes(Vec<u8>),
    /// Up to the item limit: longer than a receive buffer, and with a key too large.
    Repeated(u8, u16),
}

impl Value {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Number(number) => number.to_string().into_bytes(),
            Self::Large(number) => number.to_string().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Repeated(byte, count) => {
                vec![*byte; (usize::from(*count) + 1_000).min(ITEM_BYTES_MAX)]
            }
        }
    }
}

/// A time to live in thousands of seconds, so that a few seconds more or less never decide.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ttl {
    None,
    Thousand,
    TenThousand,
    Past,
}

impl Ttl {
    pub(crate) fn seconds(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Thousand => 1_000,
            Self::TenThousand => 10_000,
            Self::Past => -1,
        }
    }
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Set,
    Add,
    Replace,
    Append,
    Prepend,
}

/// A memcache command.
#[derive(Arbitrary, Debug, Clone)]
pub(crate) enum Text {
    Get {
        keys: [Key; 2],
        count: bool,
        cas: bool,
    },
    GetAndTouch {
        key: Key,
        ttl: Ttl,
        cas: bool,
    },
    Store {
        verb: Verb,
        key: Key,
        flags: u8,
        ttl: Ttl,
        value: Value,
        noreply: bool,
    },
    /// With the CAS id that was seen last, or another.
    Cas {
        key: Key,
        right: bool,
        value: Value,
    },
    Delete {
        key: Key,
        noreply: bool,
    },
    Count {
        key: Key,
        down: bool,
        delta: u64,
    },
    Touch {
        key: Key,
        ttl: Ttl,
    },
    FlushAll,
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Absent,
    Present,
}

/// A RESP command.
#[derive(Arbitrary, Debug, Clone)]
pub(crate) enum Resp {
    Get {
        key: Key,
    },
    MGet {
        keys: [Key; 3],
    },
    Set {
        key: Key,
        value: Value,
        ttl: Ttl,
        keep: bool,
        when: When,
        get: bool,
    },
    MSet {
        pairs: [(Key, u8); 2],
    },
    GetEx {
        key: Key,
        ttl: Ttl,
    },
    GetDel {
        key: Key,
    },
    Append {
        key: Key,
        value: Value,
    },
    Strlen {
        key: Key,
    },
    IncrBy {
        key: Key,
        delta: i64,
    },
    Del {
        keys: [Key; 2],
    },
    Exists {
        keys: [Key; 2],
    },
    Expire {
        key: Key,
        ttl: Ttl,
        when: When,
    },
    Persist {
        key: Key,
    },
    Ttl {
        key: Key,
    },
    DbSize,
    FlushAll,
}

/// Joins words with blanks and ends the line.
pub(crate) fn line(words: &[&[u8]]) -> Vec<u8> {
    let mut line = words.join(&b' ');
    line.extend_from_slice(b"\r\n");
    line
}

impl Text {
    /// The request; `cas` is what `gets` showed last.
    pub(crate) fn wire(&self, cas: u64) -> Vec<u8> {
        match self {
            Self::Get { keys, count, cas } => {
                let verb: &[u8] = if *cas { b"gets" } else { b"get" };
                let keys = &keys[..1 + usize::from(*count)];
                let words: Vec<&[u8]> = [verb]
                    .into_iter()
                    .chain(keys.iter().map(|key| key.bytes()))
                    .collect();
                line(&words)
            }
            Self::GetAndTouch { key, ttl, cas } => {
                let verb: &[u8] = if *cas { b"gats" } else { b"gat" };
                line(&[verb, number(ttl.seconds()).as_bytes(), key.bytes()])
            }
            Self::Store {
                verb,
                key,
                flags,
                ttl,
                value,
                noreply,
            } => {
                let verb = match verb {
                    Verb::Set => "set",
                    Verb::Add => "add",
                    Verb::Replace => "replace",
                    Verb::Append => "append",
                    Verb::Prepend => "prepend",
                };
                let value = value.bytes();
                let head = format!(
                    "{flags} {} {}{}",
                    ttl.seconds(),
                    value.len(),
                    tail(*noreply)
                );
                let line = line(&[verb.as_bytes(), key.bytes(), head.as_bytes()]);
                [&line[..], &value, b"\r\n"].concat()
            }
            Self::Cas { key, right, value } => {
                let value = value.bytes();
                let cas = if *right {
                    cas
                } else {
                    cas.wrapping_add(1_000_003)
                };
                let head = format!("0 0 {} {cas}", value.len());
                [
                    &line(&[b"cas", key.bytes(), head.as_bytes()])[..],
                    &value,
                    b"\r\n",
                ]
                .concat()
            }
            Self::Delete { key, noreply } => {
                [b"delete ", key.bytes(), tail(*noreply).as_bytes(), b"\r\n"].concat()
            }
            Self::Count { key, down, delta } => {
                let verb: &[u8] = if *down { b"decr" } else { b"incr" };
                line(&[verb, key.bytes(), delta.to_string().as_bytes()])
            }
            Self::Touch { key, ttl } => {
                line(&[b"touch", key.bytes(), number(ttl.seconds()).as_bytes()])
            }
            Self::FlushAll => b"flush_all\r\n".to_vec(),
        }
    }
}

fn tail(noreply: bool) -> &'static str {
    if noreply { " noreply" } else { "" }
}

fn number(number: i64) -> String {
    number.to_string()
}

impl When {
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Always => None,
            Self::Absent => Some("NX"),
            Self::Present => Some("XX"),
        }
    }
}

/// The words of a command, whatever they are made of.
macro_rules! words {
    ($($word:expr),* $(,)?) => { vec![$(AsRef::<[u8]>::as_ref(&$word).to_vec()),*] };
}

impl Resp {
    /// The request.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let words = self.words();
        let mut wire = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            wire.extend(format!("${}\r\n", word.len()).into_bytes());
            wire.extend(word);
            wire.extend_from_slice(b"\r\n");
        }
        wire
    }

    fn words(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Get { key } => words!["GET", key.bytes()],
            Self::MGet { keys: [a, b, c] } => words!["MGET", a.bytes(), b.bytes(), c.bytes()],
            Self::Set { .. } => self.set_words(),
            Self::MSet {
                pairs: [(a, x), (b, y)],
            } => {
                words!["MSET", a.bytes(), x.to_string(), b.bytes(), y.to_string()]
            }
            Self::GetEx {
                key,
                ttl: Ttl::None,
            } => words!["GETEX", key.bytes()],
            Self::GetEx {
                key,
                ttl: Ttl::Past,
            } => words!["GETEX", key.bytes(), "PXAT", "1"],
            Self::GetEx { key, ttl } => {
                words!["GETEX", key.bytes(), "EX", ttl.seconds().to_string()]
            }
            Self::GetDel { key } => words!["GETDEL", key.bytes()],
            Self::Append { key, value } => words!["APPEND", key.bytes(), value.bytes()],
            Self::Strlen { key } => words!["STRLEN", key.bytes()],
            Self::IncrBy { key, delta } => words!["INCRBY", key.bytes(), delta.to_string()],
            Self::Del { keys: [a, b] } => words!["DEL", a.bytes(), b.bytes()],
            Self::Exists { keys: [a, b] } => words!["EXISTS", a.bytes(), b.bytes()],
            Self::Expire { key, ttl, when } => {
                let mut words = words!["EXPIRE", key.bytes(), ttl.seconds().to_string()];
                words.extend(when.word().map(Into::into));
                words
            }
            Self::Persist { key } => words!["PERSIST", key.bytes()],
            Self::Ttl { key } => words!["TTL", key.bytes()],
            Self::DbSize => words!["DBSIZE"],
            Self::FlushAll => words!["FLUSHALL"],
        }
    }

    fn set_words(&self) -> Vec<Vec<u8>> {
        let Self::Set {
            key,
            value,
            ttl,
            keep,
            when,
            get,
        } = self
        else {
            return Vec::new();
        };
        let mut words = words!["SET", key.bytes(), value.bytes()];
        match ttl {
            Ttl::None if *keep => words.extend(words!["KEEPTTL"]),
            Ttl::None => {}
            Ttl::Past => words.extend(words!["PXAT", "1"]),
            _ => words.extend(words!["EX", ttl.seconds().to_string()]),
        }
        words.extend(when.word().map(Into::into));
        if *get {
            words.extend(words!["GET"]);
        }
        words
    }
}
