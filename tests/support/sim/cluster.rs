//! A plain model of a Redis Cluster: nodes that have slots, know of each other late, and pass slots on, key by key or
//! at once.
//!
//! All keys are in one [`Redis`]; what a node has is a matter of what the cluster says of their slots. So nothing is
//! ever lost, and whoever asks the wrong node is told by a redirect, not by a missing key. Changes are told by the node
//! where they are made, to those who have read there; what changes hands without being moved key by key is not told.

mod tell;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use ringfort::io::sim::{SimRng, SimServer, SimWorld};
use ringfort::route::{SLOT_COUNT, Slot};

use super::address;
use super::redis::{Redis, take_arrays};
use super::tracked::Tracked;

/// Who has each slot.
pub(crate) type Owners = Rc<[u8; SLOT_COUNT]>;

pub(crate) struct Cluster {
    pub(crate) redis: Redis,
    /// Whom each node tells of changes.
    pub(crate) tracked: Vec<Tracked>,
    /// Nodes that see no majority of the others.
    cut_off: HashSet<usize>,
    /// As the cluster was, step by step; the last is how it is. The number of a step is its epoch.
    views: Vec<Owners>,
    /// The step that each node knows of.
    known: Vec<usize>,
    /// Slots on their way, and to whom.
    moving: BTreeMap<usize, u8>,
    /// Slots that have moved since all was quiet. They stay: of two requests under way, the one that is sent on may
    /// else be overtaken by the one behind it, if the slot is back before that arrives.
    moved: HashSet<usize>,
    /// Slots whose requests a node has turned away since then. They do not come back to it: what was turned away may else
    /// be overtaken by what its client has sent right behind it, to the same node.
    turned_away: HashSet<(usize, usize)>,
    /// Keys of those slots that have arrived.
    arrived: HashSet<Vec<u8>>,
    /// Whether nodes know CLUSTER SHARDS.
    has_shards: bool,
    /// A replica follows each node.
    pub(crate) has_replicas: bool,
    rng: SimRng,
    pub(crate) moved_count: usize,
    pub(crate) asked_count: usize,
}

impl Cluster {
    /// So many nodes that share the slots, at the addresses of the first servers of a world.
    pub(crate) fn serve(
        world: &SimWorld,
        seed: u64,
        node_count: usize,
        moment: &Rc<Cell<u64>>,
    ) -> Rc<RefCell<Self>> {
        let owners: Vec<u8> = (0..SLOT_COUNT)
            .map(|slot| (slot * node_count / SLOT_COUNT) as u8)
            .collect();
        let owners: [u8; SLOT_COUNT] = owners.try_into().expect("as many as there are");
        let cluster = Rc::new(RefCell::new(Self {
            redis: Redis::new(seed, moment),
            tracked: (0..node_count).map(|_| Tracked::default()).collect(),
            cut_off: HashSet::new(),
            views: vec![Rc::new(owners)],
            known: vec![0; node_count],
            moving: BTreeMap::new(),
            moved: HashSet::new(),
            turned_away: HashSet::new(),
            arrived: HashSet::new(),
            has_shards: seed.is_multiple_of(2),
            has_replicas: false,
            rng: SimRng::new(!seed ^ 0x5107),
            moved_count: 0,
            asked_count: 0,
        }));
        for number in 0..node_count {
            let node: Rc<RefCell<dyn SimServer>> = Rc::new(RefCell::new(Node {
                number,
                cluster: Rc::clone(&cluster),
                partial: HashMap::new(),
                asking: HashSet::new(),
                queued: HashMap::new(),
            }));
            world.serve(address(number), node);
        }
        cluster
    }

    pub(crate) fn node_count(&self) -> usize {
        self.known.len()
    }

    /// What some node has of a key.
    pub(crate) fn stored(&self, key: &[u8]) -> Option<&[u8]> {
        self.redis.items.get(key).map(Vec::as_slice)
    }

    pub(crate) fn owner(&self, slot: usize) -> usize {
        usize::from(self.now()[slot])
    }

