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
//! way that the first went, step by step, as long as the slot is between two servers.
//!
//! If the new one sends requests on, too, it becomes one more server to wait for. A request that is
//! sent on to any other than the newest moves that one's mark. So it is with requests that a node
//! sends on while the slot stays where it is: they are remembered until they are settled.

use super::{Cluster, FIRST_NODE, Pool, WAITING};
use crate::{route::Slot, shard::pool::l1::L1};

/// A slot's way to another server.
#[derive(Debug)]
pub(super) struct Move {
    to: usize,
    sources: Vec<Source>,
    ways: Vec<Way>,
}

/// Where the first request went that a server sent on, as the n-th one that it met.
#[derive(Debug, Clone, Copy)]
struct Way {
    from: usize,
    hop: u8,
    to: usize,
}

/// A server with requests under way for the slot.
#[derive(Debug)]
pub(super) struct Source {
    server: usize,
    /// By connection: how many requests it must have settled.
    marks: Vec<u64>,
}

impl Move {
    pub(super) fn target(&self) -> usize {
        self.to
    }

    pub(super) fn is_about(&self, server: usize) -> bool {
        self.to == server || self.sources.iter().any(|source| source.server == server)
    }

    fn mark(&mut self, source: Source) {
        self.sources.retain(|other| other.server != source.server);
        self.sources.push(source);
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
                self.with_move(slot, |one| {
                    one.extend_to(source, to);
                });
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

    /// The server that a request goes to which `from` sent on to `to`, as the n-th that it met.
    pub(super) fn way_of(&mut self, slot: Slot, from: usize, hop: u8, to: usize) -> usize {
        let mut target = to;
        self.with_move(slot, |one| {
            let mut ways = one.ways.iter();
            match ways.find(|way| (way.from, way.hop) == (from, hop)) {
                Some(way) => target = way.to,
                None => one.ways.push(Way { from, hop, to }),
            }
        });
        target
    }

    /// A request about a slot was sent on to a server.
    pub(super) fn note_sent_on(&mut self, slot: Slot, server: usize) {
        let source = self.source(server);
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        let is_moving = cluster.moves.contains_key(&slot);
        if is_moving {
            self.with_move(slot, |one| {
                if one.to != server {
                    one.mark(source);
                }
            });
        } else if cluster.server_of_slot(slot) != server {
            let strays = cluster.strays.entry(slot).or_default();
            strays.retain(|other| other.server != server);
            strays.push(source);
        }
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
        strays.retain(|_, sources| {
            sources.retain(|source| !self.is_past(source));
            !sources.is_empty()
        });
        if let Some(cluster) = &mut self.cluster {
            cluster.strays = strays;
        }
    }

    /// Ends the moves whose old servers have settled everything.
    pub(super) fn settle_moves(&mut self) {
        let Some(cluster) = &self.cluster else { return };
        let is_settled = |one: &Move| one.sources.iter().all(|source| self.is_past(source));
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
        let mut sources = strays.flatten().unwrap_or_default();
        let is_node = |server: &&usize| **server >= FIRST_NODE && **server != to;
        for server in from.iter().filter(is_node) {
            let source = self.source(*server);
            sources.retain(|other| other.server != *server);
            sources.push(source);
        }
        sources.retain(|source| source.server != to && !self.is_past(source));
        self.lose_slot(slot);
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        self.routed.set(None);
        // What waits goes before what comes now, so that has to wait, too.
        if sources.is_empty() && cluster.server_of_slot(slot) != WAITING {
            return cluster.set_slot(slot, to);
        }
        cluster.set_slot(slot, WAITING);
        let ways = Vec::new();
        cluster.moves.insert(slot, Move { to, sources, ways });
    }

    /// Who tells of changes in a slot is another one now.
    fn lose_slot(&self, slot: Slot) {
        if let L1::Tracked(tracked) = &self.l1 {
            tracked.lose(slot.index());
        }
    }

    fn with_move(&mut self, slot: Slot, change: impl FnOnce(&mut Move)) {
        if let Some(cluster) = &mut self.cluster
            && let Some(one) = cluster.moves.get_mut(&slot)
        {
            change(one);
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
            self.mark(source);
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
        let mut sources = self.strays.values().flatten();
        sources.any(|source| source.server == server)
    }
}
