//! The transcript format's lines of memcached's binary protocol, as pieces to send and patterns to expect.

use super::parse::pieces_of;
use super::{Pattern, Piece, render};
use std::collections::HashMap;

const OPCODES: &[(&str, u8)] = &[
    ("get", 0x00),
    ("set", 0x01),
    ("add", 0x02),
    ("replace", 0x03),
    ("delete", 0x04),
    ("increment", 0x05),
    ("decrement", 0x06),
    ("quit", 0x07),
    ("flush", 0x08),
    ("getq", 0x09),
    ("noop", 0x0a),
    ("version", 0x0b),
    ("getk", 0x0c),
    ("getkq", 0x0d),
    ("append", 0x0e),
    ("prepend", 0x0f),
    ("stat", 0x10),
    ("setq", 0x11),
    ("addq", 0x12),
    ("replaceq", 0x13),
    ("deleteq", 0x14),
    ("incrementq", 0x15),
    ("decrementq", 0x16),
    ("quitq", 0x17),
    ("flushq", 0x18),
    ("appendq", 0x19),
    ("prependq", 0x1a),
    ("verbosity", 0x1b),
    ("touch", 0x1c),
    ("gat", 0x1d),
    ("gatq", 0x1e),
    ("sasl_list", 0x20),
    ("sasl_auth", 0x21),
    ("sasl_step", 0x22),
    ("gatk", 0x23),
    ("gatkq", 0x24),
];

const HEADER_BYTES: usize = 24;
const REQUEST_MAGIC: u8 = 0x80;
const REPLY_MAGIC: u8 = 0x81;

/// `C> set key=k~ flags=5 exptime=0 value=hello`
pub(super) fn request(content: &str) -> Result<Vec<Piece>, String> {
    let (opcode, fields) = words(content)?;
    let (frame, cas) = Frame::read(REQUEST_MAGIC, opcode, 0, &fields)?;
    let cas = match cas {
        Cas::Exactly(cas) => Piece::Literal(cas.to_be_bytes().to_vec()),
        Cas::Captured(name) => Piece::CapturedCas(name),
        Cas::Any(_) => return Err("a request says which cas it means".to_owned()),
    };
    Ok(frame.pieces(cas).collect())
}

/// `S> get 0 extras=\x00\x00\x00\x05 value=hello cas=<int:first>`; whether it stands for many.
pub(super) fn reply(content: &str) -> Result<(Vec<Pattern>, bool), String> {
    let (opcode, mut fields) = words(content)?;
    if fields == ["<frames>"] || fields == ["<text>"] {
        let has_key = fields == ["<frames>"];
        return Ok((vec![Pattern::Frame { opcode, has_key }], has_key));
    }
    if fields.is_empty() {
        return Err("a reply has a status".to_owned());
    }
    let status = number(fields.remove(0))?;
    let (frame, cas) = Frame::read(REPLY_MAGIC, opcode, status as u16, &fields)?;
    // A pattern of its own stands where the cas is free.
    let placeholder = Piece::CapturedCas(String::new());
    let patterns = frame
        .pieces(placeholder)
        .map(|piece| match (piece, &cas) {
            (Piece::CapturedCas(_), Cas::Exactly(cas)) => {
                Pattern::Exactly(Piece::Literal(cas.to_be_bytes().to_vec()))
            }
            (Piece::CapturedCas(_), Cas::Captured(name)) => {
                Pattern::Exactly(Piece::CapturedCas(name.clone()))
            }
            (Piece::CapturedCas(_), Cas::Any(name)) => Pattern::Cas { name: name.clone() },
            (piece, _) => Pattern::Exactly(piece),
        })
        .collect();
    Ok((patterns, false))
}

/// The client's goodbye, and the server's.
pub(super) fn goodbye() -> (Vec<u8>, Vec<u8>) {
    let frame = |magic| {
        let mut frame = vec![0; HEADER_BYTES];
        frame[..2].copy_from_slice(&[magic, 0x07]);
        frame
    };
    (frame(REQUEST_MAGIC), frame(REPLY_MAGIC))
}

