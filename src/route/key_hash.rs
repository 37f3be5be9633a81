//! Hashes of keys, bit for bit as their originals compute them.
//!
//! Most are twemproxy's, and with them libmemcached's, where twemproxy has them from; few are what
//! their names say. `char` is signed on x86-64, so a byte from 0x80 up is sign-extended where the C
//! source reads `char`; and results are cut where nobody would expect it:
//!
//! | name | what it is |
//! |---|---|
//! | `one_at_a_time` | Jenkins' one-at-a-time, of signed bytes |
//! | `md5` | the first word of the MD5, little-endian |
//! | `crc16` | CRC-16/XMODEM in 32 bits that nobody cuts: bits that leave the sum stay in the hash |
//! | `crc32` | 15 bits of CRC-32: with a ring nearly all keys have one owner |
//! | `crc32a` | CRC-32 |
//! | `fnv1_64` | the low half of FNV-1 in 64 bits, of signed bytes |
//! | `fnv1a_64` | FNV-1a in 32 bits, with the low halves of the 64-bit constants, of signed bytes |
//! | `fnv1_32`, `fnv1a_32` | FNV-1 and FNV-1a in 32 bits, of signed bytes |
//! | `hsieh` | Hsieh's SuperFastHash, begun with 0, the last byte of three signed |
//! | `murmur` | MurmurHash2, its seed made from the length |
//! | `jenkins` | Jenkins' lookup3, begun with 13 |
//!
//! Sources: twemproxy `src/hashkit/nc_*.c`; memcached `proxy_ring_hash.c`, `proxy_xxhash.c`;
//! mncaudill/ketama `ketama.go`.

use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};
use sha1::Sha1;
use xxhash_rust::xxh3::xxh3_64;

mod mixers;
pub(super) mod sums;

/// Which hash of a key is compared with the points of a ring; see the table at the top of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHash {
    /// Jenkins' one-at-a-time; libmemcached's default.
    OneAtATime,
    /// The first word of the MD5, little-endian.
    Md5,
    /// CRC-16 that keeps what leaves its 16 bits.
    Crc16,
    /// 15 bits of CRC-32.
    Crc32,
    /// CRC-32.
    Crc32a,
    /// The low half of FNV-1 in 64 bits.
    Fnv1_64,
    /// FNV-1a with the low halves of its 64-bit constants; twemproxy's default.
    Fnv1a64,
    /// FNV-1 in 32 bits.
    Fnv1_32,
    /// FNV-1a in 32 bits.
    Fnv1a32,
    /// Hsieh's SuperFastHash.
    Hsieh,
    /// MurmurHash2.
    Murmur,
    /// Jenkins' lookup3.
    Jenkins,
    /// The low half of XXH3; memcached's proxy.
    Xxh3,
    /// The last word of the SHA-1, big-endian; mncaudill/ketama.
    Sha1,
}

impl KeyHash {
    /// Those that can be chosen, in the order of twemproxy's documentation.
    pub const ALL: [Self; 12] = [
        Self::OneAtATime,
        Self::Md5,
        Self::Crc16,
        Self::Crc32,
        Self::Crc32a,
        Self::Fnv1_64,
        Self::Fnv1a64,
        Self::Fnv1_32,
        Self::Fnv1a32,
        Self::Hsieh,
        Self::Murmur,
        Self::Jenkins,
    ];

    /// twemproxy's name for it, or, of the two that twemproxy does not have, the common one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneAtATime => "one_at_a_time",
            Self::Md5 => "md5",
            Self::Crc16 => "crc16",
            Self::Crc32 => "crc32",
            Self::Crc32a => "crc32a",
            Self::Fnv1_64 => "fnv1_64",
            Self::Fnv1a64 => "fnv1a_64",
            Self::Fnv1_32 => "fnv1_32",
            Self::Fnv1a32 => "fnv1a_32",
            Self::Hsieh => "hsieh",
            Self::Murmur => "murmur",
            Self::Jenkins => "jenkins",
            Self::Xxh3 => "xxh3",
            Self::Sha1 => "sha1",
        }
    }

    /// The hash of `key`. Allocates nothing.
    pub fn of(self, key: &[u8]) -> u32 {
        match self {
            Self::OneAtATime => mixers::one_at_a_time(key),
            Self::Md5 => md5_words(key)[0],
            Self::Crc16 => sums::crc16(key),
            Self::Crc32 => (sums::crc32(key) >> 16) & 0x7fff,
            Self::Crc32a => sums::crc32(key),
            Self::Fnv1_64 => sums::fnv1_64(key),
            Self::Fnv1a64 => sums::fnv1a_64(key),
            Self::Fnv1_32 => sums::fnv1_32(key),
            Self::Fnv1a32 => sums::fnv1a_32(key),
            Self::Hsieh => mixers::hsieh(key),
            Self::Murmur => mixers::murmur(key),
            Self::Jenkins => mixers::jenkins(key),
            Self::Xxh3 => xxh3_64(key) as u32,
            Self::Sha1 => sha1_word(key),
        }
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyHash {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|hash| hash.name() == text)
            .ok_or(())
    }
}

/// The four points of one label: its MD5 read as four little-endian words, in order.
pub(super) fn md5_words(bytes: &[u8]) -> [u32; 4] {
    let digest: [u8; 16] = Md5::digest(bytes).into();
    let (words, _) = digest.as_chunks::<4>();
    std::array::from_fn(|word| u32::from_le_bytes(words[word]))
}

fn sha1_word(bytes: &[u8]) -> u32 {
    let digest: [u8; 20] = Sha1::digest(bytes).into();
    let [.., a, b, c, d] = digest;
    u32::from_be_bytes([a, b, c, d])
}

/// A byte as C's `char` becomes `uint32_t` on x86-64.
const fn signed(byte: u8) -> u32 {
    byte.cast_signed() as i32 as u32
}

#[cfg(test)]
mod tests;
