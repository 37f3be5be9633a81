//! The L1 of a pool: reading values for it, on what terms they are kept, and which copies may be
//! shown.

use std::sync::Arc;

use super::{
    Pool,
    errand::{Pending, Route},
    over_resp,
    tracked::{Covers, Tracked, integer},
};
use crate::{
    backend::{HEARTBEAT_MS, Meaning, OnLoss},
    fill::{Cover, FillId, Lease, Warrant},
    route::SLOT_COUNT,
    shard::{core::Core, session::Step, settings::TRACKED_HEARTBEAT_MS},
    store::{Condition, Deadline, EntryRef, Expiry, Key, Operation, Outcome, Stamp, UnixMs},
};

/// What becomes of values that servers answered.
#[derive(Debug, Clone, Default)]
pub enum L1Settings {
    /// None is kept.
    #[default]
    Off,
    /// Copies are kept for so long.
    For {
        /// In milliseconds.
        ms: u64,
    },
    /// Copies are kept until the servers tell of a change, or their keys expire there.
    Tracked(Arc<Covers>),
}

/// The same, with what a shard has to know for it.
#[derive(Debug)]
pub(super) enum L1 {
    Off,
    For { ms: u64 },
    Tracked(Tracked),
}

impl L1Settings {
    /// For so many shards, each with so many links for requests to each of so many servers.
    pub fn tracked(shard_count: usize, server_count: usize, connection_count: usize) -> Self {
        let width = connection_count + 1;
        Self::Tracked(Arc::new(Covers::new(shard_count, server_count * width)))
    }

    /// For so many shards in front of a cluster.
    pub fn tracked_by_slot(shard_count: usize) -> Self {
        Self::Tracked(Arc::new(Covers::new(shard_count, SLOT_COUNT)))
    }

    /// Whether servers are to tell of changes.
    pub(super) fn is_tracked(&self) -> bool {
        matches!(self, Self::Tracked(_))
    }

    /// After how many silent milliseconds a server is asked whether it is there.
    pub(super) fn heartbeat_ms(&self) -> u64 {
        match self.is_tracked() {
            true => TRACKED_HEARTBEAT_MS,
            false => HEARTBEAT_MS,
        }
    }

    pub(super) fn of_shard(&self, shard: usize, server_count: usize, width: usize) -> L1 {
        match self {
            Self::Off => L1::Off,
            Self::For { ms } => L1::For { ms: *ms },
            Self::Tracked(covers) => {
                let covers = Arc::clone(covers);
                L1::Tracked(Tracked::new(covers, shard, server_count, width))
            }
        }
    }
}

impl Pool {
    /// Whether values that were read are kept.
    pub(in crate::shard) fn has_l1(&self) -> bool {
        !matches!(self.l1, L1::Off)
    }

    /// Whether servers tell of changes, some time after they show them.
    pub(super) fn hears_late(&self) -> bool {
        matches!(self.l1, L1::Tracked(_))
    }

    /// Whether a copy may be shown.
    #[inline]
    fn vouches_for(&self, copy: &EntryRef<'_>) -> bool {
        match &self.l1 {
            L1::Tracked(tracked) => tracked.covers().hold(Cover(copy.cas())),
            _ => true,
        }
    }

    /// What vouches for a key's value that is asked for now over a link, if something does.
    fn warrant(&self, number: usize, key: Key<'_>, now: UnixMs) -> Option<Warrant> {
        match &self.l1 {
            L1::Tracked(tracked) => {
                let part = self.part_of(number, key.bytes);
                let cover = tracked.cover(number, part)?;
                Some(Warrant::new(cover, now))
            }
            _ => None,
        }
    }

    /// On what terms the value of a fill may be kept, if it may at all.
    fn terms_of_copy(&self, fill: FillId, now: UnixMs) -> Option<(Deadline, Stamp)> {
        let mut stamp = Stamp::default();
        let deadline = match &self.l1 {
            L1::Off => return None,
            L1::For { ms } => Deadline::after(now, *ms),
            L1::Tracked(tracked) => {
                let warrant = self.fills.warrant_of(fill)?;
                if !tracked.covers().hold(warrant.cover()) {
                    return None;
                }
                let Cover(cover) = warrant.cover();
                stamp.cas = Some(cover);
                warrant.deadline()?
            }
        };
        (!deadline.is_past(now)).then_some((deadline, stamp))
    }
}

