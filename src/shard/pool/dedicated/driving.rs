//! What happens on dedicated connections, and what is done to their sockets.

use bytes::{Buf, BytesMut};

use super::{Dedicated, Purpose};
use crate::shard::{
    core::Core,
    peers::Peer,
    pool::{
        backends::{deliver, reason},
        errand::Pending,
    },
    turn::Shard,
};
use crate::{
    backend::{Effect, Received},
    io::{Io, RecvBuffer, Token},
};

impl<I: Io> Shard<I> {
    /// Sends what was asked in this turn.
    pub(in crate::shard) fn flush_dedicated(&mut self) {
        while let Some(pool) = &mut self.core.pool
            && let Some(slot) = pool.dedicated.dirty.pop()
        {
            self.drive_dedicated(slot);
        }
    }

    /// Gives up connects that do not end, and connections on which an answer is overdue: nobody
    /// would know what is watched there.
    pub(in crate::shard) fn tick_dedicated(&mut self) {
        let now = self.core.now;
        let Some(pool) = &mut self.core.pool else {
            return;
        };
        for slot in pool.dedicated.slots_with(Dedicated::has_deadline) {
            let Some(conn) = dedicated(&mut self.core, slot) else {
                continue;
            };
            let gave_up = conn.link.handle_timeout(now, Pending::heir);
            let is_of_no_use = conn.link.has_failed() || conn.link.in_flight() == 0;
            if gave_up.is_some() || is_of_no_use {
                conn.end(now);
            }
            self.drive_dedicated(slot);
        }
    }

    /// A client goes, and its connections with it.
    pub(in crate::shard) fn close_dedicated_of(&mut self, client: Token) {
        let Some(pool) = &self.core.pool else { return };
        for slot in pool
            .dedicated
            .slots_with(|conn| conn.client() == Some(client))
        {
            self.lose_dedicated(slot);
        }
    }

    /// A server goes, and all connections to it.
    pub(in crate::shard) fn lose_dedicated_to(&mut self, server: usize) {
        let Some(pool) = &self.core.pool else { return };
        for slot in pool.dedicated.slots_with(|conn| conn.server == server) {
            self.lose_dedicated(slot);
        }
    }

    /// A connection is gone, or is to go: who waits on it is told, and there is no other try.
    pub(in crate::shard) fn lose_dedicated(&mut self, slot: usize) {
        let now = self.core.now;
        if let Some(conn) = dedicated(&mut self.core, slot) {
            conn.end(now);
        }
        self.drive_dedicated(slot);
    }

    pub(in crate::shard) fn dedicated_connected(&mut self, slot: usize, token: Token) {
        let now = self.core.now;
        if let Some(conn) = dedicated(&mut self.core, slot) {
            conn.link.handle_connected(now);
            self.io.recv(token);
        }
        self.drive_dedicated(slot);
    }

    pub(in crate::shard) fn dedicated_sent(&mut self, slot: usize, buffer: Vec<u8>) {
        if let Some(conn) = dedicated(&mut self.core, slot) {
            conn.link.handle_sent(buffer);
        }
        self.drive_dedicated(slot);
    }

    pub(in crate::shard) fn dedicated_received(&mut self, slot: usize, buffer: &RecvBuffer) {
        let Some(conn) = dedicated(&mut self.core, slot) else {
            return;
        };
        conn.input.extend_from_slice(self.io.bytes(buffer));
        let mut input = std::mem::take(&mut conn.input);
        let is_whole = input.len() < conn.want || self.take_replies(slot, &mut input);
        let Some(conn) = dedicated(&mut self.core, slot) else {
            return;
        };
        conn.input = input;
        self.settle_touched();
        if !is_whole {
            return self.lose_dedicated(slot);
        }
        let is_over = match &mut self.core.pool {
            Some(pool) => pool.dedicated.release(slot),
            None => false,
        };
        if is_over {
            return self.lose_dedicated(slot);
        }
        self.drive_dedicated(slot);
    }

