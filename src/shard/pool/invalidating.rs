//! Invalidations: a key is promised to be deleted on its server soon, and the client is answered.
//!
//! Without a spool it is promised as soon as it is queued; with one once it is on disk, see
//! [`spooling`](super::spooling).

use super::{
    errand::{NO_META, Route},
    spooling::Reply,
};
use crate::shard::{core::Core, message::AnswerBody};
use crate::{
    protocol::memcache::Spelling,
    spool::port::Note,
    store::{Applied, Key, Outcome},
};

/// The line for a client whose write cannot be promised.
pub(super) const QUEUE_FULL: &str = "invalidation queue is full";

impl Core {
    /// `Some` unless the answer waits for the disk.
    pub(super) fn invalidate(
        &mut self,
        route: Route,
        server: usize,
        key: Key<'_>,
        reply: Reply,
        request: &[u8],
    ) -> Option<AnswerBody> {
        let now = self.now;
        let pool = self.pool.as_mut()?;
        let is_base64 = pool.spelling(key.bytes) == Spelling::Base64;
        // Where its own server does not serve, another one may have it, too.
        let stand_in = server;
        let server = match pool.moves_keys() {
            true => pool.home_link(key),
            false => server,
        };
        if stand_in != server {
            let link = &mut pool.links[stand_in];
            if link.invalidations.push(key, None).is_err() {
                return Some(self.failure(QUEUE_FULL));
            }
            link.pump_invalidations(now);
        }
        let link = &mut pool.links[server];
        if is_base64 && !link.core.knew_meta() {
            return Some(self.failure(NO_META));
        }
        if self.spool.is_some() {
            let server = pool.server_of(server);
            self.spool_invalidation(route, server, key, reply, request);
            return None;
        }
        if link.invalidations.push(key, None).is_err() {
            return Some(self.failure(QUEUE_FULL));
        }
        link.pump_invalidations(now);
        let bytes = match reply {
            Reply::Verbatim => self.buffers.copy(&[request]),
            _ => Vec::new(),
        };
        Some(self.invalidated(key, reply, bytes))
    }

    /// An invalidation is promised: the L1 copy is dropped, and this is the answer.
    pub(super) fn invalidated(&mut self, key: Key<'_>, reply: Reply, bytes: Vec<u8>) -> AnswerBody {
        self.counters().invalidations.add(1);
        if self.has_l1() {
            self.drop_l1(key);
        }
        let outcome = match reply {
            Reply::Stored => Outcome::Stored { value_bytes: 0 },
            Reply::Deleted => Outcome::Deleted,
            Reply::Verbatim => {
                return AnswerBody::Replied {
                    failed: false,
                    bytes,
                };
            }
        };
        AnswerBody::Applied {
            applied: Applied::from(outcome),
            bytes,
        }
    }

    /// A server has answered the oldest delete in flight.
    pub(super) fn confirm_invalidation(&mut self, server: usize, failed: bool) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let link = &mut pool.links[server];
        if failed || link.refused {
            // Refused deletes are not done: the link is given up and all are sent again. Those
            // behind it are confirmed in vain, as only the oldest can be taken off the queue.
            link.refused = true;
            return;
        }
        let lsn = link.invalidations.confirm();
        link.pump_invalidations(now);
        if let (Some(lsn), Some(spool)) = (lsn, &mut self.spool) {
            spool.note(Note::Done(lsn));
        }
    }
}
