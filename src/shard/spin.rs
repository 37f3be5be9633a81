//! Looking for more to do for a while before sleeping.
//!
//! A shard that sleeps is woken by the kernel, on a core that may have slowed down, slept or, on a virtual machine, been
//! given to somebody else meanwhile; that is the tail of latency at low load. One that looks instead has its core for
//! itself as long as something comes now and then. It looks from when something came last, so an idle shard sleeps.

use std::time::Duration;

/// How long a shard looks, and since when.
#[derive(Debug)]
pub(super) struct Spin {
    /// 0 never looks, and reads no clock.
    length_ns: u64,
    /// When something came last, on the shard's stopwatch.
    busy_ns: Option<u64>,
}

impl Spin {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length_ns: u64::try_from(length.as_nanos()).unwrap_or(u64::MAX),
            busy_ns: None,
        }
    }

    /// To be told after each wait whether something came.
    pub(super) fn saw(&mut self, has_come: bool, now_ns: impl Fn() -> u64) {
        if self.length_ns > 0 && has_come {
            self.busy_ns = Some(now_ns());
        }
    }

    /// Whether a shard with nothing to do looks again before it sleeps.
    pub(super) fn goes_on(&self, now_ns: impl Fn() -> u64) -> bool {
        self.busy_ns
            .is_some_and(|busy_ns| now_ns().saturating_sub(busy_ns) < self.length_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_for_a_while_from_when_something_came_last() {
        let mut spin = Spin::new(Duration::from_micros(50));
        assert!(!spin.goes_on(|| 0), "nothing has come yet");
        spin.saw(true, || 1_000);
        assert!(spin.goes_on(|| 50_999));
        assert!(!spin.goes_on(|| 51_000));
        spin.saw(false, || 40_000);
        assert!(!spin.goes_on(|| 51_000), "that nothing came is no news");
        spin.saw(true, || 60_000);
        assert!(spin.goes_on(|| 60_000));
    }

    #[test]
    fn without_a_length_it_reads_no_clock() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.saw(true, || unreachable!("the clock is read"));
        assert!(!spin.goes_on(|| unreachable!("the clock is read")));
    }
}
