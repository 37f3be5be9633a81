//! Whether a server is fit to be asked, judged by what became of what it was asked, without a
//! socket or a clock.
//!
//! ```text
//!             failures in a row           good probes in a row
//!   Admitted --------------------> Ejected -----------------> Returning
//!      ^                              ^                         |    |
//!      |                              +---- any failure --------+    |
//!      +---- it has heard of all that it missed: settled ------------+
//! ```
//!
//! A failure is a connect that was refused or did not end, a greeting that was not answered, a
//! connection that was lost, a deadline that was missed, or a server that says that it cannot
//! serve. While it is ejected it is only probed: with pauses that grow as long as probes fail, and
//! are short between good ones.
//!
//! It may be given a rest before it is probed at all, as twemproxy gives one (`server_retry_timeout`).
//!
//! One that is ejected again soon after it was readmitted flaps. It stays out for longer each time,
//! however well it answers: whoever uses it would see its keys come and go.

use super::link::Backoff;
use crate::store::UnixMs;

/// Good probes in a row before a server that was ejected is readmitted: one may be luck.
pub const GOOD_PROBES_MIN: u32 = 3;

/// A server that is ejected so soon after it was readmitted, in milliseconds, flaps.
pub const FLAP_WINDOW_MS: u64 = 60_000;

/// How long a server that flaps stays out the first time, in milliseconds; it doubles up to
/// [`FLAP_MS_MAX`].
pub const FLAP_MS_MIN: u64 = 1_000;

/// Longest time that a server that flaps stays out, in milliseconds, if it answers. Less than
/// [`FLAP_WINDOW_MS`], or a server would be forgiven while it is out.
pub const FLAP_MS_MAX: u64 = 30_000;

const _: () = assert!(FLAP_MS_MIN <= FLAP_MS_MAX && FLAP_MS_MAX < FLAP_WINDOW_MS);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Admitted {
        /// In a row.
        failure_count: u32,
    },
    Ejected {
        /// Before this it is not readmitted.
        until: UnixMs,
        /// Before this it is not probed.
        rested: UnixMs,
        /// Good probes in a row.
        good_count: u32,
        probe_at: UnixMs,
        /// One is on its way.
        is_probed: bool,
    },
    /// It is well, and hears of what it missed.
    Returning,
}

/// What is known of the health of one server.
///
/// Invariant: `flap_count` is how often in a row it was ejected within [`FLAP_WINDOW_MS`] of
/// `readmitted_at`.
#[derive(Debug)]
pub struct Health {
    /// Failures in a row that eject; `None` if nothing does.
    eject_after: Option<u32>,
    state: State,
    /// How long it is left alone once it is ejected, in milliseconds.
    rest_ms: u64,
    backoff: Backoff,
    readmitted_at: Option<UnixMs>,
    flap_count: u32,
}

impl Health {
    /// A server that is thought to be well. The same seed makes the same pauses.
    pub fn new(eject_after: Option<u32>, seed: u64) -> Self {
        Self {
            eject_after,
            rest_ms: 0,
            state: State::Admitted { failure_count: 0 },
            backoff: Backoff::new(seed),
            readmitted_at: None,
            flap_count: 0,
        }
    }

    /// The same, left alone for so long once it is ejected.
    pub fn resting(self, rest_ms: u64) -> Self {
        Self { rest_ms, ..self }
    }

    /// Whether it is not to be asked: it is ejected, or has not heard yet of what it missed.
    #[inline]
    pub fn is_out(&self) -> bool {
        !matches!(self.state, State::Admitted { .. })
    }

    /// Whether it is well again and is to hear of what it missed.
    pub fn is_returning(&self) -> bool {
        self.state == State::Returning
    }

    /// It has answered a request.
    #[inline]
    pub fn handle_good(&mut self) {
        if let State::Admitted { failure_count } = &mut self.state {
            *failure_count = 0;
        }
    }

    /// It has failed. Whether it is ejected by that.
    pub fn handle_failure(&mut self, now: UnixMs) -> bool {
        match &mut self.state {
            State::Admitted { failure_count } => {
                *failure_count = failure_count.saturating_add(1);
                let is_enough = self.eject_after.is_some_and(|most| *failure_count >= most);
                if is_enough {
                    self.eject(now);
                }
                is_enough
            }
            State::Ejected { .. } => {
                self.handle_probed(false, now);
                false
            }
            State::Returning => {
                self.state = self.ejected_until(now, now);
                false
            }
        }
    }

    fn eject(&mut self, now: UnixMs) {
        let is_flap = self
            .readmitted_at
            .is_some_and(|at| now.0.saturating_sub(at.0) < FLAP_WINDOW_MS);
        self.flap_count = match is_flap {
            true => self.flap_count.saturating_add(1),
            false => 0,
        };
        let out_ms = match self.flap_count {
            0 => 0,
            // Beyond 2^15 it is the most anyway.
            count => (FLAP_MS_MIN << (count - 1).min(15)).min(FLAP_MS_MAX),
        };
        self.backoff.reset();
        let rested = UnixMs(now.0.saturating_add(self.rest_ms));
        self.state = self.ejected_until(UnixMs(now.0 + out_ms), rested);
    }

    /// Ejected until then at least, and probed once it has rested.
    fn ejected_until(&mut self, until: UnixMs, rested: UnixMs) -> State {
        State::Ejected {
            until,
            rested,
            good_count: 0,
            probe_at: UnixMs(rested.0.saturating_add(self.backoff.pause_ms())),
            is_probed: false,
        }
    }

    /// When it is to be probed next, if it is not being probed.
    pub fn poll_timeout(&self) -> Option<UnixMs> {
        match self.state {
            State::Ejected {
                probe_at,
                is_probed: false,
                ..
            } => Some(probe_at),
            _ => None,
        }
    }

    /// Whether to probe it now. If so, [say](Self::handle_probed) what came of it.
    pub fn poll_probe(&mut self, now: UnixMs) -> bool {
        match &mut self.state {
            State::Ejected {
                probe_at,
                is_probed,
                ..
            } if !*is_probed && now >= *probe_at => {
                *is_probed = true;
                true
            }
            _ => false,
        }
    }

    /// A probe was answered well, or not. Whether it [returns](Self::is_returning) now.
    pub fn handle_probed(&mut self, is_good: bool, now: UnixMs) -> bool {
        let State::Ejected {
            until,
            rested,
            good_count,
            probe_at,
            is_probed,
        } = &mut self.state
        else {
            return false;
        };
        *is_probed = false;
        if is_good {
            *good_count = good_count.saturating_add(1);
            self.backoff.reset();
        } else {
            *good_count = 0;
        }
        *probe_at = UnixMs(now.0 + self.backoff.pause_ms()).max(*rested);
        let is_well = *good_count >= GOOD_PROBES_MIN && now >= *until;
        if is_well {
            self.state = State::Returning;
        }
        is_well
    }

    /// It has heard of all that it missed: it is readmitted.
    pub fn handle_settled(&mut self, now: UnixMs) {
        if self.state == State::Returning {
            self.state = State::Admitted { failure_count: 0 };
            self.readmitted_at = Some(now);
        }
    }
}

/// Whether an error says that the server can serve nobody for now: it reads its data, has lost its
/// master, or is at a script without end.
pub fn is_unfit(line: &[u8]) -> bool {
    const UNFIT: [&[u8]; 4] = [b"-LOADING ", b"-MASTERDOWN ", b"-CLUSTERDOWN ", b"-BUSY "];
    UNFIT.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests;
