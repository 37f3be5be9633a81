//! The page around the charts: a table of all runs, the charts, and every doubt.

use std::fmt::Write;

use super::Entry;
use super::chart::{Chart, Line, Scale, class_of, escape, short};
use crate::output::record::RunRecord;

/// Both themes are a list of colours; everything else is said once. The eight of the lines are told apart by the
/// colour-blind, too (Okabe and Ito, "Color universal design", 2008, darker on white and lighter on black).
const STYLE: &str = include_str!("style.css");

/// The fastest of all requests says little, and would take up half of the picture.
const SHARE_MIN: f64 = 0.1;

/// A run with fewer seconds than this has no course to show.
const SERIES_MIN: usize = 3;

pub(super) fn page(entries: &[Entry]) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>ringfort-bench</title>\n<style>\n",
    );
    page += STYLE;
    page += "</style>\n</head>\n<body>\n<main>\n<h1>ringfort-bench</h1>\n";
    legend(&mut page, entries);
    let charts = [
        by_percentile(entries),
        over_throughput(entries),
        rate_over_time(entries),
        p99_over_time(entries),
    ];
    page += "<div class=\"charts\">\n";
    for chart in &charts {
        if let Some(svg) = chart.svg() {
            let _ = write!(
                page,
                "<figure>\n<figcaption>{}</figcaption>\n{svg}</figure>\n",
                escape(chart.title)
            );
        }
    }
    page += "</div>\n";
    table(&mut page, entries);
    doubts(&mut page, entries);
    page += "</main>\n</body>\n</html>\n";
    page
}

fn legend(page: &mut String, entries: &[Entry]) {
    *page += "<ul class=\"legend\">\n";
    for (run, entry) in entries.iter().enumerate() {
        let class = class_of(run);
        let _ = writeln!(
            page,
            "<li><svg class=\"key\" viewBox=\"0 0 28 10\" aria-hidden=\"true\"><line class=\"line {class}\" x1=\"1\" y1=\"5\" x2=\"27\" y2=\"5\"/></svg>{}</li>",
            escape(&entry.name)
        );
    }
    *page += "</ul>\n";
}

/// Of a sweep or a search, the run at its knee or its result; of one without, the last.
fn by_percentile(entries: &[Entry]) -> Chart {
    let line = |(run, entry): (usize, &Entry)| {
        let shown = entry.run().or_else(|| {
            let ladder = entry.ladder()?;
            let found = ladder.found_rate.and_then(|rate| {
                ladder
                    .points
                    .iter()
                    .rfind(|point| point.asked_rate() <= rate)
            });
            let knee = ladder.knee.and_then(|index| ladder.points.get(index));
            found.or(knee).or_else(|| ladder.points.last())
        })?;
        Some(Line {
            run,
            name: named(entry, shown),
            points: shown
                .percentiles
                .iter()
                .copied()
                .filter(|point| (SHARE_MIN..1.0).contains(&point.0))
                .collect(),
            mark: None,
        })
    };
    Chart {
        title: "Latency by percentile",
        x_name: "of requests",
        y_name: "µs",
        x: Scale::Nines,
        y: Scale::Log,
        lines: entries.iter().enumerate().filter_map(line).collect(),
    }
}

/// p99 over the rate that was done; single runs are single points. Of runs at one rate the last counts.
fn over_throughput(entries: &[Entry]) -> Chart {
    let line = |(run, entry): (usize, &Entry)| {
        let mut runs = entry.runs();
        runs.dedup_by(|later, kept| {
            let is_same = later.asked_rate() == kept.asked_rate();
            if is_same {
                *kept = *later;
            }
            is_same
        });
        let mark = entry.ladder().and_then(|ladder| {
            let place = |rate: f64| runs.iter().rposition(|record| record.asked_rate() <= rate);
            let knee = ladder.knee.and_then(|index| ladder.points.get(index));
            let knee = knee.and_then(|record| Some((place(record.asked_rate())?, "knee")));
            knee.or_else(|| Some((place(ladder.found_rate?)?, "found")))
        });
        Line {
            run,
            name: entry.name.clone(),
            points: runs
                .iter()
                .map(|record| (record.requests_per_s, record.p99_us))
                .collect(),
            mark,
        }
    };
    Chart {
        title: "Latency over throughput (p99)",
        x_name: "requests/s",
        y_name: "µs",
        x: Scale::Linear,
        y: Scale::Log,
        lines: entries.iter().enumerate().map(line).collect(),
    }
}

