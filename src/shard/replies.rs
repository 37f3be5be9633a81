//! The replies of one connection, in the order of its requests.
//!
//! Most replies are ready at once and are appended to `out`. One that must wait (for another
//! shard, for a backend) takes a slot; whatever is ready behind it is held until the slot is
//! resolved. Slots may be resolved in any order.
//!
//! ```text
//! out:   | ready, in order ->
//! slots: [waiting 7] [waiting 8] [done 9] ...
//! held:  | ready behind 7 | ready behind 8 | ready behind 9 ...
//! ```

use std::collections::VecDeque;

use super::{
    buffers::BufferPool,
    form::{self, Form},
};
use crate::{
    io::{Inlay, Outgoing},
    store::{Applied, KeyHash, PinnedValue},
};

/// Names a slot of one connection: counts up with each, wraps at 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seq(u32);

impl Seq {
    /// The first slot's.
    pub(super) const FIRST: Self = Self(0);
}

/// A reply that is not ready, or ready but behind one that is not.
#[derive(Debug)]
struct Slot {
    form: Form,
    /// What a pending change is about; a read of it waits.
    covers: Covers,
    /// Results still to come.
    parts_left: u32,
    /// Sum of the results so far, for forms that add up.
    total: i64,
    /// Length of `held` when the slot was taken.
    held_start: usize,
    /// How much of what is held from there on was put right behind the reply.
    behind_bytes: usize,
    /// The encoded reply; for forms that add up, an error that spoils the sum. Before the reply is
    /// there: the key that it is about, if it cannot be encoded without.
    encoded: Option<Vec<u8>>,
}

/// Which reads must wait for a reply that is still to come, so that a client that pipelines reads
/// its own writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Covers {
    /// It changes nothing.
    Nothing,
    /// Reads of this key.
    Key(KeyHash),
    /// All that is about this key: it takes several steps on a backend, and what comes behind must
    /// not come in between.
    Steps(KeyHash),
    /// Changes of this key: it is read, perhaps by way of another server.
    Reading(KeyHash),
    /// It changes several keys; all reads wait.
    AnyKey,
}

/// One result for a slot.
pub(super) enum Part<'a> {
    /// Counts so much towards the sum.
    Add(i64),
    /// The reply's bytes.
    Bytes(&'a [u8]),
    /// The reply is this error; the rest of its group says nothing.
    Failure(&'a [u8]),
}

impl Part<'_> {
    /// What one key adds to a sum.
    pub(super) fn of_count(applied: Applied) -> Self {
        match form::count(applied.outcome) {
            Ok(count) => Part::Add(count),
            Err(line) => Part::Failure(line),
        }
    }
}

/// Invariant: `slots` is empty or its first slot is waiting; `held` is empty if `slots` is.
#[derive(Debug, Default)]
pub(super) struct Replies {
    out: Outgoing,
    held: Vec<u8>,
    slots: VecDeque<Slot>,
    first_seq: u32,
    /// A part of the current group failed; the rest of the group is not sent.
    group_failed: bool,
    /// Nothing is sent any more.
    is_mute: bool,
}

/// A place between two replies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    out_bytes: usize,
    inlay_count: usize,
    held_bytes: usize,
    next_seq: Seq,
}

