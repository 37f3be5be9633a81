//! A seeded fake of the kernel's side of [`Io`]: sockets, clients and servers in one thread.
//!
//! A [`SimWorld`] has a clock, clients, and servers at addresses; each shard gets its [`SimIo`].
//! Whatever could happen at some moment is drawn from one seed: where bytes are cut, which
//! completions come in a turn and in which order, what breaks. The same seed makes the same run.
//!
//! What holds on the ring holds here: bytes of one connection keep their order, a receive goes on
//! until it is paused or ended, a pause may be outrun by bytes already in flight, one send at a
//! time, and nothing is heard of a socket once it is closed.
//!
//! A turn that would block cannot, as there is only one thread: it fails with
//! [`io::ErrorKind::WouldBlock`] instead, and is to be tried again once the shard
//! [is ready](SimWorld::is_ready). Who drives the world looks like this:
//!
//! ```text
//! loop: step() the servers, turn() each shard that is_ready()
//!       nothing is ready or busy: advance() the clock to next_alarm()
//! ```

mod faults;
mod ring;
mod rng;
mod servers;
mod world;

use std::{
    cell::{RefCell, RefMut},
    net::SocketAddr,
    rc::Rc,
};

use self::world::World;
pub use self::{faults::Faults, ring::SimIo, rng::SimRng};
#[cfg(doc)]
use super::Io;
use super::ListenerId;
use crate::store::UnixMs;
#[cfg(doc)]
use std::io;

/// A client of the simulated world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(usize);

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// It answers.
    Up,
    /// It refuses connects; connections that stand go on.
    Refusing,
    /// It takes connects and requests, and answers nothing.
    Hanging,
    /// A connect to it never ends; connections that stand hang.
    Unreachable,
}

/// What a server at an address says.
pub trait SimServer {
    /// Takes bytes of a connection, cut anywhere, and appends what it answers.
    fn received(&mut self, connection: usize, bytes: &[u8], out: &mut Vec<u8>);

    /// Forgets a connection.
    fn closed(&mut self, connection: usize);

    /// Takes what it says unasked: to which connection, and what.
    fn take_unasked(&mut self) -> Vec<(usize, Vec<u8>)> {
        Vec::new()
    }
}

/// The world; clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct SimWorld(Rc<RefCell<World>>);

impl SimWorld {
    /// A world that starts as [`Faults::NONE`].
    pub fn new(seed: u64, shard_count: usize) -> Self {
        Self(Rc::new(RefCell::new(World::new(seed, shard_count))))
    }

    /// The I/O of a shard.
    pub fn io(&self, shard: usize) -> SimIo {
        SimIo::new(self.clone(), shard)
    }

    /// Changes how unkind it is from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.world().faults = faults;
    }

    /// Lets servers read what came on a connection that is closed within a few turns, as one that
    /// takes turns does with what its kernel has received. Else they may read it much later, as if
    /// it had been on its way.
    pub fn read_in_turns(&self) {
        self.world().reads_in_turns = true;
    }

    /// The time.
    pub fn now(&self) -> UnixMs {
        self.world().now
    }

    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.world().now.0 += ms;
    }

    /// Lets the servers read and answer.
    pub fn step(&self) {
        self.world().step();
    }

    /// Whether a server has something to read and will.
    pub fn is_busy(&self) -> bool {
        self.world().is_busy()
    }

    /// Whether a turn of this shard may come to something.
    pub fn is_ready(&self, shard: usize) -> bool {
        self.world().is_ready(shard)
    }

    /// When the first of the sleeping shards wants to be woken.
    pub fn next_alarm(&self) -> Option<UnixMs> {
        self.world().next_alarm()
    }

    /// Wakes a shard from outside.
    pub fn wake(&self, shard: usize) {
        self.world().wake(shard);
    }

    /// Sockets that a shard has not closed.
    pub fn open_sockets(&self, shard: usize) -> usize {
        self.world().open_sockets(shard)
    }

    /// Receive buffers that a shard has not released.
    pub fn buffers_out(&self, shard: usize) -> usize {
        self.world().buffers_out(shard)
    }
}

/// The clients.
impl SimWorld {
    /// Connects a client to a shard's listener.
    pub fn connect(&self, shard: usize, listener: ListenerId) -> ClientId {
        ClientId(self.world().connect_client(shard, listener))
    }

    /// Sends bytes; they vanish once the shard has closed.
    pub fn send(&self, client: ClientId, bytes: &[u8]) {
        self.world().send(client.0, bytes);
    }

    /// Takes what has come in.
    pub fn take_received(&self, client: ClientId) -> Vec<u8> {
        std::mem::take(&mut self.world().remote(client.0).received)
    }

    /// Sends nothing more, but reads on.
    pub fn finish(&self, client: ClientId) {
        self.world().end(client.0, None);
    }

    /// Goes away; what it has sent may still be received.
    pub fn close(&self, client: ClientId) {
        self.world().leave(client.0);
    }

    /// Breaks the connection.
    pub fn reset(&self, client: ClientId) {
        self.world().reset(client.0);
    }

    /// Reads only so many bytes more; `usize::MAX` takes everything.
    pub fn set_window(&self, client: ClientId, bytes: usize) {
        self.world().remote(client.0).window = bytes;
    }

    /// Whether the shard has closed the connection.
    pub fn is_closed(&self, client: ClientId) -> bool {
        self.world().remote(client.0).is_closed
    }
}

/// The servers.
impl SimWorld {
    /// Puts a server at an address. The caller keeps a handle to look into it.
    pub fn serve(&self, address: SocketAddr, server: Rc<RefCell<dyn SimServer>>) {
        self.world().serve(address, server);
    }

    /// Changes what a server does.
    pub fn set_server(&self, address: SocketAddr, state: ServerState) {
        self.world().set_server(address, state);
    }

    /// Breaks a server's connections.
    pub fn break_connections(&self, address: SocketAddr) {
        self.world().break_connections(address);
    }

    /// Has a server read all that it has received so far, whatever its state.
    pub fn catch_up(&self, address: SocketAddr) {
        self.world().catch_up(address);
    }

    /// Holds a server's answers to one shard back, or lets them go.
    pub fn hold_answers(&self, address: SocketAddr, shard: usize, is_held: bool) {
        self.world().hold_answers(address, shard, is_held);
    }

    /// Breaks one connection of a server, by the number that the server has for it.
    pub fn break_connection(&self, address: SocketAddr, connection: usize) {
        self.world().break_connection(address, connection);
    }

    /// Holds a server's answers on one connection back, or lets them go.
    pub fn hold_connection(&self, connection: usize, is_held: bool) {
        self.world().remote(connection).is_held = is_held;
    }

    fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }
}

#[cfg(test)]
mod tests;
