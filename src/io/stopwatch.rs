//! A clock for durations that a turn's `now` is too coarse for.

use std::time::{Instant, SystemTime};

use crate::store::UnixMs;

/// Measures durations. Reading it costs about as much as answering a small request, so it is read
/// for few of them.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    /// When it was started, on the clock that never goes back; `None` for one that stands still.
    started: Option<Instant>,
    started_unix_us: u64,
}

impl Stopwatch {
    /// One that runs from now on.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            started: Some(Instant::now()),
            started_unix_us: since_epoch.map_or(0, |elapsed| elapsed.as_micros() as u64),
        }
    }

    /// One that stands still at the epoch, for worlds whose time is made up: every duration is 0.
    pub const fn still() -> Self {
        Self {
            started: None,
            started_unix_us: 0,
        }
    }

    /// Nanoseconds since the start.
    #[inline]
    pub fn elapsed_ns(&self) -> u64 {
        self.started
            .map_or(0, |started| started.elapsed().as_nanos() as u64)
    }

    /// The time in microseconds since the unix epoch; it never goes back.
    pub fn unix_us(&self) -> u64 {
        self.started_unix_us + self.elapsed_ns() / 1_000
    }

    /// The same in milliseconds.
    pub fn unix_ms(&self) -> UnixMs {
        UnixMs(self.unix_us() / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_one_goes_on_and_a_still_one_does_not() {
        let (running, still) = (Stopwatch::start(), Stopwatch::still());
        let before = (running.elapsed_ns(), running.unix_us());
        // A clock of nanoseconds moves on in well under this many readings.
        let moved = (0..1_000_000).any(|_| running.elapsed_ns() > before.0);
        assert!(moved && running.unix_us() >= before.1 && before.1 > 0);
        assert_eq!((still.elapsed_ns(), still.unix_us()), (0, 0));
    }
}
