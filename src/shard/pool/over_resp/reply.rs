//! What a Redis server answered, in the words of the client that asked.

use super::stored::{cas, split};
use crate::{
    backend::VALUE_TOO_LARGE,
    protocol::{
        Parsed,
        memcache::reply as memcache,
        resp::{Limits, Version, reply as resp},
    },
};

/// What a client asked for that cannot be given the server's reply as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum ReplyWanted {
    /// memcache: the value of the only key, with its CAS id or without, and the end.
    Retrieval { cas: bool },
    /// memcache: the value of one of several keys.
    Part { cas: bool },
    /// memcache: that it is stored, whatever was there.
    Set,
    /// memcache: whether it is stored.
    Store,
    /// memcache: whether a value that was over at once would have been added; the reply is
    /// whether there is one already.
    AddPast,
    /// memcache: what became of a `cas`.
    Cas,
    /// memcache: whether it is deleted.
    Delete,
    /// memcache: whether it is touched.
    Touch,
    /// memcache: the new number.
    Count,
    /// RESP: a value without the header it may be kept behind.
    Value(Version),
    /// RESP: a number that came as text.
    Number,
}

impl ReplyWanted {
    /// Whether it is one key's part of a retrieval with several.
    pub(in crate::shard) fn is_part(self) -> bool {
        matches!(self, Self::Part { .. })
    }

    /// Appends the reply for the client, to what was no error. `key` is needed for memcache's
    /// values only.
    pub(in crate::shard) fn encode(self, key: &[u8], frame: &[u8], out: &mut Vec<u8>) {
        let limits = Limits::for_replies(frame.len());
        let Parsed::Complete { request, .. } = resp::parse_reply(frame, &limits) else {
            return;
        };
        match (self, request) {
            (Self::Value(_), resp::Reply::Bulk(Some(stored))) => resp::bulk(out, split(stored).1),
            (Self::Value(version), resp::Reply::Bulk(None)) => resp::null(out, version),
            (Self::Number, resp::Reply::Bulk(Some(digits))) => {
                out.push(b':');
                out.extend_from_slice(digits);
                out.extend_from_slice(b"\r\n");
            }
            (Self::Value(_) | Self::Number, _) => out.extend_from_slice(frame),
            (Self::Retrieval { cas } | Self::Part { cas }, reply) => {
                if let resp::Reply::Bulk(Some(stored)) = reply {
                    value(out, key, stored, cas);
                }
                if !self.is_part() {
                    out.extend_from_slice(memcache::END);
                }
            }
            (Self::Count, resp::Reply::Bulk(Some(digits))) => {
                out.extend_from_slice(digits);
                out.extend_from_slice(b"\r\n");
            }
            (_, reply) => out.extend_from_slice(self.line(reply)),
        }
    }

