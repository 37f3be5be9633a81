//! Errands: what a request in pool mode has done on a backend, from the shard that starts it to
//! the reply.
//!
//! Where the L1 is on, all of a key's errands run on its owner shard. There a fill holds the
//! key's lease, and a write voids it and drops the L1 copy twice: when it is sent, so that no
//! fill under way keeps the old value, and when the backend has answered, before the client
//! hears of it, so that a fill that overtook the write keeps nothing either.

pub(in crate::shard) use super::pending::{Pending, Route};

use super::{
    Pool,
    failure::{LATE, NO_META, SCRIPT_LOST, UNAVAILABLE},
    over_resp,
    spooling::Spooling,
};
use crate::shard::{
    core::Core,
    message::{AnswerBody, Ask, AskBody, Errand, Origin, Parcel},
};
use crate::{
    backend::{Expects, Meaning, OnLoss, Reply},
    fill::FillId,
    protocol::resp::reply,
    store::{Key, Operation, UnixMs},
};

/// A reply on its way to a connection of this shard.
pub(in crate::shard) struct Delivery<'a> {
    pub(in crate::shard) origin: Origin,
    pub(in crate::shard) failed: bool,
    pub(in crate::shard) bytes: &'a [u8],
}

impl Pool {
    /// Sends a request about a key over a link.
    fn ask(
        &mut self,
        number: usize,
        key: Key<'_>,
        pending: Pending,
        (expects, on_loss): (Expects, OnLoss),
        request: &[u8],
        now: UnixMs,
    ) {
        let bound = self.bound(number, now);
        let link = &mut self.links[number];
        let out = link.ask(pending, expects, on_loss, now);
        match bound {
            Some(bound) => bound.encode(out, self.protocol, request),
            None => out.extend_from_slice(request),
        }
        link.core.pipeline().name_key(key.hash);
    }
}

