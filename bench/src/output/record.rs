//! Reports as JSON: what programs read, and `report` again.

use serde::{Deserialize, Serialize};

use crate::modes::sweep;
use crate::output::report::{Load, Second};

/// A file that `--json` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Document {
    Run(RunRecord),
    Soak(RunRecord),
    Replay(RunRecord),
    Sweep(Ladder),
    Search(Ladder),
}

/// One run. A number that was not measured is `null`; times are µs but where their names say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub(crate) label: String,
    #[serde(flatten)]
    pub(crate) load: Load,
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    pub(crate) workers: usize,
    pub(crate) rate: Option<f64>,
    /// Requests of an open loop that started at a time.
    pub(crate) burst: Option<usize>,
    /// Of an open loop's requests, the share that was answered as fast as it was asked for.
    pub(crate) done_share: Option<f64>,
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) requests_per_s: f64,
    pub(crate) server_cpu_ns_per_request: Option<f64>,
    pub(crate) server_utilisation: Option<f64>,
    pub(crate) server_waiting: Option<f64>,
    pub(crate) generator_waiting: f64,
    pub(crate) generator_utilisation: f64,
    pub(crate) generator_busy: Option<f64>,
    pub(crate) latency_kind: String,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) p9999_us: f64,
    pub(crate) max_us: f64,
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) stored: u64,
    pub(crate) deleted: u64,
    pub(crate) absent: u64,
    pub(crate) unchecked: u64,
    pub(crate) errors: u64,
    pub(crate) wrong: u64,
    pub(crate) late: u64,
    pub(crate) held: u64,
    pub(crate) unsent: u64,
    pub(crate) unanswered: u64,
    pub(crate) lag_p99_us: Option<f64>,
    pub(crate) lag_max_us: Option<f64>,
    /// Share of the requests, and the latency in µs that they did not exceed.
    pub(crate) percentiles: Vec<(f64, f64)>,
    pub(crate) series: Vec<Second>,
    pub(crate) warnings: Vec<String>,
}

/// Runs of the same load at several rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ladder {
    pub(crate) label: String,
    /// What a search kept.
    pub(crate) goal: Option<String>,
    /// The highest rate that kept it.
    pub(crate) found_rate: Option<f64>,
    /// Which of the points a sweep's curve bends at.
    pub(crate) knee: Option<usize>,
    pub(crate) points: Vec<RunRecord>,
}

impl RunRecord {
    /// Requests per second that were to be sent; those that were, in a closed loop.
    pub(crate) fn asked_rate(&self) -> f64 {
        self.rate.unwrap_or(self.requests_per_s)
    }
}

impl Ladder {
    /// Over the rows of a table.
    pub(crate) const HEADER: &str =
        "     asked/s       done/s     p50 us     p99 us   p99.9 us     max us";

    pub(crate) fn new(label: &str, goal: Option<String>) -> Self {
        Self {
            label: label.to_owned(),
            goal,
            found_rate: None,
            knee: None,
            points: Vec::new(),
        }
    }

    /// One point in a table.
    pub(crate) fn row(record: &RunRecord) -> String {
        let RunRecord {
            requests_per_s,
            p50_us,
            p99_us,
            p999_us,
            max_us,
            ..
        } = record;
        let asked = record.asked_rate();
        format!(
            "{asked:>12.0} {requests_per_s:>12.0} {p50_us:>10.1} {p99_us:>10.1} {p999_us:>10.1} {max_us:>10.1}"
        )
    }

    pub(crate) fn curve(&self) -> Vec<sweep::Load> {
        let point = |record: &RunRecord| sweep::Load {
            asked: record.asked_rate(),
            done_share: record.done_share.unwrap_or(1.0),
            p99_us: record.p99_us,
        };
        self.points.iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::report::tests::report;

    #[test]
    fn what_is_written_is_read_again() {
        let mut report = report();
        report.measured.server = None;
        let record = report.to_record();
        let mut ladder = Ladder::new("two", Some("p99<1ms".to_owned()));
        ladder.points = vec![record.clone(), record.clone()];
        for document in [Document::Run(record), Document::Search(ladder)] {
            let json = serde_json::to_string_pretty(&document).unwrap();
            assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
        }
    }

    #[test]
    fn each_field_is_in_the_readme() {
        let readme = include_str!("../../README.md");
        let start = readme.find("### What `--json` writes").unwrap();
        let told = &readme[start..readme.find("## Tuning").unwrap()];
        let mut report = report();
        report.series = vec![Second::of(0, &report.measured.latencies)];
        let run = serde_json::to_value(Document::Run(report.to_record())).unwrap();
        let ladder = serde_json::to_value(Document::Sweep(Ladder::new("", None))).unwrap();
        for object in [&run, &run["series"][0], &ladder] {
            for name in object.as_object().unwrap().keys() {
                assert!(told.contains(&format!("`{name}`")), "{name}");
            }
        }
    }

    #[test]
    fn a_run_is_one_flat_object() {
        let mut report = report();
        report.measured.server = None;
        let json = serde_json::to_value(Document::Run(report.to_record())).unwrap();
        assert_eq!(json["kind"], "run");
        assert_eq!(json["label"], "a \"b\"\n");
        assert!(json["server_cpu_ns_per_request"].is_null());
        assert_eq!(json["requests_per_s"], 500.0);
        assert_eq!(json["generator_waiting"], 0.005);
        assert_eq!(json["protocol"], "resp");
        let warning = json["warnings"][0].as_str().unwrap();
        assert!(warning.starts_with("only 1000 latencies"), "{warning}");
    }
}
