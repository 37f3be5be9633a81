//! Reading replies: whose they are, what they say, and stepping over those that say too much.

use super::{Pipeline, Received, request::Shape};
use crate::{
    backend::{
        reply::{Meaning, REPLY_BYTES_MAX, REPLY_TOO_LARGE, Reply, VALUE_TOO_LARGE},
        skip::{Skip, Skipped},
    },
    config::Protocol,
    protocol::{Parsed, memcache, number, resp},
    store::KeyHash,
};

/// What a server says: a reply, or something unasked, which may be too large.
enum Said<'b> {
    Reply(Reply<'b>),
    Push,
    LargePush,
}

impl<T> Pipeline<T> {
    /// Reads the next reply from the front of `bytes`.
    pub fn receive<'b>(&mut self, bytes: &'b [u8]) -> Received<'b, T> {
        if bytes.is_empty() {
            return Received::Incomplete { want: 1 };
        }
        if self.skip.is_some() {
            return self.skip(bytes);
        }
        if self.hears_monitor && is_monitor_line(bytes) {
            return self.monitor_line(bytes);
        }
        let awaited = self.entries.front().filter(|_| self.sent_count > 0);
        let shape = awaited.map(|entry| entry.shape);
        let parsed = match (self.protocol, shape) {
            (Protocol::Resp, _) => self.resp_reply(bytes),
            (Protocol::Memcache, None) => return Received::Broken,
            (Protocol::Memcache, Some(Shape::Meta)) => self.meta_reply(bytes),
            (Protocol::Memcache, Some(shape)) => self.memcache_reply(bytes, shape),
        };
        match parsed {
            Parsed::Incomplete { want } => Received::Incomplete { want },
            Parsed::Complete {
                request: Said::Push,
                consumed,
            } => Received::Push {
                frame: &bytes[..consumed],
                consumed,
            },
            Parsed::Complete {
                request: Said::LargePush,
                consumed,
            } => Received::Skipped { consumed },
            Parsed::Complete {
                request: Said::Reply(reply),
                consumed,
            } if shape.is_some_and(|shape| is_answer(shape, &reply)) => {
                let is_elsewhere =
                    reply.meaning == Meaning::Error && self.recalls.is_for(reply.frame);
                if is_elsewhere && !self.recall() {
                    let want = bytes.len() + 1;
                    return Received::Incomplete { want };
                }
                self.answered(reply, consumed)
            }
            Parsed::Complete { .. } | Parsed::Refused { .. } => Received::Broken,
        }
    }

    fn monitor_line<'b>(&self, bytes: &'b [u8]) -> Received<'b, T> {
        match memchr::memchr(b'\n', bytes) {
            Some(end) => Received::Push {
                frame: &bytes[..=end],
                consumed: end + 1,
            },
            None if bytes.len() > REPLY_BYTES_MAX => Received::Broken,
            None => Received::Incomplete {
                want: bytes.len() + 1,
            },
        }
    }

    fn answered<'b>(&mut self, reply: Reply<'b>, consumed: usize) -> Received<'b, T> {
        let Some(entry) = self.entries.pop_front() else {
            return Received::Broken;
        };
        self.sent_count -= 1;
        self.history.answered(entry.len);
        match entry.tag {
            Some(tag) => Received::Complete {
                tag,
                reply,
                consumed,
            },
            None => Received::Unheard { consumed },
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

    fn memcache_reply<'b>(&mut self, bytes: &'b [u8], shape: Shape) -> Parsed<Said<'b>, ()> {
        use memcache::reply::Reply as Element;
        let Found {
            element,
            end,
            too_large,
        } = match find_element(bytes, self.value_bytes_max) {
            Parsed::Incomplete { want } => return Parsed::Incomplete { want },
            Parsed::Refused { consumed, .. } => return refused(consumed),
            Parsed::Complete { request, .. } => request,
        };
        let is_last = !matches!(shape, Shape::Member { is_last: false, .. });
        // What ends a `get` is the reply to all its keys that have none yet: it stays until the
        // last of them has seen it.
        let consumed_if_last = if is_last { end } else { 0 };
        match (element, shape) {
            (Element::Line(line), shape) if !is_answering(line, shape) => refused(end),
            (Element::Line(line), _) => {
                let reply = Reply {
                    frame: line,
                    meaning: Meaning::of_line(line),
                };
                Parsed::Complete {
                    request: Said::Reply(reply),
                    consumed: consumed_if_last,
                }
            }
            (_, Shape::Line) => refused(end),
            (Element::End, _) => Parsed::Complete {
                request: Said::Reply(Reply::MISS),
                consumed: consumed_if_last,
            },
            (Element::Value { key, .. }, Shape::Retrieval { of: Some(hash) })
                if self.hasher.hash(key) != hash =>
            {
                refused(end)
            }
            (Element::Value { key, .. }, Shape::Member { hash, .. })
                if self.hasher.hash(key) != hash =>
            {
                if is_last || !self.is_of_later_member(self.hasher.hash(key)) {
                    return refused(end);
                }
                Parsed::Complete {
                    request: Said::Reply(Reply::MISS),
                    consumed: 0,
                }
            }
            (Element::Value { flags, data, .. }, _) => {
                if let Some(data_bytes) = too_large {
                    self.skip = Some(Skip::value(data_bytes, is_last));
                    return Parsed::Complete {
                        request: Said::Reply(Reply::too_large(memcache::reply::TOO_LARGE)),
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
                        request: Said::Reply(reply),
                        consumed: end,
                    }
                }
            }
        }
    }

    /// Whether a value may be that of a later key of the `get` that is being answered: then the one
    /// before it were not found. Else nobody asked for it, and it says nothing of anybody's.
    fn is_of_later_member(&self, found: KeyHash) -> bool {
        for entry in self.entries.iter().skip(1) {
            match entry.shape {
                Shape::Member { hash, .. } if hash == found => return true,
                Shape::Member { is_last: false, .. } => {}
                _ => return false,
            }
        }
        false
    }

    fn meta_reply<'b>(&mut self, bytes: &'b [u8]) -> Parsed<Said<'b>, ()> {
        use memcache::meta::reply::{MetaReply, is_answer, parse_reply, returned, value_head};
        use memcache::reply::{ReplyRefusal, TOO_LARGE};
        match parse_reply(bytes, self.value_bytes_max) {
            Parsed::Incomplete { want } => Parsed::Incomplete { want },
            Parsed::Refused { refusal, consumed } => match value_head(bytes) {
                Some((data_bytes, line_bytes)) if refusal == ReplyRefusal::ValueTooLarge => {
                    self.skip = Some(Skip::value(data_bytes, false));
                    Parsed::Complete {
                        request: Said::Reply(Reply::too_large(TOO_LARGE)),
                        consumed: line_bytes,
                    }
                }
                _ => refused(consumed),
            },
            Parsed::Complete {
                request: MetaReply::Line(line),
                consumed,
            } if !is_answer(line) => refused(consumed),
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
                    request: Said::Reply(Reply { frame, meaning }),
                    consumed,
                }
            }
        }
    }

    fn resp_reply<'b>(&mut self, bytes: &'b [u8]) -> Parsed<Said<'b>, ()> {
        use resp::reply::{Reply as Element, ReplyRefusal, Scan, parse_reply};
        let limits = resp::Limits::for_replies(self.value_bytes_max);
        let parsed = match self.scan.take() {
            None => parse_reply(bytes, &limits),
            Some(mut scan) => match scan.advance(bytes, &limits) {
                Parsed::Complete { .. } => parse_reply(bytes, &limits),
                Parsed::Refused { refusal, consumed } => Parsed::Refused { refusal, consumed },
                Parsed::Incomplete { want } => {
                    self.scan = Some(scan);
                    Parsed::Incomplete { want }
                }
            },
        };
        match parsed {
            Parsed::Incomplete { want } if want > REPLY_BYTES_MAX => {
                self.scan = None;
                self.skip_frame(bytes, REPLY_TOO_LARGE)
            }
            Parsed::Incomplete { want } => {
                // A bulk has nothing that could be read again and again.
                if self.scan.is_none() && !bytes.starts_with(b"$") {
                    self.scan = Some(Scan::START);
                }
                Parsed::Incomplete { want }
            }
            Parsed::Refused {
                refusal: ReplyRefusal::BulkTooLarge,
                ..
            } => self.skip_frame(bytes, VALUE_TOO_LARGE),
            Parsed::Refused { consumed, .. } => refused(consumed),
            Parsed::Complete { request, consumed } => {
                let meaning = match request {
                    Element::Push => {
                        return Parsed::Complete {
                            request: Said::Push,
                            consumed,
                        };
                    }
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
                    request: Said::Reply(reply),
                    consumed,
                }
            }
        }
    }

    /// Answers with a line, unless it is no answer, and throws the frame away.
    fn skip_frame(&mut self, bytes: &[u8], line: &'static [u8]) -> Parsed<Said<'static>, ()> {
        self.skip = Some(Skip::frame());
        Parsed::Complete {
            request: match bytes.first() {
                Some(b'>') => Said::LargePush,
                _ => Said::Reply(Reply::too_large(line)),
            },
            consumed: 0,
        }
    }
}

