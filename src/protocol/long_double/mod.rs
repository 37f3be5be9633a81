//! INCRBYFLOAT's arithmetic: C's `long double` as Redis has it on x86-64, in software.
//!
//! That is 64 bits of mantissa (the leading one is written), an exponent of 15 bits, and rounding
//! to the nearest, ties to even. Redis reads with `strtold`, adds once, and writes with `%.17Lf`
//! without trailing zeros, so results differ from both `f64` and exact decimals: 100000000000000000
//! and 0.3 make 100000000000000000.296875.
//!
//! No step allocates. Texts are at most [`TEXT_BYTES_MAX`] long, so work is bounded, too: the worst
//! text takes about a millisecond, a usual one less than a microsecond.

mod big;
mod text;

use big::Big;
use text::Number;

use super::number;

/// Longest text that is looked at, in bytes; longer ones are no numbers to Redis, either.
pub const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;

/// Why there is no sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatError {
    /// A text is not a number, is NaN, or has no place among the numbers there are.
    Invalid,
    /// The sum is infinite or NaN.
    NotFinite,
}

/// Appends the sum of two numbers, as text, to `out`: at most 4,952 bytes.
///
/// # Errors
/// See [`FloatError`]; `out` is then as it was.
pub fn add(value: &[u8], increment: &[u8], out: &mut Vec<u8>) -> Result<(), FloatError> {
    let both = (text::read(value)?, text::read(increment)?);
    let (Number::Finite(value), Number::Finite(increment)) = both else {
        return Err(FloatError::NotFinite);
    };
    let sum = value.plus(increment).ok_or(FloatError::NotFinite)?;
    sum.write(out);
    Ok(())
}

/// Exponent of the last bit of the smallest numbers, which may have leading zeros.
const EXPONENT_MIN: i32 = -16_445;
/// Exponent of the last bit of the largest ones.
const EXPONENT_MAX: i32 = 16_320;
/// Digits after the point that are written.
const DECIMALS: usize = 17;

/// A finite number: `mantissa` times 2 to the power of `exponent`.
///
/// Invariant: the mantissa's top bit is set, or the exponent is [`EXPONENT_MIN`], or it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LongDouble {
    is_negative: bool,
    mantissa: u64,
    exponent: i32,
}

impl LongDouble {
    /// The number nearest to `mantissa` times 2 to the power of `exponent`; `None` if that is
    /// infinity. If `is_inexact`, the exact value is less than one unit of `mantissa` above, and
    /// `mantissa` has more than 65 bits.
    fn round(is_negative: bool, mantissa: u128, exponent: i32, is_inexact: bool) -> Option<Self> {
        let bits = u128::BITS - mantissa.leading_zeros();
        let surplus = bits as i32 - u64::BITS as i32;
        let dropped = surplus.max(EXPONENT_MIN.saturating_sub(exponent));
        let exponent = exponent.saturating_add(dropped);
        let kept = if dropped <= 0 {
            mantissa << dropped.unsigned_abs().min(u128::BITS - 1)
        } else {
            halve_evenly(mantissa, dropped.unsigned_abs(), is_inexact)
        };
        // Rounding up may have carried into a bit of its own.
        let (kept, exponent) = match u64::try_from(kept) {
            Ok(kept) => (kept, exponent),
            Err(_) => ((kept >> 1) as u64, exponent + 1),
        };
        let number = Self {
            is_negative,
            mantissa: kept,
            exponent,
        };
        (exponent <= EXPONENT_MAX || kept == 0).then_some(number)
    }

    /// The sum, or `None` if it is infinite.
    fn plus(self, other: Self) -> Option<Self> {
        // A zero may have any exponent.
        if self.mantissa == 0 {
            return Some(other);
        }
        if other.mantissa == 0 {
            return Some(self);
        }
        let (large, small) = if (self.exponent, self.mantissa) < (other.exponent, other.mantissa) {
            (other, self)
        } else {
            (self, other)
        };
        // One bit of room for a carry, 63 for what is shifted out of the smaller one.
        let aligned = |number: Self| u128::from(number.mantissa) << 63;
        let distance = (large.exponent - small.exponent).unsigned_abs();
        let exact = aligned(small);
        let shifted = exact.checked_shr(distance).unwrap_or(0);
        let lost = shifted.checked_shl(distance).unwrap_or(0) != exact;
        let (sum, is_negative) = if large.is_negative == small.is_negative {
            (aligned(large) + shifted, large.is_negative)
        } else {
            // What was lost makes the difference a little smaller.
            let difference = aligned(large) - shifted - u128::from(lost);
            (difference, large.is_negative && difference > 0)
        };
        Self::round(is_negative, sum, large.exponent - 63, lost)
    }

    /// Appends the number with [`DECIMALS`] decimals, less trailing zeros.
    fn write(self, out: &mut Vec<u8>) {
        let start = out.len();
        if self.is_negative {
            out.push(b'-');
        }
        let digits = out.len();
        if self.exponent >= 0 {
            self.write_integer(out);
        } else {
            self.write_fraction(out);
        }
        if out.get(digits..) == Some(b"0") {
            out.truncate(start);
            out.push(b'0');
        }
    }

    fn write_integer(self, out: &mut Vec<u8>) {
        const CHUNK: u32 = 1_000_000_000;
        const CHUNK_DIGITS: usize = 9;
        /// 2^16384 has 4933 digits.
        const CHUNKS_MAX: usize = 549;
        let mut rest = Big::new(self.mantissa);
        rest.shift_left(self.exponent.unsigned_abs() as usize);
        let mut chunks = [0; CHUNKS_MAX];
        let mut count = 0;
        for chunk in &mut chunks {
            *chunk = rest.divide(CHUNK);
            count += 1;
            if rest.is_zero() {
                break;
            }
        }
        let mut chunks = chunks[..count].iter().rev();
        number::write(out, chunks.next().copied().unwrap_or(0));
        chunks.for_each(|chunk| write_padded(out, u64::from(*chunk), CHUNK_DIGITS));
    }

    fn write_fraction(self, out: &mut Vec<u8>) {
        const ONE: u128 = 10u128.pow(DECIMALS as u32);
        // Below 2^121.
        let scaled = u128::from(self.mantissa) * ONE;
        let rounded = halve_evenly(scaled, self.exponent.unsigned_abs(), false);
        number::write(out, rounded / ONE);
        let decimals = rounded % ONE;
        if decimals > 0 {
            out.push(b'.');
            write_padded(out, decimals as u64, DECIMALS);
            let zeros = out.iter().rev().take_while(|digit| **digit == b'0');
            out.truncate(out.len() - zeros.count());
        }
    }
}

/// Halves a number `times` over and rounds once, ties to even; if `is_inexact`, there was a little
/// more than the number says.
fn halve_evenly(number: u128, times: u32, is_inexact: bool) -> u128 {
    let Some(half) = times.checked_sub(1) else {
        return number;
    };
    let kept = number.checked_shr(times).unwrap_or(0);
    let Some(doubled) = number.checked_shr(half) else {
        return kept;
    };
    let rest = number ^ (doubled << half);
    let is_half = doubled & 1 == 1;
    let is_above = is_half && (rest > 0 || is_inexact);
    kept + u128::from(is_above || (is_half && kept & 1 == 1))
}

fn write_padded(out: &mut Vec<u8>, number: u64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    let zeros = digits.saturating_sub(text.len());
    out.resize(out.len() + zeros, b'0');
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
