//! The promise of `scripts/host-check` and `scripts/host-tune`: of machines that are known the one says what costs
//! latency, word by word, and what the other changes comes back, whatever happens between.
//!
//! The tests are Python's own (`tests/host`), on folders that look like /proc and /sys: never on this machine's.

mod support;

use std::path::Path;
use std::process::Command;

use support::python;

#[test]
fn host_check() {
    run("test_check.py");
}

#[test]
fn host_tune() {
    run("test_tune.py");
}

fn run(pattern: &str) {
    let mut command = Command::new("python3");
    command
        .args(["-B", "-m", "unittest", "discover", "-p", pattern, "-s"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host"));
    python::output(&mut command, "apt-get install python3");
}