impl Core {
    /// Whether one server of the pool has all keys.
    pub(in crate::shard) fn is_single(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::is_single)
    }

    /// How many links to servers of the pool there are.
    pub(in crate::shard) fn link_count(&self) -> usize {
        self.pool.as_ref().map_or(0, |pool| pool.links.len())
    }

    /// Whether an errand for this key can be started now. One that is queued does not take the room
    /// of those that the server has to answer.
    pub(in crate::shard) fn has_room_for(
        &self,
        key: Key<'_>,
        errand: Errand,
        is_queued: bool,
    ) -> bool {
        let home = self.home(key.hash);
        if home != self.shard() {
            return self.mesh.allowance(home) > 0;
        }
        let has_room = |spool: &Spooling| spool.has_room();
        let pool_has_room = |pool: &Pool| pool.has_room(key, errand, self.now);
        self.spool.as_ref().is_none_or(has_room)
            && (is_queued || self.pool.as_ref().is_some_and(pool_has_room))
    }

    /// Starts an errand that there is [room for](Self::has_room_for). `Some` if it is over
    /// already.
    pub(in crate::shard) fn run_errand(
        &mut self,
        origin: Origin,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) -> Option<AnswerBody> {
        let home = self.home(key.hash);
        if home == self.shard() {
            return self.start(Route::Here(origin), key, errand, request);
        }
        let parcel = self.parcel(key, request);
        self.ask(
            home,
            Ask {
                origin,
                body: AskBody::Backend { errand, parcel },
            },
        );
        None
    }

    /// Runs another shard's errand.
    pub(in crate::shard) fn serve_backend(
        &mut self,
        asker: usize,
        origin: Origin,
        errand: Errand,
        parcel: Parcel,
    ) {
        let key = Key {
            bytes: parcel.key(),
            hash: parcel.hash,
        };
        let route = Route::Shard(asker, origin);
        match self.start(route, key, errand, parcel.content()) {
            Some(mut body) => {
                self.bring_back(&mut body, parcel.bytes);
                self.answer(asker, origin, body);
            }
            None => self.buffers.put(parcel.bytes),
        }
    }

    /// Gives a buffer that came with a request back to who asked, if the answer brings none.
    pub(super) fn bring_back(&mut self, body: &mut AnswerBody, mut buffer: Vec<u8>) {
        match body {
            AnswerBody::Applied { bytes, .. } if bytes.capacity() == 0 => {
                buffer.clear();
                *bytes = buffer;
            }
            _ => self.buffers.put(buffer),
        }
    }

    fn start(
        &mut self,
        route: Route,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) -> Option<AnswerBody> {
        let pool = self.pool.as_mut()?;
        let has_l1 = pool.has_l1();
        let home = pool.take_link_number(key);
        self.board.of(self.mesh.shard()).backend_requests.add(1);
        let Some(number) = self.choose_reader(home, key, errand) else {
            return Some(self.failure(UNAVAILABLE));
        };
        let pool = self.pool.as_ref()?;
        if pool.queues_writes()
            && let Some(answer) = self.start_at_queue(route, number, key, errand, request)
        {
            return answer;
        }
        if let Some(body) = self.answer_for_ejected(number, key, errand, request) {
            return Some(body);
        }
        let now = self.now;
        let pool = self.pool.as_mut()?;
        if !pool.links[number].takes_requests(now) {
            return Some(self.unavailable(number));
        }
        let Some(on_loss) = pool.queue_behind_write(number, key, errand, now) else {
            return Some(self.failure(UNAVAILABLE));
        };
        if errand == Errand::Fetch {
            self.fetch(number, route, key, on_loss);
            return None;
        }
        if let Errand::Steps(plan) = errand {
            return self.start_steps(number, route, key, plan, request);
        }
        let expects = match errand {
            Errand::Read(expects) | Errand::ReadHome(expects) | Errand::Write(expects) => expects,
            _ => Expects::Line,
        };
        if expects == Expects::MetaData && !pool.links[number].speaks_meta() {
            return Some(self.failure(NO_META));
        }
        let is_change = matches!(errand, Errand::Write(_));
        let pending = if is_change && (self.follows_changes() || self.settles_changes()) {
            if has_l1 {
                self.drop_l1(key);
            }
            self.note_change_begun(key.hash);
            Pending::Write(route, self.parcel(key, &[]))
        } else {
            Pending::Request(route)
        };
        let pool = self.pool.as_mut()?;
        pool.ask(number, key, pending, (expects, on_loss), request, now);
        None
    }

    /// Voids the key's lease and removes its copy.
    pub(super) fn drop_l1(&mut self, key: Key<'_>) {
        if let Some(pool) = &mut self.pool {
            pool.fills.void(key);
        }
        self.apply(key, Operation::DELETE, &[]);
    }

    /// A backend has answered. `deliver` gets each reply for a connection of this shard.
    pub(in crate::shard) fn conclude(
        &mut self,
        number: usize,
        pending: Pending,
        reply: &Reply<'_>,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let failed = reply.meaning == Meaning::Error;
        // The value is asked for right behind it, and says the same of the server.
        if !matches!(pending, Pending::TimeLeft(_)) {
            self.note_answered(number, failed, reply.frame);
        }
        if failed && self.load_again(number, reply.frame) {
            return self.fail(pending, SCRIPT_LOST, deliver);
        }
        let pending = match failed {
            true if self.leads_to_replica(number) => {
                self.ask_elsewhere(number, pending, reply.frame, deliver)
            }
            true => self.send_on(number, pending, reply.frame, deliver),
            false => Some(pending),
        };
        let Some(pending) = pending else { return };
        match pending {
            Pending::Topology(question) => {
                self.heard_of_cluster(number, question, failed, reply.frame);
            }
            Pending::Standing(_) => self.heard_standing(number, failed, reply.frame),
            Pending::Script => self.loaded(number, failed, reply.frame),
            // Concluded where its connection is.
            Pending::Identity => {}
            Pending::Unblock(route) => self.unblocked(route, !failed && reply.frame == reply::ONE),
            Pending::ListenerId => self.hear_listener_id(number, failed, reply.frame),
            Pending::Tracking(id) => self.hear_tracked(number, id, failed, reply.frame),
            Pending::TimeLeft(fill) => self.hear_time_left(number, fill, reply.frame),
            Pending::Role(_) => self.heard_role(number, reply.frame),
            Pending::Probe => self.probed(number, !failed),
            Pending::Purge => self.purged(number, !failed),
            Pending::Straggler(parcel) => self.put_away(parcel),
            Pending::Flush(origin, at) => self.flushed(origin, at, failed, reply.frame, deliver),
            Pending::QueuedWrite => self.confirm_write(number, failed, reply.frame),
            Pending::Fence => self.fenced(number),
            Pending::Request(route) => self.hand_over(route, failed, reply.frame, deliver),
            Pending::Confirmations(confirmations) => {
                self.confirm(*confirmations, failed.then_some(reply.frame), deliver);
            }
            Pending::Queued(client) => self.note_refusal(client, failed, reply.frame),
            Pending::Unit(unit) => self.end_unit(*unit, number, failed, reply.frame, deliver),
            Pending::Write(route, parcel) => {
                self.drop_copy(&parcel);
                self.note_change_ended(parcel.hash);
                self.hand_over_change(route, &parcel, failed, reply.frame, deliver);
                self.buffers.put(parcel.bytes);
            }
            Pending::Steps(stepping) => {
                self.stepped(number, stepping, failed, reply.frame, deliver);
            }
            Pending::Fill(fill) => {
                self.keep(number, fill, &reply.meaning);
                self.finish_fill(fill, failed, reply.frame, deliver);
            }
        }
    }

    /// A backend will not answer, for the reason given.
    pub(in crate::shard) fn fail(
        &mut self,
        pending: Pending,
        reason: &str,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        match pending {
            Pending::Script
            | Pending::Identity
            | Pending::ListenerId
            | Pending::Tracking(_)
            | Pending::TimeLeft(_)
            | Pending::Queued(_)
            | Pending::Probe
            | Pending::Purge
            | Pending::Fence => {}
            Pending::Unblock(route) => self.unblocked(route, false),
            Pending::Topology(_) => self.not_heard_of_cluster(),
            Pending::Standing(server) => self.not_heard_standing(server),
            Pending::Role(number) => self.not_heard_role(number),
            Pending::Straggler(parcel) => self.put_away(parcel),
            Pending::QueuedWrite => self.counters().backend_failures.add(1),
            Pending::Flush(origin, at) => self.with_failure(reason, |core, line| {
                core.flushed(origin, at, true, line, deliver);
            }),
            Pending::Request(route) => self.with_failure(reason, |core, line| {
                core.hand_over(route, true, line, deliver);
            }),
            Pending::Write(route, parcel) => {
                self.note_change_ended(parcel.hash);
                self.put_away(parcel);
                self.with_failure(reason, |core, line| {
                    core.hand_over(route, true, line, deliver);
                });
            }
            Pending::Steps(stepping) => self.with_failure(reason, |core, line| {
                core.end_steps(*stepping, true, line, deliver);
            }),
            Pending::Confirmations(confirmations) => self.with_failure(reason, |core, line| {
                core.confirm(*confirmations, Some(line), deliver);
            }),
            Pending::Unit(unit) => {
                self.take_refusal(unit.origin().token);
                self.note_unit_ended(&unit);
                // What comes too late may still be done: its heir opens the keys then.
                if reason != LATE {
                    self.open_keys(&unit);
                }
                self.with_failure(reason, |core, line| {
                    core.hand_over(Route::Here(unit.origin()), true, line, deliver);
                });
            }
            Pending::Fill(fill) => self.with_failure(reason, |core, line| {
                core.finish_fill(fill, true, line, deliver);
            }),
        }
    }

    /// Drops the L1 copy of a key that was changed.
    fn put_away(&mut self, parcel: Parcel) {
        self.drop_copy(&parcel);
        self.buffers.put(parcel.bytes);
    }

    fn drop_copy(&mut self, parcel: &Parcel) {
        if self.has_l1() {
            self.drop_l1(Key {
                bytes: parcel.key(),
                hash: parcel.hash,
            });
        }
    }

    fn finish_fill(
        &mut self,
        fill: FillId,
        failed: bool,
        bytes: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        // The waiters are taken out first, as handing over needs the whole core.
        let mut waiters = core::mem::take(&mut self.waiters);
        if let Some(pool) = &mut self.pool {
            pool.fills.finish(fill, |route| waiters.push(route));
        }
        for route in waiters.drain(..) {
            self.hand_over(route, failed, bytes, deliver);
        }
        self.waiters = waiters;
    }

    pub(in crate::shard) fn hand_over(
        &mut self,
        route: Route,
        failed: bool,
        bytes: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        match route {
            Route::Here(origin) => deliver(
                self,
                Delivery {
                    origin,
                    failed,
                    bytes,
                },
            ),
            Route::Shard(asker, origin) => {
                let bytes = self.buffers.copy(&[bytes]);
                let body = AnswerBody::Replied { failed, bytes };
                self.answer(asker, origin, body);
            }
        }
    }

    fn flushed(
        &mut self,
        origin: Origin,
        at: UnixMs,
        failed: bool,
        bytes: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        self.flush_partitions(origin, at);
        self.note_all_changed();
        for (failed, bytes) in [(failed, bytes), (false, &[][..])] {
            let delivery = Delivery {
                origin,
                failed,
                bytes,
            };
            deliver(self, delivery);
        }
    }

    /// A server has answered that it is given its script.
    fn loaded(&self, number: usize, failed: bool, line: &[u8]) {
        if let (true, Some(pool)) = (failed, &self.pool) {
            let backend = pool.name_of(pool.server_of(number));
            let line = line.trim_ascii_end().escape_ascii();
            tracing::warn!(backend, "given its script, it said: {line}");
        }
    }

    /// Whether an error says that a server has forgotten its script. It is given it again.
    fn load_again(&mut self, number: usize, line: &[u8]) -> bool {
        let now = self.now;
        let Some(pool) = &mut self.pool else {
            return false;
        };
        let is_lost = pool.keeps_flags() && over_resp::is_missing(line);
        if is_lost {
            pool.links[number].load_script(now);
        }
        is_lost
    }
}
