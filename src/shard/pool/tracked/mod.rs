//! An L1 whose servers tell of changes: Redis' CLIENT TRACKING, and what copies are worth while it
//! works and when it does not.
//!
//! Data links speak RESP2, for clients of both versions. So each shard has one more connection to
//! each server, the *listener*, which speaks RESP3 and is told what was changed:
//!
//! ```text
//!              GET k, SET k, …  (all that is about k)
//!   shard  ----------------------------------------->  server
//!     |    <-----------------------------------------    |
//!     |                     values                       |
//!     +------ listener  <--------------------------------+
//!                          >2 invalidate [k]
//! ```
//!
//! Once both are up, the listener is asked for its number and the data link says `CLIENT TRACKING
//! ON REDIRECT number`. From there on the server notes each key that the data link reads, and
//! tells the listener when anybody changes it, moves its end, or it expires. That every request
//! about a key stays on one connection, in order, is worth more than hearing of changes there: a
//! read behind a write in a pipeline needs nothing else to be right.
//!
//! **Two connections keep no order**: the word of a change may overtake the value that was read
//! before it, or come after one that was read behind it. Neither does harm. A fill holds its key's
//! lease from before it is sent until its value is kept, and a word of the key voids the lease, so
//! what was overtaken is not kept; and a word that comes late drops a copy that was good.
//! ringfort's own writes are told of, too: without that (`NOLOOP`), a script that changes keys it
//! does not name would leave copies that nobody ever drops.
//!
//! **A key that expires** is told of when the server notices, which may be later. So a fill asks for
//! the key's time to live before its value, in one piece. Whatever changes between the two is told
//! of, as both are reads.
//!
//! **What breaks** takes with it all copies that it covered. A fill is asked for under a [`Cover`]
//! (see [`covers`]), and a copy has the cover in it that its fill had. Covers of a data link end
//!
//! * when it is lost: the server forgets what it noted for it;
//! * when the listener is lost: what was told since is not heard;
//! * when the server flushes, or says what cannot be read;
//! * when keys are placed anew: the server that is asked next hears of other changes.
//!
//! **In front of a cluster** a cover is about a slot: it ends with its node's connections, and when
//! the slot is another node's ([`cluster`](super::cluster)). What a node was sent on for is answered
//! and not kept: who answers it is not who was asked how long the key lives.
//!
//! A connection that is dead and does not look so is found out by asking: see
//! [`TRACKED_HEARTBEAT_MS`](crate::shard::settings::TRACKED_HEARTBEAT_MS). A server that will not
//! tell of changes is used like one without an L1: its values are passed on, and none is kept.

mod covers;
mod told;

use std::{ops::Range, sync::Arc};

pub use self::covers::Covers;
use self::told::{Told, told};
use super::{Pool, PoolSettings, errand::Pending, l1::L1};
use crate::{
    backend::{Access, Expects, Greeting, OnLoss, Terms},
    fill::Cover,
    protocol::{
        number,
        resp::{Version, reply::encode_command},
    },
    route::Slot,
    shard::core::Core,
    store::UnixMs,
};

/// What a shard knows of who tells it of changes.
#[derive(Debug)]
pub(super) struct Tracked {
    covers: Arc<Covers>,
    shard: usize,
    /// By server.
    listeners: Vec<Listener>,
    /// By link. Those of listeners stay [`State::Off`].
    links: Vec<State>,
}

#[derive(Debug, Clone, Default)]
struct Listener {
    /// It is being asked for its number.
    is_asked: bool,
    /// The log has it that the server will not tell.
    is_refusal_logged: bool,
}

/// Whether a data link's keys are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Off,
    /// It said so to the listener of this number, or is about to: what is sent from now on comes
    /// behind that.
    On {
        listener: i64,
    },
    /// The server will not, on this connection.
    Refused,
}

/// What a link begins with by which a server tells of changes; none if servers are not to.
pub(super) fn greeting(settings: &PoolSettings) -> Option<Greeting> {
    let access = Access {
        version: Version::Resp3,
        ..settings.access.clone()
    };
    let is_tracked = settings.l1.is_tracked();
    is_tracked.then(|| Greeting::new(settings.protocol, &access))
}

impl Tracked {
    pub(super) fn new(
        covers: Arc<Covers>,
        shard: usize,
        server_count: usize,
        width: usize,
    ) -> Self {
        Self {
            covers,
            shard,
            listeners: vec![Listener::default(); server_count],
            links: vec![State::Off; server_count * width],
        }
    }

