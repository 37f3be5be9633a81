//! The promise that a mistake is told before anything is measured: on one line that names the flag and what it was given,
//! with exit status 2.

use std::fs;

use crate::support::{bench, scratch};

/// What is said of a command line that is wrong.
fn complaint(arguments: &[&str]) -> String {
    let output = bench(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

/// Nothing listens there, so whoever connects before it looks says something else.
const CLOSED: [&str; 4] = ["--target", "127.0.0.1:1", "--protocol", "resp"];

#[test]
fn what_a_flag_names_is_looked_at_first() {
    for (mode, options, named) in [
        ("run", &["--json", "/nowhere/a"][..], "--json /nowhere/a: "),
        ("run", &["--hgrm", "/nowhere/a"], "--hgrm /nowhere/a: "),
        (
            "soak",
            &["--seconds", "4", "--hlog", "/nowhere/a"],
            "--hlog /nowhere/a: ",
        ),
        (
            "sweep",
            &["--rates", "5", "--json", "/nowhere/a"],
            "--json /nowhere/a: ",
        ),
        (
            "search",
            &["--goal", "p99<1ms", "--json", "/nowhere/a"],
            "--json /nowhere/a: ",
        ),
        ("replay", &["--trace", "/nowhere/a"], "--trace /nowhere/a: "),
        (
            "run",
            &["--cores", "4095"],
            "--cores 4095: this process may run on ",
        ),
        (
            "run",
            &["--server-pid", "4194305"],
            "--server-pid 4194305: ",
        ),
    ] {
        let told = complaint(&[&[mode], &CLOSED[..], options].concat());
        assert!(told.contains(named), "{mode}: {told}");
    }
}

#[test]
fn a_target_without_a_port_is_a_mistake_and_a_server_that_is_away_is_none() {
    let told = complaint(&["run", "--target", "localhost", "--protocol", "resp"]);
    assert!(told.contains("--target localhost: not HOST:PORT"), "{told}");
    let output = bench(&[&["run"], &CLOSED[..]].concat());
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_file_that_is_no_report_or_no_trace_is_named_with_what_is_wrong() {
    let file = scratch("mistake");
    let path = file.display().to_string();
    fs::write(&file, "0,get,a,\n0,sing,a,\n").unwrap();
    let told = complaint(&["report", &path, "--html", "/dev/null"]);
    assert!(
        told.contains(&path) && told.contains("give what --json has written"),
        "{told}"
    );
    let told = complaint(&[&["replay"], &CLOSED[..], &["--trace", &path]].concat());
    assert!(
        told.contains(&format!("--trace {path}: line 2: ")),
        "{told}"
    );
    fs::remove_file(&file).unwrap();
}

#[test]
fn a_mode_of_many_runs_offers_no_file_for_one() {
    for file in ["--hgrm", "--hlog"] {
        let told = complaint(&[&["sweep"], &CLOSED[..], &["--rates", "5", file, "a"]].concat());
        assert!(
            told.contains(file) && told.contains("see ringfort-bench sweep --help"),
            "{told}"
        );
    }
}

#[test]
fn without_a_mode_the_modes_are_named() {
    let told = complaint(&[]);
    assert!(told.contains("say what to do: run, load"), "{told}");
}
