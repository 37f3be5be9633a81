//! The mesh: how shards ask each other, without a lock and without losing a message.
//!
//! Between each ordered pair of shards there are three lanes, for requests, replies and notices;
//! order is kept in each. Every request is answered once. A shard has at most as many
//! requests unanswered at another as a lane holds, so a reply always finds room and two shards
//! can never wait for each other's lanes: when the allowance is used up, [`MeshPort::ask`] gives
//! the request back and the shard stops reading from the connection it came from.
//!
//! A notice is not answered; where its lane is full, [`MeshPort::notify`] gives it back and the
//! sender lets more come together before it tries again. Who looks for notices after it took a
//! reply, and before it acts on it, has seen all that its sender sent before that reply.
//!
//! A shard that blocks in the kernel says so ([`MeshPort::try_sleep`]); who sends to it wakes it
//! ([`MeshPort::take_wakes`], once a turn). No wake-up is lost: the sleeper stores its flag and
//! then looks at its lanes, the sender pushes and then looks at the flag, with a SeqCst fence
//! between the two steps on each side, so at least one of them sees the other.
//!
//! What only one shard may do at a time, it does once it is through the [`Turnstile`].

mod doorbell;
mod spsc;
mod turnstile;

use std::sync::Arc;

pub(crate) use self::spsc::{Consumer, Producer, queue};
pub use self::{doorbell::Doorbell, turnstile::Turnstile};
use crate::sync::{AtomicBool, CachePadded, Ordering, fence};

/// Requests a shard may have unanswered at one other shard, for few shards. Enough for the
/// pipelines of some hundred connections between two turns of the other side.
const LANE_DEPTH_MAX: usize = 1024;

/// The same for very many shards, so that the lanes' memory grows with their number only.
const LANE_DEPTH_MIN: usize = 64;

/// Notices on their way from a shard to one other. One a turn is sent, so a few suffice.
const NOTICE_DEPTH: usize = 16;

/// Depth of each lane in a mesh of so many shards.
fn lane_depth(shard_count: usize) -> usize {
    let depth = 8 * LANE_DEPTH_MAX / shard_count.next_power_of_two();
    depth.clamp(LANE_DEPTH_MIN, LANE_DEPTH_MAX)
}

/// One shard's end of the mesh: requests of type `Q`, replies of type `R`, notices of type `N`.
pub struct MeshPort<Q, R, N> {
    shard: usize,
    asks: Vec<Option<Producer<Q>>>,
    asked: Vec<Option<Consumer<Q>>>,
    answers: Vec<Option<Producer<R>>>,
    answered: Vec<Option<Consumer<R>>>,
    notices: Vec<Option<Producer<N>>>,
    noticed: Vec<Option<Consumer<N>>>,
    /// Requests each other shard may still be sent before it answers one.
    allowance: Vec<usize>,
    /// Shards that were sent something since the last [`Self::take_wakes`].
    sent_to: Vec<bool>,
    has_sent: bool,
    sleepers: Arc<[CachePadded<AtomicBool>]>,
    turnstile: Turnstile,
}

/// Makes the mesh of `shard_count` shards; the n-th port belongs to shard n.
pub fn mesh<Q, R, N>(shard_count: usize) -> Vec<MeshPort<Q, R, N>> {
    let depth = lane_depth(shard_count);
    let sleepers: Arc<[_]> = (0..shard_count)
        .map(|_| CachePadded(AtomicBool::new(false)))
        .collect();
    let mut ports: Vec<MeshPort<Q, R, N>> = Turnstile::new(shard_count)
        .into_iter()
        .enumerate()
        .map(|(shard, turnstile)| MeshPort {
            shard,
            asks: nothing(shard_count),
            asked: nothing(shard_count),
            answers: nothing(shard_count),
            answered: nothing(shard_count),
            notices: nothing(shard_count),
            noticed: nothing(shard_count),
            allowance: vec![depth; shard_count],
            sent_to: vec![false; shard_count],
            has_sent: false,
            sleepers: Arc::clone(&sleepers),
            turnstile,
        })
        .collect();
    for from in 0..shard_count {
        for to in (0..shard_count).filter(|to| *to != from) {
            let (producer, consumer) = queue(depth);
            ports[from].asks[to] = Some(producer);
            ports[to].asked[from] = Some(consumer);
            let (producer, consumer) = queue(depth);
            ports[from].answers[to] = Some(producer);
            ports[to].answered[from] = Some(consumer);
            let (producer, consumer) = queue(NOTICE_DEPTH);
            ports[from].notices[to] = Some(producer);
            ports[to].noticed[from] = Some(consumer);
        }
    }
    ports
}

fn nothing<T>(count: usize) -> Vec<Option<T>> {
    (0..count).map(|_| None).collect()
}

