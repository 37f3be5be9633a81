//! What a run found, worked out, and its summary for people.

use std::fmt;
use std::path::Path;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::output::record::RunRecord;
use crate::output::warnings;
use crate::wire::Protocol;
use crate::worker::cpu::CpuTime;
use crate::worker::open_loop::Kept;
use crate::worker::recorder::Measured;
use crate::workload::script::Workload;
use crate::workload::trace::Trace;

/// The numbers of a run.
pub(crate) struct Report {
    pub(crate) label: String,
    pub(crate) load: Load,
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    /// Requests per second asked for; `None` for a closed loop.
    pub(crate) rate: Option<f64>,
    /// Requests of an open loop that started at a time.
    pub(crate) burst: Option<usize>,
    pub(crate) measured: Measured,
    /// What became of an open loop's schedule.
    pub(crate) kept: Option<Kept>,
    pub(crate) series: Vec<Second>,
}

/// What was asked for, in the words of the flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) protocol: String,
    pub(crate) keys: u64,
    pub(crate) popularity: String,
    pub(crate) key_bytes: String,
    pub(crate) value_bytes: String,
    /// Shares of all requests.
    pub(crate) read_ratio: f64,
    pub(crate) delete_ratio: f64,
    pub(crate) multi_get: u32,
    pub(crate) ttl_s: u32,
}

/// One second of a run: how many replies came in it, and how late they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// From the window's start.
    pub(crate) second: u32,
    pub(crate) requests: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Second {
    pub(crate) fn of(second: u32, latencies: &Histogram<u64>) -> Self {
        let at_us = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            second,
            requests: latencies.len(),
            p50_us: at_us(0.5),
            p99_us: at_us(0.99),
            p999_us: at_us(0.999),
            max_us: latencies.max() as f64 / 1e3,
        }
    }
}

impl Load {
    pub(crate) fn drawn(workload: &Workload) -> Self {
        Self {
            protocol: workload.protocol.name().to_owned(),
            keys: u64::from(workload.keys),
            popularity: workload.popularity.to_string(),
            key_bytes: workload.items.key_sizes.to_string(),
            value_bytes: workload.items.sizes.to_string(),
            read_ratio: workload.mix.reads,
            delete_ratio: workload.mix.deletes,
            multi_get: workload.multi_get,
            ttl_s: workload.ttl_s,
        }
    }

    pub(crate) fn replayed(protocol: Protocol, path: &Path, trace: &Trace) -> Self {
        let share = |op| {
            share(
                trace.rows.iter().filter(|row| row.op == op).count() as u64,
                trace.rows.len() as u64,
            )
        };
        let traced = || "trace".to_owned();
        Self {
            protocol: protocol.name().to_owned(),
            keys: trace.key_count() as u64,
            popularity: path.display().to_string(),
            key_bytes: traced(),
            value_bytes: traced(),
            read_ratio: share(crate::wire::Op::Read),
            delete_ratio: share(crate::wire::Op::Delete),
            multi_get: 1,
            ttl_s: 0,
        }
    }
}

impl Report {
    pub(crate) fn requests(&self) -> u64 {
        self.measured.tally.replies()
    }

    pub(crate) fn requests_per_s(&self) -> f64 {
        share(self.requests(), self.measured.wall_ns) * 1e9
    }

    /// Of an open loop's requests, the share that was answered as fast as it was asked for: below 1 a backlog grew. Not
    /// measured by the rate, as a Poisson process has more and less of it.
    /// Nor does what any server has in flight at the window's end count as missing: the rate times the median, by
    /// Little's law, and three deviations of a Poisson count around it.
    pub(crate) fn done_share(&self) -> Option<f64> {
        self.kept.as_ref()?;
        let asked = self.measured.latencies.len() as f64;
        let asked_per_ns = asked / self.measured.wall_ns.max(1) as f64;
        let in_flight = asked_per_ns * self.latency_us(0.5) * 1e3;
        let missing = asked - self.requests() as f64 - in_flight - 3.0 * (in_flight.sqrt() + 1.0);
        Some(1.0 - missing.max(0.0) / asked.max(1.0))
    }

    /// CPU time of the server for one request, ns.
    pub(crate) fn server_cpu_ns_per_request(&self) -> Option<f64> {
        self.measured
            .server
            .map(|server| share(server.run_ns, self.requests()))
    }

    /// Cores the server kept busy.
    pub(crate) fn server_utilisation(&self) -> Option<f64> {
        self.measured
            .server
            .map(|server| share(server.run_ns, self.measured.wall_ns))
    }

    /// Share of its core that the busiest worker was on; an open loop spins, so there it says nothing.
    pub(crate) fn generator_utilisation(&self) -> f64 {
        self.most_of_workers(|worker| worker.run_ns)
    }

    /// Share of the time that the server was ready and something else had its core.
    pub(crate) fn server_waiting(&self) -> Option<f64> {
        self.measured
            .server
            .map(|server| share(server.wait_ns, self.measured.wall_ns))
    }

