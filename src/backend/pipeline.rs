//! A pipelined backend connection without the connection: requests go in with a tag each, bytes
//! come out to be sent; bytes come in, replies come out with their tags, in order.

use std::collections::VecDeque;

use super::{
    reply::{Meaning, REPLY_BYTES_MAX, REPLY_TOO_LARGE, Reply, VALUE_TOO_LARGE},
    skip::{Skip, Skipped},
};
use crate::{
    config::Protocol,
    protocol::{
        Parsed,
        memcache::{self, Spelling},
        number, resp,
    },
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
    /// memcache: the reply to one meta command, with its value if it has one. RESP: any frame.
    Meta,
    /// memcache: the line that answers a meta command with a data block. A server that does not
    /// know meta commands would take the block for another request, so it must not be sent it.
    MetaData,
}

/// What is remembered of a request, to read its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One line, or any RESP frame.
    Line,
    /// One value or none, then `END`.
    Retrieval,
    /// The reply to a meta command.
    Meta,
    /// One key of a `get` with several: its value, unless the next value is another key's.
    Member {
        hash: KeyHash,
        /// No further key of the same `get` follows.
        is_last: bool,
    },
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
    /// The rest of a reply that was too large to be kept.
    Skipped {
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
    /// What has come of a reply that was too large, and is answered, goes on.
    skip: Option<Skip>,
}

impl<T> Pipeline<T> {
    /// An empty pipeline; an error line stands for a reply with a larger value than
    /// `value_bytes_max`.
    pub fn new(protocol: Protocol, hasher: KeyHasher, value_bytes_max: usize) -> Self {
        Self {
            protocol,
            hasher,
            open_keys: 0,
            value_bytes_max,
            output: Vec::new(),
            in_flight: VecDeque::new(),
            skip: None,
        }
    }

    /// Adds a request; its bytes are appended to what is returned.
    pub fn push(&mut self, tag: T, expects: Expects, now: UnixMs) -> &mut Vec<u8> {
        self.open_keys = 0;
        let shape = match expects {
            Expects::Line | Expects::MetaData => Shape::Line,
            Expects::Meta => Shape::Meta,
            Expects::Retrieval => Shape::Retrieval,
        };
        self.in_flight.push_back(InFlight {
            tag,
            shape,
            asked_at: now,
        });
        &mut self.output
    }

