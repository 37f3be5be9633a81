//! The promise that latencies are what they are called: a server with known delays gives them back.
//!
//! Delays are so long that what a busy machine adds to them is within the per cent that is allowed.

use std::time::Duration;

use crate::support::{Delays, measured, server};
use serde_json::Value;

fn number(report: &Value, name: &str) -> f64 {
    report[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} in {report}"))
}

/// The latency in ms that this share of the requests did not exceed: of the shares that the report has, the next below.
fn at_ms(report: &Value, share: f64) -> f64 {
    let told = report["percentiles"].as_array().unwrap();
    let found = told
        .iter()
        .rev()
        .find(|point| point[0].as_f64().unwrap() <= share);
    found.unwrap()[1].as_f64().unwrap() / 1e3
}

/// How often a busy machine may hide what a run would have shown.
const RUNS: usize = 3;

#[test]
fn known_delays_come_back_as_their_percentiles() {
    let wrong: Vec<_> = (0..RUNS).map_while(|_| wrong_percentile()).collect();
    assert!(wrong.len() < RUNS, "{wrong:?}");
}

/// What a run tells of known delays that is not so, within the hundredth that is allowed.
fn wrong_percentile() -> Option<String> {
    // Of ten requests, six take two seconds, three four, one eight.
    let seconds = [2, 4, 2, 2, 8, 4, 2, 2, 4, 2];
    let address = server(Delays::InTurn(seconds.map(Duration::from_secs).to_vec()));
    let load = [
        "--connections",
        "300",
        "--rate",
        "60",
        "--arrivals",
        "constant",
        "--duration",
        "3s",
        "--warmup",
        "0s",
    ];
    let report = measured("run", address, &load);
    assert_eq!(number(&report, "unanswered"), 0.0);
    assert_eq!(
        number(&report, "held"),
        0.0,
        "300 connections always have room"
    );
    assert_eq!(report["latency_kind"], "response_time");
    let expected = [
        (0.2, 2000.0),
        (0.4, 2000.0),
        (0.68, 4000.0),
        (0.8, 4000.0),
        (0.94, 8000.0),
    ];
    expected.iter().find_map(|&(share, expected_ms)| {
        let found = at_ms(&report, share);
        let is_right = (found / expected_ms - 1.0).abs() < 0.01;
        (!is_right).then(|| format!("share {share}: {found} ms, not {expected_ms}"))
    })
}

/// A server that answers nobody for 1.5 of 4 seconds: an open loop charges that to all who would have asked meanwhile, a
/// closed one to the few that were asking.
#[test]
fn a_stall_is_charged_in_full_and_a_closed_loop_would_have_hidden_it() {
    let stall = || Delays::Stall {
        after: Duration::from_secs(1),
        length: Duration::from_millis(1500),
    };
    let common = ["--duration", "4s", "--warmup", "0s", "--connections", "4"];
    let open = ["--rate", "500", "--arrivals", "constant"];
    let open = measured("run", server(stall()), &[&common[..], &open[..]].concat());
    // Those who would have started in the first 1.1 of the 1.5 seconds waited for at least 0.4 of them.
    for (share, waited_ms) in [(0.9, 1100.0), (0.75, 500.0)] {
        let found = at_ms(&open, share);
        assert!(
            (found - waited_ms).abs() < 400.0,
            "share {share}: {found} ms, not {waited_ms}"
        );
    }
    assert!(
        number(&open, "held") > 600.0,
        "750 were due, and four connections had room for four"
    );
    assert_eq!(number(&open, "unsent"), 0.0, "a backlog is sent");

    let closed = measured("run", server(stall()), &common);
    assert!(number(&closed, "max_us") > 1.4e6);
    assert!(
        at_ms(&closed, 0.99) < 300.0,
        "four of thousands: {}",
        at_ms(&closed, 0.99)
    );
    assert_eq!(closed["latency_kind"], "service_time");
}

/// A server that never catches up: what it does not answer counts with the time that it has waited.
#[test]
fn what_is_never_answered_is_not_left_out() {
    let address = server(Delays::InTurn(vec![Duration::from_secs(2)]));
    let load = [
        "--connections",
        "2",
        "--rate",
        "20",
        "--arrivals",
        "constant",
        "--duration",
        "2s",
        "--warmup",
        "0s",
    ];
    let report = measured("run", address, &load);
    // Two connections answer one request every two seconds each: in the two seconds and the ten after, about twelve of 39.
    let (unsent, unanswered) = (number(&report, "unsent"), number(&report, "unanswered"));
    assert!((20.0..32.0).contains(&unsent), "{unsent}");
    assert!(unanswered <= 2.0, "{unanswered}");
    let waited_s = at_ms(&report, 0.9) / 1e3;
    assert!(
        (9.0..13.0).contains(&waited_s),
        "the slowest waited for all the time that there was: {waited_s}"
    );
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("the server did not keep up"),
        "{warnings}"
    );
}

/// Requests that start together do so on one connection, which answers one after the other: each of four waits for those
/// before it, and all of them since the same start.
#[test]
fn a_burst_is_one_connections_and_has_one_start() {
    let address = server(Delays::InTurn(vec![Duration::from_millis(400)]));
    let load = [
        "--connections",
        "2",
        "--depth",
        "4",
        "--burst",
        "4",
        "--rate",
        "4",
        "--arrivals",
        "constant",
        "--duration",
        "4s",
        "--warmup",
        "0s",
    ];
    let report = measured("run", address, &load);
    assert_eq!(number(&report, "burst"), 4.0);
    assert_eq!(number(&report, "held"), 0.0, "there is room for two bursts");
    for (share, waited_ms) in [(0.25, 400.0), (0.5, 800.0), (0.75, 1200.0), (1.0, 1600.0)] {
        let found = at_ms(&report, share);
        assert!(
            (waited_ms * 0.99..waited_ms + 300.0).contains(&found),
            "share {share}: {found} ms, not {waited_ms}"
        );
    }
}
