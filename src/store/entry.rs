//! An entry as it lies in memory, and the reference that readers get.
//!
//! ```text
//! 0        8               16             20         22      23            24
//! | cas    | deadline      | value bytes  | key bytes | meta  | referenced | [flags] key value pad |
//!            atomic, owner                                     atomic, any
//! ```
//!
//! Written once by the owner before it is published, and immutable from then on, but for two
//! atomics: the deadline (the owner changes it in place) and the referenced byte (any reader
//! sets it, the owner clears it by copying the entry). `flags` are there only if they are not 0.

#![expect(unsafe_code, reason = "reads and writes entries in the arena")]

use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
};

use super::{arena::ALIGN_BYTES, deadline::Deadline};

/// The fixed part of an entry.
#[repr(C)]
struct Header {
    cas: u64,
    deadline: AtomicU64,
    value_bytes: u32,
    key_bytes: u16,
    meta: u8,
    referenced: AtomicU8,
}

const HEADER_BYTES: usize = size_of::<Header>();
const _: () = assert!(HEADER_BYTES == 24);

/// `meta`: four bytes of flags stand between the header and the key.
const META_HAS_FLAGS: u8 = 1;
const FLAGS_BYTES: usize = 4;

/// What an entry takes beside key and value, at most.
pub(super) const ENTRY_OVERHEAD_BYTES_MAX: usize = HEADER_BYTES + FLAGS_BYTES + ALIGN_BYTES - 1;

/// What an entry is made of, before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewEntry<'a> {
    pub(super) key: &'a [u8],
    /// The value is the concatenation of both parts, so that append needs no copy of its own.
    pub(super) value: [&'a [u8]; 2],
    pub(super) flags: u32,
    pub(super) cas: u64,
    pub(super) deadline: Deadline,
}

impl NewEntry<'_> {
    fn value_bytes(&self) -> usize {
        self.value[0].len() + self.value[1].len()
    }

    /// Bytes the entry takes in a segment, padding included.
    pub(super) fn footprint_bytes(&self) -> usize {
        footprint(self.key.len(), self.value_bytes(), self.flags != 0)
    }

    /// Writes the entry at `place`.
    ///
    /// # Safety
    /// `place` is aligned to [`ALIGN_BYTES`], has [`Self::footprint_bytes`] writable bytes that
    /// nobody else reads or writes, and the key is shorter than 64 KiB, the value than 4 GiB.
    pub(super) unsafe fn write(&self, place: NonNull<u8>) {
        debug_assert!(self.key.len() <= usize::from(u16::MAX));
        let has_flags = self.flags != 0;
        let header = Header {
            cas: self.cas,
            deadline: AtomicU64::new(self.deadline.to_bits()),
            value_bytes: self.value_bytes() as u32,
            key_bytes: self.key.len() as u16,
            meta: if has_flags { META_HAS_FLAGS } else { 0 },
            referenced: AtomicU8::new(0),
        };
        // SAFETY: the caller grants `footprint_bytes`, which is the sum of what is written here.
        unsafe {
            place.cast::<Header>().write(header);
            let mut cursor = place.add(HEADER_BYTES);
            if has_flags {
                cursor
                    .cast::<[u8; FLAGS_BYTES]>()
                    .write(self.flags.to_le_bytes());
                cursor = cursor.add(FLAGS_BYTES);
            }
            for part in [self.key, self.value[0], self.value[1]] {
                cursor.copy_from_nonoverlapping(NonNull::from(part).cast(), part.len());
                cursor = cursor.add(part.len());
            }
        }
    }
}

fn footprint(key_bytes: usize, value_bytes: usize, has_flags: bool) -> usize {
    let flags_bytes = if has_flags { FLAGS_BYTES } else { 0 };
    (HEADER_BYTES + flags_bytes + key_bytes + value_bytes).next_multiple_of(ALIGN_BYTES)
}

/// An entry that a reader found, valid for as long as the borrow of the store it came from:
/// a shard cannot pass its quiescent point while one is held.
#[derive(Clone, Copy)]
pub struct EntryRef<'turn> {
    header: NonNull<Header>,
    turn: PhantomData<&'turn Header>,
}

impl<'turn> EntryRef<'turn> {
    /// The entry at `place`.
    ///
    /// # Safety
    /// A whole entry was written at `place` and published to this thread (an Acquire load saw
    /// the Release store of its offset, or this thread wrote it), and the memory is not reused
    /// during `'turn`.
    pub(super) unsafe fn new(place: NonNull<u8>) -> Self {
        Self {
            header: place.cast(),
            turn: PhantomData,
        }
    }

