//! Replies on their way to who asked.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use super::Error;
use crate::backend::{Failure, Meaning, Reply};

/// A reply that will come. The request was sent off when this was made; dropping it does not undo
/// that, and nobody hears the reply then.
#[must_use = "whether it went well is only known once this was awaited"]
#[derive(Debug)]
pub struct Answer<T> {
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Failed(Option<Error>),
    Waiting {
        slot: Rc<Slot>,
        read: fn(Raw) -> Result<T, Error>,
    },
}

impl<T> Answer<T> {
    pub(super) fn failed(error: Error) -> Self {
        Self {
            state: State::Failed(Some(error)),
        }
    }

    pub(super) fn waiting(slot: Rc<Slot>, read: fn(Raw) -> Result<T, Error>) -> Self {
        Self {
            state: State::Waiting { slot, read },
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            // Who polls again after the end gets what a closed client gives.
            State::Failed(error) => Poll::Ready(Err(error.take().unwrap_or(Error::Closed))),
            State::Waiting { slot, read } => slot.poll(cx).map(|raw| read(raw?)),
        }
    }
}

// Nothing in it is pinned.
impl<T> Unpin for Answer<T> {}

/// A reply in bytes of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// A value, if there is one.
    Value(Option<Vec<u8>>),
    /// All of it.
    Frame(Vec<u8>),
}

/// What of a reply is kept for who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Value,
    Frame,
}

/// Where a reply is put down.
#[derive(Debug, Default)]
pub(super) struct Slot {
    result: RefCell<Option<Result<Raw, Error>>>,
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    fn poll(&self, cx: &Context<'_>) -> Poll<Result<Raw, Error>> {
        if let Some(result) = self.result.borrow_mut().take() {
            return Poll::Ready(result);
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    fn put(&self, result: Result<Raw, Error>) {
        *self.result.borrow_mut() = Some(result);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// The tag of a request: who waits, and for what.
#[derive(Debug)]
pub(super) struct Ticket {
    slot: Rc<Slot>,
    wants: Wants,
}

impl Ticket {
    pub(super) fn new(slot: Rc<Slot>, wants: Wants) -> Self {
        Self { slot, wants }
    }

    /// The reply is here.
    pub(super) fn answer(self, reply: &Reply<'_>) {
        // Nobody reads it: nothing is copied.
        if Rc::strong_count(&self.slot) == 1 {
            return;
        }
        self.slot.put(match (reply.meaning, self.wants) {
            (Meaning::Error, _) => Err(Error::server(reply.frame)),
            (Meaning::Hit { value, .. }, Wants::Value) => Ok(Raw::Value(Some(value.to_vec()))),
            (Meaning::Miss, Wants::Value) => Ok(Raw::Value(None)),
            (_, Wants::Value) => Err(Error::Unexpected),
            (_, Wants::Frame) => Ok(Raw::Frame(reply.frame.to_vec())),
        });
    }

    /// No reply will come.
    pub(super) fn fail(self, failure: Failure) {
        self.slot.put(Err(match failure {
            Failure::Unsent => Error::Unsent,
            Failure::Lost => Error::Lost,
            Failure::Late => Error::Timeout,
        }));
    }
}
