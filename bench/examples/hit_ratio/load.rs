//! What is asked for: sequences of key numbers, the same for every policy.

/// Keys of the skewed loads, in entries that the memory would hold without any loss.
const SPREAD: u32 = 10;
/// Requests between two scans or shifts, in such entries.
const PERIOD: u32 = 2;
/// What is stored ends after so many requests, in such entries, if it ends at all.
const LIFE: u32 = 5;
/// Of the load that favours what is new: one request of so many is for a new key.
const NEW_SHARE: u32 = 10;
/// Quarters of the usual size that values of mixed sizes have, which is one on average.
const QUARTERS: [u32; 4] = [1, 2, 4, 9];

/// A sequence, scaled by how many entries the memory holds.
pub(crate) struct Load {
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Zipf's law with this exponent.
    Zipf(f64),
    /// The same with 0.99, and after each period a scan over half as many keys as there is memory for, each once.
    Scans,
    /// The same with 0.99, and after each period a hundredth of the keys have changed places with others.
    Shifts,
    /// One key after the other, over so many per cent of what there is memory for, and again.
    Loop(u32),
    /// Half of the requests from such a loop over twice the memory, half by Zipf's law with 0.99.
    LoopAndZipf,
    /// By Zipf's law with 0.99, and all that is stored ends.
    Ends,
    /// The same, nothing ends, values of mixed sizes.
    Sizes,
    /// The newest keys most, by Zipf's law with 0.99, and new ones all the time (as YCSB's workload D).
    Newest,
    /// Half by Zipf's law with 0.99, half for keys that come twice: again when an eighth as many others are new since as
    /// there is memory for.
    Twice,
}

/// All that are told of in tuning.md.
pub(crate) const LOADS: &[Load] = &[
    load("zipf 0.8", Kind::Zipf(0.8)),
    load("zipf 0.99", Kind::Zipf(0.99)),
    load("zipf 1.2", Kind::Zipf(1.2)),
    load("zipf 0.99, scans between", Kind::Scans),
    load("zipf 0.99, shifting", Kind::Shifts),
    load("loop over 80 %", Kind::Loop(80)),
    load("loop over 125 %", Kind::Loop(125)),
    load("zipf 0.99 and a loop over 200 %", Kind::LoopAndZipf),
    load("zipf 0.99, all ends", Kind::Ends),
    load("zipf 0.99, mixed sizes", Kind::Sizes),
    load("newest most", Kind::Newest),
    load("zipf 0.99 and each other twice", Kind::Twice),
];

const fn load(name: &'static str, kind: Kind) -> Load {
    Load { name, kind }
}

impl Load {
    /// All keys are below this.
    pub(crate) fn keys(&self, entries: u32) -> u32 {
        entries.saturating_mul(SPREAD * 2)
    }

    /// How many requests after it was stored a value ends, if it does.
    pub(crate) fn life(&self, entries: u32) -> Option<u32> {
        matches!(self.kind, Kind::Ends).then(|| entries.saturating_mul(LIFE))
    }

    /// Bytes of the value of a key, `usual` on average.
    pub(crate) fn value_bytes(&self, key: u32, usual: usize) -> usize {
        match self.kind {
            Kind::Sizes => usual * QUARTERS[mix(u64::from(key)) as usize % 4] as usize / 4,
            _ => usual,
        }
    }

    /// The most that this is.
    pub(crate) fn value_bytes_max(&self, usual: usize) -> usize {
        match self.kind {
            Kind::Sizes => usual * QUARTERS[3] as usize / 4,
            _ => usual,
        }
    }

    /// The sequence from its start.
    pub(crate) fn draws(&self, entries: u32) -> Draws {
        let popular = match self.kind {
            Kind::Zipf(exponent) => Some(exponent),
            Kind::Loop(_) => None,
            _ => Some(0.99),
        };
        let spread = entries * SPREAD;
        Draws {
            kind: self.kind,
            entries,
            ring: spread,
            popular: popular.map(|exponent| Alias::zipf(spread, exponent)),
            // Which keys are popular says nothing of their numbers.
            names: shuffled(spread),
            rng: Rng::new(11),
            number: 0,
            position: 0,
        }
    }
}

/// A sequence that goes on for ever.
pub(crate) struct Draws {
    kind: Kind,
    entries: u32,
    /// After so many steps the same keys come again.
    ring: u32,
    popular: Option<Alias>,
    names: Vec<u32>,
    rng: Rng,
    number: u32,
    position: u32,
}

impl Draws {
    pub(crate) fn next_key(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        let period = self.entries * PERIOD;
        match self.kind {
            Kind::Zipf(_) | Kind::Ends | Kind::Sizes => self.popular_key(),
            Kind::Newest => {
                if self.number.is_multiple_of(NEW_SHARE) {
                    self.step(self.ring);
                }
                let rank = self.popular_rank();
                self.earlier(rank)
            }
            Kind::Twice => match self.number % 4 {
                0 => self.names.len() as u32 + self.step(self.ring),
                2 => self.names.len() as u32 + self.earlier(self.entries / 8),
                _ => self.popular_key(),
            },
            Kind::Scans => {
                let scan = self.entries / 2;
                match self.number % (period + scan) < period {
                    true => self.popular_key(),
                    // Keys that nobody else asks for, and that come again after many scans.
                    false => self.names.len() as u32 + self.step(self.entries * SPREAD),
                }
            }
            Kind::Shifts => {
                if self.number.is_multiple_of(period) {
                    let keys = self.names.len() as u32;
                    for _ in 0..keys / 100 {
                        let (one, other) = (self.rng.below(keys), self.rng.below(keys));
                        self.names.swap(one as usize, other as usize);
                    }
                }
                self.popular_key()
            }
            Kind::Loop(percent) => self.step(self.entries / 100 * percent),
            Kind::LoopAndZipf => match self.number % 2 {
                0 => self.names.len() as u32 + self.step(self.entries * 2),
                _ => self.popular_key(),
            },
        }
    }

