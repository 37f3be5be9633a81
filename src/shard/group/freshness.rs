//! Values that end: nobody is to wait for the next one who need not.
//!
//! A value that is about to end is loaded anew before it does, by chance, the likelier the nearer its
//! end and the longer loads take: of many who read it, one begins the load in time, and a key that
//! nobody reads is not loaded (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic
//! Cache Stampede Prevention", VLDB 2015, with β = 1). With `--stale` a value that has ended is shown
//! for a while, to everybody, as long as the load of the next one has not: it is under way, or has
//! failed.

use core::time::Duration;

use bytes::Bytes;

use super::{Group, Waiter, frame::push_stale, negatives::Negatives};
use crate::{
    fill::FillId,
    group::{LoadError, Loaded, statistics::Count},
    shard::{
        core::Core,
        message::{AnswerBody, Ask, AskBody, Origin, Parcel},
    },
    store::{Deadline, Key, KeyHash, Operation, UnixMs},
};

/// A value is loaded early at most so many times the usual load before its end: beyond that the
/// chance of each read is below 1 in 2,980 (e⁻⁸), and an atomic word read for nothing.
const EARLIEST_LOADS: u64 = 8;

/// How long a key that could not be loaded anew is let be, while its old value is there.
const PAUSE_MS: u64 = 1_000;

/// Keys of which a shard knows that it has asked their owners lately.
const ASKED_COUNT: usize = 64;

/// What a shard is told about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreshnessParams {
    /// How long values are shown after their end, in milliseconds.
    pub stale_ms: u64,
    /// Whether values are loaded before their end.
    pub is_early: bool,
}

/// What a shard knows of loads and of values that end.
#[derive(Debug)]
pub(super) struct Freshness {
    params: FreshnessParams,
    /// How long loads take, as of this turn, in microseconds; 0 if it is not known.
    load_us: u64,
    /// A value that ends within so many milliseconds may be loaded early.
    early_ms: u64,
    /// Keys for which a load was asked for, and until when it need not be again: a hot key is read
    /// many times before the new value is there.
    asked: [(KeyHash, UnixMs); ASKED_COUNT],
    /// Keys of this shard whose last load for nobody failed.
    paused: Negatives,
}

impl Freshness {
    pub(super) fn new(params: FreshnessParams) -> Self {
        Self {
            params,
            load_us: 0,
            early_ms: 0,
            asked: [(KeyHash(0), UnixMs(0)); ASKED_COUNT],
            paused: Negatives::new(PAUSE_MS),
        }
    }

    /// Takes note of how long loads take.
    pub(super) fn note_load_us(&mut self, load_us: u64) {
        if !self.params.is_early || load_us == self.load_us {
            return;
        }
        self.load_us = load_us;
        self.early_ms = load_us.saturating_mul(EARLIEST_LOADS).div_ceil(1_000);
    }

    /// The time at which a value that is still shown at `now` had not ended, whatever its end.
    pub(super) fn stale_since(&self, now: UnixMs) -> UnixMs {
        UnixMs(now.0.saturating_sub(self.params.stale_ms))
    }

    /// Whether a value with this end may be loaded early.
    #[inline]
    fn may_end_soon(&self, deadline: Deadline, now: UnixMs) -> bool {
        deadline.is_past(UnixMs(now.0.saturating_add(self.early_ms)))
    }

