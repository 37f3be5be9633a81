//! Group mode: what is missing is loaded once for everybody who asks for it, and kept for as long as
//! its source says.
//!
//! ```text
//!   miss -> the key's owner: its fill is joined, or started -> port -> the group's executor
//!   answered <- kept, if the lease still holds <- port <- value, or why there is none
//! ```
//!
//! A value travels to who waits as Redis would answer it, with what is left of its life behind it:
//! what clients of each protocol make of that is [`over_resp`]'s.

mod abroad;
mod binary;
mod changes;
mod figures;
mod frame;
mod freshness;
mod hot;
mod memcache;
mod negatives;
mod recalls;
mod resp;
mod visit;

use core::time::Duration;

use bytes::Bytes;

use self::{
    abroad::Abroad,
    changes::Changes,
    frame::{push_error, push_value},
    freshness::Freshness,
    hot::Hot,
    negatives::Negatives,
    recalls::Recalls,
};
pub(in crate::shard) use self::{
    binary::execute as execute_binary, frame::value_of, memcache::execute as execute_memcache,
    resp::execute as execute_resp,
};
pub use self::{figures::GroupFigures, freshness::FreshnessParams};
use super::{
    core::Core,
    form::Form,
    message::{AnswerBody, Ask, AskBody, Origin, Parcel},
    pool::{
        backends::deliver,
        errand::{Delivery, Route},
        over_resp,
    },
    replies::Covers,
    session::{Session, Step},
    turn::Shard,
};
use crate::{
    config::HotPolicy,
    fill::{FillId, Fills, Lease},
    group::{
        LoadError, Loaded,
        port::{LoadOutcome, Reach, Report, ShardPort, Task, Teller, Ticket},
        statistics::{Board, Count},
    },
    io::Io,
    store::{Absence, Condition, Deadline, Expiry, Key, Operation, Outcome, Stamp, UnixMs},
};

/// The text for what a key of a group cannot be used for.
const UNCHANGEABLE: &str = "a key of a group can only be read, set and deleted";

/// The text for memcache flags, which sources and peers know nothing of.
const NO_FLAGS: &str = "a value of a group has no flags";

/// What a shard is told about its group.
#[derive(Debug)]
pub struct GroupParts {
    /// Its queues.
    pub port: ShardPort,
    /// What the executor counts.
    pub board: Board,
    /// How long it is remembered that a key has no value, in milliseconds; 0 if not at all.
    pub negative_ttl_ms: u64,
    /// What becomes of values that end.
    pub freshness: FreshnessParams,
    /// Whether sets and deletes are not done here alone: there are peers, or they are written through.
    pub tells_changes: bool,
    /// Whether values may have memcache flags.
    pub keeps_flags: bool,
    /// Which of their values are kept here, too.
    pub hot: HotPolicy,
    /// Memory of this shard, in bytes.
    pub memory_bytes: usize,
}

/// A shard's dealings with its group.
pub(super) struct Group {
    port: ShardPort,
    board: Board,
    /// What is being loaded of the keys that this shard owns, and who waits for it.
    fills: Fills<Waiter>,
    negatives: Negatives,
    freshness: Freshness,
    /// Which of the fills wait for no peer.
    recalls: Recalls,
    /// Copies of what other peers own.
    hot: Hot,
    abroad: Abroad,
    /// Sets and deletes that are not done here alone; none if all are.
    changes: Option<Changes>,
    keeps_flags: bool,
    /// Room for the waiters of a fill that ends.
    waiters: Vec<Waiter>,
}

/// Who waits for a fill.
#[derive(Debug, Clone, Copy)]
enum Waiter {
    Client(Route),
    /// Who is no client.
    Visitor(Ticket, Reach),
    /// The value is kept for who will ask.
    Nobody,
}

impl Waiter {
    /// Whom its fill may wait for.
    fn reach(self) -> Reach {
        match self {
            Self::Visitor(_, reach) => reach,
            Self::Client(_) | Self::Nobody => Reach::Peers,
        }
    }
}

impl Group {
    pub(super) fn new(parts: GroupParts) -> Self {
        Self {
            port: parts.port,
            fills: Fills::default(),
            negatives: Negatives::new(parts.negative_ttl_ms),
            freshness: Freshness::new(parts.freshness),
            recalls: Recalls::default(),
            abroad: Abroad::new(),
            hot: Hot::new(parts.hot, parts.memory_bytes, parts.board.lists()),
            board: parts.board,
            changes: parts.tells_changes.then(Changes::default),
            keeps_flags: parts.keeps_flags,
            waiters: Vec::new(),
        }
    }

    /// A key is written: what is being loaded of it may be of before.
    #[inline]
    pub(super) fn void(&mut self, key: Key<'_>) {
        self.fills.void(key);
        self.negatives.forget(key.bytes);
        self.freshness.forget(key.bytes);
    }