    /// Adds a request for one whole value, whose key is spelled so to memcache servers.
    pub fn push_get(&mut self, tag: T, key: Key<'_>, spelling: Spelling, now: UnixMs) {
        if self.protocol == Protocol::Resp {
            let out = self.push(tag, Expects::Line, now);
            return resp::reply::encode_command(out, &[b"GET", key.bytes]);
        }
        if spelling == Spelling::Base64 {
            let out = self.push(tag, Expects::Meta, now);
            return memcache::reply::encode_meta_get(out, key.bytes, spelling);
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
        self.skip = None;
        self.in_flight.pop_front().map(|request| request.tag)
    }

    /// Reads the next reply from the front of `bytes`.
    pub fn receive<'b>(&mut self, bytes: &'b [u8]) -> Received<'b, T> {
        if bytes.is_empty() {
            return Received::Incomplete { want: 1 };
        }
        if self.skip.is_some() {
            return self.skip(bytes);
        }
        let Some(request) = self.in_flight.front() else {
            return Received::Broken;
        };
        let parsed = match (self.protocol, request.shape) {
            (Protocol::Resp, _) => self.resp_reply(bytes),
            (Protocol::Memcache, Shape::Meta) => self.meta_reply(bytes),
            (Protocol::Memcache, shape) => self.memcache_reply(bytes, shape),
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

    /// Throws away what follows of a reply that was too large.
    fn skip<'b>(&mut self, bytes: &[u8]) -> Received<'b, T> {
        let limits = resp::Limits::for_replies(self.value_bytes_max);
        let Some(skip) = &mut self.skip else {
            return Received::Skipped { consumed: 0 };
        };
        match skip.step(bytes, &limits) {
            Skipped::Broken => Received::Broken,
            Skipped::Part(0) => Received::Incomplete {
                want: bytes.len() + 1,
            },
            Skipped::Part(consumed) => Received::Skipped { consumed },
            Skipped::All(consumed) => {
                self.skip = None;
                Received::Skipped { consumed }
            }
        }
    }

    fn memcache_reply<'b>(&mut self, bytes: &'b [u8], shape: Shape) -> Parsed<Reply<'b>, ()> {
        use memcache::reply::{Reply as Element, ReplyRefusal, parse_reply, value_head};
        let mut too_large = None;
        let (element, end) = match parse_reply(bytes, self.value_bytes_max) {
            Parsed::Incomplete { want } => return Parsed::Incomplete { want },
            Parsed::Complete { request, consumed } => (request, consumed),
            Parsed::Refused { refusal, consumed } => match value_head(bytes) {
                Some(head) if refusal == ReplyRefusal::ValueTooLarge => {
                    too_large = Some(head.data_bytes);
                    let element = Element::Value {
                        key: head.key,
                        flags: 0,
                        cas: None,
                        data: &[],
                    };
                    (element, head.line_bytes)
                }
                _ => return refused(consumed),
            },
        };
        let is_last = !matches!(shape, Shape::Member { is_last: false, .. });
        // What ends a `get` is the reply to all its keys that have none yet: it stays until the
        // last of them has seen it.
        let consumed_if_last = if is_last { end } else { 0 };
        match (element, shape) {
            (Element::Line(line), _) => {
                let reply = Reply {
                    frame: line,
                    meaning: Meaning::of_line(line),
                };
                Parsed::Complete {
                    request: reply,
                    consumed: consumed_if_last,
                }
            }
            (_, Shape::Line) => refused(end),
            (Element::End, _) => Parsed::Complete {
                request: Reply::MISS,
                consumed: consumed_if_last,
            },
            (Element::Value { key, .. }, Shape::Member { hash, .. })
                if self.hasher.hash(key) != hash =>
            {
                if is_last {
                    return refused(end);
                }
                Parsed::Complete {
                    request: Reply::MISS,
                    consumed: 0,
                }
            }
            (Element::Value { flags, data, .. }, _) => {
                if let Some(data_bytes) = too_large {
                    self.skip = Some(Skip::value(data_bytes, is_last));
                    return Parsed::Complete {
                        request: Reply::too_large(memcache::reply::TOO_LARGE),
                        consumed: end,
                    };
                }
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

    fn meta_reply<'b>(&mut self, bytes: &'b [u8]) -> Parsed<Reply<'b>, ()> {
        use memcache::meta::reply::{MetaReply, parse_reply, returned, value_head};
        use memcache::reply::{ReplyRefusal, TOO_LARGE};
        match parse_reply(bytes, self.value_bytes_max) {
            Parsed::Incomplete { want } => Parsed::Incomplete { want },
            Parsed::Refused { refusal, consumed } => match value_head(bytes) {
                Some((data_bytes, line_bytes)) if refusal == ReplyRefusal::ValueTooLarge => {
                    self.skip = Some(Skip::value(data_bytes, false));
                    Parsed::Complete {
                        request: Reply::too_large(TOO_LARGE),
                        consumed: line_bytes,
                    }
                }
                _ => refused(consumed),
            },
            Parsed::Complete { request, consumed } => {
                let frame = &bytes[..consumed];
                let flags = || returned(frame, b'f').and_then(number::unsigned);
                let meaning = match request {
                    MetaReply::Value { data } => Meaning::Hit {
                        value: data,
                        flags: flags().map_or(0, |flags| flags as u32),
                    },
                    MetaReply::Line(line) if line.starts_with(b"EN") => Meaning::Miss,
                    MetaReply::Line(line) => Meaning::of_line(line),
                };
                Parsed::Complete {
                    request: Reply { frame, meaning },
                    consumed,
                }
            }
        }
    }

    fn resp_reply<'b>(&mut self, bytes: &'b [u8]) -> Parsed<Reply<'b>, ()> {
        use resp::reply::{Reply as Element, ReplyRefusal, parse_reply};
        let limits = resp::Limits::for_replies(self.value_bytes_max);
        match parse_reply(bytes, &limits) {
            Parsed::Incomplete { want } if want > REPLY_BYTES_MAX => {
                self.skip_frame(REPLY_TOO_LARGE)
            }
            Parsed::Incomplete { want } => Parsed::Incomplete { want },
            Parsed::Refused {
                refusal: ReplyRefusal::BulkTooLarge,
                ..
            } => self.skip_frame(VALUE_TOO_LARGE),
            Parsed::Refused { consumed, .. } => refused(consumed),
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

    /// Answers with a line, and throws the frame away.
    fn skip_frame(&mut self, line: &'static [u8]) -> Parsed<Reply<'static>, ()> {
        self.skip = Some(Skip::frame());
        Parsed::Complete {
            request: Reply::too_large(line),
            consumed: 0,
        }
    }
}

fn refused<'b>(consumed: usize) -> Parsed<Reply<'b>, ()> {
    Parsed::Refused {
        refusal: (),
        consumed,
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
        Some(_) => refused(consumed),
    }
}

#[cfg(test)]
mod tests;
