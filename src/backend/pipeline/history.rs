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

/// Copies that are done with and stay for the next ones, and the most that such a one holds: as many
/// as a turn or two need.
const SPARE_COUNT_MAX: usize = 4;
const SPARE_BYTES_MAX: usize = 64 << 10;

/// Which buffers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Keeps {
    /// Those with something that can be sent again on a new connection.
    #[default]
    Wanted,
    /// Every one.
    All,
    /// A copy of every one, from when it is taken: what is being sent stays with the kernel if the
    /// connection is lost meanwhile.
    Copies,
}

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
    keeps: Keeps,
    /// Copies that are done with, for the next ones.
    spares: Vec<Vec<u8>>,
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
        self.keeps = Keeps::All;
    }

    /// Keeps a copy of every buffer from now on.
    pub(super) fn keep_copies(&mut self) {
        self.keeps = Keeps::Copies;
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

    /// A buffer with these bytes is being sent.
    pub(super) fn take(&mut self, bytes: &[u8], is_wanted: bool) {
        let copy = match self.keeps {
            Keeps::Copies => self.copy(bytes),
            Keeps::Wanted | Keeps::All => None,
        };
        self.buffers.push_back(SentBuffer {
            len: bytes.len(),
            bytes: copy,
            is_wanted: is_wanted || self.keeps == Keeps::All,
            is_out: self.keeps != Keeps::Copies,
        });
    }

    fn copy(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.kept_bytes + bytes.len() > KEPT_BYTES_MAX_OF_ALL {
            return None;
        }
        self.kept_bytes += bytes.len();
        let mut copy = self.spares.pop().unwrap_or_default();
        copy.extend_from_slice(bytes);
        Some(copy)
    }

    /// The last buffer comes back from being sent.
    pub(super) fn sent(&mut self, bytes: Vec<u8>) {
        let bytes_max = match self.keeps {
            Keeps::All => KEPT_BYTES_MAX_OF_ALL,
            Keeps::Wanted | Keeps::Copies => KEPT_BYTES_MAX,
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
            self.release(bytes);
        }
    }

    fn release(&mut self, mut bytes: Vec<u8>) {
        let is_spare = self.keeps == Keeps::Copies
            && self.spares.len() < SPARE_COUNT_MAX
            && bytes.capacity() <= SPARE_BYTES_MAX;
        if is_spare {
            bytes.clear();
            self.spares.push(bytes);
        } else {
            self.released.push(bytes);
        }
    }

    /// Whether there is a buffer that is done with.
    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
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
        history.take(b"aabb", true);
        history.sent(b"aabb".to_vec());
        history.take(b"cc", true);
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
        history.take(b"aabbcc", true);
        history.sent(b"aabbcc".to_vec());
        history.take(b"dd", false);
        history.sent(b"dd".to_vec());
        history.take(b"eee", true);
        history.answered(2);
        let found = recall(&mut history, &[2, 2, 2, 3]);
        let expected = [Some("bb".to_owned()), Some("cc".to_owned()), None, None];
        assert_eq!(
            found, expected,
            "what is not wanted or not back is not there"
        );
        assert_eq!(history.kept_bytes, 0);
        history.take(b"f", true);
        assert_eq!(recall(&mut history, &[]), []);
    }

    #[test]
    fn the_oldest_request_is_here_once_it_is_sent() {
        let mut history = History::default();
        history.keep_all();
        assert_eq!(history.oldest(2), Oldest::Gone);
        history.take(b"aabb", false);
        assert_eq!(history.oldest(2), Oldest::Out);
        history.sent(b"aabb".to_vec());
        assert_eq!(history.oldest(2), Oldest::Here(b"aa"));
        history.answered(2);
        assert_eq!(history.oldest(2), Oldest::Here(b"bb"));
        history.answered(2);
        let large = vec![0; KEPT_BYTES_MAX_OF_ALL + 1];
        history.take(&large, false);
        history.sent(large);
        assert_eq!(history.oldest(2), Oldest::Gone, "it is too large");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut history = History::default();
        for _ in 0..2 {
            let bytes = vec![b'x'; KEPT_BYTES_MAX];
            history.take(&bytes, true);
            history.sent(bytes);
        }
        assert_eq!(history.kept_bytes, KEPT_BYTES_MAX);
        assert!(history.take_released().is_some());
        let found = recall(&mut history, &[KEPT_BYTES_MAX; 2]);
        assert!(found[0].is_some() && found[1].is_none());
    }

    #[test]
    fn a_copy_is_there_while_its_buffer_is_being_sent() {
        let mut history = History::default();
        history.keep_copies();
        history.take(b"aabb", false);
        assert_eq!(history.oldest(2), Oldest::Here(b"aa"));
        history.answered(2);
        let found = recall(&mut history, &[2]);
        assert_eq!(found, [Some("bb".to_owned())], "it is not back");
        assert_eq!(history.kept_bytes, 0);
        // It comes back after all, and is nobody's.
        history.sent(b"aabb".to_vec());
        assert_eq!(history.take_released(), Some(b"aabb".to_vec()));
        history.take(b"cc", false);
        history.sent(b"cc".to_vec());
        assert_eq!(history.take_released(), Some(b"cc".to_vec()), "sent or not");
        assert_eq!(history.oldest(2), Oldest::Here(b"cc"));
        history.answered(2);
        assert_eq!(history.take_released(), None, "the copy stays for the next");
        assert_eq!((history.spares.len(), history.kept_bytes), (1, 0));
        let large = vec![0; KEPT_BYTES_MAX_OF_ALL + 1];
        history.take(&large, false);
        assert_eq!(history.oldest(2), Oldest::Gone, "it is too large");
        history.sent(large);
        history.answered(KEPT_BYTES_MAX_OF_ALL + 1);
        assert_eq!((history.spares.len(), history.kept_bytes), (1, 0));
    }
}
