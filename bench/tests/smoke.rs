//! Smoke runs of the built programs: the floor under load, and servers that misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Ends the process whatever the test does.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program and gives what it says behind these words once it is ready.
fn started(command: &mut Command, words: &str) -> (Ended, String) {
    let mut program = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(program.0.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let address = ready.trim().strip_prefix(words).unwrap();
    (program, address.to_owned())
}

fn floor() -> (Ended, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floor"));
    command.args(["--listen", "127.0.0.1:0"]);
    command.args(["--request-bytes", "22", "--reply-bytes", "100"]);
    started(&mut command, "floor ready: ")
}

#[test]
fn the_floor_answers_a_closed_and_an_open_loop() {
    let (floor, address) = floor();
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
        let output = load(&address, &[&common, options].concat());
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{report}");
        assert!(report.contains("ns CPU per request"), "{report}");
        assert!(!report.contains(" 0 unchecked"), "{report}");
    }
}

#[test]
fn a_run_of_so_many_requests_measures_all_of_them() {
    let (_floor, address) = floor();
    let json = std::env::temp_dir().join(format!("requests-{}.json", std::process::id()));
    let status = Command::new(env!("CARGO_BIN_EXE_ringfort-bench"))
        .args(["run", "--target", &address, "--protocol", "memcache"])
        .args(["--reply-bytes", "100", "--connections", "7", "--depth", "4"])
        .args(["--requests", "1001", "--json"])
        .arg(&json)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let said = std::fs::read_to_string(&json).unwrap();
    let _ = std::fs::remove_file(&json);
    assert!(status.success());
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["requests"], 1001, "{report}");
}

#[test]
fn an_origin_has_the_value_of_every_key_and_counts() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfort-bench"));
    command.args(["origin", "--listen", "127.0.0.1:0", "--value-bytes", "9"]);
    command.args(["--max-age", "60", "--delay", "20ms"]);
    let (_origin, address) = started(&mut command, "origin ready: ");
    let mut stream = TcpStream::connect(address).unwrap();
    let mut ask = |path: &str| {
        let request = format!("GET /{path} HTTP/1.1\r\nHost: here\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        answer(&mut stream)
    };
    let began = Instant::now();
    let (head, value) = ask("key%3A000000000042");
    assert!(began.elapsed() >= Duration::from_millis(20));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nCache-Control: max-age=60\r\n"), "{head}");
    assert_eq!(value.len(), 9);
    assert_eq!(ask("key:000000000042").1, value);
    assert_ne!(ask("key:000000000043").1, value);
    let (head, nothing) = ask("key:43");
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    assert!(nothing.is_empty());
    assert_eq!(ask("").1, b"4", "requests for keys");
}

/// The head and the body of an answer.
fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head, body)
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
