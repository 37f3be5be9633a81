//! The promise: what ringfort works out for itself where it says it does as Redis does (floats, patterns, common
//! subsequences), redis-server works out, too. Unit tests have the tables; here the real server judges at random.

use ringfort::io::sim::SimRng;
use ringfort::protocol::glob::{self, Case};
use ringfort::protocol::lcs;
use ringfort::protocol::long_double::{self, FloatError};
use ringfort::protocol::resp::reply;

mod support;

use support::backends::Backend;
use support::wire::{Wire, show};

/// Requests that are under way at once.
const BATCH: usize = 40;

#[test]
fn sums_of_floats() {
    const SUMS: usize = 5_000;
    let redis = Backend::redis();
    let mut wire = redis.connect();
    let mut rng = SimRng::new(0x10a7);
    for _ in 0..SUMS / BATCH {
        let pairs: Vec<_> = (0..BATCH)
            .map(|_| (float(&mut rng), float(&mut rng)))
            .collect();
        let mut requests = Vec::new();
        for (value, increment) in &pairs {
            command(&mut requests, &[b"SET", b"k", value.as_bytes()]);
            command(&mut requests, &[b"INCRBYFLOAT", b"k", increment.as_bytes()]);
        }
        wire.send(&requests);
        for (value, increment) in &pairs {
            let mut sum = Vec::new();
            let expected = match long_double::add(value.as_bytes(), increment.as_bytes(), &mut sum)
            {
                Ok(()) => sum,
                Err(FloatError::Invalid) => b"-ERR value is not a valid float".to_vec(),
                Err(FloatError::NotFinite) => {
                    b"-ERR increment would produce NaN or Infinity".to_vec()
                }
            };
            wire.expect(b"+OK\r\n");
            let seen = bulk_or_line(&mut wire);
            assert!(
                seen == expected,
                "{value} + {increment}: {} {}",
                show(&seen),
                show(&expected)
            );
        }
    }
}

/// A number, or something like one, mostly where rounding is hard.
fn float(rng: &mut SimRng) -> String {
    let sign = ["", "", "-", "+"][rng.below(4)];
    let text = match rng.below(12) {
        0 => number(rng, 64),
        1 | 2 => format!("{}.{}", digits(rng, 20), digits(rng, 25)),
        3 => format!(
            "{}.{}e{}",
            digits(rng, 3),
            digits(rng, 30),
            rng.below(9920) as i64 - 4960
        ),
        4 => format!("{}e-{}", digits(rng, 40), rng.below(60)),
        5 => half(rng),
        6 => format!("0x{:x}p{}", rng.number(), rng.below(32_900) as i64 - 16_500),
        7 => format!(
            "0x{:x}.{:x}{:x}",
            rng.number() >> 40,
            rng.number(),
            rng.number()
        ),
        8 => format!(
            "0x1.{:x}p{}",
            rng.number(),
            [-16_445, -16_446, -16_382, 16_383][rng.below(4)]
        ),
        9 => digits(rng, 5_200),
        10 => format!("{}.{}", digits(rng, 600), digits(rng, 600)),
        _ => nonsense(rng),
    };
    format!("{sign}{text}")
}

/// Exactly between two of the numbers there are, or next to that.
fn half(rng: &mut SimRng) -> String {
    let odd = (u128::from(rng.number() | 1 << 63) << 1) | 1;
    let places = rng.below(28);
    let scaled = odd * 5u128.pow(places as u32);
    let text = format!("{scaled:0>width$}", width = places + 1);
    let (whole, fraction) = text.split_at(text.len() - places);
    let beside = ["", "0000001", "0"][rng.below(3)];
    format!("{whole}.{fraction}{beside}")
}

fn nonsense(rng: &mut SimRng) -> String {
    const PIECES: &[&str] = &[
        "0", "1", ".", "e", "E", "+", "-", "x", "0x", "p", "inf", "INFINITY", "nan", " ", "9", "f",
        "\t", "_", "1e5",
    ];
    let count = rng.below(5);
    (0..count)
        .map(|_| PIECES[rng.below(PIECES.len())])
        .collect()
}

fn number(rng: &mut SimRng, bits: u32) -> String {
    (rng.number() >> rng.below(bits as usize)).to_string()
}

fn digits(rng: &mut SimRng, count_max: usize) -> String {
    let count = rng.below(count_max);
    (0..count)
        .map(|_| char::from(b'0' + rng.below(10) as u8))
        .collect()
}