    /// The same of the worker that fared worst.
    pub(crate) fn generator_waiting(&self) -> f64 {
        self.most_of_workers(|worker| worker.wait_ns)
    }

    fn most_of_workers(&self, time_ns: impl Fn(&CpuTime) -> u64) -> f64 {
        let most_ns = self.measured.workers.iter().map(time_ns).max();
        share(most_ns.unwrap_or(0), self.measured.wall_ns)
    }

    /// Latency that this share of the requests did not exceed, µs.
    pub(crate) fn latency_us(&self, quantile: f64) -> f64 {
        self.measured.latencies.value_at_quantile(quantile) as f64 / 1e3
    }

    /// From when latency is counted: the intended start, or when the batch was handed over.
    pub(crate) fn latency_kind(&self) -> &'static str {
        if self.kept.is_some() {
            "response_time"
        } else {
            "service_time"
        }
    }

    pub(crate) fn to_record(&self) -> RunRecord {
        let tally = &self.measured.tally;
        let kept = self.kept.as_ref();
        let count = |number: fn(&Kept) -> u64| kept.map_or(0, number);
        RunRecord {
            label: self.label.clone(),
            load: self.load.clone(),
            connections: self.connections,
            depth: self.depth,
            workers: self.measured.workers.len(),
            rate: self.rate,
            burst: self.burst,
            done_share: self.done_share(),
            seconds: self.measured.wall_ns as f64 / 1e9,
            requests: self.requests(),
            requests_per_s: self.requests_per_s(),
            server_cpu_ns_per_request: self.server_cpu_ns_per_request(),
            server_utilisation: self.server_utilisation(),
            server_waiting: self.server_waiting(),
            generator_waiting: self.generator_waiting(),
            generator_utilisation: self.generator_utilisation(),
            generator_busy: kept.map(|kept| kept.busy),
            latency_kind: self.latency_kind().to_owned(),
            mean_us: self.measured.latencies.mean() / 1e3,
            p50_us: self.latency_us(0.5),
            p90_us: self.latency_us(0.9),
            p99_us: self.latency_us(0.99),
            p999_us: self.latency_us(0.999),
            p9999_us: self.latency_us(0.9999),
            max_us: self.latency_us(1.0),
            reads: tally.reads,
            hits: tally.hits,
            misses: tally.misses,
            stored: tally.stored,
            deleted: tally.deleted,
            absent: tally.absent,
            unchecked: tally.unchecked,
            errors: tally.errors,
            wrong: tally.wrong,
            late: count(|kept| kept.late),
            held: count(|kept| kept.held),
            unsent: count(|kept| kept.unsent),
            unanswered: count(|kept| kept.unanswered),
            lag_p99_us: kept.map(|kept| kept.lags.value_at_quantile(0.99) as f64 / 1e3),
            lag_max_us: kept.map(|kept| kept.lags.max() as f64 / 1e3),
            percentiles: percentiles(&self.measured.latencies),
            series: self.series.clone(),
            warnings: warnings::doubts(self)
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }
}

/// The latency in µs at ten shares for each digit: 0, 0.21, 0.37 … 0.9, 0.92 … 0.99 …, as far as there are enough
/// latencies to tell, and the largest.
fn percentiles(latencies: &Histogram<u64>) -> Vec<(f64, f64)> {
    const STEPS_PER_DIGIT: f64 = 10.0;
    let at = |quantile: f64| {
        let latency_us = latencies.value_at_quantile(quantile) as f64 / 1e3;
        // More digits are the exponent's rounding.
        ((quantile * 1e9).round() / 1e9, latency_us)
    };
    let beyond = (0..).map(|step| 10f64.powf(-f64::from(step) / STEPS_PER_DIGIT));
    let mut told: Vec<_> = beyond
        .take_while(|beyond| beyond * latencies.len() as f64 >= 1.0)
        .map(|beyond| at(1.0 - beyond))
        .collect();
    if !latencies.is_empty() {
        told.push(at(1.0));
    }
    told
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = &self.load;
        if !self.label.is_empty() {
            write!(f, "{}: ", self.label)?;
        }
        write!(
            f,
            "{}, {} connections, depth {}, {} keys ({}), {}-byte values, {:.0} % reads, ",
            load.protocol,
            self.connections,
            self.depth,
            load.keys,
            load.popularity,
            load.value_bytes,
            load.read_ratio * 100.0
        )?;
        match (self.rate, self.burst) {
            (None, _) => writeln!(f, "closed loop")?,
            (Some(rate), Some(burst @ 2..)) => {
                writeln!(f, "open loop at {rate:.0}/s, {burst} at a time")?;
            }
            (Some(rate), _) => writeln!(f, "open loop at {rate:.0}/s")?,
        }
        self.fmt_rates(f)?;
        self.fmt_replies(f)
    }
}

