//! Requests that get no reply: their deadlines pass, or their connection is lost.

use std::collections::VecDeque;

use super::{
    LINE_END, Pipeline,
    request::{Entry, Failure, OnLoss, REPEATS_MAX, Shape},
};
use crate::store::UnixMs;

impl<T> Pipeline<T> {
    /// Takes out the requests whose deadlines have passed; [`Self::poll_failed`] has their tags.
    /// Unsent ones are gone, sent ones' places stay. `heir` may leave a tag there that gets the
    /// late reply.
    pub fn expire(&mut self, now: UnixMs, heir: impl Fn(&T) -> Option<T>) {
        if self.entries.is_empty() || now < self.earliest {
            return;
        }
        let Self {
            entries,
            failed,
            sent_count,
            earliest,
            ..
        } = self;
        *earliest = UnixMs(u64::MAX);
        let mut is_unsent_due = false;
        for (place, entry) in entries.iter_mut().enumerate() {
            let is_sent = place < *sent_count;
            if entry.deadline > now {
                *earliest = (*earliest).min(entry.deadline);
            } else if !is_sent {
                is_unsent_due = true;
            } else if let Some(tag) = entry.tag.take() {
                entry.tag = heir(&tag);
                // What is left of it has no other deadline than its connection.
                entry.deadline = UnixMs(u64::MAX);
                failed.push_back((tag, Failure::Late));
            }
        }
        if is_unsent_due {
            self.sift_unsent(|entry| entry.deadline > now);
        }
    }

    /// Fails what has not been sent.
    pub fn fail_unsent(&mut self) {
        if self.sent_count < self.entries.len() {
            self.sift_unsent(|_| false);
        }
    }

    /// The connection is gone. What cannot wait for the next one fails.
    pub fn lose(&mut self, now: UnixMs) {
        self.seal();
        self.skip = None;
        self.scan = None;
        let mut sent = self.entries.drain(..self.sent_count).collect::<Vec<_>>();
        self.sent_count = 0;
        let unsent = core::mem::take(&mut self.entries);
        let output = core::mem::take(&mut self.output);
        let mut history = core::mem::take(&mut self.history);
        let lens: Vec<usize> = sent.iter().map(|entry| entry.len).collect();
        let mut entries = sent.drain(..);
        history.recall(lens.into_iter(), |bytes| {
            let Some(entry) = entries.next() else { return };
            let may_repeat = entry.terms.on_loss == OnLoss::Repeat
                && entry.repeats < REPEATS_MAX
                && entry.deadline > now;
            match (bytes, entry.tag) {
                (Some(bytes), Some(tag)) if may_repeat => {
                    let entry = Entry {
                        tag: Some(tag),
                        repeats: entry.repeats + 1,
                        ..entry
                    };
                    self.requeue(entry, bytes);
                }
                (_, Some(tag)) => self.failed.push_back((tag, Failure::Lost)),
                (_, None) => {}
            }
        });
        drop(entries);
        self.history = history;
        self.requeue_some(unsent, &output, |entry| !entry.terms.on_loss.is_bound());
    }

    /// Keeps only some of the unsent requests; the tags of the others come out.
    fn sift_unsent(&mut self, stays: impl Fn(&Entry<T>) -> bool) {
        self.seal();
        let unsent = self.entries.split_off(self.sent_count);
        let output = core::mem::take(&mut self.output);
        self.requeue_some(unsent, &output, stays);
    }

    fn requeue_some(
        &mut self,
        entries: VecDeque<Entry<T>>,
        mut output: &[u8],
        stays: impl Fn(&Entry<T>) -> bool,
    ) {
        for entry in entries {
            let (bytes, rest) = output.split_at(entry.len.min(output.len()));
            output = rest;
            if stays(&entry) {
                self.requeue(entry, bytes);
            } else if let Some(tag) = entry.tag {
                let failure = match entry.repeats {
                    0 => Failure::Unsent,
                    _ => Failure::Lost,
                };
                self.failed.push_back((tag, failure));
            }
        }
        self.earliest = UnixMs(0);
    }

    /// Appends a request that has been in the pipeline before.
    fn requeue(&mut self, mut entry: Entry<T>, bytes: &[u8]) {
        entry.len = if let Shape::Member { is_last, .. } = &mut entry.shape {
            *is_last = false;
            self.write_member(member_key(bytes))
        } else {
            self.seal();
            self.output.extend_from_slice(bytes);
            bytes.len()
        };
        self.entries.push_back(entry);
    }
}

/// The key in the bytes of a member of a `get`.
fn member_key(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(LINE_END).unwrap_or(bytes);
    let bytes = bytes.strip_prefix(b"get").unwrap_or(bytes);
    bytes.strip_prefix(b" ").unwrap_or(bytes)
}
