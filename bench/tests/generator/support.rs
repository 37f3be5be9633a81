//! A server whose delays are known, and the generator run against it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// When a request is answered.
pub(crate) enum Delays {
    /// The n-th request, of all connections together, after the n-th of these, and from the first again.
    InTurn(Vec<Duration>),
    /// At once, but for a while in which nobody is answered: it begins so long after the first request, and lasts so long.
    Stall { after: Duration, length: Duration },
}

/// Answers every GET with a miss, each connection in a thread of its own.
pub(crate) fn server(delays: Delays) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clock = Arc::new(Clock {
        delays,
        requests: AtomicUsize::new(0),
        first: OnceLock::new(),
    });
    thread::spawn(move || {
        for stream in listener.incoming() {
            let clock = Arc::clone(&clock);
            thread::spawn(move || serve(stream.unwrap(), &clock));
        }
    });
    address
}

struct Clock {
    delays: Delays,
    requests: AtomicUsize,
    first: OnceLock<Instant>,
}

impl Clock {
    /// When a request that came now is answered.
    fn due(&self, now: Instant) -> Instant {
        let first = *self.first.get_or_init(|| now);
        match &self.delays {
            Delays::InTurn(delays) => {
                let number = self.requests.fetch_add(1, Ordering::Relaxed);
                now + delays[number % delays.len()]
            }
            Delays::Stall { after, length } => {
                let (start, end) = (first + *after, first + *after + *length);
                if (start..end).contains(&now) {
                    end
                } else {
                    now
                }
            }
        }
    }
}

/// Requests of a connection are answered one after the other. A GET of a 16-byte key has one length, so whole requests
/// are told by it.
fn serve(mut stream: TcpStream, clock: &Clock) {
    const REQUEST_BYTES: usize = "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n".len();
    stream.set_nodelay(true).unwrap();
    let mut request = [0; REQUEST_BYTES];
    // The generator's leaving ends the thread.
    while stream.read_exact(&mut request).is_ok() {
        let wait = clock
            .due(Instant::now())
            .saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            thread::sleep(wait);
        }
        if stream.write_all(b"$-1\r\n").is_err() {
            return;
        }
    }
}

/// A file of this test alone.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    folder.join(format!("{}-{name}", std::process::id()))
}

/// Runs the generator to its end.
pub(crate) fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringfort-bench"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs a mode against a server and returns its JSON.
pub(crate) fn measured(mode: &str, address: SocketAddr, options: &[&str]) -> serde_json::Value {
    let json = scratch(&format!("{mode}-{}.json", address.port()));
    let (target, path) = (address.to_string(), json.display().to_string());
    let common = [
        mode,
        "--target",
        &target,
        "--protocol",
        "resp",
        "--json",
        &path,
    ];
    let output = bench(&[&common, options].concat());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let text = std::fs::read_to_string(&json).unwrap();
    std::fs::remove_file(&json).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Cores that the test may use.
pub(crate) fn thread_count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
