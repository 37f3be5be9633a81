//! memcache's classic text commands, right and wrong.

use super::dice::Dice;
use super::generate::{Family, Made};
use super::{CasForm, Command, Piece, pools};

pub(super) const FAMILIES: &[Family] = &[
    family("storage", 34, storage),
    family("retrieval", 24, retrieval),
    family("delete", 6, delete),
    family("arithmetic", 16, arithmetic),
    family("touch", 6, touch),
    family("flush", 2, flush_all),
    family("admin", 3, admin),
    family("line", 8, odd_line),
    family("large", 1, large),
];

const fn family(name: &'static str, weight: u32, make: fn(&mut Dice) -> Made) -> Family {
    Family {
        name,
        weight,
        is_served: true,
        make,
    }
}

/// A command line in the making: words, each of pieces.
pub(super) struct Line(Vec<Vec<Piece>>);

impl Line {
    pub(super) fn new(verb: impl Into<Vec<u8>>) -> Self {
        Self(vec![vec![Piece::Bytes(verb.into())]])
    }

    pub(super) fn word(mut self, word: impl Into<Vec<u8>>) -> Self {
        self.0.push(vec![Piece::Bytes(word.into())]);
        self
    }

    pub(super) fn cas_of(mut self, prefix: &[u8], key: &[u8]) -> Self {
        let cas = Piece::Cas {
            key: key.to_vec(),
            form: CasForm::Decimal,
        };
        self.0.push(vec![Piece::Bytes(prefix.to_vec()), cas]);
        self
    }

    /// Now and then a word less, or one more.
    pub(super) fn with_odd_arity(mut self, dice: &mut Dice, permille: u32) -> Self {
        if dice.chance(permille) {
            self.0.remove(dice.below(self.0.len()));
        }
        if dice.chance(permille) {
            let at = dice.between(1.min(self.0.len()), self.0.len());
            self.0.insert(at, vec![Piece::Bytes(pools::odd_word(dice))]);
        }
        self
    }

    /// The command, its words parted by one blank or more, its line ended in one of two ways.
    pub(super) fn end(self, dice: &mut Dice) -> Command {
        let mut pieces = Vec::new();
        for (index, word) in self.0.into_iter().enumerate() {
            if index > 0 {
                let blanks = if dice.chance(20) { "  " } else { " " };
                pieces.push(Piece::Bytes(blanks.into()));
            }
            pieces.extend(word);
        }
        let end: &[u8] = match dice.below(50) {
            0 => b"\n",
            1 => b" \r\n",
            _ => b"\r\n",
        };
        pieces.push(Piece::Bytes(end.to_vec()));
        Command {
            pieces: join(pieces),
            ..Command::default()
        }
    }
}

/// Neighbouring bytes in one piece.
fn join(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Bytes(last)), Piece::Bytes(bytes)) => last.extend(bytes),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// Appends a data block. What it is short of the announced length is filled with words that nobody
/// knows, so
/// that the marker behind it is not.
pub(super) fn add_block(command: &mut Command, value: &[u8], announced: usize) {
    let mut block = value.to_vec();
    block.extend_from_slice(b"\r\n");
    while block.len() < announced + 2 {
        block.extend_from_slice(b"filler\r\n");
    }
    command.pieces.push(Piece::Bytes(block));
    command.pieces = join(std::mem::take(&mut command.pieces));
}

/// Longer blocks come behind lines that nobody refuses: else they would be lines themselves, and over the limit.
const PLAIN_BYTES_MIN: usize = 1000;

fn storage(dice: &mut Dice) -> Made {
    let verb = *dice.pick(&[
        "set", "set", "set", "add", "replace", "append", "prepend", "cas", "cas",
    ]);
    if dice.chance(10) {
        return Made::One(without_words(dice, verb));
    }
    let value = pools::value(dice);
    let is_plain = value.len() > PLAIN_BYTES_MIN;
    let key = if is_plain {
        pools::memcache_key(dice)
    } else {
        pools::memcache_key_or_not(dice)
    };
    let flags = match dice.below(12) {
        0 if !is_plain => pools::number_text(dice),
        1..=3 => dice.word(&["1", "123", "4294967295", "65536"]),
        _ => b"0".to_vec(),
    };
    let exptime = if is_plain {
        b"0".to_vec()
    } else {
        pools::exptime(dice)
    };
    let (announced, length) = length(dice, &value);
    // A word that is a blank shifts those behind it: none of them may become a length or a short time.
    let is_shifted = [&key, &flags, &exptime, &announced]
        .iter()
        .any(|word| word.trim_ascii().is_empty());
    let mut line = Line::new(verb)
        .word(key.clone())
        .word(flags)
        .word(exptime)
        .word(announced);
    if verb == "cas" {
        line = match dice.below(10) {
            0 if !is_plain => line.word(pools::number_text(dice)),
            1 => line.word("900000000001"),
            _ => line.cas_of(b"", &key),
        };
    }
    if dice.chance(80) && !is_shifted {
        line = line.word(*dice.pick(&["noreply", "noreply", "noreply", "NOREPLY", "0", "norepl"]));
    }
    // Not a word less: another number would become the length.
    let mut command = line.end(dice);
    add_block(&mut command, &value, length);
    Made::One(command)
}

