//! Pool mode's own state in a shard: the ring, a link to each server, and the fills under way.

mod absent;
mod at_once;
pub(super) mod backends;
pub(super) mod binary;
mod bounded;
mod closed_keys;
mod cluster;
mod dedicated;
mod delivery;
mod ejection;
pub(super) mod errand;
pub(super) mod failure;
pub(super) mod feeds;
mod l1;
mod lanes;
pub(super) mod link;
mod load;
pub(super) mod memcache;
pub(super) mod meta;
mod on_behalf;
pub(super) mod over_memcache;
pub(super) mod over_resp;
mod pending;
pub(super) mod plain;
mod queue;
mod queued;
mod queueing;
pub(super) mod relay;
mod replicas;
pub(super) mod resp;
mod settings;
pub(super) mod spooling;
mod stepping;
mod tracked;
pub(super) mod transaction;
pub(super) mod unit;
pub(super) mod watch;

use std::{cell::Cell, ops::Range, sync::Arc};

use self::{
    cluster::Cluster,
    dedicated::DedicatedConns,
    ejection::Ejection,
    errand::{Pending, Route},
    l1::L1,
    lanes::Lanes,
    link::{Link, LinkMaker, Speech},
    replicas::Replicas,
    unit::Refusals,
};
pub use self::{
    ejection::EjectSettings,
    l1::L1Settings,
    replicas::ReplicaSettings,
    settings::{Addresses, PoolSettings},
    tracked::Covers,
};
use super::message::Errand;
use crate::{
    backend::OnLoss,
    config::{Protocol, WritePolicy},
    fill::Fills,
    protocol::memcache::Spelling,
    route::{Router, ServerIndex, Slot},
    store::{Key, KeyHash, KeyHasher, UnixMs},
};

/// Where keys have to be together to be used together: on one server, in a cluster in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) struct Place(usize);

/// Whether a server knows memcache's meta commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnowsMeta {
    Yes,
    No,
    /// It is being asked.
    Asked,
    /// It was never there to be asked.
    Away,
}

/// The pool of one shard.
pub(super) struct Pool {
    pub(super) protocol: Protocol,
    is_crossed: bool,
    script: over_resp::Script,
    renewals: Option<Arc<over_resp::Renewals>>,
    router: Router,
    /// The link for the key that was asked about last, until its request has gone there.
    routed: Cell<Option<(KeyHash, usize)>>,
    ejection: Ejection,
    hasher: KeyHasher,
    in_flight_max: usize,
    /// How long a client's request may wait for its turn, in milliseconds.
    timeout_ms: u32,
    write: WritePolicy,
    l1: L1,
    /// Those to one server stand together: first the ones for requests, then the one by which it
    /// tells of changes, where it does.
    pub(super) links: Vec<Link>,
    maker: LinkMaker,
    /// What is known of the cluster, if the pool is one.
    cluster: Option<Box<Cluster>>,
    /// Who is read from, if not masters alone.
    replicas: Option<Box<Replicas>>,
    pub(super) addresses: Arc<dyn Addresses>,
    pub(super) fills: Fills<Route>,
    dedicated: DedicatedConns,
    /// Why servers refused a request of a transaction that they are being sent.
    refusals: Refusals,
}

impl Pool {
    pub(super) fn new(
        settings: &PoolSettings,
        shard: usize,
        hasher: KeyHasher,
        value_bytes_max: usize,
        now: UnixMs,
    ) -> Self {
        let speech = Speech {
            protocol: settings.protocol,
            is_crossed: settings.is_crossed,
        };
        let link = settings.link(speech, hasher, value_bytes_max);
        let dedicated = settings.dedicated_links(speech, &link);
        let server_count = settings.addresses.server_count();
        let listener = tracked::greeting(settings);
        let maker = LinkMaker {
            speech,
            patience_ms: settings.timeout_ms,
            eject: settings.eject.clone(),
            settings: link,
            lanes: Lanes::new(settings.connection_count, listener.is_some()),
            listener,
            recalls: settings.cluster_seeds.is_some(),
            seed: settings.seed,
            shard,
        };
        let replicas = Replicas::of(settings);
        let first_replica = server_count - replicas.as_ref().map_or(0, |all| all.listed_count());
        let make = |server| match server < first_replica {
            true => maker.make_to(server, now),
            false => maker.make_to_replica(server, now),
        };
        let links = (0..server_count).flat_map(make);
        let mut pool = Self {
            protocol: settings.protocol,
            is_crossed: settings.is_crossed,
            script: over_resp::Script::new(),
            renewals: settings.renewals.clone(),
            router: settings.router.clone(),
            routed: Cell::new(None),
            ejection: Ejection::new(&settings.eject),
            hasher,
            in_flight_max: settings.in_flight_max,
            timeout_ms: settings.timeout_ms,
            write: settings.write,
            l1: settings
                .l1
                .of_shard(shard, server_count, maker.lanes.width()),
            links: links.collect(),
            replicas,
            maker,
            cluster: None,
            addresses: Arc::clone(&settings.addresses),
            fills: Fills::default(),
            dedicated: DedicatedConns::new(dedicated),
            refusals: Refusals::default(),
        };
        if let Some(seeds) = &settings.cluster_seeds {
            pool.found_cluster(seeds, now);
        }
        pool
    }

