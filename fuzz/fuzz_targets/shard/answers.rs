//! What RESP commands should come to.

use crate::cache::{Cache, Content, Put};
use crate::reply::{Piece, Reply, line, text};
use crate::resp::Resp;
use crate::words::{Key, Ttl, Value, When};

const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";

fn integer(number: i64) -> Reply {
    line(&format!(":{number}"))
}

fn bulk(value: Option<&[u8]>, null: &str) -> Piece {
    match value {
        Some(value) => {
            let length = format!("${}\r\n", value.len());
            text([length.as_bytes(), value, b"\r\n"].concat())
        }
        None => text(null),
    }
}

impl Resp {
    /// What is to be answered; `null` is the protocol version's.
    pub(crate) fn answer(&self, cache: &mut Cache, null: &str) -> Reply {
        for key in self.keys_read() {
            cache.note_used(*key);
        }
        match self {
            Self::Get { key } => vec![bulk(value(cache, *key), null)],
            Self::MGet { keys } => {
                let values = keys.iter().map(|key| bulk(value(cache, *key), null));
                [text("*3\r\n")].into_iter().chain(values).collect()
            }
            Self::Set { .. } => self.set(cache, null),
            Self::GetSet { key, value: new } => {
                let old = bulk(value(cache, *key), null);
                match put(cache, *key, new, None) {
                    Put::TooLarge => line(TOO_LONG),
                    Put::Stored | Put::Over => vec![old],
                }
            }
            Self::MSet { pairs } => {
                for (key, number) in pairs {
                    put(cache, *key, &Value::Small(*number), None);
                }
                line("+OK")
            }
            Self::MSetNx { pairs } => set_all_if_absent(cache, pairs),
            Self::GetEx { key, ttl } => {
                let reply = vec![bulk(value(cache, *key), null)];
                cache.note_used(*key);
                if *ttl != Ttl::None {
                    cache.retime(*key, cache.deadline(*ttl));
                }
                reply
            }
            Self::GetDel { key } => {
                let reply = vec![bulk(value(cache, *key), null)];
                cache.remove(*key);
                reply
            }
            Self::Append { key, value: tail } => {
                let joined = [value(cache, *key).unwrap_or_default(), &tail.bulk()].concat();
                put_joined(cache, *key, joined)
            }
            Self::Strlen { key } => integer(value(cache, *key).map_or(0, <[u8]>::len) as i64),
            Self::GetRange {
                key, start, end, ..
            } => {
                let value = value(cache, *key).unwrap_or_default();
                let part = range(value, i64::from(*start), i64::from(*end));
                vec![bulk(Some(part), null)]
            }
            Self::SetRange { key, offset, value } => set_range(cache, *key, *offset, value),
            Self::IncrBy { key, delta } => count(cache, *key, *delta),
            Self::Del { keys } => {
                let count = keys.iter().filter(|key| cache.remove(**key)).count();
                integer(count as i64)
            }
            Self::Exists { keys } => {
                let count = keys.iter().filter(|key| cache.has(**key)).count();
                integer(count as i64)
            }
            Self::Rename { from, to, nx } => rename(cache, *from, *to, *nx),
            Self::Copy { from, to, replace } => copy_or_answer(cache, *from, *to, *replace),
            Self::Expire { key, ttl, when } => integer(expire(cache, *key, *ttl, *when).into()),
            Self::Persist { key } => {
                let is_mortal = cache.get(*key).is_some_and(|item| item.deadline.is_some());
                cache.note_used(*key);
                if is_mortal {
                    cache.retime(*key, None);
                }
                integer(is_mortal.into())
            }
            Self::Ttl { key } => match cache.get(*key).map(|item| item.deadline) {
                None => integer(-2),
                Some(None) => integer(-1),
                Some(Some(deadline)) => {
                    let left = (deadline - cache.now()).div_ceil(1_000);
                    vec![text(":"), Piece::Seconds(left), text("\r\n")]
                }
            },
            Self::DbSize => integer(cache.len() as i64),
            Self::FlushAll => {
                cache.flush();
                line("+OK")
            }
        }
    }

    fn set(&self, cache: &mut Cache, null: &str) -> Reply {
        let Self::Set {
            key,
            value: new,
            ttl,
            keep,
            when,
            get,
        } = self
        else {
            return Vec::new();
        };
        let there = cache.get(*key).cloned();
        let old = bulk(there.as_ref().map(|item| &item.value[..]), null);
        let stores = when.holds(there.is_some());
        if stores {
            let deadline = match ttl {
                Ttl::None if *keep => there.and_then(|item| item.deadline),
                _ => cache.deadline(*ttl),
            };
            if put(cache, *key, new, deadline) == Put::TooLarge {
                return line(TOO_LONG);
            }
        }
        match (*get, stores) {
            (true, _) => vec![old],
            (false, true) => line("+OK"),
            (false, false) => vec![text(null)],
        }
    }
}

