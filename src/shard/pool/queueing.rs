//! Writes that are answered before their server has them: they are queued, and until the server has
//! confirmed them, requests for their keys see them.
//!
//! Without a spool a write is promised as soon as it is queued; with one once it is on disk, see
//! [`spooling`](super::spooling). All of a key's requests are done by the shard that owns it, over
//! one link, whose queue they look into first:
//!
//! * a plain read is answered from the queue;
//! * what else there is to know of the key, or to change, is asked of the server behind the queued
//!   write, on the same connection. If that is lost, the request fails: on the next connection it
//!   might come before the write.
//!
//! After a connection with values on their way is lost, the server has to answer some questions
//! before it is told more: by then it has done what it had received. Else an older value might come
//! behind a newer one.

use super::{
    Pool, absent,
    errand::Route,
    failure::{NO_META, UNAVAILABLE},
    queued,
    spooling::Reply,
};
use crate::shard::{
    core::Core,
    message::{AnswerBody, Errand},
};
use crate::{
    backend::{OnLoss, is_unfit},
    protocol::memcache::Spelling,
    spool::{Operation, port::Note, record::Lsn},
    store::{Applied, Key, Outcome, UnixMs},
};

/// The line for a client whose write cannot be promised.
pub(super) const QUEUE_FULL: &str = "invalidation queue is full";

/// The same where it is not just a delete.
const WRITE_QUEUE_FULL: &str = "write queue is full";

impl Pool {
    /// Has a request about a key come behind the write of it that is queued, if one is. What becomes
    /// of the request when its connection is lost; none if the server cannot be told of the write
    /// now.
    pub(super) fn queue_behind_write(
        &mut self,
        number: usize,
        key: Key<'_>,
        errand: Errand,
        now: UnixMs,
    ) -> Option<OnLoss> {
        if !self.queues_writes() || !self.is_being_written(number, key) {
            return Some(errand.on_loss());
        }
        if !self.pump_ahead(number, key, now) {
            return None;
        }
        // On another connection it might come before the write.
        Some(self.follow_write(number, key, !errand.is_read()))
    }
}

impl Core {
    /// Does what can be done for an errand without its server. `Some(None)` if that is all, and the
    /// answer waits for the disk.
    pub(super) fn start_at_queue(
        &mut self,
        route: Route,
        number: usize,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) -> Option<Option<AnswerBody>> {
        if errand.is_queued() {
            return self.queue_errand(route, number, key, errand, request);
        }
        // What is on disk alone is newer than what is queued.
        let seen = self.answer_from_disk(key, errand, request);
        let seen = seen.or_else(|| self.answer_from_queue(number, key, errand, request));
        seen.map(Some)
    }

    /// Queues what an errand writes, if it is one that does.
    fn queue_errand(
        &mut self,
        route: Route,
        link: usize,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) -> Option<Option<AnswerBody>> {
        let (operation, reply, said) = match errand {
            Errand::Invalidate { deletes: true } => (Operation::Delete, Reply::Deleted, &[][..]),
            Errand::Invalidate { deletes: false } => (Operation::Delete, Reply::Stored, &[][..]),
            Errand::InvalidateAnd => (Operation::Delete, Reply::Verbatim, request),
            Errand::Store {
                flags,
                exptime,
                reply_bytes,
            } => {
                let (said, value) = request.split_at(reply_bytes as usize);
                let operation = Operation::Set {
                    flags,
                    exptime,
                    value,
                };
                let reply = match said.is_empty() {
                    true => Reply::Stored,
                    false => Reply::Verbatim,
                };
                (operation, reply, said)
            }
            _ => return None,
        };
        Some(self.queue_write(route, link, key, operation, reply, said))
    }

    /// `Some` unless the answer waits for the disk.
    fn queue_write(
        &mut self,
        route: Route,
        link: usize,
        key: Key<'_>,
        operation: Operation<'_>,
        reply: Reply,
        said: &[u8],
    ) -> Option<AnswerBody> {
        let now = self.now;
        let pool = self.pool.as_mut()?;
        let is_base64 = pool.spelling(key.bytes) == Spelling::Base64;
        // Where its own server does not serve, another one may have it, too.
        let stand_in = link;
        let number = match pool.moves_keys() {
            true => pool.home_link(key),
            false => link,
        };
        if stand_in != number {
            if pool.queue(stand_in, key, Operation::Delete, None).is_err() {
                return Some(self.failure(QUEUE_FULL));
            }
            pool.pump_writes(stand_in, now);
        }
        if is_base64 && !pool.links[number].core.knew_meta() {
            return Some(self.failure(NO_META));
        }
        if self.spool.is_some() {
            let server = pool.spooled_server(number);
            self.spool_write(route, server, key, operation, reply, said);
            return None;
        }
        if pool.queue(number, key, operation, None).is_err() {
            let is_behind = pool.is_behind();
            return Some(self.failure(match is_behind {
                true => WRITE_QUEUE_FULL,
                false => QUEUE_FULL,
            }));
        }
        pool.pump_writes(number, now);
        let bytes = match reply {
            Reply::Verbatim => self.buffers.copy(&[said]),
            _ => Vec::new(),
        };
        let is_set = matches!(operation, Operation::Set { .. });
        Some(self.write_promised(key, is_set, reply, bytes))
    }

