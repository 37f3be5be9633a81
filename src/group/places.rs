//! The places for connections of peers. When all are taken and one more comes, the connection that has been without a
//! request for longest has to leave: who keeps connections for later, and strangers who say nothing, keep
//! nobody out.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{
    stream::{PeerLimits, Progress},
    turns::{Turn, Turns},
};

/// Who may have a connection.
pub(super) struct Places {
    turns: Turns,
    limits: PeerLimits,
    guests: RefCell<Vec<Progress>>,
    /// The next one without a request has to leave.
    is_wanted: Cell<bool>,
}

/// A connection's place among them.
pub(super) struct Place {
    places: Rc<Places>,
    progress: Progress,
    _turn: Turn,
}

impl Places {
    /// As many as the limits say.
    pub(super) fn new(limits: PeerLimits) -> Self {
        Self {
            turns: Turns::new(limits.connections_max),
            limits,
            guests: RefCell::default(),
            is_wanted: Cell::new(false),
        }
    }

    /// A place for a connection, now or once another leaves. One asks at a time.
    pub(super) async fn take(places: &Rc<Self>) -> Place {
        let turn = match places.turns.try_take() {
            Some(turn) => turn,
            None => {
                places.ask_one_to_leave();
                places.turns.take().await
            }
        };
        places.is_wanted.set(false);
        let progress = Progress::new(places.limits);
        places.guests.borrow_mut().push(progress.clone());
        Place {
            places: Rc::clone(places),
            progress,
            _turn: turn,
        }
    }

    fn ask_one_to_leave(&self) {
        let guests = self.guests.borrow();
        let may_leave = |guest: &&Progress| guest.idle_since().is_some() && !guest.is_leaving();
        let idle = guests.iter().filter(may_leave);
        match idle.min_by_key(|guest| guest.idle_since()) {
            Some(idlest) => idlest.ask_to_leave(),
            None => self.is_wanted.set(true),
        }
    }
}

impl Place {
    /// Where the connection is.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// A request has its answer. Who waits for a place gets this one.
    pub(super) fn note_answer(&self) {
        self.progress.note_answer();
        if self.places.is_wanted.take() {
            self.progress.ask_to_leave();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.places.guests.borrow_mut();
        guests.retain(|guest| !guest.is(&self.progress));
    }
}
