//! What a shard does for its cluster in each turn, if there is something to do.

use super::{Cluster, FIRST_NODE, NodeState, Pool, WAITING};
use crate::{
    io::Io,
    shard::{
        pool::backends::{Loss, deliver},
        turn::Shard,
    },
    store::UnixMs,
};

/// How often what time may change is looked at while there is something, in milliseconds: nodes that
/// leave, and those that the operator named while none answers.
const LOOK_MS: u64 = 500;

impl<I: Io> Shard<I> {
    /// Keeps up with what has changed.
    pub(in crate::shard) fn tend_cluster(&mut self) {
        let now = self.core.now;
        let is_due = |cluster: &Cluster| cluster.has_to_be_tended(now);
        let Some(pool) = &mut self.core.pool else {
            return;
        };
        if !pool.cluster.as_deref().is_some_and(is_due) {
            return;
        }
        self.cut_failed();
        let Some(pool) = &mut self.core.pool else {
            return;
        };
        pool.settle_moves();
        pool.settle_strays();
        pool.forget_handed_over(now);
        pool.open_waiting(now);
        self.let_go();
        if let Some(pool) = &mut self.core.pool {
            // Behind what has waited for the same owners.
            pool.tend_writes(now);
        }
        self.core.ask_of_cluster();
        self.see_nodes_off();
        if let Some(pool) = &mut self.core.pool {
            pool.ask_standing(now);
            pool.plan_next_look(now);
        }
    }

    /// Gives up connections to nodes that failed.
    fn cut_failed(&mut self) {
        loop {
            let Some(pool) = &mut self.core.pool else {
                return;
            };
            let Some(server) = pool
                .cluster
                .as_mut()
                .and_then(|cluster| cluster.to_cut.pop())
            else {
                return;
            };
            for number in pool.all_links_to(server) {
                let is_connected = |pool: &Pool| pool.links[number].token.is_some();
                if self.core.pool.as_ref().is_some_and(is_connected) {
                    self.disconnect(number, Loss::GivenUp(&"the cluster counts it as failed"));
                }
            }
            self.lose_dedicated_to(server);
        }
    }

    /// Sends what need not wait any more.
    fn let_go(&mut self) {
        let Self {
            core,
            peers,
            touched,
            ..
        } = self;
        let Some(pool) = &mut core.pool else { return };
        let has_news = |cluster: &mut Box<Cluster>| std::mem::take(&mut cluster.has_news);
        if pool.cluster.as_mut().is_some_and(has_news) {
            core.let_go(&mut |core, delivery| deliver(core, peers, touched, &delivery));
        }
        for unit in core.due_units() {
            let is_there = peers.downstream(unit.origin().token).is_some();
            core.retry_unit(unit, is_there, &mut |core, delivery| {
                deliver(core, peers, touched, &delivery);
            });
        }
        self.settle_touched();
    }

    /// Parts with nodes that are needed no more, and forgets those that have left.
    fn see_nodes_off(&mut self) {
        let now = self.core.now;
        let Some(pool) = &self.core.pool else { return };
        let Some(cluster) = &pool.cluster else { return };
        for server in FIRST_NODE..cluster.nodes.len() {
            self.see_off(server, now);
        }
    }

    fn see_off(&mut self, server: usize, now: UnixMs) {
        let Some(pool) = &mut self.core.pool else {
            return;
        };
        let Some(cluster) = &pool.cluster else { return };
        match cluster.nodes[server].state {
            NodeState::Known if cluster.is_known() && cluster.is_done_with(server, now) => {
                pool.part_with(server);
                self.lose_dedicated_to(server);
            }
            NodeState::Leaving if pool.has_left(server) => {
                self.lose_dedicated_to(server);
                if let Some(pool) = &mut self.core.pool
                    && let Some(cluster) = &mut pool.cluster
                {
                    cluster.nodes[server].state = NodeState::Free;
                }
            }
            _ => {}
        }
    }
}

impl Cluster {
    #[inline]
    fn has_to_be_tended(&self, now: UnixMs) -> bool {
        self.has_news
            || self.is_moving()
            || !self.to_cut.is_empty()
            || self.has_writes_to_tend(now)
            || now >= self.next_look
            || self.refresh.is_due(now)
    }
}

impl Pool {
    /// Lets requests wait as long as there is hope that somebody will be known to have their slots;
    /// while no node is to be reached they fail at once.
    fn open_waiting(&mut self, now: UnixMs) {
        let Some(cluster) = &self.cluster else { return };
        let nodes = cluster.nodes.iter().enumerate().skip(FIRST_NODE);
        let is_hopeful = !cluster.is_none()
            && nodes
                .filter(|(_, node)| node.state == NodeState::Known && !node.is_replica)
                .any(|(server, _)| self.links[self.first_link(server)].takes_requests(now));
        for number in self.links_to(WAITING) {
            self.links[number].core.set_open(is_hopeful);
        }
        if !is_hopeful && now >= cluster.next_look {
            self.call_seeds(now);
        }
    }

    /// When to look again although nothing happens.
    fn plan_next_look(&mut self, now: UnixMs) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        let retry = cluster.retries.iter().map(|retry| retry.due).min();
        // They are looked at when something moves; this is so that none is remembered for long.
        let has_strays = !cluster.strays.is_empty();
        let has_leaving = cluster
            .nodes
            .iter()
            .any(|node| node.state == NodeState::Leaving);
        let look_ms = match has_leaving || has_strays || cluster.refresh.is_due(now) {
            true => LOOK_MS,
            false => 2 * super::NODE_LINGER_MS,
        };
        let look = UnixMs(now.0 + look_ms).min(cluster.standing_at);
        let stall = cluster.writes.stalled_until();
        let dues = [retry, stall].into_iter().flatten();
        cluster.next_look = dues.min().map_or(look, |due| due.min(look));
    }

    /// When time alone changes something about the cluster.
    pub(in crate::shard::pool) fn cluster_timeout(&self, now: UnixMs) -> Option<UnixMs> {
        let cluster = self.cluster.as_ref()?;
        if cluster.has_moved_writes() {
            // A connect that failed has put them back since they were tended.
            return Some(now);
        }
        // What is due and was not done waits for a connection.
        let refresh = cluster.refresh.due_at().filter(|at| *at > now);
        Some(refresh.map_or(cluster.next_look, |at| at.min(cluster.next_look)))
    }
}
