//! The store itself, behind the same trait.

use std::io;

use ringfort::store::{
    Condition, Deadline, Eviction, Expiry, KeyHasher, Operation, ShardStore, Stamp, StoreParams,
    UnixMs, build,
};

use crate::policy::{Policy, Request};

const KEY_BYTES: usize = 16;
const ITEM_BYTES_MAX: usize = 4096;
const START: UnixMs = UnixMs(1_800_000_000_000);
/// As often as a shard does.
const TICK_MS: u64 = 100;

/// Bytes of a key and a value together.
pub(crate) fn pair_bytes(value_bytes: usize) -> usize {
    KEY_BYTES + value_bytes
}

/// One partition, whose owner is the only shard.
pub(crate) struct Ours {
    store: ShardStore,
    /// A millisecond passes with each request.
    now: UnixMs,
    value: Vec<u8>,
    old: Vec<u8>,
}

impl Ours {
    /// # Errors
    /// The memory is not to be had, or is less than a partition works with.
    pub(crate) fn new(
        memory_bytes: usize,
        value_bytes_max: usize,
        eviction: Eviction,
    ) -> io::Result<Self> {
        let params = StoreParams {
            shard_count: 1,
            partition_bytes: memory_bytes,
            item_bytes_max: ITEM_BYTES_MAX,
            eviction,
        };
        let mut store = build(&params, KeyHasher::new(1))?.remove(0);
        store.online();
        Ok(Self {
            store,
            now: START,
            value: vec![b'v'; value_bytes_max],
            old: Vec::new(),
        })
    }

    pub(crate) fn entry_count(&self) -> u32 {
        self.store.stats().entry_count as u32
    }
}

impl Policy for Ours {
    fn request(
        &mut self,
        Request {
            key,
            value_bytes,
            life,
        }: Request,
    ) -> bool {
        let bytes = name(key);
        let key = self.store.hasher().key(&bytes);
        self.now.0 += 1;
        let is_hit = self.store.get(key, self.now).is_some();
        if !is_hit {
            let operation = Operation::Set {
                flags: 0,
                expiry: Expiry::Until(life.map_or(Deadline::NEVER, |life| {
                    Deadline::at(UnixMs(self.now.0 + u64::from(life)))
                })),
                condition: Condition::Always,
                stamp: Stamp::default(),
                wants_old: false,
            };
            let value = &self.value[..value_bytes];
            self.store
                .apply(self.now, key, operation, value, &mut self.old);
        }
        if self.now.0.is_multiple_of(TICK_MS) {
            self.store.tick(self.now);
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
        let mut ours = Ours::new(1 << 20, 100, Eviction::Lru).unwrap();
        let mut ask = |key| {
            ours.request(Request {
                key,
                value_bytes: 100,
                life: None,
            })
        };
        assert!(!ask(1));
        assert!(ask(1));
        (1_000..50_000).for_each(|key| {
            ask(key);
        });
        assert!(!ask(1));
        assert!(ours.entry_count() > 1_000);
    }

    #[test]
    fn what_ends_is_over() {
        let mut ours = Ours::new(1 << 20, 100, Eviction::S3Fifo).unwrap();
        let mut ask = |key| {
            ours.request(Request {
                key,
                value_bytes: 100,
                life: Some(3),
            })
        };
        let hits = [1, 1, 1, 1, 1].map(&mut ask);
        assert_eq!(hits, [false, true, true, false, true]);
    }
}
