//! Sets and deletes of clients where they are not done here alone: the key's owner among the peers has them done, and
//! the source if it takes them, and the client is answered when nobody shows any more what was there.
//!
//! The executor sees to that. Here it is only kept who waits, and that there is one change of a key at
//! a time: two on their way together might arrive in either order. For the same reason a change waits for
//! loads of its key that the same client has asked for before.

use core::time::Duration;
use std::collections::HashSet;

use bytes::Bytes;

use super::frame::push_error;
use crate::{
    config::PEER_CHANGES_MAX,
    group::{
        LoadError, Loaded,
        port::{Change, Task, Ticket},
    },
    protocol::memcache::Deadline,
    shard::{
        core::Core,
        form::Form,
        message::Origin,
        pool::errand::{Delivery, Route},
        replies::Covers,
        session::{Session, Step},
    },
    store::{Key, KeyHash},
};

/// What is answered to a set.
const STORED: &[u8] = b"+OK\r\n";

/// What is answered to a delete. Whether there was a value the owner does not tell.
const DELETED: &[u8] = b":1\r\n";

/// The changes that are under way.
#[derive(Debug, Default)]
pub(super) struct Changes {
    slots: Vec<Pending>,
    free: Vec<u32>,
    keys: HashSet<u64>,
}

/// A change under way.
#[derive(Debug, Clone, Copy)]
struct Pending {
    origin: Origin,
    hash: KeyHash,
    is_set: bool,
}

/// What a client wants of a key, in its own buffer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit<'v> {
    /// It gets this value, for so long.
    Set {
        value: &'v [u8],
        flags: u32,
        ttl: Option<Duration>,
    },
    /// It is forgotten.
    Delete,
    /// It is forgotten, as its next value is one that nobody takes. That counts nowhere.
    Unlink,
}

impl Edit<'_> {
    fn to_change(self) -> Change {
        match self {
            Self::Set { value, flags, ttl } => {
                let value = Bytes::copy_from_slice(value);
                Change::Set(Loaded { value, flags, ttl })
            }
            Self::Delete | Self::Unlink => Change::Delete,
        }
    }
}

impl Changes {
    /// Whether a change of this key may begin.
    fn has_room_for(&self, hash: KeyHash) -> bool {
        self.keys.len() < PEER_CHANGES_MAX && !self.keys.contains(&hash.0)
    }

    fn begin(&mut self, pending: Pending) -> Ticket {
        self.keys.insert(pending.hash.0);
        match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = pending;
                Ticket(number)
            }
            None => {
                self.slots.push(pending);
                Ticket((self.slots.len() - 1) as u32)
            }
        }
    }

    fn end(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = *self.slots.get(ticket.0 as usize)?;
        self.free.push(ticket.0);
        self.keys.remove(&pending.hash.0);
        Some(pending)
    }
}

impl Session {
    /// Has the owner of a key change it; the reply takes the next slot. What cannot be encoded without
    /// is `kept`.
    pub(super) fn change(
        &mut self,
        core: &mut Core,
        key: Key<'_>,
        edit: Edit<'_>,
        form: Form,
        kept: &[u8],
    ) -> Step {
        if self.must_wait_for_steps(key) || !core.may_change(key) {
            return Step::Hold;
        }
        let seq = self.replies.defer(form, Covers::Key(key.hash), 1);
        if !kept.is_empty() {
            let kept = core.buffers.copy(&[kept]);
            self.replies.keep_key(seq, kept);
        }
        let origin = Origin {
            token: self.token(),
            seq,
        };
        core.begin_change(origin, key, edit);
        Step::Done
    }

    /// Has the old value of a key forgotten by all peers, as its next one was too large; the reply is left to who
    /// calls. Nothing if there are no peers.
    pub(in crate::shard) fn unlink_at_peers(
        &mut self,
        core: &mut Core,
        key: Key<'_>,
    ) -> Option<Step> {
        core.tells_changes()
            .then(|| self.change(core, key, Edit::Unlink, Form::Silent, &[]))
    }

    /// The same for one of several keys, whose replies add up.
    pub(super) fn change_part(
        &self,
        core: &mut Core,
        origin: Origin,
        key: Key<'_>,
        edit: Edit<'_>,
    ) -> Step {
        if self.must_wait_for_steps(key) || !core.may_change(key) {
            return Step::Hold;
        }
        core.begin_change(origin, key, edit);
        Step::Done
    }
}

impl Core {
    /// Whether others have to hear of changes: peers, or the source.
    pub(super) fn tells_changes(&self) -> bool {
        let changes = self.group.as_ref().and_then(|group| group.changes.as_ref());
        changes.is_some()
    }

    /// A set that other peers have to hear of, if there are any; one that is too large for them and for us is only
    /// to take the old value away.
    pub(super) fn set_of_peers<'v>(
        &self,
        key: &[u8],
        (flags, value): (u32, &'v [u8]),
        end: impl FnOnce() -> Deadline,
    ) -> Option<Edit<'v>> {
        if !self.tells_changes() {
            return None;
        }
        if !self.store.fits(key.len(), value.len()) {
            return Some(Edit::Unlink);
        }
        let ttl = match end() {
            Deadline::Never => None,
            Deadline::Past => Some(Duration::ZERO),
            Deadline::At(at) => Some(Duration::from_millis(at.saturating_sub(self.now.0))),
        };
        Some(Edit::Set { value, flags, ttl })
    }

    /// The same for a delete.
    pub(super) fn delete_of_peers(&self) -> Option<Edit<'static>> {
        self.tells_changes().then_some(Edit::Delete)
    }

    fn may_change(&self, key: Key<'_>) -> bool {
        let Some(group) = &self.group else {
            return false;
        };
        let has_room = |changes: &Changes| changes.has_room_for(key.hash);
        group.changes.as_ref().is_some_and(has_room)
    }

    fn begin_change(&mut self, origin: Origin, key: Key<'_>, edit: Edit<'_>) {
        let is_set = matches!(edit, Edit::Set { .. });
        let counters = self.counters();
        match edit {
            Edit::Set { .. } => counters.sets.add(1),
            Edit::Delete => counters.deletes.add(1),
            Edit::Unlink => {}
        }
        let Some(group) = &mut self.group else { return };
        let Some(changes) = &mut group.changes else {
            return;
        };
        let pending = Pending {
            origin,
            hash: key.hash,
            is_set,
        };
        let task = Task::Change {
            ticket: changes.begin(pending),
            key: Bytes::copy_from_slice(key.bytes),
            change: edit.to_change(),
        };
        let sent = group.port.send(task);
        debug_assert!(sent.is_ok(), "there was room");
    }

    /// Answers who waits for a change.
    pub(super) fn changed(
        &mut self,
        ticket: Ticket,
        changed: Result<(), LoadError>,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let changes = self.group.as_mut().and_then(|group| group.changes.as_mut());
        let Some(pending) = changes.and_then(|changes| changes.end(ticket)) else {
            return;
        };
        let mut frame = self.buffers.take();
        let failed = match changed {
            Ok(()) => {
                frame.extend_from_slice(if pending.is_set { STORED } else { DELETED });
                false
            }
            Err(error) => push_error(&mut frame, &error),
        };
        self.hand_over(Route::Here(pending.origin), failed, &frame, deliver);
        self.buffers.put(frame);
    }
}
