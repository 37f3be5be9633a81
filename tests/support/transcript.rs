//! Golden conversations: reads the files of `tests/transcripts` and plays them on anything that answers bytes.
//!
//! Knows no socket and no process: what is played against is a [`Conversation`]. The format is described in
//! `tests/transcripts/README.md`.
#![allow(
    dead_code,
    reason = "a test binary that mounts this plays in its own way"
)]

use std::collections::HashMap;
use std::path::Path;

#[path = "transcript_binary.rs"]
mod binary;
#[path = "transcript_parse.rs"]
mod parse;
#[path = "transcript_player.rs"]
mod player;

pub(crate) use player::Player;

/// One end of a connection: what the player needs of a socket, or of a server in the same process.
pub(crate) trait Conversation {
    /// Hands `bytes` to the server; they may be dropped once it has closed.
    fn send(&mut self, bytes: &[u8]);

    /// The next bytes from the server, at least one; `None` once it has closed. Panics or gives an empty vector
    /// when nothing can be expected to come any more.
    fn receive(&mut self) -> Option<Vec<u8>>;
}

/// Which server a play is about: a line may be marked for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ringfort,
    /// memcached or redis-server.
    Real,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Memcache,
    /// memcached's binary protocol, on the same port.
    Binary,
    Resp,
}

/// A conversation as its file tells it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    /// Why no other play may run beside it, if so; it wants a flushed server.
    pub(crate) alone: Option<String>,
    /// Why the real server has to be given its time after each exchange, if so.
    pub(crate) turns: Option<String>,
    exchanges: Vec<Exchange>,
}

/// What the downstream sends at once, and all that the server answers to it.
#[derive(Debug, Default)]
struct Exchange {
    /// Of its first line in the file.
    line_number: usize,
    sends: Vec<Piece>,
    replies: Vec<ReplyLine>,
    /// The server closes after the replies.
    closes: bool,
    /// Why ringfort says something else than the real server.
    deviation: Option<String>,
}

/// A stretch of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Run {
        byte: u8,
        count: usize,
    },
    /// The four bytes that are different in each play.
    Namespace,
    /// A number out of an earlier reply.
    Captured(String),
    /// The same, as the eight bytes of a binary cas id.
    CapturedCas(String),
    /// A RESP array of bulks.
    Request(Vec<Vec<Self>>),
}

#[derive(Debug)]
struct ReplyLine {
    /// `None`: of both.
    only: Option<Side>,
    line_number: usize,
    patterns: Vec<Pattern>,
    /// Stands for one or more lines like it.
    repeats: bool,
}

/// A stretch of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exactly(Piece),
    Int {
        min: i64,
        max: i64,
        name: Option<String>,
    },
    /// Anything up to the end of the line.
    Text,
    /// A cas id of eight bytes that is not 0.
    Cas {
        name: Option<String>,
    },
    /// A whole binary reply that says success and has a body, with a key in it or without.
    Frame {
        opcode: u8,
        has_key: bool,
    },
}

/// A place between two bytes of what is sent: after `offset` bytes of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut {
    exchange: usize,
    offset: usize,
}

impl Script {
    /// Reads one file; the protocol is the first word of its name. An error names the line.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        Self::parse(&name, &text)
    }

    /// All scripts of `folder`, by name.
    pub(crate) fn load_all(folder: &Path) -> Result<Vec<Self>, String> {
        let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
        let mut paths: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
        paths.sort();
        paths.iter().map(|path| Self::load(path)).collect()
    }

    /// As [`Self::load`], from text.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        parse::script(name, text)
    }

    /// Every place at which the sent bytes can be cut in two. The inside of a long run of one byte counts as
    /// five places: a megabyte of `x` is the same wherever it is cut.
    pub(crate) fn cuts(&self) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for (exchange, told) in self.exchanges.iter().enumerate() {
            let mut offsets = vec![0];
            let mut end = 0;
            told.sends
                .iter()
                .for_each(|piece| piece.cut_offsets(&mut end, &mut offsets));
            cuts.extend(offsets.into_iter().map(|offset| Cut { exchange, offset }));
        }
        cuts
    }
}

/// Enough for 1,679,616 plays on one server, and part of a key that may have 250 bytes.
pub(crate) const NAMESPACE_BYTES: usize = 4;

/// The `number`th namespace.
pub(crate) fn namespace(number: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digit = |place: u32| char::from(DIGITS[number / 36_usize.pow(place) % 36]);
    (0..NAMESPACE_BYTES as u32).rev().map(digit).collect()
}

impl Piece {
    fn is_unknown(&self, captured: &HashMap<String, i64>) -> bool {
        match self {
            Self::Captured(name) | Self::CapturedCas(name) => !captured.contains_key(name),
            Self::Request(words) => words
                .iter()
                .flatten()
                .any(|piece| piece.is_unknown(captured)),
            _ => false,
        }
    }

    /// Adds the offsets within and after this piece, which starts at `end`.
    fn cut_offsets(&self, end: &mut usize, offsets: &mut Vec<usize>) {
        /// Longer ones are runs to fill something up, not content.
        const RUN_CUT_BYTES_MAX: usize = 64;
        match self {
            Self::Run { count, .. } if *count > RUN_CUT_BYTES_MAX => {
                offsets.extend([1, 2, count / 2, count - 1, *count].map(|within| *end + within));
                *end += count;
            }
            Self::Request(words) => {
                for piece in &request_pieces(words) {
                    piece.cut_offsets(end, offsets);
                }
            }
            _ => {
                let bytes = render(std::slice::from_ref(self), "....", &HashMap::new()).len();
                offsets.extend((1..=bytes).map(|within| *end + within));
                *end += bytes;
            }
        }
    }
}

