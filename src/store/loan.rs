//! What a shard owns and lends to the others while it sleeps.
//!
//! A shard that sleeps changes nothing, and to wake it for one change takes two system calls and two switches of
//! threads, many times what the change takes. So before it blocks it leaves the right to change its partition where
//! the others find it, and takes it back first thing when it runs again. A shard that finds it there has it for one
//! change. Nobody waits to borrow; only the owner may have to wait, for a change that has begun: some hundred
//! nanoseconds, unless the kernel takes the borrower's core away in the middle.

#![expect(unsafe_code, reason = "hands a value from one thread to another")]

use core::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::sync::{AtomicU8, CachePadded, Ordering, UnsafeCell, spin_loop, yield_now};

/// The owner has it.
const HELD: u8 = 0;
/// The owner sleeps, and nobody has it.
const FREE: u8 = 1;
/// Another thread has it.
const BORROWED: u8 = 2;

/// How often the owner looks before it lets another thread have the core: longer than a change takes.
const SPINS_MAX: u32 = 100;

/// Invariant: the value is touched by the owner while `state` is `HELD`, and while it is `BORROWED` by the thread
/// that made it so.
#[derive(Debug)]
struct Shared<T> {
    state: CachePadded<AtomicU8>,
    value: UnsafeCell<T>,
}

// SAFETY: by the invariant one thread at a time touches the value. The one that stops stores `FREE` with Release,
// and the one that begins has read that with Acquire.
unsafe impl<T: Send> Sync for Shared<T> {}

/// The owner's end.
#[derive(Debug)]
pub(super) struct Owned<T> {
    shared: Arc<Shared<T>>,
    /// Whether `state` is `HELD`.
    is_held: bool,
}

/// The end of all others.
#[derive(Debug)]
pub(super) struct Lender<T>(Arc<Shared<T>>);

impl<T> Owned<T> {
    /// Owns `value`, and has it.
    pub(super) fn new(value: T) -> Self {
        let shared = Shared {
            state: CachePadded(AtomicU8::new(HELD)),
            value: UnsafeCell::new(value),
        };
        Self {
            shared: Arc::new(shared),
            is_held: true,
        }
    }

    /// Where the others borrow it.
    pub(super) fn lender(&self) -> Lender<T> {
        Lender(Arc::clone(&self.shared))
    }

    /// Lets the others have it until [`Self::take_back`].
    pub(super) fn lend(&mut self) {
        if self.is_held {
            self.is_held = false;
            self.shared.state.store(FREE, Ordering::Release);
        }
    }

    /// Has it again, if need be after the change that has begun.
    #[inline]
    pub(super) fn take_back(&mut self) {
        let mut spins = 0;
        while !self.is_held {
            self.is_held = self.shared.take(HELD);
            if self.is_held {
                return;
            }
            if spins < SPINS_MAX {
                spins += 1;
                spin_loop();
            } else {
                yield_now();
            }
        }
    }

    fn value(&self) -> *mut T {
        assert!(self.is_held, "the owner uses what it has lent");
        self.shared.value.with_mut(|value| value)
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it is held, as `value` asserts, until `lend` is called, which takes `&mut self`.
        unsafe { &*self.value() }
    }
}

impl<T> DerefMut for Owned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `&mut self` makes it the only reference.
        unsafe { &mut *self.value() }
    }
}

impl<T> Lender<T> {
    /// Runs `change` on it, if the owner has lent it and nobody else has it.
    #[inline]
    pub(super) fn borrow<R>(&self, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !self.0.take(BORROWED) {
            return None;
        }
        let changed = self.0.value.with_mut(|value| {
            // SAFETY: `take` made it this thread's until `FREE` is stored below.
            change(unsafe { &mut *value })
        });
        self.0.state.store(FREE, Ordering::Release);
        Some(changed)
    }
}

impl<T> Shared<T> {
    /// Whether it was free and is now what `state` says.
    #[inline]
    fn take(&self, state: u8) -> bool {
        // Looking first leaves the cache line shared where there is nothing to take.
        self.state.load(Ordering::Relaxed) == FREE
            && self
                .state
                .compare_exchange(FREE, state, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn only_what_is_lent_is_borrowed() {
        let mut owned = Owned::new(1);
        let lender = owned.lender();
        assert_eq!(lender.borrow(|value| *value), None, "the owner has it");
        owned.lend();
        let nested = lender.borrow(|value| {
            *value += 1;
            lender.borrow(|value| *value)
        });
        assert_eq!(nested, Some(None), "somebody else has it");
        assert_eq!(lender.borrow(|value| *value), Some(2));
        owned.take_back();
        assert_eq!(lender.borrow(|value| *value), None);
        assert_eq!(*owned, 2);
        *owned += 1;
        owned.take_back();
        assert_eq!(*owned, 3, "what is held stays held");
    }

    #[test]
    #[should_panic(expected = "the owner uses what it has lent")]
    fn the_owner_keeps_off_what_it_has_lent() {
        let mut owned = Owned::new(1);
        owned.lend();
        *owned = 2;
    }

    #[test]
    fn no_change_is_lost_among_threads() {
        let mut owned = Owned::new(0_u64);
        let lenders: Vec<_> = (0..2).map(|_| owned.lender()).collect();
        let is_over = AtomicBool::new(false);
        let made: u64 = thread::scope(|scope| {
            let borrowers: Vec<_> = lenders
                .iter()
                .map(|lender| {
                    scope.spawn(|| {
                        let mut made = 0;
                        while !is_over.load(Ordering::Relaxed) || made == 0 {
                            made += u64::from(lender.borrow(|value| *value += 1).is_some());
                        }
                        made
                    })
                })
                .collect();
            for _ in 0..10_000 {
                owned.lend();
                owned.take_back();
                *owned += 1;
            }
            is_over.store(true, Ordering::Relaxed);
            owned.lend();
            borrowers.into_iter().map(|one| one.join().unwrap()).sum()
        });
        owned.take_back();
        assert_eq!(*owned, 10_000 + made);
    }
}

#[cfg(all(test, ringfort_loom))]
mod loom_tests {
    use loom::{cell::Cell, thread};

    use super::*;

    #[test]
    fn one_thread_at_a_time_has_it() {
        loom::model(|| {
            // The cell reports two threads in it at once, the owner's among them, whose access no closure encloses.
            let mut owned = Owned::new(Cell::new(0));
            let borrowers: Vec<_> = (0..2)
                .map(|_| {
                    let lender = owned.lender();
                    thread::spawn(move || {
                        let made = lender.borrow(|count| count.set(count.get() + 1));
                        usize::from(made.is_some())
                    })
                })
                .collect();
            owned.set(owned.get() + 1);
            owned.lend();
            owned.take_back();
            owned.set(owned.get() + 1);
            let made: usize = borrowers.into_iter().map(|one| one.join().unwrap()).sum();
            assert_eq!(owned.get(), 2 + made);
        });
    }
}
