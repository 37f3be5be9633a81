//! The turn: submit and wait, complete, drain the mailboxes, execute, flush, tick, settle down.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, atomic::AtomicUsize},
};

use super::{
    core::Core,
    drain::StopFlag,
    peers::{Peer, Peers},
    pool::{Pool, backends::Loss},
    settings::TICK_MS,
    spin::Spin,
};
use crate::{
    io::{Completion, Errno, Io, ListenerId, Outgoing, RecvBuffer, Token, Wait},
    store::{Author, UnixMs},
};

/// A shard on its I/O.
pub struct Shard<I> {
    pub(super) io: I,
    pub(super) core: Core,
    pub(super) peers: Peers,
    /// Connections with replies to send.
    pub(super) dirty: Vec<Token>,
    /// Connections with requests to try again.
    pub(super) held: VecDeque<Token>,
    pub(super) completions: Vec<Completion>,
    /// Connections that got a reply from a backend and are to be settled.
    pub(super) touched: Vec<Token>,
    pub(super) connection_count: Arc<AtomicUsize>,
    pub(super) client_count: u64,
    pub(super) stop: StopFlag,
    /// Turns since the stop, until draining begins.
    pub(super) stop_turns: u32,
    /// When draining must be over, once it has begun.
    pub(super) drain_until: Option<UnixMs>,
    pub(super) accept_failed: [bool; 2],
    /// Sends to clients that have not ended.
    pub(super) sends_in_flight: usize,
    /// When clients that say nothing are looked for next.
    pub(super) next_idle_check: UnixMs,
    pub(super) next_tick: UnixMs,
    /// When links to backends are looked at, if that is before the next tick.
    pub(super) link_alarm: UnixMs,
    pub(super) spin: Spin,
    /// How long the next turn waits for something to do.
    pub(super) rest: Wait,
}

pub(super) const LISTENERS: [ListenerId; 2] = [ListenerId::Memcache, ListenerId::Resp];

impl<I: Io> Shard<I> {
    /// Runs one turn. False once the shard has been told to stop and has finished.
    ///
    /// # Errors
    /// The ring as a whole is broken.
    pub fn turn(&mut self) -> io::Result<bool> {
        self.wait()?;
        self.core.now = self.io.now();
        self.core.is_short = false;
        self.core.is_busy = false;
        self.core.begin_turn();
        self.core.store.set_author(Author::NOBODY);
        if self.store_tick().is_some_and(|at| at <= self.core.now) {
            self.core.tick_store();
        }
        let mut completions = std::mem::take(&mut self.completions);
        let is_quiet = completions.is_empty();
        for completion in completions.drain(..) {
            self.complete(completion);
        }
        self.completions = completions;
        let has_mail = self.drain_mailboxes();
        let stopwatch = self.core.stopwatch;
        self.spin
            .saw(!is_quiet || has_mail, || stopwatch.elapsed_ns());
        self.hear_spool();
        self.hear_group();
        self.start_flushes();
        self.core.send_asks();
        self.run_own_rounds();
        self.core.gather_world();
        self.retry_held();
        self.pass_on_shutdown();
        if self.core.settle_world() {
            self.retry_held();
        }
        if self.drain_until.is_none() && self.stop.is_raised() {
            self.drain_once_read(is_quiet);
        }
        if self.core.now >= self.next_tick {
            self.tick();
        } else if self.core.now >= self.link_alarm {
            self.tick_links();
        }
        if self.core.admission.has_waiting() {
            self.admit();
        }
        self.core.send_all_mutations();
        self.tell();
        if let Some(spool) = &mut self.core.spool {
            spool.flush();
        }
        if let Some(group) = &mut self.core.group {
            group.flush();
        }
        self.flush();
        self.address_slow_requests();
        let is_drained = self.is_drained();
        self.settle_down();
        Ok(!is_drained)
    }

    /// Waits for something to do.
    fn wait(&mut self) -> io::Result<()> {
        // After an error it stays asleep, reads nothing and changes nothing: nobody waits for it.
        self.io.turn(self.rest, &mut self.completions)?;
        self.core.mesh.awake();
        self.core.store.online();
        Ok(())
    }

    /// Announces that no reference is held and, if it may sleep, leaves its partition to the others until it wakes up.
    fn settle_down(&mut self) {
        let Self { io, core, spin, .. } = self;
        core.mesh.take_wakes(|shard| io.wake(shard));
        core.store.offline();
        let is_stopping = self.stop_turns > 0 && self.drain_until.is_none();
        let is_spinning = spin.goes_on(|| core.stopwatch.elapsed_ns());
        let may_sleep = !is_stopping && !core.is_busy && !is_spinning;
        self.rest = Wait::Poll;
        if may_sleep && core.mesh.try_sleep() {
            self.rest = self.patience();
            self.core.store.lend();
        }
    }

    /// How long nothing needs to be looked at.
    fn patience(&mut self) -> Wait {
        // A share that is owed is given in a turn that comes at once.
        if self.core.rounds.has_own() {
            return Wait::Poll;
        }
        let needs_tick = self.sends_in_flight > 0
            || self.watches_idle_clients()
            || self.drain_until.is_some()
            || self.accept_failed.contains(&true)
            || !self.held.is_empty()
            || self.core.tracking_needs_tick()
            || self.core.pool.as_ref().is_some_and(Pool::needs_tick);
        let tick = needs_tick.then_some(self.next_tick);
        let is_soon =
            self.core.is_short || self.core.has_unsent_notices() || !self.dirty.is_empty();
        let soon = is_soon.then(|| UnixMs(self.core.now.0 + 1));
        let pool = self.core.pool.as_ref();
        let link = pool.and_then(|pool| pool.next_timeout(self.core.now));
        self.link_alarm = link.unwrap_or(UnixMs(u64::MAX));
        let large = self.core.admission.next_tick();
        let pause = self.core.pause.end();
        let dues = [tick, soon, pause, self.store_tick(), link, large];
        match dues.into_iter().fold(None, UnixMs::soonest) {
            None => Wait::Forever,
            Some(at) => Wait::Until(at),
        }
    }

