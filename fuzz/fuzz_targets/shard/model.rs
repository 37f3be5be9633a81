//! The cache as it should be: a map, and what each command answers.

use std::collections::HashMap;

use crate::command::{Key, Resp, Text, Ttl, Value, Verb, When};

/// The fleet's item limit, and what memcached's header takes of it.
pub(crate) const ITEM_BYTES_MAX: usize = 64 * 1024;
const ITEM_OVERHEAD_BYTES: usize = 56;
/// How far the clock may have gone on between a command and its reply, in seconds.
const SLACK_SECONDS: u64 = 60;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    value: Vec<u8>,
    flags: u32,
    /// Unix milliseconds.
    deadline: Option<u64>,
    /// Changes with every store.
    version: u64,
}

/// A piece of an expected reply.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    /// The CAS id of this version of a key's value.
    Cas(Key, u64),
    /// A number of seconds, or up to [`SLACK_SECONDS`] less.
    Seconds(u64),
}

/// The cache, and the CAS ids that were shown.
#[derive(Debug, Default)]
pub(crate) struct Model {
    items: HashMap<Key, Item>,
    versions: u64,
    shown: HashMap<(Key, u64), u64>,
    now: u64,
}

/// An expected reply.
type Reply = Vec<Piece>;

fn text(bytes: impl AsRef<[u8]>) -> Piece {
    Piece::Text(bytes.as_ref().to_vec())
}

impl Model {
    pub(crate) fn set_now(&mut self, now_ms: u64) {
        self.now = now_ms;
        self.items
            .retain(|_, item| item.deadline.is_none_or(|deadline| deadline > now_ms));
    }

    /// The CAS id that was shown of a key's present value, or one that never was.
    pub(crate) fn cas(&self, key: Key) -> u64 {
        let version = self.items.get(&key).map_or(0, |item| item.version);
        self.shown
            .get(&(key, version))
            .copied()
            .unwrap_or(u64::MAX - 1)
    }

    fn deadline(&self, ttl: Ttl) -> Option<u64> {
        match ttl {
            Ttl::None => None,
            Ttl::Past => Some(0),
            _ => Some(self.now + 1_000 * ttl.seconds().unsigned_abs()),
        }
    }

    /// Stores, or drops what is too large or over already. False if it was too large.
    fn store(&mut self, key: Key, value: Vec<u8>, flags: u32, deadline: Option<u64>) -> bool {
        self.versions += 1;
        let fits = key.bytes().len() + value.len() + ITEM_OVERHEAD_BYTES <= ITEM_BYTES_MAX;
        let is_past = deadline.is_some_and(|deadline| deadline <= self.now);
        if is_past || !fits {
            self.items.remove(&key);
            return fits || is_past;
        }
        let version = self.versions;
        self.items.insert(
            key,
            Item {
                value,
                flags,
                deadline,
                version,
            },
        );
        true
    }

    /// Another value with the flags and deadline that are there.
    fn restore(&mut self, key: Key, value: Vec<u8>) -> bool {
        let (flags, deadline) = self
            .items
            .get(&key)
            .map_or((0, None), |item| (item.flags, item.deadline));
        self.store(key, value, flags, deadline)
    }

    fn show(&self, key: Key, cas: bool, reply: &mut Reply) {
        let Some(item) = self.items.get(&key) else {
            return;
        };
        let (flags, bytes) = (item.flags, item.value.len());
        reply.push(text(
            [
                b"VALUE ",
                key.bytes(),
                format!(" {flags} {bytes}").as_bytes(),
            ]
            .concat(),
        ));
        if cas {
            reply.push(text(" "));
            reply.push(Piece::Cas(key, item.version));
        }
        reply.push(text([b"\r\n", &item.value[..], b"\r\n"].concat()));
    }

