//! The index of a partition: linear hashing over cache-line buckets of tagged offsets.
//!
//! ```text
//! bucket, 64 bytes: [slot][slot][slot][slot][slot][slot][slot][link]
//! slot:             27 bits of the hash | 37 bits: offset / 8; 0 = empty
//! link:             0 = none, else 1 + the number of an overflow bucket
//! ```
//!
//! A lookup costs one miss for the bucket and one for the entry; the tag keeps it from touching
//! entries of other keys. The table grows one bucket at a time (linear hashing, Litwin 1980):
//! with `n` buckets, a hash belongs to bucket `hash mod 2^(l+1)` if that is below `n`, else to
//! `hash mod 2^l`, where `2^l <= n < 2^(l+1)`; adding bucket `n` splits bucket `n - 2^l`.
//!
//! One writer, any number of readers, no lock:
//!
//! * A slot is published with Release and read with Acquire; replacing an entry is one store.
//! * A split copies the moving slots, publishes `n + 1`, and only then clears them in the old
//!   bucket. A reader that computed its bucket from the old `n` finds the entry or sees a
//!   cleared slot; in the latter case it also sees the new `n` when it looks again after a miss,
//!   and retries. So a miss is never a false one.
//! * Overflow buckets stay with their chain for good, so a reader cannot be led astray.
//!
//! Buckets live in segments of the partition's arena ("chunks"): the index grows inside the
//! memory limit, and both chunk directories are fixed from the start.

#![expect(unsafe_code, reason = "lays buckets into the arena")]

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{
    KeyHash, StoreParams,
    arena::{ALIGN_BYTES, Arena, Offset},
};

const SLOT_COUNT: usize = 7;
const BUCKET_BYTES: usize = 64;
const TAG_SHIFT: u32 = 37;
const OFFSET_MASK: u64 = (1 << TAG_SHIFT) - 1;

/// The largest arena that slots can address: 1 TiB.
pub(super) const ARENA_BYTES_MAX: u64 = (1 << TAG_SHIFT) * ALIGN_BYTES as u64;

impl StoreParams {
    /// Most bytes of a partition: what the index can address.
    pub const PARTITION_BYTES_MAX: usize = ARENA_BYTES_MAX as usize;
}

/// Entries per bucket, in sixteenths, above which the table grows: 4.5 of 7 slots. Buckets that
/// the current round has not split yet hold up to a third more; their overflow stays rare.
const LOAD_MAX_SIXTEENTHS: u64 = 72;

#[repr(C, align(64))]
struct Bucket {
    slots: [AtomicU64; SLOT_COUNT],
    link: AtomicU64,
}
const _: () = assert!(size_of::<Bucket>() == BUCKET_BYTES);

/// The part of the index that readers see.
#[derive(Debug)]
pub(super) struct Index {
    bucket_count: AtomicU64,
    /// Segment of each chunk of primary buckets; written before the buckets are counted in.
    primary: Box<[AtomicU32]>,
    /// Segment of each chunk of overflow buckets; written before a link names one of them.
    overflow: Box<[AtomicU32]>,
    chunk_buckets_log2: u32,
}

/// A slot whose entry the caller was looking for.
pub(super) struct Found<'a> {
    slot: &'a AtomicU64,
    pub(super) offset: Offset,
}

/// What the owner of a partition knows about its index.
///
/// Invariant: `entry_count` slots are in use; bucket `primary_chunks << log2` is not backed.
#[derive(Debug)]
pub(super) struct IndexWriter {
    entry_count: u64,
    primary_chunks: u64,
    overflow_chunks: u64,
    overflow_used: u64,
}

/// No place for one more slot: a chunk is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NeedsChunk;

impl Index {
    /// An index whose first chunk is `segment`, which must be zeroed and used for nothing else.
    pub(super) fn new(arena: &Arena, segment: u32) -> (Self, IndexWriter) {
        let chunk_buckets_log2 = (arena.segment_bytes() / BUCKET_BYTES).trailing_zeros();
        let directory = || {
            (0..arena.segment_count())
                .map(|_| AtomicU32::new(u32::MAX))
                .collect()
        };
        let index = Self {
            bucket_count: AtomicU64::new(1 << chunk_buckets_log2),
            primary: directory(),
            overflow: directory(),
            chunk_buckets_log2,
        };
        index.primary[0].store(segment, Ordering::Relaxed);
        let writer = IndexWriter {
            entry_count: 0,
            primary_chunks: 1,
            overflow_chunks: 0,
            overflow_used: 0,
        };
        (index, writer)
    }

