//! Writes that a backend is to be told, soon and for certain.
//!
//! A write in `--write invalidate` or `--write behind` is answered once it is in here. Writes leave
//! in the order they came, one for all writes of a key that has not been sent yet, the newest, and
//! only when the backend has confirmed; after a lost connection the unconfirmed ones are sent again,
//! first. A write that is on disk, too, has the number of its record there, so that it can be
//! crossed out.
//!
//! ```text
//! entries: | sent, unconfirmed ... | unsent ...            <- push
//!          ^ base                  ^ base + sent
//! ```

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::queued_write::{
    Kind, QueueFull, SENT_BYTES_MAX, SENT_COUNT_MAX, Spare, WRITE_BYTES_MAX, WRITE_COUNT_MAX,
    fence_turns, value_of,
};
use crate::{
    spool::{Operation, record::Lsn},
    store::Key,
};

/// Invariant: `latest` names, for each key in `entries`, its last entry; a key has at most one
/// entry at or beyond `sent`, but for what a lost connection has left, and then the last counts.
#[derive(Debug, Default)]
pub struct WriteQueue {
    entries: VecDeque<Entry>,
    /// The sequence number of the first entry.
    base: u64,
    /// Entries from the front that are in flight.
    sent: usize,
    sent_bytes: usize,
    bytes: usize,
    /// Sequence number of each key's last entry.
    latest: HashTable<u64>,
    spare: Spare,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    /// The key, then the value of a set.
    bytes: Vec<u8>,
    key_bytes: usize,
    kind: Kind,
    /// The newest record of it on disk.
    lsn: Option<Lsn>,
    /// A change of the key was sent behind it.
    is_overtaken: bool,
    /// Something about the key was sent behind it.
    is_followed: bool,
}

impl WriteQueue {
    /// Promises that the backend will be told of a write; `lsn` is its record on disk, if it has
    /// one. A record that is older than what is known of the key changes nothing.
    ///
    /// # Errors
    /// The queue is full.
    pub fn push(
        &mut self,
        key: Key<'_>,
        operation: Operation<'_>,
        lsn: Option<Lsn>,
    ) -> Result<(), QueueFull> {
        let length = key.bytes.len() + value_of(operation).len();
        let Some(seq) = self.find(key) else {
            return self.append(key, operation, lsn, length);
        };
        let at = (seq - self.base) as usize;
        let entry = &mut self.entries[at];
        if let (Some(known), Some(lsn)) = (entry.lsn, lsn)
            && lsn < known
        {
            return Ok(());
        }
        if at < self.sent {
            return self.append(key, operation, lsn, length);
        }
        let bytes = self.bytes - entry.bytes.len() + length;
        if bytes > WRITE_BYTES_MAX {
            return Err(QueueFull);
        }
        self.bytes = bytes;
        entry.bytes.truncate(entry.key_bytes);
        entry.bytes.extend_from_slice(value_of(operation));
        entry.kind = Kind::of(operation);
        entry.lsn = entry.lsn.max(lsn);
        Ok(())
    }

    fn append(
        &mut self,
        key: Key<'_>,
        operation: Operation<'_>,
        lsn: Option<Lsn>,
        length: usize,
    ) -> Result<(), QueueFull> {
        if self.entries.len() >= WRITE_COUNT_MAX || self.bytes + length > WRITE_BYTES_MAX {
            return Err(QueueFull);
        }
        let mut bytes = self.spare.take();
        bytes.extend_from_slice(key.bytes);
        bytes.extend_from_slice(value_of(operation));
        self.append_entry(Entry {
            hash: key.hash.0,
            bytes,
            key_bytes: key.bytes.len(),
            kind: Kind::of(operation),
            lsn,
            is_overtaken: false,
            is_followed: false,
        });
        Ok(())
    }

    fn append_entry(&mut self, added: Entry) {
        let seq = self.base + self.entries.len() as u64;
        self.bytes += added.bytes.len();
        self.entries.push_back(added);
        let Self {
            entries,
            base,
            latest,
            ..
        } = self;
        let entry = |seq: u64| &entries[(seq - *base) as usize];
        let added = entry(seq);
        match latest.find_mut(added.hash, |other| entry(*other).key() == added.key()) {
            Some(latest) => *latest = seq,
            None => {
                latest.insert_unique(added.hash, seq, |other| entry(*other).hash);
            }
        }
    }

    /// The next write to send, if the window has room; it counts as in flight from here on.
    pub fn next_unsent(&mut self) -> Option<(&[u8], Operation<'_>)> {
        if self.sent >= SENT_COUNT_MAX || self.sent_bytes >= SENT_BYTES_MAX {
            return None;
        }
        self.take_unsent()
    }

    /// The next write to send so that a key's gets sent, whether the window has room or not; none
    /// once that is in flight.
    pub fn next_ahead(&mut self, key: Key<'_>) -> Option<(&[u8], Operation<'_>)> {
        let seq = self.find(key)?;
        if seq < self.base + self.sent as u64 {
            return None;
        }
        self.take_unsent()
    }

    fn take_unsent(&mut self) -> Option<(&[u8], Operation<'_>)> {
        let entry = self.entries.get(self.sent)?;
        self.sent += 1;
        self.sent_bytes += entry.bytes.len();
        Some((entry.key(), entry.operation()))
    }

    /// The backend confirmed the oldest write in flight. Its record on disk, if it has one.
    pub fn confirm(&mut self) -> Option<Lsn> {
        let entry = self.pop()?;
        self.spare.put(entry.bytes);
        entry.lsn
    }

