//! Which entries go when memory is needed: the policies, on top of segments.
//!
//! Both go by whole segments, oldest first, and by the uses that reads have counted in the entries
//! since they were written to where they lie.
//!
//! * **LRU**: one queue. What was used has a second chance: it moves to the front of the queue, with
//!   no use. The rest goes. That is CLOCK, an approximation of LRU that needs no lists.
//! * **S3-FIFO** (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction",
//!   SOSP 2023): two queues. What is new goes to a small one, of a tenth of the memory. What was
//!   used twice by the time it gets to its end goes on to the main queue; the rest leaves after that
//!   short time, and its key is remembered (a ghost). Who is written again while it is remembered
//!   goes to the main queue at once. There, each use is worth another round. So what is asked for
//!   once, as by a scan, takes a tenth of the memory and never pushes out what is asked for often.
//!
//! ```text
//! new ------> Fresh --- used twice ---> Kept, Aged --- not used ---> gone
//!  |            \                       ^  |    ^
//!  |             `---> ghosts           |  `----' used: once more, with one use less
//!  `-- among the ghosts ---------------'
//! ```
//!
//! Alternatives that were left: W-TinyLFU keeps a little more of some loads, but counts each read in
//! a sketch that all shards would have to write to.

use std::io;

use super::{
    KeyHash,
    ghosts::{BUCKET_BYTES, Ghosts},
    segments::{Segments, Stream},
    used::USES_MAX,
};

/// How it is decided what goes when memory is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eviction {
    /// What was not used for longest: an approximation, CLOCK over segments.
    #[default]
    Lru,
    /// What was not used again soon, or seldom since.
    S3Fifo,
}

/// Share of the memory that new entries get before they must have been used. The paper's: less
/// throws out what would have been used, more keeps scans.
const FRESH_PERCENT: u64 = 10;

/// Uses from which on a new entry is kept. The paper's: one use soon after the write is often of the
/// same client.
const USES_TO_KEEP: u32 = 2;
const _: () = assert!(USES_TO_KEEP <= USES_MAX);

/// At most this share of a segment stays when it is evicted: when everything was used, the uses say
/// nothing, and memory must come free all the same.
const SECOND_CHANCE_PERCENT_MAX: u32 = 75;

/// The same for the main queue of S3-FIFO, where a use more or less does say something: the uses
/// wear off round by round.
const KEPT_PERCENT_MAX: u32 = 90;

/// The ghosts' part of a partition: 2 bytes for each 128, so that as many keys are remembered as
/// entries of 112 bytes, headers included, fit; of smaller ones some less.
const GHOSTS_SHARE: usize = 64;

impl Eviction {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::Lru, Self::S3Fifo];

    /// How an operator spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::S3Fifo => "s3fifo",
        }
    }

    /// What it is in the place of Redis' `maxmemory-policy`. Redis has no S3-FIFO.
    pub fn redis_name(self) -> &'static str {
        match self {
            Self::Lru => "allkeys-lru",
            Self::S3Fifo => "allkeys-s3fifo",
        }
    }

    /// Bytes that it needs of a partition beside the segments.
    pub(super) fn own_bytes(self, partition_bytes: usize) -> usize {
        match self {
            Self::Lru => 0,
            Self::S3Fifo => partition_bytes / GHOSTS_SHARE / BUCKET_BYTES * BUCKET_BYTES,
        }
    }

    /// Segments that it needs more than LRU: one that is open.
    pub(super) fn segment_count_more(self) -> usize {
        match self {
            Self::Lru => 0,
            Self::S3Fifo => 1,
        }
    }
}

/// Where an entry goes on, and with how many uses.
pub(super) type Place = (Stream, u32);

/// A policy with what it remembers.
#[derive(Debug)]
pub(super) enum Evictor {
    Lru,
    S3Fifo(Ghosts),
}

impl Evictor {
    /// # Errors
    /// There is not enough memory.
    pub(super) fn new(eviction: Eviction, own_bytes: usize) -> io::Result<Self> {
        Ok(match eviction {
            Eviction::Lru => Self::Lru,
            Eviction::S3Fifo => Self::S3Fifo(Ghosts::new(own_bytes)?),
        })
    }

