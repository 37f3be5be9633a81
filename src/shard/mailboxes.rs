//! What has come in from other shards.

use super::{
    core::Core,
    forwarding::Mutations,
    message::{Answer, AnswerBody, Origin},
    pool::errand::Route,
    turn::Shard,
};
use crate::io::Io;

impl<I: Io> Shard<I> {
    /// Does what other shards ask, and takes their answers; whether there were any.
    pub(super) fn drain_mailboxes(&mut self) -> bool {
        let mut has_come = false;
        for shard in 0..self.core.mesh.shard_count() {
            while !self.core.must_wait()
                && let Some(ask) = self.core.next_asked(shard)
            {
                has_come = true;
                if let Some((origin, round)) = self.core.serve(shard, ask) {
                    self.answer_round(shard, origin, &round);
                }
            }
            while let Some(answer) = self.core.mesh.next_answered(shard) {
                has_come = true;
                // What was sent before the answer is heard before it.
                self.core.hear_notices(shard);
                self.answered(shard, answer);
            }
            self.core.hear_notices(shard);
        }
        has_come
    }

    /// Takes what the spool says, and answers its clients.
    pub(super) fn hear_spool(&mut self) {
        let Self {
            core,
            peers,
            touched,
            ..
        } = self;
        core.hear_spool(&mut |core, origin, body| {
            if let Some(conn) = peers.downstream(origin.token) {
                conn.session.answered(core, origin.seq, body);
                touched.push(origin.token);
            }
        });
        self.settle_touched();
    }

    fn answered(&mut self, shard: usize, answer: Answer) {
        let Answer {
            origin,
            body,
            notice,
        } = answer;
        if let Some(notice) = notice {
            let origin = match &body {
                AnswerBody::Mutated(batch) => batch.only_origin(),
                _ => Some(origin),
            };
            self.core
                .hear_notice(shard, notice, origin.map(|origin| origin.token));
        }
        if let AnswerBody::Mutated(batch) = body {
            return self.mutations_answered(shard, batch);
        }
        if let AnswerBody::Loaded { .. } = body {
            self.core.note_load_answered(shard);
        }
        if let AnswerBody::Shared(share) = body {
            return self.take_share(origin, share);
        }
        if let AnswerBody::Closed = body {
            return self.keys_closed(origin);
        }
        if let AnswerBody::Demoted { is_promised } = body {
            return self.core.demoted(Route::Here(origin), is_promised);
        }
        let Self { core, peers, .. } = self;
        let Some(conn) = peers.downstream(origin.token) else {
            return unheard(core, shard, origin, &body);
        };
        conn.session.push_own(core, origin.seq);
        if let AnswerBody::Flushed = body {
            core.flush_ended_on_a_shard(&mut conn.session, origin);
        }
        conn.session.answered(core, origin.seq, body);
        self.settle(origin.token);
    }

    /// Tells clients what came of their mutations; who has several in a row is looked after once.
    fn mutations_answered(&mut self, shard: usize, batch: Mutations) {
        let mut current = None;
        for (origin, applied, bytes) in batch.results() {
            if let Some(token) = current.replace(origin.token)
                && token != origin.token
            {
                self.settle(token);
            }
            let Self { core, peers, .. } = self;
            if let Some(conn) = peers.downstream(origin.token) {
                conn.session.push_own(core, origin.seq);
                conn.session.applied(core, origin.seq, applied, bytes);
            } else {
                core.tracking.own.clear();
            }
        }
        current.into_iter().for_each(|token| self.settle(token));
        self.core.mutations_done(shard, batch);
    }
}

/// Takes an answer that is for the shard itself, or whose client has gone.
fn unheard(core: &mut Core, shard: usize, origin: Origin, body: &AnswerBody) {
    core.tracking.own.clear();
    match body {
        AnswerBody::Listening { version } => core.listen_confirmed(shard, *version),
        AnswerBody::Flushed => core.flush_ended_unheard(origin),
        _ => {}
    }
}
