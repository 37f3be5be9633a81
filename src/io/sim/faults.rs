//! How unkind a simulated world is.

/// Chances in 1000, rolled whenever the thing could happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// A completion that is due comes in a later turn, a server answers in a later round.
    pub delay: u32,
    /// Bytes are cut where they could go whole: received, sent, and read by a server.
    pub cut: u32,
    /// A server breaks a connection when it should answer, perhaps in the middle of its reply.
    pub backend_reset: u32,
    /// A server says what no protocol has, between two answers.
    pub garbage: u32,
    /// A connect to a server that serves fails.
    pub connect_failure: u32,
    /// Accepting fails as if there were no descriptor left.
    pub accept_failure: u32,
}

impl Faults {
    /// Everything comes whole and at once.
    pub const NONE: Self = Self {
        delay: 0,
        cut: 0,
        backend_reset: 0,
        garbage: 0,
        connect_failure: 0,
        accept_failure: 0,
    };

    /// What any network does on a normal day: nothing is lost, nothing breaks.
    pub const NETWORK: Self = Self {
        delay: 300,
        cut: 300,
        ..Self::NONE
    };

    /// Connections break, too.
    pub const HARSH: Self = Self {
        backend_reset: 30,
        garbage: 10,
        connect_failure: 300,
        accept_failure: 100,
        ..Self::NETWORK
    };
}
