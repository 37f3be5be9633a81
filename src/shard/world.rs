//! Stopping the world: how one connection has all of the store to itself for a while.
//!
//! Every shard reads every partition directly, so what must look like one step to everybody (a
//! transaction, a RENAME) cannot hide behind the owner of a key. Instead all other clients, on all
//! shards, are held until it is done. The shard that has the request, the holder:
//!
//! 1. queues at the [turnstile](crate::mesh::Turnstile): two holders can never wait for each
//!    other, and each comes to its turn;
//! 2. once through, holds its own clients and tells every other shard to `StandStill`. A shard that
//!    is told so gives the clients it held for the last holder one chance, then holds them all; it
//!    goes on to apply what other shards ask for, and answers once every request it ever sent to
//!    any shard is answered;
//! 3. has the world once every request it sent itself is answered, those to stand still among them:
//!    no client is being served anywhere and no request is on its way between any two shards;
//! 4. lets its connections that wait for the world run, each once all that the one before asked
//!    other shards for is answered. It is applied there as always;
//! 5. leaves the turnstile and tells every other shard to `GoOn`. Who waits for its turn looks
//!    after that, so it looks late enough.
//!
//! What keeps it alive: an answer, a `StandStill` and a `GoOn` wake the shard they go to; a shard
//! that holds its clients goes on to answer, so nobody's requests stay unanswered; and nothing here
//! waits for a client, not even for the one whose transaction it is.
//!
//! With one shard there is nobody to ask, and a connection has the world at once.
//!
//! A [pause](super::pause) is another thing: a client asks for it, and it ends at its time.

use super::{
    core::Core,
    message::{AnswerBody, Ask, AskBody, Origin},
    session::{Session, Step},
};
use crate::io::Token;

/// Where this shard stands between serving everybody and serving one.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Clients are held. The only field that is looked at for each request.
    is_closed: bool,
    /// This shard has let it go, and clients that were held may be served.
    is_reopened: bool,
    bid: Bid,
    /// Whom this shard stands still for.
    stand_still: Option<StandStill>,
}

/// How far this shard is with having the world.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Bid {
    #[default]
    None,
    /// It waits at the turnstile.
    Queued { origin: Origin },
    /// It is through. The shards before `next` were told to stand still.
    Gathering { origin: Origin, next: usize },
    /// It has the world, and this connection runs in it.
    Won {
        origin: Origin,
        running: Option<Token>,
    },
}

/// That this shard stands still for another.
#[derive(Debug)]
struct StandStill {
    holder: usize,
    origin: Origin,
    /// Clients had their chance and are held now.
    is_closed: bool,
    is_answered: bool,
}

/// A connection's relation to the world.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorldPass {
    /// Its next request wants nothing of it.
    #[default]
    None,
    /// Its next request has to have the world.
    Wanted,
    /// Its next request has the world, and has begun.
    Given,
}

impl World {
    /// Whether clients are held, but for those that have to do with why.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether this shard has the world, so that its connections that want it may run.
    pub(super) fn is_won(&self) -> bool {
        matches!(self.bid, Bid::Won { .. })
    }

    fn is_at_rest(&self) -> bool {
        self.bid == Bid::None && self.stand_still.is_none() && !self.is_reopened
    }

    fn close_or_open(&mut self) {
        let is_bid = matches!(self.bid, Bid::Gathering { .. } | Bid::Won { .. });
        let stands_still = self.stand_still.as_ref().is_some_and(|it| it.is_closed);
        self.is_closed = is_bid || stands_still;
    }
}

impl Core {
    /// Whether the connection of `origin` has the world now. If not, this shard goes for it.
    fn enter_world(&mut self, origin: Origin) -> bool {
        if self.world.bid == Bid::None {
            self.mesh.turnstile().queue();
            self.world.bid = Bid::Queued { origin };
        }
        self.gather_world();
        let is_settled = self.is_settled();
        let Bid::Won { running, .. } = &mut self.world.bid else {
            return false;
        };
        // What the one before asked other shards for may still be on its way.
        if running.is_none() && is_settled {
            *running = Some(origin.token);
        }
        *running == Some(origin.token)
    }

    /// The connection that has the world is done with it.
    fn leave_world(&mut self) {
        if let Bid::Won { running, .. } = &mut self.world.bid {
            *running = None;
        }
        if self.mesh.shard_count() == 1 {
            self.let_world_go();
        }
    }

    /// Whether nothing that this shard asked others for is on its way.
    pub(super) fn is_settled(&self) -> bool {
        self.mesh.is_settled() && self.asks.is_empty()
    }

