//! Writes that the nodes of a cluster are to be told, whoever has their keys' slots by then.
//!
//! It does for a cluster what a [`WriteQueue`](super::WriteQueue) does for one server. There a write
//! belongs to the server's link for good; here it stands at the link of whoever has its slot, and
//! goes on to another when the slot does:
//!
//! ```text
//!   link A:  | unsent ... | sent, unconfirmed ...         sent on: to the end of B's
//!   link B:  | unsent ... | sent, unconfirmed ...         lost: unsent again, at the slot's owner
//! ```
//!
//! What is sent over a link is confirmed in that order, and what a node sends on is sent on in that
//! order, so of each only the first is ever looked at. A key may have several writes on their way and
//! at most one that is not, which is its newest. One that is lost on the way goes again only if it is
//! the newest. Where a slot goes away and comes back, a newer write can be done before an older one, which is still
//! on its way to where the slot was for a while: that one is outdone.
//!
//! A request that was sent behind a write of its key relies on it. A node may send both on, one by
//! one and the same way. If the write is lost between the two, the request must not arrive without it:
//! the key's writes are *torn* then, and [it fails](SlotWrites::is_torn_since).

mod entries;

use hashbrown::HashTable;

use self::entries::{Entry, Share};
use super::queued_write::{
    Kind, QueueFull, SENT_BYTES_MAX, SENT_COUNT_MAX, Spare, WRITE_BYTES_MAX, WRITE_COUNT_MAX,
    fence_turns, value_of,
};
use crate::{
    spool::{Operation, record::Lsn},
    store::{Key, UnixMs},
};

/// Invariant: `latest` names each key's newest entry; one that is not sent is its key's newest. A
/// link's `count` and `bytes` are those of the entries that stand at it.
#[derive(Debug, Default)]
pub struct SlotWrites {
    entries: Vec<Entry>,
    free: Vec<u32>,
    latest: HashTable<u32>,
    links: Vec<Share>,
    /// Counts what happens, so that it is known what came first.
    last_moment: u64,
    count: usize,
    /// Something unsent has come to another link than where it was.
    has_arrivals: bool,
    /// When a stall ends, or sooner.
    next_stall: Option<UnixMs>,
    spare: Spare,
}

impl SlotWrites {
    /// Promises that whoever has the key's slot will be told of a write; now that is who this link
    /// leads to. `lsn` is its record on disk, if it has one. A record that is older than what is known
    /// of the key changes nothing.
    ///
    /// # Errors
    /// There are too many at that link.
    pub fn push(
        &mut self,
        link: usize,
        key: Key<'_>,
        operation: Operation<'_>,
        lsn: Option<Lsn>,
    ) -> Result<(), QueueFull> {
        let value = value_of(operation);
        let length = key.bytes.len() + value.len();
        let found = self.find(key);
        if let Some(at) = found {
            let entry = &self.entries[at as usize];
            if let (Some(known), Some(lsn)) = (entry.lsn, lsn)
                && lsn < known
            {
                return Ok(());
            }
            if !entry.is_sent {
                return self.replace(at, operation, lsn);
            }
        }
        let share = self.share(link);
        if share.count >= WRITE_COUNT_MAX || share.bytes + length > WRITE_BYTES_MAX {
            return Err(QueueFull);
        }
        let mut entry = Entry::new(link, key, self.spare.take(), lsn);
        entry.bytes.extend_from_slice(value);
        entry.kind = Kind::of(operation);
        let at = self.insert(entry);
        self.enlist(at, link);
        Ok(())
    }

    /// An unsent write has a newer value.
    fn replace(
        &mut self,
        at: u32,
        operation: Operation<'_>,
        lsn: Option<Lsn>,
    ) -> Result<(), QueueFull> {
        let entry = &mut self.entries[at as usize];
        let share = &mut self.links[entry.link];
        let value = value_of(operation);
        let bytes = share.bytes - entry.bytes.len() + entry.key_bytes + value.len();
        // What came here with a slot may be beyond the limit already: less of it is always welcome.
        if bytes > WRITE_BYTES_MAX && bytes > share.bytes {
            return Err(QueueFull);
        }
        share.bytes = bytes;
        entry.bytes.truncate(entry.key_bytes);
        entry.bytes.extend_from_slice(value);
        entry.kind = Kind::of(operation);
        entry.lsn = entry.lsn.max(lsn);
        Ok(())
    }

