//! The operation that sends: of one piece, or of several that lie apart.

#![expect(unsafe_code, reason = "describes memory to the kernel")]

use std::os::fd::AsRawFd;

use io_uring::{opcode, squeue, types};

use super::{Outgoing, socket::Socket};

/// Most pieces of one send: the kernel refuses more (`IOV_MAX`).
const PIECES_MAX: usize = 1024;

/// Descriptions kept for reuse: as many sends of several pieces as are usually in flight.
const SPARE_MAX: usize = 256;

/// Where the kernel finds the pieces of a send. It may look as long as the send is in flight.
#[derive(Debug)]
pub(super) struct Pieces {
    vectors: Vec<libc::iovec>,
    message: libc::msghdr,
}

impl Pieces {
    fn new() -> Self {
        Self {
            vectors: Vec::new(),
            // SAFETY: a message header of zeros is one of nothing.
            message: unsafe { std::mem::zeroed() },
        }
    }

    /// Describes what is left to be sent, or the first of it if that is in very many pieces. Good as
    /// long as neither `output` nor this changes.
    fn describe(&mut self, output: &Outgoing, sent: usize) -> *const libc::msghdr {
        self.vectors.clear();
        let vectors = output.pieces(sent).map(|piece| libc::iovec {
            iov_base: piece.as_ptr().cast_mut().cast(),
            iov_len: piece.len(),
        });
        self.vectors.extend(vectors.take(PIECES_MAX));
        self.message.msg_iov = self.vectors.as_mut_ptr();
        self.message.msg_iovlen = self.vectors.len();
        &raw const self.message
    }
}

/// Makes the operations that send.
#[derive(Debug, Default)]
pub(super) struct Sender {
    #[expect(
        clippy::vec_box,
        reason = "the kernel looks where they are, so they do not move"
    )]
    spare: Vec<Box<Pieces>>,
}

impl Sender {
    /// The operation that sends what is left of a socket's output, if it has any. What it points to
    /// stays in the socket until [`Self::ended`].
    pub(super) fn operation(&mut self, socket: &mut Socket) -> Option<squeue::Entry> {
        let (output, sent) = socket.sending.as_ref()?;
        let fd = types::Fd(socket.fd.as_raw_fd());
        let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        if output.inlays.is_empty() {
            let rest = &output.bytes[*sent..];
            let send = opcode::Send::new(fd, rest.as_ptr(), rest.len() as u32);
            return Some(send.flags(flags).build());
        }
        let spare = || self.spare.pop().unwrap_or_else(|| Box::new(Pieces::new()));
        let pieces = socket.pieces.get_or_insert_with(spare);
        let send = opcode::SendMsg::new(fd, pieces.describe(output, *sent));
        Some(send.flags(flags as u32).build())
    }

    /// A send has ended: takes what was sent out of the socket.
    pub(super) fn ended(&mut self, socket: &mut Socket) -> Option<Outgoing> {
        if let Some(pieces) = socket.pieces.take()
            && self.spare.len() < SPARE_MAX
        {
            self.spare.push(pieces);
        }
        socket.sending.take().map(|(output, _)| output)
    }
}
