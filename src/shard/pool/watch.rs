//! WATCH in front of Redis servers.
//!
//! A server watches for a connection, so from WATCH to EXEC a client has one for [itself
//! alone](super::dedicated), and EXEC's transaction goes over that. Everything else it asks goes
//! where it always goes: a server does not care by whom a watched key is changed. While a client
//! watches, what it reads comes from the server and from no L1 copy, which may be of before.
//!
//! All watched keys are of one server, that of the transaction. If the connection is lost, EXEC
//! answers as if a key had been changed: nothing was done, and the client tries again. So it is in a
//! cluster if the keys' slot has moved in between.

use super::{
    dedicated::{ConnWanted, TOO_MANY},
    errand::{Delivery, Pending},
    failure::UNAVAILABLE,
    relay::{CROSS_SLOT, why_key_by_key},
    transaction::OTHER_SERVER,
    unit::Load,
};
use crate::shard::{
    core::Core,
    form::Form,
    resp::Transaction,
    session::{Session, Step},
};
use crate::{
    io::Token,
    protocol::resp::{Rest, reply},
};

/// What a server does for a client's transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::shard) enum ServerWatch {
    #[default]
    Nothing,
    /// It watches keys.
    Keys,
    /// It did, and the connection was lost.
    Lost,
}

/// Has the server of these keys watch them.
pub(in crate::shard) fn watch(
    session: &mut Session,
    core: &mut Core,
    transaction: &mut Transaction,
    keys: Rest<'_>,
) -> Step {
    let Some(pool) = &core.pool else {
        return Step::Done;
    };
    if let Some(reason) = why_key_by_key(pool) {
        let line = ["-ERR WATCH ", reason, "\r\n"].concat();
        session.refuse(core, line.as_bytes());
        return Step::Done;
    }
    let mut places = keys.into_iter().map(|key| pool.place(key));
    let place = transaction.place.or_else(|| places.next());
    if places.any(|other| Some(other) != place) {
        let line = match pool.is_cluster() {
            true => CROSS_SLOT,
            false => OTHER_SERVER,
        };
        session.refuse(core, line);
        return Step::Done;
    }
    let is_lost = is_lost(core, session.token(), transaction);
    let mut wire = core.buffers.take();
    reply::array_header(&mut wire, 1 + keys.count());
    reply::bulk(&mut wire, b"WATCH");
    for key in keys {
        reply::bulk(&mut wire, key);
    }
    let load = Load::Watch(wire, session.version());
    match session.run_unit(core, place, Some(std::iter::empty()), load, Form::Verbatim) {
        Ok(()) => {
            transaction.place = place;
            transaction.watch = match is_lost {
                true => ServerWatch::Lost,
                false => ServerWatch::Keys,
            };
            Step::Done
        }
        Err(load) => {
            core.buffers.put(load.into_bytes());
            Step::Hold
        }
    }
}

/// Whether nobody knows any more what happened to the keys that a client watches.
pub(in crate::shard) fn is_lost(core: &Core, client: Token, transaction: &Transaction) -> bool {
    let is_watching = || match &core.pool {
        Some(pool) => pool.dedicated.is_watching(client),
        None => false,
    };
    match transaction.watch {
        ServerWatch::Nothing => false,
        ServerWatch::Keys => !is_watching(),
        ServerWatch::Lost => true,
    }
}

/// Nothing is watched for a client any more.
pub(in crate::shard) fn unwatch(core: &mut Core, client: Token, transaction: &Transaction) {
    if transaction.watch != ServerWatch::Nothing
        && let Some(pool) = &mut core.pool
    {
        pool.dedicated.unwatch(client, core.now);
    }
}

impl Session {
    /// Whether a server watches keys for it: it must not read copies that may be of before.
    pub(in crate::shard) fn is_watching_at_server(&self) -> bool {
        let transaction = self.client().and_then(|client| client.transaction.as_ref());
        transaction.is_some_and(|transaction| transaction.watch != ServerWatch::Nothing)
    }
}

impl Core {
    pub(super) fn send_watch(
        &mut self,
        wanted: ConnWanted,
        pending: Pending,
        wire: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let ConnWanted {
            server,
            client,
            version,
            is_asking,
        } = wanted;
        if !pool.dedicated.watch(server, client, version, now) {
            return self.fail(pending, TOO_MANY, deliver);
        }
        if is_asking {
            pool.dedicated.ask_before_watched(client, now);
        }
        let patience_ms = pool.timeout_ms;
        let dedicated = &mut pool.dedicated;
        dedicated.ask_watching(client, pending, wire, patience_ms, now);
    }

    /// Sends a transaction over the connection that watches for its client, and which is the
    /// client's no more then.
    pub(super) fn send_watched(
        &mut self,
        client: Token,
        pending: Pending,
        requests: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let Some(pool) = &self.pool else { return };
        if !pool.dedicated.is_watching(client) {
            return self.fail(pending, UNAVAILABLE, deliver);
        }
        let (now, patience_ms) = (self.now, pool.timeout_ms);
        if let Some(pool) = self.pool.as_mut().filter(|pool| pool.is_cluster()) {
            // The keys may be there by way of that; else it means nothing.
            pool.dedicated.ask_before_watched(client, now);
        }
        self.send_transaction(client, pending, requests, |core, pending, request| {
            if let Some(pool) = &mut core.pool {
                let dedicated = &mut pool.dedicated;
                dedicated.ask_watching(client, pending, request, patience_ms, now);
            }
        });
        if let Some(pool) = &mut self.pool {
            pool.dedicated.end_watch(client);
        }
    }
}
