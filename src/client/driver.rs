//! The task that has a client's socket: does what the link says, and tells it what happened.

use std::{
    fmt::Display,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};

use super::shared::Shared;
use crate::{
    backend::{Effect, Received},
    io::watch_stream,
    runtime::net::{Stream, Target, Timer, spawn_local},
    store::UnixMs,
};

/// Bytes asked for at a time.
const READ_BYTES: usize = 64 * 1024;

/// Rounds without letting others run: a server that always has more to say must not keep the
/// executor for itself.
const ROUNDS_MAX: usize = 16;

/// Buffers that were sent, kept for the next ones.
const SPARES_MAX: usize = 4;

/// Has a task of its own drive the link until it is closed.
pub(super) fn spawn(shared: Rc<Shared>, target: Target) {
    let mut driver = Driver {
        shared,
        target,
        conn: Conn::None,
        writing: None,
        chunk: vec![0; READ_BYTES],
        input: BytesMut::new(),
        want: 1,
        timer: None,
        spares: Vec::new(),
    };
    spawn_local(poll_fn(move |cx| driver.poll(cx)));
}

struct Driver {
    shared: Rc<Shared>,
    target: Target,
    conn: Conn,
    /// The buffer that is being sent and how much of it is gone out.
    writing: Option<(Vec<u8>, usize)>,
    /// Where bytes are read to.
    chunk: Vec<u8>,
    /// Bytes that are no whole reply.
    input: BytesMut,
    /// Bytes of `input` before which looking again is pointless.
    want: usize,
    timer: Option<(UnixMs, Timer)>,
    spares: Vec<Vec<u8>>,
}

