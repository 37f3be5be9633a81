//! What the replies were, counted.

use crate::wire::{Asked, Outcome};

/// Bytes of a wrong reply shown in a complaint.
const SHOWN_BYTES_MAX: usize = 96;

/// Counts of replies by what they meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Replies to reads, of one key or several.
    pub(crate) reads: u64,
    /// Keys that were read and there.
    pub(crate) hits: u64,
    /// Keys that were read and not there.
    pub(crate) misses: u64,
    pub(crate) stored: u64,
    /// Deletes of keys that were there.
    pub(crate) deleted: u64,
    /// Deletes of keys that were not.
    pub(crate) absent: u64,
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
    pub(crate) fn count(&mut self, outcome: Outcome, asked: Asked<'_>, reply: &[u8]) {
        match outcome {
            Outcome::Read { hits, misses } => {
                self.reads += 1;
                self.hits += u64::from(hits);
                self.misses += u64::from(misses);
            }
            Outcome::Stored => self.stored += 1,
            Outcome::Deleted { was_there: true } => self.deleted += 1,
            Outcome::Deleted { was_there: false } => self.absent += 1,
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
        let done = self.reads + self.stored + self.deleted + self.absent;
        done + self.unchecked + self.errors + self.wrong
    }

    /// Adds what another worker counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.reads += other.reads;
        self.hits += other.hits;
        self.misses += other.misses;
        self.stored += other.stored;
        self.deleted += other.deleted;
        self.absent += other.absent;
        self.unchecked += other.unchecked;
        self.errors += other.errors;
        self.wrong += other.wrong;
        self.first_error = self.first_error.take().or(other.first_error);
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
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
pub(crate) fn shown(asked: Asked<'_>, reply: &[u8]) -> String {
    let (head, cut) = match reply.get(..SHOWN_BYTES_MAX) {
        Some(head) => (head, "…"),
        None => (reply, ""),
    };
    let op = format!("{:?}", asked.op).to_lowercase();
    let keys: Vec<_> = asked.keys.iter().map(u32::to_string).collect();
    format!(
        "{op} of key {} answered by \"{}{cut}\"",
        keys.join(" "),
        head.escape_ascii()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Op;

    const ASKED: Asked<'_> = Asked {
        op: Op::Read,
        keys: &[9],
    };

    #[test]
    fn keeps_the_first_of_what_went_wrong() {
        let mut tally = Tally::default();
        tally.count(Outcome::Read { hits: 1, misses: 0 }, ASKED, b"");
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
    fn a_read_of_several_keys_is_one_reply() {
        let mut tally = Tally::default();
        tally.count(
            Outcome::Read {
                hits: 20,
                misses: 4,
            },
            ASKED,
            b"",
        );
        tally.count(Outcome::Deleted { was_there: false }, ASKED, b"");
        assert_eq!((tally.replies(), tally.hits, tally.misses), (2, 20, 4));
        let mut both = tally.clone();
        both.add(tally);
        assert_eq!((both.replies(), both.hits, both.absent), (4, 40, 2));
    }

    #[test]
    fn long_replies_are_cut() {
        let line = shown(ASKED, &[b'v'; 2 * SHOWN_BYTES_MAX]);
        assert!(line.ends_with("v…\""), "{line}");
    }
}