/// Whether a Redis server can have said this to what it was asked. It says nothing of the key, so no
/// more can be told.
fn is_answer(shape: Shape, reply: &Reply<'_>) -> bool {
    shape != Shape::Value || reply.meaning != Meaning::Other
}

fn refused<'b>(consumed: usize) -> Parsed<Said<'b>, ()> {
    Parsed::Refused {
        refusal: (),
        consumed,
    }
}

/// Whether a memcached can have said this line. A `get` is answered by values or by an error: another
/// line is another's answer.
fn is_answering(line: &[u8], shape: Shape) -> bool {
    match shape {
        Shape::Line => memcache::reply::is_answer(line),
        _ => memcache::reply::is_error(line),
    }
}

/// One element of what a memcached says.
struct Found<'b> {
    element: memcache::reply::Reply<'b>,
    /// Where it ends; of a value that is too large only its line.
    end: usize,
    /// Bytes of a value that is too large.
    too_large: Option<u64>,
}

fn find_element(bytes: &[u8], value_bytes_max: usize) -> Parsed<Found<'_>, ()> {
    use memcache::reply::{Reply, ReplyRefusal, parse_reply, value_head};
    let (found, consumed) = match parse_reply(bytes, value_bytes_max) {
        Parsed::Incomplete { want } => return Parsed::Incomplete { want },
        Parsed::Complete { request, consumed } => {
            let found = Found {
                element: request,
                end: consumed,
                too_large: None,
            };
            (found, consumed)
        }
        Parsed::Refused { refusal, consumed } => match value_head(bytes) {
            Some(head) if refusal == ReplyRefusal::ValueTooLarge => {
                let element = Reply::Value {
                    key: head.key,
                    flags: 0,
                    cas: None,
                    data: &[],
                };
                let found = Found {
                    element,
                    end: head.line_bytes,
                    too_large: Some(head.data_bytes),
                };
                (found, head.line_bytes)
            }
            _ => {
                return Parsed::Refused {
                    refusal: (),
                    consumed,
                };
            }
        },
    };
    Parsed::Complete {
        request: found,
        consumed,
    }
}

/// A value that nothing follows is a whole reply only with the `END` behind it.
fn with_end<'b>(bytes: &'b [u8], value_end: usize, reply: Reply<'b>) -> Parsed<Said<'b>, ()> {
    let end = memcache::reply::END;
    let consumed = value_end + end.len();
    match bytes.get(value_end..consumed) {
        None => Parsed::Incomplete { want: consumed },
        Some(line) if line == end => Parsed::Complete {
            request: Said::Reply(reply),
            consumed,
        },
        Some(_) => refused(consumed),
    }
}

/// Whether this begins one of MONITOR's lines: the time, in seconds. What a server replies to the
/// commands that are sent beside it begins with a letter.
fn is_monitor_line(bytes: &[u8]) -> bool {
    matches!(bytes, [b'+'] | [b'+', b'0'..=b'9', ..])
}
