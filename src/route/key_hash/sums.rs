//! Hashes that take one byte after the other: checksums, and Fowler, Noll and Vo's.

use super::signed;

const CRC16: [u16; 256] = crc16_table();
const CRC32: [u32; 256] = crc32_table();

const FNV_64_INIT: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_64_PRIME: u64 = 0x0000_0100_0000_01b3;
const FNV_32_INIT: u32 = 0x811c_9dc5;
const FNV_32_PRIME: u32 = 0x0100_0193;

/// CRC-16/XMODEM, whose low 16 bits are the sum; above them stands what the last shift left there.
pub(in crate::route) fn crc16(key: &[u8]) -> u32 {
    key.iter().fold(0_u32, |sum, &byte| {
        let index = ((sum >> 8) as u8) ^ byte;
        (sum << 8) ^ u32::from(CRC16[usize::from(index)])
    })
}

/// CRC-32, as zlib has it.
pub(super) fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(u32::MAX, |sum, &byte| {
        (sum >> 8) ^ CRC32[usize::from(sum as u8 ^ byte)]
    })
}

pub(super) fn fnv1_64(key: &[u8]) -> u32 {
    // The low half of a product needs no more than the low halves of its factors.
    fnv1(key, FNV_64_INIT as u32, FNV_64_PRIME as u32)
}

pub(super) fn fnv1a_64(key: &[u8]) -> u32 {
    fnv1a(key, FNV_64_INIT as u32, FNV_64_PRIME as u32)
}

pub(super) fn fnv1_32(key: &[u8]) -> u32 {
    fnv1(key, FNV_32_INIT, FNV_32_PRIME)
}

pub(super) fn fnv1a_32(key: &[u8]) -> u32 {
    fnv1a(key, FNV_32_INIT, FNV_32_PRIME)
}

fn fnv1(key: &[u8], init: u32, prime: u32) -> u32 {
    key.iter()
        .fold(init, |hash, &byte| hash.wrapping_mul(prime) ^ signed(byte))
}

fn fnv1a(key: &[u8], init: u32, prime: u32) -> u32 {
    key.iter().fold(init, |hash, &byte| {
        (hash ^ signed(byte)).wrapping_mul(prime)
    })
}

/// The polynomial x^16 + x^12 + x^5 + 1, the highest bit first.
const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut sum = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            let carry = if sum & 0x8000 == 0 { 0 } else { 0x1021 };
            sum = (sum << 1) ^ carry;
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
}

/// The polynomial of IEEE 802.3, the lowest bit first.
const fn crc32_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut sum = index as u32;
        let mut bit = 0;
        while bit < 8 {
            let carry = if sum & 1 == 0 { 0 } else { 0xedb8_8320 };
            sum = (sum >> 1) ^ carry;
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
}