#[test]
fn patterns_of_keys() {
    const KEYS: usize = 300;
    const PATTERNS: usize = 4_000;
    const BYTES: &[u8] = b"aab]-^[\\*?\x7f\x80\xff";
    let redis = Backend::redis();
    let mut wire = redis.connect();
    let mut rng = SimRng::new(0x610b);
    let mut word = |length: usize| -> Vec<u8> {
        let length = rng.below(length);
        (0..length).map(|_| BYTES[rng.below(BYTES.len())]).collect()
    };
    let mut keys: Vec<_> = (0..KEYS).map(|_| word(7)).collect();
    keys.sort();
    keys.dedup();
    for key in &keys {
        let mut set = Vec::new();
        command(&mut set, &[b"SET", key, b""]);
        wire.ask(set, "+OK\r\n");
    }
    for _ in 0..PATTERNS / BATCH {
        let patterns: Vec<_> = (0..BATCH).map(|_| word(9)).collect();
        let mut requests = Vec::new();
        for pattern in &patterns {
            command(&mut requests, &[b"KEYS", pattern]);
        }
        wire.send(&requests);
        for pattern in &patterns {
            let mut seen = array(&mut wire);
            seen.sort();
            let matching = keys
                .iter()
                .filter(|key| glob::matches(pattern, key, Case::Sensitive));
            let expected: Vec<_> = matching.cloned().collect();
            assert_eq!(seen, expected, "{}", show(pattern));
        }
    }
}

#[test]
fn patterns_of_names() {
    const PIECES: &[&str] = &[
        "get", "S", "*", "?", "[a-z]", "[^S]", "[A-G]", "[Z-a]", "e", "[\\G", "]", "|",
    ];
    let redis = Backend::redis();
    let mut wire = redis.connect();
    wire.send(b"COMMAND LIST\r\n");
    let mut names = array(&mut wire);
    names.sort();
    assert!(names.len() > 200, "{}", names.len());
    let mut rng = SimRng::new(0xca5e);
    for _ in 0..500 {
        let count = 1 + rng.below(5);
        let pattern: String = (0..count)
            .map(|_| PIECES[rng.below(PIECES.len())])
            .collect();
        let mut request = Vec::new();
        command(
            &mut request,
            &[
                b"COMMAND",
                b"LIST",
                b"FILTERBY",
                b"PATTERN",
                pattern.as_bytes(),
            ],
        );
        wire.send(&request);
        let mut seen = array(&mut wire);
        seen.sort();
        let matching = names
            .iter()
            .filter(|name| glob::matches(pattern.as_bytes(), name, Case::Ignored));
        assert_eq!(seen, matching.cloned().collect::<Vec<_>>(), "{pattern}");
    }
}

#[test]
fn common_subsequences() {
    let redis = Backend::redis();
    let mut wire = redis.connect();
    let mut rng = SimRng::new(0x1c5);
    for _ in 0..500 {
        let letters = 2 + rng.below(4);
        let mut word = || -> Vec<u8> {
            let length = rng.below(150);
            (0..length)
                .map(|_| b'a' + rng.below(letters) as u8)
                .collect()
        };
        let (a, b) = (word(), word());
        let mut requests = Vec::new();
        command(&mut requests, &[b"MSET", b"a", &a, b"b", &b]);
        command(&mut requests, &[b"LCS", b"a", b"b", b"IDX"]);
        wire.send(&requests);
        wire.expect(b"+OK\r\n");
        let runs = lcs::runs(&a, &b).expect("short");
        let mut expected = format!("*4\r\n$7\r\nmatches\r\n*{}\r\n", runs.len());
        for run in &runs {
            let range = |start: usize| format!("*2\r\n:{start}\r\n:{}\r\n", start + run.bytes - 1);
            expected += &format!("*2\r\n{}{}", range(run.a), range(run.b));
        }
        let length: usize = runs.iter().map(|run| run.bytes).sum();
        expected += &format!("$3\r\nlen\r\n:{length}\r\n");
        wire.expect(expected.as_bytes());
    }
}

fn command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    reply::encode_command(out, arguments);
}

/// A bulk's bytes, or a line of another kind.
fn bulk_or_line(wire: &mut Wire) -> Vec<u8> {
    let line = wire.line();
    match line.strip_prefix('$').map(|length| length.parse::<usize>()) {
        Some(Ok(length)) => {
            let bytes = wire.bytes(length);
            wire.expect(b"\r\n");
            bytes
        }
        _ => line.into_bytes(),
    }
}

/// An array of bulks.
fn array(wire: &mut Wire) -> Vec<Vec<u8>> {
    let line = wire.line();
    let count = line.strip_prefix('*').and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or_else(|| panic!("not an array: {line}"));
    (0..count).map(|_| bulk_or_line(wire)).collect()
}
