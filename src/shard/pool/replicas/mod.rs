//! Reads that replicas answer in their masters' stead.
//!
//! Replicas are servers of the pool like others, with links of their own, but no key is theirs:
//!
//! ```text
//!   key -> ring or slot -> server -> link    all that changes, and what only the master knows
//!                             |
//!                             +---> one of its replicas -> link    reads
//! ```
//!
//! **Which one** a key's hash says: as long as that one serves, the key is read there by everybody,
//! and a read does not go back behind another by changing replicas. If it does not, the next one in
//! the list is asked.
//!
//! **What a read may miss** is what the replica has not been told of yet. Three things bound that:
//!
//! * a key that was [written lately](RecentWrites) by way of any shard is read from its master;
//! * a client's read behind its own write of the key goes over the write's link, and its write
//!   behind its own read waits for that, so a pipeline is answered as by one server;
//! * a replica is asked every second whether it [follows](role) its master. If it does not, it is
//!   read only if nobody else can be.
//!
//! What goes into the L1 is read from masters: a copy would keep for long what a replica was behind
//! for a moment. So is what only one server's answer makes sense of: cursors, scripts, what is
//! watched. A read that a replica will not answer is [asked of another](elsewhere).

mod elsewhere;
mod role;

use std::sync::Arc;

pub(super) use self::role::{Rank, Role};
use super::{Pool, PoolSettings, link::Link, unit::KeyList};
use crate::{
    backend::RecentWrites,
    config::ReadFrom,
    shard::{
        core::Core,
        message::Errand,
        session::{Session, Step},
    },
    store::{Key, KeyHash, UnixMs},
};

/// Who is read from, where that is not masters alone.
#[derive(Debug, Clone)]
pub struct ReplicaSettings {
    read_from: ReadFrom,
    /// Whom each replica follows. They stand behind all other servers, in this order.
    masters: Arc<[usize]>,
    /// What was written lately, by way of any shard.
    recent: Arc<RecentWrites>,
}

impl ReplicaSettings {
    /// For replicas that follow these servers; a cluster tells of its own. A key that was written is
    /// read from its master for so many milliseconds.
    pub fn new(read_from: ReadFrom, masters: impl Into<Arc<[usize]>>, lag_ms: u64) -> Self {
        Self {
            read_from,
            masters: masters.into(),
            recent: Arc::new(RecentWrites::new(lag_ms)),
        }
    }

    /// How many replicas were named.
    pub(super) fn listed_count(&self) -> usize {
        self.masters.len()
    }
}

/// What a shard knows of replicas.
#[derive(Debug)]
pub(super) struct Replicas {
    settings: ReplicaSettings,
    /// By server: who follows it.
    of: Vec<Vec<usize>>,
    /// The first of those that were named; before it stand servers that keys go to.
    first_listed: usize,
}

impl Replicas {
    /// Those of a pool, if any are read from.
    pub(super) fn of(settings: &PoolSettings) -> Option<Box<Self>> {
        let server_count = settings.addresses.server_count();
        let replicas = settings.replicas.clone()?;
        Some(Box::new(Self::new(replicas, server_count)))
    }

    fn new(settings: ReplicaSettings, server_count: usize) -> Self {
        let first_listed = server_count - settings.listed_count();
        let mut of = vec![Vec::new(); first_listed];
        for (place, master) in settings.masters.iter().enumerate() {
            if let Some(list) = of.get_mut(*master) {
                list.push(first_listed + place);
            }
        }
        Self {
            settings,
            of,
            first_listed,
        }
    }

    pub(super) fn listed_count(&self) -> usize {
        self.settings.listed_count()
    }

    /// Whom a replica follows that was named.
    pub(super) fn master_of(&self, replica: usize) -> Option<usize> {
        let place = replica.checked_sub(self.first_listed)?;
        self.settings.masters.get(place).copied()
    }

    /// A cluster has told who follows whom; nobody, until it is said [again](Self::add).
    pub(super) fn clear(&mut self) {
        self.of.iter_mut().for_each(Vec::clear);
    }

    /// One more follows a server.
    pub(super) fn add(&mut self, master: usize, replica: usize) {
        if self.of.len() <= master {
            self.of.resize_with(master + 1, Vec::new);
        }
        self.of[master].push(replica);
    }
}

