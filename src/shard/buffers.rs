//! Byte buffers that are used again: a shard allocates none once it is warm.
//!
//! Small and large ones are kept apart, so that whoever wants room for a line does not get hold of a
//! megabyte. A large one that is freed goes back to the kernel, which takes and clears its pages anew
//! for the next one, and that costs more than to copy a value into it; so a few are kept.

use bytes::{BufMut, BytesMut};

use crate::io::{Inlay, Outgoing};

/// Bytes of small buffers of each kind kept for reuse; what is given back beyond is freed. It is part of
/// what a shard takes beside its store, so a burst must not stay in it.
const FREE_BYTES_MAX: usize = 1 << 20;

/// Bytes of large buffers of both kinds kept for reuse: two that hold a value of 1 MiB. Connections
/// that take turns hand them on; what is larger than all of this is not kept.
const LARGE_FREE_BYTES_MAX: usize = 3 << 20;

/// Those of a shard with little memory are no more than one part of it in so many, as they come on top of
/// what it takes in any case.
const LARGE_FREE_SHARE: usize = 32;

/// Buffers of each kind that a shard starts with.
const START_COUNT: usize = 64;

/// Capacity beyond which a buffer is a large one, in bytes.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// The capacity of a large buffer is a multiple of this, in bytes, so that it serves for values of
/// about the same size. Pages that are not written to take no memory.
const LARGE_STEP_BYTES: usize = 256 * 1024;

/// Capacity of a new buffer, in bytes: the replies of a usual pipeline.
const NEW_BYTES: usize = 4 * 1024;

/// A request that is coming in gets room for so many times what there is of it, at most, or for as much
/// as its client has sent in one before: who announces much has to send some of it.
const INPUT_GROWTH_MAX: usize = 4;

/// Lists of values kept for reuse: as many sends of large values as are in flight at a time.
const FREE_INLAYS_MAX: usize = 256;

/// What is known of a request that is coming in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    /// Bytes that it will have, as far as is known.
    pub(super) want: usize,
    /// Bytes of the longest request that came from there lately.
    pub(super) proven: usize,
}

/// A shard's stacks of free buffers.
///
/// Invariant: `free_bytes`, `free_inputs_bytes` and, for both stacks of large ones, `large_bytes` are
/// the sums of their capacities.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    free: Vec<Vec<u8>>,
    free_bytes: usize,
    /// Buffers for the starts of requests, which are consumed from the front.
    free_inputs: Vec<BytesMut>,
    free_inputs_bytes: usize,
    large: Vec<Vec<u8>>,
    large_inputs: Vec<BytesMut>,
    large_bytes: usize,
    large_bytes_max: usize,
    /// Lists of values that were sent from where they lay.
    free_inlays: Vec<Vec<Inlay>>,
}

impl BufferPool {
    /// The buffers of a shard that has so much memory, in bytes.
    pub(super) fn new(memory_bytes: usize) -> Self {
        let mut pool = Self {
            large_bytes_max: LARGE_FREE_BYTES_MAX.min(memory_bytes / LARGE_FREE_SHARE),
            free: Vec::with_capacity(FREE_BYTES_MAX / NEW_BYTES),
            free_inputs: Vec::with_capacity(FREE_BYTES_MAX / NEW_BYTES),
            large: Vec::with_capacity(LARGE_FREE_BYTES_MAX / SMALL_BYTES_MAX),
            large_inputs: Vec::with_capacity(LARGE_FREE_BYTES_MAX / SMALL_BYTES_MAX),
            ..Self::default()
        };
        for _ in 0..START_COUNT {
            pool.put(Vec::with_capacity(NEW_BYTES));
            pool.put_input(BytesMut::with_capacity(NEW_BYTES));
        }
        pool
    }

    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        match self.free.pop() {
            Some(buffer) => {
                self.free_bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(NEW_BYTES),
        }
    }

