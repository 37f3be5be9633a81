//! What a shard works on when it executes requests: store, mesh, pool, buffers and counters.
//! No socket is in here; connections hand it their requests and get results.

use std::sync::Arc;

use super::{
    admission::Admission,
    buffers::BufferPool,
    flush::{self, FlushWait},
    flush_behind::FlushStart,
    forwarding::Forwarding,
    group::Group,
    message::{Answer, AnswerBody, Ask, AskBody, Notice, Origin, Parcel},
    meter::Meter,
    pause::Pause,
    pool::{
        Pool,
        errand::Route,
        over_resp::{Renewals, Script},
        spooling::Spooling,
        unit::Waiting,
    },
    round::{Round, Rounds},
    run::Voice,
    session::Step,
    settings::{ASK_BYTES_MAX, Settings},
    stats::{Counters, StatsBoard},
    tracking::{self, Tracking},
    world::World,
};
use crate::{
    config::Protocol,
    io::Stopwatch,
    mesh::MeshPort,
    protocol::memcache::Spelling,
    store::{Applied, Key, KeyHash, Operation, ShardStore, UnixMs, Vacancy},
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
    /// Where queued writes are kept on disk.
    pub(super) spool: Option<Spooling>,
    /// What loads keys that are missing.
    pub(super) group: Option<Group>,
    pub(super) buffers: BufferPool,
    /// Which large requests are received at a time.
    pub(super) admission: Admission,
    pub(super) settings: Arc<Settings>,
    pub(super) board: StatsBoard,
    /// The old value of the operation applied last, if it wanted it.
    pub(super) old: Vec<u8>,
    /// Flushes that have not ended on all shards.
    pub(super) flush_waits: Vec<FlushWait>,
    /// Flushes of servers whose queued writes are not out of the way.
    pub(super) flush_starts: Vec<FlushStart>,
    /// Who tracks keys.
    pub(super) tracking: Tracking,
    /// Whether clients are served, or held for one of them.
    pub(super) world: World,
    /// Mutations on their way to other shards and from them.
    pub(super) forwarding: Forwarding,
    /// What other shards had no room for, and which.
    pub(super) asks: Vec<(usize, Ask)>,
    pub(super) rounds: Rounds,
    /// CLIENT PAUSE.
    pub(super) pause: Pause,
    pub(super) meter: Meter,
    /// For what takes less than a millisecond.
    pub(super) stopwatch: Stopwatch,
    /// Requests that wait for other shards to close their keys.
    pub(super) units: Vec<Waiting>,
    /// Room for the waiters of a fill that ends.
    pub(super) waiters: Vec<Route>,
}

/// What became of an operation.
pub(super) enum Mutated {
    /// It is applied, here or in the stead of its owner; [`Core::old`] holds the old value if there was one to give.
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

    /// The time in microseconds since the unix epoch, as exactly as it is known.
    pub(super) fn unix_us(&self) -> u64 {
        self.stopwatch.unix_us().max(self.now.0 * 1_000)
    }

    /// Seconds since the process started.
    pub(super) fn seconds_since_start(&self) -> u32 {
        let ms = self.now.0.saturating_sub(self.settings.started.0);
        u32::try_from(ms / 1_000).unwrap_or(u32::MAX)
    }

