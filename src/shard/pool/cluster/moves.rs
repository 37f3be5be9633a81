//! Slots that are between two servers, and the order of requests meanwhile.
//!
//! All requests about a key must reach it in the order in which this shard took them. When a slot is
//! found to be another server's, some of its requests may be under way to the old one still, which
//! will send them on one by one. So new ones wait until the last of those has come out:
//!
//! ```text
//!   old server:  | ... R1 R2 R3 ... |     R1 is answered MOVED, and goes to the new one; then R2, R3
//!                                   ^ mark: what was pushed before is the old server's to settle
//!   waiting:     | R4 R5            |     they go to the new one once the old has settled up to its mark
//! ```
//!
//! Nodes hear of changes at different times, so one that is asked for two requests may name one node
//! for the first and another one for the second. The second would overtake the first, so it goes the
//! way that the first went, step by step, until all that was sent on is settled.
//!
//! If the new one sends requests on, too, it becomes one more server to wait for. A request that is
//! sent on to any other than the newest moves that one's mark. So it is with requests that a node
//! sends on while the slot stays where it is: they are remembered until they are settled.

use super::{Cluster, FIRST_NODE, Pool, WAITING, redirect::Target};
use crate::{route::Slot, shard::pool::l1::L1};

/// A slot's way to another server.
#[derive(Debug)]
pub(super) struct Move {
    to: usize,
    sent_on: SentOn,
}

/// What is under way about a slot, and not where new requests go.
#[derive(Debug, Default)]
pub(super) struct SentOn {
    sources: Vec<Source>,
    ways: Vec<Way>,
}

/// Where the first request went that a server sent on, as the n-th one that it met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    from: usize,
    hop: u8,
    pub(super) to: Target,
}

/// A server with requests under way for the slot.
#[derive(Debug)]
struct Source {
    server: usize,
    /// By connection: how many requests it must have settled.
    marks: Vec<u64>,
}

impl Move {
    pub(super) fn target(&self) -> usize {
        self.to
    }

    pub(super) fn is_about(&self, server: usize) -> bool {
        self.to == server || self.sent_on.is_about(server)
    }
}

impl SentOn {
    fn is_about(&self, server: usize) -> bool {
        let mut sources = self.sources.iter();
        let mut ways = self.ways.iter();
        sources.any(|source| source.server == server) || ways.any(|way| way.to.server == server)
    }

    fn mark(&mut self, source: Source) {
        self.sources.retain(|other| other.server != source.server);
        self.sources.push(source);
    }

    fn way(&self, from: usize, hop: u8) -> Option<&Way> {
        let mut ways = self.ways.iter();
        ways.find(|way| (way.from, way.hop) == (from, hop))
    }

    fn note_way(&mut self, way: Way) {
        if self.way(way.from, way.hop).is_none() {
            self.ways.push(way);
        }
    }
}

impl Pool {
    /// A slot is this server's from now on.
    pub(super) fn assign(&mut self, slot: Slot, to: usize) {
        let Some(cluster) = &self.cluster else { return };
        match cluster.moves.get(&slot) {
            Some(one) if one.to == to => {}
            Some(one) => {
                let source = self.source(one.to);
                let cluster = self.cluster.as_mut();
                if let Some(one) = cluster.and_then(|cluster| cluster.moves.get_mut(&slot)) {
                    one.extend_to(source, to);
                }
            }
            None => {
                let current = cluster.server_of_slot(slot);
                if current != to {
                    self.begin_move(slot, &[current], to);
                }
            }
        }
    }

    /// The same, as a server said it that was asked for the slot.
    pub(super) fn note_slot_moved(&mut self, slot: Slot, from: usize, to: usize) {
        let Some(cluster) = &self.cluster else { return };
        let current = cluster.server_of_slot(slot);
        if cluster.moves.contains_key(&slot) {
            return self.assign(slot, to);
        }
        if current != to {
            self.begin_move(slot, &[current, from], to);
        }
    }

    /// The way of a request which `from` sent on `to` there, as the n-th that it met: the same way as
    /// what was sent on before it and is not settled.
    pub(super) fn way_of(&self, slot: Slot, from: usize, hop: u8, to: Target) -> Way {
        let before = self.cluster.as_ref().and_then(|cluster| {
            let one = cluster.moves.get(&slot).map(|one| &one.sent_on);
            one.or_else(|| cluster.strays.get(&slot))?.way(from, hop)
        });
        let to = match before {
            // Of some keys a node may know that they are there, of others that all are.
            Some(way) if way.to.server == to.server => Target {
                is_asking: way.to.is_asking || to.is_asking,
                ..to
            },
            Some(way) => way.to,
            None => to,
        };
        Way { from, hop, to }
    }