    /// A buffer with a copy of `parts`.
    pub(super) fn copy(&mut self, parts: &[&[u8]]) -> Vec<u8> {
        let mut buffer = self.take();
        self.make_room(&mut buffer, parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| buffer.extend_from_slice(part));
        buffer
    }

    /// Puts a large buffer in the place of one that so many bytes more would make a large one. To be
    /// called before they are appended; for fewer bytes it does nothing.
    #[inline]
    pub(super) fn make_room(&mut self, buffer: &mut Vec<u8>, bytes: usize) {
        let wanted = buffer.len() + bytes;
        if wanted > SMALL_BYTES_MAX && wanted > buffer.capacity() {
            self.enlarge(buffer, wanted);
        }
    }

    #[cold]
    fn enlarge(&mut self, buffer: &mut Vec<u8>, wanted: usize) {
        let is_enough = |large: &Vec<u8>| large.capacity() >= wanted;
        let mut large = if let Some(kept) = self.large.iter().rposition(is_enough) {
            let large = self.large.swap_remove(kept);
            self.large_bytes -= large.capacity();
            large
        } else if buffer.capacity() > SMALL_BYTES_MAX {
            // The allocator moves its pages rather than what is in them.
            return buffer.reserve(wanted - buffer.len());
        } else {
            Vec::with_capacity(wanted.next_multiple_of(LARGE_STEP_BYTES))
        };
        large.extend_from_slice(buffer);
        self.put(std::mem::replace(buffer, large));
    }

    /// An empty buffer for `len` bytes of a request that will have `want`: of about the size that it needs, or that
    /// they do if a large one takes its place. Who has sent little and keeps it for long is not to have one that
    /// has grown for much.
    pub(super) fn take_input(&mut self, len: usize, want: usize) -> BytesMut {
        let bytes = if want > SMALL_BYTES_MAX { len } else { want };
        let bytes = bytes.max(len).max(NEW_BYTES);
        let fits = |free: &BytesMut| (bytes..=2 * bytes).contains(&free.capacity());
        match self.free_inputs.iter().rposition(fits) {
            Some(place) => {
                let buffer = self.free_inputs.swap_remove(place);
                self.free_inputs_bytes -= buffer.capacity();
                buffer
            }
            None => BytesMut::with_capacity(bytes),
        }
    }

    /// Appends received bytes to what there is of a request.
    pub(super) fn append_input(
        &mut self,
        input: &mut BytesMut,
        bytes: &[u8],
        announced: Announced,
    ) {
        let len = input.len() + bytes.len();
        if len > input.capacity() {
            self.enlarge_input(input, len, announced);
        }
        input.put_slice(bytes);
    }

    /// Bytes of large buffers that are kept.
    pub(super) fn large_bytes_max(&self) -> usize {
        self.large_bytes_max
    }

    /// Bytes of the buffer that a request of so many gets in the end; none if that is a small one.
    pub(super) fn large_bytes(want: usize) -> Option<usize> {
        (want > SMALL_BYTES_MAX).then(|| want.next_multiple_of(LARGE_STEP_BYTES))
    }

    /// Bytes that a request may get of which so many have come, from who has sent so many in one.
    pub(super) fn room_max(len: usize, proven: usize) -> usize {
        (INPUT_GROWTH_MAX * len).max(proven)
    }

    /// Makes room behind what there is of a request, of which something is missing: for all of that, or
    /// for some.
    pub(super) fn make_room_for_rest(&mut self, input: &mut BytesMut, announced: Announced) {
        let Announced { want, proven } = announced;
        let len = input.len() + 1;
        let room = want.min(Self::room_max(len, proven));
        if room >= 2 * input.capacity() || len > input.capacity() {
            self.enlarge_input(input, len, announced);
        }
    }

