//! Reading meta commands: the words behind the verb.
//!
//! Errors are those of memcached 1.6.18, in its order of precedence, with these exceptions:
//! - The data block of a refused `ms` whose length is readable is swallowed, as later memcached
//!   releases do, so that nobody's data is run as commands.
//! - An opaque that is too long is refused before anything is done; 1.6.18 notices once `ma` has
//!   counted or `mg` has touched.
//! - `E` and `x`, which came later, are flags.

use super::{
    super::{
        parse::{Command, LENGTH_MAX, Outcome, incomplete},
        reply::{BAD_DATA_CHUNK, BAD_FORMAT, ERROR, TOO_LARGE},
        request::{KEY_BYTES_MAX, Request, Words},
    },
    Flag, Flags, KeyText, MetaRequest, MetaVerb,
    flags::Letters,
    reply,
};
use crate::protocol::number;

/// Most words of a meta command: memcached counts 20 with one that ends the list.
const WORDS_MAX: usize = 19;
/// Longest opaque with its letter, in bytes.
const OPAQUE_BYTES_MAX: usize = 32;
/// The first byte that memcached has no flag for, and calls one seen before.
const LETTERS_END: u8 = 127;
const CRLF: &[u8] = b"\r\n";

impl<'b> Command<'b, '_> {
    /// A meta command, which ends with its line.
    pub(in super::super) fn meta(&self, verb: MetaVerb, mut words: Words<'b>) -> Outcome<'b> {
        let Some(key) = words.next() else {
            return self.refuse(ERROR);
        };
        if key.len() > KEY_BYTES_MAX {
            return self.refuse(BAD_FORMAT);
        }
        if has_too_many_words(&words, 2) {
            return self.refuse(match verb {
                MetaVerb::Get => reply::FLAGS_ARE_TOO_LONG,
                _ => reply::FLAGS_TOO_LONG,
            });
        }
        match read_flags(verb, key, words.rest()) {
            Err(line) => self.refuse(line),
            Ok((key, flags)) => self.complete(Request::Meta(MetaRequest {
                verb,
                key,
                flags,
                value: b"",
            })),
        }
    }

    /// `ms`, which has a data block.
    pub(in super::super) fn meta_set(&self, mut words: Words<'b>) -> Outcome<'b> {
        let Some(key) = words.next() else {
            return self.refuse(ERROR);
        };
        let length = words.next();
        let line = if key.len() > KEY_BYTES_MAX || length.is_none() {
            Some(BAD_FORMAT)
        } else if has_too_many_words(&words, 3) {
            Some(reply::FLAGS_TOO_LONG)
        } else {
            None
        };
        let length = length.and_then(number::c_signed);
        let Some(length) = length.filter(|length| (0..=LENGTH_MAX).contains(length)) else {
            return self.refuse(line.unwrap_or(BAD_FORMAT));
        };
        // Fits: at most LENGTH_MAX.
        let length = length as usize;
        let block = length + CRLF.len();
        let read = match line {
            Some(line) => Err(line),
            None => read_flags(MetaVerb::Set, key, words.rest()),
        };
        let (key, flags) = match read {
            Err(line) => return self.refuse_block(false, line, block, None),
            Ok(read) => read,
        };
        if length > self.limits.value_bytes_max {
            return self.refuse_block(false, TOO_LARGE, block, Some(key));
        }
        let end = self.consumed + block;
        let Some(block) = self.input.get(self.consumed..end) else {
            return incomplete(end);
        };
        let whole = self.consuming(end);
        match block.strip_suffix(CRLF) {
            None => whole.refuse(BAD_DATA_CHUNK),
            Some(value) => whole.complete(Request::Meta(MetaRequest {
                verb: MetaVerb::Set,
                key,
                flags,
                value,
            })),
        }
    }

    /// `me`, which knows of flags only that one `b` right behind the key.
    pub(in super::super) fn meta_debug(&self, mut words: Words<'b>) -> Outcome<'b> {
        let key = match (words.next(), words.next()) {
            (Some(key), _) if key.len() > KEY_BYTES_MAX => None,
            (Some(key), Some(b"b")) => KeyText::base64(key),
            (key, _) => key.map(KeyText::plain),
        };
        match key {
            None => self.refuse(BAD_FORMAT),
            Some(key) => self.complete(Request::Meta(MetaRequest {
                verb: MetaVerb::Debug,
                key,
                flags: Flags::default(),
                value: b"",
            })),
        }
    }
}

/// Whether there are more words than memcached takes, after so many.
fn has_too_many_words(words: &Words<'_>, taken: usize) -> bool {
    Words::new(words.rest()).nth(WORDS_MAX - taken).is_some()
}

/// The key and flags of a command, or the line that says what is wrong with them.
fn read_flags<'b>(
    verb: MetaVerb,
    key: &'b [u8],
    text: &'b [u8],
) -> Result<(KeyText<'b>, Flags<'b>), &'static [u8]> {
    let (key, flags) = check_flags(key, text).map_err(|line| match verb {
        MetaVerb::Delete | MetaVerb::Arithmetic => reply::INVALID_OR_DUPLICATE_FLAG,
        _ => line,
    })?;
    let mode = flags.token(b'M');
    match (verb, mode) {
        (_, None)
        | (MetaVerb::Get | MetaVerb::Delete | MetaVerb::Debug, _)
        | (MetaVerb::Set, Some(b"E" | b"A" | b"P" | b"R" | b"S"))
        | (MetaVerb::Arithmetic, Some(b"I" | b"+" | b"D" | b"-")) => {}
        (MetaVerb::Set, _) => return Err(reply::MODE_OF_SET),
        (MetaVerb::Arithmetic, _) => return Err(reply::MODE_OF_ARITHMETIC),
    }
    match flags.token(b'O') {
        Some(opaque) if opaque.len() >= OPAQUE_BYTES_MAX => Err(reply::OPAQUE_TOO_LONG),
        _ => Ok((key, flags)),
    }
}

