//! Requests that memcache servers need several steps for. A step that finds the key changed by
//! somebody else meanwhile begins again, a few times.
//!
//! ```text
//! APPEND:  append -> stored  -> mg s (the length)
//!             ^ \--> missing -> add -> stored
//!             \--------------------/ somebody else was faster
//! DECRBY:  mg v c -> enough  -> ma C (this version) -> the number
//!             ^------------------/ another version
//! ```

use super::{
    encode::{self, Name},
    reply::is_done,
};
use crate::{
    backend::Expects,
    protocol::{
        Parsed,
        memcache::{
            Exptime, Spelling, StoreVerb,
            meta::reply::{MetaReply, parse_reply, returned},
        },
        number,
        resp::reply as resp,
    },
};

/// How often one request begins; whoever loses so often meets a key that everybody writes.
const ROUND_COUNT_MAX: u32 = 8;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Plan {
    /// APPEND: the value goes with it.
    Append,
    /// DECRBY, and INCRBY by a negative number.
    Subtract { delta: u64 },
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Append,
    Add,
    Length,
    Read,
    Subtract { cas: u64 },
}

/// A plan under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) struct Steps {
    plan: Plan,
    phase: Phase,
    rounds_left: u32,
}

/// What follows a server's reply.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::shard) enum Next {
    /// Another request.
    Ask,
    /// The client's reply was appended.
    Reply,
}

impl Steps {
    pub(in crate::shard) fn new(plan: Plan) -> Self {
        Self {
            plan,
            phase: first(plan),
            rounds_left: ROUND_COUNT_MAX,
        }
    }

    /// What the reply to the next request looks like.
    pub(in crate::shard) fn expects(&self) -> Expects {
        match self.phase {
            Phase::Append | Phase::Add => Expects::Line,
            _ => Expects::Meta,
        }
    }

    /// Appends the next request; `content` is what goes with the plan.
    pub(in crate::shard) fn encode(&self, key: &[u8], content: &[u8], out: &mut Vec<u8>) {
        // Who cannot be named does not come so far.
        let spelling = Spelling::of(key).unwrap_or(Spelling::Base64);
        let name = Name { key, spelling };
        match (self.plan, self.phase) {
            (_, Phase::Append) => {
                encode::store(out, StoreVerb::Append, name, Exptime::NEVER, content);
            }
            (_, Phase::Add) => encode::store(out, StoreVerb::Add, name, Exptime::NEVER, content),
            (_, Phase::Length) => encode::meta_get(out, name, b" s"),
            (Plan::Subtract { delta }, Phase::Subtract { cas }) => {
                encode::decrement(out, name, delta, cas);
            }
            _ => encode::meta_get(out, name, b" v c"),
        }
    }

    /// Takes a reply that is no error.
    pub(in crate::shard) fn take(
        &mut self,
        frame: &[u8],
        content: &[u8],
        out: &mut Vec<u8>,
    ) -> Next {
        let is_done = is_done(frame);
        match (self.phase, self.plan) {
            (Phase::Append, _) if is_done => self.go_on(Phase::Length),
            (Phase::Append, _) => self.go_on(Phase::Add),
            (Phase::Add, _) if is_done => say(out, content.len() as i64),
            (Phase::Add, _) => self.again(out),
            // Gone in between: as long as it was when it was new.
            (Phase::Length, _) => {
                let length = returned(frame, b's').and_then(number::signed);
                say(out, length.unwrap_or(content.len() as i64))
            }
            (_, Plan::Subtract { delta }) => self.subtract(frame, delta, out),
            (_, Plan::Append) => self.again(out),
        }
    }

    fn subtract(&mut self, frame: &[u8], delta: u64, out: &mut Vec<u8>) -> Next {
        let text = match parse_reply(frame, frame.len()) {
            Parsed::Complete {
                request: MetaReply::Value { data },
                ..
            } => Some(data.trim_ascii_end()),
            _ => None,
        };
        let number = text.and_then(number::unsigned);
        let signed = number.and_then(|number| i64::try_from(number).ok());
        match (self.phase, text, signed) {
            (Phase::Read, Some(_), None) => refuse(out, resp::NOT_AN_INTEGER),
            (Phase::Read, Some(_), Some(signed)) if signed.unsigned_abs() >= delta => {
                let cas = returned(frame, b'c')
                    .and_then(number::unsigned)
                    .unwrap_or(0);
                self.go_on(Phase::Subtract { cas })
            }
            (Phase::Read, ..) => refuse(out, BELOW_ZERO),
            (_, _, Some(signed)) => say(out, signed),
            _ => self.again(out),
        }
    }