    /// The server that owns a key.
    pub(super) fn home_server(&self, key: &[u8]) -> usize {
        if let Some(cluster) = &self.cluster {
            return cluster.server(key);
        }
        let ServerIndex(server) = self.router.owner(key);
        usize::from(server)
    }

    /// The servers that have keys.
    pub(super) fn masters(&self) -> Vec<usize> {
        match &self.cluster {
            None => (0..self.listed_server_count()).collect(),
            Some(cluster) => cluster.masters().collect(),
        }
    }

    /// Whether one server has all keys, and will.
    pub(super) fn is_single(&self) -> bool {
        self.cluster.is_none() && self.listed_server_count() == 1
    }

    /// How many servers were named that are no replicas.
    fn listed_server_count(&self) -> usize {
        self.links.len() / self.lanes().width() - self.listed_replica_count()
    }

    /// Where a key is.
    pub(super) fn place(&self, key: &[u8]) -> Place {
        Place(match &self.cluster {
            None => self.server(key),
            Some(_) => Slot::of(key).index(),
        })
    }

    /// The server of what is at one place, or anywhere; none if nobody has keys.
    pub(super) fn server_at(&self, place: Option<Place>) -> Option<usize> {
        match (place, &self.cluster) {
            (Some(Place(server)), None) => Some(server),
            (Some(Place(slot)), Some(cluster)) => Some(cluster.server_at(slot)),
            (None, None) => Some(0),
            (None, Some(cluster)) => self.node_at_hand(cluster, 0),
        }
    }

    /// Whether requests about a key reach its server by way of the shard that owns the key, and not from the client's:
    /// where the L1 is on, so that fills and writes of a key meet in one place, where keys may come to another server than
    /// their own, so that one shard alone judges which, and where writes are queued, so that reads see them.
    pub(in crate::shard) fn asks_from_owners(&self) -> bool {
        self.has_l1() || self.moves_keys() || self.queues_writes()
    }

    /// Whether nothing keeps requests to one server in order that are about different keys: they may
    /// be on several connections, sent on by nodes of a cluster, or reads that replicas answer.
    pub(super) fn has_lanes(&self) -> bool {
        self.lanes().count() > 1 || self.is_cluster() || self.reads_replicas()
    }

    /// The server that a link leads to.
    pub(super) fn server_of(&self, link: usize) -> usize {
        link / self.lanes().width()
    }

    /// The links to a server for requests.
    pub(super) fn links_to(&self, server: usize) -> Range<usize> {
        self.lanes().links_to(server)
    }

    /// All links to a server.
    pub(super) fn all_links_to(&self, server: usize) -> Range<usize> {
        self.lanes().all_links_to(server)
    }

    /// The link by which a server tells of changes, where it does.
    pub(super) fn listener_of(&self, server: usize) -> usize {
        self.links_to(server).end
    }

    /// Whether a link is there to hear of changes.
    pub(super) fn is_listener(&self, link: usize) -> bool {
        self.lane_of(link) >= self.lanes().count()
    }

    /// The link to a server for what is about no key.
    pub(super) fn first_link(&self, server: usize) -> usize {
        self.links_to(server).start
    }

    /// Which of the links to its server a link is.
    pub(super) fn lane_of(&self, link: usize) -> usize {
        link % self.lanes().width()
    }

    /// How links to a server stand together.
    fn lanes(&self) -> Lanes {
        self.maker.lanes
    }

    /// The number of the link for a key. All that is about one key goes over one connection, so it
    /// stays in order.
    ///
    /// A request asks more than once, first whether there is room. A ring's hash costs more than
    /// all else that is done for a key, and a random distribution has another answer each time: so
    /// one answer stands until the request [takes it](Self::take_link_number).
    pub(super) fn link_number(&self, key: Key<'_>) -> usize {
        match self.routed.get() {
            Some((hash, number)) if hash == key.hash => number,
            _ => {
                let number = self.link_to(self.server(key.bytes), key);
                self.routed.set(Some((key.hash, number)));
                number
            }
        }
    }

    /// The same for a request that goes there now; the next one about the key asks anew.
    pub(super) fn take_link_number(&self, key: Key<'_>) -> usize {
        let number = self.link_number(key);
        self.routed.set(None);
        number
    }