/// A length as it stands in the line, and the bytes that it has a server take for the block.
pub(super) fn length(dice: &mut Dice, value: &[u8]) -> (Vec<u8>, usize) {
    let length = match dice.below(30) {
        _ if value.len() > PLAIN_BYTES_MIN => value.len(),
        0 => value.len().saturating_sub(dice.between(1, 3)),
        1 => value.len() + dice.between(1, 5),
        2 => {
            let wrong = dice.word(&[
                "-1",
                "abc",
                "",
                "1.5",
                "0x3",
                "2147483646",
                "2147483647",
                "-2147483648",
                "9223372036854775808",
                "-9223372036854775809",
                "-",
                "noreply",
            ]);
            return (wrong, 0);
        }
        _ => value.len(),
    };
    let announced = match dice.below(60) {
        _ if value.len() > PLAIN_BYTES_MIN => length.to_string(),
        0 => format!("+{length}"),
        1 => format!("000{length}"),
        2 => format!("{length}\t"),
        _ => length.to_string(),
    };
    (announced.into_bytes(), length)
}

/// A storage line with too few words, or far too many, and no block.
fn without_words(dice: &mut Dice, verb: &str) -> Command {
    let count = *dice.pick(&[0, 1, 2, 3, 7, 8, 12, 24, 30]);
    let mut line = Line::new(verb);
    for _ in 0..count {
        line = line.word("x");
    }
    line.end(dice)
}

fn retrieval(dice: &mut Dice) -> Made {
    let verb = *dice.pick(&["get", "get", "get", "gets", "gets", "gat", "gats"]);
    let mut line = Line::new(verb);
    if verb.starts_with("gat") {
        line = line.word(pools::exptime(dice));
    }
    let key_count = match dice.below(20) {
        0 => 0,
        1 => dice.between(20, 40),
        2..=6 => dice.between(2, 6),
        _ => 1,
    };
    for _ in 0..key_count {
        line = line.word(pools::memcache_key_or_not(dice));
    }
    Made::One(line.with_odd_arity(dice, 10).end(dice))
}

fn delete(dice: &mut Dice) -> Made {
    let mut line = Line::new("delete").word(pools::memcache_key_or_not(dice));
    if dice.chance(150) {
        line = line.word(*dice.pick(&["0", "noreply", "1", "-1", "abc", "00"]));
    }
    if dice.chance(100) {
        line = line.word("noreply");
    }
    Made::One(line.with_odd_arity(dice, 20).end(dice))
}

fn arithmetic(dice: &mut Dice) -> Made {
    let mut line = Line::new(*dice.pick(&["incr", "decr"]))
        .word(pools::memcache_key_or_not(dice))
        .word(pools::small(dice));
    if dice.chance(80) {
        line = line.word(*dice.pick(&["noreply", "noreply", "0", "x"]));
    }
    Made::One(line.with_odd_arity(dice, 20).end(dice))
}

fn touch(dice: &mut Dice) -> Made {
    let mut line = Line::new("touch")
        .word(pools::memcache_key_or_not(dice))
        .word(pools::exptime(dice));
    if dice.chance(100) {
        line = line.word(*dice.pick(&["noreply", "noreply", "0", "x"]));
    }
    Made::One(line.with_odd_arity(dice, 20).end(dice))
}

fn flush_all(dice: &mut Dice) -> Made {
    let mut line = Line::new("flush_all");
    if dice.chance(500) {
        line = line.word(dice.word(&[
            "0",
            "0",
            "-1",
            "-0",
            "+0",
            "00",
            "100000",
            "2000000000",
            "abc",
            "",
            "1x",
            "9223372036854775808",
        ]));
    }
    if dice.chance(200) {
        line = line.word(*dice.pick(&["noreply", "noreply", "x"]));
    }
    Made::One(line.end(dice))
}

