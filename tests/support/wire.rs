//! A raw connection: bytes out, bytes in, and nothing that helps a server to look good.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::DEADLINE;

/// A TCP connection that keeps what it has read and not yet handed out.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a read timeout");
        stream
            .set_write_timeout(Some(DEADLINE))
            .expect("a write timeout");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Closing will reset the connection, so that no port stays in TIME_WAIT: for tests with many thousands.
    pub(crate) fn reset_on_close(self) -> Self {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("SO_LINGER");
        self
    }

    /// Who this is, as the other side sees it.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a local address")
    }

    /// Sends all of `bytes`, or panics.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap_or_else(|error| {
            panic!(
                "cannot send {:?}…: {error}",
                show(&bytes[..bytes.len().min(60)])
            );
        });
    }

    /// Sends what the other side still takes; false once it has closed.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends as much as goes without waiting; the number of bytes that went, or `None` on a closed connection.
    pub(crate) fn send_available(&mut self, bytes: &[u8]) -> Option<usize> {
        self.stream.set_nonblocking(true).expect("O_NONBLOCK");
        let result = self.stream.write(bytes);
        self.stream.set_nonblocking(false).expect("O_NONBLOCK");
        match result {
            Ok(count) => Some(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
            Err(_) => None,
        }
    }

    /// Tells the other side that nothing more will come; its answers can still be read.
    pub(crate) fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends `request` and expects `reply`.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>, reply: impl AsRef<[u8]>) {
        self.send(request.as_ref());
        self.expect(reply.as_ref());
    }

    /// Reads exactly as many bytes as `expected` has, and insists that they are those.
    pub(crate) fn expect(&mut self, expected: &[u8]) {
        while self.unread.len() < expected.len() && expected.starts_with(&self.unread) {
            if !self.fill() {
                break;
            }
        }
        let count = expected.len().min(self.unread.len());
        assert!(
            self.unread[..count] == *expected,
            "expected {:?}\n     got {:?}",
            show(expected),
            show(&self.unread)
        );
        self.unread.drain(..count);
    }

    /// Puts bytes back that were read, to be read again.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        self.unread.splice(..0, bytes.iter().copied());
    }

    /// The next line, without its CRLF.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            assert!(
                self.fill(),
                "closed in the middle of {:?}",
                show(&self.unread)
            );
        }
    }

    /// One number of memcached's `stats WHAT`, or of `stats` for no word.
    pub(crate) fn stat(&mut self, what: &str, name: &str) -> u64 {
        let request = format!("stats {what}");
        self.send(format!("{}\r\n", request.trim_end()).as_bytes());
        let lines: Vec<_> =
            std::iter::from_fn(|| Some(self.line()).filter(|line| line != "END")).collect();
        let prefix = format!("STAT {name} ");
        let value = lines.iter().find_map(|line| line.strip_prefix(&prefix));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no number {name} in {lines:?}"))
    }

    /// One number of Redis' `INFO SECTION`, in either version.
    pub(crate) fn info(&mut self, section: &str, name: &str) -> u64 {
        self.send(format!("INFO {section}\r\n").as_bytes());
        let head = self.line();
        let length: usize = head[1..].parse().expect("a length");
        let text = String::from_utf8(self.bytes(length + 2)).expect("text");
        // In RESP3 it is a verbatim string.
        let lines = text.strip_prefix("txt:").unwrap_or(&text).lines();
        let value = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| *field == name);
        value
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or_else(|| panic!("no number {name} in {text}"))
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(
                self.fill(),
                "closed {} bytes before the end",
                count - self.unread.len()
            );
        }
        self.unread.drain(..count).collect()
    }

    /// Insists that the other side closes, and says nothing before.
    pub(crate) fn expect_close(&mut self) {
        while self.unread.is_empty() {
            if !self.fill() {
                return;
            }
        }
        panic!(
            "expected the connection to close, got {:?}",
            show(&self.unread)
        );
    }

    /// Reads until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.unread)
    }

    /// What has arrived and was not handed out; waits for at least one byte. `None` once the other side has closed.
    pub(crate) fn some(&mut self) -> Option<Vec<u8>> {
        while self.unread.is_empty() {
            if !self.fill() {
                return None;
            }
        }
        Some(std::mem::take(&mut self.unread))
    }

    /// As [`Self::some`], but `None` when nothing comes in `patience`.
    pub(crate) fn some_within(&mut self, patience: Duration) -> Option<Option<Vec<u8>>> {
        self.limit_reads(patience);
        let is_open = match self.unread.is_empty() {
            true => self.try_fill(),
            false => Some(true),
        };
        // Whoever reads next has as long as ever.
        self.limit_reads(DEADLINE);
        is_open.map(|is_open| is_open.then(|| std::mem::take(&mut self.unread)))
    }

    fn limit_reads(&self, patience: Duration) {
        self.stream
            .set_read_timeout(Some(patience))
            .expect("a read timeout");
    }

    /// False when the connection is closed (a reset is a close). Panics at the deadline.
    fn fill(&mut self) -> bool {
        self.try_fill().unwrap_or_else(|| {
            panic!(
                "nothing more in {DEADLINE:?} after {:?}",
                show(&self.unread)
            )
        })
    }

    /// As [`Self::fill`]; `None` at the deadline.
    fn try_fill(&mut self) -> Option<bool> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Some(false),
                Ok(count) => {
                    self.unread.extend_from_slice(&chunk[..count]);
                    return Some(true);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => return Some(false),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return None,
                    _ => panic!("reading: {error}"),
                },
            }
        }
    }
}

/// Bytes as a person reads them; long ones shortened.
pub(crate) fn show(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 400;
    let shown = bytes[..bytes.len().min(SHOWN_BYTES_MAX)]
        .escape_ascii()
        .to_string();
    if bytes.len() > SHOWN_BYTES_MAX {
        format!("{shown}… ({} bytes)", bytes.len())
    } else {
        shown
    }
}
