//! Reading requests.
//!
//! Two tiers. `get <key>\r\n` and a plain `set`, most of all traffic, are taken in one pass over
//! their bytes. Everything else goes line first: find the newline, split into words, look at the
//! verb.
//!
//! Errors are those of memcached 1.6.18, with these exceptions, all of which keep the stream in
//! step where that version loses it or corrupts the entry:
//! - A store whose key, flags, exptime or cas is bad but whose length is readable has its data
//!   block swallowed, as later memcached releases do. Otherwise the block, which may be anybody's
//!   text, would be run as commands.
//! - Flags over 32 bits and lengths over 31 bits are refused, not cut.

use memchr::memchr;

use super::meta::{KeyText, MetaVerb};
use super::plain::{SetLine, plain_get, set_line};
use super::reply;
use super::request::{
    Direction, Exptime, KEY_BYTES_MAX, Keys, Limits, Refusal, Request, StoreVerb, Words,
};
use crate::protocol::{Parsed, number};

/// Longest command line that is not a `get` or `gets`, in bytes; memcached hangs up when it holds
/// more than this without a newline.
pub(super) const LINE_BYTES_MAX: usize = 2048;
/// How many spaces before `get ` memcached looks past when it decides whether a long line may go
/// on.
const LEADING_SPACES_MAX: usize = 100;
/// memcached splits at most this many words from a line in one go, which shows in where it looks
/// for `HTTP/`.
const WORDS_MAX: usize = 23;
/// memcached counts a block and its CRLF in an `int`.
pub(super) const LENGTH_MAX: i64 = i32::MAX as i64 - CRLF.len() as i64;
const CRLF: &[u8] = b"\r\n";

pub(super) type Outcome<'b> = Parsed<Request<'b>, Refusal<'b>>;

/// Reads one request from the start of `input`.
#[inline]
pub fn parse<'b>(input: &'b [u8], limits: &Limits) -> Outcome<'b> {
    if let Some((key, consumed)) = plain_get(input) {
        let request = Request::Retrieve {
            keys: Keys::one(key),
            cas: false,
            touch: None,
        };
        return Parsed::Complete { request, consumed };
    }
    parse_set(input, limits).unwrap_or_else(|| parse_line(input, limits))
}

/// A plain `set`; else `None`.
#[inline]
fn parse_set<'b>(input: &'b [u8], limits: &Limits) -> Option<Outcome<'b>> {
    let SetLine { set, start, length } = set_line(input)?;
    if length > limits.value_bytes_max {
        return None;
    }
    let end = start + length + CRLF.len();
    let Some(block) = input.get(start..end) else {
        return Some(incomplete(end));
    };
    let request = Request::Store {
        verb: StoreVerb::Set,
        key: set.key,
        flags: set.flags,
        exptime: set.exptime,
        value: block.strip_suffix(CRLF)?,
        noreply: false,
    };
    Some(Parsed::Complete {
        request,
        consumed: end,
    })
}

/// Finds the command line's end and reads the line.
fn parse_line<'b>(input: &'b [u8], limits: &Limits) -> Outcome<'b> {
    let window = &input[..input.len().min(LINE_BYTES_MAX + 1)];
    let newline = match memchr(b'\n', window) {
        Some(newline) => newline,
        None if input.len() <= LINE_BYTES_MAX => return incomplete(input.len() + 1),
        None if !is_retrieval(input) => return hang_up(input.len()),
        None => {
            let bytes_max = limits.line_bytes_max.max(LINE_BYTES_MAX);
            let window = &input[..input.len().min(bytes_max.saturating_add(1))];
            match memchr(b'\n', &window[LINE_BYTES_MAX..]) {
                Some(newline) => newline + LINE_BYTES_MAX,
                None if input.len() > bytes_max => return hang_up(input.len()),
                None => return incomplete(input.len() + 1),
            }
        }
    };
    // A line that is nothing but "\r\n" keeps its "\r" in memcached: too short a word, and so an
    // error either way.
    let line = input[..newline]
        .strip_suffix(b"\r")
        .unwrap_or(&input[..newline]);
    Command {
        input,
        limits,
        consumed: newline + 1,
    }
    .read(line)
}

/// Whether an endless line may be a long multiget.
fn is_retrieval(input: &[u8]) -> bool {
    let spaces = input.iter().take_while(|&&byte| byte == b' ').count();
    let rest = &input[spaces..];
    spaces <= LEADING_SPACES_MAX && (rest.starts_with(b"get ") || rest.starts_with(b"gets "))
}

/// A request whose command line is whole.
pub(super) struct Command<'b, 'l> {
    /// All there is, from the start of the line.
    pub(super) input: &'b [u8],
    pub(super) limits: &'l Limits,
    /// The line's bytes with its end.
    pub(super) consumed: usize,
}

