//! Peers that have not answered at all: stopped, or cut off. They are left alone for a while, so that
//! not every key of theirs costs its clients the time that a peer may take.
//!
//! A peer that refuses, or that answers with an error, costs nothing and is asked each time. The pause
//! doubles each time that one is silent again; when it is over, one load tries, and the others go on
//! without the peer until that is answered.

use core::{cell::RefCell, time::Duration};
use std::{collections::HashMap, time::Instant};

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Who had less time than this to answer is not silent: what was asked came late to its turn here.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

/// Who is silent, by URL.
#[derive(Debug, Default)]
pub(super) struct Silences(RefCell<HashMap<String, Silence>>);

#[derive(Debug)]
struct Silence {
    /// Nobody asks until then.
    until: Instant,
    pause: Duration,
    /// Somebody asks now that the pause is over.
    is_tried: bool,
}

impl Silences {
    /// Whether a peer may be asked now, by who waits until `deadline`.
    pub(super) fn may_ask(&self, peer: &str, now: Instant, deadline: Instant) -> bool {
        let mut silences = self.0.borrow_mut();
        let Some(silence) = silences.get_mut(peer) else {
            return true;
        };
        let may_try = silence.until <= now;
        if may_try {
            // Whoever tries may be recalled, and then nobody says how it went.
            silence.until = deadline.min(now + PAUSE_MAX);
            silence.is_tried = true;
        }
        may_try
    }

    /// Whether a peer is left alone now: nobody is to wait for a turn to ask it.
    pub(super) fn is_silent(&self, peer: &str, now: Instant) -> bool {
        let silences = self.0.borrow();
        silences
            .get(peer)
            .is_some_and(|silence| now < silence.until)
    }

    /// A peer that was asked then has not answered in time. Those that had asked with this one say so,
    /// too: once counts.
    pub(super) fn note_silent(&self, peer: &str, asked_at: Instant, now: Instant) {
        if now.saturating_duration_since(asked_at) >= PATIENCE_MIN {
            self.note_unreachable(peer, now);
        }
    }

    /// There was no connection to a peer to be had, which often takes as long to find out.
    pub(super) fn note_unreachable(&self, peer: &str, now: Instant) {
        let mut silences = self.0.borrow_mut();
        let pause = match silences.get(peer) {
            None => PAUSE_MIN,
            Some(silence) if silence.until > now && !silence.is_tried => return,
            Some(silence) => (silence.pause * 2).min(PAUSE_MAX),
        };
        let until = now + pause;
        let silence = Silence {
            until,
            pause,
            is_tried: false,
        };
        silences.insert(peer.to_owned(), silence);
    }

    /// A peer has said something.
    pub(super) fn note_heard(&self, peer: &str) {
        let mut silences = self.0.borrow_mut();
        if !silences.is_empty() {
            silences.remove(peer);
        }
    }

    /// Forgets those that are no peers any more.
    pub(super) fn retain(&self, is_peer: impl Fn(&str) -> bool) {
        self.0.borrow_mut().retain(|peer, _| is_peer(peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tries_when_the_pause_is_over_and_pauses_get_longer() {
        let silences = Silences::default();
        let mut now = Instant::now();
        let patience = Duration::from_secs(5);
        assert!(silences.may_ask("a", now, now + patience));
        for pause in [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs) {
            // All that were asking notice.
            for _ in 0..3 {
                silences.note_silent("a", now - patience, now);
            }
            assert!(silences.may_ask("b", now, now + patience));
            now += pause - Duration::from_millis(1);
            assert!(silences.is_silent("a", now) && !silences.is_silent("b", now));
            assert!(!silences.may_ask("a", now, now + patience));
            now += Duration::from_millis(1);
            assert!(!silences.is_silent("a", now));
            assert!(silences.may_ask("a", now, now + patience), "{pause:?}");
            assert!(!silences.may_ask("a", now, now + patience), "one alone");
            now += patience;
        }
        silences.note_heard("a");
        assert!(silences.may_ask("a", now, now + patience));
        silences.note_silent("a", now - patience, now);
        silences.retain(|peer| peer == "b");
        assert!(silences.may_ask("a", now, now + patience));
        silences.note_silent("a", now - PATIENCE_MIN / 2, now);
        assert!(silences.may_ask("a", now, now + patience), "it had no time");
        silences.note_unreachable("a", now);
        assert!(
            !silences.may_ask("a", now, now + patience),
            "it is not there"
        );
    }

    #[test]
    fn pauses_get_longer_however_soon_it_shows_that_nobody_is_there() {
        let silences = Silences::default();
        let mut now = Instant::now();
        let patience = Duration::from_secs(5);
        for pause in [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs) {
            for _ in 0..3 {
                silences.note_unreachable("a", now);
            }
            now += pause - Duration::from_millis(1);
            assert!(!silences.may_ask("a", now, now + patience), "{pause:?}");
            now += Duration::from_millis(1);
            assert!(silences.may_ask("a", now, now + patience), "{pause:?}");
        }
    }

    #[test]
    fn who_tries_and_never_says_how_it_went_holds_nobody_up_for_long() {
        let silences = Silences::default();
        let begun = Instant::now();
        let patience = Duration::from_secs(600);
        silences.note_silent("a", begun, begun + PATIENCE_MIN);
        let now = begun + PATIENCE_MIN + PAUSE_MIN;
        assert!(silences.may_ask("a", now, now + patience));
        assert!(!silences.may_ask("a", now, now + patience));
        let later = now + PAUSE_MAX;
        assert!(silences.may_ask("a", later, later + patience));
    }
}