fn value(cache: &Cache, key: Key) -> Option<&[u8]> {
    cache.get(key).map(|item| &item.value[..])
}

fn put(cache: &mut Cache, key: Key, value: &Value, deadline: Option<u64>) -> Put {
    let content = Content {
        value: value.bulk(),
        deadline,
        ..Content::default()
    };
    cache.put(key, content)
}

/// Puts a value that was made of the one there, which stays if that gets too large.
fn put_joined(cache: &mut Cache, key: Key, joined: Vec<u8>) -> Reply {
    if !Cache::fits(key, joined.len()) {
        return line(TOO_LONG);
    }
    let bytes = joined.len() as i64;
    cache.put_instead(key, joined);
    integer(bytes)
}

fn set_all_if_absent(cache: &mut Cache, pairs: &[(Key, Value); 2]) -> Reply {
    if pairs.iter().any(|(key, _)| cache.has(*key)) {
        return integer(0);
    }
    let is_too_large = |(key, value): &(Key, Value)| !Cache::fits(*key, value.bulk().len());
    if pairs.iter().any(is_too_large) {
        return line(TOO_LONG);
    }
    for (key, value) in pairs {
        put(cache, *key, value, None);
    }
    integer(1)
}

/// The bytes from `start` to `end`, which count from the back if they are negative.
fn range(value: &[u8], start: i64, end: i64) -> &[u8] {
    let length = value.len() as i64;
    // Redis looks at this before it knows where the ends are.
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let place = |index: i64| match index {
        0.. => index,
        _ => (index + length).max(0),
    };
    let (start, end) = (place(start), place(end).min(length - 1));
    if start > end || length == 0 {
        return &[];
    }
    &value[start as usize..=end as usize]
}

fn set_range(cache: &mut Cache, key: Key, offset: u16, patch: &Value) -> Reply {
    let (patch, start) = (patch.bulk(), usize::from(offset));
    let mut bytes = value(cache, key).unwrap_or_default().to_vec();
    // Redis looks the key up before it looks at the length.
    cache.note_used(key);
    if patch.is_empty() {
        return integer(bytes.len() as i64);
    }
    let end = start + patch.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(&patch);
    put_joined(cache, key, bytes)
}

fn count(cache: &mut Cache, key: Key, delta: i64) -> Reply {
    let number = match value(cache, key) {
        None => Some(0),
        Some(value) => signed(value),
    };
    let Some(number) = number else {
        return line("-ERR value is not an integer or out of range");
    };
    let Some(sum) = number.checked_add(delta) else {
        return line("-ERR increment or decrement would overflow");
    };
    cache.put_instead(key, sum.to_string().into_bytes());
    integer(sum)
}

/// Redis' number: as it prints it, and no other way.
fn signed(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn rename(cache: &mut Cache, from: Key, to: Key, nx: bool) -> Reply {
    let done = |nx| if nx { integer(1) } else { line("+OK") };
    if !cache.has(from) {
        return line("-ERR no such key");
    }
    if nx && cache.has(to) {
        return integer(0);
    }
    if from == to {
        return done(nx);
    }
    if !copy(cache, from, to) {
        return line(TOO_LONG);
    }
    cache.remove(from);
    done(nx)
}

fn copy_or_answer(cache: &mut Cache, from: Key, to: Key, replace: bool) -> Reply {
    if from == to {
        return line("-ERR source and destination objects are the same");
    }
    if !cache.has(from) || (cache.has(to) && !replace) {
        return integer(0);
    }
    if copy(cache, from, to) {
        integer(1)
    } else {
        line(TOO_LONG)
    }
}

/// False if it is too large under the longer name, and nothing was done.
fn copy(cache: &mut Cache, from: Key, to: Key) -> bool {
    let Some(item) = cache.get(from).cloned() else {
        return true;
    };
    cache.note_used(from);
    if !Cache::fits(to, item.value.len()) {
        return false;
    }
    let content = Content {
        value: item.value,
        flags: item.flags,
        deadline: item.deadline,
        given: None,
        is_stale: item.is_stale,
        is_won: item.is_won,
    };
    cache.put(to, content);
    true
}

fn expire(cache: &mut Cache, key: Key, ttl: Ttl, when: When) -> bool {
    let Some(item) = cache.get(key) else {
        return false;
    };
    if !when.holds(item.deadline.is_some()) {
        return false;
    }
    cache.note_used(key);
    // EXPIRE has no "never": 0 seconds are over at once.
    if ttl.seconds() <= 0 {
        return cache.remove(key);
    }
    cache.retime(key, cache.deadline(ttl))
}
