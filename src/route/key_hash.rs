//! The two key hashes of the ketama family, bit for bit.

use md5::{Digest, Md5};

/// The four points of one label: its MD5 read as four little-endian words, in order.
pub(super) fn md5_words(bytes: &[u8]) -> [u32; 4] {
    let digest: [u8; 16] = Md5::digest(bytes).into();
    let (words, _) = digest.as_chunks::<4>();
    std::array::from_fn(|word| u32::from_le_bytes(words[word]))
}

/// The key hash of libmemcached's `KETAMA_WEIGHTED`, of libketama and of twemproxy's `hash: md5`:
/// the first word of the key's MD5.
pub(super) fn md5(key: &[u8]) -> u32 {
    md5_words(key)[0]
}

/// twemproxy's `fnv1a_64`, its default, as `hashkit/nc_fnv.c` computes it, which is not FNV-1a of
/// 64 bits:
///
/// * it keeps the low 32 bits of the offset basis and of the prime only;
/// * it reads `char`, signed on x86-64, so a byte from 0x80 up is sign-extended before the xor;
/// * `server_pool_hash` answers 0 for an empty key, without hashing.
pub(super) fn fnv1a_twemproxy(key: &[u8]) -> u32 {
    const OFFSET_BASIS_LOW: u32 = 0xcbf2_9ce4_8422_2325_u64 as u32;
    const PRIME_LOW: u32 = 0x0000_0100_0000_01b3_u64 as u32;
    if key.is_empty() {
        return 0;
    }
    key.iter().fold(OFFSET_BASIS_LOW, |hash, &byte| {
        (hash ^ i32::from(byte.cast_signed()).cast_unsigned()).wrapping_mul(PRIME_LOW)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_give_four_little_endian_words() {
        let vectors = [
            (
                "10.0.1.1-0",
                [0x8e15_f0ab, 0x1d1b_d3e1, 0x8240_cb89, 0x16e2_3e09],
            ),
            (
                "10.0.1.1:11211-0",
                [0x90ed_8713, 0xf5ce_3b03, 0x0603_86a6, 0xa22b_367d],
            ),
            (
                "10.0.1.1:11212-0",
                [0x0220_54cb, 0x7d2f_b6de, 0xd60d_99b2, 0x71f7_6530],
            ),
        ];
        for (label, words) in vectors {
            assert_eq!(md5_words(label.as_bytes()), words, "{label}");
        }
    }

    #[test]
    fn md5_key_hash_is_the_first_word() {
        let vectors = [
            ("foo", 0xdb18_bdac),
            ("bar", 0x191d_b537),
            ("user:1", 0x10dd_b1bd),
            ("key:42", 0x4b01_5929),
            ("", 0xd98c_1dd4),
        ];
        for (key, hash) in vectors {
            assert_eq!(md5(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn fnv1a_is_cut_to_32_bits() {
        assert_eq!(fnv1a_twemproxy(b"foo"), 0xfed9_d577);
    }

    #[test]
    fn fnv1a_reads_signed_chars() {
        assert_eq!(fnv1a_twemproxy(b"\xff"), 0x79fe_466e);
    }

    #[test]
    fn fnv1a_of_an_empty_key_is_zero() {
        assert_eq!(fnv1a_twemproxy(b""), 0);
    }
}
