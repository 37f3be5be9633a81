//! Listening sockets: one for each shard and front end, all on the same address.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::error::StartError;
use crate::config::LISTEN_BACKLOG;

/// Binds `count` listeners to an address; port 0 becomes the same free port for all.
///
/// # Errors
/// The address is not this machine's, or somebody else listens there.
pub(super) fn bind_all(
    flag: &'static str,
    address: SocketAddr,
    count: usize,
) -> Result<(SocketAddr, Vec<TcpListener>), StartError> {
    let fail = |error| StartError::Listen {
        flag,
        address,
        error,
    };
    probe(address).map_err(fail)?;
    let first = bind(address).map_err(fail)?;
    let address = first.local_addr().map_err(fail)?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(bind(address).map_err(fail)?);
    }
    Ok((address, listeners))
}

/// With `SO_REUSEPORT` a second ringfort would quietly share the port; without it, it is told.
pub(super) fn probe(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
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
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_listeners_share_the_port_that_was_free() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, listeners) = bind_all("--resp", any, 3).unwrap();
        assert_ne!(address.port(), 0);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap(), address);
        }
    }

    #[test]
    fn a_taken_port_is_an_error_even_if_it_could_be_shared() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, _listeners) = bind_all("--resp", any, 1).unwrap();
        let error = bind_all("--resp", address, 1).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
    }
}
