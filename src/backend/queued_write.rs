//! What all queues of writes have in common: limits, what is to be done with a key, and how long a
//! server that hung may go on with what it had received.

use crate::spool::Operation;

/// Writes that a queue for one connection holds.
pub const WRITE_COUNT_MAX: usize = 65_536;

/// Bytes of keys and values that it holds: two items of the largest size there is, and for small
/// ones some seconds of a shard's writes.
pub const WRITE_BYTES_MAX: usize = 16 << 20;

/// Writes in flight on one backend connection.
pub(super) const SENT_COUNT_MAX: usize = 1_024;

/// Bytes of them after which no more are sent: they are in the connection's buffers once more.
pub(super) const SENT_BYTES_MAX: usize = 1 << 20;

/// Bytes of a request besides its key and value, about.
const REQUEST_BYTES: usize = 64;

/// Turns of a server's event loop that are waited for at least: some to accept, and to wake threads.
const FENCE_TURNS_MIN: usize = 8;

/// Buffers kept for reuse, and how long one may be: what one queue may keep is 4 MiB.
const SPARE_COUNT_MAX: usize = 1_024;
const SPARE_BYTES_MAX: usize = 4 << 10;

/// The queue is full: the write cannot be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// What is to be done with a key; the value of a set stands behind the key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Delete,
    Set { flags: u32, exptime: u64 },
}

impl Kind {
    pub(super) fn of(operation: Operation<'_>) -> Self {
        match operation {
            Operation::Delete => Self::Delete,
            Operation::Set { flags, exptime, .. } => Self::Set { flags, exptime },
        }
    }

    pub(super) fn operation(self, value: &[u8]) -> Operation<'_> {
        match self {
            Self::Delete => Operation::Delete,
            Self::Set { flags, exptime } => Operation::Set {
                flags,
                exptime,
                value,
            },
        }
    }
}

pub(super) fn value_of(operation: Operation<'_>) -> &[u8] {
    match operation {
        Operation::Delete => &[],
        Operation::Set { value, .. } => value,
    }
}

/// How often a server has to answer on a new connection until it has done what it had received on
/// one that was lost with these writes in flight. An event loop reads a part of each connection in
/// each of its turns: Redis 16 KiB, memcached 20 requests.
pub(super) fn fence_turns(sent_count: usize, sent_bytes: usize) -> u32 {
    let bytes = sent_bytes + REQUEST_BYTES * sent_count;
    let turns = FENCE_TURNS_MIN + bytes / (16 << 10) + sent_count / 20;
    u32::try_from(turns).unwrap_or(u32::MAX)
}

/// Buffers of writes that are gone.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<Vec<u8>>);

impl Spare {
    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn put(&mut self, mut bytes: Vec<u8>) {
        if self.0.len() < SPARE_COUNT_MAX && bytes.capacity() <= SPARE_BYTES_MAX {
            bytes.clear();
            self.0.push(bytes);
        }
    }
}
