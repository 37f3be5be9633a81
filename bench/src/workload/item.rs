//! Keys and values: both follow from a key's number, so every reply can be checked against it.

use std::sync::Arc;

use crate::workload::rng::{GOLDEN_GAMMA, mix};
use crate::workload::sizes::Sizes;

/// Length of every key unless something else is asked for, so that all requests of a kind have one length.
pub(crate) const KEY_BYTES: u32 = 16;

/// Shortest key, bytes: the prefix and the digits of the largest number.
pub(crate) const KEY_BYTES_MIN: usize = PREFIX_BYTES + 10;

/// Longest key, bytes, as memcached has it.
pub(crate) const KEY_BYTES_MAX: usize = 250;

/// Bytes before a key's number.
pub(crate) const PREFIX_BYTES: usize = 4;

/// Makes the length of a key independent of that of its value.
const KEY_SALT: u64 = 0x6b65_7973;

/// All keys of a run and their values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Items {
    pub(crate) prefix: [u8; PREFIX_BYTES],
    pub(crate) key_sizes: Sizes,
    pub(crate) sizes: Sizes,
    /// Keys that somebody else has chosen; then the prefix and the lengths above mean nothing.
    pub(crate) listed: Option<Arc<KeyList>>,
}

/// Keys of a trace, by number. Invariant: a key ends where the next begins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyList {
    /// Adds a key and gives its number.
    pub(crate) fn push(&mut self, key: &[u8]) -> u32 {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        (self.ends.len() - 1) as u32
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn key(&self, key_index: u32) -> &[u8] {
        let key_index = key_index as usize;
        let start = key_index
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[key_index]]
    }
}

impl Items {
    /// A key with its number at the end, `key:000000000042` if `key:` is the prefix, or one of a list.
    pub(crate) fn key<'k>(&'k self, key_index: u32, room: &'k mut [u8; KEY_BYTES_MAX]) -> &'k [u8] {
        if let Some(listed) = &self.listed {
            return listed.key(key_index);
        }
        let bytes = self
            .key_sizes
            .bytes_of(mix(u64::from(key_index) ^ KEY_SALT));
        let key = &mut room[..bytes.clamp(KEY_BYTES_MIN, KEY_BYTES_MAX)];
        key.fill(b'0');
        key[..PREFIX_BYTES].copy_from_slice(&self.prefix);
        let mut rest = key_index;
        for digit in key.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        key
    }

    /// Whether `key` is the one with this number.
    pub(crate) fn is_key(&self, key: &[u8], key_index: u32) -> bool {
        self.key(key_index, &mut [0; KEY_BYTES_MAX]) == key
    }

    /// The number of this key, if it is one of these; of those that somebody has listed, none is.
    pub(crate) fn index_of(&self, key: &[u8]) -> Option<u32> {
        let digits = str::from_utf8(key.get(PREFIX_BYTES..)?).ok()?;
        let key_index = digits.parse().ok()?;
        let is_numbered = self.listed.is_none() && self.is_key(key, key_index);
        is_numbered.then_some(key_index)
    }

    /// Length of this key's value.
    pub(crate) fn value_bytes(&self, key_index: u32) -> usize {
        self.sizes.bytes_of(mix(!u64::from(key_index)))
    }

    /// Whether `value` is this key's, with every byte. A trace writes values of several lengths under one key, of which
    /// each is the beginning of a longer one: there the length is not looked at.
    pub(crate) fn is_value(&self, value: &[u8], key_index: u32) -> bool {
        let has_length = self.listed.is_some() || value.len() == self.value_bytes(key_index);
        has_length && is_value_of(value, key_index)
    }
}

/// Appends the first `value_bytes` bytes of this key's value.
///
/// The value is a row of 64-bit words, each another: a value of another key, a shifted one and
/// one with a piece missing all differ. All byte values occur, line ends included.
pub(crate) fn append_value(out: &mut Vec<u8>, key_index: u32, value_bytes: usize) {
    let end = out.len() + value_bytes;
    let mut word = first_word(key_index);
    while out.len() < end {
        let word_bytes = (end - out.len()).min(8);
        out.extend_from_slice(&word.to_le_bytes()[..word_bytes]);
        word = word.wrapping_add(GOLDEN_GAMMA);
    }
}