    /// The entry of `hash` that `is_wanted` accepts. `is_wanted` sees offsets of published
    /// entries whose tag is that of the hash, rarely of another key.
    pub(super) fn find(
        &self,
        arena: &Arena,
        hash: KeyHash,
        mut is_wanted: impl FnMut(Offset) -> bool,
    ) -> Option<Found<'_>> {
        let tag = tag(hash);
        loop {
            let bucket_count = self.bucket_count.load(Ordering::Acquire);
            let mut bucket = self.primary_bucket(arena, bucket_of(hash, bucket_count));
            loop {
                for slot in &bucket.slots {
                    let bits = slot.load(Ordering::Acquire);
                    if bits & !OFFSET_MASK == tag && bits != 0 && is_wanted(offset_of(bits)) {
                        return Some(Found {
                            slot,
                            offset: offset_of(bits),
                        });
                    }
                }
                match bucket.link.load(Ordering::Acquire) {
                    0 => break,
                    link => bucket = self.overflow_bucket(arena, link - 1),
                }
            }
            if self.bucket_count.load(Ordering::Acquire) == bucket_count {
                return None;
            }
        }
    }

    /// How many buckets there are; the next ones are split off the ones before.
    pub(super) fn bucket_count(&self) -> u64 {
        self.bucket_count.load(Ordering::Acquire)
    }

    /// Calls `visit` with each entry of a bucket, whose number is below [`Self::bucket_count`].
    /// Entries that are being split off may be missed; they are in the new bucket, which is counted
    /// from then on.
    pub(super) fn visit_bucket(&self, arena: &Arena, number: u64, mut visit: impl FnMut(Offset)) {
        let mut bucket = self.primary_bucket(arena, number);
        loop {
            let slots = bucket.slots.iter().map(|slot| slot.load(Ordering::Acquire));
            slots
                .filter(|bits| *bits != 0)
                .for_each(|bits| visit(offset_of(bits)));
            match bucket.link.load(Ordering::Acquire) {
                0 => return,
                link => bucket = self.overflow_bucket(arena, link - 1),
            }
        }
    }

    /// The first bucket from `number` up to `end` in which something may be, else `end`, which is at
    /// most [`Self::bucket_count`].
    pub(super) fn next_used(&self, arena: &Arena, number: u64, end: u64) -> u64 {
        let is_used = |number: &u64| {
            let bucket = self.primary_bucket(arena, *number);
            let mut words = bucket.slots.iter().chain([&bucket.link]);
            words.any(|word| word.load(Ordering::Acquire) != 0)
        };
        (number..end).find(is_used).unwrap_or(end)
    }

    /// Asks for the cache line that [`Self::find`] will read first.
    pub(super) fn prefetch(&self, arena: &Arena, hash: KeyHash) {
        let bucket_count = self.bucket_count.load(Ordering::Acquire);
        prefetch(self.primary_bucket(arena, bucket_of(hash, bucket_count)));
    }

    /// The entry that [`Self::find`] will most likely look at first, whose cache lines are asked for.
    pub(super) fn guess(&self, arena: &Arena, hash: KeyHash) -> Option<Offset> {
        let tag = tag(hash);
        let bucket_count = self.bucket_count.load(Ordering::Acquire);
        let bucket = self.primary_bucket(arena, bucket_of(hash, bucket_count));
        for slot in &bucket.slots {
            let bits = slot.load(Ordering::Acquire);
            if bits & !OFFSET_MASK == tag && bits != 0 {
                prefetch(arena.at(offset_of(bits)).as_ptr());
                return Some(offset_of(bits));
            }
        }
        None
    }

    fn primary_bucket(&self, arena: &Arena, number: u64) -> &Bucket {
        self.bucket(arena, &self.primary, number)
    }

    fn overflow_bucket(&self, arena: &Arena, number: u64) -> &Bucket {
        self.bucket(arena, &self.overflow, number)
    }

    fn bucket(&self, arena: &Arena, directory: &[AtomicU32], number: u64) -> &Bucket {
        let chunk = (number >> self.chunk_buckets_log2) as usize;
        let segment = directory[chunk].load(Ordering::Relaxed);
        let within = number & ((1 << self.chunk_buckets_log2) - 1);
        let offset = Offset(arena.segment_start(segment).0 + within * BUCKET_BYTES as u64);
        // SAFETY: the directory names a segment that holds buckets for good: it was stored before
        // the bucket's number became known (bucket_count and link are Release and Acquire), and
        // the owner zeroed the bucket before that. All access to it is through its atomics.
        unsafe { arena.at(offset).cast().as_ref() }
    }

    /// The slots of a chain, for the owner.
    fn chain<'a>(&'a self, arena: &'a Arena, number: u64) -> impl Iterator<Item = &'a Bucket> {
        let first = self.primary_bucket(arena, number);
        core::iter::successors(Some(first), move |bucket| {
            match bucket.link.load(Ordering::Relaxed) {
                0 => None,
                link => Some(self.overflow_bucket(arena, link - 1)),
            }
        })
    }
}

impl IndexWriter {
    /// Slots in use.
    pub(super) fn entry_count(&self) -> u64 {
        self.entry_count
    }

    /// Publishes a new entry.
    ///
    /// # Errors
    /// The chain is full and no overflow bucket is left: give a chunk to [`Self::add_overflow`].
    pub(super) fn insert(
        &mut self,
        index: &Index,
        arena: &Arena,
        hash: KeyHash,
        offset: Offset,
    ) -> Result<(), NeedsChunk> {
        let number = bucket_of(hash, index.bucket_count.load(Ordering::Relaxed));
        self.place(
            index,
            arena,
            number,
            tag(hash) | (offset.0 / ALIGN_BYTES as u64),
        )?;
        self.entry_count += 1;
        Ok(())
    }

