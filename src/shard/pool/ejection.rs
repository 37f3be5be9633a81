//! Ejected servers: where their keys go meanwhile, and what each server must hear before it is read
//! from again.
//!
//! Where keys move (`rehash`, `failover`), one shard, a key's owner, does all that is done with the
//! key, and knows by itself where it goes. Of each write that goes to another server than the
//! key's own it notes two things:
//!
//! * in the own server's queue of writes, that it missed the write: it is readmitted once it
//!   has been sent all deletes there, and until it has confirmed a key's, reads of that key find
//!   nothing;
//! * among the [`Strays`], where the key is now. When it belongs elsewhere again, because a server
//!   was ejected or readmitted, the stray is queued to be deleted in its turn. Else the next
//!   ejection would bring old values back.
//!
//! A write that cannot be noted is refused: rather an error now than an old value later.

use std::sync::Arc;

use super::{
    Pool, absent, bounded::Bound, errand::Pending, failure::UNAVAILABLE, queueing::QUEUE_FULL,
};
use crate::{
    backend::{Failure, Health, QueueFull, Strays, WriteQueue, is_unfit},
    config::{EjectConfig, OnEject, Readmit},
    route::{Detour, HashRingError, Placement, Router, ServerIndex, ServerSpec},
    shard::{
        core::Core,
        message::{AnswerBody, Errand},
    },
    spool::Operation,
    store::{Key, UnixMs},
};

/// When servers are ejected, and what becomes of their keys.
#[derive(Debug, Clone)]
pub struct EjectSettings {
    policy: OnEject,
    after: Option<u32>,
    /// How long an ejected server is left alone, in milliseconds.
    rest_ms: u64,
    readmit: Readmit,
    /// With [`OnEject::Rehash`].
    detour: Option<Detour>,
    /// With [`OnEject::Failover`]: its servers stand behind the pool's own.
    failover: Option<Router>,
    own_count: usize,
    /// How long what is written to those may live, in milliseconds.
    failover_ms: Option<u64>,
}

/// A pool whose requests for ejected servers get an error.
impl Default for EjectSettings {
    fn default() -> Self {
        let EjectConfig {
            policy,
            after,
            readmit,
            ..
        } = EjectConfig::default();
        Self {
            policy,
            after,
            rest_ms: 0,
            readmit,
            detour: None,
            failover: None,
            own_count: 0,
            failover_ms: None,
        }
    }
}

impl EjectSettings {
    /// For a pool of these servers.
    ///
    /// # Errors
    /// The servers, or those that stand in for them, do not make a ring.
    pub fn new(
        config: &EjectConfig,
        placement: Placement,
        servers: &[ServerSpec],
    ) -> Result<Self, HashRingError> {
        let is_rehash = config.policy == OnEject::Rehash;
        let is_failover = config.policy == OnEject::Failover;
        let detour = is_rehash.then(|| Detour::new(placement, Arc::from(servers)));
        let failover = is_failover.then(|| Router::build(placement, &config.failover));
        Ok(Self {
            policy: config.policy,
            after: config.after,
            rest_ms: config.rest.as_millis() as u64,
            readmit: config.readmit,
            detour: detour.transpose()?,
            failover: failover.transpose()?,
            own_count: servers.len(),
            failover_ms: config.failover_ttl.map(|ttl| ttl.as_millis() as u64),
        })
    }

    /// The health of a server of the pool, of which nothing is known yet.
    pub(super) fn health(&self, seed: u64) -> Health {
        // Not the same pauses as the link's own.
        Health::new(self.after, !seed).resting(self.rest_ms)
    }
}

/// What a shard knows of ejected servers.
#[derive(Debug)]
pub(super) struct Ejection {
    settings: EjectSettings,
    /// Whether any server is out.
    is_any_out: bool,
    strays: Strays,
}

impl Ejection {
    pub(super) fn new(settings: &EjectSettings) -> Self {
        Self {
            settings: settings.clone(),
            is_any_out: false,
            strays: Strays::default(),
        }
    }

