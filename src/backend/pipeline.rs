//! A pipelined backend connection without the connection: requests go in with a tag each, bytes
//! come out to be sent; bytes come in, replies come out with their tags, in order.

use std::collections::VecDeque;

use crate::{
    config::Protocol,
    protocol::{Parsed, memcache, resp},
    store::{Key, KeyHash, KeyHasher, UnixMs},
};

const LINE_END: &[u8] = b"\r\n";

/// What the reply to a request looks like, so far as the protocol does not say it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expects {
    /// memcache: one value or none, then `END`. RESP: any frame.
    Retrieval,
    /// memcache: one line. RESP: any frame.
    Line,
}

/// What is remembered of a request, to read its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One line, or any RESP frame.
    Line,
    /// One value or none, then `END`.
    Retrieval,
    /// One key of a `get` with several: its value, unless the next value is another key's.
    Member {
        hash: KeyHash,
        /// No further key of the same `get` follows.
        is_last: bool,
    },
}

/// A backend's reply to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'b> {
    /// The reply's bytes; of a memcache retrieval only the VALUE block, if there is one.
    pub frame: &'b [u8],
    /// What they say.
    pub meaning: Meaning<'b>,
}

impl Reply<'_> {
    /// memcache's way to say that there is no value.
    const MISS: Self = Self {
        frame: &[],
        meaning: Meaning::Miss,
    };
}

/// What a reply says, as far as a proxy has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<'b> {
    /// The value asked for.
    Hit {
        /// Its bytes.
        value: &'b [u8],
        /// memcache's flags; 0 from RESP.
        flags: u32,
    },
    /// There is no such value.
    Miss,
    /// The backend could not do it.
    Error,
    /// Anything else.
    Other,
}

/// What the bytes so far amount to.
#[derive(Debug)]
pub enum Received<'b, T> {
    /// No whole reply; look again when there are `want` bytes.
    Incomplete {
        /// Counted from where the last reply ended.
        want: usize,
    },
    /// The reply to the oldest request.
    Complete {
        /// The tag the request was given.
        tag: T,
        /// The reply.
        reply: Reply<'b>,
        /// Its bytes.
        consumed: usize,
    },
    /// The backend does not speak the protocol, or speaks unasked: the connection is of no use.
    Broken,
}

#[derive(Debug)]
struct InFlight<T> {
    tag: T,
    shape: Shape,
    asked_at: UnixMs,
}

/// Keys asked for in one `get`; a limit on the line, far beyond what a turn brings together.
const GET_KEYS_MAX: usize = 64;

/// Requests to one backend, in order.
///
/// Retrievals that come together are sent to memcache as one `get`: the server then sends all
/// values at once, where it sends each reply by itself otherwise.
#[derive(Debug)]
pub struct Pipeline<T> {
    protocol: Protocol,
    hasher: KeyHasher,
    /// Keys in the `get` at the end of `output`, to which more can be added.
    open_keys: usize,
    value_bytes_max: usize,
    output: Vec<u8>,
    in_flight: VecDeque<InFlight<T>>,
}

