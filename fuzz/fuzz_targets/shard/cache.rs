//! The cache as it should be: a map, and a note of what changed.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::words::{Guess, ITEM_BYTES_MAX, Key, Ttl};

/// What memcached's header takes of the item limit.
const ITEM_OVERHEAD_BYTES: usize = 59;

/// ringfort counts in no longer values. (memcached does up to half a megabyte, all of it blanks.)
const NUMBER_BYTES_MAX: usize = 1024;

/// A CAS id that no entry gets, and more than any has.
const CAS_NOBODYS: u64 = u64::MAX - 1;

/// A CAS id as the model knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cas {
    /// That of the n-th value that was stored; its number is ringfort's to choose.
    Nth(u64),
    /// A client has chosen it.
    Given(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) value: Vec<u8>,
    pub(crate) flags: u32,
    /// Unix milliseconds.
    pub(crate) deadline: Option<u64>,
    pub(crate) cas: Cas,
    pub(crate) is_stale: bool,
    pub(crate) is_won: bool,
    /// Whether it was read since it was stored; none if only memcached's words say so, and what
    /// touched it is not in them.
    pub(crate) fetched: Option<bool>,
    /// When it was read or stored last: not before the first and not after the second, in Unix
    /// milliseconds.
    pub(crate) used: [u64; 2],
}

/// What is to be stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) value: Vec<u8>,
    pub(crate) flags: u32,
    pub(crate) deadline: Option<u64>,
    /// The CAS id, if a client chooses it.
    pub(crate) given: Option<u64>,
    pub(crate) is_stale: bool,
    pub(crate) is_won: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Stored,
    /// It was over already; what was there is gone.
    Over,
    /// So is what was there.
    TooLarge,
}

/// What watchers and those who keep copies are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Sure(Key),
    /// Nothing that a reader sees has changed; to tell it anyway is no mistake.
    Maybe(Key),
    /// Its time has come. It may be told later.
    Expired(Key),
    /// It went with everything else.
    Flushed(Key),
    Flush,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    items: HashMap<Key, Item>,
    stored_count: u64,
    now: u64,
    /// The numbers of the CAS ids that were shown, by [`Cas::Nth`].
    pub(crate) shown: HashMap<u64, u64>,
    changes: Vec<Change>,
}

impl Cache {
    pub(crate) fn set_now(&mut self, now_ms: u64) {
        self.now = now_ms;
        let changes = &mut self.changes;
        self.items.retain(|key, item| {
            let is_alive = item.deadline.is_none_or(|deadline| deadline > now_ms);
            if !is_alive {
                changes.push(Change::Expired(*key));
            }
            is_alive
        });
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// What has changed since this was asked last.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Item> {
        self.items.get(&key)
    }

    pub(crate) fn has(&self, key: Key) -> bool {
        self.items.contains_key(&key)
    }

    /// The item to be marked; values are changed by [`Self::put`].
    pub(crate) fn marks(&mut self, key: Key) -> Option<&mut Item> {
        self.items.get_mut(&key)
    }

    /// A client has read it.
    pub(crate) fn note_fetched(&mut self, key: Key) {
        let now = self.now;
        if let Some(item) = self.items.get_mut(&key) {
            item.fetched = Some(true);
            item.used = [now; 2];
        }
    }

    /// A client has used it in a way that memcached does not know.
    pub(crate) fn note_used(&mut self, key: Key) {
        let now = self.now;
        if let Some(item) = self.items.get_mut(&key) {
            item.fetched = item.fetched.filter(|fetched| *fetched);
            item.used[1] = now;
        }
    }

    pub(crate) fn deadline(&self, ttl: Ttl) -> Option<u64> {
        match ttl {
            Ttl::None => None,
            Ttl::Past => Some(0),
            _ => Some(self.now + 1_000 * ttl.seconds().unsigned_abs()),
        }
    }

    /// Whether a time is over.
    pub(crate) fn is_past(&self, deadline: Option<u64>) -> bool {
        deadline.is_some_and(|deadline| deadline <= self.now)
    }

    pub(crate) fn fits(key: Key, value_bytes: usize) -> bool {
        key.bytes().len() + value_bytes + ITEM_OVERHEAD_BYTES <= ITEM_BYTES_MAX
    }

    pub(crate) fn put(&mut self, key: Key, content: Content) -> Put {
        self.stored_count += 1;
        if !Self::fits(key, content.value.len()) {
            self.remove(key);
            return Put::TooLarge;
        }
        if self.is_past(content.deadline) {
            if !self.remove(key) {
                self.changes.push(Change::Maybe(key));
            }
            return Put::Over;
        }
        let item = Item {
            value: content.value,
            flags: content.flags,
            deadline: content.deadline,
            cas: content
                .given
                .map_or(Cas::Nth(self.stored_count), Cas::Given),
            is_stale: content.is_stale,
            is_won: content.is_won,
            fetched: Some(false),
            used: [self.now; 2],
        };
        self.items.insert(key, item);
        self.changes.push(Change::Sure(key));
        Put::Stored
    }

