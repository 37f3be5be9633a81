//! A pipelined backend connection without the connection: requests go in with a tag each, bytes
//! come out to be sent; bytes come in, replies come out with their tags, in order.

use std::collections::VecDeque;

use crate::{
    config::Protocol,
    protocol::{Parsed, memcache, resp},
    store::UnixMs,
};

/// What the reply to a request looks like, so far as the protocol does not say it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expects {
    /// memcache: one value or none, then `END`. RESP: any frame.
    Retrieval,
    /// memcache: one line. RESP: any frame.
    Line,
}

/// A backend's reply to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'b> {
    /// The reply's bytes, whole.
    pub frame: &'b [u8],
    /// What they say.
    pub meaning: Meaning<'b>,
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
    expects: Expects,
    asked_at: UnixMs,
}

/// Requests to one backend, in order.
#[derive(Debug)]
pub struct Pipeline<T> {
    protocol: Protocol,
    value_bytes_max: usize,
    output: Vec<u8>,
    in_flight: VecDeque<InFlight<T>>,
}

impl<T> Pipeline<T> {
    /// An empty pipeline; a reply with a larger value than `value_bytes_max` breaks it.
    pub fn new(protocol: Protocol, value_bytes_max: usize) -> Self {
        Self {
            protocol,
            value_bytes_max,
            output: Vec::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// Adds a request; its bytes are appended to what is returned.
    pub fn push(&mut self, tag: T, expects: Expects, now: UnixMs) -> &mut Vec<u8> {
        self.in_flight.push_back(InFlight {
            tag,
            expects,
            asked_at: now,
        });
        &mut self.output
    }

    /// Takes the bytes to be sent; `spare` takes their place.
    pub fn take_output(&mut self, spare: Vec<u8>) -> Vec<u8> {
        debug_assert!(spare.is_empty());
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
            Protocol::Memcache => memcache_reply(bytes, request.expects, self.value_bytes_max),
            Protocol::Resp => resp_reply(bytes, self.value_bytes_max),
        };
        match parsed {
            Parsed::Incomplete { want } => Received::Incomplete { want },
            Parsed::Refused { .. } => Received::Broken,
            Parsed::Complete {
                request: meaning,
                consumed,
            } => {
                let Some(InFlight { tag, .. }) = self.in_flight.pop_front() else {
                    return Received::Broken;
                };
                let reply = Reply {
                    frame: &bytes[..consumed],
                    meaning,
                };
                Received::Complete {
                    tag,
                    reply,
                    consumed,
                }
            }
        }
    }
}

fn memcache_reply(
    bytes: &[u8],
    expects: Expects,
    value_bytes_max: usize,
) -> Parsed<Meaning<'_>, ()> {
    match memcache::reply::parse_reply(bytes, value_bytes_max) {
        Parsed::Incomplete { want } => Parsed::Incomplete { want },
        Parsed::Refused { consumed, .. } => Parsed::Refused {
            refusal: (),
            consumed,
        },
        Parsed::Complete { request, consumed } => {
            use memcache::reply::Reply;
            match (request, expects) {
                (Reply::Line(line), _) => Parsed::Complete {
                    request: line_meaning(line),
                    consumed,
                },
                (Reply::End, Expects::Retrieval) => Parsed::Complete {
                    request: Meaning::Miss,
                    consumed,
                },
                (Reply::Value { flags, data, .. }, Expects::Retrieval) => {
                    let hit = Meaning::Hit { value: data, flags };
                    with_end(bytes, consumed, hit)
                }
                (_, Expects::Line) => Parsed::Refused {
                    refusal: (),
                    consumed,
                },
            }
        }
    }
}

/// A value is a whole reply only with the `END` behind it.
fn with_end<'b>(bytes: &'b [u8], value_end: usize, hit: Meaning<'b>) -> Parsed<Meaning<'b>, ()> {
    let end = memcache::reply::END;
    let consumed = value_end + end.len();
    match bytes.get(value_end..consumed) {
        None => Parsed::Incomplete { want: consumed },
        Some(line) if line == end => Parsed::Complete {
            request: hit,
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

fn resp_reply(bytes: &[u8], value_bytes_max: usize) -> Parsed<Meaning<'_>, ()> {
    use resp::reply::Reply;
    match resp::reply::parse_reply(bytes, &resp::Limits::for_replies(value_bytes_max)) {
        Parsed::Incomplete { want } => Parsed::Incomplete { want },
        Parsed::Refused { consumed, .. } => Parsed::Refused {
            refusal: (),
            consumed,
        },
        Parsed::Complete { request, consumed } => {
            let meaning = match request {
                Reply::Bulk(Some(value)) => Meaning::Hit { value, flags: 0 },
                Reply::Bulk(None) => Meaning::Miss,
                Reply::Error(_) => Meaning::Error,
                _ => Meaning::Other,
            };
            Parsed::Complete {
                request: meaning,
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
        let mut pipeline = Pipeline::new(protocol, 100);
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
        assert_eq!(replies[0].1, "VALUE k 3 2\r\nab\r\nEND\r\n");
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
        let mut pipeline = Pipeline::<u32>::new(Protocol::Memcache, 100);
        assert!(matches!(pipeline.receive(b"STORED\r\n"), Received::Broken));
        pipeline.push(1, Expects::Line, NOW);
        assert!(matches!(pipeline.receive(b"END\r\n"), Received::Broken));
        let mut pipeline = Pipeline::new(Protocol::Memcache, 100);
        pipeline.push(1, Expects::Retrieval, NOW);
        let two = b"VALUE a 0 1\r\nx\r\nVALUE b 0 1\r\n";
        assert!(matches!(pipeline.receive(two), Received::Broken));
        assert_eq!(pipeline.oldest(), Some(NOW));
        assert_eq!(pipeline.abandon(), Some(1));
        assert_eq!(pipeline.abandon(), None);
    }
}
