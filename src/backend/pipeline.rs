//! A pipelined backend connection without the connection: requests go in with a tag each, bytes
//! come out to be sent; bytes come in, replies come out with their tags, in order.
//!
//! ```text
//! entries: | sent, unanswered ...        | unsent ... |  <- push
//!                                        ^ sent_count
//! bytes:   | history (sent, kept) ...    | output     |
//! ```
//!
//! A request has its own deadline, which begins when its bytes are taken to be sent. If it passes,
//! the tag [comes out](Pipeline::poll_failed) and the place stays, so that the reply, which may
//! still come, is not taken for another's. A connection that [is lost](Pipeline::lose) takes with
//! it only what was sent and cannot be sent again: requests that wait go out on the next one.

mod again;
mod history;
mod loss;
mod receive;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::again::Recalls;
pub use self::again::{Recalled, is_refusal};
use self::history::History;
use self::request::{Entry, Shape, deadline};
pub use self::request::{Expects, Failure, OnLoss, REPEATS_MAX, Terms};
use super::{reply::Reply, skip::Skip};
use crate::{
    config::Protocol,
    protocol::{
        memcache::{self, Spelling},
        resp,
    },
    store::{Key, KeyHash, KeyHasher, UnixMs},
};

const LINE_END: &[u8] = b"\r\n";

/// A `get` takes no more keys from this length on, in bytes: half of what memcached reads at a time, and some hundred
/// keys.
const GET_LINE_BYTES_MAX: usize = 8 * 1024;

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
    /// A reply that nobody waits for any more, or ever did.
    Unheard {
        /// Its bytes.
        consumed: usize,
    },
    /// RESP3: what the server says by itself. It answers no request.
    Push {
        /// Its bytes, attributes included.
        frame: &'b [u8],
        /// How many they are.
        consumed: usize,
    },
    /// The backend does not speak the protocol, or speaks unasked: the connection is of no use.
    Broken,
}

/// Requests to one backend, in order.
///
/// Retrievals that come together are sent to memcache as one `get`: the server then sends all
/// values at once, where it sends each reply by itself otherwise.
///
/// Invariant: the unsent entries' lengths add up to `output`'s, but for the last entry's, which is
/// known once it is sealed; no entry has an earlier deadline than `earliest`. A `get` without its end is
/// the last of all requests.
#[derive(Debug)]
pub struct Pipeline<T> {
    protocol: Protocol,
    hasher: KeyHasher,
    /// Bytes of the `get` at the end of `output`, to which keys can be added, as its line has no end yet; 0 if there is
    /// none.
    open_bytes: usize,
    value_bytes_max: usize,
    output: Vec<u8>,
    /// Where in `output` the last request begins, unless its length is known.
    unsealed_at: Option<usize>,
    entries: VecDeque<Entry<T>>,
    /// Entries whose bytes were taken to be sent.
    sent_count: usize,
    /// Before this, no deadline passes.
    earliest: UnixMs,
    /// Requests that were ever added.
    pushed_total: u64,
    history: History,
    /// Requests that another server has to be asked for are [recalled](Pipeline::take_recalled).
    recalls: Recalls,
    recalled: Option<Recalled>,
    failed: VecDeque<(T, Failure)>,
    /// What has come of a reply that was too large, and is answered, goes on.
    skip: Option<Skip>,
    /// How far the RESP reply that is coming has been read, if it has many frames.
    scan: Option<resp::reply::Scan>,
    /// The server may have been told to MONITOR.
    hears_monitor: bool,
}

impl<T> Pipeline<T> {
    /// An empty pipeline; an error line stands for a reply with a larger value than
    /// `value_bytes_max`.
    pub fn new(protocol: Protocol, hasher: KeyHasher, value_bytes_max: usize) -> Self {
        Self {
            protocol,
            hasher,
            open_bytes: 0,
            value_bytes_max,
            output: Vec::new(),
            unsealed_at: None,
            entries: VecDeque::new(),
            sent_count: 0,
            earliest: UnixMs(u64::MAX),
            pushed_total: 0,
            history: History::default(),
            recalls: Recalls::None,
            recalled: None,
            failed: VecDeque::new(),
            skip: None,
            scan: None,
            hears_monitor: false,
        }
    }

    /// From here on what Redis sends for MONITOR, a line for each command, is what it
    /// [says by itself](Received::Push).
    pub fn hear_monitor(&mut self) {
        self.hears_monitor = true;
    }

    /// Adds a request; its bytes are appended to what is returned.
    pub fn push(&mut self, tag: T, expects: Expects, terms: Terms, now: UnixMs) -> &mut Vec<u8> {
        self.push_any(Some(tag), expects, terms, now)
    }

    /// Adds a request whose reply nobody waits for.
    pub fn push_unheard(&mut self, terms: Terms, now: UnixMs) -> &mut Vec<u8> {
        self.push_any(None, Expects::Line, terms, now)
    }

    fn push_any(
        &mut self,
        tag: Option<T>,
        expects: Expects,
        terms: Terms,
        now: UnixMs,
    ) -> &mut Vec<u8> {
        let shape = match expects {
            Expects::Line | Expects::MetaData => Shape::Line,
            Expects::Meta => Shape::Meta,
            Expects::Retrieval => Shape::Retrieval { of: None },
        };
        self.push_shaped(tag, shape, terms, now)
    }