    /// Concludes every whole reply. False if the connection is of no use.
    fn take_replies(&mut self, slot: usize, input: &mut BytesMut) -> bool {
        loop {
            let Self {
                core,
                peers,
                touched,
                ..
            } = self;
            let now = core.now;
            let Some(conn) = dedicated(core, slot) else {
                return false;
            };
            let (server, client) = (conn.server, conn.client());
            let Some(pool) = &mut core.pool else {
                return false;
            };
            let link = pool.first_link(server);
            let Some(conn) = pool.dedicated.get(slot) else {
                return false;
            };
            let consumed = match conn.link.receive(input, now) {
                Received::Incomplete { want } => {
                    conn.want = want;
                    return true;
                }
                Received::Broken => return false,
                Received::Unheard { consumed } | Received::Skipped { consumed } => consumed,
                Received::Push { frame, consumed } => {
                    if let Some(client) = client
                        && let Some(conn) = peers.downstream(client)
                    {
                        if !conn.session.hear(core, frame) {
                            conn.hang_up();
                        }
                        touched.push(client);
                    }
                    consumed
                }
                Received::Complete {
                    tag: Pending::Identity,
                    reply,
                    consumed,
                } => {
                    conn.identify(reply.frame);
                    consumed
                }
                Received::Complete {
                    tag,
                    reply,
                    consumed,
                } => {
                    core.conclude(link, tag, &reply, &mut |core, delivery| {
                        deliver(core, peers, touched, &delivery);
                    });
                    consumed
                }
            };
            input.advance(consumed);
        }
    }

    /// Does what a connection wants done. One that is lost leaves its slot.
    fn drive_dedicated(&mut self, slot: usize) {
        loop {
            let Self {
                io, core, peers, ..
            } = self;
            let now = core.now;
            let buffers = &mut core.buffers;
            let Some(pool) = &mut core.pool else { return };
            let Some(conn) = pool.dedicated.get(slot) else {
                return;
            };
            while let Some(buffer) = conn.link.pipeline().take_released() {
                buffers.put(buffer);
            }
            if conn.is_over && conn.token.is_none() {
                return self.vacate(slot);
            }
            let Some(effect) = conn.link.poll_effect(now, || buffers.take()) else {
                break;
            };
            match effect {
                Effect::Send(buffer) => match conn.token {
                    Some(token) => io.send(token, buffer.into()),
                    None => conn.link.handle_sent(buffer),
                },
                Effect::Connect => {
                    let server = conn.server;
                    let address = pool.address_of(server, 0);
                    let Some(conn) = pool.dedicated.get(slot) else {
                        return;
                    };
                    conn.token = address.and_then(|address| io.connect(&address).ok());
                    match conn.token {
                        Some(token) => peers.insert(token, Peer::Dedicated { slot }),
                        None => conn.end(now),
                    }
                }
                Effect::Close => {
                    if let Some(token) = conn.token.take() {
                        peers.remove(token);
                        io.close(token);
                    }
                    self.vacate(slot);
                    return;
                }
            }
        }
    }

    /// Empties a slot whose connection is closed.
    fn vacate(&mut self, slot: usize) {
        let Self {
            core,
            peers,
            touched,
            ..
        } = self;
        let Some(pool) = &mut core.pool else { return };
        let conn = pool.dedicated.slots.get_mut(slot).and_then(Option::take);
        let Some(mut conn) = conn else { return };
        pool.dedicated.count -= 1;
        while let Some((pending, failure)) = conn.link.poll_failed() {
            core.fail(pending, reason(failure), &mut |core, delivery| {
                deliver(core, peers, touched, &delivery);
            });
        }
        if let Purpose::Feed(client) = conn.purpose
            && let Some(downstream) = peers.downstream(client)
        {
            downstream.hang_up();
            touched.push(client);
        }
        self.settle_touched();
    }
}

fn dedicated(core: &mut Core, slot: usize) -> Option<&mut Dedicated> {
    core.pool.as_mut()?.dedicated.get(slot)
}