    /// The next write to send over a link, if the window has room; it counts as sent from here on.
    /// `home` says whose link a key's is now: what is another's goes there.
    pub fn next_unsent(
        &mut self,
        link: usize,
        now: UnixMs,
        home: impl Fn(Key<'_>) -> usize,
    ) -> Option<(&[u8], Operation<'_>)> {
        let share = self.links.get(link)?;
        let has_room = share.sent.len() < SENT_COUNT_MAX && share.sent_bytes < SENT_BYTES_MAX;
        if !has_room || share.stalled_until.is_some_and(|until| now < until) {
            return None;
        }
        loop {
            let mark = self.links[link].unsent.pop_front()?;
            let Some(entry) = self.strike(link, mark) else {
                continue;
            };
            match home(entry.key()) {
                owner if owner == link => {
                    self.send(mark.at, link);
                    return Some(self.write(mark.at));
                }
                owner => self.enlist(mark.at, owner),
            }
        }
    }

    /// The key's write to send so that something about it can be sent behind, over this link; none if
    /// it is sent.
    pub fn next_ahead(&mut self, key: Key<'_>, link: usize) -> Option<(&[u8], Operation<'_>)> {
        let at = self.find(key)?;
        if self.entries[at as usize].is_sent {
            return None;
        }
        self.send(at, link);
        Some(self.write(at))
    }

    fn send(&mut self, at: u32, link: usize) {
        self.stand_at(at, link);
        let entry = &mut self.entries[at as usize];
        entry.is_sent = true;
        let share = &mut self.links[link];
        share.sent.push_back(at);
        share.sent_bytes += entry.bytes.len();
    }

    /// What a server is told of a write.
    fn write(&self, at: u32) -> (&[u8], Operation<'_>) {
        let entry = &self.entries[at as usize];
        (entry.key().bytes, entry.operation())
    }

    /// The first write that was sent over a link is confirmed. Its record on disk, if it has one.
    pub fn confirm(&mut self, link: usize) -> Option<Lsn> {
        let at = self.pop_sent(link)?;
        let mut older = self.entries[at as usize].older;
        while let Some(mark) = older.filter(|mark| self.at(*mark).is_some()) {
            let entry = &mut self.entries[mark.at as usize];
            entry.is_outdone = true;
            older = entry.older;
        }
        self.remove(at)
    }

    /// The first write that was sent over a link will never be taken, and is a set: its key is to be
    /// deleted instead, unless there is a newer write of it. The record on disk that is over.
    pub fn refuse(&mut self, link: usize, home: impl Fn(Key<'_>) -> usize) -> Option<Lsn> {
        let at = self.pop_sent(link)?;
        if self.is_latest(at) {
            let entry = &mut self.entries[at as usize];
            let value_bytes = entry.bytes.len() - entry.key_bytes;
            entry.bytes.truncate(entry.key_bytes);
            entry.kind = Kind::Delete;
            let owner = entry.link;
            self.links[owner].bytes -= value_bytes;
        }
        self.put_back(at, home)
    }

    /// The first write that was sent over a link was sent on by its node, over another one.
    pub fn send_on(&mut self, from: usize, to: usize) {
        if let Some(at) = self.pop_sent(from) {
            self.send(at, to);
        }
    }

    /// The first write that was sent over a link was not taken. If there is a newer one of its key, or was, and
    /// nothing was sent between them, it is over.
    pub fn drop_if_older(&mut self, link: usize) -> bool {
        let Some(at) = self
            .links
            .get(link)
            .and_then(|share| share.sent.front().copied())
        else {
            return false;
        };
        let entry = &self.entries[at as usize];
        let (torn_at, is_outdone) = (entry.torn_at, entry.is_outdone);
        let latest = self.find(entry.key()).filter(|latest| *latest != at);
        if entry.is_followed || (latest.is_none() && !is_outdone) {
            return false;
        }
        if let Some(latest) = latest {
            self.tear(latest, torn_at);
        }
        self.pop_sent(link);
        self.remove(at);
        true
    }

    /// The first write that was sent over a link was not taken, and is to be sent again. The link at
    /// which it waits, unless a newer one of its key suffices.
    pub fn take_back(&mut self, link: usize, home: impl Fn(Key<'_>) -> usize) -> Option<usize> {
        let at = self.pop_sent(link)?;
        self.put_back(at, home);
        let entry = &self.entries[at as usize];
        (entry.seq > 0).then_some(entry.link)
    }

    /// A connection is gone, and all that was sent over it is to be sent again. How often the server
    /// has to answer on a new connection before it is told anything newer.
    pub fn lose(&mut self, link: usize, home: impl Fn(Key<'_>) -> usize) -> u32 {
        let Some(share) = self.links.get_mut(link) else {
            return 0;
        };
        if share.sent.is_empty() {
            return 0;
        }
        let turns = fence_turns(share.sent.len(), share.sent_bytes);
        share.sent_bytes = 0;
        // The newest first: of a key's it is the one that goes again.
        while let Some(at) = self.links[link].sent.pop_back() {
            self.put_back(at, &home);
        }
        turns
    }

    /// A write that was on its way is to be sent again, or the newer one of its key suffices: then
    /// its record on disk is over.
    fn put_back(&mut self, at: u32, home: impl Fn(Key<'_>) -> usize) -> Option<Lsn> {
        let moment = self.moment();
        let entry = &mut self.entries[at as usize];
        entry.is_sent = false;
        entry.is_overtaken = false;
        if core::mem::take(&mut entry.is_followed) {
            entry.torn_at = moment;
        }
        let torn_at = entry.torn_at;
        let latest = self.find(self.entries[at as usize].key());
        if let Some(latest) = latest
            && latest != at
        {
            self.tear(latest, torn_at);
            return self.remove(at);
        }
        if self.entries[at as usize].is_outdone {
            return self.remove(at);
        }
        let owner = home(self.entries[at as usize].key());
        self.stand_at(at, owner);
        if !core::mem::replace(&mut self.entries[at as usize].is_listed, true) {
            let mark = self.mark(at);
            self.links[owner].unsent.push_front(mark);
        }
        None
    }

    /// What was sent behind a write before this moment must not arrive without it.
    fn tear(&mut self, at: u32, moment: u64) {
        let torn_at = &mut self.entries[at as usize].torn_at;
        *torn_at = moment.max(*torn_at);
    }

    /// Slots have left a link's node: what is not sent goes to where its slot is.
    pub fn rehome(&mut self, link: usize, home: impl Fn(Key<'_>) -> usize) {
        // What stays is listed again behind those.
        let count = self.links.get(link).map_or(0, |share| share.unsent.len());
        for _ in 0..count {
            let mark = self.links[link].unsent.pop_front();
            if let Some(mark) = mark
                && let Some(entry) = self.strike(link, mark)
            {
                let owner = home(entry.key());
                self.enlist(mark.at, owner);
            }
        }
    }

    /// Whether something unsent has come to another link, which may have nothing else to do.
    pub fn has_arrivals(&self) -> bool {
        self.has_arrivals
    }

    /// They have been looked at.
    pub fn end_arrivals(&mut self) {
        self.has_arrivals = false;
    }

    /// Nothing is sent over a link before this time.
    pub fn stall(&mut self, link: usize, until: UnixMs) {
        self.share(link).stalled_until = Some(until);
        self.next_stall = Some(self.next_stall.map_or(until, |next| next.min(until)));
    }

    /// When to [end stalls](Self::end_stalls), whether or not a link has something unsent by then; it
    /// may be sooner than any of them is over.
    pub fn stalled_until(&self) -> Option<UnixMs> {
        self.next_stall
    }

    /// Ends stalls whose time is over.
    pub fn end_stalls(&mut self, now: UnixMs) {
        if self.next_stall.is_none_or(|until| now < until) {
            return;
        }
        for share in &mut self.links {
            share.stalled_until = share.stalled_until.filter(|until| now < *until);
        }
        let left = self.links.iter().filter_map(|share| share.stalled_until);
        self.next_stall = left.min();
    }

    /// Turns every set into a delete. One that is on its way is followed by a delete; its record on
    /// disk is that one's from here on. How many they were.
    pub fn demote_all(&mut self) -> usize {
        let mut count = 0;
        let mut followers = Vec::new();
        for at in 0..self.entries.len() as u32 {
            let entry = &mut self.entries[at as usize];
            if entry.seq == 0 || matches!(entry.kind, Kind::Delete) {
                continue;
            }
            count += 1;
            if entry.is_sent {
                followers.push((at, entry.lsn.take()));
                continue;
            }
            self.links[entry.link].bytes -= entry.bytes.len() - entry.key_bytes;
            entry.bytes.truncate(entry.key_bytes);
            entry.kind = Kind::Delete;
        }
        for (at, lsn) in followers {
            // What came later of the key is a delete by now, or on its way and followed itself.
            if self.is_latest(at) {
                self.append_delete(at, lsn);
            }
        }
        count
    }

    fn append_delete(&mut self, behind: u32, lsn: Option<Lsn>) {
        let bytes = self.spare.take();
        let entry = &self.entries[behind as usize];
        let link = entry.link;
        let follower = Entry::new(link, entry.key(), bytes, lsn);
        let at = self.insert(follower);
        self.enlist(at, link);
    }

    /// What is promised of a key and not confirmed. Nothing is known of a key that something else
    /// was sent about behind it.
    pub fn get(&self, key: Key<'_>) -> Option<Operation<'_>> {
        let entry = &self.entries[self.find(key)? as usize];
        (!entry.is_overtaken).then(|| entry.operation())
    }

    /// Whether a write of this key is not confirmed.
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.find(key).is_some()
    }

    /// Something about this key is sent behind what is on its way of it, perhaps a change. The moment at
    /// which it is, if anything is on its way.
    pub fn follow(&mut self, key: Key<'_>, is_change: bool) -> Option<u64> {
        let at = self.find(key)?;
        let entry = &mut self.entries[at as usize];
        debug_assert!(entry.is_sent, "it was sent ahead");
        entry.is_overtaken |= is_change;
        entry.is_followed = true;
        Some(self.moment())
    }

    /// Whether a write was lost that something about this key was sent behind at this
    /// [moment](Self::follow).
    pub fn is_torn_since(&self, key: Key<'_>, moment: u64) -> bool {
        let mut next = self.find(key).map(|at| self.mark(at));
        while let Some(entry) = next.and_then(|mark| self.at(mark)) {
            if entry.torn_at > moment {
                return true;
            }
            next = entry.older;
        }
        false
    }

    /// Whether the first write that was sent over a link is a set.
    pub fn is_set_first(&self, link: usize) -> bool {
        let first = self.first_sent(link);
        first.is_some_and(|entry| !matches!(entry.kind, Kind::Delete))
    }

    /// Whether something about its key was sent behind the first write that was sent over a link.
    pub fn is_first_followed(&self, link: usize) -> bool {
        self.first_sent(link).is_some_and(|entry| entry.is_followed)
    }

    /// Whether something is to be sent over a link, perhaps.
    pub fn is_waiting_at(&self, link: usize) -> bool {
        let share = self.links.get(link);
        share.is_some_and(|share| !share.unsent.is_empty())
    }

    /// Writes that stand at a link.
    pub fn count_at(&self, link: usize) -> usize {
        self.links.get(link).map_or(0, |share| share.count)
    }

    /// Writes that are not confirmed.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether everything is confirmed.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests;
