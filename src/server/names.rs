//! Where the nodes of a cluster are: by the addresses that nodes tell, or by names, which are resolved
//! by a thread of its own when they are first asked for, and again when a shard has to connect anew.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::error::StartError;
use crate::{io::Address, shard::Addresses};

/// A name is not resolved more often, however many shards ask.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(1);

/// The most names that are remembered: beyond, all are forgotten and resolved anew.
const NAMES_MAX: usize = 4_096;

/// What is known of names. Shards read it when they connect, never while a name is being resolved:
/// the lock is held to copy an address, no longer.
pub(super) struct NameBook {
    known: Arc<Mutex<HashMap<String, Known>>>,
    wishes: Sender<String>,
}

/// What a name means.
#[derive(Debug, Default)]
struct Known {
    /// None if it was not resolved yet, or cannot be.
    addresses: Vec<IpAddr>,
    /// When it was last asked for.
    wished_at: Option<Instant>,
}

impl NameBook {
    /// An empty book.
    ///
    /// # Errors
    /// The resolver's thread cannot be started.
    pub(super) fn open() -> Result<Self, StartError> {
        let known: Arc<Mutex<HashMap<String, Known>>> = Arc::default();
        let (wishes, inbox) = mpsc::channel();
        let book = Arc::clone(&known);
        thread::Builder::new()
            .name("resolver".into())
            .spawn(move || resolve_wishes(&book, &inbox))
            .map_err(|error| StartError::Resolve {
                server: "of the cluster".into(),
                error,
            })?;
        Ok(Self { known, wishes })
    }

    fn find_name(&self, name: &str, try_count: u32) -> Option<IpAddr> {
        let mut book = lock(&self.known);
        if !book.contains_key(name) && book.len() >= NAMES_MAX {
            book.clear();
        }
        let known = book.entry(name.to_owned()).or_default();
        let is_fresh = |at: Instant| at.elapsed() < RESOLVE_INTERVAL;
        if !known.wished_at.is_some_and(is_fresh) {
            known.wished_at = Some(Instant::now());
            // Without a resolver what is known stays so.
            let _ = self.wishes.send(name.to_owned());
        }
        // A name with several addresses may have a server at only one of them.
        let place = (try_count as usize).checked_rem(known.addresses.len())?;
        known.addresses.get(place).copied()
    }
}

impl Addresses for NameBook {
    fn server_count(&self) -> usize {
        0
    }

    fn name(&self, _server: usize) -> String {
        String::new()
    }

    fn address(&self, _server: usize, _try_count: u32) -> Option<Address> {
        None
    }

    fn find(&self, host: &str, port: u16, try_count: u32) -> Option<Address> {
        let ip = match host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => self.find_name(host, try_count)?,
        };
        Some(Address::Tcp(SocketAddr::new(ip, port)))
    }
}

impl fmt::Debug for NameBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(lock(&self.known).iter()).finish()
    }
}

fn lock(book: &Mutex<HashMap<String, Known>>) -> MutexGuard<'_, HashMap<String, Known>> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until nobody can wish any more.
fn resolve_wishes(book: &Mutex<HashMap<String, Known>>, inbox: &Receiver<String>) {
    for name in inbox {
        match (name.as_str(), 0).to_socket_addrs() {
            Ok(found) => {
                let found = found.map(|address| address.ip()).collect();
                if let Some(known) = lock(book).get_mut(&name) {
                    known.addresses = found;
                }
            }
            Err(error) => tracing::debug!(name, "is not resolved: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_at_once_and_a_name_soon() {
        let book = NameBook::open().expect("a thread");
        let numbers = [("10.0.0.1", "10.0.0.1:7"), ("::1", "[::1]:7")];
        for (host, expected) in numbers {
            let found = book.find(host, 7, 0).expect("an address");
            assert_eq!(found.to_string(), expected);
        }
        let start = Instant::now();
        let found = loop {
            match book.find("localhost", 7, 0) {
                Some(address) => break address,
                None => thread::sleep(Duration::from_millis(5)),
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "nobody resolves it"
            );
        };
        let Address::Tcp(address) = found else {
            panic!("an address");
        };
        assert!(address.ip().is_loopback() && address.port() == 7);
        assert_eq!(book.find("no-such-host.invalid", 7, 0), None);
    }

    #[test]
    fn a_name_with_several_addresses_has_each_tried() {
        let book = NameBook::open().expect("a thread");
        let known = Known {
            addresses: ["10.0.0.1", "10.0.0.2"]
                .map(|ip| ip.parse().expect("one"))
                .to_vec(),
            wished_at: Some(Instant::now()),
        };
        lock(&book.known).insert("node".into(), known);
        let found = [0, 1, 2].map(|try_count| book.find("node", 1, try_count));
        let found = found.map(|address| address.expect("one").to_string());
        assert_eq!(found, ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1"]);
    }
}
