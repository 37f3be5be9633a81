//! The loop: multishot accept, multishot receive into provided buffers, at most one send in flight
//! per connection.
//!
//! A turn is one `io_uring_enter`: it submits what the last turn prepared and waits for
//! completions. Replies are copied into the connection's out buffer although all are equal, because
//! a server whose replies differ must write them too. Memory that the kernel may touch is leaked:
//! it lives as long as the process, whatever path ends it.

use std::convert::Infallible;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, SubmissionQueue, cqueue, opcode, squeue};

/// Longest reply, bytes: several must fit one out buffer, or the copy would cost more than the
/// send.
pub(crate) const REPLY_BYTES_MAX: usize = 16 * 1024;

/// Bytes answered by one send: what a connection at depth 512 with 128-byte replies fills.
const OUT_BYTES: usize = 64 * 1024;

/// Submission slots: two for each of 2000 connections that complete in the same turn.
const SQE_COUNT: u32 = 4096;

/// Completion slots: a receive and a send may complete for each submission slot.
const CQE_COUNT: u32 = 2 * SQE_COUNT;

/// What handling one completion may submit at most: a send and a re-armed receive.
const SQES_PER_COMPLETION: usize = 2;

/// Buffers the kernel chooses from; a power of two, as the ring's index is masked.
const BUFFER_COUNT: u16 = 1024;

/// One provided buffer, bytes: a receive that fills it is followed by another completion.
const BUFFER_BYTES: usize = 16 * 1024;

/// The kernel wants the buffer ring page-aligned.
const PAGE_BYTES: usize = 4096;

const ACCEPT: u64 = 0;
const RECV: u64 = 1;
const SEND: u64 = 2;

/// How requests are told apart.
#[derive(Clone, Copy)]
pub(crate) enum Framing {
    /// A request ends with `\n`.
    Lines,
    /// Every request has this length.
    Fixed { request_bytes: usize },
}

/// Serves until the ring fails.
pub(crate) fn serve(listener: &TcpListener, framing: Framing, reply_bytes: usize) -> io::Error {
    let Err(error) = Echo::new(listener, framing, reply_bytes).and_then(Echo::run);
    error
}

struct Echo<'l> {
    listener: &'l TcpListener,
    uring: IoUring,
    state: State,
}

impl<'l> Echo<'l> {
    fn new(listener: &'l TcpListener, framing: Framing, reply_bytes: usize) -> io::Result<Self> {
        let uring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_cqsize(CQE_COUNT)
            .build(SQE_COUNT)?;
        let mut reply = vec![b'x'; reply_bytes];
        reply[reply_bytes - 2..].copy_from_slice(b"\r\n");
        let buffers = Buffers::register(&uring)?;
        let state = State {
            framing,
            reply,
            buffers,
            conns: Vec::new(),
            vacant: Vec::new(),
        };
        Ok(Echo {
            listener,
            uring,
            state,
        })
    }

    fn run(mut self) -> io::Result<Infallible> {
        push(&mut self.uring.submission(), &accept_on(self.listener))?;
        loop {
            match self.uring.submit_and_wait(1) {
                Ok(_) => {}
                // A signal, or completions to take before more may be submitted: both mean go on.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => {}
                Err(error) => return Err(error),
            }
            self.turn()?;
        }
    }

    /// Handles the completions that are there, as far as what they submit fits; the rest waits a
    /// turn.
    fn turn(&mut self) -> io::Result<()> {
        let (_, mut submissions, mut completions) = self.uring.split();
        completions.sync();
        while submissions.capacity() - submissions.len() >= SQES_PER_COMPLETION {
            let Some(completion) = completions.next() else {
                break;
            };
            let conn_index = (completion.user_data() >> 8) as usize;
            match completion.user_data() & 0xff {
                ACCEPT => {
                    self.state.accepted(&mut submissions, completion.result())?;
                    if !cqueue::more(completion.flags()) {
                        push(&mut submissions, &accept_on(self.listener))?;
                    }
                }
                RECV => self
                    .state
                    .received(&mut submissions, conn_index, &completion)?,
                _ => self
                    .state
                    .sent(&mut submissions, conn_index, completion.result())?,
            }
        }
        Ok(())
    }
}

