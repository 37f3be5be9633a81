//! Writes that are on disk before they are answered, on the shard that talks to their server.
//!
//! ```text
//!   request -> L1 copy dropped -> spool -> L1 copy dropped, queued for the server -> answered
//! ```
//!
//! The copy is dropped twice, as for every write: what was read from the server in between is from
//! before the write. What finds the queue full is answered all the same, as it is on disk: the
//! spool gives it back later. Until then requests for its key are answered by what is known of it:
//! a delete is a miss, a value is not at hand.
//!
//! A change that went through to the server is answered once it is on disk, too, that the server
//! has taken what was queued for the key before: else a start after a crash might tell it again.

mod untold;

use std::collections::VecDeque;

use self::untold::Untold;
use super::{
    absent,
    errand::{Delivery, Route},
};
use crate::shard::{
    core::Core,
    message::{AnswerBody, Errand, Origin, Parcel},
};
use crate::{
    spool::{
        Board, Operation,
        port::{self, Failure, Note, ShardPort, Task, Wanted},
        record::Lsn,
    },
    store::{Key, KeyHash},
};

/// The line for a client whose write finds the spool full.
const SPOOL_FULL: &str = "spool is full";

/// The line for a client whose write could not be put on disk.
const SPOOL_FAILED: &str = "spool cannot be written";

/// The line for a client who asks for a key whose newest value is on disk alone, as there are too
/// many before it.
const UNTOLD: &str = "key has a write that is still on disk";

/// What a shard is told about the spool.
#[derive(Debug)]
pub struct SpoolParts {
    /// Its queues.
    pub port: ShardPort,
    /// What is counted.
    pub board: Board,
    /// What was on disk at start, for keys of this shard.
    pub found: Vec<port::Untold>,
}

/// A shard's dealings with the spool.
pub(in crate::shard) struct Spooling {
    port: ShardPort,
    board: Board,
    /// Handed over and not answered, in that order.
    asked: VecDeque<Asked>,
    asked_bytes: usize,
    /// Not handed over, as too many are not answered: at most what other shards may ask.
    unsent: VecDeque<(Asked, Wanted)>,
    /// Not said yet: at most what the servers' queues hold.
    notes: VecDeque<Note>,
    untold: Untold,
    /// Barriers that are not on disk: until they are, what the spool gives back is from before.
    barriers: usize,
}

/// Something on its way to the disk.
#[derive(Debug, Clone, Copy)]
struct Asked {
    route: Route,
    server: usize,
    hash: KeyHash,
    key_bytes: usize,
    bytes: usize,
    task: Task,
    reply: Reply,
}

/// What is answered once it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Stored,
    Deleted,
    /// The bytes that follow the key, or the value.
    Verbatim,
}

impl Spooling {
    pub(in crate::shard) fn new(parts: SpoolParts) -> Self {
        Self {
            port: parts.port,
            board: parts.board,
            asked: VecDeque::new(),
            asked_bytes: 0,
            unsent: VecDeque::new(),
            notes: VecDeque::new(),
            untold: Untold::new(&parts.found),
            barriers: 0,
        }
    }

    /// Whether another write can be handed over at once.
    pub(in crate::shard) fn has_room(&self) -> bool {
        self.unsent.is_empty() && self.lane_has_room()
    }

    fn lane_has_room(&self) -> bool {
        self.asked.len() < ShardPort::UNANSWERED_MAX
            && self.asked_bytes < ShardPort::UNANSWERED_BYTES_MAX
    }

    /// Whether everything is answered and said.
    pub(in crate::shard) fn is_settled(&self) -> bool {
        self.asked.is_empty() && self.unsent.is_empty() && self.notes.is_empty()
    }

    fn send(&mut self, asked: Asked, wanted: Wanted) {
        self.unsent.push_back((asked, wanted));
        self.send_unsent();
    }

    pub(super) fn note(&mut self, note: Note) {
        self.notes.push_back(note);
    }

    /// Hands over what had to wait, says what is to be said, and wakes who listens.
    pub(in crate::shard) fn flush(&mut self) {
        self.send_notes();
        self.send_unsent();
        self.port.ring();
    }

    fn send_notes(&mut self) {
        while let Some(note) = self.notes.pop_front() {
            if let Err(note) = self.port.note(note) {
                self.notes.push_front(note);
                break;
            }
        }
    }

