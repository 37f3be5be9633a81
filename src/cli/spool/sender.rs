//! One server that is told what waits for it: a blocking connection, requests in batches.

use std::{
    io::{self, Read, Write as _},
    net::{TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    protocol::{
        Parsed,
        memcache::{self, Exptime, Spelling, StoreVerb, push_meta_key, push_meta_key_flag},
        resp,
    },
    spool::{Operation, Speech, Write},
};

/// How long a server may take to connect and to answer a batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests that are sent before their answers are read: their answers fit any socket's buffer.
const BATCH_COUNT_MAX: usize = 256;

/// Bytes after which a batch is sent.
const BATCH_BYTES_MAX: usize = 256 << 10;

/// Bytes of answers to a batch. A server that says more does not answer what was asked.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What became of what was to be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) taken: u64,
    pub(super) failed: u64,
}

/// A server. After an error that leaves the connection in doubt nothing more is sent to it.
#[derive(Debug)]
pub(super) struct Sender {
    server: String,
    stream: Option<Stream>,
    requests: Vec<u8>,
    /// Whose answers are awaited, in order.
    asked: Vec<Speech>,
    counts: Counts,
    /// The first.
    error: Option<String>,
    is_broken: bool,
}

impl Sender {
    pub(super) fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            stream: None,
            requests: Vec::new(),
            asked: Vec::new(),
            counts: Counts::default(),
            error: None,
            is_broken: false,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Adds a request, and sends the batch if it is large enough.
    pub(super) fn send(&mut self, write: &Write<'_>) {
        if self.is_broken {
            self.counts.failed += 1;
            return;
        }
        if !encode(&mut self.requests, write, now_ms()) {
            self.counts.failed += 1;
            self.note(format_args!(
                "key '{}' cannot be named",
                write.key.escape_ascii()
            ));
            return;
        }
        self.asked.push(write.speech);
        if self.asked.len() >= BATCH_COUNT_MAX || self.requests.len() >= BATCH_BYTES_MAX {
            self.finish();
        }
    }

    /// Sends what has been added, and reads the answers.
    pub(super) fn finish(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let asked = core::mem::take(&mut self.asked);
        let mut answered = 0;
        if let Err(error) = self.exchange(&asked, &mut answered) {
            self.counts.failed += (asked.len() - answered) as u64;
            self.is_broken = true;
            self.note(format_args!("{error}"));
        }
        self.requests.clear();
    }

    fn exchange(&mut self, asked: &[Speech], answered: &mut usize) -> io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => Stream::connect(&self.server)?,
        };
        stream.write_all(&self.requests)?;
        let mut input = Vec::new();
        let mut chunk = [0; 16 << 10];
        let mut read_bytes = 0;
        while *answered < asked.len() {
            match answer(asked[*answered], &input) {
                Answer::Short => {
                    let length = stream.read(&mut chunk)?;
                    read_bytes += length;
                    if length == 0 || read_bytes > ANSWER_BYTES_MAX {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    input.extend_from_slice(&chunk[..length]);
                }
                Answer::Taken(bytes) => {
                    self.counts.taken += 1;
                    *answered += 1;
                    input.drain(..bytes);
                }
                Answer::Refused(bytes) => {
                    self.counts.failed += 1;
                    *answered += 1;
                    let line = input[..bytes].trim_ascii_end().escape_ascii();
                    self.note(format_args!("it said: {line}"));
                    input.drain(..bytes);
                }
                Answer::Nonsense => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        self.stream = Some(stream);
        Ok(())
    }

    fn note(&mut self, error: core::fmt::Arguments<'_>) {
        self.error.get_or_insert_with(|| error.to_string());
    }
}

/// A connection, over TCP or a unix socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to `HOST:PORT` or `unix:/PATH`.
    pub(super) fn connect(server: &str) -> io::Result<Self> {
        if let Some(path) = server.strip_prefix("unix:") {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            return Ok(Self::Unix(stream));
        }
        let address = server
            .to_socket_addrs()?
            .next()
            .ok_or(io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::Tcp(stream))
    }

    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }
}

/// The time in milliseconds since the unix epoch.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Appends the request. False if the server has no name for the key.
fn encode(out: &mut Vec<u8>, write: &Write<'_>, now_ms: u64) -> bool {
    let operation = match write.operation {
        // What is over must not rise again, nor what it would have replaced.
        Operation::Set { exptime, .. } if (1..=now_ms).contains(&exptime) => Operation::Delete,
        operation => operation,
    };
    match (write.speech, operation) {
        (Speech::Resp, Operation::Delete) => {
            resp::reply::encode_command(out, &[b"DEL", write.key]);
        }
        (Speech::Resp, Operation::Set { exptime, value, .. }) => {
            let mut digits = Vec::new();
            // What is left of its life: every Redis knows that, and its clock does not matter.
            crate::protocol::number::write(&mut digits, exptime.saturating_sub(now_ms));
            let set: [&[u8]; 5] = [b"SET", write.key, value, b"PX", &digits];
            let length = if exptime == 0 { 3 } else { 5 };
            resp::reply::encode_command(out, &set[..length]);
        }
        (Speech::Memcache, operation) => return encode_for_memcached(out, write.key, operation),
    }
    true
}

