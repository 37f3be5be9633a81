//! Where a server listens.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

/// A TCP or a unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A path in the file system.
    Unix(PathBuf),
}

/// An idle connection is probed after so long, so that firewalls do not forget it, and one whose
/// peer has vanished is found out though nothing is sent.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// Between two probes that are not answered.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Probes that are not answered before the connection is broken. Where [`UNCONFIRMED_MAX`] is over
/// sooner Linux goes by that (tcp(7), `TCP_USER_TIMEOUT`): an idle connection lasts 30 to 35 s.
const KEEPALIVE_PROBES: u32 = 3;

/// Bytes that the peer's kernel has not confirmed for so long break the connection; the kernel's
/// own limit is about a quarter of an hour. Longer than a server that is up needs, whatever it
/// does: this is between kernels.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(30);

impl Address {
    /// A socket to connect to it with.
    pub(super) fn socket(&self) -> io::Result<(Socket, SockAddr)> {
        match self {
            Self::Tcp(address) => {
                let domain = Domain::for_address(*address);
                let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
                socket.set_tcp_nodelay(true)?;
                watch(&socket)?;
                // What is given up is not sent any more: it would come behind what is sent anew.
                socket.set_linger(Some(Duration::ZERO))?;
                Ok((socket, SockAddr::from(*address)))
            }
            Self::Unix(path) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                Ok((socket, SockAddr::unix(path)?))
            }
        }
    }
}

/// Has the kernel break a TCP connection whose peer has vanished, idle or not.
///
/// # Errors
/// It is no TCP socket.
fn watch(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNCONFIRMED_MAX))
}

/// The same for a stream that tells no more of its socket than the number.
///
/// # Errors
/// It is no TCP socket.
pub(crate) fn watch_stream(stream: &impl AsRawFd) -> io::Result<()> {
    watch(&socket_of(stream))
}

/// Lets the port of a stream that was accepted be listened at again while the kernel still remembers the
/// stream (TIME_WAIT, a minute). It inherits this from its listener, where that could be told.
///
/// # Errors
/// It is no socket.
pub(crate) fn leave_port(stream: &impl AsRawFd) -> io::Result<()> {
    SockRef::from(&socket_of(stream)).set_reuse_address(true)
}

#[expect(unsafe_code, reason = "a number becomes a descriptor again")]
fn socket_of(stream: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: relies on the number being that of an open descriptor as long as the stream is
    // borrowed. Whoever calls upholds it by handing over what owns its socket, as glommio's do.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_watched_by_the_kernel() {
        let address = Address::from(SocketAddr::from(([127, 0, 0, 1], 1)));
        let (socket, _) = address.socket().expect("a socket");
        assert!(socket.tcp_nodelay().expect("an option"));
        assert!(socket.keepalive().expect("an option"));
        let time = socket.tcp_keepalive_time().expect("an option");
        assert_eq!(time, KEEPALIVE_IDLE);
        assert_eq!(socket.linger().expect("an option"), Some(Duration::ZERO));
        let timeout = socket.tcp_user_timeout().expect("an option");
        assert_eq!(timeout, Some(UNCONFIRMED_MAX));
        assert_eq!(address.to_string(), "127.0.0.1:1");
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_an_error() {
        let address = Address::Unix(PathBuf::from("/x".repeat(100)));
        assert!(address.socket().is_err());
        let address = Address::Unix(PathBuf::from("/run/x"));
        assert!(address.socket().is_ok());
        assert_eq!(address.to_string(), "unix:/run/x");
    }
}
