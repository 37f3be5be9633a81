//! What a shard works on when it executes requests: store, mesh, pool, buffers and counters.
//! No socket is in here; connections hand it their requests and get results.

use std::sync::Arc;

use super::{
    buffers::BufferPool,
    flush::{self, FlushAsk, FlushWait},
    message::{Answer, AnswerBody, Ask, AskBody, Notice, Origin, Parcel},
    pool::{Pool, errand::Route, over_resp::Script},
    settings::{ASK_BYTES_MAX, Settings},
    stats::{Counters, StatsBoard},
    tracking::{self, Tracking},
    world::World,
};
use crate::{
    config::Protocol,
    mesh::MeshPort,
    protocol::memcache::Spelling,
    store::{Applied, Key, KeyHash, Operation, ShardStore, UnixMs},
};

/// The shard without its sockets.
pub(super) struct Core {
    /// The time of this turn.
    pub(super) now: UnixMs,
    pub(super) store: ShardStore,
    /// A change waits for memory that other shards have not let go of yet.
    pub(super) is_short: bool,
    /// A request has had its share of this turn and goes on in the next.
    pub(super) is_busy: bool,
    /// How many random numbers were drawn.
    pub(super) draw_count: u64,
    /// A client asked the process to end.
    pub(super) wants_stop: bool,
    pub(super) mesh: MeshPort<Ask, Answer, Box<Notice>>,
    pub(super) pool: Option<Pool>,
    pub(super) buffers: BufferPool,
    pub(super) settings: Arc<Settings>,
    pub(super) board: StatsBoard,
    /// The old value of the operation applied last, if it wanted it.
    pub(super) old: Vec<u8>,
    /// Flushes that other shards had no room for.
    pub(super) flush_asks: Vec<FlushAsk>,
    /// Flushes that have not ended on all shards.
    pub(super) flush_waits: Vec<FlushWait>,
    /// Who tracks keys.
    pub(super) tracking: Tracking,
    /// Whether clients are served, or held for one of them.
    pub(super) world: World,
    /// Room for the waiters of a fill that ends.
    pub(super) waiters: Vec<Route>,
}

/// What became of an operation.
pub(super) enum Mutated {
    /// It is applied; [`Core::old`] holds the old value if there was one to give.
    Now(Applied),
    /// The owner shard will answer.
    Later,
    /// The owner shard has too much to do, or no memory until others end their turns; try again
    /// next turn.
    Full,
}

impl Core {
    pub(super) fn shard(&self) -> usize {
        self.mesh.shard()
    }

    pub(super) fn counters(&self) -> &Counters {
        self.board.of(self.mesh.shard())
    }

