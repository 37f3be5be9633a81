//! Reads of several keys in one request.
//!
//! As with [`plain`](super::plain) requests that came together, the memory that the keys need is asked for before the
//! first of them is looked up, and what is counted is added once.

use super::{
    core::Core,
    session::{Session, Step},
    settings::OUTPUT_BYTES_MAX,
    shown::AnswerOut,
    stats::Counters,
};
use crate::{
    protocol::Resume,
    store::{Absence, EntryRef, Guess, Key},
};

/// Keys looked up ahead: those of a usual request. More than a core has cache misses in flight, and the
/// rest stands in line, which costs nothing.
pub(super) const KEYS_AHEAD_MAX: usize = 64;

/// How what is read is shown.
pub(super) trait Shows {
    /// What stands behind a value.
    const CLOSE: &[u8];

    /// Appends what stands before a value.
    fn open(&self, entry: EntryRef<'_>, out: &mut Vec<u8>);

    /// Appends what stands for a key that is not there, and counts why.
    fn miss(&self, absence: Absence, counters: &Counters, out: &mut Vec<u8>);
}

impl Core {
    /// A key, whose memory is asked for.
    #[inline]
    pub(super) fn look_ahead<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        let key = self.key(bytes);
        self.store.prefetch(key.hash);
        key
    }
}

impl Session {
    /// Whether reads may be served now that need nothing but the store.
    #[inline]
    pub(super) fn may_read(&self, core: &Core) -> bool {
        self.replies.pending_count() == 0 && core.is_open()
    }

    /// Shows those keys of a request that were not shown yet, until the client has to read first. Nothing may
    /// wait, see [`Self::may_read`].
    pub(super) fn show_all<'b>(
        &mut self,
        core: &mut Core,
        keys: impl IntoIterator<Item = &'b [u8], IntoIter: Resume + Clone>,
        shows: &impl Shows,
    ) -> Step {
        self.for_each_run::<KEYS_AHEAD_MAX>(core, keys, |session, core, keys| {
            session.show_keys(core, keys, shows)
        })
    }

    /// Shows at most [`KEYS_AHEAD_MAX`] keys that were [looked ahead](Core::look_ahead) for, until the client
    /// has to read first; how many that were.
    #[inline]
    pub(super) fn show_keys<S: Shows>(
        &mut self,
        core: &mut Core,
        keys: &[Key<'_>],
        shows: &S,
    ) -> usize {
        let mut done = 0;
        loop {
            let (count, expired) = self.show_some(core, &keys[done..], shows);
            done += count;
            match expired {
                Some(key) => core.found_expired(key),
                None => return done,
            }
        }
    }

    /// The same up to a key that has expired, which somebody wants to hear of.
    fn show_some<'k, S: Shows>(
        &mut self,
        core: &mut Core,
        keys: &[Key<'k>],
        shows: &S,
    ) -> (usize, Option<Key<'k>>) {
        let mut guesses = [Guess::default(); KEYS_AHEAD_MAX];
        if keys.len() > 1 {
            for (key, guess) in keys.iter().zip(&mut guesses) {
                *guess = core.store.prefetch_entry(key.hash);
            }
        }
        let (mut done, mut hits) = (0, 0);
        let mut expired = None;
        for (&key, guess) in keys.iter().zip(guesses) {
            if self.replies.bytes() >= OUTPUT_BYTES_MAX || expired.is_some() {
                break;
            }
            match core.store.look_guessed(key, guess, core.now) {
                Ok(entry) => {
                    entry.mark_used(core.now);
                    let open = |out: &mut Vec<u8>| shows.open(entry, out);
                    let found = (key.hash, entry);
                    self.show(&core.store, &mut core.buffers, found, open, S::CLOSE);
                    hits += 1;
                }
                Err(absence) => {
                    let out = self.replies.ready(&mut core.buffers);
                    shows.miss(absence, core.board.of(core.mesh.shard()), out);
                    let is_told = absence == Absence::Expired && core.store.has_listeners();
                    expired = is_told.then_some(key);
                }
            }
            done += 1;
        }
        let counters = core.counters();
        counters.gets.add(done as u64);
        counters.get_hits.add(hits);
        (done, expired)
    }
}
