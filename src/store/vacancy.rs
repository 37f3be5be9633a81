//! Room where a value will lie that is still to come.
//!
//! A large value is dear to copy, so it may be received where it stays: as an entry at the end of a segment, with its
//! header and key written and its value open. Until the value is whole, the entry is like one that is gone: the index
//! does not name it, so no reader ever meets it, its bytes count as dead, and whoever walks the segment passes it by
//! its length. Then it is made a key's entry by naming it, if that is still a good place, and else copied from there as
//! any other value; or nothing becomes of it, and it is a hole like others.
//!
//! Somebody outside the turn, the kernel, writes there, whatever becomes of the key, the entry or the connection. So a
//! vacancy pins its segment (see `pins`): until it is dropped, the segment is not used again. Nor is it cleaned before
//! that: there is no memory in it to be had.

#![expect(unsafe_code, reason = "lends bytes of the arena, and writes headers")]

use std::sync::Arc;

use super::{
    Key, ShardStore,
    arena::Offset,
    deadline::UnixMs,
    entry::{NewEntry, OpenEntry},
    operation::{Applied, Operation},
    partition::Partition,
    segments::{Segments, Stream},
    writer::PartitionWriter,
};

/// Room for a value, and what has come of it; it stays where it is until this is dropped, on whichever thread.
///
/// Invariant: its segment is pinned, and its entry was handed out once, to this. The entry's bytes from `value_at` on
/// are nobody else's until all have come; from then on nobody writes to them.
#[derive(Debug)]
pub struct Vacancy {
    partition: Arc<Partition>,
    entry: Offset,
    /// Where the value begins, in bytes from the start of the entry.
    value_at: u32,
    value_bytes: u32,
    /// Bytes behind the value that are to come along with it, in what pads the entry.
    tail_bytes: u16,
    /// Flags that are 0 are there, too, so that there is something to pad.
    has_flags: bool,
    /// Bytes that have come, of the value and then of the tail.
    come: u32,
}

impl Vacancy {
    /// Bytes that are still to come.
    pub fn missing_bytes(&self) -> usize {
        (self.value_bytes + u32::from(self.tail_bytes) - self.come) as usize
    }

    /// Bytes that have come.
    pub fn come_bytes(&self) -> usize {
        self.come as usize
    }

    /// Bytes that come along behind the value.
    pub fn tail_bytes(&self) -> usize {
        self.tail_bytes.into()
    }

    /// What has come, of the value and then of what comes along behind it.
    pub fn parts(&self) -> (&[u8], &[u8]) {
        self.come()
            .split_at(self.come.min(self.value_bytes) as usize)
    }

    fn come(&self) -> &[u8] {
        // SAFETY: by the invariant nobody writes there but who borrows this mutably, and the segment is not used again.
        // All of an arena is initialized from the start.
        unsafe {
            self.partition
                .arena
                .bytes_at(self.start(), self.come as usize)
        }
    }

    /// Where the next bytes go; [`Self::advance`] says how many of them have come.
    pub fn room(&mut self) -> &mut [u8] {
        let start = self.start() + self.come as usize;
        let bytes = self.missing_bytes();
        // SAFETY: as in `come`; nobody else reads what has not come.
        unsafe { self.partition.arena.slice_at(start, bytes).as_mut() }
    }

    /// So many bytes have come.
    ///
    /// # Panics
    /// There is no room for them.
    pub fn advance(&mut self, bytes: usize) {
        let missing = self.missing_bytes();
        assert!(bytes <= missing, "{bytes} bytes into room for {missing}");
        self.come += bytes as u32;
    }

    /// Appends as many of these bytes as there is room for; how many.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.missing_bytes());
        self.room()[..count].copy_from_slice(&bytes[..count]);
        self.advance(count);
        count
    }

    /// Where the value begins, in bytes from the start of the arena.
    fn start(&self) -> usize {
        self.entry.0 as usize + self.value_at as usize
    }

    fn segment(&self) -> u32 {
        self.partition.arena.segment_of(self.entry)
    }
}

impl Drop for Vacancy {
    fn drop(&mut self) {
        self.partition.pins.unpin_vacancy(self.segment());
    }
}

