//! A shard's backends: connecting, reading replies, and giving a connection up.

use std::{fmt::Display, io};

use bytes::{Buf, BytesMut};

use crate::shard::{
    core::Core,
    peers::{Peer, Peers},
    pool::errand::{Delivery, Pending},
    pool::failure::{LATE, LOST, UNAVAILABLE},
    turn::Shard,
};
use crate::{
    backend::{Effect, Failure, Received},
    io::{Errno, Io, RecvBuffer, Token},
    store::UnixMs,
};

impl<I: Io> Shard<I> {
    /// Does on each link what is due.
    pub(in crate::shard) fn tick_links(&mut self) {
        let now = self.core.now;
        // The next tick comes soon enough, unless the shard sleeps until then.
        self.link_alarm = UnixMs(u64::MAX);
        for number in 0..self.core.link_count() {
            let Some(pool) = &mut self.core.pool else {
                return;
            };
            let has_l1 = pool.has_l1();
            let link = &mut pool.links[number];
            if link.refused {
                self.disconnect(number, Loss::GivenUp(&"it refused a queued write"));
                continue;
            }
            let heir = |pending: &Pending| pending.heir().filter(|_| has_l1);
            match link.core.handle_timeout(now, heir) {
                Some(gave_up) => self.after_loss(number, &gave_up),
                None => {
                    self.core.probe(number);
                    self.core.ask_role(number);
                    self.drive(number);
                }
            }
        }
    }

    /// Does what each link wants done, once a turn.
    pub(in crate::shard) fn flush_links(&mut self) {
        self.tend_cluster();
        let now = self.core.now;
        for number in 0..self.core.link_count() {
            let link = self.core.pool.as_ref().map(|pool| &pool.links[number]);
            if link.is_some_and(|link| link.core.is_stirring(now)) {
                self.drive(number);
            }
        }
    }

    /// Does what a link wants done.
    fn drive(&mut self, number: usize) {
        let Self {
            io, core, peers, ..
        } = self;
        let now = core.now;
        let Some(pool) = &mut core.pool else { return };
        let server = pool.server_of(number);
        let link = &mut pool.links[number];
        let buffers = &mut core.buffers;
        while let Some(buffer) = link.core.pipeline().take_released() {
            buffers.put(buffer);
        }
        let mut refused = None;
        loop {
            let link = &mut pool.links[number];
            let Some(effect) = link.core.poll_effect(now, || buffers.take()) else {
                break;
            };
            match effect {
                Effect::Send(buffer) => match link.token {
                    Some(token) => io.send(token, buffer.into()),
                    None => link.core.handle_sent(buffer),
                },
                Effect::Close => {
                    if let Some(token) = pool.close_link(number) {
                        peers.remove(token);
                        io.close(token);
                    }
                }
                Effect::Connect => {
                    let try_count = link.core.failure_count();
                    let address = pool.address_of(server, try_count);
                    let link = &mut pool.links[number];
                    if address.is_none() && link.core.postpone(now) {
                        continue;
                    }
                    let address = address.ok_or_else(|| io::ErrorKind::NotFound.into());
                    match address.and_then(|address| io.connect(&address)) {
                        Ok(token) => {
                            link.token = Some(token);
                            peers.insert(token, Peer::Backend { link: number });
                        }
                        Err(error) => {
                            link.core.handle_lost(now);
                            refused = Some(error);
                        }
                    }
                }
            }
        }
        if let Some(error) = refused {
            self.note_loss(number, &error);
            self.send_elsewhere(number);
            // Whoever is asked instead may have had its turn already.
            self.core.is_busy = true;
        }
        self.tell_failed(number);
    }

    pub(in crate::shard) fn connected(&mut self, token: Token, result: Result<(), Errno>) {
        if let Some(slot) = self.peers.dedicated(token) {
            return match result {
                Ok(()) => self.dedicated_connected(slot, token),
                Err(_) => self.lose_dedicated(slot),
            };
        }
        let Some(number) = self.peers.backend(token) else {
            return;
        };
        match result {
            Ok(()) => {
                let now = self.core.now;
                if let Some(pool) = &mut self.core.pool {
                    pool.links[number].core.handle_connected(now);
                }
                self.io.recv(token);
            }
            Err(errno) => self.disconnect(number, Loss::Seen(&io::Error::from(errno))),
        }
    }

