//! A shard's share in a round.

use std::sync::Arc;

use super::super::{
    memcache,
    message::{AnswerBody, Origin},
    pool::errand::Route,
    resp,
    round::{Round, Share},
    turn::Shard,
};
use crate::io::{Io, Token};

impl<I: Io> Shard<I> {
    /// Gives the shares that are owed to this shard's own clients.
    pub(in crate::shard) fn run_own_rounds(&mut self) {
        if !self.core.rounds.has_own() {
            return;
        }
        for (origin, share) in self.core.rounds.take_late() {
            self.take_share(origin, share);
        }
        for (origin, round) in self.core.rounds.take_own() {
            if let Round::Unblock(wanted) = &*round
                && self.core.unblock(wanted, Route::Here(origin))
            {
                continue;
            }
            let share = self.share(&round, Some(origin.token));
            self.take_share(origin, share);
        }
    }

    /// Gives another shard its share.
    pub(in crate::shard) fn answer_round(
        &mut self,
        asker: usize,
        origin: Origin,
        round: &Arc<Round>,
    ) {
        if let Round::Unblock(wanted) = &**round
            && self.core.unblock(wanted, Route::Shard(asker, origin))
        {
            return;
        }
        let share = self.share(round, None);
        let body = AnswerBody::Shared(share);
        self.core.answer(asker, origin, body);
    }

    /// Takes a share for a client of this shard, who is answered with the last one.
    pub(in crate::shard) fn take_share(&mut self, origin: Origin, share: Share) {
        let Some(finished) = self.core.gather(origin, share) else {
            return;
        };
        let Self { core, peers, .. } = self;
        let mut reply = core.buffers.take();
        match *finished.round {
            Round::Conns { echo } => memcache::finish_conns(finished.shares, echo, &mut reply),
            _ => resp::finish_round(core, finished, &mut reply),
        }
        if let Some(conn) = peers.downstream(origin.token) {
            conn.session.deliver(core, origin.seq, false, &reply);
        }
        core.buffers.put(reply);
        self.settle(origin.token);
    }

    /// What this shard has to say; `asker` is the client's connection if it is this shard's.
    fn share(&mut self, round: &Round, asker: Option<Token>) -> Share {
        let core = &mut self.core;
        match round {
            Round::Clients(wanted) => return self.list_clients(wanted),
            Round::Conns { .. } => return self.list_conns(asker),
            Round::ThisClient => return self.list_client(asker),
            Round::Kill(kill) => return self.kill_clients(kill, asker),
            // Nobody waits who could be told not to.
            Round::Unblock(_) => {}
            Round::Pause(pause) => core.pause(*pause),
            Round::Unpause => core.unpause(),
            Round::ResetStats => {
                core.board.reset_commands(core.shard());
                core.board.reset(core.store.stats());
            }
            Round::TrimSlowLog { len_max } => core.meter.slow_log.trim(*len_max),
            Round::ResetSlowLog { before } => core.meter.slow_log.clear(*before),
            Round::SlowLog { count, before } => return core.slow_requests(*count, *before),
            Round::SlowLogLen { before } => {
                return Share {
                    count: core.meter.slow_log.before(*before).count() as u64,
                    ..Share::default()
                };
            }
            Round::Events(_) => {
                return Share {
                    events: core.meter.events.to_vec(),
                    ..Share::default()
                };
            }
            Round::ResetEvents(names) => {
                let events = core.meter.events.clone();
                for (event, is_meant) in core.meter.events.iter_mut().zip(names) {
                    if *is_meant {
                        *event = Default::default();
                    }
                }
                return Share {
                    events: events.to_vec(),
                    ..Share::default()
                };
            }
        }
        Share::default()
    }
}
