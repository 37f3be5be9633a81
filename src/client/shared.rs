//! What handles and the task behind them share.

use std::{
    cell::{Cell, RefCell},
    hash::{BuildHasher, RandomState},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use super::{
    Config, Error, IN_FLIGHT_MAX,
    answer::Ticket,
    push::{Push, Pushes},
};
use crate::{
    backend::{Expects, Link, Terms},
    config::Protocol,
    protocol::memcache::Spelling,
    runtime::net::Clock,
    store::{KeyHasher, UnixMs},
};

/// A client's link, and who waits for something on it.
pub(super) struct Shared {
    protocol: Protocol,
    hasher: KeyHasher,
    clock: Clock,
    pub(super) link: RefCell<Link<Ticket>>,
    pub(super) pushes: RefCell<Pushes>,
    /// Why the connection was lost last.
    pub(super) last_error: RefCell<String>,
    driver: RefCell<Option<Waker>>,
    /// Who waits for the first connection, or for the end.
    watchers: RefCell<Vec<Waker>>,
    is_over: Cell<bool>,
}

impl Shared {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let clock = Clock::start();
        let seed = RandomState::new().hash_one(clock.unix_ms());
        let settings = config.link(seed)?;
        Ok(Self {
            protocol: config.protocol(),
            hasher: settings.hasher,
            link: RefCell::new(Link::new(settings, UnixMs(clock.unix_ms()))),
            clock,
            pushes: RefCell::default(),
            last_error: RefCell::default(),
            driver: RefCell::default(),
            watchers: RefCell::default(),
            is_over: Cell::new(false),
        })
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn now(&self) -> UnixMs {
        UnixMs(self.clock.unix_ms())
    }

    /// Adds a request whose bytes are what `encode` appends.
    pub(super) fn push(
        &self,
        ticket: Ticket,
        expects: Expects,
        terms: Terms,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.add(|link, now| encode(link.pipeline().push(ticket, expects, terms, now)))
    }

    /// Adds a request for a value; those that come together become one `get` to memcached.
    pub(super) fn push_get(&self, ticket: Ticket, key: &[u8], terms: Terms) -> Result<(), Error> {
        let key = self.hasher.key(key);
        self.add(|link, now| {
            link.pipeline()
                .push_get(ticket, key, Spelling::Text, terms, now);
        })
    }

    fn add(&self, push: impl FnOnce(&mut Link<Ticket>, UnixMs)) -> Result<(), Error> {
        let now = self.now();
        let mut link = self.link.borrow_mut();
        if !link.takes_requests(now) {
            return Err(Error::Closed);
        }
        if link.in_flight() >= IN_FLIGHT_MAX {
            return Err(Error::Busy);
        }
        push(&mut link, now);
        drop(link);
        self.wake_driver();
        Ok(())
    }

    /// Takes no more requests, and ends once those that there are have ended.
    pub(super) fn drain(&self) {
        self.link.borrow_mut().drain();
        self.wake_driver();
    }

    fn wake_driver(&self) {
        if let Some(waker) = &*self.driver.borrow() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn driven_by(&self, waker: &Waker) {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    /// The link has changed: who waits for that looks.
    pub(super) fn tell_watchers(&self) {
        let watchers = std::mem::take(&mut *self.watchers.borrow_mut());
        watchers.into_iter().for_each(Waker::wake);
    }

    /// It is over.
    pub(super) fn end(&self) {
        self.is_over.set(true);
        self.tell_watchers();
        if let Some(waker) = self.pushes.borrow_mut().waker.take() {
            waker.wake();
        }
    }

    /// Whether the first connection stands, or why not.
    pub(super) fn poll_first(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let link = self.link.borrow();
        if link.is_serving() {
            return Poll::Ready(Ok(()));
        }
        if link.failure_count() == 0 {
            self.watch(cx);
            return Poll::Pending;
        }
        let error = match link.refusal() {
            Some(refusal) => Error::Refused(refusal.to_owned()),
            None => Error::Unreachable(self.last_error.borrow().clone()),
        };
        drop(link);
        self.drain();
        Poll::Ready(Err(error))
    }

    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_over.get() {
            return Poll::Ready(());
        }
        self.watch(cx);
        Poll::Pending
    }

    pub(super) fn poll_push(&self, cx: &Context<'_>) -> Poll<Option<Push>> {
        let mut pushes = self.pushes.borrow_mut();
        if let Some(push) = pushes.take() {
            return Poll::Ready(Some(push));
        }
        if self.is_over.get() {
            return Poll::Ready(None);
        }
        pushes.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn watch(&self, cx: &Context<'_>) {
        self.watchers.borrow_mut().push(cx.waker().clone());
    }
}

/// What all handles of a client hold; when the last one is gone, the client drains.
pub(super) struct Handle(Rc<Shared>);

impl Handle {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self(shared)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.drain();
    }
}
