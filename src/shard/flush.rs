//! Flushing everything: every shard's partition, and in pool mode every server first.
//!
//! In pool mode the partitions are flushed after each server's answer, so that nothing read
//! before the server's flush is kept beyond it.

use super::{
    core::Core,
    form::Form,
    message::{Ask, AskBody, Origin},
    pool::errand::{Pending, Route},
    replies::{Covers, Part},
    session::{Session, Step},
};
use crate::{backend::Expects, store::UnixMs};

/// The time of a flush that is not delayed. It is not the asker's `now`: a shard whose turn began a
/// millisecond earlier would take that for the future, and answer before it has flushed.
pub(super) const AT_ONCE: UnixMs = UnixMs(0);

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
    let is_barrier = core.has_l1();
    if is_barrier && session.replies.pending_count() > 0 {
        return Step::Hold;
    }
    session.set_barred(is_barrier);
    core.counters().flushes.add(1);
    let shard_count = core.mesh.shard_count();
    let servers = core.pool.as_ref().map(|pool| pool.links.len());
    let parts = match servers {
        None => shard_count,
        Some(servers) => servers * (1 + shard_count),
    };
    let seq = session.replies.defer(form, Covers::AnyKey, parts as u32);
    let origin = Origin {
        token: session.token(),
        seq,
    };
    let Some(servers) = servers else {
        core.flush_partitions(origin, at);
        session
            .replies
            .resolve(seq, Part::Add(0), &mut core.buffers);
        return Step::Done;
    };
    for server in 0..servers {
        if !core.ask_server(server, Pending::Flush(origin, at), request) {
            let line = core.failure_line();
            session
                .replies
                .resolve(seq, Part::Failure(&line), &mut core.buffers);
            core.buffers.put(line);
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
    let servers = core.pool.as_ref().map_or(0, |pool| pool.links.len());
    let seq = session
        .replies
        .defer(Form::RespSum, Covers::Nothing, servers as u32);
    let route = Route::Here(Origin {
        token: session.token(),
        seq,
    });
    for server in 0..servers {
        if !core.ask_server(server, Pending::Request(route), request) {
            let line = core.failure_line();
            session
                .replies
                .resolve(seq, Part::Failure(&line), &mut core.buffers);
            core.buffers.put(line);
        }
    }
    Step::Done
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

    fn ask_server(&mut self, server: usize, pending: Pending, request: &[u8]) -> bool {
        let now = self.now;
        let Some(pool) = &mut self.pool else {
            return false;
        };
        let link = &mut pool.links[server];
        if !link.takes_requests() {
            return false;
        }
        link.pipeline
            .push(pending, Expects::Line, now)
            .extend_from_slice(request);
        true
    }
}
