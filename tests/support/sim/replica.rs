//! A model of a replica: it has what its master had when it was told last, and takes no writes.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use ringfort::config::ReadFrom;
use ringfort::io::sim::{SimServer, SimWorld};
use ringfort::route::Slot;

use super::cluster::{Cluster, Owners};
use super::redis::{Redis, bulk, take_arrays};
use super::{Backend, Setup, address};

#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplicaSetup {
    pub(crate) read_from: ReadFrom,
    /// How many follow each server.
    pub(crate) count_of_each: usize,
    /// How far they are said to be behind.
    pub(crate) lag_ms: u64,
}

impl ReplicaSetup {
    /// Whom each of them follows.
    pub(crate) fn masters(self, server_count: usize) -> Vec<usize> {
        (0..server_count)
            .flat_map(|server| std::iter::repeat_n(server, self.count_of_each))
            .collect()
    }
}

/// Whom a replica follows.
enum Master {
    Server(Rc<RefCell<Redis>>),
    /// A node of a cluster, and what is known of who has which slot.
    Node {
        cluster: Rc<RefCell<Cluster>>,
        number: usize,
        owners: Owners,
    },
}

pub(crate) struct Replica {
    master: Master,
    own: Redis,
    /// Connections that have said that they are for reads, which only nodes of a cluster ask for.
    readonly: HashSet<usize>,
    /// It is told of every change at once.
    is_current: bool,
    /// It answers reads with an error that says that it is loading.
    pub(crate) is_loading: bool,
    /// Reads that it answered with data.
    pub(crate) read_count: usize,
    /// Bytes of requests that are not whole, by connection.
    partial: HashMap<usize, Vec<u8>>,
}

impl Replica {
    fn of(master: Master, own: Redis) -> Self {
        Self {
            master,
            own,
            readonly: HashSet::new(),
            is_current: false,
            is_loading: false,
            read_count: 0,
            partial: HashMap::new(),
        }
    }

    /// Has all that the master has, and knows what that knows.
    pub(crate) fn catch_up(&mut self) {
        match &mut self.master {
            Master::Server(master) => self.own.items.clone_from(&master.borrow().items),
            Master::Node {
                cluster,
                number,
                owners,
            } => {
                let cluster = cluster.borrow();
                self.own.items.clone_from(&cluster.redis.items);
                *owners = cluster.known_to(*number);
            }
        }
    }

    /// From now on it is never behind.
    pub(crate) fn stay_current(&mut self) {
        self.is_current = true;
        self.is_loading = false;
    }

    fn take(&mut self, connection: usize, words: &[&[u8]], out: &mut Vec<u8>) {
        match words {
            _ if self.is_loading && words != [b"PING"] => {
                out.extend_from_slice(b"-LOADING Redis is loading the dataset in memory\r\n");
            }
            [b"ROLE"] => {
                out.extend_from_slice(b"*5\r\n$5\r\nslave\r\n");
                bulk(out, Some(b"10.0.0.1"));
                out.extend_from_slice(b":11211\r\n$9\r\nconnected\r\n:1\r\n");
            }
            [b"GET" | b"MGET" | b"EXISTS" | b"STRLEN" | b"GETRANGE", ..] => {
                if self.is_current {
                    self.catch_up();
                }
                if let Some(line) = self.refusal(connection, words[1]) {
                    return out.extend_from_slice(line.as_bytes());
                }
                self.read_count += 1;
                self.own.take(connection, words, out);
            }
            [b"CLUSTER", what]
                if let Master::Node {
                    cluster, number, ..
                } = &self.master =>
            {
                cluster.borrow_mut().tell(*number, what, out);
            }
            [b"READONLY"] if matches!(self.master, Master::Node { .. }) => {
                self.readonly.insert(connection);
                out.extend_from_slice(b"+OK\r\n");
            }
            [b"PING"] | [b"HELLO" | b"CLIENT" | b"SCRIPT", ..] => {
                self.own.take(connection, words, out);
            }
            other => panic!("a replica is asked {other:?}"),
        }
    }

    /// Why a node that is a replica does not answer for a key on this connection.
    fn refusal(&self, connection: usize, key: &[u8]) -> Option<String> {
        let Master::Node { number, owners, .. } = &self.master else {
            return None;
        };
        let slot = Slot::of(key).index();
        let owner = usize::from(owners[slot]);
        let is_well = owner == *number && self.readonly.contains(&connection);
        let at = address(owner);
        (!is_well).then(|| format!("-MOVED {slot} {}:{}\r\n", at.ip(), at.port()))
    }
}

impl SimServer for Replica {
    fn received(&mut self, connection: usize, bytes: &[u8], out: &mut Vec<u8>) {
        let mut pending = self.partial.remove(&connection).unwrap_or_default();
        pending.extend_from_slice(bytes);
        take_arrays(&mut pending, |words| self.take(connection, words, out));
        self.partial.insert(connection, pending);
    }

    fn closed(&mut self, connection: usize) {
        self.partial.remove(&connection);
        self.readonly.remove(&connection);
        self.own.closed(connection);
    }
}

/// Those that follow servers of a pool, or one for each node of a cluster. They stand behind all others.
pub(crate) fn serve(
    world: &SimWorld,
    setup: &Setup,
    (backends, nodes): (&[Backend], Option<&Rc<RefCell<Cluster>>>),
    moment: &Rc<Cell<u64>>,
) -> Vec<Rc<RefCell<Replica>>> {
    let of_backend = |server: usize| match &backends[server] {
        Backend::Redis(master) => Master::Server(Rc::clone(master)),
        Backend::Memcached(_) => panic!("memcached servers have no replicas"),
    };
    let masters: Vec<Master> = match nodes.filter(|_| setup.replicas.is_some()) {
        None => setup.followed().into_iter().map(of_backend).collect(),
        Some(cluster) => {
            cluster.borrow_mut().has_replicas = true;
            let of_node = |number| Master::Node {
                cluster: Rc::clone(cluster),
                number,
                owners: cluster.borrow().known_to(number),
            };
            (0..setup.node_count).map(of_node).collect()
        }
    };
    let first = backends.len() + setup.node_count;
    let follow = |(number, master): (usize, Master)| {
        let number = first + number;
        let replica = Replica::of(master, Redis::new(number as u64, moment));
        let replica = Rc::new(RefCell::new(replica));
        let server: Rc<RefCell<dyn SimServer>> = replica.clone();
        world.serve(address(number), server);
        replica
    };
    masters.into_iter().enumerate().map(follow).collect()
}
