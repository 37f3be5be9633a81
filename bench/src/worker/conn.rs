//! One connection: requests go out from the script, replies come back and are judged.
//!
//! Both directions are cursors into the script, so a request in flight costs no memory:
//!
//! ```text
//!   script   ... | answered ... (in flight) ... queued | ...
//!                  ^ next reply answers this   ^ next request
//! ```

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;

use crate::error::BenchError;
use crate::wire::{Check, Parsed, Protocol};
use crate::worker::tally::Tally;
use crate::workload::script::Script;

/// Bytes taken from a socket by one read.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// How long a greeting may take: what is slower will not bear load.
const GREETING_MAX: Duration = Duration::from_secs(5);

/// Everything a worker's connections share while a run lasts.
pub(crate) struct Shared {
    pub(crate) script: Arc<Script>,
    pub(crate) check: Check,
    pub(crate) tally: Tally,
    /// What a read fills; replies that are whole never leave it.
    scratch: Box<[u8]>,
}

impl Shared {
    pub(crate) fn new(script: Arc<Script>, check: Check) -> Self {
        let scratch = vec![0; READ_BYTES].into_boxed_slice();
        Self {
            script,
            check,
            tally: Tally::default(),
            scratch,
        }
    }
}

/// A connection and what is under way on it.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    connection_index: usize,
    replies: Replies,
    /// The step that is sent next.
    queued: usize,
    /// Where in the script's bytes the next write begins.
    write_start: usize,
    /// Bytes of queued requests that the kernel has not taken yet.
    unwritten_bytes: usize,
}

/// The receiving half.
struct Replies {
    /// The step that the next reply answers.
    answered: usize,
    in_flight: usize,
    /// The beginning of a reply whose rest has not come yet.
    partial: Vec<u8>,
}

impl Conn {
    /// Connects, blocking; the first request will be the script's step `first`.
    pub(crate) fn connect(
        address: SocketAddr,
        connection_index: usize,
        shared: &Shared,
        first: usize,
    ) -> io::Result<Self> {
        let mut stream = StdTcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        if let Check::Whole { protocol, .. } = shared.check {
            greet(&mut stream, protocol)?;
        }
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            connection_index,
            replies: Replies {
                answered: first,
                in_flight: 0,
                partial: Vec::new(),
            },
            queued: first,
            write_start: shared.script.start_of(first),
            unwritten_bytes: 0,
        })
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.replies.in_flight
    }

    /// Adds the script's next `count` requests to what is to be sent.
    pub(crate) fn queue(&mut self, script: &Script, count: usize) {
        self.unwritten_bytes += script.span_bytes(self.queued, count);
        self.queued = script.after(self.queued, count);
        self.replies.in_flight += count;
    }

    /// Writes what the socket takes; the rest goes when it says writable.
    pub(crate) fn flush(&mut self, script: &Script) -> Result<(), BenchError> {
        while self.unwritten_bytes > 0 {
            let end = script
                .bytes()
                .len()
                .min(self.write_start + self.unwritten_bytes);
            match self.stream.write(&script.bytes()[self.write_start..end]) {
                Ok(written_bytes) => {
                    self.unwritten_bytes -= written_bytes;
                    self.write_start = (self.write_start + written_bytes) % script.bytes().len();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    /// Takes what has arrived and judges it; returns how many replies that completed.
    ///
    /// A read that does not fill the scratch has emptied the socket, which is all that the
    /// edge-triggered poller wants (epoll(7), questions and answers): no second read to be told so.
    pub(crate) fn receive(&mut self, shared: &mut Shared) -> Result<usize, BenchError> {
        let mut replies = 0;
        loop {
            let received_bytes = match self.stream.read(&mut shared.scratch) {
                Ok(0) => {
                    return Err(BenchError::Closed {
                        connection_index: self.connection_index,
                    });
                }
                Ok(received_bytes) => received_bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(replies),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(error)),
            };
            let received = &shared.scratch[..received_bytes];
            let (script, check) = (&shared.script, &shared.check);
            replies += self
                .replies
                .take(received, script, check, &mut shared.tally)?;
            if received_bytes < READ_BYTES {
                return Ok(replies);
            }
        }
    }

    fn broken(&self, error: io::Error) -> BenchError {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => BenchError::Closed {
                connection_index: self.connection_index,
            },
            _ => BenchError::Io {
                doing: "connection",
                cause: error,
            },
        }
    }
}

/// Says what the protocol begins with, and waits for the answer.
fn greet(stream: &mut StdTcpStream, protocol: Protocol) -> io::Result<()> {
    if protocol.greeting().is_empty() {
        return Ok(());
    }
    stream.set_read_timeout(Some(GREETING_MAX))?;
    stream.write_all(protocol.greeting())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let received_bytes = stream.read(&mut piece)?;
        if received_bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&piece[..received_bytes]);
        match protocol.is_greeted(&answer) {
            Some(true) => return Ok(()),
            Some(false) => {
                let shown = answer.escape_ascii();
                let refusal = format!("{} is not spoken: \"{shown}\"", protocol.name());
                return Err(io::Error::other(refusal));
            }
            None => {}
        }
    }
}

