//! An entry as it lies in memory, and the reference that readers get.
//!
//! ```text
//! 0         8                      16               20           24
//! | version | deadline, marks, key | value, content | last used | [flags] [cas] key value pad |
//!             atomic, owner                           atomic, any
//! ```
//!
//! Written once by the owner before it is published, and immutable from then on, but for two
//! atomics: the word with the deadline and the two marks of memcache's meta commands, which the
//! owner changes in place, and the word that says when the entry was last used, which any reader
//! stores. `flags` are there only if they are not 0 or the entry is to be longer, `cas` only if a client
//! chose it.

#![expect(unsafe_code, reason = "reads and writes entries in the arena")]

use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::{
    arena::ALIGN_BYTES,
    deadline::{DEADLINE_BITS, Deadline, UnixMs},
    used::Used,
};

/// The fixed part of an entry.
#[repr(C)]
struct Header {
    version: u64,
    /// From the low end: the deadline, the marks, the key's length.
    term: AtomicU64,
    /// From the low end: the value's length, what else is there.
    content: u32,
    /// A [`Used`].
    used: AtomicU32,
}

const HEADER_BYTES: usize = size_of::<Header>();
const _: () = assert!(HEADER_BYTES == 24);

const MARK_STALE: u64 = 1 << DEADLINE_BITS;
const MARK_WON: u64 = 1 << (DEADLINE_BITS + 1);
const KEY_SHIFT: u32 = 48;
const _: () = assert!(DEADLINE_BITS + 2 == KEY_SHIFT);
const DEADLINE_MASK: u64 = MARK_STALE - 1;

/// The value's length takes the lower bits of `content`.
const VALUE_BYTES_MASK: u32 = (1 << 29) - 1;
/// Another process owns the key.
const IS_COPY: u32 = 1 << 29;
/// Four bytes of flags stand behind the header.
const HAS_FLAGS: u32 = 1 << 30;
/// Eight bytes of a CAS id that a client chose stand before the key.
const HAS_CAS: u32 = 1 << 31;
const FLAGS_BYTES: usize = 4;
const CAS_BYTES: usize = 8;

/// What an entry takes in the index: its part of a bucket that is as full as it gets.
const INDEX_BYTES: usize = 16;

/// What an entry takes beside key and value, at most.
pub(super) const ENTRY_OVERHEAD_BYTES_MAX: usize =
    HEADER_BYTES + FLAGS_BYTES + CAS_BYTES + ALIGN_BYTES - 1;

/// What an entry is made of, before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewEntry<'a> {
    pub(super) key: &'a [u8],
    /// The value is the concatenation of both parts, so that append needs no copy of its own.
    pub(super) value: [&'a [u8]; 2],
    pub(super) flags: u32,
    /// Flags that are 0 are there, too.
    pub(super) has_flags: bool,
    /// Counts up with every entry of a partition.
    pub(super) version: u64,
    /// The CAS id, if it is not the version.
    pub(super) cas: Option<u64>,
    pub(super) deadline: Deadline,
    pub(super) is_stale: bool,
    pub(super) is_won: bool,
    pub(super) is_copy: bool,
    pub(super) used: Used,
}

impl NewEntry<'_> {
    fn value_bytes(&self) -> usize {
        self.value[0].len() + self.value[1].len()
    }

    fn content(&self) -> u32 {
        let cas = if self.cas.is_none() { 0 } else { HAS_CAS };
        let copy = if self.is_copy { IS_COPY } else { 0 };
        self.value_bytes() as u32 | flags_bit(self.flags, self.has_flags) | cas | copy
    }

    fn term(&self) -> u64 {
        let stale = if self.is_stale { MARK_STALE } else { 0 };
        let won = if self.is_won { MARK_WON } else { 0 };
        self.deadline.to_bits() | stale | won | (self.key.len() as u64) << KEY_SHIFT
    }

    /// Bytes the entry takes in a segment, padding included.
    pub(super) fn footprint_bytes(&self) -> usize {
        footprint(self.key.len(), self.content())
    }

    /// Writes the entry at `place`.
    ///
    /// # Safety
    /// `place` is aligned to [`ALIGN_BYTES`], has [`Self::footprint_bytes`] writable bytes that
    /// nobody else reads or writes, and the key is shorter than 64 KiB, the value than 512 MiB.
    pub(super) unsafe fn write(&self, place: NonNull<u8>) {
        debug_assert!(self.key.len() <= usize::from(u16::MAX));
        debug_assert!(self.value_bytes() <= VALUE_BYTES_MASK as usize);
        // SAFETY: the caller grants `footprint_bytes`, which is the sum of what is written here.
        unsafe {
            let mut cursor = self.write_head(place);
            for part in self.value {
                cursor.copy_from_nonoverlapping(NonNull::from(part).cast(), part.len());
                cursor = cursor.add(part.len());
            }
        }
    }

    /// Writes all that stands before the value; where that begins.
    ///
    /// # Safety
    /// As [`Self::write`], of the first [`Self::value_at`] bytes.
    #[inline]
    pub(super) unsafe fn write_head(&self, place: NonNull<u8>) -> NonNull<u8> {
        let header = Header {
            version: self.version,
            term: AtomicU64::new(self.term()),
            content: self.content(),
            used: AtomicU32::new(self.used.to_bits()),
        };
        // SAFETY: passed on from the caller.
        unsafe { write_head(place, header, self.flags, self.cas, self.key) }
    }

    /// Bytes before the value.
    pub(super) fn value_at(&self) -> usize {
        key_start(self.content()) + self.key.len()
    }

    /// Whether there are so many bytes before the value and so many of it.
    pub(super) fn is_laid_out(&self, value_at: usize, value_bytes: usize) -> bool {
        (self.value_at(), self.value_bytes()) == (value_at, value_bytes)
    }
}

