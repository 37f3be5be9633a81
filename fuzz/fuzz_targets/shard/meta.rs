//! memcache's meta commands: on the wire, and what they should come to.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::cache::{self, Cache, Content, Item, Put};
use crate::flags::{AnyFlags, Flag, Flags};
use crate::reply::{Piece, Reply, line, text};
use crate::text::{NON_NUMERIC, TOO_LARGE, join};
use crate::words::{Key, Value, Verb};

/// memcached's limit of what stands for a key on the line.
const KEY_TEXT_BYTES_MAX: usize = 250;

#[derive(Arbitrary, Debug, Clone)]
pub(crate) struct Meta {
    verb: MetaVerb,
    key: Key,
    flags: AnyFlags,
    /// For `ms`.
    value: Value,
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
enum MetaVerb {
    Get,
    Set,
    Delete,
    Count,
}

impl MetaVerb {
    fn word(self) -> &'static str {
        match self {
            Self::Get => "mg",
            Self::Set => "ms",
            Self::Delete => "md",
            Self::Count => "ma",
        }
    }

    /// The letters that mean something to it.
    fn letters(self) -> &'static str {
        match self {
            Self::Get => "vtcfskhlOqubNRTCE",
            Self::Set => "ckOqbsFTICEMN",
            Self::Delete => "kObqCITExF",
            Self::Count => "vtckOqbCNJDTME",
        }
    }
}

impl Meta {
    /// The request, before it is answered.
    pub(crate) fn wire(&self, cache: &Cache) -> Vec<u8> {
        let (flags, value) = (self.flags(), self.value.bytes());
        let mut line = [self.verb.word().as_bytes(), b" ", &self.key_text()].concat();
        if self.verb == MetaVerb::Set {
            line.extend(format!(" {}", value.len()).into_bytes());
        }
        for flag in flags.iter() {
            line.extend(flag.word(self.verb == MetaVerb::Count, |guess| {
                cache.guess(self.key(), guess)
            }));
        }
        line.extend_from_slice(b"\r\n");
        if self.verb == MetaVerb::Set {
            line.extend([&value[..], b"\r\n"].concat());
        }
        line
    }

    fn flags(&self) -> Flags {
        Flags::new(&self.flags.0, self.verb.letters())
    }

    fn key(&self) -> Key {
        if self.flags().has('b') {
            self.key
        } else {
            self.key.plain()
        }
    }

    fn key_text(&self) -> Vec<u8> {
        if self.flags().has('b') {
            base64(self.key.bytes())
        } else {
            self.key().bytes().to_vec()
        }
    }

    /// What is to be answered.
    pub(crate) fn answer(&self, cache: &mut Cache) -> Reply {
        if self.key_text().len() > KEY_TEXT_BYTES_MAX {
            return line("CLIENT_ERROR bad command line format");
        }
        match self.verb {
            MetaVerb::Get => self.get(cache),
            MetaVerb::Set => self.set(cache),
            MetaVerb::Delete => self.delete(cache),
            MetaVerb::Count => self.count(cache),
        }
    }

    /// The number that is given to be compared.
    fn compared(&self, cache: &Cache) -> Option<u64> {
        let guess = self.flags().compared()?;
        Some(cache.guess(self.key(), guess))
    }

    /// A status with the key and the opaque, if asked for.
    fn status(&self, word: &str) -> Reply {
        self.tell(word, None, |_| None)
    }

    /// A status and what `of_flag` tells to each flag, in the order given; the value behind it.
    fn tell(
        &self,
        word: &str,
        value: Option<&[u8]>,
        mut of_flag: impl FnMut(Flag) -> Option<Piece>,
    ) -> Reply {
        let mut reply = vec![text(word)];
        if let Some(value) = value {
            reply.push(text(format!(" {}", value.len())));
        }
        for flag in self.flags().iter() {
            match flag {
                Flag::Opaque(opaque) => reply.push(text(format!(" O{opaque}"))),
                Flag::Key => {
                    reply.push(text([b" k", &self.key_text()[..]].concat()));
                    if self.flags().has('b') {
                        reply.push(text(" b"));
                    }
                }
                other => {
                    if let Some(piece) = of_flag(other) {
                        reply.push(text(format!(" {}", other.letter())));
                        reply.push(piece);
                    }
                }
            }
        }
        reply.push(text("\r\n"));
        if let Some(value) = value {
            reply.push(text([value, b"\r\n"].concat()));
        }
        reply
    }