    /// Who has what, as far as a node knows.
    pub(crate) fn known_to(&self, node: usize) -> Owners {
        Rc::clone(&self.views[self.known[node]])
    }

    fn now(&self) -> &Owners {
        self.views.last().expect("there is a first one")
    }

    /// A slot begins to move, another key of it has moved, or all of it has: at random.
    pub(crate) fn move_some(&mut self, keys: &[Vec<u8>]) {
        let (key, to) = self.choose(keys);
        self.move_on(&key, to);
    }

    /// A key whose slot may move, and the node that it may move to.
    pub(crate) fn choose(&mut self, keys: &[Vec<u8>]) -> (Vec<u8>, usize) {
        let key = keys[self.rng.below(keys.len())].clone();
        let to = self.rng.below(self.node_count());
        let moving_to = self.moving.get(&Slot::of(&key).index());
        let to = moving_to.map_or(to, |to| usize::from(*to));
        (key, to)
    }

    /// The slot of a key begins to move to a node, or goes on with that.
    pub(crate) fn move_on(&mut self, key: &[u8], to: usize) {
        let slot = Slot::of(key).index();
        let to = to as u8;
        match self.moving.get(&slot).copied() {
            None if to == self.now()[slot] => {}
            None => {
                self.moving.insert(slot, to);
            }
            Some(_) if self.rng.chance(700) => self.move_key(key),
            Some(to) => {
                if self.end_move(slot, to) {
                    self.moving.remove(&slot);
                }
            }
        }
    }

    /// A slot begins to move to another node.
    pub(crate) fn begin_move(&mut self, key: &[u8]) {
        let slot = Slot::of(key).index();
        let to = (self.owner(slot) + 1) % self.node_count();
        self.moving.insert(slot, to as u8);
    }

    /// A key of a slot that moves has moved.
    pub(crate) fn move_key(&mut self, key: &[u8]) {
        let owner = self.owner(Slot::of(key).index());
        if self.redis.items.contains_key(key) && self.arrived.insert(key.to_vec()) {
            self.tracked[owner].note_change(key);
        }
    }

    /// Nobody has a request under way.
    pub(crate) fn rest(&mut self) {
        self.moved.clear();
        self.turned_away.clear();
    }

    /// A slot is another node's from now on.
    pub(crate) fn move_at_once(&mut self, key: &[u8]) {
        let slot = Slot::of(key).index();
        let to = self.rng.below(self.node_count()) as u8;
        self.end_move(slot, to);
    }

    /// A slot is another node's from now on, if it may be.
    fn end_move(&mut self, slot: usize, to: u8) -> bool {
        let was_left = self.turned_away.contains(&(slot, usize::from(to)));
        if was_left || !self.moved.insert(slot) {
            return false;
        }
        self.arrived.retain(|key| Slot::of(key).index() != slot);
        self.change(|owners| owners[slot] = to);
        true
    }

    /// Who could take over from a node.
    pub(crate) fn heir_of(&mut self, node: usize) -> usize {
        (node + 1 + self.rng.below(self.node_count() - 1)) % self.node_count()
    }

    /// Another node takes over everything that this one has.
    pub(crate) fn fail_over(&mut self, node: usize) {
        let heir = self.heir_of(node);
        self.fail_over_to(node, heir);
    }

    /// This other one does.
    pub(crate) fn fail_over_to(&mut self, node: usize, to: usize) {
        let (node, to) = (node as u8, to as u8);
        self.moving.retain(|_, target| *target != node);
        let gone: Vec<usize> = self.moving.keys().copied().collect();
        for slot in gone {
            if self.now()[slot] == node {
                self.moving.remove(&slot);
            }
        }
        let moving: HashSet<usize> = self.moving.keys().copied().collect();
        self.arrived
            .retain(|key| moving.contains(&Slot::of(key).index()));
        let now = Rc::clone(self.now());
        let lost = (0..SLOT_COUNT).filter(|slot| now[*slot] == node);
        self.moved.extend(lost);
        self.change(|owners| {
            owners
                .iter_mut()
                .filter(|owner| **owner == node)
                .for_each(|owner| *owner = to);
        });
    }

