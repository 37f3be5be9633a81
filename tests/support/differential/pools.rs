//! The keys, values and numbers that commands are made of: few, so that commands meet, and each near some limit.
//!
//! No time lies between 1 second and 99: what would run out while a busy machine plays a sequence would make the
//! replies differ.

use super::dice::Dice;

/// Longest key of memcache.
const KEY_BYTES_MAX: usize = 250;

/// A key that memcache takes.
pub(crate) fn memcache_key(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0..=3 => b"a".to_vec(),
        4..=6 => b"bb".to_vec(),
        7 => b"key:3".to_vec(),
        8 => "ключ".as_bytes().to_vec(),
        9 => b"\x01\x7f\xff\t".to_vec(),
        10 => vec![b'k'; KEY_BYTES_MAX],
        _ => b"0".to_vec(),
    }
}

/// A word where a key stands, which memcache may refuse.
pub(crate) fn memcache_key_or_not(dice: &mut Dice) -> Vec<u8> {
    match dice.below(40) {
        0 => vec![b'k'; KEY_BYTES_MAX + 1],
        1 => vec![b'k'; dice.between(KEY_BYTES_MAX + 2, 1000)],
        2 => Vec::new(),
        _ => memcache_key(dice),
    }
}

/// A key of RESP.
pub(crate) fn resp_key(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0..=3 => b"a".to_vec(),
        4..=6 => b"bb".to_vec(),
        7 => "ключ".as_bytes().to_vec(),
        8 => b"\0\r\n \xff".to_vec(),
        9 => Vec::new(),
        10 => vec![b'k'; dice.between(KEY_BYTES_MAX, KEY_BYTES_MAX + 1)],
        _ => b"0".to_vec(),
    }
}

/// Texts that are, or nearly are, numbers.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "5",
    "9",
    "10",
    "99",
    "-1",
    "-0",
    "+5",
    "007",
    "00",
    " 5",
    "5 ",
    "1.5",
    "3.0e3",
    "0x10",
    "abc",
    "",
    " ",
    "-",
    "2147483647",
    "4294967295",
    "4294967296",
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551614",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
    "00000000000000000000000001",
];

pub(crate) fn number_text(dice: &mut Dice) -> Vec<u8> {
    dice.word(NUMBERS)
}

/// A value: every second one about a number, no line of it a command.
pub(crate) fn value(dice: &mut Dice) -> Vec<u8> {
    match dice.below(20) {
        0..=9 => number_text(dice),
        10 | 11 => b"hello".to_vec(),
        12 => b"two words\r\nand a line".to_vec(),
        13 => b"\0\x01\xfe\xff\r\n".to_vec(),
        14 => b"1\t".to_vec(),
        15 => vec![b'x'; *dice.pick(&[7, 8, 15, 16, 17, 20, 21, 31, 32, 33, 63, 64, 65])],
        16 => vec![b'y'; dice.between(100, 1000)],
        17 if dice.chance(100) => vec![b'z'; dice.between(4000, 20_000)],
        _ => (0..dice.below(8)).map(|_| dice.below(256) as u8).collect(),
    }
}

/// A number that some command takes, rather small.
pub(crate) fn small(dice: &mut Dice) -> Vec<u8> {
    match dice.below(4) {
        0 => number_text(dice),
        _ => dice.word(&["0", "1", "2", "3", "10", "-1", "-2", "100"]),
    }
}

/// A word that is no number of seconds from 1 to 99.
pub(crate) fn odd_word(dice: &mut Dice) -> Vec<u8> {
    dice.word(&[
        "0",
        "-1",
        "+5",
        "abc",
        "",
        " ",
        "1.5",
        "5x",
        "0x10",
        "NX",
        "ex",
        "noreply",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
    ])
}

/// memcache's exptime.
pub(crate) fn exptime(dice: &mut Dice) -> Vec<u8> {
    match dice.below(20) {
        0..=9 => b"0".to_vec(),
        10..=12 => dice.word(&["100", "1000", "3600"]),
        13 => dice.word(&["-1", "-100", "-2147483648"]),
        // The last second that counts from now, and times long past.
        14 => dice.word(&["2592000", "2592001", "1000000000"]),
        15 | 16 => dice.word(&["2000000000", "2147483647"]),
        17 => dice.word(&["abc", "1x", "1.5", "-", "+", "0x100", "", "noreply"]),
        18 => dice.word(&["+100", "-0", "0100", "100\t", "00"]),
        _ => dice.word(&[
            "2147483648",
            "4294967296",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
        ]),
    }
}

/// A time in RESP: from now or on the clock, in seconds or in milliseconds. Those from now are hardly ever the same:
/// which of two equal ones is later depends on when they are read.
pub(crate) fn resp_time(dice: &mut Dice, in_ms: bool, is_absolute: bool) -> Vec<u8> {
    let zeros = if in_ms { "000" } else { "" };
    match dice.below(12) {
        0..=7 if is_absolute => {
            let seconds = dice.pick(&["2000000000", "4102444800", "1000000000", "9999999999"]);
            format!("{seconds}{zeros}").into_bytes()
        }
        0..=7 => format!("{}{zeros}", 100 + 10 * dice.below(1_000_000)).into_bytes(),
        8 => dice.word(&["0", "-1", "-100000", "-9223372036854775808"]),
        9 => dice.word(&["abc", "", "1.5", "+5", " 100", "00"]),
        10 => dice.word(&[
            "9223372036854775807",
            "9223372036854775",
            "9223372036854775808",
        ]),
        _ => dice.word(&[
            "9223370000000000",
            "9223372036854774807",
            "-9223372036854775",
        ]),
    }
}

/// A number with a fraction.
pub(crate) fn float(dice: &mut Dice) -> Vec<u8> {
    dice.word(&[
        "1.5",
        "0.1",
        "-0.5",
        "3",
        "1e3",
        "1e-5",
        "0x10",
        "inf",
        "-inf",
        "nan",
        "abc",
        "",
        " 1",
        "1 ",
        "1e400",
        "1e17",
        "123456789.123456789",
        "-1.5e3",
        "+5",
        ".5",
        "5.",
        "0",
    ])
}

/// In capitals, in small letters or in both.
pub(crate) fn any_case(dice: &mut Dice, word: &str) -> Vec<u8> {
    match dice.below(6) {
        0 => word.to_ascii_lowercase().into_bytes(),
        1 => {
            let mix = |byte: u8| match dice.chance(500) {
                true => byte.to_ascii_lowercase(),
                false => byte.to_ascii_uppercase(),
            };
            word.bytes().map(mix).collect()
        }
        _ => word.as_bytes().to_vec(),
    }
}

/// One byte in, one out, or one other.
pub(crate) fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let byte = *dice.pick(b" \t\0\r\n*$-0a\x7f\xff'\"\\");
    let at = dice.below(bytes.len().max(1));
    match dice.below(3) {
        0 => bytes.insert(at.min(bytes.len()), byte),
        1 if !bytes.is_empty() => {
            bytes.remove(at);
        }
        _ if !bytes.is_empty() => bytes[at] = byte,
        _ => {}
    }
}