    /// What was sent to a backend has gone out. Replies may have waited for that.
    pub(in crate::shard) fn backend_sent(&mut self, number: usize, buffer: Vec<u8>) {
        let Some(pool) = &mut self.core.pool else {
            return;
        };
        let is_cluster = pool.is_cluster();
        let link = &mut pool.links[number];
        // It may be sent again, also if this time it failed.
        link.core.handle_sent(buffer);
        if is_cluster && !link.input.is_empty() {
            link.want = 0;
            let input = std::mem::take(&mut link.input);
            self.conclude_replies(number, input);
        }
    }

    pub(in crate::shard) fn backend_received(&mut self, number: usize, buffer: &RecvBuffer) {
        let Self { io, core, .. } = self;
        let Some(pool) = &mut core.pool else { return };
        let link = &mut pool.links[number];
        link.core.handle_heard(core.now);
        let mut input = std::mem::take(&mut link.input);
        if input.is_empty() {
            let bytes = io.bytes(buffer);
            // Replies are read where the kernel put them; only the start of one that is not
            // whole is copied.
            let heard = deliver_replies(core, &mut self.peers, &mut self.touched, number, bytes);
            if let Heard::Consumed(consumed) = heard
                && consumed < bytes.len()
            {
                let rest = &bytes[consumed..];
                let want = core.pool.as_ref().map_or(0, |pool| pool.links[number].want);
                input = core.buffers.take_input(rest.len(), want);
                input.extend_from_slice(rest);
            }
            self.after_replies(number, heard, input);
            return;
        }
        input.extend_from_slice(io.bytes(buffer));
        self.conclude_replies(number, input);
    }

    /// Concludes the whole replies in what has come of them so far.
    fn conclude_replies(&mut self, number: usize, mut input: BytesMut) {
        let Self {
            core,
            peers,
            touched,
            ..
        } = self;
        let Some(pool) = &core.pool else { return };
        let mut heard = Heard::Consumed(0);
        if input.len() >= pool.links[number].want {
            heard = deliver_replies(core, peers, touched, number, &input);
            if let Heard::Consumed(consumed) = heard {
                input.advance(consumed);
            }
        }
        self.after_replies(number, heard, input);
    }

    fn after_replies(&mut self, number: usize, heard: Heard, input: BytesMut) {
        self.settle_touched();
        match heard {
            Heard::Consumed(_) => {}
            Heard::Broken => {
                return self.disconnect(number, Loss::GivenUp(&"it broke the protocol"));
            }
            Heard::Refused => {
                return self.disconnect(number, Loss::GivenUp(&"it refused a queued write"));
            }
        }
        let now = self.core.now;
        match &mut self.core.pool {
            Some(pool) => {
                pool.pump_writes(number, now);
                let link = &mut pool.links[number];
                if input.is_empty() {
                    self.core.buffers.put_input(input);
                } else {
                    link.input = input;
                }
            }
            None => self.core.buffers.put_input(input),
        }
        self.core.settle(number);
        self.core.keep_track(number);
        self.core.ask_role(number);
    }

    /// Gives a backend connection up; whoever waits on it is told.
    pub(in crate::shard) fn disconnect(&mut self, number: usize, loss: Loss<'_>) {
        let now = self.core.now;
        let Some(pool) = &mut self.core.pool else {
            return;
        };
        let link = &mut pool.links[number].core;
        let refusal = link.refusal().map(str::to_owned);
        match loss {
            Loss::Seen(_) => link.handle_lost(now),
            Loss::GivenUp(_) => link.give_up(now),
        }
        let (Loss::Seen(why) | Loss::GivenUp(why)) = loss;
        match refusal {
            Some(refusal) => self.after_loss(number, &refusal),
            None => self.after_loss(number, why),
        }
    }

