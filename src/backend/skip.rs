//! Stepping over a reply that is too large to be kept, as its bytes come.

use crate::protocol::{Parsed, memcache, resp};

const CRLF: &[u8] = b"\r\n";

/// What of a reply is still to come and to be thrown away.
#[derive(Debug)]
pub(super) struct Skip {
    /// Bytes of the body that is being stepped over; a CRLF follows.
    body_bytes: Option<u64>,
    next: Next,
}

/// What follows the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Nothing,
    /// The line that ends a memcache retrieval.
    End,
    /// So many RESP frames.
    Frames(usize),
}

/// How far a step got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skipped {
    /// So many bytes are of no use; more belong to the same reply.
    Part(usize),
    /// So many bytes, and the reply is over.
    All(usize),
    /// These bytes are no such reply.
    Broken,
}

impl Skip {
    /// The rest of a memcache value behind its line, with the end of the retrieval if that is next.
    pub(super) fn value(data_bytes: u64, ends: bool) -> Self {
        Self {
            body_bytes: Some(data_bytes),
            next: if ends { Next::End } else { Next::Nothing },
        }
    }

    /// A whole RESP frame.
    pub(super) fn frame() -> Self {
        Self {
            body_bytes: None,
            next: Next::Frames(1),
        }
    }

    /// Steps over what has come, as far as it can be told what it is.
    pub(super) fn step(&mut self, bytes: &[u8], limits: &resp::Limits) -> Skipped {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let stepped = match (self.body_bytes, self.next) {
                (Some(body_bytes), _) => self.step_body(rest, body_bytes),
                (None, Next::Nothing) => return Skipped::All(at),
                (None, Next::End) => self.step_end(rest),
                (None, Next::Frames(0)) => return Skipped::All(at),
                (None, Next::Frames(owed)) => self.step_head(rest, owed, limits),
            };
            match stepped {
                Some(0) => return Skipped::Part(at),
                Some(bytes) => at += bytes,
                None => return Skipped::Broken,
            }
        }
    }

    /// The bytes stepped over, 0 if more must come first; `None` if they are wrong.
    fn step_body(&mut self, rest: &[u8], body_bytes: u64) -> Option<usize> {
        if body_bytes == 0 {
            let stepped = step_words(rest, CRLF)?;
            if stepped > 0 {
                self.body_bytes = None;
            }
            return Some(stepped);
        }
        // Fits: it is no more than `rest` has.
        let stepped = body_bytes.min(rest.len() as u64) as usize;
        self.body_bytes = Some(body_bytes - stepped as u64);
        Some(stepped)
    }

    fn step_end(&mut self, rest: &[u8]) -> Option<usize> {
        let stepped = step_words(rest, memcache::reply::END)?;
        if stepped > 0 {
            self.next = Next::Nothing;
        }
        Some(stepped)
    }

    fn step_head(&mut self, rest: &[u8], owed: usize, limits: &resp::Limits) -> Option<usize> {
        match resp::reply::parse_head(rest, limits) {
            Parsed::Incomplete { .. } => Some(0),
            Parsed::Refused { .. } => None,
            Parsed::Complete { request, consumed } => {
                let owed = owed - usize::from(!request.is_attribute) + request.owed;
                self.next = Next::Frames(owed);
                self.body_bytes = request.body_bytes;
                (owed <= limits.args_max).then_some(consumed)
            }
        }
    }
}

/// Steps over these very words.
fn step_words(rest: &[u8], words: &[u8]) -> Option<usize> {
    match rest.get(..words.len()) {
        Some(start) => (start == words).then_some(words.len()),
        None => words.starts_with(rest).then_some(0),
    }
}