enum Conn {
    None,
    Connecting(Pin<Box<dyn Future<Output = io::Result<Stream>>>>),
    Up(Stream),
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.driven_by(cx.waker());
        for _ in 0..ROUNDS_MAX {
            let mut goes_on = self.poll_timer(cx);
            goes_on |= self.do_effects();
            goes_on |= self.poll_connect(cx);
            goes_on |= self.poll_write(cx);
            goes_on |= self.poll_read(cx);
            self.tell_failed();
            if self.shared.link.borrow().is_closed() {
                self.shared.end();
                return Poll::Ready(());
            }
            if !goes_on {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does what is due, and sees to it that this is called when something is next.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.shared.now();
        let mut link = self.shared.link.borrow_mut();
        let Some(due) = link.poll_timeout() else {
            self.timer = None;
            return false;
        };
        if due <= now {
            let gave_up = link.handle_timeout(now, |_| None);
            drop(link);
            self.timer = None;
            if let Some(gave_up) = gave_up {
                self.lost(&gave_up);
            }
            // What was due may be again before its time, as far as the link knows.
            return true;
        }
        drop(link);
        // One that comes too early only looks once more than it must.
        let is_early = |(at, _): &(UnixMs, Timer)| *at <= due;
        if !self.timer.as_ref().is_some_and(is_early) {
            self.timer = Some((due, Timer::after_ms(due.0 - now.0)));
        }
        if let Some((_, timer)) = &mut self.timer
            && timer.poll(cx).is_ready()
        {
            self.timer = None;
            return true;
        }
        false
    }

    fn do_effects(&mut self) -> bool {
        let now = self.shared.now();
        let mut was_busy = false;
        loop {
            let mut link = self.shared.link.borrow_mut();
            while let Some(buffer) = link.pipeline().take_released() {
                keep(&mut self.spares, buffer);
            }
            let spares = &mut self.spares;
            let Some(effect) = link.poll_effect(now, || spares.pop().unwrap_or_default()) else {
                return was_busy;
            };
            drop(link);
            was_busy = true;
            match effect {
                Effect::Connect => {
                    self.conn = Conn::Connecting(Box::pin(Stream::connect(self.target.clone())));
                }
                Effect::Send(buffer) => self.writing = Some((buffer, 0)),
                Effect::Close => {
                    self.conn = Conn::None;
                    self.writing = None;
                    self.input.clear();
                    self.want = 1;
                }
            }
        }
    }

    fn poll_connect(&mut self, cx: &mut Context<'_>) -> bool {
        let Conn::Connecting(connecting) = &mut self.conn else {
            return false;
        };
        let Poll::Ready(result) = connecting.as_mut().poll(cx) else {
            return false;
        };
        let watched = result.and_then(|stream| {
            stream.tcp().map_or(Ok(()), watch_stream)?;
            Ok(stream)
        });
        match watched {
            Ok(stream) => {
                self.conn = Conn::Up(stream);
                let now = self.shared.now();
                self.shared.link.borrow_mut().handle_connected(now);
            }
            Err(error) => self.handle_lost(&error),
        }
        true
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let (Conn::Up(stream), Some((buffer, sent))) = (&mut self.conn, &mut self.writing) else {
            return false;
        };
        let result = match stream.poll_write(cx, &buffer[*sent..]) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(result) => result.map(|count| *sent += count),
        };
        let is_over = result.is_err() || *sent == buffer.len();
        if is_over && let Some((buffer, _)) = self.writing.take() {
            self.shared.link.borrow_mut().handle_sent(buffer);
        }
        if let Err(error) = result {
            self.handle_lost(&error);
        }
        true
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let Conn::Up(stream) = &mut self.conn else {
            return false;
        };
        match stream.poll_read(cx, &mut self.chunk) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => self.handle_lost(&"it closed the connection"),
            Poll::Ready(Err(error)) => self.handle_lost(&error),
            Poll::Ready(Ok(count)) => {
                let now = self.shared.now();
                self.shared.link.borrow_mut().handle_heard(now);
                self.input.extend_from_slice(&self.chunk[..count]);
                if self.input.len() >= self.want {
                    self.read_replies(now);
                }
            }
        }
        true
    }

    fn read_replies(&mut self, now: UnixMs) {
        let mut link = self.shared.link.borrow_mut();
        let was_serving = link.is_serving();
        let mut is_broken = false;
        loop {
            let consumed = match link.receive(&self.input, now) {
                Received::Incomplete { want } => {
                    self.want = want;
                    break;
                }
                Received::Broken => {
                    link.give_up(now);
                    is_broken = true;
                    break;
                }
                Received::Complete {
                    tag,
                    reply,
                    consumed,
                } => {
                    tag.answer(&reply);
                    consumed
                }
                Received::Push { frame, consumed } => {
                    self.shared.pushes.borrow_mut().add(frame);
                    consumed
                }
                Received::Unheard { consumed } | Received::Skipped { consumed } => consumed,
            };
            self.input.advance(consumed);
        }
        let is_new = !was_serving && link.is_serving();
        drop(link);
        if is_broken {
            self.lost(&"it broke the protocol");
        } else if is_new {
            self.shared.tell_watchers();
        }
    }

    fn handle_lost(&mut self, why: &dyn Display) {
        let now = self.shared.now();
        // What did not go out whole is kept, as it may be sent again.
        if let Some((buffer, _)) = self.writing.take() {
            self.shared.link.borrow_mut().handle_sent(buffer);
        }
        self.shared.link.borrow_mut().handle_lost(now);
        self.lost(why);
    }

    /// The link has given its connection up.
    fn lost(&self, why: &dyn Display) {
        *self.shared.last_error.borrow_mut() = why.to_string();
        self.shared.pushes.borrow_mut().gap();
        self.shared.tell_watchers();
    }

    fn tell_failed(&self) {
        let mut link = self.shared.link.borrow_mut();
        while let Some((ticket, failure)) = link.poll_failed() {
            ticket.fail(failure);
        }
    }
}

/// Keeps a buffer for the next one to be sent, unless there are enough or it is a large one.
fn keep(spares: &mut Vec<Vec<u8>>, mut buffer: Vec<u8>) {
    if spares.len() < SPARES_MAX && buffer.capacity() <= READ_BYTES {
        buffer.clear();
        spares.push(buffer);
    }
}
