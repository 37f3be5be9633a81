//! S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023).
//!
//! A small queue takes what is new, a tenth of the memory; what was asked for more than once while it was there goes on
//! to the main queue, the rest leaves and is remembered by name (the ghosts). What is asked for while it is remembered
//! goes to the main queue at once, which gives each entry another round for each time that it was used, up to three.

use std::collections::VecDeque;

use crate::policy::CountingPolicy;

const SMALL_SHARE: u32 = 10; // one part of so many
const USES_MAX: u8 = 3;
/// Uses in the small queue from which on an entry goes to the main one.
const USES_TO_STAY: u8 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Small,
    Main,
}

/// Invariant: `small` and `main` hold the keys of those places, `ghosts` keys that have left small (and may be back).
pub(crate) struct S3Fifo {
    entries_max: usize,
    small_max: usize,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    ghosts: VecDeque<(u32, u32)>,
    place: Vec<Place>,
    uses: Vec<u8>,
    /// When a key became a ghost, by `left_count`; 0 for never. An older ghost of the same key does not count.
    left_at: Vec<u32>,
    left_count: u32,
}

impl S3Fifo {
    pub(crate) fn new(entries_max: u32, keys: u32) -> Self {
        let entries_max = entries_max.max(2);
        Self {
            entries_max: entries_max as usize,
            small_max: (entries_max / SMALL_SHARE).max(1) as usize,
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghosts: VecDeque::new(),
            place: vec![Place::Nowhere; keys as usize],
            uses: vec![0; keys as usize],
            left_at: vec![0; keys as usize],
            left_count: 0,
        }
    }

    fn make_room(&mut self) {
        while self.small.len() + self.main.len() >= self.entries_max {
            if self.small.len() >= self.small_max || self.main.is_empty() {
                self.evict_from_small();
            } else {
                self.evict_from_main();
            }
        }
    }

    fn evict_from_small(&mut self) {
        while let Some(key) = self.small.pop_front() {
            let place = key as usize;
            if self.uses[place] < USES_TO_STAY {
                self.place[place] = Place::Nowhere;
                self.remember(key);
                return;
            }
            self.uses[place] = 0;
            self.place[place] = Place::Main;
            self.main.push_back(key);
            if self.main.len() > self.entries_max - self.small_max {
                self.evict_from_main();
                return;
            }
        }
    }

    fn evict_from_main(&mut self) {
        while let Some(key) = self.main.pop_front() {
            let place = key as usize;
            if self.uses[place] == 0 {
                self.place[place] = Place::Nowhere;
                return;
            }
            self.uses[place] -= 1;
            self.main.push_back(key);
        }
    }

    fn remember(&mut self, key: u32) {
        self.left_count += 1;
        self.left_at[key as usize] = self.left_count;
        self.ghosts.push_back((key, self.left_count));
        if self.ghosts.len() > self.entries_max - self.small_max
            && let Some((oldest, left_at)) = self.ghosts.pop_front()
            && self.left_at[oldest as usize] == left_at
        {
            self.left_at[oldest as usize] = 0;
        }
    }
}

impl CountingPolicy for S3Fifo {
    fn request(&mut self, key: u32) -> bool {
        let place = key as usize;
        if self.place[place] != Place::Nowhere {
            self.uses[place] = (self.uses[place] + 1).min(USES_MAX);
            return true;
        }
        self.make_room();
        self.uses[place] = 0;
        if self.left_at[place] == 0 {
            self.place[place] = Place::Small;
            self.small.push_back(key);
        } else {
            self.left_at[place] = 0;
            self.place[place] = Place::Main;
            self.main.push_back(key);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Rng;

    /// Ten entries, one of them in the small queue.
    #[test]
    fn a_scan_passes_through_the_small_queue() {
        let mut cache = S3Fifo::new(10, 1_000);
        for key in 0..9 {
            cache.request(key);
        }
        for key in (0..9).chain(0..9) {
            assert!(cache.request(key));
        }
        for key in 100..200 {
            assert!(!cache.request(key));
        }
        assert_eq!((0..9).filter(|key| cache.request(*key)).count(), 9);
    }

    #[test]
    fn who_is_asked_for_again_soon_comes_to_stay() {
        let mut cache = S3Fifo::new(10, 1_000);
        for key in 0..30 {
            cache.request(key);
        }
        assert!(!cache.request(18), "it has left, and is remembered");
        assert!(matches!(cache.place[18], Place::Main));
        assert!(!cache.request(1), "it is forgotten");
        assert!(matches!(cache.place[1], Place::Small));
    }

    #[test]
    fn never_holds_more_than_it_may() {
        let (mut cache, mut rng) = (S3Fifo::new(50, 200), Rng::new(5));
        for _ in 0..20_000 {
            let skew = rng.below(200).min(rng.below(200));
            cache.request(skew);
            assert!(cache.small.len() + cache.main.len() <= 50);
        }
        let held = cache.place.iter().filter(|place| **place != Place::Nowhere);
        assert_eq!(held.count(), cache.small.len() + cache.main.len());
    }
}
