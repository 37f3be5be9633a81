//! The store itself, behind the same trait.

use std::io;

use ringfort::store::{
    Condition, Deadline, Expiry, KeyHasher, Operation, ShardStore, Stamp, StoreParams, UnixMs,
    build,
};

use crate::policy::Policy;

const KEY_BYTES: usize = 16;
const ITEM_BYTES_MAX: usize = 4096;
const NOW: UnixMs = UnixMs(1_700_000_000_000);

/// Bytes of a key and a value together.
pub(crate) fn pair_bytes(value_bytes: usize) -> usize {
    KEY_BYTES + value_bytes
}

/// One partition, whose owner is the only shard.
pub(crate) struct Ours {
    store: ShardStore,
    value: Vec<u8>,
    old: Vec<u8>,
}

impl Ours {
    /// # Errors
    /// The memory is not to be had, or is less than a partition works with.
    pub(crate) fn new(memory_bytes: usize, value_bytes: usize) -> io::Result<Self> {
        let params = StoreParams {
            shard_count: 1,
            partition_bytes: memory_bytes,
            item_bytes_max: ITEM_BYTES_MAX,
        };
        let mut store = build(&params, KeyHasher::new(1))?.remove(0);
        store.online();
        Ok(Self {
            store,
            value: vec![b'v'; value_bytes],
            old: Vec::new(),
        })
    }

    pub(crate) fn entry_count(&self) -> u32 {
        self.store.stats().entry_count as u32
    }
}

impl Policy for Ours {
    fn request(&mut self, key: u32) -> bool {
        let bytes = name(key);
        let key = self.store.hasher().key(&bytes);
        let is_hit = self.store.get(key, NOW).is_some();
        if !is_hit {
            let operation = Operation::Set {
                flags: 0,
                expiry: Expiry::Until(Deadline::NEVER),
                condition: Condition::Always,
                stamp: Stamp::default(),
                wants_old: false,
            };
            self.store
                .apply(NOW, key, operation, &self.value, &mut self.old);
        }
        // Each request is a turn of its own.
        self.store.quiescent();
        is_hit
    }
}

/// As the load generator names keys: a prefix and twelve digits.
fn name(key: u32) -> [u8; KEY_BYTES] {
    let mut name = *b"key:000000000000";
    let (mut rest, mut place) = (key, KEY_BYTES);
    while rest > 0 {
        place -= 1;
        name[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_names_of_their_own() {
        assert_eq!(&name(0), b"key:000000000000");
        assert_eq!(&name(u32::MAX), b"key:004294967295");
    }

    #[test]
    fn what_was_stored_is_there_until_memory_is_needed() {
        let mut ours = Ours::new(1 << 20, 100).unwrap();
        assert!(!ours.request(1));
        assert!(ours.request(1));
        (1_000..50_000).for_each(|key| {
            ours.request(key);
        });
        assert!(!ours.request(1));
        assert!(ours.entry_count() > 1_000);
    }
}
