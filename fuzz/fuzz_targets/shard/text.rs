//! memcache's classic commands: on the wire, and what they should come to.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::cache::{self, Cache, Content};
use crate::reply::{Piece, Reply, line as reply_line, text};
use crate::words::{Guess, Key, Ttl, Value, Verb, line};

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
    Cas {
        key: Key,
        guess: Guess,
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

pub(crate) const TOO_LARGE: &str = "SERVER_ERROR object too large for cache";
pub(crate) const NON_NUMERIC: &str = "CLIENT_ERROR cannot increment or decrement non-numeric value";

impl Text {
    /// The request, before it is answered.
    pub(crate) fn wire(&self, cache: &Cache) -> Vec<u8> {
        match self {
            Self::Get { keys, count, cas } => {
                let verb: &[u8] = if *cas { b"gets" } else { b"get" };
                let keys = &keys[..1 + usize::from(*count)];
                let words: Vec<&[u8]> = [verb]
                    .into_iter()
                    .chain(keys.iter().map(|key| key.plain().bytes()))
                    .collect();
                line(&words)
            }
            Self::GetAndTouch { key, ttl, cas } => {
                let verb: &[u8] = if *cas { b"gats" } else { b"gat" };
                let seconds = ttl.seconds().to_string();
                line(&[verb, seconds.as_bytes(), key.plain().bytes()])
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
                let end = if *noreply { " noreply" } else { "" };
                let middle = format!("{flags} {}", ttl.seconds());
                block(verb, *key, &middle, value, end)
            }
            Self::Cas { key, guess, value } => {
                let end = format!(" {}", cache.guess(key.plain(), *guess));
                block("cas", *key, "0 0", value, &end)
            }
            Self::Delete { key, noreply: true } => {
                line(&[b"delete", key.plain().bytes(), b"noreply"])
            }
            Self::Delete { key, .. } => line(&[b"delete", key.plain().bytes()]),
            Self::Count { key, down, delta } => {
                let verb: &[u8] = if *down { b"decr" } else { b"incr" };
                line(&[verb, key.plain().bytes(), delta.to_string().as_bytes()])
            }
            Self::Touch { key, ttl } => {
                let seconds = ttl.seconds().to_string();
                line(&[b"touch", key.plain().bytes(), seconds.as_bytes()])
            }
            Self::FlushAll => b"flush_all\r\n".to_vec(),
        }
    }

    /// What is to be answered.
    pub(crate) fn answer(&self, cache: &mut Cache) -> Reply {
        match self {
            Self::Get { keys, count, cas } => {
                let mut reply = Vec::new();
                for key in &keys[..1 + usize::from(*count)] {
                    show(cache, key.plain(), *cas, &mut reply);
                }
                reply.push(text("END\r\n"));
                reply
            }
            Self::GetAndTouch { key, ttl, cas } => {
                let mut reply = Vec::new();
                show(cache, key.plain(), *cas, &mut reply);
                cache.retime(key.plain(), cache.deadline(*ttl));
                reply.push(text("END\r\n"));
                reply
            }
            Self::Store { .. } => self.store(cache),
            Self::Cas { key, guess, value } => {
                let sent = cache.guess(key.plain(), *guess);
                reply_line(compare_and_set(cache, key.plain(), sent, value))
            }
            Self::Delete { key, noreply } => {
                let was_there = cache.remove(key.plain());
                if *noreply {
                    return Vec::new();
                }
                reply_line(if was_there { "DELETED" } else { "NOT_FOUND" })
            }
            Self::Count { key, down, delta } => count(cache, key.plain(), *down, *delta),
            Self::Touch { key, ttl } => {
                cache.note_fetched(key.plain());
                let was_there = cache.retime(key.plain(), cache.deadline(*ttl));
                reply_line(if was_there { "TOUCHED" } else { "NOT_FOUND" })
            }
            Self::FlushAll => {
                cache.flush();
                reply_line("OK")
            }
        }
    }

    fn store(&self, cache: &mut Cache) -> Reply {
        let Self::Store {
            verb,
            key,
            flags,
            ttl,
            value,
            noreply,
        } = self
        else {
            return Vec::new();
        };
        let deadline = cache.deadline(*ttl);
        let content = Content {
            value: value.bytes(),
            flags: u32::from(*flags),
            deadline,
            ..Content::default()
        };
        let word = store(cache, *verb, key.plain(), content);
        if *noreply {
            Vec::new()
        } else {
            reply_line(word)
        }
    }
}

/// A command with a data block.
fn block(verb: &str, key: Key, middle: &str, value: &Value, end: &str) -> Vec<u8> {
    let value = value.bytes();
    let numbers = format!("{middle} {}{end}", value.len());
    let line = line(&[verb.as_bytes(), key.plain().bytes(), numbers.as_bytes()]);
    [&line[..], &value, b"\r\n"].concat()
}

fn show(cache: &mut Cache, key: Key, cas: bool, reply: &mut Reply) {
    let Some(item) = cache.get(key) else {
        return;
    };
    let (flags, bytes) = (item.flags, item.value.len());
    let numbers = format!(" {flags} {bytes}");
    reply.push(text([b"VALUE ", key.bytes(), numbers.as_bytes()].concat()));
    if cas {
        reply.push(text(" "));
        reply.push(Piece::Cas(item.cas));
    }
    reply.push(text([b"\r\n", &item.value[..], b"\r\n"].concat()));
    cache.note_fetched(key);
}

fn store(cache: &mut Cache, verb: Verb, key: Key, content: Content) -> &'static str {
    // The line alone says that it is too large: the request is refused before its verb counts.
    if !Cache::fits(key, content.value.len()) {
        if verb == Verb::Set {
            cache.remove(key);
        }
        return TOO_LARGE;
    }
    match (verb, cache.has(key)) {
        (Verb::Add, true) | (Verb::Replace | Verb::Append | Verb::Prepend, false) => "NOT_STORED",
        (Verb::Append | Verb::Prepend, true) => {
            let joined = join(cache, verb, key, &content.value);
            if !Cache::fits(key, joined.len()) {
                return "NOT_STORED";
            }
            cache.put_instead(key, joined);
            "STORED"
        }
        _ => {
            cache.put(key, content);
            "STORED"
        }
    }
}

/// The value there with another before or behind it.
pub(crate) fn join(cache: &Cache, verb: Verb, key: Key, value: &[u8]) -> Vec<u8> {
    let there = cache.get(key).map_or(&[][..], |item| &item.value);
    match verb {
        Verb::Prepend => [value, there].concat(),
        _ => [there, value].concat(),
    }
}

fn compare_and_set(cache: &mut Cache, key: Key, sent: u64, value: &Value) -> &'static str {
    let value = value.bytes();
    if !Cache::fits(key, value.len()) {
        return TOO_LARGE;
    }
    let Some(item) = cache.get(key) else {
        return "NOT_FOUND";
    };
    if cache.compare(sent, item.cas).is_ne() {
        return "EXISTS";
    }
    let content = Content {
        value,
        ..Content::default()
    };
    cache.put(key, content);
    "STORED"
}

fn count(cache: &mut Cache, key: Key, down: bool, delta: u64) -> Reply {
    let Some(item) = cache.get(key) else {
        return reply_line("NOT_FOUND");
    };
    let Some(number) = cache::unsigned(&item.value) else {
        return reply_line(NON_NUMERIC);
    };
    let number = cache::count(number, delta, down);
    cache.recount(key, number, item.deadline, None);
    reply_line(&number.to_string())
}