    /// The key that was new so many new ones ago.
    fn earlier(&self, count: u32) -> u32 {
        (self.position + self.ring - count) % self.ring
    }

    fn step(&mut self, keys: u32) -> u32 {
        self.position = (self.position + 1) % keys.max(1);
        self.position
    }

    fn popular_key(&mut self) -> u32 {
        let rank = self.popular_rank();
        self.names[rank as usize]
    }

    fn popular_rank(&mut self) -> u32 {
        let popular = self.popular.as_ref();
        popular.map_or(0, |law| law.draw(&mut self.rng))
    }
}

fn shuffled(keys: u32) -> Vec<u32> {
    let (mut names, mut rng): (Vec<u32>, _) = ((0..keys).collect(), Rng::new(7));
    for end in (1..keys).rev() {
        names.swap(end as usize, rng.below(end + 1) as usize);
    }
    names
}

/// Draws by a table of shares in constant time (Vose, "A linear algorithm for generating random numbers with a given
/// distribution", 1991): a column is drawn evenly, and is worth itself or its alias.
struct Alias {
    columns: Vec<(f32, u32)>,
}

impl Alias {
    /// Rank `k`, from 0, with a share proportional to `1 / (k + 1)^exponent`.
    fn zipf(keys: u32, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=keys)
            .map(|rank| f64::from(rank).powf(-exponent))
            .collect();
        let mean = weights.iter().sum::<f64>() / f64::from(keys);
        let mut shares: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let mut columns: Vec<(f32, u32)> = (0..keys).map(|key| (1.0, key)).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..keys).partition(|key| shares[*key as usize] < 1.0);
        while let (Some(&giver), Some(taker)) = (large.last(), small.pop()) {
            columns[taker as usize] = (shares[taker as usize] as f32, giver);
            shares[giver as usize] -= 1.0 - shares[taker as usize];
            if shares[giver as usize] < 1.0 {
                large.pop();
                small.push(giver);
            }
        }
        Self { columns }
    }

    fn draw(&self, rng: &mut Rng) -> u32 {
        let column = rng.below(self.columns.len() as u32);
        let (share, alias) = self.columns[column as usize];
        let unit = (rng.next_u64() >> 40) as f32 / (1 << 24) as f32;
        if unit < share { column } else { alias }
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Even over `0..end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        (((self.next_u64() >> 32) * u64::from(end)) >> 32) as u32
    }
}

/// Its finalizer.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_is_zipfs() {
        let (law, mut rng) = (Alias::zipf(1_000, 1.0), Rng::new(1));
        let mut counts = vec![0_u32; 1_000];
        (0..1_000_000).for_each(|_| counts[law.draw(&mut rng) as usize] += 1);
        // The harmonic number of 1,000 is 7.4855.
        for (rank, expected) in [(0, 133_592.0), (1, 66_796.0), (99, 1_335.9), (999, 133.6)] {
            let seen = f64::from(counts[rank]);
            let slack = 5.0 * f64::sqrt(expected);
            assert!(
                (seen - expected).abs() < slack,
                "{rank}: {seen}, {expected}"
            );
        }
    }

    #[test]
    fn all_keys_are_within_bounds_and_every_sequence_comes_again() {
        for load in LOADS {
            let (mut one, mut other) = (load.draws(100), load.draws(100));
            for _ in 0..20_000 {
                let key = one.next_key();
                assert!(key < load.keys(100), "{}: {key}", load.name);
                assert_eq!(key, other.next_key());
            }
        }
    }

    #[test]
    fn a_loop_asks_for_each_key_once_a_round() {
        let mut draws = load("loop", Kind::Loop(125)).draws(100);
        let mut round: Vec<u32> = (0..125).map(|_| draws.next_key()).collect();
        round.sort_unstable();
        assert_eq!(round, (0..125).collect::<Vec<_>>());
    }

    #[test]
    fn scans_take_a_fifth_of_the_requests() {
        let mut draws = load("scans", Kind::Scans).draws(100);
        let scanned = (0..2_500).filter(|_| draws.next_key() >= 1_000).count();
        assert_eq!(scanned, 500);
    }

    #[test]
    fn half_of_the_requests_are_for_keys_that_come_twice() {
        let mut draws = load("twice", Kind::Twice).draws(80);
        let keys: Vec<u32> = (0..2_000).map(|_| draws.next_key()).collect();
        let others: Vec<u32> = keys.into_iter().filter(|key| *key >= 800).collect();
        assert_eq!(others.len(), 1_000);
        // What comes again at first was never new.
        for key in &others[21..900] {
            let places = others.iter().filter(|other| *other == key);
            assert_eq!(places.count(), 2, "{key}");
        }
    }

    #[test]
    fn mixed_sizes_are_the_usual_one_on_average() {
        let load = load("sizes", Kind::Sizes);
        let sum: usize = (0..100_000).map(|key| load.value_bytes(key, 100)).sum();
        assert!((98..=102).contains(&(sum / 100_000)), "{sum}");
        assert_eq!(load.value_bytes_max(100), 225);
    }
}
