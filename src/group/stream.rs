//! A connection as hyper reads and writes it.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::io;

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::runtime::net::Stream;

/// Bytes that are read at a time.
const READ_BYTES: usize = 16 * 1024;

/// A connection.
pub(super) struct Wire {
    stream: Stream,
    /// What was read, on its way to hyper, which has no initialized memory for it.
    scratch: Box<[u8]>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            scratch: vec![0; READ_BYTES].into(),
        }
    }
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = buffer.remaining().min(this.scratch.len());
        let count = ready!(this.stream.poll_read(cx, &mut this.scratch[..room]))?;
        buffer.put_slice(&this.scratch[..count]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_close(cx)
    }
}
