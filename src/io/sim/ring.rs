//! A shard's side of the simulated world.

use std::{io, mem, net::SocketAddr};

use super::{
    SimWorld,
    world::{Chance, Listening, Receiving, Sleep, World, cut},
};
use crate::{
    io::{
        Address, Completion, Endpoints, Errno, Io, ListenerEnd, ListenerId, Outgoing, RecvBuffer,
        Room, Stopwatch, Token, Wait,
    },
    store::UnixMs,
};

/// Receive buffers of a shard: few, so that running out of them is an everyday matter.
const BUFFER_COUNT: usize = 8;

/// Bytes of one buffer.
const BUFFER_BYTES: usize = 8 * 1024;

/// The [`Io`] of one shard in a simulated world.
#[derive(Debug)]
pub struct SimIo {
    world: SimWorld,
    shard: usize,
    /// Filled buffers by id, until they are released.
    buffers: [Option<Vec<u8>>; BUFFER_COUNT],
}

impl SimIo {
    pub(super) fn new(world: SimWorld, shard: usize) -> Self {
        Self {
            world,
            shard,
            buffers: Default::default(),
        }
    }

    /// Lets what is due complete, in any order, as the dice say.
    fn collect(&mut self, completions: &mut Vec<Completion>) {
        let world = self.world.clone();
        let mut world = world.world();
        loop {
            let mut chances = world.chances(self.shard);
            world.rng.shuffle(&mut chances);
            for chance in chances {
                let delay = world.faults.delay;
                if !world.rng.chance(delay) {
                    self.complete(&mut world, chance, completions);
                }
            }
            // A second helping: more than one completion of a socket in one turn.
            if world.rng.chance(500) {
                return;
            }
        }
    }

    fn complete(&mut self, world: &mut World, chance: Chance, completions: &mut Vec<Completion>) {
        let completion = match chance {
            Chance::Accept(listener) => accept(world, self.shard, listener),
            Chance::Connect(token) => connect(world, self.shard, token),
            Chance::Send(token) => send(world, self.shard, token),
            Chance::Receive(token) => {
                self.receive(world, token, completions);
                None
            }
        };
        completions.extend(completion);
    }

    fn receive(
        &mut self,
        world: &mut World,
        token: Token,
        completions: &mut Vec<Completion>,
    ) -> Option<()> {
        let socket = world.shards[self.shard].sockets.get_mut(token)?;
        let remote = socket.remote;
        if socket.filling.is_some() {
            return fill(world, (self.shard, token), completions);
        }
        let is_stopping = socket.receiving == Receiving::Stopping;
        if is_stopping {
            socket.receiving = Receiving::Off;
            if world.rng.chance(500) {
                completions.push(Completion::Paused { token });
                return None;
            }
        }
        let has_bytes = !world.remote(remote).to_shard.is_empty();
        let id = self.buffers.iter().position(Option::is_none);
        let socket = world.shards[self.shard].sockets.get_mut(token)?;
        match (has_bytes, id) {
            (true, Some(id)) => {
                if socket.receiving == Receiving::Once {
                    socket.receiving = Receiving::Off;
                }
                let count = world.remote(remote).to_shard.len().min(BUFFER_BYTES);
                let faults = world.faults;
                let count = cut(&mut world.rng, &faults, count);
                let bytes: Vec<u8> = world.remote(remote).to_shard.drain(..count).collect();
                world.shards[self.shard].buffers_out += 1;
                self.buffers[id] = Some(bytes);
                let buffer = RecvBuffer {
                    id: id as u16,
                    len: count as u32,
                };
                completions.push(Completion::Received { token, buffer });
            }
            // It starves until buffers are released.
            (true, None) => {}
            (false, _) if socket.receiving.is_armed() => {
                end(world, (self.shard, token), completions)?
            }
            (false, _) => {}
        }
        if is_stopping {
            completions.push(Completion::Paused { token });
        }
        Some(())
    }
}

/// Nothing more comes in, if that is so.
fn end(
    world: &mut World,
    (shard, token): (usize, Token),
    completions: &mut Vec<Completion>,
) -> Option<()> {
    let socket = world.shards[shard].sockets.get_mut(token)?;
    let remote = socket.remote;
    let errno = world.remote(remote).end?;
    let socket = world.shards[shard].sockets.get_mut(token)?;
    socket.receiving = Receiving::Ended;
    completions.push(Completion::Ended { token, errno });
    Some(())
}