fn admin(dice: &mut Dice) -> Made {
    let line = match dice.below(10) {
        0..=3 => Line::new("version"),
        4..=6 => {
            let mut line = Line::new("verbosity");
            for _ in 0..dice.below(4) {
                line = line.word(dice.word(&["0", "1", "-1", "x", "", "noreply", "1x"]));
            }
            line
        }
        7 => Line::new("stats"),
        8 => Line::new("stats").word(dice.word(&[
            "settings", "reset", "items", "slabs", "sizes", "x", "x y", "RESET",
        ])),
        _ => Line::new("quit"),
    };
    let line = if dice.chance(50) {
        line.word("x")
    } else {
        line
    };
    Made::One(line.end(dice))
}

/// Lines that are no command, or hardly one.
const ODD_LINES: &[&str] = &[
    "frobnicate\r\n",
    "GET a\r\n",
    "Set a 0 0 1\r\n",
    "gett a\r\n",
    "ge\r\n",
    "get\r\n",
    "x\r\n",
    "\r\n",
    "\n",
    "  \r\n",
    "\r\r\n",
    " get a\r\n",
    "   gets a bb\r\n",
    "get a\n",
    "delete a\n",
    "incr a 1\n",
    "version\n",
    "get a\rb\r\n",
    "get a\r\r\n",
    "get a\0b\r\n",
    "get\0a\r\n",
    "\0\r\n",
    "incr a\0 1\r\n",
    "touch a 0\0 x\r\n",
    "GET / HTTP/1.1\r\n",
    "POST / HTTP/1.1\r\n",
    "x HTTP/\r\n",
    "x y HTTP/1.0 z\r\n",
    "quit HTTP/1.1\r\n",
    "bget a\r\n",
    "misbehave\r\n",
    "bogus a b c\r\n",
    "quit now\r\n",
    "quitt\r\n",
];

/// Lines to put a wrong byte into.
const LINES: &[&str] = &[
    "get a bb\r\n",
    "gets bb\r\n",
    "delete a\r\n",
    "incr a 1\r\n",
    "decr bb 2\r\n",
    "touch a 0\r\n",
    "gat 0 a\r\n",
    "version\r\n",
];

fn odd_line(dice: &mut Dice) -> Made {
    let mut bytes = match dice.below(14) {
        0..=7 => dice.word(ODD_LINES),
        8 => b"\xff\xfe\x00\x01\r\n".to_vec(),
        9 => {
            let verb = dice.word(&[
                "get ", "gets ", "gat 0 ", "delete ", "xyz ", " get ", "incr ",
            ]);
            long_line(dice, &verb)
        }
        _ => {
            let mut line = dice.word(LINES);
            pools::damage(dice, &mut line);
            line
        }
    };
    if bytes.last() != Some(&b'\n') {
        bytes.extend_from_slice(b"\r\n");
    }
    Made::One(Command::raw(bytes))
}

/// About as long as a line may be, in one word or in many.
fn long_line(dice: &mut Dice, verb: &[u8]) -> Vec<u8> {
    const LINE_BYTES_MAX: usize = 2048;
    let length = match dice.below(4) {
        0 => dice.between(3000, 20_000),
        _ => dice.between(LINE_BYTES_MAX - 4, LINE_BYTES_MAX + 4),
    };
    let mut line = verb.to_vec();
    let is_words = dice.chance(600);
    while line.len() < length {
        let ends_word = is_words && line.len().is_multiple_of(10);
        line.push(if ends_word { b' ' } else { b'w' });
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// A value about as large as an item may be, or one that becomes so.
fn large(dice: &mut Dice) -> Made {
    const ITEM_BYTES_MAX: usize = 1024 * 1024;
    let key = b"large";
    if dice.chance(500) {
        let line = Line::new("get").word(*key);
        return Made::One(line.end(dice));
    }
    let verb = *dice.pick(&["set", "set", "add", "replace", "append", "prepend"]);
    let length = match dice.below(6) {
        0 => dice.between(ITEM_BYTES_MAX - 2000, ITEM_BYTES_MAX + 2000),
        1 => ITEM_BYTES_MAX / 2,
        2 => dice.between(ITEM_BYTES_MAX, 2 * ITEM_BYTES_MAX),
        _ => dice.between(10_000, 100_000),
    };
    let byte = *dice.pick(b"xyz");
    let line = Line::new(verb)
        .word(*key)
        .word("0")
        .word("0")
        .word(length.to_string());
    let mut command = line.end(dice);
    add_block(&mut command, &vec![byte; length], length);
    Made::One(command)
}
