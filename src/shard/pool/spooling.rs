//! Invalidations that are on disk before they are answered, on the shard that talks to their server.
//!
//! ```text
//!   request -> L1 copy dropped -> spool -> L1 copy dropped, queued for the server -> answered
//! ```
//!
//! The copy is dropped twice, as for every write: what was read from the server in between is from
//! before the delete. What finds the queue full is answered all the same, as it is on disk: the
//! spool gives it back later.

use std::collections::VecDeque;

use super::errand::Route;
use crate::shard::{
    core::Core,
    message::{AnswerBody, Origin, Parcel},
};
use crate::{
    spool::{
        Board,
        port::{Failure, Note, ShardPort, Waiting, Wanted},
        record::Lsn,
    },
    store::{Key, KeyHash},
};

/// The line for a client whose write finds the spool full.
const SPOOL_FULL: &str = "spool is full";

/// The line for a client whose write could not be put on disk.
const SPOOL_FAILED: &str = "spool cannot be written";

/// What a shard is told about the spool.
#[derive(Debug)]
pub struct SpoolParts {
    /// Its queues.
    pub port: ShardPort,
    /// What is counted.
    pub board: Board,
}

/// A shard's dealings with the spool.
pub(in crate::shard) struct Spooling {
    port: ShardPort,
    board: Board,
    /// Handed over and not answered, in that order.
    asked: VecDeque<Asked>,
    /// Not handed over, as too many are not answered: at most what other shards may ask.
    unsent: VecDeque<(Asked, Wanted)>,
    /// Not said yet: at most what the servers' queues hold.
    notes: VecDeque<Note>,
}

/// An invalidation on its way to the disk.
#[derive(Debug, Clone, Copy)]
struct Asked {
    route: Route,
    server: usize,
    hash: KeyHash,
    key_bytes: usize,
    reply: Reply,
}

/// What is answered once it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Stored,
    Deleted,
    /// The bytes that follow the key.
    Verbatim,
}

impl Spooling {
    pub(in crate::shard) fn new(parts: SpoolParts) -> Self {
        Self {
            port: parts.port,
            board: parts.board,
            asked: VecDeque::new(),
            unsent: VecDeque::new(),
            notes: VecDeque::new(),
        }
    }

    /// Whether another write can be handed over at once.
    pub(in crate::shard) fn has_room(&self) -> bool {
        self.unsent.is_empty() && self.asked.len() < ShardPort::UNANSWERED_MAX
    }

    /// Whether everything is answered and said.
    pub(in crate::shard) fn is_settled(&self) -> bool {
        self.asked.is_empty() && self.unsent.is_empty() && self.notes.is_empty()
    }

    fn send(&mut self, asked: Asked, wanted: Wanted) {
        if !self.has_room() {
            return self.unsent.push_back((asked, wanted));
        }
        match self.port.send(wanted) {
            Ok(()) => self.asked.push_back(asked),
            Err(wanted) => self.unsent.push_back((asked, wanted)),
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        self.notes.push_back(note);
    }

    /// Hands over what had to wait, says what is to be said, and wakes who listens.
    pub(in crate::shard) fn flush(&mut self) {
        while self.asked.len() < ShardPort::UNANSWERED_MAX
            && let Some((asked, wanted)) = self.unsent.pop_front()
        {
            match self.port.send(wanted) {
                Ok(()) => self.asked.push_back(asked),
                Err(wanted) => {
                    self.unsent.push_front((asked, wanted));
                    break;
                }
            }
        }
        while let Some(note) = self.notes.pop_front() {
            if let Err(note) = self.port.note(note) {
                self.notes.push_front(note);
                break;
            }
        }
        self.port.ring();
    }
}

impl Core {
    /// Has an invalidation put on disk; the answer follows.
    pub(super) fn spool_invalidation(
        &mut self,
        route: Route,
        server: usize,
        key: Key<'_>,
        reply: Reply,
        request: &[u8],
    ) {
        if self.has_l1() {
            self.drop_l1(key);
        }
        let Parcel {
            hash,
            key_bytes,
            bytes,
        } = self.parcel(key, request);
        let unix_ms = self.now.0;
        let asked = Asked {
            route,
            server,
            hash,
            key_bytes,
            reply,
        };
        let wanted = Wanted {
            server,
            bytes,
            key_bytes,
            unix_ms,
        };
        if let Some(spool) = &mut self.spool {
            spool.send(asked, wanted);
        }
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
            let Some(asked) = spool.asked.pop_front() else {
                return;
            };
            let body = match answer.result {
                Ok(lsn) => self.promised(asked, lsn, answer.bytes),
                Err(failure) => {
                    self.buffers.put(answer.bytes);
                    self.failure(match failure {
                        Failure::Full => SPOOL_FULL,
                        Failure::Disk => SPOOL_FAILED,
                    })
                }
            };
            match asked.route {
                Route::Here(origin) => deliver(self, origin, body),
                Route::Shard(asker, origin) => self.answer(asker, origin, body),
            }
        }
        while let Some(spool) = &mut self.spool
            && let Some(Waiting { lsn, server, key }) = spool.port.next_waiting()
        {
            let key = self.store.hasher().key(&key);
            self.queue_invalidation(server, key, lsn);
            // It may be of before a write that nobody here has seen.
            if self.has_l1() {
                self.drop_l1(key);
            }
        }
    }

    /// An invalidation is on disk.
    fn promised(&mut self, asked: Asked, lsn: Lsn, bytes: Vec<u8>) -> AnswerBody {
        let key = Key {
            bytes: &bytes[..asked.key_bytes],
            hash: asked.hash,
        };
        self.queue_invalidation(asked.server, key, lsn);
        let reply = match asked.reply {
            Reply::Verbatim => self.buffers.copy(&[&bytes[asked.key_bytes..]]),
            Reply::Stored | Reply::Deleted => Vec::new(),
        };
        let body = self.invalidated(key, asked.reply, reply);
        self.buffers.put(bytes);
        body
    }

    /// Queues what is on disk for its server, or leaves it there for later.
    fn queue_invalidation(&mut self, server: usize, key: Key<'_>, lsn: Lsn) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let number = pool.link_to(server, key);
        let link = &mut pool.links[number];
        if link.invalidations.push(key, Some(lsn)).is_ok() {
            link.pump_invalidations(now);
        } else if let Some(spool) = &mut self.spool {
            spool.note(Note::Parked { lsn, server });
        }
    }
}
