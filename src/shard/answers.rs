//! What a session was waiting for: answers of other shards, replies of backends.

use super::{
    core::Core,
    message::AnswerBody,
    replies::{Part, Seq},
    session::Session,
};
use crate::store::Applied;

impl Session {
    /// Takes another shard's answer, or one of this shard's own that came at once.
    pub(in crate::shard) fn answered(&mut self, core: &mut Core, seq: Seq, body: AnswerBody) {
        match body {
            AnswerBody::Replied { failed, bytes } | AnswerBody::Loaded { failed, bytes } => {
                self.deliver(core, seq, failed, &bytes);
                core.buffers.put(bytes);
            }
            AnswerBody::FoundClient { token } => core.tracking.found(self.token(), token),
            AnswerBody::Listening { .. } | AnswerBody::Noted => {}
            // The shard takes these itself.
            AnswerBody::Shared(_)
            | AnswerBody::Closed
            | AnswerBody::Demoted { .. }
            | AnswerBody::Mutated(_) => {}
            AnswerBody::Flushed => {
                self.replies.resolve(seq, Part::Add(0), &mut core.buffers);
            }
            AnswerBody::Applied { applied, bytes } => {
                self.applied(core, seq, applied, &bytes);
                core.buffers.put(bytes);
            }
        }
    }

    /// Replies what came of an operation; `bytes` is the old value if there was one to give, else the key.
    pub(in crate::shard) fn applied(
        &mut self,
        core: &mut Core,
        seq: Seq,
        applied: Applied,
        bytes: &[u8],
    ) {
        let Some(form) = self.replies.form(seq) else {
            return;
        };
        self.count_refusal(core, applied);
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
}
