//! Atomics for the lock-free protocols: the standard ones, or loom's where loom explores them.
//!
//! Only protocols that loom can drive use these (epochs, pins, loans, the SPSC queue, sleep and wake, the turnstile,
//! interest). The store's index lives in raw memory, where loom's instrumented types cannot be laid; its
//! publish-read-retire protocol is checked through a model over the same [`crate::store::Epochs`]. Numbers that one
//! thread at a time stores and others only read (statistics, how many changes a partition has noted) are standard
//! atomics, too, and in no model.

#[cfg(not(ringfort_loom))]
pub(crate) use core::{
    cell::UnsafeCell as StdUnsafeCell,
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(ringfort_loom))]
pub(crate) use std::thread::yield_now;

#[cfg(ringfort_loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
    thread::yield_now,
};

/// The standard cell behind loom's closure interface, so that one text serves both.
#[cfg(not(ringfort_loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(StdUnsafeCell<T>);

#[cfg(not(ringfort_loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(StdUnsafeCell::new(value))
    }

    /// Runs `write` on a pointer to the value; what it may do with it is the caller's proof.
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// A value alone on its pair of cache lines (two: the adjacent-line prefetcher couples them), so
/// that what one core writes does not slow what another reads.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

impl<T> core::ops::Deref for CachePadded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
