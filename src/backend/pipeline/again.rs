//! Requests that leave a pipeline for another one: a server will not do them, but names one that
//! will, or it turns out before they are sent that they are another's.
//!
//! A server that would not do a request has not done it, so a write can go on like a read. Whoever
//! moves requests keeps them in order: they come out in the order in which they went in, and
//! [`Pipeline::pushed_total`] and [`Pipeline::settled_total`] tell when the last of them has.

use super::{Entry, OnLoss, Pipeline, Shape, Terms, history::Oldest};
use crate::{backend::is_unfit, store::UnixMs};

/// A request on its way from one pipeline to another.
#[derive(Debug)]
pub struct Recalled {
    bytes: Vec<u8>,
    shape: Shape,
    terms: Terms,
    deadline: UnixMs,
    is_timed: bool,
    hop_count: u8,
}

impl Recalled {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How often servers have sent it on.
    pub fn hop_count(&self) -> u8 {
        self.hop_count
    }

    /// Whether it goes with its connection, whatever becomes of that: it relies on what was sent
    /// before it.
    pub fn is_bound(&self) -> bool {
        self.terms.on_loss.is_bound()
    }

    /// When it was sent behind a queued write of its key, if it was.
    pub fn behind_write(&self) -> Option<u64> {
        match self.terms.on_loss {
            OnLoss::Behind(moment) => Some(moment),
            _ => None,
        }
    }

    /// What becomes of it when its connection is lost, if it must not be sent twice.
    pub fn on_loss_if_once(&self) -> OnLoss {
        match self.is_bound() {
            true => self.terms.on_loss,
            false => OnLoss::Fail,
        }
    }

    /// The same, which fails if it was sent and its connection is lost.
    pub fn unrepeated(self) -> Self {
        let terms = Terms {
            on_loss: self.on_loss_if_once(),
            ..self.terms
        };
        Self { terms, ..self }
    }
}

impl<T> Pipeline<T> {
    /// RESP: from now on every request can be recalled when its reply names another server.
    pub fn recall_redirected(&mut self) {
        self.recalls = Recalls::Redirected;
        self.history.keep_all();
    }

    /// RESP: the same, and when it says that the server cannot answer, where others can. What can be
    /// repeated is not lost with a connection either, at whatever moment that breaks: a copy is kept
    /// of what is being sent.
    pub fn recall_refused(&mut self) {
        self.recalls = Recalls::Refused;
        self.history.keep_copies();
    }

    /// The request whose reply was read last, if that named another server. Nothing if its bytes
    /// were not kept: there is a limit.
    pub fn take_recalled(&mut self) -> Option<Recalled> {
        self.recalled.take()
    }

    /// Adds a request that was in another pipeline. What was left of its patience is what it has.
    pub fn push_again(&mut self, tag: T, again: &Recalled) {
        self.seal();
        self.output.extend_from_slice(&again.bytes);
        self.enqueue_entry(Entry {
            tag: Some(tag),
            shape: again.shape,
            terms: again.terms,
            deadline: again.deadline,
            len: again.bytes.len(),
            repeats: 0,
            is_timed: again.is_timed,
            hop_count: again.hop_count,
            number: 0,
        });
    }

    /// Takes out what has not been sent, in order.
    pub fn take_unsent(&mut self) -> Vec<(T, Recalled)> {
        self.seal();
        let unsent = self.entries.split_off(self.sent_count);
        let output = core::mem::take(&mut self.output);
        let mut rest = &output[..];
        let mut taken = Vec::with_capacity(unsent.len());
        for entry in unsent {
            let (bytes, behind) = rest.split_at(entry.len.min(rest.len()));
            rest = behind;
            let again = entry.recalled(bytes);
            taken.extend(entry.tag.map(|tag| (tag, again)));
        }
        taken
    }

    /// How many requests were ever added.
    pub fn pushed_total(&self) -> u64 {
        self.pushed_total
    }

    /// How many of them are over, and all that were added before them: answered, failed, or taken
    /// out.
    pub fn settled_total(&self) -> u64 {
        let front = self.entries.front();
        front.map_or(self.pushed_total, |entry| entry.number)
    }

    /// Keeps the oldest request for another server. False as long as its bytes are on their way
    /// out: a server may answer the first requests of a buffer while it is sent the last ones.
    pub(super) fn recall(&mut self) -> bool {
        let Some(entry) = self.entries.front() else {
            return true;
        };
        self.recalled = match self.history.oldest(entry.len) {
            Oldest::Out => return false,
            Oldest::Gone => None,
            Oldest::Here(bytes) => {
                let mut again = entry.recalled(bytes);
                again.is_timed = true;
                again.hop_count = again.hop_count.saturating_add(1);
                Some(again)
            }
        };
        true
    }
}

