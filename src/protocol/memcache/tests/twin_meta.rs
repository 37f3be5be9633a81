//! The slow twin of the meta commands.

use super::super::meta::{KeyText, MetaVerb};
use super::super::reply::{BAD_DATA_CHUNK, BAD_FORMAT, ERROR};
use super::twin::naive_number;
use super::{LIMITS, refused, too_large};
use crate::protocol::Parsed;
use crate::protocol::testing::Seen;

const FLAGS: &[u8] = b"bNTRlOPLkstcfvhuqxFCEMJDI";

/// `words` are what follows `verb`.
pub(super) fn naive_meta(input: &[u8], consumed: usize, verb: &[u8], words: &[&[u8]]) -> Seen {
    let error = |line| refused(line, consumed, 0, false, None);
    let described = |verb: MetaVerb, is_base64: bool, flags: &[&[u8]], value: &[u8], consumed| {
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| (char::from(flag[0]), &flag[1..]))
            .collect();
        Parsed::Complete {
            request: format!("{:?}", (verb, (words[0], is_base64), flags, value)),
            consumed,
        }
    };
    if verb == b"me" {
        let is_base64 = words.get(1) == Some(&b"b".as_slice());
        return match words.first() {
            Some(key) if key.len() <= 250 && (!is_base64 || is_decodable(key)) => {
                described(MetaVerb::Debug, is_base64, &[], b"", consumed)
            }
            _ => error(BAD_FORMAT),
        };
    }
    let Some((key, rest)) = words.split_first() else {
        return error(ERROR);
    };
    if verb == b"ms" {
        return naive_set(input, consumed, words, described);
    }
    let verb = match verb {
        b"mg" => MetaVerb::Get,
        b"md" => MetaVerb::Delete,
        _ => MetaVerb::Arithmetic,
    };
    if key.len() > 250 {
        return error(BAD_FORMAT);
    }
    if rest.len() > 17 {
        return error(match verb {
            MetaVerb::Get => b"CLIENT_ERROR options flags are too long\r\n",
            _ => b"CLIENT_ERROR options flags too long\r\n",
        });
    }
    match naive_flags(verb, key, rest) {
        Ok(is_base64) => described(verb, is_base64, rest, b"", consumed),
        Err(line) => error(line),
    }
}

fn naive_set(
    input: &[u8],
    consumed: usize,
    words: &[&[u8]],
    described: impl Fn(MetaVerb, bool, &[&[u8]], &[u8], usize) -> Seen,
) -> Seen {
    let length = words.get(1).and_then(|word| naive_number::<usize>(word));
    let length = length.filter(|length| *length <= 2_147_483_645);
    let flags = words.get(2..).unwrap_or_default();
    let read = if words[0].len() > 250 || words.len() < 2 {
        Err(BAD_FORMAT)
    } else if flags.len() > 16 {
        Err(&b"CLIENT_ERROR options flags too long\r\n"[..])
    } else if length.is_none() {
        Err(BAD_FORMAT)
    } else {
        naive_flags(MetaVerb::Set, words[0], flags)
    };
    let block = length.map_or(0, |length| length + 2);
    let is_base64 = match read {
        Ok(is_base64) => is_base64,
        Err(line) => return refused(line, consumed, block, false, None),
    };
    if block - 2 > LIMITS.value_bytes_max {
        let key = if is_base64 {
            KeyText::base64(words[0])
        } else {
            Some(KeyText::plain(words[0]))
        };
        return too_large(false, consumed, block, key);
    }
    let end = consumed + block;
    match input.get(consumed..end) {
        None => Parsed::Incomplete { want: end },
        Some(data) if data.ends_with(b"\r\n") => {
            described(MetaVerb::Set, is_base64, flags, &data[..block - 2], end)
        }
        Some(_) => refused(BAD_DATA_CHUNK, end, 0, false, None),
    }
}

/// Whether the key is base64, or what is wrong.
fn naive_flags(verb: MetaVerb, key: &[u8], flags: &[&[u8]]) -> Result<bool, &'static [u8]> {
    let token = |letter: u8| {
        let flag = flags.iter().find(|flag| flag[0] == letter);
        flag.map(|flag| &flag[1..])
    };
    let mut mistake = None;
    for (at, flag) in flags.iter().enumerate() {
        let (letter, token) = (flag[0], &flag[1..]);
        let line: &[u8] = if letter >= 127 || flags[..at].iter().any(|other| other[0] == letter) {
            b"CLIENT_ERROR duplicate flag\r\n"
        } else if !FLAGS.contains(&letter) {
            b"CLIENT_ERROR invalid flag\r\n"
        } else {
            let is_signed = naive_number::<i64>(token).is_some();
            let is_unsigned = naive_number::<u64>(token).is_some();
            let bad: Option<&[u8]> = match letter {
                b'b' if !is_decodable(key) => Some(b"CLIENT_ERROR error decoding key\r\n"),
                b'T' | b'N' | b'R' if !is_signed => {
                    Some(b"CLIENT_ERROR bad token in command line format\r\n")
                }
                b'C' | b'E' if !is_unsigned => {
                    Some(b"CLIENT_ERROR bad token in command line format\r\n")
                }
                b'J' if !is_unsigned => Some(b"CLIENT_ERROR invalid numeric initial value\r\n"),
                b'D' if !is_unsigned => Some(b"CLIENT_ERROR invalid numeric delta value\r\n"),
                b'M' if token.len() != 1 => Some(b"CLIENT_ERROR incorrect length for M token\r\n"),
                b'F' if naive_number::<u32>(token).is_none() => Some(mistake.unwrap_or(BAD_FORMAT)),
                _ => None,
            };
            mistake = bad.or(mistake);
            continue;
        };
        mistake = Some(line);
        break;
    }
    match (verb, mistake, token(b'M')) {
        (MetaVerb::Delete | MetaVerb::Arithmetic, Some(_), _) => {
            return Err(b"CLIENT_ERROR invalid or duplicate flag\r\n");
        }
        (_, Some(line), _) => return Err(line),
        (MetaVerb::Set, None, Some(mode)) if !b"EAPRS".contains(&mode[0]) => {
            return Err(b"CLIENT_ERROR invalid mode for ms M token\r\n");
        }
        (MetaVerb::Arithmetic, None, Some(mode)) if !b"I+D-".contains(&mode[0]) => {
            return Err(b"CLIENT_ERROR invalid mode for ma M token\r\n");
        }
        _ => {}
    }
    if token(b'O').is_some_and(|opaque| opaque.len() > 31) {
        return Err(b"CLIENT_ERROR opaque token too long\r\n");
    }
    Ok(token(b'b').is_some())
}

/// The twin of what base64 is, by its letters only.
fn is_decodable(key: &[u8]) -> bool {
    let digits: Vec<u8> = key
        .iter()
        .copied()
        .filter(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
        .collect();
    let padded = digits.chunks(4).find(|block| block.contains(&b'='));
    let pads = |block: &[u8]| block.iter().filter(|byte| **byte == b'=').count();
    !digits.is_empty()
        && digits.len().is_multiple_of(4)
        && padded.is_none_or(|block| pads(block) <= 2)
}
