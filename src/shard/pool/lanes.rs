//! How the links of a pool are numbered: those to one server stand together.

use std::ops::Range;

use crate::store::KeyHash;

/// How many links there are to each server: first those for requests, each key being bound to one of
/// them, then the one by which the server tells of changes, where it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes {
    width: usize,
    count: usize,
}

impl Lanes {
    /// So many for requests, and perhaps one by which servers tell of changes.
    pub(super) fn new(count: usize, has_listener: bool) -> Self {
        Self {
            width: count + usize::from(has_listener),
            count,
        }
    }

    /// How many there are to each server, in all.
    pub(super) fn width(self) -> usize {
        self.width
    }

    /// How many there are to each for requests.
    pub(super) fn count(self) -> usize {
        self.count
    }

    /// The links to a server for requests.
    pub(super) fn links_to(self, server: usize) -> Range<usize> {
        let first = server * self.width;
        first..first + self.count
    }

    /// All links to a server.
    pub(super) fn all_links_to(self, server: usize) -> Range<usize> {
        let first = server * self.width;
        first..first + self.width
    }

    /// The link to a server for what is about a key.
    #[inline]
    pub(super) fn link_to(self, server: usize, hash: KeyHash) -> usize {
        let lane = match self.count {
            1 => 0,
            // Another part of the hash than shards are chosen by.
            count => (hash.0 >> 20) as usize % count,
        };
        server * self.width + lane
    }
}
