//! Keys that were just found to have no value, where that is to be remembered (`--negative-ttl`): who
//! asks for one is answered so without a load.
//!
//! They stand beside the store, so that no reader takes one for a value, and with the key's owner
//! alone. There are at most so many: when all places are taken, those that are over are given up,
//! and if there are none, the new one is not remembered, which costs a load.

use std::collections::HashMap;

use crate::{group::LoadError, store::UnixMs};

/// Keys that one shard remembers so.
const NEGATIVES_MAX: usize = 16_384;

/// Bytes of them together.
const NEGATIVE_BYTES_MAX: usize = 1 << 20;

/// Remembered until then, and why.
#[derive(Debug)]
struct Negative {
    until: UnixMs,
    error: LoadError,
}

/// Keys without a value.
#[derive(Debug, Default)]
pub(super) struct Negatives {
    /// For how long, in milliseconds; 0 remembers none.
    ttl_ms: u64,
    keys: HashMap<Box<[u8]>, Negative>,
    bytes: usize,
    /// When those that are over are looked for again: each time it takes a look at all.
    next_sweep: UnixMs,
}

impl Negatives {
    pub(super) fn new(ttl_ms: u64) -> Self {
        Self {
            ttl_ms,
            ..Self::default()
        }
    }

    /// Why a key has no value, if that is known.
    pub(super) fn find(&self, key: &[u8], now: UnixMs) -> Option<&LoadError> {
        if self.keys.is_empty() {
            return None;
        }
        let negative = self.keys.get(key)?;
        (negative.until > now).then_some(&negative.error)
    }

    /// A load has found so. That nobody was asked is no reason to remember.
    pub(super) fn note(&mut self, key: &[u8], error: &LoadError, now: UnixMs) {
        if self.ttl_ms == 0 || *error == LoadError::Busy {
            return;
        }
        if !self.has_room_for(key) && self.next_sweep <= now {
            self.next_sweep = UnixMs(now.0 + self.ttl_ms.div_ceil(8));
            self.keys.retain(|_, negative| negative.until > now);
            self.bytes = self.keys.keys().map(|key| key.len()).sum();
        }
        if !self.has_room_for(key) {
            return;
        }
        // A source may say that there soon will be one.
        let told_ms = match error {
            LoadError::NotFound { ttl: Some(ttl) } => ttl.as_millis(),
            _ => u128::MAX,
        };
        let ms = u128::from(self.ttl_ms).min(told_ms) as u64;
        let negative = Negative {
            until: UnixMs(now.0.saturating_add(ms)),
            error: error.clone(),
        };
        if self.keys.insert(key.into(), negative).is_none() {
            self.bytes += key.len();
        }
    }

    /// A key is written.
    #[inline]
    pub(super) fn forget(&mut self, key: &[u8]) {
        if !self.keys.is_empty() && self.keys.remove(key).is_some() {
            self.bytes -= key.len();
        }
    }

    /// Everything is written.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.bytes = 0;
    }

    fn has_room_for(&self, key: &[u8]) -> bool {
        self.keys.len() < NEGATIVES_MAX && self.bytes + key.len() <= NEGATIVE_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: LoadError = LoadError::NotFound { ttl: None };

    #[test]
    fn what_is_not_there_is_remembered_for_a_while() {
        let mut negatives = Negatives::new(100);
        negatives.note(b"a", &NONE, UnixMs(1_000));
        negatives.note(b"b", &LoadError::Busy, UnixMs(1_000));
        assert_eq!(negatives.find(b"a", UnixMs(1_099)), Some(&NONE));
        assert_eq!(negatives.find(b"a", UnixMs(1_100)), None);
        assert_eq!(negatives.find(b"b", UnixMs(1_000)), None);
        negatives.forget(b"a");
        assert_eq!(negatives.find(b"a", UnixMs(1_000)), None);
        let ttl = Some(core::time::Duration::from_millis(5));
        negatives.note(b"c", &LoadError::NotFound { ttl }, UnixMs(1_000));
        assert_eq!(negatives.find(b"c", UnixMs(1_005)), None);
        let mut off = Negatives::new(0);
        off.note(b"a", &NONE, UnixMs(1_000));
        assert_eq!(off.find(b"a", UnixMs(1_000)), None);
    }

    #[test]
    fn no_more_are_remembered_than_there_are_places() {
        let mut negatives = Negatives::new(100);
        let note = |negatives: &mut Negatives, number: usize, now| {
            negatives.note(&number.to_le_bytes(), &NONE, UnixMs(now));
        };
        (0..NEGATIVES_MAX).for_each(|number| note(&mut negatives, number, 1_000));
        note(&mut negatives, NEGATIVES_MAX, 1_050);
        let last = NEGATIVES_MAX.to_le_bytes();
        assert_eq!(negatives.find(&last, UnixMs(1_050)), None);
        // The others are over.
        note(&mut negatives, NEGATIVES_MAX, 1_200);
        assert_eq!(negatives.find(&last, UnixMs(1_200)), Some(&NONE));
        assert_eq!((negatives.keys.len(), negatives.bytes), (1, 8));
        let long = vec![0; NEGATIVE_BYTES_MAX - 8];
        negatives.note(&long, &NONE, UnixMs(1_200));
        negatives.note(b"x", &NONE, UnixMs(1_200));
        assert_eq!(negatives.bytes, NEGATIVE_BYTES_MAX);
        assert_eq!(negatives.find(b"x", UnixMs(1_200)), None);
    }
}
