//! An HTTP origin that a test holds in its hands: what it answers, when, and how often it was asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// What the origin says of a path.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Lines of the head, each with its CRLF.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn value(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            head: String::new(),
            body: body.into(),
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            head: String::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn with_head(mut self, line: &str) -> Self {
        self.head += line;
        self.head += "\r\n";
        self
    }
}

/// An HTTP server with a thread for each connection. Its threads end with the test's process.
pub(crate) struct Origin {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    answer: Box<dyn Fn(&str) -> Answer + Send + Sync>,
    asked: Mutex<HashMap<String, usize>>,
    /// Whether answers are held back.
    is_held: Mutex<bool>,
    released: Condvar,
}

impl Origin {
    /// Serves what `answer` makes of a path.
    pub(crate) fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(State {
            answer: Box::new(answer),
            asked: Mutex::default(),
            is_held: Mutex::new(false),
            released: Condvar::new(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.serve(&stream));
            }
        });
        Self { address, state }
    }

    /// Each path's last part is its value.
    pub(crate) fn echo() -> Self {
        Self::start(|path| Answer::value(path.rsplit('/').next().unwrap_or_default()))
    }

    /// What `--origin` is told.
    pub(crate) fn flag(&self) -> String {
        format!("http://{}/{{key}}", self.address)
    }

    /// How often a key was asked for.
    pub(crate) fn asked(&self, key: &str) -> usize {
        let asked = self.state.asked.lock().expect("no panic");
        asked.get(&format!("/{key}")).copied().unwrap_or(0)
    }

    /// How often anything was.
    pub(crate) fn asked_in_all(&self) -> usize {
        self.state.asked.lock().expect("no panic").values().sum()
    }

    /// Answers nothing until [`Self::release`].
    pub(crate) fn hold(&self) {
        *self.state.is_held.lock().expect("no panic") = true;
    }

    /// Answers what was held back, and all that follows.
    pub(crate) fn release(&self) {
        *self.state.is_held.lock().expect("no panic") = false;
        self.state.released.notify_all();
    }
}

impl State {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(path) = read_request(&mut reader) {
            *self
                .asked
                .lock()
                .expect("no panic")
                .entry(path.clone())
                .or_default() += 1;
            let is_held = self.is_held.lock().expect("no panic");
            drop(self.released.wait_while(is_held, |is_held| *is_held));
            let Answer { status, head, body } = (self.answer)(&path);
            let length = body.len();
            let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{head}\r\n");
            let mut writer = stream;
            let sent = writer.write_all(&[head.as_bytes(), &body].concat());
            if sent.is_err() {
                return;
            }
        }
    }
}

/// The path of the next request; none at the end.
fn read_request(reader: &mut impl BufRead) -> Option<String> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" if line.is_empty() => return None,
            "" => return Some(path),
            _ => {}
        }
    }
}
