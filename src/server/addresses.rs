//! Where the servers of a pool are. Names are resolved at the start, and again, by a thread of its
//! own, whenever a shard has to connect anew: a name may have moved with its server.

use std::{
    fmt, io,
    net::{IpAddr, ToSocketAddrs},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::error::StartError;
use crate::{io::Address, route::ServerSpec, shard::Addresses};

/// A name is not resolved more often, however many shards ask.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of each server's address. Shards read it when they connect, never while a name is
/// being resolved: the locks are held to copy an address, no longer.
pub(super) struct AddressBook {
    servers: Arc<[Server]>,
    /// To the resolver, if there are names.
    wishes: Option<Sender<usize>>,
}

struct Server {
    spec: ServerSpec,
    /// Invariant: not empty.
    known: Mutex<Vec<Address>>,
}

impl AddressBook {
    /// Resolves all servers, and keeps the names among them resolved.
    ///
    /// # Errors
    /// A server has no address, or the resolver's thread cannot be started.
    pub(super) fn open(specs: &[ServerSpec]) -> Result<Self, StartError> {
        let servers = specs
            .iter()
            .map(|spec| {
                let known = resolve(spec).map_err(|error| StartError::Resolve {
                    server: spec.address(),
                    error,
                })?;
                Ok(Server {
                    spec: spec.clone(),
                    known: Mutex::new(known),
                })
            })
            .collect::<Result<Arc<[Server]>, StartError>>()?;
        let wishes = match servers.iter().any(|server| is_name(&server.spec)) {
            true => Some(start_resolver(Arc::clone(&servers))?),
            false => None,
        };
        Ok(Self { servers, wishes })
    }
}

impl Addresses for AddressBook {
    fn server_count(&self) -> usize {
        self.servers.len()
    }

    fn name(&self, server: usize) -> String {
        self.servers[server].spec.address()
    }

    fn address(&self, server: usize, try_count: u32) -> Option<Address> {
        let entry = self.servers.get(server)?;
        if let Some(wishes) = self.wishes.as_ref().filter(|_| is_name(&entry.spec)) {
            // Without a resolver what is known stays so.
            let _ = wishes.send(server);
        }
        let known = entry.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A name with several addresses may have a server at only one of them.
        let place = (try_count as usize).checked_rem(known.len())?;
        known.get(place).cloned()
    }
}

impl fmt::Debug for AddressBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.servers.iter().map(|server| server.spec.address());
        f.debug_list().entries(names).finish()
    }
}

fn start_resolver(servers: Arc<[Server]>) -> Result<Sender<usize>, StartError> {
    let (wishes, inbox) = mpsc::channel();
    thread::Builder::new()
        .name("resolver".into())
        .spawn(move || resolve_wishes(&servers, &inbox))
        .map_err(|error| StartError::Resolve {
            server: "of the pool".into(),
            error,
        })?;
    Ok(wishes)
}

/// Until nobody can wish any more.
fn resolve_wishes(servers: &[Server], inbox: &Receiver<usize>) {
    let mut resolved_at: Vec<Option<Instant>> = vec![None; servers.len()];
    for wish in inbox {
        let (server, resolved_at) = (&servers[wish], &mut resolved_at[wish]);
        if resolved_at.is_some_and(|at| at.elapsed() < RESOLVE_INTERVAL) {
            continue;
        }
        let backend = server.spec.address();
        match resolve(&server.spec) {
            Ok(found) => {
                let mut known = server.known.lock().unwrap_or_else(PoisonError::into_inner);
                if *known != found {
                    tracing::info!(backend, address = %found[0], "has another address now");
                    *known = found;
                }
            }
            Err(error) => tracing::debug!(backend, "is not resolved: {error}"),
        }
        *resolved_at = Some(Instant::now());
    }
}

/// All addresses of a server; not empty.
fn resolve(spec: &ServerSpec) -> io::Result<Vec<Address>> {
    if spec.is_unix() {
        return Ok(vec![Address::Unix(PathBuf::from(&spec.host))]);
    }
    let found = (spec.host.as_str(), spec.port).to_socket_addrs()?;
    let found: Vec<Address> = found.map(Address::Tcp).collect();
    match found.is_empty() {
        true => Err(io::ErrorKind::NotFound.into()),
        false => Ok(found),
    }
}

/// Whether the server's address may change.
fn is_name(spec: &ServerSpec) -> bool {
    !spec.is_unix() && spec.host.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(lines: &[&str]) -> Vec<ServerSpec> {
        let parse = |line: &&str| ServerSpec::parse_line(line).expect("a server");
        lines.iter().map(parse).collect()
    }

    #[test]
    fn addresses_are_tried_one_after_the_other() {
        let book = AddressBook::open(&specs(&["10.0.0.1:5 1", "[::1]:6"])).expect("addresses");
        assert!(book.wishes.is_none(), "numbers stay what they are");
        assert_eq!((book.server_count(), book.name(1)), (2, "[::1]:6".into()));
        let two = ["10.0.0.1:5", "10.0.0.2:5"].map(|text| Address::Tcp(text.parse().expect("one")));
        *book.servers[0].known.lock().expect("a lock") = two.to_vec();
        for (try_count, expected) in [(0, 0), (1, 1), (2, 0)] {
            assert_eq!(book.address(0, try_count).as_ref(), Some(&two[expected]));
        }
        assert_eq!(book.address(2, 0), None);
        let book = AddressBook::open(&specs(&["unix:/run/x 2"])).expect("addresses");
        assert!(book.wishes.is_none(), "a path is no name");
        let path = Address::Unix(PathBuf::from("/run/x"));
        assert_eq!(
            (book.address(0, 1), book.name(0)),
            (Some(path), "unix:/run/x".into())
        );
    }

    #[test]
    fn a_name_is_resolved_again_when_somebody_connects() {
        let book = AddressBook::open(&specs(&["localhost:5"])).expect("addresses");
        let stale = vec![Address::Tcp("10.9.9.9:5".parse().expect("one"))];
        *book.servers[0].known.lock().expect("a lock") = stale.clone();
        assert_eq!(book.address(0, 0), Some(stale[0].clone()));
        let deadline = Instant::now() + Duration::from_secs(20);
        while *book.servers[0].known.lock().expect("a lock") == stale {
            assert!(Instant::now() < deadline, "nobody resolves it");
            thread::sleep(Duration::from_millis(5));
        }
        let Some(Address::Tcp(address)) = book.address(0, 0) else {
            panic!("an address");
        };
        assert!(address.ip().is_loopback());
    }

    #[test]
    fn a_name_that_nobody_has_is_an_error_at_the_start() {
        let error = AddressBook::open(&specs(&["no-such-host.invalid:5"])).expect_err("no address");
        assert!(error.to_string().contains("no-such-host.invalid:5"));
    }
}
