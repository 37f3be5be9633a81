//! What a Redis server tells unasked: the keys that were changed, or that all may have been.

use crate::protocol::{
    Parsed,
    resp::{Limits, reply::parse_head},
};

/// What a push says.
#[derive(Debug)]
pub(super) enum Told<'b> {
    /// These keys were changed, or removed.
    Keys(Keys<'b>),
    /// Everything was, or this is not to be understood.
    All,
    /// Something else.
    Other,
}

/// Reads a whole push, `>2 invalidate [key …]` or `>2 invalidate null`.
pub(super) fn told(frame: &[u8]) -> Told<'_> {
    let mut rest = Frames(frame);
    let is_push = frame.first() == Some(&b'>');
    let count = rest.head().map(|(_, owed)| owed);
    match rest.bulk() {
        Some(kind) if is_push && kind != b"invalidate" => return Told::Other,
        Some(_) if is_push && count == Some(2) => {}
        _ => return Told::All,
    }
    let is_array = rest.0.first() == Some(&b'*');
    match rest.head() {
        Some((_, left)) if is_array && left > 0 => Told::Keys(Keys { rest, left }),
        _ => Told::All,
    }
}

/// The keys of a push.
#[derive(Debug)]
pub(super) struct Keys<'b> {
    rest: Frames<'b>,
    left: usize,
}

impl Keys<'_> {
    /// Whether not all of them could be read.
    pub(super) fn is_unread(&self) -> bool {
        self.left > 0
    }
}

impl<'b> Iterator for Keys<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let left = self.left.checked_sub(1)?;
        let key = self.rest.bulk()?;
        self.left = left;
        Some(key)
    }
}

/// Frames that are known to be whole.
#[derive(Debug)]
struct Frames<'b>(&'b [u8]);

impl<'b> Frames<'b> {
    /// Steps over a frame's first line: bytes of its body, and how many frames belong to it.
    fn head(&mut self) -> Option<(Option<usize>, usize)> {
        let Parsed::Complete { request, consumed } = parse_head(self.0, &Limits::for_replies(0))
        else {
            return None;
        };
        self.0 = &self.0[consumed..];
        let body_bytes = match request.body_bytes {
            Some(bytes) => Some(usize::try_from(bytes).ok()?),
            None => None,
        };
        Some((body_bytes, request.owed))
    }

    fn bulk(&mut self) -> Option<&'b [u8]> {
        const CRLF_BYTES: usize = 2;
        let (body_bytes, _) = self.head()?;
        let (body, rest) = self.0.split_at_checked(body_bytes?)?;
        self.0 = rest.get(CRLF_BYTES..)?;
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(frame: &str) -> Vec<String> {
        match told(frame.as_bytes()) {
            Told::Keys(keys) => keys
                .map(|key| String::from_utf8_lossy(key).into_owned())
                .collect(),
            other => panic!("{frame}: {other:?}"),
        }
    }

    #[test]
    fn keys_are_read_whatever_is_in_them() {
        let one = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
        assert_eq!(keys(one), ["k"]);
        let three = ">2\r\n$10\r\ninvalidate\r\n*3\r\n$0\r\n\r\n$4\r\na\r\nb\r\n$1\r\n*\r\n";
        assert_eq!(keys(three), ["", "a\r\nb", "*"]);
        let Told::Keys(mut odd) = told(b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\nk\r\n:1\r\n")
        else {
            panic!("an array");
        };
        assert_eq!((odd.next(), odd.next()), (Some(&b"k"[..]), None));
        assert!(odd.is_unread());
    }

    #[test]
    fn what_names_no_key_is_about_all() {
        for frame in [
            ">2\r\n$10\r\ninvalidate\r\n$-1\r\n",
            ">2\r\n$10\r\ninvalidate\r\n_\r\n",
            ">2\r\n$10\r\ninvalidate\r\n*-1\r\n",
            ">2\r\n$10\r\ninvalidate\r\n*0\r\n",
            ">1\r\n$10\r\ninvalidate\r\n",
            ">2\r\n:1\r\n:2\r\n",
            "|1\r\n+a\r\n+b\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
            ">0\r\n",
        ] {
            assert!(matches!(told(frame.as_bytes()), Told::All), "{frame}");
        }
    }

    #[test]
    fn other_pushes_say_nothing_of_keys() {
        let frame = ">2\r\n$7\r\nmessage\r\n$1\r\nk\r\n";
        assert!(matches!(told(frame.as_bytes()), Told::Other));
        let frame = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nk\r\n";
        assert!(matches!(told(frame.as_bytes()), Told::Other));
    }
}
