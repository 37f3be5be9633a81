//! What there is in a simulated world, and what can happen to it.

use std::collections::VecDeque;

use super::{Faults, SimRng, servers::Server};
use crate::{
    io::{Errno, ListenerId, Outgoing, Room, Token, token::SocketTable},
    store::UnixMs,
};

/// When the world begins: a plausible date, as memcached's expiry times depend on it, and entries tell
/// time from 2025 on.
const BEGINNING: UnixMs = UnixMs(1_800_000_000_000);

/// All of it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: SimRng,
    pub(super) now: UnixMs,
    pub(super) faults: Faults,
    /// Servers read a closed connection to its end in their next turn.
    pub(super) reads_in_turns: bool,
    pub(super) shards: Vec<ShardSide>,
    pub(super) remotes: Vec<Remote>,
    pub(super) servers: Vec<Server>,
}

/// What the kernel keeps for one shard.
#[derive(Debug)]
pub(super) struct ShardSide {
    pub(super) sockets: SocketTable<Socket>,
    /// The tokens in `sockets`.
    pub(super) open: Vec<Token>,
    pub(super) listeners: [Listener; 2],
    pub(super) is_woken: bool,
    pub(super) sleep: Sleep,
    pub(super) buffers_out: usize,
}

/// Whether a shard's last turn would have blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    Awake,
    /// Until something happens, or this time has come.
    Until(Option<UnixMs>),
}

#[derive(Debug, Default)]
pub(super) struct Listener {
    pub(super) state: Listening,
    pub(super) backlog: VecDeque<usize>,
    /// It was accepted as the listener closed.
    pub(super) late: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listening {
    #[default]
    Idle,
    Accepting,
    Closed,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) remote: usize,
    pub(super) is_connecting: bool,
    pub(super) receiving: Receiving,
    /// What is being received into, and how many bytes came and are still to come.
    pub(super) filling: Option<(Room, usize, usize)>,
    /// What is in flight and how much of it has gone out.
    pub(super) sending: Option<(Outgoing, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    Off,
    Armed,
    Once,
    Filling,
    /// Paused, but what is in flight may still come.
    Stopping,
    Ended,
}

impl Receiving {
    /// Whether the kernel has an operation that bytes complete.
    pub(super) fn is_armed(self) -> bool {
        matches!(self, Self::Armed | Self::Once | Self::Filling)
    }
}

/// The far end of a socket: a client, or a server's connection.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) shard: usize,
    /// The server it belongs to; none for a client.
    pub(super) server: Option<usize>,
    /// Sent by it and not yet received by the shard.
    pub(super) to_shard: VecDeque<u8>,
    /// What comes after that: the end of its bytes, or an error.
    pub(super) end: Option<Option<Errno>>,
    /// Nothing of it is delivered for now.
    pub(super) is_held: bool,
    /// Sent by the shard, and not looked at.
    pub(super) received: Vec<u8>,
    /// Bytes it still takes.
    pub(super) window: usize,
    /// It reads nothing more: what is sent to it is lost or fails.
    pub(super) is_gone: bool,
    /// The shard has closed its socket.
    pub(super) is_closed: bool,
    /// Turns in which its server has not read it although it is closed.
    pub(super) late_turns: u8,
}

impl World {
    pub(super) fn new(seed: u64, shard_count: usize) -> Self {
        Self {
            rng: SimRng::new(seed),
            now: BEGINNING,
            faults: Faults::NONE,
            reads_in_turns: false,
            shards: (0..shard_count).map(|_| ShardSide::new()).collect(),
            remotes: Vec::new(),
            servers: Vec::new(),
        }
    }

    pub(super) fn remote(&mut self, remote: usize) -> &mut Remote {
        &mut self.remotes[remote]
    }

    pub(super) fn add_remote(&mut self, shard: usize, server: Option<usize>) -> usize {
        self.remotes.push(Remote {
            shard,
            server,
            to_shard: VecDeque::new(),
            end: None,
            is_held: false,
            received: Vec::new(),
            window: usize::MAX,
            is_gone: false,
            is_closed: false,
            late_turns: 0,
        });
        self.remotes.len() - 1
    }

    pub(super) fn connect_client(&mut self, shard: usize, listener: ListenerId) -> usize {
        let remote = self.add_remote(shard, None);
        let listener = &mut self.shards[shard].listeners[listener as usize];
        if listener.state == Listening::Closed {
            self.remotes[remote].is_closed = true;
        } else {
            listener.backlog.push_back(remote);
        }
        remote
    }

