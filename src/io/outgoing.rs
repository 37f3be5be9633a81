//! What is sent at once: bytes, and between them values that are sent from where they lie.

use crate::store::PinnedValue;

/// A value's place among the bytes.
#[derive(Debug)]
pub struct Inlay {
    /// How many bytes come before it, those of other inlays not counted.
    at: usize,
    value: PinnedValue,
}

impl Inlay {
    /// A value that comes after so many bytes.
    pub fn new(at: usize, value: PinnedValue) -> Self {
        Self { at, value }
    }

    /// Bytes of the value.
    pub fn value_bytes(&self) -> usize {
        self.value.len()
    }
}

/// Bytes with values laid into them.
///
/// Invariant: the inlays' places do not go back, and are within the bytes.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// What is sent but for the values.
    pub bytes: Vec<u8>,
    /// The values, in their order.
    pub inlays: Vec<Inlay>,
}

impl From<Vec<u8>> for Outgoing {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            inlays: Vec::new(),
        }
    }
}

impl Outgoing {
    /// Bytes that are sent, values included.
    pub fn total_bytes(&self) -> usize {
        let values = self.inlays.iter().map(Inlay::value_bytes);
        self.bytes.len() + values.sum::<usize>()
    }

    /// What is sent, piece by piece, without the first `skipped` bytes. No piece is empty.
    pub(super) fn pieces(&self, skipped: usize) -> impl Iterator<Item = &[u8]> {
        let ends = self.inlays.iter().map(|inlay| inlay.at);
        let starts = [0].into_iter().chain(ends.clone());
        let between = starts.zip(ends.chain([self.bytes.len()]));
        let values = self.inlays.iter().map(|inlay| &*inlay.value);
        let mut skipped = skipped;
        between
            .map(|(start, end)| &self.bytes[start..end])
            .zip(values.map(Some).chain([None]))
            .flat_map(|(bytes, value)| [Some(bytes), value])
            .flatten()
            .filter_map(move |piece| {
                let rest = &piece[skipped.min(piece.len())..];
                skipped -= piece.len() - rest.len();
                (!rest.is_empty()).then_some(rest)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Condition, Deadline, Eviction, Expiry, KeyHasher, Operation, ShardStore, Stamp,
        StoreParams, UnixMs, build,
    };

    fn pinned(store: &mut ShardStore, value: &[u8]) -> PinnedValue {
        let key = store.hasher().key(value);
        let now = UnixMs(1);
        let set = Operation::Set {
            flags: 0,
            expiry: Expiry::Until(Deadline::NEVER),
            condition: Condition::Always,
            stamp: Stamp::default(),
            wants_old: false,
        };
        store.apply(now, key, set, value, &mut Vec::new());
        let Ok(entry) = store.look(key, now) else {
            panic!("it was just stored")
        };
        store.pin(key.hash, entry).expect("little is pinned")
    }

    #[test]
    fn values_come_where_they_were_laid_in() {
        let params = StoreParams {
            shard_count: 1,
            partition_bytes: 16 << 20,
            item_bytes_max: 1024,
            eviction: Eviction::default(),
        };
        let mut store = build(&params, KeyHasher::new(7)).unwrap().remove(0);
        store.online();
        let values = [b"one".as_slice(), b"two", b"three"].map(|value| pinned(&mut store, value));
        let mut out = Outgoing::from(b"<><>".to_vec());
        let places = [1, 3, 3];
        out.inlays = places
            .into_iter()
            .zip(values)
            .map(|(at, value)| Inlay::new(at, value))
            .collect();
        let whole = b"<one><twothree>";
        assert_eq!(out.total_bytes(), whole.len());
        for skipped in 0..=whole.len() {
            assert_eq!(
                out.pieces(skipped).collect::<Vec<_>>().concat(),
                whole[skipped..]
            );
            assert!(out.pieces(skipped).all(|piece| !piece.is_empty()));
        }
        assert_eq!(Outgoing::from(Vec::new()).pieces(0).count(), 0);
    }
}
