//! What is a matter of speed alone: whatever is chosen, clients get the same answers.

use std::time::Duration;

/// The least that a shard may look for more before it sleeps: less than a system call is nothing.
pub const SPIN_MIN: Duration = Duration::from_micros(1);

/// The most: beyond, it might as well never sleep.
pub const SPIN_MAX: Duration = Duration::from_secs(1);

/// How shards go about their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpeedConfig {
    /// How long a shard with nothing to do looks for more before it sleeps; zero if not at all.
    pub spin: Duration,
}
