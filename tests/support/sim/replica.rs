//! A model of a replica: it has what its master had when it was told last, and takes no writes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use ringfort::config::ReadFrom;
use ringfort::io::sim::{SimServer, SimWorld};

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

pub(crate) struct Replica {
    master: Rc<RefCell<Redis>>,
    own: Redis,
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
    pub(crate) fn of(master: &Rc<RefCell<Redis>>, own: Redis) -> Self {
        Self {
            master: Rc::clone(master),
            own,
            is_current: false,
            is_loading: false,
            read_count: 0,
            partial: HashMap::new(),
        }
    }

    /// Has all that the master has.
    pub(crate) fn catch_up(&mut self) {
        self.own.items.clone_from(&self.master.borrow().items);
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
                self.read_count += 1;
                self.own.take(connection, words, out);
            }
            [b"PING"] | [b"HELLO" | b"CLIENT" | b"SCRIPT", ..] => {
                self.own.take(connection, words, out);
            }
            other => panic!("a replica is asked {other:?}"),
        }
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
        self.own.closed(connection);
    }
}

/// Those that follow servers of a pool.
pub(crate) fn serve(
    world: &SimWorld,
    setup: &Setup,
    backends: &[Backend],
    moment: &Rc<Cell<u64>>,
) -> Vec<Rc<RefCell<Replica>>> {
    let follow = |(number, server): (usize, usize)| {
        let Backend::Redis(master) = &backends[server] else {
            panic!("memcached servers have no replicas");
        };
        let number = backends.len() + number;
        let replica = Replica::of(master, Redis::new(number as u64, moment));
        let replica = Rc::new(RefCell::new(replica));
        let server: Rc<RefCell<dyn SimServer>> = replica.clone();
        world.serve(address(number), server);
        replica
    };
    let followed = setup.followed();
    followed.into_iter().enumerate().map(follow).collect()
}
