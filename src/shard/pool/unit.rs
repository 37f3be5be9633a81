//! Units: what one server does as one, about any number of keys, whichever shards own them.
//!
//! The shard of the client sends a unit over its own connection. Where the L1 is on, fills of the
//! keys go over their owners' connections, so nothing but waiting keeps the two in order:
//!
//! (A request that waits at the server goes over a [connection](super::dedicated) of the client's
//! own, which asks for the same, with or without an L1.)
//!
//! So with several connections to a server, among which keys are parted.
//!
//! 1. the client has no other request under way, and is served none before the unit is over;
//! 2. every owner of a key that the unit may change voids the key's lease, drops its copy, and
//!    [closes](crate::fill::Fills::close) the key. From then on reads of it go to the server, and
//!    nothing of them is kept;
//! 3. once all owners have said so, the unit is sent;
//! 4. when it is answered, or lost, the keys are opened, and the client gets its reply. It need not
//!    wait for that: no owner has an old copy, and what is read from then on is new.

use std::sync::Arc;

pub(in crate::shard) use super::load::{Executor, Load};

use super::{
    Place,
    cluster::{Again, Target},
    dedicated::{ConnWanted, TOO_MANY},
    errand::{Delivery, Pending, Route},
    failure::UNAVAILABLE,
};
use crate::shard::{
    core::Core,
    form::Form,
    message::{Ask, AskBody, Origin},
    replies::Covers,
    resp::limits,
    session::Session,
    turn::Shard,
};
use crate::{
    backend::OnLoss,
    io::{Io, Token},
    protocol::{
        Parsed,
        resp::{self, reply},
    },
    store::UnixMs,
};

/// Keys of a unit.
pub(in crate::shard) type KeyList = [Box<[u8]>];

/// What is sent to one server in one piece, and who waits for it.
#[derive(Debug)]
pub(in crate::shard) struct Unit {
    origin: Origin,
    /// The keys that it may change, if copies of them may be kept.
    pub(super) keys: Option<Arc<KeyList>>,
    /// The same, if replicas are read from; an empty list stands for all keys.
    changed: Option<Arc<KeyList>>,
    /// What sends it to another node of a cluster.
    again: Option<Box<Again>>,
}

/// A unit that is sent again later.
#[derive(Debug)]
pub(in crate::shard) struct Retry {
    pub(super) due: UnixMs,
    pub(super) unit: Unit,
}

impl Unit {
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// What is left of it when nobody waits for it any more: its keys stay closed.
    pub(super) fn heir(&self) -> Option<Self> {
        let keys = self.keys.clone()?;
        Some(Self {
            origin: Origin::NOBODY,
            keys: Some(keys),
            changed: None,
            again: None,
        })
    }

    /// What sends it to another node, if it can be.
    pub(super) fn again(&mut self) -> Option<&mut Again> {
        self.again.as_deref_mut()
    }
}

/// A unit whose keys are being closed.
#[derive(Debug)]
pub(in crate::shard) struct Waiting {
    unit: Unit,
    place: Option<Place>,
    load: Load,
    shards_left: usize,
}

/// The first error of each client among the replies to a transaction's requests.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<(Token, Vec<u8>)>);

impl Session {
    /// Whether it waits at a server, and would do so for ever.
    pub(in crate::shard) fn is_blocked(&self) -> bool {
        self.blocked
            .is_some_and(|seq| self.replies.form(seq).is_some())
    }

    /// Whether it is not to be expected to say anything.
    pub(in crate::shard) fn stays_silent(&self) -> bool {
        let subscriptions = self
            .client()
            .and_then(|client| client.subscriptions.as_ref());
        let is_monitoring = subscriptions.is_some_and(|all| all.is_monitoring);
        self.is_blocked() || self.is_subscribed() || is_monitoring
    }

