//! A table that grows while a run lasts: a row a second, on stderr.

use std::io::{self, IsTerminal};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::worker::recorder::latencies;

/// Rows between two headers: about a screen.
const HEADER_EVERY: u32 = 20;

/// The table of one run.
pub(crate) struct Live {
    /// `None` if nobody knows how long the run lasts.
    duration: Option<Duration>,
    so_far: Histogram<u64>,
    rows: u32,
}

impl Live {
    /// On a terminal always, elsewhere if asked for.
    pub(crate) fn is_wanted(is_asked_for: bool) -> bool {
        is_asked_for || io::stderr().is_terminal()
    }

    pub(crate) fn new(duration: Option<Duration>) -> Self {
        Self {
            duration,
            so_far: latencies(),
            rows: 0,
        }
    }

    /// A row for the `second`-th second, whose latencies are these, ns.
    pub(crate) fn tell(&mut self, second: u32, latencies: &Histogram<u64>) {
        self.so_far += latencies;
        if self.rows.is_multiple_of(HEADER_EVERY) {
            eprintln!(
                "    time   done   requests/s     p99 us |   so far p50        p99      p99.9        max us"
            );
        }
        self.rows += 1;
        eprintln!("{}", self.row(second, latencies));
    }

    fn row(&self, second: u32, latencies: &Histogram<u64>) -> String {
        let passed_s = f64::from(second) + 1.0;
        let (length_s, done) = match self.duration {
            Some(duration) => {
                let total_s = duration.as_secs_f64();
                // The last second of a run may be a part of one.
                let length_s = (total_s - f64::from(second)).clamp(1e-3, 1.0);
                (
                    length_s,
                    format!("{:3.0} %", (passed_s / total_s).min(1.0) * 100.0),
                )
            }
            None => (1.0, "    -".to_owned()),
        };
        let us = |latencies: &Histogram<u64>, quantile| {
            latencies.value_at_quantile(quantile) as f64 / 1e3
        };
        format!(
            "{passed_s:>6.0} s  {done} {:>12.0} {:>10.1} | {:>12.1} {:>10.1} {:>10.1} {:>10.1}",
            latencies.len() as f64 / length_s,
            us(latencies, 0.99),
            us(&self.so_far, 0.5),
            us(&self.so_far, 0.99),
            us(&self.so_far, 0.999),
            self.so_far.max() as f64 / 1e3
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_second_and_all_before_it() {
        let mut live = Live::new(Some(Duration::from_millis(2500)));
        let mut slow = latencies();
        slow.record_n(5_000_000, 10).unwrap();
        live.tell(1, &slow);
        let mut fast = latencies();
        fast.record_n(1_000_000, 90).unwrap();
        live.so_far += &fast;
        let words = live.row(2, &fast);
        let words: Vec<_> = words.split_whitespace().collect();
        // Ninety replies in the half second that is left of the run.
        assert_eq!(&words[..5], ["3", "s", "100", "%", "180"], "{words:?}");
        assert!(words[5].starts_with("1000."), "{words:?}");
        assert!(
            words[7].starts_with("1000.") && words[8].starts_with("500"),
            "{words:?}"
        );
    }
}
