//! Connections to servers that one client has for itself: for requests that wait, which would hold
//! up everybody behind them on the shard's own connection, for what it [listens
//! to](super::feeds), and for keys that a server [watches](super::watch) for it.
//!
//! A request takes one that is idle, or has one made; once it is answered the connection is idle
//! again, up to [`DEDICATED_IDLE_MAX`] for each server and version. It speaks the client's version
//! of RESP, so replies are the client's as they come. A request that waits has no deadline: how
//! long to wait is the client's to say. If the client goes, so does the connection, and with it the
//! server's wait. [`unblock`] ends a wait from outside.

mod driving;
pub(in crate::shard) mod unblock;

use bytes::BytesMut;

use super::{
    cluster::{ASKING_TERMS, asking},
    errand::Pending,
};
use crate::shard::settings::{DEDICATED_IDLE_MAX, DEDICATED_MAX};
use crate::{
    backend::{Expects, Link, LinkSettings, OnLoss, Terms},
    io::Token,
    protocol::resp::Version,
    store::UnixMs,
};

/// The line for a client that would need one connection more than there may be.
pub(super) const TOO_MANY: &str = "too many clients wait at servers of the pool";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Nothing just now, or something to be finished for nobody.
    Idle,
    /// One request of this client.
    Request(Token),
    /// What this client listens to.
    Feed(Token),
    /// Keys that are watched for this client.
    Watch(Token),
}

/// What is known of a connection's number at its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    Unasked,
    /// The server has not said yet, or does not say.
    Asked,
    Known(i64),
}

/// One connection.
#[derive(Debug)]
struct Dedicated {
    server: usize,
    version: Version,
    purpose: Purpose,
    /// It is to go, or never to come.
    is_over: bool,
    /// It is nobody's after what it is for now.
    is_last_use: bool,
    /// What the server calls it.
    identity: Identity,
    token: Option<Token>,
    link: Link<Pending>,
    /// The start of a reply that is not whole, and bytes of it before which looking is pointless.
    input: BytesMut,
    want: usize,
}

/// What a request that waits needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnWanted {
    pub(super) server: usize,
    pub(super) client: Token,
    pub(super) version: Version,
    /// A node of a cluster is to be told that the request was sent there.
    pub(super) is_asking: bool,
}

/// All of a shard.
///
/// Invariant: `count` slots are taken; the rest are empty.
#[derive(Debug)]
pub(in crate::shard) struct DedicatedConns {
    /// How a link is to be, by version.
    settings: [LinkSettings; 2],
    slots: Vec<Option<Box<Dedicated>>>,
    count: usize,
    /// Slots with something to send, or to connect.
    dirty: Vec<usize>,
}

impl DedicatedConns {
    /// None yet; `settings` say how to make one for clients of RESP2, and of RESP3.
    pub(super) fn new(settings: [LinkSettings; 2]) -> Self {
        // How long a server may say nothing is the client's affair.
        const NO_SILENCE_MS: u64 = 1 << 40;
        let settings = settings.map(|settings| LinkSettings {
            silence_ms: NO_SILENCE_MS,
            ..settings
        });
        Self {
            settings,
            slots: Vec::new(),
            count: 0,
            dirty: Vec::new(),
        }
    }

    /// Has a request sent over a connection of the client's own. What it is for comes back if there
    /// may be no more of them.
    pub(super) fn ask(
        &mut self,
        wanted: ConnWanted,
        pending: Pending,
        request: &[u8],
        now: UnixMs,
    ) -> Result<(), Pending> {
        let Some(slot) = self.acquire(wanted.server, wanted.version, now) else {
            return Err(pending);
        };
        if let Some(conn) = self.get(slot) {
            conn.purpose = Purpose::Request(wanted.client);
            conn.ask_identity(now);
            if wanted.is_asking {
                asking(conn.link.pipeline().push_unheard(ASKING_TERMS, now));
            }
            conn.ask(pending, request, Terms::FOR_EVER, now);
        }
        self.dirty.push(slot);
        Ok(())
    }

