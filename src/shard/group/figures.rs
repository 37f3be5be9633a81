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
        figures.extend([
            ("Bytes", store.live_bytes),
            ("Items", store.entry_count),
            ("Evictions", store.evicted_count),
        ]);
        figures.extend(group.board.copies());
        figures
    }
}
