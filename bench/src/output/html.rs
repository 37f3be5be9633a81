//! One HTML file with the curves of any number of runs: no script, no other file, light and dark as the reader has it.

mod chart;
mod page;

use std::fs;
use std::path::Path;

use crate::cli::ReportArgs;
use crate::error::BenchError;
use crate::output::files;
use crate::output::record::{Document, Ladder, RunRecord};

/// Reads the JSON files and writes the page.
pub(crate) fn run(args: &ReportArgs) -> Result<(), BenchError> {
    let mut entries = Vec::new();
    for path in &args.files {
        entries.push(Entry::read(path)?);
    }
    tell_apart(&mut entries);
    files::check_writable("--html", &args.html)?;
    files::write(&args.html, &page::page(&entries))
}

/// One file, and what it is called on the page.
struct Entry {
    name: String,
    document: Document,
}

impl Entry {
    fn read(path: &Path) -> Result<Self, BenchError> {
        let unfit = |why| BenchError::flag_file("FILE", path, why);
        let text = fs::read_to_string(path).map_err(|error| unfit(error.to_string()))?;
        let document = serde_json::from_str(&text)
            .map_err(|error| unfit(format!("{error}: give what --json has written")))?;
        let label = match &document {
            Document::Run(record) | Document::Soak(record) | Document::Replay(record) => {
                &record.label
            }
            Document::Sweep(ladder) | Document::Search(ladder) => &ladder.label,
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            name: if label.is_empty() {
                stem.into_owned()
            } else {
                label.clone()
            },
            document,
        })
    }

    fn run(&self) -> Option<&RunRecord> {
        match &self.document {
            Document::Run(record) | Document::Soak(record) | Document::Replay(record) => {
                Some(record)
            }
            Document::Sweep(_) | Document::Search(_) => None,
        }
    }

    fn ladder(&self) -> Option<&Ladder> {
        match &self.document {
            Document::Sweep(ladder) | Document::Search(ladder) => Some(ladder),
            Document::Run(_) | Document::Soak(_) | Document::Replay(_) => None,
        }
    }

    /// All its runs.
    fn runs(&self) -> Vec<&RunRecord> {
        match self.ladder() {
            Some(ladder) => ladder.points.iter().collect(),
            None => self.run().into_iter().collect(),
        }
    }
}

/// Numbers the names that several have.
fn tell_apart(entries: &mut [Entry]) {
    let names: Vec<_> = entries.iter().map(|entry| entry.name.clone()).collect();
    for (index, entry) in entries.iter_mut().enumerate() {
        if names.iter().filter(|name| **name == entry.name).count() > 1 {
            entry.name = format!("{} ({})", entry.name, index + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::report::tests::report;
    use crate::output::report::{Report, Second};

    fn record(label: &str, rate: f64) -> RunRecord {
        let series = (0..10)
            .map(|second| Second::of(second, &report().measured.latencies))
            .collect();
        let report = Report {
            label: label.to_owned(),
            series,
            rate: Some(rate),
            ..report()
        };
        report.to_record()
    }

    fn entry(name: &str, document: Document) -> Entry {
        Entry {
            name: name.to_owned(),
            document,
        }
    }

    fn all_kinds() -> Vec<Entry> {
        let mut ladder = Ladder::new("sweep", None);
        ladder.points = [100.0, 200.0, 400.0]
            .map(|rate| record("sweep", rate))
            .to_vec();
        ladder.knee = Some(1);
        vec![
            entry("plain", Document::Run(record("plain", 10.0))),
            entry("<b>&\"bold\"", Document::Soak(record("x", 10.0))),
            entry("climb", Document::Sweep(ladder)),
        ]
    }

    #[test]
    fn a_page_has_the_curves_of_all_and_needs_nothing_else() {
        let page = page::page(&all_kinds());
        for part in [
            "Latency by percentile",
            "Latency over throughput",
            "Over time",
            "prefers-color-scheme: dark",
            "knee",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(page.matches("<svg").count() >= 4);
        for outside in ["<script", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(
            page.contains("&lt;b&gt;&amp;&quot;bold&quot;") && !page.contains("<b>&"),
            "names are text"
        );
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn a_run_without_a_single_reply_is_still_drawn() {
        let mut empty = record("nothing", 10.0);
        empty.percentiles.clear();
        empty.series.clear();
        (empty.requests, empty.requests_per_s) = (0, 0.0);
        (empty.p50_us, empty.p99_us, empty.p999_us, empty.max_us) = (0.0, 0.0, 0.0, 0.0);
        let page = page::page(&[entry("nothing", Document::Run(empty))]);
        assert!(page.contains("nothing") && !page.contains("NaN"), "{page}");
    }

    #[test]
    fn equal_names_are_numbered() {
        let mut entries = vec![
            entry("a", Document::Run(record("a", 1.0))),
            entry("b", Document::Run(record("b", 1.0))),
            entry("a", Document::Run(record("a", 1.0))),
        ];
        tell_apart(&mut entries);
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a (1)", "b", "a (3)"]);
    }

    #[test]
    fn what_is_no_report_is_named() {
        let folder =
            std::env::temp_dir().join(format!("ringfort-bench-html-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("other.json");
        fs::write(&path, "{\"kind\": \"walk\"}").unwrap();
        let why = Entry::read(&path).err().unwrap().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert!(why.contains("other.json") && why.contains("walk"), "{why}");
    }
}