/// Who is to answer a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// The key's own server, by the link that all else about the key goes over.
    Home,
    /// The same, as the key was written lately.
    HomeForNow,
    /// A replica, by this link.
    Replica(usize),
    /// Nobody may be asked.
    Nobody,
}

/// What a reader is chosen for.
#[derive(Debug, Clone, Copy)]
struct Search {
    /// The link to the master.
    home: usize,
    /// A number that is a key's own, or a request's.
    lot: usize,
    /// A link that will not do.
    except: Option<usize>,
    now: UnixMs,
}

impl Link {
    /// Whether reads may go to this replica, as one of this rank at least.
    fn ranks(&self, rank: Rank, now: UnixMs) -> bool {
        let stands = |role: &Role| role.rank(now) >= rank;
        self.role.as_ref().is_some_and(stands) && self.is_up() && self.takes_requests(now)
    }

    fn is_up(&self) -> bool {
        self.core.is_serving() && !self.health.is_out()
    }

    /// Whether a replica is being connected to, and nothing speaks against it yet.
    fn is_expected(&self, now: UnixMs) -> bool {
        let is_first_try = !self.core.is_serving() && self.core.failure_count() == 0;
        is_first_try && !self.health.is_out() && self.takes_requests(now)
    }
}

impl Pool {
    /// Whether anybody but masters is read from.
    pub(in crate::shard) fn reads_replicas(&self) -> bool {
        self.replicas.is_some()
    }

    /// Whether a link leads to a replica.
    pub(super) fn is_replica(&self, number: usize) -> bool {
        self.links[number].role.is_some()
    }

    /// How many servers at the end of all are replicas that were named.
    pub(super) fn listed_replica_count(&self) -> usize {
        let replicas = self.replicas.as_ref();
        replicas.map_or(0, |replicas| replicas.listed_count())
    }

    /// The link for an errand that would go by `home` if masters did all.
    #[inline]
    pub(super) fn link_for(&self, home: usize, key: Key<'_>, errand: Errand, now: UnixMs) -> usize {
        let Some(replicas) = &self.replicas else {
            return home;
        };
        match self.reader(replicas, home, key, errand, now) {
            Reader::Replica(number) => number,
            Reader::Home | Reader::HomeForNow | Reader::Nobody => home,
        }
    }

    #[inline(never)]
    fn reader(
        &self,
        replicas: &Replicas,
        home: usize,
        key: Key<'_>,
        errand: Errand,
        now: UnixMs,
    ) -> Reader {
        let is_fill = errand == Errand::Fetch && self.has_l1();
        let is_free = matches!(errand, Errand::Fetch | Errand::Read(_));
        let may_be_master = replicas.settings.read_from != ReadFrom::Replica;
        if !is_free || (may_be_master && self.listed_of(replicas, home).is_none()) {
            return Reader::Home;
        }
        let is_recent = replicas.settings.recent.has(key.hash, now) || self.is_handed_over(key);
        if (is_recent || is_fill) && self.links[home].is_up() {
            return match is_recent {
                true => Reader::HomeForNow,
                false => Reader::Home,
            };
        }
        self.choose(
            replicas,
            Search {
                home,
                // Another part of the hash than shards and connections are chosen by.
                lot: (key.hash.0 >> 48) as usize,
                except: None,
                now,
            },
        )
    }

