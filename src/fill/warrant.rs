//! Where servers tell of changes: on what a value that is being read may be kept.

use crate::store::{Deadline, UnixMs};

/// Names what vouches for copies: that somebody hears of their keys' changes. When nobody does any
/// more, all copies with the same cover are as good as gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cover(pub u64);

/// What was known when a fill was asked for, and what its server has said since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warrant {
    cover: Cover,
    /// Before anything was asked.
    since: UnixMs,
    /// How long the key has to live from some time after `since` on, in milliseconds; nothing as
    /// long as the server has not said.
    left_ms: Option<u64>,
}

/// The life of a key that does not expire.
const FOR_EVER_MS: u64 = u64::MAX;

impl Warrant {
    /// For a fill that is asked for now, of whose key's changes this cover hears.
    pub fn new(cover: Cover, now: UnixMs) -> Self {
        Self {
            cover,
            since: now,
            left_ms: None,
        }
    }

    /// What vouches for the value.
    pub fn cover(&self) -> Cover {
        self.cover
    }

    /// The server has answered PTTL: the milliseconds that the key has to live, -1 for no end, -2
    /// for no key.
    pub(super) fn note_time_left(&mut self, pttl: i64) {
        self.left_ms = match pttl {
            -1 => Some(FOR_EVER_MS),
            pttl => u64::try_from(pttl).ok(),
        };
    }

    /// Until when a copy may be kept, if it may at all. That is not after the key expires on its
    /// server, however long the answer took: time is counted from before the question.
    pub fn deadline(&self) -> Option<Deadline> {
        match self.left_ms? {
            FOR_EVER_MS => Some(Deadline::NEVER),
            left_ms => Some(Deadline::after(self.since, left_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_not_kept_for_longer_than_its_key_lives() {
        let mut warrant = Warrant::new(Cover(7), UnixMs(1_000));
        assert_eq!(warrant.deadline(), None, "the server has not said");
        for (pttl, deadline) in [
            (-2, None),
            (-1, Some(Deadline::NEVER)),
            (0, Some(Deadline::at(UnixMs(1_000)))),
            (25, Some(Deadline::at(UnixMs(1_025)))),
            (i64::MIN, None),
        ] {
            warrant.note_time_left(pttl);
            assert_eq!(warrant.deadline(), deadline, "{pttl}");
        }
        assert_eq!(warrant.cover(), Cover(7));
    }
}