    /// Has a server watch keys for a client, beside those that it watches already.
    pub(super) fn watch(
        &mut self,
        server: usize,
        client: Token,
        version: Version,
        now: UnixMs,
    ) -> bool {
        if self.is_watching(client) {
            return true;
        }
        let slot = self.acquire(server, version, now);
        if let Some(conn) = slot.and_then(|slot| self.get(slot)) {
            conn.purpose = Purpose::Watch(client);
        }
        slot.is_some()
    }

    /// Whether a server watches keys for a client.
    pub(super) fn is_watching(&self, client: Token) -> bool {
        self.with(Purpose::Watch(client)).is_some()
    }

    /// Asks a server over the connection that watches for a client.
    pub(super) fn ask_watching(
        &mut self,
        client: Token,
        pending: Pending,
        request: &[u8],
        patience_ms: u32,
        now: UnixMs,
    ) {
        let slot = self.with(Purpose::Watch(client));
        if let Some(conn) = slot.and_then(|slot| self.get(slot)) {
            conn.ask(pending, request, patience_ms, now);
        }
        self.dirty.extend(slot);
    }

    /// Tells the node that watches for a client that what follows was sent there.
    pub(super) fn ask_before_watched(&mut self, client: Token, now: UnixMs) {
        let slot = self.with(Purpose::Watch(client));
        if let Some(conn) = slot.and_then(|slot| self.get(slot)) {
            asking(conn.link.pipeline().push_unheard(ASKING_TERMS, now));
        }
    }

    /// The connection that watches for a client is anybody's, once its last request is answered:
    /// that ends what is watched.
    pub(super) fn end_watch(&mut self, client: Token) {
        let slot = self.with(Purpose::Watch(client));
        if let Some(conn) = slot.and_then(|slot| self.get(slot)) {
            conn.purpose = Purpose::Idle;
        }
    }

    /// What a client watched is watched no more, as its connection is given up.
    pub(super) fn unwatch(&mut self, client: Token, now: UnixMs) {
        self.give_up(Purpose::Watch(client), now);
    }

    /// Whether a client has a connection to listen to a server, or may have one.
    pub(super) fn has_feed(&mut self, server: usize, client: Token, now: UnixMs) -> bool {
        if self.feed(server, client).is_some() {
            return true;
        }
        let slot = self.make(server, Version::Resp3, now);
        if let Some(conn) = slot.and_then(|slot| self.get(slot)) {
            conn.purpose = Purpose::Feed(client);
            conn.link.pipeline().hear_monitor();
        }
        self.dirty.extend(slot);
        slot.is_some()
    }

    /// Sends a server a command over the connection by which a client listens to it. What it is for
    /// comes back if there is none.
    pub(super) fn tell(
        &mut self,
        server: usize,
        client: Token,
        pending: Pending,
        request: &[u8],
        now: UnixMs,
    ) -> Result<(), Pending> {
        let slot = self.feed(server, client);
        let Some(conn) = slot.and_then(|slot| self.get(slot)) else {
            return Err(pending);
        };
        conn.ask(pending, request, Terms::FOR_EVER, now);
        self.dirty.extend(slot);
        Ok(())
    }

    /// A client listens no more, and stays.
    pub(super) fn drop_feeds_of(&mut self, client: Token, now: UnixMs) {
        self.give_up(Purpose::Feed(client), now);
    }

    fn give_up(&mut self, purpose: Purpose, now: UnixMs) {
        for slot in self.slots_with(|conn| conn.purpose == purpose) {
            if let Some(conn) = self.get(slot) {
                conn.purpose = Purpose::Idle;
                conn.end(now);
            }
            self.dirty.push(slot);
        }
    }

    fn feed(&self, server: usize, client: Token) -> Option<usize> {
        let purpose = Purpose::Feed(client);
        self.position(|conn| conn.server == server && conn.purpose == purpose)
    }

    fn with(&self, purpose: Purpose) -> Option<usize> {
        self.position(|conn| conn.purpose == purpose)
    }

