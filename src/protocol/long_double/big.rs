//! An unsigned integer of bounded size on the stack: what the conversions need beyond 128 bits.

/// Most bits of a number on the way from text: 5^10069, for a text of 5119 digits whose first one
/// stands at the smallest exponent (23,380 bits); and room for the shifts of the division.
const BITS_MAX: usize = 23_552;
const LIMB_BITS: usize = u32::BITS as usize;
const LIMBS: usize = BITS_MAX / LIMB_BITS;

/// The largest power of five that is one limb, and its exponent.
const FIVES: u32 = 5u32.pow(13);
const FIVES_EXPONENT: u32 = 13;

/// An integer, the least significant limb first.
///
/// Invariant: limbs from `len` on are 0, the one below is not. Bits beyond the bound are lost: the
/// caller knows that there are none.
#[derive(Clone, Debug)]
pub(super) struct Big {
    limbs: [u32; LIMBS],
    len: usize,
}

impl Big {
    pub(super) fn new(value: u64) -> Self {
        let mut limbs = [0; LIMBS];
        limbs[0] = value as u32;
        limbs[1] = (value >> u32::BITS) as u32;
        let mut big = Self { limbs, len: 2 };
        big.trim();
        big
    }

    pub(super) fn is_zero(&self) -> bool {
        self.len == 0
    }

    /// How many bits it takes to write.
    pub(super) fn bits(&self) -> usize {
        match self.used().last() {
            Some(top) => self.len * LIMB_BITS - top.leading_zeros() as usize,
            None => 0,
        }
    }

    pub(super) fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.limbs[..self.len] {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= u32::BITS;
        }
        if let (true, Some(limb)) = (carry > 0, self.limbs.get_mut(self.len)) {
            *limb = carry as u32;
            self.len += 1;
        }
    }

    /// Multiplies by 5^`exponent`.
    pub(super) fn multiply_fives(&mut self, exponent: u32) {
        for _ in 0..exponent / FIVES_EXPONENT {
            self.multiply_add(FIVES, 0);
        }
        self.multiply_add(5u32.pow(exponent % FIVES_EXPONENT), 0);
    }

    pub(super) fn shift_left(&mut self, bits: usize) {
        let (limbs, bits) = (bits / LIMB_BITS, bits % LIMB_BITS);
        let len = (self.len + limbs + 1).min(LIMBS);
        for index in (0..len).rev() {
            let limb = |back: usize| {
                let at = index.checked_sub(limbs + back);
                u64::from(at.map_or(0, |at| self.limbs[at]))
            };
            self.limbs[index] = ((limb(0) << bits) | ((limb(1) << bits) >> LIMB_BITS)) as u32;
        }
        self.len = len;
        self.trim();
    }

    /// Subtracts, if it is not less; whether it did.
    pub(super) fn subtract_once(&mut self, other: &Self) -> bool {
        let is_less = match self.len.cmp(&other.len) {
            core::cmp::Ordering::Equal => self.used().iter().rev().lt(other.used().iter().rev()),
            order => order.is_lt(),
        };
        if is_less {
            return false;
        }
        let mut borrow = false;
        for (limb, other) in self.limbs.iter_mut().zip(&other.limbs[..self.len]) {
            let (difference, first) = limb.overflowing_sub(*other);
            let (difference, second) = difference.overflowing_sub(u32::from(borrow));
            *limb = difference;
            borrow = first || second;
        }
        self.trim();
        true
    }

    /// Divides; the remainder.
    pub(super) fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0u64;
        for limb in self.limbs[..self.len].iter_mut().rev() {
            rest = (rest << u32::BITS) | u64::from(*limb);
            *limb = (rest / u64::from(divisor)) as u32;
            rest %= u64::from(divisor);
        }
        self.trim();
        rest as u32
    }

    fn used(&self) -> &[u32] {
        &self.limbs[..self.len]
    }

    fn trim(&mut self) {
        let zeros = self.used().iter().rev().take_while(|limb| **limb == 0);
        self.len -= zeros.count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(big: &Big) -> u128 {
        let limbs = big.used().iter().rev();
        limbs.fold(0, |value, limb| (value << u32::BITS) | u128::from(*limb))
    }

    #[test]
    fn agrees_with_128_bits() {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        for _ in 0..10_000 {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(11);
            let (start, factor, shift) = (state >> (state % 64), (state >> 20) as u32, state % 31);
            let mut big = Big::new(start);
            let mut model = u128::from(start);
            assert_eq!(value(&big), model);
            big.multiply_add(factor, 7);
            if model > 0 || factor > 0 {
                model = model * u128::from(factor) + 7;
                assert_eq!(value(&big), model);
            }
            big.shift_left(shift as usize);
            model <<= shift;
            assert_eq!(big.bits(), 128 - model.leading_zeros() as usize);
            let divisor = (state >> 32) as u32 | 1;
            let mut quotient = big.clone();
            assert_eq!(
                u128::from(quotient.divide(divisor)),
                model % u128::from(divisor)
            );
            assert_eq!(value(&quotient), model / u128::from(divisor));
            let other = u128::from(state.rotate_left(9));
            let is_less = model < other;
            assert_ne!(big.subtract_once(&Big::new(other as u64)), is_less);
            assert_eq!(value(&big), if is_less { model } else { model - other });
        }
    }

    #[test]
    fn the_largest_numbers_fit() {
        let mut big = Big::new(1);
        big.multiply_fives(10_069);
        assert_eq!(big.bits(), 23_380);
        for _ in 0..10_069 {
            assert_eq!(big.divide(5), 0);
        }
        assert_eq!(value(&big), 1);
        assert!(!big.is_zero() && Big::new(0).is_zero());
    }
}