    fn go_on(&mut self, phase: Phase) -> Next {
        self.phase = phase;
        Next::Ask
    }

    fn again(&mut self, out: &mut Vec<u8>) -> Next {
        self.rounds_left -= 1;
        if self.rounds_left == 0 {
            return refuse(out, TOO_BUSY);
        }
        self.go_on(first(self.plan))
    }
}

fn first(plan: Plan) -> Phase {
    match plan {
        Plan::Append => Phase::Append,
        Plan::Subtract { .. } => Phase::Read,
    }
}

fn say(out: &mut Vec<u8>, number: i64) -> Next {
    resp::integer(out, number);
    Next::Reply
}

fn refuse(out: &mut Vec<u8>, line: &[u8]) -> Next {
    out.extend_from_slice(line);
    Next::Reply
}

/// The line for a number that would become negative.
const BELOW_ZERO: &[u8] =
    b"-ERR DECRBY below zero cannot be done over memcache servers: they count no negative numbers\r\n";

/// The line for who was never the fastest. memcached refuses to append beyond its limit in the same
/// words as to append to nothing.
const TOO_BUSY: &[u8] = b"-ERR nothing was done: the key is changed by others too often, or the \
    value would become too long\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays replies to a plan; the requests that were sent, and the reply at the end.
    fn play(plan: Plan, key: &str, content: &str, replies: &[&str]) -> (Vec<String>, String) {
        let mut steps = Steps::new(plan);
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        for (number, reply) in replies.iter().enumerate() {
            let mut wire = Vec::new();
            steps.encode(key.as_bytes(), content.as_bytes(), &mut wire);
            sent.push(String::from_utf8(wire).unwrap());
            let next = steps.take(reply.as_bytes(), content.as_bytes(), &mut out);
            let is_last = number + 1 == replies.len();
            assert_eq!(next == Next::Reply, is_last, "after {reply:?}");
        }
        (sent, String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_append_adds_where_there_is_nothing() {
        let (sent, reply) = play(Plan::Append, "k", "ab", &["STORED\r\n", "HD s5\r\n"]);
        assert_eq!(sent, ["append k 0 0 2\r\nab\r\n", "mg k s\r\n"]);
        assert_eq!(reply, ":5\r\n");
        let (sent, reply) = play(Plan::Append, "k k", "ab", &["NS\r\n", "HD\r\n"]);
        assert_eq!(
            sent,
            ["ms ayBr 2 b MA\r\nab\r\n", "ms ayBr 2 b ME\r\nab\r\n"]
        );
        assert_eq!(reply, ":2\r\n");
    }

    #[test]
    fn an_append_that_is_always_too_late_gives_up() {
        let replies = ["NOT_STORED\r\n"; 2 * ROUND_COUNT_MAX as usize];
        let (_, reply) = play(Plan::Append, "k", "ab", &replies);
        assert_eq!(reply.as_bytes(), TOO_BUSY);
    }

    #[test]
    fn a_decrement_holds_for_the_version_that_was_read() {
        let plan = Plan::Subtract { delta: 3 };
        let replies = [
            "VA 2 c7\r\n10\r\n",
            "EX\r\n",
            "VA 2 c9\r\n9 \r\n",
            "VA 2\r\n6 \r\n",
        ];
        let (sent, reply) = play(plan, "k", "", &replies);
        assert_eq!(sent[1], "ma k MD v D3 C7\r\n");
        assert_eq!(sent[3], "ma k MD v D3 C9\r\n");
        assert_eq!(reply, ":6\r\n");
    }

    #[test]
    fn what_memcache_cannot_count_is_refused_untouched() {
        let plan = Plan::Subtract { delta: 3 };
        for (read, line) in [
            ("VA 1 c7\r\n2\r\n", BELOW_ZERO),
            ("EN\r\n", BELOW_ZERO),
            ("VA 1 c7\r\nx\r\n", resp::NOT_AN_INTEGER),
            ("VA 2 c7\r\n-5\r\n", resp::NOT_AN_INTEGER),
            ("VA 20 c7\r\n18446744073709551615\r\n", resp::NOT_AN_INTEGER),
        ] {
            let (_, reply) = play(plan, "k", "", &[read]);
            assert_eq!(reply.as_bytes(), line, "{read:?}");
        }
    }
}