impl<T> Entry<T> {
    fn recalled(&self, bytes: &[u8]) -> Recalled {
        Recalled {
            bytes: bytes.to_vec(),
            shape: self.shape,
            terms: self.terms,
            deadline: self.deadline,
            // What was sent and lost with its connection is on its way since then.
            is_timed: self.is_timed || self.repeats > 0,
            hop_count: self.hop_count,
        }
    }
}

/// Which requests are recalled, by their replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recalls {
    None,
    /// Those that another server is named for.
    Redirected,
    /// Those, too, that this server cannot answer.
    Refused,
}

impl Recalls {
    #[cold]
    pub(super) fn is_for(self, line: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Redirected => is_redirect(line),
            Self::Refused => is_refusal(line),
        }
    }
}

/// Whether a reply of a replica says that others have to be asked: another server has the key, it
/// cannot serve, or it takes the request for a write.
pub fn is_refusal(line: &[u8]) -> bool {
    is_redirect(line) || is_unfit(line) || line.starts_with(b"-READONLY ")
}

/// Whether a reply names another server.
fn is_redirect(line: &[u8]) -> bool {
    line.starts_with(b"-MOVED ") || line.starts_with(b"-ASK ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backend::{Expects, Failure, OnLoss, Received},
        config::Protocol,
        store::KeyHasher,
    };

    const NOW: UnixMs = UnixMs(1_000);

    fn pipeline() -> Pipeline<u32> {
        let mut pipeline = Pipeline::new(Protocol::Resp, KeyHasher::new(1), 1024);
        pipeline.recall_redirected();
        pipeline
    }

    fn push(pipeline: &mut Pipeline<u32>, tag: u32, bytes: &[u8]) {
        let terms = Terms {
            on_loss: OnLoss::Fail,
            patience_ms: 100,
        };
        pipeline
            .push(tag, Expects::Line, terms, NOW)
            .extend_from_slice(bytes);
    }

    #[test]
    fn what_is_answered_by_another_server_goes_there_with_what_is_left_of_its_patience() {
        let (mut from, mut to) = (pipeline(), pipeline());
        push(&mut from, 1, b"PING\r\n");
        push(&mut from, 2, b"GET k\r\n");
        let output = from.take_output(Vec::new(), NOW);
        let line = b"-MOVED 7 h:1\r\n";
        let Received::Incomplete { want } = from.receive(line) else {
            panic!("its bytes are still being sent");
        };
        assert_eq!(want, line.len() + 1);
        from.sent(output);
        let Received::Complete { tag: 1, .. } = from.receive(line) else {
            panic!("a reply");
        };
        let again = from.take_recalled().expect("the request");
        assert_eq!((again.bytes(), again.hop_count()), (&b"PING\r\n"[..], 1));
        assert_eq!((from.pushed_total(), from.settled_total()), (2, 1));
        to.push_again(1, &again);
        let later = UnixMs(NOW.0 + 60);
        assert_eq!(to.take_output(Vec::new(), later), b"PING\r\n");
        to.expire(UnixMs(NOW.0 + 100), |_| None);
        assert_eq!(to.poll_failed(), Some((1, Failure::Late)));
        let Received::Complete { tag: 2, .. } = from.receive(b"-ERR no\r\n") else {
            panic!("a reply");
        };
        assert!(from.take_recalled().is_none(), "it names nobody");
    }

    #[test]
    fn what_is_not_sent_comes_out_in_order() {
        let mut pipeline = pipeline();
        push(&mut pipeline, 1, b"a");
        let output = pipeline.take_output(Vec::new(), NOW);
        pipeline.sent(output);
        push(&mut pipeline, 2, b"bb");
        push(&mut pipeline, 3, b"c");
        let taken = pipeline.take_unsent();
        let taken: Vec<_> = taken
            .iter()
            .map(|(tag, again)| (*tag, again.bytes()))
            .collect();
        assert_eq!(taken, [(2, &b"bb"[..]), (3, b"c")]);
        assert!(!pipeline.has_output());
        assert_eq!(pipeline.in_flight(), 1);
        // The first one is not over, whatever has become of those behind it.
        assert_eq!((pipeline.pushed_total(), pipeline.settled_total()), (3, 0));
        let Received::Complete { tag: 1, .. } = pipeline.receive(b"+OK\r\n") else {
            panic!("a reply");
        };
        assert_eq!((pipeline.pushed_total(), pipeline.settled_total()), (3, 3));
    }

    #[test]
    fn what_is_not_to_be_repeated_goes_with_its_connection() {
        for (is_repeated, failed) in [(true, None), (false, Some((1, Failure::Lost)))] {
            let (mut from, mut to) = (pipeline(), pipeline());
            let terms = Terms {
                on_loss: OnLoss::Repeat,
                patience_ms: 100,
            };
            from.push(1, Expects::Line, terms, NOW)
                .extend_from_slice(b"GET k\r\n");
            let (_, again) = from.take_unsent().pop().expect("a request");
            let again = match is_repeated {
                true => again,
                false => again.unrepeated(),
            };
            to.push_again(1, &again);
            let output = to.take_output(Vec::new(), NOW);
            to.sent(output);
            to.lose(NOW);
            assert_eq!(to.poll_failed(), failed);
            assert_eq!(to.in_flight(), usize::from(is_repeated));
        }
    }

    #[test]
    fn what_a_replica_will_not_answer_is_recalled() {
        for (line, is_redirect, is_refused) in [
            ("-MOVED 7 h:1", true, true),
            ("-ASK 7 h:1", true, true),
            (
                "-LOADING Redis is loading the dataset in memory",
                false,
                true,
            ),
            ("-MASTERDOWN Link with MASTER is down", false, true),
            ("-CLUSTERDOWN The cluster is down", false, true),
            ("-BUSY Redis is busy running a script", false, true),
            (
                "-READONLY You can't write against a read only replica.",
                false,
                true,
            ),
            ("-READONLYX no", false, false),
            ("-ERR LOADING", false, false),
            ("+LOADING x", false, false),
        ] {
            let recalls = |recall: fn(&mut Pipeline<u32>)| {
                let mut from = Pipeline::new(Protocol::Resp, KeyHasher::new(1), 1024);
                recall(&mut from);
                push(&mut from, 1, b"GET k\r\n");
                let output = from.take_output(Vec::new(), NOW);
                from.sent(output);
                let line = format!("{line}\r\n");
                let Received::Complete { tag: 1, .. } = from.receive(line.as_bytes()) else {
                    panic!("a reply: {line}");
                };
                let again = from.take_recalled();
                again.map(|again| (again.bytes().to_vec(), again.hop_count()))
            };
            let expected = |is_recalled: bool| is_recalled.then(|| (b"GET k\r\n".to_vec(), 1));
            let found = recalls(Pipeline::recall_redirected);
            assert_eq!(found, expected(is_redirect), "{line}");
            let found = recalls(Pipeline::recall_refused);
            assert_eq!(found, expected(is_refused), "{line}");
        }
    }

    #[test]
    fn what_is_being_sent_when_its_connection_breaks_is_asked_elsewhere() {
        let mut from = Pipeline::new(Protocol::Resp, KeyHasher::new(1), 1024);
        from.recall_refused();
        let terms = Terms {
            on_loss: OnLoss::Repeat,
            patience_ms: 100,
        };
        from.push(1, Expects::Line, terms, NOW)
            .extend_from_slice(b"GET k\r\n");
        let output = from.take_output(Vec::new(), NOW);
        from.lose(NOW);
        let (tag, again) = from.take_unsent().pop().expect("a copy");
        assert_eq!((tag, again.bytes()), (1, &b"GET k\r\n"[..]));
        from.sent(output);
        assert_eq!((from.poll_failed(), from.in_flight()), (None, 0));
    }

    #[test]
    fn a_lost_connection_gives_no_new_patience() {
        let mut from = Pipeline::new(Protocol::Resp, KeyHasher::new(1), 1024);
        from.recall_refused();
        let mut to = pipeline();
        let terms = Terms {
            on_loss: OnLoss::Repeat,
            patience_ms: 100,
        };
        from.push(1, Expects::Line, terms, NOW)
            .extend_from_slice(b"GET k\r\n");
        let output = from.take_output(Vec::new(), NOW);
        from.sent(output);
        from.lose(UnixMs(NOW.0 + 50));
        let (_, again) = from.take_unsent().pop().expect("it is to be sent again");
        to.push_again(1, &again);
        let output = to.take_output(Vec::new(), UnixMs(NOW.0 + 60));
        to.sent(output);
        to.expire(UnixMs(NOW.0 + 99), |_| None);
        assert_eq!(to.poll_failed(), None);
        to.expire(UnixMs(NOW.0 + 100), |_| None);
        assert_eq!(to.poll_failed(), Some((1, Failure::Late)));
    }
}