    /// Has the server of a place do something as one; its reply takes the next slot. `written` are the
    /// keys that it may change; `None` if that may be any.
    pub(super) fn run_unit<'k>(
        &mut self,
        core: &mut Core,
        place: Option<Place>,
        written: Option<impl Iterator<Item = &'k [u8]>>,
        load: Load,
        form: Form,
    ) -> Result<(), Load> {
        let has_l1 = core.has_l1();
        let has_room = self.has_room_for_unit(core, place, load.reply_count());
        let waits = matches!(load, Load::Waiting(..));
        let is_alone = has_l1 || load.is_apart() || core.has_lanes();
        if !has_room || (is_alone && self.replies.pending_count() > 0) {
            return Err(load);
        }
        self.set_barred(is_alone);
        let is_followed = core.follows_changes();
        let may_change_any = place.is_none() || written.is_none();
        let written = written.into_iter().flatten();
        let written = is_followed.then(|| written.map(Box::from).collect::<Arc<KeyList>>());
        let written = written.filter(|keys| !keys.is_empty());
        let keys = written.clone().filter(|_| has_l1);
        let any = may_change_any.then(|| Arc::from([]));
        let changed = any.or(written).filter(|_| core.reads_replicas());
        let covers = match keys {
            Some(_) => Covers::AnyKey,
            None => Covers::Nothing,
        };
        let seq = self.replies.defer(form, covers, 1);
        if waits {
            self.blocked = Some(seq);
        }
        let origin = Origin {
            token: self.token(),
            seq,
        };
        let unit = Unit {
            origin,
            keys,
            changed,
            again: None,
        };
        core.begin_unit(unit, place, load, &mut |core, delivery| {
            self.deliver(core, delivery.origin.seq, delivery.failed, delivery.bytes);
        });
        Ok(())
    }

    /// Whether the server of a place takes so many requests now. Who waits for longer than a server
    /// may take to answer is told by what it answers, or does not.
    fn has_room_for_unit(&mut self, core: &Core, place: Option<Place>, count: usize) -> bool {
        let Some(pool) = &core.pool else { return false };
        let has_room = match pool.server_at(place) {
            Some(server) if pool.is_waiting(server) => {
                let since = *self.waits_since.get_or_insert(core.now);
                pool.is_overdue(since, core.now)
            }
            Some(server) => pool.has_room_for(server, count),
            None => true,
        };
        if has_room {
            self.waits_since = None;
        }
        has_room
    }
}

impl Core {
    fn begin_unit(
        &mut self,
        unit: Unit,
        place: Option<Place>,
        load: Load,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let Some(keys) = unit.keys.clone() else {
            return self.send_unit(unit, place, load, deliver);
        };
        self.close_own(&keys);
        let owners = self.other_owners(&keys);
        let shards_left = owners.len();
        for shard in owners {
            let body = AskBody::Close(Arc::clone(&keys));
            let origin = unit.origin;
            self.asks.push((shard, Ask { origin, body }));
        }
        self.send_asks();
        if shards_left == 0 {
            return self.send_unit(unit, place, load, deliver);
        }
        self.units.push(Waiting {
            unit,
            place,
            load,
            shards_left,
        });
    }

    /// One more shard has closed its keys of a unit; the unit, if that was the last.
    fn unit_closed(&mut self, origin: Origin) -> Option<Waiting> {
        let place = self
            .units
            .iter()
            .position(|waiting| waiting.unit.origin == origin)?;
        let waiting = &mut self.units[place];
        waiting.shards_left -= 1;
        (waiting.shards_left == 0).then(|| self.units.swap_remove(place))
    }

    fn send_unit(
        &mut self,
        mut unit: Unit,
        place: Option<Place>,
        load: Load,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let Some(pool) = &self.pool else { return };
        let Some(server) = pool.server_at(place) else {
            return self.fail(Pending::Unit(Box::new(unit)), UNAVAILABLE, deliver);
        };
        let target = Target {
            server,
            is_asking: false,
        };
        if !pool.is_cluster() {
            return self.send_load(unit, target, load, deliver);
        }
        let was_watching = pool.dedicated.is_watching(unit.origin.token);
        unit.again = Some(Box::new(Again {
            load,
            was_watching,
            place,
            try_count: 0,
            hop_count: 0,
        }));
        self.send_unit_to(unit, target, deliver);
    }

    /// Sends a unit of which all is kept, to be sent again.
    pub(super) fn send_unit_to(
        &mut self,
        unit: Unit,
        target: Target,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        if let Some(again) = &unit.again {
            let load = again.load.copy();
            self.send_load(unit, target, load, deliver);
        }
    }

    fn send_load(
        &mut self,
        unit: Unit,
        target: Target,
        load: Load,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        self.counters().backend_requests.add(1);
        let now = self.now;
        let Target { server, is_asking } = target;
        let Some(pool) = &mut self.pool else { return };
        let link = pool.first_link(server);
        let client = unit.origin.token;
        let pending = Pending::Unit(Box::new(unit));
        if pool.is_waiting(server) || !pool.links[link].takes_requests(now) {
            let reason = pool.why_not(server);
            return self.fail(pending, reason, deliver);
        }
        if is_asking && !load.is_apart() {
            pool.ask_before(link, OnLoss::Fail, now);
        }
        match load {
            Load::Request(wire) => {
                self.ask_server(server, pending, &wire);
                self.buffers.put(wire);
            }
            Load::Waiting(wire, version) => {
                let Some(pool) = &mut self.pool else { return };
                let dedicated = &mut pool.dedicated;
                let wanted = ConnWanted {
                    server,
                    client,
                    version,
                    is_asking,
                };
                if let Err(pending) = dedicated.ask(wanted, pending, &wire, now) {
                    self.fail(pending, TOO_MANY, deliver);
                }
                self.buffers.put(wire);
            }
            Load::Watch(wire, version) => {
                let wanted = ConnWanted {
                    server,
                    client,
                    version,
                    is_asking,
                };
                self.send_watch(wanted, pending, &wire, deliver);
                self.buffers.put(wire);
            }
            Load::Transaction(requests, _, Executor::Shared) => {
                self.send_transaction(client, pending, &requests, |core, pending, request| {
                    core.ask_server(server, pending, request);
                });
                self.buffers.put(requests);
            }
            Load::Transaction(requests, _, Executor::Watching) => {
                self.send_watched(client, pending, &requests, deliver);
                self.buffers.put(requests);
            }
        }
    }

