//! Receive buffers that the kernel fills as data comes in: a ring of provided buffers.
//!
//! Connections own no receive buffer; an idle one costs nothing. A buffer is out from its
//! completion until [`ProvidedBuffers::release`], within one turn. The ring is kept small, so
//! that the buffers stay in the core's cache as they go round.

#![expect(unsafe_code, reason = "shares memory with the kernel")]

use core::sync::atomic::{AtomicU16, Ordering};
use std::{alloc, io, ptr::NonNull};

use io_uring::{IoUring, types::BufRingEntry};

use super::RecvBuffer;

/// Buffers of a shard; as many receives can be taken in one turn before the rest wait for the
/// next. A power of two.
pub(crate) const RECV_BUFFER_COUNT: u16 = 256;

/// Bytes of one buffer: a pipeline of two hundred small requests.
pub(crate) const RECV_BUFFER_BYTES: usize = 8 * 1024;

/// The buffer group's number; a ring has one.
pub(super) const GROUP: u16 = 0;

/// Invariant: the kernel may write to the buffers between its head and our `tail`, and to no
/// other; a buffer named by a live [`RecvBuffer`] is not among them.
#[derive(Debug)]
pub(super) struct ProvidedBuffers {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    tail: u16,
}

impl ProvidedBuffers {
    /// Allocates the buffers and registers them with `ring`.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn register(ring: &IoUring) -> io::Result<Self> {
        let entries = allocate(entries_layout())?.cast::<BufRingEntry>();
        let memory = allocate(memory_layout())?;
        let mut buffers = Self {
            entries,
            memory,
            tail: 0,
        };
        for id in 0..RECV_BUFFER_COUNT {
            buffers.provide(id);
        }
        buffers.publish();
        // SAFETY: `entries` is page-aligned memory of that many entries, and lives as long as
        // the ring: `Uring` drops the ring first.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                entries.as_ptr() as u64,
                RECV_BUFFER_COUNT,
                GROUP,
                0,
            )?;
        }
        Ok(buffers)
    }

    /// The bytes that the kernel put into a buffer.
    pub(super) fn bytes(&self, buffer: &RecvBuffer) -> &[u8] {
        debug_assert!(buffer.len as usize <= RECV_BUFFER_BYTES);
        let start = usize::from(buffer.id) * RECV_BUFFER_BYTES;
        // SAFETY: a `RecvBuffer` is made of a completion and names a buffer that is ours until
        // `release` consumes it; the kernel wrote `len` bytes there before the completion.
        unsafe {
            NonNull::slice_from_raw_parts(self.memory.add(start), buffer.len as usize).as_ref()
        }
    }

    /// Gives a buffer back; the kernel sees it after [`Self::publish`].
    pub(super) fn release(&mut self, buffer: &RecvBuffer) {
        self.provide(buffer.id);
    }

    /// Makes released buffers visible to the kernel.
    pub(super) fn publish(&mut self) {
        // SAFETY: `tail` gives the address of the ring's tail field, inside our first entry;
        // the kernel reads it, and only this thread writes it.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    fn provide(&mut self, id: u16) {
        let slot = usize::from(self.tail & (RECV_BUFFER_COUNT - 1));
        let address = self.memory.as_ptr() as u64 + (usize::from(id) * RECV_BUFFER_BYTES) as u64;
        // SAFETY: the slot is inside the ring and beyond the published tail, so the kernel does
        // not read it now; entries were zeroed at allocation, which is a valid value.
        let entry = unsafe { self.entries.add(slot).as_mut() };
        entry.set_addr(address);
        entry.set_len(RECV_BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }
}

impl Drop for ProvidedBuffers {
    fn drop(&mut self) {
        // SAFETY: both came from `allocate` with these layouts.
        unsafe {
            alloc::dealloc(self.entries.as_ptr().cast(), entries_layout());
            alloc::dealloc(self.memory.as_ptr(), memory_layout());
        }
    }
}

fn entries_layout() -> alloc::Layout {
    page_aligned(usize::from(RECV_BUFFER_COUNT) * size_of::<BufRingEntry>())
}

fn memory_layout() -> alloc::Layout {
    page_aligned(usize::from(RECV_BUFFER_COUNT) * RECV_BUFFER_BYTES)
}

fn page_aligned(bytes: usize) -> alloc::Layout {
    const { assert!(RECV_BUFFER_COUNT.is_power_of_two()) };
    alloc::Layout::from_size_align(bytes, 4096).unwrap_or_else(|_| unreachable!("constants"))
}

fn allocate(layout: alloc::Layout) -> io::Result<NonNull<u8>> {
    // SAFETY: the layouts above are not of size zero.
    let pointer = unsafe { alloc::alloc_zeroed(layout) };
    NonNull::new(pointer).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}
