//! Loads that wait for a peer, and that are to stop waiting for it when a peer waits for them.
//!
//! Where lists of peers differ, each of two may take the other for a key's owner. What a peer asks for
//! is never asked of a peer; if it is on its way to one already, for clients, it is called back and
//! asked of the source.

use core::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::pin,
    task::{Poll, Waker},
};
use std::{collections::HashMap, rc::Rc};

use super::port::Ticket;

/// The loads that may wait for a peer now.
#[derive(Debug, Default)]
pub(super) struct Recalls(Rc<Watches>);

type Watches = RefCell<HashMap<Name, Watch>>;

/// A shard, and its name for a load.
type Name = (usize, Ticket);

/// Who waits.
#[derive(Debug, Default)]
struct Watch {
    is_recalled: bool,
    waker: Option<Waker>,
}

/// A load that may be called back, until this is dropped.
pub(super) struct Recallable {
    watches: Rc<Watches>,
    name: Name,
}

impl Recalls {
    /// A load's turn to ask a peer has come. It can be called back from now on: what asks is a task of its own,
    /// and a recall may come before that has begun.
    pub(super) fn begin(&self, shard: usize, ticket: Ticket) -> Recallable {
        let name = (shard, ticket);
        self.0.borrow_mut().insert(name, Watch::default());
        let watches = Rc::clone(&self.0);
        Recallable { watches, name }
    }

    /// Calls a load back, if it may wait for a peer.
    pub(super) fn recall(&self, shard: usize, ticket: Ticket) {
        let mut watches = self.0.borrow_mut();
        if let Some(watch) = watches.get_mut(&(shard, ticket)) {
            watch.is_recalled = true;
            watch.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl Recallable {
    /// What a peer answers, unless the load is called back first, or was before.
    pub(super) async fn unless_recalled<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        let mut asking = pin!(asking);
        poll_fn(|context| {
            if self.is_recalled(context.waker()) {
                return Poll::Ready(None);
            }
            asking.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// If not, `waker` is woken once it is.
    fn is_recalled(&self, waker: &Waker) -> bool {
        let mut watches = self.watches.borrow_mut();
        let watch = watches.entry(self.name).or_default();
        watch.waker = Some(waker.clone());
        watch.is_recalled
    }
}

/// Who waits no more is not called back.
impl Drop for Recallable {
    fn drop(&mut self) {
        self.watches.borrow_mut().remove(&self.name);
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use core::{
        future::{pending, ready},
        task::Context,
    };

    use super::*;

    #[test]
    fn only_who_waits_for_a_peer_is_called_back() {
        let recalls = Recalls::default();
        let context = &mut Context::from_waker(Waker::noop());
        let (one, other) = (recalls.begin(0, Ticket(1)), recalls.begin(1, Ticket(1)));
        let mut first = Box::pin(one.unless_recalled(pending::<()>()));
        let mut second = Box::pin(other.unless_recalled(pending::<()>()));
        assert!(first.as_mut().poll(context).is_pending());
        assert!(second.as_mut().poll(context).is_pending());
        recalls.recall(1, Ticket(1));
        recalls.recall(1, Ticket(2));
        assert!(first.as_mut().poll(context).is_pending());
        assert_eq!(second.as_mut().poll(context), Poll::Ready(None));
        drop((first, second));
        let mut answered = Box::pin(one.unless_recalled(ready(7)));
        assert_eq!(answered.as_mut().poll(context), Poll::Ready(Some(7)));
        drop(answered);
        drop((one, other));
        assert!(recalls.0.borrow().is_empty());
    }

    #[test]
    fn who_is_called_back_before_it_has_asked_does_not_ask() {
        let recalls = Recalls::default();
        let context = &mut Context::from_waker(Waker::noop());
        let load = recalls.begin(0, Ticket(1));
        recalls.recall(0, Ticket(1));
        let asking = poll_fn::<(), _>(|_| unreachable!("nobody asks"));
        let waiting = pin!(load.unless_recalled(asking));
        assert_eq!(waiting.poll(context), Poll::Ready(None));
    }
}
