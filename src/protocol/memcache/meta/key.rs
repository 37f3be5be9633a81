//! The key of a meta command, which may be written in base64.

use super::super::{base64, request::KEY_BYTES_MAX};

/// Most bytes that a key in base64 stands for: three for four digits.
const DECODED_BYTES_MAX: usize = KEY_BYTES_MAX / 4 * 3;

/// A key as it stands on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyText<'b> {
    /// 1 to [`KEY_BYTES_MAX`] bytes.
    text: &'b [u8],
    /// It can be decoded.
    is_base64: bool,
}

/// Room for a key that has to be decoded.
#[derive(Debug)]
pub struct KeyRoom([u8; DECODED_BYTES_MAX]);

impl KeyRoom {
    /// Empty room.
    pub const fn new() -> Self {
        Self([0; DECODED_BYTES_MAX])
    }
}

impl Default for KeyRoom {
    fn default() -> Self {
        Self::new()
    }
}

impl<'b> KeyText<'b> {
    /// A key that is what is written.
    pub(in super::super) const fn plain(text: &'b [u8]) -> Self {
        Self {
            text,
            is_base64: false,
        }
    }

    /// A key in base64 (flag `b`); none if it cannot be decoded.
    pub(in super::super) fn base64(text: &'b [u8]) -> Option<Self> {
        base64::decode(text, &mut KeyRoom::new().0)?;
        Some(Self {
            text,
            is_base64: true,
        })
    }

    /// What is written.
    pub const fn text(self) -> &'b [u8] {
        self.text
    }

    /// Whether that is base64.
    pub const fn is_base64(self) -> bool {
        self.is_base64
    }

    /// The key itself.
    pub fn bytes<'r>(self, room: &'r mut KeyRoom) -> &'r [u8]
    where
        'b: 'r,
    {
        if self.is_base64 {
            base64::decode(self.text, &mut room.0).unwrap_or_default()
        } else {
            self.text
        }
    }

    /// The key itself, if it is what is written.
    pub fn as_plain(self) -> Option<&'b [u8]> {
        (!self.is_base64).then_some(self.text)
    }

    /// Appends the key as memcached writes it: base64 in its canonical spelling.
    pub fn write(self, out: &mut Vec<u8>) {
        if self.is_base64 {
            base64::encode(out, self.bytes(&mut KeyRoom::new()));
        } else {
            out.extend_from_slice(self.text);
        }
    }
}
