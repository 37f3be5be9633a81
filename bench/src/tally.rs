//! What the replies were, counted.

use crate::protocol::{Asked, Outcome};

/// Bytes of a wrong reply shown in a complaint.
const SHOWN_BYTES_MAX: usize = 96;

/// Counts of replies by what they meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) stored: u64,
    /// Judged by length alone.
    pub(crate) unchecked: u64,
    /// Refusals by the server; the first one's text is kept.
    pub(crate) errors: u64,
    /// Replies that answer something else than what was asked, or hold wrong bytes.
    pub(crate) wrong: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) first_wrong: Option<String>,
}

impl Tally {
    /// Counts one reply, whose bytes are `reply`.
    pub(crate) fn count(&mut self, outcome: Outcome, asked: Asked, reply: &[u8]) {
        match outcome {
            Outcome::Hit => self.hits += 1,
            Outcome::Miss => self.misses += 1,
            Outcome::Stored => self.stored += 1,
            Outcome::Unchecked => self.unchecked += 1,
            Outcome::Error => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| shown(asked, reply));
            }
            Outcome::Wrong => {
                self.wrong += 1;
                self.first_wrong.get_or_insert_with(|| shown(asked, reply));
            }
        }
    }

    pub(crate) fn replies(&self) -> u64 {
        self.hits + self.misses + self.stored + self.unchecked + self.errors + self.wrong
    }

    /// Starts the counts again, but forgets nothing that was wrong: a wrong reply during the
    /// warm-up is as bad as a later one.
    pub(crate) fn restart(&mut self) {
        let (wrong, first_wrong) = (self.wrong, self.first_wrong.take());
        *self = Self {
            wrong,
            first_wrong,
            ..Self::default()
        };
    }
}

/// A request and the bytes that answered it, on one line.
pub(crate) fn shown(asked: Asked, reply: &[u8]) -> String {
    let (head, cut) = match reply.get(..SHOWN_BYTES_MAX) {
        Some(head) => (head, "…"),
        None => (reply, ""),
    };
    let op = format!("{:?}", asked.op).to_lowercase();
    format!(
        "{op} of key {} answered by \"{}{cut}\"",
        asked.key_index,
        head.escape_ascii()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Op;

    const ASKED: Asked = Asked {
        op: Op::Read,
        key_index: 9,
    };

    #[test]
    fn keeps_the_first_of_what_went_wrong() {
        let mut tally = Tally::default();
        tally.count(Outcome::Hit, ASKED, b"");
        tally.count(Outcome::Wrong, ASKED, b"+OK\r\n");
        tally.count(Outcome::Wrong, ASKED, b"later");
        tally.count(Outcome::Error, ASKED, b"-ERR\r\n");
        assert_eq!(tally.replies(), 4);
        let wrong = r#"read of key 9 answered by "+OK\r\n""#;
        assert_eq!(tally.first_wrong.as_deref(), Some(wrong));
        tally.restart();
        assert_eq!((tally.hits, tally.errors, tally.wrong), (0, 0, 2));
        assert_eq!(tally.first_wrong.as_deref(), Some(wrong));
    }

    #[test]
    fn long_replies_are_cut() {
        let line = shown(ASKED, &[b'v'; 2 * SHOWN_BYTES_MAX]);
        assert!(line.ends_with("v…\""), "{line}");
    }
}
