//! Decimal numbers: strict ones for RESP, C's forgiving ones for memcache, and writing them.

/// Most digits of which every value fits `u64`: 10^19 - 1 < 2^64.
const DIGITS_SAFE: usize = 19;

/// The digits of an unsigned number and nothing else; `None` for an empty slice, any other byte, or
/// overflow. Leading zeros are digits.
#[inline]
pub fn unsigned(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    if digits.len() > DIGITS_SAFE {
        return unsigned_long(digits);
    }
    let mut value = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// As [`unsigned`], for numbers that may overflow.
#[cold]
fn unsigned_long(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A signed number the way Redis reads one (`string2ll`): an optional `-`, then digits without
/// leading zeros; no `+`, no space, no `-0`. So a value has exactly one spelling.
#[inline]
pub fn signed(text: &[u8]) -> Option<i64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] => i64::try_from(unsigned(text)?).ok(),
        [b'-', b'1'..=b'9', ..] => 0i64.checked_sub_unsigned(unsigned(&text[1..])?),
        _ => None,
    }
}

/// A signed number the way memcached reads one (`strtoll` between blanks): leading blanks, a sign
/// and leading zeros are fine, and what follows a blank after the digits is not looked at.
#[inline]
pub fn c_signed(text: &[u8]) -> Option<i64> {
    match unsigned(text) {
        Some(value) => i64::try_from(value).ok(),
        None => c_signed_slow(text),
    }
}

