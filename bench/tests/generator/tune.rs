//! The promise of `tune`: of a server whose flags are known it finds the one that matters, says of the others what they are
//! worth, and leaves no process behind.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{bench, scratch, thread_count};

fn fake_server() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/generator");
    format!("{folder}/fake_server.py")
}

/// A server alone on its core has a delay that is its own; with one core there is nothing to be measured.
fn arguments(out: &str, more: &[&str]) -> Vec<String> {
    let program = fake_server();
    let common = [
        "tune",
        "--server-bin",
        &program,
        "--protocol",
        "resp",
        "--keys",
        "10",
        "--connections",
        "1",
        "--goal",
        "throughput",
        "--duration",
        "200ms",
        "--warmup",
        "0s",
        "--difference",
        "0.5",
        "--out",
        out,
    ];
    common
        .iter()
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

fn tune(out: &str, more: &[&str]) -> Output {
    let arguments = arguments(out, more);
    bench(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The only thing to be said on a machine with one core.
fn is_crowded(output: &Output) -> bool {
    thread_count() == 1 && text(&output.stderr).contains("need a core each")
}

#[test]
fn the_flag_that_matters_is_found_and_the_others_are_told() {
    let out = scratch("tuned.flags");
    let path = out.display().to_string();
    let knobs = ["--idle=1", "--broken", "--delay-ms=5,60"].map(|knob| format!("--knob={knob}"));
    let mut more: Vec<&str> = knobs.iter().map(String::as_str).collect();
    more.extend(["--", "--memcache", "127.0.0.1:9"]);
    let output = tune(&path, &more);
    if is_crowded(&output) {
        return;
    }
    let (table, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}");
    let row = |setting: &str| {
        let found = table.lines().find(|line| line.starts_with(setting));
        found.unwrap_or_else(|| panic!("{setting} in {table}"))
    };
    assert!(row("--delay-ms 5 ").ends_with("better, chosen"), "{table}");
    assert!(row("--delay-ms 60").ends_with("worse"), "{table}");
    assert!(row("--idle 1").ends_with("no difference"), "{table}");
    let complaint = "fails: fake: cannot be broken any further";
    assert!(row("--broken").ends_with(complaint), "{table}");
    assert!(told.contains(&format!("--broken: {complaint}")), "{told}");
    assert!(table.contains("worth giving: --delay-ms 5\n"), "{table}");
    assert!(table.contains("worth nothing here: --idle\n"), "{table}");

    let flags = fs::read_to_string(&out).unwrap();
    assert_eq!(flags, "--memcache 127.0.0.1:9 --delay-ms 5\n");
    fs::remove_file(out).unwrap();
}

#[test]
fn a_server_that_fails_as_it_is_ends_the_search() {
    let out = scratch("untuned.flags");
    let path = out.display().to_string();
    let output = tune(&path, &["--knob=--idle=1", "--", "--broken"]);
    let told = text(&output.stderr);
    let expected = "the server fails as it is: fake: cannot be broken";
    assert!(is_crowded(&output) || told.contains(expected), "{told}");
    assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1));
    let output = tune(&path, &[]);
    let told = text(&output.stderr);
    let expected = "no flag that is known to be a matter of speed";
    assert!(is_crowded(&output) || told.contains(expected), "{told}");
    fs::remove_file(out).unwrap();
}

/// What the server does not take is told on one line before any trial.
#[test]
fn flags_that_the_server_refuses_are_a_mistake() {
    let (out, pids) = (scratch("refused.flags"), scratch("refused.pids"));
    let (path, pid_file) = (out.display().to_string(), pids.display().to_string());
    let server = fake_server();
    for (flags, expected) in [
        (
            &["--knob=--idel=1", "--", "--pid-file", &pid_file][..],
            format!("--knob --idel: {server} has no such flag: give one that its --help has"),
        ),
        (
            &["--knob=--idle=1", "--", "--no-such-flag"],
            format!("-- --no-such-flag: {server} refuses that: usage: fake_server"),
        ),
        (
            &["--knob=--idle=1", "--knob=--delay-ms=5,soon"],
            format!("--knob --delay-ms=soon: {server} refuses that: usage: fake_server"),
        ),
    ] {
        let output = tune(&path, flags);
        let told = text(&output.stderr);
        assert!(is_crowded(&output) || told.contains(&expected), "{told}");
        assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1));
        assert!(output.stdout.is_empty(), "{flags:?}");
    }
    assert!(!pids.exists(), "a name is looked up before anything runs");
    let mut arguments = arguments(&path, &["--knob=--idle=1"]);
    "/nowhere/a".clone_into(&mut arguments[2]);
    let output = bench(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let told = text(&output.stderr);
    let expected = "--server-bin /nowhere/a: ";
    assert!(is_crowded(&output) || told.contains(expected), "{told}");
    assert_eq!(output.status.code(), Some(2));
    fs::remove_file(out).unwrap();
}

/// Ends what a failed test has started.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_signal_ends_the_server_too() {
    let (out, pids) = (scratch("ended.flags"), scratch("pids"));
    let (path, pid_file) = (out.display().to_string(), pids.display().to_string());
    let more = ["--knob=--idle=1", "--", "--pid-file", &pid_file];
    let child = Command::new(env!("CARGO_BIN_EXE_ringfort-bench"))
        .args(arguments(&path, &more))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut tuning = Ended(child.unwrap());
    let Some(server) = first_pid(&pids, &mut tuning) else {
        assert_eq!(thread_count(), 1, "no server was started");
        return;
    };
    kill_process(Pid::from_child(&tuning.0), Signal::TERM).unwrap();
    let status = tuning.0.wait().unwrap();
    assert_eq!(status.code(), Some(128 + Signal::TERM.as_raw()));
    for line in fs::read_to_string(&pids).unwrap().lines() {
        let pid = Pid::from_raw(line.parse().unwrap()).unwrap();
        assert!(test_kill_process(pid).is_err(), "{line} is still there");
    }
    assert!(test_kill_process(server).is_err());
    fs::remove_file(out).unwrap();
    fs::remove_file(pids).unwrap();
}

/// The first server's pid, as soon as there is one; `None` if the search ends without.
fn first_pid(pids: &PathBuf, tuning: &mut Ended) -> Option<Pid> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline && tuning.0.try_wait().unwrap().is_none() {
        let told = fs::read_to_string(pids).unwrap_or_default();
        if let Some((first, _)) = told.split_once('\n') {
            return Pid::from_raw(first.parse().unwrap());
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}
