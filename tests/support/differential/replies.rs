//! Where a reply ends, in each protocol, and the markers that tell that all before them is answered.

use std::ops::Range;

use super::{Batch, Command, Piece, Protocol};

/// What has the server say that it has come this far, and nothing else.
pub(crate) fn marker(protocol: Protocol, number: u32) -> Vec<u8> {
    match protocol {
        Protocol::Text => b"mn\r\n".to_vec(),
        Protocol::Binary => binary_marker(0x80, number),
        Protocol::Resp => {
            let text = marker_text(number);
            format!("*2\r\n$4\r\nECHO\r\n${}\r\n{text}\r\n", text.len()).into_bytes()
        }
    }
}

/// The reply to that marker.
pub(crate) fn marker_reply(protocol: Protocol, number: u32) -> Vec<u8> {
    match protocol {
        Protocol::Text => b"MN\r\n".to_vec(),
        Protocol::Binary => binary_marker(0x81, number),
        Protocol::Resp => {
            let text = marker_text(number);
            format!("${}\r\n{text}\r\n", text.len()).into_bytes()
        }
    }
}

fn marker_text(number: u32) -> String {
    format!("marker {number}")
}

/// A no-op whose opaque nobody else has.
fn binary_marker(magic: u8, number: u32) -> Vec<u8> {
    const NO_OP: u8 = 0x0a;
    let mut packet = vec![0; 24];
    packet[0] = magic;
    packet[1] = NO_OP;
    packet[12..16].copy_from_slice(&(0xaa00_0000 | number).to_be_bytes());
    packet
}

/// The length of the reply at the front, once it is whole.
pub(crate) fn reply_length(protocol: Protocol, bytes: &[u8]) -> Option<usize> {
    match protocol {
        Protocol::Text => text_length(bytes),
        Protocol::Binary => binary_length(bytes),
        Protocol::Resp => resp_length(bytes),
    }
}

/// Where the line at the front ends, its CRLF not counted.
pub(crate) fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\r\n")
}

fn number(word: Option<&[u8]>) -> Option<usize> {
    std::str::from_utf8(word?).ok()?.parse().ok()
}

/// A line; with the block that `VALUE` and `VA` announce.
fn text_length(bytes: &[u8]) -> Option<usize> {
    let end = line_end(bytes)?;
    let mut words = bytes[..end].split(|byte| *byte == b' ');
    let block = match words.next() {
        Some(b"VALUE") => number(words.nth(2)),
        Some(b"VA") => number(words.next()),
        _ => None,
    };
    let length = end + 2 + block.map_or(0, |block| block + 2);
    (bytes.len() >= length).then_some(length)
}

fn binary_length(bytes: &[u8]) -> Option<usize> {
    const HEADER_BYTES: usize = 24;
    let body = bytes.get(8..12)?;
    let body = u32::from_be_bytes(body.try_into().expect("four bytes"));
    let length = HEADER_BYTES + body as usize;
    (bytes.len() >= length).then_some(length)
}

/// A RESP value with all that is in it.
pub(crate) fn resp_length(bytes: &[u8]) -> Option<usize> {
    let end = line_end(bytes)?;
    let count = std::str::from_utf8(&bytes[1.min(end)..end]).unwrap_or_default();
    let count: i64 = count.parse().unwrap_or_default();
    let mut length = end + 2;
    let parts = match bytes[0] {
        b'$' | b'=' | b'!' if count >= 0 => {
            length += count as usize + 2;
            0
        }
        b'*' | b'~' | b'>' => count.max(0),
        b'%' => 2 * count.max(0),
        // Attributes come before the value that they are about.
        b'|' => 2 * count.max(0) + 1,
        _ => 0,
    };
    for _ in 0..parts {
        length += resp_length(bytes.get(length..)?)?;
    }
    (bytes.len() >= length).then_some(length)
}

/// A cas unique that a reply shows.
pub(crate) struct ShownCas {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) unique: u64,
    /// Where in the reply it stands.
    pub(crate) place: Range<usize>,
}

/// The cas unique in a reply to one of the batch's commands.
pub(crate) fn shown_cas(protocol: Protocol, batch: &Batch, reply: &[u8]) -> Option<ShownCas> {
    match protocol {
        Protocol::Text => text_cas(batch, reply),
        Protocol::Binary => binary_cas(batch, reply),
        Protocol::Resp => None,
    }
}

/// `VALUE <key> <flags> <bytes> <cas>`, or the flag `c` of a meta reply.
fn text_cas(batch: &Batch, reply: &[u8]) -> Option<ShownCas> {
    let line = &reply[..line_end(reply)?];
    let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let shown = |key: Option<Vec<u8>>, word: &[u8]| {
        let start = word.as_ptr().addr() - line.as_ptr().addr();
        Some(ShownCas {
            key,
            unique: number(Some(word))? as u64,
            place: start..start + word.len(),
        })
    };
    match words[..] {
        [b"VALUE", key, _, _, cas] => shown(Some(key.to_vec()), cas),
        [b"VA" | b"HD" | b"NF" | b"NS" | b"EX" | b"EN", ..] => {
            let flag = words.iter().skip(1).find(|word| word.starts_with(b"c"))?;
            let key = match &batch.commands[..] {
                [command] => command.key.clone(),
                _ => None,
            };
            shown(key, &flag[1..])
        }
        _ => None,
    }
}

/// The header's, with the key of the command whose opaque the reply repeats.
fn binary_cas(batch: &Batch, reply: &[u8]) -> Option<ShownCas> {
    const PLACE: Range<usize> = 16..24;
    let unique = u64::from_be_bytes(reply.get(PLACE)?.try_into().expect("eight bytes"));
    if unique == 0 {
        return None;
    }
    let opaque = &reply[12..16];
    let is_asked = |command: &&Command| match command.pieces.first() {
        Some(Piece::Bytes(head)) => head.get(12..16) == Some(opaque),
        _ => false,
    };
    let command = batch.commands.iter().find(is_asked);
    Some(ShownCas {
        key: command.and_then(|command| command.key.clone()),
        unique,
        place: PLACE,
    })
}
