//! What a conversation has a pool do: errands, whose replies come later.

use super::failure::BUSY;
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

/// Whether an errand can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Now,
    /// It has to wait for its turn.
    Later,
    /// It has waited for too long.
    Never,
}

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
        self.run_errand_keeping(core, key, errand, request, form, &[])
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
        if self.comes_too_early(core, key, errand) {
            return Step::Hold;
        }
        let room = self.room_for(core, key, errand, errand.is_queued());
        if room == Room::Later {
            return Step::Hold;
        }
        let seq = self.defer_errand(core, key, errand, form);
        if !kept.is_empty() {
            let kept = core.buffers.copy(&[kept]);
            self.replies.keep_key(seq, kept);
        }
        match room {
            Room::Never => self.refuse_busy(core, seq),
            _ => self.run_errand_for(core, seq, key, errand, request),
        }
        Step::Done
    }

    /// Whether an errand is about what this same conversation has written before, and what is still
    /// on its way to the disk: it is queued for the server only then. Or whether it changes what this
    /// same conversation reads: that may be on its way to a replica.
    fn comes_too_early(&self, core: &Core, key: Key<'_>, errand: Errand) -> bool {
        core.spool.is_some() && !errand.is_queued() && self.must_wait_for(key)
            || !errand.is_read() && core.reads_replicas() && self.must_wait_for_reads(key)
    }

    /// The same for the parts of a request whose sum has no slot yet.
    pub(super) fn comes_too_early_for_all(&self, core: &Core, errand: Errand) -> bool {
        let is_late = self.has_sum() || errand.is_queued() || core.spool.is_none();
        !is_late && self.replies.pending_count() > 0
    }

    /// Whether an errand for this key can be started. Who waits for room waits no longer than a
    /// server may take to answer; then all it asks for is refused until there is room again.
    fn room_for(&mut self, core: &Core, key: Key<'_>, errand: Errand, is_queued: bool) -> Room {
        if core.has_room_for(key, errand, is_queued) {
            self.waits_since = None;
            return Room::Now;
        }
        let since = *self.waits_since.get_or_insert(core.now);
        let pool = core.pool.as_ref();
        match pool.is_some_and(|pool| pool.is_overdue(since, core.now)) {
            true => Room::Never,
            false => Room::Later,
        }
    }

    /// The same for one part of a request, whose sum has a slot: what becomes of the part now, if
    /// its errand cannot be started.
    pub(super) fn lacks_room(
        &mut self,
        core: &mut Core,
        seq: Seq,
        key: Key<'_>,
        errand: Errand,
        is_queued: bool,
    ) -> Option<Step> {
        match self.room_for(core, key, errand, is_queued) {
            Room::Now => None,
            Room::Later => Some(Step::Hold),
            Room::Never => {
                self.refuse_busy(core, seq);
                Some(Step::Done)
            }
        }
    }

    /// Answers that there was no room.
    fn refuse_busy(&mut self, core: &mut Core, seq: Seq) {
        core.counters().backend_in_flight_refused.add(1);
        let body = core.failure(BUSY);
        self.answered(core, seq, body);
    }

    fn defer_errand(&mut self, core: &Core, key: Key<'_>, errand: Errand, form: Form) -> Seq {
        let covers = match errand {
            Errand::Steps(_) => Covers::Steps(key.hash),
            _ if errand.is_read() && core.reads_replicas() => Covers::Reading(key.hash),
            Errand::Fetch | Errand::Read(_) | Errand::ReadHome(_) => Covers::Nothing,
            _ if core.has_l1() || core.spool.is_some() => Covers::Key(key.hash),
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
        let errand = self.tied(core, errand);
        let origin = Origin {
            token: self.token(),
            seq,
        };
        if let Some(body) = core.run_errand(origin, key, errand, request) {
            self.answered(core, seq, body);
        }
    }
}