    pub(super) fn covers(&self) -> &Covers {
        &self.covers
    }

    /// Whether a link's keys are not told of yet.
    fn is_off(&self, link: usize) -> bool {
        self.links[link] == State::Off
    }

    /// What vouches for a value that is asked for now over a link, in a part of what there is.
    pub(super) fn cover(&self, link: usize, part: usize) -> Option<Cover> {
        let is_on = matches!(self.links[link], State::On { .. });
        is_on.then(|| self.covers.cover(self.shard, part))
    }

    /// What was asked for in a part is not vouched for any more.
    pub(super) fn lose(&self, part: usize) {
        self.covers.lose(self.shard, part);
    }

    /// A server's links were made just now.
    pub(super) fn begin(&mut self, server: usize, links: Range<usize>) {
        let listener_count = self.listeners.len().max(server + 1);
        self.listeners
            .resize_with(listener_count, Listener::default);
        self.listeners[server] = Listener::default();
        self.links
            .resize(self.links.len().max(links.end), State::Off);
        self.links[links].fill(State::Off);
    }

    /// The server does not tell of what a link reads.
    fn refuse(&mut self, link: usize) {
        self.links[link] = State::Refused;
    }

    /// A link is told of no more; whether it was.
    fn end(&mut self, link: usize) -> bool {
        let was = core::mem::replace(&mut self.links[link], State::Off);
        matches!(was, State::On { .. })
    }
}

impl Pool {
    /// Whether a reply on a link may mean that its connection has just begun. A listener has no
    /// other replies.
    #[inline]
    fn may_need_track(&self, link: usize) -> bool {
        match &self.l1 {
            L1::Tracked(tracked) => tracked.is_off(link) && !self.is_replica(link),
            _ => false,
        }
    }

    /// Keys have other servers now: what is kept of them is not told of there.
    pub(super) fn lose_all_track(&self) {
        if let L1::Tracked(tracked) = &self.l1 {
            tracked.covers.lose_all(tracked.shard);
        }
    }

    /// What a key's copies are vouched for with that are asked for over a link.
    pub(super) fn part_of(&self, link: usize, key: &[u8]) -> usize {
        match &self.cluster {
            None => link,
            Some(_) => Slot::of(key).index(),
        }
    }

    /// What was asked for over these links, all of one server, is not vouched for any more.
    pub(super) fn lose_cover(&self, links: Range<usize>) {
        let L1::Tracked(tracked) = &self.l1 else {
            return;
        };
        match &self.cluster {
            None => links.for_each(|link| tracked.lose(link)),
            // A slot that the server had before lost its cover when it left.
            Some(cluster) => cluster
                .slots_of(self.server_of(links.start))
                .for_each(|slot| tracked.lose(slot)),
        }
    }

    /// Asks a server's listener for its number, if a link to the server has to know it. That is
    /// asked for each time a connection begins: so the listener has been there since.
    fn keep_track(&mut self, number: usize, now: UnixMs) {
        let L1::Tracked(tracked) = &self.l1 else {
            return;
        };
        let server = self.server_of(number);
        let listener = self.listener_of(server);
        let is_wanted =
            |link: usize| tracked.links[link] == State::Off && self.links[link].core.is_serving();
        let is_asked = tracked.listeners[server].is_asked;
        if is_asked || !self.links_to(server).any(is_wanted) {
            return;
        }
        if !self.links[listener].core.is_serving() {
            return;
        }
        if let L1::Tracked(tracked) = &mut self.l1 {
            tracked.listeners[server].is_asked = true;
        }
        self.ask_of_track(listener, Pending::ListenerId, &[b"CLIENT", b"ID"], now);
    }

    /// Turns tracking on for the links to a server that wait for it.
    fn track(&mut self, server: usize, listener: i64, now: UnixMs) {
        let mut digits = itoa::Buffer::new();
        let id = digits.format(listener).as_bytes();
        for link in self.links_to(server) {
            let is_serving = self.links[link].core.is_serving();
            let L1::Tracked(tracked) = &mut self.l1 else {
                return;
            };
            if tracked.links[link] != State::Off || !is_serving {
                continue;
            }
            tracked.links[link] = State::On { listener };
            let words: [&[u8]; 5] = [b"CLIENT", b"TRACKING", b"ON", b"REDIRECT", id];
            self.ask_of_track(link, Pending::Tracking(listener), &words, now);
        }
    }