    pub(super) fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.store.hasher().key(bytes)
    }

    /// A number that nobody outside can foresee.
    pub(super) fn random(&mut self) -> u64 {
        self.draw_count += 1;
        let hasher = self.store.hasher();
        hasher.hash(&self.draw_count.to_le_bytes()).0
    }

    /// Applies an operation where the key lives.
    pub(super) fn mutate(
        &mut self,
        origin: Origin,
        key: Key<'_>,
        operation: Operation,
        value: &[u8],
    ) -> Mutated {
        if self.store.owns(key.hash) {
            if self.must_wait() {
                return Mutated::Full;
            }
            return Mutated::Now(self.apply(key, operation, value));
        }
        let owner = self.store.owner(key.hash);
        if !self.may_ask(owner, key.bytes.len() + value.len()) {
            return Mutated::Full;
        }
        let parcel = self.parcel(key, value);
        self.ask(
            owner,
            Ask {
                origin,
                body: AskBody::Mutate { operation, parcel },
            },
        );
        Mutated::Later
    }

    /// Whether another shard takes a request of so many bytes now.
    pub(super) fn may_ask(&self, shard: usize, bytes: usize) -> bool {
        // As if all that is under way were as large as this one: many small ones, or few large.
        let asked_bytes = self.mesh.unanswered(shard) * bytes;
        self.mesh.allowance(shard) > 0 && asked_bytes <= ASK_BYTES_MAX
    }

    /// Whether changes wait for memory; the next turn then comes soon.
    pub(super) fn must_wait(&mut self) -> bool {
        self.is_short |= self.store.must_wait();
        self.is_short
    }

    /// Applies an operation to a key that this shard owns.
    pub(super) fn apply(&mut self, key: Key<'_>, operation: Operation, value: &[u8]) -> Applied {
        self.old.clear();
        let applied = self
            .store
            .apply(self.now, key, operation, value, &mut self.old);
        // What a pool changes here are copies.
        if self.pool.is_none() {
            self.counters().note_applied(&operation, applied.outcome);
        }
        applied
    }

    /// Packs a key and what belongs to it for another shard.
    pub(super) fn parcel(&mut self, key: Key<'_>, content: &[u8]) -> Parcel {
        Parcel {
            hash: key.hash,
            key_bytes: key.bytes.len(),
            bytes: self.buffers.copy(&[key.bytes, content]),
        }
    }

    /// Sends a request to a shard that was seen to have an allowance.
    pub(super) fn ask(&mut self, shard: usize, ask: Ask) {
        let sent = self.mesh.ask(shard, ask);
        debug_assert!(sent.is_ok(), "the caller checks the allowance");
        self.counters().hops.add(1);
    }

    /// Executes a request of another shard and answers it, now or once a backend has.
    pub(super) fn serve(&mut self, asker: usize, ask: Ask) {
        let Ask { origin, body } = ask;
        self.store.set_author(tracking::author(asker, origin.token));
        let body = match body {
            AskBody::Mutate {
                operation,
                mut parcel,
            } => {
                let key = Key {
                    bytes: parcel.key(),
                    hash: parcel.hash,
                };
                let applied = self.apply(key, operation, parcel.content());
                if applied.has_old {
                    parcel.bytes.clear();
                    parcel.bytes.extend_from_slice(&self.old);
                } else {
                    parcel.bytes.truncate(parcel.key_bytes);
                }
                AnswerBody::Applied {
                    applied,
                    bytes: parcel.bytes,
                }
            }
            AskBody::Run { voice, request } => {
                let mut bytes = self.buffers.take();
                self.run(voice, &request, &mut bytes);
                self.buffers.put(request);
                AnswerBody::Replied {
                    failed: false,
                    bytes,
                }
            }
            AskBody::Flush { at } => {
                self.flush_own(at);
                AnswerBody::Flushed
            }
            AskBody::Pause => return self.pause_for(asker, origin),
            AskBody::Resume => {
                self.resume_from(asker);
                AnswerBody::Noted
            }
            AskBody::Backend { errand, parcel } => {
                return self.serve_backend(asker, origin, errand, parcel);
            }
            AskBody::Listen { version, wanted } => self.serve_listen(asker, version, wanted),
            AskBody::FindClient { id } => AnswerBody::FoundClient {
                token: self.tracking.find(id),
            },
        };
        self.answer(asker, origin, body);
    }

    /// Answers another shard's request, and tells it what it is to be told along with that.
    pub(super) fn answer(&mut self, asker: usize, origin: Origin, body: AnswerBody) {
        let notice = if self.has_to_tell() {
            self.notice_for(asker)
        } else {
            None
        };
        self.mesh.answer(
            asker,
            Answer {
                origin,
                body,
                notice,
            },
        );
    }

    /// Flushes this shard's partition, and with it the leases of fills under way.
    pub(super) fn flush_own(&mut self, at: UnixMs) {
        self.store.flush(self.now, at);
        if at != flush::AT_ONCE && at <= self.now {
            // A delay that is over already: nobody waits for all partitions.
            self.store.note_end_of_flush();
        }
        if let Some(pool) = &mut self.pool {
            pool.void_fills();
        }
    }

    /// Whether values read from backends are kept.
    pub(super) fn has_l1(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::has_l1)
    }

    /// What the servers of the pool speak; none without a pool.
    pub(super) fn backend_protocol(&self) -> Option<Protocol> {
        self.pool.as_ref().map(|pool| pool.protocol)
    }

    /// Whether clients may speak another protocol than the pool's servers.
    pub(super) fn is_crossed(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::is_crossed)
    }

    /// Whether the pool's servers are named a key as it is.
    pub(super) fn is_text(&self, key: Key<'_>) -> bool {
        let spelling = self.pool.as_ref().map(|pool| pool.spelling(key.bytes));
        spelling.is_none_or(|spelling| spelling == Spelling::Text)
    }

    /// What Redis servers run for what they have no command for.
    pub(super) fn script(&self) -> Option<&Script> {
        self.pool.as_ref().map(Pool::script)
    }

    /// The shard that handles a key's backend traffic: its owner where the L1 is on, so that
    /// fills and writes of a key meet in one place; else this one.
    pub(super) fn home(&self, hash: KeyHash) -> usize {
        match &self.pool {
            Some(pool) if pool.has_l1() => self.store.owner(hash),
            _ => self.shard(),
        }
    }
}
