//! base64 as memcached reads and writes it for binary keys: RFC 4648's alphabet with padding.
//!
//! memcached reads it forgivingly, and clients may count on it: bytes outside of the alphabet are
//! skipped, bits that padding leaves over are dropped, and what follows the padding is not looked
//! at. It writes the one canonical spelling.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD: u8 = b'=';
/// Not a digit.
const SKIPPED: u8 = 0xff;
/// The value of each byte as a digit; padding counts as 0.
const DIGITS: [u8; 256] = digits();
/// Digits of a block, and bytes they stand for.
const BLOCK_DIGITS: usize = 4;
const BLOCK_BYTES: usize = 3;

const fn digits() -> [u8; 256] {
    let mut digits = [SKIPPED; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits[PAD as usize] = 0;
    digits
}

/// Appends `bytes` in base64.
pub(super) fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    for block in bytes.chunks(BLOCK_BYTES) {
        let byte = |at: usize| u32::from(block.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..BLOCK_DIGITS {
            // A block of n bytes has n + 1 digits; the rest is padding.
            let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= block.len() { digit } else { PAD });
        }
    }
}

/// What `text` stands for, put into `room`; none if it stands for nothing, its digits make no
/// whole blocks, or there is more than there is room for.
pub(super) fn decode<'r>(text: &[u8], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let count = text.iter().filter(|byte| is_digit(**byte)).count();
    if count == 0 || !count.is_multiple_of(BLOCK_DIGITS) {
        return None;
    }
    let mut length = 0;
    let (mut bits, mut taken, mut pads) = (0_u32, 0, 0);
    for &byte in text.iter().filter(|byte| is_digit(**byte)) {
        pads += usize::from(byte == PAD);
        bits = bits << 6 | u32::from(DIGITS[usize::from(byte)]);
        taken += 1;
        if taken < BLOCK_DIGITS {
            continue;
        }
        let block = room.get_mut(length..length + BLOCK_BYTES)?;
        block.copy_from_slice(&bits.to_be_bytes()[1..]);
        (bits, taken) = (0, 0);
        length += BLOCK_BYTES;
        match pads {
            0 => {}
            1 | 2 => return room.get(..length - pads),
            _ => return None,
        }
    }
    room.get(..length)
}

const fn is_digit(byte: u8) -> bool {
    DIGITS[byte as usize] != SKIPPED
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_read_as_memcached_reads_them() {
        let table: &[(&[u8], Option<&[u8]>)] = &[
            (b"Zm9v", Some(b"foo")),
            (b"Zm9vYg==", Some(b"foob")),
            (b"Zm8=", Some(b"fo")),
            (b"Zm9=", Some(b"fo")),
            (b"Zh==", Some(b"f")),
            (b"!Zm!9v", Some(b"foo")),
            (b"Zg==Zm9v", Some(b"f")),
            (b"Zg=g", Some(b"f\0")),
            (b"=Zm9", Some(b"\x01\x99")),
            (b"+/+/", Some(b"\xfb\xff\xbf")),
            (b"Zm9", None),
            (b"Z===", None),
            (b"====", None),
            (b"!", None),
            (b"", None),
            (b"Zm9vZm9vZm9v", None),
        ];
        for (text, expected) in table {
            let mut room = [0; 6];
            assert_eq!(
                decode(text, &mut room),
                *expected,
                "{}",
                text.escape_ascii()
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            let mut text = Vec::new();
            encode(&mut text, &bytes);
            prop_assert_eq!(text.len(), bytes.len().div_ceil(3) * 4);
            let mut room = [0; 102];
            prop_assert_eq!(decode(&text, &mut room), Some(&bytes[..]));
        }
    }
}
