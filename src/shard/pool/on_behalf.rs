//! What a conversation has a pool do: errands, whose replies come later.

use crate::{
    shard::{
        core::Core,
        form::Form,
        message::{Errand, Origin},
        replies::{Covers, Seq},
        session::{Session, Step},
    },
    store::Key,
};

impl Session {
    /// Has an errand run for one key; its reply takes the next slot.
    pub(in crate::shard) fn run_errand(
        &mut self,
        core: &mut Core,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
        form: Form,
    ) -> Step {
        if !core.has_room_for(key) {
            return Step::Hold;
        }
        let seq = self.defer_errand(core, key, errand, form);
        self.run_errand_for(core, seq, key, errand, request);
        Step::Done
    }

    /// As [`Self::run_errand`], for a reply that cannot be encoded without these bytes: the key, or
    /// another part of the request.
    pub(in crate::shard) fn run_errand_keeping(
        &mut self,
        core: &mut Core,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
        form: Form,
        kept: &[u8],
    ) -> Step {
        if !core.has_room_for(key) {
            return Step::Hold;
        }
        let seq = self.defer_errand(core, key, errand, form);
        let kept = core.buffers.copy(&[kept]);
        self.replies.keep_key(seq, kept);
        self.run_errand_for(core, seq, key, errand, request);
        Step::Done
    }

    fn defer_errand(&mut self, core: &Core, key: Key<'_>, errand: Errand, form: Form) -> Seq {
        let covers = match errand {
            Errand::Steps(_) => Covers::Steps(key.hash),
            Errand::Write(_) | Errand::Invalidate { .. } | Errand::InvalidateAnd
                if core.has_l1() =>
            {
                Covers::Key(key.hash)
            }
            _ => Covers::Nothing,
        };
        self.replies.defer(form, covers, 1)
    }

    /// Has an errand run that there is room for; its reply goes to a slot taken before.
    pub(in crate::shard) fn run_errand_for(
        &mut self,
        core: &mut Core,
        seq: Seq,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) {
        let origin = Origin {
            token: self.token(),
            seq,
        };
        if let Some(body) = core.run_errand(origin, key, errand, request) {
            self.answered(core, seq, body);
        }
    }
}