    /// Sends a transaction request by request by way of `send`; `pending` gets EXEC's reply.
    pub(super) fn send_transaction(
        &mut self,
        client: Token,
        pending: Pending,
        mut requests: &[u8],
        mut send: impl FnMut(&mut Self, Pending, &[u8]),
    ) {
        send(self, Pending::Queued(client), b"*1\r\n$5\r\nMULTI\r\n");
        let limits = limits(self);
        // They were whole when they were queued.
        while let Parsed::Complete { consumed, .. } = resp::parse(requests, &limits) {
            let (request, behind) = requests.split_at(consumed);
            send(self, Pending::Queued(client), request);
            requests = behind;
        }
        send(self, pending, b"*1\r\n$4\r\nEXEC\r\n");
    }

    /// A server has answered the last request of a unit.
    pub(super) fn end_unit(
        &mut self,
        unit: Unit,
        number: usize,
        failed: bool,
        frame: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let refusal = self.take_refusal(unit.origin.token);
        let unit = match (failed && unit.again.is_some(), &refusal) {
            (false, _) => Some(unit),
            (true, Some(line)) if frame.starts_with(b"-EXECABORT") => {
                self.send_unit_on(unit, number, line, deliver)
            }
            (true, _) => self.send_unit_on(unit, number, frame, deliver),
        };
        let Some(unit) = unit else { return };
        self.note_unit_ended(&unit);
        self.open_keys(&unit);
        let route = Route::Here(unit.origin);
        match refusal {
            Some(line) if frame.starts_with(b"-EXECABORT") => {
                self.hand_over(route, true, &because_of(&line), deliver);
            }
            _ => self.hand_over(route, failed, frame, deliver),
        }
    }

    /// A unit is over; the client has not heard of it.
    pub(super) fn note_unit_ended(&self, unit: &Unit) {
        match unit.changed.as_deref() {
            None => {}
            Some([]) => self.note_all_changed(),
            Some(keys) => self.note_changed(keys),
        }
    }

    /// A server has answered a request of a transaction; why it refused the first one is kept.
    pub(super) fn note_refusal(&mut self, client: Token, failed: bool, line: &[u8]) {
        let Some(pool) = &mut self.pool else { return };
        let Refusals(refusals) = &mut pool.refusals;
        // MULTI is taken: what is kept is of one whose EXEC was not answered.
        if line == reply::OK {
            refusals.retain(|(other, _)| *other != client);
        }
        if failed && refusals.iter().all(|(other, _)| *other != client) {
            refusals.push((client, line.to_vec()));
        }
    }

    pub(super) fn take_refusal(&mut self, client: Token) -> Option<Vec<u8>> {
        let Refusals(refusals) = &mut self.pool.as_mut()?.refusals;
        let place = refusals.iter().position(|(other, _)| *other == client)?;
        Some(refusals.swap_remove(place).1)
    }
}

impl<I: Io> Shard<I> {
    /// Another shard has closed its keys of a unit. It goes on even if its client has gone: what
    /// was asked is done. Not so what would have a connection for the client alone, and may wait
    /// there for ever.
    pub(in crate::shard) fn keys_closed(&mut self, origin: Origin) {
        let Some(waiting) = self.core.unit_closed(origin) else {
            return;
        };
        let Waiting {
            unit, place, load, ..
        } = waiting;
        let Self { core, peers, .. } = self;
        if load.is_apart() && peers.downstream(origin.token).is_none() {
            return core.open_keys(&unit);
        }
        core.send_unit(unit, place, load, &mut |core, delivery| {
            if let Some(conn) = peers.downstream(delivery.origin.token) {
                let seq = delivery.origin.seq;
                conn.session
                    .deliver(core, seq, delivery.failed, delivery.bytes);
            }
        });
        self.settle(origin.token);
    }
}

/// Redis' line for a transaction that was given up, with its reason.
fn because_of(error: &[u8]) -> Vec<u8> {
    let reason = error.strip_prefix(b"-").unwrap_or(error);
    [b"-EXECABORT Transaction discarded because of: ", reason].concat()
}
