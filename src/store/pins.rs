//! Values that somebody outside the turn still reads: the kernel, which sends them from where they lie.
//!
//! A reader's reference ends with its turn. What is to be read for longer is *pinned*: its segment has a
//! count of pins, and is not written to again before that is zero. A pin is taken during a turn in which
//! the entry was found, so before the quiescent point that a retired segment waits for; the owner, which
//! looks at the count after that, sees it. Nobody who comes later can find an entry there.
//!
//! Segments that are pinned when they could be used again are memory lost for as long, so only some may
//! be pinned at a time; beyond, a value has to be copied.
//!
//! A [vacancy](super::vacancy) is a pin, too: there the kernel writes. The owner takes it, of a segment that is open
//! and so not on its way to be used again, and it is the owner who looks at the count.

#![expect(unsafe_code, reason = "reads values in the arena beyond a turn")]

use core::ops::Deref;
use std::sync::Arc;

use super::{arena::Offset, partition::Partition, segments::SEGMENT_COUNT_MIN};
use crate::sync::{AtomicUsize, Ordering};

/// The share of a partition's segments that may be pinned at a time: one in so many of those that it
/// does not need to work at all. Clients that are slow to read take no more memory than that.
const PINNED_SHARE: usize = 8;

/// What a vacancy adds to a count: a pin, and one in the upper half.
const VACANCY: usize = 1 | 1 << VACANCY_SHIFT;
const VACANCY_SHIFT: u32 = usize::BITS / 2;

/// The pins of a partition, by segment; any shard counts.
#[derive(Debug)]
pub(super) struct Pins {
    /// The pins, and in the upper half how many of them are vacancies.
    counts: Box<[AtomicUsize]>,
    /// Segments with a pin, more or less: who is about to take a first one counts already.
    pinned_count: AtomicUsize,
    pinned_max: usize,
}

impl Pins {
    pub(super) fn new(segment_count: usize) -> Self {
        let spare_count = segment_count.saturating_sub(SEGMENT_COUNT_MIN);
        Self {
            counts: (0..segment_count).map(|_| AtomicUsize::new(0)).collect(),
            pinned_count: AtomicUsize::new(0),
            pinned_max: spare_count / PINNED_SHARE,
        }
    }

    /// Pins a segment, unless too many are.
    fn pin(&self, segment: u32) -> bool {
        self.add(segment, 1)
    }

    fn unpin(&self, segment: u32) {
        self.take(segment, 1);
    }

    /// Pins an open segment of the calling owner, unless too many are.
    pub(super) fn pin_vacancy(&self, segment: u32) -> bool {
        self.add(segment, VACANCY)
    }

    pub(super) fn unpin_vacancy(&self, segment: u32) {
        self.take(segment, VACANCY);
    }

    /// Whether somebody writes there. Once a segment is no longer open, this may become false, but
    /// never true: vacancies are taken of open segments only.
    pub(super) fn has_vacancy(&self, segment: u32) -> bool {
        self.counts[segment as usize].load(Ordering::Acquire) >> VACANCY_SHIFT > 0
    }

    /// Whether another segment may be pinned, as far as that can be known.
    pub(super) fn has_room(&self) -> bool {
        self.pinned_count.load(Ordering::Relaxed) < self.pinned_max
    }

    fn add(&self, segment: u32, pin: usize) -> bool {
        // Relaxed: the quiescent point of the turn publishes it.
        if self.counts[segment as usize].fetch_add(pin, Ordering::Relaxed) > 0 {
            return true;
        }
        if self.pinned_count.fetch_add(1, Ordering::Relaxed) < self.pinned_max {
            return true;
        }
        self.take(segment, pin);
        false
    }

