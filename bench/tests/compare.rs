//! The promise of `scripts/compare`: every scenario can be read, every server gets a command line, and what is told of
//! the numbers (medians, spread, ratios, doubts, targets) follows from them. The tests are Python's own.

use std::path::Path;
use std::process::Command;

#[test]
fn what_is_told_follows_from_what_was_measured() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare");
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s"])
        .arg(folder)
        .output()
        .expect("apt-get install python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
