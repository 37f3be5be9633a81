//! An origin for caches that load what they miss.
//!
//! It has the value of every key, the one that runs expect, so a generator in front of such a cache still judges each
//! byte. One thread, HTTP/1.1; a connection stays until the other side closes it. Of a connection one request is
//! taken at a time:
//!
//! ```text
//!   input: | request | rest ...      read on, while nothing is owed
//!               |
//!               v  owed, until the delay is over
//!   output: | answer |               written, then the rest is looked at
//! ```

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::error::BenchError;
use crate::wire::http::{self, Asked};
use crate::workload::item::{self, Items};

/// Bytes of a request at most: far more than a path with the longest key.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Connections at most; one more is closed.
const CONNECTION_COUNT_MAX: usize = 8192;

/// Events taken from the kernel at once.
const EVENT_COUNT_MAX: usize = 1024;

/// The listener's; connections count from 0.
const LISTENER: Token = Token(usize::MAX);

/// What is known of all keys, and what was asked for.
pub(crate) struct Origin {
    pub(crate) items: Items,
    /// How long each answer is held back.
    pub(crate) delay: Duration,
    /// What answers say about how long a value is good, seconds.
    pub(crate) max_age_s: Option<u32>,
    /// Requests for keys so far; `GET /` tells it.
    pub(crate) asked: u64,
}

impl Origin {
    /// The answer to a request for a path.
    fn answer(&mut self, path: &[u8], out: &mut Vec<u8>) {
        if path.is_empty() {
            let asked = self.asked.to_string();
            http::append_head(out, "200 OK", asked.len(), None);
            out.extend_from_slice(asked.as_bytes());
            return;
        }
        self.asked += 1;
        match self.items.index_of(path) {
            Some(key_index) => {
                let value_bytes = self.items.value_bytes(key_index);
                http::append_head(out, "200 OK", value_bytes, self.max_age_s);
                item::append_value(out, key_index, value_bytes);
            }
            None => http::append_head(out, "404 Not Found", 0, None),
        }
    }

    /// Answers until the poller fails.
    pub(crate) fn serve(self, mut listener: TcpListener) -> Result<(), BenchError> {
        let poll = Poll::new().map_err(poller)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(poller)?;
        let mut serving = Serving {
            origin: self,
            listener,
            poll,
            conns: HashMap::new(),
            conn_next: 0,
            due: VecDeque::new(),
        };
        let mut events = Events::with_capacity(EVENT_COUNT_MAX);
        loop {
            serving.turn(&mut events)?;
        }
    }
}

/// The loop's state.
struct Serving {
    origin: Origin,
    listener: TcpListener,
    poll: Poll,
    /// By their numbers, of which none comes again.
    conns: HashMap<usize, Conn>,
    conn_next: usize,
    /// Answers that are owed, the first one due in front: all are held back for as long.
    due: VecDeque<Due>,
}

struct Due {
    at: Instant,
    conn: usize,
    path: Vec<u8>,
}

/// Invariant: `output` is empty while an answer is owed.
struct Conn {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    is_owed: bool,
}

/// What a connection has to offer.
enum Step {
    /// A request.
    Asked(Vec<u8>),
    /// Nothing, until the poller says so.
    Waits,
    /// It is over.
    Ended,
}

impl Serving {
    fn turn(&mut self, events: &mut Events) -> Result<(), BenchError> {
        let patience = self
            .due
            .front()
            .map(|due| due.at.saturating_duration_since(Instant::now()));
        match self.poll.poll(events, patience) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(poller(error)),
        }
        for event in events.iter() {
            match event.token() {
                LISTENER => self.accept()?,
                Token(conn) => self.advance(conn),
            }
        }
        let now = Instant::now();
        while let Some(due) = self.due.pop_front_if(|due| due.at <= now) {
            if let Some(conn) = self.conns.get_mut(&due.conn) {
                self.origin.answer(&due.path, &mut conn.output);
                conn.is_owed = false;
                self.advance(due.conn);
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<(), BenchError> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                // Who has gone before hides nobody behind.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                    ) =>
                {
                    continue;
                }
                Err(_) => return Ok(()),
            };
            if self.conns.len() >= CONNECTION_COUNT_MAX {
                continue;
            }
            // An answer is written at once, so this only helps those that do not fit.
            let _ = stream.set_nodelay(true);
            let token = Token(self.conn_next);
            self.poll
                .registry()
                .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
                .map_err(poller)?;
            let conn = Conn {
                stream,
                input: Vec::new(),
                output: Vec::new(),
                is_owed: false,
            };
            self.conns.insert(self.conn_next, conn);
            self.conn_next += 1;
        }
    }

    /// Does what can be done on a connection.
    fn advance(&mut self, number: usize) {
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        match conn.step() {
            Ok(Step::Asked(path)) => {
                conn.is_owed = true;
                self.due.push_back(Due {
                    at: Instant::now() + self.origin.delay,
                    conn: number,
                    path,
                });
            }
            Ok(Step::Waits) => {}
            Ok(Step::Ended) | Err(_) => drop(self.conns.remove(&number)),
        }
    }
}

impl Conn {
    /// Writes what is to be written, then looks for the next request.
    fn step(&mut self) -> io::Result<Step> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(written_bytes) => drop(self.output.drain(..written_bytes)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return waits(error),
            }
        }
        if self.is_owed {
            return Ok(Step::Waits);
        }
        loop {
            match http::parse(&self.input) {
                Asked::Get { path, bytes } => {
                    self.input.drain(..bytes);
                    return Ok(Step::Asked(path));
                }
                Asked::Incomplete if self.input.len() < REQUEST_BYTES_MAX => {}
                Asked::Incomplete | Asked::Invalid => return Ok(Step::Ended),
            }
            let mut room = [0; 4096];
            match self.stream.read(&mut room) {
                Ok(0) => return Ok(Step::Ended),
                Ok(read_bytes) => self.input.extend_from_slice(&room[..read_bytes]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return waits(error),
            }
        }
    }
}

/// A socket that is not ready is waited for, others are over.
fn waits(error: io::Error) -> io::Result<Step> {
    match error.kind() {
        ErrorKind::WouldBlock => Ok(Step::Waits),
        _ => Err(error),
    }
}

fn poller(cause: io::Error) -> BenchError {
    BenchError::Io {
        doing: "epoll",
        cause,
    }
}
