//! Loads that wait for their turn: so many are under way at a time, and so many wait for that.

use core::cell::{Cell, RefCell};
use std::{collections::VecDeque, time::Instant};

use super::{Wanted, port::Ticket};
use crate::config::PeerUrl;

/// A key that a shard wants.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) shard: usize,
    pub(super) ticket: Ticket,
    pub(super) wanted: Wanted,
    /// The peer that is to be asked; none for the source.
    pub(super) owner: Option<PeerUrl>,
}

/// One kind of loads: those of the source, or those of peers. Each kind has turns of its own, as a
/// peer that waits for this process may be what the other kind waits for.
#[derive(Debug)]
pub(super) struct Lane {
    /// Those that wait, the first to be late in front.
    queue: RefCell<VecDeque<Load>>,
    under_way: Cell<usize>,
    under_way_max: usize,
    queue_max: usize,
}

impl Lane {
    pub(super) fn new(under_way_max: usize, queue_max: usize) -> Self {
        Self {
            queue: RefCell::default(),
            under_way: Cell::new(0),
            under_way_max,
            queue_max,
        }
    }

    /// Queues a load; it comes back if as many wait as may.
    #[must_use]
    pub(super) fn push(&self, load: Load) -> Option<Load> {
        let mut queue = self.queue.borrow_mut();
        let room = self.under_way_max.saturating_sub(self.under_way.get());
        if queue.len() >= room + self.queue_max {
            return Some(load);
        }
        // Most come last. One that a peer had first has waited longer than others.
        let is_before = |other: &Load| other.wanted.deadline <= load.wanted.deadline;
        let at = match queue.back().is_none_or(is_before) {
            true => queue.len(),
            false => queue.partition_point(is_before),
        };
        queue.insert(at, load);
        None
    }

    /// The next load whose turn it is: it is under way until [`Self::end`].
    pub(super) fn begin(&self) -> Option<Load> {
        if self.under_way.get() >= self.under_way_max {
            return None;
        }
        let load = self.queue.borrow_mut().pop_front()?;
        self.under_way.set(self.under_way.get() + 1);
        Some(load)
    }

    /// One that was under way is over.
    pub(super) fn end(&self) {
        self.under_way.set(self.under_way.get() - 1);
    }

    /// The next one whose time is over before its turn has come.
    pub(super) fn next_late(&self, now: Instant) -> Option<Load> {
        let is_late = |load: &mut Load| load.wanted.deadline <= now;
        self.queue.borrow_mut().pop_front_if(is_late)
    }

    /// When the next one of those that wait is late.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        Some(self.queue.borrow().front()?.wanted.deadline)
    }

    /// Takes a load of a shard out of those that wait, if it is there.
    pub(super) fn remove(&self, shard: usize, ticket: Ticket) -> Option<Load> {
        let mut queue = self.queue.borrow_mut();
        let is_it = |load: &Load| load.shard == shard && load.ticket == ticket;
        let at = queue.iter().position(is_it)?;
        queue.remove(at)
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use core::time::Duration;

    use super::*;

    fn load(number: u32, start: Instant, seconds: u64) -> Load {
        Load {
            shard: 0,
            ticket: Ticket(number),
            wanted: Wanted {
                group: "g".into(),
                key: bytes::Bytes::new(),
                deadline: start + Duration::from_secs(seconds),
            },
            owner: None,
        }
    }

    #[test]
    fn those_that_are_late_first_come_first() {
        let start = Instant::now();
        let lane = Lane::new(1, 3);
        for (number, seconds) in [(1, 5), (2, 5), (3, 2), (4, 6)] {
            let refused = lane.push(load(number, start, seconds));
            assert!(refused.is_none(), "there is room");
        }
        let refused = lane.push(load(5, start, 9)).expect("no room");
        assert_eq!(refused.ticket, Ticket(5));
        assert_eq!(lane.next_deadline(), Some(start + Duration::from_secs(2)));
        let late = lane.next_late(start + Duration::from_secs(2));
        assert_eq!(late.map(|load| load.ticket), Some(Ticket(3)));
        assert!(lane.next_late(start + Duration::from_secs(4)).is_none());
        assert_eq!(lane.remove(0, Ticket(2)).map(|load| load.shard), Some(0));
        assert!(lane.remove(0, Ticket(2)).is_none() && lane.remove(1, Ticket(4)).is_none());
        assert_eq!(lane.begin().map(|load| load.ticket), Some(Ticket(1)));
        assert!(lane.begin().is_none(), "as many are under way as may be");
        lane.end();
        assert_eq!(lane.begin().map(|load| load.ticket), Some(Ticket(4)));
        assert!(lane.begin().is_none() && lane.next_deadline().is_none());
    }
}