/// Keys are never pasted into a line that they might end.
fn encode_for_memcached(out: &mut Vec<u8>, key: &[u8], operation: Operation<'_>) -> bool {
    let ends = |byte: &u8| matches!(byte, b' ' | b'\r' | b'\n' | b'\t' | 0);
    let spelling = match Spelling::of(key) {
        Some(spelling) => spelling,
        // Older clients' control characters, which are not worth base64 at this length.
        None if (1..=250).contains(&key.len()) && !key.iter().any(ends) => Spelling::Text,
        None => return false,
    };
    match (operation, spelling) {
        (Operation::Delete, Spelling::Text) => memcache::reply::encode_delete(out, key),
        (Operation::Delete, Spelling::Base64) => {
            out.extend_from_slice(b"md ");
            push_meta_key(out, key, spelling);
            push_meta_key_flag(out, spelling);
            out.extend_from_slice(b"\r\n");
        }
        (
            Operation::Set {
                flags,
                exptime,
                value,
            },
            Spelling::Text,
        ) => {
            // memcached counts in seconds; less than one is rounded up, as 0 is for ever.
            let exptime = Exptime(exptime.div_ceil(1_000) as i64);
            memcache::reply::encode_store(out, StoreVerb::Set, key, flags, exptime, value);
        }
        (Operation::Set { .. }, Spelling::Base64) => return false,
    }
    true
}

/// What the bytes that a server has sent begin with, and how long that is.
enum Answer {
    Short,
    Taken(usize),
    Refused(usize),
    /// The server does not speak what it should.
    Nonsense,
}

fn answer(speech: Speech, input: &[u8]) -> Answer {
    match speech {
        Speech::Memcache => match memcache::reply::parse_reply(input, 0) {
            Parsed::Incomplete { .. } => Answer::Short,
            Parsed::Complete {
                request: memcache::reply::Reply::Line(line),
                consumed,
            } => {
                let words: [&[u8]; 5] = [b"DELETED", b"NOT_FOUND", b"STORED", b"HD", b"NF"];
                match words.contains(&line.trim_ascii_end()) {
                    true => Answer::Taken(consumed),
                    false => Answer::Refused(consumed),
                }
            }
            Parsed::Complete { .. } | Parsed::Refused { .. } => Answer::Nonsense,
        },
        Speech::Resp => match resp::reply::parse_reply(input, &resp::Limits::for_replies(0)) {
            Parsed::Incomplete { .. } => Answer::Short,
            Parsed::Complete { request, consumed } => match request {
                resp::reply::Reply::Integer(_) | resp::reply::Reply::Simple(_) => {
                    Answer::Taken(consumed)
                }
                resp::reply::Reply::Error(_) => Answer::Refused(consumed),
                _ => Answer::Nonsense,
            },
            Parsed::Refused { .. } => Answer::Nonsense,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_say_more_than_a_key() {
        let delete = |key: &[u8]| {
            let mut out = Vec::new();
            encode_for_memcached(&mut out, key, Operation::Delete).then_some(out)
        };
        assert_eq!(delete(b"k"), Some(b"delete k\r\n".to_vec()));
        assert_eq!(
            delete(b"k\r\nflush_all"),
            Some(b"md aw0KZmx1c2hfYWxs b\r\n".to_vec())
        );
        assert_eq!(delete(&[b'\n'; 200]), None);
        assert_eq!(delete(&[b'k'; 251]), None);
        assert_eq!(delete(&[1; 200]).map(|out| out.len()), Some(209));
    }

    #[test]
    fn a_value_is_sent_with_what_is_left_of_its_life() {
        let sent = |speech, exptime| {
            let write = Write {
                server: b"s:1",
                speech,
                key: b"k",
                operation: Operation::Set {
                    flags: 7,
                    exptime,
                    value: b"v",
                },
                unix_ms: 1_000,
            };
            let mut out = Vec::new();
            assert!(encode(&mut out, &write, 1_700_000_000_000));
            String::from_utf8(out).unwrap()
        };
        let table = [
            (Speech::Memcache, 0, "set k 7 0 1\r\nv\r\n"),
            (
                Speech::Memcache,
                1_700_000_000_001,
                "set k 7 1700000001 1\r\nv\r\n",
            ),
            (Speech::Memcache, 1_700_000_000_000, "delete k\r\n"),
            (Speech::Resp, 0, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"),
            (
                Speech::Resp,
                1_700_000_000_250,
                "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$3\r\n250\r\n",
            ),
            (Speech::Resp, 1, "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"),
        ];
        for (speech, exptime, expected) in table {
            assert_eq!(sent(speech, exptime), expected);
        }
    }
}