impl<Q, R, N> MeshPort<Q, R, N> {
    /// This shard's number.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.sleepers.len()
    }

    /// How many requests one other shard may owe an answer.
    pub fn depth(&self) -> usize {
        lane_depth(self.shard_count())
    }

    /// How many requests can be sent to `shard` now.
    pub fn allowance(&self, shard: usize) -> usize {
        self.allowance[shard]
    }

    /// How many requests to `shard` it has not answered.
    pub fn unanswered(&self, shard: usize) -> usize {
        self.depth() - self.allowance[shard]
    }

    /// Whether every request to every shard is answered.
    pub fn is_settled(&self) -> bool {
        let depth = self.depth();
        self.allowance.iter().all(|allowance| *allowance == depth)
    }

    /// This shard's place at the turnstile of all.
    pub fn turnstile(&mut self) -> &mut Turnstile {
        &mut self.turnstile
    }

    /// Sends a request to another shard.
    ///
    /// # Errors
    /// Too many are unanswered there; the request comes back.
    pub fn ask(&mut self, shard: usize, request: Q) -> Result<(), Q> {
        if !self.reserve(shard) {
            return Err(request);
        }
        self.ask_reserved(shard, request);
        Ok(())
    }

    /// Keeps room for a request that is still being put together: it counts as unanswered. False if there is none.
    pub fn reserve(&mut self, shard: usize) -> bool {
        let has_room = self.allowance[shard] > 0 && self.asks[shard].is_some();
        self.allowance[shard] -= usize::from(has_room);
        has_room
    }

    /// Sends the request that room was kept for.
    ///
    /// # Panics
    /// No room was.
    pub fn ask_reserved(&mut self, shard: usize, request: Q) {
        let lane = self.asks[shard].as_mut();
        let is_sent = lane.is_some_and(|lane| lane.push(request).is_ok());
        assert!(is_sent, "an unanswered request has room");
        self.note_sent(shard);
    }

    /// Answers a request that `shard` sent. Once for each: the asker's allowance is the room.
    ///
    /// # Panics
    /// There are more answers than requests.
    pub fn answer(&mut self, shard: usize, reply: R) {
        let lane = self.answers[shard].as_mut();
        let is_sent = lane.is_some_and(|lane| lane.push(reply).is_ok());
        assert!(is_sent, "more answers than questions");
        self.note_sent(shard);
    }

    /// Sends a notice to another shard.
    ///
    /// # Errors
    /// It has not taken the last ones yet; the notice comes back.
    pub fn notify(&mut self, shard: usize, notice: N) -> Result<(), N> {
        let Some(lane) = &mut self.notices[shard] else {
            return Err(notice);
        };
        lane.push(notice)?;
        self.note_sent(shard);
        Ok(())
    }

    /// The next notice from `shard`.
    pub fn next_notice(&mut self, shard: usize) -> Option<N> {
        self.noticed[shard].as_mut()?.pop()
    }

    /// The next request from `shard`.
    pub fn next_asked(&mut self, shard: usize) -> Option<Q> {
        self.asked[shard].as_mut()?.pop()
    }

    /// The next reply from `shard`.
    pub fn next_answered(&mut self, shard: usize) -> Option<R> {
        let reply = self.answered[shard].as_mut()?.pop()?;
        self.allowance[shard] += 1;
        Some(reply)
    }

    /// Wakes a shard, if it sleeps, without a message: it has to look again how long it may.
    pub fn nudge(&mut self, shard: usize) {
        self.note_sent(shard);
    }

    fn note_sent(&mut self, shard: usize) {
        self.sent_to[shard] = true;
        self.has_sent = true;
    }

    /// Calls `wake` for each shard that was sent something and sleeps.
    pub fn take_wakes(&mut self, mut wake: impl FnMut(usize)) {
        if !self.has_sent {
            return;
        }
        self.has_sent = false;
        fence(Ordering::SeqCst);
        for (shard, sent) in self.sent_to.iter_mut().enumerate() {
            if core::mem::take(sent) {
                let sleeps = &self.sleepers[shard];
                if sleeps.load(Ordering::Relaxed) && sleeps.swap(false, Ordering::Relaxed) {
                    wake(shard);
                }
            }
        }
    }

    /// Announces that this shard is about to block. False if a message is there already.
    pub fn try_sleep(&mut self) -> bool {
        if self.shard_count() == 1 {
            return true;
        }
        self.sleepers[self.shard].store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.is_idle() {
            return true;
        }
        self.awake();
        false
    }

    /// Announces that this shard runs again.
    pub fn awake(&mut self) {
        if self.shard_count() > 1 {
            self.sleepers[self.shard].store(false, Ordering::Relaxed);
        }
    }

    fn is_idle(&mut self) -> bool {
        self.asked.iter_mut().flatten().all(Consumer::is_empty)
            && self.answered.iter_mut().flatten().all(Consumer::is_empty)
            && self.noticed.iter_mut().flatten().all(Consumer::is_empty)
    }
}

