//! RESP commands, right and wrong.

use super::dice::Dice;
use super::generate::{Family, Made};
use super::resp_table::{
    CONNECTION, COUNTERS, EXPIRY, INTROSPECTION, KEYS, MORE_EXPIRY, MORE_KEYS, MORE_STRINGS, Row,
    STRINGS,
};
use super::{Command, pools};

pub(super) const FAMILIES: &[Family] = &[
    served("strings", 40, |dice| one(dice, STRINGS)),
    served("counters", 16, |dice| one(dice, COUNTERS)),
    served("expiry", 16, |dice| one(dice, EXPIRY)),
    served("keys", 10, |dice| one(dice, KEYS)),
    served("connection", 6, |dice| one(dice, CONNECTION)),
    served("unknown", 3, unknown),
    served("inline", 6, inline),
    served("protocol", 1, protocol),
    served("large", 1, large),
    not_yet("more-strings", 24, |dice| one(dice, MORE_STRINGS)),
    not_yet("more-expiry", 8, |dice| one(dice, MORE_EXPIRY)),
    not_yet("more-keys", 10, |dice| one(dice, MORE_KEYS)),
    served("introspection", 2, |dice| one(dice, INTROSPECTION)),
    served("multi", 4, multi),
    served("watch", 4, watch),
    not_yet("reply", 2, reply_modes),
];

const fn served(name: &'static str, weight: u32, make: fn(&mut Dice) -> Made) -> Family {
    Family {
        name,
        weight,
        is_served: true,
        make,
    }
}

const fn not_yet(name: &'static str, weight: u32, make: fn(&mut Dice) -> Made) -> Family {
    Family {
        name,
        weight,
        is_served: true,
        make,
    }
}

fn one(dice: &mut Dice, rows: &[Row]) -> Made {
    let row = dice.pick(rows);
    Made::One(Command::resp(words_of(dice, row)))
}

/// A command of the row; about one in eight is wrong.
fn words_of(dice: &mut Dice, row: &Row) -> Vec<Vec<u8>> {
    let mut words: Vec<_> = row
        .name
        .split(' ')
        .map(|word| pools::any_case(dice, word))
        .collect();
    let name_count = words.len();
    let add = |dice: &mut Dice, words: &mut Vec<Vec<u8>>, letters: &str| {
        words.extend(letters.bytes().map(|letter| letter_word(dice, letter)));
    };
    add(dice, &mut words, row.args);
    if !row.tail.is_empty() {
        let count = if dice.chance(20) { 30 } else { dice.below(4) };
        (0..count).for_each(|_| add(dice, &mut words, row.tail));
    }
    if !row.options.is_empty() {
        for _ in 0..*dice.pick(&[0, 0, 1, 1, 1, 2, 3]) {
            let option = *dice.pick(row.options);
            let (option, letters) = option.split_once(' ').unwrap_or((option, ""));
            words.push(pools::any_case(dice, option));
            add(dice, &mut words, letters);
        }
    }
    match dice.below(100) {
        0..=3 => words.truncate(dice.between(1, words.len())),
        4..=6 => words.push(pools::odd_word(dice)),
        7 => words.insert(dice.between(1, words.len()), pools::odd_word(dice)),
        8..=10 if words.len() > name_count => {
            let at = dice.between(name_count, words.len() - 1);
            words[at] = pools::odd_word(dice);
        }
        11 if words.len() > name_count => {
            words.remove(dice.between(name_count, words.len() - 1));
        }
        _ => {}
    }
    words
}

/// A word of the kind that the table names by a letter.
fn letter_word(dice: &mut Dice, letter: u8) -> Vec<u8> {
    match letter {
        b'K' => pools::resp_key(dice),
        b'V' => pools::value(dice),
        b'I' => pools::small(dice),
        b'T' => pools::resp_time(dice, false, false),
        b'M' => pools::resp_time(dice, true, false),
        b'A' => pools::resp_time(dice, false, true),
        b'B' => pools::resp_time(dice, true, true),
        b'F' => pools::float(dice),
        b'R' => dice.word(&[
            "0",
            "1",
            "-1",
            "-2",
            "3",
            "100",
            "-100",
            "abc",
            "9223372036854775807",
            "",
            "-9223372036854775808",
        ]),
        // Far beyond every limit, or well within: what Redis would fill with zeros is not asked for.
        b'O' => dice.word(&[
            "0",
            "0",
            "1",
            "5",
            "100",
            "-1",
            "536870912",
            "9223372036854775807",
            "abc",
            "",
        ]),
        b'N' => dice.word(&["name", "n", "", "two words", "new\nline", "ключ", "!~"]),
        b'P' => dice.word(&[
            "2",
            "3",
            "3",
            "1",
            "4",
            "abc",
            "",
            "-1",
            "9223372036854775808",
        ]),
        b'D' => dice.word(&[
            "0",
            "0",
            "16",
            "1000",
            "-1",
            "abc",
            "",
            "2147483648",
            "9223372036854775808",
        ]),
        b'G' => dice.word(&[
            "*", "a*", "?", "[a-c]*", "*b", "[^a]", "\\*", "", "nosuch", "**", "[", "a",
        ]),
        b'S' => dice.word(&["0", "0", "0", "abc", "-1", "", "99999999999999999999"]),
        b'C' => dice.word(&["1000", "100", "0", "-1", "abc", ""]),
        b'Y' => dice.word(&["string", "STRING", "list", "nosuch", ""]),
        b'W' => dice.word(&["GET", "set", "nosuch", "mget", "client|id", "", "expire"]),
        b'X' => b"nosuch".to_vec(),
        _ => unreachable!("the table has no other letters"),
    }
}