    /// The same with a node that does not hear of it, but sees that it is alone.
    pub(crate) fn cut_off(&mut self, node: usize) {
        let known = self.known[node];
        self.fail_over(node);
        self.known[node] = known;
        self.cut_off.insert(node);
    }

    /// Somebody who is no client of ours asks who has the key.
    pub(crate) fn run_for_a_stranger(&mut self, words: &[&[u8]]) {
        let key = words[1];
        let slot = Slot::of(key).index();
        let is_here = self.redis.items.contains_key(key) && !self.arrived.contains(key);
        let node = match self.moving.get(&slot) {
            Some(to) if !is_here => {
                let to = usize::from(*to);
                self.arrived.insert(key.to_vec());
                to
            }
            _ => self.owner(slot),
        };
        self.at(node, |redis| redis.run_for_a_stranger(words));
    }

    /// Does something at a node, which tells of what is changed by that.
    fn at<R>(&mut self, node: usize, act: impl FnOnce(&mut Redis) -> R) -> R {
        std::mem::swap(&mut self.redis.tracked, &mut self.tracked[node]);
        let result = act(&mut self.redis);
        std::mem::swap(&mut self.redis.tracked, &mut self.tracked[node]);
        result
    }

    fn change(&mut self, change: impl FnOnce(&mut [u8; SLOT_COUNT])) {
        let before = Rc::clone(self.now());
        let mut owners = *before;
        change(&mut owners);
        // Who gives a slot away knows to whom, and who takes it over knows, too.
        let pairs = before.iter().zip(&owners).filter(|(old, new)| old != new);
        for (old, new) in pairs {
            self.known[usize::from(*old)] = self.views.len();
            self.known[usize::from(*new)] = self.views.len();
        }
        self.views.push(Rc::new(owners));
    }

    /// Ends all moves that may end, and lets every node know everything.
    pub(crate) fn settle(&mut self) {
        self.cut_off.clear();
        for (slot, to) in std::mem::take(&mut self.moving) {
            if !self.end_move(slot, to) {
                self.moving.insert(slot, to);
            }
        }
        self.known.fill(self.views.len() - 1);
    }

    /// Why a node will not do a request about these keys now.
    fn refusal(&mut self, node: usize, keys: &[&[u8]], is_asking: bool) -> Option<String> {
        let slot = Slot::of(keys.first()?).index();
        let is_arrived = |key: &&[u8]| self.arrived.contains(*key);
        let is_here = |key: &&[u8]| self.redis.items.contains_key(*key) && !is_arrived(key);
        let moving_to = self.moving.get(&slot).map(|to| usize::from(*to));
        let is_single = keys.len() == 1;
        if self.owner(slot) == node {
            let to = moving_to?;
            let here_count = keys.iter().filter(|key| is_here(key)).count();
            if here_count == keys.len() {
                return None;
            }
            if here_count > 0 {
                return Some("-TRYAGAIN Multiple keys request during rehashing of slot".into());
            }
            self.asked_count += 1;
            self.turned_away.insert((slot, node));
            let address = address(to);
            return Some(format!("-ASK {slot} {}:{}", address.ip(), address.port()));
        }
        if is_asking && moving_to == Some(node) {
            if !is_single && !keys.iter().all(is_arrived) {
                return Some("-TRYAGAIN Multiple keys request during rehashing of slot".into());
            }
            self.arrived.extend(keys.iter().map(|key| key.to_vec()));
            return None;
        }
        self.moved_count += 1;
        self.turned_away.insert((slot, node));
        // It says what it knows, and hears of more.
        let mut owner = usize::from(self.views[self.known[node]][slot]);
        if owner == node {
            self.known[node] = self.views.len() - 1;
            owner = self.owner(slot);
        }
        self.learn(node);
        let address = address(owner);
        Some(format!("-MOVED {slot} {}:{}", address.ip(), address.port()))
    }

    fn learn(&mut self, node: usize) {
        let last = self.views.len() - 1;
        let unknown = last - self.known[node];
        self.known[node] += usize::from(unknown > 0);
        if self.rng.chance(500) {
            self.known[node] = last;
        }
    }
}

