//! How queued writes are kept: in a list with gaps, by their keys, and by the links at which they stand.

use std::collections::VecDeque;

use super::SlotWrites;
use crate::{
    backend::queued_write::Kind,
    spool::{Operation, record::Lsn},
    store::{Key, KeyHash, UnixMs},
};

/// What stands at one link.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Some of these may have gone elsewhere since.
    pub(super) unsent: VecDeque<Mark>,
    pub(super) sent: VecDeque<u32>,
    pub(super) sent_bytes: usize,
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// Nothing is sent before.
    pub(super) stalled_until: Option<UnixMs>,
}

/// An entry, as long as that is what it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: u32,
    pub(super) seq: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// 0 where there is none.
    pub(super) seq: u64,
    pub(super) hash: u64,
    /// The key, then the value of a set.
    pub(super) bytes: Vec<u8>,
    pub(super) key_bytes: usize,
    pub(super) kind: Kind,
    /// The newest record of it on disk.
    pub(super) lsn: Option<Lsn>,
    pub(super) link: usize,
    /// It is among what that link has unsent, or was when it was sent out of its turn.
    pub(super) is_listed: bool,
    pub(super) is_sent: bool,
    /// A change of the key was sent behind it.
    pub(super) is_overtaken: bool,
    /// Something about the key was sent behind it.
    pub(super) is_followed: bool,
    /// The [moment](SlotWrites::moment) when it, or one that it replaces, was lost last with something
    /// behind it.
    pub(super) torn_at: u64,
    /// A newer one is done: this one, still on its way, must not be done again.
    pub(super) is_outdone: bool,
    /// The key's write before it; writes go away in their order.
    pub(super) older: Option<Mark>,
}

impl SlotWrites {
    pub(super) fn share(&mut self, link: usize) -> &mut Share {
        if link >= self.links.len() {
            self.links.resize_with(link + 1, Share::default);
        }
        &mut self.links[link]
    }

    /// A moment later than all before.
    pub(super) fn moment(&mut self) -> u64 {
        self.last_moment += 1;
        self.last_moment
    }

    /// Makes an entry its key's newest.
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let seq = self.moment();
        self.count += 1;
        let latest = self.find(entry.key());
        let entry = Entry {
            seq,
            older: latest.map(|at| self.mark(at)),
            ..entry
        };
        let (hash, link, bytes) = (entry.hash, entry.link, entry.bytes.len());
        let share = self.share(link);
        share.count += 1;
        share.bytes += bytes;
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let Self {
            entries,
            latest: newest,
            ..
        } = self;
        match latest.and_then(|old| newest.find_mut(hash, |other| *other == old)) {
            Some(place) => *place = at,
            None => {
                newest.insert_unique(hash, at, |other| entries[*other as usize].hash);
            }
        }
        at
    }

    /// An entry is over. Its record on disk, if it has one.
    pub(super) fn remove(&mut self, at: u32) -> Option<Lsn> {
        let entry = &mut self.entries[at as usize];
        if let Ok(place) = self.latest.find_entry(entry.hash, |other| *other == at) {
            place.remove();
        }
        entry.seq = 0;
        let bytes = core::mem::take(&mut entry.bytes);
        let share = &mut self.links[entry.link];
        share.count -= 1;
        share.bytes -= bytes.len();
        self.count -= 1;
        self.spare.put(bytes);
        self.free.push(at);
        entry.lsn.take()
    }

    /// Has an entry stand at a link.
    pub(super) fn stand_at(&mut self, at: u32, link: usize) {
        let entry = &mut self.entries[at as usize];
        let from = core::mem::replace(&mut entry.link, link);
        if from == link {
            return;
        }
        self.has_arrivals |= !entry.is_sent;
        entry.is_listed = false;
        let bytes = entry.bytes.len();
        self.links[from].count -= 1;
        self.links[from].bytes -= bytes;
        let share = self.share(link);
        share.count += 1;
        share.bytes += bytes;
    }

    /// Has an entry wait at a link.
    pub(super) fn enlist(&mut self, at: u32, link: usize) {
        self.stand_at(at, link);
        self.entries[at as usize].is_listed = true;
        let mark = self.mark(at);
        self.links[link].unsent.push_back(mark);
    }

    pub(super) fn pop_sent(&mut self, link: usize) -> Option<u32> {
        let share = self.links.get_mut(link)?;
        let at = share.sent.pop_front()?;
        share.sent_bytes -= self.entries[at as usize].bytes.len();
        Some(at)
    }

    pub(super) fn first_sent(&self, link: usize) -> Option<&Entry> {
        let at = self.links.get(link)?.sent.front()?;
        self.entries.get(*at as usize)
    }

    pub(super) fn mark(&self, at: u32) -> Mark {
        let seq = self.entries[at as usize].seq;
        Mark { at, seq }
    }

    pub(super) fn at(&self, mark: Mark) -> Option<&Entry> {
        let entry = self.entries.get(mark.at as usize)?;
        (entry.seq == mark.seq).then_some(entry)
    }

    /// A mark is taken off a link's list; the entry, if it still waits there.
    pub(super) fn strike(&mut self, link: usize, mark: Mark) -> Option<&Entry> {
        let entry = self.entries.get_mut(mark.at as usize)?;
        if entry.seq != mark.seq || entry.link != link {
            return None;
        }
        entry.is_listed = false;
        (!entry.is_sent).then_some(entry)
    }

    pub(super) fn is_latest(&self, at: u32) -> bool {
        self.find(self.entries[at as usize].key()) == Some(at)
    }

    pub(super) fn find(&self, key: Key<'_>) -> Option<u32> {
        let is_key = |at: &u32| self.entries[*at as usize].key().bytes == key.bytes;
        self.latest.find(key.hash.0, is_key).copied()
    }
}

impl Entry {
    /// A delete of a key that is not sent; `bytes` is an empty buffer for the key.
    pub(super) fn new(link: usize, key: Key<'_>, mut bytes: Vec<u8>, lsn: Option<Lsn>) -> Self {
        bytes.extend_from_slice(key.bytes);
        Self {
            seq: 0,
            hash: key.hash.0,
            bytes,
            key_bytes: key.bytes.len(),
            kind: Kind::Delete,
            lsn,
            link,
            is_listed: false,
            is_sent: false,
            is_overtaken: false,
            is_followed: false,
            torn_at: 0,
            is_outdone: false,
            older: None,
        }
    }

    pub(super) fn key(&self) -> Key<'_> {
        Key {
            bytes: &self.bytes[..self.key_bytes],
            hash: KeyHash(self.hash),
        }
    }

    pub(super) fn operation(&self) -> Operation<'_> {
        self.kind.operation(&self.bytes[self.key_bytes..])
    }
}
