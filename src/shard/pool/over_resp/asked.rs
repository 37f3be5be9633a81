//! What a Redis server answered to a meta or a binary request, in meta's words.

use super::{
    answer::{Answer, Left, begin, end},
    renewals::Renewals,
    reply::ReplyWanted,
    stored::{CAS_DIGITS, cas, is_promise, split},
};
use crate::{
    protocol::{
        Parsed,
        memcache::{self, Limits, Request, meta::reply, reply as classic},
        resp::{self, reply as frames},
    },
    store::UnixMs,
};

/// What a server was asked, so far as its answer does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Asked {
    /// The string.
    Value,
    /// The string and what is left of its life; and whether it was put just now.
    Look,
    /// To store a string that has this CAS id, for a value of so many bytes.
    Stored {
        wanted: ReplyWanted,
        cas: u64,
        value_bytes: usize,
    },
    /// To join so many bytes to what is there.
    Joined { value_bytes: usize },
    /// To remove it.
    Deleted(ReplyWanted),
    /// To count.
    Number,
}

/// What stands for that time where a group shows a value that has ended.
pub(in crate::shard) const STALE: i64 = -3;

impl Asked {
    fn read(self, frame: &[u8]) -> Answer<'_> {
        let [first, second, third, fourth] = elements(frame);
        match self {
            Self::Value => value(first, None),
            Self::Look => match value(first, Some(left(second))) {
                Answer::Value {
                    flags,
                    data,
                    cas,
                    left,
                    is_promise,
                    ..
                } => Answer::Value {
                    flags,
                    data,
                    cas,
                    left,
                    is_stale: second == frames::Reply::Integer(STALE),
                    is_promise,
                    is_new: third == frames::Reply::Integer(1),
                },
                other => other,
            },
            Self::Stored {
                wanted,
                cas,
                value_bytes,
            } => done(wanted, first, cas, value_bytes),
            Self::Deleted(wanted) => done(wanted, first, 0, 0),
            Self::Joined { value_bytes } => match (first, second) {
                (frames::Reply::Bulk(Some(digest)), frames::Reply::Integer(joined)) => {
                    Answer::Done {
                        cas: cas_in(digest),
                        value_bytes: usize::try_from(joined).unwrap_or_default(),
                    }
                }
                (frames::Reply::Integer(0), _) => Answer::not(reply::EXISTS, value_bytes),
                _ => Answer::not(reply::NOT_STORED, value_bytes),
            },
            Self::Number => match (first, third) {
                (frames::Reply::Bulk(Some(digits)), frames::Reply::Bulk(Some(digest))) => {
                    Answer::Number {
                        digits,
                        cas: cas_in(digest),
                        left: left(second),
                        is_new: fourth == frames::Reply::Integer(1),
                    }
                }
                (frames::Reply::Integer(0), _) => Answer::not(reply::EXISTS, 0),
                (frames::Reply::Integer(_), _) => Answer::NonNumeric,
                _ => Answer::not(reply::NOT_FOUND, 0),
            },
        }
    }

    /// Appends the answer to a meta command, whose bytes are `line`. Who is told to renew a value claims that.
    pub(in crate::shard) fn tell(
        self,
        line: &[u8],
        frame: &[u8],
        renewals: Option<&Renewals>,
        now: UnixMs,
        out: &mut Vec<u8>,
    ) {
        let limits = Limits {
            value_bytes_max: line.len(),
            line_bytes_max: line.len(),
        };
        if let Parsed::Complete {
            request: Request::Meta(request),
            ..
        } = memcache::parse(line, &limits)
        {
            self.read(frame).tell(&request, renewals, now, out);
        }
    }

    /// Whether the answer says that a number was not there and has begun; such an answer is never
    /// held back.
    pub(in crate::shard) fn is_new(self, frame: &[u8]) -> bool {
        matches!(self.read(frame), Answer::Number { is_new: true, .. })
    }

    /// Appends what a binary packet is made of: flags and CAS id, and the value if it is to be
    /// shown.
    pub(in crate::shard) fn tell_all(self, frame: &[u8], shows_value: bool, out: &mut Vec<u8>) {
        let mut value = None;
        match self.read(frame) {
            Answer::Value {
                flags, data, cas, ..
            } => {
                value = shows_value.then_some(data);
                begin(value, out);
                reply::flag(out, b'f', flags.into());
                reply::flag(out, b'c', cas);
            }
            Answer::Number { digits, cas, .. } => {
                value = Some(digits);
                begin(value, out);
                reply::flag(out, b'c', cas);
            }
            Answer::Done { cas, .. } => {
                begin(None, out);
                reply::flag(out, b'c', cas);
            }
            Answer::Not { status, .. } => out.extend_from_slice(status),
            Answer::NonNumeric => return out.extend_from_slice(classic::NON_NUMERIC),
        }
        end(value, out);
    }
}