    fn ask_of_track(&mut self, number: usize, pending: Pending, words: &[&[u8]], now: UnixMs) {
        // It goes with its connection, and has no other deadline.
        let terms = Terms {
            on_loss: OnLoss::Forget,
            patience_ms: Terms::FOR_EVER,
        };
        let pipeline = self.links[number].core.pipeline();
        encode_command(pipeline.push(pending, Expects::Line, terms, now), words);
    }
}

impl Core {
    /// Something was answered on a link; perhaps its connection has just begun.
    #[inline]
    pub(super) fn keep_track(&mut self, number: usize) {
        let now = self.now;
        if let Some(pool) = &mut self.pool
            && pool.may_need_track(number)
        {
            pool.keep_track(number, now);
        }
    }

    /// A listener has said its number, or why not.
    pub(super) fn hear_listener_id(&mut self, number: usize, failed: bool, frame: &[u8]) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let server = pool.server_of(number);
        let links = pool.links_to(server);
        let L1::Tracked(tracked) = &mut pool.l1 else {
            return;
        };
        tracked.listeners[server].is_asked = false;
        match integer(frame).filter(|_| !failed) {
            Some(listener) => pool.track(server, listener, now),
            None => {
                links.clone().for_each(|link| tracked.refuse(link));
                pool.lose_cover(links);
                self.log_refusal(number, frame);
            }
        }
    }

    /// A data link was told whom to tell. What was asked for behind that is on the way already.
    pub(super) fn hear_tracked(&mut self, number: usize, id: i64, failed: bool, frame: &[u8]) {
        let Some(pool) = &mut self.pool else { return };
        let L1::Tracked(tracked) = &mut pool.l1 else {
            return;
        };
        // A listener that is gone is no reason to give up.
        if failed && tracked.links[number] == (State::On { listener: id }) {
            tracked.refuse(number);
            pool.lose_cover(number..number + 1);
            self.log_refusal(number, frame);
        }
    }

    /// A server will not tell; that is logged once.
    pub(super) fn log_refusal(&mut self, number: usize, line: &[u8]) {
        let shard = self.shard();
        let Some(pool) = &mut self.pool else { return };
        let server = pool.server_of(number);
        let backend = pool.name_of(server);
        let L1::Tracked(tracked) = &mut pool.l1 else {
            return;
        };
        if !core::mem::replace(&mut tracked.listeners[server].is_refusal_logged, true) {
            let line = line.trim_ascii_end().escape_ascii();
            tracing::warn!(
                backend,
                shard,
                "does not tell of changes, its values are not kept: {line}"
            );
        }
    }

    /// A server says something unasked.
    pub(super) fn hear_push(&mut self, number: usize, frame: &[u8]) {
        if !self
            .pool
            .as_ref()
            .is_some_and(|pool| pool.is_listener(number))
        {
            return;
        }
        match told(frame) {
            Told::Keys(mut keys) => {
                for key in &mut keys {
                    self.hear_change(key);
                }
                if keys.is_unread() {
                    self.hear_too_much(number);
                }
            }
            Told::All => self.hear_too_much(number),
            Told::Other => {}
        }
    }

    fn hear_change(&mut self, key: &[u8]) {
        self.counters().l1_invalidations.add(1);
        let key = self.key(key);
        // Another shard has a listener of its own.
        if self.store.owns(key.hash) {
            self.drop_l1(key);
        }
    }

    /// A server has changed everything, or said what was not read.
    pub(super) fn hear_too_much(&self, number: usize) {
        let Some(pool) = &self.pool else { return };
        if pool.hears_late() && pool.is_listener(number) {
            pool.lose_cover(pool.links_to(pool.server_of(number)));
            self.counters().l1_invalidations.add(1);
        }
    }

    /// A connection is gone, and with it all that it covered.
    pub(super) fn lose_track(&mut self, number: usize) {
        let Some(pool) = &mut self.pool else { return };
        let server = pool.server_of(number);
        let is_listener = pool.is_listener(number);
        let links = match is_listener {
            true => pool.links_to(server),
            false => number..number + 1,
        };
        let L1::Tracked(tracked) = &mut pool.l1 else {
            return;
        };
        if is_listener {
            tracked.listeners[server].is_asked = false;
        }
        let ended_count = links.clone().filter(|link| tracked.end(*link)).count();
        // Without, nothing that was asked for over them is kept.
        if ended_count > 0 {
            pool.lose_cover(links);
            self.counters().l1_losses.add(1);
        }
    }
}

/// The number in an integer reply.
pub(super) fn integer(frame: &[u8]) -> Option<i64> {
    number::signed(frame.strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}