    /// Makes an input hold `len` bytes, of those that will come.
    fn enlarge_input(&mut self, input: &mut BytesMut, len: usize, announced: Announced) {
        let want = announced.want.max(len);
        if want > SMALL_BYTES_MAX {
            let is_enough = |large: &BytesMut| large.capacity() >= want;
            if let Some(kept) = self.large_inputs.iter().rposition(is_enough) {
                let mut large = self.large_inputs.swap_remove(kept);
                self.large_bytes -= large.capacity();
                large.put_slice(input);
                return self.put_input(std::mem::replace(input, large));
            }
        }
        let wanted = if want > SMALL_BYTES_MAX {
            want.next_multiple_of(LARGE_STEP_BYTES)
        } else {
            want
        };
        let room_max = Self::room_max(len, announced.proven);
        input.reserve(wanted.min(room_max).max(len) - input.len());
    }

    /// Moves the little that is left in a large input, of which so many bytes have just been consumed,
    /// to a small one: what a connection holds is to be in proportion to what it has sent and not got
    /// an answer to.
    pub(super) fn shrink_input(&mut self, input: &mut BytesMut, consumed: usize) {
        if consumed + input.capacity() > SMALL_BYTES_MAX && input.len() <= SMALL_BYTES_MAX {
            let mut small = self.take_input(input.len(), input.len());
            small.extend_from_slice(input);
            self.put_input(std::mem::replace(input, small));
        }
    }

    /// Gives an input buffer back, whatever is in it.
    pub(super) fn put_input(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        // What was consumed from the front, if anything was, comes back with this without moving a byte.
        let _ = buffer.try_reclaim(buffer.capacity() + 1);
        let bytes = buffer.capacity();
        if bytes > SMALL_BYTES_MAX {
            if self.has_room_for_large(bytes, Kind::Input) {
                self.large_bytes += bytes;
                self.large_inputs.push(buffer);
            }
        } else if bytes >= NEW_BYTES {
            // As they are taken by size, one of a size that is used now comes in the place of those kept for longest.
            let mut longest = 0;
            while self.free_inputs_bytes + bytes > FREE_BYTES_MAX {
                self.free_inputs_bytes -= self.free_inputs[longest].capacity();
                longest += 1;
            }
            self.free_inputs.drain(..longest);
            self.free_inputs_bytes += bytes;
            self.free_inputs.push(buffer);
        }
    }

    /// Gives a buffer back, whatever is in it.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        buffer.clear();
        if bytes > SMALL_BYTES_MAX {
            if self.has_room_for_large(bytes, Kind::Output) {
                self.large_bytes += bytes;
                self.large.push(buffer);
            }
        } else if bytes > 0 && self.free_bytes + bytes <= FREE_BYTES_MAX {
            self.free_bytes += bytes;
            self.free.push(buffer);
        }
    }

    /// An empty list of values that are sent from where they lie.
    pub(super) fn take_inlays(&mut self) -> Vec<Inlay> {
        self.free_inlays.pop().unwrap_or_default()
    }

    /// Gives back what was sent, whatever is in it.
    pub(super) fn put_output(&mut self, output: Outgoing) {
        let Outgoing { bytes, mut inlays } = output;
        self.put(bytes);
        inlays.clear();
        if inlays.capacity() > 0 && self.free_inlays.len() < FREE_INLAYS_MAX {
            self.free_inlays.push(inlays);
        }
    }

    /// Whether a large buffer can be kept. Those of the other kind give way: what is given back now is
    /// what is used now.
    fn has_room_for_large(&mut self, bytes: usize, kind: Kind) -> bool {
        if bytes > self.large_bytes_max {
            return false;
        }
        while self.large_bytes + bytes > self.large_bytes_max {
            let freed_bytes = match kind {
                Kind::Input => self.large.pop().map(|large| large.capacity()),
                Kind::Output => self.large_inputs.pop().map(|large| large.capacity()),
            };
            let Some(freed_bytes) = freed_bytes else {
                return false;
            };
            self.large_bytes -= freed_bytes;
        }
        true
    }
}

/// What a buffer is for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Input,
    Output,
}

#[cfg(test)]
mod tests;
