//! Each hash against what its original answers (compiled for x86-64).

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
fn md5_is_the_first_word() {
    let vectors = [
        ("foo", 0xdb18_bdac),
        ("bar", 0x191d_b537),
        ("user:1", 0x10dd_b1bd),
        ("key:42", 0x4b01_5929),
        ("", 0xd98c_1dd4),
    ];
    for (key, hash) in vectors {
        assert_eq!(KeyHash::Md5.of(key.as_bytes()), hash, "{key}");
    }
}

/// Of each length modulo 4 and 12, with and without bytes from 0x80 up.
const KEYS: [&[u8]; 10] = [
    b"a",
    b"ab",
    b"foo",
    b"user:1",
    b"\xff",
    b"\x80\xc3z",
    b"abc\xfe",
    b"0123456789abc",
    b"session:\xe4\xf6\xfc:0123456789abcdef",
    b"\xe4\xf6\xfc\xdf\xe4\xf6\xfc",
];

#[test]
fn hashes_are_those_of_twemproxy() {
    #[rustfmt::skip]
    let vectors: [(KeyHash, [u32; 10]); 12] = [
        (KeyHash::OneAtATime, [0xca2e_9442, 0x45e6_1e58, 0x2386_78dd, 0xa556_ff4b, 0xae65_a494,
            0x7a25_b963, 0x4a93_dbb5, 0xcae7_7770, 0x49c6_15eb, 0xb5f3_0e1c]),
        (KeyHash::Md5, [0xb975_c10c, 0x43f4_7e18, 0xdb18_bdac, 0x10dd_b1bd, 0xd44f_5900,
            0x0bab_9b71, 0xe0c3_b6b5, 0x71d9_312d, 0x0c12_cbcd, 0xbafb_649e]),
        (KeyHash::Crc16, [0x0000_7c87, 0x007c_74ff, 0x0c3c_af96, 0xd56e_6a1a, 0x0000_1ef0,
            0x91f2_a780, 0x749d_8ac5, 0x66f2_1798, 0xf89c_5a55, 0x24b5_e6ed]),
        (KeyHash::Crc32, [0x0000_68b7, 0x0000_1e83, 0x0000_0c73, 0x0000_7ba5, 0x0000_7f00,
            0x0000_4e73, 0x0000_7d58, 0x0000_4e68, 0x0000_4971, 0x0000_02bd]),
        (KeyHash::Crc32a, [0xe8b7_be43, 0x9e83_486d, 0x8c73_6521, 0x7ba5_c282, 0xff00_0000,
            0x4e73_de3d, 0xfd58_b74b, 0xce68_ad26, 0x4971_61e4, 0x02bd_339d]),
        (KeyHash::Fnv1_64, [0x8601_b7be, 0xb4eb_37b8, 0x6ba1_3533, 0xc93c_ea93, 0x79fe_4820,
            0x6b5c_59d0, 0x047b_b00f, 0x0d0f_5624, 0x2031_826f, 0x5438_1a26]),
        (KeyHash::Fnv1a64, [0x8601_ec8c, 0xb545_986a, 0xfed9_d577, 0x7508_1ceb, 0x79fe_466e,
            0x74f1_10ea, 0x11f8_ab8f, 0x0bd2_b7f6, 0x2c51_5f77, 0xa86c_4e80]),
        (KeyHash::Fnv1_32, [0x050c_5d7e, 0x7077_2d38, 0x408f_5e13, 0x00cc_85b3, 0xfaf3_a2e0,
            0xf254_4cf0, 0x4621_8cef, 0x54a6_3804, 0x752c_fccf, 0x43b4_43c6]),
        (KeyHash::Fnv1a32, [0xe40c_292c, 0x4d25_05ca, 0xa9f3_7ed7, 0x6d1a_4acb, 0xf9f3_a14e,
            0xf1a1_56ea, 0x95cc_23af, 0x8136_b5b6, 0x25a5_a197, 0x9e2a_df00]),
        (KeyHash::Hsieh, [0x9364_2e87, 0x5b8c_0ec3, 0x76d4_d427, 0xe7bf_1826, 0x02a6_dba8,
            0x9b47_86a6, 0x8ac9_e250, 0x9aef_edfa, 0x3524_3848, 0x4499_8ed8]),
        (KeyHash::Murmur, [0x4b41_757c, 0xe3b5_4dfb, 0xc4e0_338f, 0xd5d0_b563, 0xdb53_0a9c,
            0x1d5e_719e, 0xf83b_7152, 0xc23f_af3e, 0x94bd_1009, 0xfc48_5f7e]),
        (KeyHash::Jenkins, [0xe0a3_8690, 0xc1b5_695b, 0x99f8_4f99, 0x37cd_5fd1, 0xe196_4da8,
            0x8aac_f668, 0xec22_3b3b, 0x37f9_3ead, 0x347e_fd5c, 0xb44e_a5d6]),
    ];
    for (hash, expected) in vectors {
        assert_eq!(KEYS.map(|key| hash.of(key)), expected, "{hash}");
    }
}

#[test]
fn the_others_are_cut_from_known_sums() {
    // XXH3 of nothing is 0x2d06800538d394c2, SHA-1 of "abc" ends with 9cd0d89d.
    assert_eq!(KeyHash::Xxh3.of(b""), 0x38d3_94c2);
    assert_eq!(KeyHash::Sha1.of(b"abc"), 0x9cd0_d89d);
}

#[test]
fn names_read_back() {
    for hash in KeyHash::ALL {
        assert_eq!(hash.name().parse(), Ok(hash));
    }
    for unknown in ["crc", "MD5", "sha1", ""] {
        assert_eq!(unknown.parse::<KeyHash>(), Err(()), "{unknown}");
    }
}
