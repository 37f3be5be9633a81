//! Smoke runs of the built programs: the floor under load, and servers that misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

/// Ends the process whatever the test does.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_floor_answers_a_closed_and_an_open_loop() {
    let mut floor = Ended(
        Command::new(env!("CARGO_BIN_EXE_floor"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--request-bytes",
                "22",
                "--reply-bytes",
                "100",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut ready = String::new();
    BufReader::new(floor.0.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let address = ready.trim().strip_prefix("floor ready: ").unwrap();
    let pid = floor.0.id().to_string();

    for options in [&["--depth", "64"][..], &["--depth", "4", "--rate", "1000"]] {
        let common = [
            "--protocol",
            "memcache",
            "--reply-bytes",
            "100",
            "--server-pid",
            &pid,
        ];
        let output = load(address, &[&common, options].concat());
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{report}");
        assert!(report.contains("ns CPU per request"), "{report}");
        assert!(!report.contains(" 0 unchecked"), "{report}");
    }
}

#[test]
fn a_server_that_answers_wrongly_fails_the_run() {
    let address = misbehaving(b"$4\r\nlies\r\n");
    let output = load(
        &address.to_string(),
        &["--protocol", "resp", "--value-bytes", "4"],
    );
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.contains("wrong replies; the first: read of key"),
        "{complaint}"
    );
    assert!(complaint.contains(r"$4\r\nlies\r\n"), "{complaint}");
}

#[test]
fn a_server_that_breaks_the_protocol_ends_the_run() {
    let address = misbehaving(b"220 mail.example.org\r\n");
    let output = load(&address.to_string(), &["--protocol", "memcache"]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("broke the protocol"), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

fn load(address: &str, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringfort-bench"))
        .args(["run", "--target", address, "--connections", "3"])
        .args(["--duration", "200ms", "--warmup", "0s"])
        .args(options)
        .output()
        .unwrap()
}

/// A server that always answers the same.
fn misbehaving(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut request = [0; 4096];
                // At depth 1 a read is one request; the peer's leaving ends the thread.
                while stream
                    .read(&mut request)
                    .is_ok_and(|received_bytes| received_bytes > 0)
                    && stream.write_all(answer).is_ok()
                {}
            });
        }
    });
    address
}
