//! A shard's backends: connecting, reading replies, and giving a connection up.

use std::{fmt::Display, io};

use bytes::{Buf, BytesMut};

use crate::shard::{
    core::Core,
    peers::{Peer, Peers},
    pool::errand::{Delivery, LOST},
    turn::Shard,
};
use crate::{
    backend::Received,
    io::{Errno, Io, RecvBuffer, Token},
};

impl<I: Io> Shard<I> {
    /// Makes the connections that are due, and gives up those that do not answer.
    pub(in crate::shard) fn tick_links(&mut self) {
        let now = self.core.now;
        for server in 0..self.core.pool.as_ref().map_or(0, |pool| pool.links.len()) {
            let Self {
                io, core, peers, ..
            } = self;
            let Some(pool) = &mut core.pool else { return };
            let link = &mut pool.links[server];
            if link.is_overdue(now) {
                self.disconnect(server, &"it does not answer");
                continue;
            }
            if link.refused {
                self.disconnect(server, &"it refused a delete");
                continue;
            }
            if let Some(token) = link.connect_if_due(now, io) {
                peers.insert(token, Peer::Backend { server });
            }
        }
    }

    pub(in crate::shard) fn connected(&mut self, token: Token, result: Result<(), Errno>) {
        let Some(server) = self.peers.backend(token) else {
            return;
        };
        match result {
            Ok(()) => {
                let now = self.core.now;
                if let Some(pool) = &mut self.core.pool {
                    pool.links[server].connected(now);
                }
                self.io.recv(token);
            }
            Err(errno) => {
                self.disconnect(server, &io::Error::from(errno));
            }
        }
    }

    pub(in crate::shard) fn backend_received(&mut self, server: usize, buffer: &RecvBuffer) {
        let Self { io, core, .. } = self;
        let Some(pool) = &mut core.pool else { return };
        let link = &mut pool.links[server];
        let mut input = std::mem::take(&mut link.input);
        if input.is_empty() {
            let bytes = io.bytes(buffer);
            // Replies are read where the kernel put them; only the start of one that is not
            // whole is copied.
            let progress = deliver_replies(core, &mut self.peers, &mut self.touched, server, bytes);
            if let Progress::Consumed(consumed) = progress
                && consumed < bytes.len()
            {
                input = core.buffers.take_input();
                input.extend_from_slice(&bytes[consumed..]);
            }
            self.after_replies(server, progress, input);
            return;
        }
        input.extend_from_slice(io.bytes(buffer));
        let mut progress = Progress::Consumed(0);
        if input.len() >= link.want {
            progress = deliver_replies(core, &mut self.peers, &mut self.touched, server, &input);
            if let Progress::Consumed(consumed) = progress {
                input.advance(consumed);
            }
        }
        self.after_replies(server, progress, input);
    }

    fn after_replies(&mut self, server: usize, progress: Progress, input: BytesMut) {
        self.settle_touched();
        if matches!(progress, Progress::Broken) {
            return self.disconnect(server, &"it broke the protocol");
        }
        match &mut self.core.pool {
            Some(pool) if !input.is_empty() => pool.links[server].input = input,
            _ => self.core.buffers.put_input(input),
        }
    }

    /// Gives a backend connection up; whoever waits on it is told.
    pub(in crate::shard) fn disconnect(&mut self, server: usize, why: &dyn Display) {
        let now = self.core.now;
        let Some(pool) = &mut self.core.pool else {
            return;
        };
        let link = &mut pool.links[server];
        tracing::warn!(backend = %link.address, shard = self.core.mesh.shard(), "lost: {why}");
        if let Some(token) = link.disconnect(now) {
            self.peers.remove(token);
            self.io.close(token);
        }
        loop {
            let Self {
                core,
                peers,
                touched,
                ..
            } = self;
            let Some(pool) = &mut core.pool else { break };
            let Some(pending) = pool.links[server].pipeline.abandon() else {
                break;
            };
            core.fail(pending, LOST, &mut |core, delivery| {
                deliver(core, peers, touched, &delivery)
            });
        }
        self.settle_touched();
        self.next_tick = now;
    }
}

/// How far a backend's bytes went.
enum Progress {
    Consumed(usize),
    Broken,
}

/// Concludes every whole reply in `bytes`.
fn deliver_replies(
    core: &mut Core,
    peers: &mut Peers,
    touched: &mut Vec<Token>,
    server: usize,
    bytes: &[u8],
) -> Progress {
    let mut consumed = 0;
    loop {
        let Some(pool) = &mut core.pool else {
            return Progress::Consumed(consumed);
        };
        let link = &mut pool.links[server];
        match link.pipeline.receive(&bytes[consumed..]) {
            Received::Incomplete { want } => {
                link.want = want;
                return Progress::Consumed(consumed);
            }
            Received::Broken => return Progress::Broken,
            Received::Skipped { consumed: len } => consumed += len,
            Received::Complete {
                tag,
                reply,
                consumed: len,
            } => {
                consumed += len;
                core.conclude(server, tag, &reply, &mut |core, delivery| {
                    deliver(core, peers, touched, &delivery);
                });
            }
        }
    }
}

fn deliver(core: &mut Core, peers: &mut Peers, touched: &mut Vec<Token>, delivery: &Delivery<'_>) {
    let origin = delivery.origin;
    if let Some(conn) = peers.downstream(origin.token) {
        conn.session
            .deliver(core, origin.seq, delivery.failed, delivery.bytes);
        if touched.last() != Some(&origin.token) {
            touched.push(origin.token);
        }
    }
}
