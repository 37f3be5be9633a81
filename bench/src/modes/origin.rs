//! An origin that has what runs ask for.

use std::io::{self, Write};
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Socket, Type};

use crate::cli::OriginArgs;
use crate::error::BenchError;
use crate::modes::point;
use crate::worker::origin::Origin;
use crate::workload::preset::Shape;

/// Connections that may wait to be accepted: caches make hundreds at once, and one that finds no room tries again after
/// a second. The kernel caps it.
const BACKLOG: i32 = 4096;

/// Listens, says so, and answers until it is ended.
pub(crate) fn run(args: &OriginArgs) -> Result<(), BenchError> {
    point::pin(args.core.as_slice())?;
    let listening = listen(args.listen).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = listening.map_err(|cause| BenchError::Io {
        doing: "listen",
        cause,
    })?;
    println!("origin ready: {address}");
    // A closed stdout is the starter's choice; it serves on.
    let _ = io::stdout().flush();
    let origin = Origin {
        items: args.items.items(Shape::default()),
        delay: args.delay,
        max_age_s: args.max_age,
        asked: 0,
    };
    origin.serve(listener)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}