    /// A write is promised: the L1 copy is dropped, and this is the answer.
    pub(super) fn write_promised(
        &mut self,
        key: Key<'_>,
        is_set: bool,
        reply: Reply,
        bytes: Vec<u8>,
    ) -> AnswerBody {
        match is_set {
            true => self.counters().writes_behind.add(1),
            false => self.counters().invalidations.add(1),
        }
        if self.has_l1() {
            self.drop_l1(key);
        }
        let outcome = match reply {
            Reply::Stored => Outcome::Stored { value_bytes: 0 },
            Reply::Deleted => Outcome::Deleted,
            Reply::Verbatim => {
                return AnswerBody::Replied {
                    failed: false,
                    bytes,
                };
            }
        };
        AnswerBody::Applied {
            applied: Applied::from(outcome),
            bytes,
        }
    }

    /// What a request about a key with a queued write is answered, if its server need not be asked,
    /// or cannot be.
    fn answer_from_queue(
        &mut self,
        number: usize,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) -> Option<AnswerBody> {
        let now = self.now;
        let pool = self.pool.as_ref()?;
        if !pool.is_being_written(number, key) {
            return None;
        }
        let operation = pool.queued_write(number, key);
        let spelling = pool.spelling(key.bytes);
        let mut bytes = self.buffers.take();
        match operation {
            Some(set @ Operation::Set { flags, value, .. })
                if errand == Errand::Fetch && !queued::is_gone(set, now) =>
            {
                let value = (flags, value);
                queued::push_value(&mut bytes, pool.protocol, spelling, key.bytes, value);
            }
            Some(operation)
                if errand.is_read()
                    && queued::is_gone(operation, now)
                    && let Some(reply) =
                        absent::reply(pool.protocol, errand, spelling, request) =>
            {
                bytes.extend_from_slice(reply);
            }
            _ => {
                let can_be_asked = pool.can_be_told(number, now);
                self.buffers.put(bytes);
                if !can_be_asked {
                    self.counters().backend_failures.add(1);
                }
                return (!can_be_asked).then(|| self.failure(UNAVAILABLE));
            }
        }
        self.counters().reads_from_queue.add(1);
        Some(AnswerBody::Replied {
            failed: false,
            bytes,
        })
    }

    /// A server has answered the oldest write in flight.
    pub(super) fn confirm_write(&mut self, number: usize, failed: bool, frame: &[u8]) {
        let Some(pool) = &mut self.pool else { return };
        if pool.is_cluster() {
            return self.confirm_slot_write(number, failed, frame);
        }
        let link = &mut pool.links[number];
        let is_set = link.writes.is_set_first();
        let is_final = failed && (is_forbidden(frame) || (is_set && !will_pass(frame)));
        let is_followed = link.writes.is_first_followed();
        if link.refused || (failed && !is_final) {
            // Refused deletes are not done: the link is given up and all are sent again. Those
            // behind it are confirmed in vain, as only the oldest can be taken off the queue.
            link.refused = true;
            return;
        }
        let lsn = match is_final && is_set {
            // A value that a server does not take: what it has instead is older, and so is what
            // was sent behind the value told.
            true => {
                link.refused = is_followed;
                link.writes.refuse()
            }
            false => link.writes.confirm(),
        };
        self.end_write(number, lsn, is_final.then_some(frame));
    }

    /// A queued write is over, or has become a delete: there is room for more, and its record on disk
    /// is done with, if it had one. `refusal` is the server's line if it will never take it.
    pub(super) fn end_write(&mut self, number: usize, lsn: Option<Lsn>, refusal: Option<&[u8]>) {
        let now = self.now;
        if let Some(pool) = &mut self.pool {
            pool.pump_writes(number, now);
        }
        if let Some(line) = refusal {
            self.note_refused(number, line);
        }
        if let (Some(lsn), Some(spool)) = (lsn, &mut self.spool) {
            spool.note(Note::Done(lsn));
        }
    }

    /// A server has answered once more, so that it is told of no write too early.
    pub(super) fn fenced(&mut self, number: usize) {
        let now = self.now;
        if let Some(pool) = &mut self.pool {
            pool.links[number].fenced();
            pool.pump_writes(number, now);
        }
    }

    /// A server has not taken a write; its operator is told of the first.
    #[cold]
    pub(super) fn note_refused(&self, number: usize, line: &[u8]) {
        let Some(pool) = &self.pool else { return };
        let counter = &self.counters().writes_refused;
        counter.add(1);
        if counter.value() == 1 {
            let backend = pool.name_of(pool.server_of(number));
            let line = line.trim_ascii_end().escape_ascii();
            tracing::warn!(
                backend,
                "does not take a write, and is told to delete its key: {line}; more are only counted"
            );
        }
    }

    /// Every value that is queued here is to be deleted instead: all is flushed.
    pub(in crate::shard) fn demote_writes(&mut self) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        for link in &mut pool.links {
            if link.writes.demote_all() > 0 {
                link.pump_writes(now);
            }
        }
        pool.demote_slot_writes(now);
    }

    /// What becomes of a request that changes something when its connection is lost. Where writes
    /// are queued, it must not come before one that it has come behind.
    pub(super) fn on_loss_of_change(&self) -> OnLoss {
        let queues = self.pool.as_ref().is_some_and(Pool::queues_writes);
        if queues { OnLoss::Forget } else { OnLoss::Fail }
    }
}

/// Whether an error to a queued write is about the server, and not about the write: it is sent again.
pub(super) fn will_pass(line: &[u8]) -> bool {
    const PASSING: [&[u8]; 4] = [b"-READONLY ", b"-MISCONF ", b"-NOREPLICAS ", b"-NOAUTH "];
    is_unfit(line) || PASSING.iter().any(|start| line.starts_with(start))
}

/// Whether an error says that ringfort may not write such a key, and so not delete it either.
pub(super) fn is_forbidden(line: &[u8]) -> bool {
    line.starts_with(b"-NOPERM ")
}