impl Pattern {
    fn show(&self) -> String {
        match self {
            Self::Exactly(piece) => render(std::slice::from_ref(piece), "~~~~", &HashMap::new())
                .escape_ascii()
                .to_string(),
            Self::Int { .. } | Self::Cas { .. } => "<int>".to_owned(),
            Self::Text => "<text>".to_owned(),
            Self::Frame { opcode, .. } => format!("<a reply to {opcode:#04x}>"),
        }
    }
}

/// The bytes of `pieces`; a capture that is not known yet counts as one digit.
fn render(pieces: &[Piece], namespace: &str, captured: &HashMap<String, i64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => bytes.extend_from_slice(literal),
            Piece::Run { byte, count } => bytes.resize(bytes.len() + count, *byte),
            Piece::Namespace => bytes.extend_from_slice(namespace.as_bytes()),
            Piece::Captured(name) => {
                bytes.extend_from_slice(captured.get(name).unwrap_or(&0).to_string().as_bytes());
            }
            Piece::CapturedCas(name) => {
                bytes.extend_from_slice(&captured.get(name).unwrap_or(&0).to_be_bytes());
            }
            Piece::Request(words) => {
                bytes.extend_from_slice(&render(&request_pieces(words), namespace, captured));
            }
        }
    }
    bytes
}

/// A RESP request in plain pieces. A word must not quote a reply: its length would not be known beforehand.
fn request_pieces(words: &[Vec<Piece>]) -> Vec<Piece> {
    let mut pieces = vec![Piece::Literal(format!("*{}\r\n", words.len()).into_bytes())];
    for word in words {
        let bytes = render(word, "....", &HashMap::new()).len();
        pieces.push(Piece::Literal(format!("${bytes}\r\n").into_bytes()));
        pieces.extend(word.iter().cloned());
        pieces.push(Piece::Literal(b"\r\n".to_vec()));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that echoes each line in capitals, and closes on `bye`.
    #[derive(Default)]
    struct Loud {
        partial: Vec<u8>,
        answers: Vec<u8>,
        is_closed: bool,
    }

    impl Conversation for &mut Loud {
        fn send(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.partial.push(byte.to_ascii_uppercase());
                if *byte == b'\n' {
                    let line = std::mem::take(&mut self.partial);
                    self.is_closed |= line == b"BYE\r\n" || line == b"QUIT\r\n";
                    if !self.is_closed {
                        self.answers.extend(line);
                    }
                }
            }
        }

        fn receive(&mut self) -> Option<Vec<u8>> {
            match std::mem::take(&mut self.answers) {
                answers if answers.is_empty() && self.is_closed => None,
                answers => Some(answers),
            }
        }
    }

    fn play(text: &str) -> Result<(), String> {
        let script = Script::parse("memcache_test", text)?;
        for cut in script.cuts() {
            let mut loud = Loud::default();
            let mut player = Player::new(&script, Side::Real, namespace(37), &mut loud);
            player.send_until(cut)?;
            player.finish()?;
        }
        Player::new(&script, Side::Real, namespace(0), &mut Loud::default()).byte_by_byte()?;
        Player::new(&script, Side::Real, namespace(0), &mut Loud::default()).turn_by_turn()
    }

    #[test]
    fn what_is_told_is_played() {
        play("C: a~\nS: A<text>\nC: b\nS: B\n").unwrap();
        play("C: 12\nS: <int:n>\nC: n\\{n}\nS: N12\n").unwrap();
        play("C: \\{100*x}\\x41\nS: \\{100*X}A\nC: bye\nS: <close>\n").unwrap();
    }

    #[test]
    fn a_wrong_reply_is_refused() {
        let error = play("C: a\nS: B\n").unwrap_err();
        assert!(
            error.contains("line 2") && error.contains("\"A\\r\\n\""),
            "{error}"
        );
    }

    #[test]
    fn a_missing_and_a_surplus_reply_are_refused() {
        play("C: a\nS: A\nS: A\n").unwrap_err();
        play("C: a\nC: b\nS: A\n").unwrap_err();
    }

    #[test]
    fn a_close_that_does_not_come_is_refused() {
        play("C: a\nS: A\nS: <close>\n").unwrap_err();
    }

    #[test]
    fn a_number_out_of_bounds_is_refused() {
        play("C: 12\nS: <int 10..12>\n").unwrap();
        play("C: 12\nS: <int 13..20>\n").unwrap_err();
    }

    #[test]
    fn a_deviation_needs_both_sides() {
        let text = "! deviation because\nC: a\nS(ringfort): X\nS(real): A\n";
        play(text).unwrap();
        Script::parse("memcache_x", "C: a\nS(ringfort): X\nS(real): A\n").unwrap_err();
        Script::parse("memcache_x", "! deviation because\nC: a\nS: A\n").unwrap_err();
    }

    #[test]
    fn resp_requests_carry_their_lengths() {
        let script = Script::parse("resp_x", "C> SET k~ \"a b\" \\{3*x}\nS: +OK\n").unwrap();
        let bytes = render(&script.exchanges[0].sends, "abcd", &HashMap::new());
        assert_eq!(
            bytes.escape_ascii().to_string(),
            r"*4\r\n$3\r\nSET\r\n$5\r\nkabcd\r\n$3\r\na b\r\n$3\r\nxxx\r\n"
        );
        assert_eq!(script.cuts().len(), bytes.len() + 1);
    }

    #[test]
    fn namespaces_differ() {
        assert_eq!(namespace(0), "0000");
        assert_eq!(namespace(36 * 36 + 35), "010z");
    }
}
