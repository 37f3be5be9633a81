//! A real peer of golang/groupcache: `tests/peers/go/main.go`, built with what Debian has.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::support::{
    DEADLINE,
    process::{Process, free_port},
    wait_for,
};

const MEND: &str = "scripts/setup installs golang-go and golang-github-golang-groupcache-dev";

/// The running peer.
pub(crate) struct GoPeer {
    _process: Process,
    port: u16,
}

impl GoPeer {
    /// Starts one in a ring with others; its group is `values`.
    pub(crate) fn start(others: &[String], origin: &str) -> Self {
        let port = free_port();
        let me = format!("http://127.0.0.1:{port}");
        let peers = [std::slice::from_ref(&me), others].concat().join(",");
        let mut command = Command::new(program());
        command.args(["-self", &me, "-peers", &peers, "-origin", origin]);
        let (mut process, _stdout) = Process::spawn(&mut command, MEND);
        wait_for("the Go peer to listen", || {
            assert!(process.ended().is_none(), "the Go peer has ended");
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            _process: process,
            port,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Asks the group of the peer on a port for a key, as a client of its own process: the status, and what
/// came.
pub(crate) fn get(port: u16, key: &[u8]) -> (u16, Vec<u8>) {
    let key = percent_encode(key, NON_ALPHANUMERIC);
    request(port, &format!("/get?key={key}"))
}

/// One request by hand.
fn request(port: u16, path: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = answer.split_off(head.expect("a head") + 4);
    let status = String::from_utf8_lossy(&answer[9..12]).parse();
    (status.expect("a status"), body)
}

/// The program, built once.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("go-peer");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/go/main.go");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(source)
            .env("GO111MODULE", "off")
            .env("GOPATH", "/usr/share/gocode")
            .output()
            .unwrap_or_else(|error| panic!("cannot run go: {error}; {MEND}"));
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{errors}; {MEND}");
        program
    })
}
