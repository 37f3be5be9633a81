//! The turn: submit and wait, complete, drain the mailboxes, execute, flush, tick.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    buffers::BufferPool,
    core::Core,
    downstream::Downstream,
    errand::Delivery,
    message::{Answer, Ask},
    pool::{Pool, PoolSettings},
    resp::Client,
    session::FrontEnd,
    settings::{DRAIN_MS_MAX, STOP_TURNS_MAX, Settings, TICK_MS},
    stats::StatsBoard,
};
use crate::{
    backend::Received,
    io::{Completion, Errno, Io, ListenerId, RecvBuffer, Token, Wait},
    mesh::MeshPort,
    protocol::{memcache, resp},
    store::{ShardStore, UnixMs},
};

/// Tells all shards to finish.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks the shards to stop; each must be woken to notice.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a shard is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its partition, and its view of the others.
    pub store: ShardStore,
    /// Its port of the mesh.
    pub mesh: MeshPort<Ask, Answer>,
    /// What is the same for all.
    pub settings: Arc<Settings>,
    /// All shards' counters.
    pub board: StatsBoard,
    /// Client connections open on all shards.
    pub connection_count: Arc<AtomicUsize>,
    /// Raised when the process is to end.
    pub stop: StopFlag,
    /// The pool, in pool mode.
    pub pool: Option<PoolSettings>,
}

/// Who is at the other end of a socket.
enum Peer {
    Downstream(Box<Downstream>),
    Backend { server: usize },
}

/// A shard on its I/O.
pub struct Shard<I> {
    io: I,
    core: Core,
    peers: Vec<Option<(Token, Peer)>>,
    /// Connections with replies to send.
    dirty: Vec<Token>,
    /// Connections with requests to try again.
    held: VecDeque<Token>,
    completions: Vec<Completion>,
    /// Connections that got a reply from a backend and are to be settled.
    touched: Vec<Token>,
    connection_count: Arc<AtomicUsize>,
    client_count: u64,
    stop: StopFlag,
    /// Turns since the stop, until draining begins.
    stop_turns: u32,
    /// When draining must be over, once it has begun.
    drain_until: Option<UnixMs>,
    accept_failed: [bool; 2],
    /// Sends to clients that have not ended, and how many of them this turn began.
    sends_in_flight: usize,
    sends_new: usize,
    next_tick: UnixMs,
    store_tick: Option<UnixMs>,
}

const LISTENERS: [ListenerId; 2] = [ListenerId::Memcache, ListenerId::Resp];

impl<I: Io> Shard<I> {
    /// A shard that accepts from its first turn on.
    pub fn new(mut io: I, parts: Parts) -> Self {
        let Parts {
            store,
            mesh,
            settings,
            board,
            connection_count,
            stop,
            pool,
        } = parts;
        let now = io.now();
        LISTENERS.iter().for_each(|listener| io.accept(*listener));
        let value_bytes_max = settings.item_bytes_max;
        let pool = pool.map(|pool| Pool::new(&pool, store.hasher(), value_bytes_max));
        let mut core = Core {
            now,
            store,
            is_short: false,
            mesh,
            pool,
            buffers: BufferPool::new(),
            settings,
            board,
            old: Vec::new(),
            flush_asks: Vec::new(),
            waiters: Vec::new(),
        };
        core.store.online();
        let mut shard = Self {
            io,
            core,
            peers: Vec::new(),
            dirty: Vec::new(),
            held: VecDeque::new(),
            completions: Vec::new(),
            touched: Vec::new(),
            connection_count,
            client_count: 0,
            stop,
            stop_turns: 0,
            drain_until: None,
            accept_failed: [false; 2],
            sends_in_flight: 0,
            sends_new: 0,
            next_tick: now,
            store_tick: None,
        };
        // Backends are being connected before the first client can ask for one.
        shard.tick_links();
        shard
    }

    /// Runs one turn. False once the shard has been told to stop and has finished.
    ///
    /// # Errors
    /// The ring as a whole is broken.
    pub fn turn(&mut self) -> io::Result<bool> {
        self.wait()?;
        self.core.now = self.io.now();
        self.core.is_short = false;
        let mut completions = std::mem::take(&mut self.completions);
        let is_quiet = completions.is_empty();
        for completion in completions.drain(..) {
            self.complete(completion);
        }
        self.completions = completions;
        self.drain_mailboxes();
        self.core.send_flush_asks();
        self.retry_held();
        if self.drain_until.is_none() && self.stop.is_raised() {
            self.drain_once_read(is_quiet);
        }
        if self.core.now >= self.next_tick {
            self.tick();
        }
        self.flush();
        Ok(!self.is_drained())
    }

