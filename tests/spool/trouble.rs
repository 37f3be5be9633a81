//! What does not fit, or cannot be written, is an error to the client; what fits is not lost.

use std::fs;

use ringfort::config::Protocol;

use super::pool_of;
use crate::support::{
    backends::Backend,
    gate::Gate,
    process::{ScratchFolder, Signal},
    ringfort::{Ringfort, refusal},
    wait_for,
    wire::Wire,
};

const SMALLEST: [&str; 2] = ["--spool-size-max", "16MiB"];

/// One number out of `stats`.
fn stat(ringfort: &Ringfort, name: &str) -> u64 {
    Wire::connect(ringfort.memcache()).stat("", name)
}

/// Deletes so many keys with names of so many bytes, pipelined; how many were refused, in which words.
fn delete_all(ringfort: &Ringfort, count: usize, key_bytes: usize) -> (usize, Option<String>) {
    const BATCH: usize = 500;
    let mut wire = Wire::connect(ringfort.memcache());
    let mut refused = (0, None);
    for start in (0..count).step_by(BATCH) {
        let batch = start..count.min(start + BATCH);
        let requests: String = batch
            .clone()
            .map(|number| format!("delete {number:0>key_bytes$}\r\n"))
            .collect();
        wire.send(requests.as_bytes());
        for _ in batch {
            let line = wire.line();
            if line != "DELETED" {
                refused = (refused.0 + 1, Some(line));
            }
        }
    }
    refused
}

#[test]
fn a_full_spool_says_so_and_takes_writes_again() {
    let backend = Backend::memcached();
    let gate = Gate::shut_before(backend.address());
    let folder = ScratchFolder::new();
    let ringfort = pool_of(gate.address(), Protocol::Memcache, &folder, &SMALLEST);
    let (refused, line) = delete_all(&ringfort, 40_000, 240);
    assert_eq!(line.as_deref(), Some("SERVER_ERROR spool is full"));
    assert!((10_000..30_000).contains(&refused), "{refused}");
    assert_eq!(stat(&ringfort, "spool_full"), refused as u64);
    assert!(stat(&ringfort, "spool_bytes") <= 16 << 20);
    gate.open();
    wait_for("the spool to be emptied", || {
        (stat(&ringfort, "spool_records") == 0).then_some(())
    });
    assert_eq!(delete_all(&ringfort, 500, 240), (0, None));
    let on_disk: u64 = fs::read_dir(folder.path())
        .expect("the spool")
        .map(|file| {
            file.and_then(|file| file.metadata())
                .map_or(0, |data| data.len())
        })
        .sum();
    assert!(on_disk < 2 << 20, "{on_disk} bytes are not given back");
}

#[test]
fn more_than_memory_holds_waits_on_disk() {
    const COUNT: usize = 80_000;
    let backend = Backend::memcached();
    let mut wire = backend.connect();
    for number in 0..COUNT {
        wire.send(format!("set {number:0>8} 0 0 1 noreply\r\nv\r\n").as_bytes());
    }
    wire.send(b"mn\r\n");
    assert_eq!(wire.line(), "MN");
    let gate = Gate::shut_before(backend.address());
    let folder = ScratchFolder::new();
    let ringfort = pool_of(
        gate.address(),
        Protocol::Memcache,
        &folder,
        &["--shards", "1"],
    );
    assert_eq!(delete_all(&ringfort, COUNT, 8), (0, None));
    assert_eq!(backend.memcached_stat("curr_items"), COUNT as u64);
    gate.open();
    wait_for("all to be deleted", || {
        (backend.memcached_stat("curr_items") == 0).then_some(())
    });
}

#[test]
fn a_disk_that_fails_is_an_error_and_passes() {
    let backend = Backend::memcached();
    let gate = Gate::shut_before(backend.address());
    let folder = ScratchFolder::new();
    let spool = folder.path().join("spool");
    let address = gate.address().to_string();
    let spool_flag = spool.display().to_string();
    let ringfort = Ringfort::start(&[
        "--pool",
        "memcache",
        "--server",
        &address,
        "--write",
        "invalidate",
        "--resp",
        "off",
        "--spool",
        &spool_flag,
        SMALLEST[0],
        SMALLEST[1],
    ]);
    assert_eq!(delete_all(&ringfort, 10, 200), (0, None));
    // No new segment can be begun.
    fs::remove_dir_all(&spool).expect("the folder is taken away");
    let (refused, line) = delete_all(&ringfort, 5_000, 200);
    assert_eq!(
        line.as_deref(),
        Some("SERVER_ERROR spool cannot be written")
    );
    assert!(refused > 1_000, "{refused}");
    assert!(stat(&ringfort, "spool_errors") > 0);
    fs::create_dir(&spool).expect("the folder is back");
    assert_eq!(delete_all(&ringfort, 10, 200), (0, None));
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert!(status.success());
    let said = stderr.matches("the spool cannot be written").count();
    assert_eq!(said, 1, "once, not for each: {stderr}");
}

#[test]
fn a_folder_is_one_ringforts() {
    let backend = Backend::memcached();
    let folder = ScratchFolder::new();
    let _first = pool_of(backend.address(), Protocol::Memcache, &folder, &[]);
    let (address, path) = (
        backend.address().to_string(),
        folder.path().display().to_string(),
    );
    let (code, stderr) = refusal(&[
        "--pool",
        "memcache",
        "--server",
        &address,
        "--memcache",
        "127.0.0.1:0",
        "--write",
        "invalidate",
        "--spool",
        &path,
        "--memory",
        "64MiB",
        "--shards",
        "1",
    ]);
    let expected = format!(
        "ringfort: error: --spool {path}: another ringfort holds it; give each a folder of its own\n"
    );
    assert_eq!((code, stderr), (Some(2), expected));
}
