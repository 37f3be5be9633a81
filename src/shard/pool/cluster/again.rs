//! Units that a node will not do: all of one is sent again, to the node that is named or, where a
//! slot's keys are in two places, a little later.
//!
//! In front of a cluster a client that has a unit under way has nothing else under way, so whenever
//! it is done, it is in its order. A transaction of which one request was refused was not executed:
//! EXEC says so. It is sent again whole.

use super::{
    Pool, WAITING,
    redirect::{HOPS_MAX, TOO_FAR, Target},
};
use crate::{
    io::Token,
    protocol::resp::reply,
    route::Redirect,
    shard::{
        core::Core,
        pool::{
            Place,
            errand::{Delivery, Pending, Route},
            unit::{Executor, Load, Retry, Unit},
        },
    },
    store::UnixMs,
};

/// The pause before a unit is tried again whose keys are in two places, in milliseconds; it doubles
/// each time. Keys are moved within milliseconds of each other.
const PAUSE_MS: u64 = 10;

/// How often it is tried again before the client is told: in all, a third of a second. A request that
/// would make keys is refused by both nodes until all of the slot has moved.
const TRIES_MAX: u8 = 5;

/// What EXEC answers if a watched key was changed, in RESP2. RESP3's clients get their own null.
const NULL_ARRAY: &[u8] = b"*-1\r\n";

/// What is kept of a unit to send it again.
#[derive(Debug)]
pub(in crate::shard) struct Again {
    pub(in crate::shard::pool) load: Load,
    pub(in crate::shard::pool) place: Option<Place>,
    /// Whether a node watched keys for the client before.
    pub(in crate::shard::pool) was_watching: bool,
    /// How often it was tried again since its keys were found in two places.
    pub(in crate::shard::pool) try_count: u8,
    /// How often nodes have sent it on since the last try.
    pub(in crate::shard::pool) hop_count: u8,
}

impl Core {
    /// Sends a unit again if that is what its reply says. Else it comes back.
    #[cold]
    pub(in crate::shard::pool) fn send_unit_on(
        &mut self,
        unit: Unit,
        number: usize,
        line: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) -> Option<Unit> {
        let mut unit = unit;
        let Some(redirect) = Redirect::parse(line) else {
            return Some(unit);
        };
        let Some(again) = unit.again() else {
            return Some(unit);
        };
        let is_watch = matches!(again.load, Load::Watch(..));
        if is_watch || matches!(again.load, Load::Transaction(_, _, Executor::Watching)) {
            let (was_watching, origin) = (again.was_watching, unit.origin());
            self.end_watch_of(origin.token);
            if was_watching {
                return self.tell_not_watched(unit, is_watch, deliver);
            }
        }
        let Some(again) = unit.again() else {
            return Some(unit);
        };
        if redirect == Redirect::TryAgain {
            if again.try_count >= TRIES_MAX {
                return Some(unit);
            }
            let due = UnixMs(self.now.0 + (PAUSE_MS << again.try_count));
            again.try_count += 1;
            again.hop_count = 0;
            if let Some(pool) = &mut self.pool {
                pool.try_later(Retry { due, unit });
            }
            return None;
        }
        again.hop_count += 1;
        if again.hop_count > HOPS_MAX {
            self.fail(Pending::Unit(Box::new(unit)), TOO_FAR, deliver);
            return None;
        }
        let Some((_, target)) = self.target_of(number, redirect) else {
            return Some(unit);
        };
        self.send_unit_to(unit, target, deliver);
        None
    }

    /// The node that watches for a client is not the one that has the keys now.
    fn end_watch_of(&mut self, client: Token) {
        let now = self.now;
        if let Some(pool) = &mut self.pool {
            pool.dedicated.unwatch(client, now);
        }
    }

    /// What was watched before is not any more, so EXEC answers as for a changed key: now, or when
    /// the client comes to it.
    fn tell_not_watched(
        &mut self,
        unit: Unit,
        is_watch: bool,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) -> Option<Unit> {
        self.open_keys(&unit);
        let bytes = match is_watch {
            true => reply::OK,
            false => NULL_ARRAY,
        };
        self.hand_over(Route::Here(unit.origin()), false, bytes, deliver);
        None
    }

    /// The units whose time has come.
    pub(super) fn due_units(&mut self) -> Vec<Unit> {
        let now = self.now;
        self.pool
            .as_mut()
            .map_or_else(Vec::new, |pool| pool.take_retries(now))
    }

    /// Sends a unit whose time has come. What would have a connection for its client alone is
    /// dropped if that is not there any more: it may wait for ever.
    pub(super) fn retry_unit(
        &mut self,
        mut unit: Unit,
        is_client_there: bool,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let now = self.now;
        let is_apart = unit.again().is_some_and(|again| again.load.is_apart());
        if is_apart && !is_client_there {
            return self.open_keys(&unit);
        }
        let place = unit.again().and_then(|again| again.place);
        let Some(pool) = &mut self.pool else { return };
        match pool.server_at(place) {
            // It is on its way: not long now.
            Some(WAITING) => {
                let due = UnixMs(now.0 + PAUSE_MS);
                pool.try_later(Retry { due, unit });
            }
            server => {
                let target = Target {
                    server: server.unwrap_or(super::NOBODY),
                    is_asking: false,
                };
                self.send_unit_to(unit, target, deliver);
            }
        }
    }
}

impl Pool {
    fn try_later(&mut self, retry: Retry) {
        if let Some(cluster) = &mut self.cluster {
            cluster.next_look = cluster.next_look.min(retry.due);
            cluster.retries.push(retry);
        }
    }

    fn take_retries(&mut self, now: UnixMs) -> Vec<Unit> {
        let Some(cluster) = &mut self.cluster else {
            return Vec::new();
        };
        let due = cluster.retries.extract_if(.., |retry| retry.due <= now);
        due.map(|retry| retry.unit).collect()
    }
}
