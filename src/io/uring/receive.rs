//! Receiving, in three ways: into provided buffers for as long as it goes, once, and into room of the
//! connection's. A socket has one of them in flight.

use std::os::fd::AsRawFd;

use io_uring::{cqueue, opcode, squeue, types};

use super::Uring;
use crate::io::{
    Completion, Errno, RecvBuffer, Room, Token,
    buffers::GROUP,
    filling::Filling,
    operation::Op,
    socket::{Receiving, receiving_after},
};

/// Most bytes of a receive that is to be one: a request without its large value, which then comes straight to where it
/// belongs. Small requests come as many at a time, for as long as that lasts.
const ONCE_BYTES_MAX: u32 = 1024;

impl Uring {
    pub(super) fn start_recv(&mut self, token: Token) {
        let Some(socket) = self.sockets.get_mut(token) else {
            return;
        };
        match socket.receiving {
            Receiving::Off if !socket.closing => self.arm_recv(token),
            Receiving::Stopping if socket.filling.is_none() => {
                socket.receiving = Receiving::Restarting;
            }
            Receiving::StarvedStopping => socket.receiving = Receiving::Starved,
            _ => {}
        }
    }

    pub(super) fn start_recv_once(&mut self, token: Token) {
        if self.may_start(token) {
            self.arm_recv_once(token);
        }
    }

    pub(super) fn start_fill(&mut self, token: Token, room: Room, count: usize) {
        if !self.may_start(token) {
            return;
        }
        let Some(socket) = self.sockets.get_mut(token) else {
            return;
        };
        socket.receiving = Receiving::Filling;
        let filling = socket.filling.insert(Filling::new(room, count));
        let fill = filling.operation(socket.fd.as_raw_fd());
        self.push(fill.user_data(Op::Fill.with(token)));
    }

    /// Whether nothing is being received, and something can be. A receive that is asked for after the
    /// end has been told of is of no use to anybody.
    fn may_start(&mut self, token: Token) -> bool {
        let Some(socket) = self.sockets.get_mut(token) else {
            return false;
        };
        let receiving = socket.receiving;
        debug_assert!(
            matches!(receiving, Receiving::Off | Receiving::Ended),
            "one receive in flight, but it is {receiving:?}"
        );
        receiving == Receiving::Off && !socket.closing
    }

    pub(super) fn pause_recv(&mut self, token: Token) {
        let Some(socket) = self.sockets.get_mut(token) else {
            return;
        };
        let op = match socket.receiving {
            Receiving::Armed => Op::Recv,
            Receiving::Filling => Op::Fill,
            Receiving::Restarting => {
                socket.receiving = Receiving::Stopping;
                return;
            }
            // What came before may not have been looked at, so the pause begins with the next turn.
            Receiving::Starved => {
                socket.receiving = Receiving::StarvedStopping;
                return;
            }
            _ => return,
        };
        socket.receiving = Receiving::Stopping;
        self.cancel(op.with(token));
    }

    /// Asks again for what the kernel had no buffers for, if it is still wanted.
    pub(super) fn recv_starved(&mut self, completions: &mut Vec<Completion>) {
        for token in std::mem::take(&mut self.starved) {
            let Some(socket) = self.sockets.get_mut(token).filter(|it| !it.closing) else {
                continue;
            };
            match socket.receiving {
                Receiving::Starved => self.arm_recv(token),
                Receiving::StarvedOnce => self.arm_recv_once(token),
                Receiving::StarvedStopping => {
                    socket.receiving = Receiving::Off;
                    completions.push(Completion::Paused { token });
                }
                _ => {}
            }
        }
    }

    fn arm_recv(&mut self, token: Token) {
        self.arm(token, Receiving::Armed, |fd| {
            opcode::RecvMulti::new(fd, GROUP).build()
        });
    }

    fn arm_recv_once(&mut self, token: Token) {
        self.arm(token, Receiving::Once, |fd| {
            let recv = opcode::Recv::new(fd, std::ptr::null_mut(), ONCE_BYTES_MAX);
            let recv = recv.buf_group(GROUP).build();
            recv.flags(squeue::Flags::BUFFER_SELECT)
        });
    }

    fn arm(
        &mut self,
        token: Token,
        receiving: Receiving,
        operation: impl FnOnce(types::Fd) -> squeue::Entry,
    ) {
        if let Some(socket) = self.sockets.get_mut(token) {
            socket.receiving = receiving;
            let entry = operation(types::Fd(socket.fd.as_raw_fd()));
            self.push(entry.user_data(Op::Recv.with(token)));
        }
    }

    pub(super) fn complete_recv(
        &mut self,
        token: Token,
        entry: &cqueue::Entry,
        completions: &mut Vec<Completion>,
    ) {
        let result = entry.result();
        let buffer = cqueue::buffer_select(entry.flags()).map(|id| RecvBuffer {
            id,
            len: result.max(0) as u32,
        });
        let Some(socket) = self.sockets.get_mut(token) else {
            return self.release_some(buffer);
        };
        let has_ended = !cqueue::more(entry.flags());
        let before = socket.receiving;
        if has_ended {
            socket.receiving = receiving_after(before, result);
        }
        if socket.closing {
            socket.receiving = if has_ended { Receiving::Off } else { before };
            let is_over = !socket.is_busy();
            self.release_some(buffer);
            if is_over {
                self.finish_close(token);
            }
            return;
        }
        let now = socket.receiving;
        match buffer {
            Some(buffer) if result > 0 => completions.push(Completion::Received { token, buffer }),
            buffer => self.release_some(buffer),
        }
        match now {
            Receiving::Ended if has_ended => completions.push(ended(token, result)),
            Receiving::Off if has_ended && before == Receiving::Stopping => {
                completions.push(Completion::Paused { token });
            }
            Receiving::Restarting if has_ended => self.arm_recv(token),
            Receiving::Starved | Receiving::StarvedOnce if has_ended => self.starved.push(token),
            _ => {}
        }
    }

    pub(super) fn complete_fill(
        &mut self,
        token: Token,
        result: i32,
        completions: &mut Vec<Completion>,
    ) {
        let Some(socket) = self.sockets.get_mut(token) else {
            return;
        };
        let Some(filling) = socket.filling.take() else {
            return;
        };
        let before = socket.receiving;
        socket.receiving = receiving_after(before, result);
        if socket.closing {
            socket.receiving = Receiving::Off;
            if !socket.is_busy() {
                self.finish_close(token);
            }
            return;
        }
        let now = socket.receiving;
        let (room, count) = filling.ended(result);
        completions.push(Completion::Filled { token, room, count });
        if now == Receiving::Ended {
            completions.push(ended(token, result));
        } else if before == Receiving::Stopping {
            completions.push(Completion::Paused { token });
        }
    }

    fn release_some(&mut self, buffer: Option<RecvBuffer>) {
        if let Some(buffer) = buffer {
            self.buffers.release(&buffer);
        }
    }
}

fn ended(token: Token, result: i32) -> Completion {
    let errno = (result < 0).then_some(Errno(-result));
    Completion::Ended { token, errno }
}
