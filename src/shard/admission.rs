//! Which large requests are received at a time.
//!
//! A large buffer is dear when its pages are fresh, and the few that are kept (`buffers`) serve for many
//! clients only if those take turns: what a client has sent meanwhile waits in the kernel, or with the
//! client. So there are as many at a time as buffers are kept for, first come, first served. Who has
//! begun and does not send goes on, but is not counted any more once others have waited in vain for
//! [`PATIENCE_MS`], and the more of that kind there are, the more are let in at once.

use std::collections::VecDeque;

use crate::{io::Token, store::UnixMs};

/// How long others wait when none of those that were let in comes to its end: a value that is under way
/// in a local network takes less, even a large one.
pub(super) const PATIENCE_MS: u64 = 5;

/// How often the limit is doubled at most, while none comes to its end.
const DOUBLINGS_MAX: u32 = 8;

/// A client's place among those that are received from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    bytes: usize,
    round: u32,
}

/// Who is let in, and who waits.
///
/// Invariant: `bytes` is the sum over the passes of this round that have not ended.
#[derive(Debug)]
pub(super) struct Admission {
    bytes: usize,
    bytes_max: usize,
    /// Passes of earlier rounds do not count.
    round: u32,
    doublings: u32,
    /// When the first of a round was let in, or one last came to its end.
    progress_at: UnixMs,
    waiting: VecDeque<Token>,
}

impl Admission {
    /// Lets buffers of so many bytes in at a time, and one in any case.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes: 0,
            bytes_max,
            round: 0,
            doublings: 0,
            progress_at: UnixMs(0),
            waiting: VecDeque::new(),
        }
    }

    /// Lets a client with a buffer of so many bytes in, unless it has to wait. Those who wait come first,
    /// see [`Self::first`].
    pub(super) fn enter(&mut self, now: UnixMs, bytes: usize) -> Option<Pass> {
        self.has_room(bytes).then(|| {
            if self.bytes == 0 {
                self.progress_at = now;
            }
            self.bytes += bytes;
            Pass {
                bytes,
                round: self.round,
            }
        })
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= self.bytes_max << self.doublings
    }

    /// One that was let in has come to its end, or goes.
    pub(super) fn leave(&mut self, now: UnixMs, pass: Pass) {
        if pass.round == self.round {
            self.bytes -= pass.bytes;
            self.doublings = 0;
            self.progress_at = now;
        }
    }

    /// A client waits from now on.
    pub(super) fn wait(&mut self, token: Token) {
        self.waiting.push_back(token);
    }

    /// Whether somebody waits, so that who comes now has to, too.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Who has waited for longest.
    pub(super) fn first(&self) -> Option<Token> {
        self.waiting.front().copied()
    }

    /// That one waits no longer.
    pub(super) fn pop_first(&mut self) {
        self.waiting.pop_front();
    }

    /// Begins another round if somebody has waited in vain for too long.
    pub(super) fn tick(&mut self, now: UnixMs) {
        if self.next_tick().is_some_and(|at| now >= at) {
            self.round = self.round.wrapping_add(1);
            self.bytes = 0;
            self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
            self.progress_at = now;
        }
    }

    /// When [`Self::tick`] wants to be called, if at all.
    pub(super) fn next_tick(&self) -> Option<UnixMs> {
        self.has_waiting()
            .then(|| UnixMs(self.progress_at.0 + PATIENCE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_000);

    #[test]
    fn as_many_come_in_as_there_is_room_for() {
        let mut admission = Admission::new(10);
        let first = admission.enter(NOW, 6).unwrap();
        assert_eq!(admission.enter(NOW, 5), None);
        let second = admission.enter(NOW, 4).unwrap();
        assert_eq!(admission.enter(NOW, 1), None);
        admission.leave(NOW, first);
        assert!(admission.enter(NOW, 6).is_some());
        admission.leave(NOW, second);
        assert_eq!(admission.bytes, 6);
    }

    #[test]
    fn one_comes_in_however_large() {
        let mut admission = Admission::new(10);
        let pass = admission.enter(NOW, 100).unwrap();
        assert_eq!(admission.enter(NOW, 1), None);
        admission.leave(NOW, pass);
        assert!(admission.enter(NOW, 1).is_some());
    }

    #[test]
    fn who_is_slow_holds_nobody_up_for_long() {
        let mut admission = Admission::new(10);
        let slow = admission.enter(NOW, 10).unwrap();
        assert_eq!(admission.next_tick(), None, "nobody waits");
        admission.wait(Token::NOBODY);
        let mut now = admission.next_tick().unwrap();
        assert_eq!(now, UnixMs(NOW.0 + PATIENCE_MS));
        admission.tick(UnixMs(now.0 - 1));
        assert_eq!(admission.enter(now, 10), None);
        for doubled in [20, 40, 80] {
            admission.tick(now);
            assert!(admission.enter(now, doubled / 2).is_some());
            assert!(admission.enter(now, doubled / 2).is_some());
            assert_eq!(admission.enter(now, 1), None);
            now = admission.next_tick().unwrap();
        }
        // Its end is none of this round's.
        admission.leave(now, slow);
        assert_eq!(admission.enter(now, 1), None);
    }

    #[test]
    fn as_long_as_some_come_to_their_end_others_wait() {
        let mut admission = Admission::new(10);
        let mut pass = admission.enter(NOW, 10).unwrap();
        admission.wait(Token::NOBODY);
        for ms in 1..50 {
            let now = UnixMs(NOW.0 + ms);
            admission.tick(now);
            assert_eq!(admission.enter(now, 10), None);
            admission.leave(now, pass);
            pass = admission.enter(now, 10).unwrap();
        }
        admission.pop_first();
        assert_eq!((admission.first(), admission.next_tick()), (None, None));
    }
}