    /// A request about a slot was sent on.
    pub(super) fn note_sent_on(&mut self, slot: Slot, way: Way) {
        let source = self.source(way.to.server);
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        let sent_on = match cluster.moves.get_mut(&slot) {
            Some(one) if one.to == source.server => return one.sent_on.note_way(way),
            Some(one) => &mut one.sent_on,
            None => cluster.strays.entry(slot).or_default(),
        };
        sent_on.mark(source);
        sent_on.note_way(way);
    }

    /// Forgets requests that were sent on and are settled.
    pub(super) fn settle_strays(&mut self) {
        let Some(mut strays) = self
            .cluster
            .as_mut()
            .map(|cluster| std::mem::take(&mut cluster.strays))
        else {
            return;
        };
        strays.retain(|_, sent_on| {
            sent_on.sources.retain(|source| !self.is_past(source));
            !sent_on.sources.is_empty()
        });
        if let Some(cluster) = &mut self.cluster {
            cluster.strays = strays;
        }
    }

    /// Ends the moves whose old servers have settled everything.
    pub(super) fn settle_moves(&mut self) {
        let Some(cluster) = &self.cluster else { return };
        let is_settled = |one: &Move| {
            one.sent_on
                .sources
                .iter()
                .all(|source| self.is_past(source))
        };
        let settled: Vec<Slot> = cluster
            .moves
            .iter()
            .filter(|(_, one)| is_settled(one))
            .map(|(slot, _)| *slot)
            .collect();
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        for slot in settled {
            if let Some(one) = cluster.moves.remove(&slot) {
                cluster.set_slot(slot, one.to);
                cluster.has_news = true;
                self.routed.set(None);
            }
        }
    }

    fn begin_move(&mut self, slot: Slot, from: &[usize], to: usize) {
        let strays = self
            .cluster
            .as_mut()
            .map(|cluster| cluster.strays.remove(&slot));
        let mut sent_on = strays.flatten().unwrap_or_default();
        let is_node = |server: &&usize| **server >= FIRST_NODE && **server != to;
        for server in from.iter().filter(is_node) {
            sent_on.mark(self.source(*server));
        }
        let sources = &mut sent_on.sources;
        sources.retain(|source| source.server != to && !self.is_past(source));
        self.lose_slot(slot);
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        self.routed.set(None);
        // What waits goes before what comes now, so that has to wait, too.
        if sent_on.sources.is_empty() && cluster.server_of_slot(slot) != WAITING {
            return cluster.set_slot(slot, to);
        }
        cluster.set_slot(slot, WAITING);
        cluster.moves.insert(slot, Move { to, sent_on });
    }

    /// Who tells of changes in a slot is another one now.
    fn lose_slot(&self, slot: Slot) {
        if let L1::Tracked(tracked) = &self.l1 {
            tracked.lose(slot.index());
        }
    }

    /// A server with all that is under way to it now.
    fn source(&self, server: usize) -> Source {
        let links = &self.links[self.links_to(server)];
        Source {
            server,
            marks: links.iter().map(|link| link.core.pushed_total()).collect(),
        }
    }

    fn is_past(&self, source: &Source) -> bool {
        let links = &self.links[self.links_to(source.server)];
        let mut pairs = links.iter().zip(&source.marks);
        pairs.all(|(link, mark)| link.core.settled_total() >= *mark)
    }
}

impl Move {
    /// Its target was not the last one.
    fn extend_to(&mut self, source: Source, to: usize) {
        if source.server >= FIRST_NODE {
            self.sent_on.mark(source);
        }
        self.to = to;
    }
}

impl Cluster {
    /// Whether any slot is between two servers.
    pub(super) fn is_moving(&self) -> bool {
        !self.moves.is_empty()
    }

    /// Whether anything that was sent on to a server may still be there.
    pub(super) fn has_strays_at(&self, server: usize) -> bool {
        let mut strays = self.strays.values();
        strays.any(|sent_on| sent_on.is_about(server))
    }
}