    /// Everything is written.
    pub(super) fn void_all(&mut self) {
        self.fills.void_all();
        self.negatives.clear();
        self.freshness.clear();
        self.hot.clear();
    }

    /// Wakes the executor if there is something new for it to do.
    pub(super) fn flush(&mut self) {
        self.port.ring();
    }
}

impl Session {
    /// Has a key loaded that was looked up and is not here; the reply takes the next slot. What
    /// cannot be encoded without is `kept`.
    fn load(
        &mut self,
        core: &mut Core,
        (key, absence): (Key<'_>, Absence),
        form: Form,
        kept: &[u8],
    ) -> Step {
        let owner = core.store.owner(key.hash);
        let is_here = owner == core.shard();
        if !is_here && !core.may_load_at(owner, key.bytes.len()) {
            return Step::Hold;
        }
        let counters = core.counters();
        counters.gets.add(1);
        counters.note_absence(absence);
        // With peers a change that comes behind might be faster than this on its way.
        let covers = match core.tells_changes() {
            true => Covers::Steps(key.hash),
            false => Covers::Nothing,
        };
        let seq = self.replies.defer(form, covers, 1);
        if !kept.is_empty() {
            let kept = core.buffers.copy(&[kept]);
            self.replies.keep_key(seq, kept);
        }
        let origin = Origin {
            token: self.token(),
            seq,
        };
        if is_here {
            if let Some(body) = core.load(Route::Here(origin), key) {
                self.answered(core, seq, body);
            }
            return Step::Done;
        }
        let parcel = core.parcel(key, &[]);
        let body = AskBody::Load(parcel);
        core.ask(owner, Ask { origin, body });
        core.note_load_asked(owner);
        Step::Done
    }
}

impl Core {
    /// Whether values of the group may have memcache flags.
    pub(super) fn keeps_group_flags(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.keeps_flags)
    }

    /// Whether keys that are missing are loaded.
    pub(super) fn is_group(&self) -> bool {
        self.group.is_some()
    }

    /// Loads a key for another shard.
    pub(super) fn serve_load(&mut self, asker: usize, origin: Origin, parcel: Parcel) {
        let key = Key {
            bytes: parcel.key(),
            hash: parcel.hash,
        };
        if let Some(body) = self.load(Route::Shard(asker, origin), key) {
            self.answer(asker, origin, body);
        }
        self.buffers.put(parcel.bytes);
    }

    /// Loads a key that this shard owns, for a client. `Some` if it is over already.
    fn load(&mut self, route: Route, key: Key<'_>) -> Option<AnswerBody> {
        // Somebody else's fill may have ended since it was missed.
        if let Some(entry) = self.store.get(key, self.now) {
            let mut bytes = self.buffers.take();
            let value = (entry.flags(), entry.value());
            push_value(&mut bytes, value, entry.deadline(), self.now);
            let failed = false;
            return Some(AnswerBody::Loaded { failed, bytes });
        }
        if let Some(body) = self.show_stale(key) {
            return Some(body);
        }
        let error = self.join(Waiter::Client(route), key).err()?;
        let mut bytes = self.buffers.take();
        let failed = push_error(&mut bytes, &error);
        Some(AnswerBody::Loaded { failed, bytes })
    }

    /// Joins the fill of a key that this shard owns, or starts it.
    ///
    /// # Errors
    /// There is known to be no value, or too much is being loaded.
    fn join(&mut self, waiter: Waiter, key: Key<'_>) -> Result<(), LoadError> {
        let Some(group) = &mut self.group else {
            return Err(LoadError::Busy);
        };
        if key.bytes.is_empty() {
            // It would name the whole of an origin.
            return Err(LoadError::NotFound { ttl: None });
        }
        if let Some(error) = group.negatives.find(key.bytes, self.now) {
            return Err(error.clone());
        }
        let reach = waiter.reach();
        let Lease::Started(fill) = group.fills.join_or_start(key, waiter) else {
            if reach == Reach::Source {
                group.recall(key);
            }
            self.counters().fills_joined.add(1);
            return Ok(());
        };
        group.recalls.note_started(fill, reach);
        let task = Task::Load {
            ticket: Ticket(fill.number()),
            key: Bytes::copy_from_slice(key.bytes),
            reach,
        };
        group.port.send(task).map_err(|_| {
            // Nobody has joined it yet.
            group.fills.finish(fill, |_| {});
            group.board.add(Count::LoadsDeduped);
            group.board.add(Count::LoadsRefused);
            LoadError::Busy
        })
    }

