//! What a server says unasked, until somebody takes it.

use std::{collections::VecDeque, task::Waker};

use super::Value;

/// Pushes that are kept for who takes them.
const PUSHES_MAX: usize = 4_096;

/// Something that a server said unasked.
#[derive(Debug, Clone, PartialEq)]
pub enum Push {
    /// All of it, as `[invalidate, [key]]`.
    Said(Value),
    /// Here something may be missing: the connection was lost, or nobody took what came. Who keeps
    /// copies of what was tracked drops them all.
    Gap,
}

/// The pushes that nobody has taken.
///
/// Invariant: no two gaps stand together, and there are [`PUSHES_MAX`] entries at most and a gap.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    queue: VecDeque<Push>,
    pub(super) waker: Option<Waker>,
}

impl Pushes {
    pub(super) fn take(&mut self) -> Option<Push> {
        self.queue.pop_front()
    }

    pub(super) fn add(&mut self, frame: &[u8]) {
        match Value::parse(frame) {
            Some(value) if self.queue.len() < PUSHES_MAX => self.put(Push::Said(value)),
            _ => self.gap(),
        }
    }

    /// Something is missing from here on.
    pub(super) fn gap(&mut self) {
        if self.queue.back() != Some(&Push::Gap) {
            self.put(Push::Gap);
        }
    }

    fn put(&mut self, push: Push) {
        self.queue.push_back(push);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
