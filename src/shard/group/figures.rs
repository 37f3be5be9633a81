//! A group's statistics, in groupcache's names and with its meanings: over all shards. Gets, hits
//! and loads count since the last reset, all else since the start.

use crate::shard::core::Core;

impl Core {
    /// All numbers of the group, if there is one.
    pub(in crate::shard) fn group_figures(&self) -> Vec<(&'static str, u64)> {
        let Some(group) = &self.group else {
            return Vec::new();
        };
        let (totals, store) = (self.board.totals(), self.store.stats());
        let loads = totals.gets.saturating_sub(totals.get_hits);
        let mut figures = vec![
            ("Gets", totals.gets),
            ("CacheHits", totals.get_hits),
            ("Loads", loads),
        ];
        figures.extend(group.counts());
        let surplus_count = group.board.hot_evictions();
        let hot_evictions = store.copy_evicted_count + surplus_count;
        // The owners go on while their numbers are read.
        let main = |all: u64, hot: u64| all.saturating_sub(hot);
        let main_evictions = main(store.evicted_count, store.copy_evicted_count);
        figures.extend([
            ("Bytes", store.live_bytes),
            ("Items", store.entry_count),
            ("Evictions", store.evicted_count + surplus_count),
            ("MainBytes", main(store.live_bytes, store.copy_bytes)),
            ("MainItems", main(store.entry_count, store.copy_count)),
            ("MainEvictions", main_evictions),
            ("HotBytes", store.copy_bytes),
            ("HotItems", store.copy_count),
            ("HotEvictions", hot_evictions),
        ]);
        figures
    }
}
