//! `store_cost`: what a look-up and a set of the store cost in instructions, however many shards there are.
//!
//! Nanoseconds of a machine with few cores say nothing of one with many; instructions do. One thread plays all shards,
//! so what is counted is the code's part, not what cores take from each other's caches:
//!
//! ```text
//! cargo build --release -p ringfort-bench --example store_cost
//! for count in 100000 1100000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!         target/release/examples/store_cost --shards 64 --what get --requests $count
//! done   # the difference of the two, divided by a million, is the cost of one
//! ```

use std::io;

use clap::{Parser, ValueEnum};
use ringfort::store::{
    Condition, Deadline, Eviction, Expiry, KeyHasher, Operation, Outcome, ShardStore, Stamp,
    StoreParams, UnixMs, build,
};

/// Keys that are stored and asked for.
const KEYS: u32 = 100_000;
const MEMORY_BYTES: usize = 256 << 20;
/// So little that it is full before the first of 100,000 new keys comes.
const FULL_MEMORY_BYTES: usize = 8 << 20;
/// Requests between two quiescent points of all shards: so many that these do not count.
const TURN: u32 = 10_000;
/// The same where memory that came free is needed soon.
const FULL_TURN: u32 = 100;
const NOW: UnixMs = UnixMs(1_800_000_000_000);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Look-ups by one shard, in the memory of all.
    Get,
    /// Sets by the owner of each key.
    Set,
    /// Sets of new keys, each of which makes another one leave.
    New,
}

/// Does so many look-ups or sets.
#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: u16,

    #[arg(long, value_enum)]
    what: What,

    /// Which eviction: lru or s3fifo
    #[arg(long, default_value = "lru", value_parser = eviction)]
    eviction: Eviction,

    #[arg(long, default_value_t = 1_000_000)]
    requests: u32,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let (memory_bytes, turn) = match args.what {
        What::Get | What::Set => (MEMORY_BYTES, TURN),
        What::New => (FULL_MEMORY_BYTES, FULL_TURN),
    };
    let params = StoreParams {
        shard_count: usize::from(args.shards),
        partition_bytes: memory_bytes / usize::from(args.shards),
        item_bytes_max: 4096,
        eviction: args.eviction,
    };
    let mut stores = build(&params, KeyHasher::new(1))?;
    stores.iter_mut().for_each(ShardStore::online);
    for number in 0..KEYS {
        set(&mut stores, number);
        if number.is_multiple_of(turn) {
            stores.iter_mut().for_each(ShardStore::quiescent);
        }
    }
    let mut done = 0_u32;
    for number in 0..args.requests {
        // Neighbours in this order are no neighbours in memory.
        let key = number.wrapping_mul(2_654_435_761) % KEYS;
        done += u32::from(match args.what {
            What::Get => is_there(&stores[0], key),
            What::Set => set(&mut stores, key),
            What::New => set(&mut stores, KEYS + number),
        });
        if number.is_multiple_of(turn) {
            stores.iter_mut().for_each(ShardStore::quiescent);
        }
    }
    if done != args.requests {
        return Err(io::Error::other(format!(
            "{done} of {} found or stored",
            args.requests
        )));
    }
    Ok(())
}

fn eviction(text: &str) -> Result<Eviction, String> {
    text.parse().map_err(|()| "lru or s3fifo".to_owned())
}

fn is_there(store: &ShardStore, number: u32) -> bool {
    let bytes = name(number);
    store.get(store.hasher().key(&bytes), NOW).is_some()
}

fn set(stores: &mut [ShardStore], number: u32) -> bool {
    let bytes = name(number);
    let hash = stores[0].hasher().hash(&bytes);
    let owner = hash.owner(stores.len());
    let store = &mut stores[owner];
    let operation = Operation::Set {
        flags: 0,
        expiry: Expiry::Until(Deadline::NEVER),
        condition: Condition::Always,
        stamp: Stamp::default(),
        wants_old: false,
    };
    let key = store.hasher().key(&bytes);
    let applied = store.apply(NOW, key, operation, &[b'v'; 64], &mut Vec::new());
    matches!(applied.outcome, Outcome::Stored { .. })
}

fn name(number: u32) -> [u8; 16] {
    let mut name = *b"key:000000000000";
    name[12..].copy_from_slice(&number.to_be_bytes());
    name
}