    /// Goes on to have the world, if this shard wants it.
    pub(super) fn gather_world(&mut self) {
        if let Bid::Queued { origin } = self.world.bid
            && self.mesh.turnstile().is_through()
        {
            self.world.bid = Bid::Gathering { origin, next: 0 };
            self.world.close_or_open();
        }
        let Bid::Gathering { origin, mut next } = self.world.bid else {
            return;
        };
        // What clients of this shard asked for before comes first.
        let may_ask = self.asks.is_empty();
        while may_ask && next < self.mesh.shard_count() {
            if next != self.shard() {
                if self.mesh.allowance(next) == 0 {
                    break;
                }
                let body = AskBody::StandStill;
                self.ask(next, Ask { origin, body });
            }
            next += 1;
        }
        let is_whole = next == self.mesh.shard_count() && self.mesh.is_settled();
        self.world.bid = if is_whole {
            let running = None;
            Bid::Won { origin, running }
        } else {
            Bid::Gathering { origin, next }
        };
    }

    /// Once a turn, after all that may be served was: answers who wants the world, or lets it go.
    /// True if clients that were held may be served now.
    pub(super) fn settle_world(&mut self) -> bool {
        if self.world.is_at_rest() {
            return false;
        }
        let is_settled = self.is_settled();
        if let Some(stand_still) = &mut self.world.stand_still {
            stand_still.is_closed = true;
            if is_settled && !stand_still.is_answered {
                stand_still.is_answered = true;
                let origin = stand_still.origin;
                let holder = stand_still.holder;
                self.answer(holder, origin, AnswerBody::Noted);
            }
            self.world.close_or_open();
        }
        let is_over = matches!(self.world.bid, Bid::Won { running: None, .. });
        if is_over && is_settled {
            self.let_world_go();
        }
        core::mem::take(&mut self.world.is_reopened)
    }

    fn let_world_go(&mut self) {
        let Bid::Won { origin, .. } = self.world.bid else {
            return;
        };
        self.world.bid = Bid::None;
        self.world.is_reopened = true;
        self.world.close_or_open();
        // The others look at the turnstile when they hear of it, so this comes first.
        self.mesh.turnstile().leave();
        let me = self.shard();
        for shard in (0..self.mesh.shard_count()).filter(|shard| *shard != me) {
            let body = AskBody::GoOn;
            self.ask(shard, Ask { origin, body });
        }
    }

    /// Another shard is through the turnstile. The one before it is not any more, even if that
    /// shard's word of it comes later.
    pub(super) fn stand_still(&mut self, holder: usize, origin: Origin) {
        self.world.stand_still = Some(StandStill {
            holder,
            origin,
            is_closed: false,
            is_answered: false,
        });
        self.world.close_or_open();
    }

    /// Another shard has let the world go.
    pub(super) fn go_on_after(&mut self, holder: usize) {
        let stand_still = &mut self.world.stand_still;
        stand_still.take_if(|it| it.holder == holder);
        self.world.close_or_open();
    }
}

impl Session {
    /// Whether the connection has the world from here on until [`Self::leave_world`]; if not, its
    /// request is to be tried again.
    pub(super) fn enter_world(&mut self, core: &mut Core) -> bool {
        if self.pass == WorldPass::Given {
            return true;
        }
        self.pass = WorldPass::Wanted;
        if core.enter_world(self.next_origin()) {
            self.pass = WorldPass::Given;
        }
        self.pass == WorldPass::Given
    }

    /// The request is done. If its reply was lost, so is the connection.
    pub(super) fn leave_world(&mut self, core: &mut Core) -> Step {
        self.pass = WorldPass::None;
        core.leave_world();
        if self.replies.is_mute() {
            Step::Close
        } else {
            Step::Done
        }
    }

    /// Whether a request has begun that nothing may end but its own end.
    pub(super) fn has_world(&self) -> bool {
        self.pass == WorldPass::Given
    }

    /// Whether the next request may be served although the world is closed.
    #[cold]
    pub(super) fn may_pass(&self, core: &Core) -> bool {
        self.pass != WorldPass::None && core.world.is_won()
    }

    /// Executes a request about several keys so that all others see it done or not done: `run` is
    /// called, again after each hold, while nobody else is served. What it asks other shards for may
    /// still be on its way when it is done. Inside EXEC, where the world is the transaction's, it is
    /// part of that.
    pub(super) fn compound(
        &mut self,
        core: &mut Core,
        run: impl FnOnce(&mut Self, &mut Core) -> Step,
    ) -> Step {
        if self.is_queueing {
            return run(self, core);
        }
        if !self.enter_world(core) {
            return Step::Hold;
        }
        match run(self, core) {
            Step::Hold => Step::Hold,
            Step::Done | Step::Close => self.leave_world(core),
        }
    }
}