fn unknown(dice: &mut Dice) -> Made {
    let mut words = vec![match dice.below(6) {
        0 => Vec::new(),
        1 => b"line\r\nend".to_vec(),
        2 => vec![b'x'; dice.between(120, 140)],
        3 => b"nu\0l".to_vec(),
        _ => dice.word(&["FROBNICATE", "GETT", "g", "SET ", "get\t", "ключ"]),
    }];
    for _ in 0..dice.below(6) {
        words.push(pools::value(dice));
    }
    Made::One(Command::resp(words))
}

/// A command as a person types it, or nearly.
fn inline(dice: &mut Dice) -> Made {
    if dice.chance(300) {
        let line = dice.word(&[
            "\r\n",
            "\n",
            "   \r\n",
            "PING\n",
            " PING \r\n",
            "PING \"\"\r\n",
            "SET a \"x\\x41\\n\\\"\"\r\n",
            "SET a 'it\\'s'\r\n",
            "GET a\0b\r\n",
            "SET a b\"c d\"\r\n",
            "SET a \\n\r\n",
            "GET\ta\r\n",
            "GET \x0ba\r\n",
            "SET a \"\\q\\x4\\xzz\"\r\n",
            "nosuch 'a b' \"c\"\r\n",
            "+PING\r\n",
            "GET a b\r\n",
            "ECHO \"a\0b\"\r\n",
            "SET a \"\\\\\"\r\n",
            "APPEND a ''\r\n",
            "\r\r\n",
            "PING\r\r\n",
            "$4\r\n",
            ":1\r\n",
        ]);
        return Made::One(Command::raw(line));
    }
    let rows = *dice.pick(&[STRINGS, COUNTERS]);
    let row = dice.pick(rows);
    let words: Vec<_> = words_of(dice, row)
        .iter()
        .map(|word| quoted(dice, word))
        .collect();
    let mut line = words.join(&b' ');
    line.extend_from_slice(if dice.chance(100) { b"\n" } else { b"\r\n" });
    Made::One(Command::raw(line))
}

