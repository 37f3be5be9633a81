//! The kernel's side of [`Io`]: one io_uring, which the shard's thread owns and blocks in.
//!
//! Rules that hold here:
//!
//! * An operation's user data is its kind and the token of its socket. Completions for a token
//!   that is gone are dropped; their buffers go back.
//! * Submissions are not ordered among each other, so a socket has one send in flight.
//! * A receive or accept that ends without the kernel's promise of more is armed again. One that
//!   ended for lack of buffers waits until some are released.
//! * A socket is closed in three steps: cancel what is in flight, wait for the ends, close. No
//!   buffer is freed while the kernel may still use it.

#![expect(unsafe_code, reason = "submits pointers to the kernel")]

mod receive;

use std::{
    io,
    net::TcpListener,
    os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd},
    time::Duration,
};

use super::{
    Address, Completion, Endpoints, Errno, Io, ListenerEnd, ListenerId, Outgoing, RecvBuffer, Room,
    Stopwatch, Token, Wait,
    backlog::{Backlog, Queue, is_passing},
    buffers::ProvidedBuffers,
    operation::Op,
    pieces::Sender,
    socket::{Receiving, Socket},
    token::SocketTable,
    waker::{RingDirectory, Waker},
};
use crate::store::UnixMs;
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue, types};

/// Submissions held before an early submit; more than most turns make.
const SUBMISSION_QUEUE_ENTRIES: u32 = 1024;

/// Completions held; the kernel keeps what does not fit and is slower then.
const COMPLETION_QUEUE_ENTRIES: u32 = 8192;

/// One shard's io_uring.
///
/// Fields drop in order: the ring ends before the memory it may write to.
pub struct Uring {
    ring: IoUring,
    backlog: Backlog,
    sockets: SocketTable<Socket>,
    buffers: ProvidedBuffers,
    starved: Vec<Token>,
    listeners: [Option<TcpListener>; 2],
    directory: RingDirectory,
    control: Waker,
    stopwatch: Stopwatch,
    timer: Timer,
    sender: Sender,
}

/// The ring as its operations' queue. Only [`Uring`] has it, for operations of its own.
struct Operations<'a>(&'a mut IoUring);

impl Queue for Operations<'_> {
    #[inline]
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: what an entry of `Uring`'s points to outlives the operation: a socket's output, the
        // room it fills and its address stay in its table slot until the completion, the control
        // descriptor and the provided buffers as long as the ring.
        unsafe { self.0.submission().push(entry) }.is_ok()
    }

    fn submit(&mut self) -> io::Result<()> {
        self.0.submit().map(drop)
    }
}

/// The one timeout that is in the kernel at a time. Under load turns are short, and a timeout
/// that outlives them costs nothing, where one with each wait would.
#[derive(Debug, Default)]
struct Timer {
    /// When it fires.
    fires_at: Option<UnixMs>,
    /// What the kernel reads when the operation is submitted.
    timespec: Box<types::Timespec>,
}

impl core::fmt::Debug for Uring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Uring")
            .field("fd", &self.ring.as_raw_fd())
            .finish_non_exhaustive()
    }
}

/// Makes a ring as shards use it.
///
/// # Errors
/// What the kernel says; the pre-flight check explains it to the operator.
pub fn new_ring() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .setup_cqsize(COMPLETION_QUEUE_ENTRIES)
        .build(SUBMISSION_QUEUE_ENTRIES)
}

