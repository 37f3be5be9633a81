//! Mutations of keys that another shard owns.
//!
//! A shard that sleeps lends its partition: what it would be woken for is done in its stead, which is one step, as by
//! the owner itself. That is most of what hops at low load, where waking costs ten times the change. A shard that is
//! awake is sent a message, and so is one that owes an answer, as what is asked of it stays in order.
//!
//! Where all shards are busy, half of the writes hop with two of them, nearly all with many. A message for each costs
//! more than the mutation: slots of two lanes, and a buffer that one core writes and the other has to fetch. So what a turn
//! has for another shard goes there together, keys and values one behind the other, and comes back in the same
//! memory. It waits for no more to come than the turn brings: it leaves at the end of the turn, when it
//! is full, or before anything else that is said to that shard.

use core::ops::Range;

use super::{
    core::Core,
    message::{AnswerBody, Ask, AskBody, Origin},
    settings::ASK_BYTES_MAX,
    tracking,
};
use crate::store::{Applied, InStead, Key, KeyHash, Operation, Outcome};

/// Mutations in one message at most: the other core is to begin before the turn is over.
const MUTATIONS_MAX: usize = 64;

/// Bytes of keys and values in one message at most, but for one that is larger alone.
const BATCH_BYTES_MAX: usize = 16 * 1024;

/// Empty messages kept for reuse: about as many as are on their way at a time.
const SPARE_MAX: usize = 64;

/// How far ahead the owner asks for the bucket of a key, and nearer, for its entry, in mutations.
const BUCKET_AHEAD: usize = 4;
const ENTRY_AHEAD: usize = 2;

/// A change of one key.
#[derive(Debug)]
struct Mutation {
    origin: Origin,
    operation: Operation,
    hash: KeyHash,
    /// Where its key starts, in the batch's bytes; its value is behind.
    start: usize,
    key_bytes: usize,
    value_bytes: usize,
}

/// What came of one.
#[derive(Debug)]
struct Done {
    outcome: Outcome,
    /// Where the old value is in the batch's bytes, if there was one to give.
    old: Option<Range<usize>>,
}

/// Mutations for one shard, in their order.
#[derive(Debug, Default)]
pub(super) struct Mutations {
    list: Vec<Mutation>,
    /// What came of the first so many.
    done: Vec<Done>,
    /// Keys and values, then old values.
    bytes: Vec<u8>,
}

impl Mutations {
    fn with_room() -> Self {
        Self {
            list: Vec::with_capacity(MUTATIONS_MAX),
            done: Vec::with_capacity(MUTATIONS_MAX),
            bytes: Vec::new(),
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.list.len() < MUTATIONS_MAX && self.bytes.len() + bytes <= BATCH_BYTES_MAX
    }

    fn key(&self, mutation: &Mutation) -> Key<'_> {
        Key {
            bytes: &self.bytes[mutation.start..][..mutation.key_bytes],
            hash: mutation.hash,
        }
    }

    /// Bytes of keys and values.
    fn content_bytes(&self) -> usize {
        let last = self.list.last();
        last.map_or(0, |last| last.start + last.key_bytes + last.value_bytes)
    }

    /// Who it is from, if it is one mutation.
    pub(super) fn only_origin(&self) -> Option<Origin> {
        match &self.list[..] {
            [only] => Some(only.origin),
            _ => None,
        }
    }

    /// What came of each, for whom: with the old value if there was one to give, else the key.
    pub(super) fn results(&self) -> impl Iterator<Item = (Origin, Applied, &[u8])> {
        self.list.iter().zip(&self.done).map(|(asked, done)| {
            let bytes = match &done.old {
                Some(old) => &self.bytes[old.clone()],
                None => self.key(asked).bytes,
            };
            let applied = Applied {
                outcome: done.outcome,
                has_old: done.old.is_some(),
            };
            (asked.origin, applied, bytes)
        })
    }
}

impl From<Mutations> for Ask {
    fn from(batch: Mutations) -> Self {
        Self {
            origin: Origin::NOBODY,
            body: AskBody::Mutate(batch),
        }
    }
}

/// What a shard has for the others, and from them.
#[derive(Debug)]
pub(super) struct Forwarding {
    lanes: Vec<Lane>,
    /// Whether one of them has something that is not sent.
    has_open: bool,
    spare: Vec<Mutations>,
}

/// What it has for one, and from it.
#[derive(Debug, Default)]
struct Lane {
    /// Not sent yet; counts as one unanswered request in the mesh already.
    open: Option<Mutations>,
    /// Mutations that are not answered, and bytes of theirs.
    unanswered: usize,
    unanswered_bytes: usize,
    /// From there: the rest waits for memory.
    unfinished: Option<Mutations>,
}

impl Forwarding {
    pub(super) fn new(shard_count: usize) -> Self {
        Self {
            lanes: (0..shard_count).map(|_| Lane::default()).collect(),
            has_open: false,
            spare: Vec::with_capacity(SPARE_MAX),
        }
    }
}

impl Core {
    /// Applies an operation in the stead of the shard that owns the key, if that one sleeps and all that there is to
    /// do is in its partition.
    #[inline]
    pub(super) fn apply_for_sleeper(
        &mut self,
        owner: usize,
        key: Key<'_>,
        operation: Operation,
        value: &[u8],
    ) -> Option<Applied> {
        if self.mesh.unanswered(owner) > 0 || !self.is_embedded() {
            return None;
        }
        self.old.clear();
        let Self { store, old, .. } = self;
        let InStead {
            applied,
            is_due_sooner,
        } = store.apply_for_sleeper(self.now, key, operation, value, old)?;
        let counters = self.counters();
        counters.note_applied(&operation, applied);
        counters.loans.add(1);
        if is_due_sooner {
            self.mesh.nudge(owner);
        }
        Some(applied)
    }