    /// memcache's line for a reply that says whether something is done.
    pub(super) fn line(self, reply: resp::Reply<'_>) -> &'static [u8] {
        use resp::Reply::{Bulk, Integer};
        let is_done = !matches!(reply, Bulk(None) | Integer(0));
        match (self, is_done) {
            (Self::Set, _) => memcache::STORED,
            (Self::Cas, false) if reply == Bulk(None) => memcache::NOT_FOUND,
            (Self::Store | Self::Cas, true) | (Self::AddPast, false) => memcache::STORED,
            (Self::Store, false) | (Self::AddPast, true) => memcache::NOT_STORED,
            (Self::Cas, false) => memcache::EXISTS,
            (Self::Delete, true) => memcache::DELETED,
            (Self::Touch, true) => memcache::TOUCHED,
            (Self::Count, true) => memcache::NON_NUMERIC,
            _ => memcache::NOT_FOUND,
        }
    }
}

fn value(out: &mut Vec<u8>, key: &[u8], stored: &[u8], with_cas: bool) {
    let (flags, data) = split(stored);
    memcache::value(out, key, flags, data, with_cas.then(|| cas(stored)));
}

/// Whether an error line stands for a reply that was too large.
pub(in crate::shard) fn is_too_large(line: &[u8]) -> bool {
    line == VALUE_TOO_LARGE
}

/// What a server's error line says. Where in which script it arose is left out.
pub(in crate::shard) fn error_text(line: &[u8]) -> &[u8] {
    let text = line.strip_prefix(b"-").unwrap_or(line).trim_ascii_end();
    let text = text.strip_prefix(b"ERR ").unwrap_or(text);
    let end = memchr::memmem::find(text, b" script: ").unwrap_or(text.len());
    &text[..end]
}

/// Appends a server's error line in memcache's words.
pub(in crate::shard) fn error(line: &[u8], out: &mut Vec<u8>) {
    if is_too_large(line) {
        return out.extend_from_slice(memcache::TOO_LARGE);
    }
    for part in [b"SERVER_ERROR ", error_text(line), b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(wanted: ReplyWanted, frame: &[u8]) -> String {
        let mut out = Vec::new();
        wanted.encode(b"k", frame, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_shown_with_their_flags() {
        let plain = b"$2\r\nhi\r\n";
        let flagged = b"$14\r\n\0mcflag\xff\0\0\0\x10hi\r\n";
        let one = ReplyWanted::Retrieval { cas: false };
        assert_eq!(encoded(one, plain), "VALUE k 0 2\r\nhi\r\nEND\r\n");
        assert_eq!(encoded(one, flagged), "VALUE k 16 2\r\nhi\r\nEND\r\n");
        assert_eq!(encoded(one, b"$-1\r\n"), "END\r\n");
        let part = ReplyWanted::Part { cas: false };
        assert_eq!(encoded(part, flagged), "VALUE k 16 2\r\nhi\r\n");
        assert_eq!(encoded(part, b"$-1\r\n"), "");
        let with_cas = ReplyWanted::Part { cas: true };
        assert_eq!(
            encoded(with_cas, b"$1\r\nv\r\n"),
            "VALUE k 0 1 550439215077317011\r\nv\r\n"
        );
        let value = ReplyWanted::Value(Version::Resp3);
        assert_eq!(encoded(value, flagged), "$2\r\nhi\r\n");
        assert_eq!(encoded(value, b"$-1\r\n"), "_\r\n");
        assert_eq!(encoded(value, b"+OK\r\n"), "+OK\r\n");
    }

    #[test]
    fn every_outcome_has_its_line() {
        use ReplyWanted::{AddPast, Cas, Count, Delete, Number, Set, Store, Touch};
        let table: &[(ReplyWanted, &str, &str)] = &[
            (Set, "+OK", "STORED"),
            (Set, ":0", "STORED"),
            (Store, "+OK", "STORED"),
            (Store, ":1", "STORED"),
            (Store, ":0", "NOT_STORED"),
            (Store, "$-1", "NOT_STORED"),
            (AddPast, ":0", "STORED"),
            (AddPast, ":1", "NOT_STORED"),
            (Cas, ":1", "STORED"),
            (Cas, ":0", "EXISTS"),
            (Cas, "$-1", "NOT_FOUND"),
            (Delete, ":1", "DELETED"),
            (Delete, ":0", "NOT_FOUND"),
            (Touch, ":1", "TOUCHED"),
            (Touch, ":0", "NOT_FOUND"),
            (Count, "$2\r\n18", "18"),
            (Count, "$-1", "NOT_FOUND"),
            (
                Count,
                ":-1",
                "CLIENT_ERROR cannot increment or decrement non-numeric value",
            ),
            (Number, "$2\r\n-7", ":-7"),
            (Number, ":5", ":5"),
        ];
        for (wanted, frame, line) in table {
            let frame = format!("{frame}\r\n");
            let said = encoded(*wanted, frame.as_bytes());
            assert_eq!(said, format!("{line}\r\n"), "{wanted:?} {frame:?}");
        }
    }

    #[test]
    fn errors_keep_their_code_unless_it_says_nothing() {
        let told = |line: &[u8]| {
            let mut out = Vec::new();
            error(line, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(told(b"-ERR no\r\n"), "SERVER_ERROR no\r\n");
        assert_eq!(told(b"-OOM full\r\n"), "SERVER_ERROR OOM full\r\n");
        let line = b"-WRONGTYPE Operation script: 55c4, on @user_script:34.\r\n";
        assert_eq!(told(line), "SERVER_ERROR WRONGTYPE Operation\r\n");
        let too_large = "SERVER_ERROR object too large for cache\r\n";
        assert_eq!(told(VALUE_TOO_LARGE), too_large);
    }
}
