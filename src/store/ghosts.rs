//! Who has left lately: fingerprints of keys, in a table of fixed size.
//!
//! ```text
//! bucket, 64 bytes: [newest][.][.] … [oldest]     32 fingerprints of 16 bits; 0 = none
//! ```
//!
//! A bucket is a queue: what comes in pushes all others one place back, and the oldest out. As keys
//! spread evenly, all buckets together are about a queue of the whole. How far back one may look is
//! cut to as many keys as the policy wants to remember: by the buckets that are in use, so that each
//! has about [`WAYS_WANTED`], and by the places that are looked at in each. Another key has the same
//! fingerprint once in 2,000 look-ups.

use std::io;

use super::KeyHash;

/// Fingerprints in a bucket.
const WAYS: usize = 32;

/// Places of a bucket that are used, if there are buckets enough: some less than all, so that the
/// number of keys may grow by a half before the table is cut anew.
const WAYS_WANTED: usize = 20;

/// The same bounds for when it is cut anew.
const WAYS_KEPT_MIN: usize = 10;

#[repr(align(64))]
#[derive(Debug, Clone, Copy)]
struct Bucket([u16; WAYS]);
const _: () = assert!(size_of::<Bucket>() == BUCKET_BYTES);

/// What the table is made of, in bytes.
pub(super) const BUCKET_BYTES: usize = WAYS * size_of::<u16>();

/// Invariant: `1 <= buckets_used <= table.len()`, `ways <= WAYS`.
#[derive(Debug)]
pub(super) struct Ghosts {
    table: Box<[Bucket]>,
    buckets_used: usize,
    /// Places that are looked at.
    ways: usize,
}

impl Ghosts {
    /// A table that takes `bytes`, rounded down to whole buckets, one at least.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        Ok(Self {
            table: empty((bytes / BUCKET_BYTES).max(1))?,
            buckets_used: 1,
            ways: WAYS,
        })
    }

    /// Makes the table anew, so that its pages are on the NUMA node of the calling thread.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn populate(&mut self) -> io::Result<()> {
        self.table = empty(self.table.len())?;
        Ok(())
    }

    /// Looks back over `count` keys from here on, or as many as the table holds. If that is very
    /// different from before, what was remembered is lost.
    pub(super) fn look_back(&mut self, count: u64) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let bucket_count = self.table.len();
        let ways = count / self.buckets_used;
        let is_cramped = ways > WAYS && self.buckets_used < bucket_count;
        let is_sparse = ways < WAYS_KEPT_MIN && self.buckets_used > 1;
        if is_cramped || is_sparse {
            self.buckets_used = (count / WAYS_WANTED).clamp(1, bucket_count);
        }
        self.ways = count.div_ceil(self.buckets_used).min(WAYS);
    }

    /// Remembers a key that left.
    pub(super) fn put(&mut self, hash: KeyHash) {
        let Bucket(places) = &mut self.table[self.bucket(hash)];
        places.copy_within(..WAYS - 1, 1);
        places[0] = fingerprint(hash);
    }

    /// Whether a key left lately; it is forgotten.
    pub(super) fn take(&mut self, hash: KeyHash) -> bool {
        let fingerprint = fingerprint(hash);
        let Bucket(places) = &mut self.table[self.bucket(hash)];
        // All of a cache line is compared at once, which takes less than to stop at the right place.
        let found = (places.iter().enumerate()).fold(0_u32, |found, (place, other)| {
            found | u32::from(*other == fingerprint) << place
        });
        let place = found.trailing_zeros() as usize;
        let is_there = place < self.ways;
        if is_there {
            places[place] = 0;
        }
        is_there
    }

    fn bucket(&self, hash: KeyHash) -> usize {
        // The lower half, scaled (Lemire's reduction): the upper one has the fingerprint and the owner.
        let scaled = u64::from(hash.0 as u32) as u128 * self.buckets_used as u128;
        (scaled >> u32::BITS) as usize
    }
}

fn empty(bucket_count: usize) -> io::Result<Box<[Bucket]>> {
    let mut table = Vec::new();
    let reserved = table.try_reserve_exact(bucket_count);
    reserved.map_err(|_| io::ErrorKind::OutOfMemory)?;
    table.resize(bucket_count, Bucket([0; WAYS]));
    Ok(table.into_boxed_slice())
}

/// Never 0, which stands for nobody.
fn fingerprint(hash: KeyHash) -> u16 {
    ((hash.0 >> 32) as u16).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads test numbers over all bits.
    fn hash(number: u64) -> KeyHash {
        KeyHash(xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes()))
    }

    #[test]
    fn more_than_there_is_is_refused() {
        assert!(Ghosts::new(usize::MAX).is_err());
    }

    #[test]
    fn a_key_that_left_is_known_once() {
        let mut ghosts = Ghosts::new(1 << 16).unwrap();
        ghosts.look_back(1_000);
        assert!(!ghosts.take(hash(1)));
        ghosts.put(hash(1));
        assert!(ghosts.take(hash(1)));
        assert!(!ghosts.take(hash(1)));
        ghosts.put(hash(2));
        ghosts.populate().unwrap();
        assert!(!ghosts.take(hash(2)));
    }

    /// The share of the keys from `newest - end` to `newest - start` that are known.
    fn known_percent(ghosts: &Ghosts, newest: u64, (start, end): (u64, u64)) -> u64 {
        let places = |hash| {
            let Bucket(places) = &ghosts.table[ghosts.bucket(hash)];
            &places[..ghosts.ways]
        };
        let is_known = |hash| places(hash).contains(&fingerprint(hash));
        let known = (newest - end..newest - start).filter(|number| is_known(hash(*number)));
        known.count() as u64 * 100 / (end - start)
    }

    #[test]
    fn looks_back_over_about_as_many_keys_as_it_is_told() {
        for count in [500, 3_000, 20_000] {
            // Room for 32,768.
            let mut ghosts = Ghosts::new(1 << 16).unwrap();
            ghosts.look_back(count);
            (0..200_000).for_each(|number| ghosts.put(hash(number)));
            let known = |range| known_percent(&ghosts, 200_000, range);
            assert!(known((0, count / 2)) >= 97, "{count}");
            assert!(known((0, count)) >= 85, "{count}");
            assert!(known((count * 2, count * 3)) <= 3, "{count}");
            assert!(known((count * 4, count * 5)) <= 1, "{count}");
        }
    }

    #[test]
    fn a_small_table_holds_what_it_can() {
        let mut ghosts = Ghosts::new(1 << 12).unwrap();
        ghosts.look_back(u64::MAX);
        (0..100_000).for_each(|number| ghosts.put(hash(number)));
        assert_eq!(ghosts.ways, WAYS);
        assert!(known_percent(&ghosts, 100_000, (0, 1_000)) >= 97);
        assert!(known_percent(&ghosts, 100_000, (4_000, 10_000)) <= 2);
    }

    #[test]
    fn a_few_more_or_less_keys_forget_nothing() {
        let mut ghosts = Ghosts::new(1 << 16).unwrap();
        ghosts.look_back(10_000);
        let buckets_used = ghosts.buckets_used;
        for count in [10_500, 15_000, 6_000] {
            ghosts.look_back(count);
            assert_eq!(ghosts.buckets_used, buckets_used, "{count}");
        }
        ghosts.look_back(20_000);
        assert_eq!(ghosts.buckets_used, 1_000);
        ghosts.look_back(0);
        assert_eq!((ghosts.buckets_used, ghosts.ways), (1, 0));
        ghosts.put(hash(1));
        assert!(!ghosts.take(hash(1)));
    }
}
