//! How a key that came over another protocol can be named to a memcache server.

use super::{base64, request::KEY_BYTES_MAX};

/// Most bytes that a key in base64 stands for: three for four digits, of which there may be
/// [`KEY_BYTES_MAX`].
pub const BASE64_KEY_BYTES_MAX: usize = KEY_BYTES_MAX / 4 * 3;

/// A key's spelling on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As it is.
    Text,
    /// In base64, which only meta commands take (their flag `b`).
    Base64,
}

impl Spelling {
    /// How a key is spelled; `None` if it cannot be named at all.
    ///
    /// Blanks and control characters would end a key or a line, so they are not text (memcached
    /// would take some of them, and takes the same key in base64 for the same).
    pub fn of(key: &[u8]) -> Option<Self> {
        let is_text = |byte: &u8| *byte > b' ' && *byte != 0x7f;
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return None;
        }
        if key.iter().all(is_text) {
            return Some(Self::Text);
        }
        (key.len() <= BASE64_KEY_BYTES_MAX).then_some(Self::Base64)
    }
}

/// Appends a key and, if it is in base64, the flag that says so.
pub fn push_meta_key(out: &mut Vec<u8>, key: &[u8], spelling: Spelling) {
    match spelling {
        Spelling::Text => out.extend_from_slice(key),
        Spelling::Base64 => base64::encode(out, key),
    }
}

/// Appends the flag that a key's spelling needs, behind all that has a place of its own.
pub fn push_meta_key_flag(out: &mut Vec<u8>, spelling: Spelling) {
    if spelling == Spelling::Base64 {
        out.extend_from_slice(b" b");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_text_if_they_can_be() {
        let table: &[(&[u8], Option<Spelling>)] = &[
            (b"", None),
            (b"key", Some(Spelling::Text)),
            (b"\xc3\xa4:{1}", Some(Spelling::Text)),
            (&[b'k'; 250], Some(Spelling::Text)),
            (&[b'k'; 251], None),
            (b"two words", Some(Spelling::Base64)),
            (b"line\r\nflush_all", Some(Spelling::Base64)),
            (b"nul\0", Some(Spelling::Base64)),
            (b"del\x7f", Some(Spelling::Base64)),
            (&[b' '; 186], Some(Spelling::Base64)),
            (&[b' '; 187], None),
        ];
        for (key, spelling) in table {
            assert_eq!(Spelling::of(key), *spelling, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn the_longest_key_in_base64_fits() {
        let mut longest = Vec::new();
        push_meta_key(
            &mut longest,
            &[b' '; BASE64_KEY_BYTES_MAX],
            Spelling::Base64,
        );
        assert!(longest.len() <= KEY_BYTES_MAX);
    }
}
