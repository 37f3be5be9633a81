//! Replies as they should be, with gaps for what only ringfort knows.

use std::collections::HashMap;
use std::fmt;

use crate::cache::{Cache, Cas};

/// How far the clock may have gone on between a command and its reply, in seconds.
const SLACK_SECONDS: u64 = 60;

/// A piece of an expected reply.
#[derive(Clone)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    /// A CAS id in digits.
    Cas(Cas),
    /// A CAS id in eight bytes.
    CasBits(Cas),
    /// Some number that is not 0, in digits.
    Number,
    /// Some number that is not 0, in eight bytes.
    Bits,
    /// A number of seconds, or up to [`SLACK_SECONDS`] less.
    Seconds(u64),
    /// A number of seconds from the first to the second, or up to [`SLACK_SECONDS`] more.
    Idle(u64, u64),
    /// 0 or 1.
    Flag,
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(bytes) => write!(f, "{}", shown(bytes)),
            Self::Cas(cas) => write!(f, "<{cas:?}>"),
            Self::CasBits(cas) => write!(f, "<{cas:?} in 8 bytes>"),
            Self::Number => write!(f, "<a cas id>"),
            Self::Bits => write!(f, "<a cas id in 8 bytes>"),
            Self::Seconds(seconds) => write!(f, "<{seconds} seconds>"),
            Self::Idle(least, most) => write!(f, "<{least} to {most} seconds ago>"),
            Self::Flag => write!(f, "<0 or 1>"),
        }
    }
}

/// Bytes as they are told to people, who read so many of them.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 600;
    let text = bytes.escape_ascii().to_string();
    match text.get(..SHOWN_BYTES_MAX) {
        Some(start) => format!("{start}… ({} bytes)", bytes.len()),
        None => text,
    }
}

/// An expected reply.
pub(crate) type Reply = Vec<Piece>;

pub(crate) fn text(bytes: impl AsRef<[u8]>) -> Piece {
    Piece::Text(bytes.as_ref().to_vec())
}

pub(crate) fn line(line: &str) -> Reply {
    vec![text(format!("{line}\r\n"))]
}

impl Cache {
    /// Compares a reply with what it should be, and learns the CAS ids it shows.
    pub(crate) fn check(&mut self, wanted: &[Piece], got: &[u8]) -> Result<(), String> {
        let mut rest = got;
        for piece in wanted {
            let taken = match piece {
                Piece::Text(bytes) if rest.starts_with(bytes) => bytes.len(),
                Piece::Text(bytes) => {
                    return Err(format!("wanted {}", shown(bytes)));
                }
                Piece::Cas(cas) => {
                    let (number, taken) = digits(rest)?;
                    learn(&mut self.shown, *cas, number)?;
                    taken
                }
                Piece::CasBits(cas) => {
                    learn(&mut self.shown, *cas, bits(rest)?)?;
                    8
                }
                Piece::Number => not_zero(digits(rest)?)?,
                Piece::Bits => not_zero((bits(rest)?, 8))?,
                Piece::Seconds(seconds) => {
                    let least = seconds.saturating_sub(SLACK_SECONDS);
                    within(rest, least, *seconds)?
                }
                Piece::Idle(least, most) => within(rest, *least, most + SLACK_SECONDS)?,
                Piece::Flag => within(rest, 0, 1)?,
            };
            rest = &rest[taken..];
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(format!("{} too much", shown(rest)))
        }
    }
}

/// A CAS id is always shown as the same number, and no other has it.
fn learn(shown: &mut HashMap<u64, u64>, cas: Cas, number: u64) -> Result<(), String> {
    let nth = match cas {
        Cas::Given(given) if given == number => return Ok(()),
        Cas::Given(given) => return Err(format!("the cas id was chosen as {given}, not {number}")),
        Cas::Nth(nth) => nth,
    };
    match shown.get(&nth) {
        Some(before) if *before == number => return Ok(()),
        Some(before) => return Err(format!("the cas id was {before}, now it is {number}")),
        None => {}
    }
    if number == 0 || shown.values().any(|other| *other == number) {
        return Err(format!("the cas id {number} was another value's"));
    }
    shown.insert(nth, number);
    Ok(())
}

fn not_zero((number, taken): (u64, usize)) -> Result<usize, String> {
    if number == 0 {
        return Err("a cas id of 0".to_owned());
    }
    Ok(taken)
}

fn within(bytes: &[u8], least: u64, most: u64) -> Result<usize, String> {
    let (number, taken) = digits(bytes)?;
    if (least..=most).contains(&number) {
        Ok(taken)
    } else {
        Err(format!("{number}, not {least} to {most}"))
    }
}

fn bits(bytes: &[u8]) -> Result<u64, String> {
    let first = bytes.first_chunk().ok_or("eight bytes are missing")?;
    Ok(u64::from_be_bytes(*first))
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
