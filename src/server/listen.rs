//! Listening sockets: one for each shard and front end, all on the same address.
//!
//! An address is taken when ringfort starts, so that it is told at once if it cannot be had; but nobody can connect before
//! the shards have touched their memory, which takes seconds for many gigabytes: a client that is refused tries again or
//! goes elsewhere, one that is let in would wait, and a balancer would take the port's being open for the server's health.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::error::StartError;
use crate::config::LISTEN_BACKLOG;

/// How long a taken address is waited for. The kernel takes the ring of a process that was killed apart after it has
/// told of the process's end, and till then the ring holds the listeners it was accepting from: who starts the next
/// one at once would find them.
const TAKEN_PATIENCE: Duration = Duration::from_secs(2);

/// How long it is waited before a taken address is looked at again.
const TAKEN_PAUSE: Duration = Duration::from_millis(10);

/// Sockets that hold an address, and do not listen yet.
pub(super) struct Bound {
    /// The flag that named the address.
    flag: &'static str,
    pub(super) address: SocketAddr,
    sockets: Vec<Socket>,
}

impl Bound {
    /// Binds `count` sockets to an address; port 0 becomes the same free port for all.
    ///
    /// # Errors
    /// The address is not this machine's, or somebody else listens there.
    pub(super) fn new(
        flag: &'static str,
        address: SocketAddr,
        count: usize,
    ) -> Result<Self, StartError> {
        let mut bound = Self {
            flag,
            address,
            sockets: Vec::new(),
        };
        bound.bind(count).map_err(|error| bound.fail(error))?;
        Ok(bound)
    }

    fn bind(&mut self, count: usize) -> io::Result<()> {
        probe(self.address)?;
        for _ in 0..count {
            let socket = bind(self.address)?;
            if let Some(address) = socket.local_addr()?.as_socket() {
                self.address = address;
            }
            self.sockets.push(socket);
        }
        Ok(())
    }

    /// The same sockets, for those who will accept from them.
    ///
    /// # Errors
    /// There are too many open files.
    pub(super) fn listeners(&self) -> Result<Vec<TcpListener>, StartError> {
        let twins = self.sockets.iter().map(Socket::try_clone);
        twins
            .map(|twin| twin.map(TcpListener::from))
            .collect::<io::Result<_>>()
            .map_err(|error| self.fail(error))
    }

    /// From now on clients can connect.
    ///
    /// # Errors
    /// Somebody else has begun to listen there.
    pub(super) fn listen(self) -> Result<(), StartError> {
        let opened = probe(self.address).and_then(|()| {
            let mut sockets = self.sockets.iter();
            sockets.try_for_each(|socket| socket.listen(LISTEN_BACKLOG))
        });
        opened.map_err(|error| self.fail(error))
    }

    fn fail(&self, error: io::Error) -> StartError {
        StartError::Listen {
            flag: self.flag,
            address: self.address,
            error,
        }
    }
}

/// With `SO_REUSEPORT` a second ringfort would quietly share the port; without it, it is told.
///
/// Waits up to [`TAKEN_PATIENCE`] for who is about to leave.
///
/// # Errors
/// The address is not this machine's, or somebody else listens there.
pub(super) fn probe(address: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + TAKEN_PATIENCE;
    loop {
        match probe_once(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::sleep(TAKEN_PAUSE);
            }
            probed => return probed,
        }
    }
}

fn probe_once(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn any() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn all_listeners_share_the_port_that_was_free() {
        let bound = Bound::new("--resp", any(), 3).unwrap();
        assert_ne!(bound.address.port(), 0);
        let listeners = bound.listeners().unwrap();
        assert_eq!(listeners.len(), 3);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap(), bound.address);
        }
    }

    #[test]
    fn nobody_connects_before_it_listens() {
        let bound = Bound::new("--resp", any(), 2).unwrap();
        let address = bound.address;
        let _listeners = bound.listeners().unwrap();
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        bound.listen().unwrap();
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn a_taken_port_is_an_error_even_if_it_could_be_shared() {
        let bound = Bound::new("--resp", any(), 1).unwrap();
        let address = bound.address;
        let _listeners = bound.listeners().unwrap();
        bound.listen().unwrap();
        let error = Bound::new("--resp", address, 1).err().unwrap();
        assert!(error.to_string().contains("in use"), "{error}");
    }

    #[test]
    fn who_is_about_to_leave_is_waited_for() {
        let leaving = Bound::new("--resp", any(), 1).unwrap();
        let address = leaving.address;
        let listeners = leaving.listeners().unwrap();
        leaving.listen().unwrap();
        assert_eq!(
            probe_once(address).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        let leaver = thread::spawn(move || {
            thread::sleep(TAKEN_PAUSE * 3);
            drop(listeners);
        });
        Bound::new("--resp", address, 1).unwrap();
        leaver.join().unwrap();
    }

    #[test]
    fn of_two_that_start_together_the_second_is_told() {
        let first = Bound::new("--resp", any(), 1).unwrap();
        let _listeners = first.listeners().unwrap();
        let second = Bound::new("--resp", first.address, 1).unwrap();
        first.listen().unwrap();
        let error = second.listen().unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
    }
}