    fn header(&self) -> &'turn Header {
        // SAFETY: by the contract of `new`. Fields that change while it is read are atomics.
        unsafe { self.header.as_ref() }
    }

    fn has_flags(&self) -> bool {
        self.header().meta & META_HAS_FLAGS != 0
    }

    fn bytes_at(&self, start: usize, len: usize) -> &'turn [u8] {
        // SAFETY: `start` and `len` come from the header, and `write` put that many bytes there.
        unsafe { NonNull::slice_from_raw_parts(self.header.cast::<u8>().add(start), len).as_ref() }
    }

    fn key_start(&self) -> usize {
        HEADER_BYTES + if self.has_flags() { FLAGS_BYTES } else { 0 }
    }

    /// The key's bytes.
    pub fn key(&self) -> &'turn [u8] {
        self.bytes_at(self.key_start(), usize::from(self.header().key_bytes))
    }

    /// The value's bytes.
    pub fn value(&self) -> &'turn [u8] {
        let header = self.header();
        let start = self.key_start() + usize::from(header.key_bytes);
        self.bytes_at(start, header.value_bytes as usize)
    }

    /// The client's opaque 32 bits (memcache); 0 for what RESP wrote.
    pub fn flags(&self) -> u32 {
        if !self.has_flags() {
            return 0;
        }
        let mut bytes = [0; FLAGS_BYTES];
        bytes.copy_from_slice(self.bytes_at(HEADER_BYTES, FLAGS_BYTES));
        u32::from_le_bytes(bytes)
    }

    /// The version: differs between any two values a key ever had.
    pub fn cas(&self) -> u64 {
        self.header().cas
    }

    /// When the entry expires.
    pub fn deadline(&self) -> Deadline {
        Deadline::from_bits(self.header().deadline.load(Ordering::Relaxed))
    }

    /// Remembers for eviction that the entry was used. A plain store, and only if it changes
    /// anything: a hot entry's cache line stays shared between the cores that read it.
    pub fn mark_referenced(&self) {
        let referenced = &self.header().referenced;
        if referenced.load(Ordering::Relaxed) == 0 {
            referenced.store(1, Ordering::Relaxed);
        }
    }

    pub(super) fn is_referenced(&self) -> bool {
        self.header().referenced.load(Ordering::Relaxed) != 0
    }

    /// Changes the deadline in place; only the owner of the partition does.
    pub(super) fn set_deadline(&self, deadline: Deadline) {
        self.header()
            .deadline
            .store(deadline.to_bits(), Ordering::Relaxed);
    }

    /// Bytes the entry takes in its segment.
    pub(super) fn footprint_bytes(&self) -> usize {
        let header = self.header();
        footprint(
            usize::from(header.key_bytes),
            header.value_bytes as usize,
            self.has_flags(),
        )
    }

    /// The same content, to be written elsewhere.
    pub(super) fn to_new(self) -> NewEntry<'turn> {
        NewEntry {
            key: self.key(),
            value: [self.value(), &[]],
            flags: self.flags(),
            cas: self.cas(),
            deadline: self.deadline(),
        }
    }
}

impl core::fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EntryRef")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value_bytes", &self.value().len())
            .field("cas", &self.cas())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{arena::Arena, deadline::UnixMs};

    #[test]
    fn what_is_written_is_read() {
        let arena = Arena::map(1 << 16, 1).unwrap();
        let place = arena.at(arena.segment_start(0));
        for (key, value, flags) in [
            (&b"k"[..], [&b""[..], b""], 0),
            (b"key", [b"value", b""], 7),
            (b"key", [b"front", b"-back"], u32::MAX),
            (&[b'k'; 250], [&[b'v'; 1000], b"x"], 0),
        ] {
            let new = NewEntry {
                key,
                value,
                flags,
                cas: 42,
                deadline: Deadline::at(UnixMs(9)),
            };
            // SAFETY: the arena is this test's own and the segment is larger than the entry.
            let entry = unsafe {
                new.write(place);
                EntryRef::new(place)
            };
            assert_eq!(entry.key(), key);
            assert_eq!(entry.value(), value.concat());
            assert_eq!((entry.flags(), entry.cas()), (flags, 42));
            assert_eq!(entry.deadline(), Deadline::at(UnixMs(9)));
            assert_eq!(entry.footprint_bytes(), new.footprint_bytes());
            assert!(!entry.is_referenced());
            entry.mark_referenced();
            assert!(entry.is_referenced());
            entry.set_deadline(Deadline::NEVER);
            assert_eq!(entry.deadline(), Deadline::NEVER);
        }
    }
}