/// One node, and what it knows of its connections.
struct Node {
    number: usize,
    cluster: Rc<RefCell<Cluster>>,
    /// Bytes of requests that are not whole.
    partial: HashMap<usize, Vec<u8>>,
    /// Connections that were told that the next request was sent there.
    asking: HashSet<usize>,
    /// What was said since MULTI.
    queued: HashMap<usize, Queued>,
}

#[derive(Default)]
struct Queued {
    requests: Vec<Vec<Vec<u8>>>,
    /// One of them was refused.
    is_refused: bool,
}

impl Node {
    fn take(&mut self, connection: usize, words: &[&[u8]], out: &mut Vec<u8>) {
        let cluster = &mut *self.cluster.borrow_mut();
        let is_asking = self.asking.contains(&connection);
        match words {
            [b"ASKING"] => {
                self.asking.insert(connection);
                return out.extend_from_slice(b"+OK\r\n");
            }
            [b"CLUSTER", what] => return cluster.tell(self.number, what, out),
            [b"MULTI"] => {
                self.queued.insert(connection, Default::default());
                return out.extend_from_slice(b"+OK\r\n");
            }
            [b"EXEC"] => {
                self.asking.remove(&connection);
                let Queued {
                    requests,
                    is_refused,
                } = self.queued.remove(&connection).expect("MULTI");
                let requests: Vec<Vec<&[u8]>> = requests
                    .iter()
                    .map(|request| request.iter().map(Vec::as_slice).collect())
                    .collect();
                let mut all: Vec<&[u8]> = requests.iter().flat_map(|words| keys(words)).collect();
                all.sort_unstable();
                all.dedup();
                if is_refused {
                    let line = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
                    return out.extend_from_slice(line);
                }
                if let Some(line) = cluster.refusal(self.number, &all, is_asking) {
                    return out.extend_from_slice(format!("{line}\r\n").as_bytes());
                }
                out.extend_from_slice(format!("*{}\r\n", requests.len()).as_bytes());
                cluster.at(self.number, |redis| {
                    for words in &requests {
                        redis.take(connection, words, out);
                    }
                });
                return;
            }
            _ => {}
        }
        let refusal = cluster.refusal(self.number, &keys(words), is_asking);
        if let Some(queued) = self.queued.get_mut(&connection) {
            queued.is_refused |= refusal.is_some();
            let line = refusal.unwrap_or_else(|| "+QUEUED".into());
            queued
                .requests
                .push(words.iter().map(|word| word.to_vec()).collect());
            return out.extend_from_slice(format!("{line}\r\n").as_bytes());
        }
        self.asking.remove(&connection);
        match refusal {
            Some(line) => out.extend_from_slice(format!("{line}\r\n").as_bytes()),
            None => cluster.at(self.number, |redis| redis.take(connection, words, out)),
        }
    }
}

/// The keys of a request.
fn keys<'w>(words: &[&'w [u8]]) -> Vec<&'w [u8]> {
    match words {
        [b"PING" | b"SCRIPT" | b"CLIENT" | b"HELLO", ..] => Vec::new(),
        [b"RENAME" | b"RENAMENX" | b"COPY", key, newkey, ..] => vec![*key, *newkey],
        [b"MSETNX", pairs @ ..] => pairs.iter().copied().step_by(2).collect(),
        [_, key, ..] => vec![*key],
        _ => Vec::new(),
    }
}

impl SimServer for Node {
    fn received(&mut self, connection: usize, bytes: &[u8], out: &mut Vec<u8>) {
        let mut pending = self.partial.remove(&connection).unwrap_or_default();
        pending.extend_from_slice(bytes);
        take_arrays(&mut pending, |words| self.take(connection, words, out));
        self.partial.insert(connection, pending);
    }

    fn closed(&mut self, connection: usize) {
        self.partial.remove(&connection);
        self.asking.remove(&connection);
        self.queued.remove(&connection);
        self.cluster.borrow_mut().tracked[self.number].closed(connection);
    }

    fn take_unasked(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.cluster.borrow_mut().tracked[self.number].take_unasked()
    }
}