    /// Publishes another entry of the same key in the place of the one found: no reader can miss
    /// the key in between.
    pub(super) fn replace(found: &Found<'_>, offset: Offset) {
        let tag = found.slot.load(Ordering::Relaxed) & !OFFSET_MASK;
        found
            .slot
            .store(tag | (offset.0 / ALIGN_BYTES as u64), Ordering::Release);
    }

    /// Unlinks an entry.
    pub(super) fn remove(&mut self, found: &Found<'_>) {
        found.slot.store(0, Ordering::Release);
        self.entry_count -= 1;
    }

    /// Whether the table is loaded enough to grow by a bucket.
    pub(super) fn wants_to_grow(&self, index: &Index) -> bool {
        let bucket_count = index.bucket_count.load(Ordering::Relaxed);
        self.entry_count * 16 > bucket_count * LOAD_MAX_SIXTEENTHS
    }

    /// Whether the next bucket has memory.
    pub(super) fn has_room_to_grow(&self, index: &Index) -> bool {
        index.bucket_count.load(Ordering::Relaxed) < self.primary_chunks << index.chunk_buckets_log2
    }

    /// Hands over a segment for more primary buckets.
    pub(super) fn add_primary(&mut self, index: &Index, segment: u32) {
        index.primary[self.primary_chunks as usize].store(segment, Ordering::Relaxed);
        self.primary_chunks += 1;
    }

    /// Hands over a segment for more overflow buckets.
    pub(super) fn add_overflow(&mut self, index: &Index, segment: u32) {
        index.overflow[self.overflow_chunks as usize].store(segment, Ordering::Relaxed);
        self.overflow_chunks += 1;
    }

    /// Adds one bucket and moves the entries that belong there. `hash_of` gives an entry's hash.
    ///
    /// # Errors
    /// As [`Self::insert`]; the table is then as it was.
    pub(super) fn grow(
        &mut self,
        index: &Index,
        arena: &Arena,
        mut hash_of: impl FnMut(Offset) -> KeyHash,
    ) -> Result<(), NeedsChunk> {
        let bucket_count = index.bucket_count.load(Ordering::Relaxed);
        debug_assert!(self.has_room_to_grow(index));
        let overflow_used = self.overflow_used;
        let (old, new) = (bucket_count - (1 << bucket_count.ilog2()), bucket_count);
        clear(index.primary_bucket(arena, new));
        let mut is_moving =
            |bits: u64| bits != 0 && bucket_of(hash_of(offset_of(bits)), bucket_count + 1) == new;
        for bucket in index.chain(arena, old) {
            for slot in &bucket.slots {
                let bits = slot.load(Ordering::Relaxed);
                if is_moving(bits) && self.place(index, arena, new, bits).is_err() {
                    // The new bucket is not counted in yet, so no reader knows the chain that it took.
                    self.overflow_used = overflow_used;
                    return Err(NeedsChunk);
                }
            }
        }
        index
            .bucket_count
            .store(bucket_count + 1, Ordering::Release);
        for bucket in index.chain(arena, old) {
            for slot in &bucket.slots {
                if is_moving(slot.load(Ordering::Relaxed)) {
                    slot.store(0, Ordering::Release);
                }
            }
        }
        Ok(())
    }

    fn place(
        &mut self,
        index: &Index,
        arena: &Arena,
        number: u64,
        bits: u64,
    ) -> Result<(), NeedsChunk> {
        let mut last = None;
        for bucket in index.chain(arena, number) {
            if let Some(slot) = bucket.slots.iter().find(|s| s.load(Ordering::Relaxed) == 0) {
                slot.store(bits, Ordering::Release);
                return Ok(());
            }
            last = Some(bucket);
        }
        if self.overflow_used == self.overflow_chunks << index.chunk_buckets_log2 {
            return Err(NeedsChunk);
        }
        let number = self.overflow_used;
        self.overflow_used += 1;
        let bucket = index.overflow_bucket(arena, number);
        clear(bucket);
        bucket.slots[0].store(bits, Ordering::Relaxed);
        if let Some(last) = last {
            last.link.store(number + 1, Ordering::Release);
        }
        Ok(())
    }
}

/// Buckets in recycled segments hold old bytes; no reader knows them yet.
fn clear(bucket: &Bucket) {
    for slot in bucket.slots.iter().chain([&bucket.link]) {
        slot.store(0, Ordering::Relaxed);
    }
}

/// The bucket that a hash belongs to when there are so many.
pub(super) fn bucket_of(hash: KeyHash, bucket_count: u64) -> u64 {
    let level = bucket_count.ilog2();
    let number = hash.0 & ((2 << level) - 1);
    if number < bucket_count {
        number
    } else {
        number & ((1 << level) - 1)
    }
}

fn tag(hash: KeyHash) -> u64 {
    hash.0 & !OFFSET_MASK
}

fn offset_of(bits: u64) -> Offset {
    Offset((bits & OFFSET_MASK) * ALIGN_BYTES as u64)
}

fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing architecturally and never faults.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(test)]
mod tests;