    fn get(&self, cache: &mut Cache) -> Reply {
        let (key, flags) = (self.key(), self.flags());
        match cache.get(key).cloned() {
            Some(item) => {
                let reply = self.show(cache, &item, self.compared(cache), false);
                let wins = self.wins(cache, &item, false);
                if flags.touch().is_some() {
                    cache.retime(key, flags.deadline(cache, item.deadline, false));
                }
                if let Some(item) = cache.marks(key) {
                    item.is_won |= wins;
                }
                if !flags.has('u') {
                    cache.note_fetched(key);
                }
                reply
            }
            None if flags.vivify().is_some() => self.vivify(cache),
            None if flags.has('q') => Vec::new(),
            None => self.status("EN"),
        }
    }

    /// Puts an empty value where none is, for this client to fill.
    fn vivify(&self, cache: &mut Cache) -> Reply {
        let (key, flags) = (self.key(), self.flags());
        let sent = self.compared(cache);
        let content = Content {
            deadline: flags.deadline(cache, None, true),
            given: flags.given(),
            is_won: true,
            ..Content::default()
        };
        cache.put(key, content);
        let reply = match cache.get(key).cloned() {
            Some(item) => {
                let shown = Item {
                    is_won: false,
                    ..item
                };
                self.show(cache, &shown, sent, true)
            }
            None => self.show_what_is_over(cache),
        };
        if !flags.has('u') {
            cache.note_fetched(key);
        }
        reply
    }

    /// It was made, and over at once. Its CAS id is nobody's.
    fn show_what_is_over(&self, cache: &Cache) -> Reply {
        let flags = self.flags();
        let mut deadline = None;
        let shown = flags.has('v').then_some(&b""[..]);
        let word = if flags.has('v') { "VA" } else { "HD" };
        let mut reply = self.tell(word, shown, |flag| match flag {
            Flag::Touch(ttl) | Flag::Vivify(ttl) => {
                deadline = cache.deadline(ttl);
                None
            }
            Flag::Size | Flag::ClientFlags | Flag::Hit | Flag::Idle => Some(text("0")),
            Flag::Ttl => Some(left(cache, deadline)),
            Flag::Cas => Some(Piece::Number),
            _ => None,
        });
        insert_marks(&mut reply, shown.is_some(), " W");
        reply
    }

    fn show(&self, cache: &Cache, item: &Item, sent: Option<u64>, is_new: bool) -> Reply {
        let flags = self.flags();
        let is_known = sent.is_some_and(|sent| cache.compare(sent, item.cas).is_eq());
        let shown = (flags.has('v') && !is_known).then_some(&item.value[..]);
        let mut deadline = if is_new { None } else { item.deadline };
        let mut reply =
            self.tell(
                if shown.is_some() { "VA" } else { "HD" },
                shown,
                |flag| match flag {
                    Flag::Touch(ttl) => {
                        deadline = cache.deadline(ttl);
                        None
                    }
                    Flag::Vivify(ttl) if is_new => {
                        deadline = cache.deadline(ttl);
                        None
                    }
                    Flag::Size => Some(text(item.value.len().to_string())),
                    Flag::ClientFlags => Some(text(item.flags.to_string())),
                    Flag::Ttl => Some(left(cache, deadline)),
                    Flag::Cas => Some(Piece::Cas(item.cas)),
                    Flag::Hit => Some(match item.fetched {
                        Some(fetched) => text(u8::from(fetched).to_string()),
                        None => Piece::Flag,
                    }),
                    Flag::Idle => {
                        let [most, least] = item
                            .used
                            .map(|used| cache.now().saturating_sub(used) / 1_000);
                        Some(Piece::Idle(least, most))
                    }
                    _ => None,
                },
            );
        let mut marks = String::new();
        if item.is_won {
            marks.push_str(" Z");
        }
        if item.is_stale {
            marks.push_str(" X");
        }
        if self.wins(cache, item, is_new) {
            marks.push_str(" W");
        }
        insert_marks(&mut reply, shown.is_some(), &marks);
        reply
    }

