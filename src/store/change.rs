//! Changing one key: what each operation does to what is there.

use std::sync::Arc;

use super::{
    Key, StoreParams,
    arena::Offset,
    count,
    deadline::{Deadline, UnixMs},
    entry::{ENTRY_OVERHEAD_BYTES_MAX, EntryRef, NewEntry},
    eviction::Place,
    index::{Found, IndexWriter},
    operation::{Applied, Condition, ExpireCondition, Expiry, Operation, Outcome, Side, Stamp},
    segments::Stream,
    used::Used,
    vacancy::Vacancy,
    writer::PartitionWriter,
};

impl StoreParams {
    /// What the item limit counts beside key and value, in bytes: memcached's own header with CAS, a
    /// NUL behind the key and CRLF behind the value, so that both servers draw the line at the same
    /// value. (With flags that are not 0 memcached counts 4 more.)
    pub const ITEM_OVERHEAD_BYTES: usize = 56 + 1 + 2;
}

// So an entry within the limit takes no more than the limit, which is what a segment has room for.
const _: () = assert!(ENTRY_OVERHEAD_BYTES_MAX <= StoreParams::ITEM_OVERHEAD_BYTES);

/// What is there: where the index names it, and the entry.
type There<'a> = Option<(Found<'a>, EntryRef<'a>)>;

impl Expiry {
    /// The deadline it gives in the place of what is there.
    fn deadline(self, there: Option<EntryRef<'_>>) -> Deadline {
        match self {
            Self::Until(deadline) => deadline,
            Self::Keep => there.map_or(Deadline::NEVER, |entry| entry.deadline()),
        }
    }
}

/// What is to be stored.
#[derive(Debug, Clone, Copy)]
struct Content<'a> {
    value: [&'a [u8]; 2],
    flags: u32,
    deadline: Deadline,
    stamp: Stamp,
    /// When it was used before; never, unless it takes the place of what it was.
    used: Option<Used>,
    /// Where the value lies, if it may stay there.
    vacancy: Option<&'a Vacancy>,
}

impl<'a> Content<'a> {
    /// Another value for what is there, which keeps its flags and deadline; if nothing is, it has
    /// none.
    fn instead_of(there: Option<EntryRef<'_>>, value: [&'a [u8]; 2]) -> Self {
        Self {
            value,
            flags: there.map_or(0, |entry| entry.flags()),
            deadline: there.map_or(Deadline::NEVER, |entry| entry.deadline()),
            stamp: Stamp::default(),
            used: None,
            vacancy: None,
        }
    }

    fn bytes(&self) -> usize {
        self.value[0].len() + self.value[1].len()
    }
}

impl PartitionWriter {
    /// Applies `operation` with `value` to a key. The value that was there, if wanted, is
    /// appended to `old`.
    pub(super) fn apply(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        operation: Operation,
        value: &[u8],
        old: &mut Vec<u8>,
    ) -> Applied {
        self.change(now, key, operation, (value, None), old)
    }

    /// The same with a value that may stay where it lies.
    #[inline(always)]
    pub(super) fn change(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        operation: Operation,
        (value, vacancy): (&[u8], Option<&Vacancy>),
        old: &mut Vec<u8>,
    ) -> Applied {
        let partition = Arc::clone(&self.partition);
        let kept_bytes = match operation {
            Operation::Concat { .. } | Operation::Outdate { .. } => {
                let there = self.find_alive(&partition, key, now);
                there.map_or(0, |(_, entry)| entry.value().len())
            }
            _ => 0,
        };
        self.make_room(key.bytes.len() + value.len() + kept_bytes, now);
        let there = self.find_alive(&partition, key, now);
        let entry = there.as_ref().map(|(_, entry)| *entry);
        let has_old = match (operation.wants_old(), entry) {
            (true, Some(entry)) => {
                old.extend_from_slice(entry.value());
                true
            }
            _ => false,
        };
        let outcome = match operation {
            Operation::Set {
                flags,
                expiry,
                condition,
                stamp,
                ..
            } => match condition.refusal(entry.map(|entry| entry.cas())) {
                Some(refusal) => refusal,
                None => {
                    let content = Content {
                        value: [value, &[]],
                        flags,
                        deadline: expiry.deadline(entry),
                        stamp,
                        used: None,
                        vacancy,
                    };
                    self.store(now, key, content, there)
                }
            },
            Operation::Concat { side, creates } => {
                self.concat(now, key, value, side, creates, there)
            }
            Operation::Delete { condition, .. } | Operation::Unlink { condition } => {
                self.delete(condition, there)
            }
            Operation::CountUnsigned {
                delta,
                down,
                expiry,
                cas,
            } => self.count_unsigned(now, key, (delta, down), (expiry, cas), there),
            Operation::CountSigned { delta } => self.count_signed(now, key, delta, there),
            Operation::Expire {
                deadline,
                condition,
            } => self.expire(now, deadline, condition, there),
            Operation::Outdate { expiry, cas } => self.outdate(now, key, (expiry, cas), there),
            Operation::Term { deadline, wins } => self.change_term(now, deadline, wins, there),
        };
        self.publish_figures();
        Applied { outcome, has_old }
    }