struct State {
    framing: Framing,
    reply: Vec<u8>,
    buffers: Buffers,
    /// Invariant: a place is vacant only while the kernel holds no operation for it, so no
    /// completion is stale.
    conns: Vec<Conn>,
    vacant: Vec<usize>,
}

struct Conn {
    socket: Option<TcpStream>,
    /// Invariant: untouched while `sending`, since the kernel reads from it.
    out: &'static mut [u8],
    receiving: bool,
    sending: bool,
    /// Bytes of a request whose rest has not come yet (fixed framing).
    partial_bytes: usize,
    /// Requests received and not yet answered.
    owed: usize,
}

impl State {
    fn accepted(&mut self, submissions: &mut SubmissionQueue<'_>, result: i32) -> io::Result<()> {
        if result < 0 {
            // The peer left before it was accepted, or descriptors ran out: the peer's loss.
            return Ok(());
        }
        // SAFETY: a non-negative result of an accept is a new descriptor that nothing else owns.
        let socket = TcpStream::from(unsafe { OwnedFd::from_raw_fd(result) });
        if socket.set_nodelay(true).is_err() {
            return Ok(()); // Already reset.
        }
        let conn_index = self.vacant.pop().unwrap_or_else(|| {
            self.conns.push(Conn::vacant());
            self.conns.len() - 1
        });
        let receive = receive_on(&socket, conn_index);
        let conn = &mut self.conns[conn_index];
        (conn.socket, conn.receiving, conn.partial_bytes, conn.owed) = (Some(socket), true, 0, 0);
        push(submissions, &receive)
    }

    fn received(
        &mut self,
        submissions: &mut SubmissionQueue<'_>,
        conn_index: usize,
        completion: &cqueue::Entry,
    ) -> io::Result<()> {
        let conn = &mut self.conns[conn_index];
        if let Some(buffer_id) = cqueue::buffer_select(completion.flags()) {
            let received_bytes = completion.result().max(0) as usize;
            // SAFETY: the kernel just handed over this buffer with this many bytes in it, and is
            // given it back once.
            let requests = unsafe {
                self.buffers.consume(buffer_id, received_bytes, |bytes| {
                    conn.count(self.framing, bytes)
                })
            };
            conn.owed += requests;
        }
        if !cqueue::more(completion.flags()) {
            let again = completion.result() > 0 || completion.result() == -libc::ENOBUFS;
            match &conn.socket {
                Some(socket) if again => push(submissions, &receive_on(socket, conn_index))?,
                _ => conn.receiving = false,
            }
        }
        self.answer(submissions, conn_index)
    }

    fn sent(
        &mut self,
        submissions: &mut SubmissionQueue<'_>,
        conn_index: usize,
        result: i32,
    ) -> io::Result<()> {
        let conn = &mut self.conns[conn_index];
        conn.sending = false;
        if result < 0 {
            conn.owed = 0; // The peer is gone; the receive ends by itself.
        }
        self.answer(submissions, conn_index)
    }

    /// Sends what is owed, or closes the connection once the kernel is done with it.
    fn answer(
        &mut self,
        submissions: &mut SubmissionQueue<'_>,
        conn_index: usize,
    ) -> io::Result<()> {
        let conn = &mut self.conns[conn_index];
        if conn.sending {
            return Ok(());
        }
        let Some(socket) = &conn.socket else {
            return Ok(());
        };
        if conn.owed > 0 {
            let replies = conn.owed.min(OUT_BYTES / self.reply.len());
            let out_bytes = replies * self.reply.len();
            for place in conn.out[..out_bytes].chunks_exact_mut(self.reply.len()) {
                place.copy_from_slice(&self.reply);
            }
            conn.owed -= replies;
            conn.sending = true;
            let send =
                opcode::Send::new(Fd(socket.as_raw_fd()), conn.out.as_ptr(), out_bytes as u32)
                    .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
                    .build()
                    .user_data(token(SEND, conn_index));
            return push(submissions, &send);
        }
        if !conn.receiving {
            conn.socket = None;
            self.vacant.push(conn_index);
        }
        Ok(())
    }
}

impl Conn {
    fn vacant() -> Self {
        Self {
            socket: None,
            out: Box::leak(vec![0; OUT_BYTES].into_boxed_slice()),
            receiving: false,
            sending: false,
            partial_bytes: 0,
            owed: 0,
        }
    }