    fn after_loss(&mut self, number: usize, why: &dyn Display) {
        self.note_loss(number, why);
        self.send_elsewhere(number);
        self.drive(number);
    }

    /// The connection is gone, or did not come to be.
    fn note_loss(&mut self, number: usize, why: &dyn Display) {
        self.core.lose_track(number);
        let shard = self.core.mesh.shard();
        let Some(pool) = &self.core.pool else { return };
        let backend = pool.name_of(pool.server_of(number));
        // A server that is away is tried every second; its operator is told once.
        match pool.links[number].core.failure_count() {
            0 | 1 if pool.is_listener(number) => {
                tracing::warn!(backend, shard, "does not tell of changes any more: {why}");
            }
            0 | 1 => tracing::warn!(backend, shard, "lost: {why}"),
            count => tracing::debug!(backend, shard, count, "not back: {why}"),
        }
        self.core.note_failure(number);
        if let Some(pool) = &mut self.core.pool {
            pool.want_refresh();
        }
    }

    /// Tells who waits for what has failed.
    fn tell_failed(&mut self, number: usize) {
        let mut has_told = false;
        loop {
            let Self {
                core,
                peers,
                touched,
                ..
            } = self;
            let Some(pool) = &mut core.pool else { break };
            let Some((pending, failure)) = pool.links[number].core.poll_failed() else {
                break;
            };
            core.note_failed(number, &pending, failure);
            core.note_write_failed(number, &pending);
            core.fail(pending, reason(failure), &mut |core, delivery| {
                deliver(core, peers, touched, &delivery);
            });
            has_told = true;
        }
        if has_told {
            self.settle_touched();
        }
    }
}

/// Why a connection goes.
pub(in crate::shard) enum Loss<'a> {
    /// It broke, or the other side ended it.
    Seen(&'a dyn Display),
    /// It is of no use.
    GivenUp(&'a dyn Display),
}

/// What a client is told.
pub(super) fn reason(failure: Failure) -> &'static str {
    match failure {
        Failure::Unsent => UNAVAILABLE,
        Failure::Lost => LOST,
        Failure::Late => LATE,
    }
}

/// How far a backend's bytes went.
enum Heard {
    Consumed(usize),
    Broken,
    /// A queued write was refused: what comes behind it is about a server without it.
    Refused,
}

/// Concludes every whole reply in `bytes`.
fn deliver_replies(
    core: &mut Core,
    peers: &mut Peers,
    touched: &mut Vec<Token>,
    number: usize,
    bytes: &[u8],
) -> Heard {
    let mut consumed = 0;
    loop {
        let Some(pool) = &mut core.pool else {
            return Heard::Consumed(consumed);
        };
        let link = &mut pool.links[number];
        if link.refused {
            return Heard::Refused;
        }
        match link.core.receive(&bytes[consumed..], core.now) {
            Received::Incomplete { want } => {
                link.want = want;
                return Heard::Consumed(consumed);
            }
            Received::Broken => return Heard::Broken,
            Received::Unheard { consumed: len } => consumed += len,
            Received::Skipped { consumed: len } => {
                consumed += len;
                core.hear_too_much(number);
            }
            Received::Push {
                frame,
                consumed: len,
            } => {
                consumed += len;
                core.hear_push(number, frame);
            }
            Received::Complete {
                tag,
                reply,
                consumed: len,
            } => {
                consumed += len;
                core.conclude(number, tag, &reply, &mut |core, delivery| {
                    deliver(core, peers, touched, &delivery);
                });
            }
        }
    }
}

/// Gives a client of this shard a reply.
pub(in crate::shard) fn deliver(
    core: &mut Core,
    peers: &mut Peers,
    touched: &mut Vec<Token>,
    delivery: &Delivery<'_>,
) {
    let origin = delivery.origin;
    if let Some(conn) = peers.downstream(origin.token) {
        conn.session
            .deliver(core, origin.seq, delivery.failed, delivery.bytes);
        if touched.last() != Some(&origin.token) {
            touched.push(origin.token);
        }
    }
}
