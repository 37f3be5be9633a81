//! memcached's binary protocol: on the wire, and what its commands should come to.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::cache::{self, Cache, Content};
use crate::reply::{Piece, Reply, text};
use crate::text::join;
use crate::words::{Guess, Key, Ttl, Value, Verb};

/// An expiry that says: make nothing.
const NOT_TO_BE_MADE: u32 = u32::MAX;

#[derive(Arbitrary, Debug, Clone)]
pub(crate) struct Binary {
    command: Command,
    opaque: u32,
    is_quiet: bool,
}

#[derive(Arbitrary, Debug, Clone)]
enum Command {
    Get {
        key: Key,
        shows_key: bool,
    },
    Touch {
        key: Key,
        ttl: Ttl,
    },
    GetAndTouch {
        key: Key,
        ttl: Ttl,
        shows_key: bool,
    },
    Store {
        verb: Verb,
        key: Key,
        flags: u32,
        ttl: Ttl,
        value: Value,
        guess: Option<Guess>,
    },
    Delete {
        key: Key,
        guess: Option<Guess>,
    },
    Count {
        key: Key,
        down: bool,
        delta: u64,
        initial: Option<u64>,
        ttl: Ttl,
        guess: Option<Guess>,
    },
    NoOp,
    Flush,
}