    /// The server for a key whose own one is `home`, while any is out.
    fn server(&self, home: usize, key: &[u8], is_out: impl Fn(usize) -> bool) -> usize {
        let EjectSettings {
            detour,
            failover,
            own_count,
            ..
        } = &self.settings;
        match (detour, failover) {
            (Some(detour), _) => detour.owner(key).map_or(home, ServerIndex::index),
            (_, Some(router)) if is_out(home) => own_count + router.owner(key).index(),
            _ => home,
        }
    }
}

impl Pool {
    /// Whether keys may come to another server than their own.
    pub(super) fn moves_keys(&self) -> bool {
        self.ejection.settings.policy.moves_keys()
    }

    /// Whether every key's own server is fit to be asked for it.
    pub(super) fn is_well(&self) -> bool {
        !self.ejection.is_any_out && !self.moves_keys()
    }

    /// The server that is asked for a key now.
    #[inline]
    pub(super) fn server(&self, key: &[u8]) -> usize {
        let home = self.home_server(key);
        if !self.ejection.is_any_out {
            return home;
        }
        self.ejection
            .server(home, key, |server| self.is_out(server))
    }

    /// For how long what is written over this link may be kept, if not for as long as is asked.
    pub(super) fn bound(&self, number: usize, now: UnixMs) -> Option<Bound> {
        let settings = &self.ejection.settings;
        let ms = settings.failover_ms?;
        let is_spare = self.server_of(number) >= settings.own_count;
        is_spare.then_some(Bound { ms, now })
    }

    /// Whether any connection to a server found it unfit.
    fn is_out(&self, server: usize) -> bool {
        let links = &self.links[self.links_to(server)];
        links.iter().any(|link| link.health.is_out())
    }

    /// Notes what a write of this key by that link means for others.
    fn note_moved(
        &mut self,
        home: usize,
        number: usize,
        key: Key<'_>,
        now: UnixMs,
    ) -> Result<(), QueueFull> {
        let link = &mut self.links[home];
        let will_be_flushed =
            self.ejection.settings.readmit == Readmit::Flush && link.health.is_out();
        let noted = self.ejection.strays.note(number as u32, key);
        if !will_be_flushed {
            link.writes.push(key, Operation::Delete, None)?;
            link.pump_writes(now);
            noted?;
        }
        Ok(())
    }

    /// A server was ejected or readmitted: keys have other places now.
    ///
    /// This looks at all strays in one go, about 0.3 µs each: done later, it would be too late.
    fn place_anew(&mut self, now: UnixMs) {
        self.ejection.is_any_out = self.links.iter().any(|link| link.health.is_out());
        self.routed.set(None);
        if self.moves_keys() {
            self.lose_all_track();
        }
        if let Some(mut detour) = self.ejection.settings.detour.take() {
            detour.leave(|server| !self.is_out(server.index()));
            self.ejection.settings.detour = Some(detour);
        }
        let mut bytes = Vec::new();
        for _ in 0..self.ejection.strays.len() {
            bytes.clear();
            let Some(holder) = self.ejection.strays.take(&mut bytes) else {
                break;
            };
            let key = self.hasher.key(&bytes);
            let link = holder as usize;
            let is_placed = self.link_number(key) == link;
            let push = |queue: &mut WriteQueue| queue.push(key, Operation::Delete, None);
            if is_placed || push(&mut self.links[link].writes).is_err() {
                // It was just taken out, so there is room.
                let _ = self.ejection.strays.note(holder, key);
            }
        }
        for link in &mut self.links {
            link.pump_writes(now);
        }
    }
}

impl Core {
    /// What a request is answered whose server cannot be asked for this key; else notes what a
    /// write means for others.
    pub(super) fn answer_for_ejected(
        &mut self,
        number: usize,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) -> Option<AnswerBody> {
        let now = self.now;
        let pool = self.pool.as_mut()?;
        if pool.ejection.is_any_out && pool.links[number].health.is_out() {
            let is_miss = pool.ejection.settings.policy == OnEject::Miss;
            return Some(self.answer_absent(is_miss, key, errand, request));
        }
        if !pool.moves_keys() {
            return None;
        }
        // Here, too, after a readmission: some deletes may not be confirmed.
        if errand.is_read() && pool.links[number].writes.contains(key) {
            return Some(self.answer_absent(true, key, errand, request));
        }
        let home = pool.home_link(key);
        if home == number {
            return None;
        }
        let is_noted = errand.is_read() || pool.note_moved(home, number, key, now).is_ok();
        if !is_noted {
            return Some(self.failure(QUEUE_FULL));
        }
        self.counters().backend_diverted.add(1);
        None
    }