    fn send_unsent(&mut self) {
        while self.lane_has_room()
            && let Some((asked, wanted)) = self.unsent.pop_front()
        {
            if asked.task == Task::Settle {
                // It is about what has been noted before it.
                self.send_notes();
            }
            let must_wait = asked.task == Task::Settle && !self.notes.is_empty();
            let sent = match must_wait {
                true => Err(wanted),
                false => self.port.send(wanted),
            };
            if let Err(wanted) = sent {
                self.unsent.push_front((asked, wanted));
                break;
            }
            self.asked_bytes += asked.bytes;
            self.asked.push_back(asked);
        }
    }

    fn next_asked(&mut self) -> Option<Asked> {
        let asked = self.asked.pop_front()?;
        self.asked_bytes -= asked.bytes;
        Some(asked)
    }
}

impl Core {
    /// Has a write put on disk; the answer follows.
    pub(super) fn spool_write(
        &mut self,
        route: Route,
        server: usize,
        key: Key<'_>,
        operation: Operation<'_>,
        reply: Reply,
        said: &[u8],
    ) {
        if self.has_l1() {
            self.drop_l1(key);
        }
        let (task, value) = match operation {
            Operation::Delete => (Task::Delete, &[][..]),
            Operation::Set {
                flags,
                exptime,
                value,
            } => {
                let task = Task::Set {
                    flags,
                    exptime,
                    value_bytes: value.len(),
                };
                (task, value)
            }
        };
        let bytes = self.buffers.copy(&[key.bytes, value, said]);
        self.spool_task(route, server, key, task, reply, bytes);
    }

    fn spool_task(
        &mut self,
        route: Route,
        server: usize,
        key: Key<'_>,
        task: Task,
        reply: Reply,
        bytes: Vec<u8>,
    ) {
        let asked = Asked {
            route,
            server,
            hash: key.hash,
            key_bytes: key.bytes.len(),
            bytes: bytes.len(),
            task,
            reply,
        };
        let wanted = Wanted {
            task,
            server,
            bytes,
            key_bytes: key.bytes.len(),
            unix_ms: self.now.0,
        };
        if let Some(spool) = &mut self.spool {
            spool.send(asked, wanted);
        }
    }

    /// Whether a change that went through to its server is answered by way of the disk.
    pub(super) fn settles_changes(&self) -> bool {
        self.spool.is_some() && self.is_behind()
    }

    /// Hands over a server's answer to a change of a key, once a start after a crash will not undo
    /// the change. An error promises nothing.
    pub(super) fn hand_over_change(
        &mut self,
        route: Route,
        parcel: &Parcel,
        failed: bool,
        frame: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        if failed || !self.settles_changes() {
            return self.hand_over(route, failed, frame, deliver);
        }
        let key = Key {
            bytes: parcel.key(),
            hash: parcel.hash,
        };
        let bytes = self.buffers.copy(&[key.bytes, frame]);
        self.spool_task(route, 0, key, Task::Settle, Reply::Verbatim, bytes);
    }

    /// Has it put on disk that no value written so far is to be told, if there is a disk. False if
    /// there is none.
    pub(in crate::shard) fn spool_barrier(&mut self, route: Route) -> bool {
        let Some(spool) = &mut self.spool else {
            return false;
        };
        spool.untold.demote_all();
        spool.barriers += 1;
        let key = self.key(&[]);
        self.spool_task(route, 0, key, Task::Barrier, Reply::Stored, Vec::new());
        true
    }

    /// What the spool counts, by name; nothing if there is none.
    pub(in crate::shard) fn spool_counts(&self) -> Vec<(&'static str, u64)> {
        let board = self.spool.as_ref().map(|spool| &spool.board);
        board.map_or_else(Vec::new, |board| board.list().to_vec())
    }

