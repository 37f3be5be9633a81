//! memcache's meta commands, with any flags in any order.

use super::dice::Dice;
use super::generate::{Family, Made};
use super::memcache::{Line, add_block, length};
use super::{Command, pools};

/// Whether ringfort serves them.
const IS_SERVED: bool = true;

pub(super) const FAMILIES: &[Family] = &[
    family("mg", 16, get),
    family("ms", 16, set),
    family("md", 8, delete),
    family("ma", 10, arithmetic),
    family("me", 2, debug),
    family("meta-line", 4, odd_line),
];

const fn family(name: &'static str, weight: u32, make: fn(&mut Dice) -> Made) -> Family {
    Family {
        name,
        weight,
        is_served: IS_SERVED,
        make,
    }
}

/// Keys in base64, as the flag `b` has them: of "a", of "bb", of two zero bytes; and some that are none.
const BASE64_KEYS: &[&str] = &["YQ==", "YmI=", "AAA=", "YQ=", "Y", "!!!!", "YQ==x"];

/// A flag: its letter, and what may follow.
type Flag = (char, fn(&mut Dice) -> Vec<u8>);

fn nothing(_: &mut Dice) -> Vec<u8> {
    Vec::new()
}

fn opaque(dice: &mut Dice) -> Vec<u8> {
    match dice.below(8) {
        0 => Vec::new(),
        1 => vec![b'o'; dice.between(31, 34)],
        _ => dice.word(&["1", "abc", "0x1f", "\x7f"]),
    }
}

/// A time to live that does not run out during a test.
fn ttl(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0 => dice.word(&["", "abc", "1x", "2147483648", "9223372036854775808"]),
        1 => dice.word(&["-1", "-100", "2592001"]),
        _ => dice.word(&["0", "100", "1000", "2000000000"]),
    }
}

/// Client flags, sizes.
fn number(dice: &mut Dice) -> Vec<u8> {
    match dice.below(10) {
        0 => pools::number_text(dice),
        _ => dice.word(&["0", "1", "7", "4294967295"]),
    }
}

fn delta(dice: &mut Dice) -> Vec<u8> {
    pools::small(dice)
}

/// A cas unique that nobody has, or that somebody will: far above those that servers give.
fn cas(dice: &mut Dice) -> Vec<u8> {
    match dice.below(8) {
        0 => pools::number_text(dice),
        _ => dice.word(&["900000000001", "900000000002", "18446744073709551615"]),
    }
}

fn mode(dice: &mut Dice) -> Vec<u8> {
    dice.word(&[
        "S", "set", "E", "add", "A", "append", "P", "prepend", "R", "replace", "e", "a", "p", "r",
        "s", "I", "+", "D", "-", "incr", "decr", "i", "d", "X", "",
    ])
}

