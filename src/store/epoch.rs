//! Quiescent-state-based reclamation (QSBR): when may memory that readers could see be reused?
//!
//! The idea (McKenney and Slingwine, 1998): a reader takes no lock and announces nothing per
//! read. Instead each shard says once a turn "I hold no reference" by copying the global epoch
//! into its own slot. A writer that unlinks memory advances the global epoch and reuses the
//! memory once every shard's slot has reached the new value. A shard that is about to block says
//! `offline` and is not waited for.
//!
//! Why it is enough:
//!
//! * A slot that shows the retire's epoch or a later one was stored after its shard had read that
//!   epoch from `global` (Acquire), so the shard sees the unlink that came before it (the retire
//!   is a Release) and cannot find the memory any more; what it read before is finished, as the
//!   slot's store is a Release.
//! * From offline to online a shard stores its slot and then reads entries; the writer unlinks
//!   and then reads the slots. Each puts a SeqCst fence between its two steps, so at least one
//!   sees the other: either the writer sees the shard online, or the shard sees the unlink.

use crate::sync::{AtomicU64, CachePadded, Ordering, fence};

/// A point in the order of retirements; memory retired at it may be reused when
/// [`Epochs::is_past`] says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

/// What a slot holds while its shard is blocked or has not started.
const OFFLINE: u64 = 0;

/// The global epoch and one slot a shard.
///
/// Invariant: a slot is `OFFLINE` or not above `global`; `global` never goes down.
#[derive(Debug)]
pub struct Epochs {
    global: CachePadded<AtomicU64>,
    shards: Box<[CachePadded<AtomicU64>]>,
}

impl Epochs {
    /// Epochs for `shard_count` shards, all offline.
    pub fn new(shard_count: usize) -> Self {
        Self {
            global: CachePadded(AtomicU64::new(1)),
            shards: (0..shard_count)
                .map(|_| CachePadded(AtomicU64::new(OFFLINE)))
                .collect(),
        }
    }

    /// The shard wakes up and may read from here on.
    pub fn online(&self, shard: usize) {
        let epoch = self.global.load(Ordering::Acquire);
        // A Release, too: a writer that sees this epoch takes what was read before the shard last
        // went offline for finished.
        self.shards[shard].store(epoch, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// The shard holds no reference at this point and goes on.
    pub fn quiescent(&self, shard: usize) {
        let epoch = self.global.load(Ordering::Acquire);
        self.shards[shard].store(epoch, Ordering::Release);
    }

    /// The shard holds no reference and reads nothing until [`Self::online`].
    pub fn offline(&self, shard: usize) {
        self.shards[shard].store(OFFLINE, Ordering::Release);
    }

    /// Marks what the caller has unlinked so far as retired.
    pub fn retire(&self) -> Epoch {
        Epoch(self.global.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// Whether every shard has passed a quiescent point since the retirement.
    pub fn is_past(&self, epoch: Epoch) -> bool {
        fence(Ordering::SeqCst);
        self.shards.iter().all(|slot| {
            let seen = slot.load(Ordering::Acquire);
            seen == OFFLINE || seen >= epoch.0
        })
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;

    #[test]
    fn waits_for_every_online_shard() {
        let epochs = Epochs::new(2);
        epochs.online(0);
        epochs.online(1);
        let epoch = epochs.retire();
        assert!(!epochs.is_past(epoch));
        epochs.quiescent(0);
        assert!(!epochs.is_past(epoch));
        epochs.quiescent(1);
        assert!(epochs.is_past(epoch));
    }

    #[test]
    fn a_blocked_shard_is_not_waited_for() {
        let epochs = Epochs::new(2);
        epochs.online(0);
        epochs.offline(0);
        let epoch = epochs.retire();
        assert!(epochs.is_past(epoch));
        epochs.online(0);
        assert!(epochs.is_past(epoch), "it came back after the retirement");
    }

    #[test]
    fn an_older_retirement_ends_first() {
        let epochs = Epochs::new(1);
        epochs.online(0);
        let first = epochs.retire();
        epochs.quiescent(0);
        let second = epochs.retire();
        assert!(first < second);
        assert!(epochs.is_past(first));
        assert!(!epochs.is_past(second));
    }
}

#[cfg(all(test, ringfort_loom))]
mod loom_tests {
    use super::*;
    use crate::sync::{AtomicUsize, UnsafeCell};
    use loom::{sync::Arc, thread};

    /// Two cells and a published index, as the store's slot and two versions of an entry.
    struct Model {
        epochs: Epochs,
        slot: AtomicUsize,
        cells: [UnsafeCell<u64>; 2],
    }
    // SAFETY: the test's claim is exactly that the epochs make the cells' accesses exclusive;
    // loom reports the access that would break it.
    #[expect(unsafe_code, reason = "loom checks the claim")]
    unsafe impl Sync for Model {}

    impl Model {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                epochs: Epochs::new(1),
                slot: AtomicUsize::new(0),
                cells: [UnsafeCell::new(10), UnsafeCell::new(0)],
            })
        }

        fn read(&self) -> u64 {
            let index = self.slot.load(Ordering::Acquire);
            // SAFETY: loom checks that no write runs at the same time.
            #[expect(unsafe_code, reason = "loom checks the claim")]
            self.cells[index].with(|value| unsafe { *value })
        }

        fn write(&self, index: usize, value: u64) {
            // SAFETY: as above, for reads.
            #[expect(unsafe_code, reason = "loom checks the claim")]
            self.cells[index].with_mut(|cell| unsafe { *cell = value });
        }

        /// Publishes 11 in the other cell, retires the first, and overwrites it when allowed.
        fn update_and_reuse(&self) {
            self.write(1, 11);
            self.slot.store(1, Ordering::Release);
            let epoch = self.epochs.retire();
            if self.epochs.is_past(epoch) {
                self.write(0, 99);
            }
        }
    }

    #[test]
    fn no_reader_sees_reused_memory() {
        loom::model(|| {
            let model = Model::new();
            let writer = {
                let model = Arc::clone(&model);
                thread::spawn(move || model.update_and_reuse())
            };
            for _ in 0..2 {
                model.epochs.online(0);
                let seen = model.read();
                assert!(seen == 10 || seen == 11);
                model.epochs.offline(0);
            }
            writer.join().unwrap();
        });
    }

    #[test]
    fn quiescent_points_release_as_well() {
        loom::model(|| {
            let model = Model::new();
            model.epochs.online(0);
            let writer = {
                let model = Arc::clone(&model);
                thread::spawn(move || model.update_and_reuse())
            };
            for _ in 0..2 {
                let seen = model.read();
                assert!(seen == 10 || seen == 11);
                model.epochs.quiescent(0);
            }
            writer.join().unwrap();
        });
    }
}
