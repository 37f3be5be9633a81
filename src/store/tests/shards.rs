//! Several shards on one store: what they see of each other, and when they wait.

use super::*;

#[test]
fn every_shard_reads_what_the_owner_wrote() {
    let params = StoreParams {
        shard_count: 3,
        partition_bytes: MIB,
        item_bytes_max: 4096,
        key_bytes_max: 250,
    };
    let mut stores = build(&params, KeyHasher::new(1)).unwrap();
    stores.iter_mut().for_each(ShardStore::online);
    let now = UnixMs(0);
    for number in 0..300_u32 {
        let key = number.to_le_bytes();
        let owner = stores[0].owner(stores[0].hasher().hash(&key));
        set(&mut stores[owner], now, &key, &key);
        for store in &stores {
            assert_eq!(value(store, now, &key).as_deref(), Some(&key[..]));
        }
    }
    assert_eq!(stores[0].stats().entry_count, 300);
}

#[test]
fn a_shard_in_a_long_turn_costs_time_not_writes() {
    let params = StoreParams {
        shard_count: 2,
        partition_bytes: MIB,
        item_bytes_max: 4096,
        key_bytes_max: 250,
    };
    let mut stores = build(&params, KeyHasher::new(7)).unwrap();
    let mut reader = stores.pop().unwrap();
    let mut writer = stores.pop().unwrap();
    reader.online();
    writer.online();
    let hasher = writer.hasher();
    let mut keys = (0_u32..)
        .map(u32::to_le_bytes)
        .filter(|key| hasher.hash(key).owner(2) == 0);
    // Many times the memory, by a writer that ends its turns and a reader that does so only when
    // the writer cannot go on.
    let mut wait_count = 0;
    for _ in 0..20_000 {
        if writer.must_wait() {
            reader.quiescent();
            wait_count += 1;
            assert!(!writer.must_wait(), "everybody has ended a turn");
        }
        let key = keys.next().unwrap();
        let outcome = set(&mut writer, UnixMs(0), &key, &[b'v'; 1000]);
        assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
    }
    assert!(wait_count > 0, "the reader was never in the way");
}