    /// What memcache answers.
    pub(crate) fn text(&mut self, command: &Text) -> Reply {
        let line = |line: &str| vec![text(format!("{line}\r\n"))];
        match command {
            Text::Get { keys, count, cas } => {
                let mut reply = Vec::new();
                keys[..1 + usize::from(*count)]
                    .iter()
                    .for_each(|key| self.show(*key, *cas, &mut reply));
                reply.push(text("END\r\n"));
                reply
            }
            Text::GetAndTouch { key, ttl, cas } => {
                let mut reply = Vec::new();
                self.show(*key, *cas, &mut reply);
                self.touch(*key, *ttl);
                reply.push(text("END\r\n"));
                reply
            }
            Text::Store {
                verb,
                key,
                flags,
                ttl,
                value,
                noreply,
            } => {
                let reply = self.text_store(*verb, *key, u32::from(*flags), *ttl, value);
                if *noreply { Vec::new() } else { line(reply) }
            }
            Text::Cas { key, right, value } => line(self.text_cas(*key, *right, value)),
            Text::Delete { key, noreply } => {
                let was_there = self.items.remove(key).is_some();
                if *noreply {
                    return Vec::new();
                }
                line(if was_there { "DELETED" } else { "NOT_FOUND" })
            }
            Text::Count { key, down, delta } => self.text_count(*key, *down, *delta),
            Text::Touch { key, ttl } => line(if self.touch(*key, *ttl) {
                "TOUCHED"
            } else {
                "NOT_FOUND"
            }),
            Text::FlushAll => {
                self.items.clear();
                line("OK")
            }
        }
    }

    fn touch(&mut self, key: Key, ttl: Ttl) -> bool {
        let deadline = self.deadline(ttl);
        let Some(item) = self.items.get_mut(&key) else {
            return false;
        };
        item.deadline = deadline;
        if ttl == Ttl::Past {
            self.items.remove(&key);
        }
        true
    }

