//! Who listens to a partition's changes, and what is noted for them.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::{
    Key, KeyHasher,
    interest::{Concern, published},
    notes::{Author, Note, Notes},
};

/// The shards that listen to one partition; its owner's.
#[derive(Debug)]
pub(super) struct Listeners {
    /// In whose name changes are made.
    pub(super) author: Author,
    listeners: Vec<Listener>,
    /// How many changes there were that somebody listened to, for all shards to read. Stored once
    /// a change is noted and before it is answered: who reads a number has read all changes up to
    /// it, and knows of all that were answered before.
    noted: Arc<AtomicU64>,
    /// Something was noted since [`Self::renew_has_notes`].
    has_notes: bool,
}

#[derive(Debug)]
struct Listener {
    shard: usize,
    wanted: Concern,
    notes: Notes,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            author: Author::NOBODY,
            listeners: Vec::new(),
            noted: Arc::default(),
            has_notes: false,
        }
    }
}

impl Listeners {
    /// The count of changes, to be read by all.
    pub(super) fn noted(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.noted)
    }

    /// Whether nobody listens.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// What `shard` wants to hear of from here on.
    pub(super) fn set(&mut self, shard: usize, wanted: Option<Concern>) {
        let known = self.listeners.iter_mut().find(|one| one.shard == shard);
        match (known, wanted) {
            (Some(listener), Some(wanted)) => listener.wanted = wanted,
            (None, Some(wanted)) => self.listeners.push(Listener {
                shard,
                wanted,
                notes: Notes::default(),
            }),
            (_, None) => self.listeners.retain(|one| one.shard != shard),
        }
    }

    /// Notes a change that has been published, for those who may want to hear of it.
    #[inline]
    pub(super) fn note(&mut self, author: Author, key: &[u8], hasher: KeyHasher) {
        if !self.listeners.is_empty() {
            self.note_for_each(author, hasher.key(key));
        }
    }

    #[cold]
    fn note_for_each(&mut self, author: Author, key: Key<'_>) {
        published();
        let number = self.noted.load(Ordering::Relaxed) + 1;
        for listener in &mut self.listeners {
            if listener.wanted.includes(key.bytes, key.hash) {
                listener.notes.push(Note {
                    author,
                    key,
                    number,
                });
                self.has_notes = true;
            }
        }
        self.noted.store(number, Ordering::Release);
    }

    /// Notes that nothing more will be flushed of what clients may hold.
    pub(super) fn note_end_of_flush(&mut self) {
        for listener in &mut self.listeners {
            listener.notes.is_end_of_flush = true;
            self.has_notes = true;
        }
    }

    /// Whether something was noted since it was found that nothing is.
    #[inline]
    pub(super) fn has_notes(&self) -> bool {
        self.has_notes
    }

    /// Looks whether all notes have been taken.
    pub(super) fn renew_has_notes(&mut self) {
        self.has_notes = self.listeners.iter().any(|one| !one.notes.is_empty());
    }

    /// The notes for a shard.
    pub(super) fn notes_mut(&mut self, shard: usize) -> Option<&mut Notes> {
        let listener = self.listeners.iter_mut().find(|one| one.shard == shard)?;
        Some(&mut listener.notes)
    }
}
