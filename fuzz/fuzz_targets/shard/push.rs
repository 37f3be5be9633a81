//! Push frames in what a RESP client receives.

use std::collections::HashSet;

use crate::words::Key;

/// What a client was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) keys: HashSet<Key>,
    pub(crate) flush_count: usize,
}

/// Parts pushes from replies.
pub(crate) fn part(received: &[u8]) -> Result<(Vec<u8>, Told), String> {
    let (mut replies, mut told) = (Vec::new(), Told::default());
    let mut rest = received;
    while !rest.is_empty() {
        let bytes = frame_bytes(rest)?;
        let (frame, behind) = rest.split_at(bytes);
        if frame[0] == b'>' {
            told.read(frame)?;
        } else {
            replies.extend_from_slice(frame);
        }
        rest = behind;
    }
    Ok((replies, told))
}

impl Told {
    fn read(&mut self, frame: &[u8]) -> Result<(), String> {
        let odd = || format!("an odd push: {}", frame.escape_ascii());
        let mut rest = frame
            .strip_prefix(b">2\r\n$10\r\ninvalidate\r\n")
            .ok_or_else(odd)?;
        if rest == b"_\r\n" {
            self.flush_count += 1;
            return Ok(());
        }
        let (count, bytes) = header(rest)?;
        rest = &rest[bytes..];
        for _ in 0..count {
            let bytes = frame_bytes(rest)?;
            let (_, header_bytes) = header(rest)?;
            let name = &rest[header_bytes..bytes - 2];
            self.keys.insert(Key::of(name).ok_or_else(odd)?);
            rest = &rest[bytes..];
        }
        Ok(())
    }
}

/// The number on the first line, and the line's length.
fn header(bytes: &[u8]) -> Result<(i64, usize), String> {
    let end = bytes
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or("a line without an end")?;
    let text = std::str::from_utf8(&bytes[1..end]).map_err(|error| error.to_string())?;
    let number = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    Ok((number, end + 2))
}

/// The length of the frame at the front.
fn frame_bytes(bytes: &[u8]) -> Result<usize, String> {
    let line_bytes = |bytes: &[u8]| {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n");
        end.map(|end| end + 2).ok_or("a line without an end")
    };
    let bytes_needed = match bytes.first() {
        Some(b'+' | b'-' | b':' | b'_') => line_bytes(bytes)?,
        Some(b'$') => {
            let (count, start) = header(bytes)?;
            match usize::try_from(count) {
                Ok(count) => start + count + 2,
                Err(_) => start,
            }
        }
        Some(b'*' | b'>') => {
            let (count, mut at) = header(bytes)?;
            for _ in 0..count {
                at += frame_bytes(bytes.get(at..).unwrap_or_default())?;
            }
            at
        }
        _ => return Err(format!("no frame: {}", bytes.escape_ascii())),
    };
    if bytes_needed > bytes.len() {
        return Err(format!("half a frame: {}", bytes.escape_ascii()));
    }
    Ok(bytes_needed)
}