/// The same for what all commands have in common. A flag that is none, or comes twice, is told at
/// once; of other mistakes, the last.
fn check_flags<'b>(
    key: &'b [u8],
    text: &'b [u8],
) -> Result<(KeyText<'b>, Flags<'b>), &'static [u8]> {
    let mut seen = Letters::default();
    let mut key_text = KeyText::plain(key);
    let mut mistake = None;
    for Flag { letter, token } in Words::new(text).filter_map(Flag::of_word) {
        if letter >= LETTERS_END || (letter.is_ascii_alphabetic() && seen.has(letter)) {
            return Err(reply::DUPLICATE_FLAG);
        }
        let line = match letter {
            b'b' => match KeyText::base64(key) {
                Some(key) => {
                    key_text = key;
                    None
                }
                None => Some(reply::KEY_UNDECODABLE),
            },
            b'T' | b'N' | b'R' => unless(number::c_signed(token).is_some(), reply::BAD_TOKEN),
            b'C' | b'E' => unless(number::c_unsigned(token).is_some(), reply::BAD_TOKEN),
            b'J' => unless(number::c_unsigned(token).is_some(), reply::BAD_INITIAL),
            b'D' => unless(number::c_unsigned(token).is_some(), reply::BAD_DELTA),
            b'M' => unless(token.len() == 1, reply::MODE_LENGTH),
            // memcached has no words for this mistake: it leaves the last one's, or what it began
            // with.
            b'F' => unless(is_client_flags(token), mistake.unwrap_or(BAD_FORMAT)),
            b'O' | b'P' | b'L' | b'I' | b'k' | b's' | b't' | b'c' | b'f' | b'v' | b'l' | b'h'
            | b'u' | b'q' | b'x' => None,
            _ => return Err(reply::INVALID_FLAG),
        };
        mistake = line.or(mistake);
        seen = seen.with(letter);
    }
    match mistake {
        Some(line) => Err(line),
        None => Ok((key_text, Flags::new(text, seen))),
    }
}

fn unless(is_good: bool, line: &'static [u8]) -> Option<&'static [u8]> {
    (!is_good).then_some(line)
}

fn is_client_flags(token: &[u8]) -> bool {
    number::c_unsigned(token).is_some_and(|flags| u32::try_from(flags).is_ok())
}