impl Replies {
    /// Judges all whole replies and keeps the beginning of the next.
    fn take(
        &mut self,
        received: &[u8],
        script: &Script,
        check: &Check,
        tally: &mut Tally,
    ) -> Result<usize, BenchError> {
        if self.partial.is_empty() {
            let (used_bytes, replies) = self.judge(received, script, check, tally)?;
            self.partial.extend_from_slice(&received[used_bytes..]);
            return Ok(replies);
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(received);
        let (used_bytes, replies) = self.judge(&joined, script, check, tally)?;
        joined.drain(..used_bytes);
        self.partial = joined;
        Ok(replies)
    }

    /// Returns how many bytes the whole replies in `bytes` take, and their number.
    fn judge(
        &mut self,
        bytes: &[u8],
        script: &Script,
        check: &Check,
        tally: &mut Tally,
    ) -> Result<(usize, usize), BenchError> {
        let mut used_bytes = 0;
        let mut replies = 0;
        while used_bytes < bytes.len() {
            let rest = &bytes[used_bytes..];
            let asked = script.asked(self.answered);
            if self.in_flight == 0 {
                return Err(BenchError::framing(asked, rest)); // A reply that nobody asked for.
            }
            match check.parse(rest, asked) {
                Parsed::Incomplete => break,
                Parsed::Invalid => return Err(BenchError::framing(asked, rest)),
                Parsed::Complete {
                    reply_bytes,
                    outcome,
                } => {
                    tally.count(outcome, asked, &rest[..reply_bytes]);
                    used_bytes += reply_bytes;
                    replies += 1;
                    self.in_flight -= 1;
                    self.answered = script.after(self.answered, 1);
                }
            }
        }
        Ok((used_bytes, replies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Protocol;
    use crate::workload::item;
    use crate::workload::item::tests::items;
    use crate::workload::script::Workload;
    use crate::workload::script::tests::workload;

    const CHECK: fn() -> Check = || Check::Whole {
        protocol: Protocol::Resp,
        items: items(30),
    };

    fn script() -> Script {
        let workload = Workload {
            items: items(30),
            ..workload(Protocol::Resp, 1.0)
        };
        Script::draw(&workload, 4)
    }

    /// Hits for the script's first `count` requests.
    fn hits(script: &Script, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for step_index in 0..count {
            bytes.extend_from_slice(b"$30\r\n");
            item::append_value(&mut bytes, script.asked(step_index).keys[0], 30);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    fn replies(in_flight: usize) -> Replies {
        Replies {
            answered: 0,
            in_flight,
            partial: Vec::new(),
        }
    }

    #[test]
    fn replies_survive_every_split() {
        let script = script();
        let stream = hits(&script, 4);
        for split in 0..=stream.len() {
            let (mut replies, mut tally) = (replies(4), Tally::default());
            let (head, tail) = stream.split_at(split);
            let first = replies.take(head, &script, &CHECK(), &mut tally).unwrap();
            let second = replies.take(tail, &script, &CHECK(), &mut tally).unwrap();
            assert_eq!((first, first + second), (split / 37, 4), "split at {split}");
            assert_eq!((tally.hits, tally.replies(), replies.in_flight), (4, 4, 0));
            assert!(replies.partial.is_empty());
        }
    }

    #[test]
    fn replies_survive_byte_by_byte() {
        let script = script();
        let (mut replies, mut tally) = (replies(3), Tally::default());
        for byte in hits(&script, 3) {
            replies
                .take(&[byte], &script, &CHECK(), &mut tally)
                .unwrap();
        }
        assert_eq!((tally.hits, replies.in_flight), (3, 0));
    }

    #[test]
    fn replies_out_of_order_are_wrong() {
        let script = script();
        let stream = hits(&script, 2);
        let (mut replies, mut tally) = (replies(2), Tally::default());
        let swapped = [&stream[37..], &stream[..37]].concat();
        replies
            .take(&swapped, &script, &CHECK(), &mut tally)
            .unwrap();
        assert_eq!((tally.wrong, tally.hits), (2, 0));
    }

    #[test]
    fn an_unasked_reply_breaks_the_protocol() {
        let script = script();
        let (mut replies, mut tally) = (replies(1), Tally::default());
        let taken = replies.take(&hits(&script, 2), &script, &CHECK(), &mut tally);
        assert!(matches!(taken, Err(BenchError::Framing { .. })));
    }
}
