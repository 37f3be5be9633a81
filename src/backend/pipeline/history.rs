//! Buffers that were sent, kept until every request in them is answered, so that requests can be
//! sent again without a copy of each.
//!
//! ```text
//! buffers: | answered . unanswered ... | unanswered ... | being sent |
//!                     ^ answered_bytes                               <- take
//! ```

use std::collections::VecDeque;

/// Bytes of sent buffers that a pipeline keeps. Beyond, a request can only fail with its
/// connection: sending again is for the small requests that ask, not for a bulk of values.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The same of a pipeline whose every request may have to be sent again, elsewhere: as much as one
/// request may have.
const KEPT_BYTES_MAX_OF_ALL: usize = 64 << 20;

/// What was sent, oldest first.
///
/// Invariant: `answered_bytes` is less than the length of the first buffer, or 0; `kept_bytes` is
/// the sum of the lengths of all buffers that are here.
#[derive(Debug, Default)]
pub(super) struct History {
    buffers: VecDeque<SentBuffer>,
    /// Bytes of the first buffer whose requests are answered.
    answered_bytes: usize,
    kept_bytes: usize,
    /// Buffers that are done with.
    released: Vec<Vec<u8>>,
    /// Every buffer is kept, not only what can be sent again on a new connection.
    keeps_all: bool,
}

/// The bytes of the oldest unanswered request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Oldest<'h> {
    Here(&'h [u8]),
    /// They are still being sent, or have not come back from that.
    Out,
    /// They were not kept.
    Gone,
}

#[derive(Debug)]
struct SentBuffer {
    len: usize,
    /// Nothing while it is being sent, or if it is not kept.
    bytes: Option<Vec<u8>>,
    /// It has a request that could be sent again.
    is_wanted: bool,
    is_out: bool,
}

impl History {
    /// Keeps every buffer from now on.
    pub(super) fn keep_all(&mut self) {
        self.keeps_all = true;
    }

    /// The oldest unanswered request, which is so long.
    pub(super) fn oldest(&self, len: usize) -> Oldest<'_> {
        let Some(front) = self.buffers.front() else {
            return Oldest::Gone;
        };
        let at = self.answered_bytes;
        match &front.bytes {
            _ if front.is_out => Oldest::Out,
            Some(bytes) => bytes.get(at..at + len).map_or(Oldest::Gone, Oldest::Here),
            None => Oldest::Gone,
        }
    }

    /// A buffer of so many bytes is being sent.
    pub(super) fn take(&mut self, len: usize, is_wanted: bool) {
        self.buffers.push_back(SentBuffer {
            len,
            bytes: None,
            is_wanted: is_wanted || self.keeps_all,
            is_out: true,
        });
    }

    /// The last buffer comes back from being sent.
    pub(super) fn sent(&mut self, bytes: Vec<u8>) {
        let bytes_max = match self.keeps_all {
            true => KEPT_BYTES_MAX_OF_ALL,
            false => KEPT_BYTES_MAX,
        };
        match self.buffers.back_mut() {
            Some(buffer) if buffer.is_out && buffer.len == bytes.len() => {
                buffer.is_out = false;
                if !buffer.is_wanted || self.kept_bytes + buffer.len > bytes_max {
                    return self.released.push(bytes);
                }
                self.kept_bytes += buffer.len;
                buffer.bytes = Some(bytes);
            }
            _ => self.released.push(bytes),
        }
    }

    /// The oldest unanswered request, of so many bytes, is answered.
    #[inline]
    pub(super) fn answered(&mut self, len: usize) {
        self.answered_bytes += len;
        while let Some(front) = self.buffers.front()
            && self.answered_bytes >= front.len
        {
            self.answered_bytes -= front.len;
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(SentBuffer {
            bytes: Some(bytes), ..
        }) = self.buffers.pop_front()
        {
            self.kept_bytes -= bytes.len();
            self.released.push(bytes);
        }
    }

    /// A buffer that is done with, for reuse.
    pub(super) fn take_released(&mut self) -> Option<Vec<u8>> {
        self.released.pop()
    }

    /// Hands each of the unanswered requests, whose lengths are given, its bytes if they are here,
    /// and forgets them.
    pub(super) fn recall(
        &mut self,
        lens: impl Iterator<Item = usize>,
        mut each: impl FnMut(Option<&[u8]>),
    ) {
        for len in lens {
            let at = self.answered_bytes;
            let bytes = self
                .buffers
                .front()
                .and_then(|buffer| buffer.bytes.as_deref());
            each(bytes.and_then(|bytes| bytes.get(at..at + len)));
            self.answered(len);
        }
        while !self.buffers.is_empty() {
            self.pop();
        }
        self.answered_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recall(history: &mut History, lens: &[usize]) -> Vec<Option<String>> {
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        history.recall(lens.iter().copied(), |bytes| found.push(bytes.map(text)));
        found
    }

    #[test]
    fn buffers_are_released_once_all_in_them_is_answered() {
        let mut history = History::default();
        history.take(4, true);
        history.sent(b"aabb".to_vec());
        history.take(2, true);
        history.answered(2);
        assert_eq!(history.take_released(), None);
        history.answered(2);
        assert_eq!(history.take_released(), Some(b"aabb".to_vec()));
        // Answered before it comes back from being sent.
        history.answered(2);
        history.sent(b"cc".to_vec());
        assert_eq!(history.take_released(), Some(b"cc".to_vec()));
        assert_eq!(history.kept_bytes, 0);
    }

    #[test]
    fn what_is_not_answered_is_found_again() {
        let mut history = History::default();
        history.take(6, true);
        history.sent(b"aabbcc".to_vec());
        history.take(2, false);
        history.sent(b"dd".to_vec());
        history.take(3, true);
        history.answered(2);
        let found = recall(&mut history, &[2, 2, 2, 3]);
        let expected = [Some("bb".to_owned()), Some("cc".to_owned()), None, None];
        assert_eq!(
            found, expected,
            "what is not wanted or not back is not there"
        );
        assert_eq!(history.kept_bytes, 0);
        history.take(1, true);
        assert_eq!(recall(&mut history, &[]), []);
    }

    #[test]
    fn the_oldest_request_is_here_once_it_is_sent() {
        let mut history = History::default();
        history.keep_all();
        assert_eq!(history.oldest(2), Oldest::Gone);
        history.take(4, false);
        assert_eq!(history.oldest(2), Oldest::Out);
        history.sent(b"aabb".to_vec());
        assert_eq!(history.oldest(2), Oldest::Here(b"aa"));
        history.answered(2);
        assert_eq!(history.oldest(2), Oldest::Here(b"bb"));
        history.answered(2);
        let large = vec![0; KEPT_BYTES_MAX_OF_ALL + 1];
        history.take(large.len(), false);
        history.sent(large);
        assert_eq!(history.oldest(2), Oldest::Gone, "it is too large");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut history = History::default();
        for _ in 0..2 {
            history.take(KEPT_BYTES_MAX, true);
            history.sent(vec![b'x'; KEPT_BYTES_MAX]);
        }
        assert_eq!(history.kept_bytes, KEPT_BYTES_MAX);
        assert!(history.take_released().is_some());
        let found = recall(&mut history, &[KEPT_BYTES_MAX; 2]);
        assert!(found[0].is_some() && found[1].is_none());
    }
}
