//! How a shard that blocks in its ring is reached: by other shards, and by other threads.

#![expect(
    unsafe_code,
    reason = "an eventfd is made, written and read by system calls"
)]

use core::sync::atomic::{AtomicI32, Ordering};
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    sync::Arc,
};

/// The ring descriptors of all shards, by number; how they find each other.
#[derive(Debug, Clone)]
pub struct RingDirectory(Arc<[AtomicI32]>);

impl RingDirectory {
    /// A directory for so many shards.
    pub fn new(shard_count: usize) -> Self {
        Self((0..shard_count).map(|_| AtomicI32::new(-1)).collect())
    }

    /// A shard tells the others its ring.
    pub(super) fn publish(&self, shard: usize, ring: RawFd) {
        self.0[shard].store(ring, Ordering::Release);
    }

    /// The ring of a shard.
    pub(super) fn ring(&self, shard: usize) -> RawFd {
        self.0[shard].load(Ordering::Acquire)
    }
}

/// Wakes a shard from any thread that is not one.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A new eventfd.
    ///
    /// # Errors
    /// Too many files are open.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: eventfd has no memory arguments; the descriptor is new and ours.
        let fd = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self(Arc::new(fd)))
    }

    /// What the shard's ring polls.
    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes back all wakes so far.
    pub(super) fn reset(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: reads at most eight bytes into this function's own array; does not block.
        unsafe { libc::read(self.fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    /// The shard gets a [`Completion::Woken`](super::Completion::Woken) soon.
    pub fn wake(&self) {
        let one = 1_u64;
        // SAFETY: writes eight bytes of this function's own to an eventfd that is open.
        unsafe {
            libc::write(
                self.0.as_raw_fd(),
                (&raw const one).cast(),
                size_of_val(&one),
            )
        };
    }
}