    fn concat(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        value: &[u8],
        side: Side,
        creates: bool,
        there: There<'_>,
    ) -> Outcome {
        let parts = match (&there, side) {
            (None, _) if !creates => return Outcome::NotStored,
            (None, _) => [value, &[]],
            (Some((_, entry)), Side::Back) => [entry.value(), value],
            (Some((_, entry)), Side::Front) => [value, entry.value()],
        };
        let entry = there.as_ref().map(|(_, entry)| *entry);
        if entry.is_some() && self.is_too_large(key, parts) {
            return Outcome::TooLarge;
        }
        self.store(now, key, Content::instead_of(entry, parts), there)
    }

    fn delete(&mut self, condition: Condition, there: There<'_>) -> Outcome {
        let Some((slot, entry)) = there else {
            return Outcome::NotFound;
        };
        if let Some(refusal) = condition.refusal(Some(entry.cas())) {
            return refusal;
        }
        self.unlink(&slot, &entry, self.listeners.author);
        Outcome::Deleted
    }

    /// A number that is no longer than the text there takes its place, as memcached has it: the
    /// marks stay. A longer one is a new value.
    fn count_unsigned(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        (delta, down): (u64, bool),
        (expiry, cas): (Expiry, Option<u64>),
        there: There<'_>,
    ) -> Outcome {
        let Some((_, entry)) = there else {
            return Outcome::NotFound;
        };
        let (number, text) = match count::unsigned(entry.value(), delta, down) {
            Err(outcome) => return outcome,
            Ok(counted) => counted,
        };
        let fits = text.len() <= entry.value().len();
        let content = Content {
            deadline: expiry.deadline(Some(entry)),
            stamp: Stamp {
                cas,
                is_stale: fits && entry.is_stale(),
                is_won: fits && entry.is_won(),
                is_copy: false,
            },
            used: fits.then(|| entry.used().rewritten(now)),
            ..Content::instead_of(Some(entry), text.parts())
        };
        self.store_number(now, key, content, there, Outcome::Unsigned(number))
    }

    /// Puts a number in the place of what is there. One that is too large leaves that alone, as in
    /// memcached, which has no memory for it then.
    fn store_number(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        content: Content<'_>,
        there: There<'_>,
        counted: Outcome,
    ) -> Outcome {
        if self.is_too_large(key, content.value) {
            return Outcome::TooLarge;
        }
        match self.store(now, key, content, there) {
            Outcome::Stored { .. } => counted,
            refusal => refusal,
        }
    }

    /// The same value, marked.
    fn outdate(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        (expiry, cas): (Expiry, Option<u64>),
        there: There<'_>,
    ) -> Outcome {
        let Some((_, entry)) = there else {
            return Outcome::NotFound;
        };
        let content = Content {
            deadline: expiry.deadline(Some(entry)),
            stamp: Stamp {
                cas,
                is_stale: true,
                is_won: false,
                is_copy: false,
            },
            used: Some(entry.used()),
            ..Content::instead_of(Some(entry), [entry.value(), &[]])
        };
        self.store(now, key, content, there)
    }

    fn count_signed(&mut self, now: UnixMs, key: Key<'_>, delta: i64, there: There<'_>) -> Outcome {
        let entry = there.as_ref().map(|(_, entry)| *entry);
        match count::signed(entry.map(|entry| entry.value()), delta) {
            Err(outcome) => outcome,
            Ok((number, text)) => {
                let content = Content::instead_of(entry, text.parts());
                self.store_number(now, key, content, there, Outcome::Signed(number))
            }
        }
    }

    fn expire(
        &mut self,
        now: UnixMs,
        deadline: Deadline,
        condition: ExpireCondition,
        there: There<'_>,
    ) -> Outcome {
        let Some((slot, entry)) = there else {
            return Outcome::NotFound;
        };
        if !condition.holds(entry.deadline(), deadline) {
            return Outcome::Untouched;
        }
        entry.mark_used(now);
        if self.set_term(now, deadline, false, (slot, entry)) {
            self.note_change(entry.key());
        }
        Outcome::Touched
    }

