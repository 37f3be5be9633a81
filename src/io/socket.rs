//! What the ring remembers of a socket.

use std::{
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
};

use socket2::{SockAddr, SockRef};

use super::{Endpoints, Outgoing, filling::Filling, pieces::Pieces};

/// A socket and what is in flight on it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) fd: OwnedFd,
    /// Where a connect goes; the kernel reads it when the operation is submitted.
    pub(super) address: Option<Box<SockAddr>>,
    pub(super) receiving: Receiving,
    /// What is being received into; the kernel writes there as long as it is here.
    pub(super) filling: Option<Filling>,
    /// What is in flight and how much of it is gone out.
    pub(super) sending: Option<(Outgoing, usize)>,
    /// Where the kernel finds the pieces of that, if it is more than one.
    pub(super) pieces: Option<Box<Pieces>>,
    pub(super) connecting: bool,
    pub(super) closing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// Not asked for.
    Off,
    /// The kernel has the operation.
    Armed,
    /// The same for one that receives once.
    Once,
    /// The same for one that fills a buffer of the connection's.
    Filling,
    /// Cancelled, the end is still to come.
    Stopping,
    /// Cancelled, but asked for again before the end came.
    Restarting,
    /// Wanted, but the kernel ran out of buffers.
    Starved,
    /// The same, for a receive that is to be one.
    StarvedOnce,
    /// The same, and paused since: nothing is in flight, but that is still to be told.
    StarvedStopping,
    /// The peer has finished, or the connection broke.
    Ended,
}

impl Socket {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            address: None,
            receiving: Receiving::Off,
            filling: None,
            sending: None,
            pieces: None,
            connecting: false,
            closing: false,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        let receives = matches!(
            self.receiving,
            Receiving::Armed | Receiving::Once | Receiving::Stopping | Receiving::Restarting
        );
        receives || self.filling.is_some() || self.sending.is_some() || self.connecting
    }

    /// Who is at its two ends; `None` once the peer is gone.
    pub(super) fn endpoints(&self) -> Option<Endpoints> {
        let socket = SockRef::from(&self.fd);
        Some(Endpoints {
            peer: plain(socket.peer_addr().ok()?.as_socket()?),
            local: plain(socket.local_addr().ok()?.as_socket()?),
            descriptor: self.fd.as_raw_fd(),
        })
    }
}

/// An address without the clothes that an IPv4 one wears on a listener for both versions.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What becomes of receiving when the kernel ended the operation with `result`.
pub(super) fn receiving_after(before: Receiving, result: i32) -> Receiving {
    let is_cancelled = result == -libc::ECANCELED;
    let is_starved = result == -libc::ENOBUFS;
    match before {
        _ if result <= 0 && !is_cancelled && !is_starved => Receiving::Ended,
        Receiving::Stopping | Receiving::Filling => Receiving::Off,
        Receiving::Armed if is_starved => Receiving::Starved,
        Receiving::Once if is_starved => Receiving::StarvedOnce,
        Receiving::Once => Receiving::Off,
        _ => Receiving::Restarting,
    }
}
