//! Byte buffers that are used again: a shard allocates none once it is warm.

use bytes::BytesMut;

/// Buffers kept for reuse; more are freed.
const FREE_COUNT_MAX: usize = 1024;

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
    /// Buffers for the starts of requests, which are consumed from the front.
    free_inputs: Vec<BytesMut>,
}

impl BufferPool {
    pub(super) fn new() -> Self {
        let mut pool = Self {
            free: Vec::with_capacity(FREE_COUNT_MAX),
            free_inputs: Vec::with_capacity(FREE_COUNT_MAX),
        };
        for _ in 0..START_COUNT {
            pool.put(Vec::with_capacity(NEW_BYTES));
            pool.put_input(BytesMut::with_capacity(NEW_BYTES));
        }
        pool
    }

    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.free
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(NEW_BYTES))
    }

    /// A buffer with a copy of `parts`.
    pub(super) fn copy(&mut self, parts: &[&[u8]]) -> Vec<u8> {
        let mut buffer = self.take();
        parts.iter().for_each(|part| buffer.extend_from_slice(part));
        buffer
    }

    /// An empty buffer for received bytes.
    pub(super) fn take_input(&mut self) -> BytesMut {
        self.free_inputs
            .pop()
            .unwrap_or_else(|| BytesMut::with_capacity(NEW_BYTES))
    }

    /// Gives an input buffer back, whatever is in it.
    pub(super) fn put_input(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        // What was consumed from the front comes back with this, without moving a byte.
        let is_whole = buffer.try_reclaim(NEW_BYTES);
        let is_worth_keeping = is_whole && buffer.capacity() <= KEPT_BYTES_MAX;
        if is_worth_keeping && self.free_inputs.len() < FREE_COUNT_MAX {
            self.free_inputs.push(buffer);
        }
    }

    /// Gives a buffer back, whatever is in it.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        let is_worth_keeping = (1..=KEPT_BYTES_MAX).contains(&buffer.capacity());
        if is_worth_keeping && self.free.len() < FREE_COUNT_MAX {
            buffer.clear();
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
    fn giants_are_not_kept() {
        let mut pool = BufferPool::new();
        pool.put(Vec::with_capacity(KEPT_BYTES_MAX + 1));
        pool.put(Vec::new());
        assert_eq!(pool.free.len(), START_COUNT);
    }
}