    /// Requests that `bytes` complete.
    fn count(&mut self, framing: Framing, bytes: &[u8]) -> usize {
        match framing {
            Framing::Lines => bytes.iter().filter(|&&byte| byte == b'\n').count(),
            Framing::Fixed { request_bytes } => {
                let total_bytes = self.partial_bytes + bytes.len();
                self.partial_bytes = total_bytes % request_bytes;
                total_bytes / request_bytes
            }
        }
    }
}

/// The buffers that the kernel receives into.
struct Buffers {
    entries: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl Buffers {
    /// Allocates and registers them as group 0.
    fn register(uring: &IoUring) -> io::Result<Self> {
        let entries_bytes = BUFFER_COUNT as usize * size_of::<BufRingEntry>();
        // One page more than needed, so that a page boundary with enough room behind it exists.
        let entries = vec![0u8; entries_bytes + PAGE_BYTES].leak();
        let skipped_bytes = entries.as_ptr().align_offset(PAGE_BYTES);
        let entries = entries[skipped_bytes..].as_mut_ptr();
        let memory = vec![0u8; BUFFER_COUNT as usize * BUFFER_BYTES]
            .leak()
            .as_mut_ptr();
        // SAFETY: the entries are page-aligned, BUFFER_COUNT long, zeroed, and leaked, so they
        // outlive the ring.
        unsafe {
            uring
                .submitter()
                .register_buf_ring_with_flags(entries as u64, BUFFER_COUNT, 0, 0)
        }?;
        let mut buffers = Self {
            entries: entries.cast(),
            memory,
            tail: 0,
        };
        for buffer_id in 0..BUFFER_COUNT {
            // SAFETY: no buffer was given away yet.
            unsafe { buffers.provide(buffer_id) };
        }
        Ok(buffers)
    }

    /// Reads what the kernel received and gives the buffer back to it.
    ///
    /// # Safety
    ///
    /// `buffer_id` and `received_bytes` come from one completion, which is consumed once.
    unsafe fn consume(
        &mut self,
        buffer_id: u16,
        received_bytes: usize,
        read: impl FnOnce(&[u8]) -> usize,
    ) -> usize {
        // SAFETY: by the caller's promise the buffer is ours now and holds that many bytes, all
        // initialised.
        let bytes = unsafe {
            std::slice::from_raw_parts(
                self.memory.add(buffer_id as usize * BUFFER_BYTES),
                received_bytes,
            )
        };
        let result = read(bytes);
        // SAFETY: the completion took the buffer from the kernel, and `bytes` is not used any more.
        unsafe { self.provide(buffer_id) };
        result
    }

    /// Gives a buffer to the kernel.
    ///
    /// # Safety
    ///
    /// The kernel does not have it, and nothing refers to its bytes.
    unsafe fn provide(&mut self, buffer_id: u16) {
        let entry_index = (self.tail & (BUFFER_COUNT - 1)) as usize;
        // SAFETY: the index is masked into the ring, and the id is below BUFFER_COUNT (ours or the
        // kernel's own); the kernel reads an entry only after the tail below says so.
        unsafe {
            let entry = &mut *self.entries.add(entry_index);
            entry.set_addr(self.memory.add(buffer_id as usize * BUFFER_BYTES) as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(buffer_id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is an aligned u16 in the registered ring, shared with the kernel as an
        // atomic.
        let shared_tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries).cast_mut()) };
        shared_tail.store(self.tail, Ordering::Release);
    }
}

fn accept_on(listener: &TcpListener) -> squeue::Entry {
    opcode::AcceptMulti::new(Fd(listener.as_raw_fd()))
        .build()
        .user_data(token(ACCEPT, 0))
}

fn receive_on(socket: &TcpStream, conn_index: usize) -> squeue::Entry {
    opcode::RecvMulti::new(Fd(socket.as_raw_fd()), 0)
        .build()
        .user_data(token(RECV, conn_index))
}

fn token(kind: u64, conn_index: usize) -> u64 {
    kind | (conn_index as u64) << 8
}

fn push(submissions: &mut SubmissionQueue<'_>, entry: &squeue::Entry) -> io::Result<()> {
    // SAFETY: accepts and receives carry no memory of ours; a send's bytes are leaked, and its
    // connection leaves them alone until the send completes.
    unsafe { submissions.push(entry) }.map_err(|_| io::Error::other("submission queue full"))
}