fn value<'b>(reply: frames::Reply<'b>, left: Option<Left>) -> Answer<'b> {
    let frames::Reply::Bulk(Some(stored)) = reply else {
        return Answer::not(reply::NOT_FOUND, 0);
    };
    let (flags, data) = split(stored);
    Answer::Value {
        flags,
        data,
        cas: cas(stored),
        left,
        is_stale: false,
        is_promise: is_promise(stored),
        is_new: false,
    }
}

/// What classic's line for the reply is in meta.
fn done<'b>(
    wanted: ReplyWanted,
    reply: frames::Reply<'_>,
    cas: u64,
    value_bytes: usize,
) -> Answer<'b> {
    match wanted.line(reply) {
        classic::STORED | classic::DELETED => Answer::Done { cas, value_bytes },
        classic::EXISTS => Answer::not(reply::EXISTS, value_bytes),
        classic::NOT_STORED => Answer::not(reply::NOT_STORED, value_bytes),
        _ => Answer::not(reply::NOT_FOUND, value_bytes),
    }
}

fn left(reply: frames::Reply<'_>) -> Left {
    match reply {
        frames::Reply::Integer(STALE) => Some(0),
        frames::Reply::Integer(ms) => u64::try_from(ms).ok(),
        _ => None,
    }
}

