//! A receive straight to where the bytes belong.

#![expect(unsafe_code, reason = "describes memory to the kernel")]

use std::os::fd::RawFd;

use bytes::BufMut as _;
use io_uring::{opcode, squeue, types};

use super::Room;

/// Room that the kernel fills. It stays in the socket until the operation has ended, whatever becomes of
/// the connection.
#[derive(Debug)]
pub(super) struct Filling {
    room: Room,
    /// Bytes that are asked for.
    count: usize,
}

impl Filling {
    /// The next `count` bytes come into `room`.
    ///
    /// # Panics
    /// There is no room for them.
    pub(super) fn new(room: Room, count: usize) -> Self {
        let free = room.free_bytes();
        assert!(count <= free, "{count} bytes into room for {free}");
        Self { room, count }
    }

    /// The operation. It ends when all has come, or nothing more does.
    pub(super) fn operation(&mut self, fd: RawFd) -> squeue::Entry {
        // A length beyond 4 GiB would be cut: the rest is then left to the next receive.
        let count = u32::try_from(self.count).unwrap_or(u32::MAX);
        let recv = opcode::Recv::new(types::Fd(fd), self.room.start(), count);
        recv.flags(libc::MSG_WAITALL).build()
    }

    /// The operation has ended with `result`: the room, and how many bytes have come.
    pub(super) fn ended(self, result: i32) -> (Room, usize) {
        let Self { mut room, count } = self;
        let came = usize::try_from(result).unwrap_or(0).min(count);
        match &mut room {
            // SAFETY: `new` saw that there is room for `count` bytes, and nobody but the kernel has had
            // the buffer since; it wrote the first `came` of them.
            Room::Input(input) => unsafe { input.advance_mut(came) },
            Room::Vacancy(vacancy) => vacancy.advance(came),
        }
        (room, came)
    }
}
