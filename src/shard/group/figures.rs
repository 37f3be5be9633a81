//! A group's statistics, in groupcache's names and with its meanings: over all shards. Gets, hits
//! and loads count since the last reset, all else since the start.

use crate::{
    group::statistics::Board,
    shard::{Parts, StatsBoard, core::Core},
    store::{PartitionStats, StoreGauges},
};

/// All numbers of a group, on any thread.
#[derive(Debug, Clone)]
pub struct GroupFigures {
    shards: StatsBoard,
    store: StoreGauges,
    board: Board,
}

impl GroupFigures {
    /// Of the group that a shard is a part of, if it is of one.
    pub fn of(parts: &Parts) -> Option<Self> {
        Some(Self {
            shards: parts.board.clone(),
            store: parts.store.gauges(),
            board: parts.group.as_ref()?.board.clone(),
        })
    }

    /// The numbers as of now, by name.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        list(&self.shards, self.store.stats(), &self.board)
    }
}

impl Core {
    /// All numbers of the group, if there is one.
    pub(in crate::shard) fn group_figures(&self) -> Vec<(&'static str, u64)> {
        let group = self.group.as_ref();
        group.map_or_else(Vec::new, |group| {
            list(&self.board, self.store.stats(), &group.board)
        })
    }
}

fn list(shards: &StatsBoard, store: PartitionStats, board: &Board) -> Vec<(&'static str, u64)> {
    let totals = shards.totals();
    let loads = totals.gets.saturating_sub(totals.get_hits);
    let surplus_count = board.hot_evictions();
    // The owners go on while their numbers are read.
    let main = |all: u64, hot: u64| all.saturating_sub(hot);
    let main_evictions = main(store.evicted_count, store.copy_evicted_count);
    let mut figures = vec![
        ("Gets", totals.gets),
        ("CacheHits", totals.get_hits),
        ("Loads", loads),
    ];
    figures.extend(board.list());
    figures.extend([
        ("Bytes", store.live_bytes),
        ("Items", store.entry_count),
        ("Evictions", store.evicted_count + surplus_count),
        ("MainBytes", main(store.live_bytes, store.copy_bytes)),
        ("MainItems", main(store.entry_count, store.copy_count)),
        ("MainEvictions", main_evictions),
        ("HotBytes", store.copy_bytes),
        ("HotItems", store.copy_count),
        ("HotEvictions", store.copy_evicted_count + surplus_count),
    ]);
    figures
}
