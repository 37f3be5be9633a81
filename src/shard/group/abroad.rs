//! Loads that other shards were asked for.
//!
//! A load is answered when its source has answered, which may take seconds, whereas all else that shards ask
//! each other is answered in a turn. So loads have only a part of the places for requests that an owner has not
//! answered: who reads from a slow source keeps nobody from changing keys, and from being told.

use crate::{config::SHARDS_MAX, shard::core::Core};

/// Of the requests that one other shard may owe an answer, one in so many may not be loads: enough for what is
/// answered in a turn. Clients whose load has no place wait, and join it late; so loads have all the rest.
const OTHERS_PART: usize = 8;

/// How many loads each other shard has not answered.
#[derive(Debug)]
pub(super) struct Abroad(Box<[u16; SHARDS_MAX]>);

impl Abroad {
    /// None.
    pub(super) fn new() -> Self {
        Self(Box::new([0; SHARDS_MAX]))
    }

    fn at(&self, shard: usize) -> usize {
        usize::from(self.0[shard])
    }
}

impl Core {
    /// Whether another shard takes a load of a key of so many bytes now.
    pub(super) fn may_load_at(&self, shard: usize, key_bytes: usize) -> bool {
        let depth = self.mesh.depth();
        let places = depth - depth / OTHERS_PART;
        self.may_ask(shard, key_bytes) && self.loads_at(shard) < places
    }

    /// Loads that another shard has not answered.
    #[inline]
    pub(in crate::shard) fn loads_at(&self, shard: usize) -> usize {
        let group = self.group.as_ref();
        group.map_or(0, |group| group.abroad.at(shard))
    }

    /// A load was asked for.
    pub(super) fn note_load_asked(&mut self, shard: usize) {
        if let Some(group) = &mut self.group {
            group.abroad.0[shard] += 1;
        }
    }

    /// A load is answered, whether who asked is still there or not.
    pub(in crate::shard) fn note_load_answered(&mut self, shard: usize) {
        if let Some(group) = &mut self.group {
            group.abroad.0[shard] -= 1;
        }
    }
}
