//! Turns: so many may be at something at a time, and the others wait in the order in which they came.
//!
//! glommio's `Semaphore` is not this: whom it wakes it forgets, so if that one gives up before it hears of it, as
//! who has a deadline may, the next is not woken, and nobody is let in as long as it waits.

use core::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
};
use std::{collections::VecDeque, rc::Rc};

/// Hands out turns; clones hand out the same.
#[derive(Debug, Clone)]
pub(super) struct Turns(Rc<Desk>);

#[derive(Debug)]
struct Desk {
    free: Cell<usize>,
    /// Invariant: nobody waits while one is free.
    waiting: RefCell<VecDeque<Rc<Waiting>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    is_called: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Rc<Desk>);

impl Turns {
    /// So many at a time, one at least.
    pub(super) fn new(max: usize) -> Self {
        Self(Rc::new(Desk {
            free: Cell::new(max.max(1)),
            waiting: RefCell::default(),
        }))
    }

    /// A turn, if one is free.
    pub(super) fn try_take(&self) -> Option<Turn> {
        let Self(desk) = self;
        let free = desk.free.get().checked_sub(1)?;
        desk.free.set(free);
        Some(Turn(Rc::clone(desk)))
    }

    /// A turn, as soon as those before have had theirs.
    pub(super) async fn take(&self) -> Turn {
        if let Some(turn) = self.try_take() {
            return turn;
        }
        let Self(desk) = self;
        let waiting = Rc::new(Waiting::default());
        desk.waiting.borrow_mut().push_back(Rc::clone(&waiting));
        let place = InLine { desk, waiting };
        poll_fn(|context| {
            if place.waiting.is_called.get() {
                return Poll::Ready(());
            }
            *place.waiting.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        place.waiting.is_called.set(false);
        Turn(Rc::clone(desk))
    }
}

impl Desk {
    /// A turn is over: the next one has it.
    fn pass_on(&self) {
        let Some(next) = self.waiting.borrow_mut().pop_front() else {
            return self.free.set(self.free.get() + 1);
        };
        next.is_called.set(true);
        if let Some(waker) = next.waker.take() {
            waker.wake();
        }
    }
}

/// Somebody who waits, and may give up.
struct InLine<'d> {
    desk: &'d Desk,
    waiting: Rc<Waiting>,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        match self.waiting.is_called.get() {
            // It was called, and did not hear it.
            true => self.desk.pass_on(),
            false => {
                let mut waiting = self.desk.waiting.borrow_mut();
                waiting.retain(|one| !Rc::ptr_eq(one, &self.waiting));
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use core::{pin::Pin, task::Context};

    use super::*;

    fn poll(future: &mut Pin<Box<impl Future<Output = Turn>>>) -> Poll<Turn> {
        let context = &mut Context::from_waker(Waker::noop());
        future.as_mut().poll(context)
    }

    #[test]
    fn who_comes_first_has_the_next_turn() {
        let turns = Turns::new(2);
        let (first, _second) = (turns.try_take(), turns.try_take());
        assert!(turns.try_take().is_none());
        let mut third = Box::pin(turns.take());
        let mut fourth = Box::pin(turns.take());
        assert!(poll(&mut third).is_pending() && poll(&mut fourth).is_pending());
        drop(first);
        assert!(turns.try_take().is_none(), "it is the third's");
        assert!(poll(&mut fourth).is_pending());
        let Poll::Ready(turn) = poll(&mut third) else {
            panic!("it was called")
        };
        drop(third);
        drop(turn);
        assert!(poll(&mut fourth).is_ready());
    }

    #[test]
    fn who_gives_up_keeps_nobody_waiting() {
        let turns = Turns::new(1);
        let first = turns.try_take();
        let mut impatient = Box::pin(turns.take());
        let mut deaf = Box::pin(turns.take());
        let mut last = Box::pin(turns.take());
        assert!(poll(&mut impatient).is_pending());
        assert!(poll(&mut deaf).is_pending() && poll(&mut last).is_pending());
        drop(impatient);
        drop(first);
        drop(deaf);
        assert!(poll(&mut last).is_ready(), "the turn was passed on");
        drop(last);
        assert!(turns.try_take().is_some(), "and is free in the end");
    }
}
