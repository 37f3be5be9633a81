//! Byte buffers that are used again: a shard allocates none once it is warm.

/// Buffers kept for reuse; more are freed.
const FREE_COUNT_MAX: usize = 1024;

/// A buffer that grew beyond this is freed rather than kept, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Capacity of a new buffer, in bytes: the replies of a usual pipeline.
const NEW_BYTES: usize = 4 * 1024;

/// A shard's stack of free buffers.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    free: Vec<Vec<u8>>,
}

impl BufferPool {
    pub(super) fn new() -> Self {
        Self {
            free: Vec::with_capacity(FREE_COUNT_MAX),
        }
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
    fn giants_are_not_kept() {
        let mut pool = BufferPool::new();
        pool.put(Vec::with_capacity(KEPT_BYTES_MAX + 1));
        pool.put(Vec::new());
        assert!(pool.free.is_empty());
    }
}
