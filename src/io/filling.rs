//! A receive straight into the buffer of a request.

#![expect(unsafe_code, reason = "describes memory to the kernel")]

use std::os::fd::RawFd;

use bytes::{BufMut as _, BytesMut};
use io_uring::{opcode, squeue, types};

/// A buffer that the kernel fills. It stays in the socket until the operation has ended, whatever
/// becomes of the connection.
#[derive(Debug)]
pub(super) struct Filling {
    input: BytesMut,
    /// Bytes that are asked for.
    count: usize,
}

impl Filling {
    /// The next `count` bytes come behind what is in `input`.
    ///
    /// # Panics
    /// `input` has no room for them.
    pub(super) fn new(input: BytesMut, count: usize) -> Self {
        let room = input.capacity() - input.len();
        assert!(count <= room, "{count} bytes into room for {room}");
        Self { input, count }
    }

    /// The operation. It ends when all has come, or nothing more does.
    pub(super) fn operation(&mut self, fd: RawFd) -> squeue::Entry {
        let room = self.input.spare_capacity_mut();
        // A length beyond 4 GiB would be cut: the rest is then left to the next receive.
        let count = u32::try_from(self.count).unwrap_or(u32::MAX);
        let recv = opcode::Recv::new(types::Fd(fd), room.as_mut_ptr().cast(), count);
        recv.flags(libc::MSG_WAITALL).build()
    }

    /// The operation has ended with `result`: the buffer, and how many bytes have come.
    pub(super) fn ended(self, result: i32) -> (BytesMut, usize) {
        let Self { mut input, count } = self;
        let came = usize::try_from(result).unwrap_or(0).min(count);
        // SAFETY: `new` saw that there is room for `count` bytes, and nobody but the kernel has had
        // the buffer since; it wrote the first `came` of them.
        unsafe { input.advance_mut(came) };
        (input, came)
    }
}
