//! An HTTP server whose paths say what it is to answer, and which counts.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, atomic::AtomicUsize, atomic::Ordering};
use std::thread;
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// The server. Its threads end with the process.
pub(crate) struct Origin {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    keys: Mutex<Vec<Vec<u8>>>,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, seen }
    }

    /// The URL to append a key to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/values/", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The keys that were asked for since the last time, in order.
    pub(crate) fn take_keys(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.seen.keys.lock().expect("no panic"))
    }
}

fn serve(stream: &TcpStream, seen: &Seen) {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        let path = first.split(' ').nth(1).expect("a path");
        let text = path.strip_prefix("/values/").expect("a key");
        let key: Vec<u8> = percent_decode_str(text).collect();
        seen.keys.lock().expect("no panic").push(key.clone());
        let word = String::from_utf8_lossy(&key).into_owned();
        if word.starts_with("slow") {
            thread::sleep(Duration::from_secs(5));
        }
        if writer.write_all(&answer(&key, &word)).is_err() || word.starts_with("closes") {
            return;
        }
    }
}

fn answer(key: &[u8], word: &str) -> Vec<u8> {
    let name = word.split('-').next().unwrap_or_default();
    let (status, headers) = match name {
        "missing" => ("404 Not Found", "cache-control: max-age=60\r\n"),
        "gone" => ("410 Gone", ""),
        "fails" => ("500 Internal Server Error", ""),
        "moved" => ("302 Found", "location: /values/a\r\n"),
        "fresh" => ("200 OK", "Cache-Control: Max-Age=60\r\n"),
        "packed" => ("200 OK", "content-encoding: gzip\r\n"),
        _ => ("200 OK", ""),
    };
    let body = match name {
        "large" => vec![b'x'; 1001],
        "garbage" => return b"no HTTP at all\r\n\r\n".to_vec(),
        _ => [b"value of ", key].concat(),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}
