//! Visits to keys that this shard owns, by who is no client: threads of the program, and peers.

use core::time::Duration;

use bytes::Bytes;

use super::{Waiter, deadline, keep};
use crate::{
    group::{
        LoadError, Loaded,
        port::{Counted, LoadOutcome, Ticket, Visit, Wish},
    },
    shard::core::Core,
    store::{Deadline, Key, Operation, Outcome, UnixMs},
};

impl Core {
    /// Does what visitors want. What changes something waits where memory is short.
    pub(super) fn receive_visits(&mut self) {
        while let Some(group) = &mut self.group
            && group.port.has_visits()
            && !self.must_wait()
            && let Some(group) = &mut self.group
            && let Some(visit) = group.port.next_visit()
        {
            let Visit {
                ticket,
                key,
                wish,
                counted,
            } = visit;
            match counted {
                Counted::Nothing => {}
                Counted::Set => self.counters().sets.add(1),
                Counted::Delete => self.counters().deletes.add(1),
            }
            let key = self.store.hasher().key(&key);
            match wish {
                Wish::Get(reach) => self.show(Waiter::Visitor(ticket, reach), ticket, key),
                Wish::Set(loaded) => {
                    let operation = keep(&loaded, deadline(loaded.ttl, self.now), false);
                    let outcome = self.apply(key, operation, &loaded.value).outcome;
                    let answer = match outcome {
                        Outcome::TooLarge => Err(LoadError::TooLarge),
                        Outcome::OutOfMemory => Err(LoadError::failed("out of memory")),
                        _ => Ok(loaded),
                    };
                    self.answer_visit(ticket, answer);
                }
                Wish::Delete => {
                    self.apply(key, Operation::DELETE, &[]);
                    self.answer_visit(ticket, Err(LoadError::NotFound { ttl: None }));
                }
            }
        }
    }

    /// Shows a visitor the value of a key, now or once it is loaded.
    fn show(&mut self, waiter: Waiter, ticket: Ticket, key: Key<'_>) {
        self.counters().gets.add(1);
        if let Some(entry) = self.store.get(key, self.now) {
            let loaded = Loaded {
                value: Bytes::copy_from_slice(entry.value()),
                flags: entry.flags(),
                ttl: time_left(entry.deadline(), self.now),
            };
            let deadline = entry.deadline();
            self.counters().get_hits.add(1);
            self.note_end(key, deadline);
            return self.answer_visit(ticket, Ok(loaded));
        }
        if let Some(loaded) = self.show_stale_visitor(key) {
            return self.answer_visit(ticket, Ok(loaded));
        }
        if let Err(error) = self.join(waiter, key) {
            self.answer_visit(ticket, Err(error));
        }
    }

    pub(super) fn answer_visit(&mut self, ticket: Ticket, loaded: Result<Loaded, LoadError>) {
        if let Some(group) = &mut self.group {
            group.port.answer(LoadOutcome { ticket, loaded });
        }
    }
}

fn time_left(deadline: Deadline, now: UnixMs) -> Option<Duration> {
    let at = deadline.instant()?;
    Some(Duration::from_millis(at.0.saturating_sub(now.0)))
}
