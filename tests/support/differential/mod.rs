//! One generator of command sequences, two servers, and every reply the same.
//!
//! A [`Sequence`] is made from a seed by [`generate`], played on a real server and on ringfort by a
//! [`driver::Contest`], compared reply by reply in [`compare`], and made as short as it can be by [`minimize`] when
//! they disagree. What may differ, and why, stands in `tests/differential/differences.rs` alone.

pub(crate) mod admin;
pub(crate) mod binary;
pub(crate) mod compare;
pub(crate) mod dice;
pub(crate) mod driver;
pub(crate) mod generate;
pub(crate) mod known;
pub(crate) mod memcache;
pub(crate) mod meta;
pub(crate) mod minimize;
pub(crate) mod pools;
pub(crate) mod replies;
pub(crate) mod report;
pub(crate) mod resp;
pub(crate) mod resp_table;

use std::collections::HashMap;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// memcache's text, with the meta commands.
    Text,
    /// memcache's binary protocol.
    Binary,
    /// RESP 2 and 3.
    Resp,
}

impl Protocol {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Resp => "resp",
        }
    }
}

/// A stretch of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// The cas unique that this key had when a reply last showed it, which is another one on each server;
    /// [`UNSHOWN_CAS`] if none did.
    Cas {
        key: Vec<u8>,
        form: CasForm,
    },
}

/// A cas unique that no server comes to in a run.
pub(crate) const UNSHOWN_CAS: u64 = 900_000_000_000;

/// How a cas unique is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CasForm {
    Decimal,
    /// Eight bytes, the highest first.
    Binary,
}

/// What is asked at once, and answered by one reply, several, or none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Command {
    pub(crate) pieces: Vec<Piece>,
    /// A RESP command's words; empty for what is not an array of bulks.
    pub(crate) words: Vec<Vec<u8>>,
    /// The key that a reply without a key is about.
    pub(crate) key: Option<Vec<u8>>,
}

impl Command {
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            pieces: vec![Piece::Bytes(bytes.into())],
            ..Self::default()
        }
    }

    /// An array of bulks.
    pub(crate) fn resp(words: Vec<Vec<u8>>) -> Self {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in &words {
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        Self {
            words,
            ..Self::raw(bytes)
        }
    }

    /// Its bytes for a server on which keys have these cas uniques.
    pub(crate) fn bytes(&self, cas: &HashMap<Vec<u8>, u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(literal) => bytes.extend_from_slice(literal),
                Piece::Cas { key, form } => {
                    let unique = cas.get(key).copied().unwrap_or(UNSHOWN_CAS);
                    match form {
                        CasForm::Decimal => bytes.extend(unique.to_string().into_bytes()),
                        CasForm::Binary => bytes.extend(unique.to_be_bytes()),
                    }
                }
            }
        }
        bytes
    }

    /// Whether it can only be written once all that was asked before is answered.
    pub(crate) fn needs_replies(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Cas { .. }))
    }

    /// Whether it is a RESP frame that means nothing and is not answered: a blank line, an empty array.
    pub(crate) fn is_empty_frame(&self) -> bool {
        match &self.pieces[..] {
            [Piece::Bytes(bytes)] if self.words.is_empty() => {
                let line = bytes.trim_ascii();
                line.is_empty() || line == b"*0" || line.starts_with(b"*-")
            }
            _ => false,
        }
    }

    /// The first word of a RESP command in capitals.
    pub(crate) fn name(&self) -> String {
        let name = self.words.first().map_or(&b""[..], |name| name);
        String::from_utf8_lossy(name).to_ascii_uppercase()
    }
}

/// Commands that are sent one behind the other, and the marker that ends them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Batch {
    /// On which of the sequence's connections.
    pub(crate) connection: usize,
    pub(crate) commands: Vec<Command>,
    /// The first and the last command belong together: without one of them the marker may go unanswered.
    pub(crate) is_bracket: bool,
}

/// What is played on a flushed server.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Sequence {
    /// Of how it is cut and pipelined.
    pub(crate) seed: u64,
    pub(crate) batches: Vec<Batch>,
}

impl Sequence {
    pub(crate) fn command_count(&self) -> usize {
        self.batches.iter().map(|batch| batch.commands.len()).sum()
    }
}
