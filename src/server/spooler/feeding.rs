//! Handing shards the writes that wait on disk, as far as they have room for them.
//!
//! At start that is everything that is live; later, what a shard could not keep because its queue
//! for a server was full. A shard that still has no room gives it back, and then what is for that
//! queue is left alone for a while.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::files::Files;
use crate::{
    spool::{
        Log, Operation, Place, Record,
        port::{CLUSTER, ControlPort, ServerName, Waiting},
        record::{self, Lsn},
    },
    store::KeyHasher,
};

/// How long a queue is left alone that is full.
const STALL: Duration = Duration::from_millis(200);

/// How soon to look again where a shard has not taken what it was handed.
const LANE_PATIENCE: Duration = Duration::from_millis(10);

/// Records handed over before others' writes are looked after.
const ROUND_COUNT_MAX: u64 = 512;

pub(super) struct Feeding {
    /// Only shards know which of their queues a write is for.
    is_cluster: bool,
    hasher: KeyHasher,
    /// The pool's servers by name.
    servers: HashMap<Vec<u8>, usize>,
    /// Records for servers that the pool does not have, by name.
    strangers: HashMap<Vec<u8>, u64>,
    /// What was there at start; it is not known yet for whom.
    found: VecDeque<Lsn>,
    /// What was given back, by shard and the number of its queue there. Nodes of a cluster have one
    /// each, though the spool knows the cluster alone.
    parked: BTreeMap<(usize, usize), Parked>,
    /// A shard had no room for what was next.
    is_stuck: bool,
}

#[derive(Debug, Clone, Default)]
struct Parked {
    lsns: VecDeque<Lsn>,
    stalled_until: Option<Instant>,
}

/// What a round of feeding has done.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) fed: u64,
    /// Records that are not there any more.
    pub(super) unread: u64,
    pub(super) has_more: bool,
}

impl Feeding {
    pub(super) fn new(log: &Log, servers: &[ServerName], hasher: KeyHasher) -> Self {
        let names = servers
            .iter()
            .map(|server| server.name.clone().into_bytes());
        Self {
            is_cluster: servers.iter().any(|server| server.name == CLUSTER),
            hasher,
            servers: names.zip(0..).collect(),
            strangers: HashMap::new(),
            found: log.live().iter().map(|place| place.lsn).collect(),
            parked: BTreeMap::new(),
            is_stuck: false,
        }
    }

    /// A shard has given a write back.
    pub(super) fn park(&mut self, queue: (usize, usize), lsn: Lsn) {
        let parked = self.parked.entry(queue).or_default();
        parked.lsns.push_back(lsn);
        parked.stalled_until = Some(Instant::now() + STALL);
    }

    /// How long until more can be handed over; none if there is nothing.
    pub(super) fn patience(&self) -> Option<Duration> {
        let stuck = self.is_stuck.then_some(LANE_PATIENCE);
        let waiting = self
            .parked
            .values()
            .filter(|parked| !parked.lsns.is_empty());
        let stalls = waiting.map(|parked| {
            parked.stalled_until.map_or(Duration::ZERO, |until| {
                until.saturating_duration_since(Instant::now())
            })
        });
        stalls.chain(stuck).min()
    }

    /// Hands over what there is room for; notes which shards got something.
    pub(super) async fn feed(
        &mut self,
        log: &Log,
        files: &mut Files,
        ports: &mut [ControlPort],
        fed: &mut [bool],
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.is_stuck = false;
        while outcome.fed < ROUND_COUNT_MAX {
            let next = self.next(log, files, ports.len(), &mut outcome).await;
            let Some((shard, waiting)) = next else {
                self.tell_of_strangers();
                return outcome;
            };
            if let Err(waiting) = ports[shard].feed(waiting) {
                // It is read anew: by then a newer write or a flush may be on disk.
                self.found.push_front(waiting.lsn);
                self.is_stuck = true;
                return outcome;
            }
            fed[shard] = true;
            outcome.fed += 1;
        }
        outcome.has_more = true;
        outcome
    }

    /// The next write that is still live and whose server may be told, and the shard that tells it.
    async fn next(
        &mut self,
        log: &Log,
        files: &mut Files,
        shard_count: usize,
        outcome: &mut Outcome,
    ) -> Option<(usize, Waiting)> {
        let now = Instant::now();
        loop {
            let lsn = self.pop(now)?;
            let Some(place) = log.place(lsn) else {
                continue;
            };
            let bytes = read(files, place).await;
            let record = bytes.as_deref().map(record::parse);
            let Some(Ok((Record::Write { write, .. }, _))) = record else {
                outcome.unread += 1;
                let Place { segment, at, .. } = place;
                tracing::error!(segment, at, "a spooled record cannot be read");
                continue;
            };
            let Some(server) = self.servers.get(write.server).copied() else {
                *self.strangers.entry(write.server.to_vec()).or_default() += 1;
                continue;
            };
            let shard = self.hasher.hash(write.key).owner(shard_count);
            if !self.is_cluster
                && let Some(parked) = self.parked.get_mut(&(shard, server))
                && parked.is_stalled(now)
            {
                parked.lsns.push_back(lsn);
                continue;
            }
            let (set, value) = match log.told(lsn, write).operation {
                Operation::Delete => (None, &[][..]),
                Operation::Set {
                    flags,
                    exptime,
                    value,
                } => (Some((flags, exptime)), value),
            };
            let waiting = Waiting {
                lsn,
                server,
                bytes: [write.key, value].concat(),
                key_bytes: write.key.len(),
                set,
            };
            return Some((shard, waiting));
        }
    }

    fn pop(&mut self, now: Instant) -> Option<Lsn> {
        self.found.pop_front().or_else(|| {
            let mut ready = self
                .parked
                .values_mut()
                .filter(|parked| !parked.is_stalled(now));
            ready.find_map(|parked| parked.lsns.pop_front())
        })
    }

    fn tell_of_strangers(&mut self) {
        for (server, count) in self.strangers.drain() {
            let server = server.escape_ascii();
            tracing::warn!(
                %server,
                count,
                "not in the pool, and writes wait for it; see ringfort spool replay --to"
            );
        }
    }
}

impl Parked {
    fn is_stalled(&self, now: Instant) -> bool {
        self.stalled_until.is_some_and(|until| now < until)
    }
}

async fn read(files: &mut Files, place: Place) -> Option<Vec<u8>> {
    let read = files.read(place.segment, u64::from(place.at), place.bytes as usize);
    read.await.ok()
}