/// The bytes of the reply at the front of `bytes`, once it is whole; `None` if it is not a success of this
/// opcode with a body, and a key where one is wanted.
pub(super) fn body(bytes: &[u8], opcode: u8, has_key: bool) -> Option<Option<usize>> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Some(None);
    };
    let key = u16::from_be_bytes([header[2], header[3]]);
    let body = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
    let is_it = header[..2] == [REPLY_MAGIC, opcode]
        && header[6..8] == [0, 0]
        && body > 0
        && (key > 0) == has_key;
    let bytes_all = HEADER_BYTES + body;
    is_it.then(|| (bytes.len() >= bytes_all).then_some(bytes_all))
}

enum Cas {
    Exactly(u64),
    Captured(String),
    Any(Option<String>),
}

/// A request or reply. Lengths are those of its parts unless a field says otherwise.
struct Frame {
    /// All of the header but the cas id.
    head: [u8; HEADER_BYTES - 8],
    extras: Vec<Piece>,
    key: Vec<Piece>,
    value: Vec<Piece>,
}

impl Frame {
    fn read(magic: u8, opcode: u8, status: u16, fields: &[&str]) -> Result<(Self, Cas), String> {
        let mut frame = Self {
            head: [0; HEADER_BYTES - 8],
            extras: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
        };
        let mut cas = Cas::Exactly(0);
        let mut patches = vec![(0, vec![magic, opcode]), (6, status.to_be_bytes().to_vec())];
        for field in fields {
            let (name, text) = field.split_once('=').ok_or("a field is NAME=TEXT")?;
            let text = text.trim_matches('"');
            let bytes =
                |width: usize| number(text).map(|it| it.to_be_bytes()[8 - width..].to_vec());
            let literal = |width| bytes(width).map(Piece::Literal);
            match name {
                "key" => frame.key = pieces_of(text)?,
                "value" => frame.value = pieces_of(text)?,
                "number" => frame.value = vec![literal(8)?],
                "extras" => frame.extras.extend(pieces_of(text)?),
                "flags" | "exptime" => frame.extras.push(literal(4)?),
                "delta" | "initial" => frame.extras.push(literal(8)?),
                "cas" => cas = cas_of(text)?,
                "magic" => patches.push((0, bytes(1)?)),
                "keylen" => patches.push((2, bytes(2)?)),
                "extlen" => patches.push((4, bytes(1)?)),
                "datatype" => patches.push((5, bytes(1)?)),
                "vbucket" => patches.push((6, bytes(2)?)),
                "bodylen" => patches.push((8, bytes(4)?)),
                "opaque" => patches.push((12, bytes(4)?)),
                _ => return Err(format!("there is no field {name}")),
            }
        }
        let length = |pieces: &[Piece]| render(pieces, "....", &HashMap::new()).len();
        let (extras, key) = (length(&frame.extras), length(&frame.key));
        let body = extras + key + length(&frame.value);
        frame.head[2..4].copy_from_slice(&(key as u16).to_be_bytes());
        frame.head[4] = extras as u8;
        frame.head[8..12].copy_from_slice(&(body as u32).to_be_bytes());
        for (start, bytes) in patches {
            frame.head[start..start + bytes.len()].copy_from_slice(&bytes);
        }
        Ok((frame, cas))
    }

    fn pieces(self, cas: Piece) -> impl Iterator<Item = Piece> {
        let body = [self.extras, self.key, self.value].into_iter().flatten();
        [Piece::Literal(self.head.to_vec()), cas]
            .into_iter()
            .chain(body)
    }
}