    /// Another value, with the flags and the deadline that are there.
    pub(crate) fn put_instead(&mut self, key: Key, value: Vec<u8>) -> Put {
        let content = Content {
            value,
            ..self.kept(key)
        };
        self.put(key, content)
    }

    /// The flags and the deadline that are there, without the value.
    pub(crate) fn kept(&self, key: Key) -> Content {
        self.get(key).map_or_else(Content::default, |item| Content {
            flags: item.flags,
            deadline: item.deadline,
            ..Content::default()
        })
    }

    /// Whether there was something.
    pub(crate) fn remove(&mut self, key: Key) -> bool {
        let was_there = self.items.remove(&key).is_some();
        if was_there {
            self.changes.push(Change::Sure(key));
        }
        was_there
    }

    /// Whether there is something to have another deadline.
    pub(crate) fn retime(&mut self, key: Key, deadline: Option<u64>) -> bool {
        let is_past = self.is_past(deadline);
        let Some(item) = self.items.get_mut(&key) else {
            return false;
        };
        if is_past {
            return self.remove(key);
        }
        self.changes.push(match item.deadline == deadline {
            true => Change::Maybe(key),
            false => Change::Sure(key),
        });
        item.deadline = deadline;
        true
    }

    /// The same value under another CAS id, and outdated.
    pub(crate) fn outdate(&mut self, key: Key, deadline: Option<u64>, given: Option<u64>) {
        self.stored_count += 1;
        if self.is_past(deadline) {
            self.remove(key);
        }
        let Some(item) = self.items.get_mut(&key) else {
            return;
        };
        item.deadline = deadline;
        item.cas = given.map_or(Cas::Nth(self.stored_count), Cas::Given);
        item.is_stale = true;
        item.is_won = false;
        self.changes.push(Change::Maybe(key));
    }

    pub(crate) fn flush(&mut self) {
        let keys = self.items.drain().map(|(key, _)| Change::Flushed(key));
        self.changes.extend(keys);
        self.changes.push(Change::Flush);
    }

    /// The number to send for a guess at a key's CAS id.
    pub(crate) fn guess(&self, key: Key, guess: Guess) -> u64 {
        let known = self.get(key).and_then(|item| self.number(item.cas));
        match guess {
            Guess::Right => known.unwrap_or(CAS_NOBODYS),
            Guess::Older => known
                .filter(|cas| *cas > 1)
                .map_or(CAS_NOBODYS, |cas| cas - 1),
            Guess::Newer => CAS_NOBODYS,
            Guess::Zero => 0,
        }
    }

    /// How a number that was sent compares with a CAS id. One whose number was never shown is less
    /// than what is sent for it.
    pub(crate) fn compare(&self, sent: u64, cas: Cas) -> Ordering {
        match self.number(cas) {
            Some(number) => sent.cmp(&number),
            None if sent == 0 => Ordering::Less,
            None => Ordering::Greater,
        }
    }

    fn number(&self, cas: Cas) -> Option<u64> {
        match cas {
            Cas::Given(number) => Some(number),
            Cas::Nth(nth) => self.shown.get(&nth).copied(),
        }
    }
}

/// memcached's number: what C's `strtoull` reads up to a blank or a NUL. It takes a minus, and
/// memcached refuses that only where the result would look negative.
pub(crate) fn unsigned(value: &[u8]) -> Option<u64> {
    if value.len() > NUMBER_BYTES_MAX {
        return None;
    }
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

/// memcached's `incr` and `decr`.
pub(crate) fn count(number: u64, delta: u64, down: bool) -> u64 {
    if down {
        number.saturating_sub(delta)
    } else {
        number.wrapping_add(delta)
    }
}

impl Cache {
    /// Puts a number where another was. One that is no longer takes its place, filled up with
    /// blanks, and the marks stay: memcached writes it there.
    pub(crate) fn recount(
        &mut self,
        key: Key,
        number: u64,
        deadline: Option<u64>,
        given: Option<u64>,
    ) {
        let Some(there) = self.get(key).cloned() else {
            return;
        };
        let mut digits = number.to_string().into_bytes();
        let is_in_place = digits.len() <= there.value.len();
        digits.resize(digits.len().max(there.value.len()), b' ');
        let content = Content {
            value: digits,
            flags: there.flags,
            deadline,
            given,
            is_stale: is_in_place && there.is_stale,
            is_won: is_in_place && there.is_won,
        };
        self.put(key, content);
        if let Some(item) = self.items.get_mut(&key).filter(|_| is_in_place) {
            item.fetched = there.fetched;
        }
    }
}
