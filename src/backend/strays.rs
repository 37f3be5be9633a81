//! Keys that were written on another server than their own, and on which: when they go home, or to
//! a third one, the copies there have to go, or they would be found again the next time.

use super::{QueueFull, WriteQueue};
use crate::{
    spool::Operation,
    store::{Key, KeyHash},
};

/// Keys with the servers that hold them astray, each pair once; as many as an
/// [`WriteQueue`] has room for.
#[derive(Debug, Default)]
pub struct Strays {
    /// Each entry is a server's number in four bytes, then the key.
    queue: WriteQueue,
    scratch: Vec<u8>,
}

/// Bytes of an entry before the key.
const SERVER_BYTES: usize = 4;

impl Strays {
    /// Remembers that `server` has this key.
    ///
    /// # Errors
    /// There is no room.
    pub fn note(&mut self, server: u32, key: Key<'_>) -> Result<(), QueueFull> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&server.to_le_bytes());
        self.scratch.extend_from_slice(key.bytes);
        let hash = key.hash.0 ^ u64::from(server).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let entry = Key {
            bytes: &self.scratch,
            hash: KeyHash(hash),
        };
        self.queue.push(entry, Operation::Delete, None)
    }

    /// Takes the oldest one out: the server, and the key in `bytes`, which was empty.
    pub fn take(&mut self, bytes: &mut Vec<u8>) -> Option<u32> {
        debug_assert!(bytes.is_empty());
        let (entry, _) = self.queue.next_unsent()?;
        let (server, key) = entry.split_first_chunk::<SERVER_BYTES>()?;
        let server = u32::from_le_bytes(*server);
        bytes.extend_from_slice(key);
        self.queue.confirm();
        Some(server)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::WRITE_COUNT_MAX, store::KeyHasher};

    fn key(bytes: &[u8]) -> Key<'_> {
        KeyHasher::new(3).key(bytes)
    }

    fn take_all(strays: &mut Strays) -> Vec<(u32, String)> {
        let mut taken = Vec::new();
        let mut bytes = Vec::new();
        while let Some(server) = strays.take(&mut bytes) {
            taken.push((server, String::from_utf8(bytes.split_off(0)).unwrap()));
        }
        taken
    }

    #[test]
    fn each_pair_comes_out_once_and_in_order() {
        let mut strays = Strays::default();
        for (server, name) in [(1, "a"), (2, "a"), (1, "b"), (1, "a"), (2, "a")] {
            strays.note(server, key(name.as_bytes())).unwrap();
        }
        assert_eq!(strays.len(), 3);
        let expected = [(1, "a"), (2, "a"), (1, "b")];
        let taken = take_all(&mut strays);
        assert!(
            taken
                .iter()
                .map(|(server, name)| (*server, &name[..]))
                .eq(expected)
        );
        assert!(strays.is_empty());
        strays.note(1, key(b"a")).unwrap();
        assert_eq!(take_all(&mut strays), [(1, "a".to_owned())]);
    }

    #[test]
    fn is_full_at_the_limit_of_a_queue() {
        let mut strays = Strays::default();
        for number in 0..WRITE_COUNT_MAX as u32 {
            strays.note(0, key(&number.to_le_bytes())).unwrap();
        }
        assert_eq!(strays.note(0, key(b"more")), Err(QueueFull));
        strays.note(0, key(&7_u32.to_le_bytes())).unwrap();
    }
}
