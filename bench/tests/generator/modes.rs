//! The promise that every mode runs, from a server to a page.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Delays, bench, measured, scratch, server, thread_count};

/// Answers at once.
fn quick() -> std::net::SocketAddr {
    server(Delays::InTurn(vec![Duration::ZERO]))
}

/// Short runs with a name.
fn named(mode: &str, name: &str, options: &str) -> Value {
    let window = "--connections 4 --depth 8 --warmup 0s --label";
    let options: Vec<_> = window
        .split(' ')
        .chain([name])
        .chain(options.split(' '))
        .collect();
    measured(mode, quick(), &options)
}

#[test]
fn a_sweep_a_search_and_a_soak_become_one_page() {
    let sweep = named("sweep", "climb", "--duration 300ms --rates 200,50,100");
    let points = sweep["points"].as_array().unwrap();
    let rates: Vec<_> = points
        .iter()
        .map(|point| point["rate"].as_f64().unwrap())
        .collect();
    assert_eq!(rates, [50.0, 100.0, 200.0]);

    // So long that a moment in which the machine is busy does not decide.
    let goal =
        "--duration 2s --goal p50<5s --rate-min 100 --rate-max 200 --tolerance 0.5 --confirm 1";
    let search = named("search", "found", goal);
    assert!(search["found_rate"].as_f64().unwrap() >= 100.0, "{search}");
    assert_eq!(search["goal"], "p50<5s");

    let options = "--connections 4 --rate 100 --seconds 4 --label long";
    let soak = measured("soak", quick(), &options.split(' ').collect::<Vec<_>>());
    let series = soak["series"].as_array().unwrap();
    let is_in_order = series.is_sorted_by_key(|second| second["second"].as_u64());
    assert!(series.len() > 1 && is_in_order, "{soak}");
    let told = series
        .iter()
        .map(|second| second["requests"].as_u64().unwrap());
    // Also replies that came after the window.
    assert!(
        told.sum::<u64>() >= soak["requests"].as_u64().unwrap(),
        "{soak}"
    );

    let html = page_of([("sweep", sweep), ("search", search), ("soak", soak)]);
    for name in ["climb", "found", "long"] {
        assert!(html.contains(name), "{name}");
    }
}

/// What `report` makes of these.
fn page_of(reports: [(&str, Value); 3]) -> String {
    let page = scratch("page.html");
    let files = reports.map(|(name, json)| {
        let path = scratch(&format!("page-{name}.json"));
        fs::write(&path, json.to_string()).unwrap();
        path
    });
    let mut arguments = vec!["report".to_owned()];
    arguments.extend(files.iter().map(|path| path.display().to_string()));
    arguments.extend(["--html".to_owned(), page.display().to_string()]);
    let output = bench(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let html = fs::read_to_string(&page).unwrap();
    for path in files.iter().chain([&page]) {
        fs::remove_file(path).unwrap();
    }
    html
}

#[test]
fn distributions_and_interval_logs_are_written() {
    let (hgrm, hlog) = (scratch("run.hgrm"), scratch("run.hlog"));
    let paths = [hgrm.display().to_string(), hlog.display().to_string()];
    let files = [
        "--hgrm",
        &paths[0],
        "--hlog",
        &paths[1],
        "--connections",
        "2",
        "--duration",
        "2200ms",
        "--warmup",
        "0s",
    ];
    let report = measured("run", quick(), &[&files[..], &["--rate", "100"]].concat());

    let distribution = fs::read_to_string(&hgrm).unwrap();
    let end = distribution.split("Total count    =").nth(1).unwrap();
    let total: u64 = end.split(']').next().unwrap().trim().parse().unwrap();
    assert!(
        total >= report["requests"].as_u64().unwrap() && total > 100,
        "{distribution}"
    );

    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let log = fs::read(&hlog).unwrap();
    let mut count = 0;
    let mut seconds = Vec::new();
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            seconds.push(interval.start_timestamp().as_secs());
            let bytes = base64_of(interval.encoded_histogram());
            let latencies: hdrhistogram::Histogram<u64> =
                Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            count += latencies.len();
        }
    }
    assert!(
        seconds[0] == 0 && seconds.len() > 1 && seconds.is_sorted(),
        "{seconds:?}"
    );
    assert_eq!(count, total);
    for path in [hgrm, hlog] {
        fs::remove_file(path).unwrap();
    }
}

/// The log's histograms are base64 (RFC 4648); this test alone reads them.
fn base64_of(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for symbol in text.bytes().filter(|&symbol| symbol != b'=') {
        let value = ALPHABET.iter().position(|&known| known == symbol).unwrap();
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[test]
fn a_trace_is_replayed_in_its_time_and_as_fast_as_possible() {
    let trace = scratch("trace.csv");
    // Keys of sixteen bytes, as the fake server wants them; a second and a half of them.
    let rows = (0..60).map(|n| {
        format!(
            "{:.3},get,key:{:012},0\n",
            100.0 + f64::from(n) * 0.025,
            n % 7
        )
    });
    fs::write(
        &trace,
        "time,op,key,size\n".to_owned() + &rows.collect::<String>(),
    )
    .unwrap();
    let path = trace.display().to_string();
    for (speed, seconds) in [("1", 1.4..60.0), ("3", 0.45..60.0), ("max", 0.0..1.4)] {
        let options = ["--trace", &path, "--speed", speed, "--connections", "5"];
        let report = measured("replay", quick(), &options);
        assert_eq!(report["requests"], 60, "speed {speed}");
        assert_eq!(report["misses"], 60, "speed {speed}");
        let took = report["seconds"].as_f64().unwrap();
        assert!(seconds.contains(&took), "speed {speed}: {took} s");
    }
    fs::remove_file(trace).unwrap();
}

#[test]
fn several_workers_share_the_connections_and_the_rate() {
    // Both on the one core that is surely there.
    let options = [
        "--cores",
        "0",
        "--connections",
        "3",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--rate",
        "100",
    ];
    assert_eq!(measured("run", quick(), &options)["workers"], 1);
    let cores = thread_count().min(2);
    let list = if cores == 2 { "0,1" } else { "0" };
    let options = [
        "--cores",
        list,
        "--connections",
        "3",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--rate",
        "200",
    ];
    let report = measured(
        "run",
        quick(),
        &[&options[..], &["--arrivals", "constant"]].concat(),
    );
    assert_eq!(report["workers"], cores);
    let requests = report["requests"].as_u64().unwrap() + report["unanswered"].as_u64().unwrap();
    assert!((150..=200).contains(&requests), "{requests}");
}
