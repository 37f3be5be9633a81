//! How long to wait before a server is tried again: longer each time, and not all at once.

/// Pause before the second try to connect, in milliseconds; it doubles up to [`RECONNECT_MS_MAX`].
pub const RECONNECT_MS_MIN: u64 = 50;

/// Longest pause between two tries to connect, in milliseconds: a server that is back is used within
/// a second, and one that is not costs each shard one connect in that time.
pub const RECONNECT_MS_MAX: u64 = 1_000;

/// Pauses that double, each cut by chance to between half and all of it, so that those who lost a
/// server together do not come back together.
#[derive(Debug)]
pub(in crate::backend) struct Backoff {
    next_ms: u64,
    /// Invariant: not 0.
    dice: u64,
}

impl Backoff {
    /// The same seed makes the same pauses.
    pub(in crate::backend) fn new(seed: u64) -> Self {
        Self {
            next_ms: RECONNECT_MS_MIN,
            dice: seed | 1,
        }
    }

    /// The next pause, in milliseconds.
    pub(in crate::backend) fn pause_ms(&mut self) -> u64 {
        let most = self.next_ms;
        self.next_ms = (most * 2).min(RECONNECT_MS_MAX);
        let least = most / 2;
        least + self.roll() % (most - least + 1)
    }

    /// All is well: the next pause is a short one.
    pub(in crate::backend) fn reset(&mut self) {
        self.next_ms = RECONNECT_MS_MIN;
    }

    /// Marsaglia's xorshift64*: good enough for jitter.
    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(seed: u64) -> Vec<u64> {
        let mut backoff = Backoff::new(seed);
        (0..8).map(|_| backoff.pause_ms()).collect()
    }

    #[test]
    fn pauses_double_with_jitter_up_to_a_second() {
        for seed in 0..100 {
            let most = [50, 100, 200, 400, 800, 1_000, 1_000, 1_000];
            for (pause, most) in pauses(seed).into_iter().zip(most) {
                assert!((most / 2..=most).contains(&pause), "{pause} of {most}");
            }
        }
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(9), "who fails together comes back apart");
        let mut backoff = Backoff::new(3);
        assert!((0..8).map(|_| backoff.pause_ms()).sum::<u64>() > 1_000);
        backoff.reset();
        assert!(backoff.pause_ms() <= RECONNECT_MS_MIN);
    }
}
