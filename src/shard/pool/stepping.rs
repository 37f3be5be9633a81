//! Running a request that takes several steps on its backend, on the shard that talks to it.
//!
//! The L1 copy is dropped as for any write: when the first step is sent, and before the client
//! hears of the last.

use super::{
    errand::{Delivery, Pending, Route},
    failure::NO_META,
    over_memcache::{Next, Plan, Steps},
};
use crate::shard::{
    core::Core,
    message::{AnswerBody, Parcel},
};
use crate::{protocol::memcache::Spelling, store::Key};

/// A request that is under way.
#[derive(Debug)]
pub(in crate::shard) struct Stepping {
    route: Route,
    /// The key, and what goes with the plan.
    parcel: Parcel,
    steps: Steps,
}

impl Stepping {
    /// The key, and what goes with the plan.
    pub(super) fn parcel(&self) -> &Parcel {
        &self.parcel
    }
}

impl Core {
    /// Takes the first step. `Some` if there is none to take.
    pub(super) fn start_steps(
        &mut self,
        server: usize,
        route: Route,
        key: Key<'_>,
        plan: Plan,
        content: &[u8],
    ) -> Option<AnswerBody> {
        let pool = self.pool.as_ref()?;
        let is_text = pool.spelling(key.bytes) == Spelling::Text;
        if !is_text && !pool.links[server].speaks_meta() {
            return Some(self.failure(NO_META));
        }
        if self.has_l1() {
            self.drop_l1(key);
        }
        let stepping = Stepping {
            route,
            parcel: self.parcel(key, content),
            steps: Steps::new(plan),
        };
        self.take_step(server, Box::new(stepping));
        None
    }

    fn take_step(&mut self, server: usize, stepping: Box<Stepping>) {
        let now = self.now;
        let on_loss = self.on_loss_of_change();
        let Some(pool) = &mut self.pool else { return };
        let mut request = self.buffers.take();
        let Stepping { parcel, steps, .. } = &*stepping;
        steps.encode(parcel.key(), parcel.content(), &mut request);
        let expects = steps.expects();
        pool.links[server]
            .ask(Pending::Steps(stepping), expects, on_loss, now)
            .extend_from_slice(&request);
        self.buffers.put(request);
    }

    /// A step has been answered.
    pub(super) fn stepped(
        &mut self,
        server: usize,
        mut stepping: Box<Stepping>,
        failed: bool,
        frame: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        if failed {
            return self.end_steps(*stepping, true, frame, deliver);
        }
        let mut reply = self.buffers.take();
        let Stepping { parcel, steps, .. } = &mut *stepping;
        match steps.take(frame, parcel.content(), &mut reply) {
            Next::Ask => self.take_step(server, stepping),
            Next::Reply => self.end_steps(*stepping, false, &reply, deliver),
        }
        self.buffers.put(reply);
    }

    /// The last step has been answered, or will not be.
    pub(super) fn end_steps(
        &mut self,
        stepping: Stepping,
        failed: bool,
        bytes: &[u8],
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let Stepping { route, parcel, .. } = stepping;
        if self.has_l1() {
            self.drop_l1(Key {
                bytes: parcel.key(),
                hash: parcel.hash,
            });
        }
        self.hand_over_change(route, &parcel, failed, bytes, deliver);
        self.buffers.put(parcel.bytes);
    }
}