fn letter(dice: &mut Dice) -> Vec<u8> {
    vec![*dice.pick(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0!")]
}

const GET_FLAGS: &[Flag] = &[
    ('b', nothing),
    ('c', nothing),
    ('f', nothing),
    ('h', nothing),
    ('k', nothing),
    ('l', nothing),
    ('O', opaque),
    ('q', nothing),
    ('s', nothing),
    ('t', nothing),
    ('v', nothing),
    ('v', nothing),
    ('v', nothing),
    ('E', cas),
    ('N', ttl),
    ('R', ttl),
    ('T', ttl),
];

const SET_FLAGS: &[Flag] = &[
    ('b', nothing),
    ('c', nothing),
    ('C', cas),
    ('E', cas),
    ('F', number),
    ('I', nothing),
    ('k', nothing),
    ('O', opaque),
    ('q', nothing),
    ('s', nothing),
    ('T', ttl),
    ('M', mode),
    ('M', mode),
    ('N', ttl),
];

const DELETE_FLAGS: &[Flag] = &[
    ('b', nothing),
    ('C', cas),
    ('E', cas),
    ('I', nothing),
    ('k', nothing),
    ('O', opaque),
    ('q', nothing),
    ('T', ttl),
    ('x', nothing),
];

const ARITHMETIC_FLAGS: &[Flag] = &[
    ('b', nothing),
    ('C', cas),
    ('E', cas),
    ('N', ttl),
    ('J', number),
    ('D', delta),
    ('D', delta),
    ('T', ttl),
    ('M', mode),
    ('O', opaque),
    ('q', nothing),
    ('t', nothing),
    ('c', nothing),
    ('v', nothing),
    ('v', nothing),
    ('k', nothing),
];

fn get(dice: &mut Dice) -> Made {
    let (line, key) = with_key(dice, "mg");
    let line = with_flags(dice, line, &key, GET_FLAGS);
    Made::One(about(key, line.end(dice)))
}

fn delete(dice: &mut Dice) -> Made {
    let (line, key) = with_key(dice, "md");
    let line = with_flags(dice, line, &key, DELETE_FLAGS);
    Made::One(about(key, line.end(dice)))
}

fn arithmetic(dice: &mut Dice) -> Made {
    let (line, key) = with_key(dice, "ma");
    let line = with_flags(dice, line, &key, ARITHMETIC_FLAGS);
    Made::One(about(key, line.end(dice)))
}

fn debug(dice: &mut Dice) -> Made {
    let (mut line, key) = with_key(dice, "me");
    if dice.chance(200) {
        line = line.word("b");
    }
    Made::One(about(key, line.end(dice)))
}

fn set(dice: &mut Dice) -> Made {
    let (line, key) = with_key(dice, "ms");
    let value = pools::value(dice);
    let (announced, length) = length(dice, &value);
    let line = line.word(announced);
    let mut command = with_flags(dice, line, &key, SET_FLAGS).end(dice);
    add_block(&mut command, &value, length);
    Made::One(about(key, command))
}

fn about(key: Vec<u8>, command: Command) -> Command {
    Command {
        key: Some(key),
        ..command
    }
}

fn with_key(dice: &mut Dice, verb: &str) -> (Line, Vec<u8>) {
    let key = match dice.below(40) {
        0..=4 => dice.word(BASE64_KEYS),
        5 => vec![b'k'; dice.between(250, 252)],
        _ => pools::memcache_key(dice),
    };
    (Line::new(verb).word(key.clone()), key)
}

fn with_flags(dice: &mut Dice, mut line: Line, key: &[u8], flags: &[Flag]) -> Line {
    let count = match dice.below(30) {
        0 => dice.between(15, 24),
        1..=9 => dice.between(3, 6),
        _ => dice.below(3),
    };
    let mut shuffled = flags.to_vec();
    dice.shuffle(&mut shuffled);
    // Each letter once, mostly: twice is an error.
    shuffled.dedup_by_key(|flag| flag.0);
    let mut seen = Vec::new();
    for index in 0..count {
        let (mut flag, argument) = shuffled[index % shuffled.len()];
        if seen.contains(&flag) && !dice.chance(100) {
            continue;
        }
        seen.push(flag);
        if flag == 'C' && dice.chance(700) {
            line = line.cas_of(b"C", key);
            continue;
        }
        if dice.chance(15) {
            flag = char::from(letter(dice)[0]);
        }
        let mut word = flag.to_string().into_bytes();
        word.extend(argument(dice));
        line = line.word(word);
    }
    line
}

fn odd_line(dice: &mut Dice) -> Made {
    let mut line = dice.word(&[
        "mg\r\n",
        "md\r\n",
        "ma\r\n",
        "ms\r\n",
        "me\r\n",
        "ms a\r\n",
        "mg \r\n",
        "mx a\r\n",
        "mgg a\r\n",
        "m\r\n",
        "mg a\n",
        "mg a v\n",
        "MG a\r\n",
        "mg  a  v\r\n",
        "mg a v \r\n",
        "md a q\r\n",
        "ma a t\r\n",
        "me a\r\n",
        "mg a s v t f O123\r\n",
        "mg a k q\r\n",
        "ma a N0 J5\r\n",
        "mg YQ== b k v\r\n",
    ]);
    // Not a length of `ms`: what it swallows would not come.
    if dice.chance(300) && !line.starts_with(b"ms") {
        pools::damage(dice, &mut line);
        if !line.ends_with(b"\n") {
            line.extend_from_slice(b"\r\n");
        }
    }
    Made::One(Command::raw(line))
}
