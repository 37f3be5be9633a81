//! What is to become better, and the number of a run that tells how good it is.

use clap::ValueEnum;

use crate::output::report::Report;

/// What is to become better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Goal {
    /// CPU time of the server for a request
    Cpu,
    /// The 99th percentile of latency at a rate
    P99,
    /// The 99.9th percentile
    #[value(name = "p99.9")]
    P999,
    /// Requests per second
    Throughput,
    /// Share of the keys asked for that are there
    Hits,
}

impl Goal {
    /// Whether it is about latency, which means something only at a rate that the server bears.
    pub(super) fn is_latency(self) -> bool {
        matches!(self, Self::P99 | Self::P999)
    }

    /// What the number is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "server CPU per request",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Throughput => "requests per second",
            Self::Hits => "hits",
        }
    }

    /// How good a run was: more is better, twice as much is twice as good. `None` if it has no such number.
    pub(super) fn goodness(self, report: &Report) -> Option<f64> {
        let inverse = |number: f64| (number > 0.0).then(|| 1.0 / number);
        match self {
            Self::Cpu => report.server_cpu_ns_per_request().and_then(inverse),
            Self::P99 => inverse(report.latency_us(0.99)),
            Self::P999 => inverse(report.latency_us(0.999)),
            Self::Throughput => Some(report.requests_per_s()).filter(|rate| *rate > 0.0),
            Self::Hits => {
                let (hits, misses) = (report.measured.tally.hits, report.measured.tally.misses);
                (hits > 0).then(|| hits as f64 / (hits + misses) as f64)
            }
        }
    }

    /// The number itself, from how good it was.
    pub(super) fn told(self, goodness: f64) -> String {
        match self {
            Self::Cpu => format!("{:.0} ns", 1.0 / goodness),
            Self::P99 | Self::P999 => format!("{:.1} us", 1.0 / goodness),
            Self::Throughput => format!("{goodness:.0}/s"),
            Self::Hits => format!("{:.1} %", goodness * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::report::tests::report;

    #[test]
    fn twice_as_good_is_twice_the_number() {
        let report = report();
        let latency_us = report.latency_us(0.99);
        let goodness = Goal::P99.goodness(&report).unwrap();
        assert_eq!(Goal::P99.told(goodness), format!("{latency_us:.1} us"));
        assert_eq!(
            Goal::P99.told(goodness * 2.0),
            format!("{:.1} us", latency_us / 2.0)
        );
        let cpu_ns = report.server_cpu_ns_per_request().unwrap();
        let goodness = Goal::Cpu.goodness(&report).unwrap();
        assert_eq!(Goal::Cpu.told(goodness), format!("{cpu_ns:.0} ns"));
        assert_eq!(
            Goal::Throughput.goodness(&report),
            Some(report.requests_per_s())
        );
    }
}