fn rate_over_time(entries: &[Entry]) -> Chart {
    Chart {
        title: "Over time: rate",
        x_name: "s",
        y_name: "requests/s",
        x: Scale::Linear,
        y: Scale::Linear,
        // The last second is a part of one, or has the replies that came after it.
        lines: series(entries, 1, |second| second.requests as f64),
    }
}

fn p99_over_time(entries: &[Entry]) -> Chart {
    Chart {
        title: "Over time: p99 of each second",
        x_name: "s",
        y_name: "µs",
        x: Scale::Linear,
        y: Scale::Log,
        lines: series(entries, 0, |second| second.p99_us),
    }
}

fn series(
    entries: &[Entry],
    left_out: usize,
    number: fn(&crate::output::report::Second) -> f64,
) -> Vec<Line> {
    let line = |(run, entry): (usize, &Entry)| {
        let record = entry.run()?;
        let seconds = &record.series;
        let shown = (seconds.len() >= SERIES_MIN).then(|| &seconds[..seconds.len() - left_out])?;
        Some(Line {
            run,
            name: entry.name.clone(),
            points: shown
                .iter()
                .map(|second| (f64::from(second.second), number(second)))
                .collect(),
            mark: None,
        })
    };
    entries.iter().enumerate().filter_map(line).collect()
}

fn named(entry: &Entry, record: &RunRecord) -> String {
    match entry.ladder() {
        Some(_) => format!("{} at {}/s", entry.name, short(record.asked_rate())),
        None => entry.name.clone(),
    }
}

fn table(page: &mut String, entries: &[Entry]) {
    *page += "<h2>All runs</h2>\n<div class=\"scroll\"><table>\n<tr><th>run</th><th>load</th><th>asked/s</th><th>done/s</th>\
              <th>p50 µs</th><th>p99 µs</th><th>p99.9 µs</th><th>max µs</th><th>server ns/request</th><th>from</th></tr>\n";
    for (run, entry) in entries.iter().enumerate() {
        for record in entry.runs() {
            let load = &record.load;
            let what = format!(
                "{}, {} × {}, {} keys {}, {} B, {:.0} % reads",
                load.protocol,
                record.connections,
                record.depth,
                short(load.keys as f64),
                load.popularity,
                load.value_bytes,
                load.read_ratio * 100.0
            );
            let asked = match (record.rate, record.burst) {
                (None, _) => "closed loop".to_owned(),
                (Some(rate), Some(burst @ 2..)) => format!("{}, {burst} at a time", short(rate)),
                (Some(rate), _) => short(rate),
            };
            let server = record
                .server_cpu_ns_per_request
                .map_or_else(|| "–".to_owned(), short);
            let from = if record.latency_kind == "response_time" {
                "intended start"
            } else {
                "sending"
            };
            let _ = writeln!(
                page,
                "<tr><td class=\"name {}\">{}</td><td class=\"load\">{}</td><td>{asked}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td>{server}</td><td class=\"load\">{from}</td></tr>",
                class_of(run),
                escape(&entry.name),
                escape(&what),
                short(record.requests_per_s),
                short(record.p50_us),
                short(record.p99_us),
                short(record.p999_us),
                short(record.max_us),
            );
        }
    }
    *page += "</table></div>\n";
}

fn doubts(page: &mut String, entries: &[Entry]) {
    let mut told = String::new();
    for entry in entries {
        for record in entry.runs() {
            for warning in &record.warnings {
                let _ = writeln!(
                    told,
                    "<li><strong>{}</strong>: {}</li>",
                    escape(&named(entry, record)),
                    escape(warning)
                );
            }
        }
    }
    if !told.is_empty() {
        let _ = write!(
            page,
            "<h2>Doubts</h2>\n<ul class=\"doubts\">\n{told}</ul>\n"
        );
    }
}