/// Fills room of a connection's, as far as there are bytes. It is given back when it is full, when
/// nothing more comes, or when it is wanted back.
fn fill(
    world: &mut World,
    (shard, token): (usize, Token),
    completions: &mut Vec<Completion>,
) -> Option<()> {
    let socket = world.shards[shard].sockets.get_mut(token)?;
    let (remote, is_stopping) = (socket.remote, socket.receiving == Receiving::Stopping);
    let (mut room, mut came, mut left) = socket.filling.take()?;
    let is_outrun = !is_stopping || world.rng.chance(500);
    let there = world.remote(remote).to_shard.len().min(left);
    if there > 0 && is_outrun {
        let faults = world.faults;
        let count = cut(&mut world.rng, &faults, there);
        let bytes: Vec<u8> = world.remote(remote).to_shard.drain(..count).collect();
        room.append(&bytes);
        came += count;
        left -= count;
    }
    let is_at_end = world.remote(remote).to_shard.is_empty() && world.remote(remote).end.is_some();
    let socket = world.shards[shard].sockets.get_mut(token)?;
    if left > 0 && !is_stopping && !is_at_end {
        socket.filling = Some((room, came, left));
        return None;
    }
    socket.receiving = Receiving::Off;
    completions.push(Completion::Filled {
        token,
        room,
        count: came,
    });
    if left > 0 && came == 0 && is_at_end {
        return end(world, (shard, token), completions);
    }
    if is_stopping {
        completions.push(Completion::Paused { token });
    }
    Some(())
}

fn accept(world: &mut World, shard: usize, listener: ListenerId) -> Option<Completion> {
    let fails = world.rng.chance(world.faults.accept_failure);
    let side = &mut world.shards[shard];
    let entry = &mut side.listeners[listener as usize];
    if fails && entry.late.is_none() {
        entry.state = Listening::Idle;
        let errno = Errno(libc::EMFILE);
        return Some(Completion::AcceptFailed { listener, errno });
    }
    let remote = entry.late.take().or_else(|| entry.backlog.pop_front())?;
    let token = side.add(remote, false);
    Some(Completion::Accepted { listener, token })
}

fn connect(world: &mut World, shard: usize, token: Token) -> Option<Completion> {
    let socket = world.shards[shard].sockets.get_mut(token)?;
    socket.is_connecting = false;
    let remote = socket.remote;
    let result = world.connect_result(remote);
    Some(Completion::Connected { token, result })
}

fn send(world: &mut World, shard: usize, token: Token) -> Option<Completion> {
    let socket = world.shards[shard].sockets.get_mut(token)?;
    let remote = socket.remote;
    let (output, sent) = socket.sending.take()?;
    let is_gone = world.remote(remote).is_gone;
    // The kernel takes what fits into its own buffer before it hears that nobody reads it.
    if is_gone {
        let result = if world.rng.chance(500) {
            Ok(())
        } else {
            Err(Errno(libc::EPIPE))
        };
        return Some(Completion::Sent {
            token,
            output,
            result,
        });
    }
    let faults = world.faults;
    let count = cut(&mut world.rng, &faults, output.total_bytes() - sent);
    let count = count.min(world.remote(remote).window);
    let mut left = count;
    for piece in output.pieces(sent) {
        let taken = &piece[..left.min(piece.len())];
        world.remote(remote).received.extend_from_slice(taken);
        left -= taken.len();
    }
    if world.remote(remote).window != usize::MAX {
        world.remote(remote).window -= count;
    }
    let sent = sent + count;
    if sent < output.total_bytes() {
        let socket = world.shards[shard].sockets.get_mut(token)?;
        socket.sending = Some((output, sent));
        return None;
    }
    Some(Completion::Sent {
        token,
        output,
        result: Ok(()),
    })
}

impl Io for SimIo {
    fn now(&self) -> UnixMs {
        self.world.now()
    }

    fn stopwatch(&self) -> Stopwatch {
        Stopwatch::still()
    }

    fn endpoints(&self, token: Token) -> Option<Endpoints> {
        let mut world = self.world.world();
        let remote = world.shards[self.shard].sockets.get_mut(token)?.remote;
        Some(Endpoints {
            peer: SocketAddr::from(([10, 0, 0, 1], remote as u16)),
            local: SocketAddr::from(([10, 0, 0, 2], self.shard as u16)),
            descriptor: token.index() as i32,
        })
    }

    fn listener_end(&self, listener: ListenerId) -> Option<ListenerEnd> {
        let world = self.world.world();
        let state = world.shards[self.shard].listeners[listener as usize].state;
        (state != Listening::Closed).then(|| ListenerEnd {
            local: SocketAddr::from(([10, 0, 0, 2], self.shard as u16)),
            descriptor: -1 - listener as i32,
        })
    }

