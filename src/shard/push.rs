//! What a client is told unasked: where it goes among the replies, and when it is too much.

use super::{
    buffers::BufferPool, core::Core, replies::Seq, session::Session, settings::PUSH_BYTES_MAX,
    tracking,
};
use crate::protocol::resp::{INVALIDATION_CHANNEL, Version, reply};

/// The state of a conversation as far as pushes go.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    /// Came in the middle of a reply, and wait for its end.
    late: Vec<u8>,
    /// Bytes that were pushed since the last send began.
    unsent_bytes: usize,
    is_overrun: bool,
}

impl Session {
    /// A RESP client's id.
    pub(super) fn client_id(&self) -> Option<u64> {
        self.client().map(|_| self.id)
    }

    /// Whether this is a RESP client that is to hear of changes.
    #[inline]
    pub(super) fn is_tracking(&self) -> bool {
        self.client().is_some_and(|client| client.is_tracking)
    }

    /// Whether this is a RESP client that listens to the channel of invalidations.
    #[inline]
    pub(super) fn is_subscribed(&self) -> bool {
        self.client().is_some_and(|client| {
            let all = client.subscriptions.as_deref();
            client.is_subscribed || all.is_some_and(|all| !all.is_empty())
        })
    }

    /// Whether it may ask for little, as it could not tell messages from replies.
    #[inline]
    pub(super) fn is_confined(&self) -> bool {
        self.is_subscribed() && self.version() == Version::Resp2
    }

    /// Refuses a command of this name to a client that is confined.
    #[cold]
    pub(super) fn refuse_confined(&mut self, core: &mut Core, name: &str) {
        let line = format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
             RESET are allowed in this context"
        );
        reply::error(self.ready(&mut core.buffers), line);
    }

    /// Appends a message of a channel, which came as RESP3 has it, or a line of MONITOR. Who waits for an answer at a
    /// server hears it meanwhile.
    pub(super) fn push_message(&mut self, buffers: &mut BufferPool, frame: &[u8]) {
        if !self.may_push(frame.len()) {
            return;
        }
        let mut copy = buffers.copy(&[frame]);
        if let (Version::Resp2, Some(kind @ b'>')) = (self.version(), copy.first_mut()) {
            *kind = b'*';
        }
        if self.is_blocked() {
            self.replies.ahead(buffers).extend_from_slice(&copy);
        } else {
            self.append(buffers, &copy);
        }
        buffers.put(copy);
    }

    /// Appends push frames, which only RESP3 has, behind all replies so far.
    pub(super) fn push(&mut self, buffers: &mut BufferPool, frames: &[u8]) {
        if self.version() == Version::Resp3 && self.may_push(frames.len()) {
            self.append(buffers, frames);
        }
    }

    /// Appends what the client is to be told of changes it made itself right behind their reply.
    pub(super) fn push_own(&mut self, core: &mut Core, seq: Seq) {
        if core.tracking.own.is_empty() {
            return;
        }
        let mut own = core::mem::take(&mut core.tracking.own);
        if self.version() == Version::Resp3 && self.may_push(own.len()) {
            if self.is_amid_reply() {
                self.pushes.late.extend_from_slice(&own);
            } else {
                self.replies.insert_behind(seq, &own, &mut core.buffers);
            }
        }
        own.clear();
        core.tracking.own = own;
    }

    /// Tells the client behind the reply to its own flush that everything is gone. False if it is
    /// to be told as all others.
    pub(super) fn push_end_of_flush(&mut self, core: &mut Core, seq: Seq) -> bool {
        let client = core.tracking.client(self.token());
        let is_told_here = client.is_some_and(|client| client.redirect.is_none())
            && self.version() == Version::Resp3;
        if is_told_here {
            let own = &mut core.tracking.own;
            tracking::encode_invalidation(own, tracking::null(Version::Resp3));
            self.push_own(core, seq);
        }
        is_told_here
    }

    /// Tells the client in the stead of another of an encoded array of keys.
    pub(super) fn push_redirected(&mut self, buffers: &mut BufferPool, array: &[u8]) {
        let mut frame = buffers.take();
        match self.version() {
            Version::Resp3 => tracking::encode_invalidation(&mut frame, array),
            Version::Resp2 if self.is_subscribed() => {
                reply::array_header(&mut frame, 3);
                reply::bulk(&mut frame, b"message");
                reply::bulk(&mut frame, INVALIDATION_CHANNEL);
                frame.extend_from_slice(array);
            }
            Version::Resp2 => {}
        }
        if !frame.is_empty() && self.may_push(frame.len()) {
            self.append(buffers, &frame);
        }
        buffers.put(frame);
    }

    /// Whether something waits for the end of a reply.
    #[inline]
    pub(super) fn has_late_pushes(&self) -> bool {
        !self.pushes.late.is_empty()
    }

    /// Appends what had to wait for the end of a reply.
    pub(super) fn push_late(&mut self, buffers: &mut BufferPool) {
        if self.has_late_pushes() {
            let late = core::mem::take(&mut self.pushes.late);
            self.replies.ready(buffers).extend_from_slice(&late);
        }
    }

    /// Whether the client has left more unread than is kept for it.
    pub(super) fn is_overrun(&self) -> bool {
        self.pushes.is_overrun
    }

    /// All that can be sent is on its way.
    pub(super) fn sending(&mut self) {
        self.pushes.unsent_bytes = 0;
    }

    fn append(&mut self, buffers: &mut BufferPool, frames: &[u8]) {
        if self.is_amid_reply() {
            self.pushes.late.extend_from_slice(frames);
        } else {
            self.replies.ready(buffers).extend_from_slice(frames);
        }
    }

    fn may_push(&mut self, bytes: usize) -> bool {
        self.pushes.unsent_bytes += bytes;
        self.pushes.is_overrun |= self.pushes.unsent_bytes > PUSH_BYTES_MAX;
        !self.pushes.is_overrun
    }
}