    /// Makes its memory be on the NUMA node of the calling thread.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn populate(&mut self) -> io::Result<()> {
        match self {
            Self::Lru => Ok(()),
            Self::S3Fifo(ghosts) => ghosts.populate(),
        }
    }

    /// Whether it matters where what a client writes goes.
    #[inline]
    pub(super) fn has_queues(&self) -> bool {
        !matches!(self, Self::Lru)
    }

    /// Where what a client writes goes. `there` tells what it takes the place of: where that lies and
    /// its uses.
    pub(super) fn place_of_written(
        &mut self,
        hash: KeyHash,
        there: impl FnOnce() -> Option<Place>,
    ) -> Place {
        let Self::S3Fifo(ghosts) = self else {
            return (Stream::Fresh, 0);
        };
        match there() {
            None if ghosts.take(hash) => (Stream::Kept, 0),
            None => (Stream::Fresh, 0),
            Some(there) => place_of_rewritten(there),
        }
    }

    /// Where what a client is about to write will go, as far as that is known before: ghosts are not asked.
    pub(super) fn likely_place(&self, there: Option<Place>) -> Stream {
        match (self, there) {
            (Self::Lru, _) | (_, None) => Stream::Fresh,
            (Self::S3Fifo(_), Some(there)) => place_of_rewritten(there).0,
        }
    }

    /// The segment to evict from.
    pub(super) fn victim(&mut self, segments: &Segments, entry_count: u64) -> Option<u32> {
        let Self::S3Fifo(ghosts) = self else {
            return segments.oldest();
        };
        ghosts.look_back(entry_count * (100 - FRESH_PERCENT) / 100);
        let fresh_max = segments.capacity_bytes() * FRESH_PERCENT / 100;
        let fresh = segments.oldest_of(|stream| stream == Stream::Fresh);
        let kept = segments.oldest_of(|stream| stream != Stream::Fresh);
        if segments.live_bytes_of(Stream::Fresh) < fresh_max {
            kept.or(fresh)
        } else {
            fresh.or(kept)
        }
    }

    /// Where an entry goes on that lies in a segment to be evicted; nowhere if it has to leave.
    /// `has_room` says whether no more than so many per cent of the segment would have stayed.
    #[inline]
    pub(super) fn place_of_old(
        &self,
        (stream, uses): Place,
        has_room: impl FnOnce(u32) -> bool,
    ) -> Option<Place> {
        match (self, stream) {
            (Self::Lru, _) => {
                let stays = uses > 0 && has_room(SECOND_CHANCE_PERCENT_MAX);
                stays.then_some((Stream::Fresh, 0))
            }
            (Self::S3Fifo(_), Stream::Kept | Stream::Aged) => {
                let stays = uses > 0 && has_room(KEPT_PERCENT_MAX);
                stays.then(|| (Stream::Kept, uses - 1))
            }
            // All of a segment may go on: memory comes free in the main queue, then.
            (Self::S3Fifo(_), Stream::Fresh) => (uses >= USES_TO_KEEP).then_some((Stream::Kept, 0)),
        }
    }

    /// Where an entry goes that lies in a segment to be compacted: it stays in its queue.
    #[inline]
    pub(super) fn place_of_compacted(&self, (stream, uses): Place) -> Place {
        match (self, stream) {
            // What was read before the move says nothing of what is read after.
            (Self::Lru, _) => (Stream::Aged, 0),
            (Self::S3Fifo(_), Stream::Fresh) => (Stream::Fresh, uses),
            (Self::S3Fifo(_), Stream::Kept | Stream::Aged) => (Stream::Aged, uses),
        }
    }

    /// The streams that take what has no room where it belongs, in the order of preference.
    pub(super) fn streams(&self) -> &'static [Stream] {
        match self {
            Self::Lru => &[Stream::Fresh],
            Self::S3Fifo(_) => &[Stream::Kept, Stream::Fresh],
        }
    }

    /// An entry of a segment of such a stream was evicted.
    #[inline]
    pub(super) fn note_left(&mut self, hash: KeyHash, stream: Stream) {
        if let (Self::S3Fifo(ghosts), Stream::Fresh) = (self, stream) {
            ghosts.put(hash);
        }
    }
}