impl Replies {
    /// The place behind the last reply so far.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            out_bytes: self.out.bytes.len(),
            inlay_count: self.out.inlays.len(),
            held_bytes: self.held.len(),
            next_seq: self.next_seq(),
        }
    }

    /// Drops what was replied since, and what is still to come of it.
    pub(super) fn drop_since(&mut self, mark: Mark) {
        self.out.bytes.truncate(mark.out_bytes);
        self.out.inlays.truncate(mark.inlay_count);
        self.held.truncate(mark.held_bytes);
        let kept = self.position(mark.next_seq).min(self.slots.len());
        for slot in self.slots.iter_mut().skip(kept) {
            slot.form = Form::Silent;
            slot.held_start = slot.held_start.min(mark.held_bytes);
        }
    }

    /// Where a reply that is ready goes.
    pub(super) fn ready(&mut self, buffers: &mut BufferPool) -> &mut Vec<u8> {
        let buffer = if self.slots.is_empty() {
            &mut self.out.bytes
        } else {
            &mut self.held
        };
        if buffer.capacity() == 0 {
            *buffer = buffers.take();
        }
        buffer
    }

    /// Puts a value that is sent from where it lies behind what is ready; false if something waits.
    pub(super) fn lay_in(&mut self, value: PinnedValue, buffers: &mut BufferPool) -> bool {
        if !self.slots.is_empty() {
            return false;
        }
        if self.out.inlays.capacity() == 0 {
            self.out.inlays = buffers.take_inlays();
        }
        let inlay = Inlay::new(self.out.bytes.len(), value);
        self.out.inlays.push(inlay);
        true
    }

    /// Where goes what is not to wait for any reply. Replies are not to be cut in two by it.
    pub(super) fn ahead(&mut self, buffers: &mut BufferPool) -> &mut Vec<u8> {
        if self.out.bytes.capacity() == 0 {
            self.out.bytes = buffers.take();
        }
        &mut self.out.bytes
    }

    /// Takes a slot for a reply that comes in `parts` results.
    pub(super) fn defer(&mut self, form: Form, covers: Covers, parts: u32) -> Seq {
        let seq = self.next_seq();
        self.slots.push_back(Slot {
            form,
            covers,
            parts_left: parts,
            total: 0,
            held_start: self.held.len(),
            behind_bytes: 0,
            encoded: None,
        });
        seq
    }

    /// The name that the next slot will have.
    pub(super) fn next_seq(&self) -> Seq {
        Seq(self.first_seq.wrapping_add(self.slots.len() as u32))
    }

    /// The form of a slot.
    pub(super) fn form(&self, seq: Seq) -> Option<Form> {
        self.slots.get(self.position(seq)).map(|slot| slot.form)
    }

    /// Keeps a key, or another part of the request, that the reply of a slot cannot be encoded without.
    pub(super) fn keep_key(&mut self, seq: Seq, key: Vec<u8>) {
        let position = self.position(seq);
        if let Some(slot) = self.slots.get_mut(position) {
            slot.encoded = Some(key);
        }
    }

    /// Takes the key back, to encode the reply.
    pub(super) fn take_key(&mut self, seq: Seq) -> Option<Vec<u8>> {
        let position = self.position(seq);
        self.slots.get_mut(position)?.encoded.take()
    }

    /// Gives a slot one of its results. What becomes ready moves to `out`.
    pub(super) fn resolve(&mut self, seq: Seq, part: Part<'_>, buffers: &mut BufferPool) {
        let position = self.position(seq);
        let Some(slot) = self.slots.get_mut(position) else {
            return;
        };
        slot.parts_left = slot.parts_left.saturating_sub(1);
        match part {
            Part::Add(count) => slot.total += count,
            Part::Bytes(bytes)
                if position == 0 && slot.parts_left == 0 && slot.encoded.is_none() =>
            {
                // The usual case: nothing waits before it, so no copy in between.
                let form = slot.form;
                if self.out.bytes.capacity() == 0 {
                    self.out.bytes = buffers.take();
                }
                if !(self.group_failed && form.is_grouped()) {
                    form.emit(bytes, &mut self.out.bytes);
                }
                self.group_failed &= !form.ends_group();
                self.leave_first();
            }
            Part::Bytes(bytes) => {
                if slot.encoded.is_none() {
                    slot.encoded = Some(buffers.copy(&[bytes]));
                }
            }
            // The first failure of several parts has said it, in the words of the form that was.
            Part::Failure(_) if slot.form == Form::Verbatim && slot.encoded.is_some() => {}
            Part::Failure(line) => {
                slot.form = slot.form.failed();
                if let Some(encoded) = slot.encoded.replace(buffers.copy(&[line])) {
                    buffers.put(encoded);
                }
            }
        }
        self.advance(buffers);
    }

    /// Puts bytes of their own right behind a slot's reply and what was put there before; if that
    /// reply has been given, behind everything.
    pub(super) fn insert_behind(&mut self, seq: Seq, bytes: &[u8], buffers: &mut BufferPool) {
        let position = self.position(seq);
        let Some(slot) = self.slots.get_mut(position) else {
            return self.ready(buffers).extend_from_slice(bytes);
        };
        let start = slot.held_start + slot.behind_bytes;
        slot.behind_bytes += bytes.len();
        if self.held.capacity() == 0 {
            self.held = buffers.take();
        }
        self.held.extend_from_slice(bytes);
        self.held[start..].rotate_right(bytes.len());
        for later in self.slots.iter_mut().skip(position + 1) {
            later.held_start += bytes.len();
        }
    }

    /// Moves what is ready at the front to `out`.
    fn advance(&mut self, buffers: &mut BufferPool) {
        while let Some(slot) = self.slots.front_mut().filter(|slot| slot.parts_left == 0) {
            let (form, total, encoded) = (slot.form, slot.total, slot.encoded.take());
            if self.out.bytes.capacity() == 0 {
                self.out.bytes = buffers.take();
            }
            self.emit(form, total, encoded.as_deref());
            self.leave_first();
            encoded.into_iter().for_each(|bytes| buffers.put(bytes));
        }
        if self.slots.is_empty() && self.held.capacity() > 0 {
            buffers.put(core::mem::take(&mut self.held));
        }
    }

    fn emit(&mut self, form: Form, total: i64, encoded: Option<&[u8]>) {
        if !(self.group_failed && form.is_grouped()) {
            match encoded {
                Some(bytes) => form.emit(bytes, &mut self.out.bytes),
                None => form.emit_total(total, &mut self.out.bytes),
            }
            self.group_failed |= form == Form::FailedPart;
        }
        self.group_failed &= !form.ends_group();
    }

    /// Takes away the first slot, whose reply is in `out`, and puts there what is held behind it.
    fn leave_first(&mut self) {
        let Some(slot) = self.slots.front() else {
            return;
        };
        let held_start = slot.held_start;
        let next = self.slots.get(1);
        let held_end = next.map_or(self.held.len(), |next| next.held_start);
        if held_start < held_end {
            let held = &self.held[held_start..held_end];
            self.out.bytes.extend_from_slice(held);
        }
        self.slots.pop_front();
        self.first_seq = self.first_seq.wrapping_add(1);
    }

    /// Whether a change of this key, or of several, is still waiting.
    pub(super) fn is_pending(&self, hash: KeyHash) -> bool {
        self.slots.iter().any(|slot| {
            let covers = match slot.covers {
                Covers::Nothing | Covers::Reading(_) => false,
                Covers::Key(key) | Covers::Steps(key) => key == hash,
                Covers::AnyKey => true,
            };
            covers && slot.parts_left > 0
        })
    }

    /// Whether a read of this key, or something about several, is still waiting.
    pub(super) fn is_reading(&self, hash: KeyHash) -> bool {
        self.slots.iter().any(|slot| {
            let covers = matches!(slot.covers, Covers::Reading(key) if key == hash);
            (covers || slot.covers == Covers::AnyKey) && slot.parts_left > 0
        })
    }

    /// Whether a change of this key that takes several steps is still waiting.
    pub(super) fn is_stepping(&self, hash: KeyHash) -> bool {
        let is_it = |slot: &Slot| slot.covers == Covers::Steps(hash) && slot.parts_left > 0;
        self.slots.iter().any(is_it)
    }

    /// Replies that wait, or are behind one that does.
    pub(super) fn pending_count(&self) -> usize {
        self.slots.len()
    }

    /// Bytes that wait to be sent, ready or held.
    pub(super) fn bytes(&self) -> usize {
        self.out.total_bytes() + self.held.len()
    }

    /// Whether something can be sent.
    pub(super) fn has_output(&self) -> bool {
        !self.out.bytes.is_empty() && !self.is_mute
    }

    /// Nobody is to hear of replies from now on. Throws away those that are ready.
    pub(super) fn mute(&mut self) {
        self.is_mute = true;
        self.out.bytes.clear();
        self.out.inlays.clear();
    }

    /// Whether replies are lost.
    pub(super) fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// Takes what can be sent.
    pub(super) fn take_output(&mut self) -> Outgoing {
        core::mem::take(&mut self.out)
    }

    /// Frees what is left, for a connection that goes.
    pub(super) fn recycle(&mut self, buffers: &mut BufferPool) {
        buffers.put_output(core::mem::take(&mut self.out));
        buffers.put(core::mem::take(&mut self.held));
        for slot in self.slots.drain(..) {
            slot.encoded
                .into_iter()
                .for_each(|bytes| buffers.put(bytes));
        }
    }

    fn position(&self, seq: Seq) -> usize {
        seq.0.wrapping_sub(self.first_seq) as usize
    }
}

#[cfg(test)]
mod tests;