fn quoted(dice: &mut Dice, word: &[u8]) -> Vec<u8> {
    let is_plain = !word.is_empty() && word.iter().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain && dice.chance(700) {
        return word.to_vec();
    }
    let is_printable = word
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\'' && *byte != b'\\');
    if is_printable && dice.chance(400) {
        return [b"'", word, b"'"].concat();
    }
    let mut quoted = b"\"".to_vec();
    for byte in word {
        match byte {
            b'\n' => quoted.extend(b"\\n"),
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            b' '..=b'~' if dice.chance(950) => quoted.push(*byte),
            _ => quoted.extend(format!("\\x{byte:02x}").into_bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}

/// Broken frames, after most of which the server closes, and odd ones that it takes.
fn protocol(dice: &mut Dice) -> Made {
    let bytes = dice.word(&[
        "*0\r\n",
        "*-1\r\n",
        "*-10\r\n",
        "*abc\r\n",
        "*\r\n",
        "*2147483648\r\n",
        "*1x\r\n",
        "* 1\r\n",
        "*+1\r\n",
        "*1\r\n+PING\r\n",
        "*1\r\n\r\n",
        "*1\r\nPING\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$abc\r\n",
        "*1\r\n$536870913\r\n",
        "*1\r\n$4\r\nPINGxx",
        "*1\r\n$04\r\nPING\r\n",
        "*01\r\n$4\r\nPING\r\n",
        "*1\r\n$9223372036854775808\r\n",
        "*2\r\n$3\r\nGET\r\n:1\r\n",
        "*1\r\n$4\r\n\r\nab\r\n",
        "\"unbalanced\r\n",
        "SET a 'b\r\n",
        "SET a \"b\"c\r\n",
        "POST / HTTP/1.1\r\n",
        "Host: x\r\n",
        "host: x\r\n",
        "GET / HTTP/1.1\r\n",
        "QUIT\r\n",
        "quit now\r\n",
        "*1\r\n$4\r\nQUIT\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$x\r\n",
    ]);
    Made::One(Command::raw(bytes))
}

/// Values of some size: far more than a buffer, far less than a limit.
fn large(dice: &mut Dice) -> Made {
    let key = b"large".to_vec();
    let value = vec![b'L'; dice.between(10_000, 100_000)];
    let words = match dice.below(8) {
        0..=2 => vec![b"SET".to_vec(), key, value],
        3 => vec![b"APPEND".to_vec(), key, vec![b'M'; 1000]],
        4 => vec![b"STRLEN".to_vec(), key],
        5 => vec![b"SET".to_vec(), key, value, b"GET".to_vec()],
        _ => vec![b"GET".to_vec(), key],
    };
    Made::One(Command::resp(words))
}

/// A word that is a command by itself.
fn command(text: &str) -> Command {
    Command::resp(
        text.split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect(),
    )
}

/// A few commands, among them some that read a time, and a wrong one now and then.
fn several(dice: &mut Dice) -> Vec<Command> {
    several_of(dice, &[STRINGS, COUNTERS, EXPIRY, KEYS])
}

fn several_of(dice: &mut Dice, parts: &[&[Row]]) -> Vec<Command> {
    let count = dice.below(6);
    let mut commands = Vec::new();
    for _ in 0..count {
        let rows = *dice.pick(parts);
        let row = dice.pick(rows);
        commands.push(Command::resp(words_of(dice, row)));
    }
    if dice.chance(100) {
        commands.push(Command::resp(vec![
            b"FROBNICATE".to_vec(),
            pools::value(dice),
        ]));
    }
    commands
}

/// A transaction.
fn multi(dice: &mut Dice) -> Made {
    let mut commands = vec![command("MULTI")];
    commands.extend(several(dice));
    match dice.below(10) {
        0 => commands.push(command("MULTI")),
        1 => commands.push(command("WATCH a")),
        2 => commands.push(command("EXEC")),
        3 => commands.push(command("UNWATCH")),
        4 => commands.push(command(dice.pick::<&str>(&[
            "RESET",
            "EXEC x",
            "DISCARD x",
            "MULTI x",
        ]))),
        _ => {}
    }
    commands.push(command(if dice.chance(800) { "EXEC" } else { "DISCARD" }));
    Made::Bracket(commands)
}

/// A transaction with an eye on keys that somebody else may change. If they may be absent, nobody else deletes, and
/// nobody takes away a time to live: that a key is again as it was is no change to ringfort (see `watched-and-back`).
fn watch(dice: &mut Dice) -> Made {
    let keys: Vec<_> = (0..dice.between(1, 3))
        .map(|_| pools::resp_key(dice))
        .collect();
    let are_there = dice.chance(600);
    let (persist, expiry) = EXPIRY.split_last().expect("rows");
    assert_eq!(persist.name, "PERSIST");
    let harmless: &[&[Row]] = &[STRINGS, COUNTERS, expiry, KEYS];
    let mut parts = Vec::new();
    if are_there {
        let set = |key: &Vec<u8>| [key.clone(), b"1".to_vec()];
        let words = std::iter::once(b"MSET".to_vec()).chain(keys.iter().flat_map(set));
        parts.push((0, vec![Command::resp(words.collect())]));
    }
    let words = std::iter::once(b"WATCH".to_vec()).chain(keys);
    parts.push((0, vec![Command::resp(words.collect())]));
    match dice.below(6) {
        0 => parts.push((0, vec![command("UNWATCH")])),
        1 if are_there => parts.push((0, several_of(dice, harmless))),
        _ => {}
    }
    if dice.chance(700) && are_there {
        parts.push((1, several_of(dice, harmless)));
    } else if dice.chance(700) {
        let row = dice.pick(COUNTERS);
        parts.push((1, vec![Command::resp(words_of(dice, row))]));
    }
    let mut transaction = vec![command("MULTI")];
    transaction.extend(several(dice));
    transaction.push(command("EXEC"));
    parts.push((0, transaction));
    parts.retain(|(_, commands)| !commands.is_empty());
    Made::Interfering(parts)
}

/// Commands that want no answer.
fn reply_modes(dice: &mut Dice) -> Made {
    let make = |dice: &mut Dice| {
        let row = dice.pick(STRINGS);
        Command::resp(words_of(dice, row))
    };
    let mut commands = Vec::new();
    match dice.below(4) {
        0 => {
            commands.push(command("CLIENT REPLY SKIP"));
            commands.push(make(dice));
        }
        1 => commands.push(command(dice.pick::<&str>(&[
            "CLIENT REPLY ON",
            "CLIENT REPLY",
            "CLIENT REPLY maybe",
        ]))),
        _ => {
            commands.push(command("CLIENT REPLY OFF"));
            (0..dice.below(4)).for_each(|_| commands.push(make(dice)));
            commands.push(command("CLIENT REPLY ON"));
        }
    }
    Made::Bracket(commands)
}
