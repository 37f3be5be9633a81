//! CLIENT UNBLOCK for clients that wait at a server of the pool.
//!
//! The wait is the server's, so it is the server that ends it: it is told `CLIENT UNBLOCK` with the
//! number that it gave the client's connection, over the shard's own. It then answers the client's
//! request as if the time were over, or with `-UNBLOCKED`, whichever was asked for, in the shape
//! that the command has. So **no element is lost**: an element that was taken for the client is on
//! its way to it, and the server says that nobody was unblocked. Ringfort could only close the
//! connection, and would never know.
//!
//! Two connections keep no order. The word may come before the request that it is to end: then the
//! server finds nobody who waits, and says so. It may come after the request was answered: so a
//! connection whose client was to be unblocked is used for nothing else any more, or the next
//! client who waits on it would be woken. Servers do not use a number twice.
//!
//! A client that asks is answered what the server says: 1 if it has ended a wait. The answer is 0 for
//! a client that is not there, does not wait, whose request has not reached the server, or whose
//! connection's number has not come back from it; also if the server is away, or does not let its user
//! say `CLIENT ID` or `CLIENT UNBLOCK`. A server that was told and did not answer in time may still do
//! it.

use super::{Dedicated, DedicatedConns, Identity, Purpose};
use crate::{
    backend::{Expects, OnLoss, Terms},
    io::Token,
    protocol::resp::reply::encode_command,
    shard::{
        core::Core,
        message::AnswerBody,
        pool::{
            errand::{Pending, Route},
            tracked::integer,
        },
        round::{Share, Unblock},
    },
    store::UnixMs,
};

impl DedicatedConns {
    /// Where a client waits, and its connection's number there. The connection is not used again.
    fn end_use(&mut self, client: Token) -> Option<(usize, i64)> {
        let purpose = Purpose::Request(client);
        let slot = self.position(|conn| conn.purpose == purpose && conn.link.in_flight() > 0)?;
        let conn = self.get(slot)?;
        let Identity::Known(id) = conn.identity else {
            return None;
        };
        conn.is_last_use = true;
        Some((conn.server, id))
    }
}

impl Dedicated {
    /// Asks the server what it calls this connection, once.
    pub(super) fn ask_identity(&mut self, now: UnixMs) {
        if self.identity != Identity::Unasked {
            return;
        }
        self.identity = Identity::Asked;
        let terms = Terms {
            on_loss: OnLoss::Forget,
            patience_ms: Terms::FOR_EVER,
        };
        let pipeline = self.link.pipeline();
        let out = pipeline.push(Pending::Identity, Expects::Line, terms, now);
        encode_command(out, &[b"CLIENT", b"ID"]);
    }

    /// The server has said so, or why not.
    pub(super) fn identify(&mut self, frame: &[u8]) {
        self.identity = integer(frame).map_or(Identity::Asked, Identity::Known);
    }
}

impl Core {
    /// Has the wait of a client of this shard ended. False if there is none to end; else the share of
    /// the round comes later.
    pub(in crate::shard) fn unblock(&mut self, wanted: &Unblock, route: Route) -> bool {
        let Some(client) = self.tracking.find(wanted.id) else {
            return false;
        };
        let Some(pool) = &mut self.pool else {
            return false;
        };
        let Some((server, id)) = pool.dedicated.end_use(client) else {
            return false;
        };
        let mut digits = itoa::Buffer::new();
        let id = digits.format(id).as_bytes();
        let reason: &[u8] = match wanted.with_error {
            true => b"ERROR",
            false => b"TIMEOUT",
        };
        let mut wire = self.buffers.take();
        encode_command(&mut wire, &[b"CLIENT", b"UNBLOCK", id, reason]);
        let is_asked = self.ask_server(server, Pending::Unblock(route), &wire);
        self.buffers.put(wire);
        is_asked
    }

    /// A server has ended a wait, or not.
    pub(in crate::shard::pool) fn unblocked(&mut self, route: Route, is_ended: bool) {
        let share = Share {
            count: u64::from(is_ended),
            ..Share::default()
        };
        match route {
            Route::Here(origin) => self.rounds.give_late(origin, share),
            Route::Shard(asker, origin) => {
                self.answer(asker, origin, AnswerBody::Shared(share));
            }
        }
    }
}