    /// Whether no client is held, neither for one that has the world nor by a pause.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.world.is_closed() && !self.pause.is_on()
    }

    /// Whether all that there is, is in the store: nobody behind it is asked.
    pub(super) fn is_embedded(&self) -> bool {
        self.pool.is_none() && !self.is_group()
    }

    /// Whether requests are answered out of the store: not in front of a pool without an L1.
    pub(super) fn looks_up(&self) -> bool {
        self.pool.as_ref().is_none_or(Pool::has_l1)
    }

    pub(super) fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.store.hasher().key(bytes)
    }

    /// A number that nobody outside can foresee, and that no other shard draws alike.
    pub(super) fn random(&mut self) -> u64 {
        self.draw_count += 1;
        let draw = [self.mesh.shard() as u64, self.draw_count].map(u64::to_le_bytes);
        let hasher = self.store.hasher();
        hasher.hash(draw.as_flattened()).0
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
        if let Some(applied) = self.apply_for_sleeper(owner, key, operation, value) {
            return Mutated::Now(applied);
        }
        if !self.may_forward(owner, key.bytes.len() + value.len()) {
            return Mutated::Full;
        }
        self.forward(owner, origin, key, operation, value);
        Mutated::Later
    }

    /// Whether another shard takes a request of so many bytes now.
    pub(super) fn may_ask(&self, shard: usize, bytes: usize) -> bool {
        // As if all that is under way were as large as this one: many small ones, or few large. Loads wait for
        // long, but hold no bytes.
        let asked_count = self.mesh.unanswered(shard);
        let asked_count = asked_count.saturating_sub(self.loads_at(shard));
        let asked_bytes = asked_count * bytes;
        self.mesh.allowance(shard) > 0 && asked_bytes <= ASK_BYTES_MAX
    }

    /// Whether changes wait for memory; the next turn then comes soon.
    pub(super) fn must_wait(&mut self) -> bool {
        self.is_short |= self.store.must_wait();
        self.is_short
    }

    /// Applies an operation to a key that this shard owns.
    pub(super) fn apply(&mut self, key: Key<'_>, operation: Operation, value: &[u8]) -> Applied {
        self.apply_as(key, operation, |store, now, old| {
            store.apply(now, key, operation, value, old)
        })
    }

    /// The same with a value that has come where it will lie.
    pub(super) fn apply_filled(
        &mut self,
        key: Key<'_>,
        operation: Operation,
        value: Vacancy,
    ) -> Applied {
        self.apply_as(key, operation, |store, now, old| {
            store.apply_filled(now, key, operation, value, old)
        })
    }

    #[inline(always)]
    fn apply_as(
        &mut self,
        key: Key<'_>,
        operation: Operation,
        apply: impl FnOnce(&mut ShardStore, UnixMs, &mut Vec<u8>) -> Applied,
    ) -> Applied {
        if let Some(group) = &mut self.group {
            group.void(key);
        }
        self.old.clear();
        let applied = apply(&mut self.store, self.now, &mut self.old);
        // What a pool changes here are copies.
        if self.pool.is_none() {
            self.counters().note_applied(&operation, applied);
        }
        applied
    }

    /// Counts a request that this operation is for once it is done, however often it was tried.
    pub(super) fn count_asked(&self, operation: &Operation, step: Step) -> Step {
        if step == Step::Done {
            self.counters().note_asked(operation);
        }
        step
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
        self.send_mutations(shard);
        let sent = self.mesh.ask(shard, ask);
        assert!(sent.is_ok(), "the caller checks the allowance");
        self.counters().hops.add(1);
    }

    /// Asks every other shard, as soon as it has room.
    pub(super) fn ask_others(&mut self, ask: impl Fn() -> Ask) {
        let me = self.shard();
        let others = (0..self.mesh.shard_count()).filter(|shard| *shard != me);
        self.asks.extend(others.map(|shard| (shard, ask())));
        self.send_asks();
    }

    /// Sends what waits and other shards have room for.
    pub(super) fn send_asks(&mut self) {
        if self.asks.is_empty() {
            return;
        }
        for (shard, ask) in core::mem::take(&mut self.asks) {
            if self.mesh.allowance(shard) > 0 {
                self.ask(shard, ask);
            } else {
                self.asks.push((shard, ask));
            }
        }
    }

    /// Executes a request of another shard and answers it, now or once a backend has. A round is
    /// not for the core to answer: it is given back.
    pub(super) fn serve(&mut self, asker: usize, ask: Ask) -> Option<(Origin, Arc<Round>)> {
        let Ask { origin, body } = ask;
        self.store.set_author(tracking::author(asker, origin.token));
        let body = match body {
            AskBody::Mutate(batch) => {
                self.serve_mutations(asker, batch);
                return None;
            }
            AskBody::Run { voice, request } => self.serve_run(voice, request),
            AskBody::Flush { at } => {
                self.flush_own(at);
                AnswerBody::Flushed
            }
            AskBody::Demote => {
                self.demote(Route::Shard(asker, origin));
                return None;
            }
            AskBody::StandStill => {
                self.stand_still(asker, origin);
                return None;
            }
            AskBody::GoOn => {
                self.go_on_after(asker);
                AnswerBody::Noted
            }
            AskBody::Tell => AnswerBody::Noted,
            AskBody::Load(parcel) => {
                self.serve_load(asker, origin, parcel);
                return None;
            }
            AskBody::Refresh(parcel) => self.serve_refresh(parcel),
            AskBody::Backend { errand, parcel } => {
                self.serve_backend(asker, origin, errand, parcel);
                return None;
            }
            AskBody::Listen { version, wanted } => self.serve_listen(asker, version, wanted),
            AskBody::FindClient { id } => AnswerBody::FoundClient {
                token: self.tracking.find(id),
            },
            AskBody::Close(keys) => {
                self.close_own(&keys);
                AnswerBody::Closed
            }
            AskBody::Open(keys) => {
                self.open_own(&keys);
                AnswerBody::Noted
            }
            AskBody::Round(round) => return Some((origin, round)),
        };
        self.answer(asker, origin, body);
        None
    }

    fn serve_run(&mut self, voice: Voice, request: Vec<u8>) -> AnswerBody {
        let mut bytes = self.buffers.take();
        self.run(voice, &request, &mut bytes);
        self.buffers.put(request);
        AnswerBody::Replied {
            failed: false,
            bytes,
        }
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
        self.void_fills();
    }

    /// Gives up all that is in this shard's partition, and with it the leases of fills under way. What a client wants
    /// flushed later is flushed then.
    pub(super) fn drop_own(&mut self) {
        self.store.drop_all();
        self.store.note_end_of_flush();
        self.void_fills();
    }

    /// Does what is due in the store. Where that is a flush, what is being filled is of before it.
    pub(super) fn tick_store(&mut self) {
        let is_flush = self.store.has_to_flush(self.now);
        self.store.tick(self.now);
        if is_flush {
            self.void_fills();
        }
    }

    pub(super) fn void_fills(&mut self) {
        if let Some(pool) = &mut self.pool {
            pool.void_fills();
        }
        if let Some(group) = &mut self.group {
            group.void_all();
        }
    }

    /// Whether values read from backends are kept.
    pub(super) fn has_l1(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::has_l1)
    }

    /// Whether nothing keeps requests to one server of the pool in order.
    pub(super) fn has_lanes(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::has_lanes)
    }

    /// What the servers of the pool speak; none without a pool.
    pub(super) fn backend_protocol(&self) -> Option<Protocol> {
        self.pool.as_ref().map(|pool| pool.protocol)
    }

    /// What errors of whoever has the keys are written in; none where that is the store.
    pub(super) fn spoken_behind(&self) -> Option<Protocol> {
        let group = self.is_group().then_some(Protocol::Resp);
        self.backend_protocol().or(group)
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

    /// Who renews values of Redis servers that end soon, if memcache clients may ask.
    pub(super) fn renewals(&self) -> Option<Arc<Renewals>> {
        self.pool.as_ref().and_then(Pool::renewals)
    }

    /// Whether writes may be answered before their servers have them.
    pub(super) fn queues_writes(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::queues_writes)
    }

    /// Whether requests about a key reach its server by way of the key's owner.
    pub(super) fn asks_from_owners(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::asks_from_owners)
    }

    /// The shard that handles a key's backend traffic.
    pub(super) fn home(&self, hash: KeyHash) -> usize {
        match self.asks_from_owners() {
            true => self.store.owner(hash),
            false => self.shard(),
        }
    }
}