impl<T> Pipeline<T> {
    /// An empty pipeline; a reply with a larger value than `value_bytes_max` breaks it.
    pub fn new(protocol: Protocol, hasher: KeyHasher, value_bytes_max: usize) -> Self {
        Self {
            protocol,
            hasher,
            open_keys: 0,
            value_bytes_max,
            output: Vec::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// Adds a request; its bytes are appended to what is returned.
    pub fn push(&mut self, tag: T, expects: Expects, now: UnixMs) -> &mut Vec<u8> {
        self.open_keys = 0;
        let shape = match expects {
            Expects::Line => Shape::Line,
            Expects::Retrieval => Shape::Retrieval,
        };
        self.in_flight.push_back(InFlight {
            tag,
            shape,
            asked_at: now,
        });
        &mut self.output
    }

    /// Adds a request for one whole value.
    pub fn push_get(&mut self, tag: T, key: Key<'_>, now: UnixMs) {
        if self.protocol == Protocol::Resp {
            let out = self.push(tag, Expects::Line, now);
            return resp::reply::encode_command(out, &[b"GET", key.bytes]);
        }
        if (1..GET_KEYS_MAX).contains(&self.open_keys)
            && let Some(InFlight {
                shape: Shape::Member { is_last, .. },
                ..
            }) = self.in_flight.back_mut()
        {
            *is_last = false;
            self.output.truncate(self.output.len() - LINE_END.len());
            self.output.push(b' ');
            self.output.extend_from_slice(key.bytes);
            self.output.extend_from_slice(LINE_END);
        } else {
            self.open_keys = 0;
            memcache::reply::encode_get(&mut self.output, key.bytes);
        }
        self.open_keys += 1;
        let shape = Shape::Member {
            hash: key.hash,
            is_last: true,
        };
        self.in_flight.push_back(InFlight {
            tag,
            shape,
            asked_at: now,
        });
    }

    /// Takes the bytes to be sent; `spare` takes their place.
    pub fn take_output(&mut self, spare: Vec<u8>) -> Vec<u8> {
        debug_assert!(spare.is_empty());
        self.open_keys = 0;
        core::mem::replace(&mut self.output, spare)
    }

    /// Whether there are bytes to be sent.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Requests that are not answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// When the oldest unanswered request was added.
    pub fn oldest(&self) -> Option<UnixMs> {
        self.in_flight.front().map(|request| request.asked_at)
    }

    /// Gives up: the oldest request's tag, until none is left.
    pub fn abandon(&mut self) -> Option<T> {
        self.output.clear();
        self.open_keys = 0;
        self.in_flight.pop_front().map(|request| request.tag)
    }

    /// Reads the next reply from the front of `bytes`.
    pub fn receive<'b>(&mut self, bytes: &'b [u8]) -> Received<'b, T> {
        if bytes.is_empty() {
            return Received::Incomplete { want: 1 };
        }
        let Some(request) = self.in_flight.front() else {
            return Received::Broken;
        };
        let parsed = match self.protocol {
            Protocol::Memcache => self.memcache_reply(bytes, request.shape),
            Protocol::Resp => resp_reply(bytes, self.value_bytes_max),
        };
        match parsed {
            Parsed::Incomplete { want } => Received::Incomplete { want },
            Parsed::Refused { .. } => Received::Broken,
            Parsed::Complete {
                request: reply,
                consumed,
            } => {
                let Some(InFlight { tag, .. }) = self.in_flight.pop_front() else {
                    return Received::Broken;
                };
                Received::Complete {
                    tag,
                    reply,
                    consumed,
                }
            }
        }
    }

    fn memcache_reply<'b>(&self, bytes: &'b [u8], shape: Shape) -> Parsed<Reply<'b>, ()> {
        use memcache::reply::Reply as Element;
        let (element, end) = match memcache::reply::parse_reply(bytes, self.value_bytes_max) {
            Parsed::Incomplete { want } => return Parsed::Incomplete { want },
            Parsed::Refused { consumed, .. } => {
                return Parsed::Refused {
                    refusal: (),
                    consumed,
                };
            }
            Parsed::Complete { request, consumed } => (request, consumed),
        };
        let is_last = !matches!(shape, Shape::Member { is_last: false, .. });
        // What ends a `get` is the reply to all its keys that have none yet: it stays until the
        // last of them has seen it.
        let consumed_if_last = if is_last { end } else { 0 };
        match (element, shape) {
            (Element::Line(line), _) => {
                let reply = Reply {
                    frame: line,
                    meaning: line_meaning(line),
                };
                Parsed::Complete {
                    request: reply,
                    consumed: consumed_if_last,
                }
            }
            (_, Shape::Line) => Parsed::Refused {
                refusal: (),
                consumed: end,
            },
            (Element::End, _) => Parsed::Complete {
                request: Reply::MISS,
                consumed: consumed_if_last,
            },
            (Element::Value { key, .. }, Shape::Member { hash, .. })
                if self.hasher.hash(key) != hash =>
            {
                if is_last {
                    return Parsed::Refused {
                        refusal: (),
                        consumed: end,
                    };
                }
                Parsed::Complete {
                    request: Reply::MISS,
                    consumed: 0,
                }
            }
            (Element::Value { flags, data, .. }, _) => {
                let meaning = Meaning::Hit { value: data, flags };
                let reply = Reply {
                    frame: &bytes[..end],
                    meaning,
                };
                if is_last {
                    with_end(bytes, end, reply)
                } else {
                    Parsed::Complete {
                        request: reply,
                        consumed: end,
                    }
                }
            }
        }
    }
}

