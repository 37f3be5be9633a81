//! Byte buffers that are used again: a shard allocates none once it is warm.

use bytes::BytesMut;

/// Bytes of buffers of each kind kept for reuse; what is given back beyond is freed. It is part of
/// what a shard takes beside its store, so a burst of large values must not stay in it.
const FREE_BYTES_MAX: usize = 1 << 20;

/// Buffers of each kind that a shard starts with.
const START_COUNT: usize = 64;

/// A buffer that grew beyond this is freed rather than kept, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Capacity of a new buffer, in bytes: the replies of a usual pipeline.
const NEW_BYTES: usize = 4 * 1024;

/// A shard's stacks of free buffers.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    free: Vec<Vec<u8>>,
    free_bytes: usize,
    /// Buffers for the starts of requests, which are consumed from the front.
    free_inputs: Vec<BytesMut>,
    free_inputs_bytes: usize,
}

impl BufferPool {
    pub(super) fn new() -> Self {
        let mut pool = Self {
            free: Vec::with_capacity(FREE_BYTES_MAX / NEW_BYTES),
            free_inputs: Vec::with_capacity(FREE_BYTES_MAX / NEW_BYTES),
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
        parts.iter().for_each(|part| buffer.extend_from_slice(part));
        buffer
    }

    /// An empty buffer for received bytes.
    pub(super) fn take_input(&mut self) -> BytesMut {
        match self.free_inputs.pop() {
            Some(buffer) => {
                self.free_inputs_bytes -= buffer.capacity();
                buffer
            }
            None => BytesMut::with_capacity(NEW_BYTES),
        }
    }

    /// Gives an input buffer back, whatever is in it.
    pub(super) fn put_input(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        // What was consumed from the front comes back with this, without moving a byte.
        let is_whole = buffer.try_reclaim(NEW_BYTES);
        let bytes = buffer.capacity();
        let is_worth_keeping = is_whole && bytes <= KEPT_BYTES_MAX;
        if is_worth_keeping && self.free_inputs_bytes + bytes <= FREE_BYTES_MAX {
            self.free_inputs_bytes += bytes;
            self.free_inputs.push(buffer);
        }
    }

    /// Gives a buffer back, whatever is in it.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        let is_worth_keeping = (1..=KEPT_BYTES_MAX).contains(&bytes);
        if is_worth_keeping && self.free_bytes + bytes <= FREE_BYTES_MAX {
            buffer.clear();
            self.free_bytes += bytes;
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_taken_again() {
        let mut pool = BufferPool::new();
        let buffer = pool.copy(&[b"ab", b"c"]);
        assert_eq!(buffer, b"abc");
        let address = buffer.as_ptr();
        pool.put(buffer);
        let again = pool.take();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), address);
    }

    #[test]
    fn consumed_inputs_come_back_whole() {
        let mut pool = BufferPool::new();
        let mut input = pool.take_input();
        let capacity = input.capacity();
        input.extend_from_slice(b"half a request");
        bytes::Buf::advance(&mut input, 14);
        pool.put_input(input);
        assert_eq!(pool.take_input().capacity(), capacity);
        assert_eq!(pool.free_inputs.len(), START_COUNT - 1);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let mut pool = BufferPool::new();
        for _ in 0..2 * FREE_BYTES_MAX / KEPT_BYTES_MAX {
            pool.put(Vec::with_capacity(KEPT_BYTES_MAX));
            pool.put_input(BytesMut::with_capacity(KEPT_BYTES_MAX));
        }
        let kept_bytes: usize = pool.free.iter().map(Vec::capacity).sum();
        assert_eq!(kept_bytes, pool.free_bytes);
        assert!(kept_bytes <= FREE_BYTES_MAX);
        let kept_bytes: usize = pool.free_inputs.iter().map(BytesMut::capacity).sum();
        assert_eq!(kept_bytes, pool.free_inputs_bytes);
        assert!(kept_bytes <= FREE_BYTES_MAX);
    }

    #[test]
    fn giants_are_not_kept() {
        let mut pool = BufferPool::new();
        pool.put(Vec::with_capacity(KEPT_BYTES_MAX + 1));
        pool.put(Vec::new());
        assert_eq!(pool.free.len(), START_COUNT);
    }
}
