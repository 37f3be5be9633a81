//! Keys to be deleted on a backend, soon and for certain.
//!
//! A write in `--write invalidate` is answered once its key is in here. Keys leave in the order
//! they came, one delete for all writes of a key that has not been sent yet, and only when the
//! backend has confirmed; after a lost connection the unconfirmed ones are sent again, first. A key
//! that is on disk, too, has the number of its record there, so that it can be crossed out.
//!
//! ```text
//! entries: | sent, unconfirmed ... | unsent ...            <- push
//!          ^ base                  ^ base + sent
//! ```

use std::collections::VecDeque;

use hashbrown::HashTable;

use crate::{spool::record::Lsn, store::Key};

/// Keys a queue holds.
pub const INVALIDATION_COUNT_MAX: usize = 65_536;

/// Bytes of keys a queue holds.
pub const INVALIDATION_BYTES_MAX: usize = 16 << 20;

/// Deletes in flight on one backend connection.
const SENT_COUNT_MAX: usize = 1_024;

/// The queue is full: the write cannot be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// Invariant: `latest` names, for each key in `entries`, its last entry; a key has at most one
/// entry at or beyond `sent`.
#[derive(Debug, Default)]
pub struct InvalidationQueue {
    entries: VecDeque<Entry>,
    /// The sequence number of the first entry.
    base: u64,
    /// Entries from the front that are in flight.
    sent: usize,
    bytes: usize,
    /// Sequence number of each key's last entry.
    latest: HashTable<u64>,
    /// Buffers of keys that are gone.
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    key: Vec<u8>,
    /// The newest record of it on disk.
    lsn: Option<Lsn>,
}

/// Key buffers kept for reuse.
const SPARE_COUNT_MAX: usize = 1_024;

impl InvalidationQueue {
    /// Promises that `key` will be deleted; `lsn` is its record on disk, if it has one.
    ///
    /// # Errors
    /// The queue is full.
    pub fn push(&mut self, key: Key<'_>, lsn: Option<Lsn>) -> Result<(), QueueFull> {
        if let Some(seq) = self.find(key)
            && seq >= self.base + self.sent as u64
        {
            let entry = &mut self.entries[(seq - self.base) as usize];
            // An older record that comes late is superseded by the newer one.
            entry.lsn = entry.lsn.max(lsn);
            return Ok(());
        }
        if self.entries.len() >= INVALIDATION_COUNT_MAX
            || self.bytes + key.bytes.len() > INVALIDATION_BYTES_MAX
        {
            return Err(QueueFull);
        }
        let seq = self.base + self.entries.len() as u64;
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.extend_from_slice(key.bytes);
        self.bytes += bytes.len();
        self.entries.push_back(Entry {
            hash: key.hash.0,
            key: bytes,
            lsn,
        });
        let Self {
            entries,
            base,
            latest,
            ..
        } = self;
        let entry = |seq: u64| &entries[(seq - *base) as usize];
        match latest.find_mut(key.hash.0, |other| entry(*other).key == key.bytes) {
            Some(latest) => *latest = seq,
            None => {
                latest.insert_unique(key.hash.0, seq, |other| entry(*other).hash);
            }
        }
        Ok(())
    }

    /// The next key to send, if the window has room; it counts as in flight from here on.
    pub fn next_unsent(&mut self) -> Option<&[u8]> {
        if self.sent >= SENT_COUNT_MAX || self.sent == self.entries.len() {
            return None;
        }
        self.sent += 1;
        Some(&self.entries[self.sent - 1].key)
    }

    /// The backend confirmed the oldest key in flight. Its record on disk, if it has one.
    pub fn confirm(&mut self) -> Option<Lsn> {
        debug_assert!(self.sent > 0);
        let front = self.entries.front()?;
        let seq = self.base;
        if let Ok(latest) = self.latest.find_entry(front.hash, |latest| *latest == seq) {
            latest.remove();
        }
        let entry = self.entries.pop_front()?;
        self.base += 1;
        self.sent -= 1;
        self.bytes -= entry.key.len();
        if self.spare.len() < SPARE_COUNT_MAX {
            let mut key = entry.key;
            key.clear();
            self.spare.push(key);
        }
        entry.lsn
    }

