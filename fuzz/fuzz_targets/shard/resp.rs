//! RESP commands on the wire.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::words::{Key, Ttl, Value, When};

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
    GetSet {
        key: Key,
        value: Value,
    },
    MSet {
        pairs: [(Key, u8); 2],
    },
    MSetNx {
        pairs: [(Key, Value); 2],
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
    GetRange {
        key: Key,
        start: i8,
        end: i8,
        is_substr: bool,
    },
    SetRange {
        key: Key,
        offset: u16,
        value: Value,
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
    Rename {
        from: Key,
        to: Key,
        nx: bool,
    },
    Copy {
        from: Key,
        to: Key,
        replace: bool,
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

/// The words of a command, whatever they are made of.
macro_rules! words {
    ($($word:expr),* $(,)?) => { vec![$(AsRef::<[u8]>::as_ref(&$word).to_vec()),*] };
}
pub(crate) use words;

/// A request of these words.
pub(crate) fn request(words: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        wire.extend(format!("${}\r\n", word.len()).into_bytes());
        wire.extend_from_slice(word);
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

impl Resp {
    /// The request.
    pub(crate) fn wire(&self) -> Vec<u8> {
        request(&self.words())
    }

    /// The keys that it reads and does not change: who tracks is told of changes to them.
    pub(crate) fn keys_read(&self) -> &[Key] {
        match self {
            Self::MGet { keys } => keys,
            Self::Exists { keys } => keys,
            Self::Get { key }
            | Self::Strlen { key }
            | Self::GetRange { key, .. }
            | Self::Ttl { key } => std::slice::from_ref(key),
            _ => &[],
        }
    }

    fn words(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Get { key } => words!["GET", key.bytes()],
            Self::MGet { keys: [a, b, c] } => words!["MGET", a.bytes(), b.bytes(), c.bytes()],
            Self::Set { .. } => self.set_words(),
            Self::GetSet { key, value } => words!["GETSET", key.bytes(), value.bulk()],
            Self::MSet {
                pairs: [(a, x), (b, y)],
            } => words!["MSET", a.bytes(), x.to_string(), b.bytes(), y.to_string()],
            Self::MSetNx {
                pairs: [(a, x), (b, y)],
            } => words!["MSETNX", a.bytes(), x.bulk(), b.bytes(), y.bulk()],
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
            Self::Append { key, value } => words!["APPEND", key.bytes(), value.bulk()],
            Self::Strlen { key } => words!["STRLEN", key.bytes()],
            Self::GetRange {
                key,
                start,
                end,
                is_substr,
            } => {
                let verb = if *is_substr { "SUBSTR" } else { "GETRANGE" };
                words![verb, key.bytes(), start.to_string(), end.to_string()]
            }
            Self::SetRange { key, offset, value } => {
                words!["SETRANGE", key.bytes(), offset.to_string(), value.bulk()]
            }
            Self::IncrBy { key, delta } => words!["INCRBY", key.bytes(), delta.to_string()],
            Self::Del { keys: [a, b] } => words!["DEL", a.bytes(), b.bytes()],
            Self::Exists { keys: [a, b] } => words!["EXISTS", a.bytes(), b.bytes()],
            Self::Rename { from, to, nx } => {
                let verb = if *nx { "RENAMENX" } else { "RENAME" };
                words![verb, from.bytes(), to.bytes()]
            }
            Self::Copy { from, to, replace } => {
                let mut words = words!["COPY", from.bytes(), to.bytes()];
                if *replace {
                    words.extend(words!["REPLACE"]);
                }
                words
            }
            Self::Expire { key, ttl, when } => {
                let mut words = words!["EXPIRE", key.bytes(), ttl.seconds().to_string()];
                words.extend(when_words(*when));
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
        let mut words = words!["SET", key.bytes(), value.bulk()];
        match ttl {
            Ttl::None if *keep => words.extend(words!["KEEPTTL"]),
            Ttl::None => {}
            Ttl::Past => words.extend(words!["PXAT", "1"]),
            _ => words.extend(words!["EX", ttl.seconds().to_string()]),
        }
        words.extend(when_words(*when));
        if *get {
            words.extend(words!["GET"]);
        }
        words
    }
}

fn when_words(when: When) -> Option<Vec<u8>> {
    match when {
        When::Always => None,
        When::Absent => Some("NX".into()),
        When::Present => Some("XX".into()),
    }
}
