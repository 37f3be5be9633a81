//! Where the nodes of a simulated cluster are.

use ringfort::io::Address;
use ringfort::shard::Addresses;

/// Nodes are where they say.
#[derive(Debug)]
pub(crate) struct AnyAddress;

impl Addresses for AnyAddress {
    fn server_count(&self) -> usize {
        0
    }

    fn name(&self, _server: usize) -> String {
        String::new()
    }

    fn address(&self, _server: usize, _try_count: u32) -> Option<Address> {
        None
    }

    fn find(&self, host: &str, port: u16, _try_count: u32) -> Option<Address> {
        let ip = host.parse().ok()?;
        Some(Address::Tcp(std::net::SocketAddr::new(ip, port)))
    }
}