impl Uring {
    /// A ring for shard `shard`, made on its own thread. Listening sockets must be bound and
    /// listening, with `TCP_NODELAY` set, which accepted sockets inherit.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(
        shard: usize,
        directory: RingDirectory,
        memcache: Option<TcpListener>,
        resp: Option<TcpListener>,
    ) -> io::Result<Self> {
        let ring = new_ring()?;
        let buffers = ProvidedBuffers::register(&ring)?;
        let control = Waker::new()?;
        directory.publish(shard, ring.as_raw_fd());
        let mut uring = Self {
            ring,
            backlog: Backlog::default(),
            sockets: SocketTable::new(),
            buffers,
            starved: Vec::new(),
            listeners: [memcache, resp],
            directory,
            control,
            stopwatch: Stopwatch::start(),
            timer: Timer::default(),
            sender: Sender::default(),
        };
        uring.poll_control();
        Ok(uring)
    }

    /// How other threads wake this shard.
    pub fn waker(&self) -> Waker {
        self.control.clone()
    }

    fn poll_control(&mut self) {
        let fd = types::Fd(self.control.fd());
        let poll = opcode::PollAdd::new(fd, libc::POLLIN as u32).build();
        self.push(poll.user_data(Op::Control.alone()));
    }

    /// Queues an operation; submits early if the queue is full.
    #[inline]
    fn push(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() && Operations(&mut self.ring).push(&entry) {
            return;
        }
        self.push_behind(entry);
    }

    #[cold]
    fn push_behind(&mut self, entry: squeue::Entry) {
        self.backlog.push(entry);
        // A ring that is broken says so in the next turn, too, and there somebody hears of it.
        let _ = self.backlog.hand_over(&mut Operations(&mut self.ring));
    }

    fn arm_send(&mut self, token: Token) {
        let socket = self.sockets.get_mut(token);
        if let Some(send) = socket.and_then(|socket| self.sender.operation(socket)) {
            self.push(send.user_data(Op::Send.with(token)));
        }
    }

    fn cancel(&mut self, user_data: u64) {
        let cancel = opcode::AsyncCancel::new(user_data).build();
        self.push(cancel.user_data(Op::Silent.alone()));
    }

    /// Ends a socket on which nothing is in flight any more.
    fn finish_close(&mut self, token: Token) {
        if let Some(socket) = self.sockets.remove(token) {
            let close = opcode::Close::new(types::Fd(socket.fd.into_raw_fd())).build();
            let close = close.flags(squeue::Flags::SKIP_SUCCESS);
            self.push(close.user_data(Op::Silent.alone()));
        }
    }

    /// Makes sure that the wait ends by `until`. Looks at the clock only if a timeout is missing.
    fn arm_timer(&mut self, until: UnixMs) {
        if self.timer.fires_at.is_some_and(|armed| armed <= until) {
            return;
        }
        self.timer.fires_at = Some(until);
        let left = Duration::from_millis(until.0.saturating_sub(self.now().0));
        *self.timer.timespec = types::Timespec::from(left);
        let timeout = opcode::Timeout::new(&raw const *self.timer.timespec).build();
        self.push(timeout.user_data(Op::Timer.alone()));
    }

    fn submit_and_wait(&mut self, wait: Wait) -> io::Result<()> {
        self.buffers.publish();
        if let Wait::Until(until) = wait {
            self.arm_timer(until);
        }
        if !self.backlog.is_empty() {
            self.backlog.hand_over(&mut Operations(&mut self.ring))?;
        }
        // What is still behind is for the next turn, which must not wait for it.
        let wait = match self.backlog.is_empty() {
            true => wait,
            false => Wait::Poll,
        };
        let submitter = self.ring.submitter();
        let result = match wait {
            Wait::Forever | Wait::Until(_) => submitter.submit_and_wait(1),
            Wait::Poll => {
                let queued = self.ring.submission().len() as u32;
                let submitter = self.ring.submitter();
                // SAFETY: no argument is passed; GETEVENTS makes the kernel run deferred work.
                unsafe {
                    submitter.enter::<libc::sigset_t>(queued, 0, EnterFlags::GETEVENTS.bits(), None)
                }
            }
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn complete(&mut self, entry: &cqueue::Entry, completions: &mut Vec<Completion>) {
        let token = Token::from_bits(entry.user_data());
        match Op::from_user_data(entry.user_data()) {
            Op::Recv => self.complete_recv(token, entry, completions),
            Op::Fill => self.complete_fill(token, entry.result(), completions),
            Op::Send => self.complete_send(token, entry.result(), completions),
            Op::AcceptMemcache => self.complete_accept(ListenerId::Memcache, entry, completions),
            Op::AcceptResp => self.complete_accept(ListenerId::Resp, entry, completions),
            Op::Connect => self.complete_connect(token, entry.result(), completions),
            Op::Wake => completions.push(Completion::Woken),
            Op::Control => {
                self.control.reset();
                self.poll_control();
                completions.push(Completion::Woken);
            }
            Op::Timer => self.timer.fires_at = None,
            Op::Silent => {}
        }
    }

    fn complete_send(&mut self, token: Token, result: i32, completions: &mut Vec<Completion>) {
        let Some(socket) = self.sockets.get_mut(token) else {
            return;
        };
        let Some((output, sent)) = &mut socket.sending else {
            return;
        };
        *sent += result.max(0) as usize;
        if result > 0 && *sent < output.total_bytes() && !socket.closing {
            return self.arm_send(token);
        }
        let Some(output) = self.sender.ended(socket) else {
            return;
        };
        if socket.closing {
            if !socket.is_busy() {
                self.finish_close(token);
            }
            return;
        }
        let result = if result < 0 {
            Err(Errno(-result))
        } else {
            Ok(())
        };
        completions.push(Completion::Sent {
            token,
            output,
            result,
        });
    }

    fn complete_connect(&mut self, token: Token, result: i32, completions: &mut Vec<Completion>) {
        let Some(socket) = self.sockets.get_mut(token) else {
            return;
        };
        socket.connecting = false;
        socket.address = None;
        if socket.closing {
            return self.finish_close(token);
        }
        let result = if result < 0 {
            Err(Errno(-result))
        } else {
            Ok(())
        };
        completions.push(Completion::Connected { token, result });
    }

    fn complete_accept(
        &mut self,
        listener: ListenerId,
        entry: &cqueue::Entry,
        completions: &mut Vec<Completion>,
    ) {
        let result = entry.result();
        if result >= 0 {
            // SAFETY: a successful accept gives a new descriptor that nobody else owns.
            let fd = unsafe { OwnedFd::from_raw_fd(result) };
            let token = self.sockets.insert(Socket::new(fd));
            completions.push(Completion::Accepted { listener, token });
            if !cqueue::more(entry.flags()) {
                self.accept(listener);
            }
            return;
        }
        if self.listeners[listener as usize].is_some() {
            completions.push(Completion::AcceptFailed {
                listener,
                errno: Errno(-result),
            });
        }
    }
}

impl Io for Uring {
    fn now(&self) -> UnixMs {
        self.stopwatch.unix_ms()
    }

    fn stopwatch(&self) -> Stopwatch {
        self.stopwatch
    }

    fn endpoints(&self, token: Token) -> Option<Endpoints> {
        self.sockets.get(token)?.endpoints()
    }

    fn listener_end(&self, listener: ListenerId) -> Option<ListenerEnd> {
        let socket = self.listeners[listener as usize].as_ref()?;
        Some(ListenerEnd {
            local: socket.local_addr().ok()?,
            descriptor: socket.as_raw_fd(),
        })
    }

    fn accept(&mut self, listener: ListenerId) {
        let Some(socket) = &self.listeners[listener as usize] else {
            return;
        };
        let accept = opcode::AcceptMulti::new(types::Fd(socket.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.push(accept.user_data(Op::accept(listener).alone()));
    }

    fn accept_stop(&mut self, listener: ListenerId) {
        if let Some(socket) = self.listeners[listener as usize].take() {
            self.cancel(Op::accept(listener).alone());
            let close = opcode::Close::new(types::Fd(socket.into_raw_fd())).build();
            self.push(close.user_data(Op::Silent.alone()));
        }
    }

    fn connect(&mut self, address: &Address) -> io::Result<Token> {
        let (socket, address) = address.socket()?;
        let mut entry = Socket::new(socket.into());
        let address = Box::new(address);
        let connect = opcode::Connect::new(
            types::Fd(entry.fd.as_raw_fd()),
            address.as_ptr().cast(),
            address.len(),
        )
        .build();
        entry.address = Some(address);
        entry.connecting = true;
        let token = self.sockets.insert(entry);
        self.push(connect.user_data(Op::Connect.with(token)));
        Ok(token)
    }

    fn recv(&mut self, token: Token) {
        self.start_recv(token);
    }

    fn recv_once(&mut self, token: Token) {
        self.start_recv_once(token);
    }

    fn recv_into(&mut self, token: Token, room: Room, count: usize) {
        self.start_fill(token, room, count);
    }

    fn recv_pause(&mut self, token: Token) {
        self.pause_recv(token);
    }

    fn send(&mut self, token: Token, output: Outgoing) {
        let Some(socket) = self.sockets.get_mut(token) else {
            return;
        };
        debug_assert!(socket.sending.is_none(), "one send in flight");
        socket.sending = Some((output, 0));
        self.arm_send(token);
    }

    fn close(&mut self, token: Token) {
        let Some(socket) = self.sockets.get_mut(token) else {
            return;
        };
        if socket.closing {
            return;
        }
        socket.closing = true;
        if !socket.is_busy() {
            return self.finish_close(token);
        }
        let receives = matches!(
            socket.receiving,
            Receiving::Armed | Receiving::Once | Receiving::Restarting
        );
        let (sends, connects) = (socket.sending.is_some(), socket.connecting);
        for (is_in_flight, op) in [
            (receives, Op::Recv),
            (socket.filling.is_some(), Op::Fill),
            (sends, Op::Send),
            (connects, Op::Connect),
        ] {
            if is_in_flight {
                self.cancel(op.with(token));
            }
        }
    }

    fn wake(&mut self, shard: usize) {
        let fd = self.directory.ring(shard);
        let message = opcode::MsgRingData::new(types::Fd(fd), 0, Op::Wake.alone(), None).build();
        let message = message.flags(squeue::Flags::SKIP_SUCCESS);
        self.push(message.user_data(Op::Silent.alone()));
    }

    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        self.recv_starved(completions);
        let wait = if completions.is_empty() {
            wait
        } else {
            Wait::Poll
        };
        self.submit_and_wait(wait)?;
        // The queue is drained entry by entry, as completing one may queue operations.
        loop {
            let Some(entry) = self.ring.completion().next() else {
                return Ok(());
            };
            self.complete(&entry, completions);
        }
    }

    fn bytes(&self, buffer: &RecvBuffer) -> &[u8] {
        self.buffers.bytes(buffer)
    }

    fn release(&mut self, buffer: RecvBuffer) {
        self.buffers.release(&buffer);
    }
}