/// The CAS id that a digest in hexadecimal stands for.
fn cas_in(digest: &[u8]) -> u64 {
    let digits = digest.get(..CAS_DIGITS as usize).unwrap_or_default();
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

/// The first elements of an array, with nulls behind them; or a reply that is none, as the first.
fn elements(frame: &[u8]) -> [frames::Reply<'_>; 4] {
    let limits = resp::Limits::for_replies(frame.len());
    let mut found = [frames::Reply::Bulk(None); 4];
    let mut rest = frame;
    if frame.starts_with(b"*") {
        let header = memchr::memchr(b'\n', frame).map_or(frame.len(), |newline| newline + 1);
        rest = &frame[header..];
    }
    for element in &mut found {
        let Parsed::Complete { request, consumed } = frames::parse_reply(rest, &limits) else {
            break;
        };
        *element = request;
        rest = &rest[consumed..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_000_000_000_000);

    fn told(asked: Asked, line: &str, frame: &str) -> String {
        let mut out = Vec::new();
        let line = format!("{line}\r\n");
        asked.tell(line.as_bytes(), frame.as_bytes(), None, NOW, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn told_all(asked: Asked, shows_value: bool, frame: &str) -> String {
        let mut out = Vec::new();
        asked.tell_all(frame.as_bytes(), shows_value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_told_in_the_order_asked() {
        let plain = "$2\r\nhi\r\n";
        let look = format!("*2\r\n{plain}:1500\r\n");
        let for_good = format!("*2\r\n{plain}:-1\r\n");
        let (value, looked) = (Asked::Value, Asked::Look);
        let table: &[(Asked, &str, &str, &str)] = &[
            (value, "mg k", plain, "HD\r\n"),
            (
                value,
                "mg k s v k O1 f q",
                plain,
                "VA 2 s2 kk O1 f0\r\nhi\r\n",
            ),
            (value, "mg k v O1", "$-1\r\n", "EN O1\r\n"),
            (looked, "mg k t v", &look, "VA 2 t2\r\nhi\r\n"),
            (looked, "mg k t T90", &look, "HD t2\r\n"),
            (looked, "mg k T90 t v", &look, "VA 2 t90\r\nhi\r\n"),
            (looked, "mg k t", &for_good, "HD t-1\r\n"),
            (looked, "mg k t k", "*-1\r\n", "EN kk\r\n"),
            (
                looked,
                "mg k t v O1",
                "*2\r\n$2\r\nhi\r\n:-3\r\n",
                "VA 2 t0 O1 Z X\r\nhi\r\n",
            ),
            (looked, "mg aGk= t k b", "$-1\r\n", "EN kaGk= b\r\n"),
        ];
        for (asked, line, frame, expected) in table {
            assert_eq!(told(*asked, line, frame), *expected, "{line}");
        }
        let id = cas(b"hi");
        let same = format!("mg k v c C{id}");
        assert_eq!(told(value, &same, plain), format!("HD c{id}\r\n"));
        let all = format!("VA 2 f0 c{id}\r\nhi\r\n");
        assert_eq!(told_all(value, true, plain), all);
        assert_eq!(told_all(value, false, plain), format!("HD f0 c{id}\r\n"));
        assert_eq!(told_all(value, true, "$-1\r\n"), "NF\r\n");
    }

    #[test]
    fn every_change_has_its_answer() {
        use ReplyWanted as Wanted;

        let stored = |wanted| Asked::Stored {
            wanted,
            cas: 9,
            value_bytes: 2,
        };
        let joined = Asked::Joined { value_bytes: 2 };
        let digest = "$40\r\n000000000000010fffffffffffffffffffffffff\r\n";
        let done = format!("*2\r\n{digest}:7\r\n");
        let number = format!("*4\r\n$2\r\n42\r\n:-1\r\n{digest}:0\r\n");
        let begun = format!("*4\r\n$2\r\n42\r\n:-1\r\n{digest}:1\r\n");
        let non_numeric = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
        let set = "ms k 0 c s k O1\r\n";
        let table: &[(Asked, &str, &str, &str)] = &[
            (stored(Wanted::Set), set, "+OK\r\n", "HD c9 s2 kk O1\r\n"),
            (stored(Wanted::Store), set, "$-1\r\n", "NS c0 s2 kk O1\r\n"),
            (stored(Wanted::Cas), set, ":0\r\n", "EX c0 s2 kk O1\r\n"),
            (stored(Wanted::Cas), set, "$-1\r\n", "NF c0 s2 kk O1\r\n"),
            (stored(Wanted::AddPast), set, ":0\r\n", "HD c9 s2 kk O1\r\n"),
            (joined, set, &done, "HD c16 s7 kk O1\r\n"),
            (joined, set, ":0\r\n", "EX c0 s2 kk O1\r\n"),
            (joined, set, ":-1\r\n", "NS c0 s2 kk O1\r\n"),
            (Asked::Deleted(Wanted::Delete), "md k q", ":1\r\n", "HD\r\n"),
            (
                Asked::Deleted(Wanted::Delete),
                "md k k",
                ":0\r\n",
                "NF kk\r\n",
            ),
            (Asked::Deleted(Wanted::Cas), "md k C1", ":0\r\n", "EX\r\n"),
            (Asked::Number, "ma k v c", &number, "VA 2 c16\r\n42\r\n"),
            (Asked::Number, "ma k t", &number, "HD t-1\r\n"),
            (Asked::Number, "ma k N90 t", &number, "HD t-1\r\n"),
            (Asked::Number, "ma k N90 t", &begun, "HD t90\r\n"),
            (Asked::Number, "ma k O1", "$-1\r\n", "NF O1\r\n"),
            (Asked::Number, "ma k k", ":0\r\n", "EX kk\r\n"),
            (Asked::Number, "ma k k", ":-1\r\n", non_numeric),
        ];
        for (asked, line, frame, expected) in table {
            assert_eq!(told(*asked, line, frame), *expected, "{line} {frame:?}");
        }
        assert!(Asked::Number.is_new(begun.as_bytes()));
        assert!(!Asked::Number.is_new(number.as_bytes()));
        assert_eq!(told_all(Asked::Number, true, &number), "VA 2 c16\r\n42\r\n");
        assert_eq!(told_all(joined, true, &done), "HD c16\r\n");
        assert_eq!(told_all(joined, true, ":-1\r\n"), "NS\r\n");
        assert_eq!(told_all(Asked::Number, true, ":-1\r\n"), non_numeric);
    }
}