    fn text_store(
        &mut self,
        verb: Verb,
        key: Key,
        flags: u32,
        ttl: Ttl,
        value: &Value,
    ) -> &'static str {
        let value = value.bytes();
        let is_there = self.items.contains_key(&key);
        // The line alone says that it is too large: the request is refused before its verb counts.
        if value.len() > ITEM_BYTES_MAX {
            self.items.remove(&key);
            return TOO_LARGE;
        }
        let stored = match (verb, is_there) {
            (Verb::Add, true) | (Verb::Replace | Verb::Append | Verb::Prepend, false) => {
                return "NOT_STORED";
            }
            (Verb::Append | Verb::Prepend, true) => {
                let there = self.items[&key].value.clone();
                let joined = match verb {
                    Verb::Append => [there, value].concat(),
                    _ => [value, there].concat(),
                };
                if key.bytes().len() + joined.len() + ITEM_OVERHEAD_BYTES > ITEM_BYTES_MAX {
                    return TOO_LARGE;
                }
                self.restore(key, joined)
            }
            _ => {
                let deadline = self.deadline(ttl);
                self.store(key, value, flags, deadline)
            }
        };
        if stored { "STORED" } else { TOO_LARGE }
    }

    fn text_cas(&mut self, key: Key, right: bool, value: &Value) -> &'static str {
        let value = value.bytes();
        if value.len() > ITEM_BYTES_MAX {
            self.items.remove(&key);
            return TOO_LARGE;
        }
        let Some(item) = self.items.get(&key) else {
            return "NOT_FOUND";
        };
        if !right || !self.shown.contains_key(&(key, item.version)) {
            return "EXISTS";
        }
        if self.store(key, value, 0, None) {
            "STORED"
        } else {
            TOO_LARGE
        }
    }

    fn text_count(&mut self, key: Key, down: bool, delta: u64) -> Reply {
        let line = |line: String| vec![text(format!("{line}\r\n"))];
        let Some(item) = self.items.get(&key) else {
            return line("NOT_FOUND".into());
        };
        let Some(number) = unsigned(&item.value) else {
            return line(NON_NUMERIC.into());
        };
        let number = if down {
            number.saturating_sub(delta)
        } else {
            number.wrapping_add(delta)
        };
        let mut digits = number.to_string().into_bytes();
        let shown = number.to_string();
        // A shorter number is filled up with blanks: memcached writes it in place.
        digits.resize(digits.len().max(item.value.len()), b' ');
        self.restore(key, digits);
        line(shown)
    }

    /// What RESP answers; `null` is the version's.
    pub(crate) fn resp(&mut self, command: &Resp, null: &str) -> Reply {
        let integer = |number: i64| vec![text(format!(":{number}\r\n"))];
        let ok = || vec![text("+OK\r\n")];
        let bulk = |value: Option<&Vec<u8>>| match value {
            Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
            None => null.as_bytes().to_vec(),
        };
        match command {
            Resp::Get { key } => vec![text(bulk(self.value(*key)))],
            Resp::MGet { keys } => {
                let values = keys.iter().map(|key| text(bulk(self.value(*key))));
                [text("*3\r\n")].into_iter().chain(values).collect()
            }
            Resp::Set {
                key,
                value,
                ttl,
                keep,
                when,
                get,
            } => {
                let old = self.items.get(key).cloned();
                let stores = holds(*when, old.is_some());
                let too_large = stores && !self.resp_set(*key, value.bytes(), *ttl, *keep);
                match (too_large, *get) {
                    (true, _) => vec![text(TOO_LONG)],
                    (false, true) => vec![text(bulk(old.as_ref().map(|item| &item.value)))],
                    (false, false) if stores => ok(),
                    (false, false) => vec![text(null)],
                }
            }
            Resp::MSet { pairs } => {
                pairs.iter().for_each(|(key, number)| {
                    self.store(*key, number.to_string().into_bytes(), 0, None);
                });
                ok()
            }
            Resp::GetEx { key, ttl } => {
                let reply = vec![text(bulk(self.value(*key)))];
                if *ttl != Ttl::None {
                    self.touch(*key, *ttl);
                }
                reply
            }
            Resp::GetDel { key } => {
                let old = self.items.remove(key);
                vec![text(bulk(old.as_ref().map(|item| &item.value)))]
            }
            Resp::Append { key, value } => {
                let there = self.value(*key).cloned();
                let is_there = there.is_some();
                let joined = [there.unwrap_or_default(), value.bytes()].concat();
                let fits = key.bytes().len() + joined.len() + ITEM_OVERHEAD_BYTES <= ITEM_BYTES_MAX;
                if !fits && is_there {
                    return vec![text(TOO_LONG)];
                }
                let bytes = joined.len() as i64;
                if self.restore(*key, joined) {
                    integer(bytes)
                } else {
                    vec![text(TOO_LONG)]
                }
            }
            Resp::Strlen { key } => integer(self.value(*key).map_or(0, |value| value.len() as i64)),
            Resp::IncrBy { key, delta } => self.resp_count(*key, *delta),
            Resp::Del { keys } => {
                let count = keys
                    .iter()
                    .filter(|key| self.items.remove(key).is_some())
                    .count();
                integer(count as i64)
            }
            Resp::Exists { keys } => {
                let count = keys
                    .iter()
                    .filter(|key| self.items.contains_key(key))
                    .count();
                integer(count as i64)
            }
            Resp::Expire { key, ttl, when } => integer(self.expire(*key, *ttl, *when).into()),
            Resp::Persist { key } => {
                let item = self.items.get_mut(key);
                integer(
                    item.is_some_and(|item| item.deadline.take().is_some())
                        .into(),
                )
            }
            Resp::Ttl { key } => match self.items.get(key).map(|item| item.deadline) {
                None => integer(-2),
                Some(None) => integer(-1),
                Some(Some(deadline)) => {
                    let left = (deadline - self.now).div_ceil(1_000);
                    vec![text(":"), Piece::Seconds(left), text("\r\n")]
                }
            },
            Resp::DbSize => integer(self.items.len() as i64),
            Resp::FlushAll => {
                self.items.clear();
                ok()
            }
        }
    }

    fn value(&self, key: Key) -> Option<&Vec<u8>> {
        self.items.get(&key).map(|item| &item.value)
    }

    fn resp_set(&mut self, key: Key, value: Vec<u8>, ttl: Ttl, keep: bool) -> bool {
        let deadline = match ttl {
            Ttl::None if keep => self.items.get(&key).and_then(|item| item.deadline),
            _ => self.deadline(ttl),
        };
        self.store(key, value, 0, deadline)
    }

    fn resp_count(&mut self, key: Key, delta: i64) -> Reply {
        let number = match self.value(key) {
            None => Some(0),
            Some(value) => signed(value),
        };
        let Some(number) = number else {
            return vec![text("-ERR value is not an integer or out of range\r\n")];
        };
        let Some(sum) = number.checked_add(delta) else {
            return vec![text("-ERR increment or decrement would overflow\r\n")];
        };
        self.restore(key, sum.to_string().into_bytes());
        vec![text(format!(":{sum}\r\n"))]
    }

    fn expire(&mut self, key: Key, ttl: Ttl, when: When) -> bool {
        let Some(item) = self.items.get_mut(&key) else {
            return false;
        };
        if !holds(when, item.deadline.is_some()) {
            return false;
        }
        // EXPIRE has no "never": 0 seconds are over at once.
        if ttl.seconds() <= 0 {
            self.items.remove(&key);
        } else {
            self.touch(key, ttl);
        }
        true
    }

    /// Compares a reply with what it should be, and learns the CAS ids it shows.
    pub(crate) fn check(&mut self, wanted: &[Piece], got: &[u8]) -> Result<(), String> {
        let mut rest = got;
        for piece in wanted {
            let taken = match piece {
                Piece::Text(bytes) if rest.starts_with(bytes) => bytes.len(),
                Piece::Text(bytes) => {
                    return Err(format!("wanted {:?}", bytes.escape_ascii().to_string()));
                }
                Piece::Cas(key, version) => {
                    let (number, taken) = digits(rest)?;
                    let is_new = !self.shown.values().any(|shown| *shown == number);
                    let shown = self.shown.entry((*key, *version)).or_insert(number);
                    if *shown != number {
                        return Err(format!("the cas id was {shown}, now it is {number}"));
                    }
                    if !is_new
                        && self
                            .shown
                            .values()
                            .filter(|shown| **shown == number)
                            .count()
                            > 1
                    {
                        return Err(format!("the cas id {number} was another value's"));
                    }
                    taken
                }
                Piece::Seconds(seconds) => {
                    let (number, taken) = digits(rest)?;
                    if !(seconds.saturating_sub(SLACK_SECONDS)..=*seconds).contains(&number) {
                        return Err(format!("{number} seconds, not {seconds}"));
                    }
                    taken
                }
            };
            rest = &rest[taken..];
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(format!("{:?} too much", rest.escape_ascii().to_string()))
        }
    }
}

const TOO_LARGE: &str = "SERVER_ERROR object too large for cache";
const NON_NUMERIC: &str = "CLIENT_ERROR cannot increment or decrement non-numeric value";
const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";

fn holds(when: When, is_there: bool) -> bool {
    match when {
        When::Always => true,
        When::Absent => !is_there,
        When::Present => is_there,
    }
}

/// memcached's number: what C's `strtoull` reads up to a blank or a NUL. It takes a minus, and
/// memcached refuses that only where the result would look negative.
fn unsigned(value: &[u8]) -> Option<u64> {
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = value.iter().take_while(|byte| is_blank(byte)).count();
    let (is_negative, digits) = match &value[start..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 || !digits.get(count).is_none_or(is_blank) {
        return None;
    }
    let number = digits[..count].iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    let number = if is_negative {
        number.wrapping_neg()
    } else {
        number
    };
    (number <= i64::MAX.unsigned_abs() || !value.contains(&b'-')).then_some(number)
}

/// Redis' number: as it prints it, and no other way.
fn signed(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn digits(bytes: &[u8]) -> Result<(u64, usize), String> {
    let count = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let text = std::str::from_utf8(&bytes[..count]).map_err(|error| error.to_string())?;
    let number = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    Ok((number, count))
}
