//! What the kernel is to tell of an operation's end: its kind and the token of its socket.

use super::{ListenerId, Token};

/// What an operation was; the top byte of its user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    AcceptMemcache = 1,
    AcceptResp,
    Recv,
    Fill,
    Send,
    Connect,
    Wake,
    Control,
    Timer,
    /// Cancels, closes and wake messages: nobody waits for their end.
    Silent,
}

impl Op {
    pub(super) fn from_user_data(user_data: u64) -> Self {
        match user_data >> 56 {
            1 => Self::AcceptMemcache,
            2 => Self::AcceptResp,
            3 => Self::Recv,
            4 => Self::Fill,
            5 => Self::Send,
            6 => Self::Connect,
            7 => Self::Wake,
            8 => Self::Control,
            9 => Self::Timer,
            _ => Self::Silent,
        }
    }

    pub(super) fn with(self, token: Token) -> u64 {
        self.alone() | token.to_bits()
    }

    pub(super) fn alone(self) -> u64 {
        (self as u64) << 56
    }

    pub(super) fn accept(listener: ListenerId) -> Self {
        match listener {
            ListenerId::Memcache => Self::AcceptMemcache,
            ListenerId::Resp => Self::AcceptResp,
        }
    }
}