    /// When the store wants to do what is due. Not while the world is one connection's: everything
    /// might disappear.
    fn store_tick(&self) -> Option<UnixMs> {
        let is_closed = self.core.world.is_closed();
        self.core.store.next_tick().filter(|_| !is_closed)
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Received { token, buffer } => self.received(token, buffer),
            Completion::Filled { token, room, count } => self.filled(token, room, count),
            Completion::Paused { token } => self.receive_stopped(token),
            Completion::Sent {
                token,
                output,
                result,
            } => self.sent(token, output, result),
            Completion::Accepted { listener, token } => self.accepted(listener, token),
            Completion::Ended { token, .. } => self.ended(token),
            Completion::Connected { token, result } => self.connected(token, result),
            Completion::AcceptFailed { listener, errno } => {
                let error = io::Error::from(errno);
                tracing::warn!(?listener, %error, "accepting failed, trying again");
                self.accept_failed[listener as usize] = true;
            }
            Completion::Woken => {}
        }
    }

    fn received(&mut self, token: Token, buffer: RecvBuffer) {
        let Self {
            io, core, peers, ..
        } = self;
        let number = match peers.find(token) {
            Some(Peer::Downstream(conn)) => {
                conn.received(core, io.bytes(&buffer));
                None
            }
            Some(Peer::Backend { link }) => Some(*link),
            Some(Peer::Dedicated { .. }) | None => None,
        };
        if let Some(number) = number {
            self.backend_received(number, &buffer);
        } else if let Some(slot) = self.peers.dedicated(token) {
            self.dedicated_received(slot, &buffer);
        } else {
            self.settle(token);
        }
        self.io.release(buffer);
    }

    fn sent(&mut self, token: Token, output: Outgoing, result: Result<(), Errno>) {
        match (self.peers.find(token), result) {
            (Some(Peer::Downstream(conn)), Ok(())) => {
                self.core.buffers.put_output(output);
                self.sends_in_flight -= 1;
                conn.sent();
                self.settle(token);
            }
            (Some(Peer::Downstream(conn)), Err(_)) => {
                self.core.buffers.put_output(output);
                self.sends_in_flight -= 1;
                conn.sent();
                self.close_downstream(token);
            }
            (Some(Peer::Backend { link: number }), result) => {
                let number = *number;
                self.backend_sent(number, output.bytes);
                if let Err(errno) = result {
                    let why = format_args!("sending failed: {}", io::Error::from(errno));
                    self.disconnect(number, Loss::Seen(&why));
                }
            }
            (Some(Peer::Dedicated { slot }), result) => {
                let slot = *slot;
                self.dedicated_sent(slot, output.bytes);
                if result.is_err() {
                    self.lose_dedicated(slot);
                }
            }
            (None, _) => self.core.buffers.put_output(output),
        }
    }

    fn ended(&mut self, token: Token) {
        match self.peers.find(token) {
            Some(Peer::Downstream(conn)) => {
                conn.ended();
                self.settle(token);
            }
            Some(Peer::Backend { link: number }) => {
                let number = *number;
                self.disconnect(number, Loss::Seen(&"it closed the connection"));
            }
            Some(Peer::Dedicated { slot }) => {
                let slot = *slot;
                self.lose_dedicated(slot);
            }
            None => {}
        }
    }

    fn retry_held(&mut self) {
        if self.core.world.is_closed() && !self.core.world.is_won() {
            return;
        }
        for _ in 0..self.held.len() {
            let Some(token) = self.held.pop_front() else {
                return;
            };
            let Self { core, peers, .. } = self;
            if let Some(conn) = peers.downstream(token) {
                conn.is_listed_held = false;
                conn.retry(core);
                self.settle(token);
            }
        }
    }

    /// Sends what has become ready, once a turn and connection, but for what is to wait.
    fn flush(&mut self) {
        self.flush_links();
        self.flush_dedicated();
        let Self {
            io,
            core,
            peers,
            dirty,
            ..
        } = self;
        let sends_in_flight = &mut self.sends_in_flight;
        dirty.retain(|token| {
            let Some(conn) = peers.downstream(*token) else {
                return false;
            };
            if conn.waits_for_hop(core) {
                return true;
            }
            conn.is_listed_dirty = false;
            if conn.wants_flush() {
                let output = conn.start_send(core.now);
                *sends_in_flight += 1;
                let counters = core.board.of(core.mesh.shard());
                counters.writes.add(1);
                counters.bytes_written.add(output.total_bytes() as u64);
                io.send(*token, output);
            }
            false
        });
    }

    /// Looks at what only time changes.
    fn tick(&mut self) {
        let now = self.core.now;
        self.next_tick = UnixMs(now.0 + TICK_MS);
        for listener in LISTENERS {
            if std::mem::take(&mut self.accept_failed[listener as usize]) {
                self.io.accept(listener);
            }
        }
        self.tick_links();
        self.tick_dedicated();
        self.core.tick_tracking();
        self.close_overdue();
    }

    /// Settles the connections that backends' replies or failures have changed.
    pub(super) fn settle_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for token in touched.drain(..) {
            self.settle(token);
        }
        self.touched = touched;
    }
}