/// Whether these are the first bytes of this key's value. Compares all of them, branch-free.
fn is_value_of(value: &[u8], key_index: u32) -> bool {
    let mut word = first_word(key_index);
    let mut difference = 0;
    let (words, rest) = value.as_chunks::<8>();
    for bytes in words {
        difference |= u64::from_le_bytes(*bytes) ^ word;
        word = word.wrapping_add(GOLDEN_GAMMA);
    }
    difference == 0 && rest == &word.to_le_bytes()[..rest.len()]
}

fn first_word(key_index: u32) -> u64 {
    mix(u64::from(key_index) + 1)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Keys of 16 bytes and values of one length.
    pub(crate) fn items(value_bytes: u32) -> Items {
        Items {
            prefix: *b"key:",
            key_sizes: Sizes::fixed(KEY_BYTES),
            sizes: Sizes::fixed(value_bytes),
            listed: None,
        }
    }

    fn key(items: &Items, key_index: u32) -> String {
        let mut room = [0; KEY_BYTES_MAX];
        String::from_utf8(items.key(key_index, &mut room).to_vec()).unwrap()
    }

    #[test]
    fn keys_are_numbered() {
        let mut items = items(1);
        assert_eq!(key(&items, 0), "key:000000000000");
        assert_eq!(key(&items, 42), "key:000000000042");
        items.prefix = *b"{a}:";
        assert_eq!(key(&items, u32::MAX), "{a}:004294967295");
        assert!(items.is_key(b"{a}:000000000042", 42));
        assert!(!items.is_key(b"{a}:000000000042", 43));
    }

    #[test]
    fn keys_of_every_length_hold_their_number() {
        let mut items = items(1);
        items.key_sizes = Sizes::parse("1-999").unwrap();
        let mut lengths = Vec::new();
        for key_index in (0..1000).chain([u32::MAX]) {
            let key = key(&items, key_index);
            assert_eq!(key[PREFIX_BYTES..].parse(), Ok(key_index), "{key}");
            assert_eq!(items.index_of(key.as_bytes()), Some(key_index));
            lengths.push(key.len());
        }
        lengths.sort_unstable();
        assert_eq!((lengths[0], lengths[1000]), (KEY_BYTES_MIN, KEY_BYTES_MAX));
    }

    #[test]
    fn what_is_no_key_has_no_number() {
        let items = items(1);
        assert_eq!(items.index_of(b"key:000000000042"), Some(42));
        for other in [
            "",
            "key",
            "key:",
            "key:42",
            "key:+00000000042",
            "{a}:000000000042",
            "key:0000000000x2",
            "key:999999999999",
        ] {
            assert_eq!(items.index_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn listed_keys_are_those_of_the_list() {
        let mut list = KeyList::default();
        assert_eq!((list.push(b"one"), list.push(b"second")), (0, 1));
        assert_eq!(list.len(), 2);
        let items = Items {
            listed: Some(Arc::new(list)),
            ..items(1)
        };
        assert_eq!(
            (key(&items, 0), key(&items, 1)),
            ("one".to_owned(), "second".to_owned())
        );
    }

    #[test]
    fn a_value_is_told_from_every_near_miss() {
        for value_bytes in [1, 7, 8, 9, 64, 100] {
            let items = items(value_bytes);
            let mut value = Vec::new();
            append_value(&mut value, 7, value_bytes as usize);
            assert!(items.is_value(&value, 7));
            assert!(!items.is_value(&value, 8), "{value_bytes} bytes");
            assert!(!items.is_value(&value[1..], 7), "{value_bytes} bytes");
            for place in 0..value.len() {
                let mut damaged = value.clone();
                damaged[place] ^= 1;
                assert!(
                    !items.is_value(&damaged, 7),
                    "{value_bytes} bytes, damaged at {place}"
                );
            }
        }
    }
}