    fn accept(&mut self, listener: ListenerId) {
        let mut world = self.world.world();
        let listener = &mut world.shards[self.shard].listeners[listener as usize];
        if listener.state == Listening::Idle {
            listener.state = Listening::Accepting;
        }
    }

    fn accept_stop(&mut self, listener: ListenerId) {
        let mut world = self.world.world();
        let is_outrun = world.rng.chance(500);
        let entry = &mut world.shards[self.shard].listeners[listener as usize];
        if mem::replace(&mut entry.state, Listening::Closed) == Listening::Accepting && is_outrun {
            entry.late = entry.backlog.pop_front();
        }
        for remote in mem::take(&mut entry.backlog) {
            world.remote(remote).is_closed = true;
        }
    }

    fn connect(&mut self, address: &Address) -> io::Result<Token> {
        let Address::Tcp(address) = *address else {
            return Err(Errno(libc::ENOENT).into());
        };
        let mut world = self.world.world();
        let lacks_socket = world.faults.connect_failure / 4;
        if world.rng.chance(lacks_socket) {
            return Err(Errno(libc::EMFILE).into());
        }
        let remote = world.connect_server(self.shard, address);
        Ok(world.shards[self.shard].add(remote, true))
    }

    fn recv(&mut self, token: Token) {
        let mut world = self.world.world();
        if let Some(socket) = world.shards[self.shard].sockets.get_mut(token)
            && socket.receiving != Receiving::Ended
        {
            socket.receiving = Receiving::Armed;
        }
    }

    fn recv_once(&mut self, token: Token) {
        self.world
            .world()
            .start_receive(self.shard, token, Receiving::Once);
    }

    fn recv_into(&mut self, token: Token, room: Room, count: usize) {
        assert!(count > 0, "nothing is asked for");
        assert!(count <= room.free_bytes(), "there is room");
        let mut world = self.world.world();
        if let Some(socket) = world.start_receive(self.shard, token, Receiving::Filling) {
            socket.filling = Some((room, 0, count));
        }
    }

    fn recv_pause(&mut self, token: Token) {
        let mut world = self.world.world();
        if let Some(socket) = world.shards[self.shard].sockets.get_mut(token)
            && matches!(socket.receiving, Receiving::Armed | Receiving::Filling)
        {
            socket.receiving = Receiving::Stopping;
        }
    }

    fn send(&mut self, token: Token, output: Outgoing) {
        let mut world = self.world.world();
        if let Some(socket) = world.shards[self.shard].sockets.get_mut(token) {
            assert!(socket.sending.is_none(), "one send in flight");
            assert!(!socket.is_connecting, "a send before the connect ended");
            socket.sending = Some((output, 0));
        }
    }

    fn close(&mut self, token: Token) {
        let mut world = self.world.world();
        let side = &mut world.shards[self.shard];
        if let Some(socket) = side.sockets.remove(token) {
            side.open.retain(|other| *other != token);
            world.remote(socket.remote).is_closed = true;
        }
    }

    fn wake(&mut self, shard: usize) {
        self.world.wake(shard);
    }

    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        let before = completions.len();
        self.collect(completions);
        let mut world = self.world.world();
        let now = world.now;
        let side = &mut world.shards[self.shard];
        if mem::take(&mut side.is_woken) {
            completions.push(Completion::Woken);
        }
        let until = match (side.sleep, wait) {
            // It was turned to sleep before, and has not run since.
            (Sleep::Until(until), Wait::Forever | Wait::Until(_)) => until,
            (Sleep::Awake, Wait::Until(until)) => Some(until),
            (Sleep::Awake, Wait::Forever) => None,
            (_, Wait::Poll) => Some(now),
        };
        if completions.len() == before && until.is_none_or(|until| now < until) {
            side.sleep = Sleep::Until(until);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        side.sleep = Sleep::Awake;
        Ok(())
    }

    fn bytes(&self, buffer: &RecvBuffer) -> &[u8] {
        match &self.buffers[usize::from(buffer.id)] {
            Some(bytes) => bytes,
            None => panic!("a buffer is read after its release"),
        }
    }

    fn release(&mut self, buffer: RecvBuffer) {
        let bytes = self.buffers[usize::from(buffer.id)].take();
        assert!(bytes.is_some(), "a buffer is released twice");
        self.world.world().shards[self.shard].buffers_out -= 1;
    }
}