    fn push_shaped(
        &mut self,
        tag: Option<T>,
        shape: Shape,
        terms: Terms,
        now: UnixMs,
    ) -> &mut Vec<u8> {
        self.seal();
        self.unsealed_at = Some(self.output.len());
        self.enqueue(tag, shape, 0, terms, now);
        &mut self.output
    }

    /// The request that was added last is about this key: the value of another is not its reply.
    pub fn name_key(&mut self, key: KeyHash) {
        if let Some(entry) = self.entries.back_mut()
            && let Shape::Retrieval { of } = &mut entry.shape
        {
            *of = Some(key);
        }
    }

    /// Adds a request for one whole value, whose key is spelled so to memcache servers.
    pub fn push_get(
        &mut self,
        tag: T,
        key: Key<'_>,
        spelling: Spelling,
        terms: Terms,
        now: UnixMs,
    ) {
        if self.protocol == Protocol::Resp {
            let out = self.push_shaped(Some(tag), Shape::Value, terms, now);
            return resp::reply::encode_command(out, &[b"GET", key.bytes]);
        }
        if spelling == Spelling::Base64 {
            let out = self.push(tag, Expects::Meta, terms, now);
            return memcache::reply::encode_meta_get(out, key.bytes, spelling);
        }
        let len = self.write_member(key.bytes);
        let shape = Shape::Member {
            hash: key.hash,
            is_last: false,
        };
        self.enqueue(Some(tag), shape, len, terms, now);
    }

    /// Adds a key to the `get` at the end of the output, or begins one; how many bytes that took. Its
    /// entry is to follow.
    #[inline]
    fn write_member(&mut self, key: &[u8]) -> usize {
        const VERB: &[u8] = b"get";
        let is_first = !(1..GET_LINE_BYTES_MAX).contains(&self.open_bytes);
        if is_first {
            self.seal();
            self.output.extend_from_slice(VERB);
        }
        self.output.reserve(1 + key.len());
        self.output.push(b' ');
        self.output.extend_from_slice(key);
        let verb_bytes = if is_first { VERB.len() } else { 0 };
        let len = verb_bytes + 1 + key.len();
        self.open_bytes += len;
        len
    }

    #[inline]
    fn enqueue(&mut self, tag: Option<T>, shape: Shape, len: usize, terms: Terms, now: UnixMs) {
        self.enqueue_entry(Entry {
            tag,
            shape,
            terms,
            deadline: deadline(now, terms),
            len,
            repeats: 0,
            is_timed: false,
            hop_count: 0,
            number: 0,
        });
    }

    fn enqueue_entry(&mut self, mut entry: Entry<T>) {
        entry.number = self.pushed_total;
        self.pushed_total += 1;
        self.earliest = match self.entries.is_empty() {
            true => entry.deadline,
            false => self.earliest.min(entry.deadline),
        };
        self.entries.push_back(entry);
    }

    /// The last request has all its bytes, but for the end of a `get`, which it is given.
    #[inline]
    fn seal(&mut self) {
        let unsealed_at = self.unsealed_at.take();
        let is_open = core::mem::take(&mut self.open_bytes) > 0;
        let Some(entry) = self.entries.back_mut() else {
            return;
        };
        if let Some(at) = unsealed_at {
            entry.len = self.output.len() - at;
        }
        if is_open && let Shape::Member { is_last, .. } = &mut entry.shape {
            *is_last = true;
            entry.len += LINE_END.len();
            self.output.extend_from_slice(LINE_END);
        }
    }

    /// Takes the bytes to be sent; `spare` takes their place. The deadlines of what is in them
    /// begin. Once they are sent they are to be [given back](Self::sent).
    pub fn take_output(&mut self, spare: Vec<u8>, now: UnixMs) -> Vec<u8> {
        debug_assert!(spare.is_empty());
        self.seal();
        let mut is_wanted = false;
        for entry in self.entries.range_mut(self.sent_count..) {
            is_wanted |= entry.terms.on_loss == OnLoss::Repeat;
            if entry.repeats == 0 && !entry.is_timed {
                entry.deadline = deadline(now, entry.terms);
            }
        }
        self.sent_count = self.entries.len();
        self.history.take(&self.output, is_wanted);
        core::mem::replace(&mut self.output, spare)
    }

    /// What was [taken](Self::take_output) last has been sent. It is kept as long as it may be
    /// needed.
    pub fn sent(&mut self, buffer: Vec<u8>) {
        self.history.sent(buffer);
    }

    /// A buffer that was sent and is not needed any more, for reuse.
    pub fn take_released(&mut self) -> Option<Vec<u8>> {
        self.history.take_released()
    }

    /// Whether there are bytes to be sent.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Requests that are not answered, sent or not.
    pub fn in_flight(&self) -> usize {
        self.entries.len()
    }

    /// Those of them that were sent.
    pub fn sent_count(&self) -> usize {
        self.sent_count
    }

    /// When to [look for](Self::expire) deadlines that have passed; it may be too early.
    pub fn next_deadline(&self) -> Option<UnixMs> {
        let is_known = !self.entries.is_empty() && self.earliest.0 != u64::MAX;
        is_known.then_some(self.earliest)
    }

    /// Whether a request that failed, or a buffer that was sent, waits to be taken out.
    #[inline]
    pub fn has_left(&self) -> bool {
        self.has_failed() || self.history.has_released()
    }

    /// Whether there is a request to be told of by [`Self::poll_failed`].
    pub fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// The tag of a request that has failed, and why.
    pub fn poll_failed(&mut self) -> Option<(T, Failure)> {
        self.failed.pop_front()
    }
}