    /// Whether this client is told to renew it.
    fn wins(&self, cache: &Cache, item: &Item, is_new: bool) -> bool {
        !item.is_won && (is_new || item.is_stale || self.flags().ends_early(cache, item.deadline))
    }

    fn set(&self, cache: &mut Cache) -> Reply {
        let (key, flags, value) = (self.key(), self.flags(), self.value.bytes());
        if !Cache::fits(key, value.len()) {
            cache.remove(key);
            return line(TOO_LARGE);
        }
        let verb = flags.store_verb();
        let word = if verb.joins() {
            self.join(cache, verb, &value)
        } else {
            match self.plan(cache, verb) {
                Err(word) => word,
                Ok(content) => {
                    let value = value.clone();
                    match cache.put(key, Content { value, ..content }) {
                        Put::Over => "HD over",
                        Put::Stored | Put::TooLarge => "HD",
                    }
                }
            }
        };
        if word.starts_with("HD") && flags.has('q') {
            return Vec::new();
        }
        let stored = cache.get(key).filter(|_| word == "HD");
        let (cas, bytes) = match (word, stored) {
            ("HD over", _) => (Piece::Number, value.len()),
            (_, Some(item)) => (Piece::Cas(item.cas), item.value.len()),
            (_, None) => (text("0"), value.len()),
        };
        let word = word.split(' ').next().unwrap_or_default();
        self.tell(word, None, |flag| match flag {
            Flag::Cas => Some(cas.clone()),
            Flag::Size => Some(text(bytes.to_string())),
            _ => None,
        })
    }