    fn answer_absent(
        &mut self,
        is_miss: bool,
        key: Key<'_>,
        errand: Errand,
        request: &[u8],
    ) -> AnswerBody {
        let reply = self.pool.as_ref().filter(|_| is_miss).and_then(|pool| {
            let spelling = pool.spelling(key.bytes);
            absent::reply(pool.protocol, errand, spelling, request)
        });
        match reply {
            Some(reply) => {
                self.counters().backend_eject_misses.add(1);
                AnswerBody::Replied {
                    failed: false,
                    bytes: self.buffers.copy(&[reply]),
                }
            }
            None => {
                self.counters().backend_failures.add(1);
                self.failure(UNAVAILABLE)
            }
        }
    }

    /// A server has answered something.
    #[inline]
    pub(super) fn note_answered(&mut self, number: usize, failed: bool, frame: &[u8]) {
        if failed && is_unfit(frame) {
            self.note_failure(number);
        } else if let Some(pool) = &mut self.pool {
            pool.links[number].health.handle_good();
        }
    }

    /// A request was not answered.
    pub(in crate::shard) fn note_failed(
        &mut self,
        number: usize,
        pending: &Pending,
        failure: Failure,
    ) {
        let Some(pool) = &self.pool else { return };
        let is_out = pool.links[number].health.is_out();
        match pending {
            Pending::Probe | Pending::Purge => self.note_failure(number),
            // They have less patience than clients.
            Pending::Topology(_) | Pending::Standing(_) => {}
            // What was asked before it was ejected says nothing of how it is now.
            _ if failure == Failure::Late && !is_out => self.note_failure(number),
            _ => {}
        }
    }

    /// A server has failed; it may be ejected for that.
    #[cold]
    pub(in crate::shard) fn note_failure(&mut self, number: usize) {
        let (now, shard) = (self.now, self.shard());
        let Some(pool) = &mut self.pool else { return };
        if !pool.links[number].health.handle_failure(now) {
            return;
        }
        pool.place_anew(now);
        let backend = pool.name_of(pool.server_of(number));
        tracing::warn!(backend, shard, "ejected");
        self.counters().backend_ejects.add(1);
    }

    /// Probes a server that is ejected, if that is due.
    pub(in crate::shard) fn probe(&mut self, number: usize) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        if pool.links[number].probe(now) {
            self.counters().backend_probes.add(1);
        }
    }

    /// A probe was answered.
    pub(super) fn probed(&mut self, number: usize, is_good: bool) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let link = &mut pool.links[number];
        let returns = link.health.handle_probed(is_good, now);
        if returns && pool.ejection.settings.readmit == Readmit::Flush {
            link.purge(now);
        }
    }

    /// A server that returns was flushed.
    pub(super) fn purged(&mut self, number: usize, is_done: bool) {
        match is_done {
            true => self.readmit(number),
            false => self.note_failure(number),
        }
    }

    /// Readmits a server that returns, if it has been sent all that it missed. What it has not
    /// confirmed is not read from it.
    pub(in crate::shard) fn settle(&mut self, number: usize) {
        let Some(pool) = &self.pool else { return };
        let link = &pool.links[number];
        let is_settled =
            link.health.is_returning() && link.core.is_serving() && link.writes.unsent_count() == 0;
        if is_settled && pool.ejection.settings.readmit == Readmit::AfterInvalidations {
            self.readmit(number);
        }
    }

    fn readmit(&mut self, number: usize) {
        let (now, shard) = (self.now, self.shard());
        let Some(pool) = &mut self.pool else { return };
        let link = &mut pool.links[number];
        if !link.health.is_returning() {
            return;
        }
        link.health.handle_settled(now);
        pool.place_anew(now);
        let backend = pool.name_of(pool.server_of(number));
        tracing::warn!(backend, shard, "readmitted");
        self.counters().backend_readmits.add(1);
    }
}
