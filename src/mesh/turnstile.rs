//! A turnstile: lets one shard through at a time, in the order in which they came.
//!
//! Two counters, as at a counter in an office (Reed and Kanodia's sequencer and event count,
//! 1979): who comes draws a number, and goes through when that number is called. Nobody waits in
//! here; who leaves has to tell the others that it is worth looking again.

use std::sync::Arc;

use crate::sync::{AtomicU64, CachePadded, Ordering};

/// Invariant: the numbers from `called` to `next` are held by one shard each.
#[derive(Debug)]
struct Counters {
    /// The next number to be drawn.
    next: CachePadded<AtomicU64>,
    /// The number whose holder is through.
    called: CachePadded<AtomicU64>,
}

/// One shard's place at the turnstile.
#[derive(Debug)]
pub struct Turnstile {
    counters: Arc<Counters>,
    /// The number this shard has drawn and not given back.
    number: Option<u64>,
}

impl Turnstile {
    /// One for each of so many shards, all at the same turnstile.
    pub(super) fn new(shard_count: usize) -> Vec<Self> {
        let counters = Arc::new(Counters {
            next: CachePadded(AtomicU64::new(0)),
            called: CachePadded(AtomicU64::new(0)),
        });
        (0..shard_count)
            .map(|_| Self {
                counters: Arc::clone(&counters),
                number: None,
            })
            .collect()
    }

    /// Takes a place in the queue, unless this shard has one.
    pub fn queue(&mut self) {
        if self.number.is_none() {
            self.number = Some(self.counters.next.fetch_add(1, Ordering::Relaxed));
        }
    }

    /// Whether this shard is through: nobody else is, until it leaves.
    pub fn is_through(&self) -> bool {
        let called = self.counters.called.load(Ordering::Acquire);
        self.number == Some(called)
    }

    /// Lets the next one through. Only who is through leaves.
    pub fn leave(&mut self) {
        if !self.is_through() {
            return;
        }
        if let Some(number) = self.number.take() {
            self.counters.called.store(number + 1, Ordering::Release);
        }
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;

    #[test]
    fn shards_go_through_one_by_one_as_they_came() {
        let mut places = Turnstile::new(3);
        assert!(!places[2].is_through(), "it has not asked");
        for shard in [2, 0, 0, 1] {
            places[shard].queue();
        }
        for shard in [2, 0, 1] {
            for (other, place) in places.iter().enumerate() {
                assert_eq!(place.is_through(), other == shard);
            }
            places[(shard + 1) % 3].leave();
            places[shard].leave();
        }
        assert!(places.iter().all(|place| !place.is_through()));
        places[1].queue();
        assert!(places[1].is_through());
    }
}

#[cfg(all(test, ringfort_loom))]
mod loom_tests {
    use super::*;
    use loom::{sync::Arc, thread};

    #[test]
    fn who_is_through_is_alone_and_sees_what_was_done_before() {
        loom::model(|| {
            let count = Arc::new(AtomicU64::new(0));
            let threads: Vec<_> = Turnstile::new(2)
                .into_iter()
                .map(|mut place| {
                    let count = Arc::clone(&count);
                    thread::spawn(move || {
                        place.queue();
                        while !place.is_through() {
                            thread::yield_now();
                        }
                        // A load and a store that somebody could come between.
                        let seen = count.load(Ordering::Relaxed);
                        count.store(seen + 1, Ordering::Relaxed);
                        place.leave();
                    })
                })
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            assert_eq!(count.load(Ordering::Relaxed), 2);
        });
    }
}
