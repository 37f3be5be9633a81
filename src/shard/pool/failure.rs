//! What clients are told when a backend does not answer, and why.

use super::cluster::UNSERVED;
use crate::{
    config::Protocol,
    shard::{core::Core, message::AnswerBody},
};

/// The line for a client whose backend is not connected.
pub(in crate::shard) const UNAVAILABLE: &str = "backend is unavailable";

/// The line for a client whose backend connection broke before the reply. A write may or may
/// not have been done.
pub(in crate::shard) const LOST: &str = "backend connection was lost";

/// The line for a client whose request was not answered in time. A write may be done still.
pub(super) const LATE: &str = "backend did not answer in time";

/// The line for a client whose request needs a script that the backend has forgotten. It will have
/// it again when the client tries again.
pub(super) const SCRIPT_LOST: &str = "backend had lost its script and did nothing, try again";

/// The line for a client whose request has waited in vain for its turn.
pub(super) const BUSY: &str = "backend has too many requests in flight";

/// The line for a client whose key or request only meta commands can say.
pub(super) const NO_META: &str = "backend does not know memcache's meta commands";

impl Core {
    /// Counts a failure, and has clients told of it with a line.
    pub(super) fn with_failure(&mut self, reason: &str, tell: impl FnOnce(&mut Self, &[u8])) {
        self.counters().backend_failures.add(1);
        self.with_line(reason, tell);
    }

    /// Has a client told why not, in the words of the pool's protocol.
    pub(super) fn with_line(&mut self, reason: &str, tell: impl FnOnce(&mut Self, &[u8])) {
        if let AnswerBody::Replied { bytes: line, .. } = self.failure(reason) {
            tell(self, &line);
            self.buffers.put(line);
        }
    }

    /// The line for a client whose backend is not connected.
    pub(in crate::shard) fn failure_line(&mut self) -> Vec<u8> {
        match self.failure(UNAVAILABLE) {
            AnswerBody::Replied { bytes, .. } => bytes,
            _ => Vec::new(),
        }
    }

    /// The line for a client whose request a link does not take.
    pub(super) fn unavailable(&mut self, number: usize) -> AnswerBody {
        let pool = self.pool.as_ref();
        let reason = pool.map_or(UNAVAILABLE, |pool| pool.why_not(pool.server_of(number)));
        self.failure(reason)
    }

    /// An error line in the words of the pool's protocol.
    pub(super) fn failure(&mut self, text: &str) -> AnswerBody {
        let prefix: &[u8] = match self.pool.as_ref().map(|pool| pool.protocol) {
            Some(Protocol::Resp) if text == UNSERVED => b"-",
            Some(Protocol::Resp) => b"-ERR ",
            _ => b"SERVER_ERROR ",
        };
        let bytes = self.buffers.copy(&[prefix, text.as_bytes(), b"\r\n"]);
        AnswerBody::Replied {
            failed: true,
            bytes,
        }
    }
}