/// Where what takes the place of something goes, with S3-FIFO.
fn place_of_rewritten(there: Place) -> Place {
    match there {
        // To be written again is a use, too.
        (Stream::Fresh, uses) if uses + 1 < USES_TO_KEEP => (Stream::Fresh, uses + 1),
        (Stream::Fresh, _) => (Stream::Kept, 0),
        (Stream::Kept | Stream::Aged, uses) => (Stream::Kept, uses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyHash;

    const HASH: KeyHash = KeyHash(0x1234_5678_9abc_def0);

    fn s3_fifo() -> Evictor {
        Evictor::new(Eviction::S3Fifo, 1 << 12).unwrap()
    }

    #[test]
    fn what_a_client_writes_goes_where_it_belongs() {
        use Stream::{Aged, Fresh, Kept};
        let mut lru = Evictor::new(Eviction::Lru, 0).unwrap();
        for there in [None, Some((Fresh, 3)), Some((Aged, 1))] {
            assert_eq!(lru.likely_place(there), Fresh);
            assert_eq!(lru.place_of_written(HASH, || there), (Fresh, 0));
        }
        let mut s3_fifo = s3_fifo();
        for (there, expected) in [
            (None, (Fresh, 0)),
            (Some((Fresh, 0)), (Fresh, 1)),
            (Some((Fresh, 1)), (Kept, 0)),
            (Some((Fresh, 3)), (Kept, 0)),
            (Some((Kept, 2)), (Kept, 2)),
            (Some((Aged, 0)), (Kept, 0)),
        ] {
            assert_eq!(s3_fifo.likely_place(there), expected.0, "{there:?}");
            let place = s3_fifo.place_of_written(HASH, || there);
            assert_eq!(place, expected, "{there:?}");
        }
    }

    #[test]
    fn who_left_early_and_comes_back_is_kept() {
        let mut s3_fifo = s3_fifo();
        s3_fifo.note_left(HASH, Stream::Fresh);
        assert_eq!(s3_fifo.place_of_written(HASH, || None), (Stream::Kept, 0));
        assert_eq!(s3_fifo.place_of_written(HASH, || None), (Stream::Fresh, 0));
        // Who leaves the main queue is not remembered.
        s3_fifo.note_left(HASH, Stream::Kept);
        s3_fifo.note_left(HASH, Stream::Aged);
        assert_eq!(s3_fifo.place_of_written(HASH, || None), (Stream::Fresh, 0));
    }

    /// Where an old entry goes, of whose segment so many per cent would have stayed.
    fn next(evictor: &Evictor, place: Place, stayed_percent: u32) -> Option<Place> {
        evictor.place_of_old(place, |percent_max| stayed_percent <= percent_max)
    }

    #[test]
    fn who_was_used_stays_while_not_all_do() {
        use Stream::{Aged, Fresh, Kept};
        let lru = Evictor::new(Eviction::Lru, 0).unwrap();
        assert_eq!(next(&lru, (Fresh, 1), 75), Some((Fresh, 0)));
        assert_eq!(next(&lru, (Aged, 3), 0), Some((Fresh, 0)));
        assert_eq!(next(&lru, (Fresh, 3), 76), None);
        assert_eq!(next(&lru, (Fresh, 0), 0), None);
        let s3_fifo = s3_fifo();
        for stream in [Kept, Aged] {
            for uses in 1..=USES_MAX {
                let kept = Some((Kept, uses - 1));
                assert_eq!(next(&s3_fifo, (stream, uses), 90), kept);
                assert_eq!(next(&s3_fifo, (stream, uses), 91), None);
            }
            assert_eq!(next(&s3_fifo, (stream, 0), 0), None);
        }
        for uses in 0..=USES_MAX {
            let kept = (uses >= USES_TO_KEEP).then_some((Kept, 0));
            assert_eq!(next(&s3_fifo, (Fresh, uses), 101), kept);
        }
    }

    #[test]
    fn compaction_takes_nothing_out_of_its_queue() {
        let lru = Evictor::new(Eviction::Lru, 0).unwrap();
        let s3_fifo = s3_fifo();
        for (stream, of_s3_fifo) in [
            (Stream::Fresh, Stream::Fresh),
            (Stream::Kept, Stream::Aged),
            (Stream::Aged, Stream::Aged),
        ] {
            assert_eq!(lru.place_of_compacted((stream, 2)), (Stream::Aged, 0));
            assert_eq!(s3_fifo.place_of_compacted((stream, 2)), (of_s3_fifo, 2));
        }
    }
}