impl<Q, R, N> core::fmt::Debug for MeshPort<Q, R, N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MeshPort")
            .field("shard", &self.shard)
            .field("allowance", &self.allowance)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_keep_their_order() {
        let mut ports = mesh::<u32, u32, u32>(3);
        for number in 0..10 {
            ports[0].ask(2, number).unwrap();
        }
        assert_eq!(ports[1].next_asked(0), None);
        for number in 0..10 {
            assert_eq!(ports[2].next_asked(0), Some(number));
            ports[2].answer(0, number * 2);
        }
        for number in 0..10 {
            assert_eq!(ports[0].next_answered(2), Some(number * 2));
        }
    }

    #[test]
    fn an_unanswered_shard_is_not_asked_for_ever() {
        let mut ports = mesh::<u32, u32, u32>(2);
        let mut sent = 0;
        while ports[0].ask(1, sent).is_ok() {
            sent += 1;
        }
        assert_eq!(sent as usize, lane_depth(2));
        while ports[1].next_asked(0).is_some() {}
        assert_eq!(ports[0].ask(1, 7), Err(7), "popped is not answered");
        ports[1].answer(0, 0);
        ports[0].next_answered(1).unwrap();
        ports[0].ask(1, 7).unwrap();
    }

    #[test]
    fn a_notice_is_there_before_the_answer_that_follows_it() {
        let mut ports = mesh::<u32, u32, u32>(2);
        ports[0].ask(1, 1).unwrap();
        ports[1].notify(0, 10).unwrap();
        ports[1].answer(0, 2);
        ports[1].notify(0, 11).unwrap();
        assert!(!ports[0].try_sleep());
        assert_eq!(ports[0].next_answered(1), Some(2));
        assert_eq!(ports[0].next_notice(1), Some(10));
        assert_eq!(ports[0].next_notice(1), Some(11));
        assert!(ports[0].try_sleep());
        ports[1].notify(0, 12).unwrap();
        let mut woken = Vec::new();
        ports[1].take_wakes(|shard| woken.push(shard));
        assert_eq!(woken, [0]);
        assert!(!ports[0].try_sleep(), "a notice keeps it awake");
        assert_eq!(ports[0].next_notice(1), Some(12));
        assert!(ports[0].try_sleep());
        ports[1].nudge(0);
        ports[1].take_wakes(|shard| woken.push(shard));
        assert_eq!(woken, [0, 0], "without a message");
        assert!(ports[0].try_sleep());
    }

    #[test]
    fn notices_wait_where_there_is_no_room() {
        let mut ports = mesh::<u32, u32, u32>(2);
        for number in 0..NOTICE_DEPTH as u32 {
            ports[0].notify(1, number).unwrap();
        }
        assert_eq!(ports[0].notify(1, 99), Err(99));
        assert_eq!(ports[1].next_notice(0), Some(0));
        ports[0].notify(1, 99).unwrap();
        assert_eq!(ports[0].notify(0, 1), Err(1), "not to oneself");
    }

    #[test]
    fn only_sleepers_are_woken_and_only_once() {
        let mut ports = mesh::<u32, u32, u32>(2);
        let mut woken = Vec::new();
        ports[0].ask(1, 1).unwrap();
        ports[0].take_wakes(|shard| woken.push(shard));
        assert!(woken.is_empty(), "it was awake");
        assert!(!ports[1].try_sleep(), "it has a message");
        ports[1].next_asked(0).unwrap();
        assert!(ports[1].try_sleep());
        ports[0].ask(1, 2).unwrap();
        ports[0].ask(1, 3).unwrap();
        ports[0].take_wakes(|shard| woken.push(shard));
        ports[0].take_wakes(|shard| woken.push(shard));
        assert_eq!(woken, [1]);
    }

    #[test]
    fn lanes_shrink_as_shards_multiply() {
        assert_eq!(lane_depth(1), LANE_DEPTH_MAX);
        assert_eq!(lane_depth(8), LANE_DEPTH_MAX);
        assert_eq!(lane_depth(32), 256);
        assert_eq!(lane_depth(1024), LANE_DEPTH_MIN);
    }
}

#[cfg(all(test, ringfort_loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let mut ports = mesh::<u32, u32, u32>(2);
            let mut sleeper = ports.pop().unwrap();
            let mut sender = ports.pop().unwrap();
            let thread = loom::thread::spawn(move || {
                sender.ask(1, 5).unwrap();
                let mut woken = false;
                sender.take_wakes(|_| woken = true);
                woken
            });
            let slept = sleeper.try_sleep();
            let woken = thread.join().unwrap();
            assert!(!slept || woken || sleeper.next_asked(0).is_none());
            assert!(!slept || woken, "it sleeps with a message in its lane");
        });
    }
}