/// What went wrong: its number, and the words for it.
type Status = (u16, &'static str);

const NOT_FOUND: Status = (0x01, "Not found");
const EXISTS: Status = (0x02, "Data exists for key.");
const TOO_LARGE: Status = (0x03, "Too large.");
const NOT_STORED: Status = (0x05, "Not stored.");
const NON_NUMERIC: Status = (0x06, "Non-numeric server-side value for incr or decr");

impl Binary {
    /// The request, before it is answered.
    pub(crate) fn wire(&self, cache: &Cache) -> Vec<u8> {
        let (extras, value) = match &self.command {
            Command::Touch { ttl, .. } | Command::GetAndTouch { ttl, .. } => {
                (ttl.unsigned().to_be_bytes().to_vec(), Vec::new())
            }
            Command::Store { verb, value, .. } if verb.joins() => (Vec::new(), value.bytes()),
            Command::Store {
                flags, ttl, value, ..
            } => {
                let extras = [flags.to_be_bytes(), ttl.unsigned().to_be_bytes()].concat();
                (extras, value.bytes())
            }
            Command::Count {
                delta,
                initial,
                ttl,
                ..
            } => {
                let exptime = initial.map_or(NOT_TO_BE_MADE, |_| ttl.unsigned());
                let numbers = [delta.to_be_bytes(), initial.unwrap_or(0).to_be_bytes()].concat();
                ([&numbers[..], &exptime.to_be_bytes()].concat(), Vec::new())
            }
            _ => (Vec::new(), Vec::new()),
        };
        let key = self.key().map_or(&b""[..], Key::bytes);
        let cas = self.compared(cache).to_be_bytes();
        let header = self.header(0x80, (key, &extras, &value), 0);
        [&header[..], &cas, &extras, key, &value].concat()
    }

    /// All of a header but the CAS id at its end. The status stands where a request has its vbucket.
    fn header(&self, magic: u8, body: (&[u8], &[u8], &[u8]), status: u16) -> Vec<u8> {
        let (key, extras, value) = body;
        let mut header = vec![magic, self.opcode()];
        header.extend((key.len() as u16).to_be_bytes());
        header.extend([extras.len() as u8, 0]);
        header.extend(status.to_be_bytes());
        header.extend(((key.len() + extras.len() + value.len()) as u32).to_be_bytes());
        header.extend(self.opaque.to_be_bytes());
        header
    }

    fn opcode(&self) -> u8 {
        let (loud, quiet) = match &self.command {
            Command::Get {
                shows_key: false, ..
            } => (0x00, 0x09),
            Command::Get { .. } => (0x0c, 0x0d),
            Command::Touch { .. } => (0x1c, 0x1c),
            Command::GetAndTouch {
                shows_key: false, ..
            } => (0x1d, 0x1e),
            Command::GetAndTouch { .. } => (0x23, 0x24),
            Command::Store { verb, .. } => match verb {
                Verb::Set => (0x01, 0x11),
                Verb::Add => (0x02, 0x12),
                Verb::Replace => (0x03, 0x13),
                Verb::Append => (0x0e, 0x19),
                Verb::Prepend => (0x0f, 0x1a),
            },
            Command::Delete { .. } => (0x04, 0x14),
            Command::Count { down: false, .. } => (0x05, 0x15),
            Command::Count { .. } => (0x06, 0x16),
            Command::NoOp => (0x0a, 0x0a),
            Command::Flush => (0x08, 0x18),
        };
        if self.is_quiet { quiet } else { loud }
    }

    fn is_quiet(&self) -> bool {
        self.is_quiet && !matches!(self.command, Command::NoOp | Command::Touch { .. })
    }

    fn key(&self) -> Option<Key> {
        match self.command {
            Command::Get { key, .. }
            | Command::Touch { key, .. }
            | Command::GetAndTouch { key, .. }
            | Command::Store { key, .. }
            | Command::Delete { key, .. }
            | Command::Count { key, .. } => Some(key),
            Command::NoOp | Command::Flush => None,
        }
    }

    /// The CAS id that is given to be compared; 0 is none.
    fn compared(&self, cache: &Cache) -> u64 {
        match self.command {
            Command::Store { key, guess, .. }
            | Command::Delete { key, guess }
            | Command::Count { key, guess, .. } => guess.map_or(0, |guess| cache.guess(key, guess)),
            _ => 0,
        }
    }

    /// What is to be answered.
    pub(crate) fn answer(&self, cache: &mut Cache) -> Reply {
        let sent = self.compared(cache);
        let changed = match &self.command {
            Command::Get { key, shows_key } => {
                let reply = self.show(cache, *key, *shows_key, true);
                cache.note_fetched(*key);
                return reply;
            }
            Command::Touch { key, ttl } => {
                let reply = self.show(cache, *key, false, false);
                cache.note_fetched(*key);
                cache.retime(*key, cache.deadline(*ttl));
                return reply;
            }
            Command::GetAndTouch {
                key,
                ttl,
                shows_key,
            } => {
                let reply = self.show(cache, *key, *shows_key, true);
                cache.note_fetched(*key);
                cache.retime(*key, cache.deadline(*ttl));
                return reply;
            }
            Command::Count { .. } => match self.count(cache, sent) {
                Ok(number) if self.is_quiet() => Ok(self.nothing(number)),
                Ok(number) => return self.tell_number(cache, number),
                Err(status) => Err(status),
            },
            Command::Store { .. } => self.store(cache, sent),
            Command::Delete { key, .. } => match cache.get(*key) {
                None => Err(NOT_FOUND),
                Some(item) if sent != 0 && cache.compare(sent, item.cas).is_ne() => Err(EXISTS),
                Some(_) => {
                    cache.remove(*key);
                    Ok(Piece::Text(vec![0; 8]))
                }
            },
            Command::NoOp => Ok(Piece::Text(vec![0; 8])),
            Command::Flush => {
                cache.flush();
                Ok(Piece::Text(vec![0; 8]))
            }
        };
        match changed {
            Ok(_) if self.is_quiet() => Vec::new(),
            Ok(cas) => self.frame((b"", b"", b""), 0, cas),
            Err(status) => self.error(status),
        }
    }

    /// A CAS id that nobody is told.
    fn nothing(&self, _: u64) -> Piece {
        Piece::Bits
    }

    fn frame(&self, body: (&[u8], &[u8], &[u8]), status: u16, cas: Piece) -> Reply {
        let (key, extras, value) = body;
        let header = self.header(0x81, body, status);
        vec![text(header), cas, text([extras, key, value].concat())]
    }

    fn error(&self, (status, words): Status) -> Reply {
        self.frame((b"", b"", words.as_bytes()), status, text([0; 8]))
    }

    fn show(&self, cache: &Cache, key: Key, shows_key: bool, shows_value: bool) -> Reply {
        let name = if shows_key { key.bytes() } else { b"" };
        let Some(item) = cache.get(key) else {
            return match (self.is_quiet(), shows_key) {
                (true, _) => Vec::new(),
                (false, true) => self.frame((name, b"", b""), NOT_FOUND.0, text([0; 8])),
                (false, false) => self.error(NOT_FOUND),
            };
        };
        let value = if shows_value { &item.value[..] } else { b"" };
        let flags = item.flags.to_be_bytes();
        self.frame((name, &flags, value), 0, Piece::CasBits(item.cas))
    }

    /// Stores, and what its CAS id is.
    fn store(&self, cache: &mut Cache, sent: u64) -> Result<Piece, Status> {
        let Command::Store {
            verb,
            key,
            flags,
            ttl,
            value,
            ..
        } = &self.command
        else {
            return Err(NOT_STORED);
        };
        let value = value.bytes();
        if !Cache::fits(*key, value.len()) {
            if *verb == Verb::Set {
                cache.remove(*key);
            }
            return Err(TOO_LARGE);
        }
        let there = cache.get(*key);
        let is_another =
            there.is_some_and(|item| sent != 0 && cache.compare(sent, item.cas).is_ne());
        match (verb, there.is_some()) {
            (Verb::Append | Verb::Prepend, false) => return Err(NOT_STORED),
            (_, true) if is_another => return Err(EXISTS),
            (Verb::Add, true) if sent == 0 => return Err(EXISTS),
            (Verb::Replace, false) => return Err(NOT_FOUND),
            (_, false) if sent != 0 => return Err(NOT_FOUND),
            _ => {}
        }
        let content = if verb.joins() {
            let joined = join(cache, *verb, *key, &value);
            if !Cache::fits(*key, joined.len()) {
                return Err(NOT_STORED);
            }
            Content {
                value: joined,
                ..cache.kept(*key)
            }
        } else {
            Content {
                value,
                flags: *flags,
                deadline: cache.deadline(*ttl),
                ..Content::default()
            }
        };
        cache.put(*key, content);
        Ok(cas_of(cache, *key))
    }

    /// Counts, or starts to; the number.
    fn count(&self, cache: &mut Cache, sent: u64) -> Result<u64, Status> {
        let Command::Count {
            key,
            down,
            delta,
            initial,
            ttl,
            ..
        } = self.command
        else {
            return Err(NON_NUMERIC);
        };
        let Some(item) = cache.get(key) else {
            let number = initial.ok_or(NOT_FOUND)?;
            let content = Content {
                value: number.to_string().into_bytes(),
                deadline: cache.deadline(ttl),
                ..Content::default()
            };
            cache.put(key, content);
            return Ok(number);
        };
        if sent != 0 && cache.compare(sent, item.cas).is_ne() {
            return Err(EXISTS);
        }
        let number = cache::unsigned(&item.value).ok_or(NON_NUMERIC)?;
        let number = cache::count(number, delta, down);
        cache.recount(key, number, item.deadline, None);
        Ok(number)
    }

    fn tell_number(&self, cache: &Cache, number: u64) -> Reply {
        let cas = self.key().map_or(Piece::Bits, |key| cas_of(cache, key));
        self.frame((b"", b"", &number.to_be_bytes()), 0, cas)
    }
}

/// The CAS id of what was stored; of what was over at once, some.
fn cas_of(cache: &Cache, key: Key) -> Piece {
    cache
        .get(key)
        .map_or(Piece::Bits, |item| Piece::CasBits(item.cas))
}