impl<'b> Command<'b, '_> {
    fn read(&self, line: &'b [u8]) -> Outcome<'b> {
        let mut words = Words::new(line);
        let Some(verb) = words.next() else {
            return self.refuse(reply::ERROR);
        };
        match verb {
            b"get" | b"bget" => self.retrieve(words, false, false),
            b"gets" => self.retrieve(words, true, false),
            b"gat" => self.retrieve(words, false, true),
            b"gats" => self.retrieve(words, true, true),
            b"set" => self.store(StoreVerb::Set, words),
            b"add" => self.store(StoreVerb::Add, words),
            b"replace" => self.store(StoreVerb::Replace, words),
            b"append" => self.store(StoreVerb::Append, words),
            b"prepend" => self.store(StoreVerb::Prepend, words),
            b"cas" => self.store(StoreVerb::Cas(0), words),
            b"delete" => self.delete(words),
            b"incr" => self.arithmetic(Direction::Incr, words),
            b"decr" => self.arithmetic(Direction::Decr, words),
            b"touch" => self.touch(words),
            b"mg" => self.meta(MetaVerb::Get, words),
            b"ms" => self.meta_set(words),
            b"md" => self.meta(MetaVerb::Delete, words),
            b"ma" => self.meta(MetaVerb::Arithmetic, words),
            b"me" => self.meta_debug(words),
            b"mn" => self.complete(Request::MetaNoOp),
            b"quit" => self.complete(Request::Quit),
            _ => self.admin(verb, words),
        }
    }

    fn retrieve(&self, mut words: Words<'b>, cas: bool, touches: bool) -> Outcome<'b> {
        let first = Words::new(words.rest()).next();
        let touch = match first {
            None => return self.refuse(reply::ERROR),
            Some(exptime) if touches => {
                words.next();
                match number::c_signed(exptime) {
                    None => return self.refuse(reply::INVALID_EXPTIME),
                    Some(seconds) => Some(Exptime(seconds)),
                }
            }
            Some(_) => None,
        };
        match Keys::split(words.rest()) {
            None => self.refuse(reply::BAD_FORMAT),
            Some(keys) => self.complete(Request::Retrieve { keys, cas, touch }),
        }
    }

    fn store(&self, verb: StoreVerb, words: Words<'b>) -> Outcome<'b> {
        let cas_words = usize::from(matches!(verb, StoreVerb::Cas(_)));
        let (words, count) = take::<6>(words);
        if count != 4 + cas_words && count != 5 + cas_words {
            return self.refuse(reply::ERROR);
        }
        // memcached looks at the last word whatever it is for, so a `noreply` in place of a number
        // is refused in silence.
        let noreply = words[count - 1] == b"noreply";
        let [key, flags, exptime, length, cas, _] = words;
        let Some(length) = number::c_signed(length).filter(|n| (0..=LENGTH_MAX).contains(n)) else {
            return self.refuse_unless(noreply, reply::BAD_FORMAT);
        };
        // Fits: at most LENGTH_MAX.
        let block = length as usize + CRLF.len();
        let bad = |reply| self.refuse_block(noreply, reply, block, None);
        let flags = number::c_unsigned(flags).and_then(|flags| u32::try_from(flags).ok());
        let (Some(flags), Some(exptime)) = (flags, number::c_signed(exptime)) else {
            return bad(reply::BAD_FORMAT);
        };
        if key.len() > KEY_BYTES_MAX {
            return bad(reply::BAD_FORMAT);
        }
        let verb = match (verb, number::c_unsigned(cas)) {
            (StoreVerb::Cas(_), Some(id)) => StoreVerb::Cas(id),
            (StoreVerb::Cas(_), None) => return bad(reply::BAD_FORMAT),
            _ => verb,
        };
        if block - CRLF.len() > self.limits.value_bytes_max {
            let unlink = (verb == StoreVerb::Set).then_some(KeyText::plain(key));
            return self.refuse_block(noreply, reply::TOO_LARGE, block, unlink);
        }
        let end = self.consumed + block;
        let Some(block) = self.input.get(self.consumed..end) else {
            return incomplete(end);
        };
        // Exactly the announced bytes are taken; what follows them is read as a command.
        let Some(value) = block.strip_suffix(CRLF) else {
            let whole = self.consuming(end);
            return whole.refuse_unless(noreply, reply::BAD_DATA_CHUNK);
        };
        let exptime = Exptime(exptime);
        let request = Request::Store {
            verb,
            key,
            flags,
            exptime,
            value,
            noreply,
        };
        Parsed::Complete {
            request,
            consumed: end,
        }
    }

    fn delete(&self, words: Words<'b>) -> Outcome<'b> {
        let (words, count) = take::<3>(words);
        let [key, ..] = words;
        // "0" was once a time to keep the key away; clients still send it.
        let (valid, noreply) = match &words[..count.min(words.len())] {
            _ if count > words.len() => return self.refuse(reply::ERROR),
            [] => return self.refuse(reply::ERROR),
            [_] | [_, b"0"] => (true, false),
            [_, b"noreply"] | [_, b"0", b"noreply"] => (true, true),
            [.., last] => (false, *last == b"noreply"),
        };
        if !valid {
            return self.refuse_unless(noreply, reply::DELETE_USAGE);
        }
        if key.len() > KEY_BYTES_MAX {
            return self.refuse_unless(noreply, reply::BAD_FORMAT);
        }
        self.complete(Request::Delete { key, noreply })
    }

    fn arithmetic(&self, direction: Direction, words: Words<'b>) -> Outcome<'b> {
        let (words, count) = take::<3>(words);
        if count != 2 && count != 3 {
            return self.refuse(reply::ERROR);
        }
        let noreply = words[count - 1] == b"noreply";
        let [key, delta, _] = words;
        if key.len() > KEY_BYTES_MAX {
            return self.refuse_unless(noreply, reply::BAD_FORMAT);
        }
        match number::c_unsigned(delta) {
            None => self.refuse_unless(noreply, reply::INVALID_DELTA),
            Some(delta) => self.complete(Request::Arithmetic {
                key,
                direction,
                delta,
                noreply,
            }),
        }
    }

    fn touch(&self, words: Words<'b>) -> Outcome<'b> {
        let (words, count) = take::<3>(words);
        if count != 2 && count != 3 {
            return self.refuse(reply::ERROR);
        }
        let noreply = words[count - 1] == b"noreply";
        let [key, exptime, _] = words;
        if key.len() > KEY_BYTES_MAX {
            return self.refuse_unless(noreply, reply::BAD_FORMAT);
        }
        match number::c_signed(exptime) {
            None => self.refuse_unless(noreply, reply::INVALID_EXPTIME),
            Some(exptime) => self.complete(Request::Touch {
                key,
                exptime: Exptime(exptime),
                noreply,
            }),
        }
    }

    /// `ERROR`, unless it looks like a browser: then not a word, and the connection closes.
    pub(super) fn unknown(&self, verb: &[u8], words: Words<'b>) -> Outcome<'b> {
        let last = words.take(WORDS_MAX - 1).last().unwrap_or(verb);
        let dispatched = matches!(verb, [b'g' | b's' | b'a' | b'c' | b'i' | b'd' | b't', ..]);
        let meta = matches!(verb, [b'm', _]);
        if last.starts_with(b"HTTP/") && verb.len() > 1 && !dispatched && !meta {
            return hang_up(self.consumed);
        }
        self.refuse(reply::ERROR)
    }

    /// The same request with so many bytes in all.
    pub(super) const fn consuming(&self, consumed: usize) -> Self {
        Self { consumed, ..*self }
    }

    pub(super) fn complete(&self, request: Request<'b>) -> Outcome<'b> {
        Parsed::Complete {
            request,
            consumed: self.consumed,
        }
    }

    pub(super) fn refuse(&self, reply: &'static [u8]) -> Outcome<'b> {
        self.refuse_unless(false, reply)
    }

    /// Refuses; in silence if the request asked for it.
    pub(super) fn refuse_unless(&self, silent: bool, reply: &'static [u8]) -> Outcome<'b> {
        self.refuse_block(silent, reply, 0, None)
    }

    /// Refuses, and has the data block of `swallow` bytes thrown away.
    pub(super) fn refuse_block(
        &self,
        silent: bool,
        reply: &'static [u8],
        swallow: usize,
        unlink: Option<KeyText<'b>>,
    ) -> Outcome<'b> {
        let refusal = Refusal {
            reply: if silent { b"" } else { reply },
            swallow,
            close: false,
            is_too_large: reply == reply::TOO_LARGE,
            unlink,
        };
        Parsed::Refused {
            refusal,
            consumed: self.consumed,
        }
    }
}

/// The next `N` words, and how many words there are in all, counted to `N + 1` at most.
#[inline]
pub(super) fn take<const N: usize>(mut words: Words<'_>) -> ([&[u8]; N], usize) {
    let mut taken = [[].as_slice(); N];
    let mut count = 0;
    for word in words.by_ref() {
        if count == N {
            return (taken, N + 1);
        }
        taken[count] = word;
        count += 1;
    }
    (taken, count)
}

pub(super) const fn incomplete<'b>(want: usize) -> Outcome<'b> {
    Parsed::Incomplete { want }
}

/// Closes without a word.
const fn hang_up<'b>(consumed: usize) -> Outcome<'b> {
    let refusal = Refusal {
        reply: b"",
        swallow: 0,
        close: true,
        is_too_large: false,
        unlink: None,
    };
    Parsed::Refused { refusal, consumed }
}
