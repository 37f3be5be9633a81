//! The clients of a shard: how they come, wait and go.

mod conns;
mod listing;
mod receive;
mod rounds;

use std::sync::atomic::Ordering;

use super::{
    downstream::Downstream,
    intake::Act,
    peers::Peer,
    resp::{Client, discard},
    session::FrontEnd,
    turn::Shard,
};
use crate::{
    io::{Io, ListenerId, Token},
    protocol::{memcache, resp},
    store::UnixMs,
};

/// How often clients that say nothing are looked for, if they are closed at all.
const IDLE_CHECK_MS: u64 = 1_000;

impl<I: Io> Shard<I> {
    pub(in crate::shard) fn accepted(&mut self, listener: ListenerId, token: Token) {
        let counters = self.core.counters();
        let is_over = self.connection_count.fetch_add(1, Ordering::Relaxed)
            >= self.core.settings.tunables.connections_max.get() as usize;
        counters.connections_total.add(1);
        counters.connections.add(1);
        if is_over {
            counters.connections_refused.add(1);
        }
        self.client_count += 1;
        let shard_count = self.core.mesh.shard_count() as u64;
        let id = self.client_count * shard_count - self.core.shard() as u64;
        let front_end = match listener {
            ListenerId::Memcache => FrontEnd::Undecided,
            ListenerId::Resp => FrontEnd::Resp(Client::default()),
        };
        let now = self.core.seconds_since_start();
        let mut conn = Box::new(Downstream::new(token, id, front_end, now));
        if is_over {
            let line = match listener {
                ListenerId::Memcache => memcache::reply::TOO_MANY_CONNECTIONS,
                ListenerId::Resp => resp::reply::TOO_MANY_CONNECTIONS,
            };
            conn.session.reply(&mut self.core, line);
        }
        // The last one may come in while the listener is being closed.
        if is_over || self.drain_until.is_some() {
            conn.ended();
        }
        if let ListenerId::Resp = listener {
            self.core.tracking.connected(id, token);
        }
        self.peers.insert(token, Peer::Downstream(conn));
        self.io.recv(token);
        self.settle(token);
    }

    /// Brings a connection's place in the lists in line with its state.
    pub(in crate::shard) fn settle(&mut self, token: Token) {
        let Some(conn) = self.peers.downstream(token) else {
            return;
        };
        if conn.is_finished() || conn.session.is_overrun() {
            return self.close_downstream(token);
        }
        if conn.wants_flush() && !conn.is_listed_dirty {
            conn.is_listed_dirty = true;
            self.dirty.push(token);
        }
        if conn.is_held() && !conn.is_listed_held {
            conn.is_listed_held = true;
            self.held.push_back(token);
        }
        match conn.next_receive() {
            Act::Wait => {}
            act => self.receive(token, act),
        }
    }

    /// Closes a connection at once; one whose transaction has begun, once that is over.
    pub(in crate::shard) fn close_downstream(&mut self, token: Token) {
        if let Some(conn) = self.peers.downstream(token)
            && conn.session.has_world()
        {
            return conn.abandon();
        }
        let Some(Peer::Downstream(mut conn)) = self.peers.remove(token) else {
            return;
        };
        if let Some((why, bytes_max)) = conn.broken_limit() {
            let peer = listing::addresses(&self.io, token).0;
            tracing::warn!(peer, bytes_max, "a client is closed: {why}");
        }
        self.sends_in_flight -= usize::from(conn.is_sending());
        // What a server watches for it ends with `discard`.
        let has_dedicated = conn.session.is_blocked()
            || (conn.session.client()).is_some_and(|client| client.subscriptions.is_some());
        if let Some(pass) = conn.intake.pass.take() {
            self.core.admission.leave(self.core.now, pass);
        }
        conn.recycle(&mut self.core.buffers);
        discard(&mut conn.session, &mut self.core);
        if has_dedicated {
            self.close_dedicated_of(token);
        }
        self.core.forget_client(token, conn.session.client_id());
        self.core.counters().connections.sub(1);
        self.connection_count.fetch_sub(1, Ordering::Relaxed);
        self.io.close(token);
    }

    /// Whether clients are closed if they say nothing for long.
    pub(in crate::shard) fn watches_idle_clients(&self) -> bool {
        let counters = self.core.counters();
        self.core.settings.tunables.idle_seconds_max.get() > 0 && counters.connections.value() > 0
    }

    /// Closes the clients that take nothing of what they are sent, or say nothing for too long.
    pub(in crate::shard) fn close_overdue(&mut self) {
        let now = self.core.now;
        let mut overdue = self.peers.downstreams(|conn| conn.is_stalled(now));
        let idle_seconds_max = self.core.settings.tunables.idle_seconds_max.get();
        if idle_seconds_max > 0 && now >= self.next_idle_check {
            self.next_idle_check = UnixMs(now.0 + IDLE_CHECK_MS);
            let now = self.core.seconds_since_start();
            let is_idle = |conn: &Downstream| {
                !conn.is_held()
                    && !conn.session.stays_silent()
                    && u64::from(conn.idle_seconds(now)) > idle_seconds_max
            };
            overdue.extend(self.peers.downstreams(is_idle));
        }
        for token in overdue {
            if !self.probe(token) {
                self.close_downstream(token);
            }
        }
    }

    /// Fills in who sent the slow requests of this turn.
    pub(in crate::shard) fn address_slow_requests(&mut self) {
        let Self { io, core, .. } = self;
        if core.meter.slow_log.is_unaddressed() {
            core.meter
                .slow_log
                .fill_addresses(|token| listing::addresses(io, token).0);
        }
    }
}