    pub(super) fn send(&mut self, remote: usize, bytes: &[u8]) {
        let remote = &mut self.remotes[remote];
        if !remote.is_closed && remote.end.is_none() {
            remote.to_shard.extend(bytes);
        }
    }

    /// Notes what is being received, where nothing was. The socket, unless nothing comes any more.
    pub(super) fn start_receive(
        &mut self,
        shard: usize,
        token: Token,
        receiving: Receiving,
    ) -> Option<&mut Socket> {
        let socket = self.shards[shard].sockets.get_mut(token)?;
        if socket.receiving == Receiving::Ended {
            return None;
        }
        assert_eq!(socket.receiving, Receiving::Off, "one receive in flight");
        socket.receiving = receiving;
        Some(socket)
    }

    pub(super) fn end(&mut self, remote: usize, errno: Option<Errno>) {
        self.remotes[remote].end.get_or_insert(errno);
    }

    pub(super) fn leave(&mut self, remote: usize) {
        self.end(remote, None);
        self.remotes[remote].is_gone = true;
    }

    pub(super) fn reset(&mut self, remote: usize) {
        let remote = &mut self.remotes[remote];
        remote.to_shard.clear();
        remote.end = Some(Some(Errno(libc::ECONNRESET)));
        remote.is_gone = true;
    }

    pub(super) fn wake(&mut self, shard: usize) {
        self.shards[shard].is_woken = true;
    }

    pub(super) fn open_sockets(&self, shard: usize) -> usize {
        self.shards[shard].open.len()
    }

    pub(super) fn buffers_out(&self, shard: usize) -> usize {
        self.shards[shard].buffers_out
    }

    pub(super) fn is_ready(&mut self, shard: usize) -> bool {
        let side = &self.shards[shard];
        let is_due = match side.sleep {
            Sleep::Awake => true,
            Sleep::Until(until) => until.is_some_and(|until| self.now >= until),
        };
        is_due || side.is_woken || !self.chances(shard).is_empty()
    }

    pub(super) fn next_alarm(&self) -> Option<UnixMs> {
        self.shards
            .iter()
            .filter_map(|side| match side.sleep {
                Sleep::Awake => None,
                Sleep::Until(until) => until,
            })
            .min()
    }

    /// Everything that could complete on a shard now.
    pub(super) fn chances(&mut self, shard: usize) -> Vec<Chance> {
        let mut chances = Vec::new();
        for listener in [ListenerId::Memcache, ListenerId::Resp] {
            let Listener {
                state,
                backlog,
                late,
            } = &self.shards[shard].listeners[listener as usize];
            if (*state == Listening::Accepting && !backlog.is_empty()) || late.is_some() {
                chances.push(Chance::Accept(listener));
            }
        }
        for token in self.shards[shard].open.clone() {
            let Some(socket) = self.shards[shard].sockets.get_mut(token) else {
                continue;
            };
            let remote = &self.remotes[socket.remote];
            let may_send = remote.window > 0 || remote.is_gone;
            let sends = socket.sending.is_some() && may_send;
            let has_input = !remote.to_shard.is_empty() || remote.end.is_some();
            let receives = socket.receiving == Receiving::Stopping
                || (socket.receiving.is_armed() && has_input && !remote.is_held);
            let (is_connecting, remote) = (socket.is_connecting, socket.remote);
            if is_connecting {
                if !self.connect_hangs(remote) {
                    chances.push(Chance::Connect(token));
                }
                continue;
            }
            if sends {
                chances.push(Chance::Send(token));
            }
            if receives {
                chances.push(Chance::Receive(token));
            }
        }
        chances
    }
}

/// Something that could complete.
#[derive(Debug, Clone, Copy)]
pub(super) enum Chance {
    Accept(ListenerId),
    Connect(Token),
    Send(Token),
    Receive(Token),
}

/// How many of `count` bytes go at once: at least one.
pub(super) fn cut(rng: &mut SimRng, faults: &Faults, count: usize) -> usize {
    if count > 1 && rng.chance(faults.cut) {
        1 + rng.below(count - 1)
    } else {
        count
    }
}

impl ShardSide {
    fn new() -> Self {
        Self {
            sockets: SocketTable::new(),
            open: Vec::new(),
            listeners: Default::default(),
            is_woken: false,
            sleep: Sleep::Awake,
            buffers_out: 0,
        }
    }

    pub(super) fn add(&mut self, remote: usize, is_connecting: bool) -> Token {
        let token = self.sockets.insert(Socket {
            remote,
            is_connecting,
            receiving: Receiving::Off,
            filling: None,
            sending: None,
        });
        self.open.push(token);
        token
    }
}
