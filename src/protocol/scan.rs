//! Finding where a word ends, eight bytes at a time.
//!
//! Keys are short (20 to 30 bytes), so the call and the alignment work of a vectorised search cost
//! more than they save, and one pass has to find three things at once: the space, the line's end
//! and a NUL. All three are bytes below 0x21, and so is every other control character, which
//! callers that allow them step over.

/// Every byte 0x21, the first one that can be part of a word.
const WORD_FIRST: u64 = 0x2121_2121_2121_2121;
/// The top bit of every byte.
const TOP_BITS: u64 = 0x8080_8080_8080_8080;
const LANES: usize = size_of::<u64>();

/// The index of the first byte at or after `from` that is a space or a control character (below
/// 0x21), or `input.len()` when there is none.
#[inline]
pub(crate) fn word_end(input: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = input.get(at..).and_then(|rest| rest.first_chunk::<LANES>()) {
        let found = below_word(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / u8::BITS) as usize;
        }
        at += LANES;
    }
    word_end_tail(input, at)
}

/// The last, short chunk. It is read together with the bytes before it and shifted down; the zeros
/// shifted in count as bytes below 0x21 and so mark the end of the input.
#[inline]
fn word_end_tail(input: &[u8], at: usize) -> usize {
    let left = input.len().saturating_sub(at);
    if left == 0 {
        return input.len();
    }
    let Some(chunk) = input.last_chunk::<LANES>() else {
        let tail = &input[at..];
        let length = tail.iter().position(|&byte| byte <= b' ').unwrap_or(left);
        return at + length;
    };
    let word = u64::from_le_bytes(*chunk) >> ((LANES - left) * u8::BITS as usize);
    at + (below_word(word).trailing_zeros() / u8::BITS) as usize
}

/// The top bit of every byte below 0x21. Bits above the lowest set one may be false (the
/// subtraction borrows), the lowest is always right. From Sean Anderson's "Bit Twiddling Hacks",
/// `hasless`.
#[inline]
const fn below_word(word: u64) -> u64 {
    word.wrapping_sub(WORD_FIRST) & !word & TOP_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(input: &[u8], from: usize) -> usize {
        (from..input.len())
            .find(|&index| input[index] <= b' ')
            .unwrap_or(input.len())
    }

    #[test]
    fn every_byte_at_every_lane() {
        for byte in 0..=u8::MAX {
            for index in 0..20 {
                let mut input = [0xff; 20];
                input[index] = byte;
                for from in 0..=20 {
                    assert_eq!(
                        word_end(&input, from),
                        naive(&input, from),
                        "{byte} {index} {from}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(
            input in proptest::collection::vec(
                prop_oneof![8 => 0x1eu8..0x24, 8 => 0x80u8..=0xff, 1 => any::<u8>()], 0..40),
            from in 0usize..40,
        ) {
            let from = from.min(input.len());
            prop_assert_eq!(word_end(&input, from), naive(&input, from));
        }
    }
}
