//! A backend server as one who uses it sees it, without a socket or a clock: when to connect, what
//! to send, which replies are whose, and when to give up.
//!
//! ```text
//!            Connect           connected            greeted
//!   Down  ------------> Connecting ------> Greeting --------> Serving
//!    ^                      |                  |                 |
//!    +---- pause, Close ----+------------------+-----------------+ lost
//! ```
//!
//! Whoever has the socket drives it: tells it what happened (`handle_…`, [`receive`]), does what
//! [`poll_effect`] says until it says nothing more, calls [`handle_timeout`] at [`poll_timeout`],
//! and takes the tags of requests that failed from [`poll_failed`].
//!
//! A server is up once it has answered the [`Greeting`]. Requests for one that is not are held for
//! a while if there is hope, that is, as long as the first try after a connection that was fine
//! (or after the start) has not failed; then they fail at once, until the server is up again.
//!
//! [`receive`]: Link::receive
//! [`poll_effect`]: Link::poll_effect
//! [`poll_timeout`]: Link::poll_timeout
//! [`handle_timeout`]: Link::handle_timeout
//! [`poll_failed`]: Link::poll_failed

mod backoff;
mod greeting;
mod settings;
#[cfg(test)]
mod tests;
mod timeout;

pub(super) use self::backoff::Backoff;
use self::greeting::Greeted;
pub use self::{
    backoff::{RECONNECT_MS_MAX, RECONNECT_MS_MIN},
    greeting::{Access, Greeting, hello},
    settings::{HEARTBEAT_MS, HOLD_MS, LinkSettings},
    timeout::GaveUp,
};
use super::{Failure, Pipeline, Received};
use crate::store::UnixMs;

/// What is to be done to the socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Connect to the server.
    Connect,
    /// Send this, whole, then [say so](Link::handle_sent).
    Send(Vec<u8>),
    /// Close the connection; nothing more is heard of it.
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No connection; the next try is due at this time.
    Down { retry_at: UnixMs },
    /// Somebody is at it.
    Connecting { since: UnixMs },
    /// The server is being asked who it is.
    Greeting {
        since: UnixMs,
        /// Replies that have come.
        step: usize,
        is_asked: bool,
    },
    /// The server is up.
    Serving { since: UnixMs },
    /// Over, for good.
    Closed,
}

/// A server, the connection to it, and the requests on it.
///
/// Invariant: what is sent is the greeting's in `Greeting` and the pipeline's in `Serving`, and
/// nothing else; `is_sending` is only in these.
#[derive(Debug)]
pub struct Link<T> {
    settings: LinkSettings,
    state: State,
    pipeline: Pipeline<T>,
    backoff: Backoff,
    /// Until when requests are held without a server that is up.
    held_until: UnixMs,
    /// When something was heard last, or something was owed again.
    quiet_since: UnixMs,
    is_sending: bool,
    must_close: bool,
    is_draining: bool,
    /// Whether the server knew memcache's meta commands when it was asked last.
    knew_meta: bool,
    /// What the server said when it refused the greeting, until one goes well.
    refusal: Option<String>,
    /// Tries that failed since the server was up.
    failure_count: u32,
}

impl<T> Link<T> {
    /// A link that connects at once.
    pub fn new(settings: LinkSettings, now: UnixMs) -> Self {
        Self {
            state: State::Down { retry_at: now },
            pipeline: Pipeline::new(settings.protocol, settings.hasher, settings.value_bytes_max),
            backoff: Backoff::new(settings.seed),
            held_until: held_until(&settings, now),
            quiet_since: now,
            is_sending: false,
            must_close: false,
            is_draining: false,
            knew_meta: false,
            refusal: None,
            failure_count: 0,
            settings,
        }
    }

    /// A link that never connects. Requests stay in it until they are taken out, or their patience
    /// is over.
    pub fn unconnected(settings: LinkSettings, now: UnixMs) -> Self {
        Self {
            state: State::Down { retry_at: NEVER },
            held_until: NEVER,
            ..Self::new(settings, now)
        }
    }

    /// Whether a link that never connects takes requests.
    pub fn set_open(&mut self, is_open: bool) {
        self.held_until = match is_open {
            true => NEVER,
            false => UnixMs(0),
        };
        if !is_open {
            self.pipeline.fail_unsent();
        }
    }