    /// Takes what became of loads. `deliver` gets each reply for a connection of this shard.
    fn hear_group(&mut self, deliver: &mut impl FnMut(&mut Self, Delivery<'_>)) {
        let Some(group) = &mut self.group else { return };
        group.freshness.note_load_us(group.board.load_us());
        // Before what was answered is taken: that may be of the list before.
        let lists = group.board.lists();
        while let Some(group) = &mut self.group
            && let Some(report) = group.port.next_result()
        {
            match report {
                Report::Loaded {
                    outcome: LoadOutcome { ticket, loaded },
                    teller,
                } => self.filled(FillId::of(ticket.0), &loaded, teller, deliver),
                Report::Changed { ticket, changed } => self.changed(ticket, changed, deliver),
            }
        }
        self.note_lists(lists);
        self.receive_visits();
    }

    fn filled(
        &mut self,
        fill: FillId,
        loaded: &Result<Loaded, LoadError>,
        teller: Teller,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let mut frame = self.buffers.take();
        let mut failed = false;
        match loaded {
            Ok(loaded) => {
                let deadline = deadline(loaded.ttl, self.now);
                match teller {
                    Teller::Source => self.keep_loaded(fill, loaded, deadline, false),
                    Teller::Peer => self.keep_copy(fill, loaded, deadline),
                    Teller::Unheard => {}
                }
                let value = (loaded.flags, &loaded.value[..]);
                push_value(&mut frame, value, deadline, self.now);
            }
            Err(error) => {
                if !self.note_unloaded(fill, error) && teller != Teller::Unheard {
                    self.note_negative(fill, error);
                }
                failed = push_error(&mut frame, error);
            }
        }
        // The waiters are taken out first, as handing over needs the whole core.
        let mut waiters = Vec::new();
        if let Some(group) = &mut self.group {
            waiters = core::mem::take(&mut group.waiters);
            group.fills.finish(fill, |waiter| waiters.push(waiter));
        }
        for waiter in waiters.drain(..) {
            match waiter {
                Waiter::Client(Route::Shard(asker, origin)) => {
                    let bytes = self.buffers.copy(&[&frame]);
                    self.answer(asker, origin, AnswerBody::Loaded { failed, bytes });
                }
                Waiter::Client(route) => self.hand_over(route, failed, &frame, deliver),
                Waiter::Visitor(ticket, _) => self.answer_visit(ticket, loaded.clone()),
                Waiter::Nobody => {}
            }
        }
        if let Some(group) = &mut self.group {
            group.waiters = waiters;
        }
        self.buffers.put(frame);
    }

    /// Remembers that a key has no value, if that is asked for, and nothing was written to it meanwhile.
    fn note_negative(&mut self, fill: FillId, error: &LoadError) {
        let Some(group) = &mut self.group else { return };
        let (key, is_valid) = group.fills.key(fill);
        if is_valid {
            group.negatives.note(key, error, self.now);
        }
    }

    /// Keeps a value, if nothing was written to its key meanwhile. What is not to be kept, or has no room,
    /// takes the old one away.
    fn keep_loaded(&mut self, fill: FillId, loaded: &Loaded, deadline: Deadline, is_copy: bool) {
        let value = &loaded.value[..];
        let Some(group) = &self.group else { return };
        let (key, is_valid) = group.fills.key(fill);
        if !is_valid {
            return;
        }
        let is_to_keep = !deadline.is_past(self.now) && self.store.fits(key.len(), value.len());
        let key = self.store.hasher().key(key);
        self.old.clear();
        let mut apply = |operation, value| {
            let applied = self
                .store
                .apply(self.now, key, operation, value, &mut self.old);
            matches!(applied.outcome, Outcome::Stored { .. })
        };
        if !is_to_keep || !apply(keep(loaded, deadline, is_copy), value) {
            apply(Operation::DELETE, &[]);
        }
    }
}

/// Stores a value that did not come from a client.
fn keep(loaded: &Loaded, deadline: Deadline, is_copy: bool) -> Operation {
    let Loaded {
        flags, ref value, ..
    } = *loaded;
    Operation::Set {
        flags,
        expiry: Expiry::Until(deadline),
        condition: Condition::Always,
        // What is told of the value to those who wait for it is told to later ones, too.
        stamp: Stamp {
            cas: Some(over_resp::cas_of(flags, value)),
            is_copy,
            ..Stamp::default()
        },
        wants_old: false,
    }
}

impl<I: Io> Shard<I> {
    /// Takes what the group's executor says, and answers who waits for it.
    pub(super) fn hear_group(&mut self) {
        if !self.core.is_group() {
            return;
        }
        let Self {
            core,
            peers,
            touched,
            ..
        } = self;
        core.hear_group(&mut |core, delivery| {
            deliver(core, peers, touched, &delivery);
        });
        self.settle_touched();
    }
}

/// When a value ends that is good for so long from now.
fn deadline(ttl: Option<Duration>, now: UnixMs) -> Deadline {
    let ms = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
    ms.map_or(Deadline::NEVER, |ms| Deadline::after(now, ms))
}
