//! What a memcache server answered, in the words of a RESP client.

use crate::protocol::{
    Parsed,
    memcache::{
        meta::reply::{MetaReply, parse_reply, returned},
        reply as memcache,
    },
    number,
    resp::{Version, reply as resp},
};

/// What a RESP client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum RespWanted {
    /// The value.
    Value(Version),
    /// `OK` if it was stored, else null.
    Stored(Version),
    /// 1 if it was done, else 0.
    Done,
    /// The value's length.
    Length,
    /// The kind of the value.
    Type,
    /// How long it lives, in milliseconds or in seconds.
    Lifetime { in_ms: bool },
    /// 1 if it had an end, which is taken away, else 0.
    Persisted,
    /// The number after it was counted up by so much.
    Count { delta: u64 },
}

/// A server's answer to one request.
enum Answer<'b> {
    Value(&'b [u8]),
    Nothing,
    Line(&'b [u8]),
}

impl<'b> Answer<'b> {
    fn read(frame: &'b [u8]) -> Self {
        if frame.starts_with(b"VALUE ") {
            return match memcache::parse_reply(frame, frame.len()) {
                Parsed::Complete {
                    request: memcache::Reply::Value { data, .. },
                    ..
                } => Self::Value(data),
                _ => Self::Nothing,
            };
        }
        match parse_reply(frame, frame.len()) {
            Parsed::Complete {
                request: MetaReply::Value { data },
                ..
            } => Self::Value(data),
            Parsed::Complete {
                request: MetaReply::Line(line),
                ..
            } if !line.starts_with(b"EN") => Self::Line(line),
            _ => Self::Nothing,
        }
    }

    /// Whether what was asked for is done.
    fn is_done(&self) -> bool {
        match self {
            Self::Value(_) => true,
            Self::Nothing => false,
            Self::Line(line) => is_done(line),
        }
    }

    fn number(&self, flag: u8) -> Option<i64> {
        match self {
            Self::Line(line) => returned(line, flag).and_then(number::signed),
            _ => None,
        }
    }
}

/// Whether a line says that what was asked for is done.
pub(super) fn is_done(line: &[u8]) -> bool {
    let done = [
        b"HD",
        memcache::STORED,
        memcache::DELETED,
        memcache::TOUCHED,
    ];
    done.iter().any(|done| line.starts_with(done))
}

/// Redis' codes of TTL.
const NO_KEY: i64 = -2;
const NO_END: i64 = -1;

impl RespWanted {
    /// Appends the reply for the client, to what was no error.
    pub(in crate::shard) fn encode(self, frame: &[u8], out: &mut Vec<u8>) {
        let answer = Answer::read(frame);
        let is_done = answer.is_done();
        match self {
            Self::Value(version) => match answer {
                Answer::Value(value) => resp::bulk(out, value),
                _ => resp::null(out, version),
            },
            Self::Stored(version) if !is_done => resp::null(out, version),
            Self::Stored(_) => out.extend_from_slice(resp::OK),
            Self::Done => resp::integer(out, i64::from(is_done)),
            Self::Length => resp::integer(out, answer.number(b's').unwrap_or(0)),
            Self::Type => resp::simple(out, if is_done { "string" } else { "none" }),
            Self::Lifetime { .. } if !is_done => resp::integer(out, NO_KEY),
            Self::Lifetime { in_ms } => {
                let seconds = answer.number(b't').unwrap_or(NO_END);
                let unit = if in_ms && seconds > 0 { 1000 } else { 1 };
                resp::integer(out, seconds.saturating_mul(unit));
            }
            Self::Persisted => {
                let had_end = is_done && answer.number(b't') != Some(NO_END);
                resp::integer(out, i64::from(had_end));
            }
            Self::Count { delta } => match answer {
                Answer::Value(digits) => counted(digits, delta, out),
                _ => out.extend_from_slice(resp::NOT_AN_INTEGER),
            },
        }
    }
}

/// A number that has been counted up. memcache wraps at 2^64, Redis refuses to go beyond 2^63:
/// there the server has counted, and all that can be done is to say so.
fn counted(digits: &[u8], delta: u64, out: &mut Vec<u8>) {
    let number = number::unsigned(digits.trim_ascii_end());
    match number.map(|number| (number, i64::try_from(number))) {
        Some((number, Ok(signed))) if number >= delta => resp::integer(out, signed),
        Some(_) => out.extend_from_slice(
            b"-ERR increment or decrement would overflow, and the memcache server has counted on\r\n",
        ),
        None => out.extend_from_slice(resp::NOT_AN_INTEGER),
    }
}

/// What one key adds to a sum.
pub(in crate::shard) fn count(frame: &[u8]) -> i64 {
    i64::from(Answer::read(frame).is_done())
}

/// Appends a server's error line in RESP's words.
pub(in crate::shard) fn error(line: &[u8], out: &mut Vec<u8>) {
    match line {
        memcache::NON_NUMERIC => out.extend_from_slice(resp::NOT_AN_INTEGER),
        memcache::TOO_LARGE => out.extend_from_slice(resp::STRING_TOO_LONG),
        memcache::OUT_OF_MEMORY_STORING => out.extend_from_slice(resp::OUT_OF_MEMORY),
        memcache::ERROR => resp::error(out, "ERR backend does not know memcache's meta commands"),
        _ => {
            let text = line.trim_ascii_end();
            let text = text
                .strip_prefix(b"SERVER_ERROR ")
                .or_else(|| text.strip_prefix(b"CLIENT_ERROR "))
                .unwrap_or(text);
            resp::error(out, [b"ERR ", text].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(wanted: RespWanted, frame: &str) -> String {
        let mut out = Vec::new();
        wanted.encode(frame.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_answer_has_its_reply() {
        use RespWanted::{Count, Done, Length, Lifetime, Persisted, Stored, Type, Value};
        let (seconds, ms) = (Lifetime { in_ms: false }, Lifetime { in_ms: true });
        let (two, three) = (Version::Resp2, Version::Resp3);
        let five = Count { delta: 5 };
        let overflow =
            "-ERR increment or decrement would overflow, and the memcache server has counted on";
        let table: &[(RespWanted, &str, &str)] = &[
            (Value(two), "VALUE k 16 2\r\nhi\r\n", "$2\r\nhi"),
            (Value(two), "VA 2 f16\r\nhi\r\n", "$2\r\nhi"),
            (Value(two), "", "$-1"),
            (Value(three), "EN\r\n", "_"),
            (Stored(two), "STORED\r\n", "+OK"),
            (Stored(two), "HD\r\n", "+OK"),
            (Stored(two), "NOT_STORED\r\n", "$-1"),
            (Stored(three), "NS\r\n", "_"),
            (Done, "DELETED\r\n", ":1"),
            (Done, "HD\r\n", ":1"),
            (Done, "NOT_FOUND\r\n", ":0"),
            (Done, "NF\r\n", ":0"),
            (Done, "EN\r\n", ":0"),
            (Length, "HD s12\r\n", ":12"),
            (Length, "EN\r\n", ":0"),
            (Type, "HD\r\n", "+string"),
            (Type, "EN\r\n", "+none"),
            (seconds, "HD t7\r\n", ":7"),
            (seconds, "HD t-1\r\n", ":-1"),
            (seconds, "EN\r\n", ":-2"),
            (ms, "HD t7\r\n", ":7000"),
            (ms, "HD t-1\r\n", ":-1"),
            (ms, "EN\r\n", ":-2"),
            (Persisted, "HD t7\r\n", ":1"),
            (Persisted, "HD t-1\r\n", ":0"),
            (Persisted, "EN\r\n", ":0"),
            (five, "VA 1\r\n5\r\n", ":5"),
            (
                five,
                "VA 19\r\n9223372036854775807\r\n",
                ":9223372036854775807",
            ),
            (five, "VA 19\r\n9223372036854775808\r\n", overflow),
            (five, "VA 1\r\n4\r\n", overflow),
        ];
        for (wanted, frame, reply) in table {
            let said = encoded(*wanted, frame);
            assert_eq!(said, format!("{reply}\r\n"), "{wanted:?} {frame:?}");
        }
    }

    #[test]
    fn errors_are_said_as_redis_says_them() {
        for (line, reply) in [
            (
                "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
                "-ERR value is not an integer or out of range\r\n",
            ),
            (
                "SERVER_ERROR object too large for cache\r\n",
                "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n",
            ),
            (
                "SERVER_ERROR backend is unavailable\r\n",
                "-ERR backend is unavailable\r\n",
            ),
            (
                "ERROR\r\n",
                "-ERR backend does not know memcache's meta commands\r\n",
            ),
        ] {
            let mut out = Vec::new();
            error(line.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), reply);
        }
    }
}
