//! A bounded queue from one thread to one other.
//!
//! The classic ring buffer (Lamport 1983) with each side's index on its own cache lines and a
//! copy of the other side's, so that a push or pop usually touches no line the other is writing.
//! `rtrb` does the same; this one is ours so that loom can run the very code the mesh uses,
//! together with the mesh's sleep and wake.

#![expect(unsafe_code, reason = "slots are handed from one thread to the other")]

use core::mem::MaybeUninit;
use std::sync::Arc;

use crate::sync::{AtomicUsize, CachePadded, Ordering, UnsafeCell};

/// Invariant: `tail - head <= slots.len()`; slots from `head` to `tail` hold values, which the
/// consumer owns; the others are empty, and the producer owns them.
struct Queue<T> {
    /// Next slot to pop; only the consumer stores it.
    head: CachePadded<AtomicUsize>,
    /// Next slot to push to; only the producer stores it.
    tail: CachePadded<AtomicUsize>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is accessed by the side that owns it by the invariant; ownership passes with a
// Release store of `tail` or `head` and the other side's Acquire load. There is one producer and
// one consumer, as neither can be cloned.
unsafe impl<T: Send> Sync for Queue<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Queue<T> {}

/// The end that pushes.
pub(crate) struct Producer<T> {
    queue: Arc<Queue<T>>,
    tail: usize,
    head_seen: usize,
}

/// The end that pops.
pub(crate) struct Consumer<T> {
    queue: Arc<Queue<T>>,
    head: usize,
    tail_seen: usize,
}

/// A queue of at most `capacity` values, a power of two.
pub(crate) fn queue<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity.is_power_of_two());
    let queue = Arc::new(Queue {
        head: CachePadded(AtomicUsize::new(0)),
        tail: CachePadded(AtomicUsize::new(0)),
        slots: (0..capacity)
            .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
            .collect(),
    });
    let producer = Producer {
        queue: Arc::clone(&queue),
        tail: 0,
        head_seen: 0,
    };
    (
        producer,
        Consumer {
            queue,
            head: 0,
            tail_seen: 0,
        },
    )
}

impl<T> Producer<T> {
    /// Appends a value.
    ///
    /// # Errors
    /// The queue is full; the value comes back.
    pub(crate) fn push(&mut self, value: T) -> Result<(), T> {
        let capacity = self.queue.slots.len();
        if self.tail.wrapping_sub(self.head_seen) == capacity {
            self.head_seen = self.queue.head.load(Ordering::Acquire);
            if self.tail.wrapping_sub(self.head_seen) == capacity {
                return Err(value);
            }
        }
        // SAFETY: the slot is between `tail` and `head + capacity`: empty, and the producer's.
        self.queue.slots[self.tail & (capacity - 1)]
            .with_mut(|slot| unsafe { (*slot).write(value) });
        self.tail = self.tail.wrapping_add(1);
        self.queue.tail.store(self.tail, Ordering::Release);
        Ok(())
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest value.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let slot = &self.queue.slots[self.head & (self.queue.slots.len() - 1)];
        // SAFETY: the slot is between `head` and `tail`: it holds a value, which is the
        // consumer's; storing `head` below gives the empty slot back.
        let value = slot.with_mut(|slot| unsafe { (*slot).assume_init_read() });
        self.head = self.head.wrapping_add(1);
        self.queue.head.store(self.head, Ordering::Release);
        Some(value)
    }

    /// Whether nothing is there to pop at this moment.
    pub(crate) fn is_empty(&mut self) -> bool {
        if self.head == self.tail_seen {
            self.tail_seen = self.queue.tail.load(Ordering::Acquire);
        }
        self.head == self.tail_seen
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_says_when_full() {
        let (mut producer, mut consumer) = queue(4);
        for round in 0..10 {
            for number in 0..4 {
                producer.push(round * 4 + number).unwrap();
            }
            assert_eq!(producer.push(99), Err(99));
            for number in 0..4 {
                assert_eq!(consumer.pop(), Some(round * 4 + number));
            }
            assert_eq!(consumer.pop(), None);
        }
    }

    #[test]
    fn drops_what_was_not_popped() {
        let value = Arc::new(());
        let (mut producer, consumer) = queue(4);
        producer.push(Arc::clone(&value)).unwrap();
        producer.push(Arc::clone(&value)).unwrap();
        drop(consumer);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn two_threads_lose_nothing() {
        let (mut producer, mut consumer) = queue(8);
        let sender = std::thread::spawn(move || {
            for number in 0..50_000_u32 {
                while producer.push(number).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < 50_000 {
            match consumer.pop() {
                Some(number) => {
                    assert_eq!(number, expected);
                    expected += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        sender.join().unwrap();
    }
}

#[cfg(all(test, ringfort_loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn values_cross_in_order_and_slots_are_reused() {
        loom::model(|| {
            let (mut producer, mut consumer) = queue::<usize>(2);
            let sender = loom::thread::spawn(move || {
                let mut pushed = 0;
                for number in 0..3 {
                    if producer.push(number).is_err() {
                        break;
                    }
                    pushed += 1;
                }
                pushed
            });
            let mut popped = 0;
            for _ in 0..2 {
                if let Some(number) = consumer.pop() {
                    assert_eq!(number, popped);
                    popped += 1;
                }
            }
            let pushed = sender.join().unwrap();
            while let Some(number) = consumer.pop() {
                assert_eq!(number, popped);
                popped += 1;
            }
            assert_eq!(popped, pushed);
        });
    }
}