    /// The backend will never take the oldest write in flight, which is a set: its key is to be
    /// deleted instead, unless there is a newer write of it. The record on disk that is over.
    pub fn refuse(&mut self) -> Option<Lsn> {
        let entry = self.pop()?;
        if self.find_entry(&entry).is_some() {
            self.spare.put(entry.bytes);
            return entry.lsn;
        }
        self.append_delete(entry);
        None
    }

    /// Whether the oldest write in flight is a set.
    pub fn is_set_first(&self) -> bool {
        let front = self.entries.front();
        front.is_some_and(|entry| !entry.is_delete())
    }

    /// Turns every set into a delete. One that is in flight is followed by a delete; its record on
    /// disk is that one's from here on. How many they were.
    pub fn demote_all(&mut self) -> usize {
        let mut count = 0;
        let mut followers = Vec::new();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            if entry.is_delete() {
                continue;
            }
            count += 1;
            if at < self.sent {
                followers.push((at, entry.lsn.take()));
                continue;
            }
            self.bytes -= entry.bytes.len() - entry.key_bytes;
            entry.bytes.truncate(entry.key_bytes);
            entry.kind = Kind::Delete;
        }
        for (at, lsn) in followers {
            let entry = &self.entries[at];
            // What came later of the key is a delete by now, or in flight and followed itself.
            let is_latest = self.find_entry(entry) == Some(self.base + at as u64);
            if is_latest {
                let mut bytes = self.spare.take();
                bytes.extend_from_slice(entry.key());
                let follower = Entry {
                    hash: entry.hash,
                    bytes,
                    key_bytes: entry.key_bytes,
                    kind: Kind::Delete,
                    lsn,
                    is_overtaken: false,
                    is_followed: false,
                };
                self.append_entry(follower);
            }
        }
        count
    }

    /// The connection is gone: what was in flight is to be sent again. Of two entries of a key
    /// the later one suffices, but its place is behind; both are sent.
    ///
    /// A server that hung may still take the writes that were in flight from what it has received
    /// before. It must have done so before it gets newer ones, which a late delete would take away: how often it has to answer on the new
    /// connection first.
    pub fn reset(&mut self) -> u32 {
        let turns = match self.sent {
            0 => 0,
            count => fence_turns(count, self.sent_bytes),
        };
        let in_flight = self.entries.range_mut(..self.sent);
        in_flight.for_each(|entry| {
            entry.is_overtaken = false;
            entry.is_followed = false;
        });
        self.sent = 0;
        self.sent_bytes = 0;
        turns
    }

    /// What is promised of a key and not confirmed. Nothing is known of a key that something else
    /// was sent about behind it.
    pub fn get(&self, key: Key<'_>) -> Option<Operation<'_>> {
        let seq = self.find(key)?;
        let entry = &self.entries[(seq - self.base) as usize];
        (!entry.is_overtaken).then(|| entry.operation())
    }

    /// Something about this key is sent behind what is in flight of it, perhaps a change.
    pub fn follow(&mut self, key: Key<'_>, is_change: bool) {
        if let Some(seq) = self.find(key) {
            let at = (seq - self.base) as usize;
            debug_assert!(at < self.sent, "it was sent ahead");
            let entry = &mut self.entries[at];
            entry.is_overtaken |= is_change;
            entry.is_followed = true;
        }
    }

    /// Whether something was sent behind the oldest write in flight that is about its key.
    pub fn is_first_followed(&self) -> bool {
        let front = self.entries.front();
        front.is_some_and(|entry| entry.is_followed)
    }

    /// Writes that are not in flight.
    pub fn unsent_count(&self) -> usize {
        self.entries.len() - self.sent
    }

    /// Whether a write of this key is not confirmed.
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.find(key).is_some()
    }

    /// Writes that are not confirmed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether everything is confirmed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes the oldest write in flight out.
    fn pop(&mut self) -> Option<Entry> {
        debug_assert!(self.sent > 0);
        let front = self.entries.front()?;
        let seq = self.base;
        if let Ok(latest) = self.latest.find_entry(front.hash, |latest| *latest == seq) {
            latest.remove();
        }
        let entry = self.entries.pop_front()?;
        self.base += 1;
        self.sent -= 1;
        self.sent_bytes -= entry.bytes.len();
        self.bytes -= entry.bytes.len();
        Some(entry)
    }

    fn append_delete(&mut self, mut entry: Entry) {
        entry.bytes.truncate(entry.key_bytes);
        entry.kind = Kind::Delete;
        self.append_entry(entry);
    }

    fn find(&self, key: Key<'_>) -> Option<u64> {
        self.find_by(key.hash.0, key.bytes)
    }

    fn find_entry(&self, entry: &Entry) -> Option<u64> {
        self.find_by(entry.hash, entry.key())
    }

    fn find_by(&self, hash: u64, key: &[u8]) -> Option<u64> {
        let is_key = |seq: &u64| self.entries[(*seq - self.base) as usize].key() == key;
        self.latest.find(hash, is_key).copied()
    }
}

impl Entry {
    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes]
    }

    fn is_delete(&self) -> bool {
        matches!(self.kind, Kind::Delete)
    }

    fn operation(&self) -> Operation<'_> {
        self.kind.operation(&self.bytes[self.key_bytes..])
    }
}

#[cfg(test)]
mod tests;
