//! Flushing everything: every shard's partition, and in pool mode every server first.
//!
//! In pool mode the partitions are flushed after each server's answer, so that nothing read
//! before the server's flush is kept beyond it.

use super::{
    core::Core,
    form::Form,
    message::{Ask, AskBody, Origin},
    pool::{
        Pool,
        errand::{Pending, Route},
    },
    replies::{Covers, Part},
    session::{Session, Step},
};
use crate::{
    backend::{Expects, OnLoss},
    store::UnixMs,
};

/// The time of a flush that is not delayed. It is not the asker's `now`: a shard whose turn began a
/// millisecond earlier would take that for the future, and answer before it has flushed.
pub(super) const AT_ONCE: UnixMs = UnixMs(0);

/// A flush of all partitions that has not ended on so many shards.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlushWait {
    origin: Origin,
    shards_left: usize,
}

/// Flushes everything at `at` or [`AT_ONCE`]; the reply comes when all of it is done. `request` is what a pool's
/// servers are sent.
pub(super) fn flush_all(
    session: &mut Session,
    core: &mut Core,
    at: UnixMs,
    form: Form,
    request: &[u8],
) -> Step {
    // Changes go out on their owners' connections, the flush on this shard's: nothing but
    // waiting keeps them in order.
    // So with changes that take several steps, and with several connections to a server.
    let is_barrier = core.asks_from_owners() || core.is_crossed() || core.has_lanes();
    if is_barrier && session.replies.pending_count() > 0 {
        return Step::Hold;
    }
    // Who tracks is told of the flush before it is told of changes that it makes after it.
    session.set_barred(is_barrier || session.is_tracking());
    core.counters().flushes.add(1);
    core.note_all_changed();
    let shard_count = core.mesh.shard_count();
    let servers = core.pool.as_ref().map(Pool::masters);
    let parts = match &servers {
        None => shard_count,
        Some(servers) => servers.len() * (1 + shard_count),
    };
    if parts == 0 {
        return nobody_to_ask(session, core);
    }
    let seq = session.replies.defer(form, Covers::AnyKey, parts as u32);
    let origin = Origin {
        token: session.token(),
        seq,
    };
    let Some(servers) = servers else {
        if at == AT_ONCE {
            core.flush_waits.push(FlushWait {
                origin,
                shards_left: shard_count,
            });
        }
        core.flush_partitions(origin, at);
        core.flush_ended_on_a_shard(session, origin);
        session
            .replies
            .resolve(seq, Part::Add(0), &mut core.buffers);
        return Step::Done;
    };
    if core.is_behind() {
        core.begin_flush(origin, at, request, servers.len());
        return Step::Done;
    }
    for server in servers {
        if !core.ask_server(server, Pending::Flush(origin, at), request) {
            session.fail(core, seq);
            core.flush_partitions(origin, at);
            session
                .replies
                .resolve(seq, Part::Add(0), &mut core.buffers);
        }
    }
    Step::Done
}

/// Asks every server of the pool and replies with the sum.
pub(super) fn sum_of_servers(session: &mut Session, core: &mut Core, request: &[u8]) -> Step {
    if core.has_lanes() && session.replies.pending_count() > 0 {
        return Step::Hold;
    }
    ask_all(session, core, Form::RespSum, request);
    Step::Done
}

/// Asks every server of the pool; all replies make one of this form.
pub(super) fn ask_all(session: &mut Session, core: &mut Core, form: Form, request: &[u8]) {
    let servers = core.pool.as_ref().map_or_else(Vec::new, Pool::masters);
    let parts = servers.len() as u32;
    if parts == 0 {
        nobody_to_ask(session, core);
        return;
    }
    let seq = session.replies.defer(form, Covers::Nothing, parts);
    let route = Route::Here(Origin {
        token: session.token(),
        seq,
    });
    for server in servers {
        if !core.ask_server(server, Pending::Request(route), request) {
            session.fail(core, seq);
        }
    }
}

/// A cluster of which no node is known to have keys.
pub(super) fn nobody_to_ask(session: &mut Session, core: &mut Core) -> Step {
    let line = core.failure_line();
    let seq = session.replies.defer(Form::Verbatim, Covers::Nothing, 1);
    session.deliver(core, seq, true, &line);
    core.buffers.put(line);
    Step::Done
}

/// Asks one server of the pool, the first.
pub(super) fn ask_first_server(session: &mut Session, core: &mut Core, request: &[u8]) {
    let first = core.pool.as_ref().and_then(|pool| pool.server_at(None));
    let Some(server) = first else {
        nobody_to_ask(session, core);
        return;
    };
    let seq = session.replies.defer(Form::Verbatim, Covers::Nothing, 1);
    let route = Route::Here(Origin {
        token: session.token(),
        seq,
    });
    if !core.ask_server(server, Pending::Request(route), request) {
        session.fail(core, seq);
    }
}

impl Core {
    /// Flushes this shard's partition now and has the others flush theirs. This shard's part of
    /// the reply is the caller's to give.
    pub(super) fn flush_partitions(&mut self, origin: Origin, at: UnixMs) {
        self.flush_own(at);
        self.ask_others(|| Ask {
            origin,
            body: AskBody::Flush { at },
        });
    }

    /// A flush has ended on one more shard; on the last one, clients that track are told. Who asked
    /// for it is told behind its reply.
    pub(super) fn flush_ended_on_a_shard(&mut self, session: &mut Session, origin: Origin) {
        if self.is_end_of_flush(origin) {
            let is_told = session.push_end_of_flush(self, origin.seq);
            self.tell_end_of_flush(is_told.then_some(origin.token));
        }
    }

    /// The same where nobody waits for the reply any more.
    pub(super) fn flush_ended_unheard(&mut self, origin: Origin) {
        if self.is_end_of_flush(origin) {
            self.tell_end_of_flush(None);
        }
    }

    fn is_end_of_flush(&mut self, origin: Origin) -> bool {
        let mut waits = self.flush_waits.iter_mut();
        let Some(wait) = waits.find(|wait| wait.origin == origin) else {
            return false;
        };
        wait.shards_left -= 1;
        let is_end = wait.shards_left == 0;
        if is_end {
            self.flush_waits.retain(|wait| wait.origin != origin);
        }
        is_end
    }

    /// Sends a server a request over this shard's connection. False if it is not connected.
    pub(super) fn ask_server(&mut self, server: usize, pending: Pending, request: &[u8]) -> bool {
        let now = self.now;
        let Some(pool) = &mut self.pool else {
            return false;
        };
        let number = pool.first_link(server);
        let link = &mut pool.links[number];
        if !link.takes_requests(now) {
            return false;
        }
        link.ask(pending, Expects::Line, OnLoss::Fail, now)
            .extend_from_slice(request);
        true
    }
}
