//! Text to numbers, as `strtold` of the GNU C library reads it where Redis asks.

use super::{Big, FloatError, LongDouble, TEXT_BYTES_MAX};

/// Values from 10 to this power on are infinite: the largest number is below 1.19e4932.
const DECIMAL_EXPONENT_MAX: i64 = 4_933;
/// Values up to 10 to this power are rounded to zero: half of the smallest is above 1.8e-4951.
const DECIMAL_EXPONENT_MIN: i64 = -4_951;
/// Exponents beyond this are cut to it: no text is long enough to make up for one.
const EXPONENT_CUT: i64 = 1_000_000;

/// What a text means.
pub(super) enum Number {
    Finite(LongDouble),
    Infinite,
}

/// Reads a number, all of `text`.
pub(super) fn read(text: &[u8]) -> Result<Number, FloatError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(FloatError::Invalid);
    }
    let (is_negative, magnitude) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let is = |name: &str| magnitude.eq_ignore_ascii_case(name.as_bytes());
    if is("inf") || is("infinity") {
        return Ok(Number::Infinite);
    }
    let number = match magnitude {
        [b'0', b'x' | b'X', rest @ ..] => Parts::split::<16>(rest).map(|p| p.hexadecimal()),
        _ => Parts::split::<10>(magnitude).map(|parts| parts.decimal()),
    };
    let exact = number.ok_or(FloatError::Invalid)?;
    let is_zero = exact.is_some_and(|exact| exact.mantissa == 0);
    // Out of range is refused, at both ends.
    let number = exact.and_then(|exact| exact.round(is_negative));
    let number = number.filter(|number| is_zero || number.mantissa != 0);
    Ok(Number::Finite(number.ok_or(FloatError::Invalid)?))
}

/// A value before it is rounded: see [`LongDouble::round`].
#[derive(Clone, Copy)]
struct Exact {
    mantissa: u128,
    exponent: i32,
    is_inexact: bool,
}

impl Exact {
    const ZERO: Self = Self {
        mantissa: 0,
        exponent: 0,
        is_inexact: false,
    };

    fn round(self, is_negative: bool) -> Option<LongDouble> {
        LongDouble::round(is_negative, self.mantissa, self.exponent, self.is_inexact)
    }
}

/// A number's digits around the point, and its exponent.
struct Parts<'b> {
    /// Without leading zeros.
    whole: &'b [u8],
    /// Without trailing zeros.
    fraction: &'b [u8],
    exponent: i64,
}

impl<'b> Parts<'b> {
    /// Takes a number without sign and prefix apart; `None` if it is not one.
    fn split<const BASE: u32>(text: &'b [u8]) -> Option<Self> {
        let is_digit = |byte: &u8| char::from(*byte).is_digit(BASE);
        let (whole, rest) = text.split_at(text.iter().take_while(|byte| is_digit(byte)).count());
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => rest.split_at(rest.iter().take_while(|b| is_digit(b)).count()),
            _ => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match (rest, BASE) {
            ([], _) => 0,
            ([b'e' | b'E', rest @ ..], 10) | ([b'p' | b'P', rest @ ..], 16) => exponent(rest)?,
            _ => return None,
        };
        let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
        let end = fraction.iter().rposition(|digit| *digit != b'0');
        Some(Self {
            whole: &whole[zeros..],
            fraction: &fraction[..end.map_or(0, |last| last + 1)],
            exponent,
        })
    }

    fn digits(&self) -> impl Iterator<Item = u32> + 'b {
        let digits = self.whole.iter().chain(self.fraction);
        digits.filter_map(|digit| char::from(*digit).to_digit(16))
    }

    /// The value; `None` if it is out of range.
    fn decimal(&self) -> Option<Exact> {
        let leading_zeros = self.digits().take_while(|digit| *digit == 0).count() as i64;
        let count = self.digits().count() as i64;
        if count == leading_zeros {
            return Some(Exact::ZERO);
        }
        // The value is digits * 10^exponent, and less than 10^magnitude.
        let exponent = self.exponent - self.fraction.len() as i64;
        let magnitude = exponent + count - leading_zeros;
        if magnitude > DECIMAL_EXPONENT_MAX || magnitude <= DECIMAL_EXPONENT_MIN {
            return None;
        }
        let mut numerator = integer(self.digits());
        let fives = exponent.unsigned_abs() as u32;
        // Both fit: the magnitude is bounded, and so is the count of digits.
        let exponent = exponent as i32;
        let mut denominator = Big::new(1);
        if exponent >= 0 {
            numerator.multiply_fives(fives);
        } else {
            denominator.multiply_fives(fives);
        }
        Some(divide(numerator, denominator, exponent))
    }

    /// The value; `None` if it is out of range.
    fn hexadecimal(&self) -> Option<Exact> {
        const DIGIT_BITS: i64 = 4;
        let (mut mantissa, mut is_inexact, mut dropped) = (0u128, false, 0i64);
        for digit in self.digits() {
            if mantissa >> (u128::BITS - DIGIT_BITS as u32) == 0 {
                mantissa = (mantissa << DIGIT_BITS) | u128::from(digit);
            } else {
                is_inexact |= digit != 0;
                dropped += 1;
            }
        }
        if mantissa == 0 {
            return Some(Exact::ZERO);
        }
        let point = dropped - self.fraction.len() as i64;
        let exponent = self.exponent + DIGIT_BITS * point;
        Some(Exact {
            mantissa,
            exponent: exponent as i32,
            is_inexact,
        })
    }
}

/// The number with these decimal digits.
fn integer(digits: impl Iterator<Item = u32>) -> Big {
    const CHUNK_FACTOR: u32 = 1_000_000_000;
    let mut number = Big::new(0);
    let (mut chunk, mut factor) = (0, 1);
    for digit in digits {
        chunk = chunk * 10 + digit;
        factor *= 10;
        if factor == CHUNK_FACTOR {
            number.multiply_add(factor, chunk);
            (chunk, factor) = (0, 1);
        }
    }
    number.multiply_add(factor, chunk);
    number
}

/// The quotient to 66 bits or 67, times 2 to the power of `exponent`.
fn divide(mut numerator: Big, mut denominator: Big, exponent: i32) -> Exact {
    const STEPS: usize = 67;
    let (above, below) = (numerator.bits(), denominator.bits());
    let bits = above.max(below);
    numerator.shift_left(bits - above);
    denominator.shift_left(bits - below);
    // Both have the same length now, so the quotient is at least a half and less than two.
    let mut quotient = 0u128;
    for step in 0..STEPS {
        if step > 0 {
            numerator.shift_left(1);
        }
        quotient = (quotient << 1) | u128::from(numerator.subtract_once(&denominator));
    }
    let scale = above as i32 - below as i32 - (STEPS as i32 - 1);
    Exact {
        mantissa: quotient,
        exponent: exponent + scale,
        is_inexact: !numerator.is_zero(),
    }
}

/// An exponent: an optional sign and at least one digit.
fn exponent(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0i64, |value, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        Some((value * 10 + i64::from(digit)).min(EXPONENT_CUT))
    })?;
    Some(if is_negative { -magnitude } else { magnitude })
}