    /// The link to a server for what is about a key, whoever owns it.
    pub(super) fn link_to(&self, server: usize, key: Key<'_>) -> usize {
        self.lanes().link_to(server, key.hash)
    }

    /// The number of the link to a key's own server.
    pub(super) fn home_link(&self, key: Key<'_>) -> usize {
        self.link_to(self.home_server(key.bytes), key)
    }

    /// This shard's link for a key.
    pub(super) fn link_of(&self, key: Key<'_>) -> &Link {
        &self.links[self.link_number(key)]
    }

    /// Whether a key's server knows memcache's meta commands.
    pub(super) fn knows_meta(&self, key: Key<'_>, now: UnixMs) -> KnowsMeta {
        let link = self.link_of(key);
        match (link.takes_requests(now), link.core.knew_meta()) {
            (true, _) if link.is_greeting(now) => KnowsMeta::Asked,
            (_, true) => KnowsMeta::Yes,
            (true, false) => KnowsMeta::No,
            (false, false) => KnowsMeta::Away,
        }
    }

    /// How a key is spelled to the pool's servers. Without clients of another protocol each key is
    /// as it came.
    pub(super) fn spelling(&self, key: &[u8]) -> Spelling {
        match self.is_crossed {
            true => Spelling::of(key).unwrap_or(Spelling::Text),
            false => Spelling::Text,
        }
    }

    /// Whether another request about this key may be taken.
    pub(super) fn has_room(&self, key: Key<'_>, errand: Errand, now: UnixMs) -> bool {
        let number = self.link_for(self.link_number(key), key, errand, now);
        self.has_room_at(number)
    }

    /// Whether another request may go over this link.
    fn has_room_at(&self, number: usize) -> bool {
        self.links[number].core.in_flight() < self.in_flight_max
    }

    /// Whether a request that waits for room since then has waited for too long.
    pub(super) fn is_overdue(&self, since: UnixMs, now: UnixMs) -> bool {
        now.0 >= since.0.saturating_add(u64::from(self.timeout_ms))
    }

    /// The same for so many requests at once, or for any number if nothing is in flight.
    fn has_room_for(&self, server: usize, count: usize) -> bool {
        let in_flight = self.links[self.first_link(server)].core.in_flight();
        in_flight == 0 || in_flight + count <= self.in_flight_max
    }

    /// Asks for a whole value over a link, in the server's words.
    fn ask_value(
        &mut self,
        number: usize,
        pending: Pending,
        key: Key<'_>,
        on_loss: OnLoss,
        now: UnixMs,
    ) {
        let spelling = self.spelling(key.bytes);
        self.links[number].ask_value(pending, key, spelling, on_loss, now);
    }

    /// Whether clients of the other protocol may be served.
    pub(super) fn is_crossed(&self) -> bool {
        self.is_crossed
    }

    /// Whether the servers' strings may have a header with memcache's flags.
    pub(super) fn keeps_flags(&self) -> bool {
        self.is_crossed && self.protocol == Protocol::Resp
    }

    /// What Redis servers run for what they have no command for.
    pub(super) fn script(&self) -> &over_resp::Script {
        &self.script
    }

    /// Who renews values that end soon.
    pub(super) fn renewals(&self) -> Option<Arc<over_resp::Renewals>> {
        self.renewals.clone()
    }

    /// Whether whole-value writes are answered at once and are done later.
    pub(super) fn is_behind(&self) -> bool {
        self.write == WritePolicy::Behind
    }

    /// Whether writes may be answered before their servers have them.
    pub(super) fn queues_writes(&self) -> bool {
        self.write != WritePolicy::Through
    }

    /// Nothing that is being read now may be kept.
    pub(super) fn void_fills(&mut self) {
        self.fills.void_all();
    }

    /// When time alone changes something on a link next.
    pub(super) fn next_timeout(&self, now: UnixMs) -> Option<UnixMs> {
        let links = self.links.iter().map(|link| link.next_timeout(now));
        links.fold(self.cluster_timeout(now), UnixMs::soonest)
    }

    /// Whether time must be watched.
    pub(super) fn needs_tick(&self) -> bool {
        self.dedicated.needs_tick()
    }

    /// Queued writes that no backend has confirmed, of those backends that may yet.
    pub(super) fn unconfirmed_at_hand(&self) -> usize {
        let at_hand = self.links.iter().enumerate();
        let at_hand = at_hand.filter(|(_, link)| link.core.is_serving());
        at_hand.map(|(number, _)| self.queued_count(number)).sum()
    }

    /// Queued writes that no backend has confirmed.
    pub(super) fn unconfirmed(&self) -> usize {
        match &self.cluster {
            None => self.links.iter().map(|link| link.writes.len()).sum(),
            Some(cluster) => cluster.writes.len(),
        }
    }
}