    /// What to store, without the value; or why not.
    fn plan(&self, cache: &Cache, verb: Verb) -> Result<Content, &'static str> {
        let flags = self.flags();
        let there = cache.get(self.key());
        let content = Content {
            flags: flags.client_flags(),
            deadline: flags.touch().and_then(|ttl| cache.deadline(ttl)),
            given: flags.given(),
            ..Content::default()
        };
        let (sent, there) = match (verb, self.compared(cache), there) {
            (Verb::Add, _, Some(_)) | (Verb::Replace, None, None) => return Err("NS"),
            (Verb::Add, _, None) | (_, None, _) => return Ok(content),
            (_, Some(_), None) => return Err("NF"),
            (_, Some(sent), Some(there)) => (sent, there),
        };
        match cache.compare(sent, there.cas) {
            std::cmp::Ordering::Equal => Ok(content),
            // Somebody was faster: it is taken, but as an outdated value.
            std::cmp::Ordering::Less if sent != 0 && flags.has('I') => Ok(Content {
                deadline: there.deadline,
                is_stale: true,
                is_won: there.is_won,
                ..content
            }),
            _ => Err("EX"),
        }
    }

    fn join(&self, cache: &mut Cache, verb: Verb, value: &[u8]) -> &'static str {
        let (key, flags) = (self.key(), self.flags());
        let Some(item) = cache.get(key) else {
            let Some(ttl) = flags.vivify() else {
                return "NS";
            };
            let content = Content {
                value: value.to_vec(),
                flags: flags.client_flags(),
                deadline: cache.deadline(ttl),
                given: flags.given(),
                ..Content::default()
            };
            return match cache.put(key, content) {
                Put::Over => "HD over",
                _ => "HD",
            };
        };
        let sent = self.compared(cache).filter(|sent| *sent != 0);
        if sent.is_some_and(|sent| cache.compare(sent, item.cas).is_ne()) {
            return "EX";
        }
        let joined = join(cache, verb, key, value);
        if !Cache::fits(key, joined.len()) {
            return "NS";
        }
        let content = Content {
            value: joined,
            given: flags.given(),
            ..cache.kept(key)
        };
        cache.put(key, content);
        "HD"
    }

    fn delete(&self, cache: &mut Cache) -> Reply {
        let (key, flags) = (self.key(), self.flags());
        let Some(item) = cache.get(key).cloned() else {
            return self.status("NF");
        };
        let sent = self.compared(cache);
        if sent.is_some_and(|sent| cache.compare(sent, item.cas).is_ne()) {
            return self.status("EX");
        }
        let deadline = flags.touch().map(|ttl| cache.deadline(ttl));
        match (flags.has('x'), flags.has('I')) {
            (false, false) => {
                cache.remove(key);
            }
            (false, true) => {
                cache.outdate(key, deadline.unwrap_or(item.deadline), flags.given());
            }
            (true, is_stale) => {
                let content = Content {
                    flags: flags.client_flags(),
                    deadline: deadline.unwrap_or(None),
                    given: flags.given(),
                    is_stale,
                    ..Content::default()
                };
                cache.put(key, content);
                // Without its value it is the same item, unless it is told to be another.
                if let Some(emptied) = cache.marks(key).filter(|_| !is_stale)
                    && flags.given().is_none()
                {
                    emptied.cas = item.cas;
                }
            }
        }
        if flags.has('q') {
            Vec::new()
        } else {
            self.status("HD")
        }
    }

    fn count(&self, cache: &mut Cache) -> Reply {
        let (key, flags) = (self.key(), self.flags());
        let Some(item) = cache.get(key).cloned() else {
            if flags.vivify().is_none() {
                return self.status("NF");
            }
            let number = flags.initial();
            let content = Content {
                value: number.to_string().into_bytes(),
                deadline: flags.deadline(cache, None, true),
                given: flags.given(),
                ..Content::default()
            };
            cache.put(key, content);
            return self.tell_count(cache, number, None, true);
        };
        if item.value.is_empty() {
            return line(NON_NUMERIC);
        }
        let sent = self.compared(cache).filter(|sent| *sent != 0);
        if sent.is_some_and(|sent| cache.compare(sent, item.cas).is_ne()) {
            return self.status("EX");
        }
        let Some(number) = cache::unsigned(&item.value) else {
            return line(NON_NUMERIC);
        };
        let number = cache::count(number, flags.delta(), flags.is_down());
        let deadline = flags.deadline(cache, item.deadline, false);
        cache.recount(key, number, deadline, flags.given());
        if flags.has('q') {
            Vec::new()
        } else {
            self.tell_count(cache, number, item.deadline, false)
        }
    }

    fn tell_count(
        &self,
        cache: &Cache,
        number: u64,
        mut deadline: Option<u64>,
        is_new: bool,
    ) -> Reply {
        let digits = number.to_string();
        let shown = self.flags().has('v').then_some(digits.as_bytes());
        let word = if shown.is_some() { "VA" } else { "HD" };
        self.tell(word, shown, |flag| match flag {
            Flag::Touch(ttl) => {
                deadline = cache.deadline(ttl);
                None
            }
            Flag::Vivify(ttl) if is_new => {
                deadline = cache.deadline(ttl);
                None
            }
            Flag::Ttl => Some(left(cache, deadline)),
            Flag::Cas => Some(match cache.get(self.key()) {
                Some(item) => Piece::Cas(item.cas),
                None => Piece::Number,
            }),
            _ => None,
        })
    }
}

/// Puts marks at the end of the line, which is in front of the value.
fn insert_marks(reply: &mut Reply, has_value: bool, marks: &str) {
    let end = reply.len() - 1 - usize::from(has_value);
    reply.insert(end, text(marks));
}

/// What is left of a time to live.
fn left(cache: &Cache, deadline: Option<u64>) -> Piece {
    match deadline {
        None => text("-1"),
        Some(deadline) => Piece::Seconds(deadline.saturating_sub(cache.now()).div_ceil(1_000)),
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0;
        for place in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(place).copied().unwrap_or(0));
        }
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { digit } else { b'=' });
        }
    }
    text
}
