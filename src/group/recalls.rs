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
use std::collections::HashMap;

use super::port::Ticket;

/// The loads that wait for a peer now.
#[derive(Debug, Default)]
pub(super) struct Recalls(RefCell<HashMap<(usize, Ticket), Watch>>);

/// Who waits.
#[derive(Debug, Default)]
struct Watch {
    is_recalled: bool,
    waker: Option<Waker>,
}

impl Recalls {
    /// What a peer answers, unless the load is called back first.
    pub(super) async fn unless_recalled<T>(
        &self,
        shard: usize,
        ticket: Ticket,
        asking: impl Future<Output = T>,
    ) -> Option<T> {
        let name = (shard, ticket);
        self.0.borrow_mut().insert(name, Watch::default());
        let _leaving = Leaving(self, name);
        let mut asking = pin!(asking);
        poll_fn(|context| {
            if let Poll::Ready(answer) = asking.as_mut().poll(context) {
                return Poll::Ready(Some(answer));
            }
            let mut watches = self.0.borrow_mut();
            let watch = watches.entry(name).or_default();
            watch.waker = Some(context.waker().clone());
            match watch.is_recalled {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Calls a load back, if it waits for a peer.
    pub(super) fn recall(&self, shard: usize, ticket: Ticket) {
        let mut watches = self.0.borrow_mut();
        if let Some(watch) = watches.get_mut(&(shard, ticket)) {
            watch.is_recalled = true;
            watch.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Forgets a load that waits no more.
struct Leaving<'r>(&'r Recalls, (usize, Ticket));

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.0.borrow_mut().remove(&self.1);
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
        let mut first = Box::pin(recalls.unless_recalled(0, Ticket(1), pending::<()>()));
        let mut second = Box::pin(recalls.unless_recalled(1, Ticket(1), pending::<()>()));
        assert!(first.as_mut().poll(context).is_pending());
        assert!(second.as_mut().poll(context).is_pending());
        recalls.recall(1, Ticket(1));
        recalls.recall(1, Ticket(2));
        assert!(first.as_mut().poll(context).is_pending());
        assert_eq!(second.as_mut().poll(context), Poll::Ready(None));
        drop((first, second));
        let answered = pin!(recalls.unless_recalled(0, Ticket(1), ready(7)));
        assert_eq!(answered.poll(context), Poll::Ready(Some(7)));
        assert!(recalls.0.borrow().is_empty());
    }
}