#[cold]
fn c_signed_slow(text: &[u8]) -> Option<i64> {
    let (negative, digits) = c_parts(text);
    let magnitude = unsigned(digits)?;
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// An unsigned number the way memcached reads one (`strtoull` between blanks). A negative number is
/// refused, except that `-0` is 0; memcached also takes those below -2^63, which wrap round to
/// small positive ones.
#[inline]
pub fn c_unsigned(text: &[u8]) -> Option<u64> {
    unsigned(text).or_else(|| c_unsigned_slow(text))
}

#[cold]
fn c_unsigned_slow(text: &[u8]) -> Option<u64> {
    let (negative, digits) = c_parts(text);
    unsigned(digits).filter(|&value| !negative || value == 0)
}

/// The sign and the digits of a number that C would read, without the blanks around it.
fn c_parts(text: &[u8]) -> (bool, &[u8]) {
    let blanks = text.iter().take_while(|&&byte| c_isspace(byte)).count();
    let (negative, rest) = match &text[blanks..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let length = rest
        .iter()
        .position(|&byte| c_isspace(byte))
        .unwrap_or(rest.len());
    (negative, &rest[..length])
}

/// C's `isspace` in the "C" locale, which unlike Rust's counts the vertical tab.
const fn c_isspace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Appends a number in decimal.
#[inline]
pub fn write(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number in decimal and a CRLF: up to four digits, as nearly all lengths of values have, in one
/// go.
#[inline]
pub fn write_line(out: &mut Vec<u8>, number: u64) {
    const CRLF: &[u8] = b"\r\n";
    if number >= 10_000 {
        write(out, number);
        return out.extend_from_slice(CRLF);
    }
    // Fits: below 10,000.
    let number = number as u32;
    let pairs = [number / 100, number % 100];
    let [first, second] = pairs.map(|pair| pair / 10 + ((pair % 10) << 8));
    let digits = first + (second << 16);
    // Not the last digit: a zero is written as one.
    let zeros = (digits | (1 << 24)).trailing_zeros() / u8::BITS;
    let count = size_of::<u32>() - zeros as usize;
    let text = (digits | 0x3030_3030) >> (zeros * u8::BITS);
    let line_end = u64::from(u16::from_le_bytes([b'\r', b'\n'])) << (count * 8);
    let line = (u64::from(text) | line_end).to_le_bytes();
    let end = out.len() + count + CRLF.len();
    out.extend_from_slice(&line);
    out.truncate(end);
}

/// Significant digits that tell every `f64` from every other.
const DIGITS_SIGNIFICANT: usize = 17;

/// Appends a number as C's `%.17g` does, which is how Redis writes doubles. Allocates.
pub fn write_double(out: &mut Vec<u8>, number: f64) {
    if !number.is_finite() {
        let sign = if number.is_sign_negative() { "-" } else { "" };
        let word = if number.is_nan() { "nan" } else { "inf" };
        return out.extend_from_slice([sign, word].concat().as_bytes());
    }
    // One digit before the point: `-1.2000000000000000e-7`.
    let text = format!("{number:.*e}", DIGITS_SIGNIFICANT - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(|digit| *digit != '.').collect();
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    out.extend_from_slice(sign.as_bytes());
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < DIGITS_SIGNIFICANT => {
            let whole = exponent + 1;
            let zeros = whole.saturating_sub(digits.len());
            let (before, after) = digits.split_at(whole.min(digits.len()));
            out.extend_from_slice(before.as_bytes());
            out.resize(out.len() + zeros, b'0');
            if !after.is_empty() {
                out.push(b'.');
                out.extend_from_slice(after.as_bytes());
            }
        }
        Err(_) if exponent >= -4 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (-exponent - 1) as usize, b'0');
            out.extend_from_slice(digits.as_bytes());
        }
        _ => {
            let (first, after) = digits.split_at(1);
            let point = if after.is_empty() { "" } else { "." };
            let sign = if exponent < 0 { '-' } else { '+' };
            let exponent = exponent.unsigned_abs();
            let text = format!("{first}{point}{after}e{sign}{exponent:02}");
            out.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_any_length_are_written() {
        for number in (0..=100_000).chain([u64::MAX]) {
            let mut out = b"x".to_vec();
            write_line(&mut out, number);
            assert_eq!(out, format!("x{number}\r\n").as_bytes());
        }
    }

    #[test]
    fn doubles_are_written_as_c_writes_them() {
        // What `printf "%.17g"` says.
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.10000000000000001"),
            (200.0 / 3.0, "66.666666666666671"),
            (100.0, "100"),
            (12_345_678_901_234_567.0, "12345678901234568"),
            (1e17, "1e+17"),
            (1.5e300, "1.5000000000000001e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let mut out = Vec::new();
            write_double(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn unsigned_takes_digits_only() {
        let table: &[(&[u8], Option<u64>)] = &[
            (b"0", Some(0)),
            (b"007", Some(7)),
            (b"9999999999999999999", Some(9_999_999_999_999_999_999)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"000000000000000000000000000001", Some(1)),
            (b"", None),
            (b"-1", None),
            (b"+1", None),
            (b"1 ", None),
            (b"12345678901234567890x", None),
        ];
        for (text, expected) in table {
            assert_eq!(unsigned(text), *expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn signed_has_one_spelling_per_value() {
        let table: &[(&[u8], Option<i64>)] = &[
            (b"0", Some(0)),
            (b"-1", Some(-1)),
            (b"9223372036854775807", Some(i64::MAX)),
            (b"9223372036854775808", None),
            (b"-9223372036854775808", Some(i64::MIN)),
            (b"-9223372036854775809", None),
            (b"-0", None),
            (b"00", None),
            (b"01", None),
            (b"+1", None),
            (b" 1", None),
            (b"-", None),
            (b"", None),
        ];
        for (text, expected) in table {
            assert_eq!(signed(text), *expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn c_numbers_forgive_what_strtol_forgives() {
        let table: &[(&[u8], Option<i64>, Option<u64>)] = &[
            (b"+5", Some(5), Some(5)),
            (b"\t\x0b7", Some(7), Some(7)),
            (b"1\t9", Some(1), Some(1)),
            (b"1\rx", Some(1), Some(1)),
            (b"-0", Some(0), Some(0)),
            (b"-3", Some(-3), None),
            (b"007", Some(7), Some(7)),
            (b"18446744073709551615", None, Some(u64::MAX)),
            (b"-9223372036854775808", Some(i64::MIN), None),
            (b"5x", None, None),
            (b"+-5", None, None),
            (b"- 5", None, None),
            (b"", None, None),
            (b"\t", None, None),
        ];
        for (text, signed, unsigned) in table {
            assert_eq!(c_signed(text), *signed, "{}", text.escape_ascii());
            assert_eq!(c_unsigned(text), *unsigned, "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn written_numbers_are_read_back(value: i64) {
            let mut text = Vec::new();
            write(&mut text, value);
            prop_assert_eq!(signed(&text), Some(value));
            prop_assert_eq!(c_signed(&text), Some(value));
            prop_assert_eq!(unsigned(&text), u64::try_from(value).ok());
        }

        #[test]
        fn numbers_agree_with_the_standard_library(text in "[-+ 0-9]{0,22}") {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert_eq!(unsigned(text.as_bytes()), text.parse().ok().filter(|_| plain));
            let canonical = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(signed(text.as_bytes()), canonical);
        }
    }
}