    fn take(&self, segment: u32, pin: usize) {
        // Release: what was read or written is so before the owner, who looks with Acquire, writes there.
        if self.counts[segment as usize].fetch_sub(pin, Ordering::Release) == pin {
            self.pinned_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether somebody still reads there. The owner asks this of a segment that is past its grace
    /// period. Nobody can find an entry there any more, so once this is false it stays false until
    /// the segment is used again.
    pub(super) fn is_pinned(&self, segment: u32) -> bool {
        self.counts[segment as usize].load(Ordering::Acquire) > 0
    }
}

/// A value that stays where it is until this is dropped, on whichever thread.
#[derive(Debug)]
pub struct PinnedValue {
    partition: Arc<Partition>,
    segment: u32,
    /// Where the value begins, in bytes from the start of the arena.
    start: usize,
    len: usize,
}

impl PinnedValue {
    /// Pins a value that was found in this turn. `None` if it does not lie in this partition, or too
    /// much is pinned there.
    pub(super) fn new(partition: &Arc<Partition>, value: &[u8]) -> Option<Self> {
        let start = partition.arena.place_of(value)?;
        let segment = partition.arena.segment_of(Offset(start as u64));
        partition.pins.pin(segment).then(|| Self {
            partition: Arc::clone(partition),
            segment,
            start,
            len: value.len(),
        })
    }
}

impl Deref for PinnedValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `new` was given a value that lay there, and while the segment is pinned nobody writes
        // to it; the partition, and with it the mapping, is held.
        unsafe { self.partition.arena.bytes_at(self.start, self.len) }
    }
}

impl Drop for PinnedValue {
    fn drop(&mut self) {
        self.partition.pins.unpin(self.segment);
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_pinned_until_its_last_pin_is_gone() {
        let pins = Pins::new(SEGMENT_COUNT_MIN + 2 * PINNED_SHARE);
        assert!(pins.pin(3) && pins.pin(3) && pins.pin(4));
        assert!(!pins.pin(5), "two segments are pinned");
        assert!(!pins.is_pinned(5));
        pins.unpin(3);
        assert!(pins.is_pinned(3) && !pins.pin(5));
        pins.unpin(3);
        assert!(!pins.is_pinned(3) && pins.pin(5));
    }

    #[test]
    fn a_vacancy_is_a_pin_of_its_own_kind() {
        let pins = Pins::new(SEGMENT_COUNT_MIN + PINNED_SHARE);
        assert!(pins.has_room() && pins.pin_vacancy(3) && pins.pin(3));
        assert!(!pins.has_room() && !pins.pin_vacancy(4) && pins.pin_vacancy(3));
        assert!(pins.has_vacancy(3) && !pins.has_vacancy(4));
        pins.unpin_vacancy(3);
        pins.unpin(3);
        assert!(pins.has_vacancy(3) && pins.is_pinned(3));
        assert!(pins.pin(3));
        pins.unpin_vacancy(3);
        assert!(!pins.has_vacancy(3) && pins.is_pinned(3));
        pins.unpin(3);
        assert!(!pins.is_pinned(3) && pins.has_room());
    }

    #[test]
    fn a_small_partition_has_none_to_spare() {
        let pins = Pins::new(SEGMENT_COUNT_MIN + PINNED_SHARE - 1);
        assert!(!pins.pin(0) && !pins.is_pinned(0));
    }
}

#[cfg(all(test, ringfort_loom))]
mod loom_tests {
    use super::*;
    use crate::{
        store::epoch::Epochs,
        sync::{AtomicUsize, UnsafeCell},
    };
    use loom::{sync::Arc, thread};

    /// A cell for a segment's memory, and whether the index names it.
    struct Model {
        epochs: Epochs,
        pins: Pins,
        is_named: AtomicUsize,
        cell: UnsafeCell<u64>,
    }
    // SAFETY: the test's claim is exactly that epochs and pins make the cell's accesses exclusive;
    // loom reports the access that would break it.
    unsafe impl Sync for Model {}

    #[test]
    fn what_is_pinned_is_not_written_to() {
        loom::model(|| {
            let model = Arc::new(Model {
                epochs: Epochs::new(1),
                pins: Pins::new(SEGMENT_COUNT_MIN + PINNED_SHARE),
                is_named: AtomicUsize::new(1),
                cell: UnsafeCell::new(10),
            });
            let writer = {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.is_named.store(0, Ordering::Release);
                    let epoch = model.epochs.retire();
                    if model.epochs.is_past(epoch) && !model.pins.is_pinned(0) {
                        // SAFETY: loom checks that nobody reads meanwhile.
                        model.cell.with_mut(|cell| unsafe { *cell = 99 });
                    }
                })
            };
            model.epochs.online(0);
            let is_pinned = model.is_named.load(Ordering::Acquire) == 1 && model.pins.pin(0);
            model.epochs.offline(0);
            if is_pinned {
                // SAFETY: loom checks that nobody writes meanwhile.
                let seen = model.cell.with(|cell| unsafe { *cell });
                assert_eq!(seen, 10);
                model.pins.unpin(0);
            }
            writer.join().unwrap();
        });
    }
}
