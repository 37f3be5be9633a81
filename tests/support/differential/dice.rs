//! The dice that sequences are made with.

use ringfort::io::sim::SimRng;

/// One seed, one run of throws.
pub(crate) struct Dice(SimRng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SimRng::new(seed))
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.number()
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.below(end)
    }

    /// From `first` to `last`, both included.
    pub(crate) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True in so many of 1000 cases.
    pub(crate) fn chance(&mut self, permille: u32) -> bool {
        self.0.chance(permille)
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A copy of one of these texts.
    pub(crate) fn word(&mut self, words: &[&str]) -> Vec<u8> {
        self.pick(words).as_bytes().to_vec()
    }

    /// An index, as often as its weight says. Not all weights are 0.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: u32 = weights.clone().sum();
        let mut throw = self.below(total as usize) as u32;
        for (index, weight) in weights.enumerate() {
            match throw.checked_sub(weight) {
                None => return index,
                Some(left) => throw = left,
            }
        }
        unreachable!("the throw is below the sum")
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}