    fn position(&self, is_it: impl Fn(&Dedicated) -> bool) -> Option<usize> {
        let is_it = |slot: &Option<Box<Dedicated>>| slot.as_deref().is_some_and(&is_it);
        self.slots.iter().position(is_it)
    }

    /// The slot of a connection that is nobody's.
    fn acquire(&mut self, server: usize, version: Version, now: UnixMs) -> Option<usize> {
        let idle =
            self.position(|conn| conn.is_idle_for(server, version) && conn.link.is_serving());
        idle.or_else(|| self.make(server, version, now))
    }

    /// The slot of a connection that has still to be made.
    fn make(&mut self, server: usize, version: Version, now: UnixMs) -> Option<usize> {
        if self.count >= DEDICATED_MAX {
            return None;
        }
        let settings = self.settings[usize::from(version == Version::Resp3)].clone();
        let conn = Box::new(Dedicated {
            server,
            version,
            purpose: Purpose::Idle,
            is_over: false,
            is_last_use: false,
            identity: Identity::Unasked,
            token: None,
            link: Link::new(settings, now),
            input: BytesMut::new(),
            want: 1,
        });
        self.count += 1;
        match self.slots.iter().position(Option::is_none) {
            Some(slot) => {
                self.slots[slot] = Some(conn);
                Some(slot)
            }
            None => {
                self.slots.push(Some(conn));
                Some(self.slots.len() - 1)
            }
        }
    }

    /// Whether time must be watched: a connect may not end, or a server not answer.
    pub(super) fn needs_tick(&self) -> bool {
        self.count > 0 && self.position(Dedicated::has_deadline).is_some()
    }

    fn get(&mut self, slot: usize) -> Option<&mut Dedicated> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    /// The slots of which this is true.
    fn slots_with(&self, is_meant: impl Fn(&Dedicated) -> bool) -> Vec<usize> {
        let is_meant = |slot: &Option<Box<Dedicated>>| slot.as_deref().is_some_and(&is_meant);
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| is_meant(slot))
            .map(|(slot, _)| slot)
            .collect()
    }

    /// A connection may have nothing more to do: it is idle, or one too many. True if it is to go.
    fn release(&mut self, slot: usize) -> bool {
        let Some(conn) = self.get(slot) else {
            return false;
        };
        let stays = matches!(conn.purpose, Purpose::Feed(_) | Purpose::Watch(_));
        if stays || conn.link.in_flight() > 0 {
            return false;
        }
        conn.purpose = Purpose::Idle;
        if conn.is_last_use {
            return true;
        }
        let (server, version) = (conn.server, conn.version);
        let idle = self.slots_with(|conn| conn.is_idle_for(server, version));
        idle.len() > DEDICATED_IDLE_MAX
    }
}

impl Dedicated {
    fn is_idle_for(&self, server: usize, version: Version) -> bool {
        let is_idle = self.purpose == Purpose::Idle && self.link.in_flight() == 0;
        let is_usable = !self.is_over && !self.is_last_use;
        is_idle && is_usable && self.server == server && self.version == version
    }

    /// It is given up: what it was asked fails, and where it has not begun to connect it never does.
    fn end(&mut self, now: UnixMs) {
        self.is_over = true;
        self.link.give_up(now);
        self.link.pipeline().fail_unsent();
    }

    /// Whose it is.
    fn client(&self) -> Option<Token> {
        match self.purpose {
            Purpose::Idle => None,
            Purpose::Request(client) | Purpose::Feed(client) | Purpose::Watch(client) => {
                Some(client)
            }
        }
    }

    /// Whether it may be given up as time goes by.
    fn has_deadline(&self) -> bool {
        let is_asking = matches!(self.purpose, Purpose::Idle | Purpose::Watch(_));
        !self.link.is_serving() || (is_asking && self.link.in_flight() > 0)
    }

    fn ask(&mut self, pending: Pending, request: &[u8], patience_ms: u32, now: UnixMs) {
        let terms = Terms {
            on_loss: OnLoss::Fail,
            patience_ms,
        };
        let pipeline = self.link.pipeline();
        pipeline
            .push(pending, Expects::Line, terms, now)
            .extend_from_slice(request);
    }
}
