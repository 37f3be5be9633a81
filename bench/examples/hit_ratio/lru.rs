//! Exact LRU.

use crate::list::List;
use crate::policy::CountingPolicy;

/// Invariant: `is_held[key]` tells whether the key is in `order`, whose front was used last.
pub(crate) struct Lru {
    entries_max: u32,
    order: List,
    is_held: Vec<bool>,
}

impl Lru {
    pub(crate) fn new(entries_max: u32, keys: u32) -> Self {
        Self {
            entries_max: entries_max.max(1),
            order: List::new(keys),
            is_held: vec![false; keys as usize],
        }
    }
}

impl CountingPolicy for Lru {
    fn request(&mut self, key: u32) -> bool {
        if self.is_held[key as usize] {
            self.order.move_to_front(key);
            return true;
        }
        if self.order.len() == self.entries_max
            && let Some(oldest) = self.order.pop_back()
        {
            self.is_held[oldest as usize] = false;
        }
        self.order.push_front(key);
        self.is_held[key as usize] = true;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Rng;

    /// The same by searching.
    #[test]
    fn does_what_its_twin_does() {
        let (mut lru, mut twin, mut rng) = (Lru::new(20, 50), Vec::new(), Rng::new(3));
        for _ in 0..5_000 {
            let key = rng.below(50);
            let place = twin.iter().position(|other| *other == key);
            if let Some(place) = place {
                twin.remove(place);
            } else if twin.len() == 20 {
                twin.remove(0);
            }
            twin.push(key);
            assert_eq!(lru.request(key), place.is_some());
        }
    }
}
