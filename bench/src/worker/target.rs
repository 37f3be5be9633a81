//! The server that load is put on.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::error::BenchError;

/// As it was named, and where that is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
}

impl Target {
    /// The first address that the name has.
    pub(crate) fn resolve(name: &str) -> Result<Self, BenchError> {
        let found = name.to_socket_addrs().and_then(|mut addresses| {
            addresses
                .next()
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address"))
        });
        match found {
            Ok(address) => Ok(Self {
                name: name.to_owned(),
                address,
            }),
            Err(_) if !is_host_and_port(name) => Err(BenchError::flag(
                "--target",
                format_args!("{name}: not HOST:PORT, as in 127.0.0.1:11211"),
            )),
            Err(cause) => Err(BenchError::Connect {
                target: name.to_owned(),
                cause,
            }),
        }
    }
}

/// Whether it looks so; what the host's name means is another question.
fn is_host_and_port(name: &str) -> bool {
    name.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
