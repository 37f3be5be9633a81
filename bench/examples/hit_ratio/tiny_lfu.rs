//! W-TinyLFU (Einziger, Friedman, Manes: "TinyLFU: a highly efficient cache admission policy", ACM TOS 13(4), 2017).
//!
//! A window of LRU, a hundredth of the memory, takes what is new. What leaves it is let into the main part only if it was
//! asked for more often than what would have to go there. The main part is a segmented LRU: one fifth on probation, the
//! rest for what was asked for again there. How often is estimated by a count-min sketch whose counts are halved from
//! time to time. The window is of one size; Caffeine, which adapts it, does better where recency counts.

use crate::list::List;
use crate::load::mix;
use crate::policy::CountingPolicy;

const WINDOW_SHARE: u32 = 100; // one part of so many
const PROTECTED_PERCENT: u32 = 80;
const ROWS: u64 = 4;
const COUNT_MAX: u8 = 15;
/// Counted requests, in entries of the cache, after which all counts are halved.
const SAMPLE: u32 = 10;

/// How often keys were asked for, lately.
struct Sketch {
    counts: Vec<u8>,
    row_mask: u64,
    counted: u32,
    counted_max: u32,
}

impl Sketch {
    fn new(entries_max: u32) -> Self {
        // Eight counts an entry, so that a count of small ones is rarely somebody else's.
        let columns = u64::from(entries_max * 2).next_power_of_two().max(64);
        Self {
            counts: vec![0; (columns * ROWS) as usize],
            row_mask: columns - 1,
            counted: 0,
            counted_max: entries_max.saturating_mul(SAMPLE),
        }
    }

    fn places(&self, key: u32) -> impl Iterator<Item = usize> + use<> {
        let (columns, mask) = (self.row_mask + 1, self.row_mask);
        (0..ROWS).map(move |row| (row * columns + (mix(u64::from(key) << 8 | row) & mask)) as usize)
    }

    fn count(&mut self, key: u32) {
        let least = self.estimate(key);
        for place in self.places(key) {
            if self.counts[place] == least && least < COUNT_MAX {
                self.counts[place] += 1;
            }
        }
        self.counted += 1;
        if self.counted == self.counted_max {
            self.counted /= 2;
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
    }

    fn estimate(&self, key: u32) -> u8 {
        self.places(key)
            .map(|place| self.counts[place])
            .min()
            .unwrap_or(0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Window,
    Probation,
    Protected,
}

/// Invariant: each list holds the keys of its place.
pub(crate) struct TinyLfu {
    window_max: u32,
    main_max: u32,
    protected_max: u32,
    window: List,
    probation: List,
    protected: List,
    place: Vec<Place>,
    sketch: Sketch,
}

impl TinyLfu {
    pub(crate) fn new(entries_max: u32, keys: u32) -> Self {
        let window_max = (entries_max / WINDOW_SHARE).max(1);
        let main_max = (entries_max - window_max.min(entries_max)).max(1);
        Self {
            window_max,
            main_max,
            protected_max: main_max * PROTECTED_PERCENT / 100,
            window: List::new(keys),
            probation: List::new(keys),
            protected: List::new(keys),
            place: vec![Place::Nowhere; keys as usize],
            sketch: Sketch::new(entries_max),
        }
    }

    fn hit(&mut self, key: u32) {
        match self.place[key as usize] {
            Place::Window => self.window.move_to_front(key),
            Place::Protected => self.protected.move_to_front(key),
            Place::Probation => {
                self.probation.remove(key);
                self.protected.push_front(key);
                self.place[key as usize] = Place::Protected;
                if self.protected.len() > self.protected_max
                    && let Some(demoted) = self.protected.pop_back()
                {
                    self.probation.push_front(demoted);
                    self.place[demoted as usize] = Place::Probation;
                }
            }
            Place::Nowhere => {}
        }
    }

    fn insert(&mut self, key: u32) {
        self.window.push_front(key);
        self.place[key as usize] = Place::Window;
        if self.window.len() > self.window_max
            && let Some(candidate) = self.window.pop_back()
        {
            self.place[candidate as usize] = Place::Nowhere;
            self.admit(candidate);
        }
    }

    fn admit(&mut self, candidate: u32) {
        if self.probation.len() + self.protected.len() >= self.main_max {
            let (list, victim) = match (self.probation.back(), self.protected.back()) {
                (Some(victim), _) => (&mut self.probation, victim),
                (None, Some(victim)) => (&mut self.protected, victim),
                (None, None) => return,
            };
            if self.sketch.estimate(candidate) <= self.sketch.estimate(victim) {
                return;
            }
            list.remove(victim);
            self.place[victim as usize] = Place::Nowhere;
        }
        self.probation.push_front(candidate);
        self.place[candidate as usize] = Place::Probation;
    }
}

impl CountingPolicy for TinyLfu {
    fn request(&mut self, key: u32) -> bool {
        self.sketch.count(key);
        let is_hit = self.place[key as usize] != Place::Nowhere;
        match is_hit {
            true => self.hit(key),
            false => self.insert(key),
        }
        is_hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Rng;

    #[test]
    fn the_sketch_counts_and_forgets() {
        let mut sketch = Sketch::new(100);
        (0..9).for_each(|_| sketch.count(7));
        assert_eq!((sketch.estimate(7), sketch.estimate(8)), (9, 0));
        (0..100).for_each(|_| sketch.count(9));
        assert_eq!(sketch.estimate(9), COUNT_MAX);
        for key in 0..891 {
            sketch.count(1_000 + key);
        }
        assert!(sketch.estimate(7) <= 5, "halved: {}", sketch.estimate(7));
    }

    #[test]
    fn a_scan_leaves_what_is_protected() {
        let mut cache = TinyLfu::new(100, 10_000);
        for _ in 0..8 {
            (0..90).for_each(|key| {
                cache.request(key);
            });
        }
        (1_000..1_200).for_each(|key| {
            cache.request(key);
        });
        let kept = (0..90).filter(|key| cache.request(*key)).count();
        assert!(kept >= 79, "{kept} of 90");
    }

    #[test]
    fn never_holds_more_than_it_may() {
        let (mut cache, mut rng) = (TinyLfu::new(50, 200), Rng::new(5));
        for _ in 0..20_000 {
            let skew = rng.below(200).min(rng.below(200));
            cache.request(skew);
            let held = cache.window.len() + cache.probation.len() + cache.protected.len();
            assert!(held <= 50);
        }
    }
}