    fn change_term(
        &mut self,
        now: UnixMs,
        deadline: Option<Deadline>,
        wins: bool,
        there: There<'_>,
    ) -> Outcome {
        let Some((slot, entry)) = there else {
            return Outcome::NotFound;
        };
        let is_new = deadline.is_some();
        let deadline = deadline.unwrap_or_else(|| entry.deadline());
        // Who wins is of no concern to those who hold a copy.
        if self.set_term(now, deadline, wins, (slot, entry)) && is_new {
            self.note_change(entry.key());
        }
        Outcome::Touched
    }

    /// Whether the entry is still there; if not, that is noted.
    fn set_term(
        &mut self,
        now: UnixMs,
        deadline: Deadline,
        wins: bool,
        (slot, entry): (Found<'_>, EntryRef<'_>),
    ) -> bool {
        let is_past = deadline.is_past(now);
        if is_past {
            self.unlink(&slot, &entry, self.listeners.author);
        } else {
            self.note_deadline(now, deadline);
            self.deadline_count -= entry.deadline().count();
            self.deadline_count += deadline.count();
            entry.set_term(deadline, wins);
        }
        !is_past
    }

    /// Puts a value where `there` is, or nothing. What is too large or over already takes away
    /// what is there.
    fn store(
        &mut self,
        now: UnixMs,
        key: Key<'_>,
        content: Content<'_>,
        there: There<'_>,
    ) -> Outcome {
        let stored = Outcome::Stored {
            value_bytes: content.bytes() as u64,
        };
        let is_too_large = self.is_too_large(key, content.value);
        if is_too_large || content.deadline.is_past(now) {
            if let Some((slot, entry)) = &there {
                self.unlink(slot, entry, self.listeners.author);
            }
            return if is_too_large {
                Outcome::TooLarge
            } else {
                stored
            };
        }
        let (mut stream, mut used) = (Stream::Fresh, content.used);
        let used_now = Used::written(now);
        if self.evictor.has_queues() {
            let (place, uses) = self.place_of_written(key, &there);
            stream = place;
            used = Some(used.unwrap_or(used_now).with_uses(uses));
        }
        let entry = NewEntry {
            key: key.bytes,
            value: content.value,
            flags: content.flags,
            has_flags: false,
            version: self.next_version,
            cas: content.stamp.cas,
            deadline: content.deadline,
            is_stale: content.stamp.is_stale,
            is_won: content.stamp.is_won,
            is_copy: content.stamp.is_copy,
            used: used.unwrap_or(used_now),
        };
        let stays = content.vacancy;
        let stays = stays.and_then(|vacancy| self.settle(stream, &entry, vacancy));
        let written = stays.or_else(|| self.write(stream, &entry));
        let Some(offset) = written.or_else(|| self.write_elsewhere(&entry)) else {
            return Outcome::OutOfMemory;
        };
        self.note_deadline(now, content.deadline);
        match there {
            Some((slot, old)) => {
                IndexWriter::replace(&slot, offset);
                self.deadline_count -= old.deadline().count();
                self.release(slot.offset, &old);
            }
            None => {
                if !self.link(now, key.hash, offset) {
                    self.forget(offset);
                    return Outcome::OutOfMemory;
                }
                self.entry_count += 1;
            }
        }
        self.deadline_count += content.deadline.count();
        self.take_version();
        self.note_change(key.bytes);
        stored
    }

    /// Writes an entry where there is room, as there is none where it belongs.
    #[cold]
    fn write_elsewhere(&mut self, entry: &NewEntry<'_>) -> Option<Offset> {
        let mut streams = Stream::WRITTEN.into_iter();
        streams.find_map(|stream| self.write(stream, entry))
    }

    /// Where a value goes that takes the place of what is there, or of nothing.
    #[inline(never)]
    fn place_of_written(&mut self, key: Key<'_>, there: &There<'_>) -> Place {
        let there = || {
            let (slot, entry) = there.as_ref()?;
            let segment = self.partition.arena.segment_of(slot.offset);
            Some((self.segments.stream(segment), entry.uses()))
        };
        self.evictor.place_of_written(key.hash, there)
    }

    /// Notes a published change for those who listen.
    fn note_change(&mut self, key: &[u8]) {
        let author = self.listeners.author;
        self.listeners.note(author, key, self.hasher);
    }

    /// The version of the next entry, which is another one from then on.
    pub(super) fn take_version(&mut self) -> u64 {
        let version = self.next_version;
        self.next_version += self.version_step;
        version
    }

    fn is_too_large(&self, key: Key<'_>, value: [&[u8]; 2]) -> bool {
        !self.fits(key.bytes.len(), value[0].len() + value[1].len())
    }

    pub(super) fn fits(&self, key_bytes: usize, value_bytes: usize) -> bool {
        key_bytes + value_bytes + StoreParams::ITEM_OVERHEAD_BYTES <= self.item_bytes_max
            && key_bytes <= usize::from(u16::MAX)
    }
}
