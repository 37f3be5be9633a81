//! The memory of one partition: a single mapping, cut into segments of equal size.
//!
//! Everything a partition holds, entries and index alike, lives in segments of its arena, so the
//! memory limit is the mapping's size and cannot be exceeded. The mapping is populated at start
//! by the shard that owns it: pages are local to its NUMA node and no request pays for a fault.

#![expect(unsafe_code, reason = "maps the memory and hands out pointers into it")]

use std::{io, ptr::NonNull};

/// Alignment of the mapping: one huge page, so that transparent huge pages can back all of it.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Buffers from this size on go back to the kernel when they are freed, in bytes. glibc would
/// raise its own limit to the largest buffer it ever saw freed, and keep those.
#[cfg(target_env = "gnu")]
const MALLOC_KEPT_BYTES_MAX: libc::c_int = 128 * 1024;

/// What is freed beside the arenas is not kept by the allocator, so that the memory limit holds
/// for the whole process. To be called before there are other threads.
pub fn give_back_freed_buffers() {
    #[cfg(target_env = "gnu")]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: sets a number inside the allocator, which guards it itself.
        unsafe { libc::mallopt(parameter, MALLOC_KEPT_BYTES_MAX) };
    }
}

/// A place in an arena: bytes from its start, a multiple of [`ALIGN_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset(pub(super) u64);

/// Alignment of whatever is placed in an arena.
pub(super) const ALIGN_BYTES: usize = 8;

/// One mapping of `segment_bytes * segment_count` zeroed bytes.
///
/// Invariant: `base` is aligned to a huge page and the mapping lives as long as the arena.
#[derive(Debug)]
pub(super) struct Arena {
    base: NonNull<u8>,
    segment_bytes: usize,
    segment_count: usize,
}

// SAFETY: the arena itself is only an address range. Who may touch which bytes when is the
// protocol of the index (publish with Release, read with Acquire) and of the epochs (no reuse
// before a grace period); `entry` and `index` state it where they dereference.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// Reserves the address range; pages are not touched before [`Self::populate`].
    ///
    /// # Errors
    /// What `mmap(2)` says, usually that memory is not to be had.
    pub(super) fn map(segment_bytes: usize, segment_count: usize) -> io::Result<Self> {
        assert!(segment_bytes.is_power_of_two() && segment_bytes >= 4096);
        let bytes = segment_bytes * segment_count;
        let padded_bytes = bytes + HUGE_PAGE_BYTES;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice aliases nothing.
        let raw = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                padded_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if raw == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = raw as usize;
        let base = start.next_multiple_of(HUGE_PAGE_BYTES);
        let (head_bytes, tail_bytes) = (base - start, start + padded_bytes - (base + bytes));
        // SAFETY: both ranges are parts of the mapping just made that nothing points into, and
        // are whole pages: the mapping's start and both sizes are multiples of the page size.
        // `madvise` only asks for huge pages; where they are off it fails and nothing is lost.
        unsafe {
            if head_bytes > 0 {
                libc::munmap(raw, head_bytes);
            }
            if tail_bytes > 0 {
                libc::munmap((base + bytes) as *mut libc::c_void, tail_bytes);
            }
            libc::madvise(base as *mut libc::c_void, bytes, libc::MADV_HUGEPAGE);
        }
        let base = NonNull::new(base as *mut u8).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            base,
            segment_bytes,
            segment_count,
        })
    }

    /// Faults all pages in, on the NUMA node of the calling thread.
    ///
    /// # Errors
    /// What `madvise(2)` says: out of memory, or a kernel older than 5.14.
    pub(super) fn populate(&self) -> io::Result<()> {
        // SAFETY: the range is this arena's own mapping; populating changes no content.
        let result = unsafe {
            libc::madvise(
                self.base.as_ptr().cast(),
                self.bytes(),
                libc::MADV_POPULATE_WRITE,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    pub(super) fn segment_bytes(&self) -> usize {
        self.segment_bytes
    }

    pub(super) fn segment_count(&self) -> usize {
        self.segment_count
    }

    pub(super) fn bytes(&self) -> usize {
        self.segment_bytes * self.segment_count
    }

    /// The offset of a segment's first byte.
    pub(super) fn segment_start(&self, segment: u32) -> Offset {
        Offset(u64::from(segment) * self.segment_bytes as u64)
    }

    /// The segment that holds `offset`.
    pub(super) fn segment_of(&self, offset: Offset) -> u32 {
        (offset.0 >> self.segment_bytes.trailing_zeros()) as u32
    }

    /// The address of an offset. Valid to dereference only under the protocol of what is there.
    pub(super) fn at(&self, offset: Offset) -> NonNull<u8> {
        debug_assert!((offset.0 as usize) < self.bytes());
        debug_assert!((offset.0 as usize).is_multiple_of(ALIGN_BYTES));
        // SAFETY: an offset comes from `segment_start` plus less than a segment, or from an index
        // slot that was written from such a one; so it stays inside the mapping.
        unsafe { self.base.add(offset.0 as usize) }
    }

    /// Where bytes lie, from the start of the arena; `None` if not all of them lie in one segment of it.
    pub(super) fn place_of(&self, bytes: &[u8]) -> Option<usize> {
        let start = (bytes.as_ptr() as usize).checked_sub(self.base.as_ptr() as usize)?;
        let last = start.checked_add(bytes.len())?.checked_sub(1)?;
        let is_here =
            last < self.bytes() && start / self.segment_bytes == last / self.segment_bytes;
        is_here.then_some(start)
    }

    /// Bytes at a place that [`Self::place_of`] gave.
    ///
    /// # Safety
    /// They lie in the arena, were written, and nobody writes to them as long as they are borrowed.
    pub(super) unsafe fn bytes_at(&self, start: usize, len: usize) -> &[u8] {
        // SAFETY: the caller's promise; the mapping lives as long as the arena.
        unsafe { self.slice_at(start, len).as_ref() }
    }

    /// The same, to be written to under the protocol of what is there.
    ///
    /// # Safety
    /// They lie in the arena.
    pub(super) unsafe fn slice_at(&self, start: usize, len: usize) -> NonNull<[u8]> {
        debug_assert!(start + len <= self.bytes());
        // SAFETY: the caller's promise.
        NonNull::slice_from_raw_parts(unsafe { self.base.add(start) }, len)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the range is this arena's own mapping, and readers hold the arena by `Arc`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_segments_agree() {
        let arena = Arena::map(1 << 16, 5).unwrap();
        arena.populate().unwrap();
        assert_eq!(arena.bytes(), 5 << 16);
        for segment in 0..5 {
            let start = arena.segment_start(segment);
            assert_eq!(arena.segment_of(start), segment);
            assert_eq!(arena.segment_of(Offset(start.0 + (1 << 16) - 8)), segment);
        }
        // SAFETY: the arena is this test's own, and zeroed.
        let bytes = unsafe { arena.bytes_at((1 << 16) - 8, 16) };
        assert_eq!(arena.place_of(bytes), None, "of two segments");
        assert_eq!(arena.place_of(&bytes[8..]), Some(1 << 16));
        assert_eq!(arena.place_of(&[0; 8]), None);
        assert!((arena.at(Offset(0)).as_ptr() as usize).is_multiple_of(HUGE_PAGE_BYTES));
    }

    #[test]
    fn refuses_what_the_machine_cannot_map() {
        assert!(Arena::map(1 << 40, 1 << 20).is_err());
    }
}
