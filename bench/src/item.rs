//! Keys and values: both follow from a key's number, so every reply can be checked against it.

use crate::rng::{GOLDEN_GAMMA, mix};

/// Length of every key, so that all requests of a kind have one length.
pub(crate) const KEY_BYTES: usize = 16;

/// Largest value that may be asked for, bytes: a batch of one still fits the script.
pub(crate) const VALUE_BYTES_MAX: u32 = 128 * 1024 * 1024;

/// Bytes before a key's number.
pub(crate) const PREFIX_BYTES: usize = 4;

/// All keys of a run and their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Items {
    pub(crate) prefix: [u8; PREFIX_BYTES],
    pub(crate) sizes: ValueSizes,
}

impl Items {
    /// `key:000000000042`, if `key:` is the prefix.
    pub(crate) fn key(&self, key_index: u32) -> [u8; KEY_BYTES] {
        let mut key = [b'0'; KEY_BYTES];
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
}

/// Lengths of values: one length, or a span from which each key has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueSizes {
    bytes_min: u32,
    bytes_max: u32,
}

impl ValueSizes {
    /// `None` for an empty span or one that goes beyond [`VALUE_BYTES_MAX`].
    pub(crate) fn new(bytes_min: u32, bytes_max: u32) -> Option<Self> {
        (bytes_min <= bytes_max && bytes_max <= VALUE_BYTES_MAX).then_some(Self {
            bytes_min,
            bytes_max,
        })
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max as usize
    }

    /// Length of this key's value.
    pub(crate) fn bytes_of(&self, key_index: u32) -> usize {
        if self.bytes_min == self.bytes_max {
            return self.bytes_min as usize;
        }
        let span = u64::from(self.bytes_max - self.bytes_min) + 1;
        (u64::from(self.bytes_min) + mix(!u64::from(key_index)) % span) as usize
    }
}

impl std::fmt::Display for ValueSizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.bytes_min == self.bytes_max {
            write!(f, "{}", self.bytes_min)
        } else {
            write!(f, "{}-{}", self.bytes_min, self.bytes_max)
        }
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
pub(crate) fn is_value_of(value: &[u8], key_index: u32) -> bool {
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
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbered() {
        let mut items = Items {
            prefix: *b"key:",
            sizes: ValueSizes::new(1, 1).unwrap(),
        };
        assert_eq!(&items.key(0), b"key:000000000000");
        assert_eq!(&items.key(42), b"key:000000000042");
        items.prefix = *b"{a}:";
        assert_eq!(&items.key(u32::MAX), b"{a}:004294967295");
    }

    #[test]
    fn a_value_is_told_from_every_near_miss() {
        for value_bytes in [1, 7, 8, 9, 64, 100] {
            let mut value = Vec::new();
            append_value(&mut value, 7, value_bytes);
            assert!(is_value_of(&value, 7));
            assert!(!is_value_of(&value, 8), "{value_bytes} bytes");
            for place in 0..value_bytes {
                let mut damaged = value.clone();
                damaged[place] ^= 1;
                assert!(
                    !is_value_of(&damaged, 7),
                    "{value_bytes} bytes, damaged at {place}"
                );
            }
        }
    }

    #[test]
    fn spans_are_filled_and_kept() {
        let sizes = ValueSizes::new(10, 13).unwrap();
        let mut seen = [false; 14];
        for key_index in 0..1000 {
            seen[sizes.bytes_of(key_index)] = true;
        }
        assert_eq!(seen.iter().filter(|&&seen| seen).count(), 4);
        assert!(ValueSizes::new(5, 4).is_none());
        assert!(ValueSizes::new(0, VALUE_BYTES_MAX + 1).is_none());
    }
}