    /// The requests. Any may be pushed while the link [takes them](Self::takes_requests).
    pub fn pipeline(&mut self) -> &mut Pipeline<T> {
        &mut self.pipeline
    }

    /// Requests that are not answered, sent or not.
    pub fn in_flight(&self) -> usize {
        self.pipeline.in_flight()
    }

    /// What its pauses are drawn from.
    pub fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// How many requests were ever added.
    pub fn pushed_total(&self) -> u64 {
        self.pipeline.pushed_total()
    }

    /// How many of them are over; the oldest are first.
    pub fn settled_total(&self) -> u64 {
        self.pipeline.settled_total()
    }

    /// Whether requests can be added: they are sent now or soon.
    #[inline]
    pub fn takes_requests(&self, now: UnixMs) -> bool {
        match self.state {
            State::Serving { .. } => !self.is_draining,
            State::Closed => false,
            _ => !self.is_draining && now < self.held_until,
        }
    }

    /// Whether the server has answered the greeting on the connection that stands.
    pub fn is_serving(&self) -> bool {
        matches!(self.state, State::Serving { .. })
    }

    /// Whether nothing more will happen.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed && !self.must_close
    }

    /// Whether the server knew memcache's meta commands when it was asked last.
    pub fn knew_meta(&self) -> bool {
        self.knew_meta
    }

    /// Tries that failed since the server was up.
    pub fn failure_count(&self) -> u32 {
        self.failure_count
    }

    /// What the server said when it refused the greeting last, if it did.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// The connect has succeeded.
    pub fn handle_connected(&mut self, now: UnixMs) {
        if let State::Connecting { since } = self.state {
            self.state = State::Greeting {
                since,
                step: 0,
                is_asked: false,
            };
            self.quiet_since = now;
        }
    }

    /// The connect has failed, or the connection is gone: the other side ended it, or it broke.
    pub fn handle_lost(&mut self, now: UnixMs) {
        let is_expected_back = match self.state {
            State::Serving { since } => now.0.saturating_sub(since.0) >= RECONNECT_MS_MAX,
            _ => false,
        };
        self.leave(is_expected_back, now);
    }

    /// Nobody knows yet where the server is, as its name is being looked up: it is asked for again soon,
    /// and what waits for it goes on waiting, as it would for a connect. False if that has had its time:
    /// then the connect [has failed](Self::handle_lost).
    pub fn postpone(&mut self, now: UnixMs) -> bool {
        let is_early = self.settings.hold_ms.is_some() && now < self.held_until;
        if is_early {
            let retry_at = UnixMs(now.0 + LOOK_UP_MS);
            self.state = State::Down { retry_at };
        }
        is_early
    }

    /// The connection is of no use and is given up; so soon there will not be a better one.
    pub fn give_up(&mut self, now: UnixMs) {
        self.leave(false, now);
    }

    fn leave(&mut self, is_expected_back: bool, now: UnixMs) {
        if matches!(self.state, State::Down { .. } | State::Closed) {
            return;
        }
        self.must_close = true;
        if matches!(self.state, State::Serving { .. }) {
            self.failure_count = 0;
        } else {
            self.failure_count = self.failure_count.saturating_add(1);
        }
        self.is_sending = false;
        self.pipeline.lose(now);
        if is_expected_back {
            self.backoff.reset();
            self.held_until = held_until(&self.settings, now);
            self.state = State::Down { retry_at: now };
        } else {
            let retry_at = UnixMs(now.0 + self.backoff.pause_ms());
            self.state = State::Down { retry_at };
            if self.settings.hold_ms.is_some() {
                self.held_until = now;
                self.pipeline.fail_unsent();
            }
        }
    }

    /// Something has come from the server, whole replies or not.
    pub fn handle_heard(&mut self, now: UnixMs) {
        self.quiet_since = now;
    }

    /// What was to be sent has been.
    pub fn handle_sent(&mut self, buffer: Vec<u8>) {
        self.is_sending = false;
        self.pipeline.sent(buffer);
    }

    /// Reads the next reply from the front of `bytes`, which have come on the connection that
    /// stands and begin where the last reply ended.
    #[inline]
    pub fn receive<'b>(&mut self, bytes: &'b [u8], now: UnixMs) -> Received<'b, T> {
        match self.state {
            State::Serving { .. } => self.pipeline.receive(bytes),
            State::Greeting {
                since,
                step,
                is_asked: true,
            } => self.receive_greeting(bytes, since, step, now),
            _ if bytes.is_empty() => Received::Incomplete { want: 1 },
            _ => Received::Broken,
        }
    }

    #[cold]
    fn receive_greeting<'b>(
        &mut self,
        bytes: &'b [u8],
        since: UnixMs,
        step: usize,
        now: UnixMs,
    ) -> Received<'b, T> {
        match self.settings.greeting.receive(step, bytes) {
            Greeted::Incomplete { want } => Received::Incomplete { want },
            Greeted::Push { consumed } => Received::Push {
                frame: &bytes[..consumed],
                consumed,
            },
            Greeted::Refused(text) => {
                self.refusal = Some(text);
                Received::Broken
            }
            Greeted::Broken => Received::Broken,
            Greeted::Well { consumed, has_meta } => {
                self.knew_meta = has_meta.unwrap_or(self.knew_meta);
                let step = step + 1;
                self.state = if self.settings.greeting.is_over(step) {
                    self.refusal = None;
                    State::Serving { since: now }
                } else {
                    State::Greeting {
                        since,
                        step,
                        is_asked: true,
                    }
                };
                Received::Unheard { consumed }
            }
        }
    }

    /// Whether anything is to be [done](Self::poll_effect), told of by [`Self::poll_failed`], or used again.
    #[inline]
    pub fn is_stirring(&self, now: UnixMs) -> bool {
        let has_effect = match self.state {
            State::Serving { .. } => !self.is_sending && self.pipeline.has_output(),
            State::Down { retry_at } => now >= retry_at,
            State::Greeting { is_asked, .. } => !is_asked,
            State::Connecting { .. } | State::Closed => false,
        };
        let is_leaving = self.must_close || self.is_draining;
        has_effect || is_leaving || self.pipeline.has_left()
    }

    /// What is to be done to the socket now. `spare` gives an empty buffer to encode into.
    pub fn poll_effect(&mut self, now: UnixMs, spare: impl FnOnce() -> Vec<u8>) -> Option<Effect> {
        if core::mem::take(&mut self.must_close) {
            return Some(Effect::Close);
        }
        if self.is_draining && self.is_drained() {
            self.must_close = !matches!(self.state, State::Down { .. });
            self.state = State::Closed;
            return core::mem::take(&mut self.must_close).then_some(Effect::Close);
        }
        match &mut self.state {
            State::Down { retry_at } if now >= *retry_at => {
                self.state = State::Connecting { since: now };
                Some(Effect::Connect)
            }
            State::Greeting { is_asked, .. } if !*is_asked => {
                *is_asked = true;
                self.is_sending = true;
                let mut request = spare();
                request.extend_from_slice(self.settings.greeting.request());
                Some(Effect::Send(request))
            }
            State::Serving { .. } if !self.is_sending && self.pipeline.has_output() => {
                self.is_sending = true;
                if self.pipeline.sent_count() == 0 {
                    self.quiet_since = now;
                }
                Some(Effect::Send(self.pipeline.take_output(spare(), now)))
            }
            _ => None,
        }
    }

    /// Takes no more requests, finishes those that are in flight, then closes.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    fn is_drained(&self) -> bool {
        self.state != State::Closed && self.pipeline.in_flight() == 0 && !self.is_sending
    }

    /// Whether there is a request to be told of by [`Self::poll_failed`].
    pub fn has_failed(&self) -> bool {
        self.pipeline.has_failed()
    }

    /// The tag of a request that has failed, and why.
    pub fn poll_failed(&mut self) -> Option<(T, Failure)> {
        self.pipeline.poll_failed()
    }
}

/// A time that does not come.
const NEVER: UnixMs = UnixMs(u64::MAX);

/// Between two looks for where a server is, in milliseconds: a resolver that is near takes less.
const LOOK_UP_MS: u64 = 10;

fn held_until(settings: &LinkSettings, now: UnixMs) -> UnixMs {
    match settings.hold_ms {
        Some(ms) => UnixMs(now.0 + ms),
        None => UnixMs(u64::MAX),
    }
}