    /// Announces that no reference is held, and waits for something to do.
    fn wait(&mut self) -> io::Result<()> {
        let Self { io, core, .. } = self;
        core.mesh.take_wakes(|shard| io.wake(shard));
        core.store.offline();
        let is_stopping = self.stop_turns > 0 && self.drain_until.is_none();
        let wait = if !is_stopping && core.mesh.try_sleep() {
            self.patience()
        } else {
            Wait::Poll
        };
        // After an error it stays asleep and reads nothing: nobody waits for it.
        self.io.turn(wait, &mut self.completions)?;
        self.core.mesh.awake();
        self.core.store.online();
        Ok(())
    }

    /// How long nothing needs to be looked at.
    fn patience(&self) -> Wait {
        // A send that was not done at once has met a client that does not read.
        let needs_tick = self.sends_in_flight > self.sends_new
            || self.drain_until.is_some()
            || self.accept_failed.contains(&true)
            || !self.held.is_empty()
            || self.core.pool.as_ref().is_some_and(Pool::needs_tick);
        let tick = needs_tick.then_some(self.next_tick);
        let tick = if self.core.is_short {
            Some(UnixMs(self.core.now.0 + 1))
        } else {
            tick
        };
        let due = match (tick, self.store_tick) {
            (Some(tick), Some(store)) => Some(tick.min(store)),
            (one, other) => one.or(other),
        };
        match due {
            None => Wait::Forever,
            Some(at) => Wait::AtMost(Duration::from_millis(at.0.saturating_sub(self.core.now.0))),
        }
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Received { token, buffer } => self.received(token, buffer),
            Completion::Sent {
                token,
                buffer,
                result,
            } => self.sent(token, buffer, result),
            Completion::Accepted { listener, token } => self.accepted(listener, token),
            Completion::Ended { token, .. } => self.ended(token),
            Completion::Connected { token, result } => self.connected(token, result),
            Completion::AcceptFailed { listener, errno } => {
                tracing::warn!(?listener, errno = errno.0, "accepting failed, trying again");
                self.accept_failed[listener as usize] = true;
            }
            Completion::Woken => {}
        }
    }

    fn received(&mut self, token: Token, buffer: RecvBuffer) {
        let Self {
            io, core, peers, ..
        } = self;
        let server = match find(peers, token) {
            Some(Peer::Downstream(conn)) => {
                conn.received(core, io.bytes(&buffer));
                None
            }
            Some(Peer::Backend { server }) => Some(*server),
            None => None,
        };
        if let Some(server) = server {
            self.backend_received(server, &buffer);
        } else {
            self.settle(token);
        }
        self.io.release(buffer);
    }

    fn sent(&mut self, token: Token, buffer: Vec<u8>, result: Result<(), Errno>) {
        self.core.buffers.put(buffer);
        match (find(&mut self.peers, token), result) {
            (Some(Peer::Downstream(conn)), Ok(())) => {
                self.sends_in_flight -= 1;
                conn.sent();
                self.settle(token);
            }
            (Some(Peer::Downstream(_)), Err(_)) => self.close_downstream(token),
            (Some(Peer::Backend { server }), Ok(())) => {
                let server = *server;
                if let Some(pool) = &mut self.core.pool {
                    pool.links[server].sent();
                }
            }
            (Some(Peer::Backend { server }), Err(errno)) => {
                let server = *server;
                self.disconnect(server, &format_args!("sending failed, error {}", errno.0));
            }
            (None, _) => {}
        }
    }

    fn accepted(&mut self, listener: ListenerId, token: Token) {
        let counters = self.core.counters();
        let is_over = self.connection_count.fetch_add(1, Ordering::Relaxed)
            >= self.core.settings.connections_max;
        counters.connections_total.add(1);
        counters.connections.add(1);
        if is_over {
            counters.connections_refused.add(1);
        }
        self.client_count += 1;
        let shard_count = self.core.mesh.shard_count() as u64;
        let front_end = match listener {
            ListenerId::Memcache => FrontEnd::Memcache,
            ListenerId::Resp => FrontEnd::Resp(Client {
                id: self.client_count * shard_count - self.core.shard() as u64,
                ..Client::default()
            }),
        };
        let mut conn = Box::new(Downstream::new(token, front_end));
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
        put(&mut self.peers, token, Peer::Downstream(conn));
        self.io.recv(token);
        self.settle(token);
    }

    fn ended(&mut self, token: Token) {
        match find(&mut self.peers, token) {
            Some(Peer::Downstream(conn)) => {
                conn.ended();
                self.settle(token);
            }
            Some(Peer::Backend { server }) => {
                let server = *server;
                self.disconnect(server, &"it closed the connection");
            }
            None => {}
        }
    }

    /// Brings a connection's place in the lists in line with its state.
    fn settle(&mut self, token: Token) {
        let Some(Peer::Downstream(conn)) = find(&mut self.peers, token) else {
            return;
        };
        if conn.is_finished() {
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
        if conn.wants_pause() != conn.is_paused {
            conn.is_paused = !conn.is_paused;
            if conn.is_paused {
                self.io.recv_pause(token)
            } else {
                self.io.recv(token)
            }
        }
    }

    fn close_downstream(&mut self, token: Token) {
        let Some(Peer::Downstream(mut conn)) = take(&mut self.peers, token) else {
            return;
        };
        self.sends_in_flight -= usize::from(conn.is_sending());
        conn.recycle(&mut self.core.buffers);
        self.core.counters().connections.sub(1);
        self.connection_count.fetch_sub(1, Ordering::Relaxed);
        self.io.close(token);
    }

    fn drain_mailboxes(&mut self) {
        for shard in 0..self.core.mesh.shard_count() {
            while !self.core.must_wait()
                && let Some(ask) = self.core.mesh.next_asked(shard)
            {
                self.core.serve(shard, ask);
            }
            while let Some(Answer { origin, body }) = self.core.mesh.next_answered(shard) {
                let Self { core, peers, .. } = self;
                if let Some(Peer::Downstream(conn)) = find(peers, origin.token) {
                    conn.session.answered(core, origin.seq, body);
                    self.settle(origin.token);
                }
            }
        }
    }

    fn retry_held(&mut self) {
        for _ in 0..self.held.len() {
            let Some(token) = self.held.pop_front() else {
                return;
            };
            let Self { core, peers, .. } = self;
            if let Some(Peer::Downstream(conn)) = find(peers, token) {
                conn.is_listed_held = false;
                conn.retry(core);
                self.settle(token);
            }
        }
    }

    /// Sends what has become ready, once a turn and connection.
    fn flush(&mut self) {
        self.sends_new = 0;
        let Self {
            io,
            core,
            peers,
            dirty,
            ..
        } = self;
        if let Some(pool) = &mut core.pool {
            pool.links
                .iter_mut()
                .for_each(|link| link.flush(io, &mut core.buffers));
        }
        for token in dirty.drain(..) {
            let Some(Peer::Downstream(conn)) = find(peers, token) else {
                continue;
            };
            conn.is_listed_dirty = false;
            if conn.wants_flush() {
                let output = conn.start_send(core.now);
                self.sends_new += 1;
                core.board
                    .of(core.mesh.shard())
                    .bytes_written
                    .add(output.len() as u64);
                io.send(token, output);
            }
        }
        self.sends_in_flight += self.sends_new;
    }

    /// Looks at what only time changes.
    fn tick(&mut self) {
        let now = self.core.now;
        self.next_tick = UnixMs(now.0 + TICK_MS);
        if self.store_tick.is_some_and(|at| at <= now) {
            self.core.store.tick(now);
        }
        self.store_tick = self.core.store.next_tick(now);
        for listener in LISTENERS {
            if std::mem::take(&mut self.accept_failed[listener as usize]) {
                self.io.accept(listener);
            }
        }
        self.tick_links();
        self.close_stalled();
    }

    fn tick_links(&mut self) {
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
                put(peers, token, Peer::Backend { server });
            }
        }
    }

    fn close_stalled(&mut self) {
        let now = self.core.now;
        let stalled: Vec<Token> = self
            .peers
            .iter()
            .flatten()
            .filter_map(|(token, peer)| match peer {
                Peer::Downstream(conn) if conn.is_stalled(now) => Some(*token),
                _ => None,
            })
            .collect();
        stalled
            .into_iter()
            .for_each(|token| self.close_downstream(token));
    }

    fn connected(&mut self, token: Token, result: Result<(), Errno>) {
        let Some(Peer::Backend { server }) = find(&mut self.peers, token) else {
            return;
        };
        let server = *server;
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

    fn backend_received(&mut self, server: usize, buffer: &RecvBuffer) {
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
                bytes::Buf::advance(&mut input, consumed);
            }
        }
        self.after_replies(server, progress, input);
    }

    fn after_replies(&mut self, server: usize, progress: Progress, input: bytes::BytesMut) {
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
    fn disconnect(&mut self, server: usize, why: &dyn std::fmt::Display) {
        let now = self.core.now;
        let Some(pool) = &mut self.core.pool else {
            return;
        };
        let link = &mut pool.links[server];
        tracing::warn!(backend = %link.address, shard = self.core.mesh.shard(), "lost: {why}");
        if let Some(token) = link.disconnect(now) {
            take(&mut self.peers, token);
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
            core.fail(pending, &mut |core, delivery| {
                deliver(core, peers, touched, &delivery)
            });
        }
        self.settle_touched();
        self.next_tick = now;
    }

    /// Settles the connections that backends' replies or failures have changed.
    fn settle_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for token in touched.drain(..) {
            self.settle(token);
        }
        self.touched = touched;
    }

    /// Starts to drain once a turn that began after the stop brought nothing more: what clients had
    /// sent by then is answered. Those that go on sending do not hold the end up for long.
    fn drain_once_read(&mut self, is_quiet: bool) {
        self.stop_turns += 1;
        if (is_quiet && self.stop_turns > 1) || self.stop_turns > STOP_TURNS_MAX {
            self.start_drain();
        }
    }

    /// Stops accepting and receiving; what has arrived is answered.
    fn start_drain(&mut self) {
        self.drain_until = Some(UnixMs(self.core.now.0 + DRAIN_MS_MAX));
        LISTENERS
            .iter()
            .for_each(|listener| self.io.accept_stop(*listener));
        let tokens: Vec<Token> = self
            .peers
            .iter()
            .flatten()
            .filter(|(_, peer)| matches!(peer, Peer::Downstream(_)))
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            if let Some(Peer::Downstream(conn)) = find(&mut self.peers, token) {
                conn.ended();
            }
            self.settle(token);
        }
    }

    /// Whether draining has begun and is over.
    fn is_drained(&self) -> bool {
        let Some(until) = self.drain_until else {
            return false;
        };
        let unconfirmed = self.core.pool.as_ref().map_or(0, Pool::unconfirmed);
        if self.core.now >= until {
            if unconfirmed > 0 {
                tracing::error!(unconfirmed, "invalidations are lost: no backend took them");
            }
            return true;
        }
        // Clients of other shards may wait for what only this one can do.
        let has_clients = self.connection_count.load(Ordering::Relaxed) > 0;
        !has_clients && unconfirmed == 0
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
    peers: &mut [Option<(Token, Peer)>],
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

fn deliver(
    core: &mut Core,
    peers: &mut [Option<(Token, Peer)>],
    touched: &mut Vec<Token>,
    delivery: &Delivery<'_>,
) {
    let origin = delivery.origin;
    if let Some(Peer::Downstream(conn)) = find(peers, origin.token) {
        conn.session
            .deliver(core, origin.seq, delivery.failed, delivery.bytes);
        if touched.last() != Some(&origin.token) {
            touched.push(origin.token);
        }
    }
}

fn find(peers: &mut [Option<(Token, Peer)>], token: Token) -> Option<&mut Peer> {
    match peers.get_mut(token.index()) {
        Some(Some((owner, peer))) if *owner == token => Some(peer),
        _ => None,
    }
}

fn put(peers: &mut Vec<Option<(Token, Peer)>>, token: Token, peer: Peer) {
    if peers.len() <= token.index() {
        peers.resize_with(token.index() + 1, || None);
    }
    peers[token.index()] = Some((token, peer));
}

fn take(peers: &mut [Option<(Token, Peer)>], token: Token) -> Option<Peer> {
    find(peers, token)?;
    peers[token.index()].take().map(|(_, peer)| peer)
}
