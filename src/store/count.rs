//! Numbers kept as decimal text: what `incr` and `INCRBY` read and write.

use super::operation::Outcome;

/// 2^64 - 1 has 20 digits, as has -2^63 with its sign.
const TEXT_BYTES_MAX: usize = 20;
/// Longest value that memcache counts in, in bytes. memcached takes any that is not cut into chunks
/// (half a megabyte); what follows the number is blanked.
const VALUE_BYTES_MAX: usize = 1024;
const BLANKS: &[u8; VALUE_BYTES_MAX] = &[b' '; VALUE_BYTES_MAX];

/// A new value in decimal, in place, and the blanks that pad it.
pub(super) struct Decimal {
    text: [u8; TEXT_BYTES_MAX],
    digits: usize,
    len: usize,
}

impl Decimal {
    fn new(digits: &str, len_min: usize) -> Self {
        let mut text = [b' '; TEXT_BYTES_MAX];
        text[..digits.len()].copy_from_slice(digits.as_bytes());
        Self {
            text,
            digits: digits.len(),
            len: digits.len().max(len_min),
        }
    }

    /// Its length, blanks included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The digits, and the blanks.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [&self.text[..self.digits], &BLANKS[..self.len - self.digits]]
    }
}

/// memcached's arithmetic (`do_add_delta`): up wraps at 2^64, down stops at 0, and a result that
/// is shorter than the text there is padded with spaces to its length.
pub(super) fn unsigned(text: &[u8], delta: u64, down: bool) -> Result<(u64, Decimal), Outcome> {
    let number = parse_unsigned(text).ok_or(Outcome::NotANumber)?;
    let result = if down {
        number.saturating_sub(delta)
    } else {
        number.wrapping_add(delta)
    };
    Ok((
        result,
        Decimal::new(itoa::Buffer::new().format(result), text.len()),
    ))
}

/// Redis' arithmetic (`incrDecrCommand`): strict 64-bit signed, an overflow is refused.
pub(super) fn signed(text: Option<&[u8]>, delta: i64) -> Result<(i64, Decimal), Outcome> {
    let number = match text {
        None => 0,
        Some(text) => parse_signed(text).ok_or(Outcome::NotANumber)?,
    };
    let result = number.checked_add(delta).ok_or(Outcome::Overflow)?;
    Ok((result, Decimal::new(itoa::Buffer::new().format(result), 0)))
}

/// As C's `strtoull` under memcached's `safe_strtoull`: blanks and a sign may lead, a blank or a
/// NUL ends it. A minus turns the number round, and memcached refuses what then looks negative.
fn parse_unsigned(text: &[u8]) -> Option<u64> {
    if text.len() > VALUE_BYTES_MAX {
        return None;
    }
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    let (negative, digits) = match &text[blanks..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let ends_well = digits
        .get(count)
        .is_none_or(|byte| is_blank(*byte) || *byte == 0);
    if count == 0 || !ends_well {
        return None;
    }
    let number = digits[..count].iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    let number = if negative {
        number.wrapping_neg()
    } else {
        number
    };
    (!negative || number <= i64::MAX.unsigned_abs()).then_some(number)
}

/// C's `isspace` in the "C" locale.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// As Redis' `string2ll`: the one canonical form of a 64-bit signed number, nothing else.
fn parse_signed(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = i64::from(digit.checked_sub(b'0').filter(|digit| *digit <= 9)?);
        let shifted = number.checked_mul(10)?;
        if negative {
            shifted.checked_sub(digit)
        } else {
            shifted.checked_add(digit)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_wraps_stops_and_pads_as_memcached() {
        let run = |text: &[u8], delta, down| {
            unsigned(text, delta, down).map(|(n, text)| (n, text.parts().concat()))
        };
        assert_eq!(run(b"5", 6, false), Ok((11, b"11".to_vec())));
        assert_eq!(run(b"10", 1, true), Ok((9, b"9 ".to_vec())));
        assert_eq!(run(b"9 ", 1, false), Ok((10, b"10".to_vec())));
        assert_eq!(run(b"3", 9, true), Ok((0, b"0".to_vec())));
        assert_eq!(run(b"\x0b+5\0x", 1, false), Ok((6, b"6    ".to_vec())));
        assert_eq!(run(b"-0\nx", 1, false), Ok((1, b"1   ".to_vec())));
        let long = [&[b'0'; 30][..], b"1 and more"].concat();
        let padded = [&b"2"[..], &[b' '; 39]].concat();
        assert_eq!(run(&long, 1, false), Ok((2, padded)));
        let wrapped = Ok((0, b"0                   ".to_vec()));
        assert_eq!(run(b"18446744073709551615", 1, false), wrapped);
        let zeros_before = [&[b'0'; 25][..], b"1"].concat();
        let blanks_behind = [&b"2"[..], &[b' '; 25]].concat();
        assert_eq!(run(&zeros_before, 1, false), Ok((2, blanks_behind)));
        assert_eq!(run(b"5\0x", 1, false), Ok((6, b"6  ".to_vec())));
        assert_eq!(run(b"-0", 1, false), Ok((1, b"1 ".to_vec())));
        assert_eq!(run(b"\x0b+7\x0b", 1, false), Ok((8, b"8   ".to_vec())));
        for bad in [
            &b""[..],
            b"x",
            b"5x",
            b"-5",
            b"-\0",
            b"18446744073709551616",
            b"111111111111111111111",
            &[b' '; 1025],
        ] {
            assert_eq!(
                run(bad, 1, false),
                Err(Outcome::NotANumber),
                "{}",
                bad.escape_ascii()
            );
        }
    }

    #[test]
    fn signed_is_strict_and_checked() {
        let run = |text: &[u8], delta| signed(Some(text), delta).map(|(number, _)| number);
        assert_eq!(run(b"-5", 6), Ok(1));
        assert_eq!(signed(None, -3).map(|(number, _)| number), Ok(-3));
        assert_eq!(run(b"9223372036854775807", 1), Err(Outcome::Overflow));
        assert_eq!(run(b"-9223372036854775808", -1), Err(Outcome::Overflow));
        assert_eq!(run(b"-9223372036854775808", 0), Ok(i64::MIN));
        for bad in [
            &b""[..],
            b"-",
            b"-0",
            b"00",
            b"01",
            b"+1",
            b" 1",
            b"1 ",
            b"9223372036854775808",
        ] {
            assert_eq!(
                run(bad, 1),
                Err(Outcome::NotANumber),
                "{}",
                bad.escape_ascii()
            );
        }
    }
}
