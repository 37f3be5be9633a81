//! CLIENT TRACKING as the model of Redis has it: who has read what, and who is told of changes.

use std::collections::{BTreeSet, HashMap};

/// Who reads at a server and is told of changes.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    /// Connections that track, and who is told in their stead.
    redirects: HashMap<usize, usize>,
    /// Who has read a key since it was changed last.
    readers: HashMap<Vec<u8>, BTreeSet<usize>>,
    /// Connections that speak RESP3.
    of_resp3: BTreeSet<usize>,
    unasked: Vec<(usize, Vec<u8>)>,
}

impl Tracked {
    /// Executes what is about tracking. False if that is not.
    pub(crate) fn execute(
        &mut self,
        connection: usize,
        words: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> bool {
        match words {
            [b"HELLO", b"3"] => {
                self.of_resp3.insert(connection);
                out.extend_from_slice(b"%1\r\n$5\r\nproto\r\n:3\r\n");
            }
            [b"CLIENT", b"ID"] => out.extend_from_slice(format!(":{connection}\r\n").as_bytes()),
            [b"CLIENT", b"TRACKING", b"ON", b"REDIRECT", id] => {
                let id = std::str::from_utf8(id).expect("digits");
                let id = id.parse().expect("a number");
                if self.of_resp3.contains(&id) {
                    self.redirects.insert(connection, id);
                    out.extend_from_slice(b"+OK\r\n");
                } else {
                    let line = b"-ERR The client ID you want redirect to does not exist\r\n";
                    out.extend_from_slice(line);
                }
            }
            _ => return false,
        }
        true
    }

    /// A connection reads a key.
    pub(crate) fn note_read(&mut self, connection: usize, key: &[u8]) {
        if self.redirects.contains_key(&connection) {
            let readers = self.readers.entry(key.to_vec()).or_default();
            readers.insert(connection);
        }
    }

    /// A key was changed.
    pub(crate) fn note_change(&mut self, key: &[u8]) {
        for reader in self.readers.remove(key).unwrap_or_default() {
            let mut push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n".to_vec();
            push.extend_from_slice(format!("${}\r\n", key.len()).as_bytes());
            push.extend_from_slice(key);
            push.extend_from_slice(b"\r\n");
            self.tell(reader, push);
        }
    }

    /// All keys were.
    pub(crate) fn note_flush(&mut self) {
        self.readers.clear();
        let readers: Vec<usize> = self.redirects.keys().copied().collect();
        for reader in readers {
            self.tell(reader, b">2\r\n$10\r\ninvalidate\r\n_\r\n".to_vec());
        }
    }

    fn tell(&mut self, reader: usize, push: Vec<u8>) {
        let to = self.redirects.get(&reader);
        if let Some(to) = to.filter(|to| self.of_resp3.contains(to)) {
            self.unasked.push((*to, push));
        }
    }

    /// Connections that track, each with who is told in its stead, if that one is there.
    pub(crate) fn pairs(&self) -> Vec<(usize, usize)> {
        let pairs = self.redirects.iter().map(|(from, to)| (*from, *to));
        let mut pairs: Vec<_> = pairs.filter(|(_, to)| self.of_resp3.contains(to)).collect();
        pairs.sort_unstable();
        pairs
    }

    pub(crate) fn take_unasked(&mut self) -> Vec<(usize, Vec<u8>)> {
        std::mem::take(&mut self.unasked)
    }

    /// Forgets a connection, and what it has read: it is told of nothing any more.
    pub(crate) fn closed(&mut self, connection: usize) {
        self.redirects.remove(&connection);
        self.of_resp3.remove(&connection);
        self.unasked.retain(|(to, _)| *to != connection);
        for readers in self.readers.values_mut() {
            readers.remove(&connection);
        }
    }
}