    /// The connection is gone: what was in flight is to be sent again. Of two entries of a key
    /// the later one suffices, but its place is behind; both are sent.
    pub fn reset(&mut self) {
        self.sent = 0;
    }

    /// Keys that are not in flight.
    pub fn unsent_count(&self) -> usize {
        self.entries.len() - self.sent
    }

    /// Whether a delete of this key is not confirmed.
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.find(key).is_some()
    }

    /// Keys that are not confirmed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether everything is confirmed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, key: Key<'_>) -> Option<u64> {
        let is_key = |seq: &u64| self.entries[(*seq - self.base) as usize].key == key.bytes;
        self.latest.find(key.hash.0, is_key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyHasher;

    fn key(bytes: &[u8]) -> Key<'_> {
        KeyHasher::new(3).key(bytes)
    }

    fn send_all(queue: &mut InvalidationQueue) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(key) = queue.next_unsent() {
            sent.push(String::from_utf8(key.to_vec()).unwrap());
        }
        sent
    }

    #[test]
    fn unsent_keys_coalesce_and_sent_ones_do_not() {
        let mut queue = InvalidationQueue::default();
        for name in [&b"a"[..], b"b", b"a"] {
            queue.push(key(name), None).unwrap();
        }
        assert_eq!(send_all(&mut queue), ["a", "b"]);
        queue.push(key(b"a"), None).unwrap();
        queue.push(key(b"a"), None).unwrap();
        assert_eq!(
            queue.len(),
            3,
            "a write after the delete was sent needs another"
        );
        assert_eq!(send_all(&mut queue), ["a"]);
        for _ in 0..2 {
            queue.confirm();
        }
        assert!(queue.contains(key(b"a")));
        assert!(!queue.contains(key(b"b")));
        queue.confirm();
        assert!(queue.is_empty());
        assert!(!queue.contains(key(b"a")));
    }

    #[test]
    fn what_is_confirmed_is_the_newest_record_of_its_key() {
        let mut queue = InvalidationQueue::default();
        queue.push(key(b"a"), Some(Lsn(3))).unwrap();
        queue.push(key(b"a"), Some(Lsn(5))).unwrap();
        queue.push(key(b"a"), Some(Lsn(4))).unwrap();
        queue.push(key(b"b"), None).unwrap();
        send_all(&mut queue);
        queue.push(key(b"a"), Some(Lsn(6))).unwrap();
        assert_eq!((queue.confirm(), queue.confirm()), (Some(Lsn(5)), None));
        send_all(&mut queue);
        assert_eq!(queue.confirm(), Some(Lsn(6)));
    }

    #[test]
    fn a_lost_connection_sends_again_in_order() {
        let mut queue = InvalidationQueue::default();
        for name in [&b"a"[..], b"b", b"c"] {
            queue.push(key(name), None).unwrap();
        }
        queue.next_unsent();
        queue.next_unsent();
        queue.confirm();
        queue.reset();
        assert_eq!(send_all(&mut queue), ["b", "c"]);
    }

    #[test]
    fn is_full_at_its_limit_and_says_so() {
        let mut queue = InvalidationQueue::default();
        for number in 0..INVALIDATION_COUNT_MAX as u32 {
            queue.push(key(&number.to_le_bytes()), None).unwrap();
        }
        assert_eq!(queue.push(key(b"more"), None), Err(QueueFull));
        queue.push(key(&7_u32.to_le_bytes()), None).unwrap();
        queue.next_unsent();
        queue.confirm();
        queue.push(key(b"more"), None).unwrap();
        let long = vec![b'k'; INVALIDATION_BYTES_MAX];
        assert_eq!(queue.push(key(&long), None), Err(QueueFull));
    }
}