impl Core {
    /// Whether what the store has may be shown; only a pool's copies may not.
    #[inline]
    pub(in crate::shard) fn vouches_for(&self, entry: &EntryRef<'_>) -> bool {
        let pool = self.pool.as_ref();
        pool.is_none_or(|pool| pool.vouches_for(entry))
    }

    /// Counts a look-up of a client that a copy answers.
    pub(in crate::shard) fn count_l1_hit(&self) {
        let counters = self.counters();
        counters.gets.add(1);
        counters.get_hits.add(1);
    }

    /// Counts one that no copy answers, if there was one, once its server is asked, however often it had to wait.
    pub(super) fn count_l1_miss(&self, looked_up: bool, step: Step) -> Step {
        if looked_up && step == Step::Done {
            self.counters().gets.add(1);
        }
        step
    }

    /// Whether it has to be known what requests change: there may be copies that they make old.
    pub(super) fn follows_changes(&self) -> bool {
        self.has_l1() || self.reads_replicas()
    }

    /// Reads a key's value, or joins who does.
    pub(super) fn fetch(&mut self, number: usize, route: Route, key: Key<'_>, on_loss: OnLoss) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let mut pending = Pending::Request(route);
        // What a replica is behind for a moment, a copy would keep.
        let is_kept = pool.has_l1() && !pool.is_replica(number);
        if is_kept && !pool.fills.is_closed(key) {
            match pool.fills.join_or_start(key, route) {
                Lease::Started(fill) => {
                    // In one piece, so both have one fate.
                    if let Some(warrant) = pool.warrant(number, key, now) {
                        pool.fills.warrant(fill, warrant);
                        pool.links[number].ask_time_left(fill, key, on_loss, now);
                    }
                    pending = Pending::Fill(fill);
                }
                Lease::Joined => {
                    self.counters().fills_joined.add(1);
                    return;
                }
            }
        }
        pool.ask_value(number, pending, key, on_loss, now);
    }

    /// A server has answered how long a fill's key has to live.
    pub(super) fn hear_time_left(&mut self, number: usize, fill: FillId, frame: &[u8]) {
        if let (Some(pool), Some(pttl)) = (&mut self.pool, integer(frame)) {
            pool.fills.note_time_left(fill, pttl);
        } else if frame.starts_with(b"-NOPERM") {
            self.log_refusal(number, frame);
        }
    }

    /// Keeps a value that was read, if its lease still holds.
    pub(super) fn keep(&mut self, number: usize, fill: FillId, meaning: &Meaning<'_>) {
        let Some(pool) = &self.pool else { return };
        let (key, is_valid) = pool.fills.key(fill);
        let key = self.store.hasher().key(key);
        if !is_valid || pool.is_being_written(number, key) {
            return;
        }
        self.old.clear();
        let (operation, value) = match (*meaning, pool.terms_of_copy(fill, self.now)) {
            (Meaning::Hit { value, flags }, Some((deadline, stamp))) => {
                let (flags, value) = match pool.keeps_flags() {
                    true => over_resp::split(value),
                    false => (flags, value),
                };
                let operation = Operation::Set {
                    flags,
                    expiry: Expiry::Until(deadline),
                    condition: Condition::Always,
                    stamp,
                    wants_old: false,
                };
                (operation, value)
            }
            // A copy that another fill left may be older than what is shown now.
            (Meaning::Hit { .. } | Meaning::Miss, _) if pool.hears_late() => {
                (Operation::DELETE, &[][..])
            }
            _ => return,
        };
        let applied = self
            .store
            .apply(self.now, key, operation, value, &mut self.old);
        if !matches!(applied.outcome, Outcome::Stored { .. }) && operation != Operation::DELETE {
            // So may be the one that stays if there is no room.
            self.store
                .apply(self.now, key, Operation::DELETE, &[], &mut self.old);
        }
    }
}