/// The opcode, and the words behind it. Blanks part them, but for those in quotes.
fn words(content: &str) -> Result<(u8, Vec<&str>), String> {
    let mut words = Vec::new();
    let mut rest = content.trim();
    while !rest.is_empty() {
        let blank = rest.find(' ').unwrap_or(rest.len());
        let end = match rest[..blank].find("=\"") {
            None => blank,
            Some(quote) => {
                let inside = quote + 2;
                let close = rest[inside..].find('"').ok_or("a quote stays open")?;
                inside + close + 1
            }
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    if words.is_empty() {
        return Err("a frame has an opcode".to_owned());
    }
    let name = words.remove(0);
    let known = OPCODES.iter().find(|(known, _)| *known == name);
    let opcode = match known {
        Some((_, opcode)) => *opcode,
        None => u8::try_from(number(name)?).map_err(|_| "an opcode is a byte")?,
    };
    Ok((opcode, words))
}

fn number(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| format!("{text} is neither a name nor a number"))
}

fn cas_of(text: &str) -> Result<Cas, String> {
    if let Some(name) = text.strip_prefix("\\{") {
        let name = name.strip_suffix('}').ok_or("a brace stays open")?;
        return Ok(Cas::Captured(name.to_owned()));
    }
    match text.strip_prefix("<int").map(|rest| rest.strip_suffix('>')) {
        None => Ok(Cas::Exactly(number(text)?)),
        Some(Some("")) => Ok(Cas::Any(None)),
        Some(Some(name)) if name.starts_with(':') => Ok(Cas::Any(Some(name[1..].to_owned()))),
        _ => Err("a cas is a number, \\{name}, <int> or <int:name>".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_their_lengths() {
        let pieces =
            request("set key=~k flags=5 exptime=0x100 value=\"a b\" cas=7 opaque=9").unwrap();
        let bytes = render(&pieces, "abcd", &HashMap::new());
        assert_eq!(
            bytes.escape_ascii().to_string(),
            r"\x80\x01\x00\x05\x08\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\t\x00\x00\x00\x00\x00\x00\x00\x07".to_owned()
                + r"\x00\x00\x00\x05\x00\x00\x01\x00abcdka b"
        );
        let pieces = request("get key=k bodylen=0 keylen=2 magic=0x81").unwrap();
        let bytes = render(&pieces, "abcd", &HashMap::new());
        assert_eq!(bytes[..12], *b"\x81\0\0\x02\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn a_cas_is_told_quoted_or_free() {
        let cas = |text: &str| reply(&format!("set 0 cas={text}")).unwrap().0.remove(1);
        let exactly = |piece| Pattern::Exactly(piece);
        assert_eq!(
            cas("258"),
            exactly(Piece::Literal(vec![0, 0, 0, 0, 0, 0, 1, 2]))
        );
        assert_eq!(cas("\\{a}"), exactly(Piece::CapturedCas("a".to_owned())));
        let name = Some("a".to_owned());
        assert_eq!(cas("<int:a>"), Pattern::Cas { name });
        assert_eq!(cas("<int>"), Pattern::Cas { name: None });
    }

    #[test]
    fn a_free_frame_is_a_success_with_a_body() {
        let frame = |status, key: &str| {
            let line = format!("stat {status} key={key} value=v");
            let patterns = reply(&line).unwrap().0.into_iter();
            let pieces: Vec<_> = patterns
                .map(|pattern| match pattern {
                    Pattern::Exactly(piece) => piece,
                    other => panic!("{other:?}"),
                })
                .collect();
            render(&pieces, "abcd", &HashMap::new())
        };
        let stat = frame(0, "pid");
        assert_eq!(body(&stat, 0x10, true), Some(Some(stat.len())));
        assert_eq!(body(&stat[..stat.len() - 1], 0x10, true), Some(None));
        assert_eq!(body(&stat, 0x10, false), None);
        assert_eq!(body(&stat, 0x0b, true), None);
        assert_eq!(body(&frame(1, "pid"), 0x10, true), None);
        assert_eq!(body(&frame(0, ""), 0x10, false), Some(Some(25)));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for line in [
            "",
            "gett",
            "get key",
            "get keys=k",
            "get opaque=x",
            "set key=\"k",
            "get cas=<int>",
        ] {
            assert!(request(line).is_err(), "{line}");
        }
        for line in ["get", "get key=k", "get x"] {
            assert!(reply(line).is_err(), "{line}");
        }
    }
}
