//! What a session was waiting for: answers of other shards, replies of backends.

use super::{
    core::Core,
    form::Form,
    message::AnswerBody,
    pool::{over_memcache, over_resp},
    replies::{Part, Seq},
    session::Session,
};
use crate::{config::Protocol, protocol, store::Applied};

impl Session {
    /// Takes another shard's answer, or one of this shard's own that came at once.
    pub(super) fn answered(&mut self, core: &mut Core, seq: Seq, body: AnswerBody) {
        match body {
            AnswerBody::Replied { failed, bytes } => {
                self.deliver(core, seq, failed, &bytes);
                core.buffers.put(bytes);
            }
            AnswerBody::FoundClient { token } => core.tracking.found(self.token(), token),
            AnswerBody::Listening { .. } | AnswerBody::Noted => {}
            AnswerBody::Flushed => {
                self.replies.resolve(seq, Part::Add(0), &mut core.buffers);
            }
            AnswerBody::Applied { applied, bytes } => {
                self.applied(core, seq, applied, &bytes);
                core.buffers.put(bytes);
            }
        }
    }

    fn applied(&mut self, core: &mut Core, seq: Seq, applied: Applied, bytes: &[u8]) {
        let Some(form) = self.replies.form(seq) else {
            return;
        };
        if form.adds_up() {
            let part = Part::of_count(applied);
            return self.replies.resolve(seq, part, &mut core.buffers);
        }
        let mut encoded = core.buffers.take();
        form.encode(applied, bytes, &mut encoded);
        self.replies
            .resolve(seq, Part::Bytes(&encoded), &mut core.buffers);
        core.buffers.put(encoded);
    }

    /// A backend cannot be asked.
    pub(super) fn fail(&mut self, core: &mut Core, seq: Seq) {
        let line = core.failure_line();
        self.deliver(core, seq, true, &line);
        core.buffers.put(line);
    }

    /// Takes a backend's reply.
    pub(super) fn deliver(&mut self, core: &mut Core, seq: Seq, failed: bool, bytes: &[u8]) {
        let Some(form) = self.replies.form(seq) else {
            return;
        };
        let part = match form {
            _ if failed && self.is_foreign(core) => {
                let mut line = core.buffers.take();
                match self.client() {
                    None => over_resp::error(bytes, &mut line),
                    Some(_) => over_memcache::error(bytes, &mut line),
                }
                self.replies
                    .resolve(seq, Part::Failure(&line), &mut core.buffers);
                return core.buffers.put(line);
            }
            _ if failed => Part::Failure(bytes),
            Form::RespSum if self.is_foreign(core) => Part::Add(over_memcache::count(bytes)),
            Form::RespSum => Part::Add(integer(bytes)),
            form if form.adds_up() => Part::Add(0),
            Form::OverResp(wanted) => {
                return self.translate(core, seq, |key, out| wanted.encode(key, bytes, out));
            }
            Form::OverMemcache(wanted) => {
                return self.translate(core, seq, |_, out| wanted.encode(bytes, out));
            }
            _ => Part::Bytes(bytes),
        };
        self.replies.resolve(seq, part, &mut core.buffers);
    }

    /// Whether the pool's servers speak another protocol than the client.
    fn is_foreign(&self, core: &Core) -> bool {
        let own = match self.client() {
            None => Protocol::Memcache,
            Some(_) => Protocol::Resp,
        };
        core.backend_protocol().is_some_and(|other| other != own)
    }

    /// Resolves a slot with what `encode` makes of the key that was kept for it.
    fn translate(&mut self, core: &mut Core, seq: Seq, encode: impl FnOnce(&[u8], &mut Vec<u8>)) {
        let key = self.replies.take_key(seq);
        let mut encoded = core.buffers.take();
        encode(key.as_deref().unwrap_or_default(), &mut encoded);
        self.replies
            .resolve(seq, Part::Bytes(&encoded), &mut core.buffers);
        core.buffers.put(encoded);
        key.into_iter().for_each(|key| core.buffers.put(key));
    }
}

/// The number in a RESP integer reply; what else a backend may say counts for nothing.
fn integer(bytes: &[u8]) -> i64 {
    use protocol::resp::reply::{Reply, parse_reply};
    match parse_reply(bytes, &protocol::resp::Limits::for_replies(0)) {
        protocol::Parsed::Complete {
            request: Reply::Integer(number),
            ..
        } => number,
        _ => 0,
    }
}