/// A value that nothing follows is a whole reply only with the `END` behind it.
fn with_end<'b>(bytes: &'b [u8], value_end: usize, reply: Reply<'b>) -> Parsed<Reply<'b>, ()> {
    let end = memcache::reply::END;
    let consumed = value_end + end.len();
    match bytes.get(value_end..consumed) {
        None => Parsed::Incomplete { want: consumed },
        Some(line) if line == end => Parsed::Complete {
            request: reply,
            consumed,
        },
        Some(_) => Parsed::Refused {
            refusal: (),
            consumed,
        },
    }
}

fn line_meaning(line: &[u8]) -> Meaning<'static> {
    let is_error = line.starts_with(b"SERVER_ERROR")
        || line.starts_with(b"CLIENT_ERROR")
        || line.starts_with(b"ERROR");
    if is_error {
        Meaning::Error
    } else {
        Meaning::Other
    }
}

fn resp_reply(bytes: &[u8], value_bytes_max: usize) -> Parsed<Reply<'_>, ()> {
    use resp::reply::Reply as Element;
    let limits = resp::Limits::for_replies(value_bytes_max);
    match resp::reply::parse_reply(bytes, &limits) {
        Parsed::Incomplete { want } => Parsed::Incomplete { want },
        Parsed::Refused { consumed, .. } => Parsed::Refused {
            refusal: (),
            consumed,
        },
        Parsed::Complete { request, consumed } => {
            let meaning = match request {
                Element::Bulk(Some(value)) => Meaning::Hit { value, flags: 0 },
                Element::Bulk(None) => Meaning::Miss,
                Element::Error(_) => Meaning::Error,
                _ => Meaning::Other,
            };
            let reply = Reply {
                frame: &bytes[..consumed],
                meaning,
            };
            Parsed::Complete {
                request: reply,
                consumed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(5);

    fn run(protocol: Protocol, expects: &[Expects], wire: &[u8]) -> Vec<(usize, String, String)> {
        let mut pipeline = Pipeline::new(protocol, KeyHasher::new(1), 100);
        for (tag, expects) in expects.iter().enumerate() {
            pipeline.push(tag, *expects, NOW);
        }
        let mut replies = Vec::new();
        let (mut start, mut end) = (0, 0);
        // Byte by byte: no reply may come early or twice.
        loop {
            match pipeline.receive(&wire[start..end]) {
                Received::Broken => panic!("broken at {end}"),
                Received::Incomplete { want } => {
                    assert!(want > end - start, "it wants more than there is");
                    if end == wire.len() {
                        assert_eq!(start, end, "something is left over");
                        return replies;
                    }
                    end += 1;
                }
                Received::Complete {
                    tag,
                    reply,
                    consumed,
                } => {
                    let frame = String::from_utf8_lossy(reply.frame).into_owned();
                    replies.push((tag, frame, format!("{:?}", reply.meaning)));
                    start += consumed;
                }
            }
        }
    }

    #[test]
    fn memcache_replies_match_their_requests() {
        use Expects::{Line, Retrieval};
        let wire = b"VALUE k 3 2\r\nab\r\nEND\r\nEND\r\nSTORED\r\nSERVER_ERROR busy\r\n";
        let replies = run(
            Protocol::Memcache,
            &[Retrieval, Retrieval, Line, Retrieval],
            wire,
        );
        assert_eq!(replies.len(), 4);
        assert_eq!(replies[0].1, "VALUE k 3 2\r\nab\r\n");
        assert!(replies[0].2.starts_with("Hit"), "{}", replies[0].2);
        assert_eq!(replies[1].2, "Miss");
        assert_eq!(replies[2].2, "Other");
        assert_eq!((replies[3].0, &replies[3].2[..]), (3, "Error"));
    }

    #[test]
    fn resp_replies_match_their_requests() {
        let wire = b"$2\r\nab\r\n$-1\r\n+OK\r\n-ERR no\r\n:5\r\n*2\r\n$1\r\na\r\n:1\r\n";
        let replies = run(Protocol::Resp, &[Expects::Line; 6], wire);
        let meanings: Vec<&str> = replies
            .iter()
            .map(|reply| reply.2.split(' ').next().unwrap())
            .collect();
        assert_eq!(
            meanings,
            ["Hit", "Miss", "Other", "Error", "Other", "Other"]
        );
        assert_eq!(replies[5].1, "*2\r\n$1\r\na\r\n:1\r\n");
    }

    #[test]
    fn unasked_and_unexpected_bytes_break_it() {
        let mut pipeline = Pipeline::<u32>::new(Protocol::Memcache, KeyHasher::new(1), 100);
        assert!(matches!(pipeline.receive(b"STORED\r\n"), Received::Broken));
        pipeline.push(1, Expects::Line, NOW);
        assert!(matches!(pipeline.receive(b"END\r\n"), Received::Broken));
        let mut pipeline = Pipeline::new(Protocol::Memcache, KeyHasher::new(1), 100);
        pipeline.push(1, Expects::Retrieval, NOW);
        let two = b"VALUE a 0 1\r\nx\r\nVALUE b 0 1\r\n";
        assert!(matches!(pipeline.receive(two), Received::Broken));
        assert_eq!(pipeline.oldest(), Some(NOW));
        assert_eq!(pipeline.abandon(), Some(1));
        assert_eq!(pipeline.abandon(), None);
    }

    /// Asks for the keys, joined as they are, and gives what each got.
    fn get_joined(keys: &[&str], wire: &[u8]) -> (String, Vec<String>) {
        let hasher = KeyHasher::new(1);
        let mut pipeline = Pipeline::new(Protocol::Memcache, hasher, 100);
        for (tag, key) in keys.iter().enumerate() {
            pipeline.push_get(tag, hasher.key(key.as_bytes()), NOW);
        }
        let request = String::from_utf8(pipeline.take_output(Vec::new())).unwrap();
        let (mut start, mut end) = (0, 0);
        let mut got = Vec::new();
        while got.len() < keys.len() {
            match pipeline.receive(&wire[start..end]) {
                Received::Broken => {
                    got.push("broken".to_owned());
                    break;
                }
                Received::Incomplete { .. } => end += 1,
                Received::Complete {
                    tag,
                    reply,
                    consumed,
                } => {
                    assert_eq!(tag, got.len());
                    start += consumed;
                    got.push(match reply.meaning {
                        Meaning::Hit { value, .. } => String::from_utf8_lossy(value).into_owned(),
                        other => format!("{other:?}"),
                    });
                }
            }
        }
        if got.last().is_some_and(|last| last != "broken") {
            assert_eq!(start, wire.len(), "all of it is read");
        }
        (request, got)
    }

    #[test]
    fn retrievals_share_one_get_and_part_its_values() {
        let value = |key: &str| format!("VALUE {key} 0 1\r\n{}\r\n", key.to_uppercase());
        for (values, expected) in [
            (vec!["a", "b", "c"], ["A", "B", "C"]),
            (vec!["b"], ["Miss", "B", "Miss"]),
            (vec!["a", "c"], ["A", "Miss", "C"]),
            (vec![], ["Miss", "Miss", "Miss"]),
        ] {
            let wire: String = values.iter().map(|key| value(key)).collect();
            let (request, got) = get_joined(&["a", "b", "c"], format!("{wire}END\r\n").as_bytes());
            assert_eq!(request, "get a b c\r\n");
            assert_eq!(got, expected, "{values:?}");
        }
    }

    #[test]
    fn an_error_is_every_remaining_keys_answer() {
        let wire = b"VALUE a 0 1\r\nA\r\nSERVER_ERROR out of memory\r\n";
        let (_, got) = get_joined(&["a", "b", "c"], wire);
        assert_eq!(got, ["A", "Error", "Error"]);
    }

    #[test]
    fn a_value_that_nobody_asked_for_breaks_it() {
        let (_, got) = get_joined(&["a", "b"], b"VALUE x 0 1\r\nX\r\nEND\r\n");
        assert_eq!(got, ["Miss", "broken"]);
    }

    #[test]
    fn a_get_is_closed_by_other_requests_by_sending_and_by_its_limit() {
        let hasher = KeyHasher::new(1);
        let mut pipeline = Pipeline::new(Protocol::Memcache, hasher, 100);
        pipeline.push_get(0, hasher.key(b"a"), NOW);
        pipeline
            .push(1, Expects::Line, NOW)
            .extend_from_slice(b"delete a\r\n");
        pipeline.push_get(2, hasher.key(b"b"), NOW);
        assert_eq!(
            pipeline.take_output(Vec::new()),
            b"get a\r\ndelete a\r\nget b\r\n"
        );
        for tag in 0..=GET_KEYS_MAX {
            pipeline.push_get(tag, hasher.key(b"k"), NOW);
        }
        let output = pipeline.take_output(Vec::new());
        assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 2);
        assert!(output.ends_with(b" k\r\nget k\r\n"));
    }
}
