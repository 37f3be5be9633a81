//! Which copies are still vouched for, as all shards see it.
//!
//! What a shard has copies of is in *parts* that are vouched for alone: in front of a cluster a slot
//! each, else a link each. Each part of each shard has an *epoch*, a number. A copy is stored with
//! its part and the epoch of when it was asked for, its [`Cover`], in the place of a CAS id, which
//! copies have no other use for. When changes of its keys may have gone unheard, the owner shard
//! counts the epoch up: from then on no shard takes any copy of before for good, at the cost of one
//! load a hit, and no copy has to be looked for.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::fill::Cover;

/// The epochs of all parts of all shards. A shard changes only its own.
#[derive(Debug)]
pub struct Covers {
    epochs: Box<[AtomicU32]>,
    part_count: usize,
}

impl Covers {
    /// For so many shards with so many parts each, at most 2^32 in all.
    pub fn new(shard_count: usize, part_count: usize) -> Self {
        let epochs = (0..shard_count * part_count).map(|_| AtomicU32::new(0));
        Self {
            epochs: epochs.collect(),
            part_count,
        }
    }

    /// What vouches for what a shard asks for now in a part.
    pub(super) fn cover(&self, shard: usize, part: usize) -> Cover {
        let index = self.index(shard, part);
        let epoch = self.epochs[index].load(Ordering::Relaxed);
        Cover((index as u64) << 32 | u64::from(epoch))
    }

    /// Whether a cover still holds.
    #[inline]
    pub(in crate::shard::pool) fn hold(&self, Cover(cover): Cover) -> bool {
        let index = (cover >> 32) as usize;
        // What is cut off is the index.
        let epoch = cover as u32;
        self.epochs
            .get(index)
            .is_some_and(|now| now.load(Ordering::Acquire) == epoch)
    }

    /// Nothing that a shard has asked for in a part up to now is vouched for any more.
    pub(super) fn lose(&self, shard: usize, part: usize) {
        let epoch = &self.epochs[self.index(shard, part)];
        let next = epoch.load(Ordering::Relaxed).wrapping_add(1);
        epoch.store(next, Ordering::Release);
    }

    /// The same in all parts.
    pub(super) fn lose_all(&self, shard: usize) {
        (0..self.part_count).for_each(|part| self.lose(shard, part));
    }

    fn index(&self, shard: usize, part: usize) -> usize {
        debug_assert!(part < self.part_count);
        shard * self.part_count + part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_takes_the_covers_of_one_part_of_one_shard() {
        let covers = Covers::new(2, 3);
        let all = |covers: &Covers| {
            let places = (0..2).flat_map(|shard| (0..3).map(move |part| (shard, part)));
            let all: Vec<_> = places
                .map(|(shard, part)| covers.cover(shard, part))
                .collect();
            all
        };
        let before = all(&covers);
        assert!(before.iter().all(|cover| covers.hold(*cover)));
        covers.lose(1, 0);
        let held: Vec<_> = before.iter().map(|cover| covers.hold(*cover)).collect();
        assert_eq!(held, [true, true, true, false, true, true]);
        assert!(all(&covers).iter().all(|cover| covers.hold(*cover)));
        covers.lose(1, 0);
        assert!(!covers.hold(before[3]), "it does not come back");
        let before = all(&covers);
        covers.lose_all(0);
        let held: Vec<_> = before.iter().map(|cover| covers.hold(*cover)).collect();
        assert_eq!(held, [false, false, false, true, true, true]);
    }

    #[test]
    fn what_is_no_cover_holds_nothing() {
        assert!(!Covers::new(1, 1).hold(Cover(1 << 32)));
        assert!(!Covers::new(1, 1).hold(Cover(u64::MAX)));
    }
}
