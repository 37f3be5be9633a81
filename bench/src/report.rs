//! What a run found, for people and for programs.

use std::fmt;

use crate::open_loop::Kept;
use crate::recorder::Measured;
use crate::script::Workload;
use crate::warnings;

/// The numbers of a run, worked out.
pub(crate) struct Report {
    pub(crate) label: String,
    pub(crate) workload: Workload,
    pub(crate) connections: u32,
    pub(crate) depth: u32,
    /// Requests per second asked for; `None` for a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) measured: Measured,
    /// What became of an open loop's schedule.
    pub(crate) kept: Option<Kept>,
}

impl Report {
    pub(crate) fn requests(&self) -> u64 {
        self.measured.tally.replies()
    }

    pub(crate) fn requests_per_s(&self) -> f64 {
        share(self.requests(), self.measured.wall_ns) * 1e9
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

    /// Share of its core that the generator was on; an open loop spins, so there it says nothing.
    pub(crate) fn generator_utilisation(&self) -> f64 {
        share(self.measured.generator.run_ns, self.measured.wall_ns)
    }

    /// Share of the time that the server was ready and something else had its core.
    pub(crate) fn server_waiting(&self) -> Option<f64> {
        self.measured
            .server
            .map(|server| share(server.wait_ns, self.measured.wall_ns))
    }

    /// The same of the generator.
    pub(crate) fn generator_waiting(&self) -> f64 {
        share(self.measured.generator.wait_ns, self.measured.wall_ns)
    }

    /// Latency that this share of the requests did not exceed, µs.
    pub(crate) fn latency_us(&self, quantile: f64) -> f64 {
        self.measured.latencies.value_at_quantile(quantile) as f64 / 1e3
    }

    /// From when latency is counted.
    pub(crate) fn latency_kind(&self) -> &'static str {
        if self.rate.is_some() {
            "response_time"
        } else {
            "service_time"
        }
    }

    /// The report as one JSON object. A number that was not measured is `null`.
    pub(crate) fn to_json(&self) -> String {
        let tally = &self.measured.tally;
        let kept = self.kept.unwrap_or_default();
        let warnings: Vec<String> = warnings::doubts(self)
            .iter()
            .map(|doubt| json_string(&doubt.to_string()))
            .collect();
        let fields = [
            ("label", json_string(&self.label)),
            ("protocol", json_string(self.workload.protocol.name())),
            ("connections", self.connections.to_string()),
            ("depth", self.depth.to_string()),
            ("keys", self.workload.keys.to_string()),
            ("zipf", self.workload.zipf.to_string()),
            (
                "value_bytes",
                json_string(&self.workload.items.sizes.to_string()),
            ),
            ("read_ratio", self.workload.read_ratio.to_string()),
            ("rate", json_number(self.rate)),
            (
                "seconds",
                json_number(Some(self.measured.wall_ns as f64 / 1e9)),
            ),
            ("requests", self.requests().to_string()),
            ("requests_per_s", json_number(Some(self.requests_per_s()))),
            (
                "server_cpu_ns_per_request",
                json_number(self.server_cpu_ns_per_request()),
            ),
            ("server_utilisation", json_number(self.server_utilisation())),
            ("server_waiting", json_number(self.server_waiting())),
            (
                "generator_waiting",
                json_number(Some(self.generator_waiting())),
            ),
            (
                "generator_utilisation",
                json_number(Some(self.generator_utilisation())),
            ),
            ("latency_kind", json_string(self.latency_kind())),
            ("p50_us", self.latency_us(0.5).to_string()),
            ("p99_us", self.latency_us(0.99).to_string()),
            ("p999_us", self.latency_us(0.999).to_string()),
            ("max_us", self.latency_us(1.0).to_string()),
            ("hits", tally.hits.to_string()),
            ("misses", tally.misses.to_string()),
            ("stored", tally.stored.to_string()),
            ("unchecked", tally.unchecked.to_string()),
            ("errors", tally.errors.to_string()),
            ("wrong", tally.wrong.to_string()),
            ("late", kept.late.to_string()),
            ("unsent", kept.unsent.to_string()),
            ("unanswered", kept.unanswered.to_string()),
            ("warnings", format!("[{}]", warnings.join(", "))),
        ];
        let lines: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("  \"{name}\": {value}"))
            .collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (workload, tally) = (&self.workload, &self.measured.tally);
        if !self.label.is_empty() {
            write!(f, "{}: ", self.label)?;
        }
        write!(
            f,
            "{}, {} connections, depth {}, {} keys (zipf {}), {}-byte values, {:.0} % reads, ",
            workload.protocol.name(),
            self.connections,
            self.depth,
            workload.keys,
            workload.zipf,
            workload.items.sizes,
            workload.read_ratio * 100.0
        )?;
        match self.rate {
            Some(rate) => writeln!(f, "open loop at {rate:.0}/s")?,
            None => writeln!(f, "closed loop")?,
        }
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
        writeln!(f, "  generator  {:.2} cores", self.generator_utilisation())?;
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
        )
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

fn json_number(number: Option<f64>) -> String {
    number.map_or_else(|| "null".to_owned(), |number| format!("{number:.4}"))
}

/// A JSON string (RFC 8259, section 7).
fn json_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
pub(crate) mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::item::{Items, ValueSizes};
    use crate::protocol::Protocol;
    use crate::server_cpu::CpuTime;
    use crate::tally::Tally;

    /// Two seconds, 1000 hits of 1 to 1000 µs, one server core busy for half of the time.
    pub(crate) fn report() -> Report {
        let mut latencies = Histogram::new_with_max(60_000_000_000, 3).unwrap();
        for latency_us in 1..=1000 {
            latencies.record(latency_us * 1000).unwrap();
        }
        Report {
            label: "a \"b\"\n".to_owned(),
            workload: Workload {
                protocol: Protocol::Resp,
                keys: 10,
                zipf: 0.0,
                items: Items {
                    prefix: *b"key:",
                    sizes: ValueSizes::new(64, 64).unwrap(),
                },
                read_ratio: 1.0,
            },
            connections: 50,
            depth: 1,
            rate: None,
            measured: Measured {
                wall_ns: 2_000_000_000,
                server: Some(CpuTime {
                    run_ns: 1_000_000_000,
                    wait_ns: 20_000_000,
                }),
                generator: CpuTime {
                    run_ns: 500_000_000,
                    wait_ns: 10_000_000,
                },
                latencies,
                tally: Tally {
                    hits: 1000,
                    ..Tally::default()
                },
            },
            kept: None,
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
    fn an_empty_window_divides_by_nothing() {
        let mut report = report();
        report.measured.tally = Tally::default();
        report.measured.wall_ns = 0;
        assert_eq!(report.requests_per_s(), 0.0);
        assert_eq!(report.server_cpu_ns_per_request(), Some(0.0));
    }

    #[test]
    fn json_escapes_and_says_null() {
        let mut report = report();
        report.measured.server = None;
        let json = report.to_json();
        assert!(json.contains(r#""label": "a \"b\"\u000a""#), "{json}");
        assert!(
            json.contains(r#""server_cpu_ns_per_request": null"#),
            "{json}"
        );
        assert!(json.contains(r#""requests_per_s": 500.0000"#), "{json}");
        assert!(json.contains(r#""generator_waiting": 0.0050"#), "{json}");
        assert!(
            json.contains(r#""warnings": ["only 1000 latencies"#),
            "{json}"
        );
    }
}