/// An entry whose value is still to come. Nobody takes it for one that is alive.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenEntry<'a> {
    pub(super) key: &'a [u8],
    pub(super) flags: u32,
    /// Flags that are 0 are there, too.
    pub(super) has_flags: bool,
    pub(super) value_bytes: usize,
}

impl OpenEntry<'_> {
    fn content(&self) -> u32 {
        self.value_bytes as u32 | flags_bit(self.flags, self.has_flags)
    }

    /// Bytes the entry takes in a segment, padding included.
    pub(super) fn footprint_bytes(&self) -> usize {
        footprint(self.key.len(), self.content())
    }

    /// Bytes before the value.
    pub(super) fn value_at(&self) -> usize {
        key_start(self.content()) + self.key.len()
    }

    /// Bytes behind the value.
    pub(super) fn padding_bytes(&self) -> usize {
        self.footprint_bytes() - self.value_at() - self.value_bytes
    }

    /// Writes all that stands before the value.
    ///
    /// # Safety
    /// As [`NewEntry::write`].
    pub(super) unsafe fn write(&self, place: NonNull<u8>) {
        debug_assert!(self.key.len() <= usize::from(u16::MAX));
        debug_assert!(self.value_bytes <= VALUE_BYTES_MASK as usize);
        let header = Header {
            // No entry that is alive has it.
            version: 0,
            term: AtomicU64::new((self.key.len() as u64) << KEY_SHIFT),
            content: self.content(),
            used: AtomicU32::new(0),
        };
        // SAFETY: passed on from the caller.
        unsafe { write_head(place, header, self.flags, None, self.key) };
    }
}

/// Writes what stands before a value; where that begins.
///
/// # Safety
/// `place` is aligned to [`ALIGN_BYTES`] and has as many writable bytes that nobody else reads or writes.
#[inline]
unsafe fn write_head(
    place: NonNull<u8>,
    header: Header,
    flags: u32,
    cas: Option<u64>,
    key: &[u8],
) -> NonNull<u8> {
    let flags_bytes = flags.to_le_bytes();
    let cas_bytes = cas.unwrap_or(0).to_le_bytes();
    let flags = if header.content & HAS_FLAGS == 0 {
        &[][..]
    } else {
        &flags_bytes
    };
    let cas = if cas.is_none() { &[][..] } else { &cas_bytes };
    // SAFETY: the caller grants the sum of what is written here.
    unsafe {
        place.cast::<Header>().write(header);
        let mut cursor = place.add(HEADER_BYTES);
        for part in [flags, cas, key] {
            cursor.copy_from_nonoverlapping(NonNull::from(part).cast(), part.len());
            cursor = cursor.add(part.len());
        }
        cursor
    }
}

fn flags_bit(flags: u32, has_flags: bool) -> u32 {
    if flags == 0 && !has_flags {
        0
    } else {
        HAS_FLAGS
    }
}

/// Where the key begins in an entry of this content.
fn key_start(content: u32) -> usize {
    let flags_bytes = if content & HAS_FLAGS == 0 {
        0
    } else {
        FLAGS_BYTES
    };
    let cas_bytes = if content & HAS_CAS == 0 { 0 } else { CAS_BYTES };
    HEADER_BYTES + flags_bytes + cas_bytes
}