impl ShardStore {
    /// Room for a value of so many bytes of a key that this shard owns, and for so many more that come along behind it
    /// if they fit into what pads the entry: up to four do, unless it has flags. `None` if there is no memory, too much
    /// is pinned, or it would be too large.
    pub fn reserve(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        flags: u32,
        (value_bytes, tail_bytes): (usize, usize),
    ) -> Option<Vacancy> {
        debug_assert!(self.owns(key.hash));
        if !self.fits(key.bytes.len(), value_bytes) || self.must_wait() {
            return None;
        }
        self.writer
            .reserve(now, key, flags, (value_bytes, tail_bytes))
    }

    /// As [`Self::apply`] with a value that has come whole, which stays where it is if that is still the place for it.
    pub fn apply_filled(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        operation: Operation,
        vacancy: Vacancy,
        old: &mut Vec<u8>,
    ) -> Applied {
        debug_assert!(self.owns(key.hash));
        let (value, _) = vacancy.parts();
        self.writer
            .change(now, key, operation, (value, Some(&vacancy)), old)
    }
}

impl PartitionWriter {
    fn reserve(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        flags: u32,
        (value_bytes, tail_bytes): (usize, usize),
    ) -> Option<Vacancy> {
        let partition = Arc::clone(&self.partition);
        if !partition.pins.has_room() {
            return None;
        }
        self.make_room(key.bytes.len() + value_bytes, now);
        let stream = self.likely_place(&partition, key);
        let mut entry = OpenEntry {
            key: key.bytes,
            flags,
            has_flags: false,
            value_bytes,
        };
        // Where the padding is too short, four bytes more make it longer.
        entry.has_flags = entry.padding_bytes() < tail_bytes;
        let has_tail = entry.padding_bytes() >= tail_bytes;
        let footprint_bytes = entry.footprint_bytes();
        let (segment, start) = self.segments.append_dead(stream, footprint_bytes)?;
        let offset = Segments::offset(&partition.arena, (segment, start));
        // SAFETY: `append_dead` handed out these bytes of an open segment once; an open segment was free before, so
        // by epochs and pins nobody reads or writes there.
        unsafe { entry.write(partition.arena.at(offset)) };
        // From here on the entry is whole to who walks the segment, whether or not it is pinned.
        if !partition.pins.pin_vacancy(segment) {
            return None;
        }
        Some(Vacancy {
            partition,
            entry: offset,
            value_at: entry.value_at() as u32,
            value_bytes: value_bytes as u32,
            tail_bytes: if has_tail { tail_bytes as u16 } else { 0 },
            has_flags: entry.has_flags,
            come: 0,
        })
    }

    /// Where a value of a key is most likely to go, once it is there.
    fn likely_place(&self, partition: &Partition, key: Key<'_>) -> Stream {
        if !self.evictor.has_queues() {
            return Stream::Fresh;
        }
        // SAFETY: the shard that has the writer is online, and what is found is not used after this.
        let there = unsafe { partition.find(key) }.map(|(slot, entry)| {
            let segment = partition.arena.segment_of(slot.offset);
            (self.segments.stream(segment), entry.uses())
        });
        self.evictor.likely_place(there)
    }

    /// Makes what a vacancy holds an entry that is alive, to be named, if it lies where it should: its segment is not
    /// being cleaned, is of the right stream and not so old that it would soon go. At most once, as who has the vacancy
    /// gives it away for this.
    #[inline(never)]
    pub(super) fn settle(
        &mut self,
        stream: Stream,
        entry: &NewEntry<'_>,
        vacancy: &Vacancy,
    ) -> Option<Offset> {
        let entry = &NewEntry {
            has_flags: vacancy.has_flags,
            ..*entry
        };
        let is_same = Arc::ptr_eq(&vacancy.partition, &self.partition)
            && entry.is_laid_out(vacancy.value_at as usize, vacancy.value_bytes as usize);
        let bytes = entry.footprint_bytes();
        if !is_same || !self.segments.revive(stream, vacancy.segment(), bytes) {
            return None;
        }
        // SAFETY: the header and key in front of the value are as long as they were when the vacancy was made, so this
        // stays in front of the value; the index has never named the entry, so nobody else reads or writes there.
        unsafe { entry.write_head(self.partition.arena.at(vacancy.entry)) };
        self.count_copy(entry);
        Some(vacancy.entry)
    }
}