impl Report {
    fn fmt_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  requests   {:.0}/s ({} in {:.2} s)",
            self.requests_per_s(),
            self.requests(),
            self.measured.wall_ns as f64 / 1e9
        )?;
        if let (Some(per_request_ns), Some(utilisation)) =
            (self.server_cpu_ns_per_request(), self.server_utilisation())
        {
            writeln!(
                f,
                "  server     {per_request_ns:.0} ns CPU per request, {utilisation:.2} cores"
            )?;
        }
        let run_ns = self
            .measured
            .workers
            .iter()
            .map(|worker| worker.run_ns)
            .sum();
        write!(
            f,
            "  generator  {:.2} cores",
            share(run_ns, self.measured.wall_ns)
        )?;
        match &self.kept {
            Some(kept) => writeln!(
                f,
                ", {:.0} % busy, sent p99 {:.1} us after the intended start",
                kept.busy * 100.0,
                kept.lags.value_at_quantile(0.99) as f64 / 1e3
            )?,
            None => writeln!(f)?,
        }
        Ok(())
    }

    fn fmt_replies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.measured.tally;
        writeln!(
            f,
            "  {:<14} p50 {:.1}  p99 {:.1}  p99.9 {:.1}  max {:.1} us",
            self.latency_kind(),
            self.latency_us(0.5),
            self.latency_us(0.99),
            self.latency_us(0.999),
            self.latency_us(1.0)
        )?;
        write!(
            f,
            "  replies    {} hits, {} misses, {} stored, {} unchecked, {} errors, {} wrong",
            tally.hits, tally.misses, tally.stored, tally.unchecked, tally.errors, tally.wrong
        )?;
        if tally.deleted + tally.absent > 0 {
            write!(
                f,
                ", {} deleted, {} not there to be",
                tally.deleted, tally.absent
            )?;
        }
        Ok(())
    }
}

/// `part / whole`, 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::worker::recorder::latencies;
    use crate::worker::tally::Tally;
    use crate::workload::script::tests::workload;

    /// Two seconds, 1000 hits of 1 to 1000 µs, one server core busy for half of the time.
    pub(crate) fn report() -> Report {
        let mut latencies = latencies();
        for latency_us in 1..=1000 {
            latencies.record(latency_us * 1000).unwrap();
        }
        Report {
            label: "a \"b\"\n".to_owned(),
            load: Load::drawn(&workload(Protocol::Resp, 1.0)),
            connections: 50,
            depth: 1,
            rate: None,
            burst: None,
            measured: Measured {
                wall_ns: 2_000_000_000,
                server: Some(CpuTime {
                    run_ns: 1_000_000_000,
                    wait_ns: 20_000_000,
                }),
                workers: vec![
                    CpuTime {
                        run_ns: 500_000_000,
                        wait_ns: 10_000_000,
                    },
                    CpuTime {
                        run_ns: 300_000_000,
                        wait_ns: 4_000_000,
                    },
                ],
                latencies,
                tally: Tally {
                    reads: 1000,
                    hits: 1000,
                    ..Tally::default()
                },
            },
            kept: None,
            series: Vec::new(),
        }
    }

    #[test]
    fn rates_and_shares_come_from_the_window() {
        let report = report();
        assert_eq!(report.requests_per_s(), 500.0);
        assert_eq!(report.server_cpu_ns_per_request(), Some(1_000_000.0));
        assert_eq!(report.server_utilisation(), Some(0.5));
        assert_eq!(report.generator_utilisation(), 0.25);
        assert_eq!(report.server_waiting(), Some(0.01));
        assert_eq!(report.generator_waiting(), 0.005);
    }

    #[test]
    fn quantiles_are_good_to_three_digits() {
        let report = report();
        for (quantile, exact_us) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let error = (report.latency_us(quantile) - exact_us).abs() / exact_us;
            assert!(error < 0.001, "{quantile}: {}", report.latency_us(quantile));
        }
    }

    #[test]
    fn percentiles_go_as_far_as_the_latencies_tell() {
        let told = percentiles(&report().measured.latencies);
        assert_eq!(told.len(), 32);
        assert_eq!(told[0].0, 0.0);
        assert!((told[30].0 - 0.999).abs() < 1e-9, "{told:?}");
        assert_eq!(told[31].0, 1.0);
        assert!(told.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        assert!(percentiles(&latencies()).is_empty());
    }

    #[test]
    fn what_is_in_flight_at_the_end_is_not_missing_and_a_backlog_is() {
        let mut report = report();
        assert_eq!(report.done_share(), None);
        report.kept = Some(Kept::new());
        report.measured.tally.reads = 997;
        assert_eq!(report.done_share(), Some(1.0));
        report.measured.tally.reads = 800;
        let share = report.done_share().unwrap();
        assert!((0.8..0.82).contains(&share), "{share}");
    }

    #[test]
    fn an_empty_window_divides_by_nothing() {
        let mut report = report();
        report.measured.tally = Tally::default();
        report.measured.wall_ns = 0;
        assert_eq!(report.requests_per_s(), 0.0);
        assert_eq!(report.server_cpu_ns_per_request(), Some(0.0));
    }
}