fn footprint(key_bytes: usize, content: u32) -> usize {
    let value_bytes = (content & VALUE_BYTES_MASK) as usize;
    (key_start(content) + key_bytes + value_bytes).next_multiple_of(ALIGN_BYTES)
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

    fn bytes_at(&self, start: usize, len: usize) -> &'turn [u8] {
        // SAFETY: `start` and `len` come from the header, and `write` put that many bytes there.
        unsafe { NonNull::slice_from_raw_parts(self.header.cast::<u8>().add(start), len).as_ref() }
    }

    fn array_at<const N: usize>(&self, start: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.bytes_at(start, N));
        bytes
    }

    fn term(&self) -> u64 {
        self.header().term.load(Ordering::Relaxed)
    }

    fn key_bytes(&self) -> usize {
        (self.term() >> KEY_SHIFT) as usize
    }

    /// The key's bytes.
    pub fn key(&self) -> &'turn [u8] {
        self.bytes_at(key_start(self.header().content), self.key_bytes())
    }

    /// The value's bytes.
    pub fn value(&self) -> &'turn [u8] {
        let content = self.header().content;
        let start = key_start(content) + self.key_bytes();
        self.bytes_at(start, (content & VALUE_BYTES_MASK) as usize)
    }

    /// The client's opaque 32 bits (memcache); 0 for what RESP wrote.
    pub fn flags(&self) -> u32 {
        if self.header().content & HAS_FLAGS == 0 {
            return 0;
        }
        u32::from_le_bytes(self.array_at(HEADER_BYTES))
    }

    /// memcache's CAS id: differs between any two values a key ever had, unless clients chose it.
    pub fn cas(&self) -> u64 {
        self.chosen_cas().unwrap_or_else(|| self.version())
    }

    fn chosen_cas(&self) -> Option<u64> {
        let content = self.header().content;
        let start = key_start(content) - CAS_BYTES;
        (content & HAS_CAS != 0).then(|| u64::from_le_bytes(self.array_at(start)))
    }

    /// Counts up with every entry that its partition stores: no two values that a key ever had
    /// share it.
    pub fn version(&self) -> u64 {
        self.header().version
    }

    /// When the entry expires.
    pub fn deadline(&self) -> Deadline {
        Deadline::from_bits(self.term() & DEADLINE_MASK)
    }

    /// Whether a client marked the value as outdated (meta `md` and `ms` with `I`).
    pub fn is_stale(&self) -> bool {
        self.term() & MARK_STALE != 0
    }

    /// Whether some client was told that it is to renew the value (meta `W`).
    pub fn is_won(&self) -> bool {
        self.term() & MARK_WON != 0
    }

    /// Whether the value is a copy of what another process owns (see [`Stamp`](super::Stamp)).
    pub(super) fn is_copy(&self) -> bool {
        self.header().content & IS_COPY != 0
    }

    /// When it was used and how, without the uses that eviction counts.
    pub(super) fn used(&self) -> Used {
        self.last_used().with_uses(0)
    }

    fn last_used(&self) -> Used {
        Used::from_bits(self.header().used.load(Ordering::Relaxed))
    }

    /// When the entry was last read, or written; in steps of a second.
    pub fn used_at(&self) -> UnixMs {
        self.last_used().at()
    }

    /// Whether a client has read the entry.
    pub fn is_fetched(&self) -> bool {
        self.last_used().is_fetched()
    }

    /// Remembers, for eviction and for who asks, that the entry was read. A plain store, and only
    /// if it changes anything: once its uses are counted, a hot entry's cache line is written once a
    /// second and stays shared between the cores that read it. Of uses by two cores at once one may
    /// be lost.
    pub fn mark_used(&self, now: UnixMs) {
        if let Some(used) = self.last_used().read_again(now) {
            self.header().used.store(used.to_bits(), Ordering::Relaxed);
        }
    }

    /// How often it was used since it was written to where it lies, with the uses that it brought
    /// along, up to [`USES_MAX`](super::used::USES_MAX).
    pub(super) fn uses(&self) -> u32 {
        self.last_used().uses()
    }

    /// Changes the deadline, and marks the entry as won, in place; only the owner of the partition
    /// does.
    pub(super) fn set_term(&self, deadline: Deadline, wins: bool) {
        let won = if wins { MARK_WON } else { 0 };
        let term = self.term() & !DEADLINE_MASK | deadline.to_bits() | won;
        self.header().term.store(term, Ordering::Relaxed);
    }

    /// Bytes the entry takes in its segment.
    pub(super) fn footprint_bytes(&self) -> usize {
        footprint(self.key_bytes(), self.header().content)
    }

    /// Bytes of memory that the entry takes, its part of the index included.
    pub fn memory_bytes(&self) -> usize {
        self.footprint_bytes() + INDEX_BYTES
    }

    /// The same content, to be written elsewhere, where it begins with so many uses.
    pub(super) fn to_new(self, uses: u32) -> NewEntry<'turn> {
        NewEntry {
            key: self.key(),
            value: [self.value(), &[]],
            flags: self.flags(),
            has_flags: false,
            version: self.version(),
            cas: self.chosen_cas(),
            deadline: self.deadline(),
            is_stale: self.is_stale(),
            is_won: self.is_won(),
            is_copy: self.is_copy(),
            used: self.used().with_uses(uses),
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
mod tests;
