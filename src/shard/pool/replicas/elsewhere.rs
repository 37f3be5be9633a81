//! Reads that a replica will not answer: another one is asked, or the master.
//!
//! The client gets an error only if nobody is left. What a replica was asked is kept for that, as
//! long as it is not answered. Its patience is what it was from the start.

use super::{Reader, Search};
use crate::{
    backend::{Recalled, is_refusal, is_unfit},
    io::Io,
    route::Slot,
    shard::{
        core::Core,
        pool::{
            Pool,
            backends::deliver,
            cluster::{HOPS_MAX, first_key, limits_of_kept},
            errand::{Delivery, Pending},
            failure::UNAVAILABLE,
        },
        turn::Shard,
    },
    store::UnixMs,
};

impl Core {
    /// Asks another one if an error says so. Else what it was for comes back.
    #[cold]
    pub(in crate::shard::pool) fn ask_elsewhere(
        &mut self,
        number: usize,
        pending: Pending,
        line: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) -> Option<Pending> {
        if !is_refusal(line) {
            return Some(pending);
        }
        let pool = self.pool.as_mut()?;
        pool.want_refresh();
        let link = &mut pool.links[number];
        let again = link.core.pipeline().take_recalled();
        if let Some(role) = link.role.as_mut().filter(|_| is_unfit(line)) {
            role.doubt();
        }
        let Pending::Request(_) = pending else {
            return Some(pending);
        };
        let again = again.filter(|again| again.hop_count() <= HOPS_MAX);
        let is_elsewhere = line.starts_with(b"-MOVED ") || line.starts_with(b"-ASK ");
        let pending = match again {
            // Another replica of the same master would say the same; that one is followed.
            Some(again) => self.push_elsewhere(number, pending, &again, is_elsewhere)?,
            None => pending,
        };
        // Clients know of no other servers.
        if is_elsewhere {
            self.fail(pending, UNAVAILABLE, deliver);
            return None;
        }
        Some(pending)
    }

    /// Sends a read to who is chosen without this replica, or to the master. It comes back if there is
    /// nobody.
    fn push_elsewhere(
        &mut self,
        number: usize,
        pending: Pending,
        again: &Recalled,
        to_master: bool,
    ) -> Option<Pending> {
        let (now, limits) = (self.now, limits_of_kept(self));
        let pool = self.pool.as_mut()?;
        let slot = pool
            .is_cluster()
            .then(|| first_key(again.bytes(), &limits, Slot::of))
            .flatten();
        let target = match pool.home_of_replica(number, slot) {
            Some(home) if to_master => Some(home),
            Some(home) => pool.reader_but(number, home, now),
            None => None,
        };
        let Some(target) = target.filter(|target| pool.links[*target].takes_requests(now)) else {
            return Some(pending);
        };
        let pipeline = pool.links[target].core.pipeline();
        pipeline.push_again(pending, again);
        self.counters().backend_replica_retries.add(1);
        None
    }
}

impl Pool {
    /// The link that chooses among others than this replica, for a master's link.
    fn reader_but(&self, number: usize, home: usize, now: UnixMs) -> Option<usize> {
        let replicas = self.replicas.as_ref()?;
        let search = Search {
            home,
            lot: number,
            except: Some(number),
            now,
        };
        match self.choose(replicas, search) {
            Reader::Home | Reader::HomeForNow => Some(home),
            Reader::Replica(number) => Some(number),
            Reader::Nobody => None,
        }
    }
}

impl<I: Io> Shard<I> {
    /// A link is lost. If it led to a replica, what it was asked is asked of another one.
    pub(in crate::shard) fn send_elsewhere(&mut self, number: usize) {
        let Self {
            core,
            peers,
            touched,
            ..
        } = self;
        let Some(pool) = &mut core.pool else { return };
        let link = &mut pool.links[number];
        let Some(role) = &mut link.role else {
            return;
        };
        role.lose();
        for (pending, again) in link.core.pipeline().take_unsent() {
            let left = match pending {
                Pending::Request(_) => core.push_elsewhere(number, pending, &again, false),
                _ => Some(pending),
            };
            if let Some(pending) = left {
                core.fail(pending, UNAVAILABLE, &mut |core, delivery| {
                    deliver(core, peers, touched, &delivery);
                });
            }
        }
        self.settle_touched();
    }
}
