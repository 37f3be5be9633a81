//! What an owner notes of its changes for a shard that listens, until it is sent there.

use super::{Key, KeyHash};

/// Bytes of notes kept for one listener before they are given up; it then takes everything for
/// changed. A turn's worth of changes is far less, so this is reached only if a shard hangs.
const NOTES_BYTES_MAX: usize = 4 << 20;

/// Who made a change. The store only hands it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author(pub u64);

impl Author {
    /// Time or lack of memory.
    pub const NOBODY: Self = Self(u64::MAX);
}

/// A change of one key.
#[derive(Debug, Clone, Copy)]
pub struct Note<'n> {
    /// Who made it.
    pub author: Author,
    /// The key.
    pub key: Key<'n>,
    /// Which of its partition's changes it was, of those that somebody listened to; the first
    /// is 1.
    pub number: u64,
}

/// Changes in the order they were made.
#[derive(Debug, Default)]
pub struct Notes {
    entries: Vec<Entry>,
    /// The keys, one behind the other.
    keys: Vec<u8>,
    /// Clients are to be told that everything is gone.
    pub is_end_of_flush: bool,
    /// There were too many: any key may have changed.
    pub is_lost: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    author: Author,
    hash: KeyHash,
    key_end: usize,
    number: u64,
}

impl Notes {
    /// Adds a change.
    pub fn push(&mut self, note: Note<'_>) {
        let Note {
            author,
            key,
            number,
        } = note;
        if self.is_lost || self.repeats_last(&note) {
            return;
        }
        let bytes = self.keys.len() + self.entries.len() * size_of::<Entry>();
        if bytes + key.bytes.len() > NOTES_BYTES_MAX {
            self.forget();
            self.is_lost = true;
            return;
        }
        self.keys.extend_from_slice(key.bytes);
        self.entries.push(Entry {
            author,
            hash: key.hash,
            key_end: self.keys.len(),
            number,
        });
    }

    /// Whether this was just noted; several steps may make one change. It is the last of them.
    fn repeats_last(&mut self, note: &Note<'_>) -> bool {
        let Some(last) = self.entries.last_mut() else {
            return false;
        };
        let is_repeated = last.hash == note.key.hash
            && last.author == note.author
            && self.keys.ends_with(note.key.bytes);
        if is_repeated {
            last.number = note.number;
        }
        is_repeated
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.is_end_of_flush && !self.is_lost
    }

    /// The changes.
    pub fn iter(&self) -> impl Iterator<Item = Note<'_>> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let bytes = &self.keys[start..entry.key_end];
            start = entry.key_end;
            Note {
                author: entry.author,
                key: Key {
                    bytes,
                    hash: entry.hash,
                },
                number: entry.number,
            }
        })
    }

    /// Makes it empty, for reuse.
    pub fn clear(&mut self) {
        self.forget();
        (self.is_end_of_flush, self.is_lost) = (false, false);
    }

    fn forget(&mut self) {
        self.entries.clear();
        self.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(author: u64, bytes: &[u8], number: u64) -> Note<'_> {
        Note {
            author: Author(author),
            key: key(bytes),
            number,
        }
    }

    fn key(bytes: &[u8]) -> Key<'_> {
        Key {
            bytes,
            hash: KeyHash(bytes.iter().map(|byte| u64::from(*byte)).sum()),
        }
    }

    #[test]
    fn notes_come_out_as_they_went_in() {
        let mut notes = Notes::default();
        assert!(notes.is_empty());
        let changes: [(u64, &[u8]); 5] = [(1, b"a"), (2, b"bb"), (2, b""), (1, b"bb"), (1, b"bb")];
        for ((author, bytes), number) in changes.into_iter().zip(1..) {
            notes.push(note(author, bytes, number));
        }
        let seen: Vec<_> = notes
            .iter()
            .map(|note| (note.author.0, note.key.bytes))
            .collect();
        assert_eq!(seen, changes[..4], "the last repeats the one before");
        let numbers: Vec<u64> = notes.iter().map(|note| note.number).collect();
        assert_eq!(numbers, [1, 2, 3, 5]);
        notes.clear();
        assert!(notes.is_empty());
        assert_eq!(notes.iter().count(), 0);
    }

    #[test]
    fn too_many_become_one() {
        let mut notes = Notes::default();
        let long = [7; 60_000];
        for author in 0..100 {
            notes.push(note(author, &long, author));
        }
        assert!(notes.is_lost && !notes.is_empty());
        assert!(notes.keys.len() <= NOTES_BYTES_MAX);
        assert_eq!(notes.iter().count(), 0);
    }
}
