//! A shard's part of the store, as every shard reads it.

#![expect(
    unsafe_code,
    reason = "joins the index's offsets with the entries behind them"
)]

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::{
    Key, KeyHash,
    arena::{Arena, Offset},
    deadline::UnixMs,
    entry::EntryRef,
    figures::{Figures, PartitionStats},
    index::{Found, Index},
    pins::Pins,
};

/// Why a key has no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// None is there, or one that has left.
    Unknown,
    /// It has expired; its memory is still to be swept.
    Expired,
    /// It was flushed; its memory is still to be reused.
    Flushed,
}

/// Which entry is most likely a key's: what the index named in this turn. Nothing of it was read yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guess<'turn>(Option<EntryRef<'turn>>);

/// The part that every shard reads.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) arena: Arena,
    pub(super) index: Index,
    /// Entries up to this version were flushed and do not exist.
    pub(super) flushed_version: AtomicU64,
    pub(super) figures: Figures,
    pub(super) pins: Arc<Pins>,
    /// See [`Listeners`](super::listeners::Listeners).
    pub(super) noted: Arc<AtomicU64>,
}

impl Partition {
    /// The entry of a key, if there is one and it is alive at `now`.
    ///
    /// # Safety
    /// The calling thread is online in the epochs and passes no quiescent point during `'turn`.
    #[inline]
    pub(super) unsafe fn get<'turn>(
        &'turn self,
        key: Key<'_>,
        now: UnixMs,
    ) -> Result<EntryRef<'turn>, Absence> {
        // SAFETY: passed on from the caller.
        unsafe { self.get_guessed(key, Guess::default(), now) }
    }

    /// The same with a guess, which is looked at before anything is searched for.
    ///
    /// # Safety
    /// As [`Self::get`].
    #[inline]
    pub(super) unsafe fn get_guessed<'turn>(
        &'turn self,
        key: Key<'_>,
        guess: Guess<'turn>,
        now: UnixMs,
    ) -> Result<EntryRef<'turn>, Absence> {
        let entry = match guess.0 {
            Some(entry) if entry.key() == key.bytes => entry,
            // SAFETY: passed on from the caller.
            _ => unsafe { self.find(key) }.ok_or(Absence::Unknown)?.1,
        };
        if !self.is_alive(&entry) {
            Err(Absence::Flushed)
        } else if entry.deadline().is_past(now) {
            Err(Absence::Expired)
        } else {
            Ok(entry)
        }
    }

    /// Asks for the cache lines of the entry that is most likely the key's.
    ///
    /// # Safety
    /// As [`Self::get`].
    #[inline]
    pub(super) unsafe fn guess<'turn>(&'turn self, hash: KeyHash) -> Guess<'turn> {
        let offset = self.index.guess(&self.arena, hash);
        // SAFETY: the index gives offsets of published entries, see `entry`.
        Guess(offset.map(|offset| unsafe { self.entry(offset) }))
    }

    /// Calls `visit` with the entries of a bucket that are alive at `now`.
    ///
    /// # Safety
    /// As [`Self::get`].
    pub(super) unsafe fn visit_bucket<'turn>(
        &'turn self,
        number: u64,
        now: UnixMs,
        mut visit: impl FnMut(EntryRef<'turn>),
    ) {
        self.index.visit_bucket(&self.arena, number, |offset| {
            // SAFETY: the index gives offsets of published entries, see `entry`.
            let entry = unsafe { self.entry(offset) };
            if self.is_alive(&entry) && !entry.deadline().is_past(now) {
                visit(entry);
            }
        });
    }

    /// The slot and entry of a key, alive or not.
    ///
    /// # Safety
    /// As [`Self::get`].
    pub(super) unsafe fn find<'turn>(
        &'turn self,
        key: Key<'_>,
    ) -> Option<(Found<'turn>, EntryRef<'turn>)> {
        let found = self.index.find(&self.arena, key.hash, |offset| {
            // SAFETY: the index gives offsets of published entries, see `entry`.
            unsafe { self.entry(offset) }.key() == key.bytes
        })?;
        // SAFETY: as above.
        let entry = unsafe { self.entry(found.offset) };
        Some((found, entry))
    }

    /// The entry at an offset that the index gave.
    ///
    /// # Safety
    /// As [`Self::get`]; the offset came out of the index since the last quiescent point.
    pub(super) unsafe fn entry(&self, offset: Offset) -> EntryRef<'_> {
        // SAFETY: the index's Acquire load saw the owner's Release store, which came after the
        // entry was written; its segment is not reused before this thread's quiescent point.
        unsafe { EntryRef::new(self.arena.at(offset)) }
    }

    pub(super) fn is_alive(&self, entry: &EntryRef<'_>) -> bool {
        entry.version() > self.flushed_version.load(Ordering::Acquire)
    }

    /// The number of the last change that was noted.
    pub(super) fn noted(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    pub(super) fn stats(&self) -> PartitionStats {
        self.figures.stats()
    }
}
