//! The servers of a simulated world: who listens where, and when they answer.

use std::{cell::RefCell, fmt, net::SocketAddr, rc::Rc};

use super::{
    ServerState, SimServer,
    world::{World, cut},
};
use crate::io::Errno;

/// Longer than any line that is waited for in memcache; no byte of it begins a RESP frame.
const GARBAGE_BYTES: usize = 4096;

/// Turns in which a server that reads in turns may leave a closed connection for later, of 1000 and at most: an event
/// loop wakes threads, and reads so much of each connection at a time. Who tells it something newer by another one has to
/// wait for that.
const LATE_PERMILLE: u32 = 500;
const LATE_TURNS_MAX: u8 = 4;

/// A server and its connections.
pub(super) struct Server {
    address: SocketAddr,
    model: Rc<RefCell<dyn SimServer>>,
    state: ServerState,
    connections: Vec<usize>,
}

impl World {
    pub(super) fn serve(&mut self, address: SocketAddr, model: Rc<RefCell<dyn SimServer>>) {
        self.servers.push(Server {
            address,
            model,
            state: ServerState::Up,
            connections: Vec::new(),
        });
    }

    pub(super) fn set_server(&mut self, address: SocketAddr, state: ServerState) {
        if let Some(server) = self.server_at(address) {
            self.servers[server].state = state;
        }
    }

    fn server_at(&self, address: SocketAddr) -> Option<usize> {
        self.servers
            .iter()
            .position(|server| server.address == address)
    }

    pub(super) fn break_connections(&mut self, address: SocketAddr) {
        let Some(server) = self.server_at(address) else {
            return;
        };
        for connection in std::mem::take(&mut self.servers[server].connections) {
            self.forget(server, connection);
            self.reset(connection);
        }
    }

    pub(super) fn break_connection(&mut self, address: SocketAddr, connection: usize) {
        let Some(server) = self.server_at(address) else {
            return;
        };
        let connections = &mut self.servers[server].connections;
        let place = connections.iter().position(|other| *other == connection);
        if let Some(place) = place {
            connections.swap_remove(place);
            self.forget(server, connection);
            self.reset(connection);
        }
    }

    fn forget(&self, server: usize, connection: usize) {
        self.servers[server].model.borrow_mut().closed(connection);
    }

    pub(super) fn hold_answers(&mut self, address: SocketAddr, shard: usize, is_held: bool) {
        let server = self.server_at(address);
        self.remotes
            .iter_mut()
            .filter(|remote| remote.server.is_some() && remote.server == server)
            .filter(|remote| remote.shard == shard)
            .for_each(|remote| remote.is_held = is_held);
    }

    /// A connection to what stands at `address`, if something does; how it goes shows later.
    pub(super) fn connect_server(&mut self, shard: usize, address: SocketAddr) -> usize {
        let server = self.server_at(address);
        self.add_remote(shard, server)
    }

    /// What becomes of a connect; `None` as long as it hangs.
    pub(super) fn connect_result(&mut self, remote: usize) -> Result<(), Errno> {
        let state = self.remotes[remote]
            .server
            .map(|server| self.servers[server].state);
        let is_refused = matches!(state, None | Some(ServerState::Refusing))
            || self.rng.chance(self.faults.connect_failure);
        if is_refused {
            return Err(Errno(libc::ECONNREFUSED));
        }
        if let Some(server) = self.remotes[remote].server {
            self.servers[server].connections.push(remote);
        }
        Ok(())
    }

    pub(super) fn connect_hangs(&self, remote: usize) -> bool {
        self.remotes[remote]
            .server
            .is_some_and(|server| self.servers[server].state == ServerState::Unreachable)
    }

    /// Lets every server that is up read of each connection, and answer.
    pub(super) fn step(&mut self) {
        for server in 0..self.servers.len() {
            if !self.servers[server].reads() {
                continue;
            }
            let mut connections = self.servers[server].connections.clone();
            self.rng.shuffle(&mut connections);
            for connection in connections {
                self.answer(server, connection);
            }
            self.tell(server);
        }
    }

    pub(super) fn catch_up(&mut self, address: SocketAddr) {
        let Some(server) = self.server_at(address) else {
            return;
        };
        for connection in self.servers[server].connections.clone() {
            while self.servers[server].connections.contains(&connection)
                && !self.remotes[connection].received.is_empty()
            {
                self.answer(server, connection);
            }
        }
    }

    fn answer(&mut self, server: usize, connection: usize) {
        let Self {
            rng,
            faults,
            reads_in_turns,
            remotes,
            servers,
            ..
        } = self;
        let remote = &mut remotes[connection];
        if remote.received.is_empty() {
            // What was on its way when the shard closed is read first.
            if remote.is_closed {
                servers[server]
                    .connections
                    .retain(|other| *other != connection);
                self.forget(server, connection);
            }
            return;
        }
        let is_whole = *reads_in_turns && remote.is_closed;
        if is_whole && remote.late_turns < LATE_TURNS_MAX && rng.chance(LATE_PERMILLE) {
            remote.late_turns += 1;
            return;
        }
        if !is_whole && rng.chance(faults.delay) {
            return;
        }
        let count = match is_whole {
            true => remote.received.len(),
            false => cut(rng, faults, remote.received.len()),
        };
        let bytes: Vec<u8> = remote.received.drain(..count).collect();
        let mut out = Vec::new();
        servers[server]
            .model
            .borrow_mut()
            .received(connection, &bytes, &mut out);
        if rng.chance(faults.garbage) {
            out.extend_from_slice(&[b'x'; GARBAGE_BYTES]);
        }
        let breaks = rng.chance(faults.backend_reset);
        if breaks {
            out.truncate(rng.below(out.len() + 1));
        }
        if !remote.is_closed {
            remote.to_shard.extend(&out);
        }
        if breaks {
            let is_polite = rng.chance(500);
            servers[server]
                .connections
                .retain(|other| *other != connection);
            self.forget(server, connection);
            if is_polite {
                self.leave(connection);
            } else {
                self.reset(connection);
            }
        }
    }

    /// Sends what a server says unasked.
    fn tell(&mut self, server: usize) {
        let told = self.servers[server].model.borrow_mut().take_unasked();
        for (connection, bytes) in told {
            let remote = &mut self.remotes[connection];
            if !remote.is_closed && self.servers[server].connections.contains(&connection) {
                remote.to_shard.extend(&bytes);
            }
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.servers.iter().any(|server| {
            server.reads()
                && server
                    .connections
                    .iter()
                    .any(|connection| !self.remotes[*connection].received.is_empty())
        })
    }
}

impl Server {
    fn reads(&self) -> bool {
        matches!(self.state, ServerState::Up | ServerState::Refusing)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
