//! Keys that are being changed where their fills cannot see it.
//!
//! A write that goes over the same connection as the fills of its key only has to void the lease
//! when it is sent: whatever is asked behind it is answered behind it. One over another connection
//! may be done at any time until it is answered. So its keys are closed for that long: nobody joins
//! a fill of theirs, and nothing that is read is kept.

use std::collections::HashMap;

/// How many writes each key is closed for. Empty but for moments.
#[derive(Debug, Default)]
pub(super) struct Closed(HashMap<Vec<u8>, usize>);

impl Closed {
    pub(super) fn close(&mut self, key: &[u8]) {
        match self.0.get_mut(key) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(key.to_vec(), 1);
            }
        }
    }

    /// One of the writes is over.
    pub(super) fn open(&mut self, key: &[u8]) {
        if let Some(count) = self.0.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }

    #[inline]
    pub(super) fn has(&self, key: &[u8]) -> bool {
        !self.0.is_empty() && self.0.contains_key(key)
    }
}