    /// Takes what the spool says. `deliver` gets each answer for a connection of this shard.
    pub(in crate::shard) fn hear_spool(
        &mut self,
        deliver: &mut impl FnMut(&mut Self, Origin, AnswerBody),
    ) {
        while let Some(spool) = &mut self.spool
            && let Some(answer) = spool.port.next_answer()
        {
            let Some(asked) = spool.next_asked() else {
                return;
            };
            if asked.task == Task::Barrier {
                self.buffers.put(answer.bytes);
                self.hear_waiting();
                if let Some(spool) = &mut self.spool {
                    spool.barriers -= 1;
                }
                self.demoted(asked.route, answer.result.is_ok());
                continue;
            }
            let body = match answer.result {
                Ok(lsn) => self.promised(asked, lsn, answer.bytes),
                Err(failure) => {
                    self.buffers.put(answer.bytes);
                    self.failure(line(failure))
                }
            };
            match asked.route {
                Route::Here(origin) => deliver(self, origin, body),
                Route::Shard(asker, origin) => self.answer(asker, origin, body),
            }
        }
        self.hear_waiting();
    }

    /// Takes what the spool gives back.
    fn hear_waiting(&mut self) {
        while let Some(spool) = &mut self.spool
            && let Some(waiting) = spool.port.next_waiting()
        {
            let key = self.store.hasher().key(waiting.key());
            spool.untold.superseded(key.hash, waiting.lsn);
            let operation = match spool.barriers {
                0 => waiting.operation(),
                _ => Operation::Delete,
            };
            self.queue_spooled(waiting.server, key, operation, waiting.lsn);
            // It may be of before a write that nobody here has seen.
            if self.has_l1() {
                self.drop_l1(key);
            }
        }
    }

    /// Something is on disk.
    fn promised(&mut self, asked: Asked, lsn: Lsn, bytes: Vec<u8>) -> AnswerBody {
        let (name, rest) = bytes.split_at(asked.key_bytes);
        let key = Key {
            bytes: name,
            hash: asked.hash,
        };
        let (operation, said) = match asked.task {
            Task::Set {
                flags,
                exptime,
                value_bytes,
            } => {
                let (value, said) = rest.split_at(value_bytes);
                let operation = Operation::Set {
                    flags,
                    exptime,
                    value,
                };
                (Some(operation), said)
            }
            Task::Delete => (Some(Operation::Delete), rest),
            Task::Settle | Task::Barrier => (None, rest),
        };
        let reply = match asked.reply {
            Reply::Verbatim => self.buffers.copy(&[said]),
            Reply::Stored | Reply::Deleted => Vec::new(),
        };
        let mut body = match operation {
            Some(operation) => {
                self.queue_spooled(asked.server, key, operation, lsn);
                let is_set = matches!(operation, Operation::Set { .. });
                self.write_promised(key, is_set, asked.reply, reply)
            }
            None => AnswerBody::Replied {
                failed: false,
                bytes: reply,
            },
        };
        self.bring_back(&mut body, bytes);
        body
    }

    /// Queues what is on disk for its server, or leaves it there for later.
    fn queue_spooled(&mut self, server: usize, key: Key<'_>, operation: Operation<'_>, lsn: Lsn) {
        let now = self.now;
        let (Some(pool), Some(spool)) = (&mut self.pool, &mut self.spool) else {
            return;
        };
        let number = pool.link_of_spooled(server, key);
        if pool.queue(number, key, operation, Some(lsn)).is_ok() {
            pool.pump_writes(number, now);
            spool.untold.superseded(key.hash, lsn);
        } else {
            let is_set = matches!(operation, Operation::Set { .. });
            spool.untold.leave(key.hash, lsn, is_set);
            let queue = pool.server_of(number);
            spool.note(Note::Parked { lsn, queue });
        }
    }

    /// What a request is answered about a key whose newest write is on disk alone.
    pub(super) fn answer_from_disk(
        &mut self,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) -> Option<AnswerBody> {
        let is_set = self.spool.as_ref()?.untold.is_set(key.hash)?;
        let pool = self.pool.as_ref()?;
        let reply = match is_set {
            false => absent::reply(pool.protocol, errand, pool.spelling(key.bytes), request),
            true => None,
        };
        let Some(reply) = reply else {
            return Some(self.failure(UNTOLD));
        };
        Some(AnswerBody::Replied {
            failed: false,
            bytes: self.buffers.copy(&[reply]),
        })
    }
}

/// What a client is told.
fn line(failure: Failure) -> &'static str {
    match failure {
        Failure::Full => SPOOL_FULL,
        Failure::Disk => SPOOL_FAILED,
    }
}