    /// Whether a read of a value with this end begins the next load; `chance` is any number.
    fn begins(&self, deadline: Deadline, now: UnixMs, chance: u64) -> bool {
        let Some(end) = deadline.instant() else {
            return false;
        };
        let left_us = end.0.saturating_sub(now.0).saturating_mul(1_000) as f64;
        // Above 0, so that its logarithm is finite, and at most 1.
        let fraction = ((chance >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        self.load_us as f64 * -fraction.ln() >= left_us
    }

    /// Whether a load of the key is to be asked for, which it then was.
    fn asks(&mut self, hash: KeyHash, now: UnixMs) -> bool {
        let place = &mut self.asked[hash.0 as usize % ASKED_COUNT];
        if place.0 == hash && now < place.1 {
            return false;
        }
        *place = (hash, UnixMs(now.0 + 1 + self.load_us / 1_000));
        true
    }

    /// A key is written.
    #[inline]
    pub(super) fn forget(&mut self, key: &[u8]) {
        self.paused.forget(key);
    }

    /// Everything is written.
    pub(super) fn clear(&mut self) {
        self.paused.clear();
    }
}

impl Core {
    /// A value that ends then was read: now and then the next is loaded.
    #[inline]
    pub(in crate::shard) fn note_end(&mut self, key: Key<'_>, deadline: Deadline) {
        let now = self.now;
        let is_near = |group: &Group| group.freshness.may_end_soon(deadline, now);
        if self.group.as_ref().is_some_and(is_near) {
            self.may_refresh(key, deadline);
        }
    }

    #[cold]
    fn may_refresh(&mut self, key: Key<'_>, deadline: Deadline) {
        let chance = self.random();
        let begins = |group: &Group| group.freshness.begins(deadline, self.now, chance);
        if self.group.as_ref().is_some_and(begins) {
            self.refresh(key);
        }
    }

    /// Has the next value of a key loaded by its owner, for nobody who waits. If that cannot be asked
    /// for now, another read will.
    pub(super) fn refresh(&mut self, key: Key<'_>) {
        let owner = self.store.owner(key.hash);
        let is_here = owner == self.shard();
        if !is_here && !self.may_ask(owner, key.bytes.len()) {
            return;
        }
        let Some(group) = &mut self.group else { return };
        if !group.freshness.asks(key.hash, self.now) {
            return;
        }
        if is_here {
            return self.refresh_own(key);
        }
        let origin = Origin::NOBODY;
        let body = AskBody::Refresh(self.parcel(key, &[]));
        self.ask(owner, Ask { origin, body });
    }

    /// Loads the next value of a key that this shard owns, unless that is under way or has failed just now.
    pub(in crate::shard) fn refresh_own(&mut self, key: Key<'_>) {
        let Some(group) = &mut self.group else { return };
        let is_paused = group.freshness.paused.find(key.bytes, self.now).is_some();
        if is_paused || group.fills.under_way(key).is_some() {
            return;
        }
        if self.join(Waiter::Nobody, key).is_ok()
            && let Some(group) = &self.group
        {
            group.board.add(Count::Refreshes);
        }
    }

    /// Loads the next value of a key for another shard.
    pub(in crate::shard) fn serve_refresh(&mut self, parcel: Parcel) -> AnswerBody {
        let key = Key {
            bytes: parcel.key(),
            hash: parcel.hash,
        };
        self.refresh_own(key);
        self.buffers.put(parcel.bytes);
        AnswerBody::Noted
    }

    /// The value of a key of this shard that has ended and is still shown, as the reply; the next one is
    /// loaded.
    pub(super) fn show_stale(&mut self, key: Key<'_>) -> Option<AnswerBody> {
        let since = self.group.as_ref()?.freshness.stale_since(self.now);
        let entry = self.store.peek(key, since)?;
        let mut bytes = self.buffers.take();
        push_stale(&mut bytes, entry.flags(), entry.value());
        self.note_stale(key);
        let failed = false;
        Some(AnswerBody::Loaded { failed, bytes })
    }

    /// The same for who is no client.
    pub(super) fn show_stale_visitor(&mut self, key: Key<'_>) -> Option<Loaded> {
        let since = self.group.as_ref()?.freshness.stale_since(self.now);
        let entry = self.store.peek(key, since)?;
        let loaded = Loaded {
            value: Bytes::copy_from_slice(entry.value()),
            flags: entry.flags(),
            ttl: Some(Duration::ZERO),
        };
        self.note_stale(key);
        Some(loaded)
    }

    fn note_stale(&mut self, key: Key<'_>) {
        if let Some(group) = &self.group {
            group.board.add(Count::StaleHits);
        }
        self.refresh(key);
    }

    /// A load has failed. If that is for good, the value that may still be shown goes, and if not, it
    /// stays, and the key is let be for a while; whether it is so.
    pub(super) fn note_unloaded(&mut self, fill: FillId, error: &LoadError) -> bool {
        let Some(group) = &mut self.group else {
            return false;
        };
        let Group {
            fills, freshness, ..
        } = group;
        let (key, is_valid) = fills.key(fill);
        let key = self.store.hasher().key(key);
        let since = freshness.stale_since(self.now);
        if !is_valid || self.store.peek(key, since).is_none() {
            return false;
        }
        if !matches!(error, LoadError::NotFound { .. }) {
            freshness.paused.note(key.bytes, error, self.now);
            return true;
        }
        self.old.clear();
        self.store
            .apply(self.now, key, Operation::DELETE, &[], &mut self.old);
        false
    }

    /// Whether a value of the key is here that is shown, or would be once it has ended.
    pub(super) fn has_to_renew(&self, key: Key<'_>) -> bool {
        let since = |group: &Group| group.freshness.stale_since(self.now);
        let since = self.group.as_ref().map(since);
        since.is_some_and(|since| self.store.peek(key, since).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_000_000);

    fn freshness(load_us: u64) -> Freshness {
        let mut freshness = Freshness::new(FreshnessParams {
            stale_ms: 50,
            is_early: true,
        });
        freshness.note_load_us(load_us);
        freshness
    }

    /// Of so many reads at this time before the end, the part that begins a load.
    fn share(freshness: &Freshness, left_ms: u64) -> f64 {
        const READS: u64 = 10_000;
        let deadline = Deadline::after(NOW, left_ms);
        let chances = (0..READS).map(|read| read * (u64::MAX / READS));
        let begun = chances.filter(|chance| freshness.begins(deadline, NOW, *chance));
        begun.count() as f64 / READS as f64
    }

    #[test]
    fn the_nearer_the_end_the_likelier_a_read_begins_the_load() {
        let freshness = freshness(100_000);
        for (left_ms, expected) in [(1, 0.990), (100, 0.368), (300, 0.050), (800, 0.000_3)] {
            let share = share(&freshness, left_ms);
            assert!((share - expected).abs() < 0.001, "{left_ms} ms: {share}");
        }
        assert!(!freshness.begins(Deadline::NEVER, NOW, 0));
    }

    #[test]
    fn only_what_ends_within_some_loads_is_looked_at() {
        let table = [
            (100_000, 800, true),
            (100_000, 801, false),
            (1, 1, true),
            (0, 1, false),
        ];
        for (load_us, left_ms, expected) in table {
            let deadline = Deadline::after(NOW, left_ms);
            let is_near = freshness(load_us).may_end_soon(deadline, NOW);
            assert_eq!(is_near, expected, "{load_us} us, {left_ms} ms");
        }
        let mut late = Freshness::new(FreshnessParams {
            stale_ms: 0,
            is_early: false,
        });
        late.note_load_us(100_000);
        assert!(!late.may_end_soon(Deadline::after(NOW, 1), NOW));
    }

    #[test]
    fn a_key_is_asked_for_once_while_a_load_lasts() {
        let mut freshness = freshness(10_000);
        let hash = KeyHash(7);
        assert!(freshness.asks(hash, NOW));
        assert!(!freshness.asks(hash, UnixMs(NOW.0 + 10)));
        assert!(freshness.asks(KeyHash(8), NOW));
        assert!(freshness.asks(hash, UnixMs(NOW.0 + 11)));
    }
}
