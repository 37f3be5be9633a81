//! Visits to shards by who is no client: each waits on the executor until its shard has answered.

use core::{
    cell::RefCell,
    future::poll_fn,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{
    LoadError, Loaded,
    port::{ControlPort, Counted, LoadOutcome, Ticket, Visit, Wish},
};

/// What a visit brings.
type Answer = Result<Loaded, LoadError>;

/// The visits that are not over.
#[derive(Debug, Default)]
pub(super) struct Visits(RefCell<Slots>);

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
enum Slot {
    /// Nobody's.
    Free,
    /// Its shard has not answered; who is to be woken then.
    Waiting(Option<Waker>),
    /// Nobody waits for the answer any more.
    Abandoned,
    /// Answered.
    Answered(Answer),
}

impl Visits {
    /// Visits a shard. `wake` sees to it that it is woken.
    pub(super) async fn visit(
        &self,
        port: &RefCell<Vec<ControlPort>>,
        shard: usize,
        (key, wish, counted): (Bytes, Wish, Counted),
        wake: impl Fn(usize),
    ) -> Answer {
        let ticket = self.0.borrow_mut().issue();
        let _guard = Guard(self, ticket);
        let visit = Visit {
            ticket,
            key,
            wish,
            counted,
        };
        let sent = port.borrow_mut()[shard].visit(visit);
        if sent.is_err() {
            self.settle(LoadOutcome {
                ticket,
                loaded: Err(LoadError::Busy),
            });
        } else {
            wake(shard);
        }
        poll_fn(|context| self.0.borrow_mut().poll(ticket, context)).await
    }

    /// A shard has answered.
    pub(super) fn settle(&self, outcome: LoadOutcome) {
        let waker = self.0.borrow_mut().settle(outcome);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Gives a visit's place back.
struct Guard<'v>(&'v Visits, Ticket);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.0.borrow_mut().leave(self.1);
    }
}

impl Slots {
    fn issue(&mut self) -> Ticket {
        let slot = Slot::Waiting(None);
        match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                Ticket(number)
            }
            None => {
                self.slots.push(slot);
                Ticket((self.slots.len() - 1) as u32)
            }
        }
    }

    fn poll(&mut self, Ticket(number): Ticket, context: &Context<'_>) -> Poll<Answer> {
        let slot = &mut self.slots[number as usize];
        match slot {
            Slot::Answered(answer) => Poll::Ready(answer.clone()),
            _ => {
                *slot = Slot::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }

    fn settle(&mut self, outcome: LoadOutcome) -> Option<Waker> {
        let LoadOutcome { ticket, loaded } = outcome;
        let slot = self.slots.get_mut(ticket.0 as usize)?;
        match core::mem::replace(slot, Slot::Answered(loaded)) {
            Slot::Waiting(waker) => waker,
            Slot::Abandoned => {
                *slot = Slot::Free;
                self.free.push(ticket.0);
                None
            }
            Slot::Free | Slot::Answered(_) => None,
        }
    }

    /// Who waited is gone, with the answer or without.
    fn leave(&mut self, Ticket(number): Ticket) {
        let slot = &mut self.slots[number as usize];
        match slot {
            Slot::Waiting(_) => *slot = Slot::Abandoned,
            _ => {
                *slot = Slot::Free;
                self.free.push(number);
            }
        }
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use core::{future::Future, pin::pin};

    use super::*;
    use crate::{
        group::port::{Reach, ShardPort, ports},
        mesh::Doorbell,
    };

    fn pair() -> (ShardPort, RefCell<Vec<ControlPort>>) {
        let (shard, control) = ports(&Doorbell::default());
        (shard, RefCell::new(vec![control]))
    }

    fn hear(visits: &Visits, ports: &RefCell<Vec<ControlPort>>) {
        while let Some(outcome) = ports.borrow_mut()[0].next_visited() {
            visits.settle(outcome);
        }
    }

    fn answer(shard: &mut ShardPort, value: &'static str) {
        let visit = shard.next_visit().expect("a visit");
        let loaded = Ok(Loaded::forever(value));
        shard.answer(LoadOutcome {
            ticket: visit.ticket,
            loaded,
        });
    }

    #[test]
    fn answers_come_to_who_asked_whatever_their_order() {
        let (mut shard, ports) = pair();
        let visits = Visits::default();
        let context = &mut Context::from_waker(Waker::noop());
        let visit = |key: &'static str| {
            let what = (key.into(), Wish::Get(Reach::Peers), Counted::Nothing);
            visits.visit(&ports, 0, what, |_| {})
        };
        let (mut a, mut b) = (pin!(visit("a")), pin!(visit("b")));
        assert!(a.as_mut().poll(context).is_pending());
        assert!(b.as_mut().poll(context).is_pending());
        let (first, second) = (shard.next_visit(), shard.next_visit());
        for visit in [second, first].map(|visit| visit.expect("a visit")) {
            let loaded = Ok(Loaded::forever(visit.key));
            let ticket = visit.ticket;
            shard.answer(LoadOutcome { ticket, loaded });
        }
        hear(&visits, &ports);
        assert_eq!(a.poll(context), Poll::Ready(Ok(Loaded::forever("a"))));
        assert_eq!(b.poll(context), Poll::Ready(Ok(Loaded::forever("b"))));
    }

    #[test]
    fn who_leaves_gives_the_place_back_when_the_answer_comes() {
        let (mut shard, ports) = pair();
        let visits = Visits::default();
        let context = &mut Context::from_waker(Waker::noop());
        let visit = |key: &'static str| {
            let what = (key.into(), Wish::Get(Reach::Peers), Counted::Nothing);
            visits.visit(&ports, 0, what, |_| {})
        };
        for _ in 0..3 {
            let mut gone = Box::pin(visit("gone"));
            assert!(gone.as_mut().poll(context).is_pending());
            drop(gone);
            let mut other = Box::pin(visit("other"));
            assert!(other.as_mut().poll(context).is_pending());
            answer(&mut shard, "for nobody");
            answer(&mut shard, "other");
            hear(&visits, &ports);
            let polled = other.as_mut().poll(context);
            assert_eq!(polled, Poll::Ready(Ok(Loaded::forever("other"))));
        }
        assert_eq!(visits.0.borrow().slots.len(), 2);
    }
}
