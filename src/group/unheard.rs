//! Shards that have something to hear of the executor, which wakes each once for all that its tasks
//! have done by then: a wake is a system call.
//!
//! Tasks note whom they have told something; the first of them wakes the task that wakes shards. That
//! one comes to its turn behind all that could go on, as the executor takes them one after another.

use core::{
    cell::{Cell, RefCell},
    task::Waker,
};

/// The shards that are still to be woken.
#[derive(Debug)]
pub(super) struct Unheard {
    /// By number.
    shards: Vec<Cell<bool>>,
    is_any: Cell<bool>,
    /// Who wakes them, while it sleeps.
    sleeper: RefCell<Option<Waker>>,
}

impl Unheard {
    pub(super) fn new(shard_count: usize) -> Self {
        Self {
            shards: (0..shard_count).map(|_| Cell::new(false)).collect(),
            is_any: Cell::new(false),
            sleeper: RefCell::new(None),
        }
    }

    /// A shard has something to hear.
    pub(super) fn note(&self, shard: usize) {
        self.shards[shard].set(true);
        self.is_any.set(true);
        if let Some(sleeper) = self.sleeper.take() {
            sleeper.wake();
        }
    }

    /// Wakes who was noted, each once.
    pub(super) fn wake(&self, wake: impl Fn(usize)) {
        if !self.is_any.take() {
            return;
        }
        for (shard, is_noted) in self.shards.iter().enumerate() {
            if is_noted.take() {
                wake(shard);
            }
        }
    }

    /// Whether nobody is noted; then `waker` is woken by the next who is.
    pub(super) fn has_none(&self, waker: &Waker) -> bool {
        let is_empty = !self.is_any.get();
        if is_empty {
            self.sleeper.replace(Some(waker.clone()));
        }
        is_empty
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_is_woken_once_for_all_it_has_to_hear() {
        let unheard = Unheard::new(3);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        for round in 1..=2 {
            assert!(unheard.has_none(&waker));
            [2, 0, 2, 2]
                .into_iter()
                .for_each(|shard| unheard.note(shard));
            assert_eq!(wakes.0.load(Ordering::Relaxed), round, "the first wakes");
            assert!(!unheard.has_none(&waker), "nobody sleeps over it");
            let woken = RefCell::new(Vec::new());
            unheard.wake(|shard| woken.borrow_mut().push(shard));
            assert_eq!(*woken.borrow(), [0, 2]);
            unheard.wake(|shard| panic!("{shard} has heard all"));
        }
    }
}