    /// The replicas of the server that a link leads to, if it has any.
    fn listed_of<'r>(&self, replicas: &'r Replicas, home: usize) -> Option<&'r [usize]> {
        let list = replicas.of.get(self.server_of(home))?;
        (!list.is_empty()).then_some(list)
    }

    fn choose(&self, replicas: &Replicas, search: Search) -> Reader {
        let Search { home, lot, .. } = search;
        let list = self.listed_of(replicas, home).unwrap_or_default();
        let of_rank = |rank: Rank, lot: usize| self.replica_of_rank(list, rank, lot, search);
        let follows = |lot: usize| of_rank(Rank::Follows, lot);
        let master = || self.links[home].is_up().then_some(home);
        let found = match replicas.settings.read_from {
            ReadFrom::Master => Some(home),
            ReadFrom::PreferMaster => master().or_else(|| follows(lot)),
            ReadFrom::Replica => follows(lot),
            ReadFrom::PreferReplica => follows(lot).or_else(master),
            // Each of them gets as many keys as another.
            ReadFrom::Any => match lot % (list.len() + 1) {
                0 => master().or_else(|| follows(lot)),
                place => follows(place - 1).or_else(master),
            },
        };
        match found.or_else(|| of_rank(Rank::CutOff, lot)) {
            Some(number) if number == home => Reader::Home,
            Some(number) => Reader::Replica(number),
            None if replicas.settings.read_from == ReadFrom::Replica => {
                let found = of_rank(Rank::Unknown, lot);
                found.map_or(Reader::Nobody, Reader::Replica)
            }
            // It says why it does not serve, or will soon.
            None => Reader::Home,
        }
    }

    /// The link to the first replica of this rank from the one on that was drawn.
    fn replica_of_rank(
        &self,
        list: &[usize],
        rank: Rank,
        lot: usize,
        search: Search,
    ) -> Option<usize> {
        let Search {
            home, except, now, ..
        } = search;
        let lane = self.lane_of(home);
        let drawn = lot.checked_rem(list.len())?;
        let (before, from) = list.split_at(drawn);
        let mut links = from
            .iter()
            .chain(before)
            .map(|replica| self.first_link(*replica) + lane);
        links.find(|number| {
            let link = &self.links[*number];
            let is_expected = rank == Rank::Unknown && link.is_expected(now);
            Some(*number) != except && (is_expected || link.ranks(rank, now))
        })
    }
}

impl Core {
    /// Whether anybody but masters is read from.
    pub(in crate::shard) fn reads_replicas(&self) -> bool {
        self.pool.as_ref().is_some_and(Pool::reads_replicas)
    }

    /// The link for an errand that would go by `home` if masters did all; none if nobody may be
    /// asked.
    #[inline]
    pub(super) fn choose_reader(&self, home: usize, key: Key<'_>, errand: Errand) -> Option<usize> {
        let pool = self.pool.as_ref()?;
        let Some(replicas) = &pool.replicas else {
            return Some(home);
        };
        match pool.reader(replicas, home, key, errand, self.now) {
            Reader::Home => Some(home),
            Reader::HomeForNow => {
                self.counters().backend_recent_reads.add(1);
                Some(home)
            }
            Reader::Replica(number) => {
                self.counters().backend_replica_reads.add(1);
                Some(number)
            }
            Reader::Nobody => None,
        }
    }

    /// Whether a link leads to a replica.
    pub(super) fn leads_to_replica(&self, number: usize) -> bool {
        let pool = self.pool.as_ref();
        pool.is_some_and(|pool| pool.is_replica(number))
    }

    fn recent(&self) -> Option<&RecentWrites> {
        let replicas = self.pool.as_ref()?.replicas.as_ref()?;
        Some(&replicas.settings.recent)
    }

    /// A change of a key is sent. It [ends](Self::note_change_ended) in any case.
    pub(super) fn note_change_begun(&self, hash: KeyHash) {
        if let Some(recent) = self.recent() {
            recent.begin(hash);
        }
    }

    /// It is answered, or will not be; the client has not heard of it.
    pub(super) fn note_change_ended(&self, hash: KeyHash) {
        if let Some(recent) = self.recent() {
            recent.end(hash, self.now);
        }
    }

    /// The same of keys whose change nobody said had begun.
    pub(super) fn note_changed(&self, keys: &KeyList) {
        if let Some(recent) = self.recent() {
            let hasher = self.store.hasher();
            keys.iter()
                .for_each(|key| recent.note(hasher.hash(key), self.now));
        }
    }

    /// The same of all keys.
    pub(in crate::shard) fn note_all_changed(&self) {
        if let Some(recent) = self.recent() {
            recent.note_all(self.now);
        }
    }
}

impl Session {
    /// How an errand of this conversation is done: what is watched at a master is read there.
    pub(super) fn tied(&self, core: &Core, errand: Errand) -> Errand {
        match errand {
            Errand::Read(expects) if core.reads_replicas() && self.is_watching_at_server() => {
                Errand::ReadHome(expects)
            }
            _ => errand,
        }
    }

    /// Whether a change of several keys might come before what this same conversation reads.
    pub(super) fn wait_for_reads(&self, core: &Core, errand: Errand) -> Option<Step> {
        let may_overtake = core.reads_replicas() && !errand.is_read() && !self.has_sum();
        (may_overtake && self.replies.pending_count() > 0).then_some(Step::Hold)
    }
}
