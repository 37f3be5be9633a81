//! Flushing servers that writes are queued for: none of them may bring a value back.
//!
//! 1. every shard turns the sets in its queues into deletes. One that is on its way to its server
//!    may come before the flush there or behind it, so it is followed by a delete;
//! 2. where there is a spool, each shard has it put on disk that no value written so far is to be
//!    told after a crash;
//! 3. once all shards have said so, the servers are flushed as without queues.
//!
//! A set that comes meanwhile is at the same time as the flush, so it may be before or behind it.

use super::{
    core::Core,
    message::{AnswerBody, Ask, AskBody, Origin},
    pool::{
        Pool,
        backends::deliver,
        errand::{Delivery, Pending, Route},
    },
    turn::Shard,
};
use crate::{io::Io, store::UnixMs};

/// The line for a client whose flush cannot be promised.
const NOT_SPOOLED: &str = "spool cannot be told of the flush";

/// The line for a client whose flush would not be answered by as many nodes of a cluster as are to.
const OTHER_MASTERS: &str = "backend has other masters by now, try again";

/// A flush that waits for queued writes.
#[derive(Debug)]
pub(super) struct FlushStart {
    origin: Origin,
    at: UnixMs,
    /// What the servers are sent.
    request: Vec<u8>,
    /// How many of them were to answer when it was asked for.
    server_count: usize,
    shards_left: usize,
    is_promised: bool,
}

impl Core {
    /// Begins a flush; it goes on once all shards' queues are ready for it.
    pub(super) fn begin_flush(
        &mut self,
        origin: Origin,
        at: UnixMs,
        request: &[u8],
        server_count: usize,
    ) {
        self.flush_starts.push(FlushStart {
            origin,
            at,
            request: request.to_vec(),
            server_count,
            shards_left: self.mesh.shard_count(),
            is_promised: true,
        });
        self.ask_others(|| Ask {
            origin,
            body: AskBody::Demote,
        });
        self.demote(Route::Here(origin));
    }

    /// Turns what is queued here into deletes, and says so once that is promised.
    pub(super) fn demote(&mut self, route: Route) {
        self.demote_writes();
        if !self.spool_barrier(route) {
            self.demoted(route, true);
        }
    }

    /// What is queued on a shard only deletes from here on, if that could be promised.
    pub(super) fn demoted(&mut self, route: Route, is_promised: bool) {
        match route {
            Route::Shard(asker, origin) => {
                self.answer(asker, origin, AnswerBody::Demoted { is_promised });
            }
            Route::Here(origin) => {
                let mut starts = self.flush_starts.iter_mut();
                if let Some(start) = starts.find(|start| start.origin == origin) {
                    start.shards_left -= 1;
                    start.is_promised &= is_promised;
                }
            }
        }
    }

    fn flush_servers(
        &mut self,
        start: FlushStart,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let FlushStart {
            origin,
            at,
            request,
            server_count,
            is_promised,
            ..
        } = start;
        let servers = self.pool.as_ref().map_or_else(Vec::new, Pool::masters);
        if servers.len() != server_count {
            for _ in 0..server_count {
                self.fail(Pending::Flush(origin, at), OTHER_MASTERS, deliver);
            }
            return;
        }
        for server in servers {
            let pending = Pending::Flush(origin, at);
            if !is_promised {
                self.fail(pending, NOT_SPOOLED, deliver);
            } else if !self.ask_server(server, pending, &request) {
                let pending = Pending::Flush(origin, at);
                self.fail(pending, super::pool::failure::UNAVAILABLE, deliver);
            }
        }
    }
}

impl<I: Io> Shard<I> {
    /// Sends the flushes that need not wait any more. They go on even if their clients have gone:
    /// what was asked is done.
    pub(super) fn start_flushes(&mut self) {
        if self.core.flush_starts.is_empty() {
            return;
        }
        let Self {
            core,
            peers,
            touched,
            ..
        } = self;
        for start in core
            .flush_starts
            .extract_if(.., |start| start.shards_left == 0)
            .collect::<Vec<_>>()
        {
            core.flush_servers(start, &mut |core, delivery| {
                deliver(core, peers, touched, &delivery);
            });
        }
        self.settle_touched();
    }
}