    /// Whether a mutation with so many bytes may go to another shard now.
    pub(super) fn may_forward(&self, shard: usize, bytes: usize) -> bool {
        let lane = &self.forwarding.lanes[shard];
        let is_open = lane.open.as_ref().is_some_and(|open| open.has_room(bytes));
        // Without this one, as it may be larger than all that may be under way.
        lane.unanswered_bytes <= ASK_BYTES_MAX
            && lane.unanswered < self.mesh.depth()
            && (is_open || self.mesh.allowance(shard) > 0)
    }

    /// Sends a mutation to the owner of its key, which was seen to take it.
    pub(super) fn forward(
        &mut self,
        shard: usize,
        origin: Origin,
        key: Key<'_>,
        operation: Operation,
        value: &[u8],
    ) {
        let bytes = key.bytes.len() + value.len();
        let lane = &mut self.forwarding.lanes[shard];
        if !lane.open.as_ref().is_some_and(|open| open.has_room(bytes)) {
            self.send_mutations(shard);
            self.open_mutations(shard);
        }
        let lane = &mut self.forwarding.lanes[shard];
        let Some(open) = &mut lane.open else { return };
        self.buffers.make_room(&mut open.bytes, bytes);
        open.list.push(Mutation {
            origin,
            operation,
            hash: key.hash,
            start: open.bytes.len(),
            key_bytes: key.bytes.len(),
            value_bytes: value.len(),
        });
        open.bytes.extend_from_slice(key.bytes);
        open.bytes.extend_from_slice(value);
        lane.unanswered += 1;
        lane.unanswered_bytes += bytes;
        self.counters().hops.add(1);
        if self.tracking.is_listening() {
            // Who made a change is told of it right behind its reply: that is the only one in its message.
            self.send_mutations(shard);
        }
    }

    fn open_mutations(&mut self, shard: usize) {
        let is_reserved = self.mesh.reserve(shard);
        assert!(is_reserved, "the caller checks the allowance");
        let forwarding = &mut self.forwarding;
        let spare = forwarding.spare.pop();
        let mut open = spare.unwrap_or_else(Mutations::with_room);
        open.bytes = self.buffers.take();
        forwarding.lanes[shard].open = Some(open);
        forwarding.has_open = true;
    }

    /// Sends what waits for another shard.
    pub(super) fn send_mutations(&mut self, shard: usize) {
        if let Some(batch) = self.forwarding.lanes[shard].open.take() {
            self.mesh.ask_reserved(shard, batch.into());
        }
    }

    /// Sends what waits for any shard: the turn ends.
    pub(super) fn send_all_mutations(&mut self) {
        if core::mem::take(&mut self.forwarding.has_open) {
            (0..self.mesh.shard_count()).for_each(|shard| self.send_mutations(shard));
        }
    }

    /// The next request of another shard, which may be the rest of one that had to wait for memory.
    pub(super) fn next_asked(&mut self, shard: usize) -> Option<Ask> {
        let unfinished = self.forwarding.lanes[shard].unfinished.take();
        unfinished
            .map(Ask::from)
            .or_else(|| self.mesh.next_asked(shard))
    }

    /// Does what another shard has to change here and answers, or stops where memory is short and goes on in
    /// the next turn.
    pub(super) fn serve_mutations(&mut self, asker: usize, mut batch: Mutations) {
        let start = batch.done.len();
        self.ask_for_memory(&batch, start..start + BUCKET_AHEAD);
        for at in start..batch.list.len() {
            if self.must_wait() {
                self.forwarding.lanes[asker].unfinished = Some(batch);
                return;
            }
            let ahead = at + BUCKET_AHEAD;
            self.ask_for_memory(&batch, ahead..ahead + 1);
            let mutation = &batch.list[at];
            self.store
                .set_author(tracking::author(asker, mutation.origin.token));
            let key = batch.key(mutation);
            let value = &batch.bytes[mutation.start + mutation.key_bytes..][..mutation.value_bytes];
            let Applied { outcome, has_old } = self.apply(key, mutation.operation, value);
            let old = has_old.then(|| {
                let start = batch.bytes.len();
                self.buffers.make_room(&mut batch.bytes, self.old.len());
                batch.bytes.extend_from_slice(&self.old);
                start..batch.bytes.len()
            });
            batch.done.push(Done { outcome, old });
        }
        self.answer(asker, Origin::NOBODY, AnswerBody::Mutated(batch));
    }

    /// Asks for the memory that these of a batch will look at, as far as there are as many.
    fn ask_for_memory(&self, batch: &Mutations, range: Range<usize>) {
        for at in range {
            if let Some(ahead) = batch.list.get(at) {
                self.store.prefetch(ahead.hash);
            }
            let entry = at.checked_sub(BUCKET_AHEAD - ENTRY_AHEAD);
            if let Some(ahead) = entry.and_then(|at| batch.list.get(at)) {
                _ = self.store.prefetch_entry(ahead.hash);
            }
        }
    }

    /// Takes the memory of mutations back that a shard has answered.
    pub(super) fn mutations_done(&mut self, shard: usize, mut batch: Mutations) {
        let lane = &mut self.forwarding.lanes[shard];
        lane.unanswered -= batch.list.len();
        lane.unanswered_bytes -= batch.content_bytes();
        self.buffers.put(core::mem::take(&mut batch.bytes));
        batch.list.clear();
        batch.done.clear();
        if self.forwarding.spare.len() < SPARE_MAX {
            self.forwarding.spare.push(batch);
        }
    }
}
