//! What time alone does to a link.
//!
//! A connect is tried again, or given up; a server that owes an answer and is silent is given up; one that
//! owes nothing is asked whether it is there. What is due, and when, is judged in one place, so that who
//! sleeps until [`poll_timeout`](Link::poll_timeout) says finds it done by
//! [`handle_timeout`](Link::handle_timeout).

use std::fmt;

use super::{Link, LinkSettings, NEVER, State, hello};
use crate::{
    backend::{OnLoss, Terms},
    store::UnixMs,
};

/// Why a link gives a connection up by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaveUp {
    /// The connect did not end.
    Connect,
    /// The greeting was not answered.
    Greeting,
    /// Answers are owed, and nothing was heard.
    Silence,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting does not end",
            Self::Greeting => "it took the connection and says nothing",
            Self::Silence => "it does not answer",
        })
    }
}

/// What is to be done once its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Connecting: an [effect](super::Effect::Connect).
    Connect,
    /// The connection is given up.
    GiveUp(GaveUp),
    /// The server is asked whether it is there.
    Beat,
}

impl<T> Link<T> {
    /// When time alone changes something next; it may be too early.
    pub fn poll_timeout(&self) -> Option<UnixMs> {
        let own = self.next_due().map(|(at, _)| at);
        let is_held = self.pipeline.in_flight() > 0 && !self.is_serving();
        let hold = (is_held && self.held_until != NEVER).then_some(self.held_until);
        UnixMs::soonest(own, UnixMs::soonest(self.pipeline.next_deadline(), hold))
    }

    /// Does what is due. Requests whose deadlines have passed fail; `heir` may leave a tag in a
    /// request's place that gets the late reply. Why the connection is given up, if it is.
    pub fn handle_timeout(
        &mut self,
        now: UnixMs,
        heir: impl Fn(&T) -> Option<T>,
    ) -> Option<GaveUp> {
        self.pipeline.expire(now, heir);
        let due = self.next_due().filter(|(at, _)| now >= *at);
        let gave_up = match due.map(|(_, due)| due) {
            Some(Due::GiveUp(why)) => {
                self.give_up(now);
                Some(why)
            }
            Some(Due::Beat) => {
                self.beat(now);
                None
            }
            Some(Due::Connect) | None => None,
        };
        if !self.is_serving() && now >= self.held_until {
            self.pipeline.fail_unsent();
        }
        gave_up
    }

    /// What time brings next to the connection, whatever the requests wait for.
    fn next_due(&self) -> Option<(UnixMs, Due)> {
        let LinkSettings {
            silence_ms,
            heartbeat_ms,
            ..
        } = self.settings;
        let (since, ms, due) = match self.state {
            State::Down { retry_at: NEVER } | State::Closed => return None,
            State::Down { retry_at } => (retry_at, 0, Due::Connect),
            State::Connecting { since } => (since, silence_ms, Due::GiveUp(GaveUp::Connect)),
            State::Greeting { since, .. } => (since, silence_ms, Due::GiveUp(GaveUp::Greeting)),
            State::Serving { .. } if self.pipeline.sent_count() > 0 => {
                (self.quiet_since, silence_ms, Due::GiveUp(GaveUp::Silence))
            }
            State::Serving { .. } if self.may_beat() => (self.quiet_since, heartbeat_ms, Due::Beat),
            State::Serving { .. } => return None,
        };
        Some((UnixMs(since.0.saturating_add(ms)), due))
    }

    fn may_beat(&self) -> bool {
        !self.is_draining && self.pipeline.in_flight() == 0
    }

    /// Asks the server whether it is there; if it does not answer, that is [`GaveUp::Silence`].
    fn beat(&mut self, now: UnixMs) {
        let terms = Terms {
            on_loss: OnLoss::Forget,
            patience_ms: Terms::FOR_EVER,
        };
        let request = hello(self.settings.protocol);
        self.pipeline
            .push_unheard(terms, now)
            .extend_from_slice(request);
    }
}
